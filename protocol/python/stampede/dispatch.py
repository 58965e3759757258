"""Which samples go to which worker next.

What waits lies in queues, one for each kind of worker that may have it; workers lie in heaps by
their room, one for each (kind, policy version) that is served. So handing out a task costs the same
however many workers there are and however much waits, and a group that waits for a policy version
stands in nobody's way.
"""

from __future__ import annotations

from collections import Counter, deque
from heapq import heappop, heappush
from typing import (Callable, Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional,
                    Sequence, Set, Tuple)

from .jobs import Job, Range
from .peers import Kind, Worker
from .queues import Key, Lanes

_SPLIT_FROM = 16  # samples of a group from which idle workers share it


class Need(NamedTuple):
    """Who may have a job."""

    kind: Optional[Kind]  # None: any workers
    min_version: int


class Entry(NamedTuple):
    """A worker in a heap, the one with most room first; valid while `change` is its own."""

    minus_free: int
    number: int
    change: int
    worker: Worker


class Wards:
    """Workers that try suspects (suspicion.py) and are given nothing else, and what waits for them.

    There are few suspects, so nothing here is quick. At least one worker may be a ward, else half
    of those that are able.
    """

    def __init__(self) -> None:
        self.waiting: Deque[Range] = deque()
        self.workers: Set[Worker] = set()

    def find(self, job: Job, able: Sequence[Worker], min_version: int) -> Optional[Worker]:
        """Who may be given this suspect now. A worker that must first end what it has becomes a
        ward meanwhile."""
        deaths = {death.incarnation for death in job.deaths}
        able = [w for w in able if w.incarnation not in deaths] or able  # it lives, or is stuck
        fit = [w for w in able
               if w.version >= min_version and job.kind in (None, w.kind) and w.free > 0]
        for worker in fit:
            if worker in self.workers and _has_room(worker, job):
                return worker
        if sum(w in self.workers for w in able) < max(1, len(able) // 2):
            others = [w for w in fit if w not in self.workers]
            if others:
                worker = min(others, key=lambda w: w.n_held)
                self.workers.add(worker)
                if _has_room(worker, job):
                    return worker
        return None

    def release(self) -> List[Worker]:
        """The wards that have no suspect any more; none while suspects wait."""
        free = [] if self.waiting else [
            w for w in self.workers if not any(held.job.company for held in w.held.values())]
        self.workers.difference_update(free)
        return free


def _has_room(worker: Worker, job: Job) -> bool:
    """Whether it has suspects alone, few enough for each of them."""
    others = [held.job.company for held in worker.held.values() if held.job is not job]
    return all(others) and len(others) < min([job.company, *others])


class Dispatcher:
    """Queues and heaps. `may_serve` says whether a worker may be given anything at all."""

    def __init__(self, may_serve: Callable[[Worker], bool]) -> None:
        self._may_serve = may_serve
        self._queues: Dict[Need, Lanes] = {}
        self._given = 0  # of the flow that was served last: where those that are new begin
        self._parked: Dict[int, List[Range]] = {}  # by min_version: newer than anything served
        self._heaps: Dict[Tuple[Kind, int], List[Entry]] = {}
        self._highest = -1  # newest version that any worker was able to serve
        self._workers: Dict[Worker, bool] = {}  # of the sessions; whether it is able
        self._kinds: "Counter[Kind]" = Counter()  # of the sessions
        self._changed = False
        self._wards = Wards()

    # --- workers ---

    def add(self, worker: Worker) -> None:
        self._workers[worker] = False
        self._kinds[worker.kind] += 1
        self.touch(worker)

    def remove(self, worker: Worker) -> None:
        del self._workers[worker]
        self._kinds[worker.kind] -= 1
        if worker in self._wards.workers:  # another may become one
            self._wards.workers.remove(worker)
            self._changed = True
        worker.change += 1  # what lies in the heaps is not valid any more

    def touch(self, worker: Worker) -> None:
        """Its room, its version, or its right to work may have changed."""
        if worker not in self._workers:
            return
        able = (worker.reachable and not worker.draining and not worker.stalled
                and self._may_serve(worker))
        self._workers[worker] = able
        self._place(worker, able)

    def _place(self, worker: Worker, able: bool) -> None:
        """Where it belongs in the heaps, now that its room or its right to work is another."""
        worker.change += 1
        if not able or worker.free <= 0:
            return
        self._changed = True
        if worker in self._wards.workers:
            return
        heap = self._heaps.setdefault((worker.kind, worker.version), [])
        if len(heap) > 64 + 4 * len(self._workers):
            heap[:] = sorted(entry for entry in heap if _is_valid(entry))
        heappush(heap, Entry(-worker.free, worker.number, worker.change, worker))
        if worker.version > self._highest:
            self._highest = worker.version
            for version in [v for v in self._parked if v <= self._highest]:
                for r in self._parked.pop(version):
                    self._put(r)

    def touch_all(self) -> None:
        for worker in self._workers:
            self.touch(worker)

    def is_able(self, worker: Worker) -> bool:
        return self._workers.get(worker, False)

    # --- what waits ---

    def put(self, job: Job) -> None:
        """Everything of a new job, behind what waits."""
        self._put(Range(job, 0, job.n, job.round))

    def put_back(self, job: Job, runs: Iterable[Tuple[int, int]]) -> None:
        """Samples (first, n) that were given out, in front of what waits."""
        ranges = [Range(job, first, n, job.round) for first, n in runs]
        if job.company:
            self._wards.waiting.extend(ranges)
            self._changed = True
            return
        job.flow.given -= sum(r.n for r in ranges)  # they were counted when they were given out
        self._queue(job).extendleft(ranges)
        self._changed = True

    def clear(self, jobs: Iterable[Job]) -> None:
        """These are no suspects any more: what waits of them waits as all others."""
        innocent = set(jobs)
        waiting, self._wards.waiting = self._wards.waiting, deque()
        for r in waiting:
            if r.job in innocent:
                self._queue(r.job).extendleft([r])
            else:
                self._wards.waiting.append(r)
        self._changed = True

    def _put(self, r: Range) -> None:
        if r.job.min_version > self._highest:
            self._parked.setdefault(r.job.min_version, []).append(r)
            return
        lanes = self._queue(r.job)
        if r.job.flow not in lanes:
            r.job.flow.given = max(r.job.flow.given, self._given)
        lanes.append(r)
        self._changed = True

    def _queue(self, job: Job) -> Lanes:
        return self._queues.setdefault(Need(job.kind, job.min_version), Lanes())

    def n_waiting(self) -> int:
        """Ranges that wait for a worker. Not for the path of every message."""
        ranges = [r for queue in self._queues.values() for r in queue]
        ranges += [r for parked in self._parked.values() for r in parked]
        ranges += self._wards.waiting
        return sum(any(True for _ in _left(r)) for r in ranges)

    def orphans(self) -> List[Job]:
        """Takes out the jobs that only workers of a kind could go on with of which none
        has a session, while another one is able: they have to begin again."""
        if not any(self._workers.values()):
            return []
        found: Dict[Job, None] = {}
        for r in self._wards.waiting:
            if r.job.kind is not None and not self._kinds[r.job.kind]:
                found[r.job] = None
        for need in [n for n in self._queues if n.kind is not None and not self._kinds[n.kind]]:
            for r in self._queues.pop(need):
                if r.job.kind == need.kind and any(True for _ in _left(r)):
                    found[r.job] = None
                elif r.job.kind != need.kind:
                    self._queue(r.job).append(r)
        return list(found)

    # --- handing out ---

    def assignments(self) -> Iterator[Tuple[Worker, Job, int, int]]:
        """(worker, job, first, n), one after the other until nothing fits. Each one counts as sent
        when the next is asked for: the caller has called worker.give by then."""
        while self._changed:
            self._changed = False
            if self._wards.waiting or self._wards.workers:
                yield from self._try_suspects()
            blocked: Dict[Need, None] = {}
            while self._any_has_room():
                need = self._next(blocked)
                if need is None:
                    break
                lanes = self._queues[need]
                r = lanes.first()
                worker = self._roomiest(need)
                take = 0 if worker is None else self._share(worker, r, lanes.n - 1)
                if worker is None or take == 0:
                    blocked[need] = None  # nobody behind it takes the room that it waits for
                    continue
                lanes.pop()
                r.job.kind = worker.kind
                self._given = r.job.flow.given
                r.job.flow.given += take
                if take < r.n:
                    rest = r._replace(first=r.first + take, n=r.n - take)
                    self._queue(r.job).extendleft([rest])
                yield worker, r.job, r.first, take
                self._place(worker, self._workers.get(worker, False))  # only its room is another

    def _try_suspects(self) -> Iterator[Tuple[Worker, Job, int, int]]:
        waiting, self._wards.waiting = self._wards.waiting, deque()
        able = [worker for worker, is_able in self._workers.items() if is_able]
        # Fewer deaths first: what is found of those may explain deaths that speak for chance.
        for r in sorted(waiting, key=lambda r: len(r.job.deaths)):
            for first, n in list(_left(r)):
                before = set(self._wards.workers)
                worker = self._wards.find(r.job, able, r.job.min_version)
                for new in self._wards.workers - before:
                    new.change += 1  # what lies in the heaps is not valid any more
                take = 0 if worker is None else min(n, worker.free)
                if take < n:
                    self._wards.waiting.append(Range(r.job, first + take, n - take, r.round))
                if worker is not None and take:
                    r.job.kind = worker.kind
                    yield worker, r.job, first, take
        for worker in self._wards.release():
            self.touch(worker)

    def _next(self, blocked: Dict[Need, None]) -> Optional[Need]:
        """The queues with what is next in front, of those that are not blocked."""
        best: Optional[Need] = None
        soonest: Optional[Key] = None
        for need in list(self._queues):
            if need in blocked:
                continue
            key = self._queues[need].head(lambda r: self._is_ready(r, need))
            if key is None:
                del self._queues[need]
            elif soonest is None or key < soonest:
                best, soonest = need, key
        return best

    def _is_ready(self, r: Range, need: Need) -> bool:
        """Whether all of it waits, and for this need; else what waits is put where it belongs."""
        job = r.job
        if job.kind == need.kind and job.round == r.round and \
                job.done.find(1, r.first, r.first + r.n) < 0:
            return True
        left = list(_left(r))
        self._queue(r.job).extendleft([r._replace(first=first, n=n) for first, n in left])
        return False

    def _any_has_room(self) -> bool:
        """Whether any worker could be given anything: what waits need not be looked at else."""
        return any(map(self._first_entry, list(self._heaps)))

    def _first_entry(self, key: Tuple[Kind, int]) -> Optional[Entry]:
        """The worker with most room of a heap. An empty heap is dropped."""
        heap = self._heaps[key]
        while heap and not _is_valid(heap[0]):
            heappop(heap)
        if not heap:
            del self._heaps[key]
            return None
        return heap[0]

    def _roomiest(self, need: Need) -> Optional[Worker]:
        """The worker with most room of those that may have it."""
        best: Optional[Entry] = None
        for key in list(self._heaps):
            entry = self._first_entry(key)
            kind, version = key
            if entry is not None and version >= need.min_version and need.kind in (None, kind):
                if best is None or entry < best:
                    best = entry
        return None if best is None else best.worker

    def _share(self, worker: Worker, r: Range, n_behind: int) -> int:
        """How many samples of a range the roomiest worker gets; 0: it waits for more room.

        A group stays together, so that its prompt is prefilled once, unless it is larger than half
        of a worker or other workers would be idle.
        """
        if worker.free < min(r.n, max(1, worker.slots // 2)):
            return 0
        take = min(r.n, worker.free)
        if r.n >= _SPLIT_FROM and len(self._workers) > n_behind + 1:
            n_idle = sum(able and not w.n_held and w.free > 0 and w.kind == worker.kind
                         for w, able in self._workers.items())
            if n_idle > n_behind + 1:
                take = min(take, -(-r.n // n_idle))
        return take


def _is_valid(entry: Entry) -> bool:
    return entry.change == entry.worker.change


def _left(r: Range) -> Iterator[Tuple[int, int]]:
    """The parts of a range that still wait."""
    return iter(()) if r.round != r.job.round else r.job.waiting(r.first, r.n)
