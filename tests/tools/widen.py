"""A checkpoint that says what a small one says, at a multiple of its width and of its cost.

    .venv/bin/python tests/tools/widen.py SOURCE TARGET [FACTOR]

SOURCE is an Lfm2Moe checkpoint folder, FACTOR a square number (16). Decoding then costs what a
large model costs (few rows are bound by memory), while texts, and how alike they are, stay those of
a trained model: for measuring drafts.

Each width (hidden, heads, experts) is FACTOR times what it was and everything new is zero, so that
the first part of each activation is the small model's. Root mean squares are taken over FACTOR
times the values: norms' weights are divided by sqrt(FACTOR), eps by FACTOR. (The eps of the q and k
norms shrinks with it, so the texts are alike and not the same.)
"""

import json
import math
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

NORMS = ("operator_norm.weight", "ffn_norm.weight", "embedding_norm.weight")
WIDTHS = ("hidden_size", "intermediate_size", "moe_intermediate_size", "num_attention_heads",
          "num_key_value_heads")


def grown(tensor, *shape):
    """`tensor` in the corner of zeros."""
    out = torch.zeros(*shape, dtype=tensor.dtype)
    out[tuple(slice(n) for n in tensor.shape)] = tensor
    return out


def widened(name, tensor, factor):
    if name.endswith(NORMS):
        return grown(tensor / math.sqrt(factor), len(tensor) * factor)
    if name.endswith(("layernorm.weight", "expert_bias")):  # of one head; of the experts
        return tensor
    if name.endswith("conv.conv.weight"):
        return grown(tensor, len(tensor) * factor, *tensor.shape[1:])
    if name.endswith("conv.in_proj.weight"):  # three matrices, one on the other
        parts = [grown(t, *(n * factor for n in t.shape)) for t in tensor.chunk(3)]
        return torch.cat(parts)
    if name.endswith(("gate.weight", "embed_tokens.weight")):  # rows are experts, or token ids
        return grown(tensor, len(tensor), tensor.shape[1] * factor)
    return grown(tensor, *(n * factor for n in tensor.shape))


def widen(source, target, factor):
    target.mkdir(parents=True, exist_ok=True)
    config = json.loads((source / "config.json").read_text())
    config.update({key: config[key] * factor for key in WIDTHS})
    config["norm_eps"] /= factor
    tensors = {name: widened(name, tensor, factor).contiguous()
               for name, tensor in load_file(source / "model.safetensors").items()}
    for file in source.iterdir():
        if file.name not in ("config.json", "model.safetensors"):
            shutil.copy(file, target / file.name)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    (target / "config.json").write_text(json.dumps(config, indent=2))
    return sum(tensor.numel() for tensor in tensors.values())


if __name__ == "__main__":
    FACTOR = int(sys.argv[3]) if len(sys.argv) > 3 else 16
    N = widen(Path(sys.argv[1]), Path(sys.argv[2]), FACTOR)
    print(f"{N:,} parameters")
