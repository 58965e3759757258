"""What workers were told to commit, and what a version tells that they are heard to serve."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional

from .peers import Update, Worker


class Committed(NamedTuple):
    """A COMMIT that a worker was sent."""

    number: int
    version: int
    base: int
    digest: Optional[int]  # of what was served before


class Commits:
    """The last COMMIT to each incarnation."""

    def __init__(self) -> None:
        self._last: Dict[int, Committed] = {}

    def note(self, worker: Worker, update: Update) -> None:
        self._last[worker.incarnation] = Committed(update.number, update.version, update.base,
                                                   worker.digest)

    def forget(self, worker: Worker) -> None:
        """It is told to take it back."""
        self._last.pop(worker.incarnation, None)

    def number(self, worker: Worker) -> int:
        return self._last[worker.incarnation].number

    def is_answered(self, worker: Worker) -> bool:
        """A worker that said HELLO: whether it has moved to the version that this process was told
        to commit. Its answer was lost with the session."""
        last = self._last.get(worker.incarnation)
        return last is not None and worker.version == last.version and \
            (last.base, last.digest) != (worker.version, worker.digest)

    def has_moved(self, worker: Worker, version: int) -> bool:
        """Whether it serves by now what it was told to commit, and the update was withdrawn before
        the answer came: the next push had begun."""
        last = self._last.get(worker.incarnation)
        return last is not None and worker.committed_at is None and \
            version == last.version and worker.version == last.base != version

    @staticmethod
    def has_applied(worker: Worker, version: int) -> bool:
        """Whether the version that it serves says so, whatever else it answers to a COMMIT that it
        may have been told twice."""
        update = worker.update
        return update is not None and worker.committed_at is not None and \
            version == update.version != update.base
