"""What the Python client costs: microseconds of the trainer process's CPU a sample, by part.

A worker in another process answers every TASK at once with frames that were made before, once with
all samples of a task in one RESULT and once with one sample each. What is measured is the
processor time of this process alone, all its threads (ZeroMQ's too); so it hardly matters what else
runs on the machine. A first run measures the whole, a second one with a clock around each part says
where it goes. The core alone, without sockets, is run with up to 256 workers and 10,000 groups.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "protocol/python"))

import msgpack  # noqa: E402
import numpy as np  # noqa: E402
import zmq  # noqa: E402

import stampede  # noqa: E402
from stampede import core, jobs, wire  # noqa: E402

N = 8
SIZES = (8_000, 16_000, 64_000)
WORKERS, GROUPS = (1, 16, 256), (1_000, 10_000)
SLOTS = 1024
PROMPT = list(range(1, 33))
REWARD = (b'{"value":1,"status":"ok","terms":[{"name":"math","verifier":"math","value":1,'
          b'"status":"ok","weight":1}]}')
BATCH = 64  # groups of one to_tensors
PARTS = ("make_job", "dispatch", "decode", "commit", "ack", "consumer")


# --- the worker's side ---


def result_fields(samples: Sequence[int], n_tokens: int, result: int = 1,
                  serial: int = 0) -> Dict[str, Any]:
    """A RESULT of these samples as the worker writes it."""
    n = len(samples)
    text, text_offsets = wire.pack_texts([b"The answer is 12."] * n)
    reward, reward_offsets = wire.pack_texts([REWARD] * n)
    error, error_offsets = wire.pack_texts([b""] * n)
    total = n * n_tokens
    return dict(
        result=result, serial=serial, id=str(serial), digest=1, sample=np.array(samples, "<i4"),
        finish=np.ones(n, "<u1"), token_offsets=np.arange(n + 1, dtype="<i8") * n_tokens,
        tokens=np.arange(total, dtype="<i4") % 500, lp_full=np.full(total, -0.5, "<f4"),
        lp_behav=np.full(total, -0.25, "<f4"), span_offsets=np.arange(n + 1, dtype="<i8"),
        span_first=np.zeros(n, "<i4"), span_version=np.zeros(n, "<u8"), text=text,
        text_offsets=text_offsets, prompt_ids=np.array(PROMPT, "<i4"), value=np.ones(n, "<f8"),
        status=np.ones(n, "<u1"), reward=reward, reward_offsets=reward_offsets, error=error,
        error_offsets=error_offsets)


class Template:
    """Frames of one RESULT: only the numbers that differ from task to task are written anew."""

    def __init__(self, samples: Sequence[int], n_tokens: int) -> None:
        frames = wire.encode(wire.Message("RESULT", result_fields(samples, n_tokens)))
        self.payload = frames[1]
        body = msgpack.unpackb(frames[0], strict_map_key=False)[7]
        self.described = b"\xde" + len(body).to_bytes(2, "big") + b"\x00" + msgpack.packb(body[0])
        self.rest = b"".join(msgpack.packb(key) + msgpack.packb(value)
                             for key, value in body.items() if key > 3)

    def header(self, start: bytes, seq: int, result: int, serial: int, id_: str) -> bytes:
        return b"".join((start, b"\xcf", seq.to_bytes(8, "big"), self.described, b"\x01",
                         msgpack.packb(result), b"\x02", msgpack.packb(serial), b"\x03",
                         msgpack.packb(id_), self.rest))


def start_of(kind: str, run: str, epoch: int) -> bytes:
    values = (wire.MAGIC, wire.MAJOR, wire.MINOR, wire.TYPES[kind][0], run, epoch)
    return b"\x98" + b"".join(msgpack.packb(v) for v in values)


def hello() -> Dict[str, Any]:
    return dict(uid="peer", incarnation=1, build="bench", numerics="none", fingerprint=1,
                slots=SLOTS, max_context=4096, vocab=512, version=0, digest=1, dtype=6)


def peer(url: str, together: bool, n_tokens: int) -> None:
    """Serves until the trainer says BYE."""
    groups = [list(range(N))] if together else [[i] for i in range(N)]
    templates = [Template(samples, n_tokens) for samples in groups]
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 200)
    socket.connect(url)
    socket.send_multipart(wire.encode(wire.Message("HELLO", hello(), seq=1)))
    welcome = wire.decode(*socket.recv_multipart())
    results, credits, beats = (start_of(kind, welcome.run, welcome.epoch)
                               for kind in ("RESULT", "CREDIT", "HEARTBEAT"))
    seq, number, credit, told, beat_at = 1, 0, SLOTS, SLOTS, 0.0
    unacked: Dict[int, int] = {}
    while True:
        socket.poll(100)
        while True:
            try:
                frames = socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            head = msgpack.unpackb(frames[0], strict_map_key=False)
            kind, fields = wire.TYPE_NAMES[head[3]], head[7]
            if kind == "BYE":
                bye = wire.Message("BYE", {"code": 0}, welcome.run, welcome.epoch, seq + 1)
                socket.send_multipart(wire.encode(bye))
                zmq.Context.instance().destroy(200)
                return
            if kind == "ACK":
                credit += unacked.pop(fields[1], 0)
            if kind != "TASK":
                continue
            assert (fields[3], fields[4]) == (0, N), "a group of 8 was split"
            for samples, template in zip(groups, templates):
                seq, number = seq + 1, number + 1
                unacked[number] = len(samples)
                header = template.header(results, seq, number, fields[1], fields[2])
                socket.send_multipart([header, template.payload])
        if credit != told:
            seq, told = seq + 1, credit
            socket.send(credits + b"\xcf" + seq.to_bytes(8, "big") + b"\x81\x01"
                        + msgpack.packb(credit))
        if time.monotonic() > beat_at:
            seq, beat_at = seq + 1, time.monotonic() + 1
            socket.send(beats + b"\xcf" + seq.to_bytes(8, "big") + b"\x80")


@contextmanager
def serving(url: str, together: bool, n_tokens: int) -> Iterator[None]:
    child = subprocess.Popen([sys.executable, __file__, "--peer", url, str(int(together)),
                              str(n_tokens)])
    try:
        yield
    finally:
        child.terminate()
        child.wait()


# --- the whole ---


def look(group: stampede.Group) -> int:
    """What a training loop reads of every group."""
    return int(group.rewards.sum()) + sum(len(tokens) for tokens in group.tokens)


def run(n_samples: int, together: bool, n_tokens: int) -> Tuple[float, float]:
    """Microseconds of CPU a sample: from the prompts to the last look, and in to_tensors."""
    prompts = [stampede.Prompt(prompt_ids=PROMPT, reward=[stampede.math("12")])
               for _ in range(n_samples // N)]
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(trainer.url, together, n_tokens):
            trainer.wait_for_workers(1, 60)
            gc.collect()
            start = time.process_time()
            groups, total = [], 0
            for group in trainer.generate(prompts, n=N):
                total += look(group)
                groups.append(group)
            whole = time.process_time() - start
            assert total == n_samples * (1 + n_tokens), "samples are missing"
            trainer.close()
        tensors = 0.0
        for first in range(0, len(groups), BATCH):
            start = time.thread_time()
            stampede.to_tensors(groups[first:first + BATCH])
            tensors += time.thread_time() - start
    return whole * 1e6 / n_samples, tensors * 1e6 / n_samples


# --- by part ---


class Clock:
    """Processor time of each part's calls, without that of the parts that they call."""

    def __init__(self) -> None:
        self.seconds: Dict[str, float] = {part: 0.0 for part in PARTS}
        self._inner = threading.local()

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        inner = self._inner

        def timed(*arguments: Any, **more: Any) -> Any:
            outside, inner.seconds = getattr(inner, "seconds", 0.0), 0.0
            start = time.thread_time()
            try:
                return function(*arguments, **more)
            finally:
                whole = time.thread_time() - start
                self.seconds[part] += whole - inner.seconds
                inner.seconds = outside + whole

        return timed


