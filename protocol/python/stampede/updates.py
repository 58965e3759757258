"""Weight updates as transactions over all workers, and for each one that joins late.

push: offer to every worker, wait until all have staged it, then commit everywhere; a failure before
that aborts it everywhere and the old version goes on serving. sync: the same with one worker.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Set, Tuple

from . import wire
from .errors import WeightUpdateError
from .peers import Address, Update, Worker
from .weights import DtypePlan, Snapshot, begin_fields, chunk_of

if TYPE_CHECKING:
    from .core import Core

log = logging.getLogger("stampede")


class Push:
    """A push_weights call that has not returned."""

    def __init__(self, snapshot: Snapshot, future: "Future[None]", deadline: float) -> None:
        self.snapshot, self.future, self.deadline = snapshot, future, deadline
        self.committed = False
        self.applied: Set[Address] = set()
        self.error: Optional[WeightUpdateError] = None  # of a worker, after the commit


class Updates:
    """Runs on the I/O thread, inside Core."""

    def __init__(self, core: "Core", in_background: Callable[..., None]) -> None:
        self._core = core
        self._in_background = in_background
        self._last: Optional[Snapshot] = None  # what every worker has to serve
        self._push: Optional[Push] = None
        self._n_offers = 0
        self._offers: Dict[int, Update] = {}
        # Design D8's digest depends on values and types only, so it is one for all workers.
        self._digests: Dict[Tuple[int, DtypePlan], int] = {}
        self.timeout_s = 600.0

    @property
    def version(self) -> int:
        return self._last.version if self._last else 0

    @property
    def last(self) -> Optional[Snapshot]:
        return self._last

    def plans(self) -> List[DtypePlan]:
        return list({w.plan for w in self._core.workers.values()})

    # --- who may work ---

    def serves_last(self, worker: Worker) -> bool:
        """Whether it serves the last pushed weights (or nothing was ever pushed)."""
        if self._last is None:
            return True
        if worker.version != self._last.version:
            return False
        return worker.digest == self._digests.get((worker.version, worker.plan), worker.digest)

    def may_serve(self, worker: Worker, min_version: int) -> bool:
        pushing = self._push is not None and worker.address in self._push.applied
        return (self.serves_last(worker) or pushing) and worker.version >= min_version

    # --- offering ---

    def on_join(self, worker: Worker) -> None:
        if self._push is not None:
            self._offer(worker, self._push.snapshot)
        elif not self.serves_last(worker) and self._last is not None:
            self._offer(worker, self._last)

    def _offer(self, worker: Worker, snapshot: Snapshot) -> None:
        """Rounding a whole model takes seconds: unless it is done, another thread does it."""
        worker.staged = False
        worker.update_deadline = time.monotonic() + self.timeout_s
        if snapshot.has_table(worker.plan):
            self._send_offer(worker, snapshot)
            return

        def done(error: Any) -> None:
            if self._core.workers.get(worker.address) is not worker:
                return
            if error is not None:
                self._fail(worker, snapshot.version, str(error), getattr(error, "tensor", None))
            elif snapshot in (self._last, self._push.snapshot if self._push else None):
                self._send_offer(worker, snapshot)

        self._in_background(lambda: snapshot.table(worker.plan), done)

    def _send_offer(self, worker: Worker, snapshot: Snapshot) -> None:
        self._withdraw(worker)
        self._n_offers += 1
        table = snapshot.table(worker.plan)
        update = Update(self._n_offers, snapshot.version, worker.plan, list(table.values()))
        self._offers[update.number] = update
        worker.update = update
        self._core.send(worker, "WEIGHTS_BEGIN", **begin_fields(
            update.number, worker.version, snapshot.version, table, worker.weights))

    def _withdraw(self, worker: Worker) -> None:
        if worker.update is not None:
            self._offers.pop(worker.update.number, None)
        worker.update, worker.staged = None, False

    def chunk(self, m: wire.Message) -> Optional[Dict[str, Any]]:
        """The fields of the WEIGHTS_CHUNK that answers a WEIGHTS_PULL."""
        update = self._offers.get(m["update"])
        if update is None:
            return None
        data = chunk_of(update.entries, m["tensor"], m["offset"], m["n_bytes"])
        if data is None:
            return None
        return {"update": m["update"], "tensor": m["tensor"], "offset": m["offset"], "data": data}

    # --- a push ---

    def begin(self, snapshot: Snapshot, future: "Future[None]") -> None:
        if self._push is not None:
            future.set_exception(WeightUpdateError("Another push_weights is not done yet."))
            return
        self._push = Push(snapshot, future, time.monotonic() + self.timeout_s)
        for worker in self._core.workers.values():
            worker.failed_version = None  # a new push is a new chance
            self._offer(worker, snapshot)

    def on_change(self) -> None:
        """A worker staged, applied, failed, left or drains: see what the push can do now."""
        push = self._push
        if push is None:
            return
        version = push.snapshot.version
        members = [w for w in self._core.workers.values()
                   if not w.draining and w.failed_version != version]
        if not push.committed:
            if not members or not all(w.staged or w.address in push.applied for w in members):
                return
            push.committed = True
        for worker in members:
            if worker.staged and worker.update is not None:
                worker.staged = False
                self._core.send(worker, "WEIGHTS_COMMIT", update=worker.update.number)
        # Without any member left the push waits for a worker that joins.
        if (members or push.error) and all(w.address in push.applied for w in members):
            self._end_push(push.error)

    def _end_push(self, error: Optional[WeightUpdateError]) -> None:
        push, self._push = self._push, None
        assert push is not None
        if push.committed:
            self._last = push.snapshot
        for worker in self._core.workers.values():
            if not push.committed and worker.update is not None:
                self._core.send(worker, "WEIGHTS_ABORT", update=worker.update.number,
                                reason="another worker could not take it")
                self._withdraw(worker)
            if not self.serves_last(worker) and worker.failed_version != self.version:
                self.on_join(worker)
        if error is None:
            push.future.set_result(None)
        else:
            push.future.set_exception(error)

    # --- answers ---

    def on_status(self, worker: Worker, m: wire.Message) -> None:
        update = worker.update
        if update is None or m["update"] != update.number:
            return
        if m["phase"] == wire.PHASE_STAGED:
            worker.staged = True
            if self._push is None or self._push.snapshot.version != update.version:
                worker.staged = False
                self._core.send(worker, "WEIGHTS_COMMIT", update=update.number)
        elif m["phase"] == wire.PHASE_APPLIED:
            self._applied(worker, update, m)
        else:
            self._fail(worker, update.version, m["error"] or "no reason was given",
                       m["tensor"] or None)
        self.on_change()

    def _applied(self, worker: Worker, update: Update, m: wire.Message) -> None:
        key = (update.version, update.plan)
        expected = self._digests.setdefault(key, m["digest"])
        worker.version, worker.digest = m["version"], m["digest"]
        if worker.version != update.version or worker.digest != expected:
            self._fail(worker, update.version, f"it serves version {worker.version} with digest "
                       f"{worker.digest:016x}, others version {update.version} with "
                       f"{expected:016x}", None)
            return
        worker.weights = {e.name: e for e in update.entries}
        worker.failed_version = None
        if self._push is not None and self._push.snapshot.version == update.version:
            self._push.applied.add(worker.address)
        self._withdraw(worker)

    def _fail(self, worker: Worker, version: int, why: str, tensor: Optional[str]) -> None:
        where = f" at tensor {tensor}" if tensor else ""
        error = WeightUpdateError(f"Worker {worker.uid} could not take version {version}{where}: "
                                  f"{why}", tensor=tensor, worker=worker.uid)
        log.error("%s", error)
        worker.failed_version = version
        worker.weights = None
        self._withdraw(worker)
        push = self._push
        if push is None or push.snapshot.version != version:
            return
        if push.committed:
            push.error = push.error or error
            self.on_change()
        else:
            self._end_push(error)

    def on_tick(self, now: float) -> None:
        for worker in list(self._core.workers.values()):
            if worker.update is not None and now > worker.update_deadline:
                self._fail(worker, worker.update.version,
                           f"nothing came of it in {self.timeout_s:.0f} s.", None)
        push = self._push
        if push is not None and now > push.deadline:
            self._end_push(push.error or WeightUpdateError(
                f"No worker took version {push.snapshot.version} in {self.timeout_s:.0f} s."))
