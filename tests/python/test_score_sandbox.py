"""The processes of `stampede score` run in the graders' sandbox."""

import json
import os
import subprocess
import time
from pathlib import Path

from cli import BIN


def facts(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def eventually(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def test_workers_have_no_way_out(tmp_path):
    env = {**os.environ, "SECRET_TOKEN": "do not hand this on"}
    child = subprocess.Popen([BIN, "score", "-", "--verifier", "math", "-j", "2", "--output",
                              str(tmp_path / "out.jsonl")], stdin=subprocess.PIPE, env=env,
                             stdout=subprocess.DEVNULL)
    assert child.stdin is not None
    line = json.dumps({"completion": "\\boxed{4}", "gold": "4"}) + "\n"
    child.stdin.write(line.encode() * 10)
    child.stdin.flush()
    folder = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    eventually(lambda: len(folder.read_text().split()) == 2)
    for pid in folder.read_text().split():
        eventually(lambda pid=pid: facts(pid)["Seccomp"] == "2")
        assert facts(pid)["NoNewPrivs"] == "1"
        assert b"SECRET_TOKEN" not in Path(f"/proc/{pid}/environ").read_bytes()
    child.stdin.close()
    assert child.wait(60) == 0
    rows = [json.loads(row) for row in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["reward"]["value"] for row in rows] == [1.0] * 10
