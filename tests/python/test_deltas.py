"""Weight updates as deltas: what is sent, what workers hold afterwards, and what is taken back."""

import contextlib
import time

import numpy as np
import pytest
import slow_delta
import torch
from client import arithmetic, check_all, eventually, prompts, trainer
from fake_worker import FakeWorker

import stampede
from stampede import deltas, digest, push, snapshot, wire
from stampede.weights import DtypePlan

BF16 = DtypePlan("bf16", (), False)


def as_bytes(tensor, dtype=None):
    value = tensor if dtype is None else tensor.to(dtype)
    return value.contiguous().view(torch.uint8).numpy().tobytes()


def model(seed=0):
    torch.manual_seed(seed)
    return {"model.embed_tokens.weight": torch.randn(300, 70),
            "model.layers.0.feed_forward.experts.gate_up_proj": torch.randn(3, 20, 16),
            "model.layers.0.conv.conv.weight": torch.randn(16, 1, 3),
            "model.embedding_norm.weight": torch.randn(16)}


def changed_at(state, share, seed):
    """Other values at some share of the positions, at least one in each tensor."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name, value in state.items():
        where = torch.rand(value.shape, generator=generator) < share
        where.view(-1)[seed % value.numel()] = True
        out[name] = torch.where(where, value + 1, value)
    return out


def last_begin(worker):
    return [m for m in list(worker.log) if m.type == "WEIGHTS_BEGIN"][-1]


def held(worker, state, dtype):
    """Whether the worker holds these values, hub name by hub name."""
    from stampede.weights import hub_tensors
    return worker.weights == {n: as_bytes(t, dtype) for n, t in hub_tensors(state).items()}


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.3, 0.9, 1.0])
def test_a_delta_makes_the_weights(arithmetic, trainer, share):
    with FakeWorker(trainer.url, uid="a", dtype="bf16") as a, \
            FakeWorker(trainer.url, uid="b") as b:
        trainer.wait_for_workers(2, 30)
        state = model()
        first = trainer.push_weights(state, version=1)
        assert first.share == 1.0 and first.version == 1
        for version in range(2, 5):
            state = changed_at(state, share, version)
            report = trainer.push_weights(state, version=version)
            assert held(a, state, torch.bfloat16) and held(b, state, torch.float32)
            assert report.payload_bytes <= first.payload_bytes
            if share < 0.1:
                assert set(last_begin(a)["modes"].tolist()) == {wire.TENSOR_SPARSE}
                assert 0 < report.n_changed <= report.n_values
            if share == 1.0:
                assert set(last_begin(a)["modes"].tolist()) == {wire.TENSOR_DENSE}
        checks = {c: w for c, w in zip(last_begin(b)["checks"].tolist(), range(9))}
        assert len(checks) == len(last_begin(b)["checks"])


def test_an_update_of_which_nothing_changed_costs_a_message(trainer):
    with FakeWorker(trainer.url) as worker:
        trainer.push_weights(model(), version=1)
        before = dict(worker.weights)
        report = trainer.push_weights(model(), version=2)
        begin = last_begin(worker)
        assert (begin["total_bytes"], len(begin["dtypes"])) == (0, 0)
        assert (report.n_changed, report.payload_bytes, report.share) == (0, 0, 0.0)
        assert worker.version == 2 and worker.weights == before


def test_a_zero_that_changes_its_sign_is_sent(trainer):
    """Bits are compared, not values."""
    with FakeWorker(trainer.url) as worker:
        trainer.push_weights({"x": torch.zeros(100)}, version=1)
        values = torch.zeros(100)
        values[7] = -0.0
        assert trainer.push_weights({"x": values}, version=2).n_changed == 1
        assert worker.weights == {"x": as_bytes(values)}


def test_what_rounds_to_the_same_is_not_sent(trainer):
    with FakeWorker(trainer.url, dtype="bf16") as worker:
        trainer.push_weights({"x": torch.ones(1000)}, version=1)
        report = trainer.push_weights({"x": torch.ones(1000) + 1e-4}, version=2)
        assert report.n_changed == 0
        # But it is remembered: the next push is compared with what was pushed, not with what it
        # rounded to, and a worker in float32 gets all of it.
        with FakeWorker(trainer.url, uid="late") as late:
            eventually(lambda: late.version == 2)
            assert late.weights == {"x": as_bytes(torch.ones(1000) + 1e-4)}
        trainer.push_weights({"x": torch.ones(1000)}, version=3)
        assert last_begin(worker)["total_bytes"] == 0
        assert worker.weights == {"x": as_bytes(torch.ones(1000), torch.bfloat16)}


def test_a_failed_push_leaves_the_snapshot_as_it_was(arithmetic, trainer):
    with FakeWorker(trainer.url, uid="a") as a, FakeWorker(trainer.url, uid="b") as b:
        trainer.wait_for_workers(2, 30)
        first, second, third = model(), changed_at(model(), 0.01, 1), changed_at(model(), 0.9, 2)
        third["new.weight"] = torch.ones(5)
        trainer.push_weights(first, version=1)
        for wrong in (second, third):
            b.fail_tensor = "model.embedding_norm.weight"
            with pytest.raises(stampede.WeightUpdateError):
                trainer.push_weights(wrong, version=2)
            b.fail_tensor = None
            assert held(a, first, torch.float32) and a.version == 1
            with FakeWorker(trainer.url, uid="late") as late:  # gets the version that counts
                eventually(lambda: late.version == 1)
                assert held(late, first, torch.float32)
        last = changed_at(first, 0.02, 5)
        trainer.push_weights(last, version=2)
        assert set(last_begin(a)["modes"].tolist()) == {wire.TENSOR_SPARSE}
        assert held(a, last, torch.float32) and held(b, last, torch.float32)


def test_training_in_place_does_not_reach_what_was_pushed(trainer):
    with FakeWorker(trainer.url) as worker:
        state = model()
        kept = {name: value.clone() for name, value in state.items()}
        trainer.push_weights(state, version=1)
        for value in state.values():
            value.zero_()
        with FakeWorker(trainer.url, uid="late") as late:
            eventually(lambda: late.version == 1)
            assert late.weights == worker.weights and held(late, kept, torch.float32)


def test_nothing_is_read_of_a_snapshot_that_is_written(trainer, monkeypatch):
    """A late worker has been offered all of version 1 when version 2 is written into the copy."""
    first, second = model(1), model(2)
    with FakeWorker(trainer.url, uid="a") as a:
        trainer.push_weights(first, version=1)
        with FakeWorker(trainer.url, uid="late", answers_weights=False) as late:
            eventually(lambda: late.count("WEIGHTS_BEGIN") == 1)
            prepare, came = snapshot.Snapshot.prepare, []

            def write(*arguments):
                out = prepare(*arguments)
                late.answers_weights = True  # it pulls what it was offered
                time.sleep(1.5)
                came.append(late.count("WEIGHTS_CHUNK"))
                return out

            monkeypatch.setattr(snapshot.Snapshot, "prepare", write)
            trainer.push_weights(second, version=2)
            assert came == [0] and held(late, second, torch.float32)
            assert held(a, second, torch.float32)


def test_a_push_that_is_not_waited_for(trainer):
    with FakeWorker(trainer.url) as worker:
        trainer.wait_for_workers(1, 30)
        worker.answers_weights = False
        state = model()
        handle = trainer.push_weights(state, version=1, wait=False)
        kept = {name: value.clone() for name, value in state.items()}
        for value in state.values():
            value.zero_()  # the next training step
        assert not handle.done() and worker.version == 0
        check_all(list(trainer.generate(prompts(2), n=2)), 2, 2)
        worker.answers_weights = True
        assert handle.result(30).version == 1 and handle.done()
        assert held(worker, kept, torch.float32)
        worker.fail_tensor = "model.embedding_norm.weight"
        with pytest.raises(stampede.WeightUpdateError, match="embedding_norm"):
            trainer.push_weights(changed_at(kept, 0.1, 1), version=2, wait=False).result(30)


def test_all_or_none(trainer):
    """A worker cannot apply what others have applied: they take it back, and nobody ever drew from
    it for a group that counts."""
    with FakeWorker(trainer.url, uid="a") as a, FakeWorker(trainer.url, uid="b") as b, \
            FakeWorker(trainer.url, uid="c") as c:
        trainer.wait_for_workers(3, 30)
        first, second = model(), changed_at(model(), 0.05, 1)
        trainer.push_weights(first, version=1, atomic=True)
        digests = {w["digest"] for w in trainer.workers()}
        b.fail_commit = True
        with pytest.raises(stampede.WeightUpdateError) as caught:
            trainer.push_weights(second, version=2, atomic=True)
        assert caught.value.worker == "b"
        assert [w.version for w in (a, b, c)] == [1, 1, 1]
        assert all(held(w, first, torch.float32) for w in (a, b, c))
        assert {w["digest"] for w in trainer.workers()} == digests
        groups = list(trainer.generate(prompts(6), n=2))
        assert all(g.version_spans == [[(0, 1)]] * 2 for g in groups)
        b.fail_commit = False
        trainer.push_weights(second, version=2, atomic=True)
        assert all(held(w, second, torch.float32) for w in (a, b, c))


def test_each_of_many_workers_is_sent_each_byte_once(trainer):
    """64 of them, of two types, by the socket."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(FakeWorker(
            trainer.url, uid=f"w{i}", dtype=("f32", "bf16")[i % 2], slots=1)) for i in range(64)]
        trainer.wait_for_workers(64, 60)
        state = model()
        for version, share in ((1, 1.0), (2, 0.02)):
            state = changed_at(state, share, version)
            trainer.push_weights(state, version=version)
            for i, worker in enumerate(workers):
                begin = last_begin(worker)
                chunks = [m for m in list(worker.log)
                          if m.type == "WEIGHTS_CHUNK" and m["update"] == begin["update"]]
                ends = sorted((m["offset"], m["offset"] + len(m["data"])) for m in chunks)
                assert [a for a, _ in ends] == [0, *(b for _, b in ends[:-1])]
                assert ends[-1][1] == begin["total_bytes"] > 0
                assert held(worker, state, (torch.float32, torch.bfloat16)[i % 2])


