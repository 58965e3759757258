"""What the trainer knows of each worker."""

from __future__ import annotations

import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from . import wire
from .deltas import Stream
from .jobs import Held, Job
from .results import Origin
from .weights import DtypePlan

# Which socket, and the ROUTER's routing id of the connection (empty on a DEALER).
Address = Tuple[int, bytes]


def digest_text(digest: Optional[int]) -> str:
    """As `stampede inspect` prints it."""
    return "unknown" if digest is None else f"{digest:016x}"


class Kind(NamedTuple):
    """Workers that may share a group: their bits are the same. One with blocks that it makes of a
    master has the types and the digest of one that serves the master itself, and other numerics."""

    plan: DtypePlan
    numerics: str


class Update(NamedTuple):
    """An offer of weights to one worker."""

    number: int
    base: int  # policy version that it served when it was made
    version: int
    plan: DtypePlan
    is_all: bool  # of the snapshot; else what differs from the version before
    stream: Stream

    @property
    def key(self) -> Tuple[int, DtypePlan, bool]:
        """Offers with the same key bring the same bytes."""
        return self.version, self.plan, self.is_all


class Worker:
    """A session with one worker: from its HELLO to its end."""

    def __init__(self, address: Address, hello: wire.Message, now: float, number: int,
                 user: str = "") -> None:
        self.address = address
        self.user = user  # whose key it has; "": no keys are asked for
        self.number = number  # of this session, counted by the trainer
        self.uid: str = hello["uid"]
        self.incarnation: int = hello["incarnation"]
        self.build: str = hello["build"]
        self.numerics: str = hello["numerics"]
        self.fingerprint: int = hello["fingerprint"]
        self.origin = Origin(self.uid, self.incarnation, self.build, self.numerics,
                             f"{self.fingerprint:016x}")
        self.slots: int = hello["slots"]
        self.max_context: int = hello["max_context"]
        self.plan = DtypePlan.of_hello(hello)
        self.kind = Kind(self.plan, self.numerics)
        self.directory: str = hello["directory"]  # id of its --weights-dir; "": it has none
        self.version: int = hello["version"]
        self.digest: Optional[int] = hello["digest"]  # None: it has not said what it applied
        self.last_heard = now
        self.seq_in = 1  # number of HELLO
        self.seq_out = 0
        self.credit: int = hello["slots"]  # samples that may have been sent
        self.sent = 0  # samples that were sent
        self.change = 0  # one more each time that its room or its right to work changes
        self.reachable = True  # sending to it has not failed
        self.draining = False
        self.tells_groups = False  # in its HEARTBEATs, with which of them it goes on
        self.stalled = False  # its engine stands still: its samples were given to others
        self.busy_since = now  # when it was last given something while it had nothing
        self.held: Dict[int, Held] = {}  # by serial: samples in its hands
        self.n_held = 0
        self.heartbeat: Dict[str, Any] = {}
        # Weights: what was offered and is not known to be applied, and how far it is.
        self.update: Optional[Update] = None
        self.staged = False
        self.staged_digest: Optional[int] = None  # that it would serve after COMMIT
        self.committed_at: Optional[float] = None  # when COMMIT was sent last
        self.n_beats = 0  # heartbeats since COMMIT that said the new version
        self.update_deadline = 0.0
        self.last_update = 0  # number of the one that it applied last
        self.vouched = False  # it served the digest that counts when the update was offered
        self.failed_version: Optional[int] = None  # an update that it could not take

    @property
    def free(self) -> int:
        """Samples that may be sent now."""
        return self.credit - self.sent

    def give(self, job: Job, first: int, n: int) -> None:
        """Notes samples as being in its hands."""
        held = self.held.get(job.serial)
        if held is None:
            held = self.held[job.serial] = job.holders[self] = Held(job)
        held.give(first, n)
        if self.n_held == 0:
            self.busy_since = time.monotonic()
        self.sent += n
        self.n_held += n

    def take(self, result: wire.Result) -> List[int]:
        """Notes the samples of a RESULT as returned. Returns those that were preempted here."""
        held = self.held.get(result.serial)
        if held is None:
            return []
        before = held.n
        back = held.take(result)
        self.n_held -= before - held.n
        if held.n == 0:
            del self.held[result.serial]
            held.job.holders.pop(self, None)
        return back

    def drop_update(self) -> None:
        self.update, self.staged, self.committed_at = None, False, None
        self.staged_digest = None
        self.n_beats = 0

    def describe(self, serves: bool) -> Dict[str, Any]:
        """`serves`: it serves the weights that count, and is not one that waits for them."""
        beat = self.heartbeat
        return {
            "uid": self.uid, "build": self.build, "numerics": self.numerics,
            "slots": self.slots, "max_context": self.max_context, "dtype": self.plan.default,
            "version": self.version, "digest": digest_text(self.digest),
            "state": ("draining" if self.draining else "stalled" if self.stalled else
                      "serving" if serves and self.update is None else "updating"),
            "samples": self.n_held, "rows": beat.get("n_rows", 0),
            "waiting": beat.get("n_waiting", 0), "tokens": beat.get("n_tokens", 0),
            "steps": beat.get("n_steps", 0), "guessed": beat.get("n_guessed", 0),
            "accepted": beat.get("n_accepted", 0),
        }
