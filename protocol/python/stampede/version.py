"""The version of this package: pyproject.toml says it, and nothing else does."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path


def version() -> str:
    """Of the checkout that this file lies in, else of the installed package."""
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    if project.exists():
        found = re.search(r'^name = "stampede"\nversion = "([^"]+)"', project.read_text(), re.M)
        if found:
            return found.group(1)
    return importlib.metadata.version("stampede")
