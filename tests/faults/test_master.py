"""Pushes to workers that make weights in a second place, quantised from a master or as they come:
what they draw afterwards is what a worker draws that started from the pushed checkpoint with the
same --weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stampede
from cli import TINY, run
from harness import PATIENCE_S, Worker, serving
from test_updates import (DYING, SECOND_COPY, digest_of, drawing, expected, held,  # noqa: F401
                          new_model, noisy, numbered, same_bits, save, sparse_state)

N_NEW = 20
SAMPLING = stampede.Sampling(max_new_tokens=N_NEW, ignore_eos=True)


def expect_draws(trainer: stampede.Trainer, model: Path, weights: str) -> None:
    want = expected(model, 3, 2, "--max-new-tokens", N_NEW, *drawing(weights))
    for g in trainer.generate(numbered(3), n=2, sampling=SAMPLING):
        assert all(same_bits(g, i, want[g.id, i]) for i in range(2))


def only_worker(trainer: stampede.Trainer) -> Any:
    (worker,) = trainer.workers()
    return worker["version"], worker["digest"]


@pytest.mark.parametrize("weights", ["q8_0", "q4_0", "q4_k", "q5_k", "q6_k", SECOND_COPY])
def test_what_was_pushed_is_what_would_be_loaded(weights: str, tmp_path: Path) -> None:
    """Dense, then a thousandth of the values, then one value of each tensor."""
    states = [noisy(1)]
    states.append(sparse_state(states[0], 0.001, 2))
    states.append(sparse_state(states[1], 0, 3))
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer, \
            serving(tmp_path, trainer.url, max_rows=4, **held(weights)) as worker:
        trainer.wait_for_workers(1, PATIENCE_S)
        assert only_worker(trainer) == (0, digest_of(TINY))  # of the master, as of a bf16 worker
        expect_draws(trainer, TINY, weights)
        sizes = []
        for version, state in enumerate(states, 1):
            report = trainer.push_weights(state, version=version, timeout_s=PATIENCE_S)
            model = save(state, tmp_path / f"v{version}")
            assert only_worker(trainer) == (version, digest_of(model))
            expect_draws(trainer, model, weights)
            sizes.append(report.payload_bytes)
        assert sizes[0] > 10 * sizes[1] > 10 * sizes[2]
        for words in ("memory: second copy", "ms, remade in"):
            worker.said(words)
        assert ("memory: master" in worker.log()) == (weights != SECOND_COPY)


def test_no_group_is_drawn_by_both(tmp_path: Path) -> None:
    """One worker serves what the other has as a master: same version and digest, other bits."""
    flags: Any = dict(max_rows=4)
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer, \
            serving(tmp_path, trainer.url, **flags), \
            serving(tmp_path, trainer.url, weights="q4_0", master=True, **flags):
        trainer.wait_for_workers(2, PATIENCE_S)
        seen = [{row["numerics"] for row in group.provenance}
                for group in trainer.generate(numbered(12), n=20, sampling=SAMPLING)]
        assert all(len(one) == 1 for one in seen) and len(set.union(*seen)) == 2, seen


@pytest.mark.parametrize("weights, late_weights", [("q4_0", "q6_k"), (SECOND_COPY, SECOND_COPY)])
def test_beside_workers_that_hold_bf16(weights: str, late_weights: str, tmp_path: Path,
                                       new_model: Path) -> None:  # noqa: F811
    """They have one digest, and so one push, all or none; one that joins late is brought up to
    it from a shared directory or by the socket."""
    shared = tmp_path / "shared"
    shared.mkdir()
    with stampede.Trainer("tcp://127.0.0.1:0", weights_dir=shared) as trainer:
        flags: Any = dict(max_rows=4, weights_dir=shared)
        with serving(tmp_path, trainer.url, **flags), \
                serving(tmp_path, trainer.url, **held(weights), **flags):
            trainer.wait_for_workers(2, PATIENCE_S)
            trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S, atomic=True)
            new = (1, digest_of(new_model))
            assert [(w["version"], w["digest"]) for w in trainer.workers()] == [new] * 2
        for late in ({"weights_dir": shared}, {}):
            with serving(tmp_path, trainer.url, max_rows=4, **held(late_weights), **late):
                list(trainer.generate(numbered(1), n=1, sampling=SAMPLING, min_version=1))
                assert new in [(w["version"], w["digest"]) for w in trainer.workers()]
                expect_draws(trainer, new_model, late_weights)


@pytest.mark.parametrize("weights", ["q4_k", SECOND_COPY])
def test_the_trainer_is_killed_in_mid_push(weights: str, tmp_path: Path,
                                           new_model: Path) -> None:  # noqa: F811
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        url = trainer.url
    with serving(tmp_path, url, max_rows=4, **held(weights)) as worker:
        done = subprocess.run([sys.executable, "-c", DYING, url, "4",
                               str(new_model / "model.safetensors")], timeout=PATIENCE_S)
        assert done.returncode == -9
        with stampede.Trainer(url, run="r", epoch=1) as trainer:
            trainer.wait_for_workers(1, PATIENCE_S)
            assert only_worker(trainer) == (0, digest_of(TINY))
            expect_draws(trainer, TINY, weights)
            trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S)
            assert only_worker(trainer) == (1, digest_of(new_model))
            expect_draws(trainer, new_model, weights)
        assert worker.alive()


def test_values_that_no_block_holds(tmp_path: Path) -> None:
    """Finite in bf16, and too large for a scale: refused with the tensor, and the next push goes
    on from the version before."""
    name = "model.layers.2.feed_forward.experts.3.w2.weight"
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer, \
            serving(tmp_path, trainer.url, max_rows=4, weights="q4_0", master=True):
        trainer.wait_for_workers(1, PATIENCE_S)
        bad = noisy(1)
        bad[name].view(-1)[77] = 1e30
        with pytest.raises(stampede.WeightUpdateError, match="too large for q4_0") as caught:
            trainer.push_weights(bad, version=1, timeout_s=PATIENCE_S)
        assert name in str(caught.value)
        assert only_worker(trainer) == (0, digest_of(TINY))
        expect_draws(trainer, TINY, "q4_0")
        trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S)
        expect_draws(trainer, save(noisy(1), tmp_path / "v1"), "q4_0")


def test_who_has_no_master(tmp_path: Path) -> None:
    """Floats need none; blocks of a file have lost their values; a file of floats will do."""
    packed = tmp_path / "tiny.gguf"
    assert run("quantize", "--model", TINY, "--type", "q4_0", "--output", packed).returncode == 0
    url = ["--connect", "tcp://127.0.0.1:9"]
    for flags, status, words in (
            (["--model", TINY, "--weights", "bf16"], 2, b"--weights q8_0, q4_0"),
            (["--model", TINY], 2, b"--weights q8_0, q4_0"),
            (["--model", TINY, "--weights", "q4_0", "--packed", tmp_path / "p"], 2, b"not both"),
            (["--model", packed], 78, b"is stored as q"),
            (["--model", packed, "--weights", "q8_0"], 78, b"a checkpoint of floats was expected")):
        done = run("serve", "--master", *flags, *url)
        assert done.returncode == status and words in done.stderr, done.stderr
        assert done.stderr.splitlines()[-1].startswith(b"stampede serve: ")
    floats = tmp_path / "floats.gguf"
    assert run("quantize", "--model", TINY, "--type", "bf16", "--output", floats).returncode == 0
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        worker = Worker(tmp_path, trainer.url, model=floats, weights="q4_0", master=True,
                        max_rows=4)
        try:
            trainer.wait_for_workers(1, PATIENCE_S)
            assert only_worker(trainer) == (0, digest_of(TINY))
            expect_draws(trainer, TINY, "q4_0")
        finally:
            worker.kill()


def test_without_a_master_it_generates_and_a_push_says_why_not(tmp_path: Path) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer, \
            serving(tmp_path, trainer.url, max_rows=4, weights="q4_0"):
        trainer.wait_for_workers(1, PATIENCE_S)
        expect_draws(trainer, TINY, "q4_0")
        with pytest.raises(stampede.WeightUpdateError, match="which cannot be pushed; a worker "
                                                             "with --master was expected"):
            trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S)
        expect_draws(trainer, TINY, "q4_0")


def test_who_has_no_second_copy(tmp_path: Path) -> None:
    """A master brings its own; blocks alone take no updates; other commands take none."""
    packed = tmp_path / "tiny.gguf"
    assert run("quantize", "--model", TINY, "--type", "q4_0", "--output", packed).returncode == 0
    url = ["--connect", "tcp://127.0.0.1:9"]
    for flags, words in (
            (["--model", TINY, "--weights", "q4_0", "--master"], b"not both"),
            (["--model", TINY, "--weights", "q6_k"], b"take updates with --master"),
            (["--model", packed], b"take updates with --master")):
        done = run("serve", "--second-copy", *flags, *url)
        assert done.returncode == 2 and words in done.stderr, done.stderr
        assert done.stderr.splitlines()[-1].startswith(b"stampede serve: ")
    done = run("generate", "--model", TINY, "--second-copy", "--prompts", "-", stdin=b"")
    assert done.returncode == 2 and b"--second-copy" in done.stderr, done.stderr


def test_weights_that_are_mapped(tmp_path: Path) -> None:
    """The file's pages serve, then those of the second copy, then the file's again, written to:
    each push is right, and the file stays as it was."""
    packed = tmp_path / "packed"
    states = [noisy(1)]
    for seed in (2, 3):
        states.append(sparse_state(states[-1], 0.01, seed))
    kept = b""
    for turn in range(2):
        with stampede.Trainer("tcp://127.0.0.1:0") as trainer, \
                serving(tmp_path, trainer.url, max_rows=4, packed=packed, second_copy=True):
            trainer.wait_for_workers(1, PATIENCE_S)
            kept = kept or packed.read_bytes()
            for version, state in enumerate(states, 1):
                trainer.push_weights(state, version=version, timeout_s=PATIENCE_S)
                model = tmp_path / f"v{version}"
                assert only_worker(trainer) == (
                    version, digest_of(model if turn else save(state, model)))
                expect_draws(trainer, model, SECOND_COPY)
        assert packed.read_bytes() == kept
