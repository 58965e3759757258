"""Trainer.state_dict(): what is in it, and what is taken back."""

import json
import time

import pytest
from client import eventually, prompts, trainer  # noqa: F401
from fake_worker import FakeWorker

import stampede

BASE = {"format": 1, "run": "r", "epoch": 7, "next_serial": 9,
        "calls": [{"first_serial": 2, "n": 4, "open": [1, 3]},
                  {"first_serial": 6, "n": 3, "open": [0]}]}


def make(state=BASE, **more):
    return stampede.Trainer("tcp://127.0.0.1:0", state=state, **more)


def test_state_goes_on():
    with make() as t, FakeWorker(t.url):
        assert (t.run, t.next_serial) == ("r", 9) and t.epoch > 7
        # Two restarts from one checkpoint are at different times, and so of different epochs.
        assert t.epoch > 1000 * (time.time() - 60)
        assert t.open_calls == BASE["calls"]
        with make(epoch=8) as other:
            assert other.epoch == 8
        groups = sorted(t.generate(prompts(4), n=2, first_serial=2), key=lambda g: g.serial)
        assert [(g.serial, g.index, g.id) for g in groups] == [(3, 1, 3), (5, 3, 5)]
        new = list(t.generate(prompts(1)))
        assert [g.serial for g in new] == [9]
        state = json.loads(json.dumps(t.state_dict()))
        assert state == {**BASE, "epoch": t.epoch, "next_serial": 10, "calls": BASE["calls"][1:]}
    with make(t.state_dict()) as again:
        assert again.epoch > t.epoch and again.open_calls == BASE["calls"][1:]


def test_what_counts_as_taken(trainer):  # noqa: F811
    with FakeWorker(trainer.url):
        first, second = trainer.generate(prompts(3)), trainer.generate(prompts(2))
        eventually(lambda: trainer.counters().get("done_groups", 0) == 5)
        # They are there, and nobody has taken them.
        assert [len(c["open"]) for c in trainer.open_calls] == [3, 2]
        group = next(first)
        assert group.index not in trainer.open_calls[0]["open"]
        assert len(trainer.open_calls[0]["open"]) == 2
        first.close()  # the rest is not wanted
        assert [c["first_serial"] for c in trainer.open_calls] == [3]
        list(second)
        assert trainer.open_calls == [] and list(trainer.generate([])) == []
        assert trainer.state_dict()["calls"] == []


def test_the_end_of_a_trainer_takes_nothing():
    with stampede.Trainer("tcp://127.0.0.1:0") as t:
        call = t.generate(prompts(3))
    call.close()
    assert [c["open"] for c in t.state_dict()["calls"]] == [[0, 1, 2]]


@pytest.mark.parametrize("change, sentence", [
    (dict(format=2), "state is not what Trainer.state_dict"), (dict(run=3), "state.'run'"),
    (dict(epoch=-1), "state.'epoch'"), (dict(epoch=1.5), "state.'epoch'"),
    (dict(next_serial=8), "expected"), (dict(calls=3), "state.'calls'"),
    (dict(calls=[3]), "state.'calls'"),
    (dict(calls=[{"first_serial": 2, "n": 4, "open": []}]), "without an open group"),
    (dict(calls=[{"first_serial": 2, "n": 4, "open": [4]}]), "open is 4"),
    (dict(calls=BASE["calls"][::-1]), "first_serial is 2"),
    (dict(calls=[{"first_serial": 2, "n": 9, "open": [4]}]), "n is 9"),
], ids=str)
def test_states_that_are_none(change, sentence):
    with pytest.raises(stampede.StampedeError, match=sentence):
        make({**BASE, **change})


@pytest.mark.parametrize("more, sentence", [
    (dict(run="q"), "run and first_serial are part of state"),
    (dict(first_serial=3), "run and first_serial are part of state"),
    (dict(epoch=7), "more than 7")], ids=str)
def test_arguments_beside_a_state(more, sentence):
    with pytest.raises(stampede.StampedeError, match=sentence):
        make(**more)
    with pytest.raises(stampede.StampedeError, match="not what Trainer.state_dict"):
        make("x")


def test_calls_that_are_not_open():
    with make() as t:
        for n, first, sentence in ((4, 3, r"an earlier epoch that is open: \[2, 6\]"),
                                   (3, 2, "has 3 items, expected the 4"),
                                   (4, -1, "first_serial is -1"), (4, "2", "first_serial")):
            with pytest.raises(stampede.StampedeError, match=sentence):
                t.generate(prompts(n), first_serial=first)
        t.generate(prompts(3), first_serial=6).close()
        with pytest.raises(stampede.StampedeError, match=r"open: \[2\]"):
            t.generate(prompts(3), first_serial=6)
        assert t.next_serial == 9
