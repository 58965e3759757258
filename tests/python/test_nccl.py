"""Weight updates by NCCL, between real processes: this one is the trainer and rank 0, workers run
the CUDA backend on the emulator, whose stand-in of NCCL joins them. What ranks do wrong: they die,
stand still, come late, call something else."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
import torch
from safetensors.torch import load_file

import stampede
from cli import BIN, TINY
from stampede import digest, wire
from stampede.weights import NcclPusher, hub_tensors

OBJECT = Path(BIN).parent / "stampede_cudasim.so"
pytestmark = pytest.mark.skipif(
    not OBJECT.exists(), reason=f"CUDA was left out: {OBJECT.name} is not beside the program")

FLAGS = {"device": "cudasim", "weights": "bf16", "max_rows": 8, "max_context": 96,
         "prefill_chunk": 24, "log_level": "info"}
State = Dict[str, torch.Tensor]


def noisy(seed: int, share: float = 0.1) -> State:
    """bf16 weights of which some are others than the checkpoint's."""
    torch.manual_seed(seed)
    return {name: torch.where(torch.rand(x.shape) < share, x.float() * 1.25, x.float()).to(x.dtype)
            for name, x in load_file(TINY / "model.safetensors").items()}


def digest_of(state: State) -> str:
    """By the definition, of every tensor that a worker with bf16 weights holds."""
    total = 0
    for name, value in hub_tensors(state).items():
        wide = value.dtype == torch.float32
        bits = value.contiguous().view(torch.int32 if wide else torch.int16).reshape(-1).numpy()
        total += digest.of_range(digest.name_hash(name), 0, bits.view("<u4" if wide else "<u2"))
    return f"{total % (1 << 64):016x}"


def eventually(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


class Fleet:
    """A trainer and workers of its own."""

    def __init__(self, folder: Path) -> None:
        self.trainer = stampede.Trainer("tcp://127.0.0.1:0")
        self.folder, self.children, self.pushers = folder, [], []  # type: Any, List[Any], List[Any]

    def pusher(self, **options: Any) -> NcclPusher:
        options = {"library": str(OBJECT), "deadline_s": 30, "bucket_bytes": 300_000, **options}
        self.pushers.append(NcclPusher(**options))
        return self.pushers[-1]

    def start(self, n: int, **flags: Any) -> List[Any]:
        """Workers that are ready."""
        before = len(self.trainer.workers())
        made = []
        for _ in range(n):
            log = self.folder / f"worker{len(self.children)}.log"
            made.append(stampede.launch(TINY, connect=self.trainer.url, stderr=log.open("w"),
                                        **{**FLAGS, **flags}))
            self.children.append(made[-1])
        self.trainer.wait_for_workers(before + n, 120)
        return made

    def log(self, i: int) -> str:
        return (self.folder / f"worker{i}.log").read_text()

    def serve(self, state: State, version: int, n: int) -> bool:
        want = digest_of(state)
        rows = self.trainer.workers()
        return len(rows) == n and all(
            (r["version"], r["digest"]) == (version, want) for r in rows)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setenv("CUDASIM_SMS", "3")
    monkeypatch.setenv("CUDASIM_NCCL_MISMATCH", "hang")
    monkeypatch.setenv("STAMPEDE_NCCL", str(OBJECT))
    monkeypatch.setenv("STAMPEDE_BIN", BIN)
    made = Fleet(tmp_path)
    try:
        yield made
    finally:
        for child in made.children:
            if child.poll() is None:
                os.kill(child.pid, signal.SIGCONT)
                child.kill()
                child.wait()
        made.trainer.close()
        for pusher in made.pushers:
            pusher.close()


def test_updates_by_nccl(fleet: Fleet) -> None:
    """Everything, then what changed, over one communicator; in buckets that cut tensors."""
    fleet.start(2)
    pusher = fleet.pusher()
    for version, share in ((1, 1.0), (2, 0.05), (3, 0.3)):
        state = noisy(version, share)
        report = fleet.trainer.push_weights(state, version, 120, nccl=pusher)
        assert fleet.serve(state, version, 2)
        assert report.payload_bytes > 300_000
    report = fleet.trainer.push_weights(state, 4, 120, nccl=pusher)  # nothing changes
    assert report.payload_bytes == 0 and fleet.serve(state, 4, 2)
    for i in range(2):
        assert fleet.log(i).count("joining NCCL as rank") == 1
    left = [p.name for p in Path("/dev/shm").iterdir() if f"nccl-{os.getpid()}-" in p.name]
    assert not left


# In front of the stand-in, at a worker: what a communicator is asked for.
SHIM = """
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
struct id { char bytes[128]; };
struct config { size_t size; unsigned magic, version; int blocking, cga, least, most; };
typedef int init(void **comm, int n, struct id id, int rank, struct config *config);
int ncclCommInitRankConfig(void **comm, int n, struct id id, int rank, struct config *config) {
    FILE *f = fopen(getenv("SHIM_LOG"), "w");
    fprintf(f, "%d %d", config->blocking, config->most);
    fclose(f);
    return ((init *)dlsym(RTLD_NEXT, "ncclCommInitRankConfig"))(comm, n, id, rank, config);
}
"""

OLD = "int ncclGetVersion(int *version) { *version = 21701; return 0; }"


def in_front(text: str, folder: Path) -> str:
    """A library with these functions, and the stand-in's for the rest."""
    (folder / "shim.c").write_text(text)
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-Wl,--no-as-needed", "-o",
                    folder / "shim.so", folder / "shim.c", OBJECT.resolve()], check=True)
    return str(folder / "shim.so")


