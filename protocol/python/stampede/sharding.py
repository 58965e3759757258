"""A push of weights that lie in shards on many ranks: each compares its own, rank 0 sends.

Every rank calls. Each says what it has (shards.py); rank 0 answers which tensors it is to give, and
in which types (copies.py); each compares them with what it gave last (mirror.py), and says how much
changed; rank 0 answers which tensors go whole; then what changed goes to rank 0, tensor by tensor,
in frames (links.py), which merges it by position. Rank 0 alone speaks to the workers. Whatever goes
wrong, on any rank, ends the push with the same sentence on all.
"""

from __future__ import annotations

import time
from math import prod
from typing import (TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple,
                    TypeVar, Union)

import numpy as np

from . import checks
from .copies import Copies
from .errors import ArgumentError, StampedeError, WeightUpdateError
from .links import FailedError, Frame, Links, LostError
from .mirror import Key, Mirror
from .push import PushHandle, PushReport
from .shards import Box, Shard, describe, differ, owners, read_description, shards_of
from .snapshot import Prepared
from .weights import EMBEDDING, HEAD, DtypePlan, check_state

if TYPE_CHECKING:
    from .trainer import Trainer, Weights

T = TypeVar("T")
_END = np.empty(0, np.uint8)


class ShardPusher:
    """`push_weights` for weights that lie in shards: FSDP2's (fully_shard), tensor parallel ones,
    and whatever else a state_dict of DTensors says; plain tensors count as copies, of which the
    first rank that has one gives it.

    Every rank of `group` (all, by default) makes one and calls its push_weights together with the
    others, with its own model.state_dict(). The group's rank 0 gives its Trainer, the others None:

        pusher = stampede.weights.ShardPusher(trainer if rank == 0 else None)
        pusher.push_weights(model.state_dict(), version=1)

    Nothing is gathered. A rank keeps a copy of its own shards in the types of the workers, and what
    changed of them goes to rank 0. There all of it lies in files without names in `folder` (by
    default that for temporary ones), for workers that come later: no process has a whole tensor in
    memory of its own. A rank that stands still for `deadline_s` ends the push; one that dies does
    at once. After either the ranks' connections are gone, and a new ShardPusher is needed.
    """

    def __init__(self, trainer: "Optional[Trainer]", group: Any = None, *,
                 deadline_s: float = 120.0, folder: Optional[str] = None) -> None:
        deadline_s = checks.seconds("ShardPusher: deadline_s", deadline_s)
        if folder is not None:
            folder = checks.path("ShardPusher: folder", folder)
        self._links = Links(group, deadline_s)
        self._mirror = Mirror()
        self._trainer = trainer
        if (trainer is not None) != (self._links.rank == 0):
            raise ArgumentError(f"ShardPusher: trainer is {checks.show(trainer)} on rank "
                                f"{self._links.rank}, expected a Trainer on rank 0 and None on "
                                "the others.")
        self._copies = Copies(folder) if trainer is None else trainer._use_copies(folder)

    def push_weights(self, state_dict: "Weights", version: int, timeout_s: float = 600.0, *,
                     wait: bool = True, atomic: bool = False, hold: float = 0.0,
                     nccl: Any = None) -> Union[PushReport, PushHandle, None]:
        """As Trainer.push_weights, on every rank; of the other arguments those of rank 0 count.
        Returns the report on every rank. With `wait` false it returns as soon as the values are
        copied: a handle on rank 0, None on the others."""
        if self._links.broken:
            raise WeightUpdateError(f"{self._links.broken}: that ended an earlier push, and every "
                                    "rank needs a new ShardPusher.")
        try:
            version = checks.integer("push_weights: version", version, 0, checks.U63)
            mine = shards_of(check_state(state_dict))
            error: Optional[Exception] = None
        except Exception as failure:  # the others have to hear of it
            mine, error = {}, failure
        try:
            if self._trainer is None:
                return _follow(self._links, self._mirror, mine, version, error)
            push = _Lead(self._links, self._mirror, self._copies, mine, version)
            return push.run(self._trainer, error, timeout_s, wait, dict(
                atomic=atomic, hold=hold, nccl=nccl))
        except Exception:
            raise
        except BaseException:  # nobody knows what is on its way
            self._links.broken = "A push was interrupted"
            raise

    def close(self) -> None:
        """Leaves the group's connections; every rank does."""
        self._links.close()


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, StampedeError) else f"{type(error).__name__}: {error}."


# --- a rank that is not the first ---


