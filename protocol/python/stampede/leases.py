"""Leases: what a worker has is its own for as long as it makes progress, however long that takes.

Silence ends a session (core.py). A worker that speaks while its engine stands still keeps its
session, but not its samples: after `lease_s` without a step, a token or a result they are given to
others, and it is given nothing before it makes progress again. A worker that tells with which of
its groups it goes on is held to that too: one of which it says nothing while its engine goes on is
given to others alone. Nothing here looks at how long a sample takes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Tuple

from .peers import Worker
from .tables import PROGRESS_MS

if TYPE_CHECKING:
    from .jobs import Held

LEASE_S = 120.0
_LEAST_S = 3 * PROGRESS_MS / 1000  # of the lease of a group: a few of the worker's words on it


class Leases:
    """When each worker was last seen to make progress."""

    def __init__(self, lease_s: float) -> None:
        self.lease_s, self.group_lease_s = lease_s, max(lease_s, _LEAST_S)
        # By worker: what its last HEARTBEAT said of its engine, and when it said something else.
        self._seen: Dict[Worker, Tuple[Tuple[int, int], float]] = {}

    def on_heartbeat(self, worker: Worker, beat: Any) -> bool:
        """True: it stood still, and goes on."""
        if beat["moved"] is not None:
            now, worker.tells_groups = time.monotonic(), True
            for serial in beat["moved"].tolist():
                held = worker.held.get(serial)
                if held is not None:
                    held.moved_at = now
        done = beat["n_steps"], beat["n_tokens"]
        if self._seen.get(worker, ((-1, -1), 0.0))[0] == done:
            return False
        return self._progress(worker, done)

    def on_result(self, worker: Worker, serial: int) -> bool:
        """The same."""
        held = worker.held.get(serial)
        if held is not None:
            held.moved_at = time.monotonic()
        return self._progress(worker, self._seen.get(worker, ((0, 0), 0.0))[0])

    def _progress(self, worker: Worker, done: Tuple[int, int]) -> bool:
        self._seen[worker] = done, time.monotonic()
        was_stalled, worker.stalled = worker.stalled, False
        return was_stalled

    def forget(self, worker: Worker) -> None:
        self._seen.pop(worker, None)

    def expired(self, workers: Iterable[Worker], stall: float) -> List[Worker]:
        """Workers whose samples are to be given to others. `stall`: seconds for which we stood
        still ourselves, which is held against nobody."""
        now, out = time.monotonic(), []
        for worker in workers:
            if worker.n_held == 0:
                continue
            done, at = self._seen.get(worker, ((0, 0), worker.busy_since))
            self._seen[worker] = done, at + stall
            worker.busy_since += stall
            for held in worker.held.values() if stall else ():
                held.moved_at += stall
            if now - max(at + stall, worker.busy_since) > self.lease_s:
                out.append(worker)
        return out

    def standing(self, workers: Iterable[Worker]) -> List[Tuple[Worker, "Held"]]:
        """Groups with which a worker does not go on while its engine does."""
        out = []
        for worker in workers:
            if worker.tells_groups and worker.n_held and worker in self._seen:
                latest = self._seen[worker][1] - self.group_lease_s
                out += [(worker, h) for h in worker.held.values() if h.moved_at < latest]
        return out
