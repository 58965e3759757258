"""Leases end when a worker makes no progress, and never because a sample takes long."""

import time
from types import SimpleNamespace

import pytest
from client import eventually, prompts
from fake_worker import FakeWorker, sample_tokens

import stampede
from stampede import leases


class Stepping(FakeWorker):
    """Says in its heartbeats how many steps it has made; `moves` false: it stands still."""

    moves, n_steps = True, 0

    def send(self, kind, **fields):
        if kind == "HEARTBEAT":
            self.n_steps += self.moves
            fields = dict(fields, n_steps=self.n_steps, n_tokens=7 * self.n_steps)
        super().send(kind, **fields)


def make(lease_s=1.0, min_workers=1):
    return stampede.Trainer("tcp://127.0.0.1:0", lease_s=lease_s, min_workers=min_workers)


def state_of(trainer, uid):
    return {w["uid"]: w["state"] for w in trainer.workers()}.get(uid)


def test_who_makes_progress_keeps_its_samples():
    with make(1.5) as trainer, Stepping(trainer.url, hold=True) as slow, \
            FakeWorker(trainer.url, "w1", slots=1, hold=True):
        groups = trainer.generate(prompts(3), n=4)
        eventually(lambda: slow.count("TASK") == 3)
        time.sleep(6)  # four times the lease
        assert trainer.counters().get("deaths_by_stall", 0) == 0
        assert state_of(trainer, "w0") == "serving"
        slow.release()
        assert len(list(groups)) == 3 and trainer.counters().get("duplicate_samples", 0) == 0


class Held:
    """A worker, as leases see it."""

    n_held, busy_since, stalled, held = 0, 0.0, False, {}


def test_what_is_held_against_nobody(monkeypatch):
    """Time without samples, and time in which the trainer stood still itself."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=lambda: clock.now))
    table, worker = leases.Leases(10), Held()

    def is_expired(now, stall=0.0):
        clock.now = now
        return table.expired([worker], stall) == [worker]

    table.on_heartbeat(worker, {"n_steps": 5, "n_tokens": 9, "moved": None})
    assert not is_expired(1000)
    worker.n_held, worker.busy_since = 4, 1000.0  # its last step is long ago
    assert not is_expired(1009) and not is_expired(1012, stall=10) and is_expired(1021)
    table.on_result(worker, 0)
    assert not is_expired(1040, stall=15) and not is_expired(1045) and is_expired(1047)


def test_who_stands_still_loses_them_and_comes_back():
    with make() as trainer, Stepping(trainer.url, hold=True) as stuck:
        groups = trainer.generate(prompts(3), n=4)
        eventually(lambda: stuck.count("TASK") == 3)
        stuck.moves = False
        eventually(lambda: state_of(trainer, "w0") == "stalled")
        assert trainer.counters()["deaths_by_stall"] == 1
        assert trainer.counters().get("lost_sessions", 0) == 0
        n_tasks = stuck.count("TASK")
        with FakeWorker(trainer.url, "w1") as other:
            got = list(groups)
            assert len(got) == 3 and other.count("TASK") >= 3
            for g in got:
                for i in range(4):
                    assert g.tokens[i].tolist() == sample_tokens(g.seed, i).tolist()
                    assert g.provenance[i]["worker"] == "w1"
            assert stuck.count("TASK") == n_tasks  # it is given nothing
            # What it had comes late: acknowledged, and dropped.
            stuck.moves = True
            eventually(lambda: state_of(trainer, "w0") == "serving")
            stuck.release()
            eventually(lambda: trainer.counters().get("duplicate_samples", 0) == 12)
            eventually(lambda: not stuck.unacked)
            other.close()
            eventually(lambda: state_of(trainer, "w1") is None)
            assert len(list(trainer.generate(prompts(2), n=2))) == 2  # by the one that came back
            assert stuck.count("WELCOME") == 1 and trainer.counters()["lost_sessions"] == 1


def test_one_that_comes_late_is_the_first_to_come():
    """Nobody else was there: what the former holder says counts."""
    with make() as trainer, Stepping(trainer.url, hold=True) as stuck:
        groups = trainer.generate(prompts(2), n=3)
        eventually(lambda: stuck.count("TASK") == 2)
        stuck.moves = False
        eventually(lambda: state_of(trainer, "w0") == "stalled")
        stuck.release()
        assert len(list(groups)) == 2


@pytest.mark.parametrize("value", [0, -1, float("nan"), "3", None])
def test_leases_that_are_none(value):
    with pytest.raises(stampede.StampedeError, match="lease_s"):
        make(value)
