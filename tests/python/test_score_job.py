"""examples/score_job.yaml: the schema of Kubernetes takes it, and its shards make up the whole."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import kubernetes_validate
import pyarrow
import yaml

from cli import BIN, ROOT, run

JOB = yaml.safe_load((ROOT / "examples" / "score_job.yaml").read_text())


def test_schema() -> None:
    kubernetes_validate.validate(JOB, "1.33", strict=True)


def test_every_index_grades_its_shard(tmp_path: Path) -> None:
    """The pods' own shell line, with /data in a folder of ours; then the merge of its comment."""
    spec = JOB["spec"]
    n = spec["completions"]
    assert spec["parallelism"] <= n and spec["completionMode"] == "Indexed"
    records = [{"id": i, "completion": f"\\boxed{{{i % 7}}}", "gold": str(i % 5)}
               for i in range(100)]
    records[41] = {"id": 41}  # a bad record: status 1, which must not fail its index
    lines = "".join(json.dumps(r) + "\n" for r in records).encode()
    with pyarrow.CompressedOutputStream(str(tmp_path / "completions.jsonl.zst"), "zstd") as out:
        out.write(lines)
    script = spec["template"]["spec"]["containers"][0]["args"][0].replace("/data", str(tmp_path))
    path = f"{Path(BIN).parent}:{os.environ['PATH']}"
    for index in range(n):
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=False,
                              env={**os.environ, "PATH": path, "JOB_COMPLETION_INDEX": str(index)})
        assert done.returncode == 0, done.stderr.decode()
    shards = [tmp_path / f"graded.{i}.jsonl" for i in range(n)]
    assert run("score", "--merge", *shards, "--output", tmp_path / "merged",
               "--summary", "off").returncode == 1
    whole = tmp_path / "whole"
    source = tmp_path / "completions.jsonl.zst"
    assert run("score", source, "--verifier", "math", "--output", whole, "--summary",
               "off").returncode == 1
    assert (tmp_path / "merged").read_bytes() == whole.read_bytes()
