"""`stampede score`: files in, rewards out."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, List

import pytest

from cli import BIN, ROOT, run
from score_cli import Line, native, read, score, start, values, write

VERIFIERS = ROOT / "examples" / "verifiers"


def test_native_records(tmp_path: Path) -> None:
    status, rows, summary, _ = score(tmp_path, native(9), "--verifier", "math")
    assert status == 0
    assert [r["id"] for r in rows] == [f"r{i}" for i in range(9)]
    assert [r["index"] for r in rows] == list(range(9))
    assert values(rows) == [float(i % 3 != 0) for i in range(9)]
    assert rows[0]["reward"]["terms"] == [{"name": "math", "verifier": "math", "value": 0.0,
                                           "status": "ok", "weight": 1.0}]
    assert summary["n"] == 9 and summary["mean"] == pytest.approx(6 / 9)
    assert summary["datasets"]["even"] == {"n": 5, "mean": pytest.approx(3 / 5), "right": 3}


def test_rewards_of_records_and_of_the_command_line(tmp_path: Path) -> None:
    lines = [
        {"completion": "\\boxed{2}", "reward": [{"verifier": "math", "gold": "2", "weight": 3}]},
        {"completion": "\\boxed{2}"},
        {"messages": [{"role": "user", "content": "7"},
                      {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
                      {"role": "user", "content": "no"}]},
        {"completion": "x", "reward": [{"verifier": "nobody"}], "id": None},
    ]
    status, rows, summary, _ = score(tmp_path, lines, "--reward",
                                     '[{"verifier": "exact", "gold": "yes"}]')
    assert status == 1 and values(rows) == [3.0, 0.0, 1.0, None]
    assert rows[3]["reward"]["status"] == "bad_spec" and "nobody" in rows[3]["error"]
    assert [r["id"] for r in rows] == [0, 1, 2, 3]  # the index, where there is none
    assert summary["status"] == {"ok": 3, "bad_spec": 1}


def test_ids_come_back_as_they_were_written(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", ['{"id": {"b": 1.50, "a": "\\u00e9"}, "completion": "1"}',
                                           '{"id": 12345678901234567890, "completion": "1"}'])
    run("score", source, "--output", tmp_path / "o", "--reward",
        '[{"verifier":"exact","gold":"1"}]')
    text = (tmp_path / "o").read_text().splitlines()
    assert text[0].startswith('{"id":{"b": 1.50, "a": "\\u00e9"},"index":0,')
    assert text[1].startswith('{"id":12345678901234567890,"index":1,')


def test_lengths_need_a_token_count(tmp_path: Path) -> None:
    reward = [{"verifier": "length", "max": 10, "soft": 5}]
    status, rows, _, _ = score(tmp_path, [{"completion": "a", "n_tokens": 7, "reward": reward},
                                          {"completion": "a", "reward": reward}])
    assert status == 1
    assert rows[0]["reward"]["value"] == pytest.approx(-0.4)
    assert rows[1]["reward"]["status"] == "unsupported" and rows[1]["reward"]["value"] is None


# ---- order, shards, resuming


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some megabytes, of several batches, with a bad record here and there."""
    folder = tmp_path_factory.mktemp("large")
    rng = random.Random(1)
    lines: List[Any] = []
    for i, line in enumerate(native(20000)):
        line["completion"] = "word " * rng.randrange(60) + line["completion"]
        lines.append('{"completion": ' if i % 997 == 5 else line)
    source = write(folder / "in.jsonl", lines)
    done = run("score", source, "--output", folder / "whole", "--verifier", "math", "-j1",
               "--summary", "json", "--label", "label")
    assert done.returncode == 1, done.stderr
    (folder / "summary").write_bytes(done.stdout)
    return folder


def stable(summary: bytes) -> Line:
    """The summary without what time decides."""
    out: Line = json.loads(summary)
    del out["seconds"], out["slowest"]
    return out


