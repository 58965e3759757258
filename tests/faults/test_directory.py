"""Weights by a shared directory: real workers, trainers that are killed, disks that are full, files
that are not what they were."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Dict, Iterator, List

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import stampede
from cli import BIN, TINY
from harness import PATIENCE_S, RawTrainer, Worker, eventually, serving
from stampede import directory, wire
from test_updates import Push, State, digest_of, noisy, save, short_bits

ID_FILE = "stampede-directory"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@contextlib.contextmanager
def pool(folder: Path, trainer: stampede.Trainer, *flags: Dict[str, Any]) -> Iterator[List[Worker]]:
    workers: List[Worker] = []
    try:
        for i, more in enumerate(flags):
            workers.append(Worker(folder, trainer.url, name=f"w{i}", **more))
        trainer.wait_for_workers(len(flags), PATIENCE_S)
        yield workers
    finally:
        for worker in workers:
            worker.kill()


def files(folder: Path) -> List[str]:
    """What lies there, but for the lock and the id."""
    return sorted(f.name for f in folder.iterdir()
                  if f.name != ID_FILE and not f.name.endswith(".lock"))


def nudged(state: State, step: int = 97) -> State:
    out = {name: value.clone() for name, value in state.items()}
    for value in out.values():
        value.view(-1)[::step] *= 1.25
    return out


def apply_file(path: Path, held: Dict[str, np.ndarray]) -> str:
    """Another reader: what a file makes of weights (bits by hub name). Returns its base."""
    numpy_types = {"F32": "<u4", "BF16": "<u2", "F16": "<u2"}
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header, data = json.loads(raw[8:8 + size]), raw[8 + size:]
    meta = header.pop("__metadata__")

    def bits(name: str, dtype: str = "") -> np.ndarray:
        entry = header[name]
        begin, end = entry["data_offsets"]
        kind = dtype or numpy_types[entry["dtype"]]
        return np.frombuffer(data[begin:end], kind)

    for name, told in json.loads(meta["tensors"]).items():
        if told["mode"] == "dense":
            assert header[name]["shape"] == told["shape"]
            held[name] = bits(name).copy()
            continue
        width = {"U8": "<u1", "U16": "<u2", "U32": "<u4"}[header[f"{name}.codes"]["dtype"]]
        codes, values = bits(f"{name}.codes", width), bits(f"{name}.values")
        cursor, skip, i = 0, np.iinfo(codes.dtype).max, 0
        for code in codes.tolist():
            cursor += code
            if code != skip:
                held[name][cursor] = values[i]
                i, cursor = i + 1, cursor + 1
        assert i == len(values)
    return str(meta.get("base", ""))


def checkpoint_bits(model: Path) -> Dict[str, np.ndarray]:
    kinds = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}
    return {name: value.view(-1).view(kinds[value.dtype]).numpy().view(
        "<u4" if value.dtype == torch.float32 else "<u2")
        for name, value in load_file(model / "model.safetensors").items()}


def test_equal_bytes_and_each_written_once(tmp_path: Path, shared: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers that share the directory, one that has none, one that has another: the weights of
    an independently written checkpoint. The files say the same to a reader of the test's own."""
    other = tmp_path / "other"
    other.mkdir()
    (other / ID_FILE).write_text("0" * 32 + "\n")
    kept, written = tmp_path / "kept", []
    kept.mkdir()
    write = directory.Directory.write

    def spying(self: Any, *args: Any) -> Any:
        file = write(self, *args)
        shutil.copy(shared / file.name, kept)
        written.append(file)
        return file

    monkeypatch.setattr(directory.Directory, "write", spying)
    one = noisy(1)
    two = nudged(one)
    with stampede.Trainer("tcp://127.0.0.1:0", weights_dir=shared) as trainer:
        flags = [{"weights_dir": shared, "http": "127.0.0.1:0"}, {"weights_dir": shared}, {},
                 {"weights_dir": other}]
        with pool(tmp_path, trainer, *flags) as workers:
            first = trainer.push_weights(one, version=1, timeout_s=PATIENCE_S)
            assert len(written) == 1 and first.file_bytes == written[0].n_bytes
            want = digest_of(save(one, tmp_path / "one"))
            assert {w["digest"] for w in trainer.workers()} == {want}
            second = trainer.push_weights(two, version=2, timeout_s=PATIENCE_S)
            assert len(written) == 2 and second.file_bytes == written[1].n_bytes
            assert second.payload_bytes < second.file_bytes < first.file_bytes / 4
            model = save(two, tmp_path / "two")
            assert {w["digest"] for w in trainer.workers()} == {digest_of(model)}
            assert eventually(lambda: not files(shared))  # the delta is applied: nobody needs it
            # One more: all of the weights, in a file that the next one uses too.
            with serving(tmp_path, trainer.url, weights_dir=shared, name="w4"), \
                    serving(tmp_path, trainer.url, weights_dir=shared, name="w5"):
                trainer.wait_for_workers(6, PATIENCE_S)
                assert {w["digest"] for w in trainer.workers()} == {digest_of(model)}
                assert len(written) == 3 and files(shared) == [written[2].name]
                trainer.push_weights(two, version=3, timeout_s=PATIENCE_S)  # nothing changes
                assert len(written) == 3 and eventually(lambda: not files(shared))
            for worker, by_file in zip(workers, (True, True, False, False)):
                assert ("reading stampede-" in worker.log()) == by_file
            assert "no id" not in workers[3].log()
            url = re.search(r"http at (\S+)", workers[0].log())
            assert url is not None
            with urllib.request.urlopen(f"{url.group(1)}/metrics") as page:
                read = re.search(r'weight_bytes_total\{transport="directory"\} (\d+)',
                                 page.read().decode())
            assert read is not None
            assert int(read.group(1)) == sum(f.n_bytes - f.header_bytes for f in written[:2])
    assert eventually(lambda: [f.name for f in shared.iterdir()] == [ID_FILE])
    held: Dict[str, np.ndarray] = {}
    assert apply_file(kept / written[0].name, held) == ""
    assert apply_file(kept / written[1].name, held) == "1"
    truth = checkpoint_bits(model)
    assert held.keys() == truth.keys()
    assert all(held[name].tobytes() == truth[name].tobytes() for name in truth)
    dense = load_file(kept / written[2].name)  # a tool that knows nothing of us
    for name, value in load_file(model / "model.safetensors").items():
        assert torch.equal(dense[name], value)
    with safe_open(kept / written[1].name, "numpy") as file:
        assert file.metadata()["version"] == "2"


