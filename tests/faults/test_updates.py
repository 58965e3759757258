"""Weight pushes that are cut off, corrupted, or come while rows are in flight."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import stampede
from cli import TINY, generate, run
from harness import (LONG, PATIENCE_S, SHORT, RawTrainer, Worker, bits, collect, eventually,
                     prompts, serving)
from stampede import digest, wire
from stampede.deltas import Stream
from stampede.snapshot import Snapshot
from stampede.weights import DtypePlan

State = Dict[str, torch.Tensor]
EMBEDDING = "model.embed_tokens.weight"


def noisy(seed: int) -> State:
    """Float32 weights that are near the checkpoint's, and no bf16 values."""
    torch.manual_seed(seed)
    return {name: value.float() * (1 + 0.05 * torch.randn(value.shape))
            for name, value in load_file(TINY / "model.safetensors").items()}


def save(state: State, folder: Path) -> Path:
    """The rounded state as a checkpoint on disk."""
    folder.mkdir()
    types = {name: value.dtype for name, value in load_file(TINY / "model.safetensors").items()}
    for path in TINY.iterdir():
        if path.suffix != ".safetensors":
            shutil.copy(path, folder)
    save_file({name: value.to(types[name]) for name, value in state.items()},
              folder / "model.safetensors", {"format": "pt"})
    return folder


