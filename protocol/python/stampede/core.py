"""The trainer's side of the protocol as a state machine: no sockets, no threads.

The I/O thread feeds it messages and ticks; it answers through `send`. Every method runs on that
one thread. Execution is at least once, consumption exactly once: a sample is committed by the
first RESULT that brings it, whoever sent it, and every later one is acknowledged and dropped.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple

import msgpack

from . import wire
from .custody import Custody
from .directory import Directory
from .dispatch import Dispatcher
from .jobs import Job, flagged, runs
from .leases import LEASE_S
from .partials import Partial, partials
from .peers import Address, Worker, digest_text
from .suspicion import evidence
from .updates import Updates
from .waits import Waits

log = logging.getLogger("stampede")
_KNOCK_S, _TICK_S = 0.2, 0.05
_ALIVE_S = 1.5  # who was heard so recently is not likely to have been started again
_WARN_S = 30.0  # between warnings that nobody works


def is_news(n: int) -> bool:
    """Whether the n-th of its kind is told: the first hundred, then each time that they doubled."""
    return n <= 100 or n & (n - 1) == 0


class Core:
    """Sessions, tasks, results; weights are in Updates, who gets what in Dispatcher."""

    def __init__(self, run: str, epoch: int, min_workers: int,
                 send: Callable[[Address, Sequence[bytes]], bool],
                 in_background: Callable[[Callable[[], Any], Callable[[Any], None]], None],
                 knock: Sequence[Address] = (), directory: Optional[Directory] = None,
                 lease_s: float = LEASE_S) -> None:
        self.run, self.epoch, self.min_workers = run, epoch, min_workers
        self.bulk_url = ""  # for WELCOME; set by the I/O thread once it is bound
        self._knock = knock  # where bound workers are, which speak only when they are spoken to
        self.counters: "Counter[str]" = Counter()
        self.workers: Dict[Address, Worker] = {}
        self.updates = Updates(self, in_background, directory)
        self.dispatcher = Dispatcher(self.updates.may_serve)
        self.custody, self.waits = Custody(self, lease_s), Waits()
        self.lag_s = 0.0  # the longest turn of the I/O thread; it fades
        self._transport = send
        self._failed: Set[Worker] = set()  # sending to them failed, in this turn
        self._unreachable: Set[Worker] = set()  # and before it
        self._unacked: List[Tuple[Worker, int]] = []  # RESULTs that were taken in this turn
        self._jobs: Dict[int, Job] = {}  # by serial
        self._by_id: Dict[bytes, Set[int]] = {}  # their serials by the id's JSON text
        self._n_sessions = 0
        self._fingerprint: Optional[int] = None
        self._started = False  # min_workers were ready once
        self._waiting: List[Callable[[], bool]] = []  # tried until true, when workers changed
        self._workers_changed = True
        self._next_beat = self._next_knock = self._next_tick = 0.0
        self._idle_since: Optional[float] = None  # there is work, and no worker for it
        self._last_tick: Optional[float] = None
        self._handlers: Dict[str, Callable[[Worker, Any], None]] = {
            "RESULT": self._on_result, "CREDIT": self._on_credit, "DRAIN": self._on_drain,
            "HEARTBEAT": self._on_heartbeat, "BYE": self._on_bye,
            "WEIGHTS_STATUS": self.updates.on_status}

    # --- sending ---

    def _ship(self, worker: Worker, frames: Sequence[bytes]) -> None:
        if not self._transport(worker.address, frames) and worker.reachable:
            worker.reachable = False
            self._failed.add(worker)
            self.dispatcher.touch(worker)

    def send(self, worker: Worker, kind: str, **fields: Any) -> None:
        frames = wire.encode(wire.Message(kind, fields, self.run, self.epoch, worker.seq_out + 1))
        worker.seq_out += 1  # only now: a number that is not sent is a lost message
        self._ship(worker, frames)

    def _acknowledge(self) -> None:
        """Says ACK to all RESULTs of this turn: in a row they go out with few system calls. One of
        a session that has ended meanwhile comes again in the next."""
        start = wire.header_start("ACK", self.run, self.epoch)
        for worker, result in self._unacked:
            if self.workers.get(worker.address) is not worker:
                continue
            worker.seq_out += 1
            self._ship(worker, (start + worker.seq_out.to_bytes(8, "big") + b"\x81\x01"
                                + msgpack.packb(result),))
        self._unacked.clear()

    def refuse(self, address: Address, code: str, text: str) -> None:
        self.counters[f"refused_{code}"] += 1
        self._say_refuse(address, code, text)

    def _say_refuse(self, address: Address, code: str, text: str) -> None:
        short = text.encode()[:1000].decode("utf-8", "ignore")
        fields = {"code": wire.REFUSALS[code], "error": short}
        self._transport(address, wire.encode(wire.Message("REFUSE", fields, self.run, self.epoch)))

    # --- receiving ---

    def on_malformed(self, address: Address, error: wire.WireError, was_hello: bool) -> None:
        self.counters[f"malformed_{error.reason}"] += 1
        if self.counters[f"malformed_{error.reason}"] <= 10:  # then it is noise
            log.warning("A frame was refused: %s", error)
        if error.reason == "version":
            self.refuse(address, "major", str(error))
        elif was_hello:
            self.refuse(address, "malformed", str(error))

    def shut_out(self, address: Address) -> None:
        """A message came from there without a key that is allowed now."""
        self.counters["unauthenticated_messages"] += 1
        if address in self.workers:
            self.lose(self.workers[address], "its key is not allowed any more")

    def on_failure(self, address: Address) -> None:
        """A message that made us fail: its session ends."""
        self.counters["failed_messages"] += 1
        if address in self.workers:
            self.lose(self.workers[address], "a message of it could not be handled")
        self.refuse(address, "no_session", "A message could not be handled; begin again.")

    def on_message(self, address: Address, m: wire.Message, now: float, user: str = "") -> None:
        if m.type == "HELLO":
            self._on_hello(address, m, now, user)
            return
        worker = self.workers.get(address)
        if worker is not None and worker.user != user:
            self.counters["stolen_addresses"] += 1  # it waits until the session has ended
        elif worker is None:
            if m.type != "BYE":
                self.refuse(address, "no_session", "This trainer has no session with you.")
        elif m.epoch != self.epoch or m.run != self.run:
            self.lose(worker, "it speaks of another run or epoch")
            self.refuse(address, "epoch", f'The run is "{self.run}" in epoch {self.epoch}.')
        elif m.seq != worker.seq_in + 1:
            self.lose(worker, "messages of it were lost")
            self.refuse(address, "no_session", "Messages were lost; begin again.")
        else:
            worker.seq_in, worker.last_heard = m.seq, now
            handler = self._handlers.get(m.type)
            if handler is None:
                self.counters["malformed_type"] += 1
            else:
                handler(worker, m)

    def _on_hello(self, address: Address, m: wire.Message, now: float, user: str) -> None:
        same = [w for w in self.workers.values() if w.address == address or w.uid == m["uid"]]
        if any(w.user != user for w in same):
            self.counters["stolen_names"] += 1
            self.refuse(address, "key", "A worker of this name is here, with another key.")
            return
        for old in same:
            if old.incarnation != m["incarnation"] and now - old.last_heard < _ALIVE_S:
                log.warning("A worker named %s joins, and another one of that name was here a "
                            "moment ago: give each worker a --name of its own.", old.uid)
            died = old.incarnation != m["incarnation"]
            self.lose(old, "it began a new session", "restart" if died else "")
        if m.run == self.run and m.epoch > self.epoch:
            self.refuse(address, "epoch", f"The worker has seen epoch {m.epoch}, this trainer is "
                                          f"in epoch {self.epoch}.")
            return
        if self._fingerprint is None:
            self._fingerprint = m["fingerprint"]
        if m["fingerprint"] != self._fingerprint:
            self.refuse(address, "model", f"Model {m['fingerprint']:016x}, the run's other "
                                          f"workers have {self._fingerprint:016x}.")
            if is_news(self.counters["refused_model"]):
                log.error("Worker %s was refused: it has another model.", m["uid"])
            return
        worker = Worker(address, m, now, self._n_sessions, user)
        self._n_sessions += 1
        why = self.updates.examine(worker)
        if why is not None:
            self.refuse(address, "model", why)
            if is_news(self.counters["refused_model"]):
                log.error("A worker was refused: %s", why)
            return
        self.workers[address] = worker
        self.custody.acquit(worker)
        log.info("Worker %s joined: %s, version %d, digest %s.", worker.uid, worker.build,
                 worker.version, digest_text(worker.digest))
        self.send(worker, "WELCOME", heartbeat_ms=wire.HEARTBEAT_MS, lost_ms=wire.LOST_MS,
                  version=self.updates.version, bulk_url=self.bulk_url)
        self.dispatcher.add(worker)
        self.updates.on_join(worker)
        self.changed(worker)

    def _on_heartbeat(self, worker: Worker, m: wire.Message) -> None:
        worker.heartbeat = m.fields
        if m["draining"] and not worker.draining:
            self._on_drain(worker, m)
        self.custody.on_heartbeat(worker, m)
        self.updates.on_heartbeat(worker, m["version"])

    def _on_credit(self, worker: Worker, m: wire.Message) -> None:
        if m["slots"] > worker.credit:
            worker.credit = m["slots"]
            self.dispatcher.touch(worker)

    def _on_drain(self, worker: Worker, m: wire.Message) -> None:
        worker.draining = True
        self.changed(worker)
        self.updates.on_change()

    def _on_bye(self, worker: Worker, m: wire.Message) -> None:
        # One that leaves with work in its hands and was not asked to: its device failed.
        failed = worker.n_held and not worker.draining and not m["suspect_ms"]
        self.lose(worker, f"it left: {m['reason'] or 'no reason'}", "failure" if failed else "")
        if m["suspect_ms"]:
            self.custody.on_damage(worker, m)

    def _on_result(self, worker: Worker, r: wire.Result) -> None:
        why = self.updates.foreign(worker, r)
        if why is not None:
            self.counters["foreign_samples"] += r.n
            self.expel(worker, why)
            return
        r.origin = worker.origin
        self._unacked.append((worker, r.result))
        self.custody.on_result(worker, r.serial)
        preempted = worker.take(r)
        job = self._jobs.get(r.serial)
        if job is None or job.kind not in (None, worker.kind):
            self.counters["duplicate_samples"] += r.n
            return
        n = job.commit(r)
        if n:
            job.kind = worker.kind
        if n < r.n:
            n_preempted = r.finish.count(wire.PREEMPTED)
            self.counters["preempted_samples"] += n_preempted
            self.counters["duplicate_samples"] += r.n - n - n_preempted
        if preempted:
            self._keep(job, worker, r, preempted)
            self.give_back(job, preempted)
        self.finish_if_complete(job)

    def _keep(self, job: Job, worker: Worker, r: wire.Result, samples: List[int]) -> None:
        """What a worker that stops drew of these samples: the next one goes on from there."""
        may_serve = self.updates.may_serve(worker)
        for sample, partial in partials(r, samples):
            if may_serve or partial.version <= self.updates.version:
                job.kind = worker.kind
                self.counters["returned_tokens"] += job.keep(sample, partial)
            else:  # of a push that may be taken back
                self.counters["dropped_tokens"] += partial.n_tokens

    # --- sessions ---

    def changed(self, worker: Optional[Worker] = None) -> None:
        """A worker (None: any of them) may serve now what it could not before, or no more."""
        self._workers_changed = True
        if worker is None:
            self.dispatcher.touch_all()
        else:
            self.dispatcher.touch(worker)

    def lose(self, worker: Worker, why: str, death: str = "") -> None:
        """Ends a session: what the worker had is given to others. `death` says how it seems to have
        died, if so: then one of its groups may be to blame."""
        if self.workers.get(worker.address) is not worker:
            return
        del self.workers[worker.address]
        self.dispatcher.remove(worker)
        self.custody.forget(worker)
        log.info("Worker %s is gone: %s; %d samples are given to others.", worker.uid, why,
                 worker.n_held)
        self.counters["lost_sessions"] += 1
        self.custody.take_all(worker, why, death)
        self._workers_changed = True
        self.updates.on_leave(worker)

    def expel(self, worker: Worker, why: str) -> None:
        """Ends a session with a worker whose weights are not those that count."""
        log.error("Worker %s is dropped: %s", worker.uid, why)
        self.lose(worker, "its weights are not those that count")
        self.refuse(worker.address, "model", why)

    def on_tick(self, now: float) -> None:
        """Heartbeats and silence. A stall of our own is not held against the workers."""
        if now < self._next_tick:
            return
        self._next_tick = now + _TICK_S
        late = now - (now if self._last_tick is None else self._last_tick)
        stall = max(0.0, late - wire.LOST_MS / 5000)  # less than that is no stall
        self._last_tick = now
        for worker in list(self.workers.values()):
            worker.last_heard += stall
            if now - worker.last_heard > wire.LOST_MS / 1000:
                self.lose(worker, f"nothing was heard for {wire.LOST_MS} ms", "silence")
        self.custody.on_tick(now, stall)
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
        if not self._jobs or any(w.n_held for w in self.workers.values()):
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since > _WARN_S:
            self._idle_since = now
            if self.updates.move_base():
                self.begin_again([job for job in self._jobs.values()
                                  if job.n_done or job.partials])
                return
            log.warning("%d tasks wait and no worker takes them; ready are %d of %d workers, %d "
                        "are wanted at the start.", self.dispatcher.n_waiting(), self.n_ready,
                        len(self.workers), self.min_workers)

    def settle(self, all_read: bool = True) -> None:
        """After each batch of events: bury the dead, hand out work, answer who waits. `all_read`:
        everything that had come when the batch began is in it."""
        self._acknowledge()
        if all_read:
            self._bury()
        self._dispatch()
        if self._workers_changed:
            self._workers_changed = False
            self._waiting = [ready for ready in self._waiting if not ready()]

    def _bury(self) -> None:
        """Ends the sessions of those that could not be reached before this turn. What they had said
        before their connection ended, a BYE or a last RESULT, may have been unread then; now it is
        read."""
        for worker in self._unreachable:
            self.lose(worker, "the connection is gone", "connection")
        self._unreachable, self._failed = self._failed, set()

    @property
    def is_burying(self) -> bool:
        """The next turns end sessions, whether anything comes or not."""
        return bool(self._unreachable or self._failed)

    def when(self, ready: Callable[[], bool]) -> None:
        """Calls `ready` now and after each change of the workers until it returns true."""
        self._waiting.append(ready)
        self._workers_changed = True

    @property
    def n_ready(self) -> int:
        """Workers that wait for nothing but tasks, or for the first push."""
        return sum(self.updates.is_ready(w) and not w.draining for w in self.workers.values())

    def describe(self) -> List[Dict[str, Any]]:
        return [w.describe(self.updates.may_serve(w)) for w in self.workers.values()]

    # --- jobs ---

    def submit(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._jobs[job.serial] = job
            self._by_id.setdefault(job.id_json, set()).add(job.serial)
            self.dispatcher.put(job)

    def n_leased(self) -> int:
        """Groups of which a worker has samples."""
        return len({serial for worker in self.workers.values() for serial in worker.held})

    def job(self, serial: int) -> Optional[Job]:
        """The group, while it is on its way."""
        return self._jobs.get(serial)

    def open_jobs(self) -> List[Job]:
        return list(self._jobs.values())

    @property
    def n_jobs(self) -> int:
        return len(self._jobs)

    def serials_of(self, id_json: bytes) -> List[int]:
        return list(self._by_id.get(id_json, ()))

    def cancel(self, serials: Iterable[int], discard: bool) -> None:
        """Ends jobs. With `discard` nobody waits for them; else they come with what they have."""
        for serial in serials:
            job = self._jobs.get(serial)
            if job is None:
                continue
            job.cancelled = True
            job.end(job.unheld(), "cancelled")
            for worker in job.holders:
                self.send(worker, "CANCEL", serial=serial)
            if discard:
                self._forget(job)
            else:
                self.finish_if_complete(job)

    def abandon(self) -> None:
        """The end: nobody waits any longer."""
        self.updates.close()
        for job in self._jobs.values():
            job.mailbox.put(None)

    def _forget(self, job: Job) -> None:
        del self._jobs[job.serial]
        same = self._by_id[job.id_json]
        same.discard(job.serial)
        if not same:
            del self._by_id[job.id_json]

    def finish_if_complete(self, job: Job) -> None:
        if job.complete and job.serial in self._jobs:
            self._forget(job)
            job.group.deaths = evidence(job.deaths)
            self.counters["done_groups"] += 1
            self.waits.put(job.group)
            job.mailbox.put(job.group)

    def fail(self, job: Job, why: str) -> None:
        """Ends a job that no worker can be told of."""
        log.error("Group %d failed: %s", job.serial, why)
        job.end(b"\1" * job.n, "error", why)
        for worker in job.holders:
            self.send(worker, "CANCEL", serial=job.serial)
        self.finish_if_complete(job)

    def give_back(self, job: Job, samples: Iterable[int]) -> None:
        """Samples that a worker had wait again, in front of all others."""
        flags = bytearray(job.n)
        for sample in samples:
            if not job.done[sample]:
                flags[sample] = 1
                job.attempts[sample] = job.attempts.get(sample, 0) + 1
        if job.cancelled:
            job.end(flags, "cancelled")
            return
        if not job.n_done and not job.holders and not job.partials:
            job.kind = None  # nothing binds it any more
        self.dispatcher.put_back(job, runs(flags))

    def begin_again(self, jobs: Iterable[Job]) -> None:
        """Draws all samples of these anew; what has come of them is dropped."""
        for job in jobs:
            self.counters["dropped_samples"] += job.n_done
            self.counters["dropped_tokens"] += sum(p.n_tokens for p in job.partials.values())
            job.begin_again()
            self.dispatcher.put_back(job, [(0, job.n)])

    # --- handing out ---

    def _dispatch(self) -> None:
        if not self._started:
            self._started = self._workers_changed and self.n_ready >= self.min_workers
            if not self._started:
                return
        if self._workers_changed:
            self.begin_again(self.dispatcher.orphans())
        for worker, job, first, n in self.dispatcher.assignments():
            for piece, n_piece, partial in list(job.pieces(first, n)):
                if not job.complete:  # the piece before it may have failed
                    self._send_task(worker, job, piece, n_piece, partial)

    def _send_task(self, worker: Worker, job: Job, first: int, n: int,
                   partial: Optional[Partial]) -> None:
        attempts = job.attempts
        attempt = max(attempts.get(s, 0) for s in range(first, first + n)) if attempts else 0
        try:
            columns = [] if partial is None else job.columns_of(first, worker.version)
            frames = job.task.frames(self.run, self.epoch, worker.seq_out + 1, first, n, attempt,
                                     columns)
        except Exception as error:  # a group that cannot be written costs no other one
            self.fail(job, f"Its TASK could not be written: {error!r}.")
            return
        worker.seq_out += 1
        worker.give(job, first, n)
        self.counters["sent_samples"] += n
        self.counters["sent_tasks"] += 1
        if partial is not None:
            self.counters["continued_tokens" if columns else "dropped_tokens"] += partial.n_tokens
        self._ship(worker, frames)