def test_a_file_that_is_not_what_it_was(tmp_path: Path, shared: Path,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its writing and its reading: gone, cut, longer, a link, another update's, a bit."""
    write, kept = directory.Directory.write, tmp_path / "kept.safetensors"

    def gone(path: Path) -> None:
        path.unlink()

    def short(path: Path) -> None:
        os.truncate(path, path.stat().st_size - 1)

    def long(path: Path) -> None:
        os.truncate(path, path.stat().st_size + 1)

    def link(path: Path) -> None:
        path.rename(tmp_path / "outside")
        path.symlink_to(tmp_path / "outside")

    def another(path: Path) -> None:
        size = path.stat().st_size
        other = kept.read_bytes()
        n = int.from_bytes(other[:8], "little") + 8
        path.write_bytes(other[:n] + bytes(size - n))

    def bit(path: Path) -> None:
        raw = bytearray(path.read_bytes())
        raw[-200_001] ^= 4
        path.write_bytes(raw)

    state = noisy(1)
    with stampede.Trainer("tcp://127.0.0.1:0", weights_dir=shared) as trainer:
        with pool(tmp_path, trainer, {"weights_dir": shared}) as (worker,):
            before = trainer.workers()[0]["digest"]
            for spoil, words in ((gone, "No such file"), (short, "were announced"),
                                 (long, "were announced"), (link, "is no regular file"),
                                 (bit, "has check value"), (another, "is of another update")):
                def spoiling(self: Any, *args: Any, spoil: Any = spoil) -> Any:
                    file = write(self, *args)
                    if not kept.exists():
                        raw = bytearray((shared / file.name).read_bytes())
                        raw[30] ^= 1
                        kept.write_bytes(raw)
                    spoil(shared / file.name)
                    return file

                monkeypatch.setattr(directory.Directory, "write", spoiling)
                with pytest.raises(stampede.WeightUpdateError, match=words) as caught:
                    trainer.push_weights(state, version=1, timeout_s=PATIENCE_S)
                assert caught.value.worker == "w0"
                (now,) = trainer.workers()
                assert (now["version"], now["digest"]) == (0, before), spoil
                assert eventually(lambda: not files(shared)), spoil
            monkeypatch.setattr(directory.Directory, "write", write)
            trainer.push_weights(state, version=1, timeout_s=PATIENCE_S)
            assert trainer.workers()[0]["digest"] == digest_of(save(state, tmp_path / "new"))
            assert worker.alive()


def test_hostile_offers(tmp_path: Path, shared: Path) -> None:
    """A trainer that names what it should not: one sentence each, and the worker goes on."""
    outside = tmp_path / "secret.safetensors"
    (shared / ID_FILE).write_text("ab" * 16)
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, weights_dir=shared):
        hello = trainer.welcome()
        assert hello["directory"] == "ab" * 16
        want = short_bits(trainer, 0)
        push = Push(trainer, hello, 1, 0, noisy(1))
        header = directory.header_of(push.stream, {})
        data = push.stream.read(0, push.stream.n_bytes)
        assert data is not None
        outside.write_bytes(header + data.tobytes())
        (shared / "linked").symlink_to(outside)
        (shared / "folder").mkdir()
        (shared / "deep").mkdir()
        shutil.copy(outside, shared / "deep" / "in.safetensors")
        os.mkfifo(shared / "fifo")
        names = {"../secret.safetensors": "itself", str(outside): "itself", "..": "itself",
                 "deep/in.safetensors": "itself", "linked": "no regular file",
                 "folder": "no regular file", "fifo": "no regular file", "none": "No such file",
                 "x" * 255: "No such file"}
        how = {"transport": wire.TRANSPORT_DIRECTORY, "header_bytes": len(header),
               "header_hash": wire.xxhash.xxh3_64_intdigest(header)}
        for number, (name, words) in enumerate(names.items(), 1):
            trainer.send("WEIGHTS_BEGIN", **{**push.fields, **how, "update": number, "file": name})
            status = trainer.take("WEIGHTS_STATUS")
            assert (status["update"], status["phase"]) == (number, wire.PHASE_FAILED)
            assert words in status["error"], (name, status["error"])
        assert not trainer.pulls and short_bits(trainer, 1) == want
        shutil.copy(outside, shared / "good")
        trainer.send("WEIGHTS_BEGIN", **{**push.fields, **how, "update": 99, "file": "good"})
        assert trainer.take("WEIGHTS_STATUS")["phase"] == wire.PHASE_STAGED
    with RawTrainer() as trainer, serving(tmp_path, trainer.url):  # one without the flag
        hello = trainer.welcome()
        assert hello["directory"] == ""
        trainer.send("WEIGHTS_BEGIN", **{**push.fields, **how, "update": 1, "file": "good"})
        assert "no --weights-dir" in trainer.take("WEIGHTS_STATUS")["error"]