def digest_of(model: Path) -> str:
    done = run("inspect", "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["digest"]


def expected(model: Path, n_prompts: int, n: int, *flags: Any) -> Dict[Tuple[int, int], Any]:
    """What `stampede generate` draws of prompts(n_prompts)."""
    lines = [{"prompt_ids": [1, 2, 3 + i], "id": i, "n": n} for i in range(n_prompts)]
    rows = generate(model, lines, "--ignore-eos", *flags)
    return {(r["id"], r["sample"]): r for r in rows}


def numbered(n: int) -> List[stampede.Prompt]:
    return [stampede.Prompt(prompt_ids=[1, 2, 3 + i], id=i) for i in range(n)]


def same_bits(group: stampede.Group, i: int, row: Any, n: Optional[int] = None) -> bool:
    lp_full, lp_behav = (np.array(row[k], "<f4")[:n] for k in ("lp_full", "lp_behav"))
    return (group.tokens[i][:n].tolist() == row["tokens"][:n]
            and group.lp_full[i][:n].tobytes() == lp_full.tobytes()
            and group.lp_behav[i][:n].tobytes() == lp_behav.tobytes())


SECOND_COPY = "second copy"
HELD = ["", "q4_0", SECOND_COPY]


def held(weights: str) -> Dict[str, Any]:
    """Flags of a worker that takes updates: with the checkpoint's weights, which are changed where
    they lie (""), or are made in a second place, or with blocks of this type beside a master."""
    if weights == SECOND_COPY:
        return {"second_copy": True}
    return {"weights": weights, "master": True} if weights else {}


def drawing(weights: str) -> List[str]:
    """Flags of a command that draws what such a worker draws."""
    return ["--weights", weights] if weights not in ("", SECOND_COPY) else []


@pytest.fixture(scope="module")
def new_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(noisy(1), tmp_path_factory.mktemp("models") / "new")


class Push:
    """An update by hand. `fields` of WEIGHTS_BEGIN and `data` of chunks may be spoilt."""

    def __init__(self, trainer: RawTrainer, hello: wire.Message, version: int, number: int,
                 state: State) -> None:
        self.trainer, self.number = trainer, number
        plan = DtypePlan.of_hello(hello)
        self.stream = Stream(Snapshot().prepare(version, state, [plan]).changes[plan])
        self.fields = self.stream.begin_fields(number, hello["version"], version)

    def index(self, name: str) -> int:
        return [c.name for c in self.stream.changes].index(name)

    def place(self, i: int) -> Tuple[int, int]:
        """Where the bytes of a dense tensor lie in the stream."""
        sizes = [c.n_bytes for c in self.stream.changes]
        begin = sum(-(-size // wire.ALIGNMENT) * wire.ALIGNMENT for size in sizes[:i])
        return begin, begin + sizes[i]

    def rename(self, old: str, new: str) -> None:
        names = [new if c.name == old else c.name for c in self.stream.changes]
        self.fields["names"], self.fields["name_offsets"] = wire.pack_texts(
            [n.encode() for n in names])

    def begin(self) -> None:
        self.trainer.send("WEIGHTS_BEGIN", **self.fields)

    def serve(self, n_bytes: Optional[int] = None,
              spoil: Optional[Callable[[wire.Message, np.ndarray], np.ndarray]] = None
              ) -> Optional[wire.Message]:
        """Answers pulls until a status comes, or until this many bytes were sent."""
        sent = 0
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for i, m in enumerate(self.trainer.log):
                if m.type == "WEIGHTS_STATUS" and m["update"] == self.number:
                    return self.trainer.log.pop(i)
            if not self.trainer.pulls:
                self.trainer._read(20)
                continue
            peer, pull = self.trainer.pulls.popleft()
            if pull["update"] != self.number:
                continue
            data = self.stream.read(pull["offset"], pull["n_bytes"])
            assert data is not None
            sent += data.size
            if n_bytes is not None and sent > n_bytes:
                return None
            self.trainer.chunk(peer, pull, spoil(pull, data.copy()) if spoil else data)
        raise AssertionError(f"update {self.number} did not end")


def short_bits(trainer: RawTrainer, serial: int) -> Any:
    # The same id and seed for every serial: the same sample as long as the weights are the same.
    trainer.task(serial, id="0", seed=5)
    m = trainer.result(serial)
    return (m["tokens"].tobytes(), m["lp_full"].tobytes(), m["span_version"].tolist(), m["digest"])


def test_a_push_that_is_cut_off_leaves_the_old_version(tmp_path: Path, new_model: Path) -> None:
    state = noisy(1)
    url, total = "tcp://127.0.0.1:*", 5_062_688
    with RawTrainer(url) as probe:
        url = probe.url
        worker = Worker(tmp_path, url)
        hello = probe.welcome()
        old = hello["digest"]
        want = short_bits(probe, 0)
    try:
        offsets = [0, 1, total // 3, 2 * total // 3, total - 1, None]
        for epoch, offset in enumerate(offsets, 2):
            # The trainer is gone after so many bytes (None: after "staged", before the commit);
            # its number 1 of the update is used again by each that follows it.
            with RawTrainer(url, epoch=epoch) as trainer:
                hello = trainer.welcome()
                assert (hello["version"], hello["digest"]) == (0, old)
                push = Push(trainer, hello, 7, 1, state)
                push.begin()
                status = push.serve(offset)
                if offset is None:
                    assert status is not None and status["phase"] == wire.PHASE_STAGED
                    assert status["version"] == 0  # and what will be served after COMMIT
                    assert f"{status['digest']:016x}" == digest_of(new_model)
                else:
                    assert status is None
                assert short_bits(trainer, 0) == want
                beat = trainer.take("HEARTBEAT")
                assert beat["version"] == 0
        with stampede.Trainer(url, run="raw", epoch=100) as trainer:
            trainer.push_weights(state, version=1, timeout_s=PATIENCE_S)
            (now,) = trainer.workers()
            assert now["version"] == 1 and now["digest"] == digest_of(new_model)
            trainer.push_weights(state, version=2, timeout_s=PATIENCE_S)  # all of it skipped
            (now,) = trainer.workers()
            assert now["version"] == 2 and now["digest"] == digest_of(new_model)
    finally:
        worker.kill()


DYING = """
import os, signal, sys
import stampede, stampede.updates
from safetensors.torch import load_file
chunk, left = stampede.updates.Updates.chunk, [int(sys.argv[2])]
def dying(self, m):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return chunk(self, m)
stampede.updates.Updates.chunk = dying
with stampede.Trainer(sys.argv[1], run="r", epoch=0) as t:
    t.push_weights(load_file(sys.argv[3]), version=1)
"""


def test_the_trainer_is_killed_in_mid_push(tmp_path: Path, new_model: Path) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        url = trainer.url
    with serving(tmp_path, url, max_rows=4) as worker:
        done = subprocess.run([sys.executable, "-c", DYING, url, "4",
                               str(new_model / "model.safetensors")], timeout=PATIENCE_S)
        assert done.returncode == -9
        with stampede.Trainer(url, run="r", epoch=1) as trainer:
            trainer.wait_for_workers(1, PATIENCE_S)
            (now,) = trainer.workers()
            assert now["version"] == 0 and now["digest"] == digest_of(TINY)
            want = expected(TINY, 3, 2, "--max-new-tokens", 20)
            sampling = stampede.Sampling(max_new_tokens=20, ignore_eos=True)
            for g in trainer.generate(numbered(3), n=2, sampling=sampling):
                assert all(same_bits(g, i, want[g.id, i]) for i in range(2))
            trainer.push_weights(load_file(new_model / "model.safetensors"), version=1)
            assert trainer.workers()[0]["digest"] == digest_of(new_model)
        assert worker.alive()


def spoilt(push: Push, kind: str) -> Tuple[str, str, Any]:
    """Spoils the push. Returns the tensor to be blamed, words of the sentence, and the spoiler."""
    f, name = push.fields, "model.layers.2.feed_forward.experts.3.w2.weight"
    i = push.index(name)
    begin, end = push.place(i)

    def put(offset: int, values: np.ndarray) -> Any:
        """Writes bytes at a place of the stream."""

        def spoil(pull: wire.Message, data: np.ndarray) -> np.ndarray:
            for k, byte in enumerate(values, offset - pull["offset"]):
                if 0 <= k < len(data):
                    data[k] = byte
            return data

        return spoil

    value = push.stream.read(begin, end - begin)
    assert value is not None
    if kind == "flipped bit":
        return name, "check value", put(end - 1, value[-1:] ^ 1)
    if kind == "bytes of another tensor":
        other = push.stream.read(end, end - begin)
        assert other is not None
        return name, "check value", put(begin, other)
    if kind == "short chunk":
        return "", "bytes", lambda p, d: d[:-2] if p["offset"] > 0 else d
    if kind in ("nan", "infinity"):
        value = value.copy()
        value[6:8] = np.array([0x7FC0 if kind == "nan" else 0xFF80], "<u2").view("<u1")
        f["checks"][i] = digest.of_range(digest.name_hash(name), 0, value.view("<u2"))
        return name, "not finite", put(begin, value)
    if kind == "shape":
        f["shapes"] = f["shapes"].copy()
        f["shapes"][i] = [64, 256, 0, 0]
        return name, "expected", None
    if kind == "rank":
        f["ranks"][i], f["shapes"] = 1, f["shapes"].copy()
        f["shapes"][i] = [128 * 128, 0, 0, 0]
        return name, "comes with shape", None
    if kind == "dtype":
        f["dtypes"][i] = wire.DTYPES["f16"][0]
        return name, "bf16", None
    if kind == "unknown name":
        push.rename(name, "model.layers.2.feed_forward.experts.8.w2.weight")
        return "model.layers.2.feed_forward.experts.8.w2.weight", "none of this model's", None
    if kind == "twice":
        push.rename(name, "model.layers.2.feed_forward.experts.2.w2.weight")
        return "model.layers.2.feed_forward.experts.2.w2.weight", "twice", None
    if kind == "base":
        f["base"] = 3
        return "", "based on policy version 3", None
    assert kind == "version"
    f["version"] = f["base"]
    return "", "versions only rise", None


KINDS = ["flipped bit", "bytes of another tensor", "short chunk", "nan", "infinity", "shape",
         "rank", "dtype", "unknown name", "twice", "base", "version"]


@pytest.mark.sanitized
@pytest.mark.parametrize("weights", HELD)
def test_a_corrupted_push_leaves_the_old_version(weights: str, tmp_path: Path,
                                                 new_model: Path) -> None:
    first, second = noisy(2), noisy(1)
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, **held(weights)) as worker:
        hello = trainer.welcome()
        good = Push(trainer, hello, 5, 1, first)
        good.begin()
        assert good.serve()["phase"] == wire.PHASE_STAGED
        trainer.send("WEIGHTS_COMMIT", update=1)
        applied = trainer.take("WEIGHTS_STATUS")
        assert (applied["phase"], applied["version"]) == (wire.PHASE_APPLIED, 5)
        served = wire.Message("HELLO", {**hello.fields, "version": 5, "digest": applied["digest"]})
        want = short_bits(trainer, 0)
        assert want[2:] == ([5], applied["digest"])
        for number, kind in enumerate(KINDS, 2):
            push = Push(trainer, served, 6, number, second)
            name, words, spoiler = spoilt(push, kind)
            push.begin()
            status = push.serve(spoil=spoiler)
            assert status["phase"] == wire.PHASE_FAILED, kind
            assert (status["tensor"], status["version"]) == (name, 5), kind
            assert status["digest"] == applied["digest"], kind
            assert words in status["error"] and name in status["error"], status["error"]
            assert status["error"].endswith("."), status["error"]
            trainer.send("WEIGHTS_COMMIT", update=number)  # nothing is staged
            refused = trainer.take("WEIGHTS_STATUS")
            assert refused["phase"] == wire.PHASE_FAILED and refused["version"] == 5
            assert short_bits(trainer, number) == want, kind
        # What nobody asked for, and a commit before all is here, change nothing.
        push = Push(trainer, served, 6, 50, second)
        push.begin()
        peer, pull = trainer.pull()
        for offset in (12345, 1 << 40, push.stream.n_bytes):
            odd = wire.Message("WEIGHTS_PULL", {**pull.fields, "offset": offset})
            trainer.chunk(peer, odd, np.full(1 << 20, 7, "<u1"))
        trainer.send("WEIGHTS_COMMIT", update=50)
        assert trainer.take("WEIGHTS_STATUS")["phase"] == wire.PHASE_FAILED
        trainer.send("WEIGHTS_ABORT", update=50)
        trainer.pulls.clear()
        assert short_bits(trainer, 60) == want
        # Sizes that contradict each other are no message at all: the session begins again.
        for name, value in [("n_values", push.fields["n_values"] + 1),
                            ("code_bytes", push.fields["code_bytes"] + 1)]:
            push = Push(trainer, served, 6, 55, second)
            push.fields[name] = value
            push.begin()
            trainer.send("HEARTBEAT")
            hello = trainer.welcome()
            assert (hello["version"], hello["digest"]) == (5, applied["digest"])
            assert short_bits(trainer, 60) == want
        push = Push(trainer, served, 6, 70, second)
        push.begin()
        assert push.serve()["phase"] == wire.PHASE_STAGED
        trainer.send("WEIGHTS_COMMIT", update=70)
        status = trainer.take("WEIGHTS_STATUS")
        assert (status["phase"], status["version"]) == (wire.PHASE_APPLIED, 6)
        assert f"{status['digest']:016x}" == digest_of(new_model)
        assert short_bits(trainer, 61) != want
        assert worker.alive()


def test_staging_memory_bounds_an_update(tmp_path: Path) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, staging_memory="1M"):
            with pytest.raises(stampede.WeightUpdateError, match="--staging-memory is 1048576"):
                trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S)
            small = {"model.embedding_norm.weight": noisy(1)["model.embedding_norm.weight"]}
            trainer.push_weights(small, version=1, timeout_s=PATIENCE_S)
            assert trainer.workers()[0]["version"] == 1


@pytest.mark.parametrize("spoil, tensor, words", [
    (lambda s: s.update({"model.nothing.weight": torch.zeros(2)}), "model.nothing.weight",
     "none of this model's"),
    (lambda s: s.update({EMBEDDING: s[EMBEDDING][:-1]}), EMBEDDING, "511"),
    (lambda s: s[EMBEDDING].__setitem__((3, 4), float("nan")), EMBEDDING, "not finite"),
], ids=["name", "shape", "nan"])
def test_the_trainer_names_the_tensor(spoil: Any, tensor: str, words: str,
                                      tmp_path: Path) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=2) as trainer:
        with serving(tmp_path, trainer.url), serving(tmp_path, trainer.url):
            trainer.wait_for_workers(2, PATIENCE_S)
            state = noisy(1)
            spoil(state)
            with pytest.raises(stampede.WeightUpdateError, match=tensor) as caught:
                trainer.push_weights(state, version=1, timeout_s=PATIENCE_S)
            assert words in str(caught.value) and caught.value.tensor == tensor
            now = trainer.workers()
            assert [w["version"] for w in now] == [0, 0]
            assert {w["digest"] for w in now} == {digest_of(TINY)}
            assert len(collect(trainer.generate(prompts(2), n=2, sampling=SHORT))) == 4
            trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S)
            assert [w["version"] for w in trainer.workers()] == [1, 1]


