"""CURVE: who may join, and what peers without an allowed key can do, which is nothing."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
import zmq

import stampede
from cli import TINY, run
from harness import PATIENCE_S, SHORT, collect, eventually, prompts, serving, undisturbed
from stampede import wire

ASK = stampede.Sampling(max_new_tokens=60, ignore_eos=True)


class Files:
    """Keys of a trainer, two workers and a stranger; folders of those who are allowed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("trainer", "trainer2", "worker-a", "worker-b", "stranger"):
            done = run("keygen", folder / "all", "--name", name)
            assert done.returncode == 0, done.stderr
        self.workers, self.trainers = folder / "workers", folder / "trainers"
        for where, names in ((self.workers, ("worker-a", "worker-b")),
                             (self.trainers, ("trainer",))):
            where.mkdir()
            for name in names:
                self.allow(where, name)

    def secret(self, name: str) -> Path:
        return self.folder / "all" / f"{name}.key"

    def public(self, name: str) -> Path:
        return self.folder / "all" / f"{name}.pub"

    def allow(self, where: Path, name: str) -> None:
        shutil.copy(self.public(name), where / f"{name}.pub")

    def trainer(self, url: str = "tcp://127.0.0.1:0", name: str = "trainer", **more: Any) -> Any:
        return stampede.Trainer(url, keys=stampede.Keys(self.secret(name), self.workers), **more)

    def flags(self, name: str) -> Dict[str, Any]:
        """Of a worker that connects."""
        return {"key": self.secret(name), "server_key": self.public("trainer")}

    def text(self, path: Path) -> bytes:
        return path.read_bytes().strip()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@contextlib.contextmanager
