"""Workers that hold nothing: python3 storm.py LOG URL N SECRET PUBLIC SERVER FINGERPRINT DIGEST
DTYPE. At each line on stdin all of them connect anew at once; "all joined" is written when each has
its WELCOME. Between that they say that they are alive."""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import zmq

from events import Log
from stampede import wire


def key(path: str) -> bytes:
    return Path(path).read_bytes().strip()


class Peer:
    """One of them."""

    def __init__(self, context: "zmq.Context[Any]", number: int, url: str, keys: List[bytes],
                 hello: Dict[str, Any]) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.curve_secretkey, self.socket.curve_publickey = keys[0], keys[1]
        self.socket.curve_serverkey = keys[2]
        self.socket.connect(url)
        self.run, self.epoch, self.seq, self.joined = "", 0, 0, False
        self.say("HELLO", uid=f"storm-{number}", incarnation=time.monotonic_ns(), **hello)

    def say(self, kind: str, **fields: Any) -> None:
        self.seq += 1
        self.socket.send_multipart(wire.encode(wire.Message(kind, fields, self.run, self.epoch,
                                                            self.seq)))

    def hear(self) -> None:
        m = wire.decode(*self.socket.recv_multipart())
        if m.type == "WELCOME":
            self.run, self.epoch, self.joined = m.run, m.epoch, True
        assert m.type != "REFUSE", m["error"]


def main() -> None:
    path, url, n, secret, public, server, fingerprint, digest, dtype = sys.argv[1:]
    log = Log(Path(path), "storm")
    keys = [key(secret), key(public), key(server)]
    hello = dict(build="storm", numerics="storm", fingerprint=int(fingerprint), slots=0,
                 max_context=512, vocab=512, tied_head=True, version=0, digest=int(digest, 16),
                 dtype=int(dtype))
    context, peers, poller = zmq.Context(io_threads=1), [], zmq.Poller()
    context.set(zmq.MAX_SOCKETS, 2048)
    start, said, beat = 0.0, True, 0.0
    while True:
        if select.select([0], [], [], 0)[0]:
            if not os.read(0, 100):
                return
            for peer in peers:
                peer.socket.close()
            start, said = time.monotonic(), False
            peers = [Peer(context, i, url, keys, hello) for i in range(int(n))]
            poller = zmq.Poller()
            for peer in peers:
                poller.register(peer.socket, zmq.POLLIN)
            by_socket = {peer.socket: peer for peer in peers}
        for socket, _ in poller.poll(50):
            by_socket[socket].hear()
        if not said and all(peer.joined for peer in peers):
            said = True
            log.say("all joined", seconds=time.monotonic() - start)
        if time.monotonic() > beat:
            beat = time.monotonic() + 1
            for peer in peers:
                if peer.joined:
                    peer.say("HEARTBEAT", version=0)


main()
