"""Messages to frames and back: the Python half of protocol/PROTOCOL.md.

The table below says of each message what PROTOCOL.md says. Encoding is canonical: C and Python
write the same bytes for the same message. Decoding checks sizes, types, required fields and the
lengths that belong together, and never executes anything that a peer has sent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import msgpack
import numpy as np
import xxhash

from .errors import WireError

MAGIC, MAJOR, MINOR = "STMP", 1, 0
MAX_HEADER = 64 << 10
MAX_PAYLOAD = 16 << 20
MAX_RESULT_PAYLOAD = 64 << 20
MAX_CHUNK = 1 << 20
MAX_TEXT = 16 << 10
MAX_RUN = 64
MAX_SAMPLES = 65536
MAX_ELEMENTS = 1024
ALIGNMENT = 64
HEARTBEAT_MS, LOST_MS = 1000, 5000

# Element types of columns and of weights: number on the wire, numpy's little-endian type.
DTYPES: Dict[str, Tuple[int, Optional[np.dtype]]] = {
    "u8": (1, np.dtype("<u1")), "u16": (2, np.dtype("<u2")), "i32": (3, np.dtype("<i4")),
    "i64": (4, np.dtype("<i8")), "u64": (5, np.dtype("<u8")), "f32": (6, np.dtype("<f4")),
    "f64": (7, np.dtype("<f8")), "bf16": (8, None), "f16": (9, None),
}
DTYPE_NAMES = {number: name for name, (number, _) in DTYPES.items()}

FINISH = ("", "stop", "length", "cancelled", "preempted", "error")
STATUS = ("", "ok", "no_answer", "limit", "unknown", "timeout", "crash", "unsupported", "bad_spec")
REFUSALS = {"major": 1, "model": 2, "no_session": 3, "epoch": 4, "malformed": 5}
BYE_LEAVING, BYE_RUN_COMPLETE = 0, 1
TENSOR_SKIP, TENSOR_DENSE = 0, 1
PHASE_STAGED, PHASE_APPLIED, PHASE_FAILED = 1, 2, 3
U8, U32, I31, U64 = 0xFF, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFFFFFFFFFF


class Field(NamedTuple):
    """One field: `kind` is bool, int, float, text, or the dtypes of a column joined by "|"."""

    key: int
    name: str
    kind: str
    required: bool
    max: int  # ints: largest; texts: bytes


def _fields(*rows: Tuple[Any, ...]) -> Tuple[Field, ...]:
    """Rows of (name, kind[, max]); a name with "!" behind it is required; keys count from 1."""
    out = []
    for key, row in enumerate(rows, 1):
        name, kind = row[0], row[1]
        out.append(Field(key, name.rstrip("!"), kind, name.endswith("!"),
                         row[2] if len(row) > 2 else U64))
    return tuple(out)


TYPES: Dict[str, Tuple[int, Tuple[Field, ...]]] = {
    "HELLO": (1, _fields(
        ("uid!", "text", 256), ("incarnation!", "int"), ("build!", "text", 256),
        ("numerics!", "text", 256), ("fingerprint!", "int"), ("slots!", "int"),
        ("max_context!", "int", I31), ("vocab!", "int", I31), ("tied_head", "bool"),
        ("version!", "int"), ("digest!", "int"), ("dtype!", "int", 9), ("bulk_url", "text", 256),
        ("exception_names", "u8"), ("exception_offsets", "i64"), ("exception_dtypes", "u8"),
        ("bulk_id", "text", 64))),
    "WELCOME": (2, _fields(
        ("heartbeat_ms!", "int", 3600000), ("lost_ms!", "int", 3600000), ("version!", "int"),
        ("bulk_url", "text", 256))),
    "REFUSE": (3, _fields(("code!", "int", 5), ("error", "text", 1024))),
    "CREDIT": (4, _fields(("slots!", "int"))),
    "TASK": (5, _fields(
        ("serial!", "int"), ("id!", "text", 4096), ("first!", "int", MAX_SAMPLES - 1),
        ("n!", "int", MAX_SAMPLES), ("attempt", "int", U32), ("seed!", "int"),
        ("max_new_tokens!", "int", I31), ("temperature!", "float"), ("top_p!", "float"),
        ("min_p!", "float"), ("repetition_penalty!", "float"), ("top_k", "int", I31),
        ("ignore_eos", "bool"), ("prompt_logprobs", "bool"), ("routed_experts", "bool"),
        ("min_version", "int"), ("on_update", "int", 1), ("deadline_ms", "int"),
        ("prompt_ids", "i32"), ("prompt", "u8"), ("messages", "u8"), ("stop", "u8"),
        ("stop_offsets", "i64"), ("stop_ids", "i32"), ("bias_ids", "i32"), ("bias_values", "f32"),
        ("reward", "u8"), ("meta", "u8"), ("tools", "u8"))),
    "CANCEL": (6, _fields(("serial!", "int"), ("first", "int", MAX_SAMPLES - 1),
                          ("n", "int", MAX_SAMPLES))),
    "HEARTBEAT": (7, _fields(
        ("n_rows", "int", U32), ("n_waiting", "int", U32), ("n_unacked", "int", U32),
        ("n_tokens", "int"), ("n_steps", "int"), ("step_age_ms", "int"), ("version", "int"),
        ("draining", "bool"))),
    "RESULT": (8, _fields(
        ("result!", "int"), ("serial!", "int"), ("id!", "text", 4096), ("attempt", "int", U32),
        ("digest!", "int"), ("moe_layers", "int", 1024), ("experts_per_token", "int", 1024),
        ("sample!", "i32"), ("finish!", "u8"), ("token_offsets!", "i64"), ("tokens!", "i32"),
        ("lp_full!", "f32"), ("lp_behav!", "f32"), ("span_offsets!", "i64"),
        ("span_first!", "i32"), ("span_version!", "u64"), ("text", "u8"), ("text_offsets", "i64"),
        ("prompt_ids", "i32"), ("prompt_lp_full", "f32"), ("value", "f64"), ("status", "u8"),
        ("reward", "u8"), ("reward_offsets", "i64"), ("error", "u8"), ("error_offsets", "i64"),
        ("routed", "u8|u16"), ("routed_offsets", "i64"), ("meta", "u8"))),
    "ACK": (9, _fields(("result!", "int"))),
    "DRAIN": (10, _fields(("reason", "text", 1024))),
    "BYE": (11, _fields(("code!", "int", 1), ("reason", "text", 1024))),
    "WEIGHTS_BEGIN": (12, _fields(
        ("update!", "int"), ("base!", "int"), ("version!", "int"), ("total_bytes!", "int"),
        ("names!", "u8"), ("name_offsets!", "i64"), ("dtypes!", "u8"), ("ranks!", "u8"),
        ("shapes!", "i64"), ("modes!", "u8"), ("bytes!", "u64"), ("hashes!", "u64"))),
    "WEIGHTS_PULL": (13, _fields(
        ("update!", "int"), ("tensor!", "int", (1 << 20) - 1), ("offset!", "int"),
        ("n_bytes!", "int"))),
    "WEIGHTS_CHUNK": (14, _fields(
        ("update!", "int"), ("tensor!", "int", (1 << 20) - 1), ("offset!", "int"),
        ("data!", "u8"))),
    "WEIGHTS_COMMIT": (15, _fields(("update!", "int"))),
    "WEIGHTS_ABORT": (16, _fields(("update!", "int"), ("reason", "text", 1024))),
    "WEIGHTS_STATUS": (17, _fields(
        ("update!", "int"), ("phase!", "int", 3), ("version!", "int"), ("digest", "int"),
        ("tensor", "text", 512), ("error", "text", 1024))),
}
TYPE_NAMES = {number: name for name, (number, _) in TYPES.items()}


@dataclass
class Message:
    """One message. `fields` holds what was present: ints, floats, bools, str, numpy columns."""

    type: str
    fields: Dict[str, Any] = field(default_factory=dict)
    run: str = ""
    epoch: int = 0
    seq: int = 0
    minor: int = MINOR

    def __getitem__(self, name: str) -> Any:
        """A field, with the protocol's default where it was absent (columns: None)."""
        if name in self.fields:
            return self.fields[name]
        for f in TYPES[self.type][1]:
            if f.name == name:
                return {"bool": False, "int": 0, "float": 0.0, "text": ""}.get(f.kind)
        raise KeyError(name)