def run_parts(n_samples: int, together: bool, n_tokens: int) -> Dict[str, float]:
    """Microseconds a sample by part. The clocks themselves cost about one for each call."""
    clock = Clock()
    places = [("make_job", jobs.Request, "job"), ("dispatch", core.Core, "_dispatch"),
              ("decode", wire, "decode"), ("commit", core.Core, "_on_result"),
              ("ack", core.Core, "_acknowledge"), ("consumer", sys.modules[__name__], "look")]
    saved = [(owner, name, getattr(owner, name)) for _, owner, name in places]
    for part, owner, name in places:
        setattr(owner, name, clock.around(part, getattr(owner, name)))
    try:
        run(n_samples, together, n_tokens)
    finally:
        for owner, name, function in saved:
            setattr(owner, name, function)
    return {part: seconds * 1e6 / n_samples for part, seconds in clock.seconds.items()}


# --- the core alone ---


class Mute:
    """A mailbox that counts."""

    n = 0

    def put(self, group: Any) -> None:
        self.n += 1


def run_core(n_workers: int, n_groups: int) -> float:
    """Microseconds of CPU a task: handing all groups out to so many workers, and taking results.

    Each worker has room for two groups, so that nearly all of them wait nearly all the time.
    """
    sent: "deque[Tuple[Any, int]]" = deque()  # of each TASK: where it went, and its serial
    request = jobs.Request(N, None, 0, None, "continue", False, False, None)
    mailbox = Mute()
    made = [request.job(stampede.Prompt(prompt_ids=PROMPT), i, i, mailbox)
            for i in range(n_groups)]
    result = wire.decode(*wire.encode(wire.Message("RESULT", result_fields(range(N), 1))))
    task = start_of("TASK", "run", 0)

    def send(address: Any, out: Sequence[bytes]) -> bool:
        if out[0].startswith(task):
            sent.append((address, msgpack.unpackb(out[0], strict_map_key=False)[7][1]))
        return True

    state = core.Core("run", 0, 1, send, lambda work, done: None)
    for i in range(n_workers):
        fields = {**hello(), "uid": str(i), "slots": 2 * N}
        state.on_message((0, b"%d" % i), wire.Message("HELLO", fields, seq=1), 0.0)
    seqs = {worker.address: 1 for worker in state.workers.values()}
    start = time.process_time()
    state.submit(made)
    state.settle()
    credit = dict.fromkeys(seqs, 2 * N)
    while sent:
        address, result.serial = sent.popleft()
        result.run, result.seq = "run", seqs[address] + 1
        state.on_message(address, result, 0.0)
        credit[address] += N
        message = wire.Message("CREDIT", {"slots": credit[address]}, "run", 0, seqs[address] + 2)
        state.on_message(address, message, 0.0)
        seqs[address] += 2
        state.settle()
    spent = time.process_time() - start
    assert mailbox.n == n_groups, "groups are missing"
    return spent * 1e6 / n_groups