def test_who_would_serve_something_else_stops_all_or_none_before_the_commit(trainer):
    with FakeWorker(trainer.url, uid="a") as a, FakeWorker(trainer.url, uid="b") as b, \
            FakeWorker(trainer.url, uid="c") as c:
        trainer.wait_for_workers(3, 30)
        trainer.push_weights(model(), version=1)
        b.staged_digest = 7
        with pytest.raises(stampede.WeightUpdateError, match="digest 0000000000000007") as caught:
            trainer.push_weights(changed_at(model(), 0.05, 1), version=2, atomic=True)
        assert caught.value.worker == "b"
        assert [w.count("WEIGHTS_COMMIT") for w in (a, b, c)] == [1, 1, 1]  # of the first push


def test_nobody_draws_before_all_have_it(trainer, monkeypatch):
    """While all or none is not decided, a worker that has applied the update gets no task."""
    monkeypatch.setattr(push, "_ALONE_S", 0.1)
    with FakeWorker(trainer.url, uid="a") as a, FakeWorker(trainer.url, uid="b") as b:
        trainer.wait_for_workers(2, 30)
        trainer.push_weights(model(), version=1)
        commit, b._on_weights_commit = b._on_weights_commit, lambda m: held_back.append(m)
        held_back = []
        handle = trainer.push_weights(changed_at(model(), 0.05, 1), version=2, wait=False,
                                      atomic=True)
        eventually(lambda: a.version == 2 and held_back)
        before = a.count("TASK") + b.count("TASK")
        call = trainer.generate(prompts(3), n=2, min_version=2)
        time.sleep(0.5)
        assert a.count("TASK") + b.count("TASK") == before and not handle.done()
        b.do(lambda worker: commit(held_back[0]))
        assert handle.result(30).version == 2
        assert all(g.version_spans == [[(0, 2)]] * 2 for g in call)


