"""What waits for one kind of worker, in a queue for each call of `generate`.

Calls of a higher priority come first. Those of one priority share what there is: next is the call
that was given least, counted in samples since it began to wait. So a small call does not wait for
the end of a large one. Within a call, and among calls that were given the same, the oldest group
comes first. The cost of a step grows with the logarithm of the number of calls.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, \
    Sequence, Tuple

if TYPE_CHECKING:
    from .jobs import Range


class Flow:
    """A call of `generate`, as what waits for workers sees it."""

    __slots__ = ("priority", "given")

    def __init__(self, priority: int = 0) -> None:
        self.priority = priority
        self.given = 0  # samples that were handed out; in front of it are those that had less


Key = Tuple[int, int, int]  # minus priority, given, serial: smaller is sooner


class Entry(NamedTuple):
    """A flow in the heap: valid while `number` is that of its lane. What lies there is never later
    than it should be; who comes to the front is looked at again."""

    key: Key
    number: int
    flow: Flow


class Lane:
    """The queue of a flow, and the number of its valid entry in the heap."""

    __slots__ = ("ranges", "number")

    def __init__(self) -> None:
        self.ranges: Deque["Range"] = deque()
        self.number = 0


class Lanes:
    """The queues of all flows that wait for one kind of worker."""

    def __init__(self) -> None:
        self._lanes: Dict[Flow, Lane] = {}
        self._heap: List[Entry] = []
        self._n_entries = 0
        self._first: Optional[Lane] = None  # which has what head() told of
        self.n = 0  # ranges in all queues

    def __iter__(self) -> Iterator["Range"]:
        for lane in self._lanes.values():
            yield from lane.ranges

    def __contains__(self, flow: Flow) -> bool:
        return flow in self._lanes

    def append(self, r: "Range") -> None:
        lane = self._lanes.get(r.job.flow)
        if lane is None:
            self.extendleft([r])
        else:
            lane.ranges.append(r)
            self.n += 1

    def extendleft(self, ranges: Sequence["Range"]) -> None:
        """In front of what waits of their flow, in this order."""
        if ranges:
            flow = ranges[0].job.flow
            lane = self._lanes.setdefault(flow, Lane())
            lane.ranges.extendleft(reversed(ranges))
            self.n += len(ranges)
            self._enter(flow, lane)

    def _enter(self, flow: Flow, lane: Lane) -> None:
        self._n_entries += 1
        lane.number = self._n_entries
        heappush(self._heap, Entry(_key(flow, lane), lane.number, flow))
        if len(self._heap) > 64 + 4 * len(self._lanes):
            self._heap = [e for e in self._heap if self._is_valid(e)]
            heapify(self._heap)

    def _is_valid(self, entry: Entry) -> bool:
        lane = self._lanes.get(entry.flow)
        return lane is not None and lane.number == entry.number

    def head(self, is_ready: Callable[["Range"], bool]) -> Optional[Key]:
        """How soon the first range is that is ready; None: nothing waits. One that is not ready was
        put where it belongs by `is_ready`, and is taken out here."""
        if len(self._lanes) == 1:  # as nearly always: nobody is sooner, whatever the heap says
            (flow, only), = self._lanes.items()
            self._drop_until(only, is_ready)
            if only.ranges and len(self._lanes) == 1:
                self._first = only
                return _key(flow, only)
        while self._heap:
            entry = self._heap[0]
            if not self._is_valid(entry):
                heappop(self._heap)
                continue
            flow, lane = entry.flow, self._lanes[entry.flow]
            self._drop_until(lane, is_ready)
            if not lane.ranges:
                del self._lanes[flow]
            elif lane.number == entry.number:
                if entry.key == _key(flow, lane):
                    self._first = lane
                    return entry.key
                self._enter(flow, lane)
        return None

    def _drop_until(self, lane: Lane, is_ready: Callable[["Range"], bool]) -> None:
        while lane.ranges:
            first = lane.ranges.popleft()
            if is_ready(first):
                lane.ranges.appendleft(first)
                return
            self.n -= 1

    def first(self) -> "Range":
        """What head() told of."""
        assert self._first is not None
        return self._first.ranges[0]

    def pop(self) -> "Range":
        """Takes it."""
        self.n -= 1
        assert self._first is not None
        return self._first.ranges.popleft()


def _key(flow: Flow, lane: Lane) -> Key:
    """How soon the first range of a lane is."""
    return -flow.priority, flow.given, lane.ranges[0].job.serial
