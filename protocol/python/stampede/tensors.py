"""Groups to padded torch tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Tuple

import numpy as np
from numpy.typing import NDArray

from . import checks
from .errors import ArgumentError
from .groups import Group

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]


def to_tensors(groups: Iterable[Group], pad_id: int = 0) -> Dict[str, "torch.Tensor"]:
    """Right-padded tensors; B = samples of all groups in order, L = longest prompt + completion.

    input_ids, attention_mask (int64), completion_mask (bool), lp_full, lp_behav (float32),
    versions (int64): all (B, L). Entry t of the log-probabilities belongs to input_ids[t] given
    what is before it; they are 0 and versions are -1 outside completions. rewards (B,) float32
    with reward_mask (B,) bool, group_index (B,) int64: place in `groups`. routed_experts
    (B, L, moe_layers, k) int16 where asked for, -1 where nothing was computed.
    """
    import torch

    some = [_check_group(i, group) for i, group in
            enumerate(checks.items("to_tensors: groups", groups, "a list of groups"))]
    pad_id = checks.integer("to_tensors: pad_id", pad_id, -checks.U63 - 1, checks.U63)
    arrays = _Batch(some).arrays(pad_id)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _check_group(i: int, group: Any) -> Group:
    if not isinstance(group, Group):
        raise checks.refuse_kind(f"to_tensors: groups[{i}]", group, "a stampede.Group")
    return group


class _Batch:
    """The samples of some groups, and where each of their tokens goes in a (B, L) array."""

    def __init__(self, groups: List[Group]) -> None:
        self.groups = groups
        self.n = np.array([g.n for g in groups], np.int64)  # samples of each group
        # (B,) each:
        self.n_prompt = np.repeat(np.array([len(g.prompt_ids) for g in groups], np.int64), self.n)
        self.tokens, self.n_tokens = self._joined("tokens")
        self.end = self.n_prompt + self.n_tokens
        self.length = int(self.end.max(initial=0))
        begin = np.arange(len(self.end)) * self.length + self.n_prompt
        before = np.cumsum(self.n_tokens) - self.n_tokens
        # Of each token of all samples, its place in the flat (B, L) array.
        self.places = np.repeat(begin - before, self.n_tokens) + np.arange(self.n_tokens.sum())

    def _joined(self, name: str) -> Tuple[Array, NDArray[np.int64]]:
        """A list of all samples as one array, and the length of each."""
        both = [g.joined(name) for g in self.groups]
        arrays = [array for some, _ in both for array in some]
        lengths = [length for _, some in both for length in some]
        return np.concatenate(arrays) if arrays else np.empty(0), np.array(lengths, np.int64)

    def arrays(self, pad_id: int) -> Dict[str, Array]:
        shape = (len(self.end), self.length)
        columns = np.arange(self.length)
        out: Dict[str, Array] = {
            "input_ids": np.full(shape, pad_id, np.int64),
            "attention_mask": (columns < self.end[:, None]).astype(np.int64),
            "completion_mask": np.zeros(shape, bool),
            "lp_full": self._scatter("lp_full", np.zeros(shape, np.float32)),
            "lp_behav": self._scatter("lp_behav", np.zeros(shape, np.float32)),
            "versions": np.full(shape, -1, np.int64),
            "rewards": np.array([r for g in self.groups for r in g.rewards], np.float32),
            "group_index": np.repeat(np.arange(len(self.groups)), self.n),
        }
        out["input_ids"].reshape(-1)[self.places] = self.tokens
        out["completion_mask"].reshape(-1)[self.places] = True
        out["versions"].reshape(-1)[self.places] = self._versions()
        out["reward_mask"] = ~np.isnan(out["rewards"])
        first = 0
        for g in self.groups:
            out["input_ids"][first:first + g.n, :len(g.prompt_ids)] = g.prompt_ids
            first += g.n
        routed = self._routed(shape)
        if routed is not None:
            out["routed_experts"] = routed
        return out

    def _scatter(self, name: str, out: Array) -> Array:
        """Puts what each token has into its place."""
        values, lengths = self._joined(name)
        if not np.array_equal(lengths, self.n_tokens):
            raise ArgumentError(f"to_tensors: {name} of a sample is not as long as its tokens.")
        out.reshape(-1)[self.places] = values
        return out

    def _versions(self) -> NDArray[np.int64]:
        """The policy version of each token. Nearly every sample has one span."""
        last: List[int] = []
        several: Dict[int, List[Tuple[int, int]]] = {}  # spans, by row
        for g in self.groups:
            single = g.single_versions()
            if single is None:
                several.update(enumerate(g.version_spans, len(last)))
                single = [0] * g.n
            last += single
        out = np.repeat(np.array([min(v, checks.U63) for v in last], np.int64), self.n_tokens)
        ends = np.cumsum(self.n_tokens)
        for row, spans in several.items():
            mine = out[ends[row] - self.n_tokens[row]:ends[row]]
            mine[:] = -1
            for first, version in spans:
                mine[max(0, first):] = min(version, checks.U63)
        return out

    def _routed(self, shape: Any) -> Any:
        experts = [a for g in self.groups for a in g.routed_experts]
        width = next((a.shape[1:] for a in experts if a is not None), None)
        if width is None:
            return None
        out = np.full(shape + width, -1, np.int16)
        for row, array in enumerate(experts):
            if array is not None:
                out[row, :len(array)] = array
        return out
