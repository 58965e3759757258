"""A message and its frames. Encoding is canonical: C and Python write the same bytes for it."""

from __future__ import annotations

import math
from functools import lru_cache
from operator import index
from typing import Any, Dict, List, Optional, Sequence, Tuple

import msgpack
import numpy as np
import xxhash
from numpy.typing import NDArray

from .errors import WireError
from .tables import (ALIGNMENT, DTYPES, MAGIC, MAJOR, MAX_HEADER, MAX_PAYLOAD,
                     MAX_RESULT_PAYLOAD, MINOR, TYPES, Field)

Column = NDArray[Any]
_DEFAULTS: Dict[str, Dict[str, Any]] = {
    kind: {f.name: {"bool": False, "int": 0, "float": 0.0, "text": ""}.get(f.kind) for f in fields}
    for kind, (_, fields) in TYPES.items()}


class Message:
    """One message. `fields` holds what was present: ints, floats, bools, str, numpy columns."""

    __slots__ = ("type", "_fields", "run", "epoch", "seq", "minor")

    def __init__(self, type: str, fields: Optional[Dict[str, Any]] = None, run: str = "",
                 epoch: int = 0, seq: int = 0, minor: int = MINOR) -> None:
        self.type = type
        self._fields = {} if fields is None else fields
        self.run, self.epoch, self.seq, self.minor = run, epoch, seq, minor

    @property
    def fields(self) -> Dict[str, Any]:
        return self._fields

    def __getitem__(self, name: str) -> Any:
        """A field, with the protocol's default where it was absent (columns: None)."""
        value = self.fields.get(name)
        return _DEFAULTS[self.type][name] if value is None else value

    def __repr__(self) -> str:
        return f"Message({self.type}, {self.fields}, {self.run!r}, {self.epoch}, {self.seq})"


def pack_texts(texts: Sequence[bytes]) -> Tuple[Column, Column]:
    """A list of texts as its two columns: the bytes joined, and len + 1 offsets."""
    offsets = np.zeros(len(texts) + 1, dtype="<i8")
    np.cumsum([len(t) for t in texts], out=offsets[1:])
    return np.frombuffer(b"".join(texts), dtype="<u1"), offsets


def unpack_texts(joined: Optional[Column], offsets: Optional[Column]) -> List[str]:
    """The inverse of pack_texts; an absent list is empty. Bytes that are no UTF-8 become U+FFFD."""
    if joined is None or offsets is None:
        return []
    raw, ends = joined.tobytes(), offsets.tolist()
    return [raw[a:b].decode("utf-8", "replace") for a, b in zip(ends, ends[1:])]


def column_text(column: Optional[Column]) -> str:
    """A u8 column as text; absent is empty."""
    return "" if column is None else column.tobytes().decode("utf-8", "replace")


@lru_cache(maxsize=256)
def header_start(kind: str, run: str, epoch: int) -> bytes:
    """The header up to the 8 bytes of `seq`: the same in all messages of a kind in a session."""
    pack = msgpack.packb
    number = TYPES[kind][0]
    return b"".join((b"\x98", pack(MAGIC), pack(MAJOR), pack(MINOR), pack(number), pack(run),
                     pack(epoch), b"\xcf"))


def describe_payload(payload: bytes) -> List[Any]:
    """Key 0 of the fields."""
    return [len(payload), xxhash.xxh3_64_intdigest(payload), "little"]


def _pack_column(name: str, kind: str, value: Any, payload: bytearray) -> List[int]:
    array = np.ascontiguousarray(value)
    for dtype in kind.split("|"):
        number, numpy_type = DTYPES[dtype]
        if array.dtype == numpy_type:
            break
    else:
        raise WireError("field", f"Field {name} has type {array.dtype}, expected {kind}.")
    if array.size == 0:
        return [number, 0, 0]
    payload.extend(bytes(-len(payload) % ALIGNMENT))
    at = len(payload)
    payload.extend(array.reshape(-1).view(np.uint8).data)
    return [number, int(array.size), at]


def _pack_scalar(f: Field, value: Any) -> Any:
    if f.kind == "bool":
        return bool(value)
    if f.kind == "float":
        value = float(value)
        if math.isfinite(value):
            return value
    elif f.kind == "text":
        if len(value.encode()) <= f.max:
            return value
    elif 0 <= index(value) <= f.max:
        return index(value)
    raise WireError("field", f"Field {f.name} is out of range or too large.")


def _pack_fields(kind: str, fields: Dict[str, Any], payload: bytearray) -> Dict[int, Any]:
    table = TYPES[kind][1]
    body: Dict[int, Any] = {}
    unknown = fields.keys() - _DEFAULTS[kind].keys()
    if unknown:
        raise WireError("field", f"{kind} has no field {sorted(unknown)[0]}.")
    for f in table:
        value = fields.get(f.name)
        if value is None:
            if f.required:
                raise WireError("field", f"{kind}: field {f.name} is missing.")
            continue
        if f.kind in ("bool", "int", "float", "text"):
            value = _pack_scalar(f, value)
            if not f.required and f.kind != "float" and not value:
                continue
        else:
            value = _pack_column(f.name, f.kind, value, payload)
        body[f.key] = value
    return body


def check_sizes(kind: str, header: int, payload: int) -> None:
    limit = MAX_RESULT_PAYLOAD if kind == "RESULT" else MAX_PAYLOAD
    if header > MAX_HEADER or payload > limit:
        raise WireError("size", f"{kind}: a header of {header} and a payload of {payload} bytes, "
                                f"at most {MAX_HEADER} and {limit} are allowed.")


def encode(message: Message) -> List[bytes]:
    """The frames of a message: the header and, where it has columns with elements, the payload."""
    columns = bytearray()
    body = _pack_fields(message.type, message.fields, columns)
    payload = bytes(columns)
    if payload:
        body = {0: describe_payload(payload), **body}
    header = b"".join((header_start(message.type, message.run, message.epoch),
                       message.seq.to_bytes(8, "big"), msgpack.packb(body)))
    check_sizes(message.type, len(header), len(payload))
    return [header, payload] if payload else [header]
