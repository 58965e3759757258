"""Groups that kill their workers: suspected, tried alone, quarantined; the others go on."""

import threading
import time

from client import check_all, eventually, prompts, quick_loss, trainer  # noqa: F401
from fake_worker import FakeWorker

import stampede


class Fragile(FakeWorker):
    """Dies, without a word, of a task of one of these groups."""

    def __init__(self, *args, poison=(), **more):
        self.poison = set(poison)
        super().__init__(*args, **more)

    def _on_task(self, m):
        super()._on_task(m)
        if m["serial"] in self.poison:
            self._stop.set()
            self.session = False  # nothing more is answered


class Pool:
    """n workers; one that dies is replaced, as a Job's pods are."""

    def __init__(self, n, make):
        self.workers, self.dead, self._make = [make(i) for i in range(n)], [], make
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _keep(self):
        made = len(self.workers)
        while not self._end.wait(0.02):
            for i, worker in enumerate(self.workers):
                if worker._stop.is_set() and not worker._thread.is_alive():
                    self.dead.append(worker)
                    self.workers[i] = self._make(made)
                    made += 1

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._end.set()
        self._thread.join()
        for worker in self.workers:
            worker.die()


def test_one_poison_among_many(trainer):
    def make(i):
        return Fragile(trainer.url, f"pod-{i}", slots=32, poison={17})

    with Pool(3, make) as pool:
        groups = list(trainer.generate(prompts(60), n=2))
        bad = [g for g in groups if g.serial == 17]
        check_all([g for g in groups if g.serial != 17] + [stand_in()], 60, 2)
        assert len(bad) == 1 and bad[0].finish_reason == ["error"] * 2
        assert len(pool.dead) == 3  # the third death is its last
        counters = trainer.counters()
        assert counters["quarantined_groups"] == 1
        deaths = bad[0].deaths
        assert len(deaths) == 3 and deaths[-1]["n_groups"] == 1
        assert {d["worker"] for d in deaths} == {w.uid for w in pool.dead}
        assert len({d["incarnation"] for d in deaths}) == 3
        assert all(d["samples"] == (0, 1) and d["why"] and d["build"] == "fake" for d in deaths)
        for death in deaths:
            assert death["worker"] in bad[0].errors[0] and "quarantined" in bad[0].errors[0]
        assert all(bad[0].rewards != bad[0].rewards)  # NaN: nobody's fault but ours
        # Those that were there at a death and are innocent say so too.
        assert any(g.deaths for g in groups if g is not bad[0])
        # The pool works on as before: no worker is kept for suspects.
        check_all(list(trainer.generate(prompts(30), n=2)), 30, 2, first_serial=60)
        assert not trainer._core.dispatcher._wards.workers and len(pool.dead) == 3


def stand_in():
    """A group as the fake workers would have answered it."""
    from fake_worker import sample_tokens
    from stampede.types import group_seed

    class Good:
        index, n, finish_reason = 17, 2, ["stop"] * 2
        tokens = [sample_tokens(group_seed(0, "17"), i) for i in range(2)]
    return Good


def test_a_pool_of_one(trainer):
    """Nothing is lost where the only worker dies each time."""
    def make(i):
        return Fragile(trainer.url, "only", slots=16, poison={3})

    with Pool(1, make) as pool:
        groups = list(trainer.generate(prompts(12), n=1))
        assert sorted(g.index for g in groups) == list(range(12))
        assert [g.serial for g in groups if g.finish_reason == ["error"]] == [3]
        assert len(pool.dead) == 3


def test_two_poisons_are_told_apart(trainer):
    def make(i):
        return Fragile(trainer.url, f"pod-{i}", slots=64, poison={5, 6})

    with Pool(2, make) as pool:
        groups = list(trainer.generate(prompts(40), n=1))
        assert sorted(g.serial for g in groups if g.finish_reason == ["error"]) == [5, 6]
        assert sum(g.finish_reason == ["stop"] for g in groups) == 38
        assert len(pool.dead) <= 6


def test_a_part_that_came_stays(trainer):
    """A group of which some samples had come keeps them."""
    class Late(Fragile):
        def _on_task(self, m):
            if m["serial"] == 0 and m["attempt"] == 0 and not self.sent_results:
                FakeWorker._on_task(self, m)
                self._answer_next()
                self._held.clear()
            self.session = False
            self._stop.set()

    with Pool(1, lambda i: Late(trainer.url, "x", slots=8)):
        group = next(trainer.generate(prompts(1), n=4))
        assert group.finish_reason.count("error") == 3 and group.finish_reason.count("stop") == 1
        assert len(group.deaths) == 3
        assert sum(bool(p) for p in group.provenance) == 1


