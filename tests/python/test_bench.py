"""`stampede bench` measures; what is tested is that it measures what it says, never how fast."""

from __future__ import annotations

import json
import re

import pytest

from cli import TINY, run


def test_json_report() -> None:
    done = run("bench", "--model", TINY, "--rows", "1,3", "--prompt", 40, "--new", 6, "--json")
    assert done.returncode == 0, done.stderr.decode()
    report = json.loads(done.stdout)
    assert [p["rows"] for p in report["decode"]] == [1, 3]
    for point in report["decode"]:
        per_step = point["tokens_per_s"] * point["step_ms"] / 1000
        assert per_step == pytest.approx(point["rows"], rel=0.02)  # every row draws in each step
    # 2 of 8 experts in 5 layers; bf16, so two bytes and two operations a weight, expert bias apart.
    assert report["row_flops"] == pytest.approx(report["row_bytes"], rel=1e-3)
    assert report["row_flops"] == pytest.approx(2 * 1056744, rel=1e-3)
    assert report["peak_flops"] > 0 and report["read_bytes_per_s"] > 0
    assert report["prefill_tokens_per_s"] > 0 and report["prefill"] == []
    expert_bytes = 5 * 3 * 128 * 128 * 2  # of one expert in each layer
    one, three = report["decode"]
    assert one["experts_hit"] == 2 and 2 < three["experts_hit"] <= 6
    for point in report["decode"]:  # weights read, with the experts that were met, and products
        seconds = point["step_ms"] / 1000
        more = report["row_bytes"] + (point["experts_hit"] - 2) * expert_bytes
        assert point["bytes_per_s"] * seconds == pytest.approx(more, rel=0.02)
        assert point["macs_per_s"] * seconds == pytest.approx(
            point["rows"] * report["row_flops"] / 2, rel=0.02)
        limit = max(point["bytes_per_s"] / report["read_bytes_per_s"],
                    2 * point["macs_per_s"] / report["peak_flops"])
        assert point["limit_share"] == pytest.approx(limit, rel=0.01)


def test_compare_tells_what_a_kv_type_costs() -> None:
    """Beside the same weights with KV in f32, which is what it is compared with in any case."""
    found = {}
    for kv in ("f32", "f16", "bf16", "q8_0"):
        done = run("bench", "--model", TINY, "--compare", TINY, "--weights", "f32", "--kv-type",
                   kv, "--json", "--device", "cpu")
        assert done.returncode == 0, done.stderr.decode()
        report = json.loads(done.stdout)
        assert report["numerics"].endswith(f" kv={kv}")
        assert report["compare"]["numerics"].endswith(" kv=f32")
        found[kv] = report["compare"]
    assert found["f32"]["largest"] == found["f32"]["kl"] == 0
    assert 0 < found["f16"]["mean"] < found["bf16"]["mean"] < found["q8_0"]["mean"] < 0.05
    assert 0 <= found["f16"]["kl"] < found["q8_0"]["kl"] < 0.001


def test_prefill_of_given_lengths() -> None:
    done = run("bench", "--model", TINY, "--rows", "1", "--prompt", 20, "--new", 4, "--prefill",
               "64,300", "--runs", 2, "--json")
    assert done.returncode == 0, done.stderr.decode()
    report = json.loads(done.stdout)
    few, many = report["prefill"]
    assert (few["tokens"], many["tokens"]) == (64, 300)
    for p in (few, many):
        # 3 layers of 4 heads of 32: two products of two operations with each position up to one's
        # own. The head (512 by 128) is not computed.
        pairs = p["tokens"] * (p["tokens"] + 1) // 2
        assert p["attention_flops"] == 4 * pairs * 3 * 4 * 32
        assert p["weight_flops"] == p["tokens"] * (report["row_flops"] - 2 * 512 * 128)
        limit = (p["weight_flops"] / report["peak_flops"] +
                 p["attention_flops"] / report["attention_peak_flops"])
        seconds = p["tokens"] / p["tokens_per_s"]
        assert p["limit_share"] == pytest.approx(limit / seconds, rel=0.01)


def test_table_and_synthetic_model() -> None:
    done = run("bench", "--synthetic", "tiny", "--rows", "2", "--prompt", 20, "--new", 4)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0 and "cpu-" in lines[0]
    assert lines[1].startswith("device: ") and lines[1].endswith(" GB/s")
    assert [x.split()[0] for x in lines[4:]] == ["prefill", "decode"]


