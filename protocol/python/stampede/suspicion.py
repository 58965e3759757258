"""Groups that were in the hands of workers that died: which of them are to blame.

A death raises suspicion on every group that the worker had. Suspects are tried a few at a time, on
workers that have nothing else; a suspect of two deaths is tried alone; a third death with it alone
quarantines it. A group that ends clears itself, and so does the worker: who comes back as the same
process had not died.

Workers die of other things too. Since a group's first death, each death without it would have hit
its worker as likely as any other: so many deaths are expected of it by chance, and it is
quarantined only where its own are more than chance brings in one case of a hundred. Deaths of
workers that had nothing but suspects are no such chance, nor are those of workers that had a group
which is quarantined by now: with each such group the others are judged again.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Deque, Dict, List, NamedTuple, Set, Tuple

if TYPE_CHECKING:
    from .jobs import Job
    from .peers import Worker

QUARANTINE = 3  # deaths
_FEWER = 8  # after its first death a group is tried with one in so many of those that were there
_MOST = 1024  # deaths that are remembered
_CHANCE = 0.01  # that as many deaths as a group had are none of its doing


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


class Damage(NamedTuple):
    """A worker whose resident weights were found damaged. What it drew since then is suspect."""

    worker: str
    incarnation: int
    tensor: str
    version: int  # policy version that it served
    since: float  # seconds since 1970
    at: float  # when it was found, likewise


class Chance(NamedTuple):
    """A death, and how likely it would have hit one certain worker of those that were there."""

    incarnation: int
    share: float  # 0: suspects explain it


class Suspicion:
    """What the deaths of a trainer's workers say of its groups."""

    def __init__(self) -> None:
        self._blamed: "OrderedDict[int, List[Job]]" = OrderedDict()  # by incarnation
        self._lost: Deque[Tuple[float, str]] = deque()  # workers that died of late
        self._deaths: Deque[Chance] = deque(maxlen=_MOST)
        self._guilty: Set[int] = set()  # serials of groups that were quarantined
        self.damages: List[Damage] = []

    def died(self, worker: "Worker", jobs: List["Job"], n_workers: int) -> None:
        """`jobs`: that it had; `n_workers`: that there were, it among them."""
        self._lost.append((time.monotonic(), worker.uid))
        is_explained = bool(jobs) and all(job.deaths for job in jobs)
        self._deaths.append(Chance(worker.incarnation, 0.0 if is_explained else 1 / n_workers))

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
        return self._is_guilty(job)

    def convict(self, job: "Job") -> List["Job"]:
        """The group is quarantined. Returns the others that are to be now."""
        self._guilty.add(job.serial)
        suspects = {other.serial: other for some in self._blamed.values() for other in some}
        return [other for serial, other in suspects.items()
                if serial not in self._guilty and self._is_guilty(other)]

    def _is_guilty(self, job: "Job") -> bool:
        n, own, began, expected = len(job.deaths), {d.incarnation for d in job.deaths}, False, 0.0
        if n < QUARANTINE or job.deaths[-1].n_groups > 1:
            return False
        for incarnation, share in self._deaths:
            began = began or incarnation in own
            if began and incarnation not in own and not self._is_explained(incarnation):
                expected += share
        return _at_least(n, expected) < _CHANCE

    def _is_explained(self, incarnation: int) -> bool:
        return any(job.serial in self._guilty for job in self._blamed.get(incarnation, ()))

    def acquit(self, worker: "Worker") -> List["Job"]:
        """This process lives: its death was none. Returns the groups that are no suspects any more.
        """
        cleared, incarnation = [], worker.incarnation
        self._lost = deque(entry for entry in self._lost if entry[1] != worker.uid)
        self._deaths = deque((d for d in self._deaths if d.incarnation != incarnation), _MOST)
        for job in self._blamed.pop(incarnation, []):
            job.deaths[:] = [death for death in job.deaths if death.incarnation != incarnation]
            _judge(job)
            if not job.deaths:
                cleared.append(job)
        return cleared


def _at_least(n: int, expected: float) -> float:
    """The chance of n events or more where so many are expected (Poisson)."""
    return 1.0 - sum(math.exp(-expected) * expected ** k / math.factorial(k) for k in range(n))


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
