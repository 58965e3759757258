"""Instruction constraints against the verdicts of the published checkers.

The stored verdicts lie in ../shared beside the checkout; those tests are skipped without it. Where
we disagree, tests/verifiers/constraints/exceptions.json has the verdict and the reason, and the
test fails as well when a listed one agrees. A C program, tests/tools/constraints.c, checks.
"""

from __future__ import annotations

import json
import os
import random
import re
import string
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = CHECKOUT.parent / "shared/data"
BUILD = Path(os.environ.get("STAMPEDE_BIN", CHECKOUT / "build/stampede")).parent
EXCEPTIONS = json.loads((CHECKOUT / "tests/verifiers/constraints/exceptions.json").read_text())


def needs(name):
    return pytest.mark.skipif(not (DATA / name).exists(),
                              reason=f"../shared/data/{name} is not beside the checkout")


def rows(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="session")
def ask():
    program = BUILD / "tests/tools/constraints"
    if "STAMPEDE_BIN" not in os.environ:
        subprocess.run(["make", "-s", str(program)], cwd=CHECKOUT, check=True)

    def run(requests):
        text = "".join(json.dumps(r) + "\n" for r in requests).encode()
        done = subprocess.run([program], input=text, capture_output=True, check=True)
        answers = [json.loads(line) for line in done.stdout.split(b"\n") if line]
        assert len(answers) == len(requests)
        return answers

    return run


def request(row):
    return {key: row[key] for key in ("instruction_id_list", "kwargs", "response")}


@needs("ifeval_responses")
def test_stored_verdicts(ask, capsys):
    stored = [r for path in sorted((DATA / "ifeval_responses").glob("*.jsonl")) for r in rows(path)]
    answers = ask([request(r) for r in stored])
    skipped = {(e["key"], e["instruction_id"]) for e in EXCEPTIONS["random"]}
    n, n_skipped, disagreements = 0, 0, []
    for row, answer in zip(stored, answers):
        assert "error" not in answer, (row["key"], answer)
        for mode in ("strict", "loose"):
            for i, name in enumerate(row["instruction_id_list"]):
                if (row["key"], name) in skipped:
                    n_skipped += 1
                    continue
                n += 1
                if answer[mode][i] != row[mode][i]:
                    disagreements.append((mode, row["key"], row["model"], name, row[mode][i]))
    expected = [(e["mode"], e["key"], e["model"], e["instruction_id"], e["stored"])
                for e in EXCEPTIONS["language"]]
    times = sorted(a["us"] for a in answers)
    with capsys.disabled():
        print(f"\nIFEval: {n - len(disagreements)} of {n} stored verdicts agree, {n_skipped} "
              f"random ones left out; all instructions of a response take "
              f"{times[len(times) // 2]} us (median), {times[len(times) * 99 // 100]} us (p99)")
    assert n > 13000
    assert sorted(disagreements) == sorted(expected)


@needs("ifeval_cases.jsonl")
def test_ifeval_cases(ask):
    """Upstream's unit tests. ValueError: refused as a specification, or, where the response is what
    upstream refuses (no text between stars to compare), not followed."""
    cases = rows(DATA / "ifeval_cases.jsonl")
    answers = ask([{"instruction_id_list": [c["instruction_id"]], "kwargs": [c["kwargs"]],
                    "response": c["response"]} for c in cases])
    assert len(cases) == 100
    for case, answer in zip(cases, answers):
        if case["response"] is None:
            assert "error" in answer, case
        else:
            assert answer["strict"] == [case["expected"] is True], (case, answer)


@needs("ifeval_input_data.jsonl")
def test_every_prompt_of_ifeval_is_accepted(ask):
    prompts = rows(DATA / "ifeval_input_data.jsonl")
    answers = ask([{**request({**p, "response": ""})} for p in prompts])
    assert [a for a in answers if "error" in a] == []
    assert all(not any(a["strict"] + a["loose"]) for a in answers)  # a blank response


ATOMS = list("aBzé_7. ,!?'\"*-\n\t") + ["Mr.", "U.S.", "don't", "ΑΣ", "İ", "ß", "中文", "\u00a0",
                                       "\u3000", "\u200b", "½", "٣", "ⓐ", "Ⅷ", "ǅ", "😀", "\x1c"]


