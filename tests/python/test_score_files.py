"""Files as `stampede score` reads and writes them: interface.md, section 2."""

from __future__ import annotations

import bz2
import fcntl
import gzip
import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, List

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from cli import BIN, run
from score_cli import Line, native, read, score, start, values, write

BOM = "\ufeff"
NAN = float("nan")


# ---- input


def test_byte_order_marks(tmp_path: Path) -> None:
    text = "".join(json.dumps(x) + "\n" for x in native(5))
    want = write(tmp_path / "plain", native(5))
    run("score", want, "--output", tmp_path / "want", "--verifier", "math")
    files = {"a": (BOM + text).encode(), "b": gzip.compress((BOM + text).encode()),
             "c": (BOM + "\n" + text).encode(), "d": text.replace("\n", "\r\n").encode(),
             "e": (BOM + "\r\n" + text).encode()}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        status, _, _, stderr = score(tmp_path, tmp_path / name, "--verifier", "math")
        assert status == 0, (name, stderr)
        assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "want").read_bytes(), name
    # `cat` leaves one in the middle; and of several files each has its own.
    (tmp_path / "f").write_bytes(files["a"] * 2)
    assert values(score(tmp_path, tmp_path / "f", "--verifier", "math")[1]) == [0, 1, 1, 0, 1] * 2
    run("score", tmp_path / "a", tmp_path / "a", "--output", tmp_path / "two", "--verifier", "math")
    assert len(read(tmp_path / "two")) == 10
    status, rows, _, _ = score(tmp_path, "-", "--verifier", "math", stdin=files["a"])
    assert status == 0 and len(rows) == 5
    golds = tmp_path / "golds"
    golds.write_bytes((BOM + '{"id": 1, "gold": "4"}\n').encode())
    status, rows, _, stderr = score(tmp_path, [{"id": 1, "completion": "4"}], "--verifier", "math",
                                    "--golds", golds)
    assert values(rows) == [1.0], stderr
    for empty in (b"", BOM.encode(), b"\n\n"):
        (tmp_path / "empty").write_bytes(empty)
        assert score(tmp_path, tmp_path / "empty", "--verifier", "math")[0] == 0


def test_nan_and_infinity(tmp_path: Path) -> None:
    """As json.dumps writes them: the row and its id live."""
    good = {"completion": "4", "gold": "4"}
    lines: List[Line] = [
        {"id": "a", "score": NAN, "advantage": -float("inf"), "lp": [NAN, 1.0], **good},
        {"id": "b", "meta": {"x": [float("inf")]}, "label": NAN, "group": NAN, **good},
        {"id": {"x": NAN}, **good}, {"id": NAN, **good},
        {"id": "c", "completion": "4", "gold": NAN}, {"id": "d", "completion": NAN, "gold": "4"},
        {"id": "e", "n_tokens": NAN, **good}, {"id": "f", "n_tokens": 31.0, **good},
        {"id": "g", "n_tokens": 31.5, **good}, {"id": "h", "n_tokens": float("inf"), **good},
        {"id": "i", "reward": NAN, **good}, {"id": "j", "prompt": NAN, "dataset": NAN, **good},
        {"id": "k", "completion": ["4", NAN], "gold": "4"},
        {"id": "l", "completion": "4", "reward": [{"verifier": "math", "gold": 4, "weight": NAN}]},
        {"id": "m", "completion": "4", "gold": float("inf")},
    ]
    status, rows, summary, _ = score(tmp_path, lines, "--verifier", "math", "--label", "label")
    assert status == 1
    assert [r["id"] for r in rows] == ["a", "b", 2, 3, *"cdefghijklm"]
    assert values(rows) == [1, 1, 1, 1, None, None, None, 1, None, None, 1, 1, None, None, None]
    for row, words in ((4, "Its gold is NaN"), (5, "The completion is NaN"),
                       (6, "\"n_tokens\" is NaN"), (8, "31.5"), (9, "Infinity"),
                       (12, "completion is NaN"), (13, "NaN"), (14, "Infinity")):
        error = rows[row]["error"]
        assert words in error and error.endswith("."), error
    assert ":NaN" not in (tmp_path / "out.jsonl").read_text()
    # No other word is a number, nor is one of these in a file that is not Python's.
    bad = ['{"completion": "4", "gold": nan}', '{"completion": "4", "gold": +Infinity}',
           '{"completion": "4", "gold": "4", "x": NaNs}', '{"completion": "4", "x": Inf}']
    assert values(score(tmp_path, bad, "--verifier", "math")[1]) == [None] * 4