@pytest.mark.parametrize("how", ["missing", "unreadable", "nonsense"])
def test_a_directory_that_cannot_be_read(tmp_path: Path, shared: Path, how: str) -> None:
    """Such a worker says so once, and gets its bytes by the socket."""
    mine = tmp_path / "mine"
    if how == "unreadable":
        mine.write_text("a file\n")
    if how == "nonsense":
        mine.mkdir()
        (mine / ID_FILE).write_text("Stampede!" * 9)
    with stampede.Trainer("tcp://127.0.0.1:0", weights_dir=shared) as trainer:
        with pool(tmp_path, trainer, {"weights_dir": mine}) as (worker,):
            report = trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S)
            assert report.file_bytes == 0 and trainer.workers()[0]["version"] == 1
            assert worker.log().count(f"{mine}/{ID_FILE}") == 1


def test_a_file_system_that_hangs(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch,
                                  caplog: pytest.LogCaptureFixture) -> None:
    """Opening a file never comes back in one worker: the push ends in time and names it, the next
    one reaches it by the socket, and it drains as all others."""
    preload = Path(BIN).resolve().parent / "tests" / "faults" / "preload.so"
    if not preload.exists():
        pytest.skip(f"{preload.name} is not built: make tests")
    with stampede.Trainer("tcp://127.0.0.1:0", weights_dir=shared) as trainer:
        with pool(tmp_path, trainer, {"weights_dir": shared}):
            monkeypatch.setenv("LD_PRELOAD", str(preload))
            monkeypatch.setenv("PRELOAD_HANG_WITHIN", ".safetensors")
            hung = Worker(tmp_path, trainer.url, name="hung", weights_dir=shared)
            monkeypatch.delenv("LD_PRELOAD")
            try:
                trainer.wait_for_workers(2, PATIENCE_S)
                with pytest.raises(stampede.WeightUpdateError, match="hung.*in 5 s") as caught:
                    trainer.push_weights(noisy(1), version=1, timeout_s=5)
                assert caught.value.worker == "hung"
                assert "reading" in hung.log() and "Worker hung did not read" in caplog.text
                state = noisy(2)
                report = trainer.push_weights(state, version=2, timeout_s=PATIENCE_S)
                assert report.file_bytes > 0  # the other one's
                want = digest_of(save(state, tmp_path / "new"))
                assert {w["digest"] for w in trainer.workers()} == {want}
                hung.terminate()
                hung.ends(75, 10)
            finally:
                hung.kill()


