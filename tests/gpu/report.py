"""report.md and report.json of a check, and the table that ends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Sequence

if TYPE_CHECKING:
    from parts import Result, Run


def markdown(rows: Sequence[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(str(c).replace("|", "/") for c in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0])] + lines[1:])


def write(out: Path, run: "Run", results: List["Result"]) -> None:
    summary = [("part", "status", "seconds", "says")]
    summary += [(r.name, r.status, f"{r.seconds:.0f}", r.words) for r in results]
    tables = [f"## {r.name}\n\n{markdown(r.table)}\n" for r in results if r.table]
    head = "# The CUDA backend on " + str(run.figures.get("gpu", run.device))
    text = "\n".join([head, "", markdown(summary), ""] + tables)
    (out / "report.md").write_text(text, encoding="utf-8")
    (out / "report.json").write_text(json.dumps(
        {"device": run.device, **run.figures, "parts": [vars(r) for r in results]}, indent=1,
        default=str), encoding="utf-8")
    print(text)
