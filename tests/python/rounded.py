"""transformers' network with the roundings of the CUDA backend: its float32 twin.

    model = make("moe", seed=11)
    round_weights(model)
    with rounded(model, state="bf16"):
        logits = model(ids[None], use_cache=False).logits

What `kernels/README.md` says of them: an operand of a product is rounded to bf16 where it is
stored, once; so are the weights of a softmax, against the running maximum of tiles of 32
positions; an expert's output is stored in bf16; a past u of a convolution is one rounded to the
type of the state, the token's own is not. The router, norms, gates and all sums stay float32.

So where no value lies at the edge of two roundings both give the same numbers, but for sums in
another order. One that does lie there falls to the other side, some 2^-9 off, and the layers behind
it spread that: count the positions that agree, on networks of few layers.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Iterator, Optional

import torch
import torch.nn.functional as F
from transformers import AttentionInterface

TILE, CHUNK = 32, 512  # positions; kernels/cuda/attention.cu


def bf16(x: torch.Tensor) -> torch.Tensor:
    return x.bfloat16().float()


def round_weights(model: Any) -> None:
    """Every parameter as --weights bf16 has it."""
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(bf16(p))


def attend_chunk(scores: torch.Tensor, v: torch.Tensor) -> tuple:
    """Maximum, sum and values of one chunk: scores (..., tokens, positions), v (..., positions, d).
    """
    top = torch.full(scores.shape[:-1], -torch.inf)
    total = torch.zeros(scores.shape[:-1])
    out = torch.zeros(*scores.shape[:-1], v.shape[-1])
    for at in range(0, scores.shape[-1], TILE):
        tile = scores[..., at:at + TILE]
        before, top = top, torch.maximum(top, tile.amax(-1))
        base = torch.where(top == -torch.inf, 0.0, top)  # a row that has seen no position yet
        shrink, p = torch.exp(before - base), torch.exp(tile - base[..., None])
        total = total * shrink + p.sum(-1)
        out = out * shrink[..., None] + bf16(p) @ v[..., at:at + TILE, :]
    return top, total, out


def attention(module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: Any,
              scaling: Optional[float] = None, **_: Any) -> tuple:
    """Causal attention of whole sequences, as transformers' attention functions are called."""
    q, k, v = bf16(q), bf16(k), bf16(v)
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
    n = q.shape[2]
    scores = ((q @ k.transpose(-1, -2)) * scaling).masked_fill(
        torch.ones(n, n, dtype=torch.bool).triu(1), -torch.inf)
    top, total, out = attend_chunk(scores[..., :CHUNK], v[..., :CHUNK, :])
    for at in range(CHUNK, n, CHUNK):
        chunk = attend_chunk(scores[..., at:at + CHUNK], v[..., at:at + CHUNK, :])
        before, top = top, torch.maximum(top, chunk[0])
        mine, other = torch.exp(before - top), torch.exp(chunk[0] - top)
        total = total * mine + chunk[1] * other
        out = out * mine[..., None] + chunk[2] * other[..., None]
    return (out / total[..., None]).transpose(1, 2).contiguous(), None


AttentionInterface.register("stampede_cuda", attention)


@contextlib.contextmanager
def rounded(model: Any, state: str) -> Iterator[None]:
    """Within it the model, of round_weights, computes as above; state: the type of K, V and of the
    convolutions' state, "f32" or "bf16" (K and V are operands, rounded in either)."""
    linear, code = F.linear, sys.modules[type(model).__module__]
    convolve, attend = code.causal_conv1d_fn, model.config._attn_implementation
    mixtures = [layer.feed_forward for layer in model.model.layers
                if hasattr(layer.feed_forward, "experts")]
    routers = {id(m.gate.weight) for m in mixtures}
    downs = {m.experts.down_proj.untyped_storage().data_ptr() for m in mixtures}

    def product(x: torch.Tensor, w: torch.Tensor, bias: Any = None) -> torch.Tensor:
        if id(w) in routers:
            return linear(x, w, bias)
        y = linear(bf16(x), w, bias)
        return bf16(y) if w.untyped_storage().data_ptr() in downs else y

    def convolution(u: torch.Tensor, taps: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        past = bf16(u) if state == "bf16" else u
        return convolve(past, taps, *rest, **more) + (u - past) * taps[:, -1:]

    F.linear, code.causal_conv1d_fn = product, convolution
    model.set_attn_implementation("stampede_cuda")
    try:
        yield
    finally:
        F.linear, code.causal_conv1d_fn = linear, convolve
        model.set_attn_implementation(attend)
