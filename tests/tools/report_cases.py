#!/usr/bin/env python3
"""Grades ../shared/data/report_cases.jsonl with `stampede score` and prints a table by kind.

Usage: report_cases.py STAMPEDE [CASES] [--kind WORD] [--list] [--save FILE]. verify_report.py
prints the same table. --list prints each case that is not as it should be (of the kinds that hold
WORD), wrong accepts first; --save keeps what each case got, to compare two builds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

TERM_KEYS = ("gold", "options", "data", "instruction_id_list", "kwargs", "mode")
COLUMNS = ("cases", "right", "wrong accepts", "wrong refusals", "unknown", "other")


def score(stampede, rows, flags):
    """The output rows of `stampede score` on `rows` (bytes), and its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
        source.write_bytes(rows)
        done = subprocess.run([stampede, "score", source, "--output", target, "--summary", "off",
                               "-j", "1", *flags], capture_output=True, check=False)
        lines = target.read_text("utf-8").splitlines() if target.exists() else []
    return [json.loads(line) for line in lines], done.returncode


def completion(case):
    term = {"verifier": case["verifier"]} | {k: case[k] for k in TERM_KEYS if k in case}
    return json.dumps({"completion": case["text"], "reward": [term]}).encode() + b"\n"


def verdict_of_file(stampede, case):
    rows, status = score(stampede, case["file"].encode(), case["flags"])
    values = [row.get("reward") and row["reward"]["value"] for row in rows]
    got = ["refused" if not any(v is not None for v in values) and status else values]
    if case.get("or_one_sentence") and len(rows) <= 1 and got == ["refused"]:
        return "right", got[0]
    if got[0] == case["value"]:
        return "right", got[0]
    wanted = case["value"] if isinstance(case["value"], list) else [None] * len(values)
    accepted = any(v and not w for v, w in zip(values, wanted))
    return "wrong accepts" if accepted else "wrong refusals", got[0]


def verdict_of_row(case, row):
    reward = row.get("reward") or {"status": "bad_spec", "value": None}
    got = reward["status"] if reward["status"] != "ok" else reward["value"]
    if isinstance(case["value"], str):
        return "right" if got == case["value"] else "other", got
    if (reward["value"] or 0) == case["value"] and reward["value"] is not None:
        return "right", got
    if case["value"] == 0:
        return "wrong accepts" if reward["value"] else "other", got
    return "unknown" if got == "unknown" else "wrong refusals", got


def grade(stampede, cases):
    """A list of (column, what was got), one for each case."""
    texts = [c for c in cases if "file" not in c]
    rows, _ = score(stampede, b"".join(map(completion, texts)), [])
    rows = iter(rows)
    return [verdict_of_file(stampede, c) if "file" in c else verdict_of_row(c, next(rows))
            for c in cases]


def table_rows(cases, verdicts):
    kinds = {}
    for case, (column, _) in zip(cases, verdicts):
        for kind in (case["kind"], "all"):
            kinds.setdefault(kind, Counter()).update((column, "cases"))
    order = sorted(kinds, key=lambda k: (k == "all", -kinds[k]["wrong accepts"],
                                         kinds[k]["right"] - kinds[k]["cases"], k))
    return [[kind] + [kinds[kind][c] or "" for c in COLUMNS] for kind in order]


def main():
    arguments = sys.argv[1:]
    options = {}
    for name in ("--kind", "--save"):
        if name in arguments:
            at = arguments.index(name)
            options[name] = arguments[at + 1]
            del arguments[at:at + 2]
    listed = "--list" in arguments
    plain = [a for a in arguments if a != "--list"]
    checkout = Path(__file__).resolve().parents[2]
    path = Path(plain[1]) if len(plain) > 1 else (
        checkout.parent / "shared/data/report_cases.jsonl")
    with open(path, encoding="utf-8") as file:
        cases = [json.loads(line) for line in file]
    cases = [c for c in cases if options.get("--kind", "") in c.get("kind", "")]
    verdicts = grade(plain[0], cases)
    if "--save" in options:
        Path(options["--save"]).write_text(
            "".join(json.dumps(v) + "\n" for v in verdicts), "utf-8")
    for row in [("kind", *COLUMNS), *table_rows(cases, verdicts)]:
        print("".join(f"{str(x):>15}" if i else f"{x:24}" for i, x in enumerate(row)))
    ranked = sorted(zip(cases, verdicts), key=lambda pair: pair[1][0] != "wrong accepts")
    for case, (column, got) in ranked:
        if listed and column != "right":
            gold = {k: case[k] for k in TERM_KEYS if k in case}
            print(f"{column}: [{case['kind']}] {json.dumps(gold, ensure_ascii=False)} "
                  f"{json.dumps(case.get('text', case.get('file')), ensure_ascii=False)[:300]} "
                  f"wants {case['value']}, got {got}")


if __name__ == "__main__":
    main()
