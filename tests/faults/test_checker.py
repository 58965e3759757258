"""The checker is checked: a real run passes, and each seeded defect in its log is refused."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest

import checker
from scenario import Models, Run, Work

Events = List[Dict[str, Any]]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Tuple[Events, Any]:
    """Two workers, an update in mid-run, one worker that drains: everything that logs hold."""
    folder = tmp_path_factory.mktemp("recorded")
    with Run(folder, 1, Models(folder / "models"), False) as run:
        run.work = Work(n_prompts=24, n_after=6, n=3,
                        sampling={"max_new_tokens": 60, "ignore_eos": True})
        stub = run.trainer(pushes=[(4, 1)], min_workers=2)
        leaving, _ = run.pool(stub.url, 2, max_rows=2)
        stub.wait_for("pushed")
        stub.wait_for("done")
        run.signal(leaving, 15)
        leaving.ends(75)  # before the run is complete, which would end it with 0
        run.finish()
        return run.events(), run.reference()


def one(events: Events, event: str, nth: int = 0, **fields: Any) -> Dict[str, Any]:
    return [e for e in events if e["event"] == event
            and all(e.get(k) == v for k, v in fields.items())][nth]


def result_of(events: Events, version: int) -> Dict[str, Any]:
    """A RESULT whose samples have tokens of this version alone."""
    return next(e for e in events if e["event"] == "received" and e["type"] == "RESULT"
                and all([v for _, v in spans] == [version] for spans in e["spans"]))


def doubled(events: Events) -> None:
    events.append(one(events, "consumed"))


def lost_sample(events: Events) -> None:
    one(events, "consumed", 3)["samples"].pop()


def lost_group(events: Events) -> None:
    events.remove(one(events, "consumed", 5))


def failed(events: Events) -> None:
    one(events, "consumed")["samples"][1]["finish"] = "error"


def cancelled_by_nobody(events: Events) -> None:
    one(events, "consumed")["samples"][0]["finish"] = "cancelled"


def wrong_digest(events: Events) -> None:
    result_of(events, 0)["digest"] = "0123456789abcdef"


def torn_weights(events: Events) -> None:
    one(events, "received", type="WEIGHTS_STATUS", phase=checker.APPLIED)["digest"] = "f" * 16


def unserved_version(events: Events) -> None:
    result_of(events, 0)["spans"][0] = [[0, 9]]


def old_version(events: Events) -> None:
    """Asked for after the update was applied there, and drawn from what was before."""
    applied = one(events, "received", type="WEIGHTS_STATUS", phase=checker.APPLIED)
    asked = [(e["serial"], e["t"] > applied["t"]) for e in events if e["event"] == "sent"
             and e["type"] == "TASK" and e["peer"] == applied["peer"]]
    # A group may have been asked for in parts, one of them before the update.
    later = {serial for serial, is_later in asked if is_later and (serial, False) not in asked}
    e = next(e for e in events if e["event"] == "received" and e["type"] == "RESULT"
             and e["peer"] == applied["peer"] and e["serial"] in later)
    e["spans"] = [[[0, 0]] for _ in e["spans"]]


def falling_versions(events: Events) -> None:
    e = result_of(events, 0)
    e["spans"] = [[[0, 1], [1, 0]] for _ in e["spans"]]


def version_of_nobody(events: Events) -> None:
    one(events, "received", type="HEARTBEAT")["version"] = 5


def credit_overrun(events: Events) -> None:
    one(events, "received", type="HELLO")["slots"] = 1


def two_holders(events: Events) -> None:
    task = one(events, "sent", type="TASK")
    other = next(e for e in events if e["event"] == "received" and e["type"] == "HELLO"
                 and e["peer"] != task["peer"])
    events.insert(events.index(task) + 1, {**task, "peer": other["peer"]})


def never_given(events: Events) -> None:
    task = one(events, "sent", type="TASK")
    events.remove(task)


def other_token(events: Events) -> None:
    one(events, "consumed")["samples"][0]["tokens"][3] ^= 1


def other_bit(events: Events) -> None:
    s = one(events, "consumed", 1)["samples"][2]
    s["lp_behav"] = ("1" if s["lp_behav"][0] != "1" else "2") + s["lp_behav"][1:]


def died(events: Events) -> None:
    one(events, "exit")["status"] = -11


def complete_by_nobody(events: Events) -> None:
    events[:] = [e for e in events if not (e["event"] == "sent" and e["type"] == "BYE")]


def drained_by_nobody(events: Events) -> None:
    events.remove(one(events, "signal"))


def wrong_status(events: Events) -> None:
    one(events, "exit")["status"] = 70


def grown(events: Events) -> None:
    first = one(events, "footprint")
    events += [{**first, "t": first["t"] + i, "rss_kib": 50_000 + 1000 * i} for i in range(60)]


def open_files(events: Events) -> None:
    first = one(events, "footprint")
    events += [{**first, "t": first["t"] + i, "n_fds": 20 + i // 5} for i in range(60)]


def old_epoch_joined(events: Events) -> None:
    said = next(e for e in events if e["event"] == "said" and "joined run" in e["text"])
    events += [{**said, "text": "joined run 'matrix', epoch 2"}, said]


def old_epoch_obeyed(events: Events) -> None:
    """A second trainer of a newer epoch has had a sample of this worker."""
    e = one(events, "received", type="RESULT")
    hello = next(h for h in events if h["event"] == "received" and h["type"] == "HELLO"
                 and h["peer"] == e["peer"])
    newer = [{**hello, "who": "trainer-1"}, {**e, "who": "trainer-1", "epoch": 2}]
    events[events.index(e):events.index(e)] = newer


# The defect, the invariants that it breaks, and words of its sentence.
DEFECTS: List[Tuple[Callable[[Events], None], set, str]] = [
    (doubled, {"I1"}, r"sample 0 of group \d+ was consumed 2 times"),
    (lost_sample, {"I2"}, r"sample 2 of group \d+ did not end"),
    (lost_group, {"I2"}, r"sample 0 of group \d+ did not end"),
    (failed, {"I2"}, "ended with error"),
    (cancelled_by_nobody, {"I2"}, "neither cancelled nor quarantined"),
    (unserved_version, {"I3", "I4"}, "tokens of version 9, which was not served there"),
    (old_version, {"I3"}, "tokens of version 0, which was not served there"),
    (falling_versions, {"I3"}, "rising versions"),
    (version_of_nobody, {"I3"}, "version 5, which nobody committed"),
    (wrong_digest, {"I4"}, "has digest 0123456789abcdef"),
    (torn_weights, {"I4"}, "WEIGHTS_STATUS of w[01] has digest ffffffffffffffff"),
    (credit_overrun, {"I5"}, r"was sent \d+ samples in a session, and had granted"),
    (grown, {"I6"}, r"grew from \d+ to \d+ KiB"),
    (open_files, {"I6"}, r"grew from \d+ to \d+ open files"),
    (other_token, {"I7"}, "other tokens than an undisturbed run"),
    (other_bit, {"I7"}, "other lp_behav than an undisturbed run"),
    (died, {"I8"}, "died by signal 11, which nobody sent"),
    (complete_by_nobody, {"I8"}, "ended with status 0, and no trainer had said"),
    (drained_by_nobody, {"I8"}, "ended with status 75, and nobody had asked"),
    (wrong_status, {"I8"}, "ended with status 70, which was not expected"),
    (two_holders, {"lease", "I5"}, r"was given to w[01] while w[01] had it"),
    (never_given, {"lease"}, "which it was never given"),
    (old_epoch_joined, {"fence"}, "joined epoch 1 after epoch 2"),
    (old_epoch_obeyed, {"fence", "lease"}, "worked for epoch 1 after it had worked for epoch 2"),
]


def test_a_clean_log_passes(recorded: Tuple[Events, Any]) -> None:
    events, reference = recorded
    assert checker.check(events, reference) == []
    kinds = {e["event"] for e in events}
    assert {"manifest", "start", "signal", "exit", "footprint", "said", "open", "submit", "sent",
            "received", "gone", "consumed"} <= kinds
    assert {v for _, _, s in checker.consumed(events) for _, v in s["spans"]} == {0, 1}


@pytest.mark.parametrize("defect, invariants, words", DEFECTS, ids=[d[0].__name__ for d in DEFECTS])
def test_a_seeded_defect_is_refused(defect: Callable[[Events], None], invariants: set, words: str,
                                    recorded: Tuple[Events, Any]) -> None:
    events, reference = copy.deepcopy(recorded)
    defect(events)
    found = checker.check(events, reference)
    assert {sentence.split(":")[0] for sentence in found} <= invariants, found
    assert any(re.search(words, s) and s.endswith(".") for s in found), found
