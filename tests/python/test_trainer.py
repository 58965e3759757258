"""Trainer against workers in Python: nothing lost, nothing twice, whatever they do."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from client import check_all, eventually, prompts, quick_loss, trainer
from fake_worker import FakeWorker
from safetensors.torch import load_file

import stampede
from stampede import wire
from stampede.types import group_seed


def test_generate(trainer):
    with FakeWorker(trainer.url):
        got = list(trainer.generate(prompts(5), n=4))
        check_all(got, 5, 4)
        g = got[0]
        assert g.prompt_ids.tolist() == [1, 2, 3 + g.index] and g.prompt_ids.dtype == np.int32
        assert g.lp_full[1].dtype == np.float32 and g.lp_full[1].tolist() == [0, -1, -2, -3]
        assert g.lp_behav[1].tolist() == [0, -2, -4, -6]
        assert g.version_spans[0] == [(0, 0)] and g.text[2] == "sample 2"
        assert g.rewards.tolist() == [0.5] * 4 and g.status == ["ok"] * 4
        assert g.terms[0] == [{"name": "math", "value": 0.5, "status": "ok"}]
        assert g.prompt_lp_full is None and g.routed_experts == [None] * 4
        # A second call goes on counting, so the same prompts draw anew.
        again = list(trainer.generate(prompts(5), n=4))
        check_all(again, 5, 4, first_serial=5)
        assert trainer.next_serial == 10


def test_what_a_task_says(trainer):
    with FakeWorker(trainer.url) as worker:
        sampling = stampede.Sampling(temperature=0.5, top_k=3, stop=["a", "b"], stop_ids=[7],
                                     logit_bias={5: -1.0}, max_new_tokens=9)
        chat = [{"role": "user", "content": "wie heißt du?"}]
        p = [stampede.Prompt(messages=chat, id="ü", meta={"a": [1]},
                             reward=[stampede.math(4), stampede.exact("x", weight=0.5)]),
             stampede.Prompt(prompt="hello", id=[1, "x"], n=1,
                             sampling=stampede.Sampling(seed=11),
                             reward={"terms": [stampede.regex_format("^a")], "clamp": [0, 1]})]
        got = {g.index: g for g in trainer.generate(
            p, n=2, sampling=sampling, seed=7, prompt_logprobs=True, routed_experts=True,
            deadline_s=1.5, on_update="restart")}
        tasks = {m["serial"]: m for m in worker.log if m.type == "TASK"}
    first, second = tasks[0], tasks[1]
    assert first["id"] == '"ü"' and first["seed"] == group_seed(7, '"ü"')
    assert (first["first"], first["n"], first["attempt"]) == (0, 2, 0)
    assert wire.column_text(first["messages"]) == '[{"role":"user","content":"wie heißt du?"}]'
    assert wire.unpack_texts(first["stop"], first["stop_offsets"]) == ["a", "b"]
    assert (first["temperature"], first["top_k"], first["max_new_tokens"]) == (0.5, 3, 9)
    assert first["bias_ids"].tolist() == [5] and first["bias_values"].tolist() == [-1]
    assert first["deadline_ms"] == 1500 and first["on_update"] == 1
    assert wire.column_text(first["reward"]) == (
        '[{"verifier":"math","gold":"4"},{"verifier":"exact","gold":"x","weight":0.5}]')
    assert wire.column_text(first["meta"]) == '{"a":[1]}'
    assert second["n"] == 1 and second["seed"] == group_seed(11, '[1,"x"]')
    assert wire.column_text(second["prompt"]) == "hello" and second["temperature"] == 1
    assert wire.column_text(second["reward"]).startswith('{"terms":[{"verifier":"regex_format"')
    assert got[0].id == "ü" and got[0].meta == {"a": [1]} and got[1].id == [1, "x"]
    assert np.isnan(got[0].prompt_lp_full[0]) and got[0].prompt_lp_full[1] == -1
    assert got[0].routed_experts[1].shape == (len(got[0].prompt_ids) + 4 - 1, 2, 2)


@pytest.mark.parametrize("bad", [
    lambda t: t.generate([stampede.Prompt(prompt="a", prompt_ids=[1])]),
    lambda t: t.generate([stampede.Prompt()]),
    lambda t: t.generate([stampede.Prompt(prompt_ids=[-1])]),
    lambda t: t.generate(prompts(1), n=0),
    lambda t: t.generate(prompts(1), seed=-1),
    lambda t: t.generate(prompts(1), on_update="stop"),
    lambda t: stampede.Sampling(top_p=0),
    lambda t: stampede.Sampling(temperature=-1),
], ids=range(8))
def test_bad_requests(trainer, bad):
    with pytest.raises(ValueError, match=r"expected|not a list"):
        bad(trainer)
    assert trainer.next_serial == 0


def test_duplicates_are_acknowledged_and_dropped(trainer):
    with FakeWorker(trainer.url, send_twice=True) as worker:
        check_all(list(trainer.generate(prompts(6), n=3)), 6, 3)
        eventually(lambda: trainer.counters().get("duplicate_samples") == 18)
        eventually(lambda: worker.count("ACK") == 36 and not worker.unacked)


def test_a_dead_workers_samples_go_to_another(trainer):
    with FakeWorker(trainer.url, uid="a", hold=True) as a:
        call = trainer.generate(prompts(6), n=2)
        eventually(lambda: a.count("TASK") == 6)
        a.do(lambda w: w._answer(*w._held.popleft()))  # one sample comes, the rest never does
        eventually(lambda: not a.unacked)  # what is not sent yet would die with it
        a.die()
        with FakeWorker(trainer.url, uid="b") as b:
            check_all(list(call), 6, 2)
            assert len(b.sent_results) == 11
            assert {attempt for _, _, attempt in b.sent_results} == {1}
        assert trainer.counters()["lost_sessions"] >= 1


def test_a_restarted_worker_replaces_the_old_one(trainer):
    with FakeWorker(trainer.url, uid="a", hold=True) as old:
        call = trainer.generate(prompts(4), n=2)
        eventually(lambda: old.count("TASK") == 4)
        old.die()
        with FakeWorker(trainer.url, uid="a") as new:
            check_all(list(call), 4, 2)
            assert len(new.sent_results) == 8
            assert [w["uid"] for w in trainer.workers()] == ["a"]


def test_late_results_of_a_lost_worker_count_once(trainer):
    """It stops talking for long enough to be given up, then goes on as if nothing had been."""
    with FakeWorker(trainer.url, uid="a", hold=True) as a:
        call = trainer.generate(prompts(3), n=2)
        eventually(lambda: a.count("TASK") == 3)
        with FakeWorker(trainer.url, uid="b"):
            trainer.wait_for_workers(2, 30)
            a.do(lambda w: time.sleep(1.6))
            check_all(list(call), 3, 2)
        a.release()
        eventually(lambda: any(m.type == "WELCOME" for m in a.log[1:]))
        check_all(list(trainer.generate(prompts(3), n=2)), 3, 2, first_serial=3)


def test_lost_messages_begin_a_new_session(trainer):
    with FakeWorker(trainer.url, hold=True) as worker:
        call = trainer.generate(prompts(2), n=2)
        eventually(lambda: worker.count("TASK") == 2)
        worker.do(lambda w: setattr(w, "seq", w.seq + 1))  # as if a connection had swallowed one
        eventually(lambda: worker.count("WELCOME") == 2)
        worker.release()
        check_all(list(call), 2, 2)


def test_results_are_resent_after_a_new_session(trainer):
    with FakeWorker(trainer.url) as worker:
        worker.do(lambda w: setattr(w, "_on_ack", lambda m: None))
        check_all(list(trainer.generate(prompts(2), n=2)), 2, 2)
        assert len(worker.unacked) == 4
        worker.do(lambda w: w.hello())
        eventually(lambda: trainer.counters().get("duplicate_samples") == 4)
        check_all(list(trainer.generate(prompts(2), n=2)), 2, 2, first_serial=2)


def test_preempted_samples_run_again_and_are_never_yielded(trainer):
    with FakeWorker(trainer.url, preempt=5) as worker:
        check_all(list(trainer.generate(prompts(4), n=3)), 4, 3)
        assert trainer.counters()["preempted_samples"] == 5
        assert sum(attempt == 1 for _, _, attempt in worker.sent_results) == 5


def test_a_draining_worker_gets_nothing_more(trainer):
    with FakeWorker(trainer.url, uid="a") as a:
        eventually(lambda: a.session)  # it has seen WELCOME: what it says now is heard
        a.do(lambda w: w.send("DRAIN", reason="SIGTERM"))
        eventually(lambda: [w["state"] for w in trainer.workers()] == ["draining"])
        call = trainer.generate(prompts(3), n=2)
        with FakeWorker(trainer.url, uid="b"):
            check_all(list(call), 3, 2)
        assert a.count("TASK") == 0


def test_credit_is_never_exceeded(trainer):
    with FakeWorker(trainer.url, slots=4, hold=True) as worker:
        call = trainer.generate(prompts(10), n=2)
        eventually(lambda: len(worker._held) == 4)
        time.sleep(0.2)
        assert len(worker._held) == 4
        worker.release()
        check_all(list(call), 10, 2)


def test_large_groups_are_split(trainer):
    with FakeWorker(trainer.url, uid="a") as a, FakeWorker(trainer.url, uid="b") as b:
        trainer.wait_for_workers(2, 30)
        check_all(list(trainer.generate(prompts(1), n=16)), 1, 16)
        assert a.count("TASK") == b.count("TASK") == 1
    with FakeWorker(trainer.url, uid="c", slots=3) as c:  # a group larger than a worker
        trainer.wait_for_workers(1, 30)
        check_all(list(trainer.generate(prompts(1), n=8)), 1, 8, first_serial=1)
        assert c.count("TASK") >= 3


def test_min_workers(trainer):
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=2) as both:
        with FakeWorker(both.url, uid="a") as a:
            call = both.generate(prompts(2), n=1)
            both.wait_for_workers(1, 30)
            time.sleep(0.1)
            assert a.count("TASK") == 0
            with FakeWorker(both.url, uid="b"):
                check_all(list(call), 2, 1)
    with pytest.raises(stampede.StampedeError, match="0.1 s"):
        trainer.wait_for_workers(1, 0.1)


def test_leaving_early_cancels_the_rest(trainer):
    with FakeWorker(trainer.url, hold=True, slots=4) as worker:
        call = trainer.generate(prompts(8), n=2)
        eventually(lambda: worker.count("TASK") == 2)
        del call
        eventually(lambda: worker.count("CANCEL") == 2)
        worker.release()
        check_all(list(trainer.generate(prompts(2), n=2)), 2, 2, first_serial=8)
        assert worker.count("TASK") == 4  # the other six groups never went out


def test_cancel_by_id(trainer):
    with FakeWorker(trainer.url, hold=True, slots=2) as worker:
        call = trainer.generate([stampede.Prompt(prompt_ids=[1], id=name) for name in "abc"], n=2)
        eventually(lambda: worker.count("TASK") == 1)
        trainer.cancel("a")  # with the worker
        trainer.cancel("c")  # not handed out yet
        worker.release()
        got = {g.id: g for g in call}
        assert got["a"].finish_reason == got["c"].finish_reason == ["cancelled"] * 2
        assert np.isnan(got["a"].rewards).all() and np.isnan(got["c"].rewards).all()
        assert len(got["a"].tokens[1]) == 4 and len(got["c"].tokens[1]) == 0
        assert got["b"].finish_reason == ["stop"] * 2


def test_errors_have_no_reward(trainer):
    with FakeWorker(trainer.url, hold=True) as worker:
        call = trainer.generate(prompts(1), n=1)
        eventually(lambda: worker.count("TASK") == 1)
        worker.do(lambda w: w._answer(*w._held.popleft()[:2], "error"))
        (group,) = call
        assert group.finish_reason == ["error"] and group.errors == ["broken"]
        assert np.isnan(group.rewards[0])


def test_an_old_epoch_is_refused(trainer):
    with stampede.Trainer("tcp://127.0.0.1:0", run="r", epoch=5) as t:
        with FakeWorker(t.url) as worker:
            check_all(list(t.generate(prompts(1), n=1)), 1, 1)
            worker.do(lambda w: setattr(w, "epoch", 4))
            worker.do(lambda w: w.send("RESULT", **w.result_fields(
                next(m for m in w.log if m.type == "TASK"), 0, "stop")))
            eventually(lambda: worker.count("REFUSE") >= 1)
            refusal = next(m for m in worker.log if m.type == "REFUSE")
            assert refusal["code"] == wire.REFUSALS["epoch"]
            eventually(lambda: worker.count("WELCOME") == 2)
            # And a worker that has seen a later epoch does not obey this trainer.
            worker.do(lambda w: (setattr(w, "epoch", 6), w.hello()))
            eventually(lambda: any(m.type == "REFUSE" and "epoch 6" in m["error"]
                                   for m in worker.log))
            assert t.workers() == []


def test_a_restarted_trainer_gets_the_same_samples():
    with stampede.Trainer("tcp://127.0.0.1:0", run="r", epoch=0) as first:
        url = first.url
        worker = FakeWorker(url)
        a = {g.index: g for g in first.generate(prompts(3), n=2, seed=9)}
    with stampede.Trainer(url, run="r", epoch=1) as second, worker:
        b = {g.index: g for g in second.generate(prompts(3), n=2, seed=9)}
        assert worker.epoch == 1
    for index in range(3):
        for i in range(2):
            np.testing.assert_array_equal(a[index].tokens[i], b[index].tokens[i])


def test_another_model_is_refused(trainer):
    with FakeWorker(trainer.url, uid="a"), contextlib.ExitStack() as stack:
        trainer.wait_for_workers(1, 30)
        other = stack.enter_context(FakeWorker(trainer.url, uid="b", fingerprint=2))
        eventually(lambda: other.count("REFUSE") >= 1)
        assert other.log[0]["code"] == wire.REFUSALS["model"]
        assert len(trainer.workers()) == 1


def test_bound_workers():
    with FakeWorker("tcp://127.0.0.1:*", uid="a", bind=True) as a:
        with FakeWorker("tcp://127.0.0.1:*", uid="b", bind=True) as b:
            with stampede.Trainer(connect=[a.url, b.url], min_workers=2) as trainer:
                check_all(list(trainer.generate(prompts(6), n=4)), 6, 4)
                trainer.push_weights({"model.w": torch.ones(300000)}, version=1)
                assert a.version == b.version == 1 and a.weights == b.weights
                assert a.sent_results and b.sent_results


def test_junk_on_the_socket(trainer):
    import zmq
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 1000)
    socket.connect(trainer.url)
    for i in range(200):
        socket.send_multipart([os.urandom(1 + i)] * (1 + i % 4))
    socket.send_multipart([b"\xdd\x07\xff\xff\xff"])
    with FakeWorker(trainer.url):
        check_all(list(trainer.generate(prompts(2), n=2)), 2, 2)
    eventually(lambda: sum(v for k, v in trainer.counters().items()
                           if k.startswith("malformed")) == 201)
    socket.close()
    context.term()


# --- weights ---


def state(value, dtype=torch.float32):
    return {"model.embed_tokens.weight": torch.full((8, 4), value, dtype=dtype),
            "lm_head.weight": torch.full((8, 4), value, dtype=dtype),
            "model.layers.1.feed_forward.experts.gate_up_proj":
                torch.arange(2 * 6 * 4, dtype=dtype).reshape(2, 6, 4) + value,
            "model.layers.1.feed_forward.experts.down_proj":
                torch.arange(2 * 4 * 3, dtype=dtype).reshape(2, 4, 3) + value,
            "model.layers.1.feed_forward.expert_bias": torch.full((2,), value)}


def as_bytes(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def test_push_weights(trainer):
    bias = "model.layers.1.feed_forward.expert_bias"
    with FakeWorker(trainer.url, uid="a", dtype="bf16", exceptions={bias: "f32"},
                    tied_head=True) as a, FakeWorker(trainer.url, uid="b") as b:
        trainer.wait_for_workers(2, 30)
        values = state(1.00390625)  # between two bf16 values: nearest even is 1.0
        trainer.push_weights(values, version=3)
        assert (a.version, b.version) == (3, 3)
        experts = "model.layers.1.feed_forward.experts"
        gate_up, down = values[f"{experts}.gate_up_proj"], values[f"{experts}.down_proj"]
        assert b.weights[f"{experts}.1.w1.weight"] == as_bytes(gate_up[1, :3])
        assert b.weights[f"{experts}.1.w3.weight"] == as_bytes(gate_up[1, 3:])
        assert b.weights[f"{experts}.0.w2.weight"] == as_bytes(down[0])
        assert b.weights[bias] == as_bytes(values[bias]) == a.weights[bias]
        assert "lm_head.weight" in b.weights and "lm_head.weight" not in a.weights
        assert a.weights["model.embed_tokens.weight"] == as_bytes(torch.ones(8, 4).bfloat16())
        assert {w["version"] for w in trainer.workers()} == {3}
        # What has not changed is not sent again.
        values[bias] = values[bias] + 1
        trainer.push_weights(values, version=4)
        begin = [m for m in b.log if m.type == "WEIGHTS_BEGIN"][-1]
        assert (begin["base"], begin["version"]) == (3, 4)
        assert begin["modes"].sum() == 1 and begin["total_bytes"] == 64
        group = next(trainer.generate(prompts(1), n=1))
        assert group.version_spans == [[(0, 4)]]
        with pytest.raises(ValueError, match="expected 5 or more"):
            trainer.push_weights(values, version=4)


def test_per_expert_names_and_large_tensors(trainer):
    with FakeWorker(trainer.url) as worker:
        name = "model.layers.0.feed_forward.experts.3.w1.weight"
        big = torch.randn(3, 400000)  # 4.8 MB: several chunks
        trainer.push_weights({name: big}, version=1)
        assert worker.weights == {name: as_bytes(big)}


def test_a_late_worker_gets_the_weights_before_any_task(trainer):
    with FakeWorker(trainer.url, uid="a") as a:
        values = state(2.0)
        trainer.push_weights(values, version=1)
        values["lm_head.weight"].zero_()  # the trainer goes on training in place
        part = {"model.embed_tokens.weight": torch.zeros(8, 4)}
        trainer.push_weights(part, version=2)  # a partial push
        a.do(lambda w: setattr(w, "hold", True))
        call = trainer.generate(prompts(12), n=4)
        with FakeWorker(trainer.url, uid="b") as b:
            eventually(lambda: b.count("TASK") > 0)
            kinds = [m.type for m in b.log if m.type != "HEARTBEAT"]
            assert kinds.index("WEIGHTS_COMMIT") < kinds.index("TASK")
            assert b.version == 2 and b.weights == a.weights and b.digest == a.digest
            assert b.weights["lm_head.weight"] == as_bytes(torch.full((8, 4), 2.0))
            a.do(lambda w: setattr(w, "hold", False))
            check_all(list(call), 12, 4)


def test_generation_goes_on_during_a_push(trainer):
    with FakeWorker(trainer.url) as worker:
        trainer.wait_for_workers(1, 30)
        worker.answers_weights = False
        push = threading.Thread(target=trainer.push_weights, args=(state(1.0), 1))
        push.start()
        eventually(lambda: worker.count("WEIGHTS_BEGIN") == 1)
        check_all(list(trainer.generate(prompts(4), n=2)), 4, 2)
        assert worker.version == 0 and push.is_alive()
        # A group that asks for the new version waits for it.
        call = trainer.generate(prompts(1), n=1, min_version=1)
        time.sleep(0.1)
        n_tasks = worker.count("TASK")
        worker.answers_weights = True
        (group,) = call
        assert group.version_spans == [[(0, 1)]] and worker.count("TASK") == n_tasks + 1
        push.join(30)
        assert not push.is_alive()


def test_a_refused_tensor_names_itself_and_the_old_version_serves(trainer):
    with FakeWorker(trainer.url, uid="a") as a, \
            FakeWorker(trainer.url, uid="b", fail_tensor="lm_head.weight") as b:
        trainer.wait_for_workers(2, 30)
        with pytest.raises(stampede.WeightUpdateError, match="lm_head.weight") as caught:
            trainer.push_weights(state(1.0), version=1)
        assert caught.value.tensor == "lm_head.weight" and caught.value.worker == "b"
        eventually(lambda: a.count("WEIGHTS_ABORT") == 1)
        assert (a.version, b.version) == (0, 0) and not a.weights
        check_all(list(trainer.generate(prompts(4), n=2)), 4, 2)
        b.fail_tensor = None
        trainer.push_weights(state(1.0), version=1)
        assert (a.version, b.version) == (1, 1)


def test_a_worker_that_cannot_apply_is_named_and_gets_no_tasks(trainer):
    with FakeWorker(trainer.url, uid="a") as a, FakeWorker(trainer.url, uid="b",
                                                           fail_commit=True) as b:
        trainer.wait_for_workers(2, 30)
        with pytest.raises(stampede.WeightUpdateError) as caught:
            trainer.push_weights(state(1.0), version=1)
        assert caught.value.worker == "b" and a.version == 1
        check_all(list(trainer.generate(prompts(6), n=4)), 6, 4)
        assert b.count("TASK") == 0


def test_a_worker_that_dies_in_a_push_does_not_stop_it(trainer):
    with FakeWorker(trainer.url, uid="a") as a, FakeWorker(trainer.url, uid="b") as b:
        trainer.wait_for_workers(2, 30)
        b.answers_weights = False
        push = threading.Thread(target=trainer.push_weights, args=(state(1.0), 1))
        push.start()
        eventually(lambda: b.count("WEIGHTS_BEGIN") == 1)
        b.die()
        push.join(30)
        assert not push.is_alive() and a.version == 1


def test_a_push_has_a_deadline(trainer):
    with FakeWorker(trainer.url, uid="slow") as worker:
        trainer.wait_for_workers(1, 30)
        worker.answers_weights = False
        with pytest.raises(stampede.WeightUpdateError, match="slow"):
            trainer.push_weights(state(1.0), version=1, timeout_s=0.5)
        check_all(list(trainer.generate(prompts(1), n=1)), 1, 1)


@pytest.mark.parametrize("tensor, name", [
    (torch.tensor([1.0, float("nan")]), "x"), (torch.tensor([1, 2]), "x"), ([1.0], "x"),
], ids=["nan", "int", "list"])
def test_weights_that_cannot_be_pushed(trainer, tensor, name):
    with FakeWorker(trainer.url):
        with pytest.raises(stampede.WeightUpdateError, match=name) as caught:
            trainer.push_weights({"x": tensor}, version=1)
        assert caught.value.tensor == name


def test_an_update_of_too_many_tensors(trainer):
    """Its announcement does not fit into a message: that is said, and nothing else suffers."""
    many = {f"{i:0500}": torch.ones(1) for i in range(35_000)}
    with FakeWorker(trainer.url) as worker:
        trainer.wait_for_workers(1, 30)
        with pytest.raises(stampede.WeightUpdateError, match="WEIGHTS_BEGIN.*16777216") as caught:
            trainer.push_weights(many, version=1)
        assert caught.value.worker == "w0"
        check_all(list(trainer.generate(prompts(2), n=2)), 2, 2)
        assert worker.count("REFUSE") == 0 and worker.count("WELCOME") == 1
        with stampede.Trainer("tcp://127.0.0.1:0") as other, FakeWorker(other.url) as w:
            other.push_weights(state(1.0), version=1)
            assert w.version == 1


# --- the rest of the package ---


@pytest.mark.parametrize("url, ok", [
    ("tcp://127.0.0.1:0", True), ("tcp://localhost:0", True), ("tcp://[::1]:0", True),
    ("ipc:///{tmp}/s", True), ("tcp://0.0.0.0:0", False), ("tcp://*:0", False),
    ("tcp://192.0.2.1:5555", False), ("tcp://example.org:5555", False), ("inproc://x", False),
    ("tcp://127.0.0.1", False), ("tcp://127.0.0.1:70000", False), ("ipc://", False),
])
def test_addresses(url, ok, tmp_path):
    url = url.replace("/{tmp}", str(tmp_path))
    if ok:
        with stampede.Trainer(url) as t, FakeWorker(t.url) if "::" not in url else t:
            t.wait_for_workers("::" not in url and 1 or 0, 5)
    else:
        with pytest.raises(stampede.AddressError, match="Address"):
            stampede.Trainer(url)


def test_a_closed_trainer_says_so(trainer):
    call = trainer.generate(prompts(1))
    trainer.close()
    with pytest.raises(stampede.ClosedError):
        next(call)
    with pytest.raises(stampede.ClosedError):
        trainer.workers()


def test_close_says_goodbye():
    with stampede.Trainer("tcp://127.0.0.1:0") as t, FakeWorker(t.url) as worker:
        t.wait_for_workers(1, 30)
        t.close(run_complete=True)
        eventually(lambda: worker.count("BYE") == 1)
        assert worker.log[-1]["code"] == wire.BYE_RUN_COMPLETE


def test_to_tensors(trainer):
    with FakeWorker(trainer.url):
        groups = sorted(trainer.generate(
            [stampede.Prompt(prompt_ids=[5, 6, 7]), stampede.Prompt(prompt_ids=[8])], n=2,
            routed_experts=True), key=lambda g: g.index)
    groups[1].rewards[1] = np.nan
    t = stampede.to_tensors(groups, pad_id=99)
    assert t["input_ids"].shape == (4, 7) and t["input_ids"].dtype == torch.int64
    assert t["input_ids"][0].tolist() == [5, 6, 7, *groups[0].tokens[0], 99]
    assert t["attention_mask"].sum(1).tolist() == [6, 7, 4, 5]
    assert t["completion_mask"][2].tolist() == [False, True, True, True, False, False, False]
    assert t["lp_full"][1].tolist() == [0, 0, 0, 0, -1, -2, -3]
    assert t["lp_behav"][2].tolist() == [0, 0, -2, -4, 0, 0, 0]
    assert t["versions"][2].tolist() == [-1, 0, 0, 0, -1, -1, -1]
    assert t["reward_mask"].tolist() == [True, True, True, False]
    assert t["group_index"].tolist() == [0, 0, 1, 1]
    assert t["routed_experts"].shape == (4, 7, 2, 2)
    assert (t["routed_experts"][2, 3:] == -1).all() and (t["routed_experts"][2, :3] >= 0).all()


def test_launch(tmp_path, monkeypatch):
    program = tmp_path / "stampede"
    program.write_text("#!/bin/sh\necho \"$@\"\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("STAMPEDE_BIN", str(program))
    out = tmp_path / "out"
    with out.open("w") as stdout, stampede.launch(
            "m", connect="tcp://127.0.0.1:1", threads=2, insecure=True, ignored=None,
            verifier={"x": "./x.py"}, max_rows=8, stdout=stdout) as worker:
        eventually(lambda: out.read_text().endswith("\n"))
        assert worker.poll() is None and worker.pid > 0
    assert worker.poll() == -15
    assert out.read_text() == ("serve --model m --connect tcp://127.0.0.1:1 --threads 2 "
                               "--insecure --verifier x=./x.py --max-rows 8\n")
    monkeypatch.setenv("STAMPEDE_BIN", str(tmp_path / "none"))
    with pytest.raises(stampede.LaunchError, match="STAMPEDE_BIN"):
        stampede.launch("m", connect="tcp://127.0.0.1:1")


def test_a_launched_worker_outlives_the_thread_that_asked_for_it(tmp_path, monkeypatch):
    program = tmp_path / "stampede"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("STAMPEDE_BIN", str(program))
    started = []
    thread = threading.Thread(
        target=lambda: started.append(stampede.launch("m", connect="tcp://127.0.0.1:1")))
    thread.start()
    thread.join()
    time.sleep(0.3)
    with started[0] as worker:
        assert worker.poll() is None


def test_a_launched_worker_dies_with_its_parent(tmp_path):
    program = tmp_path / "stampede"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    code = ("import stampede, time\n"
            "print(stampede.launch('m', connect='tcp://127.0.0.1:1').pid, flush=True)\n"
            "time.sleep(600)\n")
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                              env={**os.environ, "STAMPEDE_BIN": str(program)})
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()

    def gone():
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().split()[2] == "Z"
        except FileNotFoundError:
            return True

    eventually(gone)


def test_torch_is_not_imported_before_it_is_needed():
    code = "import stampede, sys; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_drafts_over_the_wire():
    """`draft` of a task is asked of the worker and changes no bit; what it guessed is told. Texts
    that came before an update are guessed from after it."""
    tiny = Path(__file__).resolve().parents[2] / "examples/tiny/checkpoint"
    state = load_file(tiny / "model.safetensors")
    asked = [stampede.Prompt(prompt="3 + 4", id="a"), stampede.Prompt(prompt="9 - 5", id="b")]
    with stampede.Trainer("tcp://127.0.0.1:0") as t:
        worker = stampede.launch(model=tiny, connect=t.url, draft=8, max_rows=2)

        def draw(draft):
            sampling = stampede.Sampling(max_new_tokens=40, ignore_eos=True, draft=draft)
            groups = sorted(t.generate(asked, n=2, sampling=sampling), key=lambda g: g.index)
            return [[x.tobytes() for x in (*g.tokens, *g.lp_full, *g.lp_behav)] for g in groups]

        def told(key):
            return t.workers()[0][key]

        first = draw("off")
        assert draw(None) == first
        eventually(lambda: told("tokens") == 320)
        assert 100 < told("accepted") <= told("guessed")
        t.push_weights(state, version=1)
        accepted = told("accepted")
        assert draw(3) == draw("auto") == first
        eventually(lambda: told("tokens") == 640)
        assert told("accepted") > accepted + 80
        worker.terminate()
        worker.wait()
