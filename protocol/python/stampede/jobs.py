"""Groups on their way: the frames of their TASKs, which samples have come, and who has the rest."""

from __future__ import annotations

import math
import time
from typing import (TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Protocol,
                    Sequence, Tuple, Union)

import msgpack

from . import checks
from .errors import ArgumentError
from .groups import Group
from .messages import describe_payload, header_start
from .partials import Partial
from .queues import Flow
from .results import PREEMPTED, Result
from .suspicion import Death
from .tables import ALIGNMENT, MAX_DEADLINE_MS, MAX_PAYLOAD, MAX_SAMPLES
from .types import Prompt, Sampling, TaskColumn, group_seed, task_fields

if TYPE_CHECKING:
    from .peers import Kind, Worker


_ON_UPDATE = ("continue", "restart", "recompute")  # as TASK numbers them


class Mailbox(Protocol):
    """Where finished groups go; None says that no more will come."""

    def put(self, group: Optional[Group]) -> None: ...


class Task:
    """The frames of a group's TASKs, made once but for the numbers that differ between them."""

    __slots__ = ("_n_keys", "_head", "_before", "_after", "_payload")

    def __init__(self, serial: int, id_json: bytes, seed: int, fields: Tuple[int, bytes],
                 columns: List[TaskColumn], last: Tuple[int, bytes]) -> None:
        """`fields`, `last`: those with keys 7 to 18, and from 30 on, encoded. The columns lie in
        the order of their keys."""
        self._payload, described = _add_columns(b"", sorted(columns))
        self._head = _describe(self._payload)
        self._before = b"".join((b"\x01", msgpack.packb(serial), b"\x02",
                                 msgpack.packb(id_json.decode())))
        self._after = b"".join((b"\x06", msgpack.packb(seed), fields[1], *described, last[1]))
        self._n_keys = 5 + fields[0] + len(described) + last[0]

    @property
    def n_bytes(self) -> int:
        return len(self._payload)

    def frames(self, run: str, epoch: int, seq: int, first: int, n: int, attempt: int,
               partial: Sequence[TaskColumn] = ()) -> List[bytes]:
        """`partial`: columns behind all others, of a sample that another worker began."""
        pack = msgpack.packb
        again = b"\x05" + pack(attempt) if attempt else b""
        payload, head, more = self._payload, self._head, b""
        if partial:
            payload, described = _add_columns(payload, partial)
            head, more = _describe(payload), b"".join(described)
        n_keys = self._n_keys + (1 if head else 0) + (1 if attempt else 0) + len(partial)
        size = bytes((0x80 | n_keys,)) if n_keys < 16 else b"\xde" + n_keys.to_bytes(2, "big")
        header = b"".join((header_start("TASK", run, epoch), seq.to_bytes(8, "big"), size, head,
                           self._before, b"\x03", pack(first), b"\x04", pack(n), again,
                           self._after, more))
        return [header, payload] if payload else [header]


def _describe(payload: bytes) -> bytes:
    return b"\x00" + msgpack.packb(describe_payload(payload)) if payload else b""


def _add_columns(payload: bytes, columns: Sequence[TaskColumn]) -> Tuple[bytes, List[bytes]]:
    """The payload with these columns behind it, and their fields."""
    out, described = bytearray(payload), []
    for column in columns:
        at = 0
        if column.data:
            out += bytes(-len(out) % ALIGNMENT)
            at = len(out)
            out += column.data
        described.append(msgpack.packb(column.key) + msgpack.packb([column.dtype, column.n, at]))
    return bytes(out), described


