"""Partial samples: what a worker drew of a sample before it was told to stop. Another goes on."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from .messages import Column
from .results import PREEMPTED, Result
from .tables import DTYPES
from .types import TASK_KEYS, TaskColumn

_NUMBERS = {dtype: number for number, dtype in DTYPES.values() if dtype is not None}


class Partial:
    """One row of a RESULT that came back as preempted, with a token or more."""

    __slots__ = ("_result", "_row", "n_tokens", "version", "n_versions")

    def __init__(self, result: Result, row: int, n_tokens: int,
                 spans: Sequence[Tuple[int, int]]) -> None:
        versions = [version for _, version in spans]
        self._result, self._row = result, row
        self.n_tokens = n_tokens
        self.version = max(versions)  # the newest that made a token of it
        self.n_versions = len(versions)

    def fits(self, served: int, restarts: bool) -> bool:
        """Whether a worker that serves this version may go on with it. Spans never fall."""
        if restarts:
            return self.n_versions == 1 and self.version == served
        return self.version <= served

    def columns(self) -> List[TaskColumn]:
        """As TASK has it, in the order of its keys."""
        tokens = slice(*self._bounds("token_offsets"))
        spans = slice(*self._bounds("span_offsets"))
        out = [self._part("tokens", tokens), self._part("lp_full", tokens),
               self._part("lp_behav", tokens), self._part("span_first", spans),
               self._part("span_version", spans)]
        routed = self._result.routed()
        if routed is not None:
            out.append(_encoded("partial_routed", routed[self._row].reshape(-1)))
        return out

    def _bounds(self, offsets: str) -> List[int]:
        bounds: List[int] = self._result[offsets][self._row:self._row + 2].tolist()
        return bounds

    def _part(self, name: str, part: slice) -> TaskColumn:
        return _encoded(f"partial_{name}", self._result[name][part])


def _encoded(name: str, values: Column) -> TaskColumn:
    return TaskColumn(TASK_KEYS[name], _NUMBERS[values.dtype], len(values), values.tobytes())


def partials(result: Result, samples: Sequence[int]) -> List[Tuple[int, Partial]]:
    """(sample, partial) of those of these samples that came back as preempted, with tokens."""
    wanted, lengths, spans = set(samples), result.lengths(), result.spans()
    return [(sample, Partial(result, row, lengths[row], spans[row]))
            for row, sample in enumerate(result.samples)
            if sample in wanted and result.finish[row] == PREEMPTED and lengths[row] and spans[row]]