def test_transformers_state_dict_and_a_full_rehash(tmp_path: Path, new_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(new_model, dtype=torch.float32)
    with stampede.Trainer(f"ipc://{tmp_path}/w") as trainer:
        with serving(tmp_path, trainer.url), serving(tmp_path, trainer.url, weights="f32"):
            trainer.wait_for_workers(2, PATIENCE_S)
            trainer.push_weights(model.state_dict(), version=1, timeout_s=PATIENCE_S)
            by_type = {w["dtype"]: w["digest"] for w in trainer.workers()}
            # The tied head comes once by named_parameters(); the alias of the first push is stale.
            with torch.no_grad():
                model.model.embed_tokens.weight.mul_(1.5)
            trainer.push_weights(model.named_parameters(), version=2, timeout_s=PATIENCE_S)
            changed = {w["dtype"]: w["digest"] for w in trainer.workers()}
            assert len(set(changed.values()) | set(by_type.values())) == 4
    assert by_type["bf16"] == digest_of(new_model) != digest_of(TINY)
    assert by_type["f32"] != by_type["bf16"]


N_LONG, LONG_FLAGS = 40, ("--max-new-tokens", LONG.max_new_tokens)


def check_recomputed(groups: List[stampede.Group], new_model: Path, *flags: str) -> None:
    """What came behind the update is what a fresh row of the new weights draws behind the same
    tokens, and has the log-probabilities of scoring them as a prompt."""
    ends = [(g, g.version_spans[0][1][0]) for g in groups]
    lines = [{"prompt_ids": [*g.prompt_ids.tolist(), *g.tokens[0][:start].tolist()], "id": g.id,
              "sampling": {"max_new_tokens": LONG.max_new_tokens - start}} for g, start in ends]
    fresh = {r["id"]: r for r in generate(new_model, lines, "--ignore-eos", *flags)}
    lines = [{"prompt_ids": [*g.prompt_ids.tolist(), *g.tokens[0].tolist()], "id": g.id}
             for g, _ in ends]
    scored = {r["id"]: r for r in generate(new_model, lines, "--max-new-tokens", 0,
                                           "--prompt-logprobs", *flags)}
    for g, start in ends:
        assert g.tokens[0][start:].tolist() == fresh[g.id]["tokens"]
        for name, row in (("lp_full", fresh[g.id]["lp_full"]),
                          ("lp_behav", fresh[g.id]["lp_behav"]),
                          ("lp_full", scored[g.id]["prompt_lp_full"][start + 3:])):
            assert getattr(g, name)[0][start:].tobytes() == np.array(row, "<f4").tobytes()


@pytest.mark.parametrize("on_update, weights", [
    ("continue", ""), ("restart", ""), ("recompute", ""), ("recompute", "q4_0"),
    ("continue", SECOND_COPY), ("recompute", SECOND_COPY)])
def test_a_push_while_rows_are_in_flight(on_update: str, weights: str, tmp_path: Path,
                                         new_model: Path) -> None:
    flags = drawing(weights)
    old = expected(TINY, N_LONG, 1, *LONG_FLAGS, *flags)
    new = expected(new_model, N_LONG, 1, *LONG_FLAGS, *flags)
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, max_rows=4, **held(weights)):
            trainer.wait_for_workers(1, PATIENCE_S)
            groups = trainer.generate(numbered(N_LONG), n=1, sampling=LONG, on_update=on_update)
            got = [next(groups)]
            trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S)
            got += list(groups)
    assert sorted(g.id for g in got) == list(range(N_LONG))
    kinds = []
    for g in got:
        spans = g.version_spans[0]
        starts, versions = zip(*spans)
        kinds.append(versions)
        assert versions in ((0,), (1,), (0, 1)) and starts[0] == 0
        assert len(g.tokens[0]) == LONG.max_new_tokens
        if versions == (0, 1):
            assert 0 < starts[1] < LONG.max_new_tokens
            assert same_bits(g, 0, old[g.id, 0], starts[1])
        else:
            assert same_bits(g, 0, (old, new)[versions[0]][g.id, 0])
    assert (0,) in kinds and (1,) in kinds
    assert ((0, 1) in kinds) == (on_update != "restart")
    if on_update == "recompute":
        check_recomputed([g for g, k in zip(got, kinds) if k == (0, 1)], new_model, *flags)


