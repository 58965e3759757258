"""make bench-peers: decode and prefill beside llama.cpp, on the same file, in turn.

    .venv/bin/python tests/tools/bench_peers.py [--shapes 8b] [--types q4_0,...]
        [--rows 1,4,16,64] [--rounds 3] [--llama PYTHON] [--json FILE] [--picture FILE]

For each shape and type a file of random weights is made once (random_gguf.py, in build/peers), and
both engines measure it in turn, --rounds times: `stampede bench`, and llama.cpp as
llama-cpp-python's source builds it for this machine (llama_bench.py). Every row has a prompt of its
own; llama.cpp draws nothing, we draw from the whole vocabulary with both log-probabilities. Told
are medians, and what this machine can do at most, measured in the same rounds: the nearer of
reading the weights that a step meets and of its products.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import random_gguf

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("STAMPEDE_BIN", str(ROOT / "build/stampede"))
PROMPT, PREFILL = 32, 512

Point = Dict[str, Any]


def run(*command: Any) -> Dict[str, Any]:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench_peers: {' '.join(map(str, command))}: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout)


def rounds(file: Path, args: argparse.Namespace) -> List[List[Dict[str, Any]]]:
    """For each round what we and what llama.cpp measured."""
    common = ["--rows", args.rows, "--prompt", PROMPT, "--new", args.new, "--prefill", PREFILL,
              "--threads", args.threads]
    return [[run(PROGRAM, "bench", "--model", file, *common, "--group", 1, "--runs", 1, "--json",
                 *args.ours),
             run(args.llama, Path(__file__).with_name("llama_bench.py"), file, *common)]
            for _ in range(args.rounds)]


def points(measured: List[List[Dict[str, Any]]]) -> List[Point]:
    """Medians: a point for each number of rows, then prefill (rows 0)."""
    out = []
    for i, decode in enumerate(measured[0][0]["decode"]):
        ours = [m[0]["decode"][i] for m in measured]
        theirs = [m[1]["decode"][i] for m in measured]
        out.append({
            "rows": decode["rows"],
            "ours": statistics.median(o["tokens_per_s"] for o in ours),
            "llama": statistics.median(t["tokens_per_s"] for t in theirs),
            "ratio": statistics.median(o["tokens_per_s"] / t["tokens_per_s"]
                                       for o, t in zip(ours, theirs)),
            "limit": statistics.median(o["tokens_per_s"] / o["limit_share"] for o in ours),
            "gb_per_s": statistics.median(o["bytes_per_s"] for o in ours) / 1e9,
            "gmac_per_s": statistics.median(o["macs_per_s"] for o in ours) / 1e9})
    ours = [m[0]["prefill"][0]["tokens_per_s"] for m in measured]
    theirs = [m[1]["prefill"][0]["tokens_per_s"] for m in measured]
    bound = statistics.median(m[0]["peak_flops"] / m[0]["row_flops"] for m in measured)
    out.append({"rows": 0, "ours": statistics.median(ours), "llama": statistics.median(theirs),
                "ratio": statistics.median(o / t for o, t in zip(ours, theirs)), "limit": bound})
    return out


def tell(shape: str, kind: str, p: Point) -> None:
    what = f"decode, {p['rows']} rows" if p["rows"] else f"prefill of {PREFILL}"
    print(f"| {shape} {kind} | {what} | {p['ours']:.1f} | {p['llama']:.1f} | {p['ratio']:.2f} "
          f"| {100 * p['ours'] / p['limit']:.0f}% | {100 * p['llama'] / p['limit']:.0f}% |",
          flush=True)


def draw(tables: Dict[str, List[Point]], path: Path) -> None:
    """The roofline over rows, and both engines' points, one panel for each file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(tables), figsize=(5 * len(tables), 4), squeeze=False)
    for axes, (name, table) in zip(panels[0], tables.items()):
        decode = [p for p in table if p["rows"]]
        rows = [p["rows"] for p in decode]
        axes.plot(rows, [p["limit"] for p in decode], color="gray", label="this machine's limit")
        axes.plot(rows, [p["ours"] for p in decode], marker="o", label="stampede")
        axes.plot(rows, [p["llama"] for p in decode], marker="s", label="llama.cpp")
        axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="tokens a second", title=name)
        axes.set_xticks(rows, rows)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--shapes", default="8b")
    parser.add_argument("--types", default="q4_0")
    parser.add_argument("--rows", default="1,4,16,64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--new", type=int, default=8, help="steps of decode")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--llama", default=ROOT / ".venv-llama/bin/python",
                        help="the python that has llama.cpp")
    parser.add_argument("--ours", type=str.split, default=[], help="more flags of stampede bench")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    folder = ROOT / "build/peers"
    folder.mkdir(parents=True, exist_ok=True)
    tables: Dict[str, List[Point]] = {}
    print("| | | ours, tok/s | llama.cpp | ratio | ours of the limit | llama.cpp |\n"
          "|---|---|---|---|---|---|---|", flush=True)
    for shape in args.shapes.split(","):
        for kind in args.types.split(","):
            file = folder / f"{shape}-{kind}.gguf"
            if not file.exists():
                part = file.with_suffix(".part")
                random_gguf.write(part, shape, kind)
                part.rename(file)
            measured = rounds(file, args)
            table = tables[f"{shape} {kind}"] = points(measured)
            for p in table:
                tell(shape, kind, p)
    if args.json:
        args.json.write_text(json.dumps(tables, indent=1))
    if args.picture:
        draw(tables, args.picture)


if __name__ == "__main__":
    main()
