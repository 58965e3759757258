"""Weight updates as transactions over all workers, and for each one that joins late.

push: offer to every worker, wait until all have staged it, then commit everywhere; a failure before
that aborts it everywhere and the old version goes on serving. sync: the same with one worker. Any
message about it may be lost: COMMIT is said again until it is answered, and the version that a
worker is heard to serve, in whatever message, is what it has applied.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Union

from . import broadcast, wire
from .commits import Commits
from .deltas import Change
from .directory import Directory
from .errors import WeightUpdateError
from .nccl import NcclPusher
from .offers import Offers
from .peers import Update, Worker
from .push import Push, PushReport
from .served import Served
from .weights import DtypePlan

if TYPE_CHECKING:
    from .copies import Copies
    from .core import Core
    from .snapshot import Prepared, Snapshot

log = logging.getLogger("stampede")
_RECOMMIT_S = 3.0
_BEATS = 3  # heartbeats with the new version and no answer to COMMIT: the answer is lost


class Updates:
    """Runs on the I/O thread, inside Core."""

    def __init__(self, core: "Core", in_background: Callable[..., None],
                 directory: Optional[Directory] = None) -> None:
        self._core, self._in_background = core, in_background
        self._offers = Offers(core, in_background, directory)
        self._served = Served()
        self._last: Optional[int] = None  # the version that every worker has to serve
        self.store: "Union[None, Snapshot, Copies]" = None  # what was pushed; None: nothing
        self._frozen = False  # the snapshot is being written: nothing of it can be offered
        self._push: Optional[Push] = None
        self._commits = Commits()
        self.timeout_s = 600.0

    @property
    def version(self) -> int:
        return 0 if self._last is None else self._last

    @property
    def last(self) -> Optional[int]:
        return self._last

    @property
    def snapshot(self) -> "Union[Snapshot, Copies]":
        """Of the last version, or of the push that is under way. Who pushes has torch."""
        if self.store is None:
            from .snapshot import Snapshot

            self.store = Snapshot()
        return self.store

    @property
    def is_pushing(self) -> bool:
        return self._push is not None or self._frozen

    # --- who may work ---

    def serves_last(self, worker: Worker) -> bool:
        """Whether it serves the weights that count: the last that were pushed, or before the first
        push those of the first worker."""
        if self._last is None:
            return worker.version == self._served.base and self._served.agrees(worker, False)
        return worker.version == self._last and self._served.agrees(worker, True)

    def may_serve(self, worker: Worker) -> bool:
        push = self._push
        if push is None or worker.version != push.version:
            return self.serves_last(worker)
        if push.is_atomic:
            return False  # it may be taken back
        # It may be there by this push, or by one of an earlier epoch that had the same number.
        return worker.address in push.applied

    def is_ready(self, worker: Worker) -> bool:
        """Before the first push, a worker that waits for it with other weights is ready too."""
        return self._last is None or self.serves_last(worker)

    def move_base(self) -> bool:
        """Nobody works, since before the first push the workers that served the version that counts
        are gone: then that of the first that is left counts."""
        workers = self._core.workers.values()
        if self._last is not None or self._push is not None or not workers or any(
                w.version == self._served.base for w in workers):
            return False
        first = min(workers, key=lambda w: w.number)
        log.warning("Nobody serves policy version %s any more: from now on version %d of worker %s "
                    "counts, until weights are pushed.", self._served.base, first.version,
                    first.uid)
        self._served.base = first.version
        self._served.learn(first, False)
        for worker in list(workers):
            if worker.version == first.version:
                self._catch_up(worker)
        self._core.changed()
        return True

    # --- sessions ---

    def examine(self, worker: Worker) -> Optional[str]:
        """A worker that said HELLO: None, or why it may not join."""
        served = self._served
        if self._commits.is_answered(worker):
            served.learn(worker, True)
        if self._last is not None or self._push is not None:
            return None  # it gets the trainer's weights
        if served.base is None:
            served.base = worker.version
        if worker.version != served.base:
            return None
        served.learn(worker, False)
        return None if served.agrees(worker, False) else served.difference(worker, False)

    def on_join(self, worker: Worker) -> None:
        push = self._push
        if push is not None:
            if push.committed and worker.version == push.version and \
                    self._served.agrees(worker, True):
                push.reported.add(worker.address)
                self.on_change()
            else:
                self._offer(worker, push.version)
        elif self._frozen or self.serves_last(worker):
            pass  # when the snapshot is written, all that are behind are offered what counts
        elif self._last is not None:
            self._offer(worker, self._last)
        else:
            log.warning("Worker %s serves policy version %d and the first worker served version "
                        "%s: it gets no task before weights are pushed.", worker.uid,
                        worker.version, self._served.base)

    def on_leave(self, worker: Worker) -> None:
        left_alone = broadcast.leave(self._push, worker)
        self._withdraw(worker)
        for other in left_alone:
            self._offer(other, other.update.version if other.update else self.version)
        if self._push is not None:
            self._push.forget(worker)
        self.on_change()

    def foreign(self, worker: Worker, result: wire.Result) -> Optional[str]:
        """Why a RESULT may not be taken: its digest is of weights that do not count."""
        version, digest = result.last_version, result.digest
        if version is None:
            return None  # nothing was generated
        if version == worker.version != worker.failed_version and digest == worker.digest:
            return None
        if self._commits.has_applied(worker, version):
            self._applied(worker, version, digest)  # WEIGHTS_STATUS is behind it
        elif worker.digest is None and version == worker.version:
            worker.digest = digest
            self._check(worker)
        if self._served.has(worker, version, digest):
            return None
        return self._served.foreign(worker, version, digest)

    # --- offering ---

    def _offer(self, worker: Worker, version: int) -> None:
        """What differs, to a worker that serves the version before; to others all of the snapshot.
        That is summed up first, which takes seconds: another thread does it."""
        worker.vouched = self._served.counts(worker)
        push, plan = self._push, worker.plan
        worker.update_deadline = push.deadline if push is not None and not push.committed else \
            time.monotonic() + self.timeout_s

        def done(error: Any) -> None:
            wanted = self._push.version if self._push else self._last
            if self._core.workers.get(worker.address) is not worker or self._frozen or \
                    version != wanted:
                return
            if error is not None:
                self._fail(worker, version, str(error), getattr(error, "tensor", None))
                self.on_change()
            elif worker.update is None or worker.update.version != version:
                self._offer(worker, version)

        if push is not None and push.version == version and self._differs_only(push, worker):
            self._send_offer(worker, version, push.prepared.changes[plan], False, done)
        elif self.snapshot.has_dense(plan):
            self._send_offer(worker, version, self.snapshot.dense(plan), True, done)
        else:
            self._in_background(lambda: self.snapshot.dense(plan), done)

    def _differs_only(self, push: Push, worker: Worker) -> bool:
        """Whether what changed since the version before is all that it needs."""
        return worker.plan in push.prepared.changes and push.prepared.base is not None and \
            self.serves_last(worker)

    def _send_offer(self, worker: Worker, version: int, changes: List[Change], is_all: bool,
                    again: Callable[[Any], None]) -> None:
        try:
            self._offers.send(worker, version, changes, is_all, self._push, again)
        except wire.WireError as error:
            self._fail(worker, version, str(error), None)

    def _withdraw(self, worker: Worker) -> None:
        self._offers.withdraw(worker)
        self._sweep()

    def _sweep(self) -> None:
        current = None if self._frozen else self._push.version if self._push else self._last
        self._offers.sweep(current, self._push is not None)

    def _commit(self, worker: Worker, update: Update) -> None:
        worker.staged, worker.committed_at = False, time.monotonic()
        self._commits.note(worker, update)
        hold_ms = self._push.hold_ms if self._push is not None else 0
        self._core.send(worker, "WEIGHTS_COMMIT", update=update.number, hold_ms=hold_ms)

    def chunk(self, m: wire.Message) -> Optional[Dict[str, Any]]:
        """The fields of the WEIGHTS_CHUNK that answers a WEIGHTS_PULL."""
        return self._offers.chunk(m)

    # --- a push ---

    def freeze(self, version: int) -> List[DtypePlan]:
        """Before the snapshot is written: withdraws what is offered of it. Returns the types of the
        workers that are here, and refuses a version whose samples could not be told apart."""
        self._check_version(version)
        self._frozen = True
        for worker in self._core.workers.values():
            self._withdraw(worker)
        self._sweep()
        return list({w.plan for w in self._core.workers.values()})

    def thaw(self) -> None:
        """The snapshot is that of the last version again: who is behind it gets it."""
        self._frozen = False
        self._sweep()
        for worker in list(self._core.workers.values()):
            self._bring_up(worker)
        self._core.changed()

    def _check_version(self, version: int) -> None:
        same = [w for w in self._core.workers.values() if w.version == version]
        if same and self._core.n_jobs:
            raise WeightUpdateError(
                f"Worker {same[0].uid} serves a policy version {version} of an earlier epoch, and "
                "groups are under way, whose samples could not be told apart: push another "
                "version, or push before generate.", worker=same[0].uid)

    def begin(self, prepared: "Prepared", future: "Future[PushReport]", timeout_s: float,
              is_atomic: bool, hold_ms: int = 0, nccl: Optional[NcclPusher] = None) -> None:
        """Offers it to every worker; the future is done when the push is."""
        self.timeout_s = timeout_s + hold_ms / 1000
        push = self._push = Push(prepared, future, self.timeout_s, is_atomic, hold_ms)
        self._frozen = False
        try:
            self._check_version(push.version)
        except WeightUpdateError as error:
            self._end_push(error)
            return
        for worker in self._core.workers.values():
            worker.failed_version = None  # a new push is a new chance
        if nccl is not None:
            broadcast.begin(push, nccl, self._core, self._differs_only, self._in_background,
                            self._end_push)
        for worker in list(self._core.workers.values()):
            if self._push is push:
                self._offer(worker, push.version)
        self._core.changed()

    def on_change(self) -> None:
        """A worker staged, applied, failed, left or drains: see what the push can do now."""
        push = self._push
        if push is None:
            return
        if push.is_taken_back:
            if not push.taking_back:
                self._end_push(push.error)
            return
        version = push.version
        members = [w for w in self._core.workers.values()
                   if not w.draining and w.failed_version != version]
        if not push.committed:
            if not members or not all(
                    w.staged or w.address in push.reported for w in members):
                return
            wrong = push.disagreement(members) if push.is_atomic else None
            if wrong is not None:
                self._fail(wrong[0], version, wrong[1], None)
                return
            push.commit()
        for worker in members:
            if worker.staged and worker.update is not None:
                self._commit(worker, worker.update)
        for worker, agrees in list(push.verdicts(self._served, members)):
            if agrees:
                push.applied.add(worker.address)
                self._core.changed(worker)
            else:
                self._fail(worker, version, self._served.difference(worker, True), None)
        # Without any member left the push waits for a worker that joins.
        if self._push is push and (members or push.error) and all(
                w.address in push.applied for w in members if w.failed_version != version):
            self._end_push(push.error)

    def _take_back(self, push: Push) -> None:
        """All or none: whoever was told to commit is told to take it back."""
        push.is_taken_back, push.committed = True, False
        for worker in self._core.workers.values():
            number = worker.last_update if worker.address in push.reported else \
                worker.update.number if worker.update and worker.committed_at else None
            if number is not None:
                push.taking_back.add(worker.address)
                self._commits.forget(worker)
                self._core.send(worker, "WEIGHTS_ABORT", update=number,
                                reason="another worker could not apply it")
                self._withdraw(worker)
        self._served.forget(push.version)
        self.on_change()

    def _taken_back(self, worker: Worker, m: wire.Message) -> None:
        worker.version, worker.digest = m["version"], m["digest"]
        if self._push is not None:
            self._push.forget(worker)
        self._core.changed(worker)
        self.on_change()

    def _end_push(self, error: Optional[WeightUpdateError]) -> None:
        push, self._push = self._push, None
        assert push is not None
        broadcast.end(push)
        if push.committed:
            self._last = push.version
            push.file_bytes = self._offers.shelf.n_bytes(push.version)
            self.thaw()
            push.end(error)
            return
        for worker in self._core.workers.values():
            if worker.update is not None:
                self._core.send(worker, "WEIGHTS_ABORT", update=worker.update.number,
                                reason="another worker could not take it")
        self._frozen = True
        for worker in self._core.workers.values():
            self._withdraw(worker)

        def done(_: Any) -> None:
            self.thaw()
            push.end(error)

        self._in_background(lambda: self.snapshot.revert(push.prepared), done)

    def _bring_up(self, worker: Worker) -> None:
        if not self.serves_last(worker) and worker.failed_version != self.version:
            self._catch_up(worker)

    def _catch_up(self, worker: Worker) -> None:
        """After a push: a worker that does not serve what counts."""
        if self._last is not None:
            if worker.update is None or worker.update.version != self._last:
                self._offer(worker, self._last)
        elif worker.version == self._served.base:
            self._served.learn(worker, False)
            if not self._served.agrees(worker, False):
                self._core.expel(worker, self._served.difference(worker, False))

    def close(self) -> None:
        """Nobody is sent anything any more."""
        self._offers.shelf.close()

    def give_up(self, future: "Future[PushReport]") -> None:
        """Nobody waits for this push any more: it is aborted, unless it is committed already."""
        if self._push is not None and self._push.future is future and not self._push.committed:
            self._end_push(WeightUpdateError("The push was given up."))

    # --- answers ---

    def on_status(self, worker: Worker, m: wire.Message) -> None:
        update = worker.update
        if self._push is not None:
            self._push.learn(m["check_us"], m["pause_us"])
        if m["phase"] == wire.PHASE_ROLLED_BACK:
            self._taken_back(worker, m)
        elif m["phase"] in (wire.PHASE_APPLIED, wire.PHASE_FAILED) and \
                self._commits.has_moved(worker, m["version"]):
            self._moved(worker, m["version"], m["digest"])
        elif update is None or m["update"] != update.number:
            self._late_status(worker, m)
        elif m["phase"] == wire.PHASE_RECEIVING:
            broadcast.ready(self._push, worker)
        elif m["phase"] == wire.PHASE_STAGED:
            worker.staged, worker.staged_digest = True, m["digest"]
            if self._push is None or self._push.version != update.version:
                self._commit(worker, update)
            self.on_change()
        elif m["phase"] == wire.PHASE_APPLIED or self._commits.has_applied(worker, m["version"]):
            self._applied(worker, m["version"], m["digest"])
        else:
            self._fail(worker, update.version, m["error"] or "no reason was given",
                       m["tensor"] or None)
            self.on_change()

    def _late_status(self, worker: Worker, m: wire.Message) -> None:
        """Of an update that counts as applied: its digest may not be known yet."""
        if worker.digest is None and m["update"] == worker.last_update and \
                m["version"] == worker.version:
            worker.digest = m["digest"]
            self._check(worker)

    def on_heartbeat(self, worker: Worker, version: int) -> None:
        has_applied = self._commits.has_applied(worker, version)
        if not has_applied and not self._commits.has_moved(worker, version):
            return
        worker.n_beats += 1
        if worker.n_beats >= _BEATS:
            (self._applied if has_applied else self._moved)(worker, version, None)
        elif worker.n_beats == _BEATS - 1 and has_applied and worker.update is not None:
            self._commit(worker, worker.update)

    def _applied(self, worker: Worker, version: int, digest: Optional[int]) -> None:
        update = worker.update
        assert update is not None
        if version == update.version:
            self._settle(worker, version, digest, update.number)
        else:
            worker.version, worker.digest = version, digest
            self._fail(worker, update.version, f"it serves version {version} after COMMIT.", None)
        self.on_change()

    def _moved(self, worker: Worker, version: int, digest: Optional[int]) -> None:
        """What it is offered by now has a base that it does not serve any more."""
        self._settle(worker, version, digest, self._commits.number(worker))
        push = self._push
        if push is not None and push.version != version:
            self._offer(worker, push.version)
        elif not self.is_pushing:
            self._bring_up(worker)
        self.on_change()

    def _settle(self, worker: Worker, version: int, digest: Optional[int], number: int) -> None:
        """It serves what it was told to commit."""
        self._withdraw(worker)
        worker.version, worker.digest, worker.last_update = version, digest, number
        worker.failed_version = None
        if self._push is not None and self._push.version == version:
            self._push.reported.add(worker.address)
        else:
            self._check(worker)
        self._core.changed(worker)

    def _check(self, worker: Worker) -> None:
        """Outside of a push: the digest of what it has applied."""
        self._served.learn(worker, True)
        if not self._served.agrees(worker, True):
            self._fail(worker, worker.version, self._served.difference(worker, True), None)

    def _fail(self, worker: Worker, version: int, why: str, tensor: Optional[str]) -> None:
        where = f" at tensor {tensor}" if tensor else ""
        error = WeightUpdateError(f"Worker {worker.uid} could not take version {version}{where}: "
                                  f"{why}", tensor=tensor, worker=worker.uid)
        log.error("%s", error)
        worker.failed_version = version
        self._withdraw(worker)
        self._core.changed(worker)
        push = self._push
        if push is None or push.version != version:
            return
        if not push.committed:
            self._end_push(push.error or error)
            return
        push.error = push.error or error
        if push.is_atomic:
            self._take_back(push)
        else:
            push.forget(worker)

    def on_tick(self, now: float) -> None:
        for worker in self._offers.overdue(now):
            if worker.update is not None:  # else the first of them has ended the push
                self._fail(worker, worker.update.version,
                           f"nothing came of it in {self.timeout_s:g} s.", None)
                self.on_change()
        for worker in list(self._core.workers.values()):
            if worker.update and worker.committed_at and now > worker.committed_at + _RECOMMIT_S:
                self._commit(worker, worker.update)
        push = self._push
        if push is not None and now > push.deadline:
            self._end_push(push.error or push.overdue(self._core.workers.values(), self.timeout_s))
        elif push is not None and push.reported - push.applied:
            self.on_change()  # time may have told whose digest counts