def test_who_comes_back_had_not_died(trainer):
    """A worker that was stopped for a while raises no suspicion, nor do its groups have any."""
    with FakeWorker(trainer.url, "stopped", slots=8, hold=True) as worker:
        groups = trainer.generate(prompts(4), n=2)
        eventually(lambda: worker.count("TASK") == 4)
        worker.do(lambda _: time.sleep(1.7))
        eventually(lambda: trainer.counters().get("deaths_by_silence", 0) == 1)
        eventually(lambda: worker.count("WELCOME") == 2)
        assert trainer._loop.call(trainer._core.custody.suspicion.n_lost) == 0
        worker.release()
        groups = list(groups)
        check_all(groups, 4, 2)
        assert all(g.deaths == [] for g in groups)


def test_a_stall_of_the_trainer_is_no_silence_of_its_workers(trainer):
    """However long: what did not come meanwhile was not waited for."""
    with FakeWorker(trainer.url) as worker:
        trainer.wait_for_workers(1, 30)
        for i, stall_s in enumerate((0.9, 1.8, 2.6)):
            trainer._loop.call(lambda s=stall_s: time.sleep(s))
            check_all(list(trainer.generate(prompts(2), n=2)), 2, 2, first_serial=2 * i)
            assert worker.count("WELCOME") == 1, stall_s


def test_who_leaves_when_asked_is_not_to_blame(trainer):
    def leave(w):
        w.send("DRAIN")
        w.send("BYE", code=0, reason="drained")
        w.session = False

    with FakeWorker(trainer.url, "leaver", slots=8, hold=True) as worker:
        groups = trainer.generate(prompts(2), n=2)
        eventually(lambda: worker.count("TASK") == 2)
        worker.do(leave)
        with FakeWorker(trainer.url, "other", slots=8):
            groups = list(groups)
            check_all(groups, 2, 2)
            assert all(g.deaths == [] for g in groups)


def test_who_leaves_with_work_in_its_hands_may_have_lost_its_device(trainer):
    def leave(w):
        w.send("BYE", code=0, reason="the device failed")
        w.session = False

    with FakeWorker(trainer.url, "broken", slots=8, hold=True) as worker:
        groups = trainer.generate(prompts(1), n=2)
        eventually(lambda: worker.count("TASK") == 1)
        worker.do(leave)
        with FakeWorker(trainer.url, "other", slots=8):
            (group,) = list(groups)
            assert [d["worker"] for d in group.deaths] == ["broken"]
            assert "the device failed" in group.deaths[0]["why"]
            assert trainer.counters()["deaths_by_failure"] == 1


def test_provenance(trainer):
    with FakeWorker(trainer.url, "pod-9", slots=8, version=4, digest=0xABC, fingerprint=0x77):
        (group,) = list(trainer.generate(prompts(1), n=2, seed=5))
        for i, row in enumerate(group.provenance):
            assert row == {
                "worker": "pod-9", "incarnation": row["incarnation"], "build": "fake",
                "numerics": "python", "config": f"{0x77:016x}", "seed": group.seed, "attempt": 0,
                "digest": f"{0xABC:016x}", "version_spans": [(0, 4)]}
        from stampede.types import group_seed
        assert group.seed == group_seed(5, "0")
    import copy
    import pickle
    again = pickle.loads(pickle.dumps(group))
    assert again.provenance == group.provenance == copy.deepcopy(group).provenance


def test_a_version_that_is_not_served_yet_stands_in_nobodys_way(trainer):
    with FakeWorker(trainer.url, "w", slots=4):
        waiting = trainer.generate(prompts(3), n=2, min_version=7)
        check_all(list(trainer.generate(prompts(6), n=2)), 6, 2, first_serial=3)
        assert trainer._core.n_jobs == 3
        import torch
        trainer.push_weights({"model.embedding_norm.weight": torch.ones(4)}, version=7)
        check_all(list(waiting), 3, 2)
    assert isinstance(waiting, stampede.Generation)


def test_damaged_weights_are_no_groups_fault(trainer):
    """What came of them into unfinished groups is drawn anew by others; finished ones are named."""
    def leave(w):
        w.send("BYE", code=0, reason="its resident weights are damaged", suspect_ms=90000,
               tensor="lm_head.weight")
        w.session = False

    with FakeWorker(trainer.url, "torn", slots=4, version=3) as torn:
        first = list(trainer.generate(prompts(1), n=2))  # used before anybody knew
        torn.hold = True
        groups = trainer.generate(prompts(2), n=4)
        eventually(lambda: len(torn._held) == 4)  # in one task or two: its credit may come late
        torn.do(lambda w: [w._answer_next() for _ in range(3)])  # 3 samples of 4
        eventually(lambda: torn.count("ACK") == 2 + 3)
        torn.do(leave)
        eventually(lambda: not trainer.workers())
        with FakeWorker(trainer.url, "whole", slots=8, version=3):
            got = list(groups)
            check_all(got, 2, 4, first_serial=1)
            assert {p["worker"] for g in got for p in g.provenance} == {"whole"}
            assert all(g.deaths == [] for g in got)
        (damage,) = trainer.damaged_workers()
        assert (damage["worker"], damage["tensor"], damage["version"]) == (
            "torn", "lm_head.weight", 3)
        assert damage["incarnation"] == first[0].provenance[0]["incarnation"] == torn.incarnation
        assert abs(damage["at"] - damage["since"] - 90) < 1 and abs(damage["at"] - time.time()) < 60
        counters = trainer.counters()
        assert counters["damaged_workers"] == 1 and counters["suspect_samples"] == 3
        assert counters.get("deaths_by_failure", 0) == 0


