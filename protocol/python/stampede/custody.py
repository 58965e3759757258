"""What is taken back from workers and given to others, and why: their session ended, their engine
stands still, they do not go on with one group, or their weights were damaged."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, List

from .jobs import Held, flagged
from .leases import Leases
from .suspicion import Damage, Suspicion, verdict

if TYPE_CHECKING:
    from .core import Core
    from .jobs import Job
    from .peers import Worker

log = logging.getLogger("stampede")
_LOOK_S = 1.0  # between looks at the groups of all workers


class Custody:
    """Leases, and what their end says of the groups."""

    def __init__(self, core: "Core", lease_s: float) -> None:
        self.suspicion = Suspicion()
        self._core, self._leases, self._next_look = core, Leases(lease_s), 0.0

    def on_heartbeat(self, worker: "Worker", m: Any) -> None:
        if self._leases.on_heartbeat(worker, m):
            self._go_on(worker)

    def on_result(self, worker: "Worker", serial: int) -> None:
        if self._leases.on_result(worker, serial):
            self._go_on(worker)

    def on_tick(self, now: float, stall: float) -> None:
        """`stall`: seconds for which we stood still ourselves."""
        workers = self._core.workers.values()
        for worker in self._leases.expired(workers, stall):
            self._end_all(worker)
        if now >= self._next_look:
            self._next_look = now + _LOOK_S
            for worker, held in self._leases.standing(workers):
                self._end_one(worker, held)

    def forget(self, worker: "Worker") -> None:
        self._leases.forget(worker)

    def acquit(self, worker: "Worker") -> None:
        """It was thought dead, and speaks: a partition, or a stop."""
        self._core.dispatcher.clear(self.suspicion.acquit(worker))

    def _go_on(self, worker: "Worker") -> None:
        self.acquit(worker)
        self._core.changed(worker)

    # --- what ends ---

    def _end_all(self, worker: "Worker") -> None:
        """It speaks, and its engine stands still: its session lives, what it has goes to others."""
        why = f"its engine stands still for {self._leases.lease_s:g} s"
        log.warning("Worker %s: %s; %d samples go to others.", worker.uid, why, worker.n_held)
        worker.stalled = True
        self._core.changed(worker)
        self.take_all(worker, why, "stall")

    def _end_one(self, worker: "Worker", held: Held) -> None:
        """It goes on with others, and not with this group, which goes to others; what it says of it
        later is dropped where they came first."""
        job, core = held.job, self._core
        why = f"it did not go on with the group for {self._leases.group_lease_s:g} s"
        log.warning("Worker %s, group %d: %s; %d samples go to others.", worker.uid, job.serial,
                    why, held.n)
        del worker.held[job.serial]
        worker.n_held -= held.n
        core.counters["deaths_by_standing_group"] += 1
        self._take(worker, held, 1, why, True)

    def take_all(self, worker: "Worker", why: str, death: str) -> None:
        """What it has is given to others; its groups are suspects where it died."""
        held, worker.held, worker.n_held = worker.held, {}, 0
        if death:
            self._core.counters[f"deaths_by_{death}"] += 1
            here = worker.address in self._core.workers
            self.suspicion.died(worker, [one.job for one in held.values()],
                                len(self._core.workers) + (not here))
        for serial in sorted(held, reverse=True):
            self._take(worker, held[serial], len(held), why, bool(death))

    def _take(self, worker: "Worker", held: Held, n_groups: int, why: str, died: bool) -> None:
        job, core = held.job, self._core
        job.holders.pop(worker, None)
        core.counters["lost_leases"] += 1
        if core.job(job.serial) is not job:
            return
        samples = flagged(held.flags)
        if died and self.suspicion.blame(worker, job, tuple(samples), n_groups, why):
            self._quarantine(job)
            return
        core.give_back(job, samples)
        core.finish_if_complete(job)

    def _quarantine(self, job: "Job") -> None:
        """It kills its workers."""
        self._core.counters["quarantined_groups"] += 1
        self._core.fail(job, verdict(job))
        for other in self.suspicion.convict(job):
            if self._core.job(other.serial) is other:
                self._quarantine(other)

    def on_damage(self, worker: "Worker", m: Any) -> None:
        """Its resident weights were damaged: unfinished groups draw what came of it anew. Of those
        that are finished the trainer's user is told."""
        core, now = self._core, time.time()
        damage = Damage(worker.uid, worker.incarnation, m["tensor"] or "", worker.version,
                        now - m["suspect_ms"] / 1000, now)
        self.suspicion.damages.append(damage)
        core.counters["damaged_workers"] += 1
        n_samples = 0
        for job in core.open_jobs():
            samples = job.retract(worker.incarnation)
            n_samples += len(samples)
            if worker.draining:  # they may be what it returned
                core.counters["dropped_tokens"] += sum(p.n_tokens for p in job.partials.values())
                job.partials.clear()
            if samples:
                core.give_back(job, samples)
                core.finish_if_complete(job)
        core.counters["suspect_samples"] += n_samples
        log.error("Worker %s: tensor '%s' of its resident weights (policy version %d) is damaged. "
                  "What it drew in the last %.1f s is suspect: %d samples of unfinished groups "
                  "are drawn anew; finished groups with incarnation %d are for you to judge.",
                  damage.worker, damage.tensor, damage.version, m["suspect_ms"] / 1000, n_samples,
                  damage.incarnation)
