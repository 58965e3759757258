"""What a row of the matrix is made of: real workers, trainers as processes, logs of them all, and
the checker at the end."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

import checker
import harness
from cli import BIN, TINY, generate
from events import Event, Log, Tail, merge
from harness import eventually
from proxy import Proxy
from stub import prompt_ids

HERE = Path(__file__).resolve().parent
PATIENCE_S = 120.0  # of a wait for a condition; nothing here measures speed
_SAMPLE_S = 0.25
_BLOCK = 60  # prompts
# Small texts for drafts: what memory grows by while they fill must not hide a leak.
FLAGS = {"max_rows": 8, "draft_memory": "1M", "log_format": "json"}


class Skip(Exception):
    """This machine lacks what the row needs; the text says what."""


@dataclass
class Work:
    """What trainers ask for."""

    n_prompts: int = 60
    n_after: int = 0  # prompts that are asked for once all versions are pushed
    n: int = 4
    sampling: Dict[str, Any] = field(default_factory=lambda: {"max_new_tokens": 200,
                                                              "ignore_eos": True})
    seed: int = 7

    def flags(self) -> List[Any]:
        out = ["--max-new-tokens", self.sampling["max_new_tokens"], "--seed", self.seed]
        return out + (["--ignore-eos"] if self.sampling.get("ignore_eos") else [])


@dataclass
class StubConfig:
    """As stub.py reads it."""

    name: str
    url: str
    log: str
    n_prompts: int
    n_after: int
    n: int
    sampling: Dict[str, Any]
    seed: int
    epoch: int = 1
    min_workers: int = 1
    previous: List[str] = field(default_factory=list)  # logs of the trainers before it
    pushes: List[Tuple[int, int, str]] = field(default_factory=list)  # after groups, version, file
    bulk_url: str = ""  # what workers are told; "": where it is
    keys: Optional[Tuple[str, str]] = None  # secret key, folder of public ones
    insecure: bool = False
    rewards: Dict[int, str] = field(default_factory=dict)  # verifier of some groups


class Models:
    """Versions of the tiny model's weights as checkpoints, and what each draws, made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, version: int) -> Path:
        """There are three kinds of weights: what ships, and two that take turns."""
        if version == 0:
            return TINY
        version = 2 - version % 2
        path = self._folder / f"version-{version}"
        if not (path / "digest").exists():
            from test_updates import digest_of, noisy, save
            save(noisy(version), path)
            (path / "digest").write_text(digest_of(path))
        return path

    def digest(self, version: int) -> str:
        if version == 0:
            from test_updates import digest_of
            return digest_of(TINY)
        return (self.path(version) / "digest").read_text()

    def weights(self, version: int) -> str:
        return str(self.path(version) / "model.safetensors")

    def drawn(self, version: int, work: Work) -> Dict[checker.Sample, checker.Drawn]:
        """By `stampede generate`: without a wire, a trainer or a fault. In blocks of prompts, which
        rows share."""
        out: Dict[checker.Sample, checker.Drawn] = {}
        last = work.n_prompts + work.n_after
        for first in range(0, last, _BLOCK):
            out.update(self._block(version, work, first))
        return {sample: drawn for sample, drawn in out.items() if sample[0] < last}

    def _block(self, version: int, work: Work, first: int) -> Dict[checker.Sample, checker.Drawn]:
        key = f"{self.path(version).name} {first} {work.n} {work.seed} {json.dumps(work.sampling)}"
        cache = self._folder / f"drawn-{re.sub('[^0-9a-z]+', '-', key)}.pickle"
        if not cache.exists():
            lines = [{"prompt_ids": prompt_ids(i), "id": i, "n": work.n}
                     for i in range(first, first + _BLOCK)]
            out = {}
            for row in generate(self.path(version), lines, *work.flags(), timeout=600):
                lps = [np.array(row[k], "<f4").tobytes().hex() for k in ("lp_full", "lp_behav")]
                out[row["id"], row["sample"]] = checker.Drawn(row["tokens"], *lps)
            cache.with_suffix(".part").write_bytes(pickle.dumps(out))
            cache.with_suffix(".part").rename(cache)
        return pickle.loads(cache.read_bytes())


