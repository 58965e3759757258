"""Where the shared libraries are that the package calls."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Iterator, Optional

from .errors import StampedeError


class LibraryError(StampedeError):
    """A shared library is missing, or none of ours."""


def find(name: str, variable: str) -> Optional[Path]:
    """A library's file, which the environment's `variable` may name; None where there is none."""
    return next((path for path in _places(name, variable) if path.exists()), None)


def _places(name: str, variable: str) -> Iterator[Path]:
    """`variable`; beside STAMPEDE_BIN; what a platform wheel brought; build/ of the checkout;
    LD_LIBRARY_PATH; lib of the prefix whose bin has `stampede` on PATH; the usual prefixes."""
    if variable in os.environ:
        yield Path(os.environ[variable])
        return
    package = Path(__file__).resolve().parent
    if "STAMPEDE_BIN" in os.environ:
        yield from _near(os.environ["STAMPEDE_BIN"], name)
    yield package / "lib" / name
    yield package.parents[2] / "build" / name
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder) / name
    program = shutil.which("stampede")
    if program:
        yield from _near(program, name)
    for prefix in (sys.prefix, "/usr/local", "/usr"):
        yield Path(prefix) / "lib" / name


def _near(program: str, name: str) -> Iterator[Path]:
    """Beside a program, as make leaves it, and in ../lib, as make install lays it."""
    folder = Path(program).resolve().parent
    yield folder / name
    yield folder.parent / "lib" / name
