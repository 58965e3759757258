"""Groups that were in the hands of workers that died: which of them are to blame.

A death raises suspicion on every group that the worker had. Suspects are tried a few at a time, on
workers that have nothing else; a suspect of two deaths is tried alone; a third death with it alone
quarantines it. A group that ends clears itself, and so does the worker: who comes back as the same
process had not died.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Deque, Dict, List, NamedTuple, Tuple

if TYPE_CHECKING:
    from .jobs import Job
    from .peers import Worker

QUARANTINE = 3  # deaths
_FEWER = 8  # after its first death a group is tried with one in so many of those that were there
_MOST = 1024  # deaths that are remembered


class Death(NamedTuple):
    """A worker that died with a group in its hands."""

    worker: str
    incarnation: int
    build: str
    why: str
    at: float  # seconds since 1970
    n_groups: int  # that it had; 1: this one alone
    samples: Tuple[int, ...]  # of this group

    def sentence(self) -> str:
        company = "alone" if self.n_groups == 1 else f"beside {self.n_groups - 1} other groups"
        return f"{self.worker} ({self.why}; it had the group {company})"


class Suspicion:
    """What the deaths of a trainer's workers say of its groups."""

    def __init__(self) -> None:
        self._blamed: "OrderedDict[int, List[Job]]" = OrderedDict()  # by incarnation
        self._lost: Deque[Tuple[float, str]] = deque()  # workers that died of late

    def died(self, worker: "Worker") -> None:
        self._lost.append((time.monotonic(), worker.uid))

    def n_lost(self, within_s: float = 600.0) -> int:
        """Workers that died in the last minutes and have not come back."""
        while self._lost and time.monotonic() - self._lost[0][0] > within_s:
            self._lost.popleft()
        return len(self._lost)

    def blame(self, worker: "Worker", job: "Job", samples: Tuple[int, ...], n_groups: int,
              why: str) -> bool:
        """The worker died with this group. True: the group is to be quarantined."""
        job.deaths.append(Death(worker.uid, worker.incarnation, worker.build, why, time.time(),
                                n_groups, samples))
        self._blamed.setdefault(worker.incarnation, []).append(job)
        while len(self._blamed) > _MOST:
            self._blamed.popitem(last=False)
        _judge(job)
        return len(job.deaths) >= QUARANTINE and n_groups == 1

    def acquit(self, worker: "Worker") -> List["Job"]:
        """This process lives: its death was none. Returns the groups that are no suspects any more.
        """
        cleared, incarnation = [], worker.incarnation
        self._lost = deque(entry for entry in self._lost if entry[1] != worker.uid)
        for job in self._blamed.pop(incarnation, []):
            job.deaths[:] = [death for death in job.deaths if death.incarnation != incarnation]
            _judge(job)
            if not job.deaths:
                cleared.append(job)
        return cleared


def _judge(job: "Job") -> None:
    """In how large a company the group may be tried; 0: in any."""
    if not job.deaths:
        job.company = 0
    elif len(job.deaths) == 1:
        job.company = max(1, -(-job.deaths[0].n_groups // _FEWER))
    else:
        job.company = 1


def verdict(job: "Job") -> str:
    """The sentence of a group that was quarantined."""
    who = "; ".join(death.sentence() for death in job.deaths)
    return f"This group is quarantined: {len(job.deaths)} workers died with it: {who}."


def evidence(deaths: List[Death]) -> List[Dict[str, Any]]:
    return [death._asdict() for death in deaths]