def test_rows_of_several_prompts_all_draw_in_each_step() -> None:
    done = run("bench", "--model", TINY, "--rows", "1,5,8", "--group", 2, "--prompt", 40, "--new",
               6, "--prefill-chunk", 16, "--json")
    assert done.returncode == 0, done.stderr.decode()
    for point in json.loads(done.stdout)["decode"]:
        per_step = point["tokens_per_s"] * point["step_ms"] / 1000
        assert per_step == pytest.approx(point["rows"], rel=0.02)


def test_a_mix_of_requests() -> None:
    done = run("bench", "--model", TINY, "--rows", "1", "--prompt", 20, "--new", 4, "--in", 30,
               "--out", 10, "--concurrent", 100, "--json")
    assert done.returncode == 0, done.stderr.decode()
    mix = json.loads(done.stdout)["mix"]
    assert (mix["requests"], mix["in"], mix["out"]) == (100, 30, 10)
    assert mix["tokens_per_s"] * mix["seconds"] == pytest.approx(4000, rel=0.01)
    assert mix["output_tokens_per_s"] * mix["seconds"] == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize("flags,words", [
    ([], "--synthetic"), (["--synthetic", "7b"], "7b"),
    (["--model", TINY, "--rows", "0"], "--rows"),
    (["--model", TINY, "--prompt", "600"], "--prompt 600"),
    (["--model", TINY, "--rows", "1,,2"], "--rows"), (["--model", TINY, "--rows", ""], "--rows"),
    (["--model", TINY, "--rows", "65"], "64 (--max-rows)"),
    (["--model", TINY, "--in", "5", "--out", "5"], "--concurrent"),
    (["--model", TINY, "--prompt", "8", "--in", "500", "--out", "50", "--concurrent", "1"],
     "--in 500"),
    (["--model", TINY, "--prompt", "400", "--rows", "64", "--group", "1"], "rows decode while"),
    (["--model", TINY, "--prompt", 64, "--prefill", "512"], "--prefill 512"),
    (["--model", TINY, "--prefill", "64;"], "--prefill is wrong"),
    (["--model", TINY, "--runs", "0"], "--runs"),
    (["--model", TINY, "--new", "2"], "--new"),  # no step would be timed
])
def test_bad_flags(flags: list, words: str) -> None:
    done = run("bench", *flags)
    assert done.returncode == 2 and words in done.stderr.decode()


def test_a_model_beyond_the_memory_is_refused() -> None:
    done = run("bench", "--synthetic", "24b", "--weights", "f32", "--kv-memory", "100G")
    assert done.returncode == 78 and "GiB" in done.stderr.decode()


def test_drafts_of_set_acceptance() -> None:
    """Decode with guesses that are right as often as told, beside decode without; bench itself
    fails where a bit differs."""
    for acceptance, low, high in ((0, 0, 0), (0.5, 0.3, 0.7), (1, 1, 1)):
        done = run("bench", "--synthetic", "tiny", "--rows", "1,3", "--prompt", "20", "--new", "60",
                   "--draft", "1", "--acceptance", str(acceptance), "--json")
        assert done.returncode == 0, done.stderr.decode()
        report = json.loads(done.stdout)
        assert report["guessed"] > 100 and report["tokens_a_step"] >= 1
        for point in report["decode"]:
            drafts = point["drafts"]
            assert drafts["gain"] > 0 and drafts["tokens_per_s"] > 0 and drafts["guessed"] > 75
            assert drafts["off_tokens_per_s"] > 0
            assert low <= drafts["accepted"] / drafts["guessed"] <= high


def test_acceptance_needs_drafts() -> None:
    for flags in ([], ["--draft", "off"]):
        done = run("bench", "--synthetic", "tiny", "--acceptance", "0.5", *flags)
        assert done.returncode == 2 and "--draft auto" in done.stderr.decode()


def test_what_does_not_fit_is_refused_before_it_is_loaded() -> None:
    """4,112 rows and prompts of 32,768 positions of the 24B: no machine has that. KV of q8_0 takes
    10,880 of f32's 40,960 bytes a token, and the sentence says so."""
    needs = {}
    for kv in ("f32", "q8_0"):
        done = run("bench", "--synthetic", "24b", "--weights", "q4_0", "--max-rows", 4096, "--rows",
                   1, "--max-context", 32768, "--kv-memory", "100000G", "--suspend-memory", 0,
                   "--kv-type", kv, "--device", "cpu", timeout=30)
        assert done.returncode == 78 and not done.stdout
        needs[kv] = float(re.search(r"The plan needs ([\d.]+) GiB of host memory",
                                    done.stderr.decode())[1])
    saved = 4112 * 32768 * (40960 - 10880) / 2**30
    assert needs["f32"] - needs["q8_0"] == pytest.approx(saved, abs=0.2)
