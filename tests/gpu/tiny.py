"""The tiny checkpoint on the device: against the CPU backend, and itself in other company."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

if TYPE_CHECKING:
    from parts import Result, Run

Line = Dict[str, Any]
KEYS = ("tokens", "lp_full", "lp_behav", "prompt_lp_full", "routed_experts", "finish_reason")
# Operands of products are rounded to bf16 on the device and not on the CPU, 2^-9 of each at most.
# The prompts are random ids, so some log-probabilities are those of ids that nothing speaks for:
# what is allowed grows with their size.
LP_ABSOLUTE, LP_RELATIVE, LP_MEAN = 0.05, 0.01, 0.01
# Two experts whose scores are closer than that rounding may change places; what such a sample says
# from there on is another network's, so it is told and not held to the tolerance.
ROUTES_SHARE = 0.98


def prompt_lines(n_new: int = 32) -> List[Line]:
    """Groups with all kinds of lengths and settings; ids and seeds fix their draws."""
    rng, out = random.Random(5), []
    for i, length in enumerate([1, 2, 15, 16, 17, 33, 40, 70, 129, 200]):
        sampling: Line = {"max_new_tokens": n_new, "ignore_eos": True, "seed": i,
                          "temperature": [1.0, 0.7, 0.0][i % 3]}
        if i % 4 == 1:
            sampling.update(top_k=20, top_p=0.9, repetition_penalty=1.2)
        out.append({"id": f"g{i}", "prompt_ids": [rng.randrange(5, 475) for _ in range(length)],
                    "n": 3, "sampling": sampling})
    return out


def generate(run: "Run", lines: List[Line], device: str, *flags: Any) -> Tuple[List[Line], str]:
    """Rows of `stampede generate` in the order of group and sample, and its log."""
    with tempfile.TemporaryDirectory() as folder:
        prompts, output = Path(folder) / "prompts.jsonl", Path(folder) / "output.jsonl"
        prompts.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        status, log = run.call(
            run.program("stampede"), "generate", "--model", run.home / "checkpoint", "--device",
            device, "--prompts", prompts, "--output", output, "--progress", "never",
            "--prompt-logprobs", "--routed-experts", "--log-level", "debug", *flags,
            limit_s=900 if run.is_emulated else 60)
        if status:
            raise RuntimeError(f"generate --device {device}: status {status}. {log.strip()[-300:]}")
        rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    return sorted(rows, key=lambda r: (str(r["id"]), r["sample"])), log


def compare(run: "Run", result: "Result", devices: List[str]) -> List[str]:
    """The CPU backend's own samples, scored by both: log-probabilities and experts."""
    lines = prompt_lines(8 if run.is_quick else 32)
    drawn, _ = generate(run, lines, "cpu")
    scored = [{"id": f"{r['id']}/{r['sample']}", "prompt_ids": r["prompt_ids"] + r["tokens"],
               "sampling": {"max_new_tokens": 1, "temperature": 0}} for r in drawn]
    want, _ = generate(run, scored, "cpu")
    result.table = [("device", "largest difference of a log-probability, same experts",
                     "in all samples", "mean", "same experts", "drawn tokens that are the CPU's")]
    problems = []
    for name in devices:
        got, _ = generate(run, scored, name)
        pairs = [(x, y) for a, b in zip(want, got)
                 for x, y in zip(a["prompt_lp_full"], b["prompt_lp_full"]) if x is not None]
        same = [(x, y) for a, b in zip(want, got)
                if sorted_sets(a["routed_experts"]) == sorted_sets(b["routed_experts"])
                for x, y in zip(a["prompt_lp_full"], b["prompt_lp_full"]) if x is not None]
        worst, of_all = (max(abs(x - y) for x, y in p) for p in (same, pairs))
        excess = max(abs(x - y) - LP_ABSOLUTE - LP_RELATIVE * abs(x) for x, y in same)
        mean = sum(abs(x - y) for x, y in pairs) / len(pairs)
        routes = [(x, y) for a, b in zip(want, got) for x, y in
                  zip(sorted_sets(a["routed_experts"]), sorted_sets(b["routed_experts"]))]
        share = sum(x == y for x, y in routes) / len(routes)
        own, _ = generate(run, lines, name)
        tokens = [x == y for a, b in zip(drawn, own) for x, y in zip(a["tokens"], b["tokens"])]
        result.table.append((name, f"{worst:.4f} of {len(same)}", f"{of_all:.4f} of {len(pairs)}",
                             f"{mean:.5f}", f"{share:.4f}", f"{sum(tokens) / len(tokens):.3f}"))
        if not (excess <= 0 and mean <= LP_MEAN):
            problems.append(f"{name}: log-probabilities differ by {worst:.4f} where "
                            f"the experts are the same, {mean:.5f} in the mean")
        if share < ROUTES_SHARE:
            problems.append(f"{name}: only {share:.4f} of the selections have the same experts")
    result.words = f"{len(devices)} paths, {len(pairs)} log-probabilities"
    return problems


def sorted_sets(routes: Any) -> List[Tuple[int, ...]]:
    """Selections as sets, of every position and layer."""
    if routes and isinstance(routes[0], list) and not isinstance(routes[0][0], list):
        return [tuple(sorted(routes[i])) for i in range(len(routes))]
    return [s for r in routes or [] for s in sorted_sets(r)]


def invariance(run: "Run", result: "Result", devices: List[str]) -> List[str]:
    """Design D3: the same bits alone, together, in chunks and among strangers."""
    result.table = [("device", "company", "samples with other bits")]
    return [problem for name in devices for problem in one_invariance(run, result, name)]


def one_invariance(run: "Run", result: "Result", device: str) -> List[str]:
    lines = prompt_lines(6 if run.is_quick else 48)
    rng = random.Random(6)
    others = [{"id": f"stranger{i}", "n": 1,
               "prompt_ids": [rng.randrange(5, 475) for _ in range(rng.randrange(1, 120))],
               "sampling": {"max_new_tokens": 20, "ignore_eos": True}}
              for i in range(4 if run.is_quick else 64)]
    cases: Dict[str, Tuple[List[Line], Tuple[Any, ...]]] = {
        "one row": ([], ("--max-rows", 1)), "all at once": ([], ()),
        "among strangers": (others, ()),
        "chunks of 7, 5 rows": (others[:10], ("--prefill-chunk", 7, "--max-rows", 5))}
    if not run.is_quick:
        cases["chunks of 1"] = ([], ("--prefill-chunk", 1))
    bits = {name: [tuple(map(str, (r["id"], r["sample"], *(r[k] for k in KEYS))))
                   for r in generate(run, more + lines, device, *flags)[0]
                   if not str(r["id"]).startswith("stranger")]
            for name, (more, flags) in cases.items()}
    truth = bits["one row"]
    problems = []
    for name, rows in bits.items():
        n = sum(a != b for a, b in zip(truth, rows)) + abs(len(truth) - len(rows))
        result.table.append((device, name, n))
        if n:
            problems.append(f"{device}, {name}: {n} of {len(truth)} samples have other bits")
    result.words = f"{len(truth)} samples, {len(cases)} companies"
    return problems
