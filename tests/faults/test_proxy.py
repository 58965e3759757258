"""The bad network does what it says: else rows of the matrix would test nothing."""

from __future__ import annotations

import socket
import threading
import time
from typing import Iterator, Tuple

import pytest

from harness import eventually
from proxy import Proxy


@pytest.fixture
def echo() -> Iterator[Tuple[Proxy, socket.socket]]:
    """A proxy before a server that echoes, and a connection through it."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                end, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(end,), daemon=True).start()

    def answer(end: socket.socket) -> None:
        try:
            while data := end.recv(65536):
                end.sendall(data)
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    proxy = Proxy(("127.0.0.1", server.getsockname()[1]))
    with socket.create_connection(("127.0.0.1", proxy.port), 60) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        yield proxy, client
    proxy.close()
    server.close()


def test_slow_and_late(echo: Tuple[Proxy, socket.socket]) -> None:
    proxy, client = echo
    proxy.delay_s, proxy.bytes_per_s = 0.1, 50_000
    start = time.monotonic()
    client.sendall(bytes(10_000))
    n = 0
    while n < 10_000:
        n += len(client.recv(65536))
    assert time.monotonic() - start > 2 * (0.1 + 0.2)  # to and fro


def test_half_open(echo: Tuple[Proxy, socket.socket]) -> None:
    proxy, client = echo
    proxy.freeze(up=False, down=True)
    client.sendall(b"x")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1)
    proxy.thaw()
    client.settimeout(60)
    assert client.recv(1) == b"x"
    proxy.strand()
    client.sendall(b"y")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), 60) as other:
        other.sendall(b"z")
        assert other.recv(1) == b"z"


def test_resets(echo: Tuple[Proxy, socket.socket]) -> None:
    proxy, client = echo
    proxy.reset_after(3)
    client.sendall(b"hello")
    came = b""
    with pytest.raises(ConnectionResetError):
        while data := client.recv(100):
            came += data
    assert came in (b"", b"hel")  # RST may overtake what was not read
    eventually(lambda: proxy.n_resets == 1)
    with socket.create_connection(("127.0.0.1", proxy.port), 60) as other:
        other.sendall(b"again")
        assert other.recv(100) == b"again"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            other.recv(1)