TRAINER = """
import os, resource, signal, sys
import stampede, stampede.directory
from safetensors.torch import load_file
url, folder, model, n = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
write = stampede.directory._write
left = [n]
def dying(descriptor, data):
    left[0] -= 1
    if left[0] == 0:
        os.write(descriptor, data[:1000])
        os.kill(os.getpid(), signal.SIGKILL)
    write(descriptor, data)
stampede.directory._write = dying
stampede.directory._PIECE = 1 << 20
with stampede.Trainer(url, run="r", epoch=0, weights_dir=folder) as t:
    t.push_weights(load_file(model), version=1)
"""


def test_the_trainer_is_killed_while_it_writes(tmp_path: Path, shared: Path) -> None:
    """At the header, in the middle, at the last piece: the old version serves. What it left is gone
    when the next one begins; files of others stay."""
    model = save(noisy(1), tmp_path / "new")
    weights = model / "model.safetensors"
    foreign = {"stampede-notes.txt": "mine", "model.safetensors": "mine too",
               "stampede-0123456789abcdef-0-0123456789abcdef-v1-1.safetensors": "of a trainer that "
               "lives on another machine"}
    for name, text in foreign.items():
        (shared / name).write_text(text)
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        url = trainer.url
    with serving(tmp_path, url, weights_dir=shared) as worker:
        for n in (1, 3, 6):
            done = subprocess.run([sys.executable, "-c", TRAINER, url, str(shared), str(weights),
                                   str(n)], timeout=PATIENCE_S)
            assert done.returncode == -signal.SIGKILL
            left = [name for name in files(shared) if name not in foreign]
            assert len(left) == 1 and left[0].endswith(".part")
        with stampede.Trainer(url, run="other", weights_dir=shared) as trainer:
            assert files(shared) == sorted(foreign)
            trainer.wait_for_workers(1, PATIENCE_S)
            (now,) = trainer.workers()
            assert (now["version"], now["digest"]) == (0, digest_of(TINY))
            trainer.push_weights(load_file(weights), version=1, timeout_s=PATIENCE_S)
            assert trainer.workers()[0]["digest"] == digest_of(model)
        assert worker.alive() and "reading stampede-" in worker.log()
    for name, text in foreign.items():
        assert (shared / name).read_text() == text


def test_who_cleans_up_after_whom(shared: Path) -> None:
    """A live trainer's files stay, whoever begins; one of the same run and a higher epoch fences an
    older one, and takes its files away."""
    def mark(trainer: directory.Directory) -> Path:
        path = Path(trainer._at(f"{trainer._prefix}-v1-1.safetensors"))
        path.write_text("weights")
        return path

    first = directory.Directory(str(shared), "run", 1)
    mine = mark(first)
    same, other = (directory.Directory(str(shared), run, 1) for run in ("run", "other"))
    assert mine.exists() and same.id == other.id == first.id
    theirs = mark(other)
    higher = directory.Directory(str(shared), "run", 2)
    assert not mine.exists() and theirs.exists()
    for one in (first, same, other, higher):
        one.close()
        one.close()
    assert [f.name for f in shared.iterdir()] == [ID_FILE]