# --- tables ---


def measure() -> Dict[str, Any]:
    out: Dict[str, Any] = {"samples": [], "parts": [], "core": []}
    for together in (True, False):
        what = "one a task" if together else "one a sample"
        for n_samples, n_tokens in [(n, 1) for n in SIZES] + [(SIZES[0], 256)]:
            whole, tensors = run(n_samples, together, n_tokens)
            out["samples"].append(dict(results=what, samples=n_samples, tokens=n_tokens,
                                       total_us=whole, to_tensors_us=tensors))
        out["parts"].append(dict(results=what, **run_parts(SIZES[0], together, 1)))
    for n_workers in WORKERS:
        for n_groups in GROUPS:
            out["core"].append(dict(workers=n_workers, groups=n_groups,
                                    task_us=run_core(n_workers, n_groups)))
    return out


def growth(rows: Sequence[Dict[str, Any]]) -> str:
    """How the cost of a sample grows with their number."""
    out = []
    for what in dict.fromkeys(row["results"] for row in rows):
        cost = {row["samples"]: row["total_us"] for row in rows
                if row["results"] == what and row["tokens"] == 1}
        first, last = min(cost), max(cost)
        out.append(f"One of {last:,} costs {cost[last] / cost[first]:.2f} times what one of "
                   f"{first:,} does ({what}).")
    return "\n".join(out)


def table(rows: Sequence[Dict[str, Any]]) -> str:
    def cell(value: Any) -> str:
        return f"{value:.1f}" if isinstance(value, float) else (
            f"{value:,}" if isinstance(value, int) else value)

    head = list(rows[0])
    lines = [[*head], ["---"] * len(head)] + [[cell(row[key]) for key in head] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="one object instead of tables")
    parser.add_argument("--peer", nargs=3, metavar=("URL", "TOGETHER", "TOKENS"),
                        help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer(options.peer[0], options.peer[1] == "1", int(options.peer[2]))
        return
    import torch  # to_tensors does it, and is not to be charged for it

    torch.set_num_threads(1)
    figures = measure()
    if options.json:
        print(json.dumps(figures))
        return
    print(f"The client, microseconds of its process's CPU a sample (n = {N}); RESULTs come\n"
          f"{table(figures['samples'])}\n{growth(figures['samples'])}\n\n"
          f"by part\n{table(figures['parts'])}\n\n"
          f"The core alone, microseconds a task of {N}\n{table(figures['core'])}")


if __name__ == "__main__":
    main()
