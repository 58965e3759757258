"""A real worker whose engine's thread stands while its I/O thread speaks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import stampede
from harness import LONG, collect, eventually, prompts, serving, undisturbed


def test_an_engine_that_stands_still(tmp_path: Path) -> None:
    def ask(trainer: stampede.Trainer) -> stampede.Generation:
        return trainer.generate(prompts(12), n=4, sampling=LONG, seed=3)

    expected = undisturbed(tmp_path, ask)
    hold = Path(__file__).with_name("hold_thread.py")
    with stampede.Trainer("tcp://127.0.0.1:0", lease_s=2.0) as trainer, \
            serving(tmp_path, trainer.url, max_rows=4, name="a") as worker:
        groups = ask(trainer)
        got = collect([next(groups)])
        child = subprocess.Popen(["python3", str(hold), str(worker.pid), "main"],
                                 stdout=subprocess.PIPE)
        try:
            assert child.stdout is not None
            said = child.stdout.readline().strip()
            if said != b"held":
                pytest.skip(f"ptrace is not to be had here: {said.decode()}")
            eventually(lambda: [w["state"] for w in trainer.workers()] == ["stalled"])
            assert trainer.counters()["deaths_by_stall"] == 1
            with serving(tmp_path, trainer.url, max_rows=4, name="b"):
                collect(groups, got)
                assert got == expected
                child.terminate()
                child.wait()
                # It goes on; what it says of those samples comes too late, and its session lives.
                eventually(lambda: all(w["state"] == "serving" for w in trainer.workers()))
                eventually(lambda: trainer.counters().get("duplicate_samples", 0) > 0)
                assert worker.alive() and trainer.counters().get("lost_sessions", 0) == 0
        finally:
            child.kill()
            child.wait()
