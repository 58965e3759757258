"""Runs the `stampede` program of this build, as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Tuple

ROOT = Path(__file__).resolve().parents[2]
BIN = os.environ.get("STAMPEDE_BIN", str(ROOT / "build" / "stampede"))
TINY = ROOT / "examples" / "tiny" / "checkpoint"
SHARED = ROOT.parent / "shared"
# The device that is tested: flags for the commands that take one.
DEVICE = os.environ.get("STAMPEDE_DEVICE", "cpu")
if DEVICE.startswith("cudasim"):
    os.environ.setdefault("CUDASIM_SMS", "3")  # the emulator's time goes with them
DEVICE_FLAGS = [] if DEVICE == "cpu" else ["--device", DEVICE]

Line = Dict[str, Any]


def run(*args: Any, stdin: bytes = b"", timeout: float = 300) -> subprocess.CompletedProcess:
    """Runs `stampede ARGS` to its end; never raises on an exit status."""
    device = DEVICE_FLAGS if args and args[0] in ("generate", "serve", "bench") else []
    command = [BIN] + [str(a) for a in args[:1]] + device + [str(a) for a in args[1:]]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, check=False)


def generate_raw(model: Any, lines: Iterable[Any], *flags: Any,
                 timeout: float = 300) -> Tuple[int, List[Line], str]:
    """`stampede generate` on prompt lines (objects, or texts as they are).

    Returns the exit status, the output lines, and stderr.
    """
    text = "".join((x if isinstance(x, str) else json.dumps(x, ensure_ascii=False)) + "\n"
                   for x in lines)
    with tempfile.TemporaryDirectory() as folder:
        prompts, output = Path(folder) / "prompts.jsonl", Path(folder) / "output.jsonl"
        prompts.write_text(text, encoding="utf-8")
        done = run("generate", "--model", model, "--prompts", prompts, "--output", output,
                   "--log-level", "debug", "--progress", "never", *flags, timeout=timeout)
        # Not splitlines(): a text may hold U+0085 and U+2028, which JSON leaves as they are.
        rows = [json.loads(x) for x in output.read_text(encoding="utf-8").split("\n") if x] \
            if output.exists() else []
    return done.returncode, rows, done.stderr.decode("utf-8", "replace")


def generate(model: Any, lines: Iterable[Any], *flags: Any, timeout: float = 300) -> List[Line]:
    """The same, when every line is good."""
    status, rows, stderr = generate_raw(model, lines, *flags, timeout=timeout)
    assert status == 0, stderr
    return rows


def promtool() -> Optional[str]:
    """Of Debian's prometheus: as make deps unpacks it, or installed. None: it is not there."""
    unpacked = ROOT / "build" / "tools" / "usr" / "bin" / "promtool"
    return str(unpacked) if unpacked.exists() else shutil.which("promtool")
