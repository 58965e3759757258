"""A trainer that comes back from its checkpoint loses and doubles nothing."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

import stampede
from harness import LONG, Samples, collect, eventually, prompts, serving, undisturbed


def calls() -> List[Tuple[List[stampede.Prompt], Dict[str, Any]]]:
    """Three calls whose groups have no ids of their own: their serials make their seeds."""
    return [(prompts(6), dict(n=3, sampling=LONG, seed=5)),
            (prompts(8), dict(n=2, sampling=LONG, seed=6)),
            (prompts(4), dict(n=4, sampling=LONG))]


def ask_all(trainer: stampede.Trainer) -> Any:
    return [trainer.generate(some, **more) for some, more in calls()]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return undisturbed(tmp_path_factory.mktemp("undisturbed"),
                       lambda trainer: [g for call in ask_all(trainer) for g in call])


class Switch:
    """A TCP port whose connections go to one of several trainers: as when a service moves."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.target = ("", 0)
        self.pairs: List[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def to(self, url: str) -> None:
        host, port = url[len("tcp://"):].rsplit(":", 1)
        self.target = (host, int(port))
        old, self.pairs = self.pairs, []
        for one in old:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        self.to("tcp://127.0.0.1:1")
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                near.close()
                continue
            self.pairs += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(a, b), daemon=True).start()

    @staticmethod
    def _copy(a: socket.socket, b: socket.socket) -> None:
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for one in (a, b):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def test_a_restart_while_the_old_trainer_lives(tmp_path: Path, expected: Samples) -> None:
    """The old one is cut off, the new one goes on from the checkpoint, the old one comes back."""
    switch = Switch()
    with stampede.Trainer("tcp://127.0.0.1:0") as old, \
            serving(tmp_path, switch.url, max_rows=4) as worker:
        switch.to(old.url)
        old_calls = ask_all(old)
        got = collect([next(old_calls[0]), next(old_calls[0]), next(old_calls[1])])
        state = json.loads(json.dumps(old.state_dict()))
        consumed = set(got)
        assert [(c["first_serial"], c["n"], len(c["open"])) for c in state["calls"]] == [
            (0, 6, 4), (6, 8, 7), (14, 4, 4)]
        with stampede.Trainer("tcp://127.0.0.1:0", state=state) as new:
            assert new.run == old.run and new.epoch > old.epoch and new.next_serial == 18
            switch.to(new.url)
            new_calls = []
            for told, (some, more) in zip(new.open_calls, calls()):
                again = new.generate(some, **more, first_serial=told["first_serial"])
                new_calls.append((again, told))
            first = next(new_calls[0][0])
            assert first.index in new_calls[0][1]["open"]
            collect([first], got)
            # The old one is there again, and wants its groups: the worker has seen a newer epoch.
            before = len([g for c in old_calls for g in c._open])
            switch.to(old.url)
            eventually(lambda: old.counters().get("refused_epoch", 0) > 0)
            assert not old.workers() and len([g for c in old_calls for g in c._open]) == before
            switch.to(new.url)
            for again, told in new_calls:
                collect(again, got)
            assert new.state_dict()["calls"] == [] and new.open_calls == []
            # What comes after is new in both.
            assert new.next_serial == 18 and worker.alive()
        assert old.counters().get("done_groups", 0) >= len(consumed) // 3
        for call in old_calls:
            call.close()
    switch.close()
    assert got == expected


def test_one_trainer_after_the_other(tmp_path: Path, expected: Samples) -> None:
    """Each takes a few groups, writes its checkpoint, and takes more, which it loses."""
    got: Samples = {}
    state = None
    with stampede.Trainer("tcp://127.0.0.1:0") as place:
        url = place.url
    with serving(tmp_path, url, max_rows=4):
        for _ in range(12):
            trainer = stampede.Trainer(url, state=state)
            if state is None:
                open_ = ask_all(trainer)
            else:
                by_first = {0: calls()[0], 6: calls()[1], 14: calls()[2]}
                open_ = [trainer.generate(by_first[c["first_serial"]][0],
                                          **by_first[c["first_serial"]][1],
                                          first_serial=c["first_serial"])
                         for c in trainer.open_calls]
            for call in open_[:2]:
                collect([g for _, g in zip(range(2), call)], got)
            state = trainer.state_dict()
            # Behind the checkpoint: they come again.
            lost = [next(call, None) for call in open_[2:]]
            assert all(g is None or g.n for g in lost)
            trainer.close()
            if not state["calls"]:
                break
    assert got == expected
