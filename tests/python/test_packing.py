"""What is made on the tensor's device: the same bytes as on the host, and nothing else crosses.

There is no GPU here: the code is run on the CPU, and on tensors that say they are on one."""

import numpy as np
import pytest
import torch
from client import arithmetic

from stampede import deltas, mirror, packing, shards, snapshot
from stampede.weights import DtypePlan

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}


def bytes_of(change):
    if change is None:
        return None
    return change._replace(parts=[part.read(0, part.n_bytes).tobytes() for part in change.parts])


def both_ways(old, new, dtype):
    """The change as it is made on the host, and as torch makes it anywhere."""
    host = snapshot.changed(old, new, dtype)
    torchs = packing.changed(old.reshape(-1), new.reshape(-1), DTYPES[dtype],
                             int(snapshot._DENSE * new.numel()))
    assert (host is None) == (torchs is None)
    if host is None:
        return None, None
    for blocks in (host, torchs):
        assert all(b.positions.dtype == np.uint32 for b in blocks)
    n = sum(len(b.bits) for b in host)
    assert n == sum(len(b.bits) for b in torchs)
    if n == 0:
        return None, None
    shape = tuple(new.shape)
    assert torchs[0].codes is not None and host[0].codes is None
    return tuple(bytes_of(deltas.sparse("x", dtype, shape, blocks)) for blocks in (host, torchs))


@pytest.fixture(params=[1 << 24, 1000], ids=["one-slice", "slices"])
def slices(request, monkeypatch):
    monkeypatch.setattr(packing, "SLICE", request.param)
    monkeypatch.setattr(snapshot, "_SLICE", request.param)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.003, 0.05, 0.3, 0.5, 1.0])
def test_the_same_bytes(arithmetic, slices, dtype, share):
    generator = torch.Generator().manual_seed(5)
    old = torch.randn(37, 1111, generator=generator).to(DTYPES[dtype]).float()
    where = torch.rand(old.shape, generator=generator) < share
    for source in (torch.float32, DTYPES[dtype]):
        new = torch.where(where, old * 1.5, old).to(source)
        host, made = both_ways(old.to(source), new, dtype)
        assert host == made and (host is None) == (share in (0.0, 0.5, 1.0))


@pytest.mark.parametrize("gaps, width", [
    ([0] * 5, 1), ([254] * 9, 1), ([255] * 9, 1), ([255] + [3] * 300, 1), ([510, 765, 3] * 20, 2),
    ([65534] * 3, 2), ([65535], 2), ([65535] * 3, 2), ([70000, 200000] * 2, 4),
    ([300000] + [9] * 500, 2), ([3000000] + [9] * 40000, 1)])
def test_gaps_around_the_escapes(arithmetic, slices, gaps, width):
    positions = np.cumsum(np.array(gaps) + 1) - 1
    old = torch.zeros(int(positions[-1]) + 1 + 7 * len(gaps), dtype=torch.bfloat16)
    new = old.clone()
    new[torch.from_numpy(positions)] = torch.arange(1, len(gaps) + 1).bfloat16()
    host, made = both_ways(old, new, "bf16")
    assert host == made and made.code_bytes == width and made.n_values == len(gaps)


@pytest.mark.parametrize("cut", [
    lambda t: t.t(), lambda t: t[::2, 1::3], lambda t: t[3:3], lambda t: t[:, :1],
    lambda t: t[0, 0], lambda t: t.view(-1)], ids=["transposed", "strided", "empty", "column",
                                                  "scalar", "flat"])
def test_shapes_of_all_kinds(cut):
    base = torch.randn(40, 60)
    other = base.clone()
    other[::4, ::2] *= -2
    host, made = both_ways(cut(base).contiguous(), cut(other), "f32")
    assert host == made and (made is None) == (cut(base).numel() <= 1)


# --- a device that is none ---


class Elsewhere(torch.Tensor):
    """A tensor that says that it is on a GPU; what is computed of it is one too."""


