"""The weights that were pushed last: one copy, in the trainer's own type, and what differs from it.

A push is diffed against it tensor by tensor, in the type in which each kind of worker holds the
tensor, and then written into it; what was there before is kept until the push has ended, sparse
where little changed. Workers that serve the version before get what changed, all others the
snapshot itself, rounded as it is read.
"""

from __future__ import annotations

import threading
import time
from math import prod
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from numpy.typing import NDArray

from . import deltas, digest, packing
from .deltas import Block, Change, Part
from .errors import WeightUpdateError
from .weights import EMBEDDING, HEAD, DtypePlan, check_tensor, hub_tensors

_SLICE = 1 << 20  # elements that are rounded and compared at a time
_NEAR = 1 << 17  # elements that stay in a core's near caches
_SAMPLE = 1 << 12  # elements that are looked at first
# Of the values. Beyond, all of them are at most twice the bytes of codes and values, and packed,
# proved and applied in a fraction of the time: a sparse one costs a worker six times as much.
_DENSE = 1 / 3
Bits = NDArray[Any]


# What differs of tensors that were compared already, by name and type; None: too much.
Found = Dict[Tuple[str, str], Optional[List[Block]]]


class Former(NamedTuple):
    """What a push overwrote of one tensor: all of it, or some values."""

    tensor: Optional["torch.Tensor"]  # None: it was not there
    blocks: Optional[List[Block]]


class Prepared(NamedTuple):
    """A push that was diffed and written into the snapshot."""

    version: int
    base: Optional[int]  # what `changes` is against; None: nothing was pushed before
    changes: Dict[DtypePlan, List[Change]]
    former: Dict[str, Former]
    tied: Tuple[str, ...]  # Snapshot's before
    n_values: int  # of the tensors that were pushed
    seconds: float  # that this took