class Request:
    """What one call of `generate` asks of all its prompts, checked."""

    def __init__(self, n: Any, sampling: Any, seed: Any, min_version: Any, on_update: Any,
                 prompt_logprobs: Any, routed_experts: Any, deadline_s: Any,
                 max_version_lag: Any = None, priority: Any = 0) -> None:
        self.n = checks.integer("generate: n", n, 1, MAX_SAMPLES)
        if sampling is not None and not isinstance(sampling, Sampling):
            raise checks.refuse_kind("generate: sampling", sampling, "a stampede.Sampling")
        self.sampling = Sampling() if sampling is None else sampling
        self.seed = checks.integer("generate: seed", seed, 0, checks.U64)
        self.min_version = 0 if min_version is None else checks.integer(
            "generate: min_version", min_version, 0, checks.U64)
        checks.one_of("generate: on_update", on_update, *_ON_UPDATE)
        lag = -1 if max_version_lag is None else checks.integer(
            "generate: max_version_lag", max_version_lag, 0, checks.U63)
        self.restarts = bool(on_update == "restart")
        self._flow = Flow(checks.integer("generate: priority", priority, -checks.I31, checks.I31))
        self._fields = task_fields({
            "prompt_logprobs": checks.flag("generate: prompt_logprobs", prompt_logprobs),
            "routed_experts": checks.flag("generate: routed_experts", routed_experts),
            "min_version": self.min_version, "on_update": _ON_UPDATE.index(on_update),
            "deadline_ms": _deadline_ms(deadline_s)})
        self._last = task_fields({"max_version_lag": lag + 1})

    def job(self, prompt: Any, index: int, serial: int, mailbox: Mailbox) -> "Job":
        """Everything of a group that can be known before a worker sees it."""
        if not isinstance(prompt, Prompt):
            raise checks.refuse_kind(f"generate: prompts[{index}]", prompt, "a stampede.Prompt")
        sampling = self.sampling if prompt.sampling is None else prompt.sampling
        id_json = prompt.id_json or b"%d" % serial
        seed = group_seed(self.seed if sampling.seed is None else sampling.seed, id_json)
        (n_fields, fields), drawn, (n_last, last) = sampling.encoded
        ask, rest = prompt.encoded
        task = Task(serial, id_json, seed, (n_fields + self._fields[0], fields + self._fields[1]),
                    [ask, *drawn, *rest], (n_last + self._last[0], last + self._last[1]))
        if task.n_bytes > MAX_PAYLOAD:
            raise ArgumentError(
                f"generate: prompts[{index}] has {task.n_bytes:,} bytes of prompt, sampling, "
                f"reward, tools and meta, expected at most {MAX_PAYLOAD:,} together.")
        group = Group(prompt.id if prompt.has_id else serial, index, serial,
                      self.n if prompt.n is None else prompt.n, prompt.meta, seed)
        return Job(group, id_json, task, self.min_version, mailbox, self.restarts, self._flow)


def _deadline_ms(deadline_s: Any) -> int:
    if deadline_s is None:
        return 0
    value = checks.seconds("generate: deadline_s", deadline_s)
    if value * 1000 > MAX_DEADLINE_MS:
        raise checks.refuse("generate: deadline_s", deadline_s,
                            f"at most {MAX_DEADLINE_MS // 1000:,} seconds")
    return math.ceil(value * 1000)


class Held:
    """Samples of one job that one worker has."""

    __slots__ = ("job", "flags", "n", "moved_at")

    def __init__(self, job: "Job") -> None:
        self.job = job
        self.flags = bytearray(job.n)  # 1: it has this sample
        self.n = 0
        self.moved_at = 0.0  # when it was last given some of it, or seen to go on with it

    def give(self, first: int, n: int) -> None:
        self.flags[first:first + n] = b"\1" * n
        self.n += n
        self.moved_at = time.monotonic()

    def take(self, result: Result) -> List[int]:
        """The samples of a RESULT come back. Returns those that were here and were preempted."""
        flags, n = self.flags, self.n
        first, last = result.first, result.first + result.n
        if result.is_plain and last <= len(flags) and flags.find(0, first, last) < 0:
            flags[first:last] = bytes(result.n)
            self.n = n - result.n
            return []
        back: List[int] = []
        for sample, code in zip(result.samples, result.finish):
            if sample < len(flags) and flags[sample]:
                flags[sample] = 0
                n -= 1
                if code == PREEMPTED:
                    back.append(sample)
        self.n = n
        return back


