"""Rows of the matrix about the machine: memory, open files, a full disk, signals and the clock."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, List

import harness
from cli import BIN
from matrix import case
from rows_workers import MIXED
from scenario import Run, Skip, Work

# What a worker may end with when the machine fails it, having said why.
SAID = {69, 70, 74, 78}


def preload(**settings: Any) -> List[str]:
    """The prefix of a worker that runs with tests/faults/preload.c in front of libc."""
    library = Path(BIN).resolve().parent / "tests" / "faults" / "preload.so"
    if not library.exists():
        raise Skip(f"{library.name} is not built: make tests")
    return ["env", f"LD_PRELOAD={library}"] + [f"PRELOAD_{k}={v}" for k, v in settings.items()]


@case(21, "files")
def files(run: Run) -> None:
    """Few open files, from too few to start to just enough: a sentence and a status, or work."""
    run.work = Work(n_prompts=60, sampling=MIXED, seed=run.seed)
    stub = run.trainer(pushes=[(5, 1)])
    run.worker(stub.url)
    run.wait(lambda: stub.n_consumed() >= 1)
    ended = 0
    limits = range(3, 64) if run.is_long else range(4, 40, 3)
    for limit in limits:
        worker = run.worker(stub.url, prefix=["prlimit", f"--nofile={limit}:{limit}", "--"],
                            trainer_deadline=2)
        joined = run.name_of(worker)
        for status in SAID:
            run.expect(worker, status)
        run.wait(lambda: stub.tail.count("received", type="HELLO", uid=joined) > 0
                 or not worker.alive())
        ended += not worker.alive()
    run.finish()
    run.notes.append(f"{ended} of {len(limits)} could not start")


@case(21, "full-disk")
def full_disk(run: Run) -> None:
    """Logs go to a disk that is full: work goes on without them."""
    disk = run.folder / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Skip(f"a tmpfs could not be mounted: {done.stderr.strip()}")
    run.callback(subprocess.run, ["umount", "-l", str(disk)])
    run.work = Work(n_prompts=60, n_after=10, sampling=MIXED, seed=run.seed)
    stub = run.trainer(pushes=[(5, 1)], min_workers=2)
    url = stub.url
    folder, run.folder = run.folder, disk
    try:
        pool = run.pool(url, 2)
        pool[0].said("engine ready")
    finally:
        run.folder = folder
    with open(disk / "rest", "wb", buffering=0) as rest:
        try:
            while rest.write(bytes(4096)):
                pass
        except OSError:
            pass
    run.finish()


@case(21, "slow-log")
def slow_log(run: Run) -> None:
    """A collector of logs that reads a line now and then, as on a disk that is slow."""
    run.work = Work(n_prompts=60, sampling=MIXED, seed=run.seed)
    stub = run.trainer()
    fifo = run.folder / "log.fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    script = run.folder / "slow.sh"
    script.write_text(f'#!/bin/sh\nexec {BIN} "$@" 2>{fifo}\n')
    script.chmod(0o755)
    stop = threading.Event()

    def read() -> None:
        while not stop.wait(0.05):
            try:
                os.read(reader, 64)
            except BlockingIOError:
                pass

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    os.environ["STAMPEDE_BIN"], before = str(script), os.environ["STAMPEDE_BIN"]
    try:
        run.worker(stub.url)
    finally:
        os.environ["STAMPEDE_BIN"] = before
    try:
        run.finish()
    finally:
        stop.set()
        thread.join()
        os.close(reader)


@case(21, "interrupts")
def interrupts(run: Run) -> None:
    """A timer's signal in every thread, hundreds of times a second, without SA_RESTART."""
    run.work = Work(n_prompts=240 if run.is_long else 60, n_after=10, sampling=MIXED, seed=run.seed)
    stub = run.trainer(pushes=[(5, 1), (20, 2)], min_workers=2)
    run.pool(stub.url, 2, prefix=preload(INTERRUPT_US=2000))
    run.finish()
    assert stub.counters().get("lost_sessions", 0) == 0


@case(21, "clock")
def clock(run: Run) -> None:
    """The clock of the day jumps an hour to and fro: everything that waits has another clock."""
    run.work = Work(n_prompts=240 if run.is_long else 60, n_after=10, sampling=MIXED, seed=run.seed)
    stub = run.trainer(pushes=[(5, 1)], min_workers=2)
    run.pool(stub.url, 2, prefix=preload(CLOCK_STEP_S=3600))
    run.finish()
    assert stub.counters().get("lost_sessions", 0) == 0


@case(21, "memory")
def memory(run: Run) -> None:
    """The Nth allocation of a worker's own code fails: it ends with a sentence, others go on."""
    n = 100 if run.is_long else 10
    run.work = Work(n_prompts=200, sampling=MIXED, seed=run.seed)
    stub = run.trainer()
    run.worker(stub.url)
    ended = 0
    for k in range(n):
        # From the first ones, while it starts, to those of its hundredth message.
        nth = int(10 ** run.rng.uniform(0, 5)) if k else 1
        worker: harness.Worker = run.worker(stub.url, prefix=preload(FAIL_NTH=nth))
        name = run.name_of(worker)
        for status in (*SAID, -signal.SIGABRT):
            run.expect(worker, status)
        at = stub.n_consumed()
        run.wait(lambda: not worker.alive() or stub.n_consumed() > at + 2 or stub.is_done())
        if not worker.alive():
            ended += 1
            assert "out of memory" in worker.log() or "memory" in worker.log().lower(), (
                f"{name} died of allocation {nth} without a word: {worker.log()[-500:]}")
    run.finish()
    run.notes.append(f"{ended} of {n} met their allocation")


@case(21, "hung-directory")
def hung_directory(run: Run) -> None:
    """--weights-dir lies on a file system that does not answer: one sentence, and the worker joins
    in time, serves, takes updates by the socket, joins the next trainer, and drains."""
    run.work = Work(n_prompts=60, sampling=MIXED, seed=run.seed)
    hung = run.folder / "hung"
    hung.mkdir()
    stub = run.trainer(pushes=[(5, 1)])
    prefix = preload(HANG_OPEN=hung)
    start = time.monotonic()
    worker = run.worker(stub.url, prefix=prefix, weights_dir=hung)
    stub.wait_for("sent", type="WELCOME")
    assert time.monotonic() - start < 15
    run.wait(lambda: stub.n_consumed() >= 10)
    stub.kill()
    after = run.trainer(url=stub.url, epoch=2, previous=run.stubs, pushes=[(2, 2)])
    run.finish()
    assert after.tail.count("pushed") == 1
    assert worker.log().count("does not answer") == 1, worker.log()
    assert worker.log().count("Weights come by the socket until it is there.") == 1
