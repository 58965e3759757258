"""Runs `stampede score` on records and reads what it wrote."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterable, List, Tuple

from cli import BIN, run

Line = Dict[str, Any]


def write(path: Path, lines: Iterable[Any]) -> Path:
    """Objects as json.dumps writes them; texts as they are."""
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


def start(*args: Any) -> "subprocess.Popen[bytes]":
    """`stampede score` in a session of its own."""
    return subprocess.Popen([BIN, "score", *map(str, args)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, start_new_session=True)
