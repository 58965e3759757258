"""What a real worker tells of the groups that it goes on with, and that the trainer believes it."""

from __future__ import annotations

import time
from pathlib import Path

import stampede
from harness import RawTrainer, collect, prompts, serving
from test_drain import big_model


def test_all_that_it_has_is_told(tmp_path: Path) -> None:
    """Two rows run and one waits its turn: each is gone on with, until its RESULT."""
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, max_rows=2,
                                          model=big_model(tmp_path / "big")):
        trainer.welcome(lost_ms=60000)
        for serial in (3, 9, 2**40):
            trainer.task(serial, n=1, max_new_tokens=450)
        told, n_beats, end = [], 0, time.monotonic() + 40
        while len(told) < 2 and time.monotonic() < end:
            for m in trainer.drain(0.2):
                n_beats += m.type == "HEARTBEAT"
                if m.type == "HEARTBEAT" and m["moved"] is not None:
                    told.append(set(m["moved"].tolist()))
        assert len(told) == 2 and n_beats >= 5  # not in each of them
        assert told[0] <= {3, 9, 2**40} and told[1] <= {3, 9, 2**40}
        assert 2**40 in told[0] | told[1]


def test_who_waits_long_keeps_its_groups(tmp_path: Path) -> None:
    """The second one's turn comes when the first has ended, on most machines later than the lease
    of a group (15 s): nothing is taken back."""
    slow = big_model(tmp_path / "big")
    with stampede.Trainer("tcp://127.0.0.1:0", lease_s=10.0) as trainer:
        with serving(tmp_path, trainer.url, max_rows=1, model=slow):
            got = collect(trainer.generate(prompts(2), n=1, sampling=stampede.Sampling(
                max_new_tokens=450, ignore_eos=True)))
        assert len(got) == 2 and trainer.counters().get("lost_leases", 0) == 0
