"""The paths with AMX, whose instructions are emulated (tests/amx): no machine here has them.
Skipped where the processor lacks the rest of these paths, AVX-512 with bf16."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest

import cli
import test_invariance as invariance
from cli import DEVICE, TINY, generate

BUILD = Path(cli.BIN).resolve().parent
EMULATED = BUILD / "amx"
WORKER = EMULATED / "stampede"


def has_rest() -> bool:
    cpu = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    return all(word in cpu for word in ("avx512_bf16", "avx512_vnni", "avx512dq"))


needs_rest = pytest.mark.skipif(DEVICE != "cpu" or not has_rest() or not WORKER.exists(),
                                reason="this processor has no AVX-512 with bf16")


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "BIN", str(WORKER))


@needs_rest
@pytest.mark.parametrize("name", ["types", "matmul", "matmul_blocks", "feed_forward"])
def test_kernels(name: str) -> None:
    """Beside float64 twins and the other paths, which are the same functions as ever."""
    done = subprocess.run([EMULATED / f"tests/kernels/test_{name}"], capture_output=True,
                          timeout=200, env={"CMOCKA_MESSAGE_OUTPUT": "TAP"}, check=False)
    output = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0 and re.search(r"^ok 1", output, re.M), output
    assert name != "types" or "paths up to amx" in output


def some_prompts() -> List[Dict[str, Any]]:
    return [line for line in invariance.prompts() if len(line["prompt_ids"]) <= 40]


@needs_rest
@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_block_types_keep_their_bits(kind: str) -> None:
    """Steps of many tokens, by tiles, beside AVX-512 alone; the fastest path is that of tiles."""
    flags = ["--weights", kind, "--prompt-logprobs", "--routed-experts"]
    lines = some_prompts()
    want = generate(TINY, lines, *flags, "--device", "cpu/avx512")
    assert generate(TINY, lines, *flags, "--device", "cpu/amx") == want
    assert generate(TINY, lines, *flags, "--prefill-chunk", 11) == want


@needs_rest
@pytest.mark.usefixtures("emulated")
def test_bf16_bits_do_not_depend_on_company() -> None:
    flags = ["--device", "cpu/amx-bf16"]
    lines = some_prompts()[3:7]
    alone: Dict[Any, Any] = {}
    for line in lines:
        alone.update(invariance.run([line], "--max-rows", 1, "--threads", 1, *flags))
    company = invariance.strangers(5) + lines
    assert invariance.run(company, "--prefill-chunk", 16, "--math", "bf16") == alone
    exact = invariance.run(lines)
    assert exact != alone and exact.keys() == alone.keys()


def instructions(path: str) -> List[str]:
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", BUILD / "obj" / path],
                          capture_output=True, text=True, check=True).stdout
    return re.findall(r"\t([a-z]\w+)", text)


@pytest.mark.skipif(not shutil.which("objdump") or not (BUILD / "obj/kernels/amx_try.o").exists(),
                    reason="no objdump, or no x86-64")
def test_real_instructions() -> None:
    """What the worker itself is built of: a path's products, and the sizes set and given back."""
    around = {"ldtilecfg", "tilerelease", "tileloadd", "tilestored", "tilezero"}
    paths = {"kernels/cpu/matmul_amxbf16.o": "tdpbf16ps"}
    paths |= {f"kernels/types/{kind}_amx.o": "tdpbssd"
              for kind in ("q8_0", "q4_0", "q4_k", "q5_k", "q6_k")}
    for path, product in paths.items():
        assert around | {product} <= set(instructions(path)), path
