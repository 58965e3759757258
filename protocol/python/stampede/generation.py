"""What `Trainer.generate` and `Trainer.agenerate` return: groups as they finish."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, AsyncIterator, Deque, Iterator, Optional, Sequence, Set, Tuple

from .errors import StampedeError
from .groups import Group
from .jobs import Job, Mailbox
from .loop import Loop

if TYPE_CHECKING:
    from .trainer import Trainer


class Call:
    """The groups of one call that have not come yet."""

    def __init__(self, owner: "Trainer", loop: Loop) -> None:
        self._owner = owner  # a Trainer that is dropped ends: not while one waits for its groups
        self._loop = loop
        self._open: Set[int] = set()  # serials

    def start(self, jobs: Sequence[Job]) -> None:
        self._open = {job.serial for job in jobs}
        self._loop.post(lambda: self._loop.core.submit(jobs))

    def _came(self, group: Group, mailbox: Mailbox) -> Group:
        self._open.discard(group.serial)
        self._owner._ledger.close((group.serial,))
        core = self._loop.core
        core.waits.took(group, core.updates.version)
        if not self._open:
            mailbox.put(None)  # for others who wait for one more
        return group

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        waits = self._loop.core.waits
        waits.begin()
        try:
            yield
        finally:
            waits.end()

    def close(self) -> None:
        """Cancels what has not come."""
        serials, self._open = self._open, set()
        if serials:
            try:
                self._loop.post(lambda: self._loop.core.cancel(serials, True))
                self._owner._ledger.close(serials)
            except StampedeError:
                pass  # closed, or not ours in this process: nothing runs any more

    def __del__(self) -> None:
        self.close()


class Generation(Call, Iterator[Group]):
    """The groups of one `generate` call as they finish. Dropping or closing it cancels the rest.

    Threads may share one: each group goes to one of them.
    """

    def __init__(self, owner: "Trainer", loop: Loop) -> None:
        super().__init__(owner, loop)
        self.mailbox: "queue.SimpleQueue[Optional[Group]]" = queue.SimpleQueue()

    def __next__(self) -> Group:
        while self._open:
            self._loop.check_process()
            with self._waiting():
                group = self.mailbox.get()
            if group is not None and group.serial in self._open:
                return self._came(group, self.mailbox)
            self.mailbox.put(None)  # closed: for others who wait
            if group is None:
                self._loop.check()
        raise StopIteration

    def close(self) -> None:
        super().close()
        self.mailbox.put(None)  # for a thread that waits


class AsyncMailbox:
    """A queue from the I/O thread to whatever event loop waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: Deque[Optional[Group]] = deque()
        self._waiters: Deque[Tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]] = deque()

    def put(self, group: Optional[Group]) -> None:
        with self._lock:
            self._items.append(group)
            waiters, self._waiters = self._waiters, deque()
        for loop, future in waiters:
            try:
                loop.call_soon_threadsafe(_wake, future)
            except RuntimeError:
                pass  # that event loop is closed, and nobody waits in it

    async def get(self) -> Optional[Group]:
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                if self._items:
                    return self._items.popleft()
                future: "asyncio.Future[None]" = loop.create_future()
                self._waiters.append((loop, future))
            await future


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class AsyncGeneration(Call, AsyncIterator[Group]):
    """The groups of one `agenerate` call as they finish. Dropping or closing it, and cancelling a
    task that waits for a group of it, cancels the rest."""

    def __init__(self, owner: "Trainer", loop: Loop) -> None:
        super().__init__(owner, loop)
        self.mailbox = AsyncMailbox()

    async def __anext__(self) -> Group:
        while self._open:
            self._loop.check_process()
            try:
                with self._waiting():
                    group = await self.mailbox.get()
            except asyncio.CancelledError:
                self.close()
                raise
            if group is not None and group.serial in self._open:
                return self._came(group, self.mailbox)
            self.mailbox.put(None)
            if group is None:
                self._loop.check()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Cancels what has not come."""
        self.close()

    def close(self) -> None:
        super().close()
        self.mailbox.put(None)