@pytest.mark.parametrize("indent", [1, 2, 4, "\t"])
@pytest.mark.parametrize("packed", [False, True])
def test_an_indented_list_is_one_sentence(tmp_path: Path, indent: Any, packed: bool) -> None:
    for value in (native(50), native(50)[0], {"rows": native(50)}):
        text = json.dumps(value, indent=indent).encode()
        source = tmp_path / "in.jsonl"
        source.write_bytes(gzip.compress(text) if packed else text)
        status, rows, _, stderr = score(tmp_path, source, "--verifier", "math")
        assert status == 3 and not rows and stderr.count("\n") == 1, stderr
        assert "in.jsonl" in stderr and "many lines" in stderr
        assert not (tmp_path / "out.jsonl").exists()
        status, _, _, stderr = score(tmp_path, "-", "--verifier", "math", stdin=source.read_bytes())
        assert status == 3 and stderr.count("\n") == 1
    # A record that is cut is one bad record.
    status, rows, _, _ = score(tmp_path, ['{"completion": ', *native(2)], "--verifier", "math")
    assert status == 1 and len(rows) == 3


def test_one_list_in_one_line(tmp_path: Path) -> None:
    status, rows, _, _ = score(tmp_path, [json.dumps(native(3))], "--verifier", "math")
    assert status == 1 and len(rows) == 1 and "list" in rows[0]["error"]


def test_files_that_hold_no_lines(tmp_path: Path) -> None:
    table = pyarrow.Table.from_pylist([{"completion": "4", "gold": "4"}])
    pyarrow.parquet.write_table(table, tmp_path / "parquet")
    pyarrow.feather.write_feather(table, tmp_path / "arrow")
    text = json.dumps({"completion": "4", "gold": "4"}) + "\n"
    (tmp_path / "utf-16").write_bytes(text.encode("utf-16"))
    shutil.make_archive(str(tmp_path / "z"), "zip", tmp_path, "utf-16")
    for name in ("parquet", "arrow", "utf-16", "z.zip"):
        status, rows, _, stderr = score(tmp_path, tmp_path / name, "--verifier", "math")
        assert status == 3 and not rows and stderr.count("\n") == 1, (name, stderr)
        assert str(tmp_path / name) in stderr
    for tool, packed in (("bzip2", bz2.compress(b"{}")), ("xz", lzma.compress(b"{}"))):
        status, _, _, stderr = score(tmp_path, "-", "--verifier", "math", stdin=packed)
        assert status == 3 and tool in stderr, stderr


# ---- output


SLOW = (f"slow={sys.executable} -u -c 'import sys,time,json\n"
        "for line in sys.stdin:\n"
        " time.sleep(0.004); print(json.dumps(dict(id=json.loads(line)[\"id\"],value=1)))'")


def slow_args(tmp: Path, out: Path, n: int = 1200) -> List[Any]:
    source = write(tmp / "slow.jsonl", native(n))
    return [source, "--output", out, "--verifier", SLOW, "--reward", '[{"verifier": "slow"}]',
            "--summary", "off", "-j2"]