def pack_texts(texts: Sequence[bytes]) -> Tuple[np.ndarray, np.ndarray]:
    """A list of texts as its two columns: the bytes joined, and len + 1 offsets."""
    offsets = np.zeros(len(texts) + 1, dtype="<i8")
    np.cumsum([len(t) for t in texts], out=offsets[1:])
    return np.frombuffer(b"".join(texts), dtype="<u1"), offsets


def unpack_texts(joined: Optional[np.ndarray], offsets: Optional[np.ndarray]) -> List[str]:
    """The inverse of pack_texts; an absent list is empty. Bytes that are no UTF-8 become U+FFFD."""
    if joined is None or offsets is None:
        return []
    raw = joined.tobytes()
    return [raw[a:b].decode("utf-8", "replace") for a, b in zip(offsets[:-1], offsets[1:])]


def column_text(column: Optional[np.ndarray]) -> str:
    """A u8 column as text; absent is empty."""
    return "" if column is None else column.tobytes().decode("utf-8", "replace")


# --- encoding ---


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
    elif 0 <= int(value) <= f.max:
        return int(value)
    raise WireError("field", f"Field {f.name} is out of range or too large.")


def encode(message: Message) -> List[bytes]:
    """The frames of a message: the header and, where it has columns with elements, the payload."""
    number, table = TYPES[message.type]
    payload = bytearray()
    body: Dict[int, Any] = {}
    unknown = set(message.fields) - {f.name for f in table}
    if unknown:
        raise WireError("field", f"{message.type} has no field {sorted(unknown)[0]}.")
    for f in table:
        value = message.fields.get(f.name)
        if value is None:
            if f.required:
                raise WireError("field", f"{message.type}: field {f.name} is missing.")
            continue
        if f.kind in ("bool", "int", "float", "text"):
            value = _pack_scalar(f, value)
            if not f.required and f.kind != "float" and not value:
                continue
        else:
            value = _pack_column(f.name, f.kind, value, payload)
        body[f.key] = value
    frames_payload = bytes(payload)
    if frames_payload:
        digest = xxhash.xxh3_64_intdigest(frames_payload)
        body = {0: [len(frames_payload), digest, "little"], **body}
    header = b"".join([
        b"\x98", msgpack.packb(MAGIC), msgpack.packb(MAJOR), msgpack.packb(MINOR),
        msgpack.packb(number), msgpack.packb(message.run), msgpack.packb(message.epoch),
        b"\xcf", message.seq.to_bytes(8, "big"), msgpack.packb(body)])
    limit = MAX_RESULT_PAYLOAD if message.type == "RESULT" else MAX_PAYLOAD
    if len(header) > MAX_HEADER or len(frames_payload) > limit:
        raise WireError("size", f"{message.type}: {len(header)} and {len(frames_payload)} bytes, "
                                f"at most {MAX_HEADER} and {limit} are allowed.")
    return [header, frames_payload] if frames_payload else [header]


