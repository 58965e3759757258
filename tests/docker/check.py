"""Checks manifests without a cluster: `check.py FOLDER` renders a kustomization, `check.py FILE` or
`check.py -` takes what was rendered. A sentence for each finding and status 1; 2: nothing to read.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List

import manifests
import rules
import schema
import yaml


def read(where: str) -> List[manifests.Object]:
    if where != "-" and Path(where).is_dir():
        where, text = "-", manifests.render_text(str(Path(where).resolve()))
    else:
        text = sys.stdin.read() if where == "-" else Path(where).read_text()
    return [thing for thing in yaml.safe_load_all(text) if thing is not None]


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: check.py FOLDER | FILE | -", file=sys.stderr)
        return 2
    try:
        objects = read(sys.argv[1])
    except (OSError, AssertionError, yaml.YAMLError) as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 2
    if not objects:
        print(f"{sys.argv[1]}: there is no object in it.", file=sys.stderr)
        return 2
    said = schema.check(objects) or rules.check(objects)
    print("\n".join(said or [f"{len(objects)} objects, nothing to say against them."]))
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
