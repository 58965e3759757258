"""Times our graders beside the public ones, on the same texts in the same run (make verify-bench).

Prints a table in Markdown, then how far the verdicts agree, then the speed of `stampede score`.
Ours is one thread of verify_bench.c, each check the median of five passes; the peers run in
.venv-peers (make peers), one after another, each check once. All times are processor time. It is
one core's speed by itself: what else runs on the machine still costs caches and clock.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = CHECKOUT.parent / "shared/data"
STAMPEDE = Path(os.environ.get("STAMPEDE_BIN", CHECKOUT / "build/stampede"))
PEERS = CHECKOUT / ".venv-peers/bin/python"
MODELS = ("gpt-4o-2024-08-06", "Qwen__Qwen2.5-3B-Instruct-GPTQ-Int4")
SCORE_BYTES = 50_000_000
COPIED = ("key", "prompt", "instruction_id_list", "kwargs")
# What is timed: its set, the member of the rows, its name in the table, and the peers that have it.
TIMED = [("MATH-500", "once_us", "MATH-500, gold parsed before", ["math-verify"]),
         ("MATH-500", "each_us", "MATH-500, gold parsed too", ["math-verify"]),
         ("GSM8K", "once_us", "GSM8K, gold parsed before", ["math-verify"]),
         ("GSM8K", "each_us", "GSM8K, gold parsed too", ["math-verify"]),
         ("IFEval", "once_us", "IFEval, strict", ["lm-eval"]),
         ("IFEval", "each_us", "IFEval, strict and loose", ["lm-eval", "if-verifiable"]),
         ("IFBench", "each_us", "IFBench, strict and loose", ["if-verifiable"])]


def rows(name):
    with open(DATA / name, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def math_requests():
    """The problems of MATH-500 with their own solutions, and GSM8K completions of four models."""
    return ([{"set": "MATH-500", "gold": r["answer"], "completion": r["solution"], "right": True}
             for r in rows("math500.jsonl")]
            + [{"set": "GSM8K", "gold": r["gold"], "completion": r["completion"],
                "right": r["is_correct"]} for r in rows("gsm8k_completions_dev.jsonl")])


def ifeval_requests():
    """Every prompt of IFEval with the stored responses of two models."""
    return [{"set": "IFEval", "benchmark": "ifeval", "model": model, "response": r["response"],
             **{key: r[key] for key in COPIED}}
            for model in MODELS for r in rows(f"ifeval_responses/{model}.jsonl")]


def ifbench_requests():
    """The instructions of IFBench on the same texts, which were written for other prompts."""
    prompts = rows("ifbench_test.jsonl")
    return [{"set": "IFBench", "benchmark": "ifbench", "model": model, "response": r["response"],
             **{key: prompt[key] for key in COPIED}}
            for model in MODELS
            for prompt, r in zip(prompts, rows(f"ifeval_responses/{model}.jsonl"))]


def ask(command, requests):
    text = "".join(json.dumps(r) + "\n" for r in requests).encode()
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(requests), "an answer a request was expected"
    return answers


def ask_ours(requests):
    return ask([str(STAMPEDE.parent / "tests/tools/verify_bench"), "--rows"], requests)


def ask_peer(peer, requests):
    return ask([str(PEERS), str(CHECKOUT / "tests/tools/peers.py"), peer], requests)


def columns(answers, member):
    times = sorted(a[member] for a in answers if member in a)
    if not times:
        return None, ["-"] * 4
    picked = (times[len(times) // 2], sum(times) / len(times), times[len(times) * 99 // 100],
              times[-1])
    return picked, [f"{us:,.1f}" if us < 100 else f"{us:,.0f}" for us in picked]


def print_table(requests, ours, peers):
    print("| check | texts | ours: median µs | mean | p99 | max | peer | median µs | mean | p99 "
          "| max | faster by: median | mean |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name, member, title, rivals in TIMED:
        chosen = [i for i, r in enumerate(requests) if r["set"] == name]
        us, mine = columns([ours[i] for i in chosen], member)
        for peer in rivals:
            theirs = peers.get(peer)
            answers = [theirs[i] for i in chosen if theirs[i]] if theirs else []
            other, cells = columns(answers, member)
            ratios = [f"{b / a:,.0f}" for a, b in zip(us[:2], other[:2])] if other else ["-"] * 2
            print("| " + " | ".join([title, str(len(chosen)), *mine, peer, *cells, *ratios])
                  + " |")


def is_equal(answer):
    return answer.get("verdict") in ("equal", "equal_num")


def print_agreement(requests, ours, peers):
    for name in ("MATH-500", "GSM8K"):
        chosen = [i for i, r in enumerate(requests) if r["set"] == name]
        counts = [f"{who} {sum(is_equal(a[i]) == requests[i]['right'] for i in chosen)}"
                  for who, a in [("ours", ours), *peers.items()] if a[chosen[0]]]
        print(f"{name}: right verdicts of {len(chosen)}: {', '.join(counts)}.")
        for i in chosen:
            if is_equal(ours[i]) != requests[i]["right"]:
                verdict = ours[i].get("verdict") or ours[i]["error"]
                print(f"  ours is wrong: gold {requests[i]['gold']}: {verdict}")
    for peer, answers in peers.items():
        for name in ("IFEval", "IFBench"):
            chosen = [i for i, r in enumerate(requests) if r["set"] == name and answers[i]]
            if not chosen or peer == "math-verify":
                continue
            graded = [i for i in chosen if "strict" in answers[i] and "strict" in ours[i]]
            pairs = [(a, b) for i in graded for mode in ("strict", "loose")
                     for a, b in zip(ours[i][mode], answers[i][mode], strict=True)]
            failed = len(chosen) - len(graded)
            print(f"{name}: {sum(a == b for a, b in pairs)} of {len(pairs)} strict and loose "
                  f"verdicts are those of {peer}"
                  + (f"; it raised an error on {failed} of {len(chosen)} texts." if failed else
                     "."))


def run_score(folder):
    """One run with one worker: seconds on the clock and of both processes; None if it failed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([str(STAMPEDE), "score", str(Path(folder) / "completions.jsonl"),
                           "--output", str(Path(folder) / "rows.jsonl"), "--verifier", "math",
                           "-j", "1", "--summary", "off", "--progress", "never"],
                          check=False, capture_output=True)
    wall_s, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    for written in Path(folder).glob("rows.jsonl*"):
        written.unlink()
    if done.returncode != 0:
        print(f"stampede score ended with status {done.returncode}: "
              f"{done.stderr.decode(errors='replace').strip()}")
        return None
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def time_score():
    """`stampede score` on GSM8K completions over and over: the median of three runs."""
    text = (DATA / "gsm8k_completions_dev.jsonl").read_bytes()
    text = text if text.endswith(b"\n") else text + b"\n"
    text *= -(-SCORE_BYTES // len(text))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "completions.jsonl").write_bytes(text)
        runs = [run_score(folder) for _ in range(3)]
    if None in runs:
        return
    wall_s, cpu_s = (sorted(times)[1] for times in zip(*runs))
    megabytes, n = len(text) / 1e6, text.count(b"\n")
    print(f"stampede score -j 1: {megabytes:.1f} MB, {n} completions: {wall_s:.2f} s, "
          f"{megabytes / wall_s:.0f} MB/s; processor time of both processes {cpu_s:.2f} s, "
          f"{megabytes / cpu_s:.0f} MB/s and {n / cpu_s:,.0f} completions/s per core.")


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(x.split(":")[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "an unknown processor"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--score-only", action="store_true", help="stampede score alone")
    options = parser.parse_args()
    if not (DATA / "math500.jsonl").exists():
        print("The data sets are missing: ../shared/data was expected beside the checkout.")
        return 1
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    if not options.score_only:
        requests = math_requests() + ifeval_requests() + ifbench_requests()
        ours, peers = ask_ours(requests), {}
        served = {"math-verify": ("MATH-500", "GSM8K"), "lm-eval": ("IFEval",),
                  "if-verifiable": ("IFEval", "IFBench")}
        if not PEERS.exists():
            print("Without peers, which `make peers` installs into .venv-peers.\n")
            served = {}
        for peer, sets in served.items():
            chosen = [i for i, r in enumerate(requests) if r["set"] in sets]
            answers = [None] * len(requests)
            for i, answer in zip(chosen, ask_peer(peer, [requests[i] for i in chosen])):
                answers[i] = answer
            peers[peer] = answers
        print_table(requests, ours, peers)
        print()
        print_agreement(requests, ours, peers)
    time_score()
    return 0


if __name__ == "__main__":
    sys.exit(main())
