"""The trainer's side of the protocol as a state machine: no sockets, no threads.

The I/O thread feeds it messages and ticks; it answers through `send`. Every method runs on that
one thread. Execution is at least once, consumption exactly once: a sample is committed by the
first RESULT that brings it, whoever sent it, and every later one is acknowledged and dropped.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import (Any, Callable, Deque, Dict, Iterable, List, NamedTuple, Optional, Sequence,
                    Set)

from . import wire
from .groups import Job
from .peers import Address, Worker
from .updates import Updates

log = logging.getLogger("stampede")
_SPLIT_FROM = 16  # samples of a group from which idle workers share it
_KNOCK_S = 0.2
_WARN_S = 30.0  # between warnings that nobody works


class Range(NamedTuple):
    """Samples first .. first + n - 1 of a job that no worker has."""

    job: Job
    first: int
    n: int


class Core:
    """Sessions, tasks, results; weights are in Updates."""

    def __init__(self, run: str, epoch: int, min_workers: int,
                 send: Callable[[Address, wire.Message], bool],
                 in_background: Callable[[Callable[[], Any], Callable[[Any], None]], None],
                 knock: Sequence[Address] = ()) -> None:
        self.run, self.epoch, self.min_workers = run, epoch, min_workers
        self.bulk_url = ""  # for WELCOME; set by the I/O thread once it is bound
        self._knock = knock  # where bound workers are, which speak only when they are spoken to
        self.counters: Counter = Counter()
        self.workers: Dict[Address, Worker] = {}
        self.updates = Updates(self, in_background)
        self._transport = send
        self._gone: Set[Address] = set()  # sending to them failed
        self._jobs: Dict[int, Job] = {}
        self._pending: Deque[Range] = deque()
        self._fingerprint: Optional[int] = None
        self._started = False  # min_workers were ready once
        self._waiting: List[Callable[[], bool]] = []  # tried after each event until true
        self._next_beat = self._next_knock = 0.0
        self._idle_since: Optional[float] = None  # there is work, and no worker for it
        self._last_tick: Optional[float] = None

    # --- sending ---

    def send(self, worker: Worker, kind: str, **fields: Any) -> None:
        worker.seq_out += 1
        message = wire.Message(kind, fields, self.run, self.epoch, worker.seq_out)
        if not self._transport(worker.address, message):
            self._gone.add(worker.address)

    def _refuse(self, address: Address, code: str, text: str) -> None:
        self.counters[f"refused_{code}"] += 1
        self._say_refuse(address, code, text)

    def _say_refuse(self, address: Address, code: str, text: str) -> None:
        fields = {"code": wire.REFUSALS[code], "error": text[:1000]}
        self._transport(address, wire.Message("REFUSE", fields, self.run, self.epoch))

    # --- receiving ---

    def on_malformed(self, address: Address, error: wire.WireError, was_hello: bool) -> None:
        self.counters[f"malformed_{error.reason}"] += 1
        if self.counters[f"malformed_{error.reason}"] <= 10:  # then it is noise
            log.warning("A frame was refused: %s", error)
        if error.reason == "version":
            self._refuse(address, "major", str(error))
        elif was_hello:
            self._refuse(address, "malformed", str(error))

    def on_message(self, address: Address, m: wire.Message, now: float) -> None:
        if m.type == "HELLO":
            self._on_hello(address, m, now)
            return
        worker = self.workers.get(address)
        if worker is None:
            if m.type != "BYE":
                self._refuse(address, "no_session", "This trainer has no session with you.")
            return
        if (m.run, m.epoch) != (self.run, self.epoch):
            self.lose(worker, "it speaks of another run or epoch")
            self._refuse(address, "epoch", f'The run is "{self.run}" in epoch {self.epoch}.')
            return
        if m.seq != worker.seq_in + 1:
            self.lose(worker, "messages of it were lost")
            self._refuse(address, "no_session", "Messages were lost; begin again.")
            return
        worker.seq_in, worker.last_heard = m.seq, now
        handler = getattr(self, f"_on_{m.type.lower()}", None)
        if handler is None:
            self.counters["malformed_type"] += 1
        else:
            handler(worker, m)

    def _on_hello(self, address: Address, m: wire.Message, now: float) -> None:
        for old in [w for w in self.workers.values()
                    if w.address == address or w.uid == m["uid"]]:
            self.lose(old, "it began a new session")
        if m.run == self.run and m.epoch > self.epoch:
            self._refuse(address, "epoch", f"The worker has seen epoch {m.epoch}, this trainer is "
                                           f"in epoch {self.epoch}.")
            return
        if self._fingerprint is None:
            self._fingerprint = m["fingerprint"]
        if m["fingerprint"] != self._fingerprint:
            self._refuse(address, "model", f"Model {m['fingerprint']:016x}, the run's other "
                                           f"workers have {self._fingerprint:016x}.")
            log.error("Worker %s was refused: it has another model.", m["uid"])
            return
        worker = self.workers[address] = Worker(address, m, now)
        self._gone.discard(address)
        log.info("Worker %s joined: %s, version %d.", worker.uid, worker.build, worker.version)
        self.send(worker, "WELCOME", heartbeat_ms=wire.HEARTBEAT_MS, lost_ms=wire.LOST_MS,
                  version=self.updates.version, bulk_url=self.bulk_url)
        self.updates.on_join(worker)

    def _on_heartbeat(self, worker: Worker, m: wire.Message) -> None:
        worker.heartbeat = m.fields
        worker.draining = worker.draining or m["draining"]

    def _on_credit(self, worker: Worker, m: wire.Message) -> None:
        worker.credit = max(worker.credit, m["slots"])

    def _on_drain(self, worker: Worker, m: wire.Message) -> None:
        worker.draining = True
        self.updates.on_change()

    def _on_bye(self, worker: Worker, m: wire.Message) -> None:
        self.lose(worker, "it left")

    def _on_weights_status(self, worker: Worker, m: wire.Message) -> None:
        self.updates.on_status(worker, m)

    def _on_result(self, worker: Worker, m: wire.Message) -> None:
        self.send(worker, "ACK", result=m["result"])
        job = self._jobs.get(m["serial"])
        for row, sample in enumerate(m["sample"].tolist()):
            key = (m["serial"], sample)
            held = key in worker.held
            worker.held.discard(key)
            if job is None or sample >= job.group.n or sample in job.done:
                self.counters["duplicate_samples"] += 1
            elif wire.FINISH[m["finish"][row]] == "preempted":
                self.counters["preempted_samples"] += 1
                if held:
                    self._give_back(job, [sample])
            else:
                job.commit(m, row)
        if job is not None:
            self._finish_if_complete(job)

    # --- sessions ---

    def lose(self, worker: Worker, why: str) -> None:
        """Ends a session: what the worker had is given to others."""
        if self.workers.get(worker.address) is not worker:
            return
        del self.workers[worker.address]
        self._gone.discard(worker.address)
        log.info("Worker %s is gone: %s; %d samples are given to others.", worker.uid, why,
                 len(worker.held))
        self.counters["lost_sessions"] += 1
        by_serial: Dict[int, List[int]] = {}
        for serial, sample in worker.held:
            by_serial.setdefault(serial, []).append(sample)
        worker.held.clear()
        for serial in sorted(by_serial, reverse=True):
            job = self._jobs.get(serial)
            if job is not None:
                self._give_back(job, by_serial[serial])
                self._finish_if_complete(job)
        self.updates.on_change()

    def on_tick(self, now: float) -> None:
        """Heartbeats and silence. A stall of our own is not held against the workers."""
        stall = 0.0 if self._last_tick is None else max(0.0, now - self._last_tick - 1.0)
        self._last_tick = now
        for worker in list(self.workers.values()):
            worker.last_heard += stall
            if now - worker.last_heard > wire.LOST_MS / 1000:
                self.lose(worker, f"nothing was heard for {wire.LOST_MS} ms")
        if now >= self._next_beat:
            self._next_beat = now + wire.HEARTBEAT_MS / 1000
            for worker in self.workers.values():
                self.send(worker, "HEARTBEAT")
        if now >= self._next_knock:
            self._next_knock = now + _KNOCK_S
            for address in self._knock:
                if address not in self.workers:
                    self._say_refuse(address, "no_session", "A trainer is here.")
        self._warn_when_stuck(now)
        self.updates.on_tick(now)

    def _warn_when_stuck(self, now: float) -> None:
        stuck = bool(self._pending) and not any(w.held for w in self.workers.values())
        if not stuck:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since > _WARN_S:
            self._idle_since = now
            log.warning("%d tasks wait and no worker takes them; ready are %d of %d workers, %d "
                        "are wanted at the start.", len(self._pending), self.n_ready,
                        len(self.workers), self.min_workers)

    def settle(self) -> None:
        """After each batch of events: bury the dead, hand out work, answer who waits."""
        while True:
            for address in list(self._gone):
                self._gone.discard(address)
                if address in self.workers:
                    self.lose(self.workers[address], "the connection is gone")
            self._dispatch()
            if not self._gone:
                break
        self._waiting = [ready for ready in self._waiting if not ready()]

    def when(self, ready: Callable[[], bool]) -> None:
        """Calls `ready` after each event until it returns true."""
        self._waiting.append(ready)

    @property
    def n_ready(self) -> int:
        return sum(self.updates.serves_last(w) and not w.draining for w in self.workers.values())

    # --- jobs ---

    def submit(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._jobs[job.serial] = job
            self._pending.append(Range(job, 0, job.group.n))

    def cancel(self, serials: Iterable[int], discard: bool) -> None:
        """Ends jobs. With `discard` nobody waits for them; else they come with what they have."""
        wanted = {s: self._jobs[s] for s in serials if s in self._jobs}
        for job in wanted.values():
            job.cancelled = True
        for r in [r for r in self._pending if r.job.serial in wanted]:
            for sample in set(range(r.first, r.first + r.n)) - r.job.done:
                r.job.cancel_sample(sample)
        self._pending = deque(r for r in self._pending if r.job.serial not in wanted)
        for worker in self.workers.values():
            for serial in {s for s, _ in worker.held} & wanted.keys():
                self.send(worker, "CANCEL", serial=serial)
        for serial, job in wanted.items():
            if discard:
                del self._jobs[serial]
            else:
                self._finish_if_complete(job)

    def serials_of(self, group_id: Any) -> List[int]:
        return [s for s, job in self._jobs.items() if job.group.id == group_id]

    def _finish_if_complete(self, job: Job) -> None:
        if job.complete and self._jobs.pop(job.serial, None) is not None:
            job.mailbox.put(job.group)

    def _give_back(self, job: Job, samples: Iterable[int]) -> None:
        """Puts samples in front of the queue, as runs of neighbours."""
        left = sorted(s for s in samples if s not in job.done)
        if job.cancelled:
            for sample in left:
                job.cancel_sample(sample)
            return
        runs: List[Range] = []
        for sample in left:
            job.attempts[sample] = job.attempts.get(sample, 0) + 1
            if runs and runs[-1].first + runs[-1].n == sample:
                runs[-1] = runs[-1]._replace(n=runs[-1].n + 1)
            else:
                runs.append(Range(job, sample, 1))
        self._pending.extendleft(reversed(runs))

    # --- handing out ---

    def _dispatch(self) -> None:
        self._started = self._started or self.n_ready >= self.min_workers
        while self._pending and self._started:
            r = self._pending.popleft()
            if any(s in r.job.done for s in range(r.first, r.first + r.n)):
                self._pending.extendleft(reversed(_runs_left(r)))
                continue
            worker, take = self._choose(r)
            if worker is None:
                self._pending.appendleft(r)
                return
            if take < r.n:
                self._pending.appendleft(Range(r.job, r.first + take, r.n - take))
            self._send_task(worker, Range(r.job, r.first, take))

    def _choose(self, r: Range) -> Any:
        """The worker with most room, and how many samples it gets; (None, 0) when all are full.

        A group stays together, so that its prompt is prefilled once, unless it is larger than half
        of a worker or other workers would be idle.
        """
        able = [w for w in self.workers.values()
                if w.address not in self._gone and not w.draining
                and self.updates.may_serve(w, r.job.fields.get("min_version") or 0)]
        worker = max(able, key=lambda w: w.free, default=None)
        if worker is None or worker.free < min(r.n, max(1, worker.slots // 2)):
            return None, 0
        take = min(r.n, worker.free)
        n_idle = sum(not w.held and w.free > 0 for w in able)
        if r.n >= _SPLIT_FROM and n_idle > len(self._pending) + 1:
            take = min(take, -(-r.n // n_idle))
        return worker, take

    def _send_task(self, worker: Worker, r: Range) -> None:
        samples = range(r.first, r.first + r.n)
        attempt = max(r.job.attempts.get(s, 0) for s in samples)
        worker.sent += r.n
        worker.held.update((r.job.serial, s) for s in samples)
        self.counters["sent_samples"] += r.n
        self.send(worker, "TASK", first=r.first, n=r.n, attempt=attempt, **r.job.fields)


def _runs_left(r: Range) -> List[Range]:
    """The parts of a range whose samples have not come meanwhile."""
    runs: List[Range] = []
    for sample in range(r.first, r.first + r.n):
        if sample in r.job.done:
            continue
        if runs and runs[-1].first + runs[-1].n == sample:
            runs[-1] = runs[-1]._replace(n=runs[-1].n + 1)
        else:
            runs.append(Range(r.job, sample, 1))
    return runs