@pytest.mark.parametrize("jobs", ["-j2", "-j8"])
def test_any_number_of_processes_gives_the_same_bytes(large: Path, jobs: str) -> None:
    done = run("score", large / "in.jsonl", "--output", large / jobs, "--verifier", "math", jobs,
               "--summary", "json", "--label", "label")
    assert (large / jobs).read_bytes() == (large / "whole").read_bytes()
    assert stable(done.stdout) == stable((large / "summary").read_bytes())
    rows = read(large / "whole")
    assert [r["index"] for r in rows] == list(range(20000))
    assert rows[1002]["id"] is None and "Line 1003 of" in rows[1002]["error"]


@pytest.mark.parametrize("n", [1, 3, 7])
def test_shards_merged_are_the_whole(large: Path, n: int) -> None:
    parts = [large / f"part{n}.{i}" for i in range(n)]
    for i, part in enumerate(parts):
        run("score", large / "in.jsonl", "--output", part, "--verifier", "math", "--label", "label",
            "--shard", f"{i}/{n}", "--summary", "off", "-j2")
    order = parts[1:] + parts[:1]
    done = run("score", "--merge", *order, "--output", large / "merged", "--summary", "json")
    assert done.returncode == 1  # the whole has bad records
    assert (large / "merged").read_bytes() == (large / "whole").read_bytes()
    whole = json.loads((large / "summary").read_bytes())
    for key in ("n", "n_bad", "groups", "status", "labels", "majority"):
        assert json.loads(done.stdout)[key] == whole[key]
    if n == 1:
        return
    for wrong in (parts[:-1], parts + parts[:1], parts[:-1] + parts[:1]):
        (large / "refused").unlink(missing_ok=True)
        for journals in (True, False):
            if not journals:
                for part in parts:
                    Path(f"{part}.journal").rename(f"{part}.kept")
            done = run("score", "--merge", *wrong, "--output", large / "refused")
            assert done.returncode == 3 and b"stampede score: " in done.stderr, done.stderr
            assert not (large / "refused").exists()
        for part in parts:
            Path(f"{part}.kept").rename(f"{part}.journal")


def test_resume_after_kills_at_random_points(large: Path) -> None:
    rng, out = random.Random(2), large / "killed"
    args = [large / "in.jsonl", "--output", out, "--verifier", "math", "--label", "label",
            "--summary", "json", "-j2"]
    kills = 0
    for _ in range(12):
        child = start(*args, "--resume")
        time.sleep(rng.uniform(0.01, 0.12))
        os.killpg(child.pid, signal.SIGKILL)
        kills += child.wait() == -signal.SIGKILL
        part = Path(f"{out}.part")
        assert not out.exists() or out.read_bytes() == (large / "whole").read_bytes()
        if part.exists() and rng.random() < 0.5:  # a torn row, and a torn block of the journal
            for path in (part, Path(f"{out}.journal")):
                if path.exists() and path.stat().st_size:
                    with open(path, "ab") as file:
                        file.write(b"\x00\x01torn"[:rng.randrange(1, 6)])
    done = run("score", *args, "--resume")
    assert kills > 0
    assert done.returncode == 1, done.stderr
    assert out.read_bytes() == (large / "whole").read_bytes()
    assert not Path(f"{out}.part").exists()
    assert stable(done.stdout) == stable((large / "summary").read_bytes())
    again = run("score", *args, "--resume")  # nothing is left to do
    assert stable(again.stdout) == stable((large / "summary").read_bytes())
    assert out.read_bytes() == (large / "whole").read_bytes()


