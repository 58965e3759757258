"""Groups to padded torch tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Sequence

import numpy as np

from .types import Group

if TYPE_CHECKING:
    import torch


def to_tensors(groups: Sequence[Group], pad_id: int = 0) -> Dict[str, "torch.Tensor"]:
    """Right-padded tensors; B = samples of all groups in order, L = longest prompt + completion.

    input_ids, attention_mask (int64), completion_mask (bool), lp_full, lp_behav (float32),
    versions (int64): all (B, L). Entry t of the log-probabilities belongs to input_ids[t] given
    what is before it; they are 0 and versions are -1 outside completions. rewards (B,) float32
    with reward_mask (B,) bool, group_index (B,) int64: place in `groups`. routed_experts
    (B, L, moe_layers, k) int16 where asked for, -1 where nothing was computed.
    """
    import torch

    samples = [(g, i) for g in groups for i in range(g.n)]
    length = max((len(g.prompt_ids) + len(g.tokens[i]) for g, i in samples), default=0)
    shape = (len(samples), length)
    out: Dict[str, np.ndarray] = {
        "input_ids": np.full(shape, pad_id, np.int64),
        "attention_mask": np.zeros(shape, np.int64),
        "completion_mask": np.zeros(shape, bool),
        "lp_full": np.zeros(shape, np.float32),
        "lp_behav": np.zeros(shape, np.float32),
        "versions": np.full(shape, -1, np.int64),
        "rewards": np.array([g.rewards[i] for g, i in samples], np.float32),
        "group_index": np.repeat(np.arange(len(groups)), [g.n for g in groups]).astype(np.int64),
    }
    out["reward_mask"] = ~np.isnan(out["rewards"])
    routed = next((g.routed_experts[i] for g, i in samples if g.routed_experts[i] is not None),
                  None)
    if routed is not None:
        out["routed_experts"] = np.full(shape + routed.shape[1:], -1, np.int16)
    for row, (g, i) in enumerate(samples):
        n_prompt, n_tokens = len(g.prompt_ids), len(g.tokens[i])
        end = n_prompt + n_tokens
        out["input_ids"][row, :n_prompt] = g.prompt_ids
        out["input_ids"][row, n_prompt:end] = g.tokens[i]
        out["attention_mask"][row, :end] = 1
        out["completion_mask"][row, n_prompt:end] = True
        out["lp_full"][row, n_prompt:end] = g.lp_full[i]
        out["lp_behav"][row, n_prompt:end] = g.lp_behav[i]
        for first, version in g.version_spans[i]:
            out["versions"][row, n_prompt + first:end] = version
        experts = g.routed_experts[i]
        if experts is not None:
            out["routed_experts"][row, :len(experts)] = experts
    return {name: torch.from_numpy(array) for name, array in out.items()}
