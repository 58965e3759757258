"""Workers that must not start, or must not stay: statuses and sentences."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Any, List

import pytest

import stampede
from cli import BIN, TINY, run
from harness import PATIENCE_S, SHORT, RawTrainer, collect, eventually, prompts, serving
from stampede import wire


def serve(*flags: Any, model: Any = TINY) -> Any:
    done = run("serve", "--model", model, *flags, timeout=PATIENCE_S)
    said = done.stderr.decode().splitlines()[-1]
    return done.returncode, said


def spoil(folder: Path, kind: str) -> Path:
    shutil.copytree(TINY, folder)
    weights, config = folder / "model.safetensors", folder / "config.json"
    data = weights.read_bytes()
    if kind == "no config":
        config.unlink()
    elif kind == "config is no JSON":
        config.write_text("{")
    elif kind == "another family":
        config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "llama"}))
    elif kind == "another shape":
        config.write_text(json.dumps({**json.loads(config.read_text()), "num_experts": 9}))
    elif kind == "truncated":
        weights.write_bytes(data[:-1000])
    elif kind == "header lies":
        weights.write_bytes((1 << 40).to_bytes(8, "little") + data[8:])
    elif kind == "empty":
        weights.write_bytes(b"")
    elif kind == "no weights":
        weights.unlink()
    elif kind == "tokenizer is junk":
        (folder / "tokenizer.json").write_text('{"model": 5}')
    return folder


@pytest.mark.parametrize("kind, words", [
    ("no config", "config.json"), ("config is no JSON", "config.json"),
    ("another family", "llama"), ("another shape", "model.layers."),
    ("truncated", "model.safetensors"), ("header lies", "model.safetensors"),
    ("empty", "model.safetensors"), ("no weights", "safetensors"),
    ("tokenizer is junk", "tokenizer.json"),
])
def test_broken_checkpoints(kind: str, words: str, tmp_path: Path) -> None:
    model = spoil(tmp_path / "model", kind)
    status, said = serve("--connect", f"ipc://{tmp_path}/w", model=model)
    assert status == 78, said
    assert said.startswith("stampede serve: ") and words in said and said.endswith("."), said


@pytest.mark.parametrize("flags, words", [
    ((), "exactly one of --connect and --bind"),
    (("--connect", "ipc:///x", "--bind", "ipc:///y"), "exactly one"),
    (("--bind", "tcp://0.0.0.0:5555"), "0.0.0.0"),
    (("--bind", "tcp://0.0.0.0:5555", "--insecure"), "wildcard"),
    (("--bind", "tcp://*:5555", "--insecure"), "*"),
    (("--bind", "tcp://[::]:5555", "--insecure"), "[::]"),
    (("--connect", "tcp://192.0.2.1:5555"), "loopback"),
    (("--connect", "tcp://example.com:5555"), "example.com"),
    (("--connect", "tcp://127.0.0.1:0"), "port"),
    (("--connect", "tcp://127.0.0.1:70000"), "port"),
    (("--connect", "udp://127.0.0.1:5555"), "udp"),
    (("--connect", "127.0.0.1:5555"), "127.0.0.1:5555"),
    (("--bind", "ipc://" + "x" * 200), "ipc://"),
    (("--connect", "ipc:///x", "--trainer-deadline", "0"), "--trainer-deadline"),
    (("--connect", "ipc:///x", "--drain-timeout", "-1"), "--drain-timeout"),
])
def test_refused_addresses_and_flags(flags: Any, words: str) -> None:
    status, said = serve(*flags)
    assert status == 2, said
    assert words in said and said.endswith("."), said


@pytest.mark.parametrize("flags, status, words", [
    (("--connect", "http://127.0.0.1:5555"), 2, "http://127.0.0.1:5555"),
    (("--connect", "tcp://192.0.2.1:5555"), 2, "not loopback"),
    (("--connect", "ipc:///x", "--key", "/missing.key", "--server-key", "/x.pub"), 78, "missing"),
    (("--bind", "ipc:///x", "--key", "/missing.key", "--allow-keys", "/x"), 78, "missing"),
])
def test_the_wire_is_looked_at_before_a_model_is_loaded(flags: Any, status: int,
                                                        words: str) -> None:
    """Loading takes minutes: what needs none of it is said first."""
    code, said = serve(*flags, model="/no/such/model")
    assert code == status and words in said and said.endswith("."), said


def test_a_worker_takes_the_descriptors_that_it_may(tmp_path: Path) -> None:
    with serving(tmp_path, f"ipc://{tmp_path}/w") as worker:
        worker.said("trainer at")
        mine = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        assert resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)[0] == min(mine, 65536)
    argv = ["prlimit", "--nofile=300:500", BIN, "serve", "--model", TINY, "--connect",
            f"ipc://{tmp_path}/w"]
    child = subprocess.Popen(argv)
    try:
        eventually(lambda: resource.prlimit(child.pid, resource.RLIMIT_NOFILE) == (500, 500))
    finally:
        child.kill()
        child.wait()


def test_an_address_in_use(tmp_path: Path) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        status, said = serve("--bind", trainer.url)
        assert status == 74 and trainer.url in said, said
    status, said = serve("--bind", "ipc:///no/such/folder/w")
    assert status == 74 and "/no/such/folder/w" in said, said


def test_an_internal_error(tmp_path: Path) -> None:
    """A backend beside the program that finds a fault of its own."""
    program = tmp_path / "stampede"
    shutil.copy(BIN, program)
    shutil.copy(Path(BIN).parent / "tests" / "kernels" / "stampede_internal.so", tmp_path)
    done = subprocess.run([program, "serve", "--model", str(TINY), "--device", "internal",
                           "--connect", "ipc:///x"], capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 70, done.stderr
    assert b"another one than it was." in done.stderr


def test_no_trainer_within_the_deadline(tmp_path: Path) -> None:
    url = f"ipc://{tmp_path}/w"
    status, said = serve("--connect", url, "--trainer-deadline", 1)
    assert status == 69 and "--trainer-deadline" in said, said
    status, said = serve("--bind", url, "--trainer-deadline", 1)
    assert status == 69 and "--trainer-deadline" in said, said
    # The deadline counts from the moment in which the trainer was heard last.
    with serving(tmp_path, url, trainer_deadline=3) as worker:
        with stampede.Trainer(url) as trainer:
            assert len(collect(trainer.generate(prompts(1), n=1, sampling=SHORT))) == 1
            worker.said("joined")
        worker.ends(69)


def test_another_model_is_refused(tmp_path: Path) -> None:
    other = spoil(tmp_path / "other", "same")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "norm_eps": 2e-5}))
    with stampede.Trainer(f"ipc://{tmp_path}/w") as trainer:
        with serving(tmp_path, trainer.url) as good:
            trainer.wait_for_workers(1, PATIENCE_S)
            with serving(tmp_path, trainer.url, model=other) as bad:
                bad.ends(78)
                assert "the trainer refused this worker" in bad.log()
            assert good.alive() and len(trainer.workers()) == 1


@pytest.mark.parametrize("code, status", [("major", 78), ("malformed", 78), ("model", 78)])
def test_refusals_that_end_a_worker(code: str, status: int, tmp_path: Path) -> None:
    with RawTrainer() as trainer, serving(tmp_path, trainer.url) as worker:
        trainer.take("HELLO")
        trainer.send("REFUSE", code=wire.REFUSALS[code], error="no thank you")
        worker.ends(status)
        assert "no thank you" in worker.log()


def test_the_run_is_complete(tmp_path: Path) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=2) as trainer:
        with serving(tmp_path, trainer.url) as a, serving(tmp_path, trainer.url) as b:
            assert len(collect(trainer.generate(prompts(4), n=2, sampling=SHORT))) == 8
            trainer.close(run_complete=True)
            a.ends(0)
            b.ends(0)
