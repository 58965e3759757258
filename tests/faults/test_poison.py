"""A group that kills real workers, and the statuses with which a worker ends."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Any, Iterator, List

import pytest

import stampede
from harness import PATIENCE_S, SHORT, RawTrainer, Worker, collect, samples_of, serving
from test_drain import big_model

KILLER = "#!/bin/sh\nread -r line\nkill -9 $PPID\nsleep 100\n"


class Pool:
    """Workers of which each that dies is replaced, as the pods of a Job are."""

    def __init__(self, folder: Path, url: str, n: int, **flags: Any) -> None:
        self._make = lambda: Worker(folder, url, **flags)
        self.workers = [self._make() for _ in range(n)]
        self.dead: List[Worker] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while not self._end.wait(0.05):
            for i, worker in enumerate(self.workers):
                if not worker.alive():
                    self.dead.append(worker)
                    self.workers[i] = self._make()

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        for worker in self.workers:
            worker.kill()


@contextlib.contextmanager
def pool(folder: Path, url: str, n: int, **flags: Any) -> Iterator[Pool]:
    workers = Pool(folder, url, n, **flags)
    try:
        yield workers
    finally:
        workers.close()


def test_a_group_that_kills_workers_is_quarantined(tmp_path: Path) -> None:
    killer = tmp_path / "killer.sh"
    killer.write_text(KILLER)
    killer.chmod(0o755)

    def ask(trainer: stampede.Trainer, poison: bool) -> Any:
        return trainer.generate(
            [stampede.Prompt(prompt_ids=[1, 2, 3 + i],
                             reward=[stampede.term("killer")] if poison and i == 5 else None)
             for i in range(16)], n=2, sampling=SHORT)

    flags = {"verifier": {"killer": killer}, "max_rows": 8}
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, **flags):
            want = collect(ask(trainer, False))
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=2) as trainer:
        with pool(tmp_path, trainer.url, 2, **flags) as workers:
            groups = list(ask(trainer, True))
            bad = [g for g in groups if g.finish_reason[0] == "error"]
            assert [g.index for g in bad] == [5] and len(groups) == 16
            got = collect(g for g in groups if g.index != 5)
            assert got == {key: value for key, value in want.items() if key[0] != 5}
            assert 3 <= len(workers.dead) <= 5 and len(bad[0].deaths) == 3
            assert bad[0].deaths[-1]["n_groups"] == 1
            assert trainer.counters()["quarantined_groups"] == 1
            assert "quarantined" in bad[0].errors[0], bad[0].errors
            # and the pool goes on
            assert len(collect(trainer.generate([stampede.Prompt(prompt_ids=[7])], n=4,
                                                sampling=SHORT))) == 4


def test_provenance_of_real_samples(tmp_path: Path) -> None:
    from test_updates import noisy
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=2) as trainer:
        with serving(tmp_path, trainer.url, name="a"), serving(tmp_path, trainer.url, name="b"):
            trainer.wait_for_workers(2, PATIENCE_S)
            before = {w["digest"] for w in trainer.workers()}
            trainer.push_weights(noisy(1), version=1)
            groups = trainer.generate([stampede.Prompt(prompt_ids=[1, i]) for i in range(8)], n=4,
                                      sampling=SHORT)
            rows = [row for g in groups for row in g.provenance]
            known = {w["digest"] for w in trainer.workers()}
            assert len(known) == len(before) == 1 and known != before
            assert len(rows) == 32 and {row["worker"] for row in rows} <= {"a", "b"}
            assert len({row["config"] for row in rows}) == 1 and all(row["build"] for row in rows)
            assert all(row["version_spans"] == [(0, 1)] for row in rows)
            assert {row["digest"] for row in rows} == known and len({r["seed"] for r in rows}) == 8


# --- draining, within what an orchestrator gives ---

@pytest.mark.parametrize("timeout_s", [0, 3])
def test_a_drain_ends_in_time(timeout_s: int, tmp_path: Path) -> None:
    """With --drain-timeout T everything is back in T, and the worker is gone 5 s later at the
    latest: T is the grace period less 10 s. What had not begun comes at once."""
    slow = big_model(tmp_path / "big")
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, max_rows=2, model=slow,
                                          drain_timeout=timeout_s) as worker:
        trainer.welcome()
        for serial in range(4):  # more than can be computed meanwhile
            trainer.task(serial, n=1, max_new_tokens=500)
        trainer.drain(1)
        start, waited, came = time.monotonic(), 0.0, []
        worker.terminate()
        while "BYE" not in [m.type for m in came]:
            came += trainer.drain(0.05)
            if not waited and any(m.type == "RESULT" for m in came):
                waited = time.monotonic() - start
            assert time.monotonic() - start < timeout_s + 10
        worker.ends(75, 5)
        assert time.monotonic() - start < timeout_s + 5 and waited < 2
        samples = [s for m in came if m.type == "RESULT" for s in samples_of(m)]
        assert sorted(s["serial"] for s in samples) == [0, 1, 2, 3]
        assert {s["finish"] for s in samples} == {"preempted"}
        # Rows that ran come with what they have; more of it where they were given time.
        assert sum(len(s["tokens"]) > 0 for s in samples) == 2


def test_a_drain_without_a_word_of_the_trainer_ends_in_time(tmp_path: Path) -> None:
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, max_rows=2,
                                          drain_timeout=1) as worker:
        trainer.welcome(lost_ms=60000)
        trainer.task(0, n=4, max_new_tokens=480)
        trainer.control.poll(PATIENCE_S * 1000)
        start = time.monotonic()
        worker.terminate()  # nothing is acknowledged any more
        worker.ends(75, 20)
        assert time.monotonic() - start < 1 + 5 + 2
