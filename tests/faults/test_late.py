"""A worker that joins at any moment of a push, by the directory and by the bulk socket: it gets no
task before it serves the version that counts, and then that version's weights."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

import stampede
from harness import LONG, PATIENCE_S, Worker, eventually, prompts
from stampede import directory, offers, snapshot, updates
from test_directory import nudged
from test_updates import digest_of, noisy, save

MOMENTS = ("diff", "write", "offer", "staging", "staged", "commit", "applied", "after")
ENOUGH = stampede.Sampling(max_new_tokens=40, ignore_eos=True)


class Gate:
    """Stops the push of version 2 at a moment. The threads that compare and write wait at it; of
    the I/O thread, which may not stand still, calls are put off until it is opened."""

    def __init__(self, moment: str) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self.is_late = moment in ("commit", "applied")
        self._put_off: List[Callable[[], Any]] = []

    def waiting(self, original: Callable[..., Any], at: int) -> Callable[..., Any]:
        """The same, but it waits where argument `at` is version 2."""

        def run(this: Any, *args: Any) -> Any:
            if args[at] == 2:
                self.reached.set()
                assert self.opened.wait(PATIENCE_S)
            return original(this, *args)

        return run

    def later(self, original: Callable[..., Any], when: Callable[..., bool]) -> Callable[..., Any]:
        """The same, but put off while the gate is closed, where `when` says so."""

        def run(this: Any, *args: Any) -> Any:
            if self.opened.is_set() or not when(this, *args):
                return original(this, *args)
            self.reached.set()
            self._put_off.append(lambda: original(this, *args))
            return None

        return run

    def open(self, trainer: stampede.Trainer) -> None:
        def catch_up() -> None:
            self.opened.set()
            for call in self._put_off:
                call()

        trainer._loop.call(catch_up)


def pushes(u: updates.Updates) -> bool:
    return u._push is not None and u._push.version == 2


def hold(monkeypatch: pytest.MonkeyPatch, moment: str) -> Gate:
    gate = Gate(moment)
    owner: Any = updates.Updates
    if moment == "diff":
        owner, name = snapshot.Snapshot, "prepare"
        new = gate.waiting(snapshot.Snapshot.prepare, 0)
    elif moment == "write":
        owner, name = directory.Directory, "write"
        new = gate.waiting(directory.Directory.write, 1)
    elif moment == "offer":
        owner, name = offers.Offers, "send"
        new = gate.later(offers.Offers.send, lambda this, worker, version, *_: version == 2)
    elif moment in ("staging", "applied"):
        name, phase = "on_status", 1 if moment == "staging" else 2
        new = gate.later(updates.Updates.on_status,
                         lambda this, worker, m: pushes(this) and m["phase"] == phase)
    elif moment == "staged":
        name = "on_change"
        new = gate.later(updates.Updates.on_change, lambda this: pushes(this) and any(
            w.staged for w in this._core.workers.values()))
    else:
        assert moment == "commit"
        name = "_commit"
        new = gate.later(updates.Updates._commit, lambda this, *_: pushes(this))
    monkeypatch.setattr(owner, name, new)
    return gate


def described(trainer: stampede.Trainer, uid: str) -> Optional[Dict[str, Any]]:
    return next((w for w in trainer.workers() if w["uid"] == uid), None)


def joins(trainer: stampede.Trainer, gate: Optional[Gate]) -> None:
    """The late one is there; as long as the push is held it has nothing to do."""
    eventually(lambda: described(trainer, "late"))
    end = time.monotonic() + 0.7
    while gate is not None and time.monotonic() < end:
        now = described(trainer, "late")
        assert now is not None
        if now["version"] != 2:
            assert now["samples"] == 0 and now["state"] == "updating", now
        else:  # heartbeats said so, whose third counts like the answer that is put off
            assert gate.is_late
        time.sleep(0.02)


@pytest.mark.parametrize("by_file", [True, False], ids=["directory", "bulk"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_worker_that_joins_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str,
                                  by_file: bool) -> None:
    if moment == "write" and not by_file:
        pytest.skip("nothing is written")
    shared = tmp_path / "shared"
    shared.mkdir()
    flags = {"weights_dir": shared} if by_file else {}
    one = noisy(1)
    two = nudged(one)
    want = digest_of(save(two, tmp_path / "two"))
    gate = None if moment == "after" else hold(monkeypatch, moment)
    workers: List[Worker] = []
    try:
        with stampede.Trainer("tcp://127.0.0.1:0", **flags) as trainer, \
                ThreadPoolExecutor(1) as thread:
            workers.append(Worker(tmp_path, trainer.url, name="first", max_rows=2, **flags))
            trainer.push_weights(one, version=1, timeout_s=PATIENCE_S)
            push = thread.submit(trainer.push_weights, two, version=2, timeout_s=PATIENCE_S)
            if gate is None:
                push.result(PATIENCE_S)
            else:
                assert gate.reached.wait(PATIENCE_S)
            waits = trainer.generate(prompts(60), n=4, sampling=LONG)  # there is work for both
            workers.append(Worker(tmp_path, trainer.url, name="late", **flags))
            joins(trainer, gate)
            if gate is not None:
                gate.open(trainer)
            push.result(PATIENCE_S)
            waits.close()
            # On a busy machine the first one may have done all of it before the late one looks.
            eventually(lambda: sum(map(check, trainer.generate(prompts(20), n=4,
                                                               sampling=ENOUGH))) > 0)
            assert {(w["version"], w["digest"]) for w in trainer.workers()} == {(2, want)}
            assert ("reading stampede-" in workers[1].log()) == by_file
            assert workers[1].log().count("staging policy version") == 1  # all of it, at once
    finally:
        for worker in workers:
            worker.kill()


def check(group: stampede.Group) -> int:
    """How many samples are the late worker's: version 2 made all of their tokens."""
    late = [i for i in range(group.n) if group.provenance[i]["worker"] == "late"]
    for i in late:
        assert versions_of(group, i) == [2], group.version_spans[i]
    return len(late)


def versions_of(group: stampede.Group, i: int) -> List[int]:
    spans: List[Tuple[int, int]] = group.version_spans[i]
    return [int(version) for _, version in spans]