def peer(files: Files, url: str, name: str, identity: bytes = b"",
         server: str = "trainer") -> Iterator["zmq.Socket[bytes]"]:
    """A foreign DEALER with this key."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        if identity:
            dealer.setsockopt(zmq.ROUTING_ID, identity)
        dealer.curve_secretkey = files.text(files.secret(name))
        dealer.curve_publickey = files.text(files.public(name))
        dealer.curve_serverkey = files.text(files.public(server))
        dealer.connect(url)
        yield dealer


def hello(uid: str, incarnation: int = 1) -> List[bytes]:
    return wire.encode(wire.Message("HELLO", dict(
        uid=uid, incarnation=incarnation, build="fake", numerics="x", fingerprint=1, slots=4,
        max_context=512, vocab=512, version=0, digest=1, dtype=8), "", 0, 1))


# --- the files ---

def test_keygen(tmp_path: Path) -> None:
    done = run("keygen", tmp_path / "new", "--name", "pod-1")
    assert done.returncode == 0 and done.stdout.decode().splitlines() == [
        f"{tmp_path}/new/pod-1.key", f"{tmp_path}/new/pod-1.pub"]
    secret, public = tmp_path / "new" / "pod-1.key", tmp_path / "new" / "pod-1.pub"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o400
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert zmq.curve_public(secret.read_bytes().strip()) == public.read_bytes().strip()
    before = secret.read_bytes()
    again = run("keygen", tmp_path / "new", "--name", "pod-1")
    assert again.returncode == 2 and secret.read_bytes() == before
    for bad in ([], [tmp_path, "x"], [tmp_path, "--name", "../x"], [tmp_path, "--name", ".x"]):
        assert run("keygen", *bad).returncode == 2, bad
    assert run("keygen", secret / "below").returncode == 74


def test_files_that_are_refused(files: Files, tmp_path: Path) -> None:
    open_key = tmp_path / "open.key"
    shutil.copy(files.secret("worker-a"), open_key)
    empty, long, junk = (tmp_path / name for name in ("empty.pub", "long.pub", "junk.pub"))
    empty.write_bytes(b"")
    long.write_bytes(b"x" * 5000)
    junk.write_bytes(b"~" * 40)
    good = files.secret("worker-a"), files.public("trainer")
    url = f"ipc://{tmp_path}/w"
    for mode in (0o404, 0o444, 0o420, 0o600 | 0o004):
        os.chmod(open_key, mode)
        done = run("serve", "--model", TINY, "--connect", url, "--key", open_key,
                   "--server-key", good[1])
        assert done.returncode == 78 and f"{mode:04o}" in done.stderr.decode(), done.stderr
        with pytest.raises(stampede.KeyFileError, match=f"{mode:04o}"):
            stampede.Trainer(url, keys=stampede.Keys(open_key, files.workers))
    for bad in (tmp_path / "missing.pub", empty, long, junk, tmp_path):
        done = run("serve", "--model", TINY, "--connect", url, "--key", good[0],
                   "--server-key", bad)
        assert done.returncode == 78 and str(bad) in done.stderr.decode(), done.stderr
    text = files.text(good[0])
    assert text not in done.stderr
    with pytest.raises(stampede.KeyFileError, match="missing"):
        stampede.Trainer(url, keys=stampede.Keys(good[0], tmp_path / "missing"))
    for mode in (0o400, 0o440, 0o600):  # as keygen has it, and as Kubernetes mounts a Secret
        os.chmod(open_key, mode)
        stampede.Trainer(url, keys=stampede.Keys(open_key, files.workers)).close()


@pytest.mark.parametrize("flags, words", [
    (("--connect", "tcp://192.0.2.1:5555"), "--server-key"),
    (("--connect", "ipc:///x", "--key", "k"), "--server-key"),
    (("--connect", "ipc:///x", "--key", "k", "--allow-keys", "d"), "--server-key"),
    (("--bind", "ipc:///x", "--key", "k"), "--allow-keys"),
    (("--bind", "ipc:///x", "--server-key", "k"), "--allow-keys"),
    (("--connect", "ipc:///x", "--key", "k", "--server-key", "s", "--insecure"), "--insecure"),
    (("--bind", "tcp://0.0.0.0:5555", "--key", "k", "--allow-keys", "d"), "wildcard"),
    (("--bind", "tcp://*:5555", "--key", "k", "--allow-keys", "d"), "wildcard"),
])
def test_flags_that_do_not_go_together(flags: Any, words: str) -> None:
    done = run("serve", "--model", TINY, *flags)
    assert done.returncode == 2 and words in done.stderr.decode(), done.stderr


def test_arguments_that_do_not_go_together(files: Files) -> None:
    key, server = files.secret("trainer"), files.public("worker-a")
    for url, more in (
            (dict(url="ipc:///x"), dict(server_key=server)), (dict(url="ipc:///x"), {}),
            (dict(connect="ipc:///x"), dict(allow_keys=files.workers)),
            (dict(connect=["ipc:///x", "ipc:///y"]), dict(server_key=[server])),
            (dict(url="tcp://0.0.0.0:1"), dict(allow_keys=files.workers)),
            (dict(url="ipc:///x", insecure=True), dict(allow_keys=files.workers))):
        with pytest.raises(ValueError):
            stampede.Trainer(**url, keys=stampede.Keys(key, **more))
    with pytest.raises(ValueError, match="stampede.Keys"):
        stampede.Trainer("ipc:///x", keys="a folder")  # type: ignore[arg-type]


# --- who is allowed works as without keys ---

def ask(trainer: stampede.Trainer) -> Any:
    """The same samples each time: a group's seed is made of its id."""
    return trainer.generate([stampede.Prompt(prompt_ids=[1, 2, 3 + i], id=i) for i in range(8)],
                            n=4, sampling=ASK)


@pytest.mark.parametrize("bind", [False, True])
def test_rollouts_and_weights(bind: bool, files: Files, tmp_path: Path) -> None:
    from test_updates import noisy
    want = undisturbed(tmp_path, ask)
    with contextlib.ExitStack() as stack:
        if bind:
            worker = stack.enter_context(serving(
                tmp_path, "tcp://127.0.0.1:*", bind=True, key=files.secret("worker-a"),
                allow_keys=files.trainers))
            keys = stampede.Keys(files.secret("trainer"), server_key=files.public("worker-a"))
            trainer = stack.enter_context(stampede.Trainer(connect=worker.bound_url(), keys=keys))
        else:
            trainer = stack.enter_context(files.trainer())
            worker = stack.enter_context(serving(tmp_path, trainer.url, **files.flags("worker-a")))
        assert collect(ask(trainer)) == want
        trainer.push_weights(noisy(1), version=1)  # megabytes by the bulk socket
        assert trainer.workers()[0]["version"] == 1
        assert collect(ask(trainer)) != want
        trainer.close(run_complete=True)
        worker.ends(0)


def test_an_address_that_is_not_loopback(files: Files, tmp_path: Path) -> None:
    address = next((a for a in subprocess.run(["hostname", "-I"], capture_output=True, text=True)
                    .stdout.split() if "." in a), None)
    if address is None:
        pytest.skip("this machine has no address but loopback")
    with pytest.raises(stampede.AddressError, match="keys"):
        stampede.Trainer(f"tcp://{address}:0")
    with files.trainer(f"tcp://{address}:0") as trainer:
        with serving(tmp_path, trainer.url, **files.flags("worker-a")):
            assert len(collect(trainer.generate(prompts(2), n=2, sampling=SHORT))) == 4


