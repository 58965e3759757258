"""What changes of one tensor, in the form that PROTOCOL.md gives it, and the stream of an update.

A dense change holds every value; a sparse one the values of some positions and codes that say
which. Both lie in parts, each at a multiple of 64 bytes of the stream.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from . import digest, native, wire

_CODES = 4096  # of an anchor
WIDTHS = (1, 2, 4)
Bits = NDArray[Any]
Bytes = NDArray[np.uint8]


class Part(NamedTuple):
    """Bytes of the stream: read(begin, end) gives some of them."""

    n_bytes: int
    read: Callable[[int, int], Bytes]


class Change(NamedTuple):
    """One tensor of an update."""

    name: str  # hub name
    dtype: str
    shape: Tuple[int, ...]
    mode: int
    n_values: int
    check: int  # what the values make of the digest
    code_bytes: int
    n_codes: int
    parts: Tuple[Part, ...]

    @property
    def n_bytes(self) -> int:
        return sum(part.n_bytes for part in self.parts)


def part_of(array: NDArray[Any]) -> Part:
    data = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
    return Part(data.size, lambda begin, end: data[begin:end])


def dense(name: str, dtype: str, shape: Sequence[int], check: int, values: Part) -> Change:
    n = int(np.prod(shape, dtype=np.int64))
    return Change(name, dtype, tuple(shape), wire.TENSOR_DENSE, n, check, 0, 0, (values,))


class Block(NamedTuple):
    """Some values of a tensor that differ: positions, which rise, and the new bits there."""

    positions: NDArray[np.uint32]
    bits: Bits
    # The positions as encode() has them, where they were made already; their type is that of all
    # blocks of the tensor.
    codes: Optional[NDArray[Any]] = None


def sparse(name: str, dtype: str, shape: Sequence[int], blocks: Sequence[Block]) -> Change:
    """The values of blocks, which follow each other; there is at least one value. No step of it
    takes long, however large the tensor: threads that wait for the interpreter get it."""
    parts = [block.codes for block in blocks if block.codes is not None]
    codes = join(parts) if len(parts) == len(blocks) else encode([b.positions for b in blocks])
    hashed = digest.name_hash(name)
    check = sum(digest.of_positions(hashed, b.positions, b.bits) for b in blocks) & digest.MASK
    anchors, values = _anchors(codes), join([block.bits for block in blocks])
    return Change(name, dtype, tuple(shape), wire.TENSOR_SPARSE, len(values), check,
                  codes.itemsize, len(codes), (part_of(codes), part_of(anchors), part_of(values)))


def join(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


# --- positions ---


def encode(positions: Sequence[NDArray[np.uint32]]) -> NDArray[Any]:
    """The codes of positions, which rise over all blocks, of the width that takes the fewest
    bytes."""
    lib = native.library()
    if lib is None:
        return _encode(positions)
    cursors = [0]
    for some in positions:
        cursors.append(int(some[-1]) + 1 if len(some) else cursors[-1])
    n_skips = np.zeros((len(positions), len(WIDTHS)), np.uint64)
    for some, cursor, out in zip(positions, cursors, n_skips):
        lib.stampede_count_skips(native.pointer(some), len(some), cursor, native.pointer(out))
    n_values = sum(len(some) for some in positions)
    total = dict(zip(WIDTHS, n_skips.sum(0).tolist()))
    width = best_width(n_values, total)
    codes = np.empty(n_values + total[width], np.dtype(f"<u{width}"))
    at = 0
    for some, cursor in zip(positions, cursors):
        at += lib.stampede_encode(native.pointer(some), len(some), cursor, width,
                                  native.pointer(codes[at:]))
    return codes


def _encode(positions: Sequence[NDArray[np.uint32]]) -> NDArray[Any]:
    """The same in numpy."""
    gaps, cursor = [], 0
    for some in positions:
        gap = np.empty(len(some), np.uint32)
        if len(some):
            gap[0] = some[0] - cursor
            np.subtract(some[1:], some[:-1], out=gap[1:], casting="unsafe")
            gap[1:] -= 1
            cursor = int(some[-1]) + 1
        gaps.append(gap)
    n_values = sum(len(gap) for gap in gaps)
    width = best_width(n_values, {w: sum(_n_skips(gap, w) for gap in gaps) for w in WIDTHS})
    return join([_codes(gap, width) for gap in gaps])


def best_width(n_values: int, n_skips: Dict[int, int]) -> int:
    """Bytes of a code; `n_skips`: codes without a value, by width."""
    return min(WIDTHS, key=lambda width: (width * (n_values + n_skips[width]), width))


def skip_of(width: int) -> int:
    """The code without a value."""
    return int((1 << 8 * width) - 1)


def _n_skips(gaps: NDArray[np.uint32], width: int) -> int:
    large = gaps[gaps >= skip_of(width)]
    return int((large // skip_of(width)).sum(dtype=np.int64)) if len(large) else 0


def _codes(gaps: NDArray[np.uint32], width: int) -> NDArray[Any]:
    dtype, skip = np.dtype(f"<u{width}"), skip_of(width)
    if not len(gaps) or int(gaps.max()) < skip:
        return gaps.astype(dtype)
    at = np.cumsum(gaps // skip + 1, dtype=np.int64) - 1  # codes without a value in front of each
    codes = np.full(int(at[-1]) + 1, skip, dtype)
    codes[at] = gaps % skip
    return codes


def decode(codes: NDArray[Any]) -> NDArray[np.int64]:
    """The positions that codes of encode() say, counted from the cursor in front of them."""
    has_value = codes != skip_of(codes.itemsize)
    cursor = np.cumsum(codes, dtype=np.int64)
    cursor += np.cumsum(has_value)
    positions: NDArray[np.int64] = cursor[has_value] - 1
    return positions


def _anchors(codes: NDArray[Any]) -> NDArray[np.uint64]:
    """The cursor and the number of values before each 4,096 codes (blocks, 2)."""
    anchors = np.zeros(((len(codes) + _CODES - 1) // _CODES, 2), "<u8")
    lib = native.library()
    if lib is not None:
        lib.stampede_anchors(native.pointer(codes), len(codes), codes.itemsize,
                             native.pointer(anchors))
        return anchors
    skip = skip_of(codes.itemsize)
    starts = np.arange(0, len(codes), _CODES)
    moved = np.add.reduceat(codes, starts, dtype=np.uint64)
    values = np.add.reduceat(codes != skip, starts, dtype=np.uint64)
    moved += values  # the cursor goes on behind each value
    np.cumsum(moved[:-1], out=anchors[1:, 0])
    np.cumsum(values[:-1], out=anchors[1:, 1])
    return anchors


# --- what differs ---


class _Room(threading.local):
    """A thread's space for what differs: pages that come anew for each call cost more than it."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def take(self, n: int, size: int) -> Tuple[NDArray[np.uint32], Bits]:
        """(n) positions and (n) values of `size` bytes."""
        if len(self._bytes) < n * (4 + size):
            self._bytes = np.empty(n * (4 + size), np.uint8)
        return (self._bytes[:4 * n].view(np.uint32),
                self._bytes[4 * n:n * (4 + size)].view(f"<u{size}"))


