"""A rank's own snapshot of its shards: what workers have of them, in the types that they hold.

What differs from it goes to rank 0: codes and values of some elements of a box, or all of it in
pieces. What a push overwrites is kept until the next one tells how it ended.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch

from . import deltas, digest
from .deltas import Bits, Block
from .links import Frame
from .shards import Shard
from .snapshot import changed, check_bits, flat_bits, room_for, rounded, torch_dtype

PIECE = 1 << 20  # elements of a frame at most
Key = Tuple[str, str]  # hub name, type at the worker
_HEAD = 3  # of a frame with codes: bytes of a code, codes, values


class _Former(NamedTuple):
    """Before the last push; None: it is not known any more."""

    version: Optional[int]
    blocks: Dict[Key, Optional[List[Block]]]


class Mirror:
    """Used by one thread at a time."""

    def __init__(self) -> None:
        self._version: Optional[int] = None
        self._tensors: Dict[Key, "torch.Tensor"] = {}  # flat, on the CPU
        self._former: Optional[_Former] = None
        self._found: Dict[Key, Optional[List[Block]]] = {}

    def settle(self, base: Optional[int]) -> None:
        """`base`: the version that rank 0 goes on from."""
        former, self._former = self._former, None
        if base == self._version:
            return
        if former is None or former.version != base:
            self._tensors.clear()
        else:
            for key, blocks in former.blocks.items():
                if blocks is None:
                    del self._tensors[key]
                    continue
                for block in blocks:
                    deltas.replace(flat_bits(self._tensors[key]), block)
        self._version = base

    # --- a push ---

    def compare(self, shards: Mapping[str, Shard], keys: Sequence[Key]) -> List[int]:
        """How many values differ of each; -1: so many, or all, that all of it is less."""
        self._found = {}
        found = digest.pool().map(lambda key: self._changed(shards[key[0]], key), keys)
        self._found = dict(zip(keys, found))
        return [-1 if blocks is None else sum(len(block.bits) for block in blocks)
                for blocks in self._found.values()]

    def _changed(self, shard: Shard, key: Key) -> Optional[List[Block]]:
        name, dtype = key
        old, new = self._tensors.get(key), shard.values.contiguous().view(-1)
        blocks = None if old is None or len(old) != len(new) else changed(old, new, dtype)
        for block in blocks or ():
            check_bits(name, dtype, block.bits)
        return blocks

    def frames(self, shards: Mapping[str, Shard], key: Key, is_dense: bool) -> Iterator[Frame]:
        """What rank 0 gets of a tensor, in frames that read_sparse or read_dense take."""
        if not is_dense:
            yield from map(_sparse_frame, (b for b in self._found[key] or () if len(b.bits)))
            return
        self._found[key] = None
        values = shards[key[0]].values.contiguous()
        for first in range(0, values.numel(), PIECE):
            bits = rounded(values, first, PIECE, key[1])
            check_bits(*key, bits)
            yield np.ascontiguousarray(bits).view(np.uint8)

    def write(self, version: int, shards: Mapping[str, Shard]) -> None:
        """What was sent is what workers have, if the push goes well."""
        blocks: Dict[Key, Optional[List[Block]]] = {}
        for key, found in self._found.items():
            if found is None:
                self._tensors[key] = _rounded_copy(shards[key[0]], key[1])
                blocks[key] = None
                continue
            flat = flat_bits(self._tensors[key])
            blocks[key] = [deltas.replace(flat, block) for block in found]
        self._former, self._version, self._found = _Former(self._version, blocks), version, {}


def _rounded_copy(shard: Shard, dtype: str) -> "torch.Tensor":
    flat = shard.values.contiguous().view(-1)
    out = room_for([len(flat)], torch_dtype(dtype), flat.device)
    for first in range(0, len(flat), PIECE):
        out[first:first + PIECE] = flat[first:first + PIECE]
    return out


# --- frames ---


def _sparse_frame(block: Block) -> Frame:
    codes = deltas.encode([block.positions])
    head = np.array([codes.itemsize, len(codes), len(block.bits)], np.int64)
    return np.concatenate([np.ascontiguousarray(a).view(np.uint8)
                           for a in (head, codes, block.bits)])


def read_sparse(frame: Frame, dtype: str) -> Tuple[Bits, Bits]:
    """Positions in the box, and bits."""
    width, n_codes, n_values = frame[:8 * _HEAD].view(np.int64).tolist()
    end = 8 * _HEAD + width * n_codes
    codes = frame[8 * _HEAD:end].view(np.dtype(f"<u{width}"))
    bits = frame[end:].copy().view(_bits_dtype(dtype))
    assert len(bits) == n_values, "a frame of another rank is not as long as it says"
    return deltas.decode(codes), bits


def read_dense(frame: Frame, dtype: str) -> Bits:
    bits: Bits = frame.view(_bits_dtype(dtype))
    return bits


def _bits_dtype(dtype: str) -> "np.dtype[np.unsignedinteger]":
    return np.dtype("<u4" if dtype == "f32" else "<u2")
