"""What differs of a tensor on a GPU, made there: codes of the positions, and values. Only these
cross to the host, where the positions are read from the codes.

The former values lie on the host, and cross to the device a slice at a time. Everything here runs
on any device of torch; its bytes are those of deltas.py.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional

import numpy as np
import torch

from . import deltas
from .deltas import Block

SLICE = 1 << 24  # elements that are compared at a time
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class _Piece(NamedTuple):
    """Of one slice, on the device."""

    gaps: "torch.Tensor"  # int64: from the cursor behind the value before
    bits: "torch.Tensor"  # integers of the size of a value
    start: int  # the cursor in front of the first value


def changed(old: "torch.Tensor", new: "torch.Tensor", wanted: "torch.dtype",
            most: int) -> Optional[List[Block]]:
    """Where two flat tensors differ as `wanted`, and the new bits there; None where more than
    `most` do. `old` is on the host, `new` anywhere."""
    pieces: List[_Piece] = []
    cursor = n_values = 0
    for first in range(0, len(new), SLICE):
        a = _bits(old[first:first + SLICE].to(new.device, non_blocking=True), wanted)
        b = _bits(new[first:first + SLICE], wanted)
        positions = (a != b).nonzero().view(-1)
        n_values += len(positions)
        if n_values > most:
            return None
        pieces.append(_Piece(_gaps(positions + first, cursor), b[positions], cursor))
        if len(positions):
            cursor = first + int(positions[-1]) + 1
    width = deltas.best_width(n_values, {w: sum(_n_skips(p.gaps, w) for p in pieces)
                                         for w in deltas.WIDTHS})
    return [_block(piece, width) for piece in pieces]


def _bits(values: "torch.Tensor", wanted: "torch.dtype") -> "torch.Tensor":
    return values.to(wanted).contiguous().view(_INTEGERS[wanted.itemsize])


def _gaps(positions: "torch.Tensor", cursor: int) -> "torch.Tensor":
    gaps = positions.clone()
    gaps[:1] -= cursor
    gaps[1:] -= positions[:-1] + 1
    return gaps


def _n_skips(gaps: "torch.Tensor", width: int) -> int:
    """Codes without a value."""
    return int((gaps // deltas.skip_of(width)).sum())


def _block(piece: _Piece, width: int) -> Block:
    skip = deltas.skip_of(width)
    n_skips = piece.gaps // skip
    at = (n_skips + 1).cumsum(0) - 1
    n_codes = int(at[-1]) + 1 if len(at) else 0
    codes = torch.full((n_codes,), skip, dtype=torch.int64, device=at.device)
    codes[at] = piece.gaps - n_skips * skip
    on_host = _unsigned(codes.to(_INTEGERS[width]))
    positions = deltas.decode(on_host) + piece.start
    return Block(positions.astype(np.uint32), _unsigned(piece.bits), on_host)


def _unsigned(integers: "torch.Tensor") -> Any:
    """On the host, as unsigned ones."""
    array = integers.cpu().numpy()
    return array.view(np.dtype(f"<u{array.itemsize}"))
