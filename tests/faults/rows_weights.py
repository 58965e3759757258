"""Rows of the matrix about weights: updates that are interrupted, and a bit that flips."""

from __future__ import annotations

import re
import time
from typing import Any, Dict, List

from safetensors.torch import load_file

import checker
from cli import TINY
from harness import Worker
from matrix import case
from rows_workers import MIXED
from scenario import Run, Skip, Work

UPDATE_BYTES = 5_062_688  # of all of the tiny model, as a worker pulls it
# Where an update is when somebody dies: events of the trainer's log.
STATES: List[Dict[str, Any]] = [
    {"event": "sent", "type": "WEIGHTS_BEGIN"},
    {"event": "received", "type": "WEIGHTS_STATUS", "phase": 1},
    {"event": "sent", "type": "WEIGHTS_COMMIT"},
    {"event": "received", "type": "WEIGHTS_STATUS", "phase": 2}]


@case(16, "link")
def link(run: Run) -> None:
    """The bulk connection is reset at any byte: the worker comes back for the rest."""
    n = 60 if run.is_long else 5
    run.work = Work(n_prompts=25 * n, n_after=8, sampling=MIXED, seed=run.seed)
    bulk = run.proxy()
    bulk.reset_after(run.rng.randrange(1, UPDATE_BYTES))
    stub = run.trainer(min_workers=3, bulk_url=bulk.url,
                       pushes=[(5 * k, k + 1) for k in range(n)])
    bulk.point_at(stub.opened()["bulk_url"])
    run.pool(stub.url, 3)
    for k in range(1, n):
        stub.wait_for("pushed", k)
        bulk.reset_after(run.rng.randrange(1, UPDATE_BYTES))
    run.finish()
    assert stub.tail.count("pushed") == n and bulk.n_resets >= n // 2
    run.notes.append(f"{n} updates, {bulk.n_resets} resets")


@case(16, "receivers")
def receivers(run: Run) -> None:
    n = 40 if run.is_long else 4
    run.work = Work(n_prompts=25 * n, n_after=8, sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=3, pushes=[(5 * k, k + 1) for k in range(n)])
    pool = run.pool(stub.url, 3)
    for k in range(n):
        stub.wait_for("pushing", k + 1)
        seen = stub.tail.count(**STATES[k % 4])
        run.wait(lambda: stub.tail.count(**STATES[k % 4]) > seen
                 or stub.tail.count("pushed") > k)
        run.kill(pool[k % 3])
        pool[k % 3] = run.worker(stub.url)
    run.finish()
    assert stub.tail.count("pushed") + stub.tail.count("push failed") == n
    run.notes.append(f"{n} updates, {stub.tail.count('push failed')} failed")


@case(16, "senders")
def senders(run: Run) -> None:
    """A trainer dies in the middle of a push; the next one has a newer version."""
    n = 20 if run.is_long else 4
    run.work = Work(n_prompts=50 * (n + 1), n_after=8, sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=3, pushes=[(5, 1)])
    url = stub.url
    pool = run.pool(url, 3)
    for k in range(n):
        run.wait(lambda: stub.tail.count(**STATES[k % 4]) > 0 or stub.is_done())
        stub.kill()
        assert all(w.alive() for w in pool)
        stub = run.trainer(url=url, epoch=k + 2, previous=run.stubs, min_workers=3,
                           pushes=[(2, k + 2)])
    run.finish()
    assert stub.tail.count("pushed") == 1


def flip(worker: Worker, pattern: bytes) -> None:
    """One bit of these bytes, where they lie in the worker's memory."""
    with open(f"/proc/{worker.pid}/maps") as maps, open(f"/proc/{worker.pid}/mem", "r+b",
                                                        buffering=0) as memory:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not match or int(match[2], 16) - int(match[1], 16) > 1 << 28:
                continue
            begin = int(match[1], 16)
            memory.seek(begin)
            at = memory.read(int(match[2], 16) - begin).find(pattern)
            if at >= 0:
                memory.seek(begin + at)
                memory.write(bytes([pattern[0], pattern[1], pattern[2] ^ 0x40]))
                return
    raise Skip("the weights were not found in the worker's memory")


NORM = "model.layers.0.operator_norm.weight"


def flip_in_mid_run(run: Run, scrub_interval: int) -> Worker:
    run.work = Work(n_prompts=400 if scrub_interval else 40, sampling=MIXED, seed=run.seed)
    stub = run.trainer()
    worker = run.worker(stub.url, scrub_interval=scrub_interval)
    run.wait(lambda: stub.n_consumed() >= 5)
    flip(worker, load_file(TINY / "model.safetensors")[NORM].float().numpy().tobytes())
    return worker


@case(18, "flip")
def flipped(run: Run) -> None:
    """The worker finds it within a pass, says so, and ends; another one takes its place. Of
    unfinished groups what came of it is drawn anew; wrong is at most what the trainer was told."""
    worker = flip_in_mid_run(run, 1)
    start = time.monotonic()
    run.expect(worker, 70)
    worker.ends(70, 10)
    found_s = time.monotonic() - start
    assert f"tensor '{NORM}'" in worker.log()
    stub = run.stubs[-1]
    stub.wait_for("received", type="BYE")
    (bye,) = [e for e in stub.tail.look() if e["event"] == "received" and e["type"] == "BYE"]
    assert bye["tensor"] == NORM and 0 < bye["suspect_ms"] <= 1000 * (found_s + 3), bye
    run.worker(stub.url, scrub_interval=1)
    run.finish()
    assert stub.counters()["damaged_workers"] == 1
    assert not any(e["deaths"] for e in stub.tail.events if e["event"] == "consumed")
    since = bye["t"] - bye["suspect_ms"] / 1000
    suspects = {e["id"] for e in stub.tail.events if e["event"] == "consumed" and e["t"] >= since
                and run.name_of(worker) in [s["worker"] for s in e["samples"]]}
    sentences = checker.check(run.events(), run.reference())
    assert {s.split(":")[0] for s in sentences} <= {"I7"}, sentences[:5]
    wrong = {int(n) for s in sentences for n in re.findall(r"of group (\d+)", s)}
    assert wrong <= suspects, sorted(wrong - suspects)
    run.is_judged = True
    run.notes.append(f"found in {found_s:.1f} s, {len(wrong)} of {len(suspects)} suspects wrong")


@case(18, "found")
def found(run: Run) -> None:
    """What does find such a bit where nobody looks: the checker, by the bits of an undisturbed
    run."""
    flip_in_mid_run(run, 0)
    run.finish()
    sentences = checker.check(run.events(), run.reference())
    assert sentences and {s.split(":")[0] for s in sentences} == {"I7"}, sentences[:5]
    run.is_judged = True
