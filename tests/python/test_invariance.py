"""Design D3: tokens and log-probability bits depend on weights, prompt, settings, seed and sample
number, and on nothing else: not on the batch, the order, chunks, threads, forks, suspension or
drafts."""

from __future__ import annotations

import random
import re
from typing import Any, Dict, List, Tuple

import pytest

from cli import DEVICE, TINY, generate, generate_raw

SETTINGS = {"max_new_tokens": 48, "ignore_eos": True}
KEYS = ("tokens", "lp_full", "lp_behav", "prompt_lp_full", "routed_experts", "finish_reason")


def prompts() -> List[Dict[str, Any]]:
    """Groups with all kinds of lengths and settings; ids fix their draws."""
    rng = random.Random(5)
    out = []
    for i, length in enumerate([1, 2, 15, 16, 17, 33, 40, 70, 129, 200]):
        sampling = dict(SETTINGS, seed=i, temperature=[1.0, 0.7, 0.0][i % 3])
        if i % 4 == 1:
            sampling.update(top_k=20, top_p=0.9, repetition_penalty=1.2)
        out.append({"id": f"g{i}", "prompt_ids": [rng.randrange(5, 475) for _ in range(length)],
                    "n": 3, "sampling": sampling})
    return out


def strangers(n: int) -> List[Dict[str, Any]]:
    rng = random.Random(6)
    return [{"id": f"stranger{i}", "n": 1,
             "prompt_ids": [rng.randrange(5, 475) for _ in range(rng.randrange(1, 120))],
             "sampling": {"max_new_tokens": rng.randrange(1, 90), "ignore_eos": True}}
            for i in range(n)]


def by_sample(rows: List[Dict[str, Any]]) -> Dict[Tuple[str, int], Tuple[Any, ...]]:
    """What must not change, by group and sample. Printed floats are bits: 9 digits."""
    return {(r["id"], r["sample"]): tuple(r[k] for k in KEYS)
            for r in rows if not str(r["id"]).startswith("stranger")}


def earlier() -> List[Dict[str, Any]]:
    """Samples of the same prompts with other seeds: what drafts are guessed from, mostly wrong."""
    return [dict(line, id=f"stranger-{line['id']}", n=4,
                 sampling=dict(line["sampling"], seed=99, temperature=1.0)) for line in prompts()]


def run(lines: List[Dict[str, Any]], *flags: Any) -> Dict[Tuple[str, int], Tuple[Any, ...]]:
    return by_sample(generate(TINY, lines, "--prompt-logprobs", "--routed-experts", *flags))


@pytest.fixture(scope="module")
def truth() -> Dict[Tuple[str, int], Tuple[Any, ...]]:
    """Every sample alone in the worker, one thread: nobody to depend on."""
    out = {}
    for line in prompts():
        out.update(run([line], "--max-rows", 1, "--threads", 1, "--draft", "off"))
    assert len(out) == 30
    return out


