"""The fault matrix: 26 rows of real workers, trainers and faults, each judged by checker.py.

python3 matrix.py [--row N] [--case NAME] [--seed S]     the short form (make test-faults)
python3 matrix.py --soak SECONDS                         the long one, seed after seed (make soak)
python3 matrix.py --list                                 what each row is, and where it is held

A case is a process of its own. What fails prints the one command that repeats it. The last line is
"N passed, N failed, N skipped".
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import pickle
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Tuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "python")]
SHORT_LIMIT_S, LONG_LIMIT_S = 400, 3600


class Case(NamedTuple):
    name: str
    function: Callable[[Any], None]
    gap: str = ""  # what the product lacks: it must fail until that is there


@dataclass
class Row:
    number: int
    title: str
    held: Tuple[str, ...] = ()  # FILE:TEST of make test that hold it, or parts of it
    missing: str = ""  # what of it is not tested anywhere, and why
    cases: List[Case] = field(default_factory=list)


ROWS = {row.number: row for row in (
    Row(1, "kill -9 of workers in mid-batch"),
    Row(2, "SIGTERM: drains", ("tests/faults/test_deaths.py:test_a_drain_ends_in_time",
                               "tests/faults/test_partials.py:test_sigterm_at_random_moments")),
    Row(3, "SIGTERM twice, while loading, while weights are committed",
        ("tests/faults/test_drain.py:test_a_second_signal_ends_at_once",
         "tests/faults/test_drain.py:test_sigterm_while_loading")),
    Row(4, "SIGSTOP of a worker, shorter and longer than its lease"),
    Row(5, "kill -9 of the trainer, restarted from what it had consumed"),
    Row(6, "two trainers: the old one comes back"),
    Row(7, "partitions: link down, one way, half open"),
    Row(8, "a slow network, and resets in mid-frame"),
    Row(9, "a trainer that stands still"),
    Row(10, "256 workers reconnect at once"),
    Row(11, "hostile peers", ("tests/faults/test_keys.py:test_floods_slow_ones_and_giants",)),
    Row(12, "an authenticator that is dead",
        ("tests/faults/test_keys.py:test_closed_when_the_authenticator_dies",
         "tests/protocol/test_keys.c:test_who_is_heard")),
    Row(13, "malformed frames", ("tests/faults/test_hostile.py:test_frames_by_the_thousand",
                                 "tests/protocol/fuzz_msgpack.c:LLVMFuzzerTestOneInput")),
    Row(14, "bombs", ("tests/faults/test_hostile.py:test_frames_by_the_thousand",)),
    Row(15, "versions of the protocol", (
        "tests/protocol/test_messages.c:test_golden_round_trip",
        "tests/protocol/test_messages.c:test_golden_of_every_minor",
        "tests/python/test_wire.py:test_vectors_of_every_minor_are_read",
        "tests/python/test_leases.py:test_who_never_tells_is_held_to_its_engine",
        "tests/protocol/test_messages.c:test_headers_by_hand",
        "tests/python/test_wire.py:test_a_field_of_a_later_minor_is_ignored"),
        missing="a program of an older minor version beside this one: none was released; its "
                "messages are read"),
    Row(16, "a weight update that is interrupted",
        ("tests/faults/test_updates.py:test_a_push_that_is_cut_off_leaves_the_old_version",)),
    Row(17, "chunks and manifests that are wrong",
        ("tests/faults/test_updates.py:test_a_corrupted_push_leaves_the_old_version",)),
    Row(18, "a bit flips in resident weights"),
    Row(19, "NCCL hangs, fails, is missing",
        ("tests/weights/test_receiver.c:test_one_stands_still",
         "tests/python/test_nccl.py:test_one_that_dies")),
    Row(20, "a group that kills its workers",
        ("tests/faults/test_deaths.py:test_a_group_that_kills_workers_is_quarantined",)),
    Row(21, "memory, files, disk, clock and signals fail"),
    Row(22, "the engine's step stands still",
        ("tests/worker/http/test_health.c:test_alive",
         "tests/faults/test_standstill.py:test_an_engine_that_stands_still")),
    Row(23, "everything at once"),
    Row(24, "a pool of Kubernetes jobs",
        ("tests/docker/test_pool.py:test_a_pod_that_is_taken_costs_its_index_nothing",
         "tests/docker/test_pool.py:test_grown_and_shrunk_in_mid_run",
         "tests/docker/test_pool.py:test_suspended_and_resumed")),
    Row(25, "long samples are not lost more often than short ones"),
    Row(26, "the scorer is killed, sharded, resumed",
        ("tests/python/test_score.py:test_resume_after_kills_at_random_points",
         "tests/python/test_score.py:test_any_number_of_processes_gives_the_same_bytes",
         "tests/python/test_score.py:test_shards_merged_are_the_whole",
         "tests/python/test_score.py:test_exit_statuses")),
)}


def case(number: int, name: str, gap: str = "") -> Callable[[Any], Any]:
    """Puts a function of a Run into the table."""
    def add(function: Callable[[Any], None]) -> Callable[[Any], None]:
        ROWS[number].cases.append(Case(name, function, gap))
        return function

    return add


class Outcome(NamedTuple):
    kind: str  # passed, failed, skipped
    text: str = ""
    notes: Tuple[str, ...] = ()


# --- one case, in a process of its own ---

def perform(one: Case, seed: int, folder: Path, models: Any, is_long: bool) -> Outcome:
    import scenario
    notes: List[str] = []
    try:
        with scenario.Run(folder, seed, models, is_long) as run:
            notes = run.notes
            one.function(run)
            run.verify()
    except scenario.Skip as why:
        return Outcome("skipped", str(why), tuple(notes))
    except BaseException:
        return Outcome("failed", traceback.format_exc(limit=-4), tuple(notes))
    return Outcome("passed", "", tuple(notes))


def in_child(work: Callable[[], Outcome], limit_s: float) -> Outcome:
    """Forked before there are threads or sockets; ended with all that it started."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(out)
        faulthandler.dump_traceback_later(limit_s - 5, exit=False)
        try:
            with os.fdopen(into, "wb") as pipe:
                pipe.write(pickle.dumps(work()))
        finally:
            os._exit(0)
    os.close(into)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(pid, signal.SIGKILL))
    signal.alarm(int(limit_s))
    with os.fdopen(out, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    signal.alarm(0)
    try:
        os.killpg(pid, signal.SIGKILL)  # what it left behind
    except ProcessLookupError:
        pass
    return pickle.loads(data) if data else Outcome("failed", f"It did not end in {limit_s:.0f} s.")


# --- all of them ---

class Tally:
    def __init__(self, folder: Path) -> None:
        import scenario
        self.folder, self.counts = folder, {"passed": 0, "failed": 0, "skipped": 0}
        self.models = scenario.Models(folder / "models")

    def run(self, row: Row, one: Case, seed: int, is_long: bool) -> bool:
        """False: it failed."""
        name = f"{row.number:2} {one.name}"
        folder = Path(tempfile.mkdtemp(prefix=f"row-{row.number}-", dir=self.folder))
        start = time.monotonic()
        outcome = in_child(lambda: perform(one, seed, folder, self.models, is_long),
                           LONG_LIMIT_S if is_long else SHORT_LIMIT_S)
        kind, text = outcome.kind, outcome.text
        if one.gap and kind == "failed":
            kind, text = "skipped", f"{one.gap} (it fails as expected)"
        elif one.gap and kind == "passed":
            kind, text = "failed", f"It passed: this is there now, drop its gap. {one.gap}"
        self.counts[kind] += 1
        notes = "; ".join(outcome.notes)
        print(f"{name:34} {kind} {time.monotonic() - start:6.1f} s  {notes}", flush=True)
        if kind == "failed":
            target = "soak" if is_long else "test-faults"
            print(f"{text}\nIts logs: {folder}\nRepeat it: make {target} ROW={row.number} "
                  f"CASE={one.name} SEED={seed}", flush=True)
            return False
        if kind == "skipped":
            print(f"   skipped: {text}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        return True

    def last_line(self) -> str:
        return ", ".join(f"{n} {kind}" for kind, n in self.counts.items())


def chosen(options: argparse.Namespace) -> Iterator[Tuple[Row, Case]]:
    for row in ROWS.values():
        for one in row.cases:
            if options.row in (None, row.number) and options.case in (None, one.name):
                yield row, one


def check_held(row: Row) -> Optional[str]:
    """A sentence where a test that a row names is not there."""
    for name in row.held:
        path, _, test = name.partition(":")
        file = HERE.parents[1] / path
        if not file.exists() or test not in file.read_text():
            return f"Row {row.number} names {name}, which is not there."
    return None


def short(options: argparse.Namespace, tally: Tally) -> int:
    for row, one in chosen(options):
        tally.run(row, one, options.seed, False)
    if options.row is None:
        for row in ROWS.values():
            wrong = check_held(row)
            if wrong is not None:
                tally.counts["failed"] += 1
                print(wrong)
            elif row.held:
                print(f"{row.number:2} {row.title}: {'' if not row.cases else 'also '}held by "
                      f"make test: {', '.join(row.held)}")
            if row.missing:
                tally.counts["skipped"] += 1
                print(f"{row.number:2} skipped: {row.missing}")
    print(tally.last_line())
    return 0 if tally.counts["passed"] and not tally.counts["failed"] else 1


def soak(options: argparse.Namespace, tally: Tally) -> int:
    """Round after round, each with another seed, until the time is over or something fails."""
    end, seed = time.monotonic() + options.soak, options.seed
    good = True
    while good and (time.monotonic() < end or seed == options.seed):
        print(f"seed {seed}", flush=True)
        for row, one in chosen(options):
            good = tally.run(row, one, seed, True)
            if not good or (time.monotonic() > end and options.row is None):
                break
        seed += 1
        if options.case is not None and not options.soak:
            break
    print(tally.last_line())
    return 0 if good and tally.counts["passed"] else 1


def show() -> int:
    for row in ROWS.values():
        print(f"{row.number:2} {row.title}")
        for one in row.cases:
            print(f"     case {one.name}" + (f" (gap: {one.gap})" if one.gap else ""))
        for name in row.held:
            print(f"     make test: {name}")
        if row.missing:
            print(f"     not tested: {row.missing}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--row", type=int)
    parser.add_argument("--case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--soak", type=float, metavar="SECONDS",
                        help="the long form, seed after seed; 0: one round")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    import rows_machine  # noqa: F401
    import rows_network  # noqa: F401
    import rows_offsets  # noqa: F401
    import rows_weights  # noqa: F401
    import rows_workers  # noqa: F401
    if options.list:
        return show()
    if not any(True for _ in chosen(options)):
        print(f"No case is row {options.row}, {options.case}; --list names them.")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="stampede-faults-"))
    tally = Tally(folder)
    status = short(options, tally) if options.soak is None else soak(options, tally)
    if not tally.counts["failed"]:
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.modules["matrix"] = sys.modules["__main__"]
    sys.exit(main())
