"""Parquet to JSON lines on stdout, a row group at a time: TRL's logged completions into `score`.

    python examples/score_parquet.py completions/*.parquet |
        stampede score - --format trl --map gold=.answer --verifier math --output graded.jsonl

DuckDB does the same without this script:

    duckdb -c "COPY (FROM 'completions/*.parquet') TO '/dev/stdout' (FORMAT json)" |
        stampede score ...

Needs `pip install pyarrow`.
"""

from __future__ import annotations

import json
import sys
from typing import Iterable, TextIO


def convert(paths: Iterable[str], out: TextIO) -> int:
    """Writes the rows of all files in order; returns how many."""
    import pyarrow.parquet as parquet
    n = 0
    for path in paths:
        file = parquet.ParquetFile(path)
        for batch in file.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                out.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
                n += 1
    return n


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if len(sys.argv) > 1 else 2)
    try:
        convert(sys.argv[1:], sys.stdout)
    except BrokenPipeError:
        sys.exit(1)
