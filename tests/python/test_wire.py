"""Python's half of the wire: golden vectors, and what the decoder has to refuse."""

import importlib.util
import math
import random
import re
from collections import Counter
from pathlib import Path

import msgpack
import numpy as np
import pytest
import slow_wire
import xxhash

from stampede import wire

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("golden", ROOT / "tests" / "protocol" / "golden.py")
golden = importlib.util.module_from_spec(spec)
spec.loader.exec_module(golden)
MESSAGES = list(golden.messages())


@pytest.mark.parametrize("message", MESSAGES, ids=golden.name_of)
def test_golden(message):
    header, payload = golden.read_vector(golden.FOLDER / f"{golden.name_of(message)}.bin")
    got = wire.decode(header, payload)
    assert (got.type, got.run, got.epoch, got.seq) == (message.type, "run-1", 9, message.seq)
    assert got.fields.keys() == message.fields.keys()
    for name, value in message.fields.items():
        np.testing.assert_array_equal(got[name], np.asarray(value).reshape(-1)
                                      if isinstance(value, np.ndarray) else value)
    frames = wire.encode(got) + [b""]
    assert (frames[0], frames[1]) == (header, payload)


# What was released, and never changes: the xxh3-64 of each folder's files.
RELEASED = {"1.0": "b403b12c37c03c7b"}


@pytest.mark.parametrize("folder", sorted((golden.HERE / "golden").iterdir()),
                         ids=lambda folder: folder.name)
def test_vectors_of_every_minor_are_read(folder):
    """All that an older peer says is understood, and would be said by the same bytes but for the
    minor version."""
    files = sorted(folder.iterdir())
    data = b"".join(path.name.encode() + path.read_bytes() for path in files)
    if folder != golden.FOLDER:
        assert xxhash.xxh3_64_hexdigest(data) == RELEASED[folder.name]
    kinds = set()
    for path in files:
        header, payload = golden.read_vector(path)
        message = wire.decode(header, payload)
        root = msgpack.unpackb(header, strict_map_key=False)
        assert f"{root[1]}.{message.minor}" == folder.name
        keys = {f.name: f.key for f in wire.TYPES[message.type][1]}
        assert sorted(keys[name] for name in message.fields) == sorted(set(root[7]) - {0})
        again = wire.encode(message) + [b""]
        minor = again[0][:7] + bytes((root[2],)) + again[0][8:]
        assert (minor, again[1]) == (header, payload), path.name
        kinds.add(message.type)
    assert len(kinds) >= 18


def test_every_released_minor_is_kept():
    kept = {folder.name for folder in (golden.HERE / "golden").iterdir()}
    assert kept == {f"{wire.MAJOR}.{minor}" for minor in range(wire.MINOR + 1)}
    assert kept - {golden.FOLDER.name} == set(RELEASED)


def test_vectors_cover_every_type_and_field():
    assert list(dict.fromkeys(m.type for m in MESSAGES)) == list(wire.TYPES)
    used = {(m.type, name) for m in MESSAGES for name in m.fields}
    unused = {f"{kind}.{f.name}" for kind, (_, fields) in wire.TYPES.items() for f in fields
              if (kind, f.name) not in used}
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
    header, payload = golden.read_vector(golden.FOLDER / "RESULT.bin")
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


@pytest.mark.parametrize("kind, name", [("TASK", "stop_offsets"),
                                        ("WEIGHTS_BEGIN", "name_offsets")])
def test_offsets_that_fall_are_refused(kind, name):
    message = next(m for m in MESSAGES if m.type == kind)
    odd = message[name].copy()
    odd[1] = odd[-1] + 1
    with pytest.raises(wire.WireError, match=f"{kind}: {name} are not {len(odd)} offsets"):
        mutate(message, **{name: odd})


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
            golden.FOLDER / f"{golden.name_of(MESSAGES[round_ % len(MESSAGES)])}.bin")
        raw = bytearray(header + payload)
        raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
        in_payload = raw[:len(header)] == header
        try:
            wire.decode(bytes(raw[:len(header)]), bytes(raw[len(header):]))
            assert not in_payload
        except wire.WireError:
            refused += 1
    assert refused > 3000


# --- the decoder against its twin ---

EDGES = [None, True, False, -1, 0, 1, 5, 1.0, 1.5, math.nan, math.inf, 2**31, 2**32, 2**63,
         2**64 - 1, "", "x", "é" * 3000, b"x", [], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4], {}, {1: 2},
         {"x": 1},
         [[]], [3, True, 0], [3, 1.0, 0], [3, 1, -64], [0, 0, 0], [1, 0, 64], [1, 2**40, 0],
         [3, 1, 2**40], [9, 1, 0], [10, 1, 0]]


