"""kill -9 of workers and of the trainer: every sample arrives once, and is the same sample."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator, List

import numpy as np
import pytest

import stampede
from cli import TINY, generate
from harness import (CHAT, LONG, PATIENCE_S, SHORT, RawTrainer, Worker, collect, eventually,
                     prompts, serving, undisturbed)

# Few rows at once, so that work is still going on when somebody dies.
FEW = {"max_rows": 4}


def ask(trainer: stampede.Trainer) -> Iterator[stampede.Group]:
    more = [stampede.Prompt(messages=CHAT, id=f"chat {i}", reward=[stampede.math("12")])
            for i in range(4)]
    return trainer.generate(prompts(8) + more, n=6, sampling=LONG, seed=7)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return undisturbed(tmp_path_factory.mktemp("undisturbed"), ask)


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:0", "ipc://{}/w"])
def test_one_of_two_workers_is_killed_again_and_again(url: str, tmp_path: Path,
                                                       expected: Any) -> None:
    rng = random.Random(len(url))
    with stampede.Trainer(url.format(tmp_path), min_workers=2) as trainer:
        with serving(tmp_path, trainer.url, **FEW):
            victim = Worker(tmp_path, trainer.url, **FEW)
            groups = ask(trainer)
            got: Any = {}
            kills = 0
            try:
                for group in groups:
                    collect([group], got)
                    if kills < 4:
                        time.sleep(rng.uniform(0, 0.2))
                        victim.kill()
                        kills += 1
                        victim = Worker(tmp_path, trainer.url, **FEW)
            finally:
                victim.kill()
        assert kills == 4
        assert trainer.counters()["lost_sessions"] >= 1
    assert got == expected


def test_a_worker_alone_is_killed_and_replaced(tmp_path: Path, expected: Any) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        worker = Worker(tmp_path, trainer.url, **FEW)
        groups = ask(trainer)
        got = collect([next(groups)])
        worker.kill()
        with serving(tmp_path, trainer.url, **FEW):
            collect(groups, got)
        counters = trainer.counters()
    assert counters["lost_sessions"] >= 1
    assert counters["sent_samples"] > len(expected)  # some were given out again
    assert got == expected


def test_a_stopped_worker_that_comes_back_late_counts_once(tmp_path: Path, expected: Any) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=2) as trainer:
        with serving(tmp_path, trainer.url, **FEW) as slow, serving(tmp_path, trainer.url, **FEW):
            groups = ask(trainer)
            got = collect([next(groups)])
            slow.child._process.send_signal(signal.SIGSTOP)
            eventually(lambda: trainer.counters().get("lost_sessions", 0) >= 1)
            slow.child._process.send_signal(signal.SIGCONT)
            collect(groups, got)
            assert got == expected
            trainer.wait_for_workers(2, PATIENCE_S)  # it joined again
            again = collect(trainer.generate(prompts(2), n=2, sampling=SHORT))
            assert len(again) == 4


TRAINER = """
import json, sys
import stampede
url, epoch, n, push, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
prompts = [stampede.Prompt(prompt_ids=[1, 2, 3 + i], id=i) for i in range(n)]
first = 0
with open(out, "a") as log, stampede.Trainer(url, run="r", epoch=epoch, first_serial=first) as t:
    t.wait_for_workers(1, 90)
    if push != "-":
        from safetensors.torch import load_file
        state = load_file(push)
        t.push_weights(state, version=1)
    sampling = stampede.Sampling(max_new_tokens=400, ignore_eos=True)
    for g in t.generate(prompts, n=4, sampling=sampling, seed=3):
        for i in range(g.n):
            assert g.finish_reason[i] == "length", g.finish_reason
            print(json.dumps([epoch, g.id, i, g.tokens[i].tolist(), g.lp_full[i].tobytes().hex(),
                              g.version_spans[i]]), file=log, flush=True)
    print(json.dumps(["end", t.workers()]), file=log, flush=True)
