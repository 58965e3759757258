"""`--math bf16`: how far its log-probabilities are from the exact ones, and that its bits, too,
depend on nothing but the sample. Skipped where the processor multiplies no bf16."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import numpy as np
import pytest

import test_invariance as invariance
from cli import DEVICE, TINY, generate, generate_raw, run

needs_bf16 = pytest.mark.skipif(
    DEVICE != "cpu" or run("bench", "--synthetic", "tiny", "--math", "bf16", "--rows", 1,
                           "--prompt", 8, "--new", 3, "--runs", 1).returncode != 0,
    reason="this processor has no AVX512-BF16")

# Rounding an activation moves it by up to 2^-9 of its value; over the tiny model's six layers
# log-probabilities move by some thousandths, where an expert changes by more (README: measured).
MEAN, LARGEST = 0.01, 1.0


def texts() -> List[Dict[str, Any]]:
    return [{"id": line["id"], "prompt_ids": line["prompt_ids"]}
            for line in invariance.prompts() if len(line["prompt_ids"]) >= 15]


@needs_bf16
def test_error() -> None:
    """The same text scored by both: ids of the exact path's own samples."""
    lines = [{"id": f"{row['id']}/{row['sample']}", "prompt_ids": row["prompt_ids"] + row["tokens"]}
             for row in generate(TINY, texts(), "--n", 4, "--max-new-tokens", 100, "--ignore-eos")]
    flags = ["--max-new-tokens", 0, "--prompt-logprobs"]
    exact, rounded = generate(TINY, lines, *flags), generate(TINY, lines, *flags, "--math", "bf16")
    gaps = np.concatenate([np.abs(np.array(a["prompt_lp_full"][1:])
                                  - np.array(b["prompt_lp_full"][1:]))
                           for a, b in zip(exact, rounded, strict=True)])
    print(f"{len(gaps)} log-probabilities: mean {gaps.mean():.2e}, "
          f"99% {np.quantile(gaps, 0.99):.2e}, largest {gaps.max():.2e}")
    assert len(gaps) > 3000 and 0 < gaps.mean() < MEAN and gaps.max() < LARGEST


@needs_bf16
def test_bits_do_not_depend_on_company() -> None:
    alone: Dict[Any, Any] = {}
    for line in invariance.prompts():
        alone.update(invariance.run([line], "--max-rows", 1, "--threads", 1, "--math", "bf16"))
    batch = invariance.run(invariance.strangers(20) + invariance.prompts(), "--prefill-chunk", 16,
                           "--math", "bf16")
    assert batch == alone


@needs_bf16
def test_numerics_tells_them_apart() -> None:
    names = [json.loads(run("bench", "--synthetic", "tiny", "--rows", 1, "--prompt", 8, "--new", 3,
                            "--json", *flags).stdout)["numerics"].split()[0]
             for flags in ([], ["--math", "exact"], ["--math", "bf16"])]
    assert names[0] == names[1] != names[2]


@pytest.mark.skipif(DEVICE != "cpu", reason="a flag of the CPU backend")
@pytest.mark.parametrize("flags,words", [
    (["--math", "fp8"], "expected exact or bf16"),
    (["--math", "bf16", "--device", "cpu/portable"], "not 'cpu/portable'")])
def test_refusals(flags: List[str], words: str) -> None:
    status, _, stderr = generate_raw(TINY, texts(), *flags)
    assert status == 2 and words in stderr