def test_a_worker_dies_in_the_commit_of_all_or_none(trainer):
    with FakeWorker(trainer.url, uid="a") as a, FakeWorker(trainer.url, uid="b") as b:
        trainer.wait_for_workers(2, 30)
        trainer.push_weights(model(), version=1)
        b._on_weights_commit = lambda m: b._stop.set()
        second = changed_at(model(), 0.05, 1)
        # It is gone, and all that are left have the update.
        trainer.push_weights(second, version=2, atomic=True)
        assert a.version == 2
        with FakeWorker(trainer.url, uid="b", version=1) as again:
            eventually(lambda: again.version == 2)
            assert held(again, second, torch.float32)


def wrapped(state):
    """The names that PEFT gives a model's tensors: those of one layer stand in an adapter."""
    return {"base_model.model." + name.replace("conv.conv.", "conv.conv.base_layer."): value
            for name, value in state.items()}


def test_a_model_whose_adapters_are_merged(trainer):
    with FakeWorker(trainer.url) as worker:
        state = model()
        trainer.push_weights(state, version=1)
        merged = {**state, "model.layers.0.conv.conv.weight": torch.randn(16, 1, 3)}
        assert trainer.push_weights(wrapped(merged), version=2).n_changed == 48
        assert held(worker, merged, torch.float32)
        adapter = "base_model.model.model.layers.0.conv.conv.lora_A.default.weight"
        with pytest.raises(stampede.WeightUpdateError, match="merge_adapter") as caught:
            trainer.push_weights({**wrapped(state), adapter: torch.ones(2, 3)}, version=3)
        assert caught.value.tensor == adapter and worker.version == 2
        with pytest.raises(stampede.WeightUpdateError, match="twice"):
            trainer.push_weights([*wrapped(state).items(), *state.items()], version=3)


