"""What the trainer knows of each worker."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from . import wire
from .weights import DtypePlan, Entry, Table

# Which socket, and the ROUTER's routing id of the connection (empty on a DEALER).
Address = Tuple[int, bytes]


class Update(NamedTuple):
    """An offer of weights to one worker."""

    number: int
    version: int
    plan: DtypePlan
    entries: List[Entry]


class Worker:
    """A session with one worker: from its HELLO to its end."""

    def __init__(self, address: Address, hello: wire.Message, now: float) -> None:
        self.address = address
        self.uid: str = hello["uid"]
        self.incarnation: int = hello["incarnation"]
        self.build: str = hello["build"]
        self.numerics: str = hello["numerics"]
        self.fingerprint: int = hello["fingerprint"]
        self.slots: int = hello["slots"]
        self.max_context: int = hello["max_context"]
        self.plan = DtypePlan.of_hello(hello)
        self.version: int = hello["version"]
        self.digest: int = hello["digest"]
        self.last_heard = now
        self.seq_in = 1  # number of HELLO
        self.seq_out = 0
        self.credit: int = hello["slots"]  # samples that may have been sent
        self.sent = 0  # samples that were sent
        self.draining = False
        self.held: Set[Tuple[int, int]] = set()  # (serial, sample) in its hands
        self.heartbeat: Dict[str, Any] = {}
        self.update: Optional[Update] = None  # offered, not applied yet
        self.staged = False
        self.update_deadline = 0.0
        self.weights: Optional[Table] = None  # what it serves, where we know
        self.failed_version: Optional[int] = None  # an update that it could not take

    @property
    def free(self) -> int:
        """Samples that may be sent now."""
        return self.credit - self.sent

    def describe(self) -> Dict[str, Any]:
        beat = self.heartbeat
        return {
            "uid": self.uid, "build": self.build, "numerics": self.numerics,
            "slots": self.slots, "max_context": self.max_context, "dtype": self.plan.default,
            "version": self.version, "digest": f"{self.digest:016x}",
            "state": ("draining" if self.draining else
                      "updating" if self.update is not None else "serving"),
            "samples": len(self.held), "rows": beat.get("n_rows", 0),
            "waiting": beat.get("n_waiting", 0), "tokens": beat.get("n_tokens", 0),
            "steps": beat.get("n_steps", 0),
        }
