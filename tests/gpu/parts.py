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

import machine
import tiny

# What `bench` runs: the first of these whose least memory (GiB) the device has.
MODELS = (("24b", 72, "29G"), ("8b", 24, "4G"), ("2.6b", 12, "2G"), ("350m", 0, "1G"))
ROWS = (1, 16, 64, 256, 1024)
FAMILIES = ("mma", "wgmma")


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
        self._has: Dict[str, bool] = {}

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

    def has(self, device_name: str) -> bool:
        """Whether the device runs this family: a model opens there."""
        if device_name not in self._has:
            try:
                tiny.generate(self, tiny.prompt_lines(1)[:1], device_name)
                self._has[device_name] = True
            except RuntimeError:
                self._has[device_name] = False
        return self._has[device_name]

    def call(self, *command: Any, limit_s: float, device: str = "") -> Tuple[int, str]:
        """Exit status (124: out of time) and what was printed; all of it goes into the log too."""
        words = [str(c) for c in command]
        self._log.write(f"$ {' '.join(words)}\n")
        self._log.flush()
        try:
            env = dict(self._env, STAMPEDE_DEVICE=device) if device else self._env
            done = subprocess.run(words, env=env, cwd=self.home, timeout=limit_s, check=False,
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


def passes(run: Run, result: Result, limit_s: float, *command: Any, device: str = "") -> str:
    """A program that judges by its exit status and says in its last line how it went."""
    status, said = run.call(*command, limit_s=limit_s, device=device)
    passed = [line.strip() for line in said.splitlines() if "PASSED" in line]
    result.words = passed[-1] if passed else last_line(said)
    if status == 124:
        raise Failed(f"It was not done after {limit_s:.0f} s. {result.words}")
    if status:
        bad = [line for line in said.splitlines() if "FAIL" in line]
        raise Failed(f"Status {status}. {'; '.join(bad[:3]) or result.words}"[:500])
    return said


# ---- the parts


def device(run: Run, result: Result) -> None:
    """What this machine is, and what it can do at best: both ceilings, measured here."""
    if not run.is_emulated:
        run.figures.update(machine.named())
        run.figures.update(machine.ceilings())
    _, log = tiny.generate(run, tiny.prompt_lines()[:1], run.device)
    ready = [line for line in log.splitlines() if "engine ready" in line]
    result.words = ready[-1].partition("engine ready: ")[2] if ready else ""
    run.figures["numerics"] = result.words.partition(",")[0]
    result.table = [("what", "value")] + sorted(run.figures.items())


def wrappers(run: Run, result: Result) -> None:
    """Every PTX wrapper against its emulated body; facts about sums on this device."""
    emulated = run.home / "bin" / "emulated.bin"
    said = passes(run, result, 600 if run.is_emulated else 90, run.program("gpu_wrappers"),
                  "--seeds", 1 if run.is_quick else 3,
                  *(["--against", emulated] if emulated.exists() and not run.is_emulated else []))
    facts = [line[len("# fact "):] for line in said.splitlines() if line.startswith("# fact ")]
    result.table = [("fact",)] + [(f,) for f in facts if "/1:" in f]


def families(run: Run) -> List[str]:
    """The device's name with each family of instructions that it has."""
    names = [f"{run.device}/{family}" for family in FAMILIES]
    return [name for name in names if run.has(name)]


def kernels(run: Run, result: Result) -> None:
    """Every kernel against its float64 twin; bits by number, place and tile."""
    result.table = [("family", "says")]
    for family in FAMILIES:
        passes(run, result, 1200 if run.is_emulated else 90, run.program("kernel_check"),
               "--family", family, *(["--small"] if run.is_quick else []))
        result.table.append((family, result.words))


def backend(run: Run, result: Result) -> None:
    """The contract's tests (tests/kernels/test_backend.c) on this device."""
    result.table = [("device", "says")]
    for name in families(run):
        passes(run, result, 900 if run.is_emulated else 90, run.program("test_backend"),
               device=name)
        result.table.append((name, result.words))


def model(run: Run, result: Result) -> None:
    """The tiny model against the CPU backend, token by token."""
    problems = tiny.compare(run, result, families(run))
    if problems:
        raise Failed("; ".join(problems))


def invariance(run: Run, result: Result) -> None:
    """Bits of tokens and log-probabilities in every company."""
    problems = tiny.invariance(run, result, families(run))
    if problems:
        raise Failed("; ".join(problems))


def bench_flags(run: Run) -> List[Any]:
    """The model that fits, and what it runs with."""
    if run.is_quick:
        return ["--synthetic", "tiny", "--rows", "1,4", "--max-rows", 4, "--prompt", 16, "--new", 6,
                "--in", 12, "--out", 4, "--concurrent", 6]
    memory_gib = int(run.figures.get("memory_mib", 0)) / 1024
    name, kv = next((n, kv) for n, least, kv in MODELS if memory_gib >= least)
    return ["--synthetic", name, "--rows", ",".join(map(str, ROWS)), "--max-rows", max(ROWS),
            "--prompt", 1024, "--new", 32, "--group", 1, "--in", 1024, "--out", 512,
            "--concurrent", 1024, "--max-context", 1600, "--kv-memory", kv, "--suspend-memory",
            "4G", "--prefill-chunk", 8192]


def bench(run: Run, result: Result) -> None:
    """Decode, prefill and the published mix on synthetic weights, beside this device's plan."""
    plan: List[Any] = []
    if "read_gb_s" in run.figures and "product_tflops" in run.figures:
        file = run.out / "device.json"
        file.write_text(json.dumps({
            "name": str(run.figures.get("gpu")), "read_bytes_per_s": 1e9 * run.figures["read_gb_s"],
            "peak_flops": 1e12 * run.figures["product_tflops"], "launch_gap_us": 0.5,
            "memory_bytes": float(run.figures["memory_mib"]) * 2**20}), encoding="utf-8")
        plan = ["--plan", file.resolve(), "--measure"]
    status, said = run.call(run.program("stampede"), "bench", "--device", run.device, "--kv-type",
                            "bf16", "--weights", "bf16", "--json", *bench_flags(run), *plan,
                            limit_s=600 if run.is_emulated else 240)
    if status:
        raise Failed(f"Status {status}. {last_line(said)}")
    found = json.loads([line for line in said.splitlines() if line.startswith("{")][-1])
    result.figures = found
    planned = found.get("plan", {})
    result.table = [("stage", "rows", "step ms", "tok/s", "of the plan")]
    for i, p in enumerate(found["decode"]):
        share = f"{100 * planned['decode'][i]['share']:.0f}%" if planned else ""
        result.table.append(("decode", p["rows"], f"{p['step_ms']:.2f}",
                             f"{p['tokens_per_s']:,.0f}", share))
    share = f"{100 * planned['prefill_share']:.0f}%" if planned else ""
    result.table.append(("prefill", "", "", f"{found['prefill_tokens_per_s']:,.0f}", share))
    mix = found["mix"]
    result.table.append((f"{mix['requests']} requests, {mix['in']} in, {mix['out']} out",
                         "", f"{1000 * mix['seconds']:,.0f} in all",
                         f"{mix['tokens_per_s']:,.0f} in and out", ""))
    result.words = f"{bench_flags(run)[1]}: {mix['tokens_per_s']:,.0f} tokens/s of the mix"


def gemm(run: Run, result: Result) -> None:
    """--gemm cublas: what the library takes over here, that bits stay, and what prefill gains."""
    lines = [{"id": i, "prompt_ids": [5 + (i * 37 + k * k) % 470 for k in range(300)],
              "sampling": {"max_new_tokens": 4, "ignore_eos": True, "seed": i}} for i in range(4)]
    flags = ("--weights", "bf16", "--max-rows", 8, "--max-context", 320, "--prefill-chunk", 640)
    own, _ = tiny.generate(run, lines, run.device, *flags)
    try:
        rows, log = tiny.generate(run, lines, run.device, *flags, "--gemm", "cublas")
    except RuntimeError as e:
        if "--gemm cublas" in str(e):
            raise LeftOut(str(e).rpartition("generate: ")[2]) from e
        raise
    different = sum(a[k] != b[k] for a, b in zip(own, rows) for k in tiny.KEYS)
    if different or len(rows) != len(own):
        raise Failed(f"{different} columns of {len(own)} samples have other bits")
    said = [line for line in log.splitlines() if "--gemm cublas:" in line or "engine ready" in line]
    result.words = said[-1].partition("engine ready: ")[2] if len(said) == 1 else said[0]
    result.table = [("gemm", "prefill, tokens/s")]
    for kind in () if run.is_quick else ("own", "cublas"):
        bench_of = bench_flags(run)
        bench_of[bench_of.index("--rows") + 1] = "1"
        at = bench_of.index("--in")
        status, said_by = run.call(run.program("stampede"), "bench", "--device", run.device,
                                   "--kv-type", "bf16", "--weights", "bf16", "--json", "--gemm",
                                   kind, *bench_of[:at], *bench_of[at + 6:], limit_s=100)
        if status:
            raise Failed(f"Status {status}. {last_line(said_by)}")
        found = json.loads([x for x in said_by.splitlines() if x.startswith("{")][-1])
        result.table.append((kind, f"{found['prefill_tokens_per_s']:,.0f}"))


def steps(run: Run, result: Result) -> None:
    """Where a step's time goes: events around every kernel, all rows of one prompt."""
    if run.is_emulated:
        raise LeftOut("an emulator has no times")
    rows = ("1", "64", "1024")
    result.table = [("kernel",) + tuple(f"us a step, {n} rows" for n in rows)]
    found: Dict[str, List[str]] = {}
    for i, n in enumerate(rows):
        flags = bench_flags(run)
        flags[flags.index("--rows") + 1] = n
        flags[flags.index("--group") + 1] = max(ROWS)
        at = flags.index("--in")
        status, said = run.call(run.program("stampede"), "bench", "--device",
                                f"{run.device}/timed", "--kv-type", "bf16", "--weights", "bf16",
                                *flags[:at], *flags[at + 6:], limit_s=100)
        if status:
            raise Failed(f"Status {status}. {last_line(said)}")
        for line in said.splitlines():
            words = line.split()
            if len(words) == 5 and words[4].endswith("%") and words[0] not in ("prefill", "decode"):
                found.setdefault(words[0], [""] * len(rows))[i] = words[2]
    result.table += [(name, *times) for name, times in found.items()]


def times(run: Run, result: Result) -> None:
    """Every kernel alone, at its best tile, beside the bytes and operations that it needs."""
    if run.is_emulated:
        raise LeftOut("an emulator has no times")
    best: Dict[Tuple[str, int], List[str]] = {}
    family = "wgmma" if "wgmma" in str(run.figures.get("numerics")) else "mma"
    said = passes(run, result, 120, run.program("kernel_check"), "--time", "--large", "--family",
                  family)
    for line in said.splitlines():
        w = line.split()
        if len(w) == 13 and w[0] == "time":
            key = (w[1], int(w[3]))
            if key not in best or float(w[7]) < float(best[key][7]):
                best[key] = w
    read, product = (run.figures.get(k) for k in ("read_gb_s", "product_tflops"))
    result.table = [("kernel", "tokens", "tile", "us", "GB/s", "TFLOP/s", "of the nearer ceiling")]
    for (name, n), w in best.items():
        share = max(float(w[9]) / read, float(w[11]) / product) if read and product else 0
        result.table.append((name, n, w[6], w[7], w[9], w[11], f"{100 * share:.0f}%"))


def sanitizer(run: Run, result: Result) -> None:
    """compute-sanitizer over the backend's tests."""
    tool = shutil.which("compute-sanitizer")
    if run.is_emulated or not tool:
        raise LeftOut("there is no compute-sanitizer here")
    result.table = [("tool", "says")]
    for name in ("memcheck", "racecheck", "synccheck"):
        status, said = run.call(tool, "--tool", name, "--error-exitcode", 9,
                                run.program("test_backend"), limit_s=120)
        result.table.append((name, last_line(said)))
        if status:
            raise Failed(f"{name}: status {status}. {last_line(said)}")


PARTS: Dict[str, Callable[[Run, Result], None]] = {
    "device": device, "wrappers": wrappers, "kernels": kernels, "backend": backend, "model": model,
    "invariance": invariance, "bench": bench, "gemm": gemm, "steps": steps, "times": times,
    "sanitizer": sanitizer,
}
