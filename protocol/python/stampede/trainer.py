"""What a training loop talks to."""

from __future__ import annotations

import math
import os
import secrets
import threading
import weakref
from concurrent.futures import Future
from typing import (TYPE_CHECKING, Any, Callable, Container, Dict, Iterable, List, Literal,
                    Mapping, NamedTuple, Optional, Sequence, Tuple, Union, overload)

from . import checks, wire
from .core import Core
from .directory import Directory
from .errors import ArgumentError, ArgumentTypeError, StampedeError
from .generation import AsyncGeneration, Generation
from .jobs import Job, Mailbox, Request
from .keys import Curve, Keys
from .leases import LEASE_S
from .ledger import Ledger, State, next_epoch, read_state
from .loop import Loop
from .metrics import MetricsServer
from .tables import MAX_DEADLINE_MS
from .types import Prompt, Sampling
from .nccl import NcclPusher
from .push import PushHandle, PushReport
from .weights import DtypePlan, check_state

if TYPE_CHECKING:
    import torch

    from .copies import Copies
    from .snapshot import Prepared

Weights = Union[Mapping[str, "torch.Tensor"], Iterable[Tuple[str, "torch.Tensor"]]]


class Trainer:
    """The trainer's end of the wire.

    `Trainer(url)` binds and workers connect (`stampede serve --connect URL`); port 0 picks a free
    one, which `trainer.url` names. `Trainer(connect=[url, ...])` goes to workers that were started
    with --bind. Addresses that are not loopback or ipc:// are taken with `keys` (stampede.Keys), or
    where `insecure` is spelled out.

    Nothing is handed out before `min_workers` are ready for the first time; after that workers come
    and go as they like. A worker that says nothing is gone after 5 s; one that speaks while its
    engine makes no step for `lease_s` loses what it has to others. `run` names the run (random by
    default). To go on after a crash, put state_dict() into your checkpoint and restart with
    `state`: the same run, a higher epoch, and serials go on. (By hand: the same `run`, a higher
    `epoch`, `first_serial`.) Workers then drop what the old epoch asked for, and no worker that has
    seen the new one obeys the old one, should it still be there. All methods may be called from any
    thread of the process that made it; in a forked process each of them raises ForkedError, but for
    close(), which does nothing.

    With `weights_dir`, a directory that workers see too (`stampede serve --weights-dir`), each
    update is written there once, for all of those; others get it by the socket. Files are removed
    when nobody needs them, and what a killed trainer left when the next one begins.

    A Trainer that nothing refers to any more is closed, and so is one that is open when the
    interpreter ends.
    """

    def __init__(self, url: Optional[str] = None, min_workers: int = 1,
                 run: Optional[str] = None, epoch: int = 0, keys: Optional[Keys] = None,
                 insecure: bool = False, *,
                 connect: Union[None, str, Sequence[str]] = None, first_serial: int = 0,
                 state: Optional[Dict[str, Any]] = None, lease_s: float = LEASE_S,
                 weights_dir: Union[None, str, "os.PathLike[str]"] = None) -> None:
        urls = _check_urls(url, connect)
        curve = None if keys is None else Curve(keys, urls, url is not None)
        min_workers = checks.integer("Trainer: min_workers", min_workers, 0, checks.I31)
        insecure = checks.flag("Trainer: insecure", insecure)
        if insecure and curve is not None:
            raise ArgumentError("Trainer: insecure is for a wire without keys; drop one.")
        self.run = secrets.token_hex(8) if run is None else checks.text("Trainer: run", run)
        if not 1 <= len(self.run.encode()) <= wire.MAX_RUN:
            raise checks.refuse("Trainer: run", run, f"1 to {wire.MAX_RUN} bytes of text")
        self.epoch = checks.integer("Trainer: epoch", epoch, 0, checks.U64)
        first_serial = checks.integer("Trainer: first_serial", first_serial, 0, checks.U64)
        self._ledger = Ledger(first_serial)
        if state is not None:
            self._restore(read_state(state), run, first_serial)
        lease_s = checks.seconds("Trainer: lease_s", lease_s)
        self._serial_lock = threading.Lock()
        self._push_lock = threading.Lock()
        knock = [(index, b"") for index in range(len(urls))] if url is None else []
        directory = None if weights_dir is None else Directory(
            checks.path("Trainer: weights_dir", weights_dir), self.run, self.epoch)
        try:
            self._loop = Loop(urls, url is not None, insecure, curve,
                              lambda send, in_background: Core(
                                  self.run, self.epoch, min_workers, send, in_background, knock,
                                  directory, lease_s))
        except BaseException:
            if directory is not None:
                directory.close()
            raise
        self._core = self._loop.core
        self._metrics: Optional[MetricsServer] = None
        weakref.finalize(self, self._loop.stop).atexit = False

    def _restore(self, state: State, run: Optional[str], first_serial: int) -> None:
        if first_serial or run not in (None, state.run):
            raise ArgumentError("Trainer: run and first_serial are part of state; drop them.")
        if self.epoch and self.epoch <= state.epoch:
            raise checks.refuse("Trainer: epoch", self.epoch, f"more than {state.epoch}, that of "
                                                              "state, or none")
        self.run, self.epoch = state.run, self.epoch or next_epoch(state.epoch)
        self._ledger = Ledger(state.next_serial, state.calls)

    @property
    def url(self) -> str:
        """Where workers connect to, with the port that was picked."""
        return self._loop.url

    # --- rollouts ---

    def generate(self, prompts: Iterable[Prompt], n: int = 1,
                 sampling: Optional[Sampling] = None, *, seed: int = 0,
                 min_version: Optional[int] = None, on_update: str = "continue",
                 max_version_lag: Optional[int] = None,
                 prompt_logprobs: bool = False, routed_experts: bool = False,
                 deadline_s: Optional[float] = None,
                 priority: int = 0, first_serial: Optional[int] = None) -> Generation:
        """Submits the prompts now; yields each group as it finishes, in any order.

        `n` samples are drawn of each prompt. With `min_version`, workers that serve an older policy
        version get none of them. `on_update` says what happens to samples in flight when weights
        are pushed: "continue" on the new ones with the KV of the old, "recompute" the KV on the new
        ones and continue, or "restart" from the prompt. A sample whose first token is of a version
        more than `max_version_lag` behind what is pushed ends before it with what it has, as
        "cancelled", and `errors` says so. After `deadline_s` (from the arrival at the worker) a
        sample ends with what it has. Leaving the loop early cancels the rest.

        Of several calls at once, groups of the one with the higher `priority` (an integer) are
        handed out first; calls of one priority share the workers evenly, however many groups each
        has. What a worker has been given stays there.

        After a restart from state_dict(), `first_serial` says that this is a call of open_calls
        again, with the same prompts: of it come the groups that nobody had taken, with the serials,
        ids and seeds that they had.

        Everything is checked before anything is sent: ArgumentError (a ValueError) names what
        cannot be taken, and no serial is used up.
        """
        request = Request(n, sampling, seed, min_version, on_update, prompt_logprobs,
                          routed_experts, deadline_s, max_version_lag, priority)
        self._loop.check()
        call = Generation(self, self._loop)
        call.start(self._jobs(prompts, request, call.mailbox, first_serial))
        return call

    def agenerate(self, prompts: Iterable[Prompt], n: int = 1,
                  sampling: Optional[Sampling] = None, *, seed: int = 0,
                  min_version: Optional[int] = None, on_update: str = "continue",
                  max_version_lag: Optional[int] = None,
                  prompt_logprobs: bool = False, routed_experts: bool = False,
                  deadline_s: Optional[float] = None,
                  priority: int = 0, first_serial: Optional[int] = None) -> AsyncGeneration:
        """The same for asyncio: `async for group in trainer.agenerate(...)`.

        The prompts are submitted now. Cancelling the task that waits for a group, aclose(), and
        dropping it cancel the rest.
        """
        request = Request(n, sampling, seed, min_version, on_update, prompt_logprobs,
                          routed_experts, deadline_s, max_version_lag, priority)
        self._loop.check()
        call = AsyncGeneration(self, self._loop)
        call.start(self._jobs(prompts, request, call.mailbox, first_serial))
        return call

    def _jobs(self, prompts: Any, request: Request, mailbox: Mailbox,
              first_serial: Optional[int]) -> List[Job]:
        if isinstance(prompts, Prompt):
            raise checks.refuse_kind("generate: prompts", prompts, "a list of stampede.Prompt")
        everything = checks.items("generate: prompts", prompts, "a list of stampede.Prompt")
        # A refused prompt uses up no serial: all jobs are made before any is counted.
        with self._serial_lock:
            first, n = self._ledger.next_serial, len(everything)
            wanted: Container[int] = range(first, first + n)
            if first_serial is not None:
                first = checks.integer("generate: first_serial", first_serial, 0, checks.U64)
                wanted = self._ledger.expect(first, n)
            elif first + n > checks.U64:
                raise ArgumentError("generate: the serials of this run are used up.")
            jobs = [request.job(prompt, index, first + index, mailbox)
                    for index, prompt in enumerate(everything) if first + index in wanted]
            self._ledger.begin(first, n, first_serial is None)
        return jobs

    def cancel(self, id: Any) -> None:
        """Ends the groups with this id (the same JSON): they come with what they have, unfinished
        samples with finish reason "cancelled" and reward NaN."""
        id_json = checks.json_bytes("cancel: id", id, wire.MAX_ID)
        self._loop.call(lambda: self._core.cancel(self._core.serials_of(id_json), False))

    @property
    def next_serial(self) -> int:
        """The serial of the next group: what `first_serial` takes after a restart."""
        return self._ledger.next_serial

    @property
    def open_calls(self) -> List[Dict[str, Any]]:
        """The calls of `generate` of which a group has not been taken: `first_serial`, `n` prompts,
        and `open`, the places of those groups in the prompts. After a restart from state_dict()
        they are submitted again with generate(the same prompts, first_serial=...)."""
        return self._ledger.open_calls()

    def state_dict(self) -> Dict[str, Any]:
        """For the trainer's own checkpoint: run, epoch, the next serial, and which groups were
        submitted and not taken; JSON types only. A group counts as taken once the loop over
        `generate` was given it, so write the checkpoint when what it holds includes those. Can be
        called at any time, also after close()."""
        return self._ledger.state(self.run, self.epoch)

    # --- workers and weights ---

    def wait_for_workers(self, n: int = 1, timeout_s: Optional[float] = None) -> None:
        """Returns when n workers are ready. Raises StampedeError after `timeout_s`."""
        n = checks.integer("wait_for_workers: n", n, 0, checks.I31)
        if timeout_s is not None:
            timeout_s = checks.seconds("wait_for_workers: timeout_s", timeout_s)
        self._wait_until(lambda: self._core.n_ready >= n, timeout_s,
                         f"Fewer than {n} workers were ready")

    def _wait_until(self, condition: Callable[[], bool], timeout_s: Optional[float],
                    what: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Returns when the condition is true on the I/O thread, which looks after each change."""
        future: "Future[None]" = Future()

        def ready() -> bool:
            if future.done() or not condition():
                return future.done()
            future.set_result(None)
            return True

        try:
            self._loop.call(self._core.when, ready)
            self._loop.wait(future, timeout_s, what, meanwhile)
        except BaseException:
            future.cancel()
            raise

    def workers(self) -> List[Dict[str, Any]]:
        """What each worker is, has, and is doing: at least uid, version, digest (as `stampede
        inspect` prints it), state: serving, updating (it takes weights, or waits for them) or
        draining, and guessed and accepted: tokens of drafts that it computed, and right ones."""
        return self._loop.call(self._core.describe)

    def damaged_workers(self) -> List[Dict[str, Any]]:
        """Workers that found their resident weights damaged, and ended: worker, incarnation,
        tensor, the version that it served, and when the tensor was last whole (`since`) and the
        damage was found (`at`), in seconds since 1970. What came of it into groups that were not
        finished was drawn anew. Finished groups that you hold of that time are suspect where their
        `provenance` has this incarnation."""
        return self._loop.call(lambda: [d._asdict() for d in self._core.custody.suspicion.damages])

    def counters(self) -> Dict[str, int]:
        """Events so far: sent, duplicate and preempted samples, lost sessions, refusals."""
        return self._loop.call(lambda: dict(self._core.counters))

    @overload
    def push_weights(self, state_dict: Weights, version: int, timeout_s: float = 600.0, *,
                     wait: Literal[True] = True, atomic: bool = False, hold: float = 0.0,
                     nccl: Optional[NcclPusher] = None) -> PushReport: ...

    @overload
    def push_weights(self, state_dict: Weights, version: int, timeout_s: float = 600.0, *,
                     wait: Literal[False], atomic: bool = False, hold: float = 0.0,
                     nccl: Optional[NcclPusher] = None) -> PushHandle: ...

    def push_weights(self, state_dict: Weights, version: int, timeout_s: float = 600.0, *,
                     wait: bool = True, atomic: bool = False, hold: float = 0.0,
                     nccl: Optional[NcclPusher] = None) -> Union[PushReport, PushHandle]:
        """Returns when every worker serves these weights; generation goes on meanwhile.

        Workers that serve the version before are sent what changed of it, in the type in which they
        hold each tensor; a snapshot of one copy is kept for that. With `wait` false it returns as
        soon as the values are copied, with a handle whose result() waits. With `atomic`, a worker
        that cannot apply the update after others have makes them take it back, bit for bit, and
        nobody draws a sample that counts from a version that not everybody serves. For `hold`
        seconds at most, each worker lets the samples that it has begun end on the old weights, and
        begins none; then it serves the new ones, and what is left goes on as `on_update` says. With
        `nccl`,
        workers on GPUs that need the same bytes get them together, by one broadcast straight into
        their devices' memory; others, and those that come later, pull them.

        Takes transformers' names, fused or per expert, with a tied head or without, as a state_dict
        or as pairs (named_parameters); tensors that are not in it stay as they are. DTensors of
        which this process has a part are pushed by a stampede.weights.ShardPusher. Values are
        copied, and rounded (nearest even) to the type that each worker holds. Waits for the first
        worker. `version` rises with each push. Raises WeightUpdateError, which names the tensor or
        the worker; unless it came from a worker that failed after others had begun to serve the new
        version, the old one goes on serving.
        """
        version = checks.integer("push_weights: version", version, 0, checks.U63)
        options = _check_push(timeout_s, wait, atomic, hold, nccl)
        state = check_state(state_dict)
        self._loop.check()
        with self._push_lock:
            self._await_push(version, options.timeout_s)
            future = self._begin_push(self._prepare(version, state), options)
        return self._wait_for(future) if options.wait else PushHandle(future)

    def _await_push(self, version: int, timeout_s: float,
                    meanwhile: Callable[[], None] = lambda: None) -> None:
        """Returns when this version can be pushed. The lock is held."""
        last = self._loop.call(lambda: self._core.updates.last)
        lowest = 0 if last is None else last + 1
        if version < lowest:
            raise checks.refuse("push_weights: version", version,
                                f"{lowest} or more, since versions rise")
        # A push that was interrupted after its commit ends by itself.
        self._wait_until(lambda: not self._core.updates.is_pushing and self._core.n_ready > 0,
                         timeout_s, "No worker was ready for the push", meanwhile)

    def _prepare(self, version: int, state: Dict[str, Any]) -> "Prepared":
        updates = self._core.updates
        plans = self._loop.call(updates.freeze, version)
        try:
            return updates.snapshot.prepare(version, state, plans)
        except BaseException:
            self._loop.post(updates.thaw)
            raise

    def _use_copies(self, folder: Optional[str]) -> "Copies":
        """For a ShardPusher."""
        from .copies import copies_of

        self._loop.check()
        return self._loop.call(copies_of, self._core.updates, folder)

    def _shard_push(self, version: int, timeout_s: float, wait: bool, how: Dict[str, Any],
                    meanwhile: Callable[[], None]) -> "Start":
        """For a ShardPusher, which holds the lock: begins a push, whose changes come later."""
        self._loop.check()
        options = _check_push(timeout_s, wait, **how)
        self._await_push(version, options.timeout_s, meanwhile)
        updates = self._core.updates
        return Start(self._loop.call(updates.freeze, version),
                     lambda prepared: self._begin_push(prepared, options),
                     lambda: self._loop.post(updates.thaw))

    def _begin_push(self, prepared: "Prepared", options: "PushOptions") -> "Future[PushReport]":
        future: "Future[PushReport]" = Future()
        self._loop.call(self._core.updates.begin, prepared, future, options.timeout_s,
                        options.atomic, options.hold_ms, options.nccl)
        return future

    def _wait_for(self, future: "Future[PushReport]",
                  meanwhile: Callable[[], None] = lambda: None) -> PushReport:
        try:
            return self._loop.wait(future, meanwhile=meanwhile)
        finally:
            if not future.done() and not self._loop.has_ended:  # interrupted: nobody waits
                self._loop.post(lambda: self._core.updates.give_up(future))

    def serve_metrics(self, address: str = "127.0.0.1:0") -> str:
        """Serves this trainer's metrics for Prometheus (rollout_gateway_*) until close(): how long
        the training loop waited for groups, how old samples are, what is ready, leased, lost.
        Returns the URL. `address` is HOST:PORT; port 0 picks one. Needs the package
        prometheus-client (stampede[metrics])."""
        address = checks.text("serve_metrics: address", address)
        self._loop.check()
        if self._metrics is not None:
            raise StampedeError(f"serve_metrics: they are served already at {self._metrics.url}.")
        self._metrics = MetricsServer(self, address)
        return self._metrics.url

    # --- the end ---

    def close(self, run_complete: bool = False) -> None:
        """Ends all sessions. Workers wait for another trainer, unless the run is complete: then
        they end with status 0."""
        complete = checks.flag("close: run_complete", run_complete)
        metrics, self._metrics = self._metrics, None
        if metrics is not None:
            metrics.close()
        self._loop.close(wire.BYE_RUN_COMPLETE if complete else wire.BYE_LEAVING)

    def __reduce__(self) -> Any:
        raise ArgumentTypeError("A Trainer cannot be pickled or copied: another process makes one "
                                "of its own.")

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class PushOptions(NamedTuple):
    """How weights are pushed, checked."""

    timeout_s: float
    wait: bool
    atomic: bool
    hold_ms: int
    nccl: Optional[NcclPusher]


def _check_push(timeout_s: Any, wait: Any, atomic: Any, hold: Any, nccl: Any) -> PushOptions:
    if nccl is not None and not isinstance(nccl, NcclPusher):
        raise checks.refuse_kind("push_weights: nccl", nccl, "an NcclPusher")
    return PushOptions(checks.seconds("push_weights: timeout_s", timeout_s),
                       checks.flag("push_weights: wait", wait),
                       checks.flag("push_weights: atomic", atomic), _hold_ms(hold), nccl)


class Start(NamedTuple):
    """A push that has begun; what it changes is not known yet."""

    plans: "List[DtypePlan]"
    begin: "Callable[[Prepared], Future[PushReport]]"
    abandon: Callable[[], None]


def _hold_ms(hold: Any) -> int:
    expected = f"a number of seconds from 0 to {MAX_DEADLINE_MS // 1000:,}"
    value = checks.number("push_weights: hold", hold, expected)
    if not 0 <= value * 1000 <= MAX_DEADLINE_MS:
        raise checks.refuse("push_weights: hold", hold, expected)
    return math.ceil(value * 1000)


def _check_urls(url: Any, connect: Any) -> List[str]:
    if (url is None) == (connect is None):
        raise ArgumentError("Trainer: expected exactly one of url and connect.")
    if url is not None:
        return [checks.text("Trainer: url", url)]
    if isinstance(connect, str):
        connect = [connect]
    urls = checks.items("Trainer: connect", connect, "a URL or a list of URLs")
    if not urls:
        raise ArgumentError("Trainer: connect is an empty list, expected a URL or more.")
    out = [checks.text(f"Trainer: connect[{i}]", one) for i, one in enumerate(urls)]
    for i, one in enumerate(out):
        if one in out[:i]:
            raise checks.refuse(f"Trainer: connect[{i}]", one, "each URL once")
    return out
