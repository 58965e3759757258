"""What comes out of `Trainer.generate`: groups, whose lists are made when they are looked at."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .results import Result
from .tables import FINISH

T = TypeVar("T")
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
_NO_IDS: Ints = np.empty(0, np.int32)
_NO_FLOATS: Floats = np.empty(0, np.float32)
_NO_IDS.flags.writeable = _NO_FLOATS.flags.writeable = False


class Group:
    """One prompt and its n samples; entry i of each list is sample i.

    A list is made when it is first looked at, of what the workers sent; it is a list of your own
    after that. Arrays in it are read-only numpy views of the messages that came: copy before you
    write.
    """

    def __init__(self, id: Any, index: int, serial: int, n: int, meta: Any = None,
                 seed: int = 0) -> None:
        self.id: Any = id
        self.index: int = index  # place in the prompts of this call
        self.serial: int = serial  # place in all groups of this Trainer's run
        self.n: int = n
        self.meta: Any = meta
        self.seed: int = seed  # of its draws: of the request's seed and its id
        # Workers that died with this group in their hands: who, why, and what else they had.
        self.deaths: List[Dict[str, Any]] = []
        # RESULTs and which of their rows count; None: all.
        self._parts: List[Tuple[Result, Optional[List[int]]]] = []
        self._others = ("", "")  # finish reason and error of samples that came from no worker

    def _gather(self, rows_of: Callable[[Result], Optional[Sequence[T]]],
                missing: Callable[[], T]) -> List[T]:
        """One entry for each sample, from the rows of the parts."""
        out: List[Any] = [None] * self.n
        have = bytearray(self.n)
        for result, rows in self._parts:
            values = rows_of(result)
            if values is None:
                continue
            if rows is None:  # then they are neighbours
                first, last = result.first, result.first + result.n
                out[first:last], have[first:last] = values, b"\1" * result.n
                continue
            samples = result.samples
            for row in rows:
                out[samples[row]], have[samples[row]] = values[row], 1
        at = have.find(0)
        while at >= 0:
            out[at] = missing()
            at = have.find(0, at + 1)
        return out

    @cached_property
    def tokens(self) -> List[Ints]:
        """(n_tokens,) int32 each."""
        return self._gather(lambda r: r.split("tokens", "token_offsets"), lambda: _NO_IDS)

    @cached_property
    def lp_full(self) -> List[Floats]:
        """(n_tokens,) float32 each: what a trainer computes."""
        return self._gather(lambda r: r.split("lp_full", "token_offsets"), lambda: _NO_FLOATS)

    @cached_property
    def lp_behav(self) -> List[Floats]:
        """(n_tokens,) float32 each: under the distribution that was drawn from."""
        return self._gather(lambda r: r.split("lp_behav", "token_offsets"), lambda: _NO_FLOATS)

    @cached_property
    def version_spans(self) -> List[List[Tuple[int, int]]]:
        """(first output token, policy version) of each run of tokens that one version made."""
        return self._gather(Result.spans, list)

    @cached_property
    def text(self) -> List[Optional[str]]:
        """Without what stopped it; None: the model has no tokenizer."""
        return self._gather(lambda r: r.texts("text"), lambda: None)

    @cached_property
    def finish_reason(self) -> List[str]:
        """stop, length, cancelled or error."""
        return self._gather(lambda r: [FINISH[code] for code in r.finish],
                            lambda: self._others[0])

    @cached_property
    def rewards(self) -> NDArray[np.float64]:
        """(n,) float64; NaN where a reward has no value."""
        out = np.full(self.n, np.nan)
        for result, rows in self._parts:
            values = result.values()
            if values is None:
                continue
            if rows is None:
                out[result.first:result.first + result.n] = values
            else:
                samples = result.samples
                out[[samples[row] for row in rows]] = values[rows]
        return out

    @cached_property
    def status(self) -> List[str]:
        """The status of each reward; "" where none was composed."""
        return self._gather(Result.statuses, str)

    @cached_property
    def terms(self) -> List[List[Dict[str, Any]]]:
        """The terms of each reward, as verifiers/README.md has them."""
        return self._gather(Result.terms, list)

    @cached_property
    def errors(self) -> List[Optional[str]]:
        """A sentence where finish_reason is error, or cancelled by max_version_lag, else None."""
        def sentences(result: Result) -> Optional[List[Optional[str]]]:
            texts = result.texts("error")
            return None if texts is None else [text or None for text in texts]

        return self._gather(sentences, lambda: self._others[1] or None)

    @cached_property
    def provenance(self) -> List[Dict[str, Any]]:
        """Where each sample came from: worker, incarnation, build, numerics, config (hash of config
        and tokenizer), seed, attempt, digest (of the weights that were served at its end) and
        version_spans. Empty where it came from no worker."""
        def rows(result: Result) -> List[Dict[str, Any]]:
            origin = {} if result.origin is None else result.origin._asdict()
            common = {**origin, "seed": self.seed, "attempt": result["attempt"] or 0,
                      "digest": f"{result.digest:016x}"}
            return [{**common, "version_spans": spans} for spans in result.spans()]

        return self._gather(rows, dict)

    @cached_property
    def routed_experts(self) -> List[Optional[NDArray[Any]]]:
        """(n_prompt + n_tokens - 1, moe_layers, k) uint8 or uint16 each, where asked for."""
        return self._gather(Result.routed, lambda: None)

    @cached_property
    def prompt_ids(self) -> Ints:
        """(n_prompt,) int32; empty when no worker took the prompt."""
        found = self._first("prompt_ids")
        return _NO_IDS if found is None else found

    @cached_property
    def prompt_lp_full(self) -> Optional[Floats]:
        """(n_prompt,) float32, the first NaN, where asked for."""
        return self._first("prompt_lp_full")

    def _first(self, name: str) -> Optional[NDArray[Any]]:
        columns = (result.column(name) for result, _ in self._parts)
        return next((column for column in columns if column is not None), None)

    # --- for who takes all samples at once: nothing is made for a single one ---

    def joined(self, name: str) -> Tuple[List[NDArray[Any]], List[int]]:
        """`tokens`, `lp_full` or `lp_behav` as arrays of one or more samples, in order, and the
        length of each sample. A list that was looked at is taken as it is by now."""
        whole = None if name in self.__dict__ else self._whole()
        if whole is None:
            arrays = getattr(self, name)
            return list(arrays), [len(array) for array in arrays]
        return ([result[name] for result in whole],
                [length for result in whole for length in result.lengths()])

    def single_versions(self) -> Optional[List[int]]:
        """The policy version of each sample where each has one span; None where some have more, or
        where somebody has looked at version_spans."""
        whole = None if "version_spans" in self.__dict__ else self._whole()
        if whole is None:
            return None
        versions = [result.single_versions() for result in whole]
        return None if None in versions else [v for some in versions for v in some or ()]

    def _whole(self) -> Optional[List[Result]]:
        """The RESULTs in the order of their samples, where all rows of all of them count."""
        whole = [result for result, rows in self._parts if rows is None]
        if len(whole) < len(self._parts) or sum(result.n for result in whole) < self.n:
            return None
        return sorted(whole, key=lambda result: result.first)

    @property
    def mean(self) -> float:
        """Of the rewards that have a value; NaN if none has."""
        known = self.rewards[~np.isnan(self.rewards)]
        return float(known.mean()) if known.size else float("nan")

    @property
    def std(self) -> float:
        """The population's standard deviation of the rewards that have a value; NaN if none has.

        GRPO divides by the sample's (n - 1): multiply by sqrt(k / (k - 1)) for that, where k
        rewards have a value.
        """
        known = self.rewards[~np.isnan(self.rewards)]
        return float(known.std()) if known.size else float("nan")

    @property
    def all_equal(self) -> bool:
        """Whether all rewards that have a value are the same: such a group has no advantage."""
        known = self.rewards[~np.isnan(self.rewards)]
        return bool((known == known[:1]).all())

    def __repr__(self) -> str:
        return (f"Group(id={self.id!r}, index={self.index}, n={self.n}, "
                f"rewards={self.rewards.tolist()})")
