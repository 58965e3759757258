"""What a push does to each value before its first byte leaves, on one core: compare, code, sum up,
keep. By libstampede_weights.so and in numpy, in turn; the median of some rounds.

    bench_weights_pack.py [--shares 0.1,1,5,20,30,50,100] [--values 4194304] [--rounds 5]

GB/s are of weights, by the clock and (in brackets) by processor time, which the load of others
disturbs less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Dict, List, Tuple

import numpy as np
import torch

from stampede import native, snapshot
from stampede.weights import DtypePlan

N_TENSORS = 8
TYPES = {"bf16": (torch.bfloat16, np.uint16), "f32": (torch.float32, np.uint32)}
WAYS = ("library", "numpy")


def change(state: Dict[str, torch.Tensor], dtype: str, share: float, seed: int) -> None:
    """Flips the last bit of some share of the values, at random."""
    rng = np.random.default_rng(seed)
    for tensor in state.values():
        bits = snapshot.flat_bits(tensor)
        bits ^= (rng.random(len(bits), np.float32) < share).astype(TYPES[dtype][1])


def choose(way: str) -> None:
    os.environ["STAMPEDE_WEIGHTS_LIBRARY"] = ""
    if way == "library":
        del os.environ["STAMPEDE_WEIGHTS_LIBRARY"]
    native.library.cache_clear()
    assert (native.library() is None) == (way == "numpy"), "the library is not built"


def measure(dtype: str, share: float, n_values: int, rounds: int) -> List[str]:
    """A column for each way."""
    plan, times = DtypePlan(dtype, (), False), {way: [] for way in WAYS}
    state = {f"{i}": torch.randn(n_values).to(TYPES[dtype][0]) for i in range(N_TENSORS)}
    store = snapshot.Snapshot()
    store.prepare(1, state, [plan])
    for version in range(2, 2 + len(WAYS) * (rounds + 1)):
        way = WAYS[version % len(WAYS)]
        choose(way)
        change(state, dtype, share, version)
        began: Tuple[float, float] = time.perf_counter(), time.process_time()
        store.prepare(version, state, [plan])
        times[way].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    n_bytes = sum(t.nbytes for t in state.values())
    out = []
    for way in WAYS:
        clock, processor = (n_bytes / statistics.median(column) / 1e9
                            for column in zip(*times[way][1:]))  # the first one warms up
        out.append(f"{clock:.2f} ({processor:.2f})")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--shares", default="0.1,1,5,20,30,50,100", help="percent of the values")
    parser.add_argument("--values", type=int, default=1 << 22, help="of each of 8 tensors")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    os.environ.pop("STAMPEDE_WEIGHTS_LIBRARY", None)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before the pool counts its threads
    torch.set_num_threads(1)
    print("| type | values that change | library, GB/s a core | numpy, GB/s a core |\n"
          "|---|---|---|---|", flush=True)
    for dtype in TYPES:
        for share in args.shares.split(","):
            columns = measure(dtype, float(share) / 100, args.values, args.rounds)
            print(f"| {dtype} | {share}% | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
