"""Conversations and tools in prompt lines of `stampede generate`, and templates that do not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest
from transformers import AutoTokenizer

from chats import CHAT, LISTS_TOOLS, TOOLS, with_template
from cli import TINY, generate, generate_raw


@pytest.mark.parametrize("template", [LISTS_TOOLS, None], ids=["lists tools", "never reads them"])
def test_tools_stand_where_transformers_puts_them(tmp_path: Path, template: Any) -> None:
    model = with_template(tmp_path, template) if template else TINY
    reference = AutoTokenizer.from_pretrained(model)
    given: List[Any] = [TOOLS, TOOLS * 2, [], None]
    rows = generate(model, [{"messages": CHAT, "tools": tools} for tools in given] +
                    [{"messages": CHAT}], "--max-new-tokens", 1)
    want = [reference.apply_chat_template(CHAT, tools=tools, add_generation_prompt=True,
                                          return_dict=False) for tools in given + [None]]
    assert [r["prompt_ids"] for r in rows] == want
    assert len({tuple(ids) for ids in want}) == (3 if template else 1)


def test_tools_that_are_none_are_refused() -> None:
    lines: List[Dict[str, Any]] = [
        {"messages": CHAT, "tools": {"type": "function"}}, {"messages": CHAT, "tools": ["add"]},
        {"messages": CHAT, "tools": "add"}, {"prompt": "x", "tools": TOOLS},
        {"prompt_ids": [5], "tools": []}, {"tools": TOOLS}, {"messages": CHAT}]
    words = ["tools is an object, expected a list of objects.",
             "tools[0] is a string, expected an object.",
             "tools is a string, expected a list of objects.",
             "tools stand without messages; expected both.",
             "tools stand without messages; expected both.", "0 of them stand here."]
    status, rows, _ = generate_raw(TINY, lines, "--max-new-tokens", 1)
    assert status == 1 and "error" not in rows[-1]
    for row, said in zip(rows, words):
        assert row["error"].endswith(said), row


def test_a_template_that_cannot_be_parsed_is_told_at_the_start(tmp_path: Path) -> None:
    model = with_template(tmp_path, "{{ bos_token }}\n{% if messages %}\n{{ messages | shout }}\n"
                                    "{% endif %}")
    sentence = "chat_template.jinja, line 3: the filter 'shout' is not known"
    status, rows, log = generate_raw(model, [{"messages": CHAT}, {"prompt": "Tom"},
                                             {"prompt_ids": [5]}], "--max-new-tokens", 2)
    warning, = [x for x in log.splitlines() if "stampede warn" in x]
    assert sentence in warning and log.index(warning) < log.index("engine ready")
    assert status == 1 and sentence in rows[0]["error"] and rows[0]["error"].endswith(".")
    assert rows[0]["error"].partition(": ")[2] in warning
    assert [len(r["tokens"]) for r in rows[1:]] == [2, 2]


def test_a_template_refuses_with_its_own_words(tmp_path: Path) -> None:
    model = with_template(tmp_path, "{% for m in messages %}{% if m.role != 'user' %}"
                                    "{{ raise_exception('No ' ~ m.role ~ ' here.') }}{% endif %}"
                                    "{{ m.content }}{% endfor %}")
    status, rows, log = generate_raw(model, [{"messages": CHAT},
                                             {"messages": [{"role": "tool", "content": "5"}]}],
                                     "--max-new-tokens", 2)
    assert status == 1 and "No tool here." in rows[1]["error"] and len(rows[0]["tokens"]) == 2
    assert "warn" not in log
