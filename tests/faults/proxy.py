"""A TCP proxy that is a bad network: slow, late, cut, half open, or in front of another server.

`Proxy` listens on loopback; every knob may be turned at any time, from any thread.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from typing import Any, Callable, Coroutine, List, Optional, Set, Tuple

CHUNK = 16 << 10
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close() sends RST


class Flow:
    """One direction of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                 proxy: "Proxy", up: bool) -> None:
        self._reader, self._writer, self._proxy, self._up = reader, writer, proxy, up
        self._queue: "asyncio.Queue[Tuple[float, bytes]]" = asyncio.Queue(256)
        self.stranded = False

    async def take(self) -> None:
        data = b"x"
        while data:
            try:
                data = await self._reader.read(CHUNK)
            except OSError:
                data = b""  # told to the other end in its turn, and not while nothing passes
            await self._queue.put((time.monotonic(), data))

    async def give(self) -> None:
        proxy = self._proxy
        while True:
            came, data = await self._queue.get()
            wait = came + proxy.delay_s - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            while self.stranded or (proxy.frozen_up if self._up else proxy.frozen_down):
                await asyncio.sleep(0.02)
            if not data:
                raise ConnectionResetError  # one end closed: so does the other
            if proxy.bytes_per_s:
                await asyncio.sleep(len(data) / proxy.bytes_per_s)
            keep = proxy.spend(len(data), self._up)
            self._writer.write(data[:keep])
            await self._writer.drain()
            if keep < len(data):
                raise ConnectionResetError


class Proxy:
    """Forwards connections to `upstream` (host, port); None: they wait for it."""

    def __init__(self, upstream: Optional[Tuple[str, int]] = None) -> None:
        self.upstream = upstream
        self.delay_s = 0.0
        self.bytes_per_s = 0.0  # of each direction of each connection; 0: no limit
        self.frozen_up = self.frozen_down = False  # nothing passes, and nobody is told
        self.n_connections = self.n_resets = 0
        self._budget: Optional[int] = None
        self._pairs: Set[Tuple[asyncio.StreamWriter, ...]] = set()
        self._flows: List[Flow] = []
        self._tasks: Set["asyncio.Task[Any]"] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"tcp://127.0.0.1:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # --- knobs ---

    def point_at(self, url: str) -> None:
        host, port = url.split("//")[1].rsplit(":", 1)
        self.upstream = host, int(port)

    def freeze(self, up: bool = True, down: bool = True) -> None:
        """Half-open links: bytes are taken and go nowhere until thaw()."""
        self.frozen_up, self.frozen_down = up, down

    def thaw(self) -> None:
        self.frozen_up = self.frozen_down = False

    def strand(self) -> None:
        """The connections of now are half open for good; those that come are not."""
        self._call(lambda: [setattr(flow, "stranded", True) for flow in self._flows])

    def reset_after(self, n_bytes: int) -> None:
        """The connection that carries this byte to a worker, counted from now, is reset behind it,
        in the middle of a frame as often as not."""
        self._budget = n_bytes

    def cut(self) -> None:
        """Resets all connections of now."""
        self._call(self._cut)

    def close(self) -> None:
        self._call(self._end)
        self._thread.join(20)

    # --- the loop's thread ---

    def spend(self, n: int, up: bool) -> int:
        """How many of these bytes pass before the reset that was asked for."""
        if up or self._budget is None:
            return n
        if self._budget >= n:
            self._budget -= n
            return n
        keep, self._budget = self._budget, None
        return keep

    def _call(self, function: Callable[[], Any]) -> None:
        done = threading.Event()

        def run() -> None:
            function()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(60), "the proxy's thread hangs"

    def _cut(self) -> None:
        for pair in list(self._pairs):
            self._reset(pair)

    def _end(self) -> None:
        self._cut()
        for task in list(self._tasks):
            task.cancel()

    def _reset(self, pair: Tuple[asyncio.StreamWriter, ...]) -> None:
        self._pairs.discard(pair)
        for writer in pair:
            end = writer.get_extra_info("socket")
            if end is not None and end.fileno() >= 0:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        pair: List[asyncio.StreamWriter] = [writer]
        try:
            while self.upstream is None:
                await asyncio.sleep(0.02)
            up_reader, up_writer = await asyncio.open_connection(*self.upstream)
            pair.append(up_writer)
            self._pairs.add(tuple(pair))
            flows = (Flow(reader, up_writer, self, True), Flow(up_reader, writer, self, False))
            self._flows += flows
            async with asyncio.TaskGroup() as group:  # the first that fails ends them all
                for flow in flows:
                    group.create_task(flow.take())
                    group.create_task(flow.give())
        except* OSError:
            self.n_resets += 1
        finally:
            self._reset(tuple(pair))

    async def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await work
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)

    async def _serve(self) -> None:
        server = await asyncio.start_server(lambda r, w: self._keep(self._connect(r, w)),
                                            sock=self._listener)
        async with server:
            await server.serve_forever()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._keep(self._serve()))
        self._loop.run_until_complete(self._last_words())
        self._loop.close()

    async def _last_words(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