def test_resume_wherever_the_files_were_cut(large: Path) -> None:
    """As a power cut leaves them: any two lengths, and the moment between end and name."""
    rng, out = random.Random(3), large / "cut"
    part, journal = Path(f"{out}.part"), Path(f"{out}.journal")
    args = [large / "in.jsonl", "--output", out, "--verifier", "math", "--label", "label",
            "--summary", "off"]
    run("score", *args)
    whole, blocks = out.read_bytes(), journal.read_bytes()
    for n_part, n_blocks in [(rng.randrange(len(whole)), rng.randrange(100, len(blocks)))
                             for _ in range(8)] + [(len(whole), len(blocks))]:
        out.unlink()
        part.write_bytes(whole[:n_part])
        journal.write_bytes(blocks[:n_blocks])
        assert run("score", *args, "--resume").returncode == 1
        assert out.read_bytes() == (large / "whole").read_bytes() and not part.exists()
    # Where the rows are gone, it begins anew; what has the name is no part of this run.
    for n_out, n_blocks in ((1000, len(blocks)), (len(whole) // 2, len(blocks) // 2)):
        out.write_bytes(b"x" * n_out)
        journal.write_bytes(blocks[:n_blocks])
        assert run("score", *args, "--resume").returncode == 1
        assert out.read_bytes() == (large / "whole").read_bytes() and not part.exists()


def test_resume_refuses_another_run(large: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    source = write(tmp_path / "in.jsonl", native(5))
    run("score", source, "--output", out, "--verifier", "math")
    done = run("score", source, "--output", out, "--verifier", "exact", "--resume")
    assert done.returncode == 2 and b"other options" in done.stderr
    write(source, native(6))
    done = run("score", source, "--output", out, "--verifier", "math", "--resume")
    assert done.returncode == 2 and b"input files" in done.stderr
    Path(f"{out}.journal").unlink()
    done = run("score", source, "--output", out, "--verifier", "math", "--resume")
    assert done.returncode == 2 and b"journal" in done.stderr


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_and_it_goes_on(large: Path, which: signal.Signals) -> None:
    out = large / f"signal{which}"
    slow = f"slow={sys.executable} -u -c 'import sys,time,json\n" \
           "for line in sys.stdin:\n" \
           " time.sleep(0.004); print(json.dumps(dict(id=json.loads(line)[\"id\"],value=1)))'"
    source = write(large / "slow.jsonl", native(1500))
    args = [source, "--output", out, "--verifier", slow, "--reward",
            '[{"verifier": "slow"}]', "--summary", "off", "-j2"]
    child = start(*args)
    time.sleep(0.8)
    child.send_signal(which)
    status = child.wait(20)
    assert child.stderr is not None
    assert status == 128 + which, child.stderr.read()
    assert b"--resume" in child.stderr.read()
    assert run("score", *args, "--resume").returncode == 0
    assert [r["index"] for r in read(out)] == list(range(1500))


def test_under_nohup_a_hangup_does_nothing(large: Path) -> None:
    out = large / "nohup"
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        child = start(large / "in.jsonl", "--output", out, "--verifier", "math", "--label", "label",
                      "--summary", "off", "-j2")
        time.sleep(0.1)
        child.send_signal(signal.SIGHUP)
        assert child.wait(60) == 1  # bad records, and all of them are there
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_killed_worker_costs_nothing(large: Path) -> None:
    out = large / "workers"
    child = start(large / "in.jsonl", "--output", out, "--verifier", "math", "--label", "label",
                  "--summary", "off", "-j2")
    for _ in range(3):
        time.sleep(0.02)
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(child.pid)], check=False,
                               capture_output=True, text=True).stdout.split()
        for pid in found[:1]:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
    assert child.wait(60) == 1
    assert out.read_bytes() == (large / "whole").read_bytes()


# ---- bad input


BAD = ['{"completion": "\\ud800", "gold": 1}', "[1]", '{"gold": 1}', '{"completion": 7, "gold": 1}',
       '{"completion": "a"}', "\x00", '{"completion": "a", "gold": 1, "n_tokens": -3}', "nonsense",
       '{"messages": [{"role": "user", "content": "a"}], "gold": 1}', "{" * 500]


def test_bad_records_are_rows(tmp_path: Path) -> None:
    good = {"completion": "\\boxed{1}", "gold": 1}
    lines = [good] + [x for bad in BAD for x in (bad, good, "", "  ")]
    status, rows, summary, stderr = score(tmp_path, lines, "--verifier", "math")
    assert status == 1 and len(rows) == 1 + 2 * len(BAD)
    for i, row in enumerate(rows):
        assert row["index"] == i
        assert (row["reward"] is None and row["error"].endswith(".")) if i % 2 else \
            row["reward"]["value"] == 1, row
    assert "Line 6 of" in rows[3]["error"]  # blank lines count as lines, not as records
    assert summary["n_bad"] == len(BAD) and "10 of 21" in stderr


def test_skip_stop_and_max_errors(tmp_path: Path) -> None:
    lines = [{"completion": "\\boxed{1}", "gold": 1}, BAD[1]] * 5
    status, rows, summary, _ = score(tmp_path, lines, "--verifier", "math", "--on-error", "skip")
    assert status == 1 and [r["index"] for r in rows] == [0, 2, 4, 6, 8]
    assert summary["n_bad"] == 5
    out = tmp_path / "out.jsonl"
    out.unlink()  # what was stopped is not complete
    status, _, _, stderr = score(tmp_path, lines, "--verifier", "math", "--on-error", "stop")
    assert status == 1 and "stopped behind record 1" in stderr and "out.jsonl.part" in stderr
    assert [r["index"] for r in read(Path(f"{out}.part"))] == [0, 1] and not out.exists()
    status, _, summary, _ = score(tmp_path, lines, "--verifier", "math", "--max-errors", 2)
    assert status == 1 and [r["index"] for r in read(Path(f"{out}.part"))] == [0, 1, 2, 3, 4, 5]
    assert summary["n"] == 6 and not out.exists()
    # More errors are allowed: it goes on.
    status, rows, summary, _ = score(tmp_path, lines, "--verifier", "math", "--max-errors", 9,
                                     "--resume")
    assert status == 1 and [r["index"] for r in rows] == list(range(10)) and summary["n"] == 10


def test_packed_input(tmp_path: Path) -> None:
    text = "".join(json.dumps(x) + "\n" for x in native(3000)).encode()
    (tmp_path / "a.gz").write_bytes(gzip.compress(text[:1000]) + gzip.compress(text[1000:]))
    (tmp_path / "plain").write_bytes(text)
    run("score", tmp_path / "plain", "--output", tmp_path / "want", "--verifier", "math")
    assert len(read(tmp_path / "want")) == 3000
    status, _, _, stderr = score(tmp_path, tmp_path / "a.gz", "--verifier", "math")
    assert status == 0, stderr
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "want").read_bytes()
    status, _, _, _ = score(tmp_path, "-", "--verifier", "math", stdin=text)
    assert status == 0 and (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "want").read_bytes()
    cut = (tmp_path / "a.gz").read_bytes()[:-200]
    (tmp_path / "cut.gz").write_bytes(cut)
    status, rows, _, stderr = score(tmp_path, tmp_path / "cut.gz", "--verifier", "math")
    assert status == 3 and "cut.gz" in stderr and rows == read(tmp_path / "want")[:len(rows)]