def wait_for(what: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def has_rows(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


@pytest.mark.parametrize("which", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("shard", [[], ["--shard", "1/2"]])
def test_an_output_has_its_name_when_it_is_complete(tmp_path: Path, which: signal.Signals,
                                                    shard: List[str]) -> None:
    out, part = tmp_path / "o", tmp_path / "o.part"
    out.write_text("what was there\n")
    args = [*slow_args(tmp_path, out), *shard]
    child = start(*args)
    wait_for(lambda: has_rows(part))
    assert out.read_text() == "what was there\n"
    child.send_signal(which)  # the program alone, not its children
    status = child.wait(20)
    assert status == (-which if which == signal.SIGKILL else 128 + which)
    assert out.read_text() == "what was there\n" and part.exists()
    assert all(line.endswith(b"\n") for line in part.read_bytes().splitlines(True)[:-1])
    refused = run("score", "--merge", out, "--output", tmp_path / "m")
    assert refused.returncode == 3 and not (tmp_path / "m").exists()
    # Its children end with it.
    wait_for(lambda: subprocess.run(["ps", "-o", "pid=", "-s", str(child.pid)], check=False,
                                    capture_output=True).stdout.strip() == b"")
    done = run("score", *args, "--resume")
    assert done.returncode == 0, done.stderr
    assert not part.exists()
    assert [r["index"] for r in read(out)] == list(range(1200))[bool(shard)::2 if shard else 1]


def test_a_killed_run_that_begins_anew(tmp_path: Path) -> None:
    out, part = tmp_path / "o", tmp_path / "o.part"
    args = slow_args(tmp_path, out)
    child = start(*args)
    wait_for(lambda: has_rows(part))
    child.kill()
    child.wait()
    source = write(tmp_path / "in.jsonl", native(3))
    assert run("score", source, "--output", out, "--verifier", "math").returncode == 0
    assert len(read(out)) == 3 and not part.exists()
    assert run("score", source, "--output", out, "--verifier", "math",
               "--resume").returncode == 0  # nothing is left to do


def test_killed_workers(tmp_path: Path) -> None:
    """Each child that dies is replaced, and its batch is graded again."""
    out = tmp_path / "o"
    child = start(*slow_args(tmp_path, out))
    for _ in range(3):
        wait_for(lambda: has_rows(tmp_path / "o.part"))
        time.sleep(0.2)
        for pid in subprocess.run(["ps", "-o", "pid=", "--ppid", str(child.pid)], check=False,
                                  capture_output=True, text=True).stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
    status = child.wait(120)
    rows = read(out)
    assert [r["index"] for r in rows] == list(range(1200))
    # A record at which its process died twice is told; that takes the luck of two kills.
    bad = [r for r in rows if r["reward"]["status"] != "ok"]
    assert all(r["reward"]["status"] == "crash" for r in bad) and status == bool(bad)
    assert len(bad) <= 4


def test_two_runs_of_one_output(tmp_path: Path) -> None:
    out, part = tmp_path / "o", tmp_path / "o.part"
    args = slow_args(tmp_path, out)
    child = start(*args)
    wait_for(lambda: has_rows(part))
    source = write(tmp_path / "in.jsonl", native(3))
    assert run("score", source, "--output", tmp_path / "m", "--verifier", "math").returncode == 0
    for others in ([*args], [*args, "--resume"], ["--merge", tmp_path / "m", "--output", out]):
        done = run("score", *others)
        assert done.returncode == 2 and b"Another run" in done.stderr, done.stderr
        assert part.exists()
    assert child.wait(120) == 0
    assert [r["index"] for r in read(out)] == list(range(1200))


def test_merges_have_their_name_when_they_are_complete(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", native(100))
    shards = [tmp_path / f"s{i}" for i in range(2)]
    for i, shard in enumerate(shards):
        run("score", source, "--output", shard, "--verifier", "math", "--shard", f"{i}/2")
    out = tmp_path / "m"
    out.write_text("what was there\n")
    done = subprocess.run(["sh", "-c", f"ulimit -f 16; exec {BIN} score --merge {shards[0]} "
                           f"{shards[1]} --output {out}"], capture_output=True, check=False)
    assert done.returncode == 4 and b"File too large" in done.stderr, done.stderr
    assert out.read_text() == "what was there\n"
    assert run("score", "--merge", *shards, "--output", out).returncode == 0
    assert len(read(out)) == 100 and not (tmp_path / "m.part").exists()
    for same in (shards[0], tmp_path / "." / "s1"):
        done = run("score", "--merge", *shards, "--output", same)
        assert done.returncode == 2, done.stderr
        assert len(read(Path(same))) == 50
    done = run("score", "--merge", *shards, "--output", "-")
    assert done.returncode == 0 and done.stdout == out.read_bytes()


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", native(3000)), tmp_path / "o"
    args = f"{source} --output {out} --verifier math --summary off"
    done = subprocess.run(["sh", "-c", f"ulimit -f 64; exec {BIN} score {args}"],
                          capture_output=True, check=False)
    assert done.returncode == 4 and b"File too large" in done.stderr, done.stderr
    assert not out.exists()
    assert run("score", *args.split(), "--resume").returncode == 0
    assert len(read(out)) == 3000


@pytest.mark.parametrize("args", [[], ["--on-error", "stop"]])
def test_streams_are_written_as_they_are(tmp_path: Path, args: List[str]) -> None:
    source = write(tmp_path / "in.jsonl", native(300))
    plain = run("score", source, "--output", tmp_path / "o", "--verifier", "math", *args)
    assert plain.returncode == 0
    want = (tmp_path / "o").read_bytes()
    for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        done = run("score", source, "--output", name, "--verifier", "math", "--summary", "off",
                   *args)
        assert done.returncode == 0 and done.stdout == want, (name, done.stderr)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    child = start(source, "--output", fifo, "--verifier", "math", "--summary", "off", *args)
    assert fifo.read_bytes() == want
    assert child.wait(20) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fifo", "in.jsonl", "o", "o.journal"]
    done = run("score", source, "--output", "/dev/full", "--verifier", "math", *args)
    assert done.returncode == 4 and b"No space" in done.stderr
    # A reader that goes away.
    child = subprocess.Popen([BIN, "score", source, "--output", "-", "--verifier", "math"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.close()
    assert child.wait(20) == 4


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    source, link = write(tmp_path / "in.jsonl", native(3)), tmp_path / "link"
    link.symlink_to(Path("far") / "o")
    for _ in range(2):
        assert run("score", source, "--output", link, "--verifier", "math").returncode == 0
        assert link.is_symlink() and len(read(tmp_path / "far" / "o")) == 3
        assert not list(tmp_path.rglob("*.part"))
    assert run("score", link, "--output", tmp_path / "far" / "o", "--verifier",
               "math").returncode == 2
    for name in ("link", "link.part", "link.journal"):
        write(tmp_path / name, native(2))
        done = run("score", tmp_path / name, "--output", link, "--verifier", "math")
        assert done.returncode == 2 and f"{name} is an input too".encode() in done.stderr
        done = run("score", source, "--output", link, "--verifier", "math", "--golds",
                   tmp_path / name)
        assert done.returncode == 2 and len(read(tmp_path / name)) == 2


def test_modes_are_kept(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", native(3)), tmp_path / "o"
    out.touch(0o600)
    assert run("score", source, "--output", out, "--verifier", "math").returncode == 0
    assert len(read(out)) == 3 and out.stat().st_mode & 0o777 == 0o600


def test_what_stands_in_the_way(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", native(3)), tmp_path / "o"
    (tmp_path / "o.part").mkdir()
    done = run("score", source, "--output", out, "--verifier", "math")
    assert done.returncode == 4 and b"o.part" in done.stderr and not out.exists()
    (tmp_path / "o.part").rmdir()
    out.mkdir()
    done = run("score", source, "--output", out, "--verifier", "math")
    assert done.returncode == 4 and done.stderr.count(b"\n") == 1
    out.rmdir()
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for name in ("a", "no/such/folder", "in.jsonl/o"):
        done = run("score", source, "--output", tmp_path / name, "--verifier", "math")
        assert done.returncode == 4 and done.stderr.count(b"\n") == 1, (name, done.stderr)
    assert (tmp_path / "a").is_symlink() and (tmp_path / "b").is_symlink()
    (tmp_path / "o.part").write_text("no row")  # of a run that has no journal any more
    assert run("score", source, "--output", out, "--verifier", "math").returncode == 0
    assert len(read(out)) == 3
    with open(tmp_path / "o.journal", "rb") as journal:  # a lock of someone else's
        fcntl.flock(journal, fcntl.LOCK_SH)
        assert run("score", source, "--output", out, "--verifier", "math").returncode in (0, 2)
