"""What tests of the Python client share. It does without torch, which takes seconds to import."""

import faulthandler
import os
import time

import numpy as np
import pytest
from fake_worker import sample_tokens

import stampede
from stampede import native, wire
from stampede.types import group_seed


@pytest.fixture(autouse=True)
def quick_loss(monkeypatch):
    """Workers that fall silent are lost after one second instead of five."""
    monkeypatch.setattr(wire, "LOST_MS", 1000)
    monkeypatch.setattr(wire, "HEARTBEAT_MS", 200)
    faulthandler.dump_traceback_later(120, exit=True)  # a hang says where
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def trainer():
    with stampede.Trainer("tcp://127.0.0.1:0") as t:
        yield t


@pytest.fixture(params=["library", "numpy"])
def arithmetic(request, monkeypatch):
    """What a push does to each value, by libstampede_weights.so and without it."""
    if request.param == "numpy":
        monkeypatch.setenv("STAMPEDE_WEIGHTS_LIBRARY", "")
    native.library.cache_clear()
    program = os.environ.get("STAMPEDE_BIN", "")
    if request.param == "library" and ("address" in program or "thread" in program):
        pytest.skip("Python does not load a library of the sanitizers")
    assert (native.library() is None) == (request.param == "numpy")
    yield request.param
    monkeypatch.undo()
    native.library.cache_clear()


def eventually(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def prompts(n, **more):
    return [stampede.Prompt(prompt_ids=[1, 2, 3 + i], **more) for i in range(n)]


def check_all(groups, n_groups, n, seed=0, first_serial=0):
    """Each group once, each sample with the tokens that its seed gives."""
    assert sorted(g.index for g in groups) == list(range(n_groups))
    for g in groups:
        assert g.n == n and g.finish_reason == ["stop"] * n
        seed_of_group = group_seed(seed, str(first_serial + g.index))
        for i in range(n):
            np.testing.assert_array_equal(g.tokens[i], sample_tokens(seed_of_group, i))