class Crossings(torch.overrides.TorchFunctionMode):
    """Plays the GPU, and notes how many bytes come from there to the host."""

    def __init__(self):
        super().__init__()
        self.n_bytes = []

    def __torch_function__(self, function, types, arguments=(), kwargs=None):
        kwargs = dict(kwargs or {})
        is_there = any(isinstance(a, Elsewhere) for a in arguments)
        if function == torch.Tensor.device.__get__ and is_there:
            return torch.device("cuda")
        assert not (function is torch.Tensor.numpy and is_there), "numpy cannot read a GPU"
        goes_there = [a for a in (*arguments, *kwargs.values())
                      if isinstance(a, torch.device) and a.type == "cuda"]
        if goes_there:
            host = torch.device("cpu")
            arguments = [host if a in goes_there and isinstance(a, torch.device) else a
                         for a in arguments]
            kwargs = {k: host if k == "device" else v for k, v in kwargs.items()}
            return function(*arguments, **kwargs).as_subclass(Elsewhere)
        out = function(*arguments, **kwargs)
        if is_there and (function is torch.Tensor.cpu or "cpu" in arguments):
            self.n_bytes.append(out.nbytes)
            return out.as_subclass(torch.Tensor)
        if is_there and function in (torch.Tensor.__int__, torch.Tensor.__bool__,
                                     torch.Tensor.item, torch.Tensor.tolist):
            self.n_bytes.append(8)
        return out


@pytest.mark.parametrize("dtype", ["bf16", "f32"])
def test_only_codes_and_values_cross_to_the_host(monkeypatch, dtype):
    """A push of a tensor on a device: what comes from there is the payload, a look at some values,
    and single numbers; and the bytes are those of a push from the host."""
    n = 1 << 20
    monkeypatch.setattr(packing, "SLICE", n // 4)
    old = torch.randn(n // 64, 64).to(DTYPES[dtype])
    new = torch.where(torch.rand(old.shape) < 0.01, old + 1, old)
    plan = DtypePlan(dtype, (), False)
    store, other = snapshot.Snapshot(), snapshot.Snapshot()
    store.prepare(1, {"x": old}, [plan]), other.prepare(1, {"x": old}, [plan])
    # The pool's threads have no mode of this one's.
    monkeypatch.setattr(snapshot.digest, "pool", lambda: type("Here", (), {"map": map}))
    with Crossings() as crossings:
        prepared = store.prepare(2, {"x": new.as_subclass(Elsewhere)}, [plan])
    (change,), (expected,) = prepared.changes[plan], other.prepare(
        2, {"x": new}, [plan]).changes[plan]
    assert bytes_of(change) == bytes_of(expected)
    assert torch.equal(store._tensors["x"], new)
    sampled = 2 * snapshot._SAMPLE * old.element_size()
    assert change.n_bytes < sum(crossings.n_bytes) + 16 * 1000
    assert sum(crossings.n_bytes) < change.n_bytes + sampled + 1000 < old.nbytes / 4


def test_the_copy_lies_in_pinned_memory_where_a_gpu_reads_it(monkeypatch):
    """Of a Trainer and of a rank with shards; pageable memory would be copied twice."""
    asked, empty = [], torch.empty

    def noting(*arguments, pin_memory=False, **kwargs):  # no memory is pinned without CUDA
        asked.append(pin_memory)
        return empty(*arguments, **kwargs)

    monkeypatch.setattr(torch, "empty", noting)
    monkeypatch.setattr(snapshot.digest, "pool", lambda: type("Here", (), {"map": map}))
    there, here = torch.randn(8, 4).as_subclass(Elsewhere), torch.randn(8, 4)
    shape = shards.Box((8, 4), (0, 0), (8, 4))
    with Crossings():
        for value, wanted in ((there, [True]), (here, [])):
            store = snapshot.Snapshot()
            store.prepare(1, {"x": value}, [DtypePlan("f32", (), False)])
            assert asked == wanted and torch.equal(store._tensors["x"], value)
            copy = mirror._rounded_copy(shards.Shard(shape, value, True), "bf16")
            assert asked == 2 * wanted and torch.equal(copy, value.view(-1).bfloat16())
            asked.clear()
