"""What an asynchronous trainer adds to grpo.py: rollouts that are asked for ahead of time, and
losses that weigh tokens of older policies.

A token's weight is the ratio of its probability now to its probability when it was drawn, both as
the trainer computes them (lp_full): truncated at a cap (TIS), or left out of the sum outside of
1 / cap to cap (MIS). version_spans say which policy drew which token; rows of which a token is
older than the lag that is allowed are left out.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def importance_loss(
    own: Tensor, behaviour: Tensor, advantage: Tensor, cap: float, masked: bool, n_tokens: int
) -> Tensor:
    """Policy gradient with weights that have no gradient, summed over tokens and divided by the
    batch's `n_tokens`. own, behaviour, advantage (tokens,) as in grpo.clipped_loss."""
    ratio = (own.detach() - behaviour).exp()
    if masked:
        weight = torch.where((ratio > cap) | (ratio * cap < 1), torch.zeros_like(ratio), ratio)
    else:
        weight = ratio.clamp(max=cap)
    return -(weight * advantage * own).sum() / n_tokens


def lags(versions: Tensor, completion: Tensor, version: int) -> Tensor:
    """(B,) how many versions the oldest token of each row is behind; 0 for a row without any."""
    behind = torch.where(completion, version - versions, torch.zeros_like(versions))
    return behind.amax(dim=1) if behind.shape[1] else torch.zeros(len(behind), dtype=torch.long)


class Ahead:
    """Batches of rollouts, of which some are under way while the trainer works on the one before.

    draw() gives the problems of the next batch, ask(problems) submits them and returns an iterable
    of groups. `n` batches are under way at any time; 0: each is asked for when it is taken.
    """

    def __init__(self, draw: Callable[[], Sequence], ask: Callable[[Sequence], object], n: int):
        self._draw, self._ask, self._n = draw, ask, n
        self._under_way: collections.deque = collections.deque()

    def _submit(self) -> None:
        asked = self._draw()
        self._under_way.append((asked, self._ask(asked)))

    def take(self) -> tuple[Sequence, list, float]:
        """Waits for the oldest batch: its problems, its groups in their order, and the seconds that
        this waited. Then asks for as many as may be under way."""
        while len(self._under_way) < max(1, self._n):
            self._submit()
        asked, call = self._under_way.popleft()
        started = time.monotonic()
        groups = sorted(call, key=lambda group: group.index)
        waited = time.monotonic() - started
        while len(self._under_way) < self._n:
            self._submit()
        return asked, groups, waited