class Snapshot:
    """Methods may be called on any thread; parts that dense() gave are read on the I/O thread."""

    def __init__(self) -> None:
        self.version: Optional[int] = None
        self._tensors: Dict[str, "torch.Tensor"] = {}  # by hub name, contiguous, on the CPU
        # A tied head is one tensor with two names; what counts is what was pushed last, under one
        # of them or both.
        self._tied: Tuple[str, ...] = ()
        self._dense: Dict[DtypePlan, List[Change]] = {}
        self._lock = threading.Lock()

    # --- a push ---

    def prepare(self, version: int, state: Mapping[str, "torch.Tensor"],
                plans: Iterable[DtypePlan]) -> Prepared:
        """Diffs and writes. Raises before anything is written. Offers of the version before must
        have been withdrawn: they read what is overwritten."""
        started = time.monotonic()
        new = {name: check_tensor(name, tensor)
               for name, tensor in hub_tensors(_whole(state)).items()}
        with self._lock:
            tied = tuple(name for name in (EMBEDDING, HEAD) if name in new) or self._tied
            found: Found = {}
            changes = {plan: self._diff(plan, new, tied, found) for plan in set(plans)}
            former = dict(zip(new, digest.pool().map(lambda n: self._write(n, new[n], found),
                                                     new)))
            prepared = Prepared(version, self.version, changes, former, self._tied,
                                sum(t.numel() for t in new.values()),
                                time.monotonic() - started)
            self.version, self._tied, self._dense = version, tied, {}
        return prepared

    def revert(self, prepared: Prepared) -> None:
        """Makes it what it was before `prepared`, which is the last one."""
        with self._lock:
            for name, former in prepared.former.items():
                if former.blocks is not None:
                    flat = flat_bits(self._tensors[name])
                    for block in former.blocks:
                        deltas.replace(flat, block)
                elif former.tensor is not None:
                    self._tensors[name] = former.tensor
                else:
                    del self._tensors[name]
            self.version, self._tied, self._dense = prepared.base, prepared.tied, {}

    # --- for workers that serve anything ---

    def has_dense(self, plan: DtypePlan) -> bool:
        return plan in self._dense

    def dense(self, plan: DtypePlan) -> List[Change]:
        """All of it in the types of `plan`. Takes a while, once for each version."""
        with self._lock:
            if plan not in self._dense:
                _check_tied(plan, self._tied, self._tensors)
                held = self._held(plan, self._tied)
                self._dense[plan] = list(digest.pool().map(
                    lambda n: self._all(plan, n, held[n], self._tensors[held[n]]), held))
            return self._dense[plan]

    # --- insides ---

    def _held(self, plan: DtypePlan, tied: Tuple[str, ...],
              more: Iterable[str] = ()) -> Dict[str, str]:
        """Names of the tensors that a worker holds, and under which name they lie here."""
        held = {name: name for name in list(self._tensors) + [n for n in more
                                                              if n not in self._tensors]}
        if plan.tied_head and tied:
            held.pop(HEAD, None)
            held[EMBEDDING] = tied[0]
        return held

    def _diff(self, plan: DtypePlan, new: Mapping[str, "torch.Tensor"],
              tied: Tuple[str, ...], found: Found) -> List[Change]:
        before, after = self._held(plan, self._tied), self._held(plan, tied, new)
        _check_tied(plan, tied, {**self._tensors, **new})
        touched = [name for name, key in after.items() if key in new or before.get(name) != key]
        changes = digest.pool().map(
            lambda name: self._change(plan, name, after[name],
                                      self._tensors.get(before.get(name, "")),
                                      new.get(after[name], self._tensors.get(after[name])), found),
            touched)
        return [change for change in changes if change is not None]

    def _change(self, plan: DtypePlan, name: str, key: str, old: Optional["torch.Tensor"],
                new: Any, found: Found) -> Optional[Change]:
        dtype = plan.dtype_of(name)
        if old is None or old.shape != new.shape:
            return self._all(plan, name, key, new)
        blocks = changed(old, new, dtype)
        if old is self._tensors.get(key) and old.dtype == new.dtype and \
                _NAMES.get(old.dtype) == dtype:
            found[key, dtype] = blocks  # _write needs the same
        if blocks is None:
            return self._all(plan, name, key, new)
        for block in blocks:
            check_bits(name, dtype, block.bits)
        if not any(len(block.bits) for block in blocks):
            return None
        change = deltas.sparse(name, dtype, new.shape, blocks)
        if change.n_bytes < new.numel() * blocks[0].bits.itemsize:
            return change
        return self._all(plan, name, key, new)

    def _all(self, plan: DtypePlan, name: str, key: str, values: "torch.Tensor") -> Change:
        dtype = plan.dtype_of(name)
        hashed, check = digest.name_hash(name), 0
        for start in range(0, values.numel(), _SLICE):
            bits = rounded(values, start, _SLICE, dtype)
            check_bits(name, dtype, bits)
            check += digest.of_range(hashed, start, bits)
        return deltas.dense(name, dtype, values.shape, check & digest.MASK,
                            self._part(key, values.numel(), dtype))

    def _part(self, key: str, n: int, dtype: str) -> Part:
        size = 4 if dtype == "f32" else 2

        def read(begin: int, end: int) -> deltas.Bytes:
            first = begin // size
            bits = rounded(self._tensors[key], first, (end + size - 1) // size - first, dtype)
            data: deltas.Bytes = bits.view(np.uint8)
            return data[begin - first * size:end - first * size]

        return Part(n * size, read)

    def _write(self, name: str, new: "torch.Tensor", found: Found) -> Former:
        old = self._tensors.get(name)
        if old is not None and old.shape == new.shape and old.dtype == new.dtype:
            key = name, _NAMES[old.dtype]
            blocks = found[key] if key in found else changed(old, new, key[1])
            if blocks is not None:
                flat = flat_bits(old)
                return Former(None, [deltas.replace(flat, block) for block in blocks])
        self._tensors[name] = _copy(new)
        return Former(old, None)


_NAMES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16",
          torch.float64: "f64"}


def _whole(state: Mapping[str, Any]) -> Dict[str, "torch.Tensor"]:
    """DTensors of which all is here as plain tensors. Others are refused: to gather one, every rank
    of its mesh would have to be here."""
    out: Dict[str, "torch.Tensor"] = {}
    for name, tensor in state.items():
        if hasattr(tensor, "placements"):
            local = tensor.to_local()
            if local.shape != tensor.shape or any(p.is_partial() for p in tensor.placements):
                raise WeightUpdateError(
                    f"Tensor {name} is a shard, {tuple(local.shape)} of {tuple(tensor.shape)}: "
                    "push it from every rank, with a stampede.weights.ShardPusher.", tensor=name)
            tensor = local
        out[name] = tensor
    return out


