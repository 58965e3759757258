"""The folder that `make gpu-bundle` makes for a bare GPU machine, its emulated twin: it is made,
and its program `check` runs to the end and judges. What its parts backend, model and invariance do
here is done by kernels/test_backend.c and test_cuda.py on the same emulator."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from cli import BIN

BUILD = Path(BIN).parent
TOP = Path(__file__).resolve().parents[2]
PARTS = ("device", "wrappers", "kernels", "bench", "gemm", "steps", "times", "sanitizer")
pytestmark = pytest.mark.skipif(
    not (BUILD / "stampede_cudasim.so").exists()
    or not (BUILD / "cudasim/normal/kernels/kernel_check").exists(),
    reason="CUDA was left out: the emulator is not beside the program")


def test_the_check_runs_to_its_end(tmp_path: Path) -> None:
    made = subprocess.run([TOP / "tests/gpu/bundle", BUILD, "emulated"], cwd=TOP, check=False,
                          capture_output=True, text=True, timeout=120)
    assert made.returncode == 0 and "left out" not in made.stdout, made.stdout + made.stderr
    wanted = [word for name in PARTS for word in ("--part", name)]
    done = subprocess.run(
        [BUILD / "gpu-bundle-emulated/check", "--device", "cudasim", "--out", tmp_path, *wanted],
        check=False, capture_output=True, text=True, timeout=380,
        env={**os.environ, "CUDASIM_SMS": "3"})
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "report.json").read_text())
    status = {part["name"]: part["status"] for part in found["parts"]}
    without = "cublaslt" not in (BUILD / "cudasim/state").read_text()
    assert status == {name: "left out" if name in ("steps", "times", "sanitizer")
                      or (name == "gemm" and without) else "ok" for name in PARTS}
    assert "gemm=cublaslt-" in str(found["parts"][4]) or without
    report = (tmp_path / "report.md").read_text()
    assert "0 failed" in report and "| decode | 4 |" in report