def pairs_of(message):
    """The fields of its header as a list of pairs, and its payload."""
    header, payload = golden.read_vector(golden.FOLDER / f"{golden.name_of(message)}.bin")
    return list(msgpack.unpackb(header, strict_map_key=False)[7].items()), payload


def header_of(message, pairs):
    head = (wire.MAGIC, 1, 0, wire.TYPES[message.type][0], "run-1", 9, 1)
    packed = b"".join(msgpack.packb(key) + msgpack.packb(value) for key, value in pairs)
    return (b"\x98" + b"".join(msgpack.packb(v) for v in head) + b"\xde"
            + len(pairs).to_bytes(2, "big") + packed)


def outcome(decode, header, payload):
    try:
        m = decode(header, payload)
    except wire.WireError as error:
        return error.reason, None
    return "", {name: (value.dtype.str, value.tobytes()) if isinstance(value, np.ndarray) else value
                for name, value in m.fields.items()}


def check_twins(header, payload, may_refuse=False):
    """Both take it as the same message, or both refuse it for the same reason."""
    slow, quick = outcome(slow_wire.decode, header, payload), outcome(wire.decode, header, payload)
    if may_refuse and quick[0] == "field":
        return quick[0]
    assert quick == slow, header.hex()
    return quick[0]


def mutated_pairs(pairs, rng):
    """Each field gone, twice, and with each odd value; columns with each number changed."""
    for i, (key, value) in enumerate(pairs):
        yield pairs[:i] + pairs[i + 1:]
        yield pairs[:i + 1] + pairs[i:]
        yield pairs[:i] + [(True if key == 1 else float(key), value)] + pairs[i + 1:]
        yield pairs[:i] + [("x", value)] + pairs[i + 1:]
        for edge in EDGES:
            yield pairs[:i] + [(key, edge)] + pairs[i + 1:]
        if isinstance(value, list) and key:
            for place in range(3):
                for step in (-64, -8, -1, 1, 8, 64, 1 << 20):
                    odd = list(value)
                    odd[place] += step
                    yield pairs[:i] + [(key, odd)] + pairs[i + 1:]
    for _ in range(50):
        shuffled = list(pairs)
        i, j = rng.randrange(len(pairs)), rng.randrange(len(pairs))
        shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
        yield shuffled
    yield pairs + [(200, 5)]


# What the decoder refuses by now and its twin took.
STRICTER = {"HELLO", "REFUSE", "TASK", "WEIGHTS_STATUS"}


@pytest.mark.parametrize("message", MESSAGES, ids=golden.name_of)
def test_odd_fields_are_refused_as_ever(message):
    pairs, payload = pairs_of(message)
    reasons = Counter()
    for odd in mutated_pairs(pairs, random.Random(1)):
        # 0 where a code or a type is expected, a list of texts by halves, key 0 with a true or a
        # float; a field of a later minor that is a map.
        reasons[check_twins(header_of(message, odd), payload, message.type in STRICTER)] += 1
    assert reasons["field"] > 0


def with_payload(message, changes):
    fields = {**message.fields, **changes}
    header, payload = wire.encode(wire.Message(message.type, fields, "run-1", 9, 1))
    return header, payload


@pytest.mark.parametrize("n", [1, 2, 8, 9])
def test_odd_columns_are_refused_as_ever(n):
    rng = np.random.default_rng(n)
    names = [f.name for f in wire.TYPES["RESULT"][1] if f.kind not in ("int", "text")]
    reasons = Counter()
    for round_ in range(1500):
        fields = result_fields(n, rng)
        left_out = rng.choice([*names, ""], 2) if round_ % 3 == 0 else []
        fields = {k: v for k, v in fields.items() if k not in left_out
                  or k in REQUIRED}
        name = rng.choice([k for k in fields if isinstance(fields[k], np.ndarray)])
        column = fields[name].copy()
        if column.size and round_ % 4:
            edges = np.array([0, 1, 2, 3, 5, 6, 8, 9, 127, 255, -1, -128, -2**31, 2**31 - 1, 65535,
                              65536, 2**62, -2**62, 2**63 - 1, -2**63], dtype=object)
            low, high = ((np.iinfo(column.dtype).min, np.iinfo(column.dtype).max)
                         if column.dtype.kind in "iu" else (-1, 1))
            column[rng.integers(column.size)] = int(np.clip(rng.choice(edges), low, high))
        elif round_ % 8 == 0:
            column = column[:-1] if column.size and rng.random() < 0.5 else np.append(
                column, column[:1] if column.size else np.zeros(1, column.dtype))
        fields[name] = column
        reasons[check_twins(*with_payload(wire.Message("RESULT"), fields))] += 1
    assert reasons[""] > 50 and reasons["field"] > 300