def test_an_expert_that_comes_fused_and_by_itself(trainer):
    with FakeWorker(trainer.url) as worker:
        one = "model.layers.0.feed_forward.experts.2.w3.weight"
        trainer.push_weights(model(), version=1)
        before = dict(worker.weights)
        with pytest.raises(stampede.WeightUpdateError, match="comes twice") as caught:
            trainer.push_weights({**model(), one: torch.zeros(10, 16)}, version=2)
        assert caught.value.tensor == one and worker.weights == before
        trainer.push_weights({one: torch.zeros(10, 16)}, version=2)
        assert worker.weights == {**before, one: bytes(640)}


# --- the parts ---


@pytest.mark.parametrize("n, size", [(1, 1), (1, 2**30), (5, 10), (4096, 4096), (4097, 10**5),
                                     (9000, 10**4), (20000, 10**9), (5000, 300000)])
def test_positions(arithmetic, n, size):
    rng = np.random.default_rng(n)
    positions = np.unique(rng.integers(0, size, n)) if n < size else np.arange(size)
    blocks = np.array_split(positions.astype(np.uint32), 3)
    codes = deltas.encode(blocks)
    width, anchors = codes.itemsize, deltas._anchors(codes)
    assert slow_delta.positions_of(codes.tobytes(), anchors, width) == positions.tolist()
    gaps = (np.diff(positions, prepend=-1) - 1).astype(np.uint32)
    sizes = [len(deltas._codes(gaps, w)) * w for w in (1, 2, 4)]
    assert len(codes) * width == min(sizes)


def test_digest_is_what_the_worker_computes(arithmetic):
    """The values of tests/weights/test_digest.c."""
    h = digest.name_hash("model.embed_tokens.weight")
    bf16 = np.array([0x3F80, 0, 0x8000, 0xC040], "<u2")
    assert digest.of_range(h, 0, bf16) == 0x05646663710C284D
    assert digest.of_range(h, 7, np.array([1, -2.5], "<f4").view("<u4")) == 0xC574D030EF8BB853
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 65536, 200000).astype("<u2")
    some = np.sort(rng.choice(200000, 1000, replace=False))
    one = sum(digest.of_range(h, int(p), bits[p:p + 1]) for p in some) % 2**64
    assert digest.of_positions(h, some, bits[some]) == one
    assert (digest.of_range(h, 5, bits[:70000]) +
            digest.of_range(h, 70005, bits[70000:])) % 2**64 == digest.of_range(h, 5, bits)


