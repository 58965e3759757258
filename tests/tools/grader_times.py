"""How long the graders of answers take for texts that repeat one of their own words.

    STAMPEDE_LIBRARY=build/libstampede_verify.so python3 tests/tools/grader_times.py [BYTES]

Every string in the sources of verifiers/math and verifiers/choice is repeated up to BYTES (20,000)
in each of a few frames: behind an answer, in boxes, as lines, as sentences. Told are the slowest
texts, by processor time. A reader that looks at a text once takes some milliseconds; one that goes
over the same run of words from each of its places takes seconds.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Iterator, List, Tuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "protocol/python"))

from stampede import scoring  # noqa: E402

GOLDS = {"math": "12", "choice": "B"}
MAX_WORD, SLOWEST = 40, 20
# What is in front, what is repeated around a word, what is behind.
FRAMES = [("The answer is 12. ", "{} ", ""), ("\\boxed{{12}} ", "{}", ""), ("", "{} ", "12"),
          ("Answer: B\n", "{}\n", ""), ("", "{}. ", "The answer is 12."), ("", "{} 12, ", ""),
          ("", "{}12 ", ""), ("", "{}x\n", ""), ("", "${}$ ", ""), ("", "\\boxed{{{}}} ", ""),
          ("", "The answer is {}. ", ""), ("", "{} B ", "answer: B"), ("", "#### {}\n", "")]


def words() -> List[str]:
    """The strings of the sources."""
    found = set()
    for folder in "math", "choice":
        for file in (ROOT / "verifiers" / folder).rglob("*.c"):
            for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', file.read_text("utf-8")):
                text = re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t", "r": "\r"}.get(m[1], m[1]),
                              text)
                if 0 < len(text) < MAX_WORD and not text.endswith(".h"):
                    found.add(text)
    return sorted(found)


def texts(n_bytes: int) -> Iterator[Tuple[str, str]]:
    for word in words():
        for front, again, behind in FRAMES:
            piece = again.format(word)
            n = n_bytes // len(piece.encode()) + 1
            yield f"{front.format()}{piece}...{behind}", front.format() + piece * n + behind


def main() -> None:
    slowest: List[Tuple[float, str, str]] = []
    for name, text in texts(int(sys.argv[1]) if len(sys.argv) > 1 else 20000):
        for verifier, gold in GOLDS.items():
            start = time.process_time()
            scoring.score([text], [{"verifier": verifier, "gold": gold}])
            slowest.append((time.process_time() - start, verifier, name))
        slowest = sorted(slowest, reverse=True)[:SLOWEST]
    for seconds, verifier, name in slowest:
        print(f"{seconds * 1000:7.1f} ms  {verifier:6}  {name!r}")


if __name__ == "__main__":
    main()
