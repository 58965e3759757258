"""The decoder as it was before it was made quick: the twin that test_wire.py holds it against.

Every column becomes an array and every check is a line of its own. Where the twin takes what the
decoder refuses by now, test_wire.py says so.
"""

import math
from typing import Any, Dict, List, Optional, Sequence, Tuple

import msgpack
import numpy as np
import xxhash

from stampede.errors import WireError
from stampede.messages import Message
from stampede.tables import (ALIGNMENT, DTYPE_NAMES, DTYPES, FINISH, MAGIC, MAJOR, MAX_CHUNK,
                             MAX_ELEMENTS, MAX_HEADER, MAX_PAYLOAD, MAX_RESULT_PAYLOAD, MAX_RUN,
                             MAX_SAMPLES, MAX_TEXT, MINOR, STATUS, TYPE_NAMES, TYPES, U64, Field)

def _is_uint(value: Any, maximum: int = U64) -> bool:
    return type(value) is int and 0 <= value <= maximum


class Pairs(list):
    """A map as it came."""


def _count_elements(value: Any) -> int:
    if isinstance(value, Pairs):
        return 2 * len(value) + sum(_count_elements(v) for pair in value for v in pair)
    if isinstance(value, list):
        return len(value) + sum(_count_elements(v) for v in value)
    return 0


def _unpack_header(header: bytes) -> List[Any]:
    if len(header) > MAX_HEADER:
        raise WireError("size", f"A header of {len(header)} bytes, at most {MAX_HEADER}.")
    try:
        root = msgpack.unpackb(header, raw=False, strict_map_key=False, use_list=True,
                               max_str_len=MAX_TEXT, max_bin_len=MAX_TEXT, max_ext_len=0,
                               max_array_len=MAX_ELEMENTS, max_map_len=MAX_ELEMENTS // 2,
                               object_pairs_hook=Pairs)
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
            and len(run.encode()) <= MAX_RUN and isinstance(body, Pairs)):
        raise WireError("header", "The header's first elements are malformed.")
    if major != MAJOR:
        raise WireError("version", f"Protocol version {major}.{minor}, this side speaks "
                                   f"{MAJOR}.{MINOR}.")
    kind = TYPE_NAMES.get(number)
    if kind is None:
        raise WireError("type", f"Message type {number} is unknown.")
    body = _rising_keys(body)
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


# The same refusals as wire.py's, an element at a time.


def _check_offsets(m: Message, name: str, n: int, end: int) -> None:
    offsets = [] if m[name] is None else m[name].tolist()
    falls = any(a > b for a, b in zip(offsets, offsets[1:]))
    if len(offsets) != n + 1 or offsets[0] != 0 or offsets[-1] != end or falls:
        raise WireError("field", f"{m.type}: {name} are not {n + 1} offsets from 0 to {end}.")


def _check_same(m: Message, names: Sequence[str], n: int) -> None:
    for name in names:
        length = n if m[name] is None else len(m[name].tolist())
        if length != n:
            raise WireError("field", f"{m.type}: {name} has {length} elements, expected {n}.")


def _check_texts(m: Message, texts: str, offsets: str, n: int) -> None:
    given = [name for name in (texts, offsets) if m[name] is not None]
    if len(given) == 1:
        raise WireError("field", f"{m.type}: {texts} and {offsets} go together.")
    if given:
        _check_offsets(m, offsets, n, len(m[texts]))


def _check_range(m: Message, name: str, low: int, high: int) -> None:
    for value in [] if m[name] is None else m[name].tolist():
        if not low <= value <= high:
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
    elif m.type == "NCCL_JOIN":
        if len(m["id"]) != 128:
            raise WireError("field", "NCCL_JOIN: id is not 128 bytes.")
        if not 1 <= m["rank"] < m["n_ranks"]:
            raise WireError("field", "NCCL_JOIN: rank is not 1 to n_ranks - 1.")
        if m["deadline_ms"] < 1:
            raise WireError("field", "NCCL_JOIN: deadline_ms is 0.")
    elif m.type == "WEIGHTS_BEGIN":
        if (m["transport"] == 1) != (m["bucket_bytes"] > 0):
            raise WireError("field", "WEIGHTS_BEGIN: bucket_bytes goes with transport 1.")
        if {m["transport"] == 2} != {m["file"] != "", m["header_bytes"] > 0}:
            raise WireError("field", "WEIGHTS_BEGIN: file and header_bytes go with transport 2.")
        n = len(m["dtypes"])
        _check_texts(m, "names", "name_offsets", n)
        _check_same(m, ("ranks", "modes", "n_values", "checks", "code_bytes", "n_codes"), n)
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