# --- decoding ---


def _is_uint(value: Any, maximum: int = U64) -> bool:
    return type(value) is int and 0 <= value <= maximum


def _count_elements(value: Any) -> int:
    if isinstance(value, dict):
        return 2 * len(value) + sum(_count_elements(v) for v in value.values())
    if isinstance(value, list):
        return len(value) + sum(_count_elements(v) for v in value)
    return 0


def _unpack_header(header: bytes) -> List[Any]:
    if len(header) > MAX_HEADER:
        raise WireError("size", f"A header of {len(header)} bytes, at most {MAX_HEADER}.")
    try:
        # The maps must be lists of pairs, or a repeated key would be lost before it is seen.
        root = msgpack.unpackb(header, raw=False, strict_map_key=False, use_list=True,
                               max_str_len=MAX_TEXT, max_bin_len=MAX_TEXT, max_ext_len=0,
                               max_array_len=MAX_ELEMENTS, max_map_len=MAX_ELEMENTS // 2,
                               object_pairs_hook=_rising_keys)
    except WireError:
        raise
    except Exception as error:  # msgpack raises a dozen kinds, all of them mean the same here
        raise WireError("msgpack", f"The header is no msgpack in the limits: {error}.") from None
    if not isinstance(root, list) or len(root) < 8 or root[0] != MAGIC:
        raise WireError("header", f'The header is no array of 8 that begins with "{MAGIC}".')
    if _count_elements(root) > MAX_ELEMENTS:
        raise WireError("msgpack", "The header has too many elements.")
    return root


def _rising_keys(pairs: List[Tuple[Any, Any]]) -> Dict[int, Any]:
    last = -1
    for key, _ in pairs:
        if not _is_uint(key, 255) or key <= last:
            raise WireError("field", "Keys are not whole numbers that rise.")
        last = key
    return dict(pairs)


def _check_payload(kind: str, body: Dict[int, Any], payload: memoryview) -> None:
    if (0 in body) != (len(payload) > 0):
        raise WireError("payload", f"{kind}: a payload and key 0 of the header go together.")
    if 0 not in body:
        return
    limit = MAX_RESULT_PAYLOAD if kind == "RESULT" else MAX_PAYLOAD
    if len(payload) > limit:
        raise WireError("size", f"{kind}: a payload of {len(payload)} bytes, at most {limit}.")
    told = body[0]
    if not isinstance(told, list) or len(told) != 3 or told[2] != "little":
        raise WireError("payload", f'{kind}: key 0 is not [bytes, xxh3-64, "little"].')
    if told[0] != len(payload) or told[1] != xxhash.xxh3_64_intdigest(payload):
        raise WireError("payload", f"{kind}: the payload's size or checksum is not the header's.")


def _unpack_column(f: Field, value: Any, payload: memoryview) -> Optional[np.ndarray]:
    if not isinstance(value, list) or len(value) != 3 or not all(_is_uint(v) for v in value):
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


