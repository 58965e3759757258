"""Serials: which were given out, and which groups nobody has taken yet. For a trainer's checkpoint.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Set

from . import checks
from .errors import ArgumentError

_FORMAT = 1


class Entry:
    """A call of `generate`: serials first to first + n - 1."""

    __slots__ = ("first", "n", "open", "is_running")

    def __init__(self, first: int, n: int, open: Set[int], is_running: bool) -> None:
        self.first, self.n = first, n
        self.open = open  # serials that nobody has taken
        self.is_running = is_running  # false: of a former epoch, not submitted again yet


class State(NamedTuple):
    """What state_dict() says, checked."""

    run: str
    epoch: int
    next_serial: int
    calls: List[Entry]


class Ledger:
    """Of one Trainer. Any thread may call."""

    def __init__(self, next_serial: int, calls: Iterable[Entry] = ()) -> None:
        self._lock = threading.Lock()
        self._next = next_serial
        self._calls: Dict[int, Entry] = {call.first: call for call in calls}  # by first serial
        self._call_of: Dict[int, Entry] = {
            serial: call for call in self._calls.values() for serial in call.open}

    @property
    def next_serial(self) -> int:
        return self._next

    def expect(self, first: int, n: int) -> Set[int]:
        """What is open of a call of a former epoch that is submitted again."""
        with self._lock:
            call = self._calls.get(first)
            if call is None or call.is_running:
                waiting = sorted(c.first for c in self._calls.values() if not c.is_running)
                raise ArgumentError(f"generate: first_serial is {first}, expected that of a call "
                                    f"of an earlier epoch that is open: {waiting or 'none is'}.")
            if call.n != n:
                raise ArgumentError(f"generate: prompts has {n} items, expected the {call.n} of "
                                    f"the call whose first_serial is {first}.")
            return set(call.open)

    def begin(self, first: int, n: int, is_new: bool) -> None:
        """The call is submitted now."""
        with self._lock:
            if not is_new:
                self._calls[first].is_running = True
                return
            call = Entry(first, n, set(range(first, first + n)), True)
            self._next = first + n
            if n:
                self._calls[first] = call
                self._call_of.update(dict.fromkeys(call.open, call))

    def close(self, serials: Iterable[int]) -> None:
        """These groups were taken, or are wanted no more."""
        with self._lock:
            for serial in serials:
                call = self._call_of.pop(serial, None)
                if call is None:
                    continue
                call.open.discard(serial)
                if not call.open:
                    del self._calls[call.first]

    def open_calls(self) -> List[Dict[str, Any]]:
        """Of what has not been taken, in the order of the serials."""
        with self._lock:
            return [{"first_serial": call.first, "n": call.n,
                     "open": sorted(serial - call.first for serial in call.open)}
                    for _, call in sorted(self._calls.items())]

    def state(self, run: str, epoch: int) -> Dict[str, Any]:
        calls = self.open_calls()
        return {"format": _FORMAT, "run": run, "epoch": epoch, "next_serial": self._next,
                "calls": calls}


def read_state(state: Any) -> State:
    """What `state_dict` gave, perhaps through JSON."""
    where = "Trainer: state"
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise ArgumentError(f"{where} is not what Trainer.state_dict() gave (format {_FORMAT}).")
    run = checks.text(f"{where}['run']", state.get("run"))
    epoch = checks.integer(f"{where}['epoch']", state.get("epoch"), 0, checks.U64 - 1)
    next_serial = checks.integer(f"{where}['next_serial']", state.get("next_serial"), 0, checks.U64)
    calls, end = [], 0
    for call in checks.items(f"{where}['calls']", state.get("calls"), "a list of calls"):
        if not isinstance(call, dict):
            raise checks.refuse_kind(f"{where}['calls']", call, "dicts")
        first = checks.integer(f"{where}: first_serial", call.get("first_serial"), end, checks.U64)
        n = checks.integer(f"{where}: n", call.get("n"), 1, max(1, next_serial - first))
        places = [checks.integer(f"{where}: open", place, 0, n - 1) for place in checks.items(
            f"{where}: open", call.get("open"), "a list of places in the prompts")]
        if not places:
            raise ArgumentError(f"{where}: a call without an open group, expected one or more.")
        calls.append(Entry(first, n, {first + place for place in places}, False))
        end = first + n
    if end > next_serial:
        raise ArgumentError(f"{where}['next_serial'] is {next_serial}, expected {end} or more.")
    return State(run, epoch, next_serial, calls)


def next_epoch(epoch: int) -> int:
    """Higher than that of the checkpoint, and than that of another restart from the same one."""
    return max(epoch + 1, time.time_ns() // 1_000_000)