def says_and_is_gone(trainer, monkeypatch, worker, say=lambda w: None):
    """What it says arrives between two looks of the trainer's thread, as does its connection's end;
    the next that the thread does is to send: it fails."""
    core, said = trainer._core, threading.Event()
    settle = core.settle

    def interrupted(*args):
        if not said.is_set():
            (session,) = [w for w in core.workers.values() if w.uid == worker.uid]
            worker.do(say)
            worker.die()
            time.sleep(0.3)  # until libzmq has read it all, and knows that the peer is gone
            core.send(session, "HEARTBEAT")
            said.set()
        settle(*args)

    monkeypatch.setattr(core, "settle", interrupted)
    assert said.wait(10)


def test_what_was_said_before_the_connection_ended_is_heard(trainer, monkeypatch):
    """What it says of its end: its groups are no suspects."""
    with FakeWorker(trainer.url, "torn", slots=4, version=3, hold=True) as torn:
        groups = trainer.generate(prompts(1), n=4)
        eventually(lambda: torn.count("TASK") == 1)
        says_and_is_gone(trainer, monkeypatch, torn, lambda w: w.send(
            "BYE", code=0, reason="its resident weights are damaged", suspect_ms=9, tensor="x"))
        eventually(lambda: not trainer.workers())
        assert [d["worker"] for d in trainer.damaged_workers()] == ["torn"]
    counters = trainer.counters()
    assert counters["damaged_workers"] == 1 and counters.get("deaths_by_connection", 0) == 0
    with FakeWorker(trainer.url, "whole", slots=4, version=3):
        (group,) = groups
        assert group.deaths == []


def test_a_last_result_before_the_connection_ended_counts(trainer, monkeypatch):
    with FakeWorker(trainer.url, "torn", slots=4, hold=True) as torn:
        groups = trainer.generate(prompts(1), n=4)
        eventually(lambda: torn.count("TASK") == 1)
        says_and_is_gone(trainer, monkeypatch, torn, lambda w: w._answer_next())
        eventually(lambda: not trainer.workers())
    with FakeWorker(trainer.url, "whole", slots=4):
        (group,) = groups
        assert sorted(p["worker"] for p in group.provenance) == ["torn", "whole", "whole", "whole"]


def test_who_died_without_a_word_is_gone_as_soon(trainer, monkeypatch):
    with FakeWorker(trainer.url, "torn", slots=4, hold=True) as torn:
        groups = trainer.generate(prompts(1), n=4)
        eventually(lambda: torn.count("TASK") == 1)
        start = time.monotonic()
        says_and_is_gone(trainer, monkeypatch, torn)
        eventually(lambda: not trainer.workers())
        assert time.monotonic() - start < 2  # not by silence: LOST_MS are 5 s
    assert trainer.counters()["deaths_by_connection"] == 1
    with FakeWorker(trainer.url, "whole", slots=4):
        (group,) = groups
        assert [(d["worker"], d["why"]) for d in group.deaths] == [
            ("torn", "the connection is gone")]


def test_a_retracted_sample_of_a_result_that_others_share(trainer):
    """Samples that another worker had drawn stay."""
    with FakeWorker(trainer.url, "torn", slots=2, hold=True) as torn:
        groups = trainer.generate(prompts(1), n=4)
        eventually(lambda: torn.count("TASK") == 1)
        with FakeWorker(trainer.url, "whole", slots=2, hold=True) as whole:
            eventually(lambda: whole.count("TASK") == 1)
            for worker in (torn, whole):
                worker.do(lambda w: w._answer_next())
            eventually(lambda: torn.count("ACK") == whole.count("ACK") == 1)
            torn.do(lambda w: w.send("BYE", code=0, suspect_ms=1, tensor="x"))
            eventually(lambda: trainer.counters().get("suspect_samples", 0) == 1)
            whole.release()
            (group,) = list(groups)
            assert {p["worker"] for p in group.provenance} == {"whole"}
            assert [p["attempt"] for p in group.provenance].count(0) == 2
