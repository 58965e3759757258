"""One push by NCCL, as the I/O thread sees it: who takes part, who is ready, who has left.

Workers that need the same stream get it in one go, when all of them are ready for it. Whoever joins
later, or needs another stream, pulls its own; so do the others when one of them is gone.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Set

import numpy as np

from . import wire
from .deltas import Stream
from .errors import WeightUpdateError
from .nccl import Join, NcclPusher
from .peers import Address, Worker

if TYPE_CHECKING:
    from .core import Core
    from .push import Push

_TELL_S = 1.0  # that the I/O thread has to take a failure


class Broadcast:
    """What is known of a push's."""

    def __init__(self, core: "Core", pusher: NcclPusher, workers: List[Worker]) -> None:
        self.core, self.pusher = core, pusher
        self.rank: Dict[Address, int] = {w.address: i for i, w in enumerate(workers, 1)}
        self.before, pusher.members = pusher.members, ()  # until it is known that all went well
        self.members = tuple(w.incarnation for w in workers)
        is_same = self.members == self.before
        self.join = None if is_same else Join(pusher.new_id(), self.members)
        self.ready: Set[Address] = set()
        self.start = threading.Event()  # all are ready
        self.is_over = False  # the pusher leaves the communicator
        self.run: Callable[[Stream], None] = lambda stream: None  # begins it, on its thread
        self.is_running = False


def begin(push: "Push", pusher: NcclPusher, core: "Core",
          differs_only: Callable[["Push", Worker], bool], in_background: Callable[..., None],
          end_push: Callable[[WeightUpdateError], None]) -> None:
    """Of the workers that need the same stream the most take part."""
    groups: Dict[Any, List[Worker]] = {}
    for worker in core.workers.values():
        if not worker.draining:
            groups.setdefault((worker.plan, differs_only(push, worker)), []).append(worker)
    if not groups:
        return
    b = push.broadcast = Broadcast(core, pusher, max(groups.values(), key=len))

    def fail(error: Exception) -> None:
        pusher.members = ()
        if not b.is_over and not push.committed:
            b.is_over = True
            end_push(WeightUpdateError(str(error)))

    def tell(error: Exception) -> None:
        """Before the communicator is left: workers that see it go know less of why."""
        told = threading.Event()
        in_background(lambda: None, lambda _: (fail(error), told.set()))
        told.wait(_TELL_S)

    def run(stream: Stream) -> None:
        b.is_running = True
        in_background(lambda: pusher.run(stream, b.join, b.start, lambda: b.is_over, tell),
                      lambda _: None)

    b.run = run


def invite(push: "Optional[Push]", worker: Worker, version: int, stream: Stream) -> Dict[str, int]:
    """Before its WEIGHTS_BEGIN, of which these are fields; none where it pulls."""
    if push is None or push.version != version or push.broadcast is None or not stream.n_bytes:
        return {}
    b = push.broadcast
    rank = b.rank.get(worker.address)
    if b.is_over or rank is None:
        return {}
    if b.join is not None:
        b.core.send(worker, "NCCL_JOIN", id=np.frombuffer(b.join.id, "<u1"), rank=rank,
                    n_ranks=len(b.rank) + 1, version=b.pusher.version,
                    deadline_ms=max(1, round(b.pusher.deadline_s * 1000)))
    if not b.is_running:
        b.run(stream)
    return {"transport": wire.TRANSPORT_NCCL, "bucket_bytes": b.pusher.bucket_bytes}


def ready(push: "Optional[Push]", worker: Worker) -> None:
    """It waits for the broadcasts."""
    if push is not None and push.broadcast is not None:
        push.broadcast.ready.add(worker.address)
        if push.broadcast.ready >= push.broadcast.rank.keys():
            push.broadcast.start.set()


def leave(push: "Optional[Push]", worker: Worker) -> List[Worker]:
    """A worker is gone: where the broadcast needed it, it is over. Returns who has to pull now."""
    if push is None or push.broadcast is None:
        return []
    b = push.broadcast
    if b.is_over or not b.is_running or worker.address not in b.rank or worker.staged:
        return []
    b.is_over = True
    return [w for w in b.core.workers.values() if w is not worker and w.address in b.rank
            and w.update is not None and not w.staged and w.committed_at is None]


def end(push: "Push") -> None:
    """The push is over; a communicator that has brought everything is kept."""
    b = push.broadcast
    if b is None:
        return
    if not b.is_running:
        b.pusher.members = b.before
    elif push.committed and not b.is_over:
        b.pusher.members = b.members
    b.is_over = b.is_over or not push.committed
