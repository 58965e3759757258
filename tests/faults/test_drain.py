"""SIGTERM at every moment: rows finish or run again elsewhere, exit 75; a second ends at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, List

import pytest
import torch
from safetensors.torch import save_file

import stampede
from cli import BIN, TINY, run
from harness import (LONG, PATIENCE_S, SHORT, RawTrainer, Worker, collect, eventually, prompts,
                     samples_of, serving, undisturbed)
from stampede import wire

FEW = {"max_rows": 4}


def ask(trainer: stampede.Trainer) -> Any:
    return trainer.generate(prompts(10), n=4, sampling=LONG, seed=11)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return undisturbed(tmp_path_factory.mktemp("undisturbed"), ask)


@pytest.mark.parametrize("timeout_s", [60, 1, 0])
def test_what_does_not_finish_runs_again_elsewhere(timeout_s: int, tmp_path: Path,
                                                   expected: Any) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=2) as trainer:
        leaving = Worker(tmp_path, trainer.url, drain_timeout=timeout_s, **FEW)
        try:
            with serving(tmp_path, trainer.url, **FEW) as staying:
                groups = ask(trainer)
                got = collect([next(groups)])
                leaving.terminate()
                collect(groups, got)
                leaving.ends(75)
                assert staying.alive()
        finally:
            leaving.kill()
        assert got == expected
        if timeout_s == 0:
            assert trainer.counters()["preempted_samples"] >= 1
        assert "draining" in leaving.log() and "leaving: drained" in leaving.log()


@pytest.mark.parametrize("ignored", [False, True], ids=["hangup", "nohup"])
def test_a_hangup_drains_unless_it_is_ignored(tmp_path: Path, ignored: bool) -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
            worker = Worker(tmp_path, trainer.url, **FEW)  # it inherits what is ignored
            try:
                collect(trainer.generate(prompts(2), n=1, sampling=SHORT))
                os.kill(worker.pid, signal.SIGHUP)
                if ignored:
                    time.sleep(0.5)
                    collect(trainer.generate(prompts(2), n=1, sampling=SHORT))
                    assert worker.alive() and "draining" not in worker.log()
                    worker.terminate()
                worker.ends(75)
            finally:
                worker.kill()
    finally:
        signal.signal(signal.SIGHUP, former)


def test_rows_in_flight_finish_and_the_rest_is_preempted(tmp_path: Path) -> None:
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, max_rows=2) as worker:
        trainer.welcome()
        trainer.task(0, n=2, max_new_tokens=300)
        trainer.task(1, n=2, max_new_tokens=300)
        came = [trainer.take("RESULT")]
        worker.terminate()
        while "BYE" not in [m.type for m in came]:
            came += trainer.drain(0.1)
        kinds = [m.type for m in came]
        assert kinds.index("DRAIN") < kinds.index("BYE")
        samples = [s for m in came if m.type == "RESULT" for s in samples_of(m)]
        assert {s["finish"] for s in samples} <= {"length", "preempted"} and len(samples) == 4
        assert len({(s["serial"], s["sample"]) for s in samples}) == 4
        worker.ends(75)


def test_partial_samples_come_with_their_tokens(tmp_path: Path) -> None:
    lengths: List[int] = []
    for attempt in range(10):  # where the rows stand when the signal comes is chance
        with RawTrainer() as trainer, serving(tmp_path, trainer.url, max_rows=2,
                                              drain_timeout=0) as worker:
            trainer.welcome()
            trainer.task(0, n=4, max_new_tokens=480)
            samples = samples_of(trainer.take("RESULT"))
            time.sleep(0.01 * attempt)
            worker.terminate()
            while len(samples) < 4:
                samples += samples_of(trainer.take("RESULT"))
            trainer.take("BYE")
            worker.ends(75)
        assert sorted(s["sample"] for s in samples) == list(range(4))
        lengths = [len(s["tokens"]) for s in samples if s["finish"] == "preempted"]
        if any(0 < n < 480 for n in lengths):
            return
    raise AssertionError(f"no sample was returned in its middle: {lengths}")


def test_a_drain_ends_without_acknowledgements(tmp_path: Path) -> None:
    """A trainer that hangs does not keep a worker that was told to go."""
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, drain_timeout=0) as worker:
        trainer.welcome()
        trainer.task(0, n=4, max_new_tokens=480)
        trainer.control.poll(PATIENCE_S * 1000)
        worker.terminate()
        worker.ends(75)


@pytest.mark.parametrize("moment", ["no trainer", "idle", "staged"])
def test_sigterm_without_work(moment: str, tmp_path: Path) -> None:
    if moment == "no trainer":
        with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
            url = trainer.url
        with serving(tmp_path, url) as worker:
            worker.said("trainer at")
            worker.terminate()
            worker.ends(75, 20)
        return
    with RawTrainer() as trainer, serving(tmp_path, trainer.url) as worker:
        hello = trainer.welcome()
        if moment == "staged":
            from test_updates import Push, noisy
            push = Push(trainer, hello, 1, 1, noisy(1))
            push.begin()
            assert push.serve()["phase"] == wire.PHASE_STAGED
        else:
            trainer.task(0)
            trainer.result(0)
        worker.terminate()
        trainer.take("BYE")
        worker.ends(75, 20)


def test_sigterm_in_the_middle_of_a_push(tmp_path: Path) -> None:
    from test_updates import noisy
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=2) as trainer:
        with serving(tmp_path, trainer.url) as leaving, serving(tmp_path, trainer.url):
            trainer.wait_for_workers(2, PATIENCE_S)
            leaving.terminate()
            trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S)
            leaving.ends(75)
            eventually(lambda: [w["version"] for w in trainer.workers()] == [1])
            assert len(collect(trainer.generate(prompts(2), n=2, sampling=SHORT))) == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(number: int, tmp_path: Path) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, max_rows=1) as worker:
            groups = trainer.generate(prompts(20), n=4, sampling=LONG)
            next(groups)
            worker.child._process.send_signal(number)
            worker.said("draining")
            worker.child._process.send_signal(number)
            worker.ends(75, 20)
            groups.close()


def test_signals_that_mean_nothing_and_hangup(tmp_path: Path) -> None:
    """SIGUSR1 and SIGUSR2 change nothing, and do not make the worker deaf; SIGHUP drains."""
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url) as worker:
            trainer.wait_for_workers(1, PATIENCE_S)  # before main blocks them they would end it
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
                worker.child._process.send_signal(number)
            assert len(collect(trainer.generate(prompts(3), n=2, sampling=SHORT))) == 6
            worker.child._process.send_signal(signal.SIGHUP)
            worker.ends(75, 20)
            assert "draining" in worker.log()


def test_names(tmp_path: Path) -> None:
    """Two workers of one host and pid (namespace) are two; --name says who a worker is."""
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=3) as trainer:
        with serving(tmp_path, trainer.url), serving(tmp_path, trainer.url), \
                serving(tmp_path, trainer.url, name="wörker/1"):
            trainer.wait_for_workers(3, PATIENCE_S)
            uids = sorted(w["uid"] for w in trainer.workers())
            assert len(set(uids)) == 3 and "wörker/1" in uids
            plain = [uid for uid in uids if uid != "wörker/1"]
            assert all(re.search(r"-\d+-[0-9a-f]{8}$", uid) for uid in plain), plain
            # A random part, not the pid, tells them apart.
            assert len({uid.rsplit("-", 1)[1] for uid in plain}) == 2
    done = run("serve", "--model", TINY, "--connect", trainer.url, "--name", "x" * 201)
    assert done.returncode == 2 and b"--name has 201 bytes" in done.stderr


def big_model(folder: Path) -> Path:
    """A checkpoint that takes a moment to load and hash: the tiny one with a large vocabulary."""
    import json
    from safetensors.torch import load_file
    config = json.loads((TINY / "config.json").read_text())
    config["vocab_size"] = 600_000
    tensors = load_file(TINY / "model.safetensors")
    tensors["model.embed_tokens.weight"] = torch.zeros(600_000, 128, dtype=torch.bfloat16)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_sigterm_while_loading(tmp_path: Path) -> None:
    model = big_model(tmp_path / "big")
    statuses: List[int] = []
    for delay_s in (0.03, 0.1, 0.2, 0.4):
        child = subprocess.Popen([BIN, "serve", "--model", str(model), "--bind",
                                  f"ipc://{tmp_path}/w", "--log-level", "error"])
        time.sleep(delay_s)
        child.terminate()
        statuses.append(child.wait(PATIENCE_S))
    # Before main blocks the signal it ends the program in its own way.
    assert set(statuses) <= {75, -signal.SIGTERM} and 75 in statuses, statuses
