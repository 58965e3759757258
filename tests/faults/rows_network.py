"""Rows of the matrix about the network, and about who speaks on it."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import zmq
from events import Tail
from harness import Worker
from matrix import case
from rows_workers import MIXED
from scenario import HERE, Run, Skip, Stub, Work
from test_http import get, url_of, values
from test_keys import Files


# --- row 6 ---

def n_complete(stub: Stub) -> int:
    """Groups of which every sample has come to this trainer, from workers that have a session: of
    others it refuses what comes."""
    came: Dict[int, set] = {}
    peers = set()
    for e in stub.tail.look():
        if e["event"] == "sent" and e["type"] == "WELCOME":
            peers.add(e["peer"])
        if e["event"] == "gone":
            peers.discard(e["peer"])
        if e["event"] == "received" and e["type"] == "RESULT" and e["peer"] in peers:
            ended = {s for s, finish in zip(e["samples"], e["finish"]) if finish != "preempted"}
            came.setdefault(e["serial"], set()).update(ended)
    return sum(len(samples) == stub.config.n for samples in came.values())


@case(6, "two-trainers")
def two_trainers(run: Run) -> None:
    """The old trainer is cut off alive; the new one takes over its address and its checkpoint; then
    workers are led to the old one again."""
    n = 10 if run.is_long else 2
    run.work = Work(n_prompts=100 + 40 * n, sampling=MIXED, seed=run.seed)
    proxy = run.proxy()
    old = run.trainer(min_workers=3)
    proxy.point_at(old.url)
    run.pool(proxy.url, 3)
    for epoch in range(2, n + 2):
        run.wait(lambda: old.n_consumed() >= 20)
        old.wait_for_sessions(3)
        proxy.strand()
        proxy.upstream = None
        old.wait_for_sessions(0)
        run.wait(lambda: old.n_consumed() == n_complete(old))
        new = run.trainer(epoch=epoch, previous=run.stubs, min_workers=3)
        proxy.point_at(new.url)
        run.wait(lambda: new.n_consumed() >= 10)
        refused = old.tail.count("sent", type="REFUSE", code=4)
        proxy.point_at(old.url)
        proxy.cut()
        run.wait(lambda: old.tail.count("sent", type="REFUSE", code=4) > refused)
        proxy.point_at(new.url)
        proxy.cut()
        consumed = old.n_consumed()
        run.wait(lambda: new.n_consumed() >= 20)
        assert old.n_consumed() == consumed, "the old trainer went on"
        old.kill()
        old = new
    run.finish()


# --- row 7 ---

@case(7, "half-open")
def half_open(run: Run) -> None:
    run.work = Work(n_prompts=160, sampling=MIXED, seed=run.seed)
    proxy = run.proxy()
    stub = run.trainer(min_workers=3)
    proxy.point_at(stub.url)
    run.pool(proxy.url, 3)
    kinds = [(True, True), (True, False), (False, True)] * (10 if run.is_long else 1)
    for k, (up, down) in enumerate(kinds):
        run.wait(lambda: stub.n_consumed() >= 20 * k + 1 or stub.is_done())
        stub.wait_for_sessions(3)
        proxy.freeze(up, down)
        stub.wait_for_sessions(0)
        proxy.thaw()
    stub.wait_for_sessions(3)
    run.finish()


class Namespace:
    """A network namespace behind a pair of virtual links; skips where they are not to be had."""

    def __init__(self, run: Run) -> None:
        number = os.getpid() % 60000
        self.name, self._outer, inner = f"stp{number}", f"stpo{number}", f"stpi{number}"
        net = f"10.{64 + number // 256 % 64}.{number % 256}"
        self.here, self.there = f"{net}.1", f"{net}.2"
        self._ip("netns", "add", self.name)
        run.callback(self._ip, "netns", "del", self.name)
        self._ip("link", "add", self._outer, "type", "veth", "peer", "name", inner, "netns",
                 self.name)
        self._ip("addr", "add", f"{self.here}/24", "dev", self._outer)
        self._ip("link", "set", self._outer, "up")
        inside = ["netns", "exec", self.name, "ip"]
        self._ip(*inside, "addr", "add", f"{self.there}/24", "dev", inner)
        self._ip(*inside, "link", "set", inner, "up")
        self._ip(*inside, "link", "set", "lo", "up")
        self._inside = inside
        self.prefix = ["ip", "netns", "exec", self.name]

    def _ip(self, *words: str) -> None:
        try:
            done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            raise Skip("there is no program ip (iproute2)") from None
        if done.returncode != 0:
            raise Skip(f"network namespaces are not to be had here: ip {' '.join(words)}: "
                       f"{done.stderr.strip()}")

    def cut(self, how: str) -> None:
        """`up`: what workers send is lost; `down`: what they are sent; `link`: both."""
        if how == "link":
            self._ip("link", "set", self._outer, "down")
        elif how == "up":
            self._ip(*self._inside, "route", "add", "blackhole", f"{self.here}/32")
        else:
            self._ip("route", "add", "blackhole", f"{self.there}/32")

    def heal(self, how: str) -> None:
        if how == "link":
            self._ip("link", "set", self._outer, "up")
        elif how == "up":
            self._ip(*self._inside, "route", "del", "blackhole", f"{self.here}/32")
        else:
            self._ip("route", "del", "blackhole", f"{self.there}/32")


@case(7, "partition")
def partition(run: Run) -> None:
    run.work = Work(n_prompts=200, sampling=MIXED, seed=run.seed)
    space = Namespace(run)
    stub = run.trainer(url=f"tcp://{space.here}:0", insecure=True, min_workers=3)
    run.pool(stub.url, 3, prefix=space.prefix, insecure=True)
    cuts = [("link", 2), ("link", 0), ("up", 0), ("down", 0)]  # seconds; 0: until it is noticed
    cuts = [(how, s) for how, s in cuts * 5] + [("link", 60)] if run.is_long else cuts
    for k, (how, seconds) in enumerate(cuts):
        run.wait(lambda: stub.n_consumed() >= 15 * k + 1 or stub.is_done())
        stub.wait_for_sessions(3)
        space.cut(how)
        if seconds:
            time.sleep(seconds)
        else:
            stub.wait_for_sessions(0)
        space.heal(how)
    stub.wait_for_sessions(3)
    run.finish()


# --- row 8 ---

@case(8, "slow")
def slow(run: Run) -> None:
    """10 Mbit/s and 200 ms, for tasks, results and two versions of the weights."""
    run.work = Work(n_prompts=400 if run.is_long else 60, n_after=10, sampling=MIXED,
                    seed=run.seed)
    control, bulk = run.proxy(), run.proxy()
    for proxy in (control, bulk):
        proxy.delay_s, proxy.bytes_per_s = 0.1, 1.25e6
    stub = run.trainer(min_workers=2, bulk_url=bulk.url, pushes=[(5, 1), (15, 2)])
    control.point_at(stub.url)
    bulk.point_at(stub.opened()["bulk_url"])
    pool = run.pool(control.url, 2, http="127.0.0.1:0")
    stub.wait_for("done")
    for worker in pool:
        counted = values(get(url_of(worker) + "/metrics")[1])
        assert counted["rollout_hwm_hits_total"] == 0
        assert counted["rollout_reconnects_total"] == 0
    run.finish()
    assert stub.counters().get("lost_sessions", 0) == 0


@case(8, "resets")
def resets(run: Run) -> None:
    n = 200 if run.is_long else 12
    run.work = Work(n_prompts=16 * n, sampling=MIXED, seed=run.seed)
    proxy = run.proxy()
    stub = run.trainer(min_workers=3)
    proxy.point_at(stub.url)
    run.pool(proxy.url, 3)
    for k in range(n):
        run.wait(lambda: stub.n_consumed() >= 10 * k + 1 or stub.is_done())
        before = proxy.n_resets
        proxy.reset_after(run.rng.randrange(1, 3000))
        run.wait(lambda: proxy.n_resets > before or stub.is_done())
    run.finish()
    run.notes.append(f"{proxy.n_resets} connections reset")


# --- rows 10 and 11 ---

class Storm:
    """The process of storm.py: many workers that hold nothing."""

    def __init__(self, run: Run, *arguments: Any) -> None:
        self._run, path = run, run.folder / "storm.jsonl"
        self.tail = Tail(path)
        self.child = subprocess.Popen([sys.executable, str(HERE / "storm.py"), str(path),
                                       *map(str, arguments)], stdin=subprocess.PIPE)
        run.callback(self.child.kill)

    def round(self, k: int) -> None:
        """All of them connect anew and are welcome."""
        assert self.child.stdin is not None
        self.child.stdin.write(b"\n")
        self.child.stdin.flush()
        self._run.wait(lambda: self.tail.count("all joined") >= k or self.child.poll() is not None)
        assert self.child.poll() is None, "the storm died"


@case(10, "storm")
def storm(run: Run) -> None:
    n_rounds = 20 if run.is_long else 3
    files = Files(run.folder)
    run.work = Work(n_prompts=480 if run.is_long else 120, sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=2, keys=(str(files.secret("trainer")), str(files.workers)),)
    run.pool(stub.url, 2, **files.flags("worker-a"))
    stub.wait_for_sessions(2)
    hello = next(e for e in stub.tail.look() if e.get("type") == "HELLO")
    fds = Path(f"/proc/{stub.child.pid}/fd")
    before = len(list(fds.iterdir()))
    many = Storm(run, stub.url, 256, files.secret("worker-b"), files.public("worker-b"),
                 files.public("trainer"), hello["fingerprint"], hello["digest"], hello["dtype"])
    for k in range(1, n_rounds + 1):
        many.round(k)
    took = [e["seconds"] for e in many.tail.look() if e["event"] == "all joined"]
    many.child.terminate()
    many.child.wait()
    run.wait(lambda: len(list(fds.iterdir())) <= before + 4)
    run.finish()
    run.notes.append("256 joined in " + ", ".join(f"{s:.1f}" for s in took) + " s")


def talk(port: int, text: bytes) -> None:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as s:
        s.sendall(text)
        s.settimeout(0.2)
        s.recv(100)


@contextlib.contextmanager
def idle_connections(port: int, n: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(n):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        yield


@case(11, "hostile")
def hostile(run: Run) -> None:
    from test_keys import hello, peer
    files = Files(run.folder)
    run.work = Work(n_prompts=480 if run.is_long else 120, sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=2, keys=(str(files.secret("trainer")), str(files.workers)),)
    port = int(stub.url.rsplit(":", 1)[1])
    pool = run.pool(stub.url, 2, **files.flags("worker-a"))
    run.wait(lambda: stub.n_consumed() >= 5)
    with idle_connections(port, 1000 if run.is_long else 300):
        for k in range(40):
            talk(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            talk(port, run.rng.randbytes(200))
        with peer(files, stub.url, "stranger") as stranger, \
                peer(files, stub.url, "worker-b") as known:
            for k in range(200):
                with contextlib.suppress(zmq.Again):  # refused: it has no connection any more
                    stranger.send_multipart(hello(f"stranger-{k}"), zmq.DONTWAIT)
                known.send_multipart([run.rng.randbytes(run.rng.choice([1, 60, 900]))])
            stub.wait_for("received", 200, type="malformed")
            stub.wait_for("done")
    heard = [e for e in stub.tail.look() if e.get("type") == "HELLO"]
    assert not [e for e in heard if re.match("stranger", e["uid"])]
    run.finish()
    assert all(stub.n_gone(w) == 0 for w in pool) and stub.counters()["refused_keys"] > 0
