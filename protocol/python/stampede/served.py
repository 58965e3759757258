"""Which weights count: for each policy version and resident types, one digest.

The digest of design D8 depends on values and types only, so it is one for all workers that hold a
version in the same types (a DtypePlan). What the first worker says of a version and a plan counts
for the trainer's life; a worker with another digest serves nothing under that number. Among
different plans digests cannot be compared, and their workers share no group.

A version that was served before this trainer pushed anything (the checkpoint's, or what another
epoch pushed) is inherited; what this trainer pushes is its own, also under the same number.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional

from .peers import Worker, digest_text
from .weights import DtypePlan


class Known(NamedTuple):
    """A digest, and the worker that said it first; None: it is served, and nobody has said yet."""

    digest: Optional[int]
    uid: str


Digests = Dict[DtypePlan, Dict[int, Known]]


class Served:
    """The digests that count, and the version that counts before the first push."""

    def __init__(self) -> None:
        self.base: Optional[int] = None  # the version of the first worker
        self._inherited: Digests = {}
        self._pushed: Digests = {}

    def known(self, worker: Worker, pushed: bool) -> Optional[Known]:
        """What counts for this worker's types and version."""
        digests = self._pushed if pushed else self._inherited
        return digests.get(worker.plan, {}).get(worker.version)

    def learn(self, worker: Worker, pushed: bool) -> None:
        """What this worker serves counts, where nothing is known yet."""
        versions = (self._pushed if pushed else self._inherited).setdefault(worker.plan, {})
        if versions.get(worker.version, Known(None, "")).digest is None:
            versions[worker.version] = Known(worker.digest, worker.uid)

    def agrees(self, worker: Worker, pushed: bool) -> bool:
        """Whether the worker's digest is the one that counts for its version. One that has not said
        its digest is believed: its first RESULT tells."""
        known = self.known(worker, pushed)
        return known is not None and worker.digest in (None, known.digest)

    def counts(self, worker: Worker) -> bool:
        """Whether it serves a digest that counts, of any version."""
        return self.agrees(worker, True) or (worker.version == self.base
                                             and self.agrees(worker, False))

    def forget(self, version: int) -> None:
        """A version of this trainer that was taken back: its number may be used again."""
        for versions in self._pushed.values():
            versions.pop(version, None)

    def difference(self, worker: Worker, pushed: bool) -> str:
        """The sentence about a worker whose digest is not the one that counts."""
        known = self.known(worker, pushed)
        assert known is not None
        return (f"Digest {digest_text(worker.digest)} is not {digest_text(known.digest)}, which "
                f"counts for policy version {worker.version}: worker {worker.uid} has other "
                f"weights than worker {known.uid}.")

    def has(self, worker: Worker, version: int, digest: int) -> bool:
        """Whether samples of this worker that ended at `version` may say this digest: that
        version's, or that of a newer one that was applied between their end and their leaving."""
        pushed = self._pushed.get(worker.plan, {})
        inherited = self._inherited.get(worker.plan, {}).get(version)
        own = pushed.get(version)
        if inherited is None and own is None:
            return False
        newer = [known.digest for number, known in pushed.items()
                 if inherited is not None or number >= version]
        if digest in newer or (inherited is not None and inherited.digest == digest):
            return True
        if own is None or own.digest is not None:
            return False
        pushed[version] = Known(digest, worker.uid)  # nobody has said it before
        return True

    def foreign(self, worker: Worker, version: int, digest: int) -> str:
        """The sentence about samples that may not say this digest."""
        which = f"Digest {digest:016x} of samples of policy version {version}"
        for digests in (self._pushed, self._inherited):
            known = digests.get(worker.plan, {}).get(version)
            if known is not None:
                return (f"{which} is not {digest_text(known.digest)}, which counts: worker "
                        f"{worker.uid} has other weights than worker {known.uid}.")
        return f"{which} is unknown: worker {worker.uid} is the first that served that version."
