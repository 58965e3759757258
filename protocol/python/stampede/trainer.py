"""What a training loop talks to."""

from __future__ import annotations

import queue
import secrets
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence

from . import wire
from .core import Core
from .errors import StampedeError
from .groups import Job, make_job
from .loop import Loop
from .types import Group, Prompt, Sampling
from .weights import Snapshot

if TYPE_CHECKING:
    import torch


class Generation(Iterator[Group]):
    """The groups of one `generate` call as they finish. Dropping or closing it cancels the rest."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.mailbox: "queue.SimpleQueue[Group]" = queue.SimpleQueue()
        self._open: set = set()  # serials that have not come

    def start(self, jobs: Sequence[Job]) -> None:
        self._open = {job.serial for job in jobs}
        self._loop.call(self._loop.core.submit, jobs)

    def __next__(self) -> Group:
        while self._open:
            try:
                group = self.mailbox.get(timeout=0.5)
            except queue.Empty:
                self._loop.check()
                continue
            self._open.discard(group.serial)
            return group
        raise StopIteration

    def close(self) -> None:
        """Cancels what has not come."""
        serials, self._open = self._open, set()
        if serials:
            try:
                self._loop.post(lambda: self._loop.core.cancel(serials, True))
            except StampedeError:
                pass  # the Trainer is closed: nothing runs any more

    def __del__(self) -> None:
        self.close()


class Trainer:
    """The trainer's end of the wire.

    `Trainer(url)` binds and workers connect (`stampede serve --connect URL`); port 0 picks a free
    one, which `trainer.url` names. `Trainer(connect=[url, ...])` goes to workers that were started
    with --bind. Only loopback and ipc:// addresses are taken unless `insecure` is spelled out.

    Nothing is handed out before `min_workers` are ready for the first time; after that workers come
    and go as they like. `run` names the run (random by default). Restart with the same `run`, a
    higher `epoch` and `first_serial` to go on after a crash: workers then drop what the old epoch
    asked for. All methods may be called from any thread.
    """

    def __init__(self, url: Optional[str] = None, min_workers: int = 1,
                 run: Optional[str] = None, epoch: int = 0, keys: None = None,
                 insecure: bool = False, *, connect: Optional[Sequence[str]] = None,
                 first_serial: int = 0) -> None:
        if keys is not None:
            raise StampedeError("Trainer: keys (CURVE) are not built yet.")
        if (url is None) == (connect is None):
            raise StampedeError("Trainer: expected exactly one of url and connect.")
        if isinstance(connect, str):
            connect = [connect]
        if connect is not None and not connect:
            raise StampedeError("Trainer: connect is an empty list.")
        self.run = secrets.token_hex(8) if run is None else run
        self.epoch = epoch
        if len(self.run.encode()) > wire.MAX_RUN or not 0 <= epoch < 1 << 64:
            raise StampedeError(f"Trainer: expected a run of at most {wire.MAX_RUN} bytes and an "
                                "epoch of 0 or more.")
        self._serial = first_serial
        self._serial_lock = threading.Lock()
        self._push_lock = threading.Lock()
        urls = [url] if url is not None else list(connect or ())
        knock = [(index, b"") for index in range(len(urls))] if url is None else []
        self._loop = Loop(urls, url is not None, insecure,
                          lambda send, in_background: Core(self.run, epoch, min_workers, send,
                                                           in_background, knock))
        self._core = self._loop.core

    @property
    def url(self) -> str:
        """Where workers connect to, with the port that was picked."""
        return self._loop.url

    # --- rollouts ---

    def generate(self, prompts: Iterable[Prompt], n: int = 1,
                 sampling: Optional[Sampling] = None, *, seed: int = 0,
                 min_version: Optional[int] = None, on_update: str = "continue",
                 prompt_logprobs: bool = False, routed_experts: bool = False,
                 deadline_s: Optional[float] = None) -> Generation:
        """Submits the prompts now; yields each group as it finishes, in any order.

        `n` samples are drawn of each prompt. With `min_version`, workers that serve an older policy
        version get none of them. `on_update` says what happens to samples in flight when weights
        are pushed: "continue" on the new ones, or "restart" from the prompt. After `deadline_s`
        (from the arrival at the worker) a sample ends with what it has. Leaving the loop early
        cancels the rest.
        """
        if on_update not in ("continue", "restart"):
            raise ValueError(f'generate: on_update is {on_update!r}, expected "continue" or '
                             '"restart".')
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"generate: seed is {seed}, expected a uint64.")
        request = {
            "min_version": min_version or 0, "on_update": int(on_update == "restart"),
            "prompt_logprobs": prompt_logprobs, "routed_experts": routed_experts,
            "deadline_ms": 0 if deadline_s is None else max(1, int(deadline_s * 1000)),
        }
        everything = list(prompts)
        call = Generation(self._loop)
        # A refused prompt uses up no serial: all jobs are made before any is counted.
        with self._serial_lock:
            jobs = [make_job(prompt, index, self._serial + index, n, sampling or Sampling(), seed,
                             request, call.mailbox) for index, prompt in enumerate(everything)]
            self._serial += len(jobs)
        call.start(jobs)
        return call

    def cancel(self, id: Any) -> None:
        """Ends the groups with this id: they come with what they have, unfinished samples with
        finish reason "cancelled" and reward NaN."""
        self._loop.call(lambda: self._core.cancel(self._core.serials_of(id), False))

    @property
    def next_serial(self) -> int:
        """The serial of the next group: what `first_serial` takes after a restart."""
        return self._serial

    # --- workers and weights ---

    def wait_for_workers(self, n: int = 1, timeout_s: Optional[float] = None) -> None:
        """Returns when n workers are ready. Raises StampedeError after `timeout_s`."""
        future: "Future[None]" = Future()

        def ready() -> bool:
            if self._core.n_ready < n or future.done():
                return future.done()
            future.set_result(None)
            return True

        self._loop.call(self._core.when, ready)
        try:
            self._loop.wait(future, timeout_s)
        except StampedeError:
            future.cancel()
            raise

    def workers(self) -> List[Dict[str, Any]]:
        """What each worker is, has, and is doing."""
        return self._loop.call(lambda: [w.describe() for w in self._core.workers.values()])

    def counters(self) -> Dict[str, int]:
        """Events so far: sent, duplicate and preempted samples, lost sessions, refusals."""
        return self._loop.call(lambda: dict(self._core.counters))

    def push_weights(self, state_dict: Mapping[str, "torch.Tensor"], version: int,
                     timeout_s: float = 600.0) -> None:
        """Returns when every worker serves these weights; generation goes on meanwhile.

        Takes transformers' names, fused or per expert, with a tied head or without; tensors that
        are not in `state_dict` stay as they are. Values are copied, and rounded (nearest even) to
        the type that each worker holds. Waits for the first worker. `version` rises with each push.
        Raises WeightUpdateError, which names the tensor or the worker; unless it came from a worker
        that failed after others had begun to serve the new version, the old one goes on serving.
        """
        with self._push_lock:
            last = self._loop.call(lambda: self._core.updates.last)
            lowest = last.version + 1 if last else 0
            if not lowest <= version < 1 << 64:
                raise ValueError(f"push_weights: version is {version}, expected {lowest} or more.")
            snapshot = Snapshot(version, state_dict, last)
            self.wait_for_workers(1, timeout_s)
            for plan in self._loop.call(self._core.updates.plans):
                snapshot.table(plan)
            future: "Future[None]" = Future()

            def begin() -> None:
                self._core.updates.timeout_s = timeout_s
                self._core.updates.begin(snapshot, future)

            self._loop.call(begin)
            self._loop.wait(future)

    # --- the end ---

    def close(self, run_complete: bool = False) -> None:
        """Ends all sessions. Workers wait for another trainer, unless the run is complete: then
        they end with status 0."""
        self._loop.close(wire.BYE_RUN_COMPLETE if run_complete else wire.BYE_LEAVING)

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
