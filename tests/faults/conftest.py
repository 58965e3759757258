"""Fault tests use the helpers of tests/python too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))


def pytest_configure(config):
    line = "sanitized: quick, and run with the sanitizers' build too (.ci/run)"
    config.addinivalue_line("markers", line)