def test_rows_that_would_be_too_old_end_before_the_update(tmp_path: Path, new_model: Path) -> None:
    old = expected(TINY, N_LONG, 1, *LONG_FLAGS)
    new = expected(new_model, N_LONG, 1, *LONG_FLAGS)
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, max_rows=4):
            trainer.wait_for_workers(1, PATIENCE_S)
            groups = trainer.generate(numbered(N_LONG), n=1, sampling=LONG, max_version_lag=2)
            got = [next(groups)]
            trainer.push_weights(noisy(1), version=3, timeout_s=PATIENCE_S)
            got += list(groups)
    assert sorted(g.id for g in got) == list(range(N_LONG))
    cut = [g for g in got if g.finish_reason[0] == "cancelled"]
    assert cut
    for g in got:
        version = g.version_spans[0][0][1]
        assert g.version_spans[0] == [(0, version)]
        row, n = (new if version else old)[g.id, 0], len(g.tokens[0])
        assert same_bits(g, 0, row, n) and (n < LONG.max_new_tokens) == (g in cut)
        assert (g.errors[0] is not None) == (g in cut)
    for g in cut:
        assert g.version_spans[0] == [(0, 0)] and np.isnan(g.rewards[0])
        assert "policy version 0" in g.errors[0] and "max_version_lag 2" in g.errors[0]


