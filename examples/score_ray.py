"""Grades a data set with Ray Data: the graders of `stampede score` on every machine of a cluster.

    python examples/score_ray.py rollouts/*.jsonl --gold answer --output graded/

Each row needs a completion and a gold (or a column `reward`, as interface section "Rewards" has
it); rows come out with `value`, `status` and `terms`. Ray calls `Grader` with batches of rows; the
library is loaded once a process. Needs `pip install ray[data]`.
"""

from __future__ import annotations

import argparse
import json
from typing import Any, Dict

import stampede


class Grader:
    """A batch (columns by name) with three more columns."""

    def __init__(self, completion: str = "completion", gold: str = "gold",
                 verifier: str = "math", reward: str = "reward") -> None:
        self.completion, self.gold = completion, gold
        self.verifier, self.reward = verifier, reward

    def __call__(self, batch: Dict[str, Any]) -> Dict[str, Any]:
        if self.reward in batch:
            # A column of JSON is a column of texts: Arrow has one type for a whole column.
            rewards = [json.loads(r) if isinstance(r, str) else r for r in batch[self.reward]]
        else:
            rewards = [[stampede.term(self.verifier, gold=str(gold))] for gold in batch[self.gold]]
        results = stampede.score([str(text) for text in batch[self.completion]], rewards)
        return {**batch,
                "value": [r["value"] for r in results],
                "status": [r["status"] for r in results],
                "terms": [json.dumps(r["terms"]) for r in results]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", help="JSON lines or Parquet, files or folders")
    parser.add_argument("--output", required=True, help="folder for JSON lines")
    parser.add_argument("--completion", default="completion", help="column (default completion)")
    parser.add_argument("--gold", default="gold", help="column (default gold)")
    parser.add_argument("--verifier", default="math", help="of the golds (default math)")
    parser.add_argument("--batch", type=int, default=4096, help="rows of a batch (default 4096)")
    args = parser.parse_args()

    import ray.data
    parquet = all(path.endswith(".parquet") for path in args.inputs)
    rows = (ray.data.read_parquet if parquet else ray.data.read_json)(args.inputs)
    graded = rows.map_batches(Grader(args.completion, args.gold, args.verifier),
                              batch_size=args.batch)
    graded.write_json(args.output)
    print(f"{graded.count()} rows, mean {graded.mean('value'):.4f}")


if __name__ == "__main__":
    main()
