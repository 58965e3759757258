"""Reward terms as plain dicts; verifiers/README.md of the project describes each verifier.

Common keywords of every term: `weight` (default 1), `gate` (a value of 0 makes the whole reward
0) and `name` (default the verifier's name).
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence, Union

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


def choice(gold: str, options: Optional[Sequence[str]] = None, **keys: Any) -> Term:
    """1 when the text answers with the letter `gold`, "A" to "J", or with that option's text."""
    return term("choice", gold=gold, options=None if options is None else list(options), **keys)


def tags(names: Sequence[str] = (), where: str = "search", opened: bool = False,
         boxed: bool = False, **keys: Any) -> Term:
    """1 when each tag of `names` opens and closes once, in this order and not in one another.

    `where="full"`: there is nothing but white space around and between them. `opened`: the prompt
    ends with the first opening tag. `boxed`: behind thinking, a \\boxed{} is closed.
    """
    if where not in ("search", "full"):
        raise ValueError(f'tags: where is {where!r}, expected "search" or "full".')
    if isinstance(names, str):
        raise TypeError("tags: names is a string, expected a list of names.")
    return term("tags", tags=list(names) or None, where=None if where == "search" else where,
                opened=opened or None, boxed=boxed or None, **keys)


def language(code: str, where: str = "all", **keys: Any) -> Term:
    """1 when the text is in a language ("en", "de", "zh", ...); code and mathematics do not count.

    `where="answer"`: only what is behind </think>.
    """
    if where not in ("all", "answer"):
        raise ValueError(f'language: where is {where!r}, expected "all" or "answer".')
    return term("language", language=code, where=None if where == "all" else where, **keys)


def repetition(ngram: int = 3, max_penalty: float = 1.0, **keys: Any) -> Term:
    """-max_penalty times the share of n-grams of words that occurred before: 0 for none."""
    return term("repetition", ngram=ngram, max_penalty=max_penalty, **keys)


def length(max: int, soft: int = 0, **keys: Any) -> Term:
    """DAPO's soft overlong penalty in tokens: 0 up to max - soft, then down to -1 at max."""
    return term("length", max=max, soft=soft, **keys)


def ifeval(instruction_id_list: Sequence[str],
           kwargs: Optional[Sequence[Optional[Mapping[str, Any]]]] = None, mode: str = "strict",
           score: str = "all", where: str = "all", **keys: Any) -> Term:
    """How far the text follows instructions of IFEval, IFBench or IF-RLVR.

    `kwargs` has the arguments of each instruction (default: none has any); None among them counts
    as absent. `mode` is "strict" or "loose"; `score` is "all" (1 or 0) or "fraction".
    `where="answer"`: only what is behind </think>, without <answer> and </answer>.
    """
    if mode not in ("strict", "loose"):
        raise ValueError(f'ifeval: mode is {mode!r}, expected "strict" or "loose".')
    if score not in ("all", "fraction"):
        raise ValueError(f'ifeval: score is {score!r}, expected "all" or "fraction".')
    if where not in ("all", "answer"):
        raise ValueError(f'ifeval: where is {where!r}, expected "all" or "answer".')
    ids = list(instruction_id_list)
    arguments = [{} for _ in ids] if kwargs is None else [dict(k or {}) for k in kwargs]
    if len(arguments) != len(ids):
        raise ValueError(f"ifeval: kwargs has {len(arguments)} elements for {len(ids)} "
                         "instructions, expected one each.")
    return term("ifeval", instruction_id_list=ids, kwargs=arguments, mode=mode, score=score,
                where=None if where == "all" else where, **keys)
