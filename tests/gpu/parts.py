"""The parts of the check, most telling first: each runs programs of the bundle and judges them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import tiny

# Weights and KV of the benchmark's model beside what the driver takes.
MODELS = (("24b", 72), ("8b", 24), ("2.6b", 12), ("350m", 0))  # name, GiB of the device
ROWS = (1, 16, 64, 256, 1024)


@dataclass
class Result:
    name: str
    status: str = "ok"  # ok, failed, left out
    seconds: float = 0
    words: str = ""
    table: List[Sequence[Any]] = field(default_factory=list)  # first row: heads
    figures: Dict[str, Any] = field(default_factory=dict)


class Failed(Exception):
    """A part did not hold; the text says what."""


class LeftOut(Exception):
    """A part cannot run here; the text says why."""


class Run:
    """Where the bundle lies, the device, and what is known of it."""

    def __init__(self, home: Path, device: str, out: Path, is_quick: bool) -> None:
        self.home, self.device, self.out, self.is_quick = home, device, out, is_quick
        self.figures: Dict[str, Any] = {}
        self._env = dict(os.environ, LD_LIBRARY_PATH=str(home / "lib"), STAMPEDE_DEVICE=device,
                         STAMPEDE_BIN=str(home / "bin" / "stampede"))
        self._log: Any = None

    @property
    def is_emulated(self) -> bool:
        return self.device.startswith("cudasim")

    def program(self, name: str) -> Path:
        """A program of the bundle; those of kernels exist once for the GPU and once emulated."""
        path = self.home / "bin" / (name + ("_sim" if self.is_emulated else ""))
        if not path.exists():
            path = self.home / "bin" / name
        if not path.exists():
            raise LeftOut(f"{name} is not in this bundle")
        return path

    def call(self, *command: Any, limit_s: float) -> Tuple[int, str]:
        """Exit status (124: out of time) and what was printed; all of it goes into the log too."""
        words = [str(c) for c in command]
        self._log.write(f"$ {' '.join(words)}\n")
        self._log.flush()
        try:
            done = subprocess.run(words, env=self._env, cwd=self.home, timeout=limit_s, check=False,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            status, text = done.returncode, done.stdout
        except subprocess.TimeoutExpired as e:
            status, text = 124, e.stdout or b""
        said = text.decode("utf-8", "replace")
        self._log.write(f"{said}[status {status}]\n")
        self._log.flush()
        return status, said

    def part(self, name: str) -> Result:
        result, started = Result(name), time.monotonic()
        print(f"== {name}", flush=True)
        with open(self.out / f"{name}.log", "w", encoding="utf-8") as self._log:
            try:
                PARTS[name](self, result)
            except LeftOut as e:
                result.status, result.words = "left out", str(e)
            except Failed as e:
                result.status, result.words = "failed", str(e)
            except Exception as e:  # pylint: disable=broad-except
                result.status, result.words = "failed", f"{type(e).__name__}: {e}"
        result.seconds = time.monotonic() - started
        print(f"   {result.status} after {result.seconds:.0f} s. {result.words}", flush=True)
        return result


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else "It printed nothing."


def passes(run: Run, result: Result, limit_s: float, *command: Any) -> str:
    """A program that judges by its exit status and says in its last line how it went."""
    status, said = run.call(*command, limit_s=limit_s)
    result.words = last_line(said)
    if status == 124:
        raise Failed(f"It was not done after {limit_s:.0f} s. {result.words}")
    if status:
        bad = [line for line in said.splitlines() if "FAIL" in line]
        raise Failed(f"Status {status}. {'; '.join(bad[:3]) or result.words}"[:500])
    return said


# ---- the parts


def device(run: Run, result: Result) -> None:
    """What this machine is, as the driver and as Stampede name it."""
    if not run.is_emulated and shutil.which("nvidia-smi"):
        asked = "name,driver_version,memory.total,clocks.max.sm,clocks.max.mem"
        status, said = run.call("nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader,nounits",
                                limit_s=30)
        if not status:
            values = [v.strip() for v in said.strip().splitlines()[0].split(",")]
            run.figures.update(zip(("gpu", "driver", "memory_mib", "sm_mhz", "memory_mhz"), values))
    lines = tiny.prompt_lines()[:1]
    _, log = tiny.generate(run, lines, run.device)
    ready = [line for line in log.splitlines() if "engine ready" in line or "numerics" in line]
    result.words = "; ".join(ready)[-300:]
    result.table = [("what", "value")] + sorted(run.figures.items())


def wrappers(run: Run, result: Result) -> None:
    """Every PTX wrapper against its emulated body."""
    passes(run, result, 90, run.program("gpu_wrappers"))


def kernels(run: Run, result: Result) -> None:
    """Every kernel against its float64 twin; bits by number, place and family."""
    passes(run, result, 1500 if run.is_emulated else 120, run.program("kernel_check"),
           *(["--quick"] if run.is_quick else []))


def backend(run: Run, result: Result) -> None:
    """The contract's tests (tests/kernels/test_backend.c) on this device."""
    passes(run, result, 600 if run.is_emulated else 120, run.program("test_backend"))