class Stub:
    """A trainer process."""

    def __init__(self, run: "Run", config: StubConfig, prefix: Sequence[str] = ()) -> None:
        self._run, self.name, self.config = run, config.name, config
        path = run.folder / f"{config.name}.json"
        path.write_text(json.dumps(asdict(config)))
        self.tail = Tail(Path(config.log))
        self.output = run.folder / f"{config.name}.out"
        with open(self.output, "wb") as out:
            self.child = subprocess.Popen([*prefix, sys.executable, str(HERE / "stub.py"),
                                           str(path)], stdin=subprocess.PIPE, stdout=out,
                                          stderr=out)

    def wait_for(self, event: str, n: int = 1, **fields: Any) -> None:
        def there() -> bool:
            if self.tail.count(event, **fields) >= n:
                return True
            assert self.child.poll() is None, self.output.read_text()
            return False

        try:
            eventually(there, PATIENCE_S)
        except AssertionError as error:
            raise AssertionError(f"{self.name}: no {n} of {event} {fields} came, but "
                                 f"{self.tail.count(event, **fields)}. {error}") from None

    def opened(self) -> Event:
        self.wait_for("open")
        return next(e for e in self.tail.events if e["event"] == "open")

    @property
    def url(self) -> str:
        return self.opened()["url"]

    def n_consumed(self) -> int:
        return self.tail.count("consumed")

    def sessions(self) -> Dict[str, str]:
        """The workers that have a session now, and its peer."""
        uids: Dict[str, str] = {}
        live: Dict[str, str] = {}
        for e in self.tail.look():
            if e["event"] == "received" and e["type"] == "HELLO":
                uids[e["peer"]] = e["uid"]
            elif e["event"] == "sent" and e["type"] == "WELCOME":
                live[uids[e["peer"]]] = e["peer"]
            elif e["event"] == "gone" and live.get(e["worker"]) == e["peer"]:
                del live[e["worker"]]
        return live

    def wait_for_sessions(self, n: int) -> None:
        try:
            eventually(lambda: len(self.sessions()) == n, PATIENCE_S)
        except AssertionError:
            raise AssertionError(f"{self.name} has sessions with {sorted(self.sessions())}, "
                                 f"expected {n}") from None

    def n_gone(self, worker: "harness.Worker") -> int:
        return self.tail.count("gone", worker=self._run.name_of(worker))

    def is_done(self) -> bool:
        return self.tail.count("done") > 0

    def counters(self) -> Dict[str, int]:
        return next(e["counters"] for e in reversed(self.tail.look())
                    if e["event"] in ("counted", "done"))

    def signal(self, number: int) -> None:
        self.child.send_signal(number)

    def kill(self) -> None:
        self.child.kill()
        self.child.wait(PATIENCE_S)

    def release(self) -> None:
        """It ends the run now."""
        assert self.child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.write(b"\n")
            self.child.stdin.flush()

    def ends(self) -> None:
        assert self.child.wait(PATIENCE_S) == 0, self.output.read_text()


