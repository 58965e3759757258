"""Frames to messages: the Python half of protocol/PROTOCOL.md.

Decoding checks sizes, types, required fields and the lengths that belong together, and never
executes anything that a peer has sent. The tables are in tables.py, the other direction is in
messages.py; both are to be had from here.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple, Union

import msgpack
import numpy as np
import xxhash

from .errors import WireError
from .messages import (Column, Message, column_text, describe_payload, encode, header_start,
                       pack_texts, unpack_texts)
from .results import PREEMPTED, Result
from .tables import (ALIGNMENT, BYE_LEAVING, BYE_RUN_COMPLETE, DTYPE_NAMES, DTYPES, FINISH,
                     HEARTBEAT_MS, I31, LOST_MS, MAGIC, MAJOR, MAX_BIAS, MAX_BIAS_IDS, MAX_CHUNK,
                     MAX_DEADLINE_MS, MAX_DEPTH, MAX_ELEMENTS, MAX_FILE_HEADER, MAX_HEADER, MAX_ID,
                     MAX_PAYLOAD, MAX_RANKS, MAX_RESULT_PAYLOAD, MAX_RUN, MAX_SAMPLES,
                     MAX_STOP_BYTES, MAX_STOP_IDS, MAX_STOPS, MAX_TEXT, MINOR, NCCL_ID_BYTES,
                     PHASE_APPLIED, PHASE_FAILED, PHASE_RECEIVING, PHASE_ROLLED_BACK, PHASE_STAGED,
                     REFUSALS, STATUS, TENSOR_DENSE, TENSOR_SKIP, TENSOR_SPARSE, TRANSPORT_BULK,
                     TRANSPORT_DIRECTORY, TRANSPORT_NCCL, TYPE_NAMES, TYPES, U8, U32, U64, Field)

__all__ = [
    "ALIGNMENT", "BYE_LEAVING", "BYE_RUN_COMPLETE", "Column", "DTYPES", "DTYPE_NAMES", "FINISH",
    "Field", "HEARTBEAT_MS", "I31", "LOST_MS", "MAGIC", "MAJOR", "MAX_BIAS", "MAX_BIAS_IDS",
    "MAX_CHUNK", "MAX_DEADLINE_MS", "MAX_DEPTH", "MAX_ELEMENTS", "MAX_FILE_HEADER", "MAX_HEADER",
    "MAX_ID", "MAX_PAYLOAD", "MAX_RANKS", "MAX_RESULT_PAYLOAD", "MAX_RUN", "MAX_SAMPLES",
    "MAX_STOPS", "MAX_STOP_BYTES", "MAX_STOP_IDS", "MAX_TEXT", "MINOR", "Message", "NCCL_ID_BYTES",
    "PHASE_APPLIED", "PHASE_FAILED", "PHASE_RECEIVING", "PHASE_ROLLED_BACK", "PHASE_STAGED",
    "PREEMPTED", "REFUSALS", "Result", "STATUS", "TENSOR_DENSE", "TENSOR_SKIP", "TENSOR_SPARSE",
    "TRANSPORT_BULK", "TRANSPORT_DIRECTORY", "TRANSPORT_NCCL", "TYPES", "TYPE_NAMES", "U32", "U64",
    "U8", "WireError", "column_text", "decode", "describe_payload", "encode", "header_start",
    "pack_texts", "unpack_texts", "xxhash",
]


class _Pairs(List[Tuple[Any, Any]]):
    """A map as it came: in a dict a repeated key would be lost before it is seen."""


_INTS = {int}
_BY_KEY: Dict[str, Dict[int, Field]] = {
    kind: {f.key: f for f in fields} for kind, (_, fields) in TYPES.items()}
_KNOWN: Dict[str, FrozenSet[int]] = {
    kind: frozenset((0, *table)) for kind, table in _BY_KEY.items()}
_REQUIRED: Dict[str, FrozenSet[int]] = {
    kind: frozenset(f.key for f in fields if f.required) for kind, (_, fields) in TYPES.items()}
_UNPACK = dict(raw=False, strict_map_key=False, use_list=True, max_str_len=MAX_TEXT,
               max_bin_len=MAX_TEXT, max_ext_len=0, max_array_len=MAX_ELEMENTS,
               max_map_len=MAX_ELEMENTS // 2, object_pairs_hook=_Pairs)


def _is_uint(value: Any, maximum: int = U64) -> bool:
    return type(value) is int and 0 <= value <= maximum


def _count_elements(value: Any, depth: int) -> int:
    """Keys and values of all containers in `value`, which is `depth` containers deep itself."""
    if type(value) is _Pairs:
        inside = [part for pair in value for part in pair]
    elif type(value) is list:
        inside = value
    else:
        return 0
    if depth >= MAX_DEPTH:
        raise WireError("msgpack", f"The header is nested more than {MAX_DEPTH} deep.")
    return len(inside) + sum(_count_elements(part, depth + 1) for part in inside)


def _unpack_header(header: bytes) -> List[Any]:
    if len(header) > MAX_HEADER:
        raise WireError("size", f"A header of {len(header)} bytes, at most {MAX_HEADER}.")
    try:
        root = msgpack.unpackb(header, **_UNPACK)
    except Exception as error:  # msgpack raises a dozen kinds, all of them mean the same here
        raise WireError("msgpack", f"The header is no msgpack in the limits: {error}.") from None
    if type(root) is not list or len(root) < 8 or root[0] != MAGIC:
        raise WireError("header", f'The header is no array of 8 that begins with "{MAGIC}".')
    # An element has at least one byte, and known fields are no deeper than 3.
    if (len(header) > MAX_ELEMENTS or len(root) > 8) and _count_elements(root, 0) > MAX_ELEMENTS:
        raise WireError("msgpack", "The header has too many elements.")
    return root


def _by_key(kind: str, pairs: _Pairs) -> Dict[int, Any]:
    try:
        body = dict(pairs)
    except TypeError:
        body = {}  # a key that is no number at all
    keys = list(body)
    if len(body) != len(pairs) or (keys and (
            set(map(type, keys)) != _INTS or sorted(keys) != keys or keys[0] < 0
            or keys[-1] > U8)):
        raise WireError("field", "Keys are not whole numbers that rise.")
    if not _KNOWN[kind].issuperset(keys):  # of a later minor: ignored, within the limits
        _count_elements(pairs, 1)
    return body


def _check_payload(kind: str, body: Dict[int, Any], payload: bytes) -> None:
    if (0 in body) != (len(payload) > 0):
        raise WireError("payload", f"{kind}: a payload and key 0 of the header go together.")
    if 0 not in body:
        return
    limit = MAX_RESULT_PAYLOAD if kind == "RESULT" else MAX_PAYLOAD
    if len(payload) > limit:
        raise WireError("size", f"{kind}: a payload of {len(payload)} bytes, at most {limit}.")
    told = body[0]
    if (type(told) is not list or len(told) != 3 or told[2] != "little"
            or not _is_uint(told[0]) or not _is_uint(told[1])):
        raise WireError("payload", f'{kind}: key 0 is not [bytes, xxh3-64, "little"].')
    if told != describe_payload(payload):
        raise WireError("payload", f"{kind}: the payload's size or checksum is not the header's.")


def _unpack_column(f: Field, value: Any, payload: bytes) -> Optional[Column]:
    if type(value) is not list or len(value) != 3 or not all(_is_uint(v) for v in value):
        return None
    name = DTYPE_NAMES.get(value[0])
    if name not in f.kind.split("|"):
        return None
    numpy_type = DTYPES[name][1]
    assert numpy_type is not None
    n, at = value[1], value[2]
    if at % ALIGNMENT or at > len(payload) or n * numpy_type.itemsize > len(payload) - at:
        return None
    if n == 0:
        return np.empty(0, dtype=numpy_type)
    return np.frombuffer(payload, dtype=numpy_type, count=n, offset=at)


def _unpack_field(f: Field, value: Any, payload: bytes) -> Any:
    """The value, or None when it is malformed."""
    if f.kind == "int":
        return value if _is_uint(value, f.max) else None
    if f.kind == "bool":
        return value if type(value) is bool else None
    if f.kind == "float":
        number = float(value) if type(value) in (int, float) else math.nan
        return number if math.isfinite(number) else None
    if f.kind == "text":
        return value if type(value) is str and len(value.encode()) <= f.max else None
    return _unpack_column(f, value, payload)


def _unpack_fields(kind: str, body: Dict[int, Any], payload: bytes) -> Dict[str, Any]:
    table = _BY_KEY[kind]
    fields: Dict[str, Any] = {}
    for key, value in body.items():
        f = table.get(key)
        if f is None:
            continue
        field = _unpack_field(f, value, payload)
        if field is None:
            raise WireError("field", f"{kind}: field {f.name} is malformed or too large.")
        fields[f.name] = field
    for key in _REQUIRED[kind] - body.keys():
        raise WireError("field", f"{kind}: field {table[key].name} is missing.")
    return fields


def decode(header: bytes, payload: Union[bytes, bytearray, memoryview] = b"") -> Message:
    """One message from its frames. Columns are read-only views of the payload's bytes.

    Raises WireError, with `reason` as PROTOCOL.md names the counters.
    """
    _, major, minor, number, run, epoch, seq, pairs = _unpack_header(header)[:8]
    if not (_is_uint(major) and _is_uint(minor) and _is_uint(number) and _is_uint(epoch)
            and _is_uint(seq) and type(run) is str and len(run.encode()) <= MAX_RUN
            and type(pairs) is _Pairs):
        raise WireError("header", "The header's first elements are malformed.")
    if major != MAJOR:
        raise WireError("version", f"Protocol version {major}.{minor}, this side speaks "
                                   f"{MAJOR}.{MINOR}.")
    kind = TYPE_NAMES.get(number)
    if kind is None:
        raise WireError("type", f"Message type {number} is unknown.")
    body, payload = _by_key(kind, pairs), bytes(payload)
    _check_payload(kind, body, payload)
    if kind == "RESULT":
        return Result(body, payload, run, epoch, seq, minor)
    message = Message(kind, _unpack_fields(kind, body, payload), run, epoch, seq, minor)
    check = _CHECKS.get(kind)
    if check is not None:
        check(message)
    return message


# --- what the table cannot say: lengths that belong together, offsets, enums ---


def _check_offsets(m: Message, name: str, n: int, end: int) -> None:
    offsets = m[name]
    if (offsets is None or len(offsets) != n + 1 or offsets[0] != 0 or offsets[-1] != end
            or bool(np.any(offsets[1:] < offsets[:-1]))):
        raise WireError("field", f"{m.type}: {name} are not {n + 1} offsets from 0 to {end}.")


def _check_same(m: Message, names: Sequence[str], n: int) -> None:
    for name in names:
        if m[name] is not None and len(m[name]) != n:
            raise WireError("field", f"{m.type}: {name} has {len(m[name])} elements, expected {n}.")


def _check_texts(m: Message, texts: str, offsets: str, n: int) -> None:
    if (m[texts] is None) != (m[offsets] is None):
        raise WireError("field", f"{m.type}: {texts} and {offsets} go together.")
    if m[texts] is not None:
        _check_offsets(m, offsets, n, len(m[texts]))


def _check_range(m: Message, name: str, low: int, high: int) -> None:
    values = m[name]
    if values is not None and len(values) and not (low <= values.min() <= values.max() <= high):
        raise WireError("field", f"{m.type}: {name} has a value outside {low} to {high}.")


def _check_number(m: Message, name: str, low: int, high: int) -> None:
    if not low <= m[name] <= high:
        raise WireError("field", f"{m.type}: {name} is {m[name]}, expected {low} to {high}.")


def _check_hello(m: Message) -> None:
    exceptions = m["exception_dtypes"]
    _check_texts(m, "exception_names", "exception_offsets",
                 0 if exceptions is None else len(exceptions))
    _check_range(m, "exception_dtypes", 1, len(DTYPE_NAMES))
    _check_number(m, "dtype", 1, len(DTYPE_NAMES))


def _check_task(m: Message) -> None:
    if sum(m[name] is not None for name in ("prompt_ids", "prompt", "messages")) != 1:
        raise WireError("field", "TASK: expected exactly one of prompt_ids, prompt, messages.")
    _check_number(m, "n", 1, MAX_SAMPLES - m["first"])
    n_stops = 0 if m["stop_offsets"] is None else max(0, len(m["stop_offsets"]) - 1)
    _check_texts(m, "stop", "stop_offsets", n_stops)
    n_bias = 0 if m["bias_ids"] is None else len(m["bias_ids"])
    _check_same(m, ("bias_values",), n_bias)
    n_ids = 0 if m["stop_ids"] is None else len(m["stop_ids"])
    n_bytes = 0 if m["stop"] is None else len(m["stop"])
    if (n_stops > MAX_STOPS or n_bytes > MAX_STOP_BYTES or n_ids > MAX_STOP_IDS
            or n_bias > MAX_BIAS_IDS):
        raise WireError("field", f"TASK: {n_stops} stop texts of {n_bytes} bytes, {n_ids} stop "
                                 f"ids, {n_bias} biased ids, at most {MAX_STOPS}, "
                                 f"{MAX_STOP_BYTES}, {MAX_STOP_IDS}, {MAX_BIAS_IDS}.")


def _check_begin(m: Message) -> None:
    n = len(m["dtypes"])
    _check_texts(m, "names", "name_offsets", n)
    if (m["transport"] == TRANSPORT_NCCL) != (m["bucket_bytes"] > 0):
        raise WireError("field", "WEIGHTS_BEGIN: bucket_bytes goes with transport 1, and with no "
                                 "other.")
    if {m["transport"] == TRANSPORT_DIRECTORY} != {m["file"] != "", m["header_bytes"] > 0}:
        raise WireError("field", "WEIGHTS_BEGIN: file and header_bytes go with transport 2, and "
                                 "with no other.")
    _check_same(m, ("ranks", "modes", "n_values", "checks", "code_bytes", "n_codes"), n)
    _check_same(m, ("shapes",), 4 * n)


def _check_nccl_join(m: Message) -> None:
    if len(m["id"]) != NCCL_ID_BYTES:
        raise WireError("field", f"NCCL_JOIN: id has {len(m['id'])} bytes, expected 128.")
    _check_number(m, "rank", 1, m["n_ranks"] - 1)
    _check_number(m, "deadline_ms", 1, MAX_DEADLINE_MS)


_CHECKS: Dict[str, Callable[[Message], None]] = {
    "HELLO": _check_hello, "TASK": _check_task, "WEIGHTS_BEGIN": _check_begin,
    "NCCL_JOIN": _check_nccl_join,
    "REFUSE": lambda m: _check_number(m, "code", 1, 6),
    "WEIGHTS_PULL": lambda m: _check_number(m, "n_bytes", 1, MAX_CHUNK),
    "WEIGHTS_STATUS": lambda m: _check_number(m, "phase", PHASE_STAGED, PHASE_RECEIVING),
}