@pytest.mark.skipif(not shutil.which("zstd"), reason="no zstd program")
def test_zstd_whole_and_truncated(tmp_path: Path) -> None:
    source = write(tmp_path / "a", native(3000))
    subprocess.run(["zstd", "-q", str(source)], check=True)
    status, rows, _, _ = score(tmp_path, tmp_path / "a.zst", "--verifier", "math")
    assert status == 0 and len(rows) == 3000
    (tmp_path / "cut.zst").write_bytes((tmp_path / "a.zst").read_bytes()[:-50])
    status, _, _, stderr = score(tmp_path, tmp_path / "cut.zst", "--verifier", "math")
    assert status == 3 and "cut.zst" in stderr


def test_exit_statuses(tmp_path: Path) -> None:
    source = write(tmp_path / "in", native(300))
    for args in ([], [source], [source, "--output", source], ["--output", "x"],
                 [source, "--output", tmp_path / "o", "--format", "csv"],
                 [source, "--output", tmp_path / "o", "--map", "completion"],
                 [source, "--output", tmp_path / "o", "--map", "what=.x"],
                 [source, "--output", tmp_path / "o", "--verifier", "nobody"],
                 [source, "--output", tmp_path / "o", "--verifier", "x=/no/such/program"],
                 [source, "--output", tmp_path / "o", "--reward", "[]"],
                 [source, "--output", tmp_path / "o", "--shard", "3/3"],
                 [source, "--output", "-", "--resume"],
                 [source, "--output", tmp_path / "o", "--summary", "xml"]):
        done = run("score", *args)
        assert done.returncode == 2, args
        assert done.stderr.decode().strip().count("\n") == 0 and not (tmp_path / "o").exists()
    for missing in ("nowhere", str(tmp_path)):
        assert run("score", missing, "--output", tmp_path / "o").returncode == 3
    done = run("score", source, "--output", "/dev/full", "--verifier", "math")
    assert done.returncode == 4 and b"No space" in done.stderr
    done = run("score", source, "--output", tmp_path / "no" / "o", "--verifier", "math")
    assert done.returncode == 4
    done = run("score", source, "--output", "-", "--verifier", "math")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 300
    assert b"pass@4" in done.stderr  # the summary goes where the rows do not


