"""Parity with transformers in float32: log-probabilities, experts and greedy text on random
checkpoints. Plausible text proves nothing here; every number is compared.

The truth never uses transformers' cache: its conv state is wrong after one-token prompts (see
the model reference's list of known faults), so each comparison is one full forward pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Tuple

import numpy as np
import pytest
import torch

import checkpoints
from cli import generate

LIMIT = 1e-4  # log-probabilities: sums of some thousand float32 products in another order
NEAR = 1e-5   # scores closer than this may be ordered either way

NAMES = list(checkpoints.RECIPES)


def logits_and_scores(model: Any, ids: torch.Tensor) -> Tuple[torch.Tensor, list]:
    """Logits (tokens, vocab) and each MoE layer's selection scores (tokens, experts)."""
    scores, hooks = [], []

    def note(module, inputs, kwargs, output):
        score = output[0].sigmoid()
        bias = inputs[1] if len(inputs) > 1 else kwargs.get("expert_bias")
        scores.append(score if bias is None else score + bias)

    for layer in model.model.layers:
        gate = getattr(layer.feed_forward, "gate", None)
        if gate is not None:
            hooks.append(gate.register_forward_hook(note, with_kwargs=True))
    with torch.no_grad():
        logits = model(input_ids=ids[None], use_cache=False).logits[0].double()
    for hook in hooks:
        hook.remove()
    return logits, scores


def check_routes(scores: list, routed: np.ndarray, k: int) -> int:
    """Compares the experts of every position and layer; returns how many were near ties."""
    near = 0
    for layer, score in enumerate(scores):
        top = score[: len(routed)].topk(min(k + 1, score.shape[-1]), dim=-1)
        gaps = (top.values[:, :-1] - top.values[:, 1:]).numpy()
        for position in range(len(routed)):
            if (gaps[position] < NEAR).any():
                near += 1
                continue
            want = top.indices[position, :k].tolist()
            assert routed[position, layer].tolist() == want, (layer, position)
    return near


@pytest.fixture(scope="module", params=NAMES)
def case(request: Any, tmp_path_factory: Any) -> Tuple[Any, Path]:
    model = checkpoints.make(request.param, seed=11)
    return model, checkpoints.save(model, tmp_path_factory.mktemp(request.param))


def test_sampled_text(case: Any) -> None:
    """Prompt and output log-probabilities of sampled rollouts at a temperature, and routes."""
    model, directory = case
    moe = hasattr(model.config, "num_experts")
    generator = torch.Generator().manual_seed(1)
    lines = [{"id": n, "n": 2, "sampling": {"temperature": 0.8, "max_new_tokens": 40,
                                            "ignore_eos": True},
              "prompt_ids": torch.randint(0, 211, (n,), generator=generator).tolist()}
             for n in (1, 2, 3, 17, 100)]
    flags = ["--prompt-logprobs"] + (["--routed-experts"] if moe else [])
    worst, near = 0.0, 0
    for row in generate(directory, lines, *flags):
        prompt, tokens = row["prompt_ids"], row["tokens"]
        ids = torch.tensor(prompt + tokens)
        logits, scores = logits_and_scores(model, ids)
        lp = torch.log_softmax(logits / 0.8, -1)[:-1].gather(1, ids[1:, None])[:, 0].numpy()
        got = np.array(row["prompt_lp_full"][1:] + row["lp_full"])
        worst = max(worst, np.abs(got - lp).max())
        if moe:
            routed = np.array(row["routed_experts"])
            assert routed.shape == (len(ids) - 1, len(scores), model.config.num_experts_per_tok)
            near += check_routes(scores, routed, model.config.num_experts_per_tok)
    print(f"largest difference {worst:.1e}, near ties {near}")
    assert worst < LIMIT


def test_greedy_text(case: Any) -> None:
    """256 tokens of greedy text: each is the truth's best, given the tokens before it."""
    model, directory = case
    line = {"prompt_ids": [1, 5, 9, 14, 3, 77, 30],
            "sampling": {"temperature": 0, "max_new_tokens": 256, "ignore_eos": True}}
    row = generate(directory, [line])[0]
    assert len(row["tokens"]) == 256
    ids = torch.tensor(row["prompt_ids"] + row["tokens"])
    logits, _ = logits_and_scores(model, ids)
    first = len(row["prompt_ids"]) - 1
    best = logits[first:-1].topk(2, -1)
    near = 0
    for i, token in enumerate(row["tokens"]):
        if best.values[i, 0] - best.values[i, 1] < NEAR:
            near += 1
            assert token in best.indices[i].tolist()
        else:
            assert token == best.indices[i, 0].item(), i
    lp = torch.log_softmax(logits, -1)[first:-1].gather(1, ids[first + 1:, None])[:, 0].numpy()
    print(f"near ties {near}")
    assert np.abs(np.array(row["lp_full"]) - lp).max() < LIMIT
    assert row["lp_behav"] == [0] * 256


def test_expert_bias_changes_the_choice() -> None:
    """The checkpoints test what they are for: without its bias other experts would be chosen."""
    model = checkpoints.make("moe", seed=11)
    ids = torch.arange(5, 105)
    with_bias = checkpoints.router_choices(model, ids)
    without = checkpoints.router_choices(model, ids, bias=False)
    assert any((a.sort(-1).values != b.sort(-1).values).any() for a, b in zip(with_bias, without))


@pytest.mark.parametrize("form", ["fused", "sharded", "old"])
def test_other_forms_of_the_file(form: str, tmp_path: Path) -> None:
    """The same weights in other files give the same bits."""
    model = checkpoints.make("moe", seed=11)
    plain = checkpoints.save(model, tmp_path / "plain")
    other = tmp_path / form
    if form == "fused":
        checkpoints.save_fused(model, other)
    else:
        checkpoints.save(model, other, shards="64KB" if form == "sharded" else None)
    if form == "old":
        checkpoints.spell_old(other)
    line = {"prompt_ids": list(range(20)), "sampling": {"max_new_tokens": 30}}
    assert generate(plain, [line]) == generate(other, [line])


@pytest.mark.parametrize("types", ["bf16", "f16", "f32"])
def test_resident_types(types: str, tmp_path: Path) -> None:
    """--weights rounds to nearest even: the bits of a checkpoint that was rounded before."""
    model = checkpoints.make("moe", seed=11)
    exact = checkpoints.save(model, tmp_path / "exact")
    line = {"prompt_ids": list(range(3, 43)), "sampling": {"max_new_tokens": 0}}

    def score(directory: Path, *flags: str) -> list:
        return generate(directory, [line], "--prompt-logprobs", *flags)[0]["prompt_lp_full"][1:]

    narrow = score(exact, "--weights", types)
    assert (narrow == score(exact)) == (types == "f32")
    kind = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}[types]
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.to(kind).float())
    assert narrow == score(checkpoints.save(model, tmp_path / "rounded"))
