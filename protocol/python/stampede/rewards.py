"""Reward terms as plain dicts; verifiers/README.md of the project describes each verifier.

Common keywords of every term: `weight` (default 1), `gate` (a value of 0 makes the whole reward
0) and `name` (default the verifier's name). Kinds are checked here, a ValueError names what cannot
be taken; what a verifier makes of a value is its own to say, as status bad_spec.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import numpy as np

from . import checks
from .errors import ArgumentError, ArgumentTypeError

Term = Dict[str, Any]
Gold = Union[str, int, float]


def term(verifier: str, **keys: Any) -> Term:
    """A term of any verifier, also one that a worker knows by --verifier NAME=COMMAND."""
    where = checks.text("term: verifier", verifier)
    out: Term = {"verifier": where}
    for key, value in keys.items():
        if value is None:
            continue
        if key == "weight":
            value = _plain(f"{where}: weight", value)
        elif key == "gate":
            value = checks.flag(f"{where}: gate", value)
        elif key == "name":
            value = checks.text(f"{where}: name", value)
        out[key] = value
    checks.json_bytes(f"{where}: its keys", out)
    return out


def _plain(where: str, value: Any) -> Union[int, float]:
    """A number of its own kind: 2 stays 2."""
    number = checks.number(where, value)
    return int(value) if isinstance(value, (int, np.integer)) else number


def _texts(where: str, value: Any) -> List[str]:
    return [checks.text(f"{where}[{i}]", text)
            for i, text in enumerate(checks.items(where, value, "a list of texts"))]


def gold_text(where: str, gold: Any) -> str:
    """A gold as text; a number is written as Python writes it."""
    if isinstance(gold, (int, float, np.integer, np.floating)):
        checks.number(where, gold)
        return str(gold)
    return checks.text(where, gold)


def math(gold: Union[Gold, Sequence[Gold]], **keys: Any) -> Term:
    """1 when the answer equals `gold` (LaTeX or text; a list means any of them), else 0."""
    if isinstance(gold, (list, tuple)):
        return term("math", gold=[gold_text(f"math: gold[{i}]", one)
                                  for i, one in enumerate(gold)], **keys)
    return term("math", gold=gold_text("math: gold", gold), **keys)


def exact(gold: str, **keys: Any) -> Term:
    """1 when the text equals `gold` after trimming white space, else 0."""
    return term("exact", gold=checks.text("exact: gold", gold), **keys)


def regex_format(pattern: str, where: str = "search", **keys: Any) -> Term:
    """1 when the PCRE2 `pattern` is found in the text ("search") or is all of it ("full")."""
    where = checks.one_of("regex_format: where", where, "search", "full")
    return term("regex_format", pattern=checks.text("regex_format: pattern", pattern),
                where=where, **keys)


def choice(gold: str, options: Optional[Sequence[str]] = None, **keys: Any) -> Term:
    """1 when the text answers with the letter `gold`, "A" to "J", or with that option's text."""
    return term("choice", gold=checks.text("choice: gold", gold),
                options=None if options is None else _texts("choice: options", options), **keys)


def tags(names: Sequence[str] = (), where: str = "search", opened: bool = False,
         boxed: bool = False, **keys: Any) -> Term:
    """1 when each tag of `names` opens and closes once, in this order and not in one another.

    `where="full"`: there is nothing but white space around and between them. `opened`: the prompt
    ends with the first opening tag. `boxed`: behind thinking, a \\boxed{} is closed.
    """
    where = checks.one_of("tags: where", where, "search", "full")
    if isinstance(names, str):
        raise ArgumentTypeError("tags: names is a string, expected a list of names.")
    return term("tags", tags=_texts("tags: names", names) or None,
                where=None if where == "search" else where,
                opened=checks.flag("tags: opened", opened) or None,
                boxed=checks.flag("tags: boxed", boxed) or None, **keys)


def language(code: str, where: str = "all", **keys: Any) -> Term:
    """1 when the text is in a language ("en", "de", "zh", ...); code and mathematics do not count.

    `where="answer"`: only what is behind </think>.
    """
    where = checks.one_of("language: where", where, "all", "answer")
    return term("language", language=checks.text("language: code", code),
                where=None if where == "all" else where, **keys)


def repetition(ngram: int = 3, max_penalty: float = 1.0, **keys: Any) -> Term:
    """-max_penalty times the share of n-grams of words that occurred before: 0 for none."""
    return term("repetition", ngram=checks.integer("repetition: ngram", ngram, 0, checks.I31),
                max_penalty=_plain("repetition: max_penalty", max_penalty), **keys)


def length(max: int, soft: int = 0, **keys: Any) -> Term:
    """DAPO's soft overlong penalty in tokens: 0 up to max - soft, then down to -1 at max."""
    return term("length", max=checks.integer("length: max", max, 0, checks.I31),
                soft=checks.integer("length: soft", soft, 0, checks.I31), **keys)


def ifeval(instruction_id_list: Sequence[str],
           kwargs: Optional[Sequence[Optional[Mapping[str, Any]]]] = None, mode: str = "strict",
           score: str = "all", where: str = "all", **keys: Any) -> Term:
    """How far the text follows instructions of IFEval, IFBench or IF-RLVR.

    `kwargs` has the arguments of each instruction (default: none has any); None among them counts
    as absent. `mode` is "strict" or "loose"; `score` is "all" (1 or 0) or "fraction".
    `where="answer"`: only what is behind </think>, without <answer> and </answer>.
    """
    mode = checks.one_of("ifeval: mode", mode, "strict", "loose")
    score = checks.one_of("ifeval: score", score, "all", "fraction")
    where = checks.one_of("ifeval: where", where, "all", "answer")
    ids = _texts("ifeval: instruction_id_list", instruction_id_list)
    given = [None] * len(ids) if kwargs is None else checks.items(
        "ifeval: kwargs", kwargs, "a list of dicts, or of None")
    if len(given) != len(ids):
        raise ArgumentError(f"ifeval: kwargs has {len(given)} elements for {len(ids)} "
                            "instructions, expected one each.")
    arguments: List[Dict[str, Any]] = []
    for i, one in enumerate(given):
        if one is not None and not isinstance(one, Mapping):
            raise checks.refuse_kind(f"ifeval: kwargs[{i}]", one, "a dict or None")
        arguments.append(dict(one or {}))
    return term("ifeval", instruction_id_list=ids, kwargs=arguments, mode=mode, score=score,
                where=None if where == "all" else where, **keys)