def _follow(links: Links, mirror: Mirror, mine: Mapping[str, Shard], version: int,
            error: Optional[Exception]) -> Optional[PushReport]:
    links.send_json(0, {"version": version, "shards": describe(mine),
                        "error": "" if error is None else _sentence(error)})
    asked = _heard(links, error)
    shards = _tied(mine, asked["tied"])
    keys: List[Key] = [(name, dtype) for name, dtype in asked["keys"]]
    try:
        mirror.settle(asked["base"])
        _check_tied(mine, asked["tied"])
        counts, error = mirror.compare(shards, keys), None
    except Exception as failure:
        counts, error = [], failure
    links.send_json(0, {"counts": counts, "error": "" if error is None else _sentence(error)})
    asked = _heard(links, error)
    try:
        for key, is_dense in zip(keys, asked["dense"]):
            for frame in mirror.frames(shards, key, bool(is_dense)):
                links.send(0, frame)
            links.send(0, _END)
        mirror.write(version, shards)
    except LostError:
        raise
    except Exception as failure:
        error = failure
        links.send_failure(0, _sentence(failure))
    report = _heard(links, error)["report"]
    return None if report is None else PushReport(**report)


def _heard(links: Links, mine: Optional[Exception]) -> Dict[str, Any]:
    """What rank 0 says; raises the error that it tells of: this rank's own as it was."""
    answer = links.receive_json(0)
    links.broken = links.broken or answer.get("broken", "")
    if answer.get("error"):
        if mine is not None and _sentence(mine) in answer["error"]:
            raise mine
        raise WeightUpdateError(answer["error"], tensor=answer.get("tensor"),
                                worker=answer.get("worker"))
    return answer


# --- heads that are tied at the workers ---


def _tied(shards: Mapping[str, T], is_tied: bool) -> Dict[str, T]:
    """Under the names of the workers: of a tied head and its embedding there is one."""
    out = dict(shards)
    if is_tied and HEAD in out:
        head = out.pop(HEAD)
        out.setdefault(EMBEDDING, head)
    return out


def _check_tied(shards: Mapping[str, Shard], is_tied: bool) -> None:
    if is_tied and HEAD in shards and EMBEDDING in shards and differ(shards[HEAD],
                                                                     shards[EMBEDDING]):
        raise WeightUpdateError(f"Tensor {HEAD} differs from {EMBEDDING}, but the worker's head is "
                                "tied.", tensor=HEAD)


# --- rank 0 ---


class _Failed(Exception):
    """The push cannot go on; why is noted."""


