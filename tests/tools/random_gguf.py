"""GGUF files of the LFM2 shapes with random weights, for benchmarks: what a file of that type and
size costs to read and to multiply is what a real one costs, and nothing has to be fetched.

    .venv/bin/python tests/tools/random_gguf.py 8b q4_0 FILE.gguf

All matrices are of the one type; norms, taps, the router and its bias are float32, as in published
files. There is no tokenizer. Values are about as large as trained ones, so that routing differs
from token to token and nothing overflows.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator, Tuple

import gguf
import numpy as np
from bench_weights import SHAPES, Shape
from gguf import GGMLQuantizationType as Type

SIZE = 0.02  # of a weight, about
VOCAB, HEAD, N_KV_HEADS, TAPS, N_USED, N_DENSE = 65536, 64, 8, 3, 4, 2
POOL_BLOCKS = 1 << 20  # random blocks, cut anew for each tensor

# Of a block: where its float16 scales begin, and the size of a value for a scale of 1.
SCALES = {"q8_0": ((0,), 74), "q4_0": ((0,), 4.6), "q4_k": ((0, 2), 250), "q5_k": ((0, 2), 500),
          "q6_k": ((208,), 1400)}


def tensors(s: Shape) -> Iterator[Tuple[str, Tuple[int, ...], bool]]:
    """Name, dimensions (the last one is that of a row) and whether it is of the file's type."""
    yield "token_embd.weight", (VOCAB, s.hidden), True
    yield "token_embd_norm.weight", (s.hidden,), False
    for i in range(s.n_layers):
        layer = f"blk.{i}."
        yield layer + "attn_norm.weight", (s.hidden,), False
        yield layer + "ffn_norm.weight", (s.hidden,), False
        if i in s.attention:
            yield layer + "attn_q.weight", (s.hidden, s.hidden), True
            for name in ("attn_k", "attn_v"):
                yield layer + name + ".weight", (N_KV_HEADS * HEAD, s.hidden), True
            yield layer + "attn_output.weight", (s.hidden, s.hidden), True
            for name in ("attn_q_norm", "attn_k_norm"):
                yield layer + name + ".weight", (HEAD,), False
        else:
            yield layer + "shortconv.in_proj.weight", (3 * s.hidden, s.hidden), True
            yield layer + "shortconv.conv.weight", (s.hidden, TAPS), False
            yield layer + "shortconv.out_proj.weight", (s.hidden, s.hidden), True
        experts: Tuple[int, ...] = ()
        wide, end = s.ff, ".weight"
        if s.experts and i >= N_DENSE:
            experts, wide, end = (s.experts,), s.ff_expert, "_exps.weight"
            yield layer + "ffn_gate_inp.weight", (s.experts, s.hidden), False
            yield layer + "exp_probs_b.bias", (s.experts,), False
        for name in ("ffn_gate", "ffn_up"):
            yield layer + name + end, (*experts, wide, s.hidden), True
        yield layer + "ffn_down" + end, (*experts, s.hidden, wide), True


def add_keys(writer: gguf.GGUFWriter, s: Shape) -> None:
    writer.add_block_count(s.n_layers)
    writer.add_context_length(128000)
    writer.add_embedding_length(s.hidden)
    writer.add_feed_forward_length(s.ff)
    writer.add_head_count(s.hidden // HEAD)
    writer.add_head_count_kv([N_KV_HEADS if i in s.attention else 0 for i in range(s.n_layers)])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(1e6)
    writer.add_vocab_size(VOCAB)
    writer.add_shortconv_l_cache(TAPS)
    writer.add_tokenizer_model("none")
    if s.experts:
        writer.add_expert_count(s.experts)
        writer.add_expert_used_count(N_USED)
        writer.add_expert_feed_forward_length(s.ff_expert)
        writer.add_leading_dense_block_count(N_DENSE)
        writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)


def pool_of(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Blocks (n, bytes); of bf16 a block is one value."""
    if kind == "bf16":
        values = rng.normal(0, SIZE, 16 * POOL_BLOCKS).astype(np.float32).view(np.uint32)
        return (values >> 16).astype(np.uint16).view(np.uint8).reshape(-1, 2)
    n_bytes = gguf.GGML_QUANT_SIZES[Type[kind.upper()]][1]
    blocks = rng.integers(0, 256, (POOL_BLOCKS, n_bytes), dtype=np.uint8)
    places, unit = SCALES[kind]
    for at in places:
        scales = (rng.uniform(0.5, 1.5, POOL_BLOCKS) * SIZE / unit).astype(np.float16)
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
    return blocks


def write(path: Path, name: str, kind: str) -> None:
    """A file of the shape `name` (SHAPES) whose matrices are of `kind`: bf16 or a block type."""
    s, rng, blocked = SHAPES[name], np.random.default_rng(1), Type[kind.upper()]
    writer = gguf.GGUFWriter(path, "lfm2moe" if s.experts else "lfm2")
    add_keys(writer, s)
    block, block_bytes = gguf.GGML_QUANT_SIZES[blocked]
    for tensor, dims, is_matrix in tensors(s):
        if is_matrix:
            n_bytes = int(np.prod(dims)) // block * block_bytes
            stored = (*dims[:-1], dims[-1] // block * block_bytes)
            writer.add_tensor_info(tensor, stored, np.dtype(np.uint8), n_bytes, raw_dtype=blocked)
        else:
            n_bytes = 4 * int(np.prod(dims))
            writer.add_tensor_info(tensor, dims, np.dtype(np.float32), n_bytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    pool = pool_of(kind, rng)
    for tensor, dims, is_matrix in tensors(s):
        if is_matrix:
            n = int(np.prod(dims)) // block
            data = np.take(pool, np.arange(n) + rng.integers(len(pool)), axis=0, mode="wrap")
        else:
            data = (np.ones(dims, np.float32) if "norm" in tensor else
                    rng.normal(0, SIZE, dims).astype(np.float32))
        writer.write_tensor_data(data)
    writer.close()


if __name__ == "__main__":
    write(Path(sys.argv[3]), sys.argv[1], sys.argv[2])