def test_a_worker_is_killed_while_it_reads(tmp_path: Path, shared: Path) -> None:
    """It is stopped with the file open, and killed: the push ends with the others, and nothing is
    left of the file. It comes back and gets all of the weights."""
    state = noisy(1)
    with stampede.Trainer("tcp://127.0.0.1:0", weights_dir=shared) as trainer:
        with pool(tmp_path, trainer, {"weights_dir": shared}, {"weights_dir": shared}) as workers:
            for version, delay in enumerate((0, 0.002, 0.004, 0.01), 1):
                state = nudged(state, 3)
                handle = trainer.push_weights(state, version=version, timeout_s=PATIENCE_S,
                                              wait=False)
                time.sleep(delay)
                workers[1].kill()
                handle.result(PATIENCE_S)
                workers[1] = Worker(tmp_path, trainer.url, name="w1", weights_dir=shared)
                trainer.wait_for_workers(2, PATIENCE_S)
                assert {w["version"] for w in trainer.workers()} == {version}
                assert len({w["digest"] for w in trainer.workers()}) == 1
                assert workers[0].alive()
            want = digest_of(save(state, tmp_path / "new"))
            assert {w["digest"] for w in trainer.workers()} == {want}
    assert eventually(lambda: [f.name for f in shared.iterdir()] == [ID_FILE])


def test_a_full_disk(tmp_path: Path, shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Files may not grow beyond 1 MiB here, as on a disk that is full: a warning, nothing is left
    over, and the bytes go by the socket."""
    state = noisy(1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with stampede.Trainer("tcp://127.0.0.1:0", weights_dir=shared) as trainer:
        with pool(tmp_path, trainer, {"weights_dir": shared}) as (worker,):
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
            try:
                report = trainer.push_weights(state, version=1, timeout_s=PATIENCE_S)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert report.file_bytes == 0 and not files(shared)
            assert any("cannot be written to" in r.message and "bulk socket" in r.message
                       for r in caplog.records)
            want = digest_of(save(state, tmp_path / "new"))
            assert trainer.workers()[0]["digest"] == want
            assert "reading stampede-" not in worker.log()
            report = trainer.push_weights(nudged(state), version=2, timeout_s=PATIENCE_S)
            assert report.file_bytes > 0 and "reading stampede-" in worker.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a file system")
def test_a_small_file_system(tmp_path: Path, shared: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(shared)])
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with stampede.Trainer("tcp://127.0.0.1:0", weights_dir=shared) as trainer:
            with pool(tmp_path, trainer, {"weights_dir": shared}):
                state = noisy(1)
                assert trainer.push_weights(state, version=1).file_bytes == 0
                assert not files(shared)
                assert trainer.push_weights(nudged(state), version=2).file_bytes > 0
                want = digest_of(save(nudged(state), tmp_path / "new"))
                assert trainer.workers()[0]["digest"] == want
    finally:
        subprocess.run(["umount", str(shared)], check=True)


@pytest.mark.parametrize("value", ["", "a\0b", 7, b"bytes"], ids=repr)
def test_a_bad_weights_dir(value: Any) -> None:
    with pytest.raises(stampede.ArgumentError, match="weights_dir"):
        stampede.Trainer("tcp://127.0.0.1:0", weights_dir=value)


def test_a_weights_dir_that_cannot_be_used(tmp_path: Path) -> None:
    for path in (tmp_path / "none", Path("/proc")):
        with pytest.raises(stampede.ArgumentError, match="cannot be used"):
            stampede.Trainer("tcp://127.0.0.1:0", weights_dir=path)
    (tmp_path / ID_FILE).write_text("x")
    with pytest.raises(stampede.ArgumentError, match="no id"):
        stampede.Trainer("tcp://127.0.0.1:0", weights_dir=tmp_path)
