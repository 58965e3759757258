"""All samples of a group come from weights of one version and digest, in every order of things."""

import contextlib
import threading
import time

import numpy as np
import pytest
import torch
from client import check_all, eventually, prompts, quick_loss, trainer
from fake_worker import FakeWorker

import stampede
from stampede import core, push, snapshot, updates, wire

X, Y = 0x1111, 0x2222


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr(updates, "_RECOMMIT_S", 0.3)


def answer_later(worker):
    """It applies what it is told to only after others had time to."""
    on_commit = worker._on_weights_commit
    worker._on_weights_commit = lambda m: (time.sleep(0.2), on_commit(m))


def as_bytes(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def state(value):
    return {"model.w": torch.full((4, 3), float(value))}


def part(value):
    return {"model.v": torch.full((2,), float(value))}


def refusal(worker):
    eventually(lambda: worker.count("REFUSE") >= 1)
    m = next(m for m in worker.log if m.type == "REFUSE")
    assert m["code"] == wire.REFUSALS["model"], m
    return m["error"]


def check_refused(worker, *words):
    error = refusal(worker)
    assert error.endswith(".") and all(word in error for word in words), error
    assert worker.count("TASK") == 0


def uids(trainer):
    return [w["uid"] for w in trainer.workers()]


# --- before any push ---


def test_other_weights_at_the_same_version_are_refused(trainer):
    with FakeWorker(trainer.url, uid="a", digest=X) as a:
        trainer.wait_for_workers(1, 30)
        with FakeWorker(trainer.url, uid="b", digest=Y) as b:
            check_refused(b, "worker b", "worker a", f"{X:016x}", f"{Y:016x}", "version 0")
            check_all(list(trainer.generate(prompts(6), n=4)), 6, 4)
            assert len(a.sent_results) == 24 and uids(trainer) == ["a"]


def test_the_same_worker_with_other_weights_is_refused(trainer):
    with FakeWorker(trainer.url, uid="a", digest=X, hold=True) as a:
        call = trainer.generate(prompts(4), n=2)
        eventually(lambda: a.count("TASK") == 4)
        a.do(lambda w: w._answer(*w._held.popleft()))
        a.die()
    with FakeWorker(trainer.url, uid="a", digest=Y) as other:
        check_refused(other, f"{X:016x}", f"{Y:016x}")
        with FakeWorker(trainer.url, uid="a", digest=X):  # as it was: it goes on
            check_all(list(call), 4, 2)


# Workers of another kind than one with X: other types, or other bits from the same weights, as of
# blocks that are made of a master.
OTHERS = pytest.mark.parametrize("other", [{"digest": Y, "dtype": "bf16"},
                                           {"digest": X, "numerics": "python weights=q4_0"}],
                                 ids=["types", "numerics"])


@OTHERS
def test_workers_of_other_kinds_share_no_group(trainer, other):
    with FakeWorker(trainer.url, uid="a", digest=X, slots=64) as a, \
            FakeWorker(trainer.url, uid="b", slots=64, **other) as b:
        trainer.wait_for_workers(2, 30)
        check_all(list(trainer.generate(prompts(12), n=16)), 12, 16)
        serials = [{serial for serial, _, _ in w.sent_results} for w in (a, b)]
        assert serials[0] and serials[1] and not serials[0] & serials[1]


def test_large_groups_are_split_among_workers_of_one_kind(trainer):
    with contextlib.ExitStack() as stack:
        kinds = [("f32", X), ("f32", X), ("bf16", Y), ("bf16", Y)]
        workers = [stack.enter_context(FakeWorker(trainer.url, uid=str(i), digest=d, dtype=t,
                                                  slots=64)) for i, (t, d) in enumerate(kinds)]
        trainer.wait_for_workers(4, 30)
        check_all(list(trainer.generate(prompts(1), n=32)), 1, 32)
        assert sorted(len(w.sent_results) for w in workers) == [0, 0, 16, 16]
        first, second = [w for w in workers if w.sent_results]
        assert first.dtype == second.dtype


@OTHERS
def test_a_group_begins_again_when_only_other_kinds_are_left(trainer, other):
    with FakeWorker(trainer.url, uid="a", digest=X, hold=True) as a:
        call = trainer.generate(prompts(1), n=6)
        eventually(lambda: len(a._held) == 6)
        a.do(lambda w: w._answer_next())
        a.do(lambda w: w._answer_next())
        eventually(lambda: not a.unacked)
        with FakeWorker(trainer.url, uid="b", **other) as b:
            trainer.wait_for_workers(2, 30)
            assert b.count("TASK") == 0
            a.die()
            check_all(list(call), 1, 6)
            assert sorted(sample for _, sample, _ in b.sent_results) == list(range(6))
            assert all(attempt > 0 for _, _, attempt in b.sent_results)
        assert trainer.counters()["dropped_samples"] == 2


@OTHERS
def test_results_that_come_late_do_not_mix_kinds(trainer, other):
    """a falls silent, its group begins again at b; then a is back with what it had made."""
    with FakeWorker(trainer.url, uid="a", digest=X, hold=True) as a, \
            FakeWorker(trainer.url, uid="b", hold=True, **other) as b:
        trainer.wait_for_workers(2, 30)
        call = trainer.generate(prompts(1), n=6)
        eventually(lambda: len(a._held) + len(b._held) == 6)
        one, two = (a, b) if a._held else (b, a)
        one.do(lambda w: (w._answer_next(), time.sleep(1.6)))  # said, and then silence
        eventually(lambda: len(two._held) == 6)
        eventually(lambda: one.count("WELCOME") == 2)  # it is back
        one.do(lambda w: None)
        two.release()
        check_all(list(call), 1, 6)
        assert len(two.sent_results) == 6


def test_another_version_waits_for_the_first_push(trainer):
    with FakeWorker(trainer.url, uid="a", version=7, digest=X) as a:
        trainer.wait_for_workers(1, 30)
        with FakeWorker(trainer.url, uid="b", version=0, digest=Y) as b:
            trainer.wait_for_workers(2, 30)  # ready for a push
            check_all(list(trainer.generate(prompts(4), n=4)), 4, 4)
            assert b.count("TASK") == 0
            assert {w["uid"]: w["state"] for w in trainer.workers()} == {
                "a": "serving", "b": "updating"}
            trainer.push_weights(state(1), version=8)
            assert (a.version, b.version) == (8, 8)
            check_all(list(trainer.generate(prompts(8), n=4)), 8, 4, first_serial=4)
            assert b.count("TASK") > 0


def test_when_the_version_that_counted_is_gone_another_one_counts(trainer, monkeypatch):
    monkeypatch.setattr(core, "_WARN_S", 0.5)
    with FakeWorker(trainer.url, uid="a", version=7, digest=X, hold=True) as a:
        trainer.wait_for_workers(1, 30)
        with FakeWorker(trainer.url, uid="b", version=0, digest=Y) as b:
            call = trainer.generate(prompts(1), n=4)
            eventually(lambda: len(a._held) == 4)
            a.do(lambda w: w._answer_next())
            eventually(lambda: not a.unacked)
            a.die()
            (group,) = call
            assert group.version_spans == [[(0, 0)]] * 4 and len(b.sent_results) == 4


# --- pushes ---


@pytest.mark.parametrize("digest, version", [(Y, 0), (X, 0), (Y, 1), (Y, 5)])
def test_who_joins_late_gets_the_trainers_weights(trainer, digest, version):
    """Also one that serves the same number with other weights, of an earlier epoch."""
    with FakeWorker(trainer.url, uid="a", digest=X) as a:
        trainer.push_weights(state(1), version=1)
        with FakeWorker(trainer.url, uid="b", digest=digest, version=version) as b:
            eventually(lambda: b.version == 1 and b.digest == a.digest)
            assert b.weights == a.weights
            check_all(list(trainer.generate(prompts(8), n=4)), 8, 4)
            kinds = [m.type for m in b.log]
            assert "TASK" not in kinds or kinds.index("WEIGHTS_COMMIT") < kinds.index("TASK")


def test_who_joins_with_the_trainers_weights_gets_only_what_changes(trainer):
    with FakeWorker(trainer.url, uid="a") as a:
        trainer.push_weights({**state(1), **part(1)}, version=1)
        with FakeWorker(trainer.url, uid="b", version=1, digest=a.digest) as b:
            b.weights = dict(a.weights)
            trainer.wait_for_workers(2, 30)
            assert b.count("WEIGHTS_BEGIN") == 0
            trainer.push_weights({**state(1), **part(2)}, version=2)
            begin = next(m for m in b.log if m.type == "WEIGHTS_BEGIN")
            assert begin["modes"].sum() == 1 and a.digest == b.digest


def test_a_late_worker_that_does_not_agree_gets_no_task(trainer):
    with FakeWorker(trainer.url, uid="a", digest=X) as a:
        trainer.push_weights(part(1), version=1)  # a part: what is beneath differs
        with FakeWorker(trainer.url, uid="b", digest=Y, salt=1) as b:
            eventually(lambda: b.version == 1)
            check_all(list(trainer.generate(prompts(8), n=4)), 8, 4)
            assert b.count("TASK") == 0 and len(a.sent_results) == 32
            b.do(lambda w: setattr(w, "salt", 0))
            trainer.push_weights(state(2), version=2)  # a new push is a new chance
            check_all(list(trainer.generate(prompts(8), n=4)), 8, 4, first_serial=8)
            assert b.count("TASK") > 0


@pytest.mark.parametrize("odd", [0, 1, 2])
def test_the_odd_one_is_named(trainer, odd):
    """Whoever of three is heard first."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(FakeWorker(trainer.url, uid=f"w{i}", salt=int(i == odd)))
                   for i in range(3)]
        trainer.wait_for_workers(3, 30)
        answer_later(workers[1])
        answer_later(workers[2])
        words = f"Worker w{odd}.*Digest.*worker w{odd}"
        with pytest.raises(stampede.WeightUpdateError, match=words) as caught:
            trainer.push_weights(state(1), version=1)
        assert caught.value.worker == f"w{odd}"
        check_all(list(trainer.generate(prompts(9), n=4)), 9, 4)
        assert workers[odd].count("TASK") == 0


def test_who_was_left_out_before_does_not_decide(trainer):
    """b serves other weights and is heard first; what counts is what a makes of the push."""
    with FakeWorker(trainer.url, uid="a", version=0, digest=X) as a:
        trainer.wait_for_workers(1, 30)
        with FakeWorker(trainer.url, uid="b", version=3, digest=Y, salt=1) as b:
            trainer.wait_for_workers(2, 30)
            answer_later(a)
            with pytest.raises(stampede.WeightUpdateError) as caught:
                trainer.push_weights(part(1), version=4)
            assert caught.value.worker == "b"
            check_all(list(trainer.generate(prompts(4), n=4)), 4, 4)
            assert b.count("TASK") == 0


def test_who_hangs_at_the_commit_holds_up_nobody(trainer, monkeypatch):
    monkeypatch.setattr(push, "_ALONE_S", 0.2)
    with FakeWorker(trainer.url, uid="a") as a, FakeWorker(trainer.url, uid="b") as b:
        trainer.wait_for_workers(2, 30)
        b._on_weights_commit = lambda m: None
        pushing = threading.Thread(target=trainer.push_weights, args=(state(1), 1))
        pushing.start()
        eventually(lambda: a.version == 1)
        (group,) = trainer.generate(prompts(1), n=4, min_version=1)
        assert group.version_spans == [[(0, 1)]] * 4 and pushing.is_alive()
        b.die()
        pushing.join(30)
        assert not pushing.is_alive()


def test_who_joins_while_a_push_fails_is_refused_after_it(trainer):
    with FakeWorker(trainer.url, uid="a", digest=X) as a:
        trainer.wait_for_workers(1, 30)
        a.answers_weights = False
        failed = []

        def push():
            try:
                trainer.push_weights(state(1), version=1, timeout_s=1.0)
            except stampede.WeightUpdateError as error:
                failed.append(error)

        thread = threading.Thread(target=push)
        thread.start()
        eventually(lambda: a.count("WEIGHTS_BEGIN") == 1)
        with FakeWorker(trainer.url, uid="b", digest=Y) as b:
            eventually(lambda: len(trainer.workers()) == 2)
            check_all(list(trainer.generate(prompts(4), n=4)), 4, 4)
            thread.join(30)
            assert failed and b.count("TASK") == 0
            check_refused(b, f"{X:016x}", f"{Y:016x}")
        assert uids(trainer) == ["a"]


def test_joining_while_a_push_succeeds(trainer):
    with FakeWorker(trainer.url, uid="a", digest=X) as a:
        trainer.wait_for_workers(1, 30)
        a.answers_weights = False
        thread = threading.Thread(target=trainer.push_weights, args=(state(1), 1))
        thread.start()
        eventually(lambda: a.count("WEIGHTS_BEGIN") == 1)
        with FakeWorker(trainer.url, uid="b", digest=Y) as b:
            eventually(lambda: b.count("WEIGHTS_BEGIN") == 1)
            a.answers_weights = True
            thread.join(30)
            assert not thread.is_alive() and a.digest == b.digest
            check_all(list(trainer.generate(prompts(8), n=4)), 8, 4)


# --- a trainer of a later epoch ---


def test_a_later_epoch_finds_workers_with_what_the_earlier_one_pushed():
    with stampede.Trainer("tcp://127.0.0.1:0", run="r", epoch=1) as t:
        with FakeWorker(t.url, uid="a", version=7, digest=X) as a:
            t.wait_for_workers(1, 30)
            with FakeWorker(t.url, uid="b", version=7, digest=Y) as b:
                check_refused(b, f"{X:016x}", f"{Y:016x}", "version 7")
            check_all(list(t.generate(prompts(2), n=2)), 2, 2)
            t.push_weights(state(1), version=7)  # its own 7: nothing is under way
            assert (a.version, a.count("WEIGHTS_COMMIT")) == (7, 1)
            assert t.workers()[0]["digest"] == f"{a.digest:016x}" != f"{X:016x}"
            check_all(list(t.generate(prompts(2), n=2)), 2, 2, first_serial=2)


def test_the_same_number_is_not_pushed_while_groups_are_under_way(trainer):
    with FakeWorker(trainer.url, uid="a", version=7, digest=X, hold=True) as a:
        call = trainer.generate(prompts(1), n=2)
        eventually(lambda: a.count("TASK") == 1)
        with pytest.raises(stampede.WeightUpdateError, match="version 7 of an earlier epoch"):
            trainer.push_weights(state(1), version=7)
        assert a.count("WEIGHTS_BEGIN") == 0
        a.release()
        check_all(list(call), 1, 2)
        trainer.push_weights(state(1), version=7)


def test_below_what_workers_serve(trainer):
    with FakeWorker(trainer.url, uid="a", version=7, digest=X) as a:
        trainer.push_weights(state(1), version=3)
        (group,) = trainer.generate(prompts(1), n=1)
        assert group.version_spans == [[(0, 3)]] and a.version == 3


# --- messages about weights that are lost ---


@pytest.mark.parametrize("recommit", [wire.PHASE_FAILED, wire.PHASE_APPLIED, None])
def test_the_answer_to_commit_is_lost(trainer, recommit):
    with FakeWorker(trainer.url, uid="a", lost=[wire.PHASE_APPLIED], recommit=recommit) as a, \
            FakeWorker(trainer.url, uid="b") as b:
        trainer.wait_for_workers(2, 30)
        start = time.monotonic()
        trainer.push_weights(state(1), version=1, timeout_s=60)
        assert time.monotonic() - start < 20 and a.digest == b.digest
        check_all(list(trainer.generate(prompts(8), n=4)), 8, 4)
        assert a.count("TASK") > 0


def test_the_only_answer_is_lost_and_a_result_says_the_digest(trainer):
    with FakeWorker(trainer.url, uid="a", lost=[wire.PHASE_APPLIED], recommit=None) as a:
        trainer.wait_for_workers(1, 30)
        trainer.push_weights(state(1), version=1, timeout_s=60)
        assert trainer.workers()[0]["digest"] == "unknown"
        check_all(list(trainer.generate(prompts(2), n=2)), 2, 2)
        assert trainer.workers()[0]["digest"] == f"{a.digest:016x}"
        with FakeWorker(trainer.url, uid="b", version=1, digest=Y) as b:  # it counts from now on
            eventually(lambda: b.digest == a.digest)


def test_the_session_is_lost_with_the_answer(trainer):
    """It says HELLO again with what it serves by now."""
    with FakeWorker(trainer.url, uid="a", lost=[wire.PHASE_APPLIED], recommit=None) as a:
        trainer.wait_for_workers(1, 30)
        on_commit = a._on_weights_commit
        a._on_weights_commit = lambda m: (on_commit(m), a.hello())
        trainer.push_weights(state(1), version=1, timeout_s=60)
        eventually(lambda: a.count("WELCOME") == 2)
        assert a.count("WEIGHTS_BEGIN") == 1
        assert trainer.workers()[0]["digest"] == f"{a.digest:016x}"
        check_all(list(trainer.generate(prompts(2), n=2)), 2, 2)


def test_commit_is_lost(trainer):
    with FakeWorker(trainer.url, uid="a") as a:
        trainer.wait_for_workers(1, 30)
        on_commit, lost = a._on_weights_commit, []
        a._on_weights_commit = lambda m: on_commit(m) if lost else lost.append(m)
        trainer.push_weights(state(1), version=1, timeout_s=60)
        assert a.version == 1 and a.count("WEIGHTS_COMMIT") == 2


def test_an_answer_that_comes_late_is_compared(trainer):
    """b counts as applied by its heartbeats; when its digest comes it is another."""
    with FakeWorker(trainer.url, uid="a") as a, FakeWorker(
            trainer.url, uid="b", lost=[wire.PHASE_APPLIED], recommit=None, salt=1) as b:
        trainer.wait_for_workers(2, 30)
        trainer.push_weights(state(1), version=1, timeout_s=60)
        begin = next(m for m in b.log if m.type == "WEIGHTS_BEGIN")
        b.do(lambda w: w._status(begin, wire.PHASE_APPLIED))
        eventually(lambda: {w["uid"]: w["state"] for w in trainer.workers()}["b"] == "updating")
        check_all(list(trainer.generate(prompts(8), n=4)), 8, 4)
        assert b.count("TASK") == 0 and len(a.sent_results) == 32


@contextlib.contextmanager
def late_to_answer(trainer, **more):
    """a, and b, which joined late: it has applied version 1 as COMMIT told it, and its answer is
    kept back. Gives both, and the call that lets the answer go."""
    late = []
    with FakeWorker(trainer.url, uid="a", **more) as a:
        trainer.wait_for_workers(1, 30)
        trainer.push_weights(part(1), version=1, timeout_s=60)
        with FakeWorker(trainer.url, uid="b", digest=Y, recommit=None) as b:
            say = b._status

            def keep_back(m, phase, *fields, **named):
                if phase == wire.PHASE_APPLIED and b.version == 1:
                    late.append((m, phase))
                else:
                    say(m, phase, *fields, **named)

            b._status = keep_back
            eventually(lambda: late)
            yield a, b, lambda: say(*late[0])


def draws(trainer, worker):
    check_all(list(trainer.generate(prompts(8), n=4)), 8, 4)
    return worker.count("TASK") > 0


@pytest.mark.parametrize("answer", ["while it is written", "when it is offered", "never",
                                    "never, but heartbeats"])
def test_a_push_begins_before_a_late_worker_has_answered(trainer, monkeypatch, answer):
    """The push of version 2 has withdrawn b's update when its answer comes: before b is offered
    version 2, or after it was, on the base that it served before; or it is lost, and b refuses the
    offer, or is heard to serve version 1 before there is one."""
    prepare, bases = snapshot.Snapshot.prepare, []
    with late_to_answer(trainer) as (a, b, let_go):
        on_begin = b._on_weights_begin

        def begin(m):
            bases.append(m["base"])
            if answer == "when it is offered" and m["base"] == 0:
                let_go()
            on_begin(m)

        def write(*arguments):
            if answer == "while it is written":
                b.do(lambda w: let_go())
            if answer in ("while it is written", "never, but heartbeats"):
                eventually(lambda: trainer.workers()[1]["version"] == 1)
            return prepare(*arguments)

        b._on_weights_begin = begin
        monkeypatch.setattr(snapshot.Snapshot, "prepare", write)
        trainer.push_weights(part(2), version=2, timeout_s=60)
        assert bases == ([0, 1] if answer in ("when it is offered", "never") else [1])
        assert (a.version, b.version) == (2, 2) and a.digest == b.digest and draws(trainer, b)


def test_a_push_fails_before_a_late_worker_has_answered(trainer):
    """b is offered version 1 again, on the base that it served before: it has it."""
    with late_to_answer(trainer, fail_tensor="model.w") as (_, b, _):
        with pytest.raises(stampede.WeightUpdateError, match="model.w"):
            trainer.push_weights({**part(1), **state(2)}, version=2, timeout_s=60)
        eventually(lambda: {w["uid"]: w["state"] for w in trainer.workers()}["b"] == "serving")
        assert draws(trainer, b) and b.version == 1


# --- digests of RESULTs ---


def test_samples_of_foreign_weights_are_not_taken(trainer):
    with FakeWorker(trainer.url, uid="a", digest=X, hold=True) as a, \
            FakeWorker(trainer.url, uid="b", digest=X, hold=True) as b:
        trainer.wait_for_workers(2, 30)
        call = trainer.generate(prompts(8), n=2)
        eventually(lambda: a._held and b._held)
        b.do(lambda w: setattr(w, "digest", Y))
        b.release()
        error = refusal(b)
        assert "worker b" in error and f"{X:016x}" in error and f"{Y:016x}" in error
        a.release()
        check_all(list(call), 8, 2)
        assert trainer.counters()["foreign_samples"] >= 1
        assert len(a.sent_results) == 16 and uids(trainer) == ["a"]


def test_samples_of_a_version_that_nobody_served_are_not_taken(trainer):
    with FakeWorker(trainer.url, uid="a", digest=X, hold=True) as a:
        call = trainer.generate(prompts(1), n=2)
        eventually(lambda: len(a._held) == 2)
        a.do(lambda w: setattr(w, "version", 5))
        a.release()
        assert "version 5" in refusal(a)
        with FakeWorker(trainer.url, uid="b", digest=X):
            check_all(list(call), 1, 2)


def test_a_result_may_be_quicker_than_the_status(trainer):
    with FakeWorker(trainer.url, uid="a", digest=X, hold=True) as a:
        call = trainer.generate(prompts(1), n=2)
        eventually(lambda: len(a._held) == 2)
        status = a._status

        def result_first(m, phase, *digest, **more):
            if phase == wire.PHASE_APPLIED:
                a._answer_next()
            status(m, phase, *digest, **more)

        a._status = result_first
        trainer.push_weights(state(1), version=1)
        a.release()
        (group,) = call
        assert group.version_spans == [[(0, 1)]] * 2


def test_a_digest_may_be_newer_than_the_sample(trainer):
    """A sample that was graded while an update was applied says the digest at its leaving."""
    with FakeWorker(trainer.url, uid="a", digest=X, hold=True) as a:
        call = trainer.generate(prompts(1), n=2)
        eventually(lambda: len(a._held) == 2)
        trainer.push_weights(state(1), version=1)
        fields = a.result_fields

        def of_before(task, samples, finishes):
            out = fields(task, samples, finishes)
            return {**out, "span_version": np.zeros_like(out["span_version"])}

        a.result_fields = of_before
        a.release()
        (group,) = call
        assert group.version_spans == [[(0, 0)]] * 2
        # But not older: an update that was applied has changed it.
        a.result_fields = lambda *arguments: {**fields(*arguments), "digest": X}
        call = trainer.generate(prompts(1), n=1)
        assert f"{X:016x}" in refusal(a)
        call.close()


# --- tied heads ---


def test_named_parameters_after_a_state_dict(trainer):
    embedding, head = "model.embed_tokens.weight", "lm_head.weight"
    with FakeWorker(trainer.url, uid="a", tied_head=True) as a, \
            FakeWorker(trainer.url, uid="b") as b:
        trainer.wait_for_workers(2, 30)
        one, two = torch.ones(4, 2), torch.full((4, 2), 2.0)
        trainer.push_weights({embedding: one, head: one}, version=1)
        trainer.push_weights(iter([(embedding, two)]), version=2)  # named_parameters()
        assert a.weights == {embedding: as_bytes(two)}
        assert b.weights == {embedding: as_bytes(two), head: as_bytes(one)}  # not tied: its own
        with FakeWorker(trainer.url, uid="c", tied_head=True) as c:
            eventually(lambda: c.version == 2)
            assert c.weights == a.weights
        trainer.push_weights({head: one}, version=3)
        assert a.weights == {embedding: as_bytes(one)}
        with pytest.raises(stampede.WeightUpdateError, match="tied") as caught:
            trainer.push_weights({embedding: one, head: two}, version=4)
        assert caught.value.tensor == head
        trainer.push_weights({embedding: two}, version=4)
        assert a.weights == {embedding: as_bytes(two)} and b.weights[head] == as_bytes(one)