# --- who is not ---

@contextlib.contextmanager
def at_work(files: Files, folder: Path) -> Iterator[Any]:
    """A trainer and an allowed worker that goes on with its rollouts meanwhile."""
    with files.trainer() as trainer:
        with serving(folder, trainer.url, **files.flags("worker-a")) as worker:
            trainer.wait_for_workers(1, PATIENCE_S)
            yield trainer, worker
            assert len(collect(trainer.generate(prompts(4), n=4, sampling=SHORT))) == 16
            assert worker.alive() and [w["uid"] for w in trainer.workers()]
            assert trainer.counters().get("lost_sessions", 0) == 0


def test_an_unknown_key_at_the_trainer(files: Files, tmp_path: Path) -> None:
    with at_work(files, tmp_path) as (trainer, _):
        with serving(tmp_path, trainer.url, trainer_deadline=4, http="127.0.0.1:0",
                     **files.flags("stranger")) as stranger:
            stranger.said("does not allow this worker's key")
            from test_http import get, url_of, values
            metrics = values(get(url_of(stranger) + "/metrics")[1])
            assert metrics["rollout_auth_rejected_total"] >= 1
            stranger.ends(78)  # and not 69: it was there, and said no
        assert trainer.counters()["refused_keys"] >= 1 and len(trainer.workers()) == 1


def test_who_knocks_without_an_allowed_key_is_told(files: Files, tmp_path: Path,
                                                   caplog: pytest.LogCaptureFixture) -> None:
    """The runbook sends people to the log for the address; a flood is some lines there."""
    with files.trainer() as trainer:
        for _ in range(3):
            with peer(files, trainer.url, "stranger"):
                seen = trainer.counters().get("refused_keys", 0)
                eventually(lambda: trainer.counters().get("refused_keys", 0) > seen)
        lines = [r.getMessage() for r in caplog.records if "not allowed" in r.getMessage()]
        assert 1 <= len(lines) <= 3 and all("127.0.0.1" in line for line in lines), caplog.text
    with serving(tmp_path, "tcp://127.0.0.1:*", bind=True, key=files.secret("worker-a"),
                 allow_keys=files.trainers) as worker:
        with peer(files, worker.bound_url(), "stranger", server="worker-a"):
            worker.said("A peer at 127.0.0.1 has a key that is not allowed.")


def test_the_bulk_socket_asks_for_keys_too(files: Files, tmp_path: Path) -> None:
    pull = wire.encode(wire.Message("WEIGHTS_PULL", dict(update=1, offset=0, n_bytes=8),
                                    "run", 0))
    with at_work(files, tmp_path) as (trainer, _):
        for name, is_read in (("stranger", False), ("worker-b", True)):
            with peer(files, trainer._core.bulk_url, name) as dealer:
                with contextlib.suppress(zmq.Again):  # refused, it has no connection any more
                    for _ in range(10):
                        dealer.send_multipart(pull, zmq.DONTWAIT)
                time.sleep(1)
                assert (trainer.counters().get("unanswered_pulls", 0) > 0) == is_read, name


def test_a_wrong_server_key_and_no_key(files: Files, tmp_path: Path) -> None:
    """A worker sends nothing to a trainer that has not the key it was told; nor to one without."""
    with at_work(files, tmp_path) as (trainer, _):
        flags = {"key": files.secret("worker-b"), "server_key": files.public("stranger")}
        with serving(tmp_path, trainer.url, trainer_deadline=3, **flags) as worker:
            worker.ends(69)
        with serving(tmp_path, trainer.url, trainer_deadline=3) as plain:
            plain.ends(69)
        assert len(trainer.workers()) == 1
    with stampede.Trainer("tcp://127.0.0.1:0") as open_trainer:
        with serving(tmp_path, open_trainer.url, trainer_deadline=3,
                     **files.flags("worker-a")) as worker:
            worker.ends(69)
        assert not open_trainer.workers()


