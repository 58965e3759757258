"""A trainer as a process: python3 stub.py CONFIG.json. Its log has every message and every group.

What it is told (StubConfig of scenario.py): prompts by number, so that a restart asks for the same
ones; logs of those before it, whose groups it does not consume again (its checkpoint); versions to
push, each once so many groups are here. "done" is written when all is consumed and pushed; a line
on stdin then ends the run.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import stampede
from stampede import wire
from stampede.core import Core
from stampede.loop import Loop, decode_frames

from events import Log, read

# What the log keeps of each message: fields, or what is made of them.
SCALARS = {
    "HELLO": ("uid", "incarnation", "slots", "version", "fingerprint", "dtype"),
    "WELCOME": ("version", "lost_ms"),
    "REFUSE": ("code",), "CREDIT": ("slots",), "TASK": ("serial", "first", "n", "attempt"),
    "CANCEL": ("serial",), "HEARTBEAT": ("version", "draining", "n_rows", "n_waiting"),
    "ACK": ("result",), "DRAIN": (), "BYE": ("code", "suspect_ms", "tensor"),
    "RESULT": ("result", "serial"),
    "WEIGHTS_BEGIN": ("update", "base", "version"), "WEIGHTS_COMMIT": ("update",),
    "WEIGHTS_ABORT": ("update",), "WEIGHTS_STATUS": ("update", "phase", "version", "error"),
}


def kept(m: Any) -> Dict[str, Any]:
    fields = {name: m[name] for name in SCALARS[m.type]}
    if m.type in ("HELLO", "RESULT", "WEIGHTS_STATUS"):
        fields["digest"] = f"{m['digest'] or 0:016x}"
    if m.type == "RESULT":
        fields.update(samples=list(m.samples), spans=m.spans(),
                      finish=[wire.FINISH[code] for code in m.finish])
    return {"type": m.type, "epoch": m.epoch, "run": m.run, **fields}


def tap(log: Log, bulk_url: str) -> None:
    """Between the client's state machine and its sockets: writes down what passes. For every
    Trainer that is made after this, from its first message on. `bulk_url`: where workers are told
    to fetch weights, if not where they are."""
    opened, send, receive, lose = Loop._open, Loop._send, Loop._receive, Core.lose

    def say(event: str, peer: bytes, frames: Sequence[bytes]) -> None:
        try:
            message = decode_frames(frames)
        except wire.WireError:
            log.say(event, peer=peer.hex(), type="malformed")
            return
        if message.type in SCALARS:
            log.say(event, peer=peer.hex(), **kept(message))

    def tapped_open(self: Loop, urls: Sequence[str]) -> None:
        opened(self, urls)
        log.say("open", run=self.core.run, epoch=self.core.epoch, pid=os.getpid(), url=self.url,
                bulk_url=self.core.bulk_url)
        self.core.bulk_url = bulk_url or self.core.bulk_url

    def tapped_send(self: Loop, address: Any, frames: Sequence[bytes]) -> bool:
        say("sent", address[1], frames)
        return send(self, address, frames)

    def tapped_receive(self: Loop, socket: Any) -> Any:
        got = receive(self, socket)
        if got is not None:
            say("received", got[0], got[2])
        return got

    def tapped_lose(self: Core, worker: Any, why: str, death: str = "") -> None:
        if self.workers.get(worker.address) is worker:
            log.say("gone", peer=worker.address[1].hex(), worker=worker.uid, why=why)
        lose(self, worker, why, death)

    for owner, name, function in ((Loop, "_open", tapped_open), (Loop, "_send", tapped_send),
                                  (Loop, "_receive", tapped_receive), (Core, "lose", tapped_lose)):
        setattr(owner, name, function)


def sample(group: stampede.Group, i: int, origin: Dict[str, Any]) -> Dict[str, Any]:
    return {"sample": i, "finish": group.finish_reason[i], "error": group.errors[i],
            "tokens": group.tokens[i].tolist(), "lp_full": group.lp_full[i].tobytes().hex(),
            "lp_behav": group.lp_behav[i].tobytes().hex(), "spans": group.version_spans[i],
            "digest": origin.get("digest"), "worker": origin.get("worker"),
            "incarnation": origin.get("incarnation")}


class Pusher(threading.Thread):
    """Pushes versions in order, each once enough groups were consumed."""

    def __init__(self, trainer: stampede.Trainer, log: Log, pushes: List[Any]) -> None:
        super().__init__(daemon=True)
        self._trainer, self._log, self._pushes = trainer, log, []
        if pushes:  # before there is work: torch takes seconds to load
            from safetensors.torch import load_file
            self._pushes = [(after, version, load_file(path)) for after, version, path in pushes]
        self._n, self._more = 0, threading.Condition()

    def consumed(self) -> None:
        with self._more:
            self._n += 1
            self._more.notify_all()

    def run(self) -> None:
        for after, version, state in self._pushes:
            with self._more:
                self._more.wait_for(lambda: self._n >= after)
            self._log.say("pushing", version=version)
            try:
                self._trainer.push_weights(state, version=version, timeout_s=300)
                self._log.say("pushed", version=version)
            except stampede.StampedeError as error:
                self._log.say("push failed", version=version, error=str(error))


def checkpoint(paths: Sequence[str]) -> Tuple[set, int]:
    """What the trainers before this one consumed, and the first serial that is free."""
    before = [event for path in paths for event in read(Path(path))]
    ids = {e["id"] for e in before if e["event"] == "consumed"}
    serials = [e["first_serial"] + len(e["ids"]) for e in before if e["event"] == "submit"]
    return ids, max(serials, default=0)


def prompt_ids(i: int) -> List[int]:
    """Of prompt i: three tokens of a vocabulary of 512."""
    return [1, 2 + i // 500, 3 + i % 500]


def prompt(config: Dict[str, Any], i: int) -> stampede.Prompt:
    rewards = {int(k): v for k, v in config["rewards"].items()}
    reward = [stampede.term(rewards[i])] if i in rewards else None
    return stampede.Prompt(prompt_ids=prompt_ids(i), id=i, reward=reward)


def rollouts(trainer: stampede.Trainer, config: Dict[str, Any], log: Log, pusher: Pusher,
             wanted: range) -> None:
    done, _ = checkpoint(config["previous"])
    ids = [i for i in wanted if i not in done]
    log.say("submit", ids=ids, n=config["n"], first_serial=trainer.next_serial)
    groups = trainer.generate([prompt(config, i) for i in ids], n=config["n"],
                              sampling=stampede.Sampling(**config["sampling"]),
                              seed=config["seed"])
    for g in groups:
        origins = g.provenance
        log.say("consumed", id=g.id, deaths=len(g.deaths),
                samples=[sample(g, i, origins[i]) for i in range(g.n)])
        pusher.consumed()


def keys(config: Dict[str, Any]) -> Any:
    return stampede.Keys(*config["keys"]) if config["keys"] else None


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    log = Log(Path(config["log"]), config["name"])
    first_serial = checkpoint(config["previous"])[1]
    tap(log, config["bulk_url"])
    with stampede.Trainer(config["url"], run="matrix", epoch=config["epoch"], keys=keys(config),
                          insecure=config["insecure"], min_workers=config["min_workers"],
                          first_serial=first_serial) as trainer:
        pusher = Pusher(trainer, log, config["pushes"])
        pusher.start()
        first = config["n_prompts"]
        rollouts(trainer, config, log, pusher, range(first))
        pusher.join()
        rollouts(trainer, config, log, pusher, range(first, first + config["n_after"]))
        log.say("done", counters=trainer.counters(), workers=trainer.workers())
        sys.stdin.readline()
        log.say("counted", counters=trainer.counters())
        trainer.close(run_complete=True)


if __name__ == "__main__":
    main()