def _unpack_field(f: Field, value: Any, payload: memoryview) -> Any:
    """The value, or None when it is malformed."""
    if f.kind == "bool":
        return value if type(value) is bool else None
    if f.kind == "int":
        return value if _is_uint(value, f.max) else None
    if f.kind == "float":
        number = float(value) if type(value) in (int, float) else math.nan
        return number if math.isfinite(number) else None
    if f.kind == "text":
        return value if isinstance(value, str) and len(value.encode()) <= f.max else None
    return _unpack_column(f, value, payload)


def decode(header: bytes, payload: Any = b"") -> Message:
    """One message from its frames. Columns are read-only views of `payload`, which they keep alive.

    Raises WireError, with `reason` as PROTOCOL.md names the counters.
    """
    root = _unpack_header(header)
    _, major, minor, number, run, epoch, seq, body = root[:8]
    if not (all(_is_uint(v) for v in (major, minor, number, epoch, seq)) and isinstance(run, str)
            and len(run.encode()) <= MAX_RUN and isinstance(body, dict)):
        raise WireError("header", "The header's first elements are malformed.")
    if major != MAJOR:
        raise WireError("version", f"Protocol version {major}.{minor}, this side speaks "
                                   f"{MAJOR}.{MINOR}.")
    kind = TYPE_NAMES.get(number)
    if kind is None:
        raise WireError("type", f"Message type {number} is unknown.")
    view = memoryview(payload).toreadonly()
    _check_payload(kind, body, view)
    fields: Dict[str, Any] = {}
    for f in TYPES[kind][1]:
        if f.key in body:
            fields[f.name] = _unpack_field(f, body[f.key], view)
            if fields[f.name] is None:
                raise WireError("field", f"{kind}: field {f.name} is malformed or too large.")
        elif f.required:
            raise WireError("field", f"{kind}: field {f.name} is missing.")
    message = Message(kind, fields, run, epoch, seq, minor)
    _check_lengths(message)
    return message


def _check_offsets(m: Message, name: str, n: int, end: int) -> None:
    offsets = m[name]
    if (offsets is None or len(offsets) != n + 1 or offsets[0] != 0 or offsets[-1] != end
            or bool(np.any(np.diff(offsets) < 0))):
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


def _check_lengths(m: Message) -> None:
    """What the table cannot say: lengths that belong together, offsets, enums."""
    if m.type == "HELLO":
        exceptions = m["exception_dtypes"]
        _check_texts(m, "exception_names", "exception_offsets",
                     0 if exceptions is None else len(exceptions))
        _check_range(m, "exception_dtypes", 1, 9)
    elif m.type == "RESULT":
        _check_result(m)
    elif m.type == "TASK":
        if sum(m[name] is not None for name in ("prompt_ids", "prompt", "messages")) != 1:
            raise WireError("field", "TASK: expected exactly one of prompt_ids, prompt, messages.")
    elif m.type == "WEIGHTS_PULL" and not 1 <= m["n_bytes"] <= MAX_CHUNK:
        raise WireError("field", f"WEIGHTS_PULL: n_bytes is not 1 to {MAX_CHUNK}.")
    elif m.type == "WEIGHTS_BEGIN":
        n = len(m["dtypes"])
        _check_texts(m, "names", "name_offsets", n)
        _check_same(m, ("ranks", "modes", "bytes", "hashes"), n)
        _check_same(m, ("shapes",), 4 * n)


def _check_result(m: Message) -> None:
    n, n_tokens = len(m["sample"]), len(m["tokens"])
    if n == 0:
        raise WireError("field", "RESULT: sample is empty.")
    _check_range(m, "sample", 0, MAX_SAMPLES - 1)
    _check_same(m, ("finish", "value", "status"), n)
    _check_range(m, "finish", 1, len(FINISH) - 1)
    _check_range(m, "status", 0, len(STATUS) - 1)
    _check_offsets(m, "token_offsets", n, n_tokens)
    _check_same(m, ("lp_full", "lp_behav"), n_tokens)
    _check_offsets(m, "span_offsets", n, len(m["span_first"]))
    _check_same(m, ("span_version",), len(m["span_first"]))
    for name in ("text", "reward", "error"):
        _check_texts(m, name, f"{name}_offsets", n)
    prompt = m["prompt_ids"]
    _check_same(m, ("prompt_lp_full",), 0 if prompt is None else len(prompt))
    if (m["routed"] is None) != (m["routed_offsets"] is None):
        raise WireError("field", "RESULT: routed and routed_offsets go together.")
    if m["routed"] is not None:
        width = m["moe_layers"] * m["experts_per_token"]
        if width == 0 or len(m["routed"]) % width:
            raise WireError("field", "RESULT: routed is not positions of layers and experts.")
        _check_offsets(m, "routed_offsets", n, len(m["routed"]) // width)