def test_rows_in_flight_end_first(tmp_path: Path, new_model: Path) -> None:
    """Two workers, all or none: no sample has two versions, and each has the bits of its own."""
    both = [expected(model, N_LONG, 1, *LONG_FLAGS) for model in (TINY, new_model)]
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=2) as trainer:
        with serving(tmp_path, trainer.url, max_rows=4), serving(tmp_path, trainer.url, max_rows=4):
            trainer.wait_for_workers(2, PATIENCE_S)
            groups = trainer.generate(numbered(N_LONG), n=1, sampling=LONG)
            got = [next(groups)]
            trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S, hold=PATIENCE_S,
                                 atomic=True)
            got += list(groups)
    versions = [v for g in got for _, v in g.version_spans[0]]
    assert len(versions) == N_LONG and set(versions) == {0, 1}
    for g, version in zip(got, versions):
        assert len(g.tokens[0]) == LONG.max_new_tokens and same_bits(g, 0, both[version][g.id, 0])


def test_a_late_worker_serves_the_last_weights_before_any_task(tmp_path: Path,
                                                               new_model: Path) -> None:
    want = expected(new_model, 6, 2, "--max-new-tokens", 30)
    sampling = stampede.Sampling(max_new_tokens=30, ignore_eos=True)
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        first = Worker(tmp_path, trainer.url)
        try:
            part = {k: v for k, v in noisy(1).items() if "experts" in k}
            trainer.push_weights(part, version=3, timeout_s=PATIENCE_S)
            trainer.push_weights(noisy(1), version=4, timeout_s=PATIENCE_S)
        finally:
            first.kill()
        groups = trainer.generate(numbered(6), n=2, sampling=sampling, min_version=4)
        with serving(tmp_path, trainer.url):
            for g in groups:
                for i in range(g.n):
                    assert g.version_spans[i] == [(0, 4)]
                    assert same_bits(g, i, want[g.id, i])
            assert {w["digest"] for w in trainer.workers() if w["version"] == 4} == \
                {digest_of(new_model)}


