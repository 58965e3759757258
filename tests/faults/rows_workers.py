"""Rows of the matrix about workers and trainers that die, stop and leave."""

from __future__ import annotations

import signal
import time
from typing import Any

from matrix import case
from scenario import Run, Work
from test_deaths import KILLER

MIXED = {"max_new_tokens": 120, "ignore_eos": True}


@case(1, "kills")
def kills(run: Run) -> None:
    n_kills = 200 if run.is_long else 20
    run.work = Work(n_prompts=6 * n_kills, n=4, sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=4)
    pool = run.pool(stub.url, 8)
    for k in range(n_kills):
        run.wait(lambda: stub.n_consumed() >= 5 * k + 1 or stub.is_done())
        victim = run.rng.choice([w for w in pool if w.alive()])
        run.kill(victim)
        pool[pool.index(victim)] = run.worker(stub.url)
    run.finish()
    counters = stub.counters()
    run.notes.append(f"{n_kills} kills, {counters.get('lost_leases', 0)} groups given again, "
                     f"{counters.get('quarantined_groups', 0)} quarantined")


@case(2, "drains")
def drains(run: Run) -> None:
    n_drains = 100 if run.is_long else 12
    run.work = Work(n_prompts=6 * n_drains, n=4, sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=2)
    pool = [run.worker(stub.url, drain_timeout=t) for t in (0, 1, 60)]
    longest = 0.0
    for k in range(n_drains):
        run.wait(lambda: stub.n_consumed() >= 5 * k + 1 or stub.is_done())
        i = k % 3
        leaving, pool[i] = pool[i], run.worker(stub.url, drain_timeout=(0, 1, 60)[i])
        start = time.monotonic()
        run.signal(leaving, signal.SIGTERM)
        leaving.ends(75, 300)
        longest = max(longest, time.monotonic() - start)
    run.finish()
    run.notes.append(f"{n_drains} drains, the longest {longest:.1f} s, "
                     f"{stub.counters().get('preempted_samples', 0)} samples preempted")


@case(3, "twice")
def twice(run: Run) -> None:
    run.work = Work(n_prompts=80, sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=2)
    pool = run.pool(stub.url, 2, max_rows=2)
    for k in range(40 if run.is_long else 8):
        run.wait(lambda: stub.n_consumed() >= 4 * k + 1 or stub.is_done())
        leaving, pool[k % 2] = pool[k % 2], run.worker(stub.url, max_rows=2)
        run.signal(leaving, signal.SIGTERM)
        leaving.said("draining")
        run.signal(leaving, signal.SIGTERM)
        leaving.ends(75, 300)
    run.finish()


@case(3, "loading")
def loading(run: Run) -> None:
    """Before the worker blocks the signal it ends by it; later it drains."""
    run.work = Work(n_prompts=40, sampling=MIXED, seed=run.seed)
    stub = run.trainer()
    run.worker(stub.url)
    statuses = []
    for _ in range(50 if run.is_long else 10):
        worker = run.worker(stub.url)
        time.sleep(run.rng.uniform(0, 0.1))
        run.signal(worker, signal.SIGTERM)
        statuses.append(worker.child.wait(300))
    assert set(statuses) <= {75, -signal.SIGTERM}, statuses
    run.finish()


@case(3, "committing")
def committing(run: Run) -> None:
    n = 20 if run.is_long else 4
    run.work = Work(n_prompts=30 * n, sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=3, pushes=[(20 * k, k + 1) for k in range(n)])
    pool = run.pool(stub.url, 3)
    for k in range(n):
        stub.wait_for("sent", 3 * k + 1, type="WEIGHTS_COMMIT")
        leaving, pool[k % 3] = pool[k % 3], run.worker(stub.url)
        run.signal(leaving, signal.SIGTERM)
        leaving.ends(75, 300)
    run.finish()
    assert stub.tail.count("pushed") == n


