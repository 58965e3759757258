"""Credit follows the KV pages: a worker that can run two rows does not ask for sixteen samples."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import List

import pytest

from harness import PATIENCE_S, RawTrainer, serving
from stampede import wire


@pytest.mark.parametrize("is_short", [True, False])
def test_credit_where_pages_are_short(is_short: bool, tmp_path: Path) -> None:
    # Two rows of 303 positions, and a young one.
    few = {"kv_memory": 640 * 1536} if is_short else {}
    with RawTrainer() as trainer, serving(tmp_path, trainer.url, max_rows=8, max_context=320,
                                          draft="off", **few) as worker:
        assert trainer.welcome()["slots"] == 16
        # It finds all of them: one by one, rows could leave before six are in its hands.
        os.kill(worker.pid, signal.SIGSTOP)
        for serial in range(16):
            trainer.task(serial, max_new_tokens=300)
        os.kill(worker.pid, signal.SIGCONT)
        came: List[wire.Message] = []
        end = time.monotonic() + PATIENCE_S
        while not any(m.type == "CREDIT" and m["slots"] == 32 for m in came):
            assert time.monotonic() < end, [(m.type, m.fields.get("slots")) for m in came]
            came += trainer.drain(0.1)
        n_results = 0
        first_credit = None
        for m in came:
            n_results += m.type == "RESULT"
            if m.type == "CREDIT":
                first_credit = n_results if first_credit is None else first_credit
                # Never more than what left and what may be there at once.
                assert m["slots"] <= n_results + 16
        assert n_results == 16 and first_credit is not None
        # Three rows at most, so ten must have left before six in its hands are too few.
        assert first_credit >= 10 if is_short else first_credit <= 8, first_credit
