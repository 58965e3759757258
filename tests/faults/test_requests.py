"""Bad tasks, hanging verifiers, cancelled and split groups: through the wire, beside good work."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest

import stampede
import chats
from cli import TINY, generate
from harness import (CHAT, LONG, PATIENCE_S, SHORT, RawTrainer, bits, collect, eventually, prompts,
                     samples_of, serving)
from stampede import wire

CRASHES = "import sys; sys.stdin.readline(); sys.exit(3)"
JUNK = "import sys\nfor line in sys.stdin: print('junk', flush=True)"
HANGS = "import sys, time\nfor line in sys.stdin: time.sleep(1000)"
GOOD = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "value": 0.25}), flush=True)
"""
SPINS = "while True: pass"


DEEP: Any = 5
for _ in range(300):
    DEEP = [DEEP]


def program(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.py"
    path.write_text(text)
    return f"{sys.executable} {path}"


def test_verifiers_that_crash_hang_and_print_junk(tmp_path: Path) -> None:
    texts = {"crashes": CRASHES, "junk": JUNK, "hangs": HANGS, "good": GOOD, "spins": SPINS}
    verifiers = {name: program(tmp_path, name, text) for name, text in texts.items()}
    want = {"crashes": "crash", "junk": "crash", "hangs": "timeout", "spins": "timeout"}
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, verifier=verifiers) as worker:
            bad = [stampede.Prompt(prompt_ids=[1, 5], id=name,
                                   reward=[{"verifier": "good"}, {"verifier": name}])
                   for name in want]
            groups = trainer.generate(bad, n=2, sampling=SHORT)
            # While those are graded, generation and good verdicts go on.
            others = [stampede.Prompt(prompt_ids=[1, 6 + i], reward=[
                {"verifier": "good"}, stampede.exact("x")]) for i in range(4)]
            for g in trainer.generate(others, n=3, sampling=SHORT):
                assert g.status == ["ok"] * 3 and g.rewards.tolist() == [0.25] * 3
            assert not any(w["samples"] == 0 for w in trainer.workers())  # the hanging ones
            for g in groups:
                assert g.status == [want[g.id]] * 2, (g.id, g.status)
                assert np.isnan(g.rewards).all() and g.finish_reason == ["length"] * 2
                good, broken = g.terms[0]
                assert (good["status"], good["value"]) == ("ok", 0.25)
                assert (broken["status"], broken["value"]) == (want[g.id], None)
                assert all(len(tokens) == 8 for tokens in g.tokens)
            assert worker.alive()


def test_tasks_that_cannot_be_run_are_answered_with_a_sentence(tmp_path: Path) -> None:
    bad: List[Tuple[stampede.Prompt, str, str]] = [
        (stampede.Prompt(prompt_ids=[5] * 600, id="long"), "", "600"),
        (stampede.Prompt(prompt_ids=[5, 512], id="id"), "", "512"),
        (stampede.Prompt(prompt_ids=[], id="empty"), "", "no tokens"),
        (stampede.Prompt(messages=[{"role": "user"}], id="chat"), "", "content"),
        (stampede.Prompt(messages=chats.CHAT, tools=[{"deep": DEEP}], id="tools"), "", "tools"),
        (stampede.Prompt(prompt_ids=[5], id="nobody", reward=[{"verifier": "nobody"}]),
         "bad_spec", "nobody"),
        (stampede.Prompt(prompt_ids=[5], id="gold", reward=[{"verifier": "math"}]), "bad_spec",
         "gold"),
        (stampede.Prompt(prompt_ids=[5], id="bias",
                         sampling=stampede.Sampling(logit_bias={9999: 1.0})), "", "logit_bias"),
    ]
    good = [stampede.Prompt(prompt_ids=[1, 9 + i], id=i) for i in range(len(bad))]
    both = [p for pair in zip(good, [b[0] for b in bad]) for p in pair]
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url) as worker:
            got = {g.id: g for g in trainer.generate(both, n=3, sampling=SHORT)}
            assert len(got) == len(both)
            for prompt, status, words in bad:
                g = got[prompt.id]
                assert g.finish_reason == ["error"] * 3 and g.status == [status] * 3, g.errors
                assert np.isnan(g.rewards).all() and all(len(t) == 0 for t in g.tokens)
                assert words in g.errors[0] and g.errors[0].endswith("."), g.errors[0]
                assert g.errors == [g.errors[0]] * 3
            for i in range(len(bad)):
                assert got[i].finish_reason == ["length"] * 3 and got[i].errors == [None] * 3
            assert worker.alive()


