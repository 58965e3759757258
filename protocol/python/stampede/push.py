"""One push_weights call, from its offers to its end: who staged, applied, agreed, took back."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Future
from typing import TYPE_CHECKING, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from .errors import WeightUpdateError
from .peers import Address, Worker, digest_text
from .served import Served

if TYPE_CHECKING:
    from .broadcast import Broadcast
    from .snapshot import Prepared

_ALONE_S = 2.0  # so long one that has applied an update waits for another that agrees


class PushReport(NamedTuple):
    """What a push cost. Of workers the slowest counts, of their types the largest payload."""

    version: int
    n_values: int  # of the tensors that were pushed
    n_changed: int  # of them, in the type in which workers hold them
    payload_bytes: int  # that a worker was sent which served the version before
    diff_s: float  # comparing and packing, in this process
    staged_s: float  # from the offer until every worker had it, proved
    check_ms: float  # proving alone
    pause_ms: float  # for which no step ran at the apply
    file_bytes: int  # written to weights_dir, once for all workers that share it

    @property
    def share(self) -> float:
        """Of the values, how many changed."""
        return self.n_changed / self.n_values if self.n_values else 0.0


class PushHandle:
    """A push that goes on: the trainer's next step may begin."""

    def __init__(self, future: "Future[PushReport]") -> None:
        self._future = future

    def done(self) -> bool:
        return self._future.done()

    def result(self, timeout_s: Optional[float] = None) -> PushReport:
        """Waits for the end, and raises what push_weights would have raised."""
        return self._future.result(timeout_s)


class Push:
    """A push_weights call that has not ended."""

    def __init__(self, prepared: "Prepared", future: "Future[PushReport]", timeout_s: float,
                 is_atomic: bool, hold_ms: int = 0) -> None:
        self.prepared, self.future, self.is_atomic = prepared, future, is_atomic
        self.hold_ms = hold_ms  # so long rows in flight may end first
        self.version = prepared.version
        self.began_at = time.monotonic()
        self.deadline = self.began_at + timeout_s
        self.committed = False
        self.is_taken_back = False
        self.reported: Set[Address] = set()  # who has applied it
        self.applied: Set[Address] = set()  # and has the digest that counts
        self.taking_back: Set[Address] = set()  # who was told to take it back, and has not yet
        self.heard_at = 0.0  # when the first that applied it was heard
        self.error: Optional[WeightUpdateError] = None  # of a worker, after the commit
        self.broadcast: "Optional[Broadcast]" = None  # by NCCL, to those that take part
        self.file_bytes = 0
        self._staged_s = 0.0
        self._check_us = self._pause_us = 0

    # --- before the commit ---

    def commit(self) -> None:
        self.committed = True
        self._staged_s = time.monotonic() - self.began_at

    def disagreement(self, members: List[Worker]) -> Optional[Tuple[Worker, str]]:
        """A worker that would serve other weights than most of those with the same types, by what
        they said when they had staged; nothing is committed then."""
        for plan in {w.plan for w in members}:
            said = [w for w in members if w.plan is plan and w.staged_digest is not None]
            digests = Counter(w.staged_digest for w in said)
            if len(digests) < 2:
                continue
            counts = digests.most_common(1)[0][0]
            other = next(w for w in said if w.staged_digest != counts)
            return other, (f"It would serve digest {digest_text(other.staged_digest)} and others "
                           f"{digest_text(counts)}.")
        return None

    # --- behind it ---

    def verdicts(self, served: Served, members: List[Worker]) -> Iterator[Tuple[Worker, bool]]:
        """Workers that have applied it and are not counted yet, and whether their digest is the one
        that counts."""
        for plan in {w.plan for w in members}:
            same = [w for w in members if w.plan is plan]
            here = [w for w in same if w.address in self.reported]
            voice = self._voice(same, here)
            if voice is not None:
                served.learn(voice, True)
            for worker in here:
                if worker.address not in self.applied and served.known(worker, True) is not None:
                    yield worker, served.agrees(worker, True)

    def _voice(self, same: List[Worker], here: List[Worker]) -> Optional[Worker]:
        """Whose digest counts, of the workers with the same types: one of those that served what
        counted before, if there are any, that another one agrees with. Where nobody agrees it is
        the first, once all are heard or for so long nobody else was."""
        vouched = [w for w in same if w.vouched] or same
        heard = [w for w in here if w in vouched]
        if not heard:
            return None
        said = [w for w in heard if w.digest is not None] or heard
        digest, votes = Counter(w.digest for w in said).most_common(1)[0]
        now = time.monotonic()
        self.heard_at = self.heard_at or now
        if votes < 2 and len(heard) < len(vouched) and now < self.heard_at + _ALONE_S:
            return None
        return next(w for w in said if w.digest == digest)

    def forget(self, worker: Worker) -> None:
        """It left, or failed: what it said does not count."""
        for addresses in (self.reported, self.applied, self.taking_back):
            addresses.discard(worker.address)

    # --- its end ---

    def learn(self, check_us: int, pause_us: int) -> None:
        """What a worker said of its costs."""
        self._check_us = max(self._check_us, check_us)
        self._pause_us = max(self._pause_us, pause_us)

    def overdue(self, workers: Iterable[Worker], after_s: float) -> WeightUpdateError:
        """The sentence about a push that has taken too long."""
        late = [w.uid for w in sorted(workers, key=lambda w: w.staged)
                if w.address not in self.applied]
        who = f"Worker {late[0]} did not take" if late else "No worker took"
        return WeightUpdateError(f"{who} version {self.version} in {after_s:g} s.",
                                 worker=late[0] if late else None)

    def end(self, error: Optional[WeightUpdateError]) -> None:
        """Answers the call."""
        if self.future.cancelled() or self.future.done():
            return
        if error is None:
            self.future.set_result(self._report())
        else:
            self.future.set_exception(error)

    def _report(self) -> PushReport:
        p = self.prepared
        return PushReport(p.version, p.n_values,
                          max((sum(c.n_values for c in cs) for cs in p.changes.values()),
                              default=0),
                          max((sum(c.n_bytes for c in cs) for cs in p.changes.values()),
                              default=0),
                          p.seconds, self._staged_s, self._check_us / 1e3, self._pause_us / 1e3,
                          self.file_bytes)
