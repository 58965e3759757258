"""The golden vectors: a message of each type (two of WEIGHTS_BEGIN), as C and Python both have to
read and write it.

`golden.py` writes golden/MAJOR.MINOR/NAME.bin of the present version (4 bytes little-endian: bytes
of the header frame; the header frame; the payload frame), the seeds of fuzz_msgpack.c in
corpus/msgpack, and the annotated dumps between the markers of protocol/PROTOCOL.md. `golden.py
--check` says whether vectors and dumps are what they should be. The folders of older minor versions
are never changed: a later build must still read them.
"""

import struct
import sys
from pathlib import Path

import msgpack
import numpy as np

from stampede import deltas, digest, wire
from stampede.types import group_seed

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "golden" / f"{wire.MAJOR}.{wire.MINOR}"
PROTOCOL = HERE.parents[1] / "protocol" / "PROTOCOL.md"
BEGIN, END = "<!-- dumps: begin -->", "<!-- dumps: end -->"


def u8(text):
    return np.frombuffer(text.encode(), "<u1")


def messages():
    names, name_offsets = wire.pack_texts([b"model.embedding_norm.weight", b"lm_head.weight"])
    exceptions, exception_offsets = wire.pack_texts([b"model.layers.1.feed_forward.expert_bias"])
    stop, stop_offsets = wire.pack_texts(["\n\n".encode(), "Ende".encode()])
    text, text_offsets = wire.pack_texts(["4".encode(), "fünf".encode()])
    reward, reward_offsets = wire.pack_texts(
        [b'{"value":1,"status":"ok","terms":[{"name":"math","value":1,"status":"ok"}]}', b""])
    error, error_offsets = wire.pack_texts([b"", b"The logits are not finite."])
    dense = np.array([1.0, -2.0], "<f4")
    stream = deltas.Stream([
        deltas.dense("model.embedding_norm.weight", "f32", (2,),
                     digest.of_range(digest.name_hash("model.embedding_norm.weight"), 0,
                                     dense.view("<u4")), deltas.part_of(dense)),
        deltas.sparse("lm_head.weight", "bf16", (512, 128), [deltas.Block(
            np.array([3, 300, 301], "<u4"), np.array([0x3F80, 0xC000, 0x3DCD], "<u2"))])])
    rows = {
        "HELLO": dict(
            uid="pod-7", incarnation=0x1122334455667788, build="0.1.0+abc", numerics="cpu-avx2-f32",
            fingerprint=0xFEEDFACE, slots=128, max_context=4096, vocab=512, tied_head=True,
            version=3, digest=0xD16E57, dtype=8, exception_names=exceptions,
            exception_offsets=exception_offsets, exception_dtypes=np.array([6], "<u1"),
            bulk_url="tcp://127.0.0.1:5557", bulk_id="0f1e2d3c4b5a69788796a5b4c3d2e1f0",
            directory="00112233445566778899aabbccddeeff"),
        "WELCOME": dict(heartbeat_ms=1000, lost_ms=5000, version=3,
                        bulk_url="tcp://127.0.0.1:5556"),
        "REFUSE": dict(code=wire.REFUSALS["no_session"], error="Begin again."),
        "CREDIT": dict(slots=129),
        "TASK": dict(
            serial=41, id='"q-41"', first=5, n=1, attempt=1, seed=group_seed(7, '"q-41"'),
            max_new_tokens=256, temperature=0.5, top_p=0.95, min_p=0.0, repetition_penalty=1.0,
            top_k=50, ignore_eos=True, prompt_logprobs=True, routed_experts=True, min_version=3,
            on_update=1, deadline_ms=60000, prompt_ids=np.array([1, 6, 500], "<i4"),
            stop=stop, stop_offsets=stop_offsets, stop_ids=np.array([7], "<i4"),
            bias_ids=np.array([5, 9], "<i4"), bias_values=np.array([-1.5, 2.0], "<f4"),
            reward=u8('[{"verifier":"math","gold":"4"}]'), meta=u8('{"k": 1.50}'),
            tools=u8('[{"type":"function"}]'), draft=6, max_version_lag=3,
            partial_tokens=np.array([20, 4], "<i4"),
            partial_lp_full=np.array([-0.25, -0.5], "<f4"),
            partial_lp_behav=np.array([-0.125, 0.0], "<f4"),
            partial_span_first=np.array([0, 1], "<i4"),
            partial_span_version=np.array([3, 4], "<u8"),
            partial_routed=np.arange(8, dtype="<u1")),
        "CANCEL": dict(serial=41, first=2, n=3),
        "HEARTBEAT": dict(n_rows=12, n_waiting=4, n_unacked=1, n_tokens=123456, n_steps=789,
                          step_age_ms=15, version=3, draining=True, n_guessed=4321,
                          n_accepted=3210,
                          moved=np.array([41, 42, 0x1122334455667788], "<u8")),
        "RESULT": dict(
            result=17, serial=41, id='"q-41"', attempt=1, digest=0xD16E57, moe_layers=1,
            experts_per_token=2, sample=np.array([0, 5], "<i4"), finish=np.array([1, 5], "<u1"),
            token_offsets=np.array([0, 2, 3], "<i8"), tokens=np.array([20, 4, 33], "<i4"),
            lp_full=np.array([-0.25, -0.5, -1.0], "<f4"),
            lp_behav=np.array([-0.125, 0.0, -2.0], "<f4"),
            span_offsets=np.array([0, 2, 3], "<i8"), span_first=np.array([0, 1, 0], "<i4"),
            span_version=np.array([3, 4, 4], "<u8"), text=text, text_offsets=text_offsets,
            prompt_ids=np.array([1, 6, 500], "<i4"),
            prompt_lp_full=np.array([np.nan, -3.0, -4.0], "<f4"),
            value=np.array([1.0, np.nan], "<f8"), status=np.array([1, 0], "<u1"), reward=reward,
            reward_offsets=reward_offsets, error=error, error_offsets=error_offsets,
            routed=np.arange(14, dtype="<u1"), routed_offsets=np.array([0, 4, 7], "<i8"),
            meta=u8('{"k": 1.50}')),
        "ACK": dict(result=17),
        "DRAIN": dict(reason="the node goes away"),
        "BYE": dict(code=wire.BYE_RUN_COMPLETE, reason="step 120 of 120", suspect_ms=61000,
                    tensor="model.embedding_norm.weight"),
        "WEIGHTS_BEGIN": dict(
            update=2, base=3, version=4, total_bytes=stream.n_bytes, names=names,
            name_offsets=name_offsets, dtypes=np.array([6, 8], "<u1"),
            ranks=np.array([1, 2], "<u1"),
            shapes=np.array([[2, 0, 0, 0], [512, 128, 0, 0]], "<i8"),
            modes=np.array([1, 2], "<u1"), n_values=np.array([2, 3], "<u8"),
            checks=np.array([c.check for c in stream.changes], "<u8"),
            code_bytes=np.array([0, 1], "<u1"), n_codes=np.array([0, 4], "<u8"),
            transport=1, bucket_bytes=1 << 20),
        "WEIGHTS_PULL": dict(update=2, offset=0, n_bytes=stream.n_bytes),
        "WEIGHTS_CHUNK": dict(update=2, offset=0, data=stream.read(0, stream.n_bytes)),
        "WEIGHTS_COMMIT": dict(update=2, hold_ms=1500),
        "WEIGHTS_ABORT": dict(update=2, reason="worker pod-8 could not take it"),
        "WEIGHTS_STATUS": dict(
            update=2, phase=wire.PHASE_FAILED, version=3, digest=0xD16E57,
            tensor="model.embedding_norm.weight", error="The checksum differs.", check_us=1500,
            pause_us=250),
        "NCCL_JOIN": dict(id=np.arange(wire.NCCL_ID_BYTES, dtype="<u1"), rank=1, n_ranks=3,
                          version=22809, deadline_ms=60000),
    }
    by_file = dict(rows["WEIGHTS_BEGIN"], transport=2, header_bytes=640, header_hash=0xFACADE,
                   file="stampede-0011223344556677-9-8899aabbccddeeff-v4-1.safetensors")
    del by_file["bucket_bytes"]
    for number, (kind, fields) in enumerate([*rows.items(), ("WEIGHTS_BEGIN", by_file)], 1):
        outside = kind in ("REFUSE", "WEIGHTS_PULL", "WEIGHTS_CHUNK")
        yield wire.Message(kind, fields, "run-1", 9, 0 if outside else number)


