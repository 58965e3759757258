"""Real workers with their logs, a hostile trainer on raw sockets, and what must be equal."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

import numpy as np
import zmq

import stampede
from cli import BIN, DEVICE, TINY
from stampede import wire
from stampede.types import group_seed

os.environ.setdefault("STAMPEDE_BIN", BIN)
PATIENCE_S = 90  # a loaded machine with two cores is slow; nothing here measures speed
LONG = stampede.Sampling(max_new_tokens=400, ignore_eos=True)
SHORT = stampede.Sampling(max_new_tokens=8, ignore_eos=True)
CHAT = [{"role": "user",
         "content": "Tom has 5 apples and buys 7 more. How many apples does Tom have now?"}]

Bits = Tuple[bytes, bytes, bytes, str]
Samples = Dict[Tuple[Any, int], Bits]


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def prompts(n: int, **more: Any) -> List[stampede.Prompt]:
    return [stampede.Prompt(prompt_ids=[1, 2, 3 + i], **more) for i in range(n)]


def bits(group: stampede.Group, i: int) -> Bits:
    return (group.tokens[i].tobytes(), group.lp_full[i].tobytes(), group.lp_behav[i].tobytes(),
            group.finish_reason[i])


def collect(groups: Iterable[stampede.Group], into: Optional[Samples] = None) -> Samples:
    """Samples by (id, number). A group that comes twice, or a sample that did not end, fails."""
    samples: Samples = {} if into is None else into
    for group in groups:
        assert (group.id, 0) not in samples, f"group {group.id} came twice"
        for i in range(group.n):
            assert group.finish_reason[i] in ("stop", "length"), group.finish_reason
            assert len(group.tokens[i]) == len(group.lp_full[i]) == len(group.lp_behav[i]) > 0
            samples[group.id, i] = bits(group, i)
    return samples


class Worker:
    """`stampede serve` as a child process with its log in a file."""

    def __init__(self, folder: Path, url: str, model: Any = TINY, bind: bool = False,
                 **flags: Any) -> None:
        handle, path = tempfile.mkstemp(suffix=".log", dir=folder)
        where = {"bind": url} if bind else {"connect": url}
        options = {"threads": 1, "log_level": "debug", "device": DEVICE, **flags}
        self._path = Path(path)
        self.child = stampede.launch(model, **where, stderr=handle, **options)
        os.close(handle)

    @property
    def pid(self) -> int:
        return self.child.pid

    def log(self) -> str:
        return self._path.read_text(errors="replace")

    def said(self, words: str) -> None:
        eventually(lambda: words in self.log() or self.child.poll() is not None)
        assert words in self.log(), self.log()

    def bound_url(self) -> str:
        self.said("bound to ")
        found = re.search(r"bound to (\S+),", self.log())
        assert found, self.log()
        return found.group(1)

    def ends(self, status: int, seconds: float = PATIENCE_S) -> None:
        assert self.child.wait(seconds) == status, self.log()

    def kill(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(PATIENCE_S)

    def terminate(self) -> None:
        self.child.terminate()

    def alive(self) -> bool:
        return self.child.poll() is None

    def rss_kib(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


@contextlib.contextmanager
def serving(folder: Path, url: str, **flags: Any) -> Iterator[Worker]:
    worker = Worker(folder, url, **flags)
    try:
        yield worker
    finally:
        worker.kill()


def undisturbed(folder: Path, ask: Callable[[stampede.Trainer], Iterable[stampede.Group]],
                **flags: Any) -> Samples:
    """What one worker answers when nothing goes wrong."""
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(folder, trainer.url, **flags):
            return collect(ask(trainer))


def samples_of(m: wire.Message) -> List[Dict[str, Any]]:
    """The samples of a RESULT, which may hold several."""
    rows = []
    for i, sample in enumerate(m["sample"].tolist()):
        part = slice(*m["token_offsets"][i:i + 2].tolist())
        rows.append({"serial": m["serial"], "sample": sample, "finish": wire.FINISH[m["finish"][i]],
                     "tokens": m["tokens"][part], "lp_full": m["lp_full"][part],
                     "lp_behav": m["lp_behav"][part]})
    return rows


class RawTrainer:
    """A trainer by hand: ROUTERs, or DEALERs to a bound worker; every message as the test says."""

    def __init__(self, url: str = "tcp://127.0.0.1:*", bind: bool = True, run: str = "raw",
                 epoch: int = 1) -> None:
        self.run, self.epoch, self.seq = run, epoch, 0
        self.context = zmq.Context()
        self.bind = bind
        kind = zmq.ROUTER if bind else zmq.DEALER
        self.control, self.bulk = self.context.socket(kind), self.context.socket(kind)
        for socket in (self.control, self.bulk):
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.SNDTIMEO, 1000 * PATIENCE_S)
            if bind:
                socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.peer: List[bytes] = []
        self.bulk_url = ""
        if bind:
            self.control.bind(url)
            self.bulk.bind("tcp://127.0.0.1:*")
            self.bulk_url = self._endpoint(self.bulk)
            self.url = self._endpoint(self.control)
        else:
            self.control.connect(url)
            self.url = url
        self.log: List[wire.Message] = []
        self.pulls: "deque[Tuple[List[bytes], wire.Message]]" = deque()
        self._beat = 0.0

    @staticmethod
    def _endpoint(socket: zmq.Socket) -> str:
        return socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()

    def __enter__(self) -> "RawTrainer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.control.close(0)
        self.bulk.close(0)
        self.context.term()

    def frames(self, *frames: bytes) -> None:
        """Bytes as they are, to the worker that spoke last."""
        self.control.send_multipart(self.peer + list(frames))

    def send(self, kind: str, epoch: Optional[int] = None, **fields: Any) -> None:
        if kind == "WELCOME":
            self.seq = 0
        self.seq += kind != "REFUSE"
        seq = 0 if kind == "REFUSE" else self.seq
        epoch = self.epoch if epoch is None else epoch
        self.frames(*wire.encode(wire.Message(kind, fields, self.run, epoch, seq)))

    def _take(self, socket: zmq.Socket) -> Tuple[List[bytes], wire.Message]:
        frames = socket.recv_multipart()
        peer = [frames.pop(0)] if self.bind else []
        return peer, wire.decode(*frames)

    def _read(self, wait_ms: int) -> None:
        """Reads what came; acknowledges results and says that it is alive."""
        poller = zmq.Poller()
        poller.register(self.control, zmq.POLLIN)
        poller.register(self.bulk, zmq.POLLIN)
        for socket, _ in poller.poll(wait_ms):
            peer, message = self._take(socket)
            if message.type == "WEIGHTS_PULL":
                self.pulls.append((peer, message))
                continue
            self.peer = peer
            self.log.append(message)
            if message.type == "RESULT":
                self.send("ACK", result=message["result"])
        now = time.monotonic()
        if self.seq and now - self._beat > 0.5:
            self._beat = now
            self.send("HEARTBEAT")

    def take(self, kind: str, seconds: float = PATIENCE_S) -> wire.Message:
        """The next message of this kind; others stay in `log`."""
        end = time.monotonic() + seconds
        while True:
            for i, message in enumerate(self.log):
                if message.type == kind:
                    return self.log.pop(i)
            assert time.monotonic() < end, f"no {kind} came, only {[m.type for m in self.log]}"
            self._read(100)

    def drain(self, seconds: float) -> List[wire.Message]:
        """Everything that comes in this time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._read(50)
        came, self.log = self.log, []
        return came

    def pull(self, seconds: float = PATIENCE_S) -> Tuple[List[bytes], wire.Message]:
        end = time.monotonic() + seconds
        while not self.pulls:
            assert time.monotonic() < end, "no WEIGHTS_PULL came"
            self._read(100)
        return self.pulls.popleft()

    def chunk(self, peer: List[bytes], pull: wire.Message, data: np.ndarray) -> None:
        fields = dict(update=pull["update"], offset=pull["offset"],
                      data=np.ascontiguousarray(data))
        self.bulk.send_multipart(peer + wire.encode(
            wire.Message("WEIGHTS_CHUNK", fields, self.run, self.epoch)))

    def welcome(self, version: int = 0, lost_ms: int = 20000) -> wire.Message:
        """Waits for HELLO and answers it. Returns HELLO."""
        self.seq = 0
        end = time.monotonic() + PATIENCE_S
        while not any(m.type == "HELLO" for m in self.log):
            assert time.monotonic() < end, "no HELLO came"
            # What came is of a session with another trainer; a bound worker waits for a knock.
            if self.log or not self.bind:
                self.send("REFUSE", code=wire.REFUSALS["no_session"])
            self.log.clear()
            self._read(300)
        hello = self.take("HELLO")
        if not self.bind and hello["bulk_url"]:
            self.bulk.setsockopt(zmq.ROUTING_ID, hello["bulk_id"].encode())
            self.bulk.connect(hello["bulk_url"])
        self.send("WELCOME", heartbeat_ms=200, lost_ms=lost_ms, version=version,
                  bulk_url=self.bulk_url)
        return hello

    def task(self, serial: int, n: int = 1, max_new_tokens: int = 8, **more: Any) -> None:
        fields: Dict[str, Any] = dict(
            serial=serial, id=str(serial), first=0, n=n, seed=group_seed(0, str(serial)),
            max_new_tokens=max_new_tokens, temperature=1.0, top_p=1.0, min_p=0.0,
            repetition_penalty=1.0, ignore_eos=True, prompt_ids=np.array([1, 2, 3], "<i4"))
        self.send("TASK", **{**fields, **more})

    def result(self, serial: int) -> wire.Message:
        """The RESULT of one sample of this group."""
        while True:
            message = self.take("RESULT")
            if message["serial"] == serial:
                return message
