"""Pushes that let rows in flight end first, against Python workers: what the trainer says, and what
it makes of workers that end, fail, die or drain meanwhile."""

import pytest
from client import eventually, prompts, quick_loss, trainer  # noqa: F401
from fake_worker import FakeWorker
from test_deltas import changed_at, model

import stampede
from stampede import updates


def commits(worker):
    return [m["hold_ms"] for m in worker.log if m.type == "WEIGHTS_COMMIT"]


def in_hands(trainer, worker):
    """A call of which the worker keeps all samples back."""
    worker.hold = True
    n_tasks = worker.count("TASK")
    call = trainer.generate(prompts(1), n=2)
    eventually(lambda: worker.count("TASK") > n_tasks)
    return call


@pytest.mark.parametrize("atomic", [False, True])
def test_rows_end_first(trainer, monkeypatch, atomic):
    """COMMIT is said again with the same hold, a worker without rows does not wait, and the push
    ends when the last one serves the version."""
    monkeypatch.setattr(updates, "_RECOMMIT_S", 0.2)
    with FakeWorker(trainer.url, uid="a") as a:
        trainer.wait_for_workers(1, 30)
        call = in_hands(trainer, a)
        with FakeWorker(trainer.url, uid="b") as b:
            trainer.wait_for_workers(2, 30)
            push = trainer.push_weights(model(), version=1, hold=60.5, atomic=atomic, wait=False)
            eventually(lambda: b.version == 1 and len(commits(a)) > 2)
            assert a.version == 0 and not push.done()
            assert {w["uid"]: w["version"] for w in trainer.workers()} == {"a": 0, "b": 1}
            a.release()
            assert push.result(30).version == 1 and a.version == 1
            assert set(commits(a)) == set(commits(b)) == {60500}
    (group,) = call
    assert group.version_spans == [[(0, 0)]] * 2


def test_without_a_hold_nothing_waits(trainer):
    with FakeWorker(trainer.url) as worker:
        trainer.wait_for_workers(1, 30)
        call = in_hands(trainer, worker)
        trainer.push_weights(model(), version=1)
        trainer.push_weights(changed_at(model(), 0.1, 1), version=2, hold=0.0004)
        worker.release()
        (group,) = call
        assert group.version_spans == [[(0, 2)]] * 2 and commits(worker) == [0, 1]


def test_the_time_is_over(trainer):
    with FakeWorker(trainer.url) as worker:
        trainer.wait_for_workers(1, 30)
        call = in_hands(trainer, worker)
        # The push's own time begins behind the hold's.
        trainer.push_weights(model(), version=1, hold=1.5, timeout_s=1)
        worker.release()
        (group,) = call
        assert group.version_spans == [[(0, 1)]] * 2 and commits(worker) == [1500]


def test_all_or_none_while_one_holds(trainer):
    """A worker fails while another one holds: that one has nothing to take back, its rows go on."""
    with FakeWorker(trainer.url, uid="a") as a:
        trainer.wait_for_workers(1, 30)
        trainer.push_weights(model(), version=1)
        call = in_hands(trainer, a)
        with FakeWorker(trainer.url, uid="b", version=0) as b:
            eventually(lambda: b.version == 1)
            b.fail_commit = True
            second = changed_at(model(), 0.05, 1)
            with pytest.raises(stampede.WeightUpdateError) as caught:
                trainer.push_weights(second, version=2, hold=60, atomic=True)
            assert caught.value.worker == "b" and (a.version, b.version) == (1, 1)
            assert a.count("WEIGHTS_ABORT") == 1
            a.release()
            (group,) = call
            assert group.version_spans == [[(0, 1)]] * 2
            b.fail_commit = False
            trainer.push_weights(second, version=2, hold=60, atomic=True)
            assert (a.version, b.version) == (2, 2)


@pytest.mark.parametrize("atomic", [False, True])
def test_a_worker_dies_in_a_hold(trainer, atomic):
    with FakeWorker(trainer.url, uid="a") as a:
        trainer.wait_for_workers(1, 30)
        call = in_hands(trainer, a)
        with FakeWorker(trainer.url, uid="b") as b:
            trainer.wait_for_workers(2, 30)
            push = trainer.push_weights(model(), version=1, hold=60, atomic=atomic, wait=False)
            eventually(lambda: commits(a))
            a.die()
            assert push.result(30).version == 1 and b.version == 1
            (group,) = call
            assert group.version_spans == [[(0, 1)]] * 2


def test_a_worker_drains_in_a_hold(trainer):
    """It is asked for nothing any more, and what it has begun counts."""
    with FakeWorker(trainer.url, uid="a") as a:
        trainer.wait_for_workers(1, 30)
        call = in_hands(trainer, a)
        with FakeWorker(trainer.url, uid="b") as b:
            trainer.wait_for_workers(2, 30)
            push = trainer.push_weights(model(), version=1, hold=60, wait=False)
            eventually(lambda: commits(a))
            a.do(lambda worker: worker.send("DRAIN"))
            assert push.result(30).version == 1 and b.version == 1
            a.release()
            (group,) = call
            assert group.version_spans == [[(0, 0)]] * 2


@pytest.mark.parametrize("hold", [-1, float("nan"), float("inf"), "1", True, None, 2147484])
def test_a_hold_that_is_none(trainer, hold):
    with pytest.raises(stampede.ArgumentError, match="push_weights: hold is .*seconds from 0 to"):
        trainer.push_weights(model(), version=1, hold=hold)