class Run(contextlib.ExitStack):
    """One scenario: everything that it starts, writes and waits for. Ends with verify()."""

    def __init__(self, folder: Path, seed: int, models: Models, is_long: bool) -> None:
        super().__init__()
        self.folder, self.seed, self.models, self.is_long = folder, seed, models, is_long
        self.rng = random.Random(seed)
        self.work = Work()
        self.versions: List[int] = [0]
        self.log = Log(folder / "harness.jsonl", "harness")
        self.notes: List[str] = []  # printed with the row
        self.is_judged = False  # the case has asked the checker itself
        self.workers: List[harness.Worker] = []
        self.stubs: List[Stub] = []
        self._names: Dict[int, str] = {}
        self._ended: set = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._sample, daemon=True)
        self._watch.start()

    def __exit__(self, *exc: Any) -> Any:
        self._stop.set()
        self._watch.join()
        for stub in self.stubs:
            if stub.child.poll() is None:
                stub.child.send_signal(signal.SIGCONT)
                stub.kill()
        for worker in self.workers:
            worker.kill()
        return super().__exit__(*exc)

    # --- processes ---

    def name_of(self, worker: harness.Worker) -> str:
        return self._names[worker.pid]

    def worker(self, url: str, prefix: Sequence[str] = (), **flags: Any) -> harness.Worker:
        """A real worker. `prefix` is a command that execs it: prlimit, ip netns exec, env."""
        name = f"w{len(self.workers)}"
        program = BIN
        if prefix:
            program = str(self.folder / f"{name}.sh")
            Path(program).write_text("#!/bin/sh\nexec " + " ".join(prefix) + f' {BIN} "$@"\n')
            os.chmod(program, 0o755)
        before = os.environ["STAMPEDE_BIN"]
        os.environ["STAMPEDE_BIN"] = program
        try:
            worker = harness.Worker(self.folder, url, **{**FLAGS, "name": name, **flags})
        finally:
            os.environ["STAMPEDE_BIN"] = before
        with self._lock:
            self._names[worker.pid] = name
            self.workers.append(worker)
        self.log.say("start", worker=name, pid=worker.pid)
        return worker

    def pool(self, url: str, n: int, **flags: Any) -> List[harness.Worker]:
        return [self.worker(url, **flags) for _ in range(n)]

    def signal(self, worker: harness.Worker, number: int) -> None:
        """Written down first: what comes of it must find it in the log."""
        self.log.say("signal", worker=self.name_of(worker), pid=worker.pid, signal=int(number))
        if worker.alive():
            worker.child._process.send_signal(number)

    def kill(self, worker: harness.Worker) -> None:
        self.signal(worker, signal.SIGKILL)
        worker.child.wait(PATIENCE_S)

    def expect(self, worker: harness.Worker, status: int) -> None:
        self.log.say("expect", worker=self.name_of(worker), status=status)

    def trainer(self, prefix: Sequence[str] = (), previous: Sequence[Stub] = (),
                pushes: Sequence[Tuple[int, int]] = (), **more: Any) -> Stub:
        name = f"trainer-{len(self.stubs)}"
        config = StubConfig(
            name=name, log=str(self.folder / f"{name}.jsonl"), **asdict(self.work),
            previous=[stub.config.log for stub in previous],
            pushes=[(after, v, self.models.weights(v)) for after, v in pushes],
            **{"url": "tcp://127.0.0.1:0", **more})
        self.versions += [v for _, v in pushes if v not in self.versions]
        stub = Stub(self, config, prefix)
        self.stubs.append(stub)
        return stub

    def proxy(self, url: str = "") -> Proxy:
        proxy = Proxy()
        if url:
            proxy.point_at(url)
        self.callback(proxy.close)
        return proxy

    # --- looking ---

    def wait(self, condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
        return eventually(condition, seconds)

    def footprint(self, worker: harness.Worker) -> Tuple[int, int]:
        """KiB in memory, and open files."""
        return worker.rss_kib(), len(os.listdir(f"/proc/{worker.pid}/fd"))

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            self._look()

    def _look(self) -> None:
        with self._lock:
            workers = list(self.workers)
        for worker in workers:
            if worker.pid in self._ended:
                continue
            status = worker.child.poll()
            name = self._names[worker.pid]
            if status is not None:
                self._ended.add(worker.pid)
                self.log.say("exit", worker=name, pid=worker.pid, status=status)
                continue
            with contextlib.suppress(OSError, IndexError, ValueError):
                rss, n_fds = self.footprint(worker)
                self.log.say("footprint", worker=name, pid=worker.pid, rss_kib=rss, n_fds=n_fds)

    # --- the end ---

    def finish(self) -> None:
        """The last trainer consumes what is left and ends the run; then everybody goes."""
        last = self.stubs[-1]
        last.wait_for("done")
        last.release()
        last.ends()
        self.leave()

    def leave(self) -> None:
        """Workers that heard BYE go by themselves, who missed it is told by SIGTERM."""
        with contextlib.suppress(AssertionError):
            self.wait(lambda: not any(w.alive() for w in self.workers), 5)
        for worker in self.workers:
            if worker.alive():
                self.signal(worker, signal.SIGCONT)
                self.signal(worker, signal.SIGTERM)
        self.wait(lambda: not any(w.alive() for w in self.workers))
        self._look()

    def events(self) -> List[Event]:
        logs = [self.folder / "harness.jsonl"] + [Path(s.config.log) for s in self.stubs]
        manifests = [{"t": 0.0, "who": "harness", "event": "manifest", "version": v,
                      "digest": self.models.digest(v)} for v in self.versions]
        said = []
        for worker in self.workers:
            for line in worker.log().splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    said.append({"t": 0.0, "who": "worker", "event": "said",
                                 "worker": f"{self.name_of(worker)} ({worker.pid})",
                                 "text": json.loads(line)["message"]})
        return manifests + merge(logs) + said

    def reference(self) -> Dict[int, Dict[checker.Sample, checker.Drawn]]:
        return {v: self.models.drawn(v, self.work) for v in self.versions}

    def verify(self) -> None:
        """Fails with the checker's sentences."""
        if self.is_judged:
            return
        found = checker.check(self.events(), self.reference())
        assert not found, "\n".join(found[:20] + [f"({len(found)} violations)"])