def test_tools_reach_the_template_over_the_wire(tmp_path: Path) -> None:
    model = chats.with_template(tmp_path, chats.LISTS_TOOLS)
    tools: List[Any] = [chats.TOOLS, chats.TOOLS * 2, [], None]
    lines = generate(model, [{"messages": chats.CHAT, "tools": t} for t in tools],
                     "--max-new-tokens", 1)
    want = [line["prompt_ids"] for line in lines]
    assert len({tuple(ids) for ids in want}) == 3
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, model=model):
            asked = [stampede.Prompt(messages=chats.CHAT, tools=t) for t in tools]
            got = {g.index: g.prompt_ids.tolist() for g in trainer.generate(asked, n=1,
                                                                            sampling=SHORT)}
    assert [got[i] for i in range(len(tools))] == want


def test_non_finite_logits_fail_the_sample_alone(tmp_path: Path) -> None:
    """Weights with which one prompt overflows: its samples are errors, the others go on."""
    from safetensors.torch import load_file
    state = load_file(TINY / "model.safetensors")
    state["model.embed_tokens.weight"][77] = 3e38
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url):
            trainer.push_weights(state, version=1, timeout_s=PATIENCE_S)
            bad = stampede.Prompt(prompt_ids=[1, 77, 5], id="bad", reward=[stampede.exact("x")])
            good = stampede.Prompt(prompt_ids=[1, 5], id="good",
                                   sampling=stampede.Sampling(max_new_tokens=4, temperature=0,
                                                              ignore_eos=True))
            got = {g.id: g for g in trainer.generate([bad, good], n=2, sampling=SHORT)}
            assert got["bad"].finish_reason == ["error"] * 2
            assert "finite" in got["bad"].errors[0] and np.isnan(got["bad"].rewards).all()


def idle(trainer: stampede.Trainer) -> bool:
    """No row runs: as the next heartbeat tells."""
    return all(w["samples"] == 0 and w["rows"] == 0 and w["waiting"] == 0
               for w in trainer.workers())


def test_cancelled_work_frees_its_rows(tmp_path: Path) -> None:
    endless = stampede.Sampling(max_new_tokens=480, ignore_eos=True)
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        with serving(tmp_path, trainer.url, max_rows=2) as worker:
            # By id: what has not ended comes as cancelled, with what it has and without a reward.
            groups = trainer.generate(prompts(12, reward=[stampede.exact("x")]), n=4,
                                      sampling=endless)
            first = next(groups)
            assert first.finish_reason == ["length"] * 4
            for serial in range(12):
                trainer.cancel(serial)
            rest = list(groups)
            assert sorted([first.id] + [g.id for g in rest]) == list(range(12))
            ends = [(g, i) for g in rest for i in range(4) if g.finish_reason[i] == "cancelled"]
            assert len(ends) >= 30
            for g, i in ends:
                assert len(g.tokens[i]) == len(g.lp_full[i]) < 480
                assert np.isnan(g.rewards[i]) and g.status[i] == ""
            eventually(lambda: idle(trainer))
            # Leaving the loop.
            for _ in trainer.generate(prompts(12), n=4, sampling=endless):
                break
            eventually(lambda: idle(trainer))
            # A deadline.
            late = list(trainer.generate(prompts(12), n=4, sampling=endless, deadline_s=0.05))
            reasons = {r for g in late for r in g.finish_reason}
            assert len(late) == 12 and "cancelled" in reasons
            assert reasons <= {"cancelled", "length"}
            eventually(lambda: idle(trainer))
            # The worker is as good as new.
            rows = generate(TINY, [{"prompt_ids": [1, 2], "id": "x", "n": 2}], "--ignore-eos",
                            "--max-new-tokens", 8)
            (g,) = trainer.generate([stampede.Prompt(prompt_ids=[1, 2], id="x")], n=2,
                                    sampling=SHORT)
            assert [t.tolist() for t in g.tokens] == [r["tokens"] for r in rows]
            assert worker.alive()


