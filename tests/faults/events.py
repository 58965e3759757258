"""Event logs: what processes did and heard, as JSON lines that a kill -9 cannot tear.

Each event has `t` (the machine's monotonic clock, one for all processes), `who` wrote it, and
`event`, its kind. What the checker reads is

of the harness:
  manifest   version, digest          weights of a version, by `stampede inspect`
  start      worker, pid
  signal     worker, pid, signal      that the harness sent
  expect     worker, status           it may end with this
  exit       worker, pid, status      negative: of a signal
  footprint  worker, pid, rss_kib, n_fds
  said       worker, text             a line of the worker's log, in order, without a time
of a trainer (`who`), around its client:
  open       run, epoch, pid, url, bulk_url
  submit     ids, n, first_serial
  sent       peer, type, and fields   a message, before it is sent
  received   peer, type, and fields
  gone       peer, worker, why        the client ended the session
  consumed   id, samples              a group, in one line: what the training loop was given
  cancelled  id                       the training loop asked for that
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List

Event = Dict[str, Any]


class Log:
    """Appends lines to a file; each is one write, so that whoever reads sees whole lines."""

    def __init__(self, path: Path, who: str) -> None:
        self.path, self._who = path, who
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()

    def say(self, event: str, **fields: Any) -> None:
        line = {"t": time.monotonic(), "who": self._who, "event": event, **fields}
        with self._lock:
            os.write(self._fd, (json.dumps(line, separators=(",", ":")) + "\n").encode())


def read(path: Path) -> List[Event]:
    """The events of one log; a last line without its end was being written."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def merge(paths: Iterable[Path]) -> List[Event]:
    """All events in the order of their times; those of one log keep their order."""
    return sorted((event for path in paths for event in read(path)), key=lambda e: e["t"])


class Tail:
    """Reads what was appended since the last look."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._rest = path, 0, b""
        self.events: List[Event] = []

    def look(self) -> List[Event]:
        """All events so far."""
        if self._path.exists():
            with open(self._path, "rb") as file:
                file.seek(self._at)
                data = file.read()
            self._at += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.events += [json.loads(line) for line in lines]
        return self.events

    def count(self, event: str, **fields: Any) -> int:
        return sum(e["event"] == event and all(e.get(k) == v for k, v in fields.items())
                   for e in self.look())
