"""The graders without a worker or a socket: libstampede_verify.so through ctypes.

ctypes lets go of the GIL for each call, so that threads grade side by side.
"""

from __future__ import annotations

import ctypes
import json
import math
from functools import lru_cache
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Union

from . import checks
from .errors import ArgumentError, StampedeError
from .library import LibraryError, find
from .rewards import gold_text
from .types import Reward, reward_json

_MESSAGE_BYTES = 1024
_NAME = "libstampede_verify.so"


@lru_cache(maxsize=None)
def _library() -> ctypes.CDLL:
    path = find(_NAME, "STAMPEDE_LIBRARY")
    if path is None:
        raise LibraryError(f"No {_NAME}: set STAMPEDE_LIBRARY or LD_LIBRARY_PATH, or run make in "
                           "the checkout.")
    try:
        lib = ctypes.CDLL(str(path))
        text, size = ctypes.c_char_p, ctypes.c_size_t
        texts, sizes = ctypes.POINTER(text), ctypes.POINTER(size)
        lib.stampede_score.restype = ctypes.c_void_p
        lib.stampede_score.argtypes = [texts, sizes, size, texts, sizes, size,
                                       ctypes.POINTER(ctypes.c_int64), sizes]
        lib.stampede_equal.argtypes = [text, size, text, size, text, text]
        lib.stampede_extract.restype = ctypes.c_void_p
        lib.stampede_extract.argtypes = [text, size, sizes]
        lib.stampede_free.argtypes = [ctypes.c_void_p]
        lib.stampede_free.restype = None
    except (OSError, AttributeError) as e:
        raise LibraryError(f"{path} cannot be used: {e}.") from e
    return lib


def _bytes(where: str, text: Any) -> bytes:
    """A text that is graded: whatever it holds, since it is data."""
    if not isinstance(text, str):
        raise checks.refuse_kind(where, text, "a str")
    return text.encode("utf-8", "replace")


def _take(lib: ctypes.CDLL, memory: int, size: int) -> str:
    try:
        return ctypes.string_at(memory, size).decode("utf-8")
    finally:
        lib.stampede_free(memory)


def _is_reward(value: Any) -> bool:
    """A term, a list of terms, or {"terms": [...]}: one reward and not one for each."""
    if isinstance(value, Mapping):
        return True
    return isinstance(value, (list, tuple)) and len(value) > 0 and \
        all(isinstance(term, Mapping) and "terms" not in term for term in value)


def _rewards(rewards: Any, n: int) -> List[bytes]:
    if not _is_reward(rewards):
        each = [reward_json(f"score: rewards[{i}]", reward) for i, reward in enumerate(
            checks.items("score: rewards", rewards, "a reward, or a list with one for each"))]
        if len(each) != n:
            raise ArgumentError(f"score: {len(each)} rewards are given, expected one for all or "
                                f"one for each of the {n} completions.")
        return each
    terms = [] if isinstance(rewards, Mapping) else rewards
    names = {(str(term.get("verifier")), str(term.get("name"))) for term in terms}
    if len(terms) == n > 1 and len(names) == 1:
        raise ArgumentError("score: rewards is a list of terms, which is one reward; for one "
                            "reward for each completion write a list of lists: [[term] for term in "
                            "terms].")
    return [reward_json("score: rewards", rewards)]


def _counts(n_tokens: Any, n: int) -> Any:
    if n_tokens is None:
        return None
    counts = [checks.integer(f"score: n_tokens[{i}]", count, 0, checks.U63) for i, count in
              enumerate(checks.items("score: n_tokens", n_tokens, "a list of numbers"))]
    if len(counts) != n:
        raise ArgumentError(f"score: {len(counts)} n_tokens are given, expected {n}.")
    return (ctypes.c_int64 * n)(*counts)


def _array(values: Sequence[bytes]) -> Any:
    return (ctypes.c_char_p * len(values))(*values), \
        (ctypes.c_size_t * len(values))(*map(len, values))


def _nan(value: Optional[float]) -> float:
    return math.nan if value is None else value


def score(completions: Iterable[str], rewards: Union[Reward, Iterable[Reward]],
          n_tokens: Optional[Iterable[int]] = None) -> List[Dict[str, Any]]:
    """Grades texts (a list, a numpy array, a pandas Series).

    `rewards` is one reward for all, or a list (array, Series) with one for each. Each result is
    {"value", "status", "terms"}; a value that does not exist is NaN. A reward that is wrong gives
    the status bad_spec and a sentence as "error". `n_tokens` is what the verifier `length` needs.
    """
    texts = [_bytes(f"score: completions[{i}]", text) for i, text in enumerate(
        checks.items("score: completions", completions, "a list of texts"))]
    specs = _rewards(rewards, len(texts))
    tokens = _counts(n_tokens, len(texts))
    lib, size = _library(), ctypes.c_size_t()
    memory = lib.stampede_score(*_array(texts), len(texts), *_array(specs), len(specs), tokens,
                                ctypes.byref(size))
    results: List[Dict[str, Any]] = json.loads(_take(lib, memory, size.value))
    for result in results:
        result["value"] = _nan(result["value"])
        for term in result["terms"]:
            term["value"] = _nan(term["value"])
    return results


def equal(gold: Any, answer: Optional[str], policy: str = "value") -> bool:
    """Whether a mathematical answer equals a gold (LaTeX or text); no answer (None) does not.

    Not decided is not equal. Raises StampedeError when the gold is not understood.
    """
    left = gold_text("equal: gold", gold).encode("utf-8", "replace")
    how = checks.text("equal: policy", policy)
    if "\0" in how:
        raise checks.refuse("equal: policy", policy, "value, literal or simplified")
    if answer is None:
        return False
    right = _bytes("equal: answer", answer)
    message = ctypes.create_string_buffer(_MESSAGE_BYTES)
    result = _library().stampede_equal(left, len(left), right, len(right),
                                       how.encode(), message)
    if result < 0:
        raise StampedeError(message.value.decode("utf-8", "replace"))
    return bool(result)


def extract(text: str) -> Optional[str]:
    """The part of a completion that is its mathematical answer, or None."""
    raw, lib, size = _bytes("extract: text", text), _library(), ctypes.c_size_t()
    memory = lib.stampede_extract(raw, len(raw), ctypes.byref(size))
    return None if memory is None else _take(lib, memory, size.value)
