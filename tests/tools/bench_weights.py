"""What a weight update costs: a trainer and a worker on this machine, deltas of some share of the
values, by the socket and by a shared directory, beside the naive way (all tensors anew: the rows
"dense", and the last column) and beside what memory could do at best. The digest is that of all
weights, summed up anew on all cores: what an update does not need.

    bench_weights.py [--shapes 350m,8b,24b] [--shares 0.1,1,5,50] [--max-gb 3] [--picture FILE]
                     [--json FILE] [--second-copy]

--second-copy: the worker makes updates in a second copy of its weights (stampede serve).
A shape that needs more than --max-gb of weights keeps its matrices and loses layers: its scale is
said. Nothing is decoded meanwhile: times are those of the parts, and of one machine for both ends.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from transformers import Lfm2Config, Lfm2ForCausalLM, Lfm2MoeConfig, Lfm2MoeForCausalLM

import stampede
from stampede import digest, snapshot

State = Dict[str, torch.Tensor]
LINE = 64  # bytes of a cache line
CLUSTER = 512  # values


class Shape(NamedTuple):
    n_layers: int
    attention: Tuple[int, ...]
    hidden: int
    ff: int
    experts: int = 0
    ff_expert: int = 0


SHAPES = {
    "350m": Shape(16, (2, 5, 8, 10, 12, 14), 1024, 4608),
    "2.6b": Shape(30, (2, 5, 9, 13, 17, 21, 24, 27), 2048, 10752),
    "8b": Shape(24, (2, 6, 10, 14, 18, 21), 2048, 7168, 32, 1792),
    "24b": Shape(40, (2, 6, 10, 14, 18, 22, 26, 30, 34, 38), 2048, 11776, 64, 1536),
}


def make_model(shape: Shape, n_layers: int) -> torch.nn.Module:
    kinds = ["full_attention" if i in shape.attention else "conv" for i in range(n_layers)]
    common: Dict[str, Any] = dict(
        hidden_size=shape.hidden, num_hidden_layers=n_layers, layer_types=kinds, vocab_size=65536,
        num_attention_heads=shape.hidden // 64, num_key_value_heads=8, conv_L_cache=3,
        conv_bias=False, tie_word_embeddings=True,
        rope_parameters={"rope_theta": 1e6, "rope_type": "default"})
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cpu"):
        if not shape.experts:
            return Lfm2ForCausalLM(Lfm2Config(intermediate_size=shape.ff,
                                              block_auto_adjust_ff_dim=False, **common))
        return Lfm2MoeForCausalLM(Lfm2MoeConfig(
            intermediate_size=shape.ff, moe_intermediate_size=shape.ff_expert,
            num_experts=shape.experts, num_experts_per_tok=4, num_dense_layers=2, **common))


def fit(shape: Shape, max_bytes: float) -> int:
    """Layers that fit: what a layer and the rest take, from the shape."""
    per_expert = 3 * shape.hidden * shape.ff_expert * shape.experts
    layer = 2 * (per_expert or 3 * shape.hidden * shape.ff) + 8 * shape.hidden**2
    rest = 2 * 65536 * shape.hidden + (2 * 2 * 3 * shape.hidden * shape.ff if shape.experts else 0)
    return max(3, min(shape.n_layers, int((max_bytes - rest) / layer)))


# --- what changes ---


def change(state: State, share: float, kind: str, seed: int) -> None:
    """Flips the last bit of some share of the values in place, at random or in runs of 512."""
    rng = np.random.default_rng(seed)
    for name in sorted(state):
        size = 2 if state[name].dtype == torch.bfloat16 else 4
        integers = torch.int16 if size == 2 else torch.int32
        bits = state[name].detach().view(-1).view(integers).numpy()
        if kind == "dense":
            bits ^= 1
            continue
        for block in np.array_split(bits, max(1, len(bits) >> 20)):
            if kind == "clustered" and len(block) >= CLUSTER:
                runs = block[:len(block) // CLUSTER * CLUSTER].reshape(-1, CLUSTER)
                runs[rng.random(len(runs)) < share] ^= 1
            else:
                block ^= (rng.random(len(block), np.float32) < share).astype(bits.dtype)


# --- what the machine could do ---


def copy_bytes_per_s() -> float:
    """Bytes a second that are read and written by a copy in memory, on all cores."""
    a, b = torch.ones(1 << 26), torch.empty(1 << 26)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        b.copy_(a)
        times.append(time.perf_counter() - began)
    return 2 * a.nbytes / statistics.median(times)


def lines_touched(n_elements: int, share: float, kind: str) -> float:
    """Cache lines that hold a changed value of 2 bytes, in the CPU backend's layout: 16 rows are
    interleaved, so neighbours in a row are two to a line."""
    lines = n_elements * 2 / LINE
    if kind == "random":
        return lines * (1 - (1 - share)**(LINE // 2))
    return lines * (1 - (1 - share)**16)


def rehash_s(state: State) -> float:
    """Time that a digest of all weights takes on all cores, in the code that workers run too."""
    def one(name: str) -> None:
        bits = snapshot.flat_bits(state[name].detach())
        hashed = digest.name_hash(name)
        for first in range(0, len(bits), 1 << 20):
            digest.of_range(hashed, first, bits[first:first + (1 << 20)])

    began = time.perf_counter()
    list(digest.pool().map(one, state))
    return time.perf_counter() - began


# --- the run ---


class Row(NamedTuple):
    shape: str
    scale: str
    way: str
    kind: str
    share: float
    payload_mb: float
    diff_s: float
    diff_gb_per_s: float  # of weights
    staged_s: float
    check_ms: float
    pause_ms: float
    pause_bound_ms: float
    digest_s: float
    total_s: float
    naive_s: float  # the push of all tensors by the same way


def run_shape(name: str, shares: List[float], max_gb: float, folder: Path,
              second_copy: bool) -> Iterator[Row]:
    shape = SHAPES[name]
    n_layers = fit(shape, max_gb * 1e9)
    scale = "whole" if n_layers == shape.n_layers else f"{n_layers} of {shape.n_layers} layers"
    model = make_model(shape, n_layers)
    model.save_pretrained(folder / name)
    state = {k: v for k, v in model.state_dict().items() if k != "lm_head.weight"}
    random = [("dense", 1.0)] + [("random", share) for share in shares]
    both = [("dense", 1.0)] + [(kind, share) for share in shares
                               for kind in ("random", "clustered")]
    for way, cases in (("socket", both), ("directory", random)):
        shared = None if way == "socket" else folder / "shared"
        if shared is not None:
            shared.mkdir()
        yield from run_way((name, scale, way), state, cases, folder / name, shared, second_copy)


def run_way(head: Tuple[str, str, str], state: State, cases: List[Tuple[str, float]], model: Path,
            shared: Optional[Path], second_copy: bool) -> Iterator[Row]:
    """`shared`: the directory by which the weights go; None: they go by the socket."""
    n_elements = sum(t.numel() for t in state.values())
    bandwidth, digest_s, naive_s = copy_bytes_per_s(), rehash_s(state), 0.0
    flags = {} if shared is None else {"weights_dir": shared}
    with stampede.Trainer("tcp://127.0.0.1:0", **flags) as trainer:
        worker = stampede.launch(
            model, connect=trainer.url, max_rows=1, max_context=64, kv_memory="64M",
            suspend_memory="16M", log_level="warn", no_verify=True, second_copy=second_copy,
            **flags)
        trainer.wait_for_workers(1, 600)
        version = 1
        trainer.push_weights(state, version=version)
        for kind, share in cases:
            change(state, share, kind, version)
            version += 1
            began = time.perf_counter()
            r = trainer.push_weights(state, version=version)
            total = time.perf_counter() - began
            assert (r.file_bytes > 0) == (shared is not None), "it went another way"
            naive_s = total if kind == "dense" else naive_s  # the first case
            bound = 2 * LINE * lines_touched(n_elements, share, kind) / bandwidth
            yield Row(*head, kind, r.share, r.payload_bytes / 1e6, r.diff_s,
                      2 * n_elements / r.diff_s / 1e9, r.staged_s, r.check_ms, r.pause_ms,
                      1e3 * bound, digest_s, total, naive_s)
        worker.terminate()
        worker.wait(60)


HEADER = ("| shape | scale | way | change | share | payload MB | diff s (GB/s) | staged s "
          "| proving ms | pause ms | bound ms | digest s | push s | of the naive way |\n"
          + 14 * "|---" + "|")


def line(r: Row) -> str:
    return (f"| {r.shape} | {r.scale} | {r.way} | {r.kind} | {100 * r.share:.2f}% "
            f"| {r.payload_mb:.1f} | {r.diff_s:.2f} ({r.diff_gb_per_s:.1f}) | {r.staged_s:.2f} "
            f"| {r.check_ms:.0f} | {r.pause_ms:.2f} | {r.pause_bound_ms:.1f} | {r.digest_s:.2f} "
            f"| {r.total_s:.2f} | {100 * r.total_s / r.naive_s:.0f}% |")


def draw(rows: List[Row], path: Path) -> None:
    """Pause against share, a line for each shape and kind."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for shape, kind in sorted({(r.shape, r.kind) for r in rows if r.kind != "dense"
                               and r.way == "socket"}):
        points = sorted((100 * r.share, r.pause_ms) for r in rows
                        if r.shape == shape and r.way == "socket" and r.kind in (kind, "dense"))
        axes.plot(*zip(*points), marker="o", label=f"{shape}, {kind}",
                  linestyle="-" if kind == "random" else "--")
    axes.set(xscale="log", yscale="log", xlabel="values that change, %", ylabel="pause, ms",
             title="How long no step runs")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--shapes", default="350m,8b,24b")
    parser.add_argument("--shares", default="0.1,1,5,50", help="percent of the values")
    parser.add_argument("--max-gb", type=float, default=3.0, help="of weights")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--second-copy", action="store_true", help="of the worker's weights")
    args = parser.parse_args()
    shares = [float(s) / 100 for s in args.shares.split(",")]
    rows: List[Row] = []
    print(HEADER, flush=True)
    for name in args.shapes.split(","):
        if name not in SHAPES:
            sys.exit(f"--shapes has {name!r}, expected some of {', '.join(SHAPES)}.")
        with tempfile.TemporaryDirectory() as folder:
            for row in run_shape(name, shares, args.max_gb, Path(folder), args.second_copy):
                rows.append(row)
                print(line(row), flush=True)
    if args.picture:
        draw(rows, args.picture)
    if args.json:
        args.json.write_text(json.dumps([r._asdict() for r in rows], indent=1))


if __name__ == "__main__":
    main()
