"""Malformed frames by the thousand: counted by reason, no memory, and work goes on between them."""

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
import pytest
import zmq

import stampede
from cli import BIN
from harness import (PATIENCE_S, SHORT, RawTrainer, Worker, collect, eventually, prompts, serving,
                     undisturbed)
from stampede import wire

Frames = Tuple[bytes, ...]


def captures(run: str = "raw", epoch: int = 1) -> List[List[bytes]]:
    """Good messages of every type that a trainer sends."""
    task = dict(serial=9, id='"x"', first=0, n=1, seed=1, max_new_tokens=2, temperature=1.0,
                top_p=1.0, min_p=0.0, repetition_penalty=1.0,
                prompt_ids=np.array([1, 2], "<i4"),
                stop=np.frombuffer(b"ab", "<u1"), stop_offsets=np.array([0, 1, 2], "<i8"),
                bias_ids=np.array([5], "<i4"), bias_values=np.array([1.0], "<f4"),
                reward=np.frombuffer(b'[{"verifier":"exact","gold":"x"}]', "<u1"))
    names, offsets = wire.pack_texts([b"model.embed_tokens.weight"])
    begin = dict(update=1, base=0, version=1, total_bytes=512 * 128 * 2, names=names,
                 name_offsets=offsets, dtypes=np.array([8], "<u1"), ranks=np.array([2], "<u1"),
                 shapes=np.array([[512, 128, 0, 0]], "<i8"), modes=np.array([1], "<u1"),
                 n_values=np.array([512 * 128], "<u8"), checks=np.array([1], "<u8"),
                 code_bytes=np.zeros(1, "<u1"), n_codes=np.zeros(1, "<u8"))
    messages = [("WELCOME", dict(heartbeat_ms=200, lost_ms=20000, version=0)),
                ("TASK", task), ("CANCEL", dict(serial=3, first=0, n=2)), ("HEARTBEAT", {}),
                ("ACK", dict(result=5)), ("DRAIN", dict(reason="x")), ("BYE", dict(code=1)),
                ("REFUSE", dict(code=2, error="x")), ("WEIGHTS_BEGIN", begin),
                ("WEIGHTS_COMMIT", dict(update=1)), ("WEIGHTS_ABORT", dict(update=1)),
                ("WEIGHTS_CHUNK", dict(update=1, offset=0,
                                       data=np.zeros(64, "<u1")))]
    # The run is not this trainer's, so a mutant that is still a message must not be obeyed.
    return [wire.encode(wire.Message(kind, fields, run + "?", epoch, 7))
            for kind, fields in messages if kind not in ("WELCOME", "REFUSE")]


def head(fields: bytes, number: int = 7, run: bytes = b"\xa3raw", epoch: bytes = b"\x01",
         tail: bytes = b"") -> bytes:
    return (b"\x98\xa4STMP\x01\x00" + bytes([number]) + run + epoch + b"\xcf" + bytes(8) + fields
            + tail)


BOMBS: Dict[str, Frames] = {
    "array32": (b"\xdd\x07\xff\xff\xff",),
    "array32 inside": (head(b"\x81\x01\xdd\xff\xff\xff\xff"),),
    "map32": (b"\xdf\xff\xff\xff\xff",),
    "map32 inside": (head(b"\xdf\x7f\xff\xff\xff"),),
    "depth": (b"\x91" * 60000 + b"\xc0",),
    "depth inside": (head(b"\x81\x01" + b"\x91" * 40000 + b"\xc0"),),
    "bin32": (b"\xc6\xff\xff\xff\xff" + b"x" * 50,),
    "str32": (head(b"\x81\x01\xdb\xff\xff\xff\xf0" + b"x" * 50),),
    "ext32": (head(b"\x81\x01\xc9\xff\xff\xff\xf0\x01" + b"x" * 50),),
    "nils": (b"\xdc\xff\xf0" + b"\xc0" * 0xFFF0,),
    "large header": (b"\x98" + b"\xc0" * 70000,),
    "repeated key": (head(b"\x82\x01\x01\x01\x02"),),
    "falling keys": (head(b"\x82\x02\x01\x01\x02"),),
    "trailing": (head(b"\x80", tail=b"\xc0"),),
    "many parts": tuple(b"x" for _ in range(10_000)),
    "three parts": (head(b"\x80"), b"", b""),
    "empty": (b"",),
    "payload without a header's word": (head(b"\x80"), b"x" * 100),
    "header's word without a payload": (head(b"\x81\x00\x93\x64\x01\xa6little"),),
    "payload's checksum": (head(b"\x81\x00\x93\x64\x01\xa6little"), b"x" * 100),
    "another major": (head(b"\x80").replace(b"STMP\x01", b"STMP\x02"),),
    "unknown type": (head(b"\x80", number=99),),
    "type of the other side": (head(b"\x81\x01\x01", number=4),),
    "large payload": (head(b"\x80"), bytes(16 << 20)),
}


