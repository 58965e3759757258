"""The CUDA backend, on the emulator, beside transformers with its roundings (rounded.py): the same
log-probabilities to five digits where no value falls to the other side of a rounding, and the same
experts. A rounding at another place, an epsilon that is left out or a position that is missed shows
here; the distance from float32 (test_cuda.py) is wide enough to hide it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
import torch

import checkpoints
import cli
from rounded import round_weights, rounded
from test_cuda import OBJECT
from test_parity import logits_and_scores

pytestmark = pytest.mark.skipif(
    not OBJECT.exists(), reason=f"CUDA was left out: {OBJECT.name} is not beside the program")

# Two layers of each recipe: what falls to the other side of a rounding is not spread far.
SHAPES: List[Tuple[str, Dict[str, Any]]] = [
    ("moe", dict(layers="ca")),
    ("moe_72", dict(layers="ac", num_dense_layers=1)),
    ("moe_96", dict(layers="ca")),
    ("moe_plain", dict(layers="ca", num_dense_layers=0)),
    ("moe_bias", dict(layers="ac", num_dense_layers=0)),
    ("dense", dict(layers="ca")),
    ("dense_72", dict(layers="ac")),
    # 16 query heads share one head of keys; more experts than fit into a tile of the router.
    ("moe", dict(layers="ca", hidden_size=136, num_attention_heads=16, num_key_value_heads=1,
                 head_dim=64, num_experts=100, num_experts_per_tok=16, vocab_size=1000)),
]


def differences(model: Any, directory: Path, lengths: List[int], new: int, device: str, state: str,
                *flags: Any) -> Tuple[np.ndarray, np.ndarray, float]:
    """Of every position: how far the device is from transformers with its roundings, and from
    transformers in float32; and the share of selections that are the same as with roundings."""
    generator = torch.Generator().manual_seed(1)
    vocabulary, moe = model.config.vocab_size, hasattr(model.config, "num_experts")
    lines = [{"id": n, "n": 2, "prompt_ids": torch.randint(0, vocabulary, (n,),
                                                           generator=generator).tolist(),
              "sampling": {"temperature": 0.8, "max_new_tokens": new, "ignore_eos": True}}
             for n in lengths]
    rows = cli.generate(directory, lines, "--device", device, "--weights", "bf16", "--kv-type",
                        state, "--prompt-logprobs", *(["--routed-experts"] if moe else []), *flags)
    off: Tuple[list, list] = [], []
    same = []
    for row in rows:
        ids = torch.tensor(row["prompt_ids"] + row["tokens"])
        got = np.array(row["prompt_lp_full"][1:] + row["lp_full"])
        exact, _ = logits_and_scores(model, ids)
        with rounded(model, state):
            near, scores = logits_and_scores(model, ids)
        for into, logits in zip(off, (near, exact)):
            lp = torch.log_softmax(logits / 0.8, -1)[:-1].gather(1, ids[1:, None])[:, 0].numpy()
            into.extend(np.abs(got - lp))
        for layer, score in enumerate(scores):
            k = model.config.num_experts_per_tok
            want = score[:-1].topk(k, -1).indices.sort(-1).values.numpy()
            have = np.sort(np.array(row["routed_experts"])[:, layer], -1)
            same.extend((want == have).all(-1))
    return np.array(off[0]), np.array(off[1]), float(np.mean(same)) if moe else 1.0


def check(off: np.ndarray, from_exact: np.ndarray, same: float) -> None:
    equal = (off < 1e-5).mean()
    print(f"equal {equal:.3f}, median {np.median(off):.1e}, mean {off.mean():.1e}, largest "
          f"{off.max():.1e}; of float32 {np.median(from_exact):.1e}, {from_exact.mean():.1e}; "
          f"selections {same:.4f}")
    assert equal > 0.3 and off.mean() < 0.5 * from_exact.mean() and same > 0.99
    assert (from_exact < 1e-5).mean() < 0.05  # the roundings are seen


@pytest.mark.parametrize("device, state", [("cudasim/wgmma", "f32"), ("cudasim/mma", "bf16")])
@pytest.mark.parametrize("name, changes", SHAPES)
def test_shapes(name: str, changes: dict, device: str, state: str, tmp_path: Path,
                monkeypatch: Any) -> None:
    monkeypatch.setenv("CUDASIM_SMS", "3")
    model = checkpoints.make(name, seed=11, **changes)
    round_weights(model)
    off, from_exact, same = differences(
        model, checkpoints.save(model, tmp_path / "m"), [1, 2, 3, 17, 50], 8, device, state,
        "--max-rows", 8, "--max-context", 96, "--prefill-chunk", 24)
    check(off, from_exact, same)


def test_long_prompt(tmp_path: Path, monkeypatch: Any) -> None:
    """Three chunks of attention, merged by a block of a prefill and by the warps of a decode."""
    monkeypatch.setenv("CUDASIM_SMS", "3")
    model = checkpoints.make("dense", seed=11, layers="a", max_position_embeddings=2048)
    round_weights(model)
    check(*differences(model, checkpoints.save(model, tmp_path / "m"), [1100], 8, "cudasim", "bf16",
                       "--max-rows", 2, "--max-context", 1200, "--prefill-chunk", 256))
