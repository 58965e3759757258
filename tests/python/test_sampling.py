"""Designs D4 and D5, recomputed from transformers' teacher-forced logits: both log-probabilities
over a grid of settings, the very ids that the Philox-Gumbel draw must give, and chi-square."""

from __future__ import annotations

import itertools
import struct
from typing import Any, Dict, List

import numpy as np
import pytest
import torch
import xxhash
from transformers import Lfm2MoeForCausalLM
from transformers.generation.logits_process import (
    MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
    TopKLogitsWarper, TopPLogitsWarper)

from cli import TINY, generate

N_IDS = 475  # the tokenizer's; the head has 512 rows
LIMIT = 1e-4


@pytest.fixture(scope="module")
def model() -> Any:
    return Lfm2MoeForCausalLM.from_pretrained(TINY, dtype=torch.float32).eval()


def grid() -> List[Dict[str, Any]]:
    """Settings whose combinations cover every stage of the draw."""
    out = []
    for temperature, top_k, top_p, min_p in itertools.product(
            (1.0, 0.6, 1.7), (0, 12), (1.0, 0.9), (0.0, 0.05)):
        out.append({"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p})
    out[3]["repetition_penalty"] = 1.3
    out[8]["repetition_penalty"] = 0.8
    out[11]["logit_bias"] = {"42": 3.5, "7": -100.0}
    out[17]["logit_bias"] = {"300": 2.0}
    out[17]["repetition_penalty"] = 1.1
    out[20] = {"temperature": 0, "repetition_penalty": 1.5, "logit_bias": {"9": 1.0}}
    return out


def processed(logits: torch.Tensor, before: List[int], s: Dict[str, Any]) -> torch.Tensor:
    """Log-probabilities of the distribution that is drawn from, as transformers orders it."""
    scores = logits.clone()[None]
    for key, bias in s.get("logit_bias", {}).items():
        scores[0, int(key)] += bias
    scores[0, N_IDS:] = -torch.inf
    ids = torch.tensor([before])
    if s.get("repetition_penalty", 1.0) != 1.0:
        scores = RepetitionPenaltyLogitsProcessor(s["repetition_penalty"])(ids, scores)
    if s["temperature"] == 0:
        return scores[0]
    scores = TemperatureLogitsWarper(float(s["temperature"]))(ids, scores)
    if s.get("top_k"):
        scores = TopKLogitsWarper(s["top_k"])(ids, scores)
    if s.get("top_p", 1.0) < 1:
        scores = TopPLogitsWarper(s["top_p"])(ids, scores)
    if s.get("min_p"):
        scores = MinPLogitsWarper(s["min_p"])(ids, scores)
    return torch.log_softmax(scores[0], -1)


def philox(key: int, counter: np.ndarray) -> np.ndarray:
    """First output word of Philox4x32-10 for counters (n, 4)."""
    c = [counter[:, i].astype(np.uint64) for i in range(4)]
    k0, k1 = np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ k0, b & low, (a >> np.uint64(32)) ^ c[3] ^ k1, a & low]
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return c[0]


def gumbel(seed: int, position: int, sample: int, n: int) -> np.ndarray:
    counter = np.zeros((n, 4), dtype=np.uint64)
    counter[:, 0], counter[:, 1], counter[:, 2] = np.arange(n), position, sample
    u = ((philox(seed, counter) >> np.uint64(9)).astype(np.float64) + 0.5) / 2.0 ** 23
    return -np.log(-np.log(u))


def group_seed(seed: int, id_json: str) -> int:
    return xxhash.xxh3_64_intdigest(struct.pack("<Q", seed) + id_json.encode())


def test_log_probabilities_and_draws_over_a_grid(model: Any) -> None:
    lines = [{"id": f"s{i}", "n": 2, "prompt_ids": [1, 3, 301, 203, 469 - i, 297, 225],
              "sampling": dict(s, max_new_tokens=12, ignore_eos=True, seed=1000 + i)}
             for i, s in enumerate(grid())]
    n_near = 0
    for row in generate(TINY, lines):
        s = grid()[int(row["id"][1:])]
        ids = row["prompt_ids"] + row["tokens"]
        with torch.no_grad():
            logits = model(torch.tensor([ids]), use_cache=False).logits[0].float()
        seed = group_seed(1000 + int(row["id"][1:]), f'"{row["id"]}"')
        for t, token in enumerate(row["tokens"]):
            at = len(row["prompt_ids"]) + t
            full = torch.log_softmax(logits[at - 1] / (s["temperature"] or 1), -1)
            assert abs(full[token].item() - row["lp_full"][t]) < LIMIT
            behav = processed(logits[at - 1], ids[:at], s)
            if s["temperature"] == 0:
                best = behav.topk(2)
                assert token == best.indices[0] or best.values[0] - behav[token] < LIMIT
                assert row["lp_behav"][t] == 0
                continue
            assert torch.isfinite(behav[token]), (s, t)
            # An id that is within rounding of top-p's or min-p's edge may fall on either side;
            # the whole mass then differs by its own, so the comparison has room for that.
            assert abs(behav[token].item() - row["lp_behav"][t]) < 20 * LIMIT
            noisy = behav.double().numpy() + gumbel(seed, at, row["sample"], len(behav))
            two = np.sort(noisy[np.isfinite(noisy)])[-2:]
            if len(two) == 2 and two[1] - two[0] < 1e-3:
                n_near += 1
            else:
                assert token == int(np.nanargmax(np.where(np.isfinite(noisy), noisy, -np.inf)))
    assert n_near < 10


def test_padding_rows_of_the_head_are_never_drawn() -> None:
    """All mass on rows that the tokenizer lacks: they count in lp_full and are never drawn."""
    bias = {str(i): 50.0 for i in range(N_IDS, 512)}
    rows = generate(TINY, [{"prompt_ids": [1, 5], "n": 8, "sampling": {
        "logit_bias": bias, "max_new_tokens": 4, "ignore_eos": True}}])
    assert all(token < N_IDS for row in rows for token in row["tokens"])


@pytest.mark.parametrize("settings", [
    {"temperature": 1.0}, {"temperature": 1.5, "top_k": 8},
    {"temperature": 1.6, "top_p": 0.99, "repetition_penalty": 1.2}])
def test_draws_pass_chi_square(model: Any, settings: Dict[str, Any]) -> None:
    """8,000 first tokens against the exact distribution; a p-value below 1e-6 fails."""
    prompt, n = [1, 3, 301, 203, 469, 297, 225], 8000
    rows = generate(TINY, [{"prompt_ids": prompt, "n": n,
                            "sampling": dict(settings, max_new_tokens=1)}], "--max-rows", 512)
    counts = np.bincount([r["tokens"][0] for r in rows], minlength=512)
    with torch.no_grad():
        logits = model(torch.tensor([prompt]), use_cache=False).logits[0, -1].float()
    p = processed(logits, prompt, settings).double().exp().numpy()
    assert counts[p == 0].sum() == 0
    big = p * n >= 5
    observed = np.append(counts[big], counts[~big].sum())
    expected = np.append(p[big] * n, max(p[~big].sum() * n, 1e-9))
    if expected[-1] < 5:
        observed, expected = observed[:-1], expected[:-1]
    chi = ((observed - expected) ** 2 / expected).sum()
    freedom = len(expected) - 1
    # Wilson-Hilferty: the cube root of chi-square over its freedom is close to normal.
    z = ((chi / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5
    assert freedom >= 5 and z < 4.75, (chi, freedom, z)
