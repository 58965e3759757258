"""What goes into `Trainer.generate` and what comes out."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import xxhash

Reward = Union[Mapping[str, Any], Sequence[Mapping[str, Any]]]
_NO_ID: Any = type("NoId", (), {"__repr__": lambda self: "<serial>"})()


def compact_json(value: Any) -> str:
    """JSON without spaces and not ASCII-escaped: the text that enters a group's seed."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def group_seed(seed: int, id_json: str) -> int:
    """xxh3-64 of the request's seed (uint64, little-endian) and the id's JSON text."""
    return xxhash.xxh3_64_intdigest(struct.pack("<Q", seed) + id_json.encode())


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; transformers' order and definitions.

    The order is logit bias, repetition penalty (prompt and output), temperature, top-k, top-p
    (the token that crosses p is kept), min-p, renormalise. `seed` wins over that of `generate`.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_new_tokens: int = 512
    stop: Sequence[str] = ()
    stop_ids: Sequence[int] = ()
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    ignore_eos: bool = False
    seed: Optional[int] = None

    def __post_init__(self) -> None:
        checks = (
            (self.temperature >= 0, "temperature", "0 or more"),
            (self.top_k >= 0, "top_k", "0 (off) or more"),
            (0 < self.top_p <= 1, "top_p", "above 0, at most 1"),
            (0 <= self.min_p <= 1, "min_p", "from 0 to 1"),
            (self.repetition_penalty > 0, "repetition_penalty", "above 0"),
            (0 <= self.max_new_tokens <= 0x7FFFFFFF, "max_new_tokens", "0 or more"),
            (self.seed is None or 0 <= self.seed < 1 << 64, "seed", "a uint64"),
        )
        for good, name, expected in checks:
            if not good:
                raise ValueError(f"Sampling: {name} is {getattr(self, name)!r}, expected "
                                 f"{expected}.")
        if isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,))


@dataclass(frozen=True)
class Prompt:
    """One prompt: exactly one of `prompt` (text), `messages` (chat) and `prompt_ids` (tokens).

    `id` is any JSON value; a group without one has its serial as id. `reward` is a term, a list of
    terms, or {"terms": [...], "clamp": ..., "scale": ...}. `meta` is any JSON value and comes back
    as it was. `n` and `sampling` win over those of `generate`.
    """

    prompt: Optional[str] = None
    messages: Optional[Sequence[Mapping[str, Any]]] = None
    prompt_ids: Optional[Sequence[int]] = None
    id: Any = _NO_ID
    reward: Optional[Reward] = None
    meta: Any = None
    n: Optional[int] = None
    sampling: Optional[Sampling] = None

    def __post_init__(self) -> None:
        given = sum(v is not None for v in (self.prompt, self.messages, self.prompt_ids))
        if given != 1:
            raise ValueError(f"Prompt: {given} of prompt, messages and prompt_ids are given, "
                             "expected exactly one.")

    @property
    def has_id(self) -> bool:
        return self.id is not _NO_ID

    def reward_json(self) -> Optional[str]:
        """The reward as the wire takes it: a list of terms or an object with "terms"."""
        if self.reward is None:
            return None
        if isinstance(self.reward, Mapping):
            whole = "terms" in self.reward
            return compact_json(dict(self.reward) if whole else [dict(self.reward)])
        return compact_json([dict(term) for term in self.reward])


class Group:
    """One prompt and its n samples; entry i of each list is sample i.

    Arrays are read-only numpy views of the frames that the worker sent: copy before you write.
    """

    def __init__(self, id: Any, index: int, serial: int, n: int, meta: Any = None) -> None:
        self.id: Any = id
        self.index: int = index  # place in the prompts of this call
        self.serial: int = serial  # place in all groups of this Trainer's run
        self.n: int = n
        self.meta: Any = meta
        self.prompt_ids: np.ndarray = np.empty(0, np.int32)  # (n_prompt,) int32
        self.prompt_lp_full: Optional[np.ndarray] = None  # (n_prompt,) float32, first NaN
        self.tokens: List[np.ndarray] = [np.empty(0, np.int32)] * n  # (n_tokens,) int32
        self.lp_full: List[np.ndarray] = [np.empty(0, np.float32)] * n  # (n_tokens,) float32
        self.lp_behav: List[np.ndarray] = [np.empty(0, np.float32)] * n  # (n_tokens,) float32
        self.version_spans: List[List[Tuple[int, int]]] = [[] for _ in range(n)]
        self.text: List[Optional[str]] = [None] * n  # None: the model has no tokenizer
        self.finish_reason: List[str] = [""] * n  # stop, length, cancelled or error
        self.rewards: np.ndarray = np.full(n, np.nan)  # (n,) float64; NaN: no value
        self.status: List[str] = [""] * n  # "" where no reward was composed
        self.terms: List[List[Dict[str, Any]]] = [[] for _ in range(n)]
        self.errors: List[Optional[str]] = [None] * n  # a sentence where finish_reason is error
        # (n_prompt + n_tokens - 1, moe_layers, k) uint8 or uint16, where asked for
        self.routed_experts: List[Optional[np.ndarray]] = [None] * n

    @property
    def mean(self) -> float:
        """Of the rewards that have a value; NaN if none has."""
        known = self.rewards[~np.isnan(self.rewards)]
        return float(known.mean()) if known.size else float("nan")

    @property
    def std(self) -> float:
        """The population's standard deviation of the rewards that have a value; NaN if none has.

        GRPO divides by the sample's (n - 1): multiply by sqrt(k / (k - 1)) for that, where k
        rewards have a value.
        """
        known = self.rewards[~np.isnan(self.rewards)]
        return float(known.std()) if known.size else float("nan")

    @property
    def all_equal(self) -> bool:
        """Whether all rewards that have a value are the same: such a group has no advantage."""
        known = self.rewards[~np.isnan(self.rewards)]
        return bool((known == known[:1]).all())

    def __repr__(self) -> str:
        return (f"Group(id={self.id!r}, index={self.index}, n={self.n}, "
                f"rewards={self.rewards.tolist()})")