CASES = {
    "in one batch": ([], ()),
    "one thread": ([], ("--threads", 1)),
    "two threads": ([], ("--threads", 2)),
    "among 64 strangers": (strangers(64), ()),
    "chunks of 1": ([], ("--prefill-chunk", 1)),
    "chunks of 16": (strangers(10), ("--prefill-chunk", 16)),
    "chunks of 512": (strangers(10), ("--prefill-chunk", 512)),
    "chunks of 7, 5 rows": (strangers(10), ("--prefill-chunk", 7, "--max-rows", 5)),
    "without drafts": (earlier(), ("--draft", "off")),
    "drafts of 1": (earlier(), ("--draft", 1)),
    "drafts of 3, 5 rows": (earlier(), ("--draft", 3, "--max-rows", 5)),
    "drafts of 8, chunks of 1": (earlier() + strangers(10), ("--draft", 8, "--prefill-chunk", 1)),
    "drafts of 16": (earlier(), ("--draft", 16)),
    "drafts of 64 with little memory": (earlier(), ("--draft", 64, "--draft-memory", 4096)),
    "drafts by the policy, 4 rows": (earlier(), ("--draft", "auto", "--max-rows", 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_company_does_not_matter(truth: Any, name: str) -> None:
    others, flags = CASES[name]
    assert run(others + prompts(), *flags) == truth


def test_order_does_not_matter(truth: Any) -> None:
    lines = prompts() + strangers(20)
    random.Random(7).shuffle(lines)
    assert run(lines) == truth


@pytest.mark.parametrize("draft", ["off", 1, 3, 8, 16])
def test_suspended_and_resumed(truth: Any, draft: Any) -> None:
    """40 short samples teach the scheduler to expect little, then 30 rows of up to 248 tokens
    start in KV pages for 640: rows are suspended again and again."""
    flags = ("--kv-memory", 640 * 1536, "--max-context", 320, "--draft", draft)
    short = [dict(x, sampling={"max_new_tokens": 1}) for x in strangers(40)]
    status, rows, log = generate_raw(TINY, short + prompts(), "--prompt-logprobs",
                                     "--routed-experts", *flags)
    assert status == 0, log
    most = 5 if draft == "off" else 0  # a row that takes fewer steps is in the way of fewer
    assert int(re.search(r"rows suspended (\d+) times", log)[1]) > most, log
    assert by_sample(rows) == truth


def test_stalled_without_an_arena(truth: Any) -> None:
    """No host memory to suspend to: the oldest rows run to their end, the others wait."""
    short = [dict(x, sampling={"max_new_tokens": 1}) for x in strangers(40)]
    assert run(short + prompts(), "--kv-memory", 640 * 1536, "--max-context", 320,
               "--suspend-memory", 0) == truth


# Bytes of K and V of a token of the tiny model: 3 layers, 2 heads of 32.
KV_TYPES = {"bf16": 768, "f16": 768, "q8_0": 408}


@pytest.mark.parametrize("kv", [kv for kv in KV_TYPES
                                if kv == "bf16" or DEVICE.startswith("cpu")])
def test_other_kv_has_its_own_bits(truth: Any, kv: str) -> None:
    """The same promise for another numerics id, whose bits are different ones: in company, with
    drafts, and suspended."""
    alone = {}
    for line in prompts():
        alone.update(run([line], "--max-rows", 1, "--kv-type", kv, "--draft", "off"))
    assert alone != truth
    assert run(strangers(20) + prompts(), "--kv-type", kv, "--prefill-chunk", 16) == alone
    assert run(earlier() + prompts(), "--kv-type", kv, "--draft", 8) == alone
    short = [dict(x, sampling={"max_new_tokens": 1}) for x in strangers(40)]
    status, rows, log = generate_raw(TINY, short + prompts(), "--prompt-logprobs",
                                     "--routed-experts", "--kv-type", kv, "--draft", 3,
                                     "--kv-memory", 640 * KV_TYPES[kv], "--max-context", 320)
    assert status == 0, log
    assert int(re.search(r"rows suspended (\d+) times", log)[1]) > 0, log
    assert re.search(rf"KV pages .* 40 of 16 tokens, {kv}\n", log), log
    assert f"kv={kv}," in log, log
    assert by_sample(rows) == alone


def test_each_line_has_its_drafts(truth: Any) -> None:
    """`draft` of a line goes before the flag, and neither before the bits."""
    lines = [dict(line, sampling=dict(line["sampling"], draft=draft))
             for line, draft in zip(prompts(), [0, 1, "off", 3, "auto", 8, 16, 64, 2, 5])]
    assert run(earlier() + lines, "--draft", 4) == truth


def test_seed_and_id_decide_the_draws() -> None:
    line = {"id": "a", "prompt_ids": [1, 9, 9], "sampling": dict(SETTINGS, seed=3)}
    same, other_id, other_seed = (
        generate(TINY, [line])[0], generate(TINY, [dict(line, id="b")])[0],
        generate(TINY, [dict(line, sampling=dict(SETTINGS, seed=4))])[0])
    assert generate(TINY, [line])[0]["tokens"] == same["tokens"]
    assert other_id["tokens"] != same["tokens"]
    assert other_seed["tokens"] != same["tokens"]