def mutants(rng: random.Random, n: int) -> Iterator[Frames]:
    originals = captures()
    for _ in range(n):
        kind = rng.randrange(4)
        frames = [bytearray(f) for f in rng.choice(originals)]
        if kind == 0:
            frames = [bytearray(rng.randbytes(rng.choice([1, 5, 40, 300, 3000])))
                      for _ in range(rng.choice([1, 1, 2, 3]))]
        elif kind == 1:
            f = frames[0]
            del f[rng.randrange(1, len(f)):]
        else:
            for _ in range(rng.choice([1, 1, 2, 8])):
                f = rng.choice(frames)
                f[rng.randrange(len(f))] = rng.randrange(256)
        if len(frames[0]) > 8 and frames[0][8] in (2, 3):
            frames[0][8] = 99  # WELCOME and REFUSE are heard from every run
        yield tuple(bytes(f) for f in frames)


def refusals(worker: Worker) -> Dict[str, int]:
    """The counters as the last line of the log says them."""
    lines = re.findall(r"messages refused so far: (\d+) \(([^)]*)\)", worker.log())
    if not lines:
        return {}
    counts = {k: int(v) for k, v in re.findall(r"(\w+) (\d+)", lines[-1][1])}
    assert int(lines[-1][0]) == sum(counts.values())
    return counts


def sample(trainer: RawTrainer, serial: int) -> Any:
    trainer.task(serial, id="7", seed=3)
    m = trainer.result(serial)
    assert len(m["tokens"]) == 8
    return m["tokens"].tobytes(), m["lp_full"].tobytes()


@pytest.mark.sanitized
@pytest.mark.parametrize("bound", [False, True])
def test_frames_by_the_thousand(bound: bool, tmp_path: Path) -> None:
    rng = random.Random(5)
    serial = 0
    sent = 0
    with contextlib.ExitStack() as stack:
        if bound:
            worker = stack.enter_context(serving(tmp_path, "tcp://127.0.0.1:*", bind=True))
            trainer = stack.enter_context(RawTrainer(worker.bound_url(), bind=False))
        else:
            trainer = stack.enter_context(RawTrainer())
            worker = stack.enter_context(serving(tmp_path, trainer.url))
        trainer.welcome()

        def attack(n: int) -> None:
            nonlocal serial, sent
            for i, frames in enumerate(mutants(rng, n)):
                trainer.frames(*frames)
                sent += 1
                if i % 100 == 99:  # real work goes on
                    serial += 1
                    assert sample(trainer, serial) == want

        serial += 1
        want = sample(trainer, serial)
        attack(1500)  # warms up allocators and queues
        for frames in BOMBS.values():
            trainer.frames(*frames)
            sent += 1
        serial += 1
        assert sample(trainer, serial) == want
        before = worker.rss_kib()
        attack(4000)
        for frames in list(BOMBS.values()) * 3:
            trainer.frames(*frames)
            sent += 1
            serial += 1
            assert sample(trainer, serial) == want
        grown = worker.rss_kib() - before
        # Sanitizers keep what is freed for a while.
        assert worker.alive() and (grown < 1024 or "address" in BIN), f"{grown} KiB"
        trainer.send("BYE", code=wire.BYE_RUN_COMPLETE)
        worker.ends(0)
        counts = refusals(worker)
        assert all(counts[reason] > 0 for reason in
               ("epoch", "parts", "size", "msgpack", "header", "version", "type", "field",
                "payload")), counts
        assert sum(counts.values()) >= sent * 9 // 10  # some mutants are messages of no effect
        # The log stays short: a line each time that the number doubles.
        assert worker.log().count("messages refused so far") < 25