@case(4, "short")
def stopped_shortly(run: Run) -> None:
    run.work = Work(n_prompts=100, sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=4)
    pool = run.pool(stub.url, 4)
    for k in range(100 if run.is_long else 6):
        run.wait(lambda: stub.n_consumed() >= 8 * k + 1 or stub.is_done())
        worker = run.rng.choice(pool)
        before, start = stub.n_gone(worker), time.monotonic()
        run.signal(worker, signal.SIGSTOP)
        time.sleep(1)
        run.signal(worker, signal.SIGCONT)
        if time.monotonic() - start < 2:  # and this process was not stopped itself
            assert stub.n_gone(worker) == before, "a stop of a second ended its session"
    run.finish()


@case(4, "long")
def stopped_for_long(run: Run) -> None:
    run.work = Work(n_prompts=100, sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=4)
    pool = run.pool(stub.url, 4)
    for k in range(40 if run.is_long else 2):
        run.wait(lambda: stub.n_consumed() >= 30 * k + 1 or stub.is_done())
        stub.wait_for_sessions(4)
        worker = run.rng.choice(pool)
        run.signal(worker, signal.SIGSTOP)
        stub.wait_for_sessions(3)
        run.signal(worker, signal.SIGCONT)
    stub.wait_for_sessions(4)
    run.finish()
    run.notes.append(f"{stub.counters().get('duplicate_samples', 0)} samples came late")


@case(5, "trainer")
def trainer_killed(run: Run) -> None:
    n = 40 if run.is_long else 4
    run.work = Work(n_prompts=40 * (n + 1), sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=4)
    url = stub.url
    pool = run.pool(url, 4)
    for epoch in range(2, n + 2):
        run.wait(lambda: stub.n_consumed() >= 20 or stub.is_done())
        stub.kill()
        assert all(w.alive() for w in pool)
        stub = run.trainer(url=url, epoch=epoch, previous=run.stubs)
    run.finish()


@case(9, "stall")
def trainer_stalls(run: Run) -> None:
    stall_s = 120 if run.is_long else 30
    run.work = Work(n_prompts=120, sampling=MIXED, seed=run.seed)
    stub = run.trainer(min_workers=4)
    pool = run.pool(stub.url, 4, max_rows=16)
    run.wait(lambda: stub.n_consumed() >= 20)
    before = [run.footprint(w)[0] for w in pool]
    stub.signal(signal.SIGSTOP)
    time.sleep(stall_s)
    assert all(w.alive() for w in pool)
    grown = max(run.footprint(w)[0] - kib for w, kib in zip(pool, before))
    stub.signal(signal.SIGCONT)
    stub.wait_for_sessions(4)  # the stall is not held against the workers
    run.finish()
    assert grown < 32 << 10, f"a worker grew by {grown} KiB while nobody read"
    run.notes.append(f"{stall_s} s; a worker grew by {grown} KiB")


@case(20, "poison")
def poison(run: Run) -> None:
    killer = run.folder / "killer.sh"
    killer.write_text(KILLER)
    killer.chmod(0o755)
    run.work = Work(n_prompts=40, n=2, sampling={"max_new_tokens": 24, "ignore_eos": True},
                    seed=run.seed)
    poisonous = run.rng.sample(range(40), 3 if run.is_long else 1)
    stub = run.trainer(min_workers=3, rewards={i: "killer" for i in poisonous})
    flags = {"verifier": {"killer": killer}}
    pool = run.pool(stub.url, 3, **flags)
    n_dead = 0
    while not stub.is_done():
        for i, worker in enumerate(pool):
            if not worker.alive():
                run.expect(worker, -signal.SIGKILL)
                n_dead += 1
                pool[i] = run.worker(stub.url, **flags)
        assert n_dead <= 8 * len(poisonous), "the pool dies of a group again and again"
        time.sleep(0.05)
    for worker in pool:
        run.expect(worker, -signal.SIGKILL)
    run.finish()
    assert stub.counters()["quarantined_groups"] == len(poisonous)
    run.notes.append(f"{n_dead} workers died of {len(poisonous)} groups")