def test_split_groups_are_what_the_command_line_draws(tmp_path: Path) -> None:
    n = 70
    sampling = stampede.Sampling(max_new_tokens=60, temperature=2.0, top_k=90, top_p=0.98,
                                 repetition_penalty=1.1)
    flags = ("--max-new-tokens", 60, "--temperature", 2.0, "--top-k", 90, "--top-p", 0.98,
             "--repetition-penalty", 1.1, "--seed", 13)
    rows = generate(TINY, [{"messages": CHAT, "id": "größe", "n": n,
                            "reward": [{"verifier": "math", "gold": "12"}]}], *flags)
    prompt = stampede.Prompt(messages=CHAT, id="größe", reward=[stampede.math("12")])
    with stampede.Trainer("tcp://127.0.0.1:0", min_workers=3) as trainer:
        with serving(tmp_path, trainer.url, max_rows=5), serving(tmp_path, trainer.url), \
                serving(tmp_path, trainer.url, threads=2, prefill_chunk=3):
            (g,) = trainer.generate([prompt], n=n, sampling=sampling, seed=13)
    for i, row in enumerate(rows):
        assert row["sample"] == i and g.tokens[i].tolist() == row["tokens"]
        assert g.lp_full[i].tobytes() == np.array(row["lp_full"], "<f4").tobytes()
        assert g.lp_behav[i].tobytes() == np.array(row["lp_behav"], "<f4").tobytes()
        assert g.text[i] == row["text"] and g.finish_reason[i] == row["finish_reason"]
        assert g.rewards[i] == row["reward"]["value"] and g.prompt_ids.tolist() == row["prompt_ids"]
    assert len({t.tobytes() for t in g.tokens}) > 10


def test_single_sample_tasks_and_forks_are_the_same_samples(tmp_path: Path) -> None:
    with RawTrainer() as trainer, serving(tmp_path, trainer.url) as worker:
        trainer.welcome()

        def sample_bits(n: int) -> Dict[int, Any]:
            """The next n samples that come, by number."""
            got: List[Dict[str, Any]] = []
            while len(got) < n:
                got += samples_of(trainer.take("RESULT"))
            return {s["sample"]: tuple(s[name].tobytes() for name in
                                       ("tokens", "lp_full", "lp_behav")) for s in got}

        trainer.task(0, n=12, max_new_tokens=50, seed=99)
        forked = sample_bits(12)
        for i in range(12):
            trainer.task(10 + i, n=1, first=i, max_new_tokens=50, seed=99)
        assert sample_bits(12) == forked and len(forked) == 12
        assert worker.alive()


def test_a_burst_of_refusals_does_not_bring_a_burst_of_hellos(tmp_path: Path) -> None:
    """A trainer says so to each message of a session that it has not; each HELLO in answer would
    begin another session, in which everything that is unacknowledged is sent again."""
    with RawTrainer() as trainer, serving(tmp_path, trainer.url):
        trainer.welcome()
        start = time.monotonic()
        for _ in range(40):
            trainer.send("REFUSE", code=wire.REFUSALS["no_session"])
        hellos = [m for m in trainer.drain(1) if m.type == "HELLO"]
        assert 1 <= len(hellos) <= 2 + (time.monotonic() - start) / 0.5