_room = _Room()


def differing(old: Bits, new: Bits, first: int) -> Block:
    """Where two flat arrays of bits differ, counted from `first`, and the new bits there."""
    lib = native.library()
    if lib is None or old.itemsize not in native.SIZES:
        found = np.flatnonzero(old != new)
        return Block((found + first).astype(np.uint32), new[found])
    positions, bits = _room.take(len(new), new.itemsize)
    n = lib.stampede_differing(native.pointer(old), native.pointer(new), len(new), new.itemsize,
                               first, native.pointer(positions), native.pointer(bits))
    return Block(positions[:n].copy(), bits[:n].copy())


def replace(values: Bits, block: Block) -> Block:
    """Writes a block into all values of a tensor; returns what was there before."""
    last = int(block.positions[-1]) if len(block.positions) else -1
    assert last < len(values), f"position {last} of {len(values)} values"  # C would not notice
    lib = native.library()
    if lib is None or values.itemsize not in native.SIZES:
        former = Block(block.positions, values[block.positions])
        values[block.positions] = block.bits
        return former
    bits = np.empty_like(block.bits)
    lib.stampede_replace(native.pointer(values), native.pointer(block.positions),
                         native.pointer(block.bits), len(bits), bits.itemsize,
                         native.pointer(bits))
    return Block(block.positions, bits)


# --- the stream ---


class Stream:
    """The changes of an update, one part behind the other."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = list(changes)
        self._parts: List[Part] = []
        self._begins: List[int] = []
        self.n_bytes = 0
        for change in self.changes:
            for part in change.parts:
                self._parts.append(part)
                self._begins.append(self.n_bytes)
                self.n_bytes += (part.n_bytes + wire.ALIGNMENT - 1) // wire.ALIGNMENT * \
                    wire.ALIGNMENT

    def read(self, offset: int, n_bytes: int) -> Optional[Bytes]:
        """Bytes of the stream, or None where there are none so far behind."""
        if offset >= self.n_bytes or n_bytes < 1:
            return None
        end = min(offset + n_bytes, self.n_bytes)
        i = bisect_right(self._begins, offset) - 1
        if end <= self._begins[i] + self._parts[i].n_bytes:
            return self._parts[i].read(offset - self._begins[i], end - self._begins[i])
        out = np.zeros(end - offset, np.uint8)
        while i < len(self._parts) and self._begins[i] < end:
            begin, part = self._begins[i], self._parts[i]
            first, last = max(offset, begin), min(end, begin + part.n_bytes)
            if first < last:
                out[first - offset:last - offset] = part.read(first - begin, last - begin)
            i += 1
        return out

    def begin_fields(self, update: int, base: int, version: int) -> Dict[str, Any]:
        """WEIGHTS_BEGIN."""
        changes = self.changes
        shapes = np.zeros((len(changes), 4), "<i8")
        for row, c in zip(shapes, changes):
            row[:len(c.shape)] = c.shape
        names, name_offsets = wire.pack_texts([c.name.encode() for c in changes])

        def column(dtype: str, values: Sequence[int]) -> NDArray[Any]:
            return np.array(values, dtype)

        return {
            "update": update, "base": base, "version": version, "total_bytes": self.n_bytes,
            "names": names, "name_offsets": name_offsets,
            "dtypes": column("<u1", [wire.DTYPES[c.dtype][0] for c in changes]),
            "ranks": column("<u1", [len(c.shape) for c in changes]), "shapes": shapes,
            "modes": column("<u1", [c.mode for c in changes]),
            "n_values": column("<u8", [c.n_values for c in changes]),
            "checks": column("<u8", [c.check for c in changes]),
            "code_bytes": column("<u1", [c.code_bytes for c in changes]),
            "n_codes": column("<u8", [c.n_codes for c in changes]),
        }
