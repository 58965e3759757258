"""One push by NCCL, as the I/O thread sees it: who takes part, who is ready, who has left."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Set

import numpy as np

from . import wire
from .deltas import Stream
from .nccl import Join, NcclPusher
from .peers import Address, Worker

if TYPE_CHECKING:
    from .core import Core


class Broadcast:
    """Workers get the stream in one go when all of them are ready for it. Whoever joins later, or
    needs another stream, pulls its own."""

    def __init__(self, core: "Core", pusher: NcclPusher, workers: List[Worker],
                 in_background: Callable[..., None], done: Callable[[Any], None]) -> None:
        self._core, self._pusher = core, pusher
        self._in_background, self._done = in_background, done
        self._rank = {w.address: i for i, w in enumerate(workers, 1)}
        members = tuple(w.incarnation for w in workers)
        self._join = None if members == pusher.members else Join(pusher.new_id(), members)
        self._ready: Set[Address] = set()
        self._start = threading.Event()
        self._is_running = self._is_over = False

    def has(self, worker: Worker) -> bool:
        """Whether it takes part."""
        return not self._is_over and worker.address in self._rank

    def invite(self, worker: Worker, stream: Stream) -> Dict[str, int]:
        """Before its WEIGHTS_BEGIN, of which these are fields."""
        if not stream.n_bytes or not self.has(worker):
            return {}
        if self._join is not None:
            self._core.send(worker, "NCCL_JOIN", id=np.frombuffer(self._join.id, "<u1"),
                            rank=self._rank[worker.address], n_ranks=len(self._rank) + 1,
                            version=self._pusher.version,
                            deadline_ms=max(1, round(self._pusher.deadline_s * 1000)))
        if not self._is_running:
            self._is_running = True
            self._in_background(lambda: self._pusher.run(
                stream, self._join, self._start, lambda: self._is_over), self._done)
        return {"transport": wire.TRANSPORT_NCCL, "bucket_bytes": self._pusher.bucket_bytes}

    def ready(self, worker: Worker) -> None:
        """It waits for the broadcasts."""
        self._ready.add(worker.address)
        if self._ready >= self._rank.keys():
            self._start.set()

    def leaves(self, worker: Worker) -> bool:
        """Whether a worker that is gone, and has not staged all, stops the others."""
        return self._is_running and self.has(worker) and not worker.staged

    def abort(self) -> None:
        """The pusher leaves the communicator, unless it has sent everything already."""
        self._is_over = True


def choose(workers: List[Worker], key: Callable[[Worker], Any]) -> List[Worker]:
    """Of the workers that need the same stream the most."""
    groups: Dict[Any, List[Worker]] = {}
    for worker in workers:
        if not worker.draining:
            groups.setdefault(key(worker), []).append(worker)
    return max(groups.values(), key=len, default=[])
