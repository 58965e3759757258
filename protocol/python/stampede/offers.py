"""Offers of weights, one to a worker: numbered, sent, answered with chunks, withdrawn."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from . import broadcast, wire
from .deltas import Change, Stream
from .directory import Directory, Shelf
from .peers import Update, Worker

if TYPE_CHECKING:
    from .core import Core
    from .push import Push

log = logging.getLogger("stampede")


class Offers:
    """Of the I/O thread."""

    def __init__(self, core: "Core", in_background: Callable[..., None],
                 directory: Optional[Directory]) -> None:
        self._core = core
        self._n = 0
        self._by_number: Dict[int, Update] = {}
        self.shelf = Shelf(directory, in_background)

    def send(self, worker: Worker, version: int, changes: List[Change], is_all: bool,
             push: "Optional[Push]", again: Callable[[Any], None]) -> None:
        """Offers changes (is_all: the whole snapshot) in the way that this worker can have them.
        Where their file is being written, nothing is sent, and `again` is called then. Raises
        WireError."""
        self.withdraw(worker)
        stream = Stream(changes)
        update = Update(self._n + 1, worker.version, version, worker.plan, is_all, stream)
        how: Optional[Dict[str, Any]] = broadcast.invite(push, worker, version, stream)
        how = how or self.shelf.offer(update, worker, again)
        if how is None:
            return
        self._n = update.number
        self._core.send(worker, "WEIGHTS_BEGIN", **how, **stream.begin_fields(
            update.number, update.base, update.version))
        self._by_number[update.number] = worker.update = update

    def withdraw(self, worker: Worker) -> None:
        if worker.update is not None:
            self._by_number.pop(worker.update.number, None)
        worker.drop_update()

    def overdue(self, now: float) -> List[Worker]:
        """Of whose offers nothing came in time, those that have not staged first: others may wait
        for them. The file system behind a file that nobody read may hang: who was offered one gets
        what comes by the socket from now on."""
        late = [w for w in self._core.workers.values()
                if w.update is not None and now > w.update_deadline]
        for worker in late:
            if not worker.staged and worker.update is not None and self.shelf.has(worker.update):
                log.warning("Worker %s did not read its file in time: it gets weights by the "
                            "socket.", worker.uid)
                worker.directory = ""
        return sorted(late, key=lambda w: w.staged)

    def chunk(self, m: wire.Message) -> Optional[Dict[str, Any]]:
        """The fields of the WEIGHTS_CHUNK that answers a WEIGHTS_PULL."""
        update = self._by_number.get(m["update"])
        if update is None:
            return None
        data = update.stream.read(m["offset"], min(m["n_bytes"], wire.MAX_CHUNK))
        if data is None:
            return None
        return {"update": m["update"], "offset": m["offset"], "data": data}

    def sweep(self, version: Optional[int], is_pushing: bool) -> None:
        """Removes files that nobody needs: see Shelf.keep."""
        self.shelf.keep({update.key for update in self._by_number.values()}, version, is_pushing)
