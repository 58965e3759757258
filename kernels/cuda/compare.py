#!/usr/bin/env python3
"""Compares two outputs of `stampede generate`: samples up to the first token that differs.

Usage: compare.py EXPECTED FOUND. Log-probabilities of equal tokens; experts of their positions.
"""
import json
import sys


def read(path):
    with open(path) as lines:
        samples = [json.loads(line) for line in lines]
    return {(s["id"], s["sample"]): s for s in samples}


def largest(a, b):
    pairs = [(x, y) for x, y in zip(a or [], b or []) if x is not None and y is not None]
    return max((abs(x - y) for x, y in pairs), default=0)


expected, found = read(sys.argv[1]), read(sys.argv[2])
for key, a in sorted(expected.items()):
    b = found[key]
    pairs = list(zip(a["tokens"], b["tokens"]))
    n = next((i for i, (x, y) in enumerate(pairs) if x != y), len(pairs))
    prompt = largest(a.get("prompt_lp_full"), b.get("prompt_lp_full"))
    routes = [(set(u), set(v)) for x, y in zip(a.get("routed_experts") or [],
                                               b.get("routed_experts") or [])
              for u, v in zip(x, y)]
    print(key, f"{n} of {len(a['tokens'])} tokens alike,",
          f"lp off by {largest(a['lp_full'][:n], b['lp_full'][:n]):.4f},",
          f"the prompt's by {prompt:.4f},",
          f"{sum(u != v for u, v in routes)} of {len(routes)} choices of experts differ")
