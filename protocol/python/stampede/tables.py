"""Limits, codes and fields of every message: the tables of protocol/PROTOCOL.md."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple

import numpy as np

MAGIC, MAJOR, MINOR = "STMP", 1, 1
MAX_HEADER = 64 << 10
MAX_PAYLOAD = 16 << 20
MAX_RESULT_PAYLOAD = 64 << 20
MAX_CHUNK = 1 << 20
MAX_TEXT = 16 << 10
MAX_RUN = 64
MAX_ID = 4096
MAX_SAMPLES = 65536
MAX_STOPS = 64
MAX_STOP_BYTES = 64 << 10
MAX_STOP_IDS = 1024
MAX_BIAS_IDS = 65536
MAX_BIAS = 1e30  # with temperatures down to 1e-5 a logit stays a finite float32
MAX_DEADLINE_MS = (1 << 31) - 1
MAX_ELEMENTS = 1024
MAX_DEPTH = 4
ALIGNMENT = 64
HEARTBEAT_MS, LOST_MS, PROGRESS_MS = 1000, 5000, 5000
# TASK's draft: 0 as the worker was told, or one of these; DRAFT_OFF + K is K tokens.
DRAFT_AUTO, DRAFT_OFF, MAX_DRAFT = 1, 2, 64

# Element types of columns and of weights: number on the wire, numpy's little-endian type.
DTYPES: Dict[str, Tuple[int, Optional["np.dtype[Any]"]]] = {
    "u8": (1, np.dtype("<u1")), "u16": (2, np.dtype("<u2")), "i32": (3, np.dtype("<i4")),
    "i64": (4, np.dtype("<i8")), "u64": (5, np.dtype("<u8")), "f32": (6, np.dtype("<f4")),
    "f64": (7, np.dtype("<f8")), "bf16": (8, None), "f16": (9, None),
    "q8_0": (10, None), "q4_0": (11, None), "q4_k": (12, None), "q5_k": (13, None),
    "q6_k": (14, None),
}
DTYPE_NAMES = {number: name for name, (number, _) in DTYPES.items()}

FINISH = ("", "stop", "length", "cancelled", "preempted", "error")
STATUS = ("", "ok", "no_answer", "limit", "unknown", "timeout", "crash", "unsupported", "bad_spec")
REFUSALS = {"major": 1, "model": 2, "no_session": 3, "epoch": 4, "malformed": 5,
            "key": 6}
BYE_LEAVING, BYE_RUN_COMPLETE = 0, 1
TENSOR_SKIP, TENSOR_DENSE, TENSOR_SPARSE = 0, 1, 2
PHASE_STAGED, PHASE_APPLIED, PHASE_FAILED, PHASE_ROLLED_BACK, PHASE_RECEIVING = 1, 2, 3, 4, 5
TRANSPORT_BULK, TRANSPORT_NCCL, TRANSPORT_DIRECTORY = 0, 1, 2
MAX_FILE, MAX_FILE_HEADER = 255, 100000008  # bytes of its name, and before the stream
NCCL_ID_BYTES, MAX_RANKS = 128, 65536
U8, U32, I31, U64 = 0xFF, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFFFFFFFFFF


class Field(NamedTuple):
    """One field: `kind` is bool, int, float, text, or the dtypes of a column joined by "|"."""

    key: int
    name: str
    kind: str
    required: bool
    max: int  # ints: largest; texts: bytes


def _fields(*rows: Tuple[Any, ...]) -> Tuple[Field, ...]:
    """Rows of (name, kind[, max]); a name with "!" behind it is required; keys count from 1, and an
    empty row is a key that is left out."""
    out = []
    for key, row in enumerate(rows, 1):
        if not row:
            continue
        name, kind = row[0], row[1]
        out.append(Field(key, name.rstrip("!"), kind, name.endswith("!"),
                         row[2] if len(row) > 2 else U64))
    return tuple(out)


TYPES: Dict[str, Tuple[int, Tuple[Field, ...]]] = {
    "HELLO": (1, _fields(
        ("uid!", "text", 256), ("incarnation!", "int"), ("build!", "text", 256),
        ("numerics!", "text", 256), ("fingerprint!", "int"), ("slots!", "int"),
        ("max_context!", "int", I31), ("vocab!", "int", I31), ("tied_head", "bool"),
        ("version!", "int"), ("digest!", "int"), ("dtype!", "int", 14), ("bulk_url", "text", 256),
        ("exception_names", "u8"), ("exception_offsets", "i64"), ("exception_dtypes", "u8"),
        ("bulk_id", "text", 64), ("directory", "text", 64))),
    "WELCOME": (2, _fields(
        ("heartbeat_ms!", "int", 3600000), ("lost_ms!", "int", 3600000), ("version!", "int"),
        ("bulk_url", "text", 256))),
    "REFUSE": (3, _fields(("code!", "int", 6), ("error", "text", 1024))),
    "CREDIT": (4, _fields(("slots!", "int"))),
    "TASK": (5, _fields(
        ("serial!", "int"), ("id!", "text", MAX_ID), ("first!", "int", MAX_SAMPLES - 1),
        ("n!", "int", MAX_SAMPLES), ("attempt", "int", U32), ("seed!", "int"),
        ("max_new_tokens!", "int", I31), ("temperature!", "float"), ("top_p!", "float"),
        ("min_p!", "float"), ("repetition_penalty!", "float"), ("top_k", "int", I31),
        ("ignore_eos", "bool"), ("prompt_logprobs", "bool"), ("routed_experts", "bool"),
        ("min_version", "int"), ("on_update", "int", 2), ("deadline_ms", "int", MAX_DEADLINE_MS),
        ("prompt_ids", "i32"), ("prompt", "u8"), ("messages", "u8"), ("stop", "u8"),
        ("stop_offsets", "i64"), ("stop_ids", "i32"), ("bias_ids", "i32"), ("bias_values", "f32"),
        ("reward", "u8"), ("meta", "u8"), ("tools", "u8"),
        ("draft", "int", DRAFT_OFF + MAX_DRAFT), ("max_version_lag", "int"),
        ("partial_tokens", "i32"), ("partial_lp_full", "f32"), ("partial_lp_behav", "f32"),
        ("partial_span_first", "i32"), ("partial_span_version", "u64"),
        ("partial_routed", "u8|u16"))),
    "CANCEL": (6, _fields(("serial!", "int"), ("first", "int", MAX_SAMPLES - 1),
                          ("n", "int", MAX_SAMPLES))),
    "HEARTBEAT": (7, _fields(
        ("n_rows", "int", U32), ("n_waiting", "int", U32), ("n_unacked", "int", U32),
        ("n_tokens", "int"), ("n_steps", "int"), ("step_age_ms", "int"), ("version", "int"),
        ("draining", "bool"), ("n_guessed", "int"), ("n_accepted", "int"), ("moved", "u64"))),
    "RESULT": (8, _fields(
        ("result!", "int"), ("serial!", "int"), ("id!", "text", MAX_ID), ("attempt", "int", U32),
        ("digest!", "int"), ("moe_layers", "int", 1024), ("experts_per_token", "int", 1024),
        ("sample!", "i32"), ("finish!", "u8"), ("token_offsets!", "i64"), ("tokens!", "i32"),
        ("lp_full!", "f32"), ("lp_behav!", "f32"), ("span_offsets!", "i64"),
        ("span_first!", "i32"), ("span_version!", "u64"), ("text", "u8"), ("text_offsets", "i64"),
        ("prompt_ids", "i32"), ("prompt_lp_full", "f32"), ("value", "f64"), ("status", "u8"),
        ("reward", "u8"), ("reward_offsets", "i64"), ("error", "u8"), ("error_offsets", "i64"),
        ("routed", "u8|u16"), ("routed_offsets", "i64"), ("meta", "u8"))),
    "ACK": (9, _fields(("result!", "int"))),
    "DRAIN": (10, _fields(("reason", "text", 1024))),
    "BYE": (11, _fields(("code!", "int", 1), ("reason", "text", 1024), ("suspect_ms", "int"),
                        ("tensor", "text", 512))),
    "WEIGHTS_BEGIN": (12, _fields(
        ("update!", "int"), ("base!", "int"), ("version!", "int"), ("total_bytes!", "int"),
        ("names!", "u8"), ("name_offsets!", "i64"), ("dtypes!", "u8"), ("ranks!", "u8"),
        ("shapes!", "i64"), ("modes!", "u8"), ("n_values!", "u64"), ("checks!", "u64"),
        ("code_bytes!", "u8"), ("n_codes!", "u64"), ("transport", "int", 2),
        ("bucket_bytes", "int"), ("file", "text", MAX_FILE),
        ("header_bytes", "int", MAX_FILE_HEADER), ("header_hash", "int"))),
    "WEIGHTS_PULL": (13, _fields(("update!", "int"), ("offset!", "int"), ("n_bytes!", "int"))),
    "WEIGHTS_CHUNK": (14, _fields(("update!", "int"), ("offset!", "int"), ("data!", "u8"))),
    "WEIGHTS_COMMIT": (15, _fields(("update!", "int"), ("hold_ms", "int", MAX_DEADLINE_MS))),
    "WEIGHTS_ABORT": (16, _fields(("update!", "int"), ("reason", "text", 1024))),
    "WEIGHTS_STATUS": (17, _fields(
        ("update!", "int"), ("phase!", "int", 5), ("version!", "int"), ("digest", "int"),
        ("tensor", "text", 512), ("error", "text", 1024), ("check_us", "int"),
        ("pause_us", "int"))),
    "NCCL_JOIN": (21, _fields(
        ("id!", "u8"), ("rank!", "int", MAX_RANKS - 1), ("n_ranks!", "int", MAX_RANKS),
        ("version!", "int", I31), ("deadline_ms!", "int", MAX_DEADLINE_MS))),
}
TYPE_NAMES = {number: name for name, (number, _) in TYPES.items()}
