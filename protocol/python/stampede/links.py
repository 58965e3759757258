"""Frames between rank 0 and the others of a process group, by gloo, each to a deadline.

A rank that dies is seen at once, one that stands still when the deadline is over; after that gloo
has closed what connects the ranks, and nothing more can be said there.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Dict, Optional

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from .errors import ArgumentError, WeightUpdateError

Frame = NDArray[np.uint8]
# In the place of a size: nothing yet, but somebody is there; and -2 - size: a sentence why not.
_ALIVE, _FAILED = -1, -2


class LostError(WeightUpdateError):
    """A rank that cannot be reached any more."""


class FailedError(WeightUpdateError):
    """A rank that says why it has no more frames."""


class Links:
    """Of one rank. All ranks of `group` make theirs together."""

    def __init__(self, group: Any, deadline_s: float) -> None:
        if not dist.is_initialized():
            raise ArgumentError("ShardPusher: torch.distributed has no process group here; call "
                                "init_process_group first.")
        self.deadline_s = deadline_s
        self._ranks = dist.get_process_group_ranks(dist.group.WORLD if group is None else group)
        self._group: Optional[Any] = dist.new_group(
            self._ranks, timeout=timedelta(seconds=4 * deadline_s), backend="gloo",
            use_local_synchronization=True)
        self.rank, self.n = self._ranks.index(dist.get_rank()), len(self._ranks)
        self.broken = ""

    def _run(self, call: Any, tensor: "torch.Tensor", other: int) -> None:
        # Rank 0 gives up first, so that its sentence is the one that counts.
        deadline = self.deadline_s * (1 if self.rank == 0 else 3)
        try:
            work = call(tensor, self._ranks[other], group=self._group)
            if work is not None:
                work.wait(timedelta(seconds=deadline))
        except RuntimeError as error:
            # gloo's own text begins with a place in its sources, and goes on for lines.
            said = str(error).split("] ", 1)[-1].split(". ")[0].split("\n")[0].rstrip(".")
            self.broken = f"Rank {other} cannot be reached: {said}"
            raise LostError(f"{self.broken}.") from None

    def send(self, other: int, frame: Frame) -> None:
        self._run(dist.isend, torch.tensor([frame.size]), other)
        if frame.size:
            self._run(dist.isend, torch.from_numpy(frame), other)

    def send_alive(self, other: int) -> None:
        """Its deadline begins anew."""
        self._run(dist.isend, torch.tensor([_ALIVE]), other)

    def send_failure(self, other: int, why: str) -> None:
        text = np.frombuffer(why.encode("utf-8", "replace"), np.uint8).copy()
        self._run(dist.isend, torch.tensor([_FAILED - text.size]), other)
        self._run(dist.isend, torch.from_numpy(text), other)

    def receive(self, other: int) -> Frame:
        size = torch.tensor([_ALIVE])
        while int(size) == _ALIVE:
            self._run(dist.irecv, size, other)
        n = int(size)
        out = torch.empty(n if n >= 0 else _FAILED - n, dtype=torch.uint8)
        if len(out):
            self._run(dist.irecv, out, other)
        frame: Frame = out.numpy()
        if n < 0:
            raise FailedError(frame.tobytes().decode("utf-8", "replace"))
        return frame

    def send_json(self, other: int, value: Any) -> None:
        text = json.dumps(value, separators=(",", ":")).encode()
        self.send(other, np.frombuffer(text, np.uint8).copy())

    def receive_json(self, other: int) -> Dict[str, Any]:
        out: Dict[str, Any] = json.loads(self.receive(other).tobytes())
        return out

    def close(self) -> None:
        if self._group is not None:
            dist.destroy_process_group(self._group)
            self._group = None