@case(25, "lengths")
def lengths(run: Run) -> None:
    """Natural ends: many short samples and few long ones, at workers of which a fifth is killed
    again and again. I7 holds each sample; so the multiset of lengths is the undisturbed one."""
    n_groups = 1200 if run.is_long else 150
    run.work = Work(n_prompts=n_groups, n=8 if run.is_long else 4,
                    sampling={"max_new_tokens": 400}, seed=run.seed)
    stub = run.trainer(min_workers=4)
    pool = run.pool(stub.url, 5)
    k = 0
    while not stub.is_done():
        run.wait(lambda: stub.n_consumed() >= 15 * k + 1 or stub.is_done())
        run.kill(pool[0])
        pool[0] = run.worker(stub.url)
        k += 1
    run.finish()
    seen = sorted(len(s["tokens"]) for e in stub.tail.look() if e["event"] == "consumed"
                  for s in e["samples"])
    want = sorted(len(d.tokens) for d in run.models.drawn(0, run.work).values())
    assert seen == want and len(set(want)) > 20
    run.notes.append(f"{k} kills; lengths {want[0]} to {want[-1]}, median {want[len(want) // 2]}")


def act(run: Run, fault: str, state: Any) -> None:
    """One fault of the mixed row; `state` has pool, stub, proxy and url."""
    i = run.rng.randrange(len(state.pool))
    worker = state.pool[i]
    if fault == "kill":
        run.kill(worker)
        state.pool[i] = run.worker(state.url)
    elif fault == "drain":
        run.signal(worker, signal.SIGTERM)
        worker.ends(75, 300)
        state.pool[i] = run.worker(state.url)
    elif fault == "stop":
        run.signal(worker, signal.SIGSTOP)
        time.sleep(run.rng.choice([0.3, 1, 6]))
        run.signal(worker, signal.SIGCONT)
    elif fault == "cut":
        state.proxy.cut()
    elif fault == "freeze":
        state.proxy.freeze(*run.rng.choice([(True, True), (True, False), (False, True)]))
        time.sleep(run.rng.choice([0.5, 2, 7]))
        state.proxy.thaw()
    elif fault == "slow":
        state.proxy.delay_s = run.rng.choice([0, 0.05, 0.2])
    elif fault == "stall":
        state.stub.signal(signal.SIGSTOP)
        time.sleep(run.rng.choice([0.5, 2, 6]))
        state.stub.signal(signal.SIGCONT)
    else:
        assert fault == "trainer"
        state.stub.kill()
        state.stub = run.trainer(epoch=len(run.stubs) + 1, previous=run.stubs,
                                 pushes=[(0, 2 * len(run.stubs) + 1)])
        state.proxy.point_at(state.stub.url)


class State:
    """What the mixed row plays with."""

    def __init__(self, run: Run) -> None:
        self.proxy = run.proxy()
        self.url = self.proxy.url
        self.stub = run.trainer(min_workers=2, pushes=[(40, 1), (80, 2)])
        self.proxy.point_at(self.stub.url)
        self.pool = run.pool(self.url, 4)


@case(23, "mixed")
def mixed(run: Run) -> None:
    n_faults = 120 if run.is_long else 14
    run.work = Work(n_prompts=30 * n_faults, sampling=MIXED, seed=run.seed)
    state = State(run)
    kinds = ["kill", "drain", "stop", "cut", "freeze", "slow", "stall", "trainer"]
    done = []
    while len(done) < n_faults:
        at = state.stub.n_consumed()
        run.wait(lambda: state.stub.n_consumed() >= at + 3 or state.stub.is_done())
        fault = run.rng.choice(kinds)
        act(run, fault, state)
        done.append(fault)
    run.finish()
    run.notes.append(f"{len(run.stubs)} trainers; " + " ".join(done[:20]))
