"""RESULT: checked whole when it comes, and looked into only when someone asks.

Most of what a trainer receives are RESULTs, so nothing here is done by sample or by column that can
be done for all of them at once: the places of all columns are one flat list of numbers, and offsets
are unpacked and compared by C code. What was checked is not kept: the payload is, and the places.
"""

from __future__ import annotations

import json
from array import array
from functools import reduce
from itertools import chain
from operator import add, itemgetter, mul, or_
from struct import unpack_from
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .errors import WireError
from .messages import Column, Message
from .tables import ALIGNMENT, DTYPES, FINISH, MAX_SAMPLES, STATUS, TYPES, Field

PREEMPTED = FINISH.index("preempted")
_PREEMPTED_CODE = bytes((PREEMPTED,))
_FINISH_CODES = bytes(range(1, len(FINISH)))
_UNGRADED = bytes((FINISH.index("cancelled"), FINISH.index("error")))
_STATUS_CODES = bytes(range(len(STATUS)))
_SCALARS = {f.key: f for f in TYPES["RESULT"][1] if f.kind in ("int", "text")}
_COLUMNS = {f.key: f for f in TYPES["RESULT"][1] if f.key not in _SCALARS}
_TYPES = {number: dtype for number, dtype in DTYPES.values() if dtype is not None}
_FIELDS = {**_SCALARS, **_COLUMNS}
_REQUIRED = frozenset(f.key for f in _FIELDS.values() if f.required)
_LISTS, _THREES, _INTS = {list}, {3}, {int}
_TOGETHER = (("text", "text_offsets"), ("reward", "reward_offsets"), ("error", "error_offsets"),
             ("routed", "routed_offsets"))
_MAX_LAYOUTS = 64


def _refuse(what: str) -> WireError:
    return WireError("field", f"RESULT: {what}.")


class Layout:
    """Which fields a RESULT has: one object for all whose keys agree."""

    __slots__ = ("keys", "columns", "index", "dtypes", "sizes", "pick")
    _known: Dict[Tuple[int, ...], "Layout"] = {}

    def __init__(self, keys: Tuple[int, ...]) -> None:
        fields = [_COLUMNS[key] for key in keys if key in _COLUMNS]
        self.keys = keys
        self.columns = fields
        self.index = {f.name: i for i, f in enumerate(fields)}
        self.dtypes = [DTYPES[f.kind.split("|")[0]][0] for f in fields]  # routed may be u16
        self.sizes = [_TYPES[number].itemsize for number in self.dtypes]
        for key in _REQUIRED.difference(keys):
            raise _refuse(f"field {_FIELDS[key].name} is missing")
        for pair in _TOGETHER:
            if (pair[0] in self.index) != (pair[1] in self.index):
                raise _refuse(f"{pair[0]} and {pair[1]} go together")
        self.pick = itemgetter(*(f.key for f in fields))  # the values of the columns

    @classmethod
    def of(cls, keys: Tuple[int, ...]) -> "Layout":
        layout = cls._known.get(keys)
        if layout is None:
            layout = Layout(keys)
            if len(cls._known) >= _MAX_LAYOUTS:
                cls._known.clear()  # a peer that plays with them costs time and no memory
            cls._known[keys] = layout
        return layout

    def __reduce__(self) -> Any:
        return Layout.of, (self.keys,)


class Origin(NamedTuple):
    """The worker that sent a RESULT."""

    worker: str
    incarnation: int
    build: str
    numerics: str
    config: str  # hash of config and tokenizer


