"""Weights that lie in shards on several ranks: real processes with gloo. What workers hold is bit
for bit what a push of the whole state_dict makes, whatever the placements; nothing hangs."""

import errno
import os
import signal
import time

import numpy as np
import pytest
import shard_ranks
import torch
import torch.distributed as dist
from cli import TINY
from client import eventually
from fake_worker import FakeWorker
from safetensors.torch import load_file
from test_deltas import as_bytes, changed_at, last_begin
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

import stampede
from stampede import deltas, mirror, shards, sharding, wire
from stampede.weights import EMBEDDING, HEAD, ShardPusher, hub_tensors

EXPERTS = "model.layers.0.feed_forward.experts"
WHOLE = {EMBEDDING: (61, 10), "a.weight": (7, 9), "b.weight": (40, 33), "c.weight": (5,),
         "d.weight": (6, 4, 3), "scale": (), f"{EXPERTS}.gate_up_proj": (5, 6, 8),
         f"{EXPERTS}.down_proj": (5, 8, 3), "plain.weight": (30, 3)}


def whole_state():
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=generator) for name, shape in WHOLE.items()}


def one_mesh(n):
    """Every kind of cut of a mesh of one dimension."""
    mesh = init_device_mesh("cpu", (n,))
    place = {"a.weight": [Shard(0)], "b.weight": [Shard(1)], "c.weight": [Shard(0)],
             "d.weight": [Shard(2)], "scale": [Replicate()], EMBEDDING: [Shard(0)],
             f"{EXPERTS}.gate_up_proj": [Shard(1)], f"{EXPERTS}.down_proj": [Shard(0)]}
    return {name: (mesh, place[name]) for name in place}


