"""Where rules of manifests are registered, and what several of them need. A rule yields sentences;
check() runs all of them over a render."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterator, List, Optional

from manifests import Object

Rule = Callable[[List[Object]], Iterator[str]]
RULES: List[Rule] = []


def rule(function: Rule) -> Rule:
    RULES.append(function)
    return function


def pruned(value: Any) -> Any:
    """As the API server reads it: null is absent."""
    if isinstance(value, dict):
        return {k: pruned(v) for k, v in value.items() if v is not None}
    return [pruned(v) for v in value if v is not None] if isinstance(value, list) else value


def ask(one: Rule, objects: List[Object]) -> List[str]:
    try:
        return list(one(pruned(objects)))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # The schema lets fields be absent that every such object has.
        return [f"The rule of {one.__name__.replace('_', ' ')} cannot read it: {error!r}."]


def check(objects: List[Object]) -> List[str]:
    return [sentence for one in RULES for sentence in ask(one, objects)]


def name_of(thing: Object) -> str:
    return f"{thing['kind']} {thing['metadata'].get('name', '?')}"


def quantity(text: Any) -> Optional[float]:
    """"64Gi" as bytes, "500m" as a half. None: no quantity; another rule says so."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?", str(text))
    scales = {"": 1, "m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
              "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    return float(found[1]) * scales[found[2] or ""] if found else None


def size(text: Any) -> Optional[float]:
    """Of a flag of the program, whose units are powers of two: "16G" as bytes."""
    return quantity(re.sub(r"[KMGT]$", lambda m: f"{m[0]}i", str(text)))


def number(text: Any) -> Optional[int]:
    """None: no number, such as a variable that nobody sets; another rule says so."""
    return int(text) if re.fullmatch(r"\d+", str(text)) else None


def selects(selector: Dict[str, str], labels: Dict[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()
