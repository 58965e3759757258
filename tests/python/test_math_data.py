"""The grader of mathematical answers on the public data sets and other graders' cases.

The data lie in ../shared beside the checkout; without them these tests are skipped. Where we
disagree, tests/verifiers/math/exceptions.json has our verdict and the reason, and the tests fail as
well when a listed one agrees. The C programs tests/tools/math_equal.c and math_grade.c decide.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = CHECKOUT.parent / "shared/data"
BUILD = Path(os.environ.get("STAMPEDE_BIN", CHECKOUT / "build/stampede")).parent
EXCEPTIONS = json.loads((CHECKOUT / "tests/verifiers/math/exceptions.json").read_text("utf-8"))
EQUAL = ("equal", "equal_num")


def rows(name):
    if not (DATA / name).exists():
        pytest.skip(f"../shared/data/{name} is not beside the checkout")
    with open(DATA / name, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def ask(tool, requests):
    program = BUILD / "tests/tools" / tool
    if "STAMPEDE_BIN" not in os.environ:
        subprocess.run(["make", "-s", str(program.relative_to(CHECKOUT))], cwd=CHECKOUT, check=True)
    text = "".join(json.dumps(r) + "\n" for r in requests).encode()
    done = subprocess.run([program], input=text, capture_output=True, check=True)
    answers = [json.loads(line) for line in done.stdout.split(b"\n") if line]
    assert len(answers) == len(requests)
    return answers


def compare(pairs):
    return [a["verdict"] for a in ask("math_equal", [{"gold": g, "answer": p, "long_decimals": True}
                                                     for g, p in pairs])]


def grade(golds, texts, **options):
    return ask("math_grade", [{"gold": g, "text": t, **options} for g, t in zip(golds, texts)])


def assert_all_equal(golds, texts):
    wrong = [(g, a) for g, a in zip(golds, grade(golds, texts)) if a["verdict"] not in EQUAL]
    assert not wrong, wrong[:10]


def math_test():
    return [r for r in rows("math_test5000.jsonl") if not r.get("several_boxes")]


def test_grader_matrix():
    cases = rows("grader_matrix.jsonl")
    verdicts = compare((r["gold"], r["pred"]) for r in cases)
    wrong = [(r["case"], r["gold"], r["pred"], v) for r, v in zip(cases, verdicts)
             if (v in EQUAL) != r["expected"]]
    assert len(cases) == 85 and not wrong, wrong


def test_extra_cases():
    cases = [r for r in rows("math_extra_cases.jsonl") if r["pred"] is not None]
    verdicts = compare((r["gold"], r["pred"]) for r in cases)
    wrong = [{"gold": r["gold"], "pred": r["pred"], "expected": r["expected"], "verdict": v}
             for r, v in zip(cases, verdicts) if (v in EQUAL) != r["expected"]]
    listed = [{k: e[k] for k in ("gold", "pred", "expected", "verdict")}
              for e in EXCEPTIONS["math_extra_cases"]]
    assert len(cases) == 115
    assert sorted(wrong, key=str) == sorted(listed, key=str)


def test_no_answer_is_no_answer():
    blank = [r for r in rows("math_extra_cases.jsonl") if r["pred"] is None]
    assert len(blank) == 1 and not blank[0]["expected"]
    assert grade([blank[0]["gold"]], [""])[0]["verdict"] == "no_answer"


def test_parse_cases():
    cases = rows("latex2sympy_parse_cases.jsonl")
    answers = ask("math_equal", [{"parse": r["latex"]} for r in cases])
    wrong = [(r["latex"], r["ok"], a) for r, a in zip(cases, answers)
             if (a["read"] == 0) != r["ok"]]
    assert sum(r["ok"] for r in cases) == 741 and len(cases) == 778
    assert not wrong, wrong[:10]


@pytest.mark.parametrize("name, n", [("math500.jsonl", 500), ("math_test5000.jsonl", 4988)])
def test_golds_equal_their_solutions(name, n):
    problems = math_test() if name.startswith("math_test") else rows(name)
    assert len(problems) == n
    assert_all_equal([r["answer"] for r in problems], [r["solution"] for r in problems])


def test_several_boxes():
    problems = [r for r in rows("math_test5000.jsonl") if r.get("several_boxes")]
    assert len(problems) == 12
    answers = [r["answer"] if isinstance(r["answer"], str) else r["answer"][0] for r in problems]
    assert_all_equal([r["answer"] for r in problems], [f"\\boxed{{{a}}}" for a in answers])


@pytest.mark.parametrize("wrap", ["\\boxed{%s}", "The answer is $%s$.", "**Answer:** \\(%s\\)",
                                  "So we get $%s$.", "Therefore\n\\[\n%s\n\\]",
                                  "<answer>%s</answer>", "#### $%s$"])
def test_golds_in_other_words(wrap):
    golds = [r["answer"] for r in math_test()]
    assert_all_equal(golds, [wrap % g for g in golds])


def test_solutions_as_golds():
    problems = math_test()
    assert_all_equal([r["solution"] for r in problems],
                     [f"\\boxed{{{r['answer']}}}" for r in problems])


def test_math500_golds_differ_from_one_another():
    golds = sorted({r["answer"] for r in rows("math500.jsonl")})
    allowed = {pair for group in EXCEPTIONS["math500_equal_golds"]
               for pair in itertools.permutations(group, 2)}
    pairs = list(itertools.permutations(golds, 2))
    equal = {pair for pair, v in zip(pairs, compare(pairs)) if v in EQUAL}
    assert len(pairs) == 90300
    assert equal <= allowed, sorted(equal - allowed)
    # A listed group is equal in one direction at least.
    assert all(p in equal or p[::-1] in equal for g in EXCEPTIONS["math500_equal_golds"]
               for p in zip(g, g[1:]))


def test_gsm8k_labels():
    completions = rows("gsm8k_completions_dev.jsonl")
    answers = grade([r["gold"] for r in completions], [r["completion"] for r in completions],
                    long_decimals=True)
    wrong = [(r["id"], r["model"], a) for r, a in zip(completions, answers)
             if (a["verdict"] in EQUAL) != r["is_correct"]]
    assert len(completions) == 2632 and not wrong, wrong[:10]


def test_gsm8k_golds_as_they_are_published():
    problems = rows("gsm8k_test.jsonl")
    assert_all_equal([r["answer"] for r in problems], [r["answer"] for r in problems])