def name_of(message):
    """Of a type that has two vectors the second one is another transport's."""
    return message.type + ("-directory" if message.fields.get("transport") == 2 else "")


def vector(message):
    frames = wire.encode(message) + [b""]
    return struct.pack("<I", len(frames[0])) + frames[0] + frames[1]


def read_vector(path):
    data = path.read_bytes()
    (size,) = struct.unpack_from("<I", data)
    return data[4:4 + size], data[4 + size:]


def hex_lines(data, note=""):
    rows = [data[i:i + 16] for i in range(0, len(data), 16)] or [b""]
    out = [f"{rows[0].hex(' '):<48}{note}".rstrip()]
    return out + [row.hex(" ") for row in rows[1:]]


def dump(message):
    """The header value by value with its meaning, and where the payload's columns lie."""
    header, payload = (wire.encode(message) + [b""])[:2]
    root = msgpack.unpackb(header, strict_map_key=False)
    number, table = wire.TYPES[message.type]
    names = {0: "payload"} | {f.key: f.name for f in table}
    lines = hex_lines(b"\x98", "eight elements")
    notes = ["magic", "major", "minor", f"type {number}: {message.type}", "run", "epoch"]
    for value, note in zip(root[:6], notes):
        lines += hex_lines(msgpack.packb(value), f"{note} = {value!r}")
    lines += hex_lines(b"\xcf" + message.seq.to_bytes(8, "big"), f"seq = {message.seq}")
    lines += hex_lines(bytes([0x80 | len(root[7])]) if len(root[7]) < 16
                       else b"\xde" + len(root[7]).to_bytes(2, "big"), f"{len(root[7])} fields")
    for key, value in root[7].items():
        told = repr(value)
        if isinstance(value, list) and key:
            told = f"{value[1]} x {wire.DTYPE_NAMES[value[0]]} at {value[2]}"
        elif isinstance(value, list):
            told = f"{value[0]} bytes, xxh3-64 {value[1]:016x}, {value[2]}"
        lines += hex_lines(msgpack.packb(key) + msgpack.packb(value), f"{names[key]}: {told}")
    for f in table:
        column = message.fields.get(f.name)
        if isinstance(column, np.ndarray) and column.size:
            at = root[7][f.key][2]
            raw = payload[at:at + column.nbytes]
            shown = raw[:32]
            lines.append(f"payload[{at}:{at + column.nbytes}] = {f.name}"
                         + ("" if len(shown) == len(raw) else ", its first 32 bytes"))
            lines += ["  " + line for line in hex_lines(shown)]
    return "\n".join(lines)