def two_meshes(n):
    """HSDP, both dimensions, one dimension twice."""
    mesh = init_device_mesh("cpu", (2, n // 2))
    place = {"a.weight": [Replicate(), Shard(0)], "b.weight": [Shard(0), Shard(1)],
             "c.weight": [Shard(0), Shard(0)], "d.weight": [Shard(1), Replicate()],
             "scale": [Replicate(), Replicate()], EMBEDDING: [Shard(1), Shard(0)],
             f"{EXPERTS}.gate_up_proj": [Shard(2), Shard(1)],
             f"{EXPERTS}.down_proj": [Shard(0), Shard(2)]}
    return {name: (mesh, place[name]) for name in place}


def local(state, placements):
    return {name: distribute_tensor(t, *placements[name]) if name in placements else t
            for name, t in state.items()}


def bits(state, dtype, exceptions=()):
    return {n: as_bytes(t.reshape(-1), torch.float32 if n in exceptions else dtype)
            for n, t in hub_tensors(state).items()}


class Lead:
    """Rank 0's Trainer and two workers, of other types; None on the other ranks."""

    def __init__(self, rank, **more):
        self.trainer = None
        if rank == 0:
            self.trainer = stampede.Trainer("tcp://127.0.0.1:0")
            self.a = FakeWorker(self.trainer.url, uid="a", dtype="bf16",
                                exceptions={"a.weight": "f32"}, **more)
            self.b = FakeWorker(self.trainer.url, uid="b", **more)
            self.trainer.wait_for_workers(2, 30)

    def check(self, state):
        if self.trainer is not None:
            assert self.a.weights == bits(state, torch.bfloat16, ["a.weight"])
            assert self.b.weights == bits(state, torch.float32)

    def modes(self):
        return set(last_begin(self.b)["modes"].tolist())

    def close(self):
        if self.trainer is not None:
            self.trainer.close()
            self.a.close(), self.b.close()


def push_and_check(rank, n, make_mesh):
    lead, placements = Lead(rank), make_mesh(n)
    pusher = ShardPusher(lead.trainer)
    state, reports = whole_state(), []
    for version, share in enumerate((0.0, 0.02, 0.0, 0.9, 0.02), 1):
        if version > 1:
            state = changed_at(state, share, version) if version != 3 else state
        reports.append(pusher.push_weights(local(state, placements), version))
        lead.check(state)
        if rank == 0 and version in (2, 5):
            assert wire.TENSOR_SPARSE in lead.modes()
    if rank == 0:  # one that comes later gets all of it, and is brought on with the others
        with FakeWorker(lead.trainer.url, uid="late") as late:
            lead.trainer.wait_for_workers(3, 30)
            assert late.version == 5 and late.weights == bits(state, torch.float32)
    part = {name: state[name] + 1 for name in ("b.weight", f"{EXPERTS}.down_proj")}
    pusher.push_weights(local(part, placements), 6)  # tensors that are not in it stay as they are
    lead.check({**state, **part})
    lead.close()
    return [r._asdict() for r in reports]


@pytest.mark.parametrize("n, make_mesh", [(2, one_mesh), (3, one_mesh), (4, two_meshes)])
def test_every_placement(tmp_path, n, make_mesh):
    first, *others = shard_ranks.run(n, push_and_check, tmp_path, make_mesh)
    assert all(other == first for other in others)
    n_values = sum(t.numel() for t in whole_state().values())
    assert [r["n_values"] for r in first] == [n_values] * 5
    assert first[0]["n_changed"] == n_values
    assert 0 < first[1]["payload_bytes"] < first[3]["payload_bytes"] <= first[0]["payload_bytes"]
    assert (first[2]["n_changed"], first[2]["payload_bytes"]) == (0, 0)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(37, 12)
        self.first, self.second = torch.nn.Linear(12, 29), torch.nn.Linear(29, 37, bias=False)

    def forward(self, ids):
        return self.second(torch.relu(self.first(self.embed(ids))))


def train_and_push(rank, n):
    lead = Lead(rank)
    torch.manual_seed(3)
    model = Net()
    fully_shard(model.first)
    fully_shard(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    pusher = ShardPusher(lead.trainer)
    for version in range(1, 5):
        ids = torch.arange(6) * 3 + rank
        torch.nn.functional.cross_entropy(model(ids), ids).backward()
        optimizer.step()
        optimizer.zero_grad()
        pusher.push_weights(model.state_dict(), version)
        lead.check({name: t.full_tensor() for name, t in model.state_dict().items()})
    lead.close()
    pusher.close()


@pytest.mark.parametrize("n", [2, 3])
def test_fully_shard(tmp_path, n):
    shard_ranks.run(n, train_and_push, tmp_path)


class Adapter(torch.nn.Module):
    """Around a layer, as PEFT's are."""

    def __init__(self, layer):
        super().__init__()
        self.base_layer = layer.requires_grad_(False)
        self.lora_A = torch.nn.Linear(layer.in_features, 2, bias=False)
        self.lora_B = torch.nn.Linear(2, layer.out_features, bias=False)

    def forward(self, x):
        return self.base_layer(x) + self.lora_B(self.lora_A(x))

    @torch.no_grad()
    def merge(self, sign):
        self.base_layer.weight += sign * (self.lora_B.weight @ self.lora_A.weight)


def merge_and_push(rank, n):
    lead = Lead(rank)
    torch.manual_seed(3)
    model = Net()
    model.first = Adapter(model.first)
    fully_shard(model.first)
    fully_shard(model)
    pusher = ShardPusher(lead.trainer)
    for version in (1, 2):
        with torch.no_grad():
            for parameter in model.first.lora_B.parameters():
                parameter += version
        model.first.merge(1)
        state = {f"base_model.model.{name}": t for name, t in model.state_dict().items()
                 if "lora_" not in name}
        report = pusher.push_weights(state, version)
        lead.check({name[17:].replace("base_layer.", ""): t.full_tensor()
                    for name, t in state.items()})
        model.first.merge(-1)
    lead.close()
    pusher.close()
    return report.n_changed


def test_merged_adapters(tmp_path):
    """What is merged lies in shards: nothing is gathered, and only the merged layer is sent."""
    assert set(shard_ranks.run(2, merge_and_push, tmp_path)) == {12 * 29}


def push_to_a_program(rank, n):
    """The digests that `stampede serve` says, by shards and by a push of the whole; twice, and of a
    worker that comes later."""
    mesh = init_device_mesh("cpu", (n,))
    first = {name: t.float() * 1.01 for name, t in load_file(TINY / "model.safetensors").items()}
    second, digests = changed_at(first, 0.02, 3), []
    trainer = stampede.Trainer("tcp://127.0.0.1:0") if rank == 0 else None
    flags = dict(threads=1, max_rows=2, log_level="warn")
    child = None if trainer is None else stampede.launch(TINY, connect=trainer.url, **flags)
    pusher = ShardPusher(trainer)
    for version, state in enumerate((first, second), 1):
        shard = {name: distribute_tensor(t, mesh, [Shard(t.dim() - 1)])
                 for name, t in state.items()}
        report = pusher.push_weights(shard, version)
        if trainer is not None:
            digests.append(trainer.workers()[0]["digest"])
    assert 0 < report.n_changed < report.n_values / 10
    if trainer is None:
        return None
    child.kill()
    child.wait(30)
    with stampede.Trainer("tcp://127.0.0.1:0") as other:
        late = stampede.launch(TINY, connect=trainer.url, **flags)
        whole = stampede.launch(TINY, connect=other.url, **flags)
        for version, state in enumerate((first, second), 1):
            other.push_weights(state, version)
            assert other.workers()[0]["digest"] == digests[version - 1]
        eventually(lambda: [w["digest"] for w in trainer.workers() if w["version"] == 2] ==
                   digests[1:])
        trainer.close()
        late.kill(), whole.kill()
    return None


def test_the_program_serves_the_same(tmp_path):
    shard_ranks.run(3, push_to_a_program, tmp_path)


def tie_heads(rank, n):
    """One tensor with two names at the trainer, one at the worker."""
    lead = Lead(rank, tied_head=True)
    pusher, placements = ShardPusher(lead.trainer), one_mesh(n)
    placements[HEAD] = placements[EMBEDDING]
    state = local(whole_state(), placements)
    pusher.push_weights({**state, HEAD: state[EMBEDDING]}, 1)
    lead.check(whole_state())
    more = distribute_tensor(whole_state()[EMBEDDING] + 1, *placements[HEAD])
    pusher.push_weights({HEAD: more}, 2)
    lead.check({**whole_state(), EMBEDDING: whole_state()[EMBEDDING] + 1})
    with pytest.raises(stampede.WeightUpdateError, match="tied"):
        pusher.push_weights({HEAD: more, EMBEDDING: state[EMBEDDING]}, 3)
    lead.close()


def test_a_tied_head(tmp_path):
    shard_ranks.run(2, tie_heads, tmp_path)


# --- what goes wrong ---


def refused(pusher, state, version, words, **more):
    """The sentence."""
    with pytest.raises(stampede.StampedeError, match=words) as caught:
        pusher.push_weights(state, version, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def disk_is_full(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def go_wrong(rank, n):
    lead, placements = Lead(rank), one_mesh(n)
    if rank == 0:
        with pytest.raises(stampede.ArgumentError, match="on rank 0"):
            ShardPusher(None)
    else:
        with pytest.raises(stampede.ArgumentError, match=f"on rank {rank}"):
            ShardPusher(7)
    pusher = ShardPusher(lead.trainer)
    state = whole_state()
    mine = local(state, placements)
    if rank == 0:  # alone: it does not wait for the others
        with stampede.Trainer("tcp://127.0.0.1:0") as one, FakeWorker(one.url):
            with pytest.raises(stampede.WeightUpdateError, match="ShardPusher"):
                one.push_weights({"a.weight": mine["a.weight"]}, 1)
            one.push_weights({"scale": mine["scale"]}, 1)
    pusher.push_weights(mine, 1)
    out = []

    def refuse(wrong, version, words):
        out.append(refused(pusher, wrong, version, words))
        lead.check(state)

    broken = {name: t.clone() for name, t in state.items()}
    broken["b.weight"][-1, -1] = float("nan")  # of the last rank, and only a few values changed
    refuse(local(broken, placements), 2, "b.weight holds a value that is not finite")
    broken["b.weight"] = torch.full((40, 33), float("inf"))  # seen when it is read as a whole
    refuse(local(broken, placements), 2, "b.weight holds a value that is not finite")
    good = local(state, placements)
    refuse(good, 1 + rank, "version")
    refuse(good, 1, "versions rise")
    refuse(good, -1, "version")
    refuse({} if rank else good, 2, "state_dict is empty")
    refuse({n: t for n, t in good.items() if rank or n != "a.weight"}, 2,
           "Of tensor a.weight the ranks have")
    refuse({"a.weight": torch.zeros(3 + rank)}, 2, "other|different ranks")
    refuse({"a.weight": torch.zeros(3, dtype=torch.int32)}, 2, "floating point")
    if rank == 0:
        lead.b.fail_tensor = "b.weight"
    state_2 = changed_at(state, 0.02, 7)
    refuse(local(state_2, placements), 2, "worker|Worker")
    if rank == 0:
        lead.b.fail_tensor = None
        with pytest.raises(stampede.ArgumentError, match="ShardPusher"):
            lead.trainer.push_weights(state, 2)
    state = state_2
    report = pusher.push_weights(local(state, placements), 2)
    lead.check(state)
    assert report.payload_bytes < 2000  # what failed was taken back, on every rank
    allocate, os.posix_fallocate = os.posix_fallocate, disk_is_full
    refuse(local({**state, "b.weight": state["b.weight"] * 3}, placements), 3,
           "b.weight finds no room for its copy in .*No space left")
    os.posix_fallocate = allocate
    handle = pusher.push_weights(local(changed_at(state, 0.02, 8), placements), 3, wait=False)
    assert handle is None if rank else handle.result(30).version == 3
    lead.check(changed_at(state, 0.02, 8))
    again = ShardPusher(lead.trainer)  # as after the loss of a rank
    again.push_weights(local(state, placements), 4)
    lead.check(state)
    if rank == 0:
        with stampede.Trainer("tcp://127.0.0.1:0") as one, FakeWorker(one.url):
            one.push_weights({"scale": state["scale"]}, 1)
            with pytest.raises(stampede.ArgumentError, match="by itself"):
                one._use_copies(None)
    lead.close()
    return out


@pytest.mark.parametrize("n", [2, 3])
def test_what_goes_wrong_on_one_rank_is_said_on_all(tmp_path, n):
    first, *others = shard_ranks.run(n, go_wrong, tmp_path)
    for i, sentence in enumerate(first):
        for other in others:  # a rank's own error is raised there as it was
            assert other[i] in sentence or sentence in other[i], (sentence, other[i])


def die(rank, n, who, when, how, deadline_s):
    """Rank `who` ends in the middle of a push."""
    lead, placements = Lead(rank), one_mesh(n)
    pusher = ShardPusher(lead.trainer, deadline_s=deadline_s)
    state = whole_state()
    one, two = local(state, placements), local(changed_at(state, 0.3, 2), placements)
    pusher.push_weights(one, 1)
    if rank == who:
        left = [when]

        def dying(self, *arguments):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), how)
            return frames(self, *arguments)

        frames = mirror.Mirror.frames
        mirror.Mirror.frames = dying
        if when < 0:
            os.kill(os.getpid(), how)
    began = time.monotonic()
    sentence = refused(pusher, two, 2, "reached")
    seconds = time.monotonic() - began
    lead.check(state)
    again = refused(pusher, one, 2, "new ShardPusher")
    assert time.monotonic() - began < seconds + 1, again
    if rank == 0:
        assert lead.trainer.workers()[0]["version"] == 1
    lead.close()
    return [sentence, seconds]


@pytest.mark.parametrize("n, who, when", [(3, 1, -1), (3, 2, 4), (2, 1, 8), (3, 0, 3)])
def test_a_rank_is_killed(tmp_path, n, who, when):
    out = shard_ranks.run(n, die, tmp_path, who, when, signal.SIGKILL, 30)
    assert out[who] is None
    for rank in set(range(n)) - {who}:
        sentence, seconds = out[rank]
        assert f"Rank {who} cannot be reached" in sentence, (rank, sentence)
        assert seconds < 30, "it was not seen before the deadline"


def test_a_rank_stands_still(tmp_path):
    ranks = shard_ranks.start(3, die, tmp_path, 1, 4, signal.SIGSTOP, 4)
    end = time.monotonic() + 90
    while not all((tmp_path / f"{i}.json").exists() for i in (0, 2)):
        assert time.monotonic() < end, "the others hang"
        time.sleep(0.1)
    os.kill(ranks[1].pid, signal.SIGCONT)  # it hears of it too
    out = shard_ranks.finish(ranks, tmp_path)
    assert "Rank 1 cannot be reached" in out[0][0] and 3 < out[0][1]
    assert "cannot be reached" in out[1][0] and "cannot be reached" in out[2][0]


# --- memory ---

BIG = {f"{i}.weight": (8192, 2048) for i in range(4)}  # 32 MB each as bf16


def push_much(rank, n, url):
    trainer = stampede.Trainer(url) if rank == 0 else None
    if trainer is not None:
        trainer.wait_for_workers(1, 60)
    pusher = ShardPusher(trainer)
    mesh = init_device_mesh("cpu", (n,))
    torch.manual_seed(rank)
    state = {name: torch.distributed.tensor.DTensor.from_local(
        torch.randn(shape[0] // n, shape[1]).bfloat16(), mesh, [Shard(0)])
        for name, shape in BIG.items()}
    out = []
    for version in (1, 2):
        with shard_ranks.Peak() as peak:
            report = pusher.push_weights(state, version)
        out.append([peak.bytes, report.payload_bytes])
        for tensor in state.values():
            tensor.to_local()[::50] *= 2  # 2% of the rows
    if trainer is not None:
        trainer.close()
    return out


def test_no_rank_has_a_whole_tensor_in_memory(tmp_path):
    """All of it goes whole first, then 2%. A rank may use its own shards once, and some frames."""
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        url = trainer.url  # that is free
    whole = sum(2 * a * b for a, b in BIG.values())
    with FakeWorker(url, dtype="bf16"):
        out = shard_ranks.run(4, push_much, tmp_path, url)
    slack = 24 << 20
    for rank, ((first, all_bytes), (second, some_bytes)) in enumerate(out):
        assert all_bytes == whole and some_bytes < whole / 20
        assert first < whole / 4 + slack, (rank, first)
        assert second < slack + 8 * some_bytes, (rank, second)


# --- the parts ---


@pytest.mark.parametrize("whole, first, size", [
    ((7, 9), (2, 0), (3, 9)), ((7, 9), (0, 4), (7, 3)), ((7, 9), (2, 4), (3, 3)),
    ((4, 5, 6), (1, 2, 3), (2, 2, 2)), ((4, 5, 6), (0, 2, 0), (4, 3, 6)),
    ((4, 5, 6), (1, 0, 0), (3, 5, 6)), ((4, 5, 6), (3, 4, 0), (1, 1, 4)), ((8,), (3,), (2,)),
    ((3, 4), (0, 0), (3, 4)), ((), (), ())])
def test_positions_of_a_box(whole, first, size):
    box = shards.Box(whole, first, size)
    index = tuple(slice(f, f + n) for f, n in zip(first, size))
    expected = np.arange(int(np.prod(whole))).reshape(whole)[index].reshape(-1)
    assert box.to_whole(np.arange(box.n)).tolist() == expected.tolist()
    assert box.to_whole(np.arange(box.n)[::3]).tolist() == expected[::3].tolist()
    is_run = expected.tolist() == list(range(expected[0], expected[0] + box.n))
    assert box.is_run == is_run or (is_run and box.n == 1)


@pytest.mark.parametrize("n, size", [(1, 1), (1, 2**30), (4097, 10**5), (5000, 300000)])
def test_codes_read_back(n, size):
    rng = np.random.default_rng(n)
    positions = np.unique(rng.integers(0, size, n)).astype(np.uint32)
    codes = deltas.encode([positions])
    assert deltas.decode(codes).tolist() == positions.tolist()


@pytest.mark.parametrize("name", ["ShardedTensor", "FlatParameter"])
def test_shards_of_fsdp1_are_refused(name):
    fake = type(name, (torch.nn.Parameter,), {})(torch.zeros(4))
    with pytest.raises(stampede.WeightUpdateError, match="fully_shard"):
        shards.shards_of({"x": fake.data.as_subclass(type(fake))})
    with pytest.raises(stampede.WeightUpdateError, match="fully_shard"):
        shards.shards_of({"module._flat_param": torch.zeros(4)})


def test_boxes_that_are_not_the_whole():
    def said(*boxes):
        return {rank: {"x": shards.Described(shards.Box((4, 2), first, size), False)}
                for rank, (first, size) in enumerate(boxes)}

    good = shards.owners(said(((0, 0), (3, 2)), ((3, 0), (1, 2)), ((0, 0), (0, 0))))
    assert list(good["x"]) == [0, 1]
    for boxes in ([((0, 0), (3, 2))], [((0, 0), (2, 2)), ((0, 0), (2, 2))],
                  [((0, 0), (3, 2)), ((2, 0), (2, 2))]):
        with pytest.raises(stampede.WeightUpdateError, match="expected each of 8 once"):
            shards.owners(said(*boxes))


def test_without_a_process_group():
    assert not dist.is_initialized() and sharding.ShardPusher is ShardPusher
    with pytest.raises(stampede.ArgumentError, match="init_process_group"):
        ShardPusher(None)
