"""What changes of one tensor, in the form that PROTOCOL.md gives it, and the stream of an update.

A dense change holds every value; a sparse one the values of some positions and codes that say
which. Both lie in parts, each at a multiple of 64 bytes of the stream.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from . import digest, wire

_BLOCK = 4096  # codes of an anchor
_SCAN = 1 << 20  # elements that are compared at a time
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


def sparse(name: str, dtype: str, shape: Sequence[int], positions: NDArray[Any],
           bits: Bits) -> Change:
    """Values at positions, which rise; there is at least one."""
    code_bytes, codes, anchors = encode(positions)
    check = digest.of_positions(digest.name_hash(name), positions, bits)
    return Change(name, dtype, tuple(shape), wire.TENSOR_SPARSE, len(bits), check, code_bytes,
                  len(codes), (part_of(codes), part_of(anchors), part_of(bits)))


# --- positions ---


def encode(positions: NDArray[Any]) -> Tuple[int, NDArray[Any], NDArray[np.uint64]]:
    """Bytes of a code, codes and anchors (blocks, 2): what takes the fewest bytes."""
    gaps = np.empty(len(positions), np.int64)
    gaps[0] = positions[0]
    np.subtract(positions[1:], positions[:-1], out=gaps[1:], dtype=np.int64, casting="unsafe")
    gaps[1:] -= 1
    width, n_skips = _width(gaps)
    codes, is_value = _codes(gaps, width, n_skips)
    return width, codes, _anchors(codes, is_value, width)


def _width(gaps: NDArray[np.int64]) -> Tuple[int, int]:
    """The width with the fewest bytes, and how many codes without a value it needs."""
    best: Optional[Tuple[int, int, int]] = None
    for width in (1, 2, 4):
        skip = (1 << 8 * width) - 1
        large = gaps[gaps >= skip]
        n_skips = int((large // skip).sum())
        n_bytes = width * (len(gaps) + n_skips)
        if best is None or n_bytes < best[0]:
            best = n_bytes, width, n_skips
        if n_skips == 0:
            break
    assert best is not None
    return best[1], best[2]


def _codes(gaps: NDArray[np.int64], width: int,
           n_skips: int) -> Tuple[NDArray[Any], Optional[NDArray[np.bool_]]]:
    dtype = np.dtype(f"<u{width}")
    if not n_skips:
        return gaps.astype(dtype), None
    skip = (1 << 8 * width) - 1
    before = gaps // skip  # codes without a value in front of each
    at = np.cumsum(before + 1) - 1
    codes = np.full(int(at[-1]) + 1, skip, dtype)
    codes[at] = gaps % skip
    is_value = np.zeros(len(codes), bool)
    is_value[at] = True
    return codes, is_value


def _anchors(codes: NDArray[Any], is_value: Optional[NDArray[np.bool_]],
             width: int) -> NDArray[np.uint64]:
    """The cursor and the number of values before each block of codes."""
    starts = np.arange(0, len(codes), _BLOCK)
    moved = np.add.reduceat(codes, starts, dtype=np.uint64)
    if is_value is None:
        values = np.minimum(len(codes) - starts, _BLOCK).astype(np.uint64)
    else:
        values = np.add.reduceat(is_value, starts, dtype=np.uint64)
    moved += values  # the cursor goes on behind each value
    anchors = np.zeros((len(starts), 2), "<u8")
    np.cumsum(moved[:-1], out=anchors[1:, 0])
    np.cumsum(values[:-1], out=anchors[1:, 1])
    return anchors


# --- what differs ---


def differing(old: Bits, new: Bits) -> NDArray[np.int64]:
    """Positions at which two flat arrays of bits differ."""
    found = [start + _differing(old[start:start + _SCAN], new[start:start + _SCAN])
             for start in range(0, len(new), _SCAN)]
    return found[0] if len(found) == 1 else np.concatenate(found)


def _differing(old: Bits, new: Bits) -> NDArray[np.int64]:
    """Words of 8 bytes first: most are the same."""
    per_word = 8 // new.itemsize
    n_words = len(new) // per_word
    whole = n_words * per_word
    a, b = old[:whole].view(np.uint64), new[:whole].view(np.uint64)
    words = np.flatnonzero(a != b)
    mask = old[:whole].reshape(-1, per_word)[words] != new[:whole].reshape(-1, per_word)[words]
    row, column = np.nonzero(mask)
    positions = words[row] * per_word + column
    tail = np.flatnonzero(old[whole:] != new[whole:])
    return np.concatenate([positions, tail + whole]) if len(tail) else positions


def sparse_bytes(n_values: int, itemsize: int, code_bytes: int = 1) -> int:
    """At least so many bytes a sparse change takes."""
    return n_values * (itemsize + code_bytes)


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