# ---- external verifiers, summaries


def test_external_verifiers(tmp_path: Path) -> None:
    command = f"words={sys.executable} {VERIFIERS / 'word_count.py'}"
    lines: List[Any] = [{"completion": "a " * n, "reward": [
        {"verifier": "words", "at_least": 3}, {"verifier": "exact", "gold": "a a"}]}
        for n in range(6)]
    lines.insert(3, "bad")
    for jobs in ("-j1", "-j3"):
        status, rows, _, stderr = score(tmp_path, lines, "--verifier", command, jobs)
        assert status == 1, stderr
        assert [r["index"] for r in rows] == list(range(7))
        assert [len(r["reward"]["terms"]) for r in rows if r["reward"]] == [2] * 6
        assert values(rows)[0] == 0 and values(rows)[2] == values(rows)[6] == 1.0
    crash = "dies=/bin/sh -c 'read x; exit 1'"
    status, rows, _, _ = score(tmp_path, [{"completion": "a", "gold": 1}] * 2, "--verifier", crash)
    assert status == 1 and [r["reward"]["status"] for r in rows] == ["crash", "crash"]


ASKS_FOR_A_SOCKET = """
import json, socket, sys
for line in sys.stdin:
    try:
        socket.socket().close()
        value = 1
    except OSError:
        value = 0
    print(json.dumps({"id": json.loads(line)["id"], "value": value}), flush=True)
"""


@pytest.mark.parametrize("flags, value", [([], 0), (["--verifier-network"], 1)])
def test_external_verifiers_and_the_network(tmp_path: Path, flags: List[str], value: int) -> None:
    program = tmp_path / "asks.py"
    program.write_text(ASKS_FOR_A_SOCKET)
    command = f"asks={sys.executable} {program}"
    line = {"completion": "a", "reward": [{"verifier": "asks"}]}
    status, rows, _, stderr = score(tmp_path, [line], "--verifier", command, *flags)
    assert status == 0, stderr
    assert values(rows) == [value]
    prompt = {"prompt_ids": [5], "sampling": {"max_new_tokens": 2}, "reward": line["reward"]}
    done = run("generate", "--model", ROOT / "examples" / "tiny" / "checkpoint", "--prompts", "-",
               "--output", "-", "--verifier", command, *flags, stdin=json.dumps(prompt).encode())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reward"]["value"] == value


