"""Workers on this machine: started, watched, ended."""

from __future__ import annotations

import _thread
import sys
import threading
from typing import Any


class Workers:
    """`n` worker processes, within a `with` block.

    A worker that dies leaves its work to the others, so nothing stops while one of them lives. When
    the last has died, the main thread, which waits for rollouts that will not come, is interrupted
    and the block raises KeyboardInterrupt with `all_dead()` true.
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
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._watcher.join()
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            process.wait()

    def all_dead(self) -> bool:
        """Whether none of the workers started here is left."""
        return bool(self.processes) and len(self.dead) == len(self.processes)

    def _watch(self) -> None:
        while not self._closing.wait(0.5):
            for process in self.processes:
                status = process.poll()
                if status is not None and process.pid not in self.dead:
                    self.dead[process.pid] = status
                    print(f"worker {process.pid} ended with status {status}", file=sys.stderr)
            if self.all_dead():
                _thread.interrupt_main()
                return