def dumps():
    parts = [f"#### {name_of(m)}\n\n```text\n{dump(m)}\n```\n" for m in messages()]
    return BEGIN + "\n" + "\n".join(parts) + END


def with_dumps(text):
    head, rest = text.split(BEGIN)
    return head + dumps() + rest.split(END)[1]


def main():
    check = "--check" in sys.argv
    wrong = []
    for message in messages():
        path = FOLDER / f"{name_of(message)}.bin"
        if not check:
            FOLDER.mkdir(exist_ok=True)
            path.write_bytes(vector(message))
            header, payload = (wire.encode(message) + [b""])[:2]
            seed = struct.pack("<H", len(header)) + header + payload
            (HERE / "corpus" / "msgpack" / name_of(message)).write_bytes(seed)
        elif not path.exists() or path.read_bytes() != vector(message):
            wrong.append(path.name)
    text = PROTOCOL.read_text() if PROTOCOL.exists() else f"{BEGIN}\n{END}\n"
    if not check:
        PROTOCOL.write_text(with_dumps(text))
    elif with_dumps(text) != text:
        wrong.append(PROTOCOL.name)
    if wrong:
        sys.exit(f"Out of date: {', '.join(wrong)}. Run tests/protocol/golden.py.")


if __name__ == "__main__":
    main()