class _Lead:
    """One push, at rank 0."""

    def __init__(self, links: Links, mirror: Mirror, copies: Copies, mine: Mapping[str, Shard],
                 version: int) -> None:
        self._links, self._mirror, self._copies = links, mirror, copies
        self._mine, self._version = mine, version
        self._alive = list(range(1, links.n))
        self._error: Optional[Exception] = None  # the first
        self._owners: Dict[str, Dict[int, Box]] = {}
        self._is_tied = False

    def run(self, trainer: "Trainer", error: Optional[Exception], timeout_s: float, wait: bool,
            how: Dict[str, Any]) -> Union[PushReport, PushHandle]:
        try:
            with trainer._push_lock:
                future = self._begin(trainer, error, timeout_s, wait, how)
            if not wait:
                self._tell({"report": None})
                return PushHandle(future)
            report = trainer._wait_for(future, self._keep_alive)
            self._tell({"report": report._asdict()})
            return report
        except _Failed:
            assert self._error is not None
            self._end(self._error)
            raise self._error from None
        except Exception as failure:
            self._end(failure)
            raise

    def _begin(self, trainer: "Trainer", error: Optional[Exception], timeout_s: float, wait: bool,
               how: Dict[str, Any]) -> Any:
        self._note(error)
        said = self._listen("shards")
        start = trainer._shard_push(self._version, timeout_s, wait, how, self._keep_alive_or_fail)
        started = time.monotonic()
        try:
            with self._copies.lock:
                prepared = self._gather(said, start.plans, started)
        except BaseException:
            start.abandon()
            raise
        return start.begin(prepared)

    # --- speaking with the others ---

    def _note(self, error: Optional[Exception], rank: Optional[int] = None) -> None:
        if error is None:
            return
        if isinstance(error, LostError) and rank in self._alive:
            self._alive.remove(rank)
        self._error = self._error or error

    def _listen(self, what: str) -> Dict[int, Any]:
        """What each of them has to say; raises _Failed where any of them, or this one, failed."""
        out: Dict[int, Any] = {}
        for rank in list(self._alive):
            try:
                said = self._links.receive_json(rank)
            except LostError as lost:
                self._note(lost, rank)
                continue
            if said["error"]:
                self._note(WeightUpdateError(f"Rank {rank}: {said['error']}"))
            elif said.get("version", self._version) != self._version:
                self._note(WeightUpdateError(f"Rank {rank} pushes version {said['version']}, and "
                                             f"rank 0 version {self._version}."))
            out[rank] = said.get(what)
        self._fail_if_noted()
        return out

    def _fail_if_noted(self) -> None:
        if self._error is not None:
            raise _Failed

    def _tell(self, answer: Dict[str, Any]) -> None:
        answer["broken"] = self._links.broken  # then nobody can push this way again
        for rank in list(self._alive):
            try:
                self._links.send_json(rank, answer)
            except LostError as lost:
                self._note(lost, rank)

    def _end(self, error: Exception) -> None:
        self._tell({"error": _sentence(error), "tensor": getattr(error, "tensor", None),
                    "worker": getattr(error, "worker", None)})

    def _keep_alive(self) -> None:
        for rank in list(self._alive):
            try:
                self._links.send_alive(rank)
            except LostError as lost:
                self._note(lost, rank)

    def _keep_alive_or_fail(self) -> None:
        self._keep_alive()
        self._fail_if_noted()

    # --- what changed ---

    def _gather(self, said: Dict[int, Any], plans: List[DtypePlan], started: float) -> Prepared:
        self._copies.begin()
        try:
            return self._change_copies(said, plans, started)
        except BaseException:
            self._copies.undo()
            raise

    def _change_copies(self, said: Dict[int, Any], plans: List[DtypePlan],
                       started: float) -> Prepared:
        self._is_tied = any(plan.tied_head for plan in plans)
        if not all(plan.tied_head == self._is_tied for plan in plans):
            raise WeightUpdateError("Some workers have a tied head and some have not, which cannot "
                                    "be pushed in shards.")
        described = {0: describe(self._mine), **said}
        self._owners = owners({rank: _tied(read_description(text), self._is_tied)
                               for rank, text in sorted(described.items())})
        keys = self._copies.keys(self._owners, plans)
        of_rank: Dict[int, List[Key]] = {
            rank: [key for key in keys if rank in self._owners[key[0]]] for rank in described}
        for rank in list(self._alive):
            self._say(rank, {"keys": of_rank[rank], "base": self._copies.version,
                             "tied": self._is_tied})
        mine = _tied(self._mine, self._is_tied)
        counts: Dict[int, Any] = {}
        try:
            self._mirror.settle(self._copies.version)
            _check_tied(self._mine, self._is_tied)
            counts[0] = self._mirror.compare(mine, of_rank[0])
        except Exception as failure:
            self._note(failure)
        counts.update(self._listen("counts"))
        dense = self._which_dense(keys, {
            rank: dict(zip(of_rank[rank], some)) for rank, some in counts.items()})
        for rank in list(self._alive):
            self._say(rank, {"dense": [int(key in dense) for key in of_rank[rank]]})
        self._fail_if_noted()
        self._merge(keys, mine, dense)
        self._fail_if_noted()
        self._mirror.write(self._version, mine)
        return self._copies.prepared(self._version, plans, sum(
            prod(self._whole(name)) for name in self._owners), time.monotonic() - started)

    def _say(self, rank: int, answer: Dict[str, Any]) -> None:
        try:
            self._links.send_json(rank, answer)
        except LostError as lost:
            self._note(lost, rank)

    def _whole(self, name: str) -> Tuple[int, ...]:
        return next(iter(self._owners[name].values())).whole

    def _which_dense(self, keys: List[Key], counts: Dict[int, Dict[Key, int]]) -> Dict[Key, None]:
        """Where a rank says so, or all of it is less than what changed."""
        out: Dict[Key, None] = {}
        for key in keys:
            shape = self._whole(key[0])
            size = 4 if key[1] == "f32" else 2
            some = [counts[rank][key] for rank in self._owners[key[0]]]
            if not self._copies.has(key, shape) or -1 in some or \
                    sum(some) * (1 + size) >= prod(shape) * size:
                out[key] = None
        return out

    def _merge(self, keys: List[Key], mine: Mapping[str, Shard], dense: Dict[Key, None]) -> None:
        """Where something fails the rest is read all the same, since it is on its way."""
        broken: Dict[int, None] = {}
        for key in keys:
            parts = [(box, self._frames(rank, key, mine, key in dense, broken))
                     for rank, box in self._owners[key[0]].items()]
            try:
                self._fail_if_noted()
                if key in dense:
                    self._copies.put_dense(key, self._whole(key[0]), parts)
                else:
                    self._copies.put_sparse(key, [(box, list(frames)) for box, frames in parts])
            except Exception as failure:
                self._note(None if isinstance(failure, _Failed) else failure)
            for _, frames in parts:
                for _ in frames:
                    pass

    def _frames(self, rank: int, key: Key, mine: Mapping[str, Shard], is_dense: bool,
                broken: Dict[int, None]) -> Iterator[Frame]:
        """Of one rank and one tensor. Never raises: what goes wrong is noted."""
        try:
            if rank == 0:
                yield from self._mirror.frames(mine, key, is_dense)
                return
            while rank in self._alive and rank not in broken:
                frame = self._links.receive(rank)
                if not frame.size:
                    return
                yield frame
        except FailedError as failure:
            broken[rank] = None
            self._note(WeightUpdateError(f"Rank {rank}: {failure}"))
        except Exception as failure:
            self._note(failure, rank)