def test_an_unknown_key_at_a_bound_worker(files: Files, tmp_path: Path) -> None:
    with serving(tmp_path, "tcp://127.0.0.1:*", bind=True, http="127.0.0.1:0",
                 key=files.secret("worker-a"), allow_keys=files.trainers) as worker:
        url = worker.bound_url()
        knock = wire.encode(wire.Message("REFUSE", {"code": 3}, "run", 0))
        with peer(files, url, "stranger", server="worker-a") as stranger:
            stranger.setsockopt(zmq.SNDTIMEO, 500)
            with contextlib.suppress(zmq.Again):
                for _ in range(20):
                    stranger.send_multipart(knock)
            assert not stranger.poll(1500), "a stranger got an answer"
            from test_http import get, url_of, values
            eventually(lambda: values(get(url_of(worker) + "/metrics")[1])
                       ["rollout_auth_rejected_total"] >= 1)
        keys = stampede.Keys(files.secret("trainer"), server_key=files.public("worker-a"))
        with stampede.Trainer(connect=url, keys=keys) as trainer:
            assert len(collect(trainer.generate(prompts(2), n=2, sampling=SHORT))) == 4


def test_closed_when_the_authenticator_dies(files: Files, tmp_path: Path) -> None:
    """libzmq lets everyone in where nobody authenticates; nothing of theirs is taken."""
    with at_work(files, tmp_path) as (trainer, _):
        loop = trainer._loop

        def kill() -> None:
            loop._zap.close()
            loop._zap = loop._poller = None

        loop.call(kill)
        time.sleep(0.5)  # libzmq closes on a thread of its own
        for name in ("stranger", "worker-b"):
            with peer(files, trainer.url, name) as dealer:
                dealer.setsockopt(zmq.SNDTIMEO, 1000 * PATIENCE_S)
                for i in range(20):
                    dealer.send_multipart(hello("x", i))
                assert not dealer.poll(1500), "it got an answer"
        # They were let in, and that is the point.
        assert trainer.counters()["unauthenticated_messages"] >= 20
        assert len(trainer.workers()) == 1


def test_a_session_cannot_be_stolen(files: Files, tmp_path: Path) -> None:
    """Who has a key of its own is not another worker: not by its name, not by its routing id."""
    with files.trainer() as trainer:
        with serving(tmp_path, trainer.url, name="pod-1", **files.flags("worker-a")) as worker:
            trainer.wait_for_workers(1, PATIENCE_S)
            (address,) = trainer._loop.call(lambda: list(trainer._core.workers))
            groups = trainer.generate(prompts(8), n=4, sampling=ASK)
            with peer(files, trainer.url, "worker-b") as thief:
                for i in range(5):
                    thief.send_multipart(hello("pod-1", i))
                    assert thief.poll(1000 * PATIENCE_S)
                    answer = wire.decode(*thief.recv_multipart())
                    assert answer.type == "REFUSE" and answer["code"] == wire.REFUSALS["key"]
            with peer(files, trainer.url, "worker-b", identity=address[1]) as thief:
                thief.setsockopt(zmq.SNDTIMEO, 1000)
                with contextlib.suppress(zmq.Again):
                    for i in range(5):
                        thief.send_multipart(hello("pod-1", i))
                assert not thief.poll(500)
            assert len(collect(groups)) == 32
            counters = trainer.counters()
            assert counters["stolen_names"] >= 5 and counters.get("lost_sessions", 0) == 0
            assert [w["uid"] for w in trainer.workers()] == ["pod-1"] and worker.alive()
        # A worker that is told so ends: its name belongs to another key.
        with serving(tmp_path, trainer.url, name="pod-2", **files.flags("worker-a")):
            eventually(lambda: "pod-2" in [w["uid"] for w in trainer.workers()])
            with serving(tmp_path, trainer.url, name="pod-2", **files.flags("worker-b")) as other:
                other.ends(78)


class Proxy:
    """TCP to a port; keeps what its clients said."""

    def __init__(self, port: int) -> None:
        self.said: List[bytes] = []
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._port))
                for a, b, keep in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._copy, args=(a, b, keep), daemon=True).start()

    def _copy(self, a: socket.socket, b: socket.socket, keep: bool) -> None:
        with contextlib.suppress(OSError):
            while data := a.recv(1 << 16):
                if keep:
                    self.said.append(data)
                b.sendall(data)
        with contextlib.suppress(OSError):
            b.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


