"""Partial samples on the trainer's side: what is kept of them and how it is written."""

import sys
from pathlib import Path

import numpy as np

import stampede
from stampede import jobs, partials, wire

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "protocol"))
import golden  # noqa: E402


class Box:
    def put(self, group):
        pass


def test_a_partial_sample_is_written_as_any_message():
    rows = {m.type: m for m in golden.messages()}
    result = wire.decode(*wire.encode(wire.Message("RESULT", {
        **rows["RESULT"].fields, "finish": np.array([4, 4], "<u1")})))
    found = dict(partials.partials(result, [0, 5]))
    assert [found[s].n_tokens for s in (0, 5)] == [2, 1]
    assert found[0].fits(4, False) and found[5].fits(4, True) and found[5].fits(7, False)
    assert not (found[0].fits(3, False) or found[0].fits(4, True) or found[5].fits(5, True))
    job = jobs.Request(9, None, 7, None, "restart", True, True, None).job(
        stampede.Prompt(prompt_ids=[1, 6, 500]), 0, 11, Box())
    assert job.keep(5, found[5]) == 1 and job.keep(5, found[5]) == 0 and job.keep(7, found[0]) == 2
    assert [(a, b, c is not None) for a, b, c in job.pieces(4, 5)] == [
        (4, 1, False), (5, 1, True), (6, 1, False), (7, 1, True), (8, 1, False)]
    assert list(job.pieces(0, 4)) == [(0, 4, None)]
    frames = job.task.frames("run", 1, 2, 7, 1, 3, found[0].columns())
    message = wire.decode(*frames)
    assert wire.encode(message) == frames
    for name in ("tokens", "lp_full", "lp_behav", "span_first", "span_version"):
        part = result[name][:2]
        assert message[f"partial_{name}"].tolist() == part.tolist()
    assert message["partial_routed"].tolist() == list(range(8))
    assert job.columns_of(7, 4) == [] and 7 not in job.partials  # of two versions
    assert len(job.columns_of(5, 4)) == 6
