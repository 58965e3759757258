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
from typing import Any, Dict, Iterable, List, Tuple

import pytest
from transformers import AutoTokenizer

from cli import BIN, ROOT, TINY, run

VERIFIERS = ROOT / "examples" / "verifiers"
Line = Dict[str, Any]


def write(path: Path, lines: Iterable[Any]) -> Path:
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines))
    return path


def read(path: Path) -> List[Line]:
    return [json.loads(x) for x in path.read_text().splitlines()]


def native(n: int) -> List[Line]:
    """Every third answer is wrong; groups of four."""
    return [{"id": f"r{i}", "group": i // 4, "gold": str(i), "label": i % 3 != 0, "n_tokens": 5 + i,
             "meta": {"dataset": "even" if i % 2 == 0 else "odd"},
             "completion": f"So \\boxed{{{i if i % 3 else i + 1}}}."} for i in range(n)]


def score(tmp: Path, source: Any, *flags: Any, stdin: bytes = b"") \
        -> Tuple[int, List[Line], Line, str]:
    """Exit status, rows, summary and stderr."""
    if isinstance(source, list):
        source = write(tmp / "in.jsonl", source)
    out = tmp / "out.jsonl"
    done = run("score", source, "--output", out, "--summary", "json", *flags, stdin=stdin)
    text = done.stdout.decode()
    return (done.returncode, read(out) if out.exists() else [], json.loads(text) if text else {},
            done.stderr.decode())


def values(rows: List[Line]) -> List[Any]:
    return [row["reward"]["value"] if row["reward"] else None for row in rows]


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