def test_a_recorded_session_cannot_be_replayed(files: Files, tmp_path: Path) -> None:
    with files.trainer() as trainer:
        port = int(trainer.url.rsplit(":", 1)[1])
        proxy = Proxy(port)
        with serving(tmp_path, f"tcp://127.0.0.1:{proxy.port}",
                     **files.flags("worker-a")) as worker:
            assert len(collect(trainer.generate(prompts(2), n=2, sampling=SHORT))) == 4
            worker.terminate()
            worker.ends(75)
        eventually(lambda: not trainer.workers())
        recorded = b"".join(proxy.said)
        assert len(recorded) > 2000
        for whole in (b"CURVE", b"stampede"):
            assert (whole in recorded) == (whole == b"CURVE"), "the wire is not encrypted"
        before = trainer.counters()
        for piece in (len(recorded), 64, 1):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as again:
                with contextlib.suppress(OSError):
                    for i in range(0, min(len(recorded), 4000 * piece), piece):
                        again.sendall(recorded[i:i + piece])
                    again.settimeout(1)
                    while again.recv(1 << 16):
                        pass
        proxy.close()
        assert not trainer.workers() and trainer.counters() == before


def sockets(pid: int) -> int:
    links = Path(f"/proc/{pid}/fd").iterdir()
    return sum("socket" in os.readlink(link) for link in list(links) if link.is_symlink())


def test_floods_slow_ones_and_giants(files: Files, tmp_path: Path) -> None:
    """Rollouts go on, everything is closed again, and no memory stays."""
    with files.trainer() as trainer, contextlib.ExitStack() as stack:
        worker = stack.enter_context(serving(tmp_path, trainer.url, **files.flags("worker-a")))
        want = collect(ask(trainer))
        port = int(trainer.url.rsplit(":", 1)[1])
        before = sockets(os.getpid())
        stop = threading.Event()
        got: List[Any] = []

        def work() -> None:
            while not stop.is_set():
                got.append(collect(ask(trainer)))

        thread = threading.Thread(target=work)
        thread.start()
        greeting = (b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32))
        try:
            idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
            first = time.monotonic()
            giants = [greeting + b"\x06" + (1 << 40).to_bytes(8, "big") + b"\x05HELLO",
                      greeting.replace(b"CURVE", b"NULL\0") + b"\x04\x05READY",
                      greeting + b"\x04\xc8\x05HELLO" + bytes(194), b"GET / HTTP/1.1\r\n\r\n",
                      b"\xff" * 4096, bytes(4096)]
            for giant in giants * 5:
                with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
                    with contextlib.suppress(OSError):
                        raw.sendall(giant)
                        raw.sendall(bytes(1 << 20))
            with zmq.Context() as context:  # unknown keys, each with a handshake of its own
                flood = []
                for _ in range(150):
                    dealer = context.socket(zmq.DEALER)
                    dealer.setsockopt(zmq.LINGER, 0)
                    dealer.curve_publickey, dealer.curve_secretkey = zmq.curve_keypair()
                    dealer.curve_serverkey = files.text(files.public("trainer"))
                    dealer.connect(trainer.url)
                    flood.append(dealer)
                eventually(lambda: trainer.counters().get("refused_keys", 0) >= 150)
                for dealer in flood:
                    dealer.close()
            # Slow ones say a byte a while and have 5 s for their handshake.
            closed = 0
            for i in range(60):
                for peer_ in list(idle):
                    try:
                        peer_.settimeout(0.001)
                        peer_.sendall(greeting[i % 64:i % 64 + 1])
                        if peer_.recv(4096) == b"":
                            raise OSError
                    except TimeoutError:
                        continue
                    except OSError:
                        idle.remove(peer_)
                        peer_.close()
                        closed += 1
                if not idle or time.monotonic() - first > 20:
                    break
                time.sleep(0.2)
            assert not idle, f"{len(idle)} of 200 connections that say nothing are still open"
            # One that is allowed, with a frame beyond the limit.
            with peer(files, trainer.url, "worker-b") as dealer:
                dealer.send_multipart([b"x", bytes(65 << 20)])
                dealer.send_multipart(hello("late"))
                time.sleep(0.5)
        finally:
            stop.set()
            thread.join(PATIENCE_S)
        assert got and all(samples == want for samples in got)
        assert worker.alive() and trainer.counters().get("lost_sessions", 0) == 0
        eventually(lambda: sockets(os.getpid()) <= before + 2, 20)


# --- keys are exchanged while everything runs ---