def test_pass_at_k_and_majority(tmp_path: Path) -> None:
    groups = {"a": "1123", "b": "2221", "c": "1111", "d": "2211"}  # the gold is 1
    lines = [{"group": g, "completion": f"\\boxed{{{a}}}", "gold": "1"}
             for g, answers in groups.items() for a in answers]
    random.Random(5).shuffle(lines)
    summary = score(tmp_path, lines, "--verifier", "math")[2]
    shares = [2, 1, 4, 2]
    assert summary["pass_at"]["1"] == pytest.approx(sum(shares) / 16)
    assert summary["pass_at"]["2"] == pytest.approx((5 / 6 + 3 / 6 + 1 + 5 / 6) / 4)
    assert summary["pass_at"]["4"] == 1.0
    assert summary["majority"] == pytest.approx((1 + 0 + 1 + 0.5) / 4)
    assert summary["mean_low"] < summary["mean"] < summary["mean_high"]


def test_summaries_in_words_and_a_picture(tmp_path: Path) -> None:
    source = write(tmp_path / "in", native(40))
    args = [source, "--output", tmp_path / "o", "--verifier", "math", "--label", "label"]
    table = run("score", *args, "--histogram", tmp_path / "h.svg").stdout.decode()
    assert "pass@4" in table and "agreement" in table and "majority@4" in table
    markdown = run("score", *args, "--summary", "md").stdout.decode()
    assert "| pass@1 | 0.6500 | 10 |" in markdown
    assert run("score", *args, "--summary", "off").stdout == b""
    picture = (tmp_path / "h.svg").read_text()
    assert picture.startswith("<svg") and picture.count("<rect") > 4 and "tokens" in picture


def test_a_slow_pipe_is_not_kept_waiting(tmp_path: Path) -> None:
    child = subprocess.Popen([BIN, "score", "-", "--output", "-", "--verifier", "math"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
    assert child.stdin is not None and child.stdout is not None
    for i in range(3):
        child.stdin.write(json.dumps(native(4)[i]).encode() + b"\n")
        child.stdin.flush()
        assert json.loads(child.stdout.readline())["index"] == i
    child.send_signal(signal.SIGINT)  # while it waits for input
    assert child.wait(20) == 130


def test_results_of_ours_are_no_specs(tmp_path: Path) -> None:
    result = {"value": 0.0, "status": "ok", "terms": []}
    spec = {"terms": [{"verifier": "exact", "gold": "\"status\", \"value\""}]}
    lines = [{"text": "\\boxed{1}", "gold": "1", "reward": result, "tokens": [1, 2]},
             {"text": "\"status\", \"value\"", "gold": "1", "reward": spec}]
    assert values(score(tmp_path, lines, "--verifier", "math")[1]) == [1.0, 1.0]


def test_explain(tmp_path: Path) -> None:
    source = write(tmp_path / "in", native(3) + ["bad"])
    done = run("score", source, "--verifier", "math", "--explain", "--record", 1)
    text = done.stdout.decode()
    assert done.returncode == 0 and 'record 1, id "r1": ok, value 1.0' in text
    assert "box" in text and text.count("record ") == 1
    assert "record 3" in run("score", source, "--verifier", "math", "--explain").stdout.decode()


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    """A stream of 100 MB through a program that may have 600 MB of address space."""
    line = (json.dumps({"completion": "word " * 2000 + "\\boxed{1}", "gold": "1"}) + "\n").encode()
    if "address" in BIN:
        pytest.skip("the sanitizer takes terabytes of address space")
    child = subprocess.Popen(["sh", "-c", f"ulimit -v 600000; exec {BIN} score - --output "
                              f"{tmp_path / 'o'} --verifier math --summary off"],
                             stdin=subprocess.PIPE)
    assert child.stdin is not None
    for _ in range(100):
        child.stdin.write(line * 100)
    child.stdin.close()
    assert child.wait(120) == 0
    assert (tmp_path / "o").read_bytes().count(b"\n") == 10000
