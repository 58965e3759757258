"""Checks of arguments: each returns the value as its plain Python kind, or raises ArgumentError.

`where` is how the sentence begins: the call and the argument's name, such as "generate: n". Numbers
keep their kind: numpy's integers are integers and numpy's floats are floats, a bool is neither, and
no fraction becomes an integer in silence.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
from array import array
from typing import Any, Iterable, List, Optional

import numpy as np

from .errors import ArgumentError, ArgumentTypeError

U63, U64 = (1 << 63) - 1, (1 << 64) - 1
I31 = (1 << 31) - 1
_BOOLS = frozenset((bool, np.bool_))
_INTS = {int}
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
_short.maxlong = 60


def show(value: Any) -> str:
    """repr, but short whatever the value is."""
    try:
        return _short.repr(value)
    except Exception:  # somebody's own __repr__
        return f"a {type(value).__name__}"


def refuse(where: str, value: Any, expected: str) -> ArgumentError:
    return ArgumentError(f"{where} is {show(value)}, expected {expected}.")


def refuse_kind(where: str, value: Any, expected: str) -> ArgumentTypeError:
    return ArgumentTypeError(
        f"{where} is {show(value)} ({type(value).__name__}), expected {expected}.")


def _range(low: int, high: int) -> str:
    names = {I31: "2^31 - 1", U63: "2^63 - 1", U64: "2^64 - 1"}
    return f"an integer from {low} to {names.get(high, f'{high:,}')}"


def integer(where: str, value: Any, low: int, high: int) -> int:
    if type(value) is not int:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
            raise refuse_kind(where, value, _range(low, high))
        value = int(value)
    whole: int = value
    if not low <= whole <= high:
        raise refuse(where, whole, _range(low, high))
    return whole


def number(where: str, value: Any, expected: str = "a finite number") -> float:
    """A finite number as a float; integers are numbers too."""
    if type(value) is not float:
        if isinstance(value, (bool, np.bool_)) or not isinstance(
                value, (int, float, np.integer, np.floating)):
            raise refuse_kind(where, value, expected)
        try:
            value = float(value)
        except OverflowError:
            raise refuse(where, value, expected) from None
    real: float = value
    if not math.isfinite(real):
        raise refuse(where, real, expected)
    return real


def seconds(where: str, value: Any) -> float:
    real = number(where, value, "a number of seconds above 0")
    if not 0 < real <= 1e9:
        raise refuse(where, real, "a number of seconds above 0, at most 1e9")
    return real


def flag(where: str, value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise refuse_kind(where, value, "True or False")


def text(where: str, value: Any) -> str:
    """A str that UTF-8 can carry."""
    if not isinstance(value, str):
        raise refuse_kind(where, value, "a str")
    utf8(where, value)
    return str(value)


def path(where: str, value: Any) -> str:
    """A str or a path; it may not be empty."""
    if not isinstance(value, (str, os.PathLike)):
        raise refuse_kind(where, value, "a path")
    name = os.fspath(value)
    if not isinstance(name, str) or not name or "\0" in name:
        raise refuse(where, value, "a path")
    return name


def utf8(where: str, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(
            f"{where} has {show(value[error.start])} at character {error.start}, half of a "
            "surrogate pair, expected text that UTF-8 can carry.") from None


def one_of(where: str, value: Any, *allowed: str) -> str:
    if isinstance(value, str) and value in allowed:
        return value
    raise refuse(where, value, " or ".join(f'"{name}"' for name in allowed))


def items(where: str, value: Any, expected: str) -> List[Any]:
    """What an iterable that is no text and no map yields."""
    if isinstance(value, (str, bytes, dict)) or not isinstance(value, Iterable):
        raise refuse_kind(where, value, expected)
    return list(value)


def token_ids(where: str, value: Any) -> "np.ndarray[Any, np.dtype[np.int32]]":
    """Token ids, 0 to 2^31 - 1, as int32. No float is taken, whole or not."""
    expected = "a list of token ids from 0 to 2^31 - 1"
    if type(value) is list and set(map(type, value)) == _INTS:  # as nearly always
        try:
            ids = np.frombuffer(array("i", value), "<i4")
        except OverflowError:  # the sentence is made below
            pass
        else:
            if int(ids.min()) >= 0:
                return ids
    if isinstance(value, (str, bytes, dict)):
        raise refuse_kind(where, value, expected)
    try:
        some = np.asarray(value)
    except Exception:  # numpy's reasons are as many as the kinds that it is given
        raise refuse_kind(where, value, expected) from None
    if some.ndim != 1 or (some.size and some.dtype.kind not in "iu"):
        raise refuse_kind(where, value, expected)
    if some.size == 0:
        return np.empty(0, "<i4")
    if isinstance(value, (list, tuple)) and not _BOOLS.isdisjoint(map(type, value)):
        raise refuse_kind(where, value, expected)  # among integers numpy takes them for 0 and 1
    wrong = (some < 0) | (some > I31)
    if wrong.any():
        at = int(wrong.argmax())
        raise refuse(f"{where}[{at}]", int(some[at]), "a token id from 0 to 2^31 - 1")
    return some.astype("<i4")


# --- JSON ---


def _plain(value: Any) -> Any:
    """What json does not know of numpy."""
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.bool_):
        return bool(value)
    raise TypeError(f"{type(value).__name__} {show(value)} is no JSON value")


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False,
                            default=_plain)


def json_bytes(where: str, value: Any, limit: Optional[int] = None) -> bytes:
    """JSON text without spaces and not ASCII-escaped, as UTF-8."""
    try:
        encoded = utf8(where, _ENCODER.encode(value))
    except ArgumentError:
        raise
    except RecursionError:
        raise refuse(where, value, "JSON that is nested less deeply") from None
    except (TypeError, ValueError) as error:
        why = str(error)[:200].rstrip(".")
        raise ArgumentError(f"{where} is {show(value)}, expected a JSON value without NaN and "
                            f"Infinity: {why}.") from None
    if limit is not None and len(encoded) > limit:
        raise ArgumentError(f"{where} has {len(encoded):,} bytes as JSON, expected at most "
                            f"{limit:,}.")
    return encoded