class Job:
    """A group on its way. Each of its samples is done, held by a worker, or waits."""

    __slots__ = ("group", "serial", "id_json", "task", "min_version", "mailbox", "n", "done",
                 "n_done", "attempts", "cancelled", "kind", "round", "holders", "deaths",
                 "company", "restarts", "partials", "flow")

    def __init__(self, group: Group, id_json: bytes, task: Task, min_version: int,
                 mailbox: Mailbox, restarts: bool, flow: Flow) -> None:
        self.group, self.id_json, self.task = group, id_json, task
        self.serial = group.serial
        self.min_version, self.restarts = min_version, restarts
        self.flow = flow  # the call that it is of
        # Where the finished group goes. Not the Generation itself, which must be free to be
        # dropped by whoever left its loop.
        self.mailbox = mailbox
        self.n = group.n
        self.done = bytearray(self.n)  # 1: this sample has come, or ended; each once
        self.n_done = 0
        self.attempts: Dict[int, int] = {}  # of samples that were given out again
        self.cancelled = False
        self.kind: Optional["Kind"] = None  # of the workers that may have it; None: of any
        self.round = 0  # one more each time that everything begins again
        self.holders: Dict["Worker", Held] = {}
        self.deaths: List[Death] = []  # of workers that had it
        self.company = 0  # groups that a worker may have with it, itself among them; 0: any number
        self.partials: Dict[int, Partial] = {}  # by sample: the longest that came back

    @property
    def complete(self) -> bool:
        return self.n_done == self.n

    def commit(self, result: Result) -> int:
        """Takes the samples that ended and have not come yet into the group: how many."""
        done, first, n = self.done, result.first, result.n
        last = first + n
        if result.is_plain and last <= self.n and done.find(1, first, last) < 0:
            done[first:last] = b"\1" * n
            self.n_done += n
            self.group._parts.append((result, None))
            return n
        rows: List[int] = []
        for row, (sample, code) in enumerate(zip(result.samples, result.finish)):
            if sample < self.n and not done[sample] and code != PREEMPTED:
                done[sample] = 1
                rows.append(row)
        if rows:
            self.n_done += len(rows)
            self.group._parts.append((result, rows))
        return len(rows)

    def waiting(self, first: int, n: int) -> Iterator[Tuple[int, int]]:
        """Runs (first, n) of samples in this range that are not done."""
        last = first + n
        begin = self.done.find(0, first, last)
        while begin >= 0:
            end = self.done.find(1, begin, last)
            end = last if end < 0 else end
            yield begin, end - begin
            begin = self.done.find(0, end, last)

    def end(self, flags: Union[bytes, bytearray], reason: str, error: str = "") -> None:
        """Ends the samples that are flagged and have not come, which no worker has any more."""
        self.group._others = (reason, error)
        mask = int.from_bytes(flags, "little") | int.from_bytes(self.done, "little")
        self.done[:] = mask.to_bytes(self.n, "little")
        self.n_done = self.done.count(1)

    def unheld(self) -> bytes:
        """Flags of the samples that no worker has."""
        mask = int.from_bytes(b"\1" * self.n, "little")
        for held in self.holders.values():
            mask &= ~int.from_bytes(held.flags, "little")
        return mask.to_bytes(self.n, "little")

    def keep(self, sample: int, partial: Partial) -> int:
        """Notes what came back of a sample. Returns how many tokens of it are new."""
        former = self.partials.get(sample)
        n_more = partial.n_tokens - (0 if former is None else former.n_tokens)
        if n_more > 0:
            self.partials[sample] = partial
        return max(0, n_more)

    def pieces(self, first: int, n: int) -> Iterator[Tuple[int, int, Optional[Partial]]]:
        """The TASKs that these samples need: each partial sample has its own."""
        begin, last = first, first + n
        if self.partials:
            for sample in range(first, last):
                if sample in self.partials:
                    if sample > begin:
                        yield begin, sample - begin, None
                    yield sample, 1, self.partials[sample]
                    begin = sample + 1
        if last > begin:
            yield begin, last - begin, None

    def columns_of(self, sample: int, served: int) -> List[TaskColumn]:
        """Of its partial, for a TASK to a worker that serves this version; none, and the partial is
        dropped, where it has to begin from the prompt there."""
        partial = self.partials[sample]
        columns = partial.columns() if partial.fits(served, self.restarts) else []
        n_bytes = sum(len(column.data) + ALIGNMENT for column in columns)
        if not columns or self.task.n_bytes + n_bytes > MAX_PAYLOAD:
            del self.partials[sample]
            return []
        return columns

    def retract(self, incarnation: int) -> List[int]:
        """Forgets the samples that came of this worker; they are to be drawn anew."""
        kept, samples = [], []
        for result, rows in self.group._parts:
            if result.origin is None or result.origin.incarnation != incarnation:
                kept.append((result, rows))
            else:
                samples += [result.samples[row]
                            for row in (range(result.n) if rows is None else rows)]
        self.group._parts[:] = kept
        for sample in samples:
            self.done[sample] = 0
        self.n_done -= len(samples)
        return samples

    def begin_again(self) -> None:
        """Forgets every sample that has come: others draw all of them anew."""
        for sample in range(self.n):
            self.attempts[sample] = self.attempts.get(sample, 0) + 1
        self.done[:] = bytes(self.n)
        self.n_done = 0
        self.group._parts.clear()
        self.partials.clear()
        self.kind = None
        self.round += 1


class Range(NamedTuple):
    """Samples first .. first + n - 1 of a job that no worker had when it was made. What has come of
    them since, and everything when the job has begun again, is not given out."""

    job: Job
    first: int
    n: int
    round: int


def flagged(flags: bytearray) -> List[int]:
    """The samples whose flag is set."""
    return [i for i, flag in enumerate(flags) if flag]


def runs(flags: bytearray) -> List[Tuple[int, int]]:
    """(first, n) of each run of flags."""
    out = []
    begin = flags.find(1)
    while begin >= 0:
        end = flags.find(0, begin)
        end = len(flags) if end < 0 else end
        out.append((begin, end - begin))
        begin = flags.find(1, end)
    return out