def test_the_same_model_with_other_weights(tmp_path: Path, new_model: Path) -> None:
    """Refused while nothing was pushed, with both digests; given the trainer's weights after."""
    old, new = digest_of(TINY), digest_of(new_model)
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, max_rows=4) as worker:
            trainer.wait_for_workers(1, PATIENCE_S)
            with serving(tmp_path, trainer.url, model=new_model) as other:
                other.ends(78)
                assert old in other.log() and new in other.log(), other.log()
            want = expected(TINY, 6, 4, "--max-new-tokens", 20)
            sampling = stampede.Sampling(max_new_tokens=20, ignore_eos=True)
            groups = trainer.generate(numbered(6), n=4, sampling=sampling)
            assert all(same_bits(g, i, want[g.id, i]) for g in groups for i in range(4))
            trainer.push_weights(noisy(1), version=1, timeout_s=PATIENCE_S)
            # A checkpoint that is what was pushed, and one that is not: both serve the push.
            with serving(tmp_path, trainer.url, model=new_model, max_rows=4), \
                    serving(tmp_path, trainer.url, model=TINY, max_rows=4):
                trainer.wait_for_workers(3, PATIENCE_S)
                assert {(w["version"], w["digest"]) for w in trainer.workers()} == {(1, new)}
                want = expected(new_model, 12, 8, "--max-new-tokens", 20)
                for g in trainer.generate(numbered(12), n=8, sampling=sampling):
                    assert all(same_bits(g, i, want[g.id, i]) for i in range(8))
            assert worker.alive()


