"""What was pushed last by ranks that have shards: one copy in the types of the workers, in files.

It takes Snapshot's place where no process may hold all weights. The files have no names, and lie in
a directory of the user's choice; the system writes their pages out when memory is scarce.
"""

from __future__ import annotations

import os
import tempfile
import threading
from math import prod
from typing import (TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, NamedTuple, Optional,
                    Sequence, Set, Tuple)

import numpy as np

from . import deltas, digest
from .deltas import Bits, Block, Change, Part
from .errors import ArgumentError, WeightUpdateError
from .links import Frame
from .mirror import PIECE, Key, read_dense, read_sparse
from .shards import Box, Shape
from .snapshot import Prepared
from .weights import DtypePlan

if TYPE_CHECKING:
    from .updates import Updates

_BLOCK = 1 << 20  # values that are encoded and summed at a time


class Copy(NamedTuple):
    """One tensor in one type."""

    shape: Shape
    bits: Bits  # flat, in a file


class _Former(NamedTuple):
    copy: Optional[Copy]  # None: it was not there
    block: Optional[Block]  # what was overwritten of it; None: it is another file


class Copies:
    """Methods may be called on any thread; parts that it gave are read on the I/O thread."""

    def __init__(self, folder: Optional[str]) -> None:
        self.version: Optional[int] = None
        self._folder = folder
        self._copies: Dict[Key, Copy] = {}
        self._names: Set[str] = set()
        self._former: Dict[Key, _Former] = {}
        self._changes: Dict[Key, Optional[Change]] = {}  # of the push; None: nothing changed
        self._plans: Set[DtypePlan] = set()  # that workers had at a push
        self._dense: Dict[DtypePlan, List[Change]] = {}
        self._all_of: Dict[Key, Change] = {}  # what _all() made
        self.lock = threading.Lock()  # held from begin() to prepared() or undo()

    # --- a push: begin(), keys(), put_sparse() or put_dense() of each, prepared() or undo() ---

    def keys(self, names: Iterable[str], plans: Iterable[DtypePlan]) -> List[Key]:
        """What a push of these names has to bring. Types that were asked for once are kept."""
        self._plans |= set(plans)
        return sorted({(name, plan.dtype_of(name)) for name in names for plan in self._plans})

    def has(self, key: Key, shape: Shape) -> bool:
        return key in self._copies and self._copies[key].shape == shape

    def put_sparse(self, key: Key, parts: Sequence[Tuple[Box, Sequence[Frame]]]) -> None:
        """What ranks say of their boxes, merged by position."""
        name, dtype = key
        copy = self._copies[key]
        some = [(box.to_whole(positions), bits) for box, frames in parts
                for positions, bits in (read_sparse(frame, dtype) for frame in frames)]
        if not some:
            self._changes[key] = None
            return
        positions = deltas.join([p for p, _ in some])
        bits = deltas.join([b for _, b in some])
        if not bool((positions[1:] > positions[:-1]).all()):
            order = np.argsort(positions, kind="stable")
            positions, bits = positions[order], bits[order]
            if not bool((positions[1:] > positions[:-1]).all()):
                raise WeightUpdateError(f"Shards of tensor {name} overlap.", tensor=name)
        whole = Block(positions.astype(np.uint32), bits)
        self._former[key] = _Former(copy, deltas.replace(copy.bits, whole))
        self._all_of.pop(key, None)
        blocks = [Block(whole.positions[i:i + _BLOCK], bits[i:i + _BLOCK])
                  for i in range(0, len(bits), _BLOCK)]
        change = deltas.sparse(name, dtype, copy.shape, blocks)
        self._changes[key] = change if change.n_bytes < copy.bits.nbytes else self._all(key)

    def put_dense(self, key: Key, shape: Shape,
                  parts: Iterable[Tuple[Box, Iterable[Frame]]]) -> None:
        """All of a tensor, into a file of its own: nobody sees it before prepared()."""
        copy = Copy(shape, self._file(key, shape))
        for box, frames in parts:
            at = 0
            for frame in frames:
                bits = read_dense(frame, key[1])
                if box.is_run:
                    first = int(box.to_whole(np.zeros(1, np.int64))[0]) + at
                    copy.bits[first:first + len(bits)] = bits
                else:
                    copy.bits[box.to_whole(np.arange(at, at + len(bits)))] = bits
                at += len(bits)
        self._former[key] = _Former(self._copies.get(key), None)
        self._copies[key] = copy
        self._all_of.pop(key, None)
        self._changes[key] = self._all(key)

    def prepared(self, version: int, plans: Iterable[DtypePlan], n_values: int,
                 seconds: float) -> Prepared:
        """Everything was put."""
        changes = {plan: [change for (name, dtype), change in self._changes.items()
                          if change is not None and plan.dtype_of(name) == dtype]
                   for plan in set(plans)}
        out = Prepared(version, self.version, changes, {}, (), n_values, seconds)
        self._names |= {name for name, _ in self._changes}
        self.version, self._dense, self._changes = version, {}, {}
        return out

    def begin(self) -> None:
        """The push before can be taken back no more."""
        self._former, self._changes = {}, {}

    def undo(self) -> None:
        """Takes back what was put."""
        for key, (copy, block) in self._former.items():
            if copy is None:
                del self._copies[key]
                continue
            if block is not None:
                deltas.replace(copy.bits, block)
            self._copies[key] = copy
        self._all_of.clear()
        self.begin()

    def _file(self, key: Key, shape: Shape) -> Bits:
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                size = 4 if key[1] == "f32" else 2
                os.posix_fallocate(file.fileno(), 0, prod(shape) * size)  # else a full disk kills
                return np.asarray(np.memmap(file, f"<u{size}", "r+"))
        except OSError as error:
            raise WeightUpdateError(f"Tensor {key[0]} finds no room for its copy in "
                                    f"{self._folder or tempfile.gettempdir()}: {error}.",
                                    tensor=key[0]) from error

    # --- as Snapshot ---

    def prepare(self, version: int, state: Mapping[str, Any],
                plans: Iterable[DtypePlan]) -> Prepared:
        raise ArgumentError("push_weights: this Trainer's weights come by a ShardPusher, whose "
                            "push_weights has to be called.")

    def revert(self, prepared: Prepared) -> None:
        with self.lock:
            self.undo()
            self._names = {name for name, _ in self._copies}
            self.version, self._dense = prepared.base, {}

    def has_dense(self, plan: DtypePlan) -> bool:
        return plan in self._dense

    def dense(self, plan: DtypePlan) -> List[Change]:
        """All of it in the types of `plan`. Takes a while, once for each version."""
        with self.lock:
            if plan not in self._dense:
                keys = [(name, plan.dtype_of(name)) for name in sorted(self._names)]
                for name, dtype in keys:
                    if (name, dtype) not in self._copies:
                        raise WeightUpdateError(f"Tensor {name} was not asked for as {dtype} "
                                                "before: the next push brings it.", tensor=name)
                self._dense[plan] = list(digest.pool().map(self._all, keys))
            return self._dense[plan]

    def _all(self, key: Key) -> Change:
        change = self._all_of.get(key)
        if change is None:
            change = self._all_of[key] = self._summed(key)
        return change

    def _summed(self, key: Key) -> Change:
        name, dtype = key
        shape, bits = self._copies[key]
        hashed, check = digest.name_hash(name), 0
        for first in range(0, len(bits), PIECE):
            check += digest.of_range(hashed, first, bits[first:first + PIECE])
        data = bits.view(np.uint8)
        part = Part(bits.nbytes, lambda begin, end: data[begin:end])
        return deltas.dense(name, dtype, shape, check & digest.MASK, part)


def copies_of(updates: "Updates", folder: Optional[str]) -> Copies:
    """In the place of the trainer's snapshot; those of an earlier ShardPusher stay."""
    if updates.store is None:
        updates.store = Copies(folder)
    if not isinstance(updates.store, Copies):
        raise ArgumentError("ShardPusher: this Trainer has pushed weights by itself.")
    return updates.store
