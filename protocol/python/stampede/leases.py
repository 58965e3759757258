"""Leases: what a worker has is its own for as long as it makes progress, however long that takes.

Silence ends a session (core.py). A worker that speaks while its engine stands still keeps its
session, but not its samples: after `lease_s` without a step, a token or a result they are given to
others, and it is given nothing before it makes progress again. Nothing here looks at how long a
sample takes.
"""

from __future__ import annotations

import time
from typing import Any, Dict, Iterable, List, Tuple

from .peers import Worker

LEASE_S = 120.0


class Leases:
    """When each worker was last seen to make progress."""

    def __init__(self, lease_s: float) -> None:
        self.lease_s = lease_s
        # By worker: what its last HEARTBEAT said of its engine, and when it said something else.
        self._seen: Dict[Worker, Tuple[Tuple[int, int], float]] = {}

    def on_heartbeat(self, worker: Worker, beat: Any) -> bool:
        """True: it stood still, and goes on."""
        done = beat["n_steps"], beat["n_tokens"]
        if self._seen.get(worker, ((-1, -1), 0.0))[0] == done:
            return False
        return self._progress(worker, done)

    def on_result(self, worker: Worker) -> bool:
        """The same."""
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
            if now - max(at + stall, worker.busy_since) > self.lease_s:
                out.append(worker)
        return out
