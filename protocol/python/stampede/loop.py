"""The I/O thread: the only one that touches the ZeroMQ sockets."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Set, Tuple

import msgpack
import numpy as np
import zmq

from . import address as addresses
from . import wire
from .core import Core
from .errors import ClosedError, StampedeError
from .peers import Address

log = logging.getLogger("stampede")
_ZERO_COPY_FROM = 8192  # libzmq hands out smaller frames at odd addresses
_HIGH_WATER = 65536  # a fuse: credit is the flow control
_BULK_HIGH_WATER = 64
_FAREWELL_S = 0.5
_CONTROL_TURN, _BULK_TURN = 256, 16  # messages of a socket before the others have their turn


class Loop:
    """Owns the sockets and runs `core`. Other threads use call() and close()."""

    def __init__(self, urls: Sequence[str], bind: bool, insecure: bool, make_core: Any) -> None:
        self._context = zmq.Context(io_threads=1)
        self._bind, self._insecure = bind, insecure
        self._control: List[zmq.Socket] = []
        self._bulk: Dict[int, zmq.Socket] = {}  # by index of the control socket
        self._bulk_urls: Dict[int, Tuple[str, str]] = {}
        self._commands: Deque[Callable[[], None]] = deque()
        self._wake_out, self._wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake_lock = threading.Lock()
        self._stopping = False
        self._farewell = wire.BYE_LEAVING
        self._error: Optional[BaseException] = None
        self.core: Core = make_core(self._send, self._in_background)
        self.url = ""
        try:
            self._open(urls)
        except BaseException:
            self._close_all()
            raise
        self._thread = threading.Thread(target=self._run, name="stampede-io", daemon=True)
        self._thread.start()

    # --- for other threads ---

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Runs the function on the I/O thread; returns what it returns, raises what it raises."""
        future: "Future[Any]" = Future()

        def run() -> None:
            try:
                future.set_result(function(*arguments))
            except BaseException as error:
                future.set_exception(error)

        self.post(run)
        return self.wait(future)

    def post(self, function: Callable[[], None]) -> None:
        """Runs the function on the I/O thread, soon."""
        self.check()
        self._commands.append(function)
        self._wake()

    def _wake(self) -> None:
        with self._wake_lock:
            if self._wake_in >= 0:
                try:
                    os.write(self._wake_in, b"x")
                except BlockingIOError:
                    pass  # the pipe is full of wakes already

    def wait(self, future: "Future[Any]", timeout: Optional[float] = None) -> Any:
        """The future's result; ends when the I/O thread ends."""
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while not wait_for([future], min(0.5, max(0.0, deadline - time.monotonic()))).done:
            self.check()
            if time.monotonic() >= deadline:
                raise StampedeError(f"Nothing came in {timeout} s.")
        return future.result()

    def check(self) -> None:
        if self._error is not None:
            raise StampedeError(f"The I/O thread failed: {self._error!r}.") from self._error
        if self._stopping:
            raise ClosedError("The Trainer is closed.")

    def close(self, farewell: int) -> None:
        if not self._stopping:
            self._farewell, self._stopping = farewell, True
            self._wake()
        self._thread.join(10)

    # --- sockets ---

    def _socket(self, kind: int, url: str, high_water: int, max_frame: int) -> zmq.Socket:
        socket = self._context.socket(kind)
        for option, value in (
                (zmq.LINGER, 200), (zmq.SNDHWM, high_water), (zmq.RCVHWM, high_water),
                (zmq.MAXMSGSIZE, max_frame), (zmq.HANDSHAKE_IVL, 5000),
                (zmq.HEARTBEAT_IVL, 1000), (zmq.HEARTBEAT_TIMEOUT, 3000),
                (zmq.HEARTBEAT_TTL, 3000), (zmq.RECONNECT_IVL, 100),
                (zmq.RECONNECT_IVL_MAX, 5000), (zmq.BACKLOG, 1024),
                (zmq.IPV6, int(url.startswith("tcp://[")))):
            socket.setsockopt(option, value)
        if kind == zmq.ROUTER:
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        else:
            socket.setsockopt(zmq.IMMEDIATE, 1)
        return socket

    def _bound(self, url: str, high_water: int, max_frame: int) -> Tuple[zmq.Socket, str]:
        socket = self._socket(zmq.ROUTER, url, high_water, max_frame)
        try:
            socket.bind(url)
        except zmq.ZMQError as error:
            socket.close(0)
            raise StampedeError(f'Address "{url}" could not be bound: {error}.') from error
        return socket, socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def _open(self, urls: Sequence[str]) -> None:
        checked = [addresses.check(url, self._bind, self._insecure) for url in urls]
        if not self._bind:
            for url in checked:
                socket = self._socket(zmq.DEALER, url, _HIGH_WATER, wire.MAX_RESULT_PAYLOAD)
                self._control.append(socket)
                socket.connect(url)
            self.url = checked[0]
            return
        socket, self.url = self._bound(checked[0], _HIGH_WATER, wire.MAX_RESULT_PAYLOAD)
        self._control.append(socket)
        host = self.url.rsplit(":", 1)[0]
        bulk = f"{self.url}-bulk" if self.url.startswith("ipc://") else f"{host}:*"
        self._bulk[0], self.core.bulk_url = self._bound(bulk, _BULK_HIGH_WATER, wire.MAX_HEADER)

    def _connect_bulk(self, index: int, url: str, routing_id: str) -> None:
        """A bound worker's HELLO says where its bulk socket is, and by which name it knows us."""
        if self._bind or not url or self._bulk_urls.get(index) == (url, routing_id):
            return
        named = url, routing_id
        try:
            url = addresses.check(url, False, self._insecure)
        except StampedeError as error:
            log.error("A worker's bulk socket cannot be used: %s", error)
            return
        if index in self._bulk:
            self._bulk.pop(index).close(0)
        socket = self._socket(zmq.DEALER, url, _BULK_HIGH_WATER, wire.MAX_HEADER)
        if routing_id:
            socket.setsockopt(zmq.ROUTING_ID, routing_id.encode())
        socket.connect(url)
        self._bulk[index], self._bulk_urls[index] = socket, named

    def _close_all(self) -> None:
        for socket in self._control + list(self._bulk.values()):
            socket.close()
        self._context.term()
        with self._wake_lock:
            os.close(self._wake_out)
            os.close(self._wake_in)
            self._wake_out = self._wake_in = -1

    # --- the thread ---

    def _send(self, address: Address, message: wire.Message) -> bool:
        """False when the peer cannot be reached or does not read: its session is over."""
        index, identity = address
        frames = wire.encode(message)
        try:
            self._control[index].send_multipart(([identity] if self._bind else []) + frames,
                                                zmq.DONTWAIT)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        return True

    def _in_background(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Runs `work` on a thread of its own, then `done(error or None)` on this one."""

        def run() -> None:
            error: Any = None
            try:
                work()
            except Exception as failure:
                error = failure
            try:
                self.post(lambda: done(error))
            except StampedeError:
                pass

        threading.Thread(target=run, name="stampede-weights", daemon=True).start()

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
            for worker in self.core.workers.values():
                self.core.send(worker, "BYE", code=self._farewell, reason="the trainer closes")
            self._await_farewells({worker.address for worker in self.core.workers.values()})
        except BaseException as error:
            self._error = error
            log.exception("The I/O thread failed.")
        finally:
            self._stopping = True
            self._close_all()

    def _await_farewells(self, awaited: Set[Address]) -> None:
        """Reads until each of them has answered BYE, or _FAREWELL_S have passed: a connection that
        is closed takes with it what its other end has not read yet."""
        deadline = time.monotonic() + _FAREWELL_S
        while awaited and time.monotonic() < deadline:
            time.sleep(0.005)
            for index, socket in enumerate(self._control):
                while (got := self._receive(socket)) is not None:
                    try:
                        if decode_frames(got[1]).type == "BYE":
                            awaited.discard((index, got[0]))
                    except wire.WireError:
                        pass  # what else comes now has nobody to read it

    def _turn(self) -> None:
        poller = zmq.Poller()
        poller.register(self._wake_out, zmq.POLLIN)
        for socket in self._control + list(self._bulk.values()):
            poller.register(socket, zmq.POLLIN)
        if dict(poller.poll(200)).get(self._wake_out):
            os.read(self._wake_out, 65536)
        full = False
        for index, socket in enumerate(self._control):
            for _ in range(_CONTROL_TURN):
                if not self._take_control(index, socket):
                    break
            else:
                full = True
        for index, socket in list(self._bulk.items()):
            for _ in range(_BULK_TURN):
                if not self._take_bulk(socket):
                    break
        while self._commands:
            self._commands.popleft()()
        if not full:  # silence counts only once everything that came was read
            self.core.on_tick(time.monotonic())
        self.core.settle()

    def _receive(self, socket: zmq.Socket) -> Optional[Tuple[bytes, List[zmq.Frame]]]:
        try:
            frames = socket.recv_multipart(zmq.DONTWAIT, copy=False)
        except zmq.Again:
            return None
        if socket.type == zmq.ROUTER:
            return frames[0].bytes, frames[1:]
        return b"", frames

    def _take_control(self, index: int, socket: zmq.Socket) -> bool:
        got = self._receive(socket)
        if got is None:
            return False
        identity, frames = got
        address = (index, identity)
        try:
            message = decode_frames(frames)
        except wire.WireError as error:
            self.core.on_malformed(address, error, _is_hello(frames))
            return True
        if message.type == "HELLO":
            self._connect_bulk(index, message["bulk_url"], message["bulk_id"])
        self.core.on_message(address, message, time.monotonic())
        return True

    def _take_bulk(self, socket: zmq.Socket) -> bool:
        got = self._receive(socket)
        if got is None:
            return False
        identity, frames = got
        try:
            message = decode_frames(frames)
        except wire.WireError as error:
            self.core.counters[f"malformed_{error.reason}"] += 1
            return True
        fields = self.core.updates.chunk(message) if message.type == "WEIGHTS_PULL" else None
        if fields is None:
            self.core.counters["unanswered_pulls"] += 1
            return True
        out = wire.encode(wire.Message("WEIGHTS_CHUNK", fields, self.core.run, self.core.epoch))
        try:
            socket.send_multipart(([identity] if self._bind else []) + out, zmq.DONTWAIT)
        except zmq.ZMQError:
            self.core.counters["unsent_chunks"] += 1  # the worker asks again
        return True


def decode_frames(frames: Sequence[zmq.Frame]) -> wire.Message:
    """A message whose columns are views of the payload frame, or of a copy of a small one."""
    if not 1 <= len(frames) <= 2:
        raise wire.WireError("parts", f"A message of {len(frames)} frames, expected 1 or 2.")
    if len(frames) == 1:
        return wire.decode(frames[0].bytes)
    view = np.frombuffer(frames[1].buffer, np.uint8)
    if view.size < _ZERO_COPY_FROM or view.ctypes.data % 8:
        view = view.copy()
    return wire.decode(frames[0].bytes, view.data)


def _is_hello(frames: Sequence[zmq.Frame]) -> bool:
    try:
        root = msgpack.unpackb(frames[0].bytes, strict_map_key=False)
        return bool(root[0] == wire.MAGIC and root[3] == wire.TYPES["HELLO"][0])
    except Exception:  # junk of any kind is not HELLO
        return False