def test_decoding_goes_on_beside_it(fleet: Fleet, caplog: pytest.LogCaptureFixture, tmp_path: Path,
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """The communicator never blocks, has a few blocks of the device, and says its deadline."""
    monkeypatch.setenv("STAMPEDE_NCCL", in_front(SHIM, tmp_path))
    monkeypatch.setenv("SHIM_LOG", str(tmp_path / "config"))
    fleet.start(1)
    pusher, configs = fleet.pusher(deadline_s=17, max_blocks=3), []
    library = pusher._nccl

    class Noting:
        def __getattr__(self, name: str) -> Any:
            return getattr(library, name)

        def ncclCommInitRankConfig(self, *arguments: Any) -> int:
            configs.append(arguments[-1]._obj)
            return library.ncclCommInitRankConfig(*arguments)

    pusher._nccl = Noting()  # type: ignore[assignment]
    with caplog.at_level(logging.INFO, "stampede"):
        fleet.trainer.push_weights(noisy(1), 1, 120, nccl=pusher)
    assert fleet.serve(noisy(1), 1, 1)
    assert [(c.blocking, c.max_ctas) for c in configs] == [(0, 3)]
    assert (tmp_path / "config").read_text() == "0 4"
    assert "without progress for 17 s it is left" in caplog.text
    assert NcclPusher(library=str(OBJECT)).deadline_s == 60


def test_one_that_comes_later(fleet: Fleet) -> None:
    """It pulls what counts, and takes part from the next push on, in a new communicator."""
    fleet.start(1)
    pusher = fleet.pusher()
    first, second = noisy(1), noisy(2)
    fleet.trainer.push_weights(first, 1, 120, nccl=pusher)
    fleet.start(1)
    eventually(lambda: fleet.serve(first, 1, 2))
    assert "joining NCCL" not in fleet.log(1)
    fleet.trainer.push_weights(second, 2, 120, nccl=pusher)
    assert fleet.serve(second, 2, 2)
    assert "rank 2 of 3" in fleet.log(0) + fleet.log(1)


@pytest.mark.parametrize("stopped_first", [True, False])
def test_one_that_dies(fleet: Fleet, stopped_first: bool) -> None:
    """kill -9 before it is ready, and in the middle: the others serve the base or the target."""
    workers = fleet.start(2)
    pusher = fleet.pusher(bucket_bytes=4096)
    first, second, third = noisy(1), noisy(2), noisy(3)
    fleet.trainer.push_weights(first, 1, 120, nccl=pusher)
    if stopped_first:
        os.kill(workers[1].pid, signal.SIGSTOP)
    handle = fleet.trainer.push_weights(second, 2, 120, nccl=pusher, wait=False)
    eventually(lambda: fleet.log(0).count("staging policy version 2") == 1)
    workers[1].kill()
    try:
        handle.result(120)
        assert fleet.serve(second, 2, 1)
    except stampede.WeightUpdateError as error:
        assert "NCCL" in str(error)
        assert fleet.trainer.workers()[0]["digest"] == digest_of(first)
    eventually(lambda: len(fleet.trainer.workers()) == 1)
    fleet.trainer.push_weights(third, 3, 120, nccl=pusher)
    assert fleet.serve(third, 3, 1)
    assert "rank 1 of 2" in fleet.log(0)  # the communicator was made anew, without the dead one


def test_one_that_stands_still(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits longer than the deadline; when it goes on it takes part again."""
    workers = fleet.start(2)
    pusher = fleet.pusher(deadline_s=2)
    first, second = noisy(1), noisy(2)
    fleet.trainer.push_weights(first, 1, 120, nccl=pusher)
    os.kill(workers[1].pid, signal.SIGSTOP)
    began, leave, left = time.monotonic(), pusher._leave, []

    def leave_slowly() -> None:  # the other worker tells of it before this thread goes on
        left.append(time.time())
        leave()
        time.sleep(0.5)

    pusher._leave = leave_slowly  # type: ignore[method-assign]
    mine, its = "NCCL waited 2 s for workers to be ready", "stood still: no broadcast came in 2.0 s"
    with pytest.raises(stampede.WeightUpdateError, match=f"{mine}|{its}") as raised:
        fleet.trainer.push_weights(second, 2, 120, nccl=pusher)
    if its in str(raised.value):  # its deadline was over first, and not because the pusher had left
        eventually(lambda: bool(left))
        assert [r.created < left[0] for r in caplog.records if its in r.getMessage()] == [True]
    assert time.monotonic() - began < 4.5
    pusher._leave = leave  # type: ignore[method-assign]
    assert fleet.trainer.workers()[0]["digest"] == digest_of(first)
    os.kill(workers[1].pid, signal.SIGCONT)
    eventually(lambda: fleet.serve(first, 1, 2))
    fleet.trainer.push_weights(second, 3, 120, nccl=pusher)
    assert fleet.serve(second, 3, 2)


def test_one_that_calls_something_else(fleet: Fleet) -> None:
    """Rank 0 broadcasts fewer bytes than it said: as with the library nothing comes of it, until
    the deadline."""
    fleet.start(1)
    pusher = fleet.pusher(deadline_s=3)
    first, second = noisy(1), noisy(2)
    fleet.trainer.push_weights(first, 1, 120, nccl=pusher)
    library = pusher._nccl

    class Wrong:
        def __getattr__(self, name: str) -> Any:
            return getattr(library, name)

        def ncclBroadcast(self, a: Any, b: Any, size: Any, *rest: Any) -> int:
            size.value -= 64
            return library.ncclBroadcast(a, b, size, *rest)

    pusher._nccl = Wrong()  # type: ignore[assignment]
    with pytest.raises(stampede.WeightUpdateError, match=r"NCCL waited|stood still|NCCL failed"):
        fleet.trainer.push_weights(second, 2, 120, nccl=pusher)
    eventually(lambda: fleet.serve(first, 1, 1))
    pusher._nccl = library
    fleet.trainer.push_weights(second, 3, 120, nccl=pusher)
    assert fleet.serve(second, 3, 1)


def test_a_trainer_that_dies(fleet: Fleet, tmp_path: Path) -> None:
    """In the middle of a push: the worker serves the base; another trainer's push goes through."""
    program = f"""
import os, signal, sys, threading, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_nccl, stampede
from stampede.weights import NcclPusher
with stampede.Trainer({fleet.trainer.url!r}) as trainer:
    trainer.wait_for_workers(1, 120)
    pusher = NcclPusher(library={str(OBJECT)!r}, bucket_bytes=4096)
    trainer.push_weights(test_nccl.noisy(1), 1, 120, nccl=pusher)
    print("pushed", flush=True)
    trainer.push_weights(test_nccl.noisy(2), 2, 120, nccl=pusher, wait=False)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    url = fleet.trainer.url
    fleet.trainer.close()
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, env=os.environ)
    fleet.children.append(stampede.launch(TINY, connect=url, stderr=(
        tmp_path / "worker0.log").open("w"), **FLAGS))
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == b"pushed\n"
    eventually(lambda: "staging policy version 2" in fleet.log(0))
    child.stdin.write(b"\n")
    child.stdin.close()
    child.wait(60)
    fleet.trainer = stampede.Trainer(url)
    fleet.trainer.wait_for_workers(1, 120)
    row = fleet.trainer.workers()[0]
    assert row["digest"] in (digest_of(noisy(1)), digest_of(noisy(2)))
    fleet.trainer.push_weights(noisy(3), 5, 120, nccl=fleet.pusher())
    assert fleet.serve(noisy(3), 5, 1)


@pytest.mark.parametrize("file, expected", [
    ("/no/such/libnccl.so", "NCCL cannot be opened"), ("libc.so.6", "is no NCCL"),
    ("", r"is NCCL 2\.17; 2\.18 or later is needed")])
def test_a_worker_without_nccl(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                               file: str, expected: str) -> None:
    monkeypatch.setenv("STAMPEDE_NCCL", file or in_front(OLD, tmp_path))
    fleet.start(1)
    with pytest.raises(stampede.WeightUpdateError, match=expected):
        fleet.trainer.push_weights(noisy(1), 1, 120, nccl=fleet.pusher())
    fleet.trainer.push_weights(noisy(1), 2, 120)
    assert fleet.serve(noisy(1), 2, 1)


def test_a_worker_on_the_cpu(fleet: Fleet) -> None:
    fleet.start(1, device="cpu")
    with pytest.raises(stampede.WeightUpdateError, match="device cannot receive by NCCL"):
        fleet.trainer.push_weights(noisy(1), 1, 120, nccl=fleet.pusher())


def test_another_version_is_refused(fleet: Fleet) -> None:
    fleet.start(1)
    pusher = fleet.pusher()
    pusher.version += 1
    with pytest.raises(stampede.WeightUpdateError, match="must be the same"):
        fleet.trainer.push_weights(noisy(1), 1, 120, nccl=pusher)


def test_arguments(fleet: Fleet) -> None:
    with pytest.raises(stampede.ArgumentError, match="libnccl cannot be opened"):
        NcclPusher(library="/no/such/library.so")
    with pytest.raises(stampede.ArgumentTypeError, match="an NcclPusher"):
        fleet.trainer.push_weights(noisy(1), 1, nccl="nccl")  # type: ignore[call-overload]
    assert wire.NCCL_ID_BYTES == len(fleet.pusher().new_id())