class Result(Message):
    """Samples of one task that ended. Rows are places in this message, samples the group's."""

    __slots__ = ("result", "serial", "digest", "n", "first", "is_plain", "finish", "origin",
                 "_scalars", "_payload", "_layout", "_places")

    def __init__(self, body: Dict[int, Any], payload: bytes, run: str, epoch: int, seq: int,
                 minor: int) -> None:
        """`body`: the fields by key; `payload` with the right checksum. Raises WireError."""
        super().__init__("RESULT", None, run, epoch, seq, minor)
        self.origin: Optional[Origin] = None  # filled by who knows whose session it came in
        self._payload = payload
        self._layout = Layout.of(tuple(body))
        self._take_scalars(body)
        self._take_places(self._layout.pick(body))
        self._check_samples()
        self._check_lists()

    # --- checks ---

    def _take_scalars(self, body: Dict[int, Any]) -> None:
        scalars: Dict[str, Any] = {}
        for key, f in _SCALARS.items():
            if key in body:
                value = scalars[f.name] = body[key]
                if f.kind == "int":
                    good = type(value) is int and 0 <= value <= f.max
                else:
                    good = type(value) is str and len(value.encode()) <= f.max
                if not good:
                    raise _refuse(f"field {f.name} is malformed or too large")
        self._scalars = scalars
        self.result, self.serial, self.digest = (scalars["result"], scalars["serial"],
                                                 scalars["digest"])

    def _take_places(self, values: Sequence[Any]) -> None:
        """`values`: [dtype, n, offset] of each column, as they came: anything at all."""
        layout = self._layout
        if set(map(type, values)) != _LISTS or set(map(len, values)) != _THREES:
            raise _refuse("a column is not [dtype, n, offset]")
        flat = list(chain.from_iterable(values))
        try:
            self._places = array("I", flat)
        except (TypeError, OverflowError):
            raise _refuse("a column is not [dtype, n, offset]") from None
        if set(map(type, flat)) != _INTS:
            raise _refuse("a column is not [dtype, n, offset]")
        dtypes, lengths, places, sizes = flat[::3], flat[1::3], flat[2::3], layout.sizes
        if dtypes != layout.dtypes:
            sizes = [self._check_dtype(f, dtype) for f, dtype in zip(layout.columns, dtypes)]
        ends = map(add, places, map(mul, lengths, sizes))
        if reduce(or_, places) % ALIGNMENT or max(ends) > len(self._payload):
            raise _refuse("a column lies outside of the payload, or not at a multiple of "
                          f"{ALIGNMENT}")

    @staticmethod
    def _check_dtype(f: Field, dtype: int) -> int:
        for name in f.kind.split("|"):
            number, numpy_type = DTYPES[name]
            if number == dtype and numpy_type is not None:
                return numpy_type.itemsize
        raise _refuse(f"field {f.name} has dtype {dtype}, expected {f.kind}")

    def _check_samples(self) -> None:
        n = self.n = self._n("sample")
        if n == 0:
            raise _refuse("sample is empty")
        samples = self.samples
        if min(samples) < 0 or max(samples) >= MAX_SAMPLES:
            raise _refuse(f"sample has a value outside 0 to {MAX_SAMPLES - 1}")
        self.finish = self._bytes("finish")
        # Nearly all are: samples first .. first + n - 1, each of which ended.
        self.first = samples[0]
        self.is_plain = (samples == tuple(range(self.first, self.first + n))
                         and _PREEMPTED_CODE not in self.finish)
        status = self._bytes("status")
        for name, codes, allowed in (("finish", self.finish, _FINISH_CODES),
                                     ("status", status, _STATUS_CODES)):
            if codes.translate(None, allowed):
                raise _refuse(f"{name} has a value outside {allowed[0]} to {allowed[-1]}")
        if len(self.finish) != n or (status and len(status) != n):
            raise _refuse(f"finish and status have {len(self.finish)} and {len(status)} elements, "
                          f"expected {n}")
        for name in ("status", "value"):
            if name in self._layout.index and self._n(name) != n:
                raise _refuse(f"{name} has {self._n(name)} elements, expected {n}")

    def _check_lists(self) -> None:
        index = self._layout.index
        n_tokens, n_spans = self._n("tokens"), self._n("span_first")
        self._check_offsets("token_offsets", n_tokens)
        self._check_offsets("span_offsets", n_spans)
        if self._n("lp_full") != n_tokens or self._n("lp_behav") != n_tokens:
            raise _refuse(f"lp_full and lp_behav have not {n_tokens} elements")
        if self._n("span_version") != n_spans:
            raise _refuse(f"span_version has not {n_spans} elements")
        for name in ("text", "reward", "error"):
            if name in index:
                self._check_offsets(f"{name}_offsets", self._n(name))
        if "prompt_lp_full" in index:
            n_prompt = self._n("prompt_ids") if "prompt_ids" in index else 0
            if self._n("prompt_lp_full") != n_prompt:
                raise _refuse(f"prompt_lp_full has not {n_prompt} elements")
        if "routed" in index:
            width = self["moe_layers"] * self["experts_per_token"]
            if width == 0 or self._n("routed") % width:
                raise _refuse("routed is not positions of layers and experts")
            self._check_offsets("routed_offsets", self._n("routed") // width)

    def _check_offsets(self, name: str, end: int) -> None:
        n = self.n + 1
        if self._n(name) == n:
            offsets = list(self._unpack(name, "q"))
            if offsets[0] == 0 and offsets[-1] == end and sorted(offsets) == offsets:
                return
        raise _refuse(f"{name} are not {n} offsets from 0 to {end}")

    # --- columns ---

    def _n(self, name: str) -> int:
        n: int = self._places[3 * self._layout.index[name] + 1]
        return n

    def _bytes(self, name: str) -> bytes:
        """A u8 column; empty where it is absent."""
        i = self._layout.index.get(name)
        if i is None:
            return b""
        n, at = self._places[3 * i + 1:3 * i + 3]
        return self._payload[at:at + n]

    def _unpack(self, name: str, code: str) -> Tuple[Any, ...]:
        i = 3 * self._layout.index[name]
        return unpack_from(f"<{self._places[i + 1]}{code}", self._payload, self._places[i + 2])

    def column(self, name: str) -> Optional[Column]:
        """A read-only view of the payload; None where the column is absent."""
        i = self._layout.index.get(name)
        if i is None:
            return None
        number, n, at = self._places[3 * i:3 * i + 3]
        if n == 0:
            return np.empty(0, _TYPES[number])
        return np.frombuffer(self._payload, _TYPES[number], n, at)

    @property
    def fields(self) -> Dict[str, Any]:
        columns = {name: self.column(name) for name in self._layout.index}
        return {**self._scalars, **columns}

    def __getitem__(self, name: str) -> Any:
        if name in self._layout.index:
            return self.column(name)
        return self._scalars[name] if name in self._scalars else super().__getitem__(name)

    # --- by row ---

    @property
    def samples(self) -> Tuple[int, ...]:
        return self._unpack("sample", "i")

    @property
    def last_version(self) -> Optional[int]:
        """The newest policy version of all spans; None when nothing was generated."""
        return max(self._unpack("span_version", "Q"), default=None)

    def lengths(self) -> List[int]:
        """Tokens of each row."""
        ends = self._unpack("token_offsets", "q")
        return [b - a for a, b in zip(ends, ends[1:])]

    def single_versions(self) -> Optional[Tuple[int, ...]]:
        """The policy version of each row, if each has one span from its first token on."""
        if self._n("span_first") != self.n or any(self._unpack("span_first", "i")) or \
                self._unpack("span_offsets", "q") != tuple(range(self.n + 1)):
            return None
        return self._unpack("span_version", "Q")

    def split(self, name: str, offsets: str) -> List[Column]:
        """A column by row, as views."""
        whole = self.column(name)
        assert whole is not None
        ends = self._unpack(offsets, "q")
        return [whole[a:b] for a, b in zip(ends, ends[1:])]

    def texts(self, name: str) -> Optional[List[str]]:
        """A list of texts by row; None where it is absent."""
        if name not in self._layout.index:
            return None
        ends, joined = self._unpack(f"{name}_offsets", "q"), self._bytes(name)
        return [joined[a:b].decode("utf-8", "replace") for a, b in zip(ends, ends[1:])]

    def values(self) -> Optional[Column]:
        """The rewards; NaN also where a sample was cancelled or failed."""
        values = self.column("value")
        if values is not None and len(self.finish.translate(None, _UNGRADED)) < self.n:
            values = values.copy()
            values[[row for row, code in enumerate(self.finish) if code in _UNGRADED]] = np.nan
        return values

    def statuses(self) -> Optional[List[str]]:
        codes = self._bytes("status")
        return [STATUS[code] for code in codes] if codes else None

    def terms(self) -> List[List[Dict[str, Any]]]:
        """The terms of each reward; none where no reward was composed, or where it is no JSON."""
        texts = self.texts("reward")
        return _terms(texts) if texts is not None else [[] for _ in range(self.n)]

    def spans(self) -> List[List[Tuple[int, int]]]:
        """(first output token, policy version) of each span."""
        ends = self._unpack("span_offsets", "q")
        pairs = list(zip(self._unpack("span_first", "i"), self._unpack("span_version", "Q")))
        return [pairs[a:b] for a, b in zip(ends, ends[1:])]

    def routed(self) -> Optional[List[Column]]:
        """The routed experts of each row, (positions, moe_layers, experts_per_token)."""
        if "routed" not in self._layout.index:
            return None
        shape = (-1, self["moe_layers"], self["experts_per_token"])
        whole, ends = self["routed"].reshape(shape), self._unpack("routed_offsets", "q")
        return [whole[a:b] for a, b in zip(ends, ends[1:])]

    def __reduce__(self) -> Any:
        state = {name: getattr(self, name) for name in ("run", "epoch", "seq", "minor")}
        state.update((name, getattr(self, name)) for name in Result.__slots__)
        return _restored, (state,)


def _restored(state: Dict[str, Any]) -> Result:
    result = Result.__new__(Result)
    result.type, result._fields = "RESULT", {}
    for name, value in state.items():
        setattr(result, name, value)
    return result


def _terms(texts: Sequence[str]) -> List[List[Dict[str, Any]]]:
    try:
        whole = json.loads(f"[{','.join(text or '{}' for text in texts)}]")
        if len(whole) == len(texts):
            return [reward.get("terms", []) for reward in whole]
    except (ValueError, AttributeError, RecursionError):
        pass
    if len(texts) == 1:
        return [[]]
    return [_terms([text])[0] for text in texts]  # one of them is no reward
