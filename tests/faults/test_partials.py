"""What a worker drew before it was told to stop is not drawn again: another worker goes on."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest

import stampede
from harness import LONG, PATIENCE_S, RawTrainer, Worker, eventually, prompts, serving
from test_updates import noisy

STOPS = stampede.Sampling(max_new_tokens=300, ignore_eos=True, repetition_penalty=1.2, top_k=40,
                          top_p=0.95, stop=["qzx", "7 7"], logit_bias={17: -2.0})
FEW: Dict[str, Any] = {"max_rows": 6, "drain_timeout": 0}


def ask(trainer: stampede.Trainer, **more: Any) -> Any:
    half = prompts(6) + prompts(6, sampling=STOPS, reward=[stampede.exact("7")])
    return trainer.generate(half, n=8, sampling=LONG, seed=23, prompt_logprobs=True,
                            routed_experts=True, **more)


Whole = Dict[Tuple[Any, int], Tuple[Any, ...]]


def everything(groups: Any, into: Any = None) -> Whole:
    """All that a sample has, but where it was computed."""
    out: Whole = {} if into is None else into
    for g in groups:
        assert (g.id, 0) not in out
        for i in range(g.n):
            out[g.id, i] = (g.tokens[i].tobytes(), g.lp_full[i].tobytes(), g.lp_behav[i].tobytes(),
                            g.finish_reason[i], g.text[i], g.version_spans[i], g.rewards[i],
                            g.status[i], g.routed_experts[i].tobytes(), g.prompt_lp_full.tobytes())
    return out


def equal(got: Whole, expected: Whole) -> None:
    assert got.keys() == expected.keys()
    for key, sample in expected.items():
        for i, value in enumerate(sample):
            np.testing.assert_equal(got[key][i], value, err_msg=f"{key}, field {i}")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("undisturbed")
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer, serving(folder, trainer.url):
        return everything(ask(trainer))


@pytest.mark.parametrize("seed", range(4))
def test_sigterm_at_random_moments(seed: int, tmp_path: Path, expected: Whole) -> None:
    """Workers go one after the other; each token is drawn once, wherever it is drawn."""
    rng = random.Random(seed)
    gone: List[int] = []  # tokens that each of those drew
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        groups = ask(trainer)
        for _ in range(4):
            worker = Worker(tmp_path, trainer.url, draft=rng.choice(["off", "3"]), **FEW)
            try:
                eventually(lambda: any(w["samples"] for w in trainer.workers()))
                time.sleep(0.05 + rng.random() * 0.5)
                gone.append(tokens_at_its_end(worker, trainer))
            finally:
                worker.kill()
        with serving(tmp_path, trainer.url, **FEW) as last:
            trainer.wait_for_workers(1, PATIENCE_S)
            got = everything(groups)
            assert last.alive()
            total = sum(len(sample[0]) // 4 for sample in got.values())
            # A heartbeat may be a second old.
            eventually(lambda: sum(gone) + trainer.workers()[0]["tokens"] >= total)
            time.sleep(1.2)
            rest = trainer.workers()[0]["tokens"]
        counters = trainer.counters()
    equal(got, expected)
    assert counters["continued_tokens"] > 0 and counters["returned_tokens"] > 0
    assert counters.get("dropped_tokens", 0) == 0
    assert sum(gone) + rest == total, (gone, rest, total)


def tokens_at_its_end(worker: Worker, trainer: stampede.Trainer) -> int:
    """Ends the worker. Returns how many tokens it drew, by its own account."""
    worker.terminate()
    worker.ends(75)
    eventually(lambda: not trainer.workers())
    found = re.search(r"drew (\d+) tokens", worker.log())
    assert found, worker.log()
    return int(found.group(1))


def pass_on(trainer: stampede.Trainer, folder: Path, at_least: int = 40) -> int:
    """A worker that draws some tokens, all of unfinished samples, and hands them back."""
    worker = Worker(folder, trainer.url, **FEW)
    try:
        eventually(lambda: any(w["tokens"] > at_least for w in trainer.workers()))
        return tokens_at_its_end(worker, trainer)
    finally:
        worker.kill()


# Long enough that some of it is left when the first heartbeat has come.
MANY = [stampede.Prompt(prompt_ids=[1, 2, 3 + i]) for i in range(60)]


@pytest.mark.parametrize("on_update", ["continue", "restart"])
def test_other_weights(on_update: str, tmp_path: Path) -> None:
    """The next worker serves newer weights: the spans tell, or the sample begins anew."""
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        groups = trainer.generate(MANY, n=4, sampling=LONG, on_update=on_update)
        pass_on(trainer, tmp_path)
        returned = trainer.counters()["returned_tokens"]
        with serving(tmp_path, trainer.url, max_rows=1) as worker:
            trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S)
            worker.terminate()
            worker.ends(75)
        with serving(tmp_path, trainer.url):
            spans = [s for g in groups for s in g.version_spans]
        counters = trainer.counters()
    moved = [s for s in spans if len(s) > 1]
    assert all([v for _, v in s] in ([0, 1], [0], [1]) for s in spans), spans
    if on_update == "restart":
        # Who was given a partial sample before the weights changed drops it itself.
        gone = counters.get("dropped_tokens", 0) + counters.get("continued_tokens", 0)
        assert not moved and returned > 0 and gone > 0
    else:
        assert moved and counters["continued_tokens"] > 0 and returned > 0
        assert counters.get("dropped_tokens", 0) == 0


def test_the_longest_partial_counts_when_the_next_worker_dies(tmp_path: Path,
                                                              expected: Whole) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        groups = ask(trainer)
        worker = Worker(tmp_path, trainer.url, **FEW)
        eventually(lambda: any(w["samples"] for w in trainer.workers()))
        time.sleep(0.3)
        first = tokens_at_its_end(worker, trainer)
        returned = trainer.counters()["returned_tokens"]
        assert first >= returned > 0
        second = Worker(tmp_path, trainer.url, **FEW)
        eventually(lambda: any(w["samples"] for w in trainer.workers()))
        second.kill()
        eventually(lambda: not trainer.workers())
        continued = trainer.counters()["continued_tokens"]
        with serving(tmp_path, trainer.url, **FEW):
            got = everything(groups)
        counters = trainer.counters()
    equal(got, expected)
    assert continued > 0 and counters["continued_tokens"] >= continued + returned / 2
    assert counters["lost_leases"] > 0 and counters.get("dropped_tokens", 0) == 0


def partial(n: int = 3, **more: Any) -> Dict[str, Any]:
    fields = dict(partial_tokens=np.arange(5, 5 + n, dtype="<i4"),
                  partial_lp_full=np.full(n, -1.5, "<f4"), partial_lp_behav=np.full(n, -2.5, "<f4"),
                  partial_span_first=np.array([0], "<i4"),
                  partial_span_version=np.array([0], "<u8"))
    return {**fields, **more}


def test_what_a_worker_is_told_of_a_partial_sample(tmp_path: Path) -> None:
    with RawTrainer() as trainer, serving(tmp_path, trainer.url) as worker:
        trainer.welcome()
        trainer.task(0, max_new_tokens=8, **partial())
        r = trainer.result(0)
        assert len(r["tokens"]) == 8 and r["tokens"][:3].tolist() == [5, 6, 7]
        assert r["lp_full"][:3].tolist() == [-1.5] * 3 and r["lp_behav"][:3].tolist() == [-2.5] * 3
        assert r["lp_full"][3:].max() != -1.5
        # One that fills the limit is begun anew, and so is one that restarts and is of another
        # version.
        for serial, more in ((1, dict(max_new_tokens=3)), (2, dict(max_new_tokens=2)),
                             (3, dict(on_update=1, partial_span_version=np.array([4], "<u8")))):
            trainer.task(serial, **{"max_new_tokens": 8, **partial(), **more})
            r = trainer.result(serial)
            assert len(r["tokens"]) == more.get("max_new_tokens", 8)
            assert -1.5 not in r["lp_full"].tolist()
        for serial, more, sentence in (
                (4, dict(partial_tokens=np.array([5, 6, 512], "<i4")), "partial_tokens[2] is 512"),
                (5, dict(partial_tokens=np.array([-1, 6, 7], "<i4")), "partial_tokens[0] is -1"),
                (6, dict(partial_routed=np.zeros(10, "<u1")), "partial_routed has 10 values"),
                (7, dict(partial_routed=np.zeros(9, "<u1"), routed_experts=True),
                 "partial_routed has 9 values")):
            trainer.task(serial, **partial(**more))
            r = trainer.result(serial)
            assert sentence in r["error"].tobytes().decode() and worker.alive()
