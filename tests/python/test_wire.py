"""Python's half of the wire: golden vectors, and what the decoder has to refuse."""

import importlib.util
import random
import re
from pathlib import Path

import msgpack
import numpy as np
import pytest

from stampede import wire

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("golden", ROOT / "tests" / "protocol" / "golden.py")
golden = importlib.util.module_from_spec(spec)
spec.loader.exec_module(golden)
MESSAGES = list(golden.messages())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.type)
def test_golden(message):
    header, payload = golden.read_vector(golden.HERE / "golden" / f"{message.type}.bin")
    got = wire.decode(header, payload)
    assert (got.type, got.run, got.epoch, got.seq) == (message.type, "run-1", 9, message.seq)
    assert got.fields.keys() == message.fields.keys()
    for name, value in message.fields.items():
        np.testing.assert_array_equal(got[name], np.asarray(value).reshape(-1)
                                      if isinstance(value, np.ndarray) else value)
    frames = wire.encode(got) + [b""]
    assert (frames[0], frames[1]) == (header, payload)


def test_vectors_cover_every_type_and_field():
    assert [m.type for m in MESSAGES] == list(wire.TYPES)
    unused = {f"{m.type}.{f.name}" for m in MESSAGES for f in wire.TYPES[m.type][1]
              if f.name not in m.fields}
    assert unused == {"TASK.prompt", "TASK.messages"}


def test_protocol_md_prints_the_same_dumps_and_fields():
    text = golden.PROTOCOL.read_text()
    assert golden.with_dumps(text) == text, "run tests/protocol/golden.py"
    tables = dict(re.findall(r"^### (\w+) \(\d+\)\n(.*?)(?=^#)", text, re.M | re.S))
    assert list(tables) == list(wire.TYPES)
    for kind, (number, fields) in wire.TYPES.items():
        assert f"### {kind} ({number})" in text
        rows = re.findall(r"^\| (\d+) \| `(\w+)` \| ([^|]+) \|", tables[kind], re.M)
        told = [(int(key), name, how.strip()) for key, name, how in rows]
        expected = [(f.key, f.name, f.kind.replace("|", " or ") + ("" if f.required else "?"))
                    for f in fields]
        assert told == expected, kind


def test_columns_are_views_and_read_only():
    header, payload = golden.read_vector(golden.HERE / "golden" / "RESULT.bin")
    m = wire.decode(header, bytearray(payload))
    assert not m["tokens"].flags.writeable and not m["tokens"].flags.owndata


def mutate(message, **changes):
    fields = {k: v for k, v in {**message.fields, **changes}.items() if v is not None}
    frames = wire.encode(wire.Message(message.type, fields)) + [b""]
    return wire.decode(frames[0], frames[1])


RESULT = next(m for m in MESSAGES if m.type == "RESULT")


@pytest.mark.parametrize("changes", [
    dict(token_offsets=np.array([0, 4, 3], "<i8")), dict(token_offsets=np.array([0, 2, 4], "<i8")),
    dict(token_offsets=np.array([1, 2, 3], "<i8")), dict(lp_full=np.zeros(2, "<f4")),
    dict(finish=np.array([1, 6], "<u1")), dict(finish=np.array([0, 1], "<u1")),
    dict(sample=np.array([0, -1], "<i4")), dict(text=None), dict(experts_per_token=3),
    dict(status=np.array([1, 9], "<u1")), dict(value=np.zeros(1, "<f8")),
    dict(sample=np.array([], "<i4")), dict(span_version=np.zeros(1, "<u8")),
], ids=str)
def test_results_that_do_not_fit_together(changes):
    with pytest.raises(wire.WireError) as caught:
        mutate(RESULT, **changes)
    assert caught.value.reason == "field"


def by_hand(body, magic="STMP", major=1, number=4, run="r", epoch=0):
    return b"\x98" + b"".join(msgpack.packb(v) for v in (magic, major, 0, number, run, epoch, 0)
                              ) + body


@pytest.mark.parametrize("header, reason", [
    (b"", "msgpack"), (b"\xdd\x07\xff\xff\xff", "msgpack"), (b"\x91" * 5000, "msgpack"),
    (b"\xc6\xff\xff\xff\xff", "msgpack"), (b"\xc7\x01\x05x", "msgpack"), (b"\xc0", "header"),
    (b"\xc0" * 70000, "size"), (by_hand(b"\x81\x01\x05", magic="STNP"), "header"),
    (by_hand(b"\x81\x01\x05", major=2), "version"), (by_hand(b"\x81\x01\x05", number=99), "type"),
    (by_hand(b"\x80"), "field"), (by_hand(b"\x81\x01\xff"), "field"),
    (by_hand(b"\x81\x01\xc3"), "field"), (by_hand(b"\x82\x01\x05\x01\x06"), "field"),
    (by_hand(b"\x82\x02\x05\x01\x06"), "field"), (by_hand(b"\x81\xa1x\x05"), "field"),
    (by_hand(b"\x81\x01\x05\xc0"), "msgpack"), (by_hand(b"\x81\x01\x05", run="r" * 65), "header"),
    (by_hand(b"\x82\x00\x93\x01\x02\xa6little\x01\x05"), "payload"),
    (by_hand(b"\x82\x01\x05\x02\xdc\x04\x01" + b"\xc0" * 1025), "msgpack"),
], ids=range(20))
def test_refused_headers(header, reason):
    with pytest.raises(wire.WireError) as caught:
        wire.decode(header)
    assert caught.value.reason == reason
    assert str(caught.value).endswith(".")


def test_a_field_of_a_later_minor_is_ignored():
    assert wire.decode(by_hand(b"\x82\x01\x05\x63\xa1x"))["slots"] == 5


def test_mutations_never_escape():
    random.seed(3)
    refused = 0
    for round_ in range(6000):
        header, payload = golden.read_vector(
            golden.HERE / "golden" / f"{MESSAGES[round_ % len(MESSAGES)].type}.bin")
        raw = bytearray(header + payload)
        raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
        in_payload = raw[:len(header)] == header
        try:
            wire.decode(bytes(raw[:len(header)]), bytes(raw[len(header):]))
            assert not in_payload
        except wire.WireError:
            refused += 1
    assert refused > 3000