"""


class TrainerProcess:
    def __init__(self, url: str, epoch: int, n: int, out: Path, push: str = "-") -> None:
        self.out = out
        self.child = subprocess.Popen([sys.executable, "-c", TRAINER, url, str(epoch), str(n),
                                       push, str(out)])

    def lines(self) -> List[Any]:
        text = self.out.read_text() if self.out.exists() else ""
        return [json.loads(x) for x in text.split("\n")[:-1]]

    def kill(self) -> None:
        self.child.kill()
        self.child.wait(PATIENCE_S)


def free_url() -> str:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        return trainer.url


@pytest.mark.parametrize("push", [False, True])
def test_the_trainer_is_killed_and_restarted(push: bool, tmp_path: Path) -> None:
    n, url = 10, free_url()
    weights = str(TINY / "model.safetensors") if push else "-"
    lines = [{"prompt_ids": [1, 2, 3 + i], "id": i, "n": 4} for i in range(n)]
    want = {(r["id"], r["sample"]): r for r in
            generate(TINY, lines, "--max-new-tokens", 400, "--ignore-eos", "--seed", 3)}
    with serving(tmp_path, url, **FEW) as worker:
        first = TrainerProcess(url, 1, n, tmp_path / "first", weights)
        try:
            eventually(lambda: len(first.lines()) >= 8 or first.child.poll() is not None)
        finally:
            first.kill()
        assert worker.alive() and len(first.lines()) < 4 * n
        second = TrainerProcess(url, 2, n, tmp_path / "second", weights)
        try:
            assert second.child.wait(PATIENCE_S) == 0
        finally:
            second.kill()
        assert worker.alive()
        worker.said("joined run 'r', epoch 2")
        *samples, end = second.lines()
        assert len(samples) == 4 * n
        assert {(x[1], x[2]) for x in samples} == set(want)  # each once
        for epoch, id, sample, tokens, lp_full, spans in first.lines() + samples:
            row = want[id, sample]
            assert tokens == row["tokens"]
            assert lp_full == np.array(row["lp_full"], "<f4").tobytes().hex()
            assert spans == [[0, int(push)]]
        # The old trainer comes back: refused by itself, and by the worker.
        with stampede.Trainer(url, run="r", epoch=1) as old:
            eventually(lambda: old.counters().get("refused_epoch", 0) >= 1)
            with pytest.raises(stampede.StampedeError):
                old.wait_for_workers(1, 1.5)
            assert old.counters()["refused_epoch"] < 20  # it does not ask in a hot loop
        with RawTrainer(url, run="r", epoch=1) as old_raw:
            old_raw.welcome()
            old_raw.task(0)
            assert all(m.type == "HELLO" for m in old_raw.drain(2.5))
            worker.said("a trainer of epoch 1 was refused: 2 was seen")
        with stampede.Trainer(url, run="r", epoch=3) as third:
            assert len(collect(third.generate(prompts(2), n=2, sampling=SHORT))) == 4
        assert worker.alive()


def test_results_of_one_run_never_reach_another(tmp_path: Path) -> None:
    """Samples that a verifier still holds when the trainer changes are of no use to the next."""
    program = tmp_path / "slow.py"
    program.write_text("""
import json, sys, time
for line in sys.stdin:
    time.sleep(1.5)
    print(json.dumps({"id": json.loads(line)["id"], "value": 1}), flush=True)
""")
    slow = f"{sys.executable} {program}"
    reward = np.frombuffer(b'[{"verifier":"slow"}]', "<u1")
    with RawTrainer(run="one") as one:
        with serving(tmp_path, one.url, verifier={"slow": slow}) as worker:
            one.welcome()
            one.task(0, n=2, reward=reward)
            while (beat := one.take("HEARTBEAT"))["n_rows"] or beat["n_tokens"] < 16:
                pass  # until the samples have ended, and the verifier works
            one.run = "two"
            one.send("WELCOME", heartbeat_ms=200, lost_ms=20000, version=0)
            one.task(0, n=1, max_new_tokens=3)
            came = [m for m in one.drain(5) if m.type == "RESULT"]
            assert [len(m["tokens"]) for m in came] == [3], worker.log()