def model(run: Run, result: Result) -> None:
    """The tiny model against the CPU backend, token by token."""
    problems = tiny.compare(run, result)
    if problems:
        raise Failed("; ".join(problems))


def invariance(run: Run, result: Result) -> None:
    """Bits of tokens and log-probabilities in every company."""
    problems = tiny.invariance(run, result)
    if problems:
        raise Failed("; ".join(problems))


def bench(run: Run, result: Result) -> None:
    """Decode, prefill and the published mix on synthetic weights."""
    memory_gib = int(run.figures.get("memory_mib", 0)) / 1024
    name = "tiny" if run.is_quick else next(n for n, least in MODELS if memory_gib >= least)
    rows = (1, 4) if run.is_quick else ROWS
    shape = ["--prompt", 16, "--new", 8] if run.is_quick else ["--prompt", 1024, "--new", 64]
    command = [run.program("stampede"), "bench", "--device", run.device, "--synthetic", name,
               "--kv-type", "bf16", "--max-rows", max(rows), "--json"]
    if not run.is_quick:
        command += ["--weights", "bf16", "--kv-memory", "24G", "--prefill-chunk", 8192]
    status, said = run.call(*command, "--rows", ",".join(map(str, rows)), *shape, limit_s=240)
    if status:
        raise Failed(f"Status {status}. {last_line(said)}")
    found = json.loads([line for line in said.splitlines() if line.startswith("{")][-1])
    result.figures = {"model": name, **found}
    result.table = [("model", "rows", "step ms", "tok/s")]
    result.table += [(name, p["rows"], f"{p['step_ms']:.2f}", f"{p['tokens_per_s']:,.0f}")
                     for p in found["decode"]]
    result.table.append((name, "prefill", "", f"{found['prefill_tokens_per_s']:,.0f}"))


def times(run: Run, result: Result) -> None:
    """The time of every kernel at the model's sizes, beside the bytes and operations it needs."""
    if run.is_emulated:
        raise LeftOut("an emulator has no times")
    said = passes(run, result, 120, run.program("kernel_check"), "--time")
    rows = [line.split() for line in said.splitlines() if line.strip()]
    result.table = [r for r in rows if len(r) == max(map(len, rows))]


def sanitizer(run: Run, result: Result) -> None:
    """compute-sanitizer over the kernels on small shapes."""
    tool = shutil.which("compute-sanitizer")
    if run.is_emulated or not tool:
        raise LeftOut("there is no compute-sanitizer here")
    result.table = [("tool", "says")]
    for name in ("memcheck", "racecheck", "synccheck"):
        status, said = run.call(tool, "--tool", name, "--error-exitcode", 9,
                                run.program("kernel_check"), "--quick", limit_s=90)
        result.table.append((name, last_line(said)))
        if status:
            raise Failed(f"{name}: status {status}. {last_line(said)}")


PARTS: Dict[str, Callable[[Run, Result], None]] = {
    "device": device, "wrappers": wrappers, "kernels": kernels, "backend": backend, "model": model,
    "invariance": invariance, "bench": bench, "times": times, "sanitizer": sanitizer,
}
