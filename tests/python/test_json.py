"""The worker's JSON text against Python's json module, which trainers use, on random values."""

import json
import math
import random
import struct
import subprocess
from pathlib import Path

from cli import BIN

TOOL = Path(BIN).parent / "tests/tools/compact"


def dumps(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def compact(lines):
    text = "".join(line + "\n" for line in lines).encode()
    done = subprocess.run([TOOL], input=text, capture_output=True, check=True)
    return done.stdout.decode().split("\n")


def random_float(rng):
    value = struct.unpack("<d", rng.randbytes(8))[0]
    kinds = [value, rng.uniform(-1, 1), round(rng.uniform(0, 1e6), 3),
             math.ldexp(1, rng.randint(-1074, 1023)), float(rng.randint(0, 10**rng.randint(1, 18)))]
    value = rng.choice(kinds)
    return value if math.isfinite(value) else 0.5


def random_text(rng):
    ranges = [(0, 0x7F), (0x20, 0x7E), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF),
              (0x10000, 0x10FFFF)]
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(0, 12)))


def random_value(rng, depth=0):
    kind = rng.randint(0, 5 if depth > 3 else 7)
    if kind == 6:
        return [random_value(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    if kind == 7:
        return {random_text(rng): random_value(rng, depth + 1) for _ in range(rng.randint(0, 4))}
    return [None, rng.random() < 0.5, rng.randint(-10, 10), rng.randint(-(10**25), 10**25),
            random_float(rng), random_text(rng)][kind]


def test_values_are_written_as_python_writes_them():
    rng = random.Random(1)
    values = [random_value(rng) for _ in range(5000)] + [random_float(rng) for _ in range(20000)]
    spaced = [json.dumps(v, indent=rng.choice([None, 1]), ensure_ascii=rng.random() < 0.5)
              for v in values]
    got = compact(line.replace("\n", " ") for line in spaced)
    wrong = [(v, g) for v, g in zip(values, got) if g != dumps(v)]
    assert not wrong, wrong[:3]


def test_damaged_text_is_refused_where_python_refuses_it():
    """Python also takes NaN, Infinity and unpaired surrogates, which RFC 8259 does not have."""
    rng = random.Random(2)
    lines = []
    for _ in range(5000):
        text = list(json.dumps(random_value(rng)))
        for _ in range(rng.randint(1, 3)):
            text[rng.randrange(len(text))] = rng.choice('{}[]",:0123456789.eE+-\\/bnrtu aN\t')
        lines.append("".join(text))
    for line, got in zip(lines, compact(lines)):
        try:
            value = dumps(json.loads(line))
            value.encode()
        except (ValueError, RecursionError):
            assert got == "refused", line
            continue
        if "NaN" not in value and ("Infinity" not in value or "Infinity" not in line):
            assert got == value, line
