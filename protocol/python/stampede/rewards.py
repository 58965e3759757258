"""Reward terms as plain dicts; what each verifier takes is in the project's README.

Common keywords of every term: `weight` (default 1), `gate` (a value of 0 makes the whole reward
0) and `name` (default the verifier's name).
"""

from __future__ import annotations

from typing import Any, Dict, Sequence, Union

Term = Dict[str, Any]


def term(verifier: str, **keys: Any) -> Term:
    """A term of any verifier, also one that a worker knows by --verifier NAME=COMMAND."""
    return {"verifier": verifier, **{k: v for k, v in keys.items() if v is not None}}


def math(gold: Union[str, int, float, Sequence[str]], **keys: Any) -> Term:
    """1 when the answer equals `gold` (LaTeX or text; a list means any of them), else 0."""
    if isinstance(gold, (int, float)):
        gold = str(gold)
    return term("math", gold=gold if isinstance(gold, str) else list(gold), **keys)


def exact(gold: str, **keys: Any) -> Term:
    """1 when the text equals `gold` after trimming white space, else 0."""
    return term("exact", gold=gold, **keys)


def regex_format(pattern: str, where: str = "search", **keys: Any) -> Term:
    """1 when the PCRE2 `pattern` is found in the text ("search") or is all of it ("full")."""
    if where not in ("search", "full"):
        raise ValueError(f'regex_format: where is {where!r}, expected "search" or "full".')
    return term("regex_format", pattern=pattern, where=where, **keys)
