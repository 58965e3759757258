"""Workers on this machine: started, watched, ended."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

LOOK_S = 0.5  # between two looks at the processes


class NoWorkerLeft(Exception):
    """The last worker has ended, and rollouts that were waited for will not come."""


class Workers:
    """`n` worker processes, within a `with` block of the main thread.

    A worker that dies leaves its work to the others, so nothing stops while one of them lives. When
    the last has died, the main thread is interrupted and the block raises NoWorkerLeft. The signal
    is SIGUSR1, since a program that runs in the background of a shell ignores SIGINT.
    """

    def __init__(self, n: int, **launch: Any) -> None:
        """launch: the keywords of `stampede.launch`."""
        self.n, self.launch = n, launch
        self.processes: list[Any] = []
        self.dead: dict[int, int] = {}  # pid: exit status of those that ended by themselves
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Workers:
        import stampede

        self.processes = [stampede.launch(**self.launch) for _ in range(self.n)]
        self._former = signal.signal(signal.SIGUSR1, self._tell)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._closing.set()
            self._watcher.join()
        finally:
            signal.signal(signal.SIGUSR1, self._former)
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            process.wait()

    @staticmethod
    def _tell(*_: object) -> None:
        raise NoWorkerLeft

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_S):
            for process in self.processes:
                status = process.poll()
                if status is not None and process.pid not in self.dead:
                    self.dead[process.pid] = status
                    print(f"worker {process.pid} ended with status {status}", file=sys.stderr)
            if self.processes and len(self.dead) == len(self.processes):
                signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
                return
