"""The I/O thread: the only one that touches the ZeroMQ sockets."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Set, Tuple, TypeVar
from weakref import WeakSet

import msgpack
import zmq

from . import address as addresses
from . import wire
from .core import Core, is_news
from .errors import ClosedError, ForkedError, StampedeError
from .keys import ZAP_URL, Curve
from .peers import Address

T = TypeVar("T")
log = logging.getLogger("stampede")
_HIGH_WATER = 65536  # a fuse: credit is the flow control
_BULK_HIGH_WATER = 64
_FAREWELL_S = 0.5
_CONTROL_TURN, _BULK_TURN = 256, 16  # messages of a socket before the others have their turn


class Loop:
    """Owns the sockets and runs `core`. Other threads use call(), post() and close()."""

    def __init__(self, urls: Sequence[str], bind: bool, insecure: bool, curve: Optional[Curve],
                 make_core: Callable[..., Core]) -> None:
        self._pid = os.getpid()
        self._context = zmq.Context(io_threads=1)
        self._bind, self._insecure = bind, insecure
        self._curve = curve
        self._zap: Optional[zmq.Socket[bytes]] = None  # where libzmq asks who may connect
        self._control: List[zmq.Socket[bytes]] = []
        self._bulk: Dict[int, zmq.Socket[bytes]] = {}  # by index of the control socket
        self._bulk_names: Dict[int, Tuple[str, str]] = {}
        self._poller: Optional[zmq.Poller] = None  # made anew when there are other sockets
        self._commands: Deque[Callable[[], Any]] = deque()
        self._wake_out, self._wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # Of the commands and the pipe. Whoever holds it may be made to run a __del__ that posts.
        self._lock = threading.RLock()
        self._stopping = False
        self._farewell = wire.BYE_LEAVING
        self._error: Optional[BaseException] = None
        self.core = make_core(self._send, self._in_background)
        self.url = ""
        try:
            self._open(urls)
        except BaseException:
            self._close_all()
            raise
        self._thread = threading.Thread(target=self._run, name="stampede-io", daemon=True)
        self._thread.start()
        _loops.add(self)

    # --- for other threads ---

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Runs the function on the I/O thread; returns what it returns, raises what it raises."""
        future: "Future[T]" = Future()

        def run() -> None:
            try:
                future.set_result(function(*arguments))
            except BaseException as error:
                future.set_exception(error)

        self.post(run)
        return self.wait(future)

    def post(self, function: Callable[[], Any]) -> None:
        """Runs the function on the I/O thread, soon."""
        self.check()  # before the lock: in a forked process nobody would ever unlock it
        with self._lock:
            self.check()
            self._commands.append(function)
            self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._wake_in, b"x")
        except BlockingIOError:
            pass  # the pipe is full of wakes already

    def wait(self, future: "Future[T]", timeout: Optional[float] = None,
             what: str = "Nothing came", meanwhile: Callable[[], None] = lambda: None) -> T:
        """The future's result; ends when the I/O thread ends. `what` begins the sentence of the
        StampedeError that says that the timeout, in seconds, is over. `meanwhile` is called every
        half second."""
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while not wait_for([future], min(0.5, max(0.0, deadline - time.monotonic()))).done:
            self.check()
            meanwhile()
            if time.monotonic() >= deadline:
                raise StampedeError(f"{what} in {timeout:g} s.")
        return future.result()

    def check(self) -> None:
        """Raises when nothing runs here any more, or ever did in this process."""
        self.check_process()
        if self._error is not None:
            raise StampedeError(f"The I/O thread failed: {self._error!r}.") from self._error
        if self._stopping:
            raise ClosedError("The Trainer is closed.")

    @property
    def has_ended(self) -> bool:
        return self._stopping

    def check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedError(
                f"This Trainer belongs to process {self._pid}; process {os.getpid()} was forked "
                "from it and cannot use it: make a Trainer of its own, or start the process with "
                '"spawn".')

    def stop(self, farewell: int = wire.BYE_LEAVING) -> None:
        """The thread says goodbye and ends, soon. Nothing happens in a forked process."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            if not self._stopping:
                self._farewell, self._stopping = farewell, True
                self._wake()

    def close(self, farewell: int = wire.BYE_LEAVING) -> None:
        """The same, and waits for its end."""
        self.stop(farewell)
        if os.getpid() == self._pid and threading.current_thread() is not self._thread:
            self._thread.join(10)

    # --- sockets ---

    def _socket(self, kind: int, url: str, high_water: int, max_frame: int,
                index: int = 0) -> "zmq.Socket[bytes]":
        socket = self._context.socket(kind)
        if self._curve is not None:
            self._curve.secure(socket, index)
            max_frame += 64  # what CURVE makes a frame longer by (rfc.zeromq.org/spec/26)
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

    def _bound(self, url: str, high_water: int, max_frame: int) -> Tuple["zmq.Socket[bytes]", str]:
        socket = self._socket(zmq.ROUTER, url, high_water, max_frame)
        try:
            socket.bind(url)
        except zmq.ZMQError as error:
            socket.close(0)
            raise StampedeError(f'Address "{url}" could not be bound: {error}.') from error
        return socket, socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def _open(self, urls: Sequence[str]) -> None:
        anywhere = self._insecure or self._curve is not None
        checked = [addresses.check(url, self._bind, anywhere) for url in urls]
        if not self._bind:
            for index, url in enumerate(checked):
                socket = self._socket(zmq.DEALER, url, _HIGH_WATER, wire.MAX_RESULT_PAYLOAD, index)
                self._control.append(socket)
                socket.connect(url)
            self.url = checked[0]
            return
        if self._curve is not None:  # before a socket is bound that asks
            self._zap = self._context.socket(zmq.REP)
            self._zap.bind(ZAP_URL)
        socket, self.url = self._bound(checked[0], _HIGH_WATER, wire.MAX_RESULT_PAYLOAD)
        self._control.append(socket)
        host = self.url.rsplit(":", 1)[0]
        bulk = f"{self.url}-bulk" if self.url.startswith("ipc://") else f"{host}:*"
        self._bulk[0], self.core.bulk_url = self._bound(bulk, _BULK_HIGH_WATER, wire.MAX_HEADER)

    def _connect_bulk(self, index: int, url: str, routing_id: str) -> None:
        """A bound worker's HELLO says where its bulk socket is, and by which name it knows us."""
        names = url, routing_id
        if self._bind or not url or self._bulk_names.get(index) == names:
            return
        try:
            url = addresses.check(url, False, self._insecure or self._curve is not None)
        except StampedeError as error:
            log.error("A worker's bulk socket cannot be used: %s", error)
            return
        if index in self._bulk:
            self._bulk.pop(index).close(0)
        socket = self._socket(zmq.DEALER, url, _BULK_HIGH_WATER, wire.MAX_HEADER, index)
        if routing_id:
            socket.setsockopt(zmq.ROUTING_ID, routing_id.encode())
        socket.connect(url)
        self._bulk[index], self._bulk_names[index] = socket, names
        self._poller = None

    def _close_all(self) -> None:
        # Whoever listens has had BYE. A closed socket that lingers may be the end of this process
        # (github.com/zeromq/libzmq/issues/4364).
        for socket in self._control + list(self._bulk.values()):
            socket.close(0)
        if self._zap is not None:
            self._zap.close()
        self._context.term()
        with self._lock:
            os.close(self._wake_out)
            os.close(self._wake_in)
            self._stopping = True  # nobody writes there any more

    # --- the thread ---

    def _send(self, address: Address, frames: Sequence[bytes]) -> bool:
        """False when the peer cannot be reached or does not read: its session is over."""
        index, identity = address
        socket = self._control[index]
        try:
            if self._bind:
                socket.send(identity, zmq.DONTWAIT | zmq.SNDMORE)
            for frame in frames[:-1]:
                socket.send(frame, zmq.DONTWAIT | zmq.SNDMORE)
            socket.send(frames[-1], zmq.DONTWAIT)
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
            with self._lock:
                self._stopping = True  # no command comes after this
            self._run_commands()
            self.core.abandon()
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
                        if decode_frames(got[2]).type == "BYE":
                            awaited.discard((index, got[0]))
                    except wire.WireError:
                        pass  # what else comes now has nobody to read it

    def _turn(self) -> None:
        ready = self._poll()
        start = time.monotonic()
        if self._wake_out in ready:
            os.read(self._wake_out, 65536)
        if self._zap in ready:
            self._answer_zap()
        full = False
        for index, socket in enumerate(self._control):
            if socket in ready:
                full |= self._take_some(_CONTROL_TURN, self._take_control, index, socket)
        for index, socket in list(self._bulk.items()):
            if socket in ready:
                self._take_some(_BULK_TURN, self._take_bulk, index, socket)
        self._run_commands()
        if not full:  # silence counts only once everything that came was read
            self.core.on_tick(time.monotonic())
        self.core.settle(not full)
        self.core.lag_s = max(0.99 * self.core.lag_s, time.monotonic() - start)

    def _poll(self) -> Dict[Any, int]:
        """What can be read, in at most 200 ms; at once while sessions are to be ended."""
        if self._poller is None:
            self._poller = zmq.Poller()
            self._poller.register(self._wake_out, zmq.POLLIN)
            for socket in self._control + list(self._bulk.values()):
                self._poller.register(socket, zmq.POLLIN)
            if self._zap is not None:
                self._poller.register(self._zap, zmq.POLLIN)
        return dict(self._poller.poll(0 if self.core.is_burying else 200))

    @staticmethod
    def _take_some(most: int, take: Callable[[int, Any], bool], index: int, socket: Any) -> bool:
        """Takes messages until there are none, or so many. True: there may be more."""
        for _ in range(most):
            if not take(index, socket):
                return False
        return True

    def _run_commands(self) -> None:
        while self._commands:
            command = self._commands.popleft()
            try:
                command()
            except Exception:  # whoever waits for it has a future of his own
                log.exception("A command of another thread failed.")

    def _answer_zap(self) -> None:
        """Who may connect. It is this thread that answers: without it nothing is read either."""
        assert self._zap is not None and self._curve is not None
        question = self._zap.recv_multipart()
        answer, allowed = self._curve.answer(question)
        self.core.counters["refused_keys"] += not allowed
        if not allowed and is_news(self.core.counters["refused_keys"]):
            where = question[3].decode("ascii", "replace") if len(question) > 3 else "?"
            log.warning("A peer at %s was refused: its key is not allowed (%d such attempts so "
                        "far).", where, self.core.counters["refused_keys"])
        self._zap.send_multipart(answer)

    def _receive(self, socket: "zmq.Socket[bytes]") -> Optional[Tuple[bytes, str, List[bytes]]]:
        """Routing id, user and frames of the next message. The user is "" where no keys are asked
        for; a message without one that is allowed is dropped: libzmq lets everyone in where nobody
        authenticates, so the handshake alone proves nothing."""
        allowed = None if self._curve is None else self._curve.allowed
        while True:
            try:
                if allowed is None:
                    frames = socket.recv_multipart(zmq.DONTWAIT)
                else:
                    whole = socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return None
            if allowed is None:
                return ((frames[0], "", frames[1:]) if socket.type == zmq.ROUTER
                        else (b"", "", frames))
            user = _user_of(whole[1:])  # the routing id's frame loses it
            if user and allowed.has(user):
                return whole[0].bytes, user, [frame.bytes for frame in whole[1:]]
            self.core.shut_out((0, whole[0].bytes))

    def _take_control(self, index: int, socket: "zmq.Socket[bytes]") -> bool:
        got = self._receive(socket)
        if got is None:
            return False
        identity, user, frames = got
        address = (index, identity)
        try:
            message = decode_frames(frames)
        except wire.WireError as error:
            self.core.on_malformed(address, error, _is_hello(frames))
            return True
        try:
            if message.type == "HELLO":
                self._connect_bulk(index, message["bulk_url"], message["bulk_id"])
            self.core.on_message(address, message, time.monotonic(), user)
        except Exception:  # a message that we fail on costs its session and nothing else
            log.exception("A message could not be handled.")
            self.core.on_failure(address)
        return True

    def _take_bulk(self, index: int, socket: "zmq.Socket[bytes]") -> bool:
        got = self._receive(socket)
        if got is None:
            return False
        identity, _, frames = got
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


# What is open when the interpreter ends is closed then, so that workers hear of it.
_loops: "WeakSet[Loop]" = WeakSet()


@atexit.register
def _close_loops() -> None:
    for loop in list(_loops):
        loop.close()


def _user_of(frames: Sequence["zmq.Frame"]) -> str:
    """Whose key the sender has, as libzmq says at the frame; "": nobody authenticated it."""
    try:
        user = frames[0].get("User-Id") if frames else ""
    except (zmq.ZMQError, KeyError):
        return ""
    return user if isinstance(user, str) else ""


def decode_frames(frames: Sequence[bytes]) -> wire.Message:
    """A message from its one or two frames."""
    if not 1 <= len(frames) <= 2:
        raise wire.WireError("parts", f"A message of {len(frames)} frames, expected 1 or 2.")
    return wire.decode(*frames)


def _is_hello(frames: Sequence[bytes]) -> bool:
    try:
        root = msgpack.unpackb(frames[0], strict_map_key=False)
        return bool(root[0] == wire.MAGIC and root[3] == wire.TYPES["HELLO"][0])
    except Exception:  # junk of any kind is not HELLO
        return False
