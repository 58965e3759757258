"""The digest of weights (kernels/digest.h): a sum of a mix of name, index and bits.

The library of native.py sums up 7 GB of bf16 a second and core, numpy, where there is none, 0.5 to
0.8: ten passes over 64 bits a value. Both let go of the interpreter's lock, so that several threads
share the work.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

import numpy as np
import xxhash
from numpy.typing import NDArray

from . import native

_STEP = 0x9E3779B97F4A7C15
_BITS = np.uint64(0xC2B2AE3D27D4EB4F)
_FIRST, _SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
MASK = (1 << 64) - 1
_BLOCK = 1 << 16  # elements whose two rows of 64 bits stay in a core's second cache

Bits = NDArray[Any]


def name_hash(name: str) -> int:
    return int(xxhash.xxh3_64_intdigest(name.encode()))


def pool() -> ThreadPoolExecutor:
    """Threads for vector code, as many as this process has cores."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0))), "stampede-vector")
        return _pool


_pool: Optional[ThreadPoolExecutor] = None
_lock = threading.Lock()


class _Rows(threading.local):
    """Work space of a thread."""

    def __init__(self) -> None:
        self.x, self.y = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint64)
        self.steps = np.arange(_BLOCK, dtype=np.uint64) * np.uint64(_STEP)


_rows = _Rows()


def _mix(x: NDArray[np.uint64], y: NDArray[np.uint64], bits: Bits) -> int:
    """The sum of a block. x: name hash + (index + 1) * STEP, overwritten as y is."""
    np.multiply(bits, _BITS, out=y, dtype=np.uint64, casting="unsafe")
    x ^= y
    np.right_shift(x, 32, out=y)
    x ^= y
    x *= _FIRST
    np.right_shift(x, 29, out=y)
    x ^= y
    x *= _SECOND
    np.right_shift(x, 32, out=y)
    x ^= y
    return int(x.sum())


def of_range(hashed: int, first: int, bits: Bits) -> int:
    """The part of the digest of elements first, first + 1, ...; bits: uint16 or uint32."""
    lib = native.library()
    if lib is not None:
        bits = np.ascontiguousarray(bits)
        return int(lib.stampede_digest_range(hashed, first, native.pointer(bits), len(bits),
                                             bits.itemsize))
    rows, total = _rows, 0
    for i in range(0, len(bits), _BLOCK):
        block = bits[i:i + _BLOCK]
        n = len(block)
        start = np.uint64((hashed + (first + i + 1) * _STEP) & MASK)
        np.add(rows.steps[:n], start, out=rows.x[:n])
        total += _mix(rows.x[:n], rows.y[:n], block)
    return total & MASK


def of_positions(hashed: int, positions: NDArray[Any], bits: Bits) -> int:
    """The part of the digest of elements at these positions."""
    lib = native.library()
    if lib is not None:
        at, bits = np.ascontiguousarray(positions, np.uint32), np.ascontiguousarray(bits)
        return int(lib.stampede_digest_positions(hashed, native.pointer(at), native.pointer(bits),
                                                 len(bits), bits.itemsize))
    rows, total = _rows, 0
    start = np.uint64((hashed + _STEP) & MASK)
    for i in range(0, len(bits), _BLOCK):
        block = bits[i:i + _BLOCK]
        x = rows.x[:len(block)]
        np.multiply(positions[i:i + _BLOCK], np.uint64(_STEP), out=x, dtype=np.uint64,
                    casting="unsafe")
        x += start
        total += _mix(x, rows.y[:len(block)], block)
    return total & MASK