def test_workers_with_other_types_share_no_group(tmp_path: Path) -> None:
    sampling = stampede.Sampling(max_new_tokens=20, ignore_eos=True)
    want = [expected(TINY, 16, 8, "--max-new-tokens", 20, *flags)
            for flags in ((), ("--weights", "f32"))]
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url), serving(tmp_path, trainer.url, weights="f32"):
            trainer.wait_for_workers(2, PATIENCE_S)
            for g in trainer.generate(numbered(16), n=8, sampling=sampling):
                assert any(all(same_bits(g, i, rows[g.id, i]) for i in range(8)) for rows in want)


def test_two_workers_die_and_join_while_weights_are_pushed(tmp_path: Path) -> None:
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=2) as trainer:
        workers = [Worker(tmp_path, trainer.url, max_rows=4) for _ in range(2)]
        try:
            trainer.wait_for_workers(2, PATIENCE_S)
            groups = trainer.generate(numbered(30), n=2, sampling=LONG)
            seen = []
            for version in (1, 2, 3):
                workers[version % 2].kill()
                workers[version % 2] = Worker(tmp_path, trainer.url, max_rows=4)
                trainer.push_weights(noisy(version), version=version, timeout_s=PATIENCE_S)
            for g in groups:
                for spans in g.version_spans:
                    versions = [v for _, v in spans]
                    assert versions == sorted(set(versions))
                seen.append(g.id)
            assert sorted(seen) == list(range(30))
            eventually(lambda: [w["version"] for w in trainer.workers()] == [3, 3])
            assert len({w["digest"] for w in trainer.workers()}) == 1
        finally:
            for worker in workers:
                worker.kill()


