"""Which part of each hub tensor lies on this rank: boxes of DTensors, and whole tensors.

A box is what one rank has of a tensor: rows first to first + size of each dimension. The order of
its elements is that of the tensor, so positions that rise in a box rise in the tensor too.
"""

from __future__ import annotations

from math import prod
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import torch
from numpy.typing import NDArray

from .errors import WeightUpdateError
from .weights import check_tensor, expert_parts

Shape = Tuple[int, ...]


class Box(NamedTuple):
    """A part of a tensor."""

    whole: Shape  # of the tensor
    first: Shape
    size: Shape

    @property
    def n(self) -> int:
        return prod(self.size)

    @property
    def is_run(self) -> bool:
        """Whether its elements follow each other in the tensor."""
        return self._last_cut() <= next((d for d, n in enumerate(self.size) if n != 1),
                                        len(self.size))

    def _last_cut(self) -> int:
        """The last dimension of which it has only a part."""
        cut = [d for d, n in enumerate(self.size) if n != self.whole[d]]
        return cut[-1] if cut else 0

    def to_whole(self, positions: NDArray[Any]) -> NDArray[np.int64]:
        """Flat positions in the tensor of flat positions in the box."""
        if not self.whole:
            return positions.astype(np.int64)
        cut = self._last_cut()
        stride = prod(self.whole[cut + 1:])
        rest, out = np.divmod(positions.astype(np.int64), prod(self.size[cut:]))
        out += self.first[cut] * stride
        for d in range(cut - 1, -1, -1):
            stride *= self.whole[d + 1]
            rest, i = np.divmod(rest, self.size[d])
            out += (i + self.first[d]) * stride
        whole: NDArray[np.int64] = out
        return whole


class Shard(NamedTuple):
    """What this rank has of a hub tensor."""

    box: Box
    values: "torch.Tensor"  # of the box's size
    is_copy: bool  # others have all of it too: who has it first gives it


def shards_of(state: Mapping[str, "torch.Tensor"]) -> Dict[str, Shard]:
    """By hub name. Of DTensors the local shards, without any communication; what another rank has
    too, by a replicated dimension of the mesh, is left out where this one is not the first."""
    out: Dict[str, Shard] = {}
    for name, tensor in state.items():
        local = _local(name, tensor)
        for hub_name, shard in () if local is None else _parts(name, local):
            if hub_name in out:
                raise WeightUpdateError(f"Tensor {hub_name} comes twice, as {name} too.",
                                        tensor=hub_name)
            if shard.box.n:
                check_tensor(hub_name, shard.values)
            out[hub_name] = shard
    return out


def _local(name: str, tensor: Any) -> Optional[Shard]:
    """None: the tensor's mesh is one of other ranks."""
    kind = type(tensor).__name__
    if kind in ("ShardedTensor", "FlatParameter") or "_flat_param" in name:
        raise WeightUpdateError(
            f"Tensor {name} is a {kind} of FSDP1, whose shards know no place in a tensor that is "
            "pushed: expected a DTensor (fully_shard, or FSDP with a device_mesh and "
            "SHARDED_STATE_DICT).", tensor=name)
    if not hasattr(tensor, "placements"):
        whole = tuple(tensor.shape)
        return Shard(Box(whole, (0,) * len(whole), whole), tensor.detach(), True)
    local, whole = tensor.to_local().detach(), tuple(tensor.shape)
    coordinate = tensor.device_mesh.get_coordinate()
    if coordinate is None:
        return None
    if all(p.is_replicate() for p in tensor.placements):
        return Shard(Box(whole, (0,) * len(whole), whole), local, True)
    if any(p.is_partial() for p in tensor.placements):
        raise WeightUpdateError(f"Tensor {name} has placements {tensor.placements}: a sum that is "
                                "not made yet cannot be pushed.", tensor=name)
    is_first = not any(i for i, p in zip(coordinate, tensor.placements) if p.is_replicate())
    if not is_first or local.numel() == 0:
        return Shard(Box(whole, (0,) * len(whole), (0,) * len(whole)),
                     local.new_empty((0,) * len(whole)), False)
    chunks = tensor.__create_chunk_list__()  # what torch's own checkpoints go by
    if len(chunks) != 1 or tuple(chunks[0].sizes) != tuple(local.shape):
        raise WeightUpdateError(f"Tensor {name} with placements {tensor.placements} lies here in "
                                f"{len(chunks)} pieces, expected one.", tensor=name)
    return Shard(Box(whole, tuple(chunks[0].offsets), tuple(local.shape)), local, False)


def _parts(name: str, shard: Shard) -> Iterator[Tuple[str, Shard]]:
    """Fused experts become one tensor per expert; of a box, what it has of each."""
    experts = expert_parts(name, shard.box.whole)
    if experts is None:
        yield name, shard
        return
    (e0, r0, c0), (n_experts, n_rows, n_columns) = shard.box.first, shard.box.size
    columns = shard.box.whole[2]
    for hub_name, expert, first, last in experts:
        begin, end = max(first, r0), min(last, r0 + n_rows)
        whole = (last - first, columns)
        if not e0 <= expert < e0 + n_experts or begin >= end:
            yield hub_name, Shard(Box(whole, (0, 0), (0, 0)), shard.values.new_empty((0, 0)),
                                  shard.is_copy)
            continue
        yield hub_name, Shard(Box(whole, (begin - first, c0), (end - begin, n_columns)),
                              shard.values[expert - e0, begin - r0:end - r0], shard.is_copy)


class Described(NamedTuple):
    """What a rank says of a shard."""

    box: Box
    is_copy: bool


def describe(shards: Mapping[str, Shard]) -> List[List[Any]]:
    return [[name, *map(list, s.box), s.is_copy] for name, s in shards.items()]


def read_description(text: List[List[Any]]) -> Dict[str, Described]:
    return {name: Described(Box(tuple(whole), tuple(first), tuple(size)), is_copy)
            for name, whole, first, size, is_copy in text}


def owners(said: Mapping[int, Mapping[str, Described]]) -> Dict[str, Dict[int, Box]]:
    """By name, which ranks (in order) give which box. Raises where the boxes are not all of a
    tensor."""
    names: Dict[str, None] = {name: None for one in said.values() for name in one}
    return {name: _owners(name, {rank: one[name] for rank, one in said.items() if name in one})
            for name in names}


def _owners(name: str, said: Mapping[int, Described]) -> Dict[int, Box]:
    shapes = {d.box.whole for d in said.values()}
    if len(shapes) > 1:
        raise WeightUpdateError(f"Tensor {name} has shape " + " and ".join(
            map(str, sorted(shapes))) + " on different ranks.", tensor=name)
    copies = [rank for rank, d in said.items() if d.is_copy]
    boxes = {copies[0]: said[copies[0]].box} if copies else {
        rank: d.box for rank, d in said.items() if d.box.n}
    n, (whole,) = sum(box.n for box in boxes.values()), shapes
    if n != prod(whole) or len({box.first for box in boxes.values()}) < len(boxes):
        raise WeightUpdateError(f"Of tensor {name} the ranks have {n:,} values, expected each of "
                                f"{prod(whole):,} once: every rank has to call, with all that it "
                                "has.", tensor=name)
    if not n:
        raise WeightUpdateError(f"Tensor {name} is empty.", tensor=name)
    return boxes


def differ(a: Shard, b: Shard) -> bool:
    """Whether two shards of this rank have other values, as a tied head and embedding may not."""
    return a.box != b.box or (a.values.data_ptr() != b.values.data_ptr()
                              and not torch.equal(a.values, b.values))