def start(*args: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([BIN, "score", *map(str, args)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, start_new_session=True)


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
        if out.exists() and rng.random() < 0.5:  # a torn row, and a torn block of the journal
            for path in (out, Path(f"{out}.journal")):
                if path.exists() and path.stat().st_size:
                    with open(path, "ab") as file:
                        file.write(b"\x00\x01torn"[:rng.randrange(1, 6)])
    done = run("score", *args, "--resume")
    assert kills > 0
    assert done.returncode == 1, done.stderr
    assert out.read_bytes() == (large / "whole").read_bytes()
    assert stable(done.stdout) == stable((large / "summary").read_bytes())
    again = run("score", *args, "--resume")  # nothing is left to do
    assert stable(again.stdout) == stable((large / "summary").read_bytes())
    assert out.read_bytes() == (large / "whole").read_bytes()


def test_resume_wherever_the_files_were_cut(large: Path) -> None:
    """As a power cut leaves them: any two lengths."""
    rng, out = random.Random(3), large / "cut"
    args = [large / "in.jsonl", "--output", out, "--verifier", "math", "--label", "label",
            "--summary", "off"]
    run("score", *args)
    journal = Path(f"{out}.journal")
    whole, blocks = out.read_bytes(), journal.read_bytes()
    for _ in range(8):
        out.write_bytes(whole[:rng.randrange(len(whole))])
        journal.write_bytes(blocks[:rng.randrange(100, len(blocks))])
        assert run("score", *args, "--resume").returncode == 1
        assert out.read_bytes() == (large / "whole").read_bytes()


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


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
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
    status, rows, _, stderr = score(tmp_path, lines, "--verifier", "math", "--on-error", "stop")
    assert status == 1 and [r["index"] for r in rows] == [0, 1] and "stopped" in stderr
    status, rows, summary, _ = score(tmp_path, lines, "--verifier", "math", "--max-errors", 2)
    assert status == 1 and [r["index"] for r in rows] == [0, 1, 2, 3, 4, 5]
    assert summary["n"] == 6


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


# ---- formats


def check_format(tmp: Path, lines: List[Any], name: str, want: List[Any], *flags: Any) \
        -> List[Line]:
    for asked in ("auto", name):
        status, rows, _, stderr = score(tmp, lines, "--verifier", "math", "--format", asked, *flags)
        assert values(rows) == want, (rows, stderr)
        assert status == (1 if None in want else 0), stderr
        assert (f"format is {name}" in stderr) == (asked == "auto")
    return rows


def test_verl(tmp_path: Path) -> None:
    lines = [{"input": "user\n1+1?", "output": f"#### {a}", "gts": "2", "score": 1.0, "step": 3}
             for a in (2, 3)]
    check_format(tmp_path, lines, "verl", [1.0, 0.0])
    assert score(tmp_path, lines, "--verifier", "math")[2]["pass_at"] == {"1": 0.5, "2": 1.0}


def test_trl(tmp_path: Path) -> None:
    chat = [{"role": "assistant", "content": "\\boxed{4}"}]
    lines = [{"step": 1, "prompt": "2+2", "completion": c, "accuracy_reward": 1.0, "advantage": 0.5,
              "answer": "4"} for c in ("\\boxed{4}", chat, "5")]
    check_format(tmp_path, lines, "trl", [1.0, 1.0, 0.0], "--map", "gold=.answer")


def test_open_instruct(tmp_path: Path) -> None:
    base = {"prompt_tokens": [1, 2], "response_tokens": [3], "reward": 1.0, "finish_reason": "stop",
            "dataset": "gsm8k"}
    lines = [{**base, "response": "The answer is 7.", "ground_truth": "7"},
             {**base, "response": "The answer is 7.", "ground_truth": [22, 7]},
             {**base, "ground_truth": "7"}]
    rows = check_format(tmp_path, lines, "open-instruct", [1.0, None, None])
    assert "token ids" in rows[1]["error"] and "token ids" in rows[2]["error"]
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    end = [tokenizer.eos_token_id]
    lines = [{**base, "response_tokens": encode("The answer is 7.") + end,
              "ground_truth": encode(gold) + end, "reward": [{"verifier": "length", "max": 99,
                                                              "soft": 1}] if not gold else 1.0}
             for gold in ("7", "8", "")] + [{**base, "response_tokens": [1, "x"]}]
    rows = check_format(tmp_path, lines, "open-instruct", [1.0, 0.0, 0.0, None], "--tokenizer",
                        TINY)
    assert rows[2]["reward"]["status"] == "ok"  # the tokens were counted


def test_areal(tmp_path: Path) -> None:
    lines = [{"task_id": t, "sample_idx": s, "head_version": 1, "tail_version": 2, "reward": 0.0,
              "prompt": "p", "completion": f"\\boxed{{{s}}}"} for t in ("a", "b") for s in (0, 1)]
    golds = write(tmp_path / "golds.jsonl", [{"id": "b", "gold": "1"}, {"id": "a", "gold": 0}])
    rows = check_format(tmp_path, lines, "areal", [1.0, 0.0, 0.0, 1.0], "--golds", golds)
    assert [r["id"] for r in rows] == ["a", "a", "b", "b"]


def test_lm_eval(tmp_path: Path) -> None:
    lines = [{"doc_id": i, "doc": {"question": "q"}, "target": "3", "arguments": {},
              "resps": [[f"A: {a}" for a in answers]], "filtered_resps": ["x"], "doc_hash": "h",
              "filter": name} for name in ("strict", "flexible")
             for i, answers in enumerate([(3, 4), (3,)])]
    rows = check_format(tmp_path, lines, "lm-eval", [1.0, 0.0, 1.0] * 2)
    assert [(r["id"], r["index"], r.get("sample")) for r in rows[:3]] == [(0, 0, 0), (0, 0, 1),
                                                                          (1, 1, None)]
    summary = score(tmp_path, lines, "--verifier", "math")[2]
    assert summary["groups"] == 4 and set(summary["datasets"]) == {"strict", "flexible"}
    shards = [tmp_path / f"s{i}" for i in range(2)]
    for i, shard in enumerate(shards):
        run("score", tmp_path / "in.jsonl", "--output", shard, "--verifier", "math", "--shard",
            f"{i}/2")
    assert run("score", "--merge", *shards, "--output", tmp_path / "m").returncode == 0
    assert (tmp_path / "m").read_bytes() == (tmp_path / "out.jsonl").read_bytes()


def batch_line(name: str, *texts: str, code: int = 200) -> Line:
    choices = [{"index": i, "message": {"role": "assistant", "content": t}, "finish_reason": "stop"}
               for i, t in enumerate(texts)]
    return {"id": "batch_1", "custom_id": name, "error": None,
            "response": {"status_code": code, "request_id": "r",
                         "body": {"object": "chat.completion", "choices": choices,
                                  "usage": {"completion_tokens": 9}}}}


def test_openai_batch_in_any_order(tmp_path: Path) -> None:
    lines = [batch_line(f"q{i}", f"\\boxed{{{i}}}") for i in range(6)]
    random.Random(4).shuffle(lines)
    lines += [batch_line("q7", "7", "\\boxed{8}"), batch_line("q8", "8", code=500),
              batch_line("unknown", "1"),
              {"custom_id": "q9", "response": None, "error": {"code": "expired"}},
              {"custom_id": "q5", "error": None, "response": {"status_code": 200, "body": {
                  "output": [{"type": "reasoning"}, {"type": "message", "content": [
                      {"type": "output_text", "text": "\\boxed{5}"}]}]}}}]
    golds = write(tmp_path / "golds.jsonl", [{"custom_id": f"q{i}", "gold": str(i)}
                                             for i in range(9)])
    rows = check_format(tmp_path, lines, "openai-batch",
                        [1.0] * 6 + [1.0, 0.0, None, None, None, 1.0], "--golds", golds)
    assert "status 500" in rows[8]["error"] and "no row of --golds" in rows[9]["error"]
    assert "expired" in rows[10]["error"]


def test_map_overlays(tmp_path: Path) -> None:
    lines = [{"data": {"turns": ["q", f"\\boxed{{{i}}}"]}, "ref": [{"a": "1"}], "k": i, "q": "same"}
             for i in range(3)]
    status, rows, summary, _ = score(
        tmp_path, lines, "--verifier", "math", "--map",
        "completion=.data.turns[1],gold=ref[0].a,id=.k,group=.q,label=k")
    assert status == 0 and values(rows) == [0.0, 1.0, 0.0]
    assert [r["id"] for r in rows] == [0, 1, 2] and summary["groups"] == 1
    assert summary["labels"] == {"n": 3, "agreement": pytest.approx(2 / 3),
                                 "right_graded_wrong": 1, "wrong_graded_right": 0}
    assert summary["disagreements"] == [{"index": 2, "value": 0.0}]


def test_golds_are_checked(tmp_path: Path) -> None:
    for rows, word in (([{"id": 1, "gold": 1}, {"id": "1", "gold": 2}], "line 1"),
                       ([{"id": 1}], "gold"), (["{"], "JSON"), ([{"gold": 1}], "custom_id"),
                       ([], "no rows")):
        golds = write(tmp_path / "golds", rows)
        status, _, _, stderr = score(tmp_path, native(2), "--verifier", "math", "--golds", golds)
        assert status == 3 and word in stderr


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
