"""libstampede_weights.so through ctypes: what is done to each value of a push (kernels/diff).

deltas.py and digest.py call it where it is found and do the same in numpy where it is not, at a
fraction of the speed. ctypes lets go of the GIL for each call, so that threads share the work.
"""

from __future__ import annotations

import ctypes
import logging
import os
from functools import lru_cache
from typing import Any, Optional

import numpy as np

from .library import LibraryError, find

_NAME, _VARIABLE = "libstampede_weights.so", "STAMPEDE_WEIGHTS_LIBRARY"
_ABI = 1
SIZES = (2, 4)  # bytes of a value
_log = logging.getLogger("stampede")


@lru_cache(maxsize=None)
def library() -> Optional[ctypes.CDLL]:
    """The library, or None: numpy is to do it. STAMPEDE_WEIGHTS_LIBRARY names a file, which has to
    be one of ours; empty, it says that there is none."""
    if os.environ.get(_VARIABLE) == "":
        return None
    path = find(_NAME, _VARIABLE)
    try:
        if path is None:
            raise LibraryError(f"No {_NAME}: set {_VARIABLE} or LD_LIBRARY_PATH, or run make in "
                               "the checkout.")
        return _load(str(path))
    except LibraryError as error:
        if _VARIABLE in os.environ:
            raise
        _log.warning("%s Pushes of weights are prepared in numpy, some times slower.", error)
        return None


def _load(path: str) -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL(path)
        abi = lib.stampede_weights_abi()
        if abi != _ABI:
            raise LibraryError(f"{path} has functions of kind {abi}, expected {_ABI}.")
        array, size = ctypes.c_void_p, ctypes.c_size_t
        u32, u64 = ctypes.c_uint32, ctypes.c_uint64
        for name, result, arguments in (
                ("digest_range", u64, [u64, u64, array, size, size]),
                ("digest_positions", u64, [u64, array, array, size, size]),
                ("differing", size, [array, array, size, size, u32, array, array]),
                ("count_skips", None, [array, size, u32, array]),
                ("encode", size, [array, size, u32, size, array]),
                ("anchors", None, [array, size, size, array]),
                ("replace", None, [array, array, array, size, size, array])):
            function = getattr(lib, f"stampede_{name}")
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as e:
        raise LibraryError(f"{path} cannot be used: {e}.") from e
    return lib


def pointer(array: "np.ndarray[Any, Any]") -> int:
    """Of a contiguous array, which has to outlive the call."""
    assert array.flags.c_contiguous
    return int(array.__array_interface__["data"][0])
