"""What goes into `Trainer.generate`.

Every value is checked and encoded when a Sampling or a Prompt is made: what becomes of the lists
and dicts that it was made from counts no more.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import msgpack
import numpy as np
import xxhash

from . import checks
from .errors import ArgumentError
from .tables import (DRAFT_AUTO, DRAFT_OFF, DTYPES, I31, MAX_BIAS, MAX_BIAS_IDS, MAX_DRAFT, MAX_ID,
                    MAX_SAMPLES, MAX_STOPS, MAX_STOP_BYTES, MAX_STOP_IDS, TYPES)

Reward = Union[Mapping[str, Any], Sequence[Mapping[str, Any]]]
_NO_ID: Any = type("NoId", (), {"__repr__": lambda self: "<serial>",
                                "__reduce__": lambda self: "_NO_ID"})()
_TASK = {f.name: f for f in TYPES["TASK"][1]}
TASK_KEYS = {name: f.key for name, f in _TASK.items()}


class TaskColumn(NamedTuple):
    """One column of TASK, encoded."""

    key: int
    dtype: int
    n: int
    data: bytes


def task_column(name: str, n: int, data: bytes) -> TaskColumn:
    f = _TASK[name]
    return TaskColumn(f.key, DTYPES[f.kind][0], n, data)


def task_text(name: str, data: bytes) -> TaskColumn:
    return task_column(name, len(data), data)


def task_fields(values: Mapping[str, Any]) -> Tuple[int, bytes]:
    """How many of these fields of TASK are written, and how: the optional ones not when they are 0
    or false."""
    present = [(_TASK[name].key, value) for name, value in values.items()
               if value or _TASK[name].required]
    return len(present), b"".join(msgpack.packb(key) + msgpack.packb(value)
                                  for key, value in sorted(present))


def group_seed(seed: int, id_json: Union[str, bytes]) -> int:
    """xxh3-64 of the request's seed (uint64, little-endian) and the id's JSON text."""
    text = id_json.encode() if isinstance(id_json, str) else id_json
    return xxhash.xxh3_64_intdigest(struct.pack("<Q", seed) + text)


# What the worker takes, and what it would take it for: it computes in float32.
_NUMBERS: Dict[str, Tuple[Callable[[float], bool], str]] = {
    "temperature": (lambda v: v == 0 or 1e-5 <= v <= 1e5, "0 (greedy), or 1e-5 to 1e5"),
    "top_p": (lambda v: 0 < v <= 1 and bool(np.float32(v) > 0), "above 0, at most 1"),
    "min_p": (lambda v: 0 <= v <= 1, "from 0 to 1"),
    "repetition_penalty": (lambda v: 1e-3 <= v <= 1e3, "from 1e-3 to 1e3"),
}


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; transformers' order and definitions.

    The order is logit bias, repetition penalty (prompt and output), temperature, top-k, top-p
    (the token that crosses p is kept), min-p, renormalise. `seed` wins over that of `generate`.

    temperature is 0 (greedy) or 1e-5 to 1e5; top_k 0 (off) or more; top_p above 0, at most 1 (off);
    min_p 0 (off) to 1; repetition_penalty 1e-3 to 1e3; stop one text or at most 64, of 64 KiB
    together; stop_ids at most 1,024 ids; logit_bias at most 65,536 ids, each bias within 1e30.

    draft says how far the worker may guess ahead: "auto", "off" or 0 to 64 tokens; None is what it
    was told. It changes the speed and no bit.
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
    draft: Union[None, str, int] = None

    def __post_init__(self) -> None:
        put = self.__dict__.__setitem__
        for name, (good, expected) in _NUMBERS.items():
            value = checks.number(f"Sampling: {name}", getattr(self, name), expected)
            if not good(value):
                raise checks.refuse(f"Sampling: {name}", value, expected)
            put(name, value)
        for name in ("top_k", "max_new_tokens"):
            put(name, checks.integer(f"Sampling: {name}", getattr(self, name), 0, I31))
        put("ignore_eos", checks.flag("Sampling: ignore_eos", self.ignore_eos))
        if self.seed is not None:
            put("seed", checks.integer("Sampling: seed", self.seed, 0, checks.U64))
        draft = self._check_draft()
        put("stop", self._check_stop())
        put("stop_ids", self._check_stop_ids())
        put("logit_bias", self._check_bias())
        put("_encoded", (self._encode_fields(), self._encode_columns(),
                         task_fields({"draft": draft})))

    def _check_draft(self) -> int:
        """As TASK has it."""
        names = {None: 0, "auto": DRAFT_AUTO, "off": DRAFT_OFF}
        if self.draft is None or isinstance(self.draft, str):
            if self.draft in names:
                return names[self.draft]
            raise checks.refuse("Sampling: draft", self.draft,
                                f"None, 'auto', 'off', or 0 to {MAX_DRAFT} tokens")
        return DRAFT_OFF + checks.integer("Sampling: draft", self.draft, 0, MAX_DRAFT)

    def _check_stop(self) -> Tuple[str, ...]:
        expected = f"a text or a list of at most {MAX_STOPS} texts that are not empty"
        stop = [self.stop] if isinstance(self.stop, str) else checks.items(
            "Sampling: stop", self.stop, expected)
        if len(stop) > MAX_STOPS:
            raise ArgumentError(f"Sampling: stop has {len(stop)} texts, expected "
                                       f"{expected}.")
        for i, text in enumerate(stop):
            if not checks.text(f"Sampling: stop[{i}]", text):
                raise checks.refuse(f"Sampling: stop[{i}]", text, "a text that is not empty")
        n_bytes = sum(len(text.encode()) for text in stop)
        if n_bytes > MAX_STOP_BYTES:
            raise ArgumentError(f"Sampling: stop has {n_bytes:,} bytes of text, expected at most "
                                f"{MAX_STOP_BYTES:,}.")
        return tuple(map(str, stop))

    def _check_stop_ids(self) -> Tuple[int, ...]:
        ids = checks.token_ids("Sampling: stop_ids", self.stop_ids).tolist()
        if len(set(ids)) > MAX_STOP_IDS:
            raise ArgumentError(f"Sampling: stop_ids has {len(set(ids))} ids, expected at "
                                       f"most {MAX_STOP_IDS}.")
        return tuple(dict.fromkeys(ids))

    def _check_bias(self) -> Dict[int, float]:
        bias = self.logit_bias
        if not isinstance(bias, Mapping):
            raise checks.refuse_kind("Sampling: logit_bias", bias, "a dict from token id to bias")
        if len(bias) > MAX_BIAS_IDS:
            raise ArgumentError(f"Sampling: logit_bias has {len(bias):,} ids, expected at "
                                       f"most {MAX_BIAS_IDS:,}.")
        out: Dict[int, float] = {}
        for key, value in bias.items():
            id_ = checks.integer("Sampling: a token id of logit_bias", key, 0, I31)
            where, expected = f"Sampling: logit_bias[{id_}]", "a number from -1e30 to 1e30"
            out[id_] = checks.number(where, value, expected)
            if abs(out[id_]) > MAX_BIAS:
                raise checks.refuse(where, value, expected)
        return out

    def _encode_fields(self) -> Tuple[int, bytes]:
        return task_fields({name: getattr(self, name) for name in (
            "max_new_tokens", "temperature", "top_p", "min_p", "repetition_penalty", "top_k",
            "ignore_eos")})

    def _encode_columns(self) -> List[TaskColumn]:
        out: List[TaskColumn] = []
        if self.stop:
            texts = [text.encode() for text in self.stop]
            offsets = np.cumsum([0, *map(len, texts)]).astype("<i8")
            out += [task_text("stop", b"".join(texts)),
                    task_column("stop_offsets", len(offsets), offsets.tobytes())]
        if self.stop_ids:
            ids = np.array(self.stop_ids, "<i4")
            out.append(task_column("stop_ids", len(ids), ids.tobytes()))
        if self.logit_bias:
            ids = np.array(list(self.logit_bias), "<i4")
            values = np.array(list(self.logit_bias.values()), "<f4")
            out += [task_column("bias_ids", len(ids), ids.tobytes()),
                    task_column("bias_values", len(values), values.tobytes())]
        return out

    @property
    def encoded(self) -> Tuple[Tuple[int, bytes], List[TaskColumn], Tuple[int, bytes]]:
        """Fields 7 to 13 of TASK, its columns that are of sampling, and fields from 30 on."""
        out: Tuple[Tuple[int, bytes], List[TaskColumn], Tuple[int, bytes]]
        out = self.__dict__["_encoded"]
        return out


@dataclass(frozen=True)
class Prompt:
    """One prompt: exactly one of `prompt` (text), `messages` (chat) and `prompt_ids` (tokens).

    `tools` goes with `messages`: what the chat template is told of tools, as transformers'
    apply_chat_template takes it (dicts of JSON values, no functions).
    `id` is any JSON value of at most 4,096 bytes; a group without one has its serial as id.
    `reward` is a term, a list of terms, or {"terms": [...], "clamp": ..., "scale": ...}. `meta` is
    any JSON value and comes back as it was. `n` and `sampling` win over those of `generate`.
    """

    prompt: Optional[str] = None
    messages: Optional[Sequence[Mapping[str, Any]]] = None
    prompt_ids: Optional[Sequence[int]] = None
    id: Any = _NO_ID
    reward: Optional[Reward] = None
    meta: Any = None
    n: Optional[int] = None
    sampling: Optional[Sampling] = None
    tools: Optional[Sequence[Mapping[str, Any]]] = None

    def __post_init__(self) -> None:
        given = [name for name in ("prompt", "messages", "prompt_ids")
                 if getattr(self, name) is not None]
        if len(given) != 1:
            raise ArgumentError(f"Prompt: {' and '.join(given) or 'none'} of prompt, "
                                       "messages and prompt_ids given, expected exactly one.")
        if self.tools is not None and self.messages is None:
            raise ArgumentError("Prompt: tools are given without messages, expected both.")
        put = self.__dict__.__setitem__
        if self.n is not None:
            put("n", checks.integer("Prompt: n", self.n, 1, MAX_SAMPLES))
        if self.sampling is not None and not isinstance(self.sampling, Sampling):
            raise checks.refuse_kind("Prompt: sampling", self.sampling, "a stampede.Sampling")
        put("_id_json", checks.json_bytes("Prompt: id", self.id, MAX_ID) if self.has_id else b"")
        put("_encoded", (self._encode_prompt(), self._encode_rest()))

    def _encode_prompt(self) -> TaskColumn:
        if self.prompt is not None:
            checks.text("Prompt: prompt", self.prompt)
            return task_text("prompt", self.prompt.encode())
        if self.prompt_ids is not None:
            ids = checks.token_ids("Prompt: prompt_ids", self.prompt_ids)
            return task_column("prompt_ids", len(ids), ids.tobytes())
        return task_text("messages", _objects("messages", self.messages,
                                              '{"role": "user", "content": "..."}'))

    def _encode_rest(self) -> List[TaskColumn]:
        out: List[TaskColumn] = []
        if self.reward is not None:
            out.append(task_text("reward", reward_json("Prompt: reward", self.reward)))
        if self.tools is not None:
            out.append(task_text("tools", _objects("tools", self.tools,
                                                   '{"type": "function", "function": {...}}')))
        if self.meta is not None:
            out.append(task_text("meta", checks.json_bytes("Prompt: meta", self.meta)))
        return out

    @property
    def has_id(self) -> bool:
        return self.id is not _NO_ID

    @property
    def id_json(self) -> bytes:
        """The id as JSON text; empty where it has none."""
        out: bytes = self.__dict__["_id_json"]
        return out

    @property
    def encoded(self) -> Tuple[TaskColumn, List[TaskColumn]]:
        """The column with the prompt, and those of reward, tools and meta."""
        out: Tuple[TaskColumn, List[TaskColumn]] = self.__dict__["_encoded"]
        return out


def _objects(name: str, value: Any, example: str) -> bytes:
    """A list of dicts as JSON."""
    where = f"Prompt: {name}"
    objects = checks.items(where, value, f"a list of {name}")
    for i, one in enumerate(objects):
        if not isinstance(one, Mapping):
            raise checks.refuse_kind(f"{where}[{i}]", one, f"a dict such as {example}")
    return checks.json_bytes(where, [dict(one) for one in objects])


def reward_json(where: str, reward: Any) -> bytes:
    """The reward as the wire takes it: a list of terms or an object with "terms"."""
    expected = 'a term, a list of terms, or {"terms": [...]}'
    if isinstance(reward, Mapping):
        whole: Any = dict(reward) if "terms" in reward else [dict(reward)]
    else:
        whole = checks.items(where, reward, expected)
        for i, term in enumerate(whole):
            if not isinstance(term, Mapping):
                raise checks.refuse_kind(f"{where}[{i}]", term, "a term, which is a dict")
        whole = [dict(term) for term in whole]
    return checks.json_bytes(where, whole)
