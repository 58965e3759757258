"""What the training loop waits for, and what waits for it."""

from __future__ import annotations

import threading
import time
from typing import List, Tuple
from weakref import WeakSet

from .groups import Group

_BOUNDS = (0, 1, 2, 4, 8, 16)  # policy versions


class Waits:
    """Seconds in which somebody waited for a group, samples that nobody has taken yet, and how old
    those were that were taken. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starved_s = 0.0
        self._since = 0.0
        self._n_waiting = 0
        # Finished, in mailboxes; a mailbox that is dropped takes its groups with it.
        self._ready: "WeakSet[Group]" = WeakSet()
        self._staleness = [0] * (len(_BOUNDS) + 1)
        self._staleness_sum = 0
        self.counts_staleness = False  # costs a look at each sample: only where it is asked for

    def begin(self) -> None:
        with self._lock:
            if self._n_waiting == 0:
                self._since = time.monotonic()
            self._n_waiting += 1

    def end(self) -> None:
        with self._lock:
            self._n_waiting -= 1
            if self._n_waiting == 0:
                self._starved_s += time.monotonic() - self._since

    @property
    def starved_s(self) -> float:
        with self._lock:
            now = time.monotonic() - self._since if self._n_waiting else 0.0
            return self._starved_s + now

    @property
    def ready_samples(self) -> int:
        with self._lock:
            return sum(group.n for group in self._ready)

    def put(self, group: Group) -> None:
        with self._lock:
            self._ready.add(group)

    def took(self, group: Group, version: int) -> None:
        """`version`: of the last push."""
        with self._lock:
            self._ready.discard(group)
        if not self.counts_staleness:
            return
        ages = [max(0, version - spans[0][1]) for spans in _spans(group) if spans]
        with self._lock:
            for age in ages:
                place = sum(age > bound for bound in _BOUNDS)
                self._staleness[place] += 1
                self._staleness_sum += age

    def staleness(self) -> Tuple[List[Tuple[str, float]], float]:
        """Cumulative buckets by upper bound, as Prometheus has them, and the sum."""
        with self._lock:
            total, out = 0, []
            for bound, n in zip([*map(str, map(float, _BOUNDS)), "+Inf"], self._staleness):
                total += n
                out.append((bound, float(total)))
            return out, float(self._staleness_sum)


def _spans(group: Group) -> List[List[Tuple[int, int]]]:
    return [spans for result, rows in group._parts
            for i, spans in enumerate(result.spans()) if rows is None or i in rows]

