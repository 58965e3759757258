"""GSM8K through any LFM2 checkpoint: accuracy and tokens per second of a Stampede worker.

    python examples/gsm8k.py --model LFM2-1.2B --limit 200

Starts a worker, asks it the test questions as chat messages, has its `math` verifier grade the
answers, and prints the share that is right with its 95% interval. The data is one JSON object a
line with `question` and `answer`, the answer ending in "#### 18", as published.

Exit status: 0 done, 2 the data or the model is not there, or the worker died.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import report  # noqa: E402
from workers import NoWorkerLeft, Workers  # noqa: E402

CHECKOUT = Path(__file__).resolve().parents[1]
DATA = CHECKOUT.parent / "shared/data/gsm8k_test.jsonl"
INSTRUCTION = "Reason step by step and put the final answer, a number, in \\boxed{}."


def read_problems(path: Path, limit: int | None = None) -> list[tuple[str, str]]:
    """(question, gold) of each line; the gold is what follows the last "####", without commas."""
    out = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            record = json.loads(line)
            _, mark, gold = record["answer"].rpartition("####")
            if not mark:
                raise ValueError(f"{path}, line {number}: the answer has no ####")
            out.append((record["question"], gold.strip().replace(",", "")))
            if limit is not None and len(out) == limit:
                break
    return out


def accuracy(rewards: Sequence[Sequence[float]]) -> tuple[float, tuple[float, float], int]:
    """Mean over problems, its 95% interval, and the number of samples that have no reward.

    rewards: a list of samples' rewards for each problem. NaN is left out; so is a problem that has
    nothing else. Several samples of a problem are not independent, so the interval is of the
    problems' means; with one sample a problem it is Wilson's.
    """
    kept = [[r for r in own if not math.isnan(r)] for own in rewards]
    masked = sum(map(len, rewards)) - sum(map(len, kept))
    means = [sum(own) / len(own) for own in kept if own]
    if not means:
        return (math.nan, (0.0, 1.0), masked)
    mean = sum(means) / len(means)
    if all(len(own) <= 1 for own in kept):
        return (mean, report.wilson_interval(round(sum(means)), len(means)), masked)
    return (mean, report.mean_interval(means), masked)


def run(options: argparse.Namespace) -> int:
    """Asks, grades and prints; returns the exit status."""
    import stampede

    if not options.data.is_file():
        print(
            f"{options.data} is not there: give GSM8K's test file (JSON lines with `question` and "
            "`answer`, 1,319 of them) as --data",
            file=sys.stderr,
        )
        return 2
    asked = read_problems(options.data, options.limit)
    sampling = stampede.Sampling(
        temperature=options.temperature,
        min_p=options.min_p,
        repetition_penalty=options.repetition_penalty,
        max_new_tokens=options.max_new_tokens,
    )
    prompts = [
        stampede.Prompt(
            messages=[{"role": "user", "content": f"{question}\n\n{INSTRUCTION}"}],
            reward=[stampede.math(gold)],
        )
        for question, gold in asked
    ]
    flags = {"device": options.device, "max_rows": options.max_rows}
    if options.threads:
        flags["threads"] = options.threads
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=1) as trainer:
        workers = Workers(
            1, model=options.model, connect=trainer.url, log_level="warn", **flags
        )
        try:
            with workers:
                ask(trainer, prompts, sampling, options)
        except NoWorkerLeft:
            print("FAILED: the worker died", file=sys.stderr)
            return 2
    return 0


def ask(trainer, prompts: list, sampling, options: argparse.Namespace) -> None:
    """Generates, shows how far it is, and prints the results."""
    rewards: list[list[float]] = []
    statuses: Counter[str] = Counter()
    finished: Counter[str] = Counter()
    n_tokens = 0
    started = time.monotonic()
    for group in trainer.generate(prompts, n=options.n, sampling=sampling, seed=options.seed):
        rewards.append([float(group.rewards[i]) for i in range(group.n)])
        statuses.update(group.status[i] for i in range(group.n))
        finished.update(group.finish_reason[i] for i in range(group.n))
        n_tokens += sum(len(group.tokens[i]) for i in range(group.n))
        if len(rewards) % options.show_every == 0:
            share, (low, high), _ = accuracy(rewards)
            rate = n_tokens / (time.monotonic() - started)
            print(
                f"{len(rewards):5} of {len(prompts)}: {share:.1%} ({low:.1%} to {high:.1%}), "
                f"{rate:,.0f} tok/s",
                flush=True,
            )
    seconds = time.monotonic() - started
    share, (low, high), masked = accuracy(rewards)
    print(f"{len(rewards)} problems, {options.n} samples each, {seconds:.0f} s")
    print(f"accuracy {share:.2%}, 95% interval {low:.2%} to {high:.2%}, {masked} without a reward")
    print(f"finished {dict(finished)}, graded {dict(statuses)}")
    print(f"{n_tokens:,} tokens, {n_tokens / seconds:,.0f} tokens per second")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line. The sampling defaults are Liquid AI's advice for LFM2."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, help="checkpoint folder or GGUF file")
    add("--data", type=Path, default=DATA, help="GSM8K test file (%(default)s)")
    add("--limit", type=int, help="only the first so many problems (all)")
    add("--n", type=int, default=1, help="samples a problem (%(default)s)")
    add("--max-new-tokens", type=int, default=512, help="tokens a sample (%(default)s)")
    add("--temperature", type=float, default=0.3, help="0 is greedy (%(default)s)")
    add("--min-p", type=float, default=0.15, help="of sampling (%(default)s)")
    add("--repetition-penalty", type=float, default=1.05, help="of sampling (%(default)s)")
    add("--seed", type=int, default=0, help="of the draws (%(default)s)")
    add("--device", default="cpu", help="cpu, cuda or cuda:i (%(default)s)")
    add("--threads", type=int, help="threads of the worker (its own choice)")
    add("--max-rows", type=int, default=64, help="rows at once (%(default)s)")
    add("--show-every", type=int, default=50, help="problems between lines (%(default)s)")
    return parser.parse_args(arguments)


def main() -> int:
    """The exit status; what the package refuses is one sentence."""
    import stampede

    try:
        return run(parse())
    except stampede.StampedeError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
