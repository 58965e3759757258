"""Leases end when a worker makes no progress, and never because a sample takes long."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from client import eventually, prompts
from fake_worker import FakeWorker, sample_tokens

import stampede
from stampede import custody, leases


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

    n_held, busy_since, stalled, tells_groups, held = 0, 0.0, False, False, {}


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


# --- leases of single groups ---

class Telling(Stepping):
    """Says too with which groups it goes on: all that it has but those that hang."""

    hanging = frozenset()

    def send(self, kind, **fields):
        if kind == "HEARTBEAT":
            serials = {h[0]["serial"] for h in self._held} - self.hanging
            fields = dict(fields, moved=np.array(sorted(serials), "<u8"))
        super().send(kind, **fields)


@pytest.fixture
def short_leases(monkeypatch):
    monkeypatch.setattr(leases, "_LEAST_S", 0.0)
    monkeypatch.setattr(custody, "_LOOK_S", 0.05)


def test_a_group_that_hangs_is_given_elsewhere_alone(short_leases):
    with make() as trainer, Telling(trainer.url, "w0", slots=64, hold=True) as stuck:
        groups = trainer.generate(prompts(6), n=4)
        eventually(lambda: stuck.count("TASK") == 6)
        with Telling(trainer.url, "w1") as other:
            stuck.hanging = frozenset({2})
            got = {g.serial: g for g in [next(groups)]}  # the one that others drew
            assert list(got) == [2] and other.count("TASK") == 1
            assert {p["worker"] for p in got[2].provenance} == {"w1"}
            for i in range(4):
                assert got[2].tokens[i].tolist() == sample_tokens(got[2].seed, i).tolist()
            assert [(d["worker"], d["n_groups"]) for d in got[2].deaths] == [("w0", 1)]
            assert "did not go on with the group for 1 s" in got[2].deaths[0]["why"]
            time.sleep(3)  # three times the lease: the others are its own
            assert state_of(trainer, "w0") == "serving" and other.count("TASK") == 1
            counters = trainer.counters()
            assert counters["deaths_by_standing_group"] == 1 and counters["lost_leases"] == 1
            assert counters.get("lost_sessions", 0) == counters.get("deaths_by_stall", 0) == 0
            stuck.release()  # it comes late
            assert sorted(g.serial for g in groups) == [0, 1, 3, 4, 5]
            eventually(lambda: trainer.counters().get("duplicate_samples", 0) == 4)
            assert trainer.counters().get("quarantined_groups", 0) == 0


def test_a_group_that_hangs_everywhere_ends(short_leases):
    with make() as trainer:
        pool = [Telling(trainer.url, f"w{i}", slots=64, hold=True) for i in range(4)]
        for worker in pool:
            worker.hanging = frozenset({0})
        eventually(lambda: len(trainer.workers()) == 4)
        (bad,) = list(trainer.generate(prompts(1), n=2))
        assert bad.finish_reason == ["error"] * 2 and trainer.counters()["quarantined_groups"] == 1
        assert len({d["worker"] for d in bad.deaths}) == 3  # never the same one again
        for worker in pool:
            worker.close()


def test_the_only_worker_is_given_it_again(short_leases):
    with make() as trainer, Telling(trainer.url, "w0", slots=64, hold=True) as only:
        groups = trainer.generate(prompts(2), n=2)
        eventually(lambda: only.count("TASK") == 2)
        only.hanging = frozenset({0})
        eventually(lambda: trainer.counters().get("deaths_by_standing_group", 0) == 1)
        only.hanging = frozenset()
        only.release()
        assert sorted(g.serial for g in groups) == [0, 1]


def test_who_never_tells_is_held_to_its_engine(short_leases):
    """An older worker: its groups are its own while it makes steps."""
    with make() as trainer, Stepping(trainer.url, "old", hold=True) as old:
        groups = trainer.generate(prompts(2), n=2)
        eventually(lambda: old.count("TASK") == 2)
        time.sleep(3)
        assert trainer.counters().get("lost_leases", 0) == 0
        old.release()
        assert len(list(groups)) == 2


def test_time_in_which_nobody_could_speak_counts_for_no_group(short_leases, monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=lambda: clock.now))
    table, worker = leases.Leases(10), Held()
    one, two = SimpleNamespace(moved_at=100.0), SimpleNamespace(moved_at=100.0)
    worker.held, worker.n_held = {1: one, 2: two}, 2

    def beat(now, n, moved):
        clock.now = now
        table.on_heartbeat(worker, {"n_steps": n, "n_tokens": n,
                                    "moved": None if moved is None else np.array(moved, "<u8")})
        return table.standing([worker])

    assert beat(105, 1, [1, 2]) == [] and beat(114, 2, [1]) == [] and beat(115, 3, None) == []
    assert beat(115.5, 4, [1]) == [(worker, two)]
    two.moved_at = 115.5
    clock.now = 200.0
    table.expired([worker], stall=80)  # we slept
    assert beat(200.5, 5, [1]) == []
    assert table.standing([worker]) == [] and beat(206, 6, [1]) == [(worker, two)]
    # An engine that stands still is another matter.
    clock.now = 500.0
    two.moved_at = 206.0
    assert table.standing([worker]) == []
