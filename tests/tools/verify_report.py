#!/usr/bin/env python3
"""Prints how the verifiers do on the public test data, as Markdown tables (make verify-report).

Usage: verify_report.py BUILD [DATA]. BUILD has stampede and tests/tools/{math_equal,math_grade,
constraints}; DATA is ../shared/data beside the checkout by default. What is not there is left out,
with a line. Every disagreement is listed with its reason; one without a reason makes the exit
status 1.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import report_cases

CHECKOUT = Path(__file__).resolve().parents[2]
EQUAL = ("equal", "equal_num")
GRADERS = ("math_verify", "nemo", "prm800k", "prime", "slime", "dapo", "hendrycks")
MATH_EXCEPTIONS = json.loads(
    (CHECKOUT / "tests/verifiers/math/exceptions.json").read_text("utf-8"))
CONSTRAINT_EXCEPTIONS = CHECKOUT / "tests/verifiers/constraints/exceptions.json"


class Report:
    def __init__(self, build, data):
        self.stampede, self.tools, self.data = build / "stampede", build / "tests/tools", data
        self.unexplained = 0

    def rows(self, name):
        path = self.data / name
        if not path.exists():
            print(f"\n{name} is not there: left out.")
            return []
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def ask(self, tool, requests):
        text = "".join(json.dumps(r) + "\n" for r in requests).encode()
        done = subprocess.run([self.tools / tool], input=text, capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.split(b"\n") if line]

    def disagree(self, what, why):
        self.unexplained += not why
        print(f"* {what}: {why or '**not explained**'}")


def table(head, body):
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in body:
        print("| " + " | ".join(str(x) for x in row) + " |")


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, len(values) * p // 100)]


def matrix(report):
    cases = report.rows("grader_matrix.jsonl")
    if not cases:
        return
    ours = report.ask("math_equal", [{"gold": r["gold"], "answer": r["pred"], "long_decimals": True}
                                     for r in cases])
    print("\n## 85 pairs, seven public graders (grader_matrix.jsonl)")
    right = [("stampede", sum((a["verdict"] in EQUAL) == r["expected"]
                              for r, a in zip(cases, ours)))]
    right += [(g, sum(r[g] == r["expected"] for r in cases)) for g in GRADERS]
    table(["grader", f"right of {len(cases)}"], right)
    for row, answer in zip(cases, ours):
        if (answer["verdict"] in EQUAL) != row["expected"]:
            report.disagree(f"`{row['gold']}`, `{row['pred']}`: {answer['verdict']}", "")


def extra(report):
    cases = [r for r in report.rows("math_extra_cases.jsonl") if r["pred"] is not None]
    if not cases:
        return
    ours = report.ask("math_equal", [{"gold": r["gold"], "answer": r["pred"], "long_decimals": True}
                                     for r in cases])
    why = {(e["gold"], e["pred"]): e["why"] for e in MATH_EXCEPTIONS["math_extra_cases"]}
    wrong = [(r, a) for r, a in zip(cases, ours) if (a["verdict"] in EQUAL) != r["expected"]]
    print("\n## Other graders' cases (math_extra_cases.jsonl)")
    theirs = sum(r["math_verify_0_8_0"] == r["expected"] for r in cases)
    table(["grader", f"as the source says, of {len(cases)}"],
          [("stampede", len(cases) - len(wrong)), ("math_verify", theirs)])
    print()
    for row, answer in wrong:
        report.disagree(f"gold `{row['gold']}`, answer `{row['pred']}`: {answer['verdict']}",
                        why.get((row["gold"], row["pred"])))


def parsing(report):
    cases = report.rows("latex2sympy_parse_cases.jsonl")
    if not cases:
        return
    ours = report.ask("math_equal", [{"parse": r["latex"]} for r in cases])
    read = [a["read"] == 0 for a in ours]
    print("\n## LaTeX that must parse, and must not (latex2sympy_parse_cases.jsonl)")
    table(["", "cases", "as expected"],
          [(name, sum(r["ok"] == ok for r in cases),
            sum(r["ok"] == ok == got for r, got in zip(cases, read)))
           for name, ok in (("parsed", True), ("refused", False))])
    for row, got in zip(cases, read):
        if got != row["ok"]:
            report.disagree(f"`{row['latex']}`", "")


def graded(report, golds, texts, labels, **options):
    answers = report.ask("math_grade", [{"gold": g, "text": t, "runs": 5, **options}
                                        for g, t in zip(golds, texts)])
    agreed = [(a["verdict"] in EQUAL) == label for a, label in zip(answers, labels)]
    for gold, answer, ok in zip(golds, answers, agreed):
        if not ok:
            report.disagree(f"gold `{gold}`, `{answer.get('span')}`: {answer['verdict']}", "")
    us = [a["us"] for a in answers]
    return [len(golds), sum(agreed), percentile(us, 50), percentile(us, 99), max(us)]


def completions(report):
    math500 = report.rows("math500.jsonl")
    test = [r for r in report.rows("math_test5000.jsonl") if not r.get("several_boxes")]
    gsm8k = report.rows("gsm8k_completions_dev.jsonl")
    body = []
    for name, data in (("MATH-500: gold against its solution", math500),
                       ("MATH test, but for 12 rows with several boxes", test)):
        if data:
            body.append([name] + graded(report, [r["answer"] for r in data],
                                        [r["solution"] for r in data], [True] * len(data)))
    if gsm8k:
        body.append(["GSM8K: completions against their labels"] +
                    graded(report, [r["gold"] for r in gsm8k], [r["completion"] for r in gsm8k],
                           [r["is_correct"] for r in gsm8k], long_decimals=True))
    print("\n## Whole texts")
    table(["", "texts", "agreed", "median us", "p99 us", "max us"], body)
    if not math500:
        return
    golds = sorted({r["answer"] for r in math500})
    pairs = list(itertools.permutations(golds, 2))
    verdicts = report.ask("math_equal", [{"gold": g, "answer": a} for g, a in pairs])
    listed = {pair for group in MATH_EXCEPTIONS["math500_equal_golds"]
              for pair in itertools.permutations(group, 2)}
    equal = [p for p, v in zip(pairs, verdicts) if v["verdict"] in EQUAL]
    print(f"\nMATH-500's {len(golds)} different golds against one another: {len(pairs)} pairs, "
          f"{len(equal)} equal, all but {len([p for p in equal if p not in listed])} of them "
          "listed as truly equal.")
    for pair in equal:
        if pair not in listed:
            report.disagree(f"`{pair[0]}`, `{pair[1]}`", "")


def ifeval(report):
    folder = report.data / "ifeval_responses"
    if not folder.exists():
        print("\nifeval_responses is not there: left out.")
        return
    listed = json.loads(CONSTRAINT_EXCEPTIONS.read_text("utf-8"))
    skipped = {(e["key"], e["instruction_id"]) for e in listed["random"]}
    why = {(e["mode"], e["model"], e["key"], e["instruction_id"]): e["reason"]
           for e in listed["language"]}
    body, wrong = [], []
    for path in sorted(folder.glob("*.jsonl")):
        data = report.rows(f"ifeval_responses/{path.name}")
        answers = report.ask("constraints", [
            {k: r[k] for k in ("instruction_id_list", "kwargs", "response")} for r in data])
        row, us = [path.stem], [a["us"] for a in answers]
        for mode in ("strict", "loose"):
            got = [((mode, path.stem, r["key"], i), want == have) for r, a in zip(data, answers)
                   for i, want, have in zip(r["instruction_id_list"], r[mode], a[mode])
                   if (r["key"], i) not in skipped]
            row += [len(got), sum(ok for _, ok in got)]
            wrong += [place for place, ok in got if not ok]
        body.append(row + [percentile(us, 50), percentile(us, 99)])
    print("\n## IFEval: stored verdicts of the official code (ifeval_responses)")
    table(["model", "strict", "agreed", "loose", "agreed", "median us", "p99 us"], body)
    print(f"\nLeft out: {sorted(skipped)}, where the original draws a random letter.\n")
    for place in wrong:
        report.disagree(", ".join(str(x) for x in place), why.get(place))


def reports(report):
    cases = report.rows("report_cases.jsonl")
    if not cases:
        return
    why = {(e["gold"], e["text"]): e["why"] for e in MATH_EXCEPTIONS["report_cases"]}
    verdicts = report_cases.grade(report.stampede, cases)
    print("\n## Cases after public reports (report_cases.jsonl)")
    table(["kind", *report_cases.COLUMNS], report_cases.table_rows(cases, verdicts))
    print()
    for case, (column, got) in zip(cases, verdicts):
        if column != "right":
            text = case.get("text", case.get("file"))
            report.disagree(f"{case['kind']}, gold `{case.get('gold')}`, "
                            f"{json.dumps(text, ensure_ascii=False)}: {got}",
                            why.get((case.get("gold"), text)))


def main():
    build = Path(sys.argv[1])
    data = Path(sys.argv[2]) if len(sys.argv) > 2 else CHECKOUT.parent / "shared/data"
    report = Report(build, data)
    print("# Verifiers against the public data")
    for part in (matrix, extra, parsing, completions, reports, ifeval):
        part(report)
    return 1 if report.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
