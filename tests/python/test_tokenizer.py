"""The tokenizer and the chat templates against `tokenizers` and transformers.

A C program, tests/tools/tokenize.c, answers requests of one line each. The real LFM2 tokenizer
lies outside the repository, in ../shared beside the checkout; its tests are skipped without it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
from transformers import AutoTokenizer

sys.path.insert(0, str(Path(__file__).parent))
import jinja_cases  # noqa: E402
from jinja_cases import TOOLS  # noqa: E402
from jinja_templates import TEMPLATES  # noqa: E402

CHECKOUT = Path(__file__).resolve().parents[2]
TINY = CHECKOUT / "examples/tiny/checkpoint"
LFM2 = CHECKOUT.parent / "shared/data/lfm2_tokenizer"
BUILD = Path(os.environ.get("STAMPEDE_BIN", CHECKOUT / "build/stampede")).parent
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|pad|>", "<|startoftext|>", "<|endoftext|>"]

needs_lfm2 = pytest.mark.skipif(
    not (LFM2 / "tokenizer.json").exists(),
    reason="../shared/data/lfm2_tokenizer is not beside the checkout",
)


@pytest.fixture(scope="session")
def tool():
    program = BUILD / "tests/tools/tokenize"
    if "STAMPEDE_BIN" not in os.environ:
        subprocess.run(["make", "-s", str(program)], cwd=CHECKOUT, check=True)

    def ask(directory, requests):
        """The answers of the tokenizer in `directory` to a list of requests."""
        lines = "".join(json.dumps(r) + "\n" for r in requests)
        run = subprocess.run(
            [program, directory], input=lines.encode(), stdout=subprocess.PIPE, check=True
        )
        return [json.loads(line) for line in run.stdout.decode().split("\n")[:-1]]

    return ask


def ids_of(answers):
    for a in answers:
        assert "error" not in a, a["error"]
    return [a["ids"] for a in answers]


# ---- text


GLUE = [
    " ", "  ", " " * 7, "\n", "\r\n", "\n\n", " \n ", "\t", "\u00a0", "\u3000", "\u2028", "\x85",
    "'s", "'S", "'re", "'LL", "'d", "'\u017f", "'\u212a", "\u2019s", "'", "''", "1", "12", "123",
    "1234567", "\u0661\u0662\u0663\u0664", "\u00bd", "\u2167", "a", "The", " quick", "caf\u00e9",
    "e\u0301", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u4f60\u597d", "\ud55c\uad6d\uc5b4",
    "\u0645\u0631\u062d\u0628\u0627", "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1eb\U0001f1f7",
    "\u2764\ufe0f", "\ufe0f", "\u200b", "\ufeff", "\x00", "\x1c", "!", "...", "/*", "->", "==\n",
    "_",
    "<|", "|>", "<|im_", "<|im_start", "<|im_end|>>", "<<|pad|>", "Mathias", "python", "pythons",
    "<|reserved_1", "<|reserved_12|>", "\\frac{1}{2}", "x^2", "don't", "I'M", "we'Ve",
    "\U0001d7d9", "Z\u0351\u036b\u0343",
]  # fmt: skip


def fuzz(seed, n):
    """n strings that hold every code point at least once, among them what the pattern minds."""
    rng = random.Random(seed)
    share = -(-len(SCALARS) // n)
    for i in range(n):
        parts = []
        run = SCALARS[i * share : (i + 1) * share]
        if i % 2:
            rng.shuffle(run)
        while run:
            take = rng.randint(1, 40)
            parts.append("".join(map(chr, run[:take])))
            run = run[take:]
            for _ in range(rng.randint(0, 4)):
                parts.append(rng.choice(GLUE) * rng.choice([1, 1, 1, 1, 2, 5]))
            if rng.random() < 0.1:
                parts.append(rng.choice(SPECIAL))
            if rng.random() < 0.03:
                parts.append(rng.choice(" \n0a!\u0301\u4e00") * rng.randint(1, 300))
        yield "".join(parts)


def check_text(tool, directory, texts):
    reference = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    answers = tool(directory, [{"text": t} for t in texts])
    expected = reference.encode_batch(texts, add_special_tokens=False)
    for text, answer, e in zip(texts, answers, expected, strict=True):
        assert answer.get("ids") == e.ids, (text, answer)
        assert answer["text"] == text


@needs_lfm2
def test_ten_thousand_strings_of_every_code_point(tool):
    texts = list(fuzz(3, 10_000))
    assert len(set("".join(texts))) == len(SCALARS)
    check_text(tool, LFM2, texts)


def test_tiny_tokenizer(tool):
    check_text(tool, TINY, list(fuzz(4, 1500)))


def short_strings():
    """All strings of up to 4 of the characters that decide where the pattern cuts."""
    alphabet = ["a", "S", "1", " ", "\n", "\r", "\t", "'", "!", "\u00e9", "\u0301", "\u3000"]
    level = [""]
    for _ in range(4):
        level = [s + c for s in level for c in alphabet]
        yield from level


def contractions():
    tails = ["s", "t", "re", "ve", "m", "ll", "d", "r", "v", "l", "\u017f", "\u017ft", "x"]
    for tail in tails:
        for variant in {tail, tail.upper(), tail.title(), tail[:-1] + tail[-1].upper()}:
            for before in ["", "a", "1", " ", "'", "\n", "!"]:
                for after in ["", "a", "e", "l", "1", " ", "'s"]:
                    yield before + "'" + variant + after


def test_every_short_string_and_contraction_is_cut_alike(tool):
    """The cuts themselves: ids hide a wrong one where no merge joins what stands around it."""
    data = json.loads((TINY / "tokenizer.json").read_text())
    pattern = data["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    texts = [*short_strings(), *contractions(), *list(fuzz(13, 10_000))[::20]]
    for text, answer in zip(texts, tool(TINY, [{"cut": t} for t in texts]), strict=True):
        pieces = [piece for piece, _ in split.pre_tokenize_str(text)]
        assert answer["lengths"] == [len(p.encode()) for p in pieces], (text, pieces)


@needs_lfm2
def test_every_short_string_and_contraction(tool):
    check_text(tool, LFM2, list(short_strings()) + list(contractions()))


@needs_lfm2
def test_every_added_token_inside_text(tool):
    data = json.loads((LFM2 / "tokenizer.json").read_text())
    added = [t["content"] for t in data["added_tokens"]]
    check_text(tool, LFM2, [x for t in added for x in (t, f"x {t} y", t + t[:-1] + t)])


@needs_lfm2
def test_whole_pieces_that_merges_do_not_reach(tool):
    """None: a file with ignore_merges true would encode everything as this one (false)."""
    reference = tokenizers.Tokenizer.from_file(str(LFM2 / "tokenizer.json"))
    added = set(reference.get_added_tokens_decoder())
    about = tool(LFM2, [{"about": True}])[0]
    assert about["n_ids"] == 64400 and about["holes"] == []
    ids = [i for i in range(about["n_ids"]) if i not in added]
    texts = [a["text"] for a in tool(LFM2, [{"decode": [i]} for i in ids])]
    whole = [(i, t) for i, t in zip(ids, texts) if "\ufffd" not in t
             and len(reference.pre_tokenizer.pre_tokenize_str(t)) == 1]  # fmt: skip
    check_text(tool, LFM2, [t for _, t in whole])
    answers = ids_of(tool(LFM2, [{"text": t} for _, t in whole]))
    unreached = [t for (i, t), got in zip(whole, answers) if got != [i]]
    # The one that is left is cut by the added token "python" before there is any merging.
    assert (len(whole), unreached) == (63051, [" python"])


@needs_lfm2
def test_ignore_merges_and_merges_as_strings(tool, tmp_path):
    """Older files; both say what the real one does not."""
    data = json.loads((LFM2 / "tokenizer.json").read_text())
    data["model"]["ignore_merges"] = True
    data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    check_text(tool, tmp_path, list(fuzz(5, 3000))[::3])


@needs_lfm2
def test_decoding_any_ids(tool):
    """Ids in any order make bytes that are no UTF-8; they are replaced as `tokenizers` does it."""
    reference = tokenizers.Tokenizer.from_file(str(LFM2 / "tokenizer.json"))
    rng = random.Random(6)
    lists = [[rng.randrange(64400) for _ in range(rng.randint(0, 30))] for _ in range(2000)]
    answers = tool(LFM2, [{"decode": ids} for ids in lists])
    expected = reference.decode_batch(lists, skip_special_tokens=False)
    assert [a["text"] for a in answers] == expected


def test_normalized_added_tokens(tool, tmp_path):
    """Found after those with normalized false, in what these leave, and longest first."""
    data = json.loads((TINY / "tokenizer.json").read_text())
    base = {"single_word": False, "lstrip": False, "rstrip": False, "special": False}
    normalized = {"ab": True, "abc": False, "abcd": True, "bc": False, " x": True, "\u65e5": True}
    for i, (text, flag) in enumerate(normalized.items()):
        data["added_tokens"].append(base | {"id": 475 + i, "content": text, "normalized": flag})
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    rng = random.Random(7)
    texts = ["".join(rng.choices("abcdx \u65e5", k=rng.randint(1, 20))) for _ in range(2000)]
    check_text(tool, tmp_path, texts)


def test_of_equal_merges_the_last_counts(tool, tmp_path):
    data = json.loads((TINY / "tokenizer.json").read_text())
    data["model"]["merges"] += data["model"]["merges"][:3]
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    first = "".join(sum(data["model"]["merges"][:6], []))
    rng = random.Random(12)
    check_text(tool, tmp_path, ["".join(rng.choices(first, k=12)) for _ in range(2000)])


def test_unicode_classes_are_the_librarys():
    script = CHECKOUT / "tests/tools/unicode_classes.py"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0


# ---- what stands around a text


def post_processor(before, behind):
    def special(t):
        return {"SpecialToken": {"id": t, "type_id": 0}}

    known = {"<|startoftext|>": 1, "<|im_end|>": 4}
    single = [*map(special, before), {"Sequence": {"id": "A", "type_id": 0}}, *map(special, behind)]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in known.items()},
    }


@pytest.mark.parametrize("flag", [None, False, True])
@pytest.mark.parametrize(
    "processor",
    [
        None,
        post_processor([], []),
        post_processor(["<|startoftext|>"], []),
        post_processor(["<|startoftext|>"], ["<|im_end|>", "<|startoftext|>"]),
        {"type": "Sequence", "processors": [post_processor(["<|startoftext|>"], [])]},
    ],
)
def test_bos_and_eos_as_transformers(tool, tmp_path, processor, flag):
    data = json.loads((TINY / "tokenizer.json").read_text())
    data["post_processor"] = processor
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    config = json.loads((TINY / "tokenizer_config.json").read_text())
    if flag is not None:  # counts for nothing: the post-processor decides
        config["add_bos_token"] = flag
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    reference = AutoTokenizer.from_pretrained(tmp_path)
    text = "A box <|im_end|>"
    answer, plain, about = tool(
        tmp_path, [{"text": text, "add_special": True}, {"text": text}, {"about": True}]
    )
    assert answer["ids"] == reference(text)["input_ids"]
    assert plain["ids"] == reference(text, add_special_tokens=False)["input_ids"]
    assert about["adds_bos"] == (answer["ids"][0] == reference.bos_token_id)
    assert about["bos"] == reference.bos_token_id
    assert about["end_ids"] == [reference.eos_token_id, 2]


@needs_lfm2
def test_lfm2_puts_bos_in_front(tool):
    answer, about = tool(LFM2, [{"text": "Hi", "add_special": True}, {"about": True}])
    reference = tokenizers.Tokenizer.from_file(str(LFM2 / "tokenizer.json"))
    assert answer["ids"] == reference.encode("Hi").ids and answer["ids"][0] == 1
    assert about["adds_bos"] and about["bos"] == 1 and about["end_ids"] == [7, 2]


# ---- chat


TINY_TEMPLATE = (TINY / "chat_template.jinja").read_text()


def checkpoint(directory, template, source=TINY, where="chat_template.jinja", **config):
    """A tokenizer with a template in one of the places that transformers reads, and settings."""
    directory.mkdir(exist_ok=True)
    shutil.copy(source / "tokenizer.json", directory)
    config = json.loads((TINY / "tokenizer_config.json").read_text()) | config
    if where == "chat_template.jinja":
        (directory / where).write_text(template)
    elif where == "string":
        config["chat_template"] = template
    else:
        named = {"other": "{{ x }}", "default": template}
        config["chat_template"] = [{"name": n, "template": t} for n, t in named.items()]
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    return directory


ROLES = ["system", "user", "user", "assistant", "assistant", "tool", "developer"]
PIECES = [
    "What is 2+2?", " ", "\n", "<|im_end|>", "<|im_start|>", "<|startoftext|>", "</think>",
    "<think>", "\u4f60\u597d", "\u00a0\u3000\x1c", "\"q\\\"", "</think> \t4\n", "<|pad|>",
]  # fmt: skip
VALUES = [
    3, -1.5, 1e22, True, [], {}, ["a", {"type": "text", "text": "\u00e9\n"}], {"k": [1, 0.1]},
]  # fmt: skip


def conversations(seed, n, values):
    rng = random.Random(seed)
    for _ in range(n):
        turns = []
        for place in range(rng.randint(1, 7)):
            role = rng.choice(ROLES)
            content = "".join(rng.choices(PIECES, k=rng.randint(0, 5)))
            if values and rng.random() < 0.2 and (place or role != "system"):
                content = rng.choice(VALUES)
            turns.append({"role": role, "content": content})
        yield turns


def check_chat(tool, directory, turns, tools=None):
    """The same text and ids as transformers; what it refuses is refused. How many it takes."""
    reference = AutoTokenizer.from_pretrained(directory)
    given = {} if tools is None else {"tools": tools}
    answers, n = tool(directory, [{"messages": m} | given for m in turns]), 0
    for messages, answer in zip(turns, answers, strict=True):
        try:
            text = reference.apply_chat_template(
                messages, tools=tools, add_generation_prompt=True, tokenize=False
            )
        except Exception:  # of any kind, from the template's code
            assert "error" in answer, (messages, answer)
            continue
        ids = reference.apply_chat_template(
            messages, tools=tools, add_generation_prompt=True, return_dict=False
        )
        assert answer.get("text") == text, (messages, answer)
        assert answer["ids"] == ids
        n += 1
    return n


def test_tiny_chat_template(tool):
    assert check_chat(tool, TINY, list(conversations(8, 300, values=False))) == 300


@pytest.mark.parametrize("where", ["chat_template.jinja", "string", "list"])
def test_chat_templates_in_each_place(tool, tmp_path, where):
    directory = checkpoint(tmp_path / "c", TEMPLATES["lfm2.5"], where=where)
    assert check_chat(tool, directory, list(conversations(9, 100, values=True))) == 100


@pytest.mark.parametrize("name", TEMPLATES)
def test_chat_templates_through_transformers(tool, tmp_path, name):
    """With what transformers does to messages before the template sees them, and with tools."""
    rng = random.Random(name)
    directory = checkpoint(tmp_path / "c", TEMPLATES[name])
    for tools in [None, TOOLS, TOOLS[:1], []]:
        turns = [jinja_cases.conversation(rng) for _ in range(40)]
        assert check_chat(tool, directory, turns, tools) > 4


@needs_lfm2
def test_chat_with_the_real_tokenizer(tool, tmp_path):
    directory = checkpoint(tmp_path / "c", TEMPLATES["lfm2"], source=LFM2)
    assert check_chat(tool, directory, list(conversations(10, 100, values=True))) == 100


def test_a_checkpoint_without_a_template_uses_lfm2s(tool, tmp_path):
    with_template = checkpoint(tmp_path / "a", TEMPLATES["lfm2"])
    without = checkpoint(tmp_path / "b", "")
    (without / "chat_template.jinja").unlink()
    requests = [{"messages": m} for m in conversations(11, 100, values=True)]
    requests += [r | {"tools": TOOLS} for r in requests]
    assert ids_of(tool(with_template, requests)) == ids_of(tool(without, requests))


SAY_HI = [{"role": "user", "content": "hi"}]


def test_named_templates(tool, tmp_path):
    """tool_use where tools are given, from files of their own as well as from a list."""
    named = {"default": "D{{ tools }}", "tool_use": "T{{ tools|length }}", "rag": "{% bad"}
    listed = checkpoint(tmp_path / "a", "", where="string")
    config = json.loads((listed / "tokenizer_config.json").read_text())
    config["chat_template"] = [{"name": n, "template": t} for n, t in named.items()]
    (listed / "tokenizer_config.json").write_text(json.dumps(config))
    files = checkpoint(tmp_path / "b", named["default"])
    (files / "additional_chat_templates").mkdir()
    for name in ("tool_use", "rag"):
        (files / "additional_chat_templates" / f"{name}.jinja").write_text(named[name])
    for directory in (listed, files):
        assert check_chat(tool, directory, [SAY_HI], TOOLS) == 1
        assert check_chat(tool, directory, [SAY_HI]) == 1
        assert check_chat(tool, directory, [SAY_HI], []) == 1
    (files / "chat_template.jinja").unlink()
    assert check_chat(tool, files, [SAY_HI], TOOLS) == 1
    assert check_chat(tool, files, [SAY_HI]) == 0
    assert "none called 'default'" in tool(files, [{"messages": SAY_HI}])[0]["error"]


def test_files_win_over_the_config(tool, tmp_path):
    directory = checkpoint(tmp_path / "c", "file", chat_template="config")
    assert tool(directory, [{"messages": SAY_HI}])[0]["text"] == "file"
    assert check_chat(tool, directory, [SAY_HI]) == 1


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"bos_token": None},
        {"unk_token": "<|pad|>", "image_token": "<|im_end|>", "x_token": 3, "bos": "x"},
        {"extra_special_tokens": {"video": "<|pad|>"}, "added_tokens_decoder": {}},
        {"eos_token": {"content": "<|pad|>", "__type": "AddedToken"}},
    ],
)
@pytest.mark.parametrize("with_map", [False, True])
def test_special_tokens_as_variables(tool, tmp_path, config, with_map):
    names = ["bos_token", "eos_token", "pad_token", "unk_token", "image_token", "x_token", "video"]
    template = "|".join("{{ " + n + " is defined }}{{ " + n + " }}" for n in [*names, "bos"])
    directory = checkpoint(tmp_path / "c", template, **config)
    if with_map:
        tokens = {"bos_token": "<|im_start|>", "cls_token": {"content": "<|pad|>", "lstrip": False}}
        (directory / "special_tokens_map.json").write_text(json.dumps(tokens))
    assert check_chat(tool, directory, [SAY_HI]) == 1


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("a\n{{ x | nosuch }}", "chat_template.jinja, line 2: the filter 'nosuch' is not known"),
        ("{% include 'x' %}", "chat_template.jinja, line 1: the tag 'include' is not known"),
        (b"a\xff", "chat_template.jinja: byte 1 is not UTF-8."),
    ],
)
def test_a_template_that_cannot_be_read_refuses_messages_only(tool, tmp_path, template, said):
    directory = checkpoint(tmp_path / "c", "")
    text = template if isinstance(template, bytes) else template.encode()
    (directory / "chat_template.jinja").write_bytes(text)
    chat, text = tool(directory, [{"messages": SAY_HI}, {"text": "x"}])
    assert chat["error"].startswith(said)
    assert text["text"] == "x"  # prompts as text still work


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "at least one message"),
        ({}, "an object"),
        (None, "null"),
        ([1], "messages[0] is a number"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": 1, "content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": ["x"]}], "a string + a list is not defined (round 1 of"),
        ([*SAY_HI, {"role": "user"}], "nothing called 'content' (round 2 of the loop in line 1)."),
    ],
)
def test_messages_that_are_refused(tool, messages, said):
    assert said in tool(TINY, [{"messages": messages}])[0]["error"]