def _check_tied(plan: DtypePlan, tied: Tuple[str, ...],
                tensors: Mapping[str, "torch.Tensor"]) -> None:
    """A head that is tied at a worker was pushed under both names as one tensor."""
    if not plan.tied_head or len(tied) < 2:
        return
    embedding, head = tensors[EMBEDDING], tensors[HEAD]
    same = embedding.data_ptr() == head.data_ptr() and embedding.shape == head.shape
    if not same and not torch.equal(embedding, head):
        raise WeightUpdateError(f"Tensor {HEAD} differs from {EMBEDDING}, but the worker's head "
                                "is tied.", tensor=HEAD)


def torch_dtype(dtype: str) -> "torch.dtype":
    return {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16,
            "f64": torch.float64}[dtype]


def room_for(shape: Sequence[int], dtype: "torch.dtype", device: "torch.device") -> "torch.Tensor":
    """Memory on the host for a copy of what lies on `device`: pinned where a GPU will read it
    again. Else numpy's, which asks for huge pages: to get a page of 4 KiB takes as long as to fill
    two."""
    if device.type == "cuda":
        return torch.empty(tuple(shape), dtype=dtype, pin_memory=True)
    n_bytes = prod(shape) * dtype.itemsize
    return torch.from_numpy(np.empty(n_bytes, np.uint8)).view(dtype).view(tuple(shape))


def _copy(value: "torch.Tensor") -> "torch.Tensor":
    return room_for(value.shape, value.dtype, value.device).copy_(value)


def _unsigned(flat: "torch.Tensor") -> Bits:
    """Bits of a flat contiguous tensor on the CPU."""
    size = flat.element_size()
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[size]
    return flat.view(integers).numpy().view(np.dtype(f"<u{size}"))


def flat_bits(tensor: "torch.Tensor") -> Bits:
    return _unsigned(tensor.view(-1))


def rounded(tensor: "torch.Tensor", first: int, n: int, dtype: str) -> Bits:
    """Elements of a tensor, contiguous or not, to nearest even, on the CPU."""
    flat = tensor.detach().reshape(-1)[first:first + n]
    return _unsigned(flat.to("cpu").to(torch_dtype(dtype)).contiguous())


def check_bits(name: str, dtype: str, bits: Bits) -> None:
    """Refuses values that are not finite, or are not after rounding."""
    exponent = {"f32": 0x7F800000, "bf16": 0x7F80, "f16": 0x7C00}[dtype]
    mask = bits.dtype.type(exponent)
    for i in range(0, len(bits), _NEAR):
        if (bits[i:i + _NEAR] & mask).max() == mask:
            raise WeightUpdateError(f"Tensor {name} holds a value that is not finite in {dtype}.",
                                    tensor=name)


def changed(old: "torch.Tensor", new: "torch.Tensor", dtype: str) -> Optional[List[Block]]:
    """Where two tensors differ in `dtype`, and the new bits there; None where that is so much that
    all of it costs less. The work is done where `new` lies; `old` is on the CPU."""
    flat, n = new.contiguous().view(-1), new.numel()
    if _is_dense(old.view(-1), flat, torch_dtype(dtype)):
        return None
    most = int(_DENSE * n)
    if new.device.type != "cpu":
        return packing.changed(old.view(-1), flat, torch_dtype(dtype), most)
    blocks: List[Block] = []
    n_values = 0
    for i in range(0, n, _SLICE):
        blocks.append(_changed(old.view(-1)[i:i + _SLICE], flat[i:i + _SLICE], dtype, i))
        n_values += len(blocks[-1].bits)
        if n_values > most:
            return None
    return blocks


def _is_dense(old: "torch.Tensor", new: "torch.Tensor", wanted: "torch.dtype") -> bool:
    """Looks at some values, far from each other: counting them all takes longest where most
    differ."""
    if len(new) < 16 * _SAMPLE:
        return False
    step = len(new) // _SAMPLE
    a, b = old[::step].to(wanted), new[::step].to("cpu").to(wanted)
    return int((a != b).sum()) > _DENSE * len(b)


def _changed(old: "torch.Tensor", new: "torch.Tensor", dtype: str, first: int) -> Block:
    wanted = torch_dtype(dtype)
    return deltas.differing(_unsigned(old.to(wanted)), _unsigned(new.to(wanted)), first)