REQUIRED = {f.name for f in wire.TYPES["RESULT"][1] if f.required}


def result_fields(n, rng):
    """A RESULT with every column, of n samples."""
    def texts(name):
        joined, offsets = wire.pack_texts([rng.bytes(int(k)) for k in rng.integers(0, 5, n)])
        return {name: joined, f"{name}_offsets": offsets}

    def offsets(most):
        return np.concatenate([[0], np.cumsum(rng.integers(0, most, n))]).astype("<i8")

    tokens, spans, routed = offsets(5), offsets(3), offsets(4)
    n_prompt = int(rng.integers(0, 4))
    return dict(
        result=1, serial=2, id="2", digest=3, moe_layers=2, experts_per_token=2,
        sample=rng.permutation(20)[:n].astype("<i4"), finish=rng.integers(1, 6, n).astype("<u1"),
        token_offsets=tokens, tokens=np.arange(tokens[-1], dtype="<i4"),
        lp_full=np.arange(tokens[-1], dtype="<f4"), lp_behav=np.arange(tokens[-1], dtype="<f4"),
        span_offsets=spans, span_first=np.zeros(spans[-1], "<i4"),
        span_version=np.arange(spans[-1], dtype="<u8"), **texts("text"),
        prompt_ids=np.arange(n_prompt, dtype="<i4"),
        prompt_lp_full=np.zeros(n_prompt, "<f4"), value=rng.random(n),
        status=rng.integers(0, 9, n).astype("<u1"), **texts("reward"), **texts("error"),
        routed=np.arange(4 * routed[-1], dtype=rng.choice(["<u1", "<u2"])), routed_offsets=routed,
        meta=np.frombuffer(b"{}", "<u1"))


def test_offsets_that_wrap_around_are_no_offsets():
    # Their differences are positive in 64 bits.
    odd = np.array([0, 2**63 - 1, -2**63, -1, 2], "<i8")
    fields = {**result_fields(4, np.random.default_rng(0)), "token_offsets": odd,
              "tokens": np.zeros(2, "<i4"), "lp_full": np.zeros(2, "<f4"),
              "lp_behav": np.zeros(2, "<f4")}
    assert outcome(wire.decode, *with_payload(wire.Message("RESULT"), fields))[0] == "field"


@pytest.mark.parametrize("kind, field, value", [
    ("HELLO", 12, 0), ("REFUSE", 1, 0), ("WEIGHTS_STATUS", 2, 0), ("TASK", 4, 0),
    ("TASK", 18, 1 << 31), ("WEIGHTS_PULL", 3, 0), ("WEIGHTS_PULL", 3, (1 << 20) + 1)])
def test_numbers_out_of_range(kind, field, value):
    message = next(m for m in MESSAGES if m.type == kind)
    pairs, payload = pairs_of(message)
    odd = [(key, value if key == field else old) for key, old in pairs]
    assert outcome(wire.decode, header_of(message, odd), payload)[0] == "field"


def test_a_later_minor_may_nest_but_not_too_deeply():
    def slots(value):
        return header_of(wire.Message("CREDIT"), [(1, 5), (99, value)])

    assert wire.decode(slots({"a": [1]}))["slots"] == 5
    with pytest.raises(wire.WireError, match="nested") as caught:
        wire.decode(slots([[[1]]]))
    assert caught.value.reason == "msgpack"


def test_every_bit_of_a_header():
    """Each bit of each golden header flipped: both decoders say the same."""
    for message in MESSAGES:
        header, payload = golden.read_vector(golden.FOLDER / f"{golden.name_of(message)}.bin")
        for bit in range(8 * len(header)):
            raw = bytearray(header)
            raw[bit // 8] ^= 1 << bit % 8
            check_twins(bytes(raw), payload, message.type in STRICTER)


def test_results_survive_pickling():
    import pickle
    m = wire.decode(*golden.read_vector(golden.FOLDER / "RESULT.bin"))
    again = pickle.loads(pickle.dumps(m))
    assert outcome(lambda *_: again, b"", b"") == outcome(lambda *_: m, b"", b"")
    assert again.spans() == m.spans() and again.seq == m.seq