def test_the_snapshot_is_one_copy(arithmetic):
    store = snapshot.Snapshot()
    state = {f"{i}": torch.randn(1000, 100).bfloat16() for i in range(4)}
    prepared = store.prepare(1, state, [BF16])
    assert sum(t.nbytes for t in store._tensors.values()) == sum(t.nbytes for t in state.values())
    assert all(f.tensor is None for f in prepared.former.values())
    new = {name: torch.where(torch.rand(value.shape) < 0.02, value + 1, value)
           for name, value in state.items()}
    pointers = {name: t.data_ptr() for name, t in store._tensors.items()}
    prepared = store.prepare(2, new, [BF16])
    assert {name: t.data_ptr() for name, t in store._tensors.items()} == pointers
    extra = sum(b.positions.nbytes + b.bits.nbytes for f in prepared.former.values()
                for b in f.blocks)
    assert extra < 0.15 * sum(t.nbytes for t in state.values())
    assert all(torch.equal(store._tensors[name], new[name]) for name in new)
    store.revert(prepared)
    assert all(torch.equal(store._tensors[name], state[name]) for name in state)


def test_values_that_are_not_finite_in_the_type_of_a_worker(trainer):
    with FakeWorker(trainer.url, dtype="f16") as worker:
        trainer.push_weights({"x": torch.ones(100)}, version=1)
        values = torch.ones(100)
        values[50] = 1e6
        with pytest.raises(stampede.WeightUpdateError, match="x holds a value that is not finite"):
            trainer.push_weights({"x": values}, version=2)
        assert trainer.push_weights({"x": torch.ones(100)}, version=2).n_changed == 0
        assert worker.version == 2
        with pytest.raises(stampede.WeightUpdateError, match="x holds a value that is not finite"):
            trainer.push_weights({"x": values.fill_(1e6)}, version=3)  # all of it comes
        values[7] = torch.nan
        with pytest.raises(stampede.WeightUpdateError, match="y holds a value that is not finite"):
            trainer.push_weights({"y": values}, version=3)  # the first time
        assert worker.version == 2 and worker.weights == {"x": as_bytes(torch.ones(100).half())}


@pytest.mark.parametrize("dtype, n, n_changed, mode", [
    ("bf16", 3, 1, wire.TENSOR_DENSE),  # a code, an anchor and a value are more than three values
    ("bf16", 40, 1, wire.TENSOR_SPARSE), ("f32", 5, 1, wire.TENSOR_DENSE),
    ("bf16", 300000, 90000, wire.TENSOR_SPARSE), ("f32", 300000, 90000, wire.TENSOR_SPARSE),
    # Fewer bytes, and more than a third of the values: dense costs a worker less.
    ("bf16", 300000, 120000, wire.TENSOR_DENSE), ("f32", 300000, 120000, wire.TENSOR_DENSE)])
def test_sparse_or_dense(arithmetic, dtype, n, n_changed, mode):
    plan = DtypePlan(dtype, (), False)
    value = torch.ones(n).to(torch.bfloat16 if dtype == "bf16" else torch.float32)
    store = snapshot.Snapshot()
    store.prepare(1, {"x": value}, [plan])
    new = value.clone()
    new[torch.randperm(n, generator=torch.Generator().manual_seed(1))[:n_changed]] = 2
    (change,) = store.prepare(2, {"x": new}, [plan]).changes[plan]
    assert change.mode == mode
    assert change.n_values == (n if mode == wire.TENSOR_DENSE else n_changed)


def test_a_failed_push_takes_back_which_name_a_tied_head_has(trainer):
    embedding, head = "model.embed_tokens.weight", "lm_head.weight"
    one, two = torch.ones(4, 2), torch.full((4, 2), 2.0)
    with FakeWorker(trainer.url, uid="a", tied_head=True) as worker:
        trainer.push_weights({embedding: one}, version=1)
        worker.fail_tensor = embedding
        with pytest.raises(stampede.WeightUpdateError):
            trainer.push_weights({head: two}, version=2)
        worker.fail_tensor = None
        with FakeWorker(trainer.url, uid="late", tied_head=True) as late:
            eventually(lambda: late.version == 1)
            assert late.weights == worker.weights == {embedding: as_bytes(one)}