def sparse_state(state: State, share: float, seed: int) -> State:
    """Other values at some share of the positions of every tensor."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name, value in state.items():
        where = torch.rand(value.shape, generator=generator) < share
        where.view(-1)[0] = True
        out[name] = torch.where(where, value + 0.125, value)
    return out


def footprint(worker: Worker) -> Tuple[int, int, int]:
    """Threads, open files, and KiB in memory."""
    process = Path(f"/proc/{worker.pid}")
    return (len(list((process / "task").iterdir())), len(list((process / "fd").iterdir())),
            worker.rss_kib())


@pytest.mark.parametrize("weights", HELD)
def test_an_update_is_taken_back(weights: str, tmp_path: Path, new_model: Path) -> None:
    """ABORT behind COMMIT: the base is served again, bit for bit, and rows that had begun to draw
    from the update begin anew."""
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, **held(weights)) as worker:
        hello = trainer.welcome()
        want = short_bits(trainer, 0)
        for number in range(1, 6):
            push = Push(trainer, hello, 7, number, sparse_state(noisy(1), 0.01, number))
            push.begin()
            assert push.serve()["phase"] == wire.PHASE_STAGED
            trainer.task(100 + number, id="0", seed=5)  # under way, or about to be
            trainer.send("WEIGHTS_COMMIT", update=number)
            assert trainer.take("WEIGHTS_STATUS")["phase"] == wire.PHASE_APPLIED
            trainer.send("WEIGHTS_ABORT", update=number)
            status = trainer.take("WEIGHTS_STATUS")
            assert (status["phase"], status["version"]) == (wire.PHASE_ROLLED_BACK, 0)
            assert status["digest"] == hello["digest"]
            trainer.result(100 + number)
            assert short_bits(trainer, number) == want
        trainer.send("WEIGHTS_ABORT", update=5)  # once more: nothing is left to take back
        assert short_bits(trainer, 50) == want
        assert worker.alive()


def send_as_before(trainer: RawTrainer, kind: str, **fields: Any) -> None:
    """A message of the trainer of the epoch before, which counts its own."""
    trainer.send(kind, epoch=trainer.epoch - 1, **fields)
    trainer.seq -= 1


def said_of_weights(trainer: RawTrainer) -> List[Tuple[int, int]]:
    """What the worker says in a while, and that it asks for nothing."""
    said = [(m["update"], m["phase"]) for m in trainer.drain(0.7) if m.type == "WEIGHTS_STATUS"]
    assert not trainer.pulls
    return said


def test_messages_that_come_twice_or_of_an_old_epoch(tmp_path: Path, new_model: Path) -> None:
    """Each counts once: what was staged is not pulled again, what was applied is not applied
    again, and what an earlier trainer says is not obeyed."""
    with RawTrainer(epoch=5) as trainer, serving(tmp_path, trainer.url) as worker:
        hello = trainer.welcome()
        want = short_bits(trainer, 0)
        push = Push(trainer, hello, 7, 1, noisy(1))
        push.begin()
        push.begin()
        assert push.serve()["phase"] == wire.PHASE_STAGED
        push.begin()
        assert said_of_weights(trainer) == []
        send_as_before(trainer, "WEIGHTS_COMMIT", update=1)
        assert said_of_weights(trainer) == []
        trainer.send("WEIGHTS_COMMIT", update=1)
        trainer.send("WEIGHTS_COMMIT", update=1)
        push.begin()
        assert said_of_weights(trainer) == [(1, wire.PHASE_APPLIED)]
        send_as_before(trainer, "WEIGHTS_ABORT", update=1)
        assert said_of_weights(trainer) == []
        assert f"{short_bits(trainer, 1)[3]:016x}" == digest_of(new_model)
        trainer.send("WEIGHTS_ABORT", update=1)
        trainer.send("WEIGHTS_ABORT", update=1)
        assert said_of_weights(trainer) == [(1, wire.PHASE_ROLLED_BACK)]
        assert short_bits(trainer, 2) == want
        assert worker.alive()


def busy_us(worker: Worker, name: str) -> int:
    """For how long a thread has run on a processor."""
    (task,) = [t for t in Path(f"/proc/{worker.pid}/task").iterdir()
               if (t / "comm").read_text() == name + "\n"]
    return int((task / "schedstat").read_text().split()[0]) // 1000


def test_another_thread_stages_and_proves(tmp_path: Path) -> None:
    """Neither the one that talks nor the one that decodes does."""
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, threads=1) as worker:
        hello = trainer.welcome()
        before = busy_us(worker, "weights")
        push = Push(trainer, hello, 7, 1, noisy(1))
        push.begin()
        assert push.serve()["phase"] == wire.PHASE_STAGED
        # Five megabytes were copied, and read once more for their check values.
        assert before < 1000 < busy_us(worker, "weights") - before


@pytest.mark.parametrize("weights", ["", SECOND_COPY])
def test_a_thousand_updates_leave_nothing_over(weights: str, tmp_path: Path) -> None:
    """Applied, taken back, aborted and dropped in turn: no thread, file or memory stays."""
    state = noisy(1)
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, **held(weights)) as worker:
        hello = trainer.welcome()

        def cycle(number: int) -> None:
            push = Push(trainer, hello, 7, number, some)
            push.begin()
            if number % 4 == 0:
                push.serve(1 << 16)
                return  # another offer replaces it
            assert push.serve()["phase"] == wire.PHASE_STAGED
            if number % 4 == 1:
                trainer.send("WEIGHTS_COMMIT", update=number)
                assert trainer.take("WEIGHTS_STATUS")["phase"] == wire.PHASE_APPLIED
            trainer.send("WEIGHTS_ABORT", update=number)
            if number % 4 == 1:
                assert trainer.take("WEIGHTS_STATUS")["phase"] == wire.PHASE_ROLLED_BACK

        some = dict(list(sparse_state(state, 0.01, 1).items())[:8])
        for number in range(1, 200):
            cycle(number)
        before = footprint(worker)
        for number in range(200, 1001):
            cycle(number)
        after = footprint(worker)
        assert after[:2] == before[:2] and after[2] < before[2] + 8192, (before, after)
        status = short_bits(trainer, 1)
        assert status[3] == hello["digest"]
