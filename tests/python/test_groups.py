"""Groups are made when they are looked at, and are what a slow reading of the RESULTs says."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from client import check_all, prompts, quick_loss, trainer
from fake_worker import FakeWorker
from test_wire import result_fields

import stampede
from stampede import jobs, wire

NAMES = ("tokens", "lp_full", "lp_behav", "version_spans", "text", "finish_reason", "status",
         "terms", "errors", "routed_experts")


class Box:
    def put(self, group):
        pass


def slow_group(n, messages):
    """What a group of these RESULTs has, sample by sample and field by field."""
    out = {name: [None] * n for name in NAMES}
    out["rewards"] = np.full(n, np.nan)
    done = set()
    for m in messages:
        for row, i in enumerate(m["sample"].tolist()):
            finish = wire.FINISH[m["finish"][row]]
            if i in done or i >= n or finish == "preempted":
                continue
            done.add(i)
            a, b = m["token_offsets"][row:row + 2]
            for name in ("tokens", "lp_full", "lp_behav"):
                out[name][i] = m[name][a:b].tolist()
            a, b = m["span_offsets"][row:row + 2]
            out["version_spans"][i] = list(zip(m["span_first"][a:b].tolist(),
                                               m["span_version"][a:b].tolist()))
            out["finish_reason"][i] = finish
            out["text"][i] = slow_text(m, "text", row)
            out["errors"][i] = slow_text(m, "error", row) or None
            out["status"][i] = "" if m["status"] is None else wire.STATUS[m["status"][row]]
            if m["value"] is not None and finish not in ("error", "cancelled"):
                out["rewards"][i] = m["value"][row]
            try:
                out["terms"][i] = json.loads(slow_text(m, "reward", row) or "{}")["terms"]
            except (ValueError, LookupError, TypeError):
                out["terms"][i] = []
            if m["routed"] is not None:
                a, b = m["routed_offsets"][row:row + 2]
                shape = (-1, m["moe_layers"], m["experts_per_token"])
                out["routed_experts"][i] = m["routed"].reshape(shape)[a:b].tolist()
    return out, done


def slow_text(m, name, row):
    if m[name] is None:
        return None
    a, b = m[f"{name}_offsets"][row:row + 2]
    return m[name][a:b].tobytes().decode("utf-8", "replace")


REWARDS = [b"", b"{}", b"[]", b"x", b'{"terms":[{"name":"a"}]}', b'{"terms":[{"name":"\xc3\xa4"}]}',
           b'{"value":1,"terms":[]}', b"1],[2", b'{"terms":1', b"null"]


def odd_messages(rng, n, k):
    """k RESULTs with any samples of a group of n, also twice, also of no such sample."""
    for _ in range(k):
        size = int(rng.integers(1, n + 2))
        fields = result_fields(size, rng)
        if rng.random() < 0.5:
            first = int(rng.integers(0, n))
            fields["sample"] = np.arange(first, first + size, dtype="<i4")
        else:
            fields["sample"] = rng.permutation(n + 3)[:size].astype("<i4")
        fields["reward"], fields["reward_offsets"] = wire.pack_texts(
            [REWARDS[i] for i in rng.integers(0, len(REWARDS), size)])
        for pair in (("text", "text_offsets"), ("error", "error_offsets"), ("value",), ("status",),
                     ("reward", "reward_offsets"), ("routed", "routed_offsets")):
            if rng.random() < 0.2:
                fields = {name: value for name, value in fields.items() if name not in pair}
        yield wire.decode(*wire.encode(wire.Message("RESULT", fields)))


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("seed", range(60))
def test_groups_against_a_slow_reading(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    request = jobs.Request(n, None, 0, None, "continue", False, False, None)
    job = request.job(stampede.Prompt(prompt_ids=[1]), 0, 0, Box())
    messages = list(odd_messages(rng, n, 6))
    counts = [job.commit(m) for m in messages]
    want, done = slow_group(n, messages)
    assert job.n_done == sum(counts) == len(done) and job.complete == (len(done) == n)
    job.end(bytes(int(i not in done) for i in range(n)), "cancelled")
    for name in NAMES:
        for i in set(range(n)) - done:
            want[name][i] = {"finish_reason": "cancelled", "status": "", "text": None,
                             "errors": None, "routed_experts": None}.get(name, [])
        got = getattr(job.group, name)
        assert isinstance(got, list) and plain(got) == plain(want[name]), name
    np.testing.assert_array_equal(job.group.rewards, want["rewards"])


def test_lists_are_lists(trainer):
    with FakeWorker(trainer.url, together=True):
        (g,) = trainer.generate(prompts(1), n=4)
    assert g.text == ["sample 0", "sample 1", "sample 2", "sample 3"] and len(g.text) == 4
    assert g.text[1:3] == ["sample 1", "sample 2"] and g.text[-1] == "sample 3"
    assert [len(t) for t in g.tokens] == [3, 4, 5, 6] and "sample 2" in g.text
    assert json.loads(json.dumps([g.text, g.terms, g.finish_reason, g.version_spans])) == [
        g.text, g.terms, ["stop"] * 4, [[[0, 0]]] * 4]
    assert g.tokens is g.tokens and g.tokens[0] is g.tokens[0]
    g.status[2] = "mine"
    g.tokens[1] = g.tokens[1][:2]
    g.rewards[0] = np.nan
    assert g.status[2] == "mine" and len(g.tokens[1]) == 2 and np.isnan(g.rewards[0])
    with pytest.raises(ValueError, match="read-only"):
        g.tokens[0][0] = 5
    g.advantage = 0.5  # an attribute of your own


@pytest.mark.parametrize("looked_at", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_groups_can_be_copied_and_sent(trainer, together, looked_at):
    with FakeWorker(trainer.url, together=together):
        (g,) = trainer.generate(prompts(1), n=4, prompt_logprobs=True, routed_experts=True)
    if looked_at:
        assert g.text and g.rewards.size and g.routed_experts
    for other in (pickle.loads(pickle.dumps(g)), copy.deepcopy(g), copy.copy(g)):
        for name in (*NAMES, "rewards", "prompt_ids"):
            assert plain(getattr(other, name)) == plain(getattr(g, name)), name
        np.testing.assert_array_equal(other.prompt_lp_full, g.prompt_lp_full)
        assert repr(other) == repr(g) and other.mean == 0.5


def test_one_result_a_task_and_one_a_sample_are_the_same(trainer):
    got = []
    for together in (False, True):
        with FakeWorker(trainer.url, uid=str(together), together=together) as worker:
            trainer.wait_for_workers(1, 5)
            groups = sorted(trainer.generate(
                [stampede.Prompt(prompt_ids=[1, 2], id=i) for i in range(5)], n=4,
                routed_experts=True), key=lambda g: g.index)
            assert len(worker.sent_results) == 20 and worker.n_results == (5 if together else 20)
            got.append([[plain(getattr(g, name)) for name in NAMES] for g in groups])
            tensors = stampede.to_tensors(groups)
            got[-1].append({name: t.tolist() for name, t in tensors.items()})
    assert got[0] == got[1]


def test_preempted_samples_of_a_result_with_others(trainer):
    with FakeWorker(trainer.url, preempt=5, together=True) as worker:
        check_all(list(trainer.generate(prompts(4), n=3)), 4, 3)
        assert trainer.counters()["preempted_samples"] == 5
        assert sum(attempt == 1 for _, _, attempt in worker.sent_results) == 5


def slow_tensors(groups, pad_id):
    """to_tensors, one sample after the other."""
    samples = [(g, i) for g in groups for i in range(g.n)]
    length = max((len(g.prompt_ids) + len(g.tokens[i]) for g, i in samples), default=0)
    shape = (len(samples), length)
    out = {"input_ids": np.full(shape, pad_id), "attention_mask": np.zeros(shape, int),
           "completion_mask": np.zeros(shape, bool), "lp_full": np.zeros(shape, np.float32),
           "lp_behav": np.zeros(shape, np.float32), "versions": np.full(shape, -1)}
    for row, (g, i) in enumerate(samples):
        begin, end = len(g.prompt_ids), len(g.prompt_ids) + len(g.tokens[i])
        out["input_ids"][row, :begin] = g.prompt_ids
        out["input_ids"][row, begin:end] = g.tokens[i]
        out["attention_mask"][row, :end] = 1
        out["completion_mask"][row, begin:end] = True
        out["lp_full"][row, begin:end] = g.lp_full[i]
        out["lp_behav"][row, begin:end] = g.lp_behav[i]
        for first, version in g.version_spans[i]:
            out["versions"][row, begin + first:end] = version
    return out


@pytest.mark.parametrize("seed", range(20))
def test_tensors_against_a_slow_reading(seed):
    rng = np.random.default_rng(seed)
    groups = []
    for index in range(int(rng.integers(1, 5))):
        g = stampede.Group(index, index, index, int(rng.integers(1, 5)))
        lengths = rng.integers(0, 6, g.n)
        g.prompt_ids = rng.integers(0, 9, rng.integers(0, 5)).astype("<i4")
        g.tokens = [rng.integers(0, 9, k).astype("<i4") for k in lengths]
        g.lp_full = [rng.random(k).astype("<f4") for k in lengths]
        g.lp_behav = [rng.random(k).astype("<f4") for k in lengths]
        g.version_spans = [[(0, 3)] if rng.random() < 0.5 else
                           [(int(f), int(f) + 4) for f in range(0, k, 2)] for k in lengths]
        g.rewards = np.where(rng.random(g.n) < 0.3, np.nan, 0.5)
        groups.append(g)
    got, want = stampede.to_tensors(groups, pad_id=7), slow_tensors(groups, 7)
    for name, array in want.items():
        np.testing.assert_array_equal(got[name].numpy(), array, err_msg=name)
    assert got["rewards"].dtype == torch.float32 and got["versions"].dtype == torch.int64
    assert got["group_index"].tolist() == [g.index for g in groups for _ in range(g.n)]
    assert got["reward_mask"].tolist() == [bool(r == r) for g in groups for r in g.rewards]


def group_of(rng, index):
    """A group as it comes: in one RESULT or in some, whole or mixed, with one span or more."""
    n = int(rng.integers(1, 7))
    request = jobs.Request(n, None, 0, None, "continue", False, False, None)
    job = request.job(stampede.Prompt(prompt_ids=[1]), index, index, Box())
    cuts = [0, n] if rng.random() < 0.4 else sorted({0, n, int(rng.integers(0, n + 1))})
    order = rng.permutation(n) if rng.random() < 0.3 else np.arange(n)
    parts = [order[a:b] for a, b in zip(cuts, cuts[1:])]
    if rng.random() < 0.2:
        parts.append(order[:1])  # comes twice
    for samples in [parts[i] for i in rng.permutation(len(parts))]:
        k = len(samples)
        fields = result_fields(k, rng)
        lengths = rng.integers(0, 5, k)
        ends = np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")
        several = rng.random() < 0.4
        spans = np.minimum(lengths, rng.integers(0, 3, k) if several else 1)
        fields.update(
            sample=samples.astype("<i4"), finish=rng.choice([1, 2, 3, 5], k).astype("<u1"),
            prompt_ids=np.arange(3, dtype="<i4"), prompt_lp_full=np.zeros(3, "<f4"),
            token_offsets=ends, tokens=rng.integers(0, 99, ends[-1]).astype("<i4"),
            lp_full=rng.random(ends[-1]).astype("<f4"), lp_behav=rng.random(ends[-1]).astype("<f4"),
            span_offsets=np.concatenate([[0], np.cumsum(spans)]).astype("<i8"),
            span_first=np.concatenate([np.arange(s) for s in spans] or [[]]).astype("<i4"),
            span_version=rng.integers(0, 9, spans.sum()).astype("<u8"))
        for name in ("routed", "routed_offsets"):
            del fields[name]
        job.commit(wire.decode(*wire.encode(wire.Message("RESULT", fields))))
    return job.group


@pytest.mark.parametrize("seed", range(60))
def test_tensors_of_what_nobody_has_looked_at(seed):
    rng = np.random.default_rng(seed)
    groups = [group_of(rng, index) for index in range(int(rng.integers(1, 6)))]
    if seed % 3 == 0:
        assert groups[0].tokens and groups[0].version_spans is not None
    got = stampede.to_tensors(groups, pad_id=7)
    for name, array in slow_tensors(groups, 7).items():
        np.testing.assert_array_equal(got[name].numpy(), array, err_msg=name)
    again = stampede.to_tensors(groups, pad_id=7)  # after slow_tensors has looked at all
    for name, tensor in got.items():
        np.testing.assert_array_equal(tensor.numpy(), again[name].numpy(), err_msg=name)


def test_tensors_of_nothing_and_of_what_does_not_fit():
    assert stampede.to_tensors([])["input_ids"].shape == (0, 0)
    g = stampede.Group(0, 0, 0, 2)
    assert stampede.to_tensors(iter([g]))["input_ids"].shape == (2, 0)
    g.tokens = [np.ones(2, "<i4")] * 2
    with pytest.raises(ValueError, match="lp_full"):
        stampede.to_tensors([g])