def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_without_a_file_to_spare_the_keys_stay_as_they_were(files: Files, tmp_path: Path) -> None:
    """Connections of strangers may use up all descriptors: that throws nobody out."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with files.trainer() as trainer:
        with serving(tmp_path, trainer.url, **files.flags("worker-a")):
            trainer.wait_for_workers(1, PATIENCE_S)
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files(os.getpid()) - 1, hard))
            try:
                time.sleep(5)
                counters = trainer.counters()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert counters.get("lost_sessions", 0) == 0
            assert counters.get("unauthenticated_messages", 0) == 0
            assert len(collect(trainer.generate(prompts(2), n=2, sampling=SHORT))) == 4


def test_a_bound_worker_without_a_file_to_spare(files: Files, tmp_path: Path) -> None:
    with serving(tmp_path, "tcp://127.0.0.1:*", bind=True, key=files.secret("worker-a"),
                 allow_keys=files.trainers) as worker:
        keys = stampede.Keys(files.secret("trainer"), server_key=files.public("worker-a"))
        with stampede.Trainer(connect=worker.bound_url(), keys=keys) as trainer:
            trainer.wait_for_workers(1, PATIENCE_S)
            hard = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)[1]
            resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (open_files(worker.pid), hard))
            time.sleep(5)
            assert trainer.counters().get("lost_sessions", 0) == 0
            assert len(collect(trainer.generate(prompts(2), n=2, sampling=SHORT))) == 4
            resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (hard, hard))
            (files.trainers / "trainer.pub").unlink()  # and what changes is seen again
            eventually(lambda: not trainer.workers())


def test_a_pipe_among_the_keys_keeps_nobody_waiting(files: Files, tmp_path: Path) -> None:
    with files.trainer() as trainer:
        with serving(tmp_path, trainer.url, **files.flags("worker-a")):
            trainer.wait_for_workers(1, PATIENCE_S)
            os.mkfifo(files.workers / "pipe.pub")
            time.sleep(3)  # the folder is read again
            groups = trainer.generate(prompts(2), n=2, sampling=SHORT, deadline_s=30)
            assert len(collect(groups)) == 4
            assert trainer.counters().get("lost_sessions", 0) == 0


def test_a_workers_key_is_exchanged(files: Files, tmp_path: Path) -> None:
    (files.workers / "worker-b.pub").unlink()
    with files.trainer() as trainer:
        with serving(tmp_path, trainer.url, **files.flags("worker-a")) as old:
            trainer.wait_for_workers(1, PATIENCE_S)
            with serving(tmp_path, trainer.url, **files.flags("worker-b")) as new:
                new.said("does not allow this worker's key")
                files.allow(files.workers, "worker-b")
                trainer.wait_for_workers(2, PATIENCE_S)
                (files.workers / "junk.pub").write_text("too short")  # nobody else's end
                # What was removed is shut out, although its connection is open.
                (files.workers / "worker-a.pub").unlink()
                eventually(lambda: len(trainer.workers()) == 1)
                assert trainer.counters()["unauthenticated_messages"] >= 1
                assert len(collect(trainer.generate(prompts(2), n=2, sampling=SHORT))) == 4
                assert old.alive()


def test_the_trainers_key_is_exchanged(files: Files, tmp_path: Path) -> None:
    both = tmp_path / "both.pub"
    both.write_bytes(files.public("trainer2").read_bytes() + files.public("trainer").read_bytes())
    with files.trainer() as trainer:
        url = trainer.url
        with serving(tmp_path, url, key=files.secret("worker-a"), server_key=both) as worker:
            trainer.wait_for_workers(1, PATIENCE_S)
            trainer.close()
            with files.trainer(url, name="trainer2") as second:
                second.wait_for_workers(1, PATIENCE_S)
                assert len(collect(second.generate(prompts(2), n=2, sampling=SHORT))) == 4
            assert worker.alive()


def test_a_trainers_key_is_taken_from_a_bound_worker(files: Files, tmp_path: Path) -> None:
    with serving(tmp_path, "tcp://127.0.0.1:*", bind=True, key=files.secret("worker-a"),
                 allow_keys=files.trainers) as worker:
        url = worker.bound_url()
        keys = stampede.Keys(files.secret("trainer"), server_key=files.public("worker-a"))
        with stampede.Trainer(connect=url, keys=keys) as trainer:
            trainer.wait_for_workers(1, PATIENCE_S)
            files.allow(files.trainers, "trainer2")
            (files.trainers / "trainer.pub").unlink()
            eventually(lambda: not trainer.workers())
            keys = stampede.Keys(files.secret("trainer2"), server_key=files.public("worker-a"))
            with stampede.Trainer(connect=url, keys=keys) as second:
                second.wait_for_workers(1, PATIENCE_S)
                assert len(collect(second.generate(prompts(2), n=2, sampling=SHORT))) == 4
