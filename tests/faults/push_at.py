"""A trainer that pushes a delta, and at one byte of it sends a signal to itself or to a worker.

python3 push_at.py SETTINGS    (JSON: Settings)

Prints one line of JSON: what push_weights returned or raised, and what the workers serve.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import dataclass
from typing import Any, Optional

from safetensors.torch import load_file

import stampede
from stampede import directory
from stampede.offers import Offers


@dataclass
class Settings:
    url: str
    epoch: int
    base: str  # file of weights
    target: str
    base_version: int  # 0: the worker's own checkpoint, which is not pushed
    share: float  # of the push's bytes, when the signal comes
    signal: int
    victim: Optional[int] = None  # process; None: this one
    weights_dir: Optional[str] = None
    timeout_s: float = 60.0


class Fuse:
    """Counts the bytes of the push that is armed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.victim = settings.victim or os.getpid()
        self.left: Optional[int] = None  # None: nothing is to happen

    def arm(self, n_bytes: int) -> None:
        self.left = int(self._settings.share * n_bytes)

    def until(self, n_bytes: int) -> Optional[int]:
        """Of so many bytes that go next, after how many it happens; None: not in them."""
        if self.left is None:
            return None
        before, self.left = self.left, self.left - n_bytes
        if before >= n_bytes:
            return None
        self.left = None
        return before

    def blow(self) -> None:
        print(json.dumps({"at": self._settings.share}), flush=True)
        os.kill(self.victim, self._settings.signal)


def watch_socket(fuse: Fuse) -> None:
    """Before the chunk is sent in which the byte lies: a chunk goes whole or not at all."""
    chunk = Offers.chunk

    def watched(self: Offers, m: Any) -> Any:
        fields = chunk(self, m)
        if fields is not None and fuse.until(fields["data"].size) is not None:
            fuse.blow()
        return fields

    Offers.chunk = watched  # type: ignore[method-assign]


def watch_reader(fuse: Fuse) -> None:
    """The worker reads a file that is whole: it is looked at how many bytes it has read."""
    def n_read() -> int:
        with open(f"/proc/{fuse.victim}/io", encoding="ascii") as file:
            return int(file.readline().split()[1])

    def watch(before: int, left: int) -> None:
        while n_read() < before + left:
            pass
        fuse.blow()

    offer = directory.Shelf.offer

    def watched(self: Any, *arguments: Any) -> Any:
        fields = offer(self, *arguments)
        if fields and fuse.left is not None:  # WEIGHTS_BEGIN goes out next
            left, fuse.left = fuse.left, None
            threading.Thread(target=watch, args=(n_read(), left)).start()
        return fields

    directory.Shelf.offer = watched  # type: ignore[method-assign]


def watch_directory(fuse: Fuse) -> None:
    write = directory._write

    def watched(descriptor: int, data: Any) -> None:
        at = fuse.until(len(data))
        if at is not None:
            write(descriptor, data[:at])
            fuse.blow()
            data = data[at:]
        write(descriptor, data)

    directory._write = watched


def main() -> None:
    settings = Settings(**json.loads(sys.argv[1]))
    fuse = Fuse(settings)
    (watch_socket if settings.weights_dir is None else
     watch_directory if settings.victim is None else watch_reader)(fuse)
    begin = Offers.send

    def arming(self: Offers, worker: Any, version: int, changes: Any, *more: Any) -> None:
        if version == settings.base_version + 1 and not armed:
            armed.append(version)
            fuse.arm(sum(change.n_bytes for change in changes))
        begin(self, worker, version, changes, *more)

    armed: list = []
    Offers.send = arming  # type: ignore[method-assign]
    with stampede.Trainer(settings.url, run="offsets", epoch=settings.epoch,
                          weights_dir=settings.weights_dir) as trainer:
        trainer.wait_for_workers(1, 90)
        if settings.base_version:
            trainer.push_weights(load_file(settings.base), version=settings.base_version)
        error = ""
        try:
            trainer.push_weights(load_file(settings.target), version=settings.base_version + 1,
                                 timeout_s=settings.timeout_s)
        except stampede.WeightUpdateError as failure:
            error = str(failure)
        trainer.wait_for_workers(1, 90)  # one that stood still was lost, and comes back
        print(json.dumps({"error": error, "workers": trainer.workers()}), flush=True)


if __name__ == "__main__":
    main()