def test_words_and_case_are_those_of_python(ask):
    rng = random.Random(4)
    texts = ["".join(rng.choices(ATOMS, k=rng.randint(0, 12))) for _ in range(2000)]
    for piece, made in (("words", lambda t: re.findall(r"\w+", t)), ("fields", str.split),
                        ("lower", str.lower)):
        answers = ask([{"response": t, "piece": piece} for t in texts])
        for text, answer in zip(texts, answers):
            assert answer["value"] == made(text), (piece, text)


def loose_variants(text):
    lines = text.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    return [v.replace("*", "") if stars else v for v in [text] + cut for stars in (False, True)]


PATTERNS = [
    ("detectable_content:number_placeholders", {"num_placeholders": 2},
     lambda t: len(re.findall(r"\[.*?\]", t)) >= 2),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2},
     lambda t: len(re.findall(r"^\s*\*[^\*].*$", t, re.M))
     + len(re.findall(r"^\s*-.*$", t, re.M)) == 2),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2},
     lambda t: sum(1 for stars in (1, 2)
                   for h in re.findall(r"\*{%d}[^\n\*]*\*{%d}" % (stars, stars), t)
                   if h.strip("*").strip()) >= 2),
    ("detectable_format:title", {},
     lambda t: any(h.lstrip("<").rstrip(">").strip() for h in re.findall(r"<<[^\n]+>>", t))),
    ("detectable_format:multiple_sections", {"section_spliter": "Day", "num_sections": 2},
     lambda t: len(re.split(r"\s?Day\s?\d+\s?", t)) > 2),
    ("detectable_content:postscript", {"postscript_marker": "P.S."},
     lambda t: re.search(r"\s*p\.\s?s\..*$", t.lower(), re.M) is not None),
    ("multi-turn:constrained_start", {"starter": "Day"},
     lambda t: re.search(r"^\s*Day.*$", t, re.M) is not None),
]
LETTER_PATTERNS = [  # with letters of which case is not plain
    ("keywords:forbidden_words", {"forbidden_words": ["day", "é", "is", "Σ"]},
     lambda t: not any(re.search(rf"\b{w}\b", t, re.I) for w in ("day", "é", "is", "Σ"))),
    ("keywords:existence", {"keywords": ["i", "ΑΣ"]},
     lambda t: all(re.search(w, t, re.I) for w in ("i", "ΑΣ"))),
    ("keywords:frequency", {"keyword": "ſ", "frequency": 2, "relation": "at least"},
     lambda t: len(re.findall("ſ", t, re.I)) >= 2),
    ("keywords:word_once", {"keyword": "is"}, lambda t: len(re.findall("is", t, re.I)) == 1),
    ("count:count_increment_word", {"keyword1": "İ", "keyword2": "ς"},
     lambda t: len(re.findall("İ", t, re.I)) == 1 and len(re.findall("ς", t, re.I)) == 2),
    ("count:words_japanese", {"N": 2},
     lambda t: all(not w or w.isdigit() or re.search("[\u3040-\u30ff\u4e00-\u9fff]", w)
                   for w in (x.strip(string.punctuation) for x in t.split()[1::2]))),
]
MARKS = ["*", "**", "***", "-", " ", "\n", "\n\n", "[", "]", "<<", ">>", "Day", "Day 1", "3",
         "p.s.", "P. S.", "x", "é", "\u3000", "\t", "_"]
LETTERS = MARKS + 2 * ["İs", "ıſ", "Σ", "ας", "²", "中"]


@pytest.mark.parametrize("name,kwargs,follows,marks",
                         [(*p, MARKS) for p in PATTERNS] + [(*p, LETTERS) for p in LETTER_PATTERNS],
                         ids=[p[0] for p in PATTERNS + LETTER_PATTERNS])
def test_scanners_are_the_patterns_that_they_stand_for(ask, name, kwargs, follows, marks):
    rng = random.Random(name)
    texts = ["".join(rng.choices(marks, k=rng.randint(1, 12))) for _ in range(3000)]
    answers = ask([{"instruction_id_list": [name], "kwargs": [kwargs], "response": t}
                   for t in texts])
    n_followed = 0
    for text, answer in zip(texts, answers):
        strict = bool(text.strip()) and follows(text)
        loose = any(v.strip() and follows(v) for v in loose_variants(text))
        assert (answer["strict"], answer["loose"]) == ([strict], [loose]), text
        n_followed += strict
    assert 0 < n_followed < len(texts)