def test_frames_beyond_the_limit_close_the_connection_and_the_worker_comes_back(
        tmp_path: Path) -> None:
    with RawTrainer() as trainer, serving(tmp_path, trainer.url) as worker:
        trainer.welcome(lost_ms=2000)
        want = sample(trainer, 1)
        for i in range(3):
            trainer.frames(head(b"\x80"), bytes(17 << 20))
            trainer.welcome(lost_ms=2000)  # the connection is gone, and HELLO comes on another
            assert sample(trainer, 2) == want
        assert worker.alive()


def test_junk_at_the_trainer_while_workers_work(tmp_path: Path) -> None:
    """Peers that are no workers: rollouts go on, and nothing of theirs is taken."""
    rng = random.Random(6)

    def ask(trainer: stampede.Trainer) -> Any:
        return trainer.generate(prompts(30), n=4, sampling=stampede.Sampling(
            max_new_tokens=100, ignore_eos=True))

    want = undisturbed(tmp_path, ask)
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer, zmq.Context() as context, \
            context.socket(zmq.DEALER) as junk:
        junk.setsockopt(zmq.LINGER, 0)
        junk.connect(trainer.url)
        with serving(tmp_path, trainer.url, max_rows=8) as worker:
            groups = ask(trainer)
            for frames in mutants(rng, 1000):
                junk.send_multipart(frames)
            for name, frames in BOMBS.items():
                if name != "large payload":
                    junk.send_multipart(frames)
            results = wire.Message("RESULT", dict(
                result=1, serial=0, id="0", attempt=0, digest=0, sample=np.array([0], "<i4"),
                finish=np.array([1], "<u1"), token_offsets=np.array([0, 1], "<i8"),
                tokens=np.array([5], "<i4"), lp_full=np.array([0], "<f4"),
                lp_behav=np.array([0], "<f4"), span_offsets=np.array([0, 1], "<i8"),
                span_first=np.array([0], "<i4"), span_version=np.array([0], "<u8")),
                trainer.run, trainer.epoch, 2)
            for _ in range(100):
                junk.send_multipart(wire.encode(results))
            assert collect(groups) == want
            counters = trainer.counters()
            assert worker.alive() and counters.get("lost_sessions", 0) == 0
            assert counters["refused_no_session"] >= 100
            for reason in ("parts", "msgpack", "header", "field"):
                assert counters[f"malformed_{reason}"] > 0, counters


def test_a_flood_of_hellos_is_some_lines_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def hello(i: int, fingerprint: int) -> List[bytes]:
        return wire.encode(wire.Message("HELLO", dict(
            uid=f"ghost-{i}", incarnation=i + 1, build="x", numerics="x", fingerprint=fingerprint,
            slots=4, max_context=512, vocab=512, version=0, digest=1, dtype=8), "", 0, 1))

    with stampede.Trainer("tcp://127.0.0.1:0") as trainer, zmq.Context() as context, \
            context.socket(zmq.DEALER) as first, context.socket(zmq.DEALER) as ghost:
        for dealer in (first, ghost):
            dealer.setsockopt(zmq.LINGER, 0)
            dealer.connect(trainer.url)
        first.send_multipart(hello(0, 1))
        trainer.wait_for_workers(1, PATIENCE_S)
        for i in range(3000):
            ghost.send_multipart(hello(i, 2))
        eventually(lambda: trainer.counters()["refused_model"] == 3000)
        lines = [r for r in caplog.records if "another model" in r.getMessage()]
        assert 100 <= len(lines) < 120  # a pool with the wrong model is named, each worker of it


def test_what_a_peer_says_stays_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Names, builds and sentences come from peers: they forge no lines and no escapes."""
    caplog.set_level("INFO", "stampede")
    fields = dict(incarnation=1, numerics="n\nn", fingerprint=1, slots=4, max_context=512,
                  vocab=512, version=0, digest=1, dtype=8, uid="x\nERROR:root:fake\x1b[2J",
                  build="b\r\u2028b")
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer, zmq.Context() as context, \
            context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.connect(trainer.url)
        dealer.send_multipart(wire.encode(wire.Message("HELLO", fields, "", 0, 1)))
        trainer.wait_for_workers(1, PATIENCE_S)
    said = [r.getMessage() for r in caplog.records]
    assert any("ERROR:root:fake" in line and "joined" in line for line in said), said
    assert all(line.isprintable() for line in said), said
