"""`stampede bench --plan`: what it prints for a load, beside a measured run, and what it refuses.

The arithmetic itself is held to its tables in tests/commands/roofline/test_roofline.c.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli import DEVICE, TINY, run

CPU = {"read_bytes_per_s": 25e9, "peak_flops": 170e9, "memory_bytes": 24e9, "launch_gap_us": 0}


def plan(*flags: Any) -> dict:
    done = run("bench", *flags, "--json")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def device_file(folder: Path, **figures: Any) -> Path:
    path = folder / "device.json"
    path.write_text(json.dumps(CPU | figures))
    return path


def test_decode_by_default_is_the_24b() -> None:
    report = plan("--plan", "h100")
    assert [p["rows"] for p in report["decode"]] == [1, 16, 64, 256, 1024]
    assert [round(p["tokens_per_s"]) for p in report["decode"]] == [717, 1691, 4434, 16085, 48865]
    assert report["model"] == {"name": "24b", "weight_bytes": 47687327744, "kv_token_bytes": 20480,
                               "conv_row_bytes": 245760}
    assert report["device"]["name"] == "h100" and report["device"]["read_share"] == 1
    # What stands at the top is the last load, and its kernels add up to it.
    assert {k: report[k] for k in report["decode"][-1]} == report["decode"][-1]
    kernels = report["kernels"]
    assert sum(k["bytes"] for k in kernels) == pytest.approx(report["bytes"])
    assert sum(k["flops"] for k in kernels) == pytest.approx(report["flops"])
    assert report["step_ms"] == pytest.approx(sum(k["memory_ms"] for k in kernels))
    assert max(kernels, key=lambda k: k["ms"])["name"] == report["largest"] == "experts_w13"
    for k in kernels:
        assert k["ms"] == max(k["memory_ms"], k["flops_ms"])
        assert k["bound"] == ("none" if k["ms"] == 0 else
                              "memory" if k["memory_ms"] >= k["flops_ms"] else "arithmetic")
        assert k["tokens_per_s"] is None if k["ms"] == 0 else k["tokens_per_s"] > 0


def test_flags_reach_the_load() -> None:
    few = plan("--plan", "h200", "--rows", "64", "--context", "8000", "--synthetic", "8b",
               "--kv-type", "fp8", "--weights", "f32")
    assert few["rows"] == 64 and few["context"] == 8000 and few["kv_bytes"] == 64 * 8000 * 6144
    assert few["model"]["weight_bytes"] == 4 * 8339930560
    assert few["memory"]["need_bytes"] < few["memory"]["have_bytes"] == 150.7e9
    fp8 = plan("--plan", "h100", "--rows", "64", "--weights", "fp8")
    int4 = plan("--plan", "h100", "--rows", "64", "--weights", "int4")
    assert int4["weight_bytes"] == pytest.approx(0.53 * fp8["weight_bytes"])
    assert fp8["kv_bytes"] == 64 * 1024 * 20480  # bf16 where nothing is said
    for kv, a_token in (("f16", 20480), ("q8_0", 20480 * 34 // 64)):
        few = plan("--plan", "h200", "--rows", "64", "--kv-type", kv)
        assert few["kv_bytes"] == 64 * 1024 * a_token
        assert few["memory"]["conv_bytes"] == 64 * 491520  # f32


def test_a_mix_of_requests(tmp_path: Path) -> None:
    wgmma = device_file(tmp_path, name="wgmma class", read_bytes_per_s=3.35e12, read_share=0.88,
                        peak_flops=990e12, flops_share=650 / 990, memory_bytes=85.5e9,
                        launch_gap_us=0.5)
    report = plan("--plan", wgmma, "--in", 1024, "--out", 512, "--concurrent", 1024)
    assert report["device"]["name"] == "wgmma class" and "decode" not in report
    assert (report["in"], report["out"], report["rows"]) == (1024, 512, 1024)
    assert report["step_ms"] == pytest.approx(30.7, abs=0.05)
    assert report["tokens_per_s"] == pytest.approx(100e3, abs=500)
    assert report["output_tokens_per_s"] == pytest.approx(33e3, abs=500)
    assert report["overlapped"]["step_ms"] < report["step_ms"] < report["one_by_one"]["step_ms"]


def test_drafts() -> None:
    without = plan("--plan", "h100", "--rows", "64,1024")
    drafts = plan("--plan", "h100", "--rows", "64,1024", "--draft", 4, "--acceptance", 0.5)
    assert drafts["tokens_a_row"] == 1.9375 and drafts["guesses_kept"] == 0.9375 / 4
    for plain, drafted in zip(without["decode"], drafts["decode"]):
        assert drafted["draft_gain"] == pytest.approx(
            drafted["output_tokens_per_s"] / plain["output_tokens_per_s"])
    assert drafts["decode"][0]["draft_gain"] > 1.8  # bound by memory: nearly free
    assert drafts["decode"][1]["bound"] == "arithmetic"
    assert "draft_gain" not in without["decode"][0]


def test_a_checkpoint() -> None:
    report = plan("--plan", "a100", "--model", TINY, "--rows", "3")
    assert report["model"]["name"] == "checkpoint" and report["context"] == 512  # its positions
    assert report["model"]["kv_token_bytes"] == 768
    assert report["experts"] == pytest.approx(8 * (1 - 0.75 ** 3))


def test_text() -> None:
    done = run("bench", "--plan", "h100", "--rows", "1,1024", "--draft", "2", "--acceptance", "0.5")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert text.startswith("a plan: computed from these figures, not measured\n")
    assert "room for" in text and "1.75 tokens a row, 38% of the guesses kept" in text
    assert len(re.findall(r"<- largest$", text, re.M)) == 1
    assert re.search(r"^experts_w13 .* <- largest$", text, re.M)
    assert re.search(r"^ +1024 +64 .* (memory|arithmetic) +[0-9]+ +[0-9]\.[0-9]{2}$", text, re.M)
    assert max(map(len, text.splitlines())) <= 120
    one = run("bench", "--plan", "h100", "--rows", "1", "--context", "1").stdout.decode()
    assert "memory  1 row takes" in one and "kernels of the step of 1 row\n" in one
    dense = run("bench", "--plan", "4090", "--synthetic", "700m").stdout.decode()
    assert "dense_w13" in dense and "experts_w13" not in dense


def test_help_tells_of_the_file() -> None:
    text = run("bench", "--help").stdout.decode()
    for key in [*CPU, "read_share", "flops_share", "memory_share", "workspace_bytes",
                "kv_overlaps", "name", "--measure", "--acceptance"]:
        assert key in text


@pytest.mark.parametrize("flags,words", [
    (["--plan", "h300"], ["h100, h200, a100, l40s, 4090", "h300", "No such file"]),
    (["--plan", "h100", "--context", "200000"], ["200000", "128000"]),
    (["--plan", "h100", "--in", "100000", "--out", "60000", "--concurrent", "1"],
     ["160000", "128000"]),
    (["--plan", "4090"], ["24b with 1 row of 1024", "50.21 GB", "weights 47.69", "25.70 GB"]),
    (["--plan", "h100", "--rows", "1,2000"], ["2000 rows of 1024", "85.50 GB", "room for 1664"]),
    (["--plan", "h100", "--in", "1000", "--out", "1000", "--concurrent", "2000"], ["2000 rows"]),
    (["--plan", "h100", "--model", "nowhere"], ["nowhere"]),
])
def test_what_cannot_be(flags: list, words: list) -> None:
    done = run("bench", *flags)
    assert done.returncode == 78 and not done.stdout
    for word in words:
        assert word in done.stderr.decode()


@pytest.mark.parametrize("flags,words", [
    (["--plan"], "--plan"), (["--plan", "h100", "--rows", "0"], "--rows"),
    (["--plan", "h100", "--rows", ""], "--rows"), (["--plan", "h100", "--rows", "1,"], "--rows"),
    (["--plan", "h100", "--rows", ",".join(["1"] * 17)], "16 numbers"),
    (["--plan", "h100", "--context", "0"], "--context"),
    (["--plan", "h100", "--synthetic", "7b"], "2.6b"),
    (["--plan", "h100", "--synthetic", "8b", "--model", TINY], "at most one"),
    (["--plan", "h100", "--weights", "q3_k"], "int4"),
    (["--plan", "h100", "--kv-type", "q4_0"], "f32, bf16, f16, q8_0 or fp8"),
    (["--plan", "h100", "--prompt", "100"], "--measure"),
    (["--plan", "h100", "--new", "100"], "--measure"),
    (["--plan", "h100", "--runs", "2"], "--measure"),
    (["--plan", "h100", "--prefill", "512"], "--measure"),
    (["--plan", "h100", "--in", "100"], "--concurrent"),
    (["--plan", "h100", "--group", "2"], "--group"),
    (["--plan", "h100", "--in", "1", "--out", "1", "--concurrent", "1", "--rows", "2"], "--rows"),
    (["--plan", "h100", "--in", "1", "--out", "1", "--concurrent", "1", "--context", "2"],
     "--context"),
    (["--plan", "h100", "--draft", "3"], "--acceptance"),
    (["--plan", "h100", "--acceptance", "0.5"], "--draft"),
    (["--plan", "h100", "--draft", "3", "--acceptance", "1.5"], "--acceptance"),
    (["--plan", "h100", "--draft", "65", "--acceptance", "1"], "--draft"),
    (["--plan", "auto"], "--synthetic"), (["--measure", "--synthetic", "tiny"], "--plan"),
    (["--synthetic", "tiny", "--context", "100"], "--context"),
    (["--synthetic", "tiny", "--kv-type", "fp8"], "fp8"),
    (["--plan", "auto", "--synthetic", "tiny", "--draft", "1", "--acceptance", "1"], "--draft"),
])
def test_bad_flags(flags: list, words: str) -> None:
    done = run("bench", *flags)
    assert done.returncode == 2 and words in done.stderr.decode() and not done.stdout
    assert len(done.stderr.decode().splitlines()) == 1


@pytest.mark.parametrize("figures,words", [
    ({"bandwidth": 1}, "bandwidth"), ({"peak_flops": None}, "peak_flops"),
    ({"read_share": 88}, "read_share"), ({"memory_bytes": "24G"}, "memory_bytes"),
    ({"kv_overlaps": "no"}, "kv_overlaps"),
])
def test_bad_files(tmp_path: Path, figures: dict, words: str) -> None:
    path = device_file(tmp_path, **figures)
    done = run("bench", "--plan", path, "--synthetic", "350m")
    assert done.returncode == 78 and words in done.stderr.decode()
    assert str(path) in done.stderr.decode()


def test_files_that_are_none(tmp_path: Path) -> None:
    assert run("bench", "--plan", tmp_path).returncode == 78  # a folder
    path = tmp_path / "large.json"
    path.write_text(" " * (1 << 16) + json.dumps(CPU))
    assert run("bench", "--plan", path).returncode == 78
    path.write_text('{"read_bytes_per_s": 1e12')
    done = run("bench", "--plan", path)
    assert done.returncode == 78 and "byte" in done.stderr.decode()


def check_shares(report: dict) -> None:
    beside = report["plan"]
    assert [p["rows"] for p in beside["decode"]] == [p["rows"] for p in report["decode"]]
    for planned, measured in zip(beside["decode"], report["decode"]):
        assert planned["share"] == pytest.approx(
            measured["tokens_per_s"] / planned["tokens_per_s"], rel=1e-2, abs=1e-3)
        assert planned["tokens_per_s"] * planned["step_ms"] == pytest.approx(
            1000 * planned["rows"], rel=1e-2)
    assert beside["prefill_share"] == pytest.approx(
        report["prefill_tokens_per_s"] / beside["prefill_tokens_per_s"], rel=1e-2, abs=1e-3)


@pytest.mark.skipif(DEVICE != "cpu", reason="auto knows the cpu's limits only")
def test_a_measured_run_beside_this_machines_plan() -> None:
    report = plan("--plan", "auto", "--synthetic", "tiny", "--rows", "1,3", "--prompt", 40,
                  "--new", 6)
    check_shares(report)
    device = report["plan"]["device"]
    assert device["read_bytes_per_s"] == pytest.approx(report["read_bytes_per_s"], abs=1)
    assert device["peak_flops"] == pytest.approx(report["peak_flops"], abs=1)


def test_a_measured_run_beside_a_files_plan(tmp_path: Path) -> None:
    path = device_file(tmp_path, name="slow")
    flags = ["--plan", path, "--measure", "--model", TINY, "--rows", "2", "--prompt", 40, "--new",
             8, "--kv-type", "bf16"]
    report = plan(*flags)
    check_shares(report)
    # The plan of the steps that were timed: the same as one that is asked for.
    alone = plan("--plan", path, "--model", TINY, "--rows", 2, "--context", 44)
    assert report["plan"]["decode"][0]["step_ms"] == pytest.approx(alone["step_ms"], rel=1e-4)
    lines = run("bench", *flags).stdout.decode().splitlines()
    assert lines[3].startswith("plan: slow, 25.0 GB/s") and lines[4].endswith("of plan")
    assert all(line.endswith("%") for line in lines[5:]) and len(lines) == 7


def test_auto_is_for_the_cpu() -> None:
    done = run("bench", "--plan", "auto", "--synthetic", "tiny", "--device", "elsewhere")
    assert done.returncode == 2 and "elsewhere" in done.stderr.decode()
