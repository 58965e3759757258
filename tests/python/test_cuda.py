"""The CUDA backend end to end, on the emulator of tests/cudasim (stampede_cudasim.so beside the
program): beside the CPU backend, by itself in any company, with a trainer, and what it says when
there is no device or it is lost. Skipped where `make` found no CUDA headers."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest

import cli
import stampede
from cli import BIN, TINY

OBJECT = Path(BIN).parent / "stampede_cudasim.so"
pytestmark = pytest.mark.skipif(
    not OBJECT.exists(), reason=f"CUDA was left out: {OBJECT.name} is not beside the program")

SMALL = ["--weights", "bf16", "--max-rows", 8, "--max-context", 96, "--prefill-chunk", 24,
         "--ignore-eos"]
KEYS = ("tokens", "lp_full", "lp_behav", "prompt_lp_full", "routed_experts", "finish_reason")
Rows = List[Dict[str, Any]]


def prompts(lengths: List[int], n: int, new: int) -> Rows:
    rng = np.random.default_rng(5)
    more = [{}, {"temperature": 0.0}, {"temperature": 0.7, "top_k": 20, "top_p": 0.9},
            {"repetition_penalty": 1.2}]
    return [{"id": f"g{i}", "n": n, "prompt_ids": rng.integers(5, 475, length).tolist(),
             "sampling": {"max_new_tokens": new, "seed": i, **more[i % 4]}}
            for i, length in enumerate(lengths)]


def stampede_run(*args: Any, **env: str) -> subprocess.CompletedProcess:
    settings = {"CUDASIM_SMS": "3", **os.environ, **env}
    return subprocess.run([BIN, *map(str, args)], capture_output=True, timeout=300, check=False,
                          env=settings, text=True)


def generate(device: str, lines: Rows, folder: Path, *flags: Any, **env: str) -> Tuple[Rows, str]:
    source, output = folder / "prompts.jsonl", folder / "output.jsonl"
    source.write_text("".join(json.dumps(x) + "\n" for x in lines))
    done = stampede_run("generate", "--model", TINY, "--device", device, "--prompts", source,
                        "--output", output, "--prompt-logprobs", "--routed-experts",
                        "--progress", "never", "--log-level", "debug", *flags, **env)
    assert done.returncode == 0, done.stderr
    return [json.loads(x) for x in output.read_text().splitlines()], done.stderr


def bits(rows: Rows) -> Dict[Any, Any]:
    return {(r["id"], r["sample"]): tuple(r[k] for k in KEYS) for r in rows}


def test_beside_the_cpu(tmp_path: Path) -> None:
    """Teacher-forced positions of the prompts, which both see alike. The CPU keeps activations in
    float32 where operands of the tensor cores are rounded to bf16 (8 bits: 2^-9 each): a
    log-probability of the tiny model strays by some 0.005 and by 0.06 at most here, as long as the
    same experts are chosen. Where two experts are as good as equal the choice may differ (an H100:
    1 of 1700), and from there on log-probabilities by up to 0.5."""
    lines = prompts([40, 33, 17, 60, 50, 70], 1, 4)
    cpu, _ = generate("cpu", lines, tmp_path, *SMALL)
    for path in ("wgmma", "mma"):
        gpu, log = generate(f"cudasim/{path}", lines, tmp_path, *SMALL)
        assert f"cuda-{path} sm_90" in log
        off, later, same, n = [], [], 0, 0
        for a, b in zip(cpu, gpu):
            into = off
            for i in range(len(a["prompt_ids"]) - 1):
                chosen = [set(u) == set(v) for u, v in
                          zip(a["routed_experts"][i], b["routed_experts"][i])]
                same, n = same + sum(chosen), n + len(chosen)
                into = into if all(chosen) else later
                into.append(abs(a["prompt_lp_full"][i + 1] - b["prompt_lp_full"][i + 1]))
        assert len(off) > 200 and len(off) + len(later) == 264 and n == 5 * 264
        assert np.mean(off) < 0.01 and max(off) < 0.12, (np.mean(off), max(off))
        assert max(later, default=0) < 1, max(later)
        assert same / n > 0.99, (same, n)


def test_company_does_not_matter(tmp_path: Path) -> None:
    """Alone; all together; in chunks of 5 with launches one by one; with KV memory for so few that
    rows are suspended: one set of bits. Families and kinds of launches give the same, too."""
    lines = prompts([1, 16, 17, 33], 2, 8)
    alone: Dict[Any, Any] = {}
    for line in lines:
        alone.update(bits(generate("cudasim", [line], tmp_path, *SMALL, "--max-rows", 1)[0]))
    assert len(alone) == 8
    flags = ["--prefill-chunk", 5, "--max-rows", 5]
    for device, more in (("cudasim", []), ("cudasim/launches,serial", flags),
                         ("cudasim/mma", flags)):
        assert bits(generate(device, lines, tmp_path, *SMALL, *more)[0]) == alone, device
    for seed in ("7", "8"):  # other orders of blocks, warps, copies and streams
        rows, _ = generate("cudasim", lines, tmp_path, *SMALL, CUDASIM_SEED=seed,
                           CUDASIM_COPIES="random", CUDASIM_STREAMS="random")
        assert bits(rows) == alone, seed


def test_suspended_and_resumed(tmp_path: Path) -> None:
    """Short samples teach the scheduler to expect little; then 8 rows that grow to 2 or 3 pages
    start in 12."""
    short = [{"id": "short", "prompt_ids": [9], "n": 40, "sampling": {"max_new_tokens": 1}}]
    lines = short + prompts([14, 20], 4, 16)
    flags = [*SMALL, "--max-context", 48]
    whole, _ = generate("cudasim", lines, tmp_path, *flags)
    few, log = generate("cudasim", lines, tmp_path, *flags, "--kv-memory", 12 * 16 * 1536)
    assert "rows suspended 0 times" not in log, log
    assert "rows suspended" in log, log
    assert bits(few) == bits(whole)


def test_what_the_device_is() -> None:
    for name, capability, path in (("h100", "9.0", "wgmma"), ("a100", "8.0", "mma"),
                                   ("4090", "8.9", "mma"), ("b200", "10.0", "mma")):
        done = stampede_run("inspect", "--device", "cudasim", "--json", CUDASIM_DEVICE=name)
        facts = json.loads(done.stdout)["device"]
        assert (facts["compute_capability"], facts["path"]) == (capability, path)
        assert 1000 < facts["clock_mhz"] < 3000 and 1000 < facts["memory_clock_mhz"] < 12000
        assert facts["memory_bytes"] >= facts["free_bytes"] > 1e10
    text = stampede_run("inspect", "--device", "cudasim", "--model", TINY).stdout
    assert "compute capability     9.0" in text and "digest" in text
    bench = stampede_run("bench", "--device", "cudasim", "--model", TINY, "--rows", 1,
                         "--prompt", 8, "--new", 3, "--weights", "bf16")
    assert bench.returncode == 0, bench.stderr
    assert "compute capability 9.0" in bench.stdout and "path wgmma" in bench.stdout
    assert "GB/s" in bench.stdout


def test_launches_of_a_layer(tmp_path: Path) -> None:
    """2 of a convolution, 3 of attention, 4 of either feed-forward, 3 around the layers: at most 7
    a layer. The tiny model has 3 layers of each operator, 1 dense feed-forward and 5 mixtures."""
    counts = tmp_path / "counts"
    generate("cudasim/launches", prompts([20, 9], 1, 3), tmp_path, *SMALL,
             CUDASIM_COUNTS=str(counts))
    launches = {found[1]: int(found[2]) for found in
                re.finditer(r"^(\S[^\n]*): (\d+) launches", counts.read_text(), re.M)}
    steps = launches["embed_tokens"]
    between = sum(n for name, n in launches.items() if not re.search("weights|copy_states", name))
    assert steps > 2 and between == steps * (3 * 2 + 3 * 3 + 6 * 4 + 3), launches


def test_synthetic_weights_are_made_on_the_device(tmp_path: Path) -> None:
    """By a kernel, to whose bits kernels/test_backend.c holds every backend."""
    counts = tmp_path / "counts"
    done = stampede_run("bench", "--device", "cudasim", "--synthetic", "tiny", "--rows", 1,
                        "--prompt", 8, "--new", 3, "--weights", "bf16", CUDASIM_COUNTS=str(counts))
    assert done.returncode == 0, done.stderr
    assert "make_weights" in counts.read_text()


@pytest.mark.parametrize("device, env, status, words", [
    ("cudasim", {"CUDASIM_DRIVER": "none"}, 78, "There is no CUDA driver on this machine"),
    ("cudasim", {"CUDASIM_DRIVER": "old"}, 78, "The CUDA driver is for CUDA 12.2; this program"),
    ("cudasim", {"CUDASIM_DEVICES": "0"}, 78, "There is no CUDA device on this machine."),
    ("cudasim:1", {}, 2, "CUDA device 1 does not exist; this machine has 1"),
    ("cudasim", {"CUDASIM_MEMORY": "30000000"}, 78, "The plan needs 0.1 GiB of CUDA device 0"),
    # The plan has room, and nothing would be left for the driver's code and recorded steps.
    ("cudasim", {"CUDASIM_MEMORY": "300000000"}, 78, "and 0.50 GiB beside them for code"),
    ("cudasim/wgmma", {"CUDASIM_DEVICE": "4090"}, 2, "Path wgmma needs a device of compute"),
    ("cudasim/abacus", {}, 2, "'abacus' is no path of device cuda"),
    ("cudasim", {"CUDASIM_FAIL": "cudaMalloc:2:2"}, 78, "No memory for the KV pages"),
    ("cudasim", {"CUDASIM_FAIL": "cudaStreamSynchronize:3:719"}, 74, "lost in mid-run, at loading"),
])
def test_sentences(device: str, env: Dict[str, str], status: int, words: str,
                   tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt_ids": [1, 2]}\n')
    done = stampede_run("generate", "--model", TINY, "--device", device, "--weights", "bf16",
                        "--prompts", tmp_path / "p.jsonl", "--output", tmp_path / "o.jsonl",
                        "--log-level", "warn", "--progress", "never", **env)
    assert done.returncode == status, done.stderr
    assert words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_matrices_of_float32_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt_ids": [1, 2]}\n')
    done = stampede_run("generate", "--model", TINY, "--device", "cudasim", "--weights", "f32",
                        "--prompts", tmp_path / "p.jsonl", "--output", tmp_path / "o.jsonl",
                        "--log-level", "warn")
    assert done.returncode == 78 and "--weights bf16 rounds them" in done.stderr


def test_a_second_copy_is_refused() -> None:
    done = stampede_run("serve", "--model", TINY, "--device", "cudasim", "--weights", "bf16",
                        "--second-copy", "--connect", "tcp://127.0.0.1:1", "--log-level", "warn")
    assert done.returncode == 2 and "--second-copy is for device cpu;" in done.stderr, done.stderr


# ------------------------------------------------------------------ --gemm cublas

WITH_CUBLASLT = pytest.mark.skipif(
    "cublaslt" not in (OBJECT.parent / "cudasim" / "state").read_text()
    if (OBJECT.parent / "cudasim" / "state").exists() else True,
    reason="CUDA was left out: the emulator was built without cublasLt.h")
LARGE = ["--weights", "bf16", "--max-rows", 8, "--max-context", 320, "--prefill-chunk", 640,
         "--ignore-eos"]


@WITH_CUBLASLT
@pytest.mark.parametrize("path", ["", "/mma"])
def test_cublas_gives_the_bits_of_our_own_kernels(path: str, tmp_path: Path) -> None:
    """Four prompts of 300 tokens: a step of 640 for the library, then smaller ones for us."""
    lines = prompts([300, 300, 300, 300], 1, 4)
    own, _ = generate(f"cudasim{path}", lines, tmp_path, *LARGE)
    got, log = generate(f"cudasim{path}", lines, tmp_path, *LARGE, "--gemm", "cublas")
    assert bits(got) == bits(own)
    assert " gemm=cublaslt-" in log and "our own kernels" not in log, log
    timed = "/timed" if not path else path + ",timed"
    _, log = generate(f"cudasim{timed}", lines, tmp_path, *LARGE, "--gemm", "cublas")
    times = {words[0]: float(words[1]) for words in map(str.split, log.splitlines())
             if len(words) == 5 and words[4].endswith("%")}
    assert times["cublaslt"] > 4 and times["conv_finish"] == 1 and times["qkv_finish"] == 1


@WITH_CUBLASLT
@pytest.mark.parametrize("offer", ["dependent", "other"])
def test_cublas_of_other_bits_is_not_used(offer: str, tmp_path: Path) -> None:
    """A library whose bits depend on the place, or are not ours: ours go on, with a sentence."""
    lines = prompts([300, 300], 1, 4)
    own, _ = generate("cudasim", lines, tmp_path, *LARGE)
    got, log = generate("cudasim", lines, tmp_path, *LARGE, "--gemm", "cublas",
                        CUDASIM_CUBLASLT=offer)
    assert bits(got) == bits(own)
    assert "--gemm cublas: our own kernels multiply for conv_in,conv_out,qkv," in log, log
    assert "gave their bits for every number and place of 512 to 648 tokens.\n" in log
    assert "gemm=" not in log


@WITH_CUBLASLT
@pytest.mark.parametrize("flags, env, status, words", [
    (["--device", "cudasim"], {"CUDASIM_CUBLASLT": "absent"}, 78, "does not start, its status is"),
    (["--device", "cudasim", "--prefill-chunk", "300"], {}, 78, "steps of 512 tokens or more"),
])
def test_sentences_of_cublas(flags: List[str], env: Dict[str, str], status: int, words: str,
                             tmp_path: Path) -> None:
    gemm_sentence(["--gemm", "cublas", *LARGE[:-3], "--prefill-chunk", "640", *flags], status,
                  words, tmp_path, **env)


@pytest.mark.parametrize("flags, status, words", [
    (["--device", "cpu", "--gemm", "cublas"], 2, "--gemm cublas is for device cuda; device 'cpu'"),
    (["--device", "cudasim", "--gemm", "abacus"], 2, "--gemm is 'abacus'; expected own or cublas"),
])
def test_sentences_of_gemm(flags: List[str], status: int, words: str, tmp_path: Path) -> None:
    gemm_sentence(["--weights", "bf16", *flags], status, words, tmp_path)


def gemm_sentence(flags: List[Any], status: int, words: str, folder: Path, **env: str) -> None:
    (folder / "p.jsonl").write_text('{"prompt_ids": [1, 2], "sampling": {"max_new_tokens": 1}}\n')
    done = stampede_run("generate", "--model", TINY, "--prompts", folder / "p.jsonl", "--output",
                        folder / "o.jsonl", "--log-level", "warn", "--progress", "never", *flags,
                        **env)
    assert done.returncode == status, done.stderr
    assert words in done.stderr and done.stderr.count("\n") == 1, done.stderr


# ------------------------------------------------------------------ with a trainer

@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDASIM_SMS", "3")
    monkeypatch.setenv("STAMPEDE_BIN", BIN)


FLAGS = {"device": "cudasim", "weights": "bf16", "max_rows": 8, "max_context": 96,
         "prefill_chunk": 24, "log_level": "warn"}


def collect(groups: Any) -> Dict[Any, Any]:
    return {(g.id, i): (g.tokens[i].tolist(), g.lp_full[i].tobytes(), g.version_spans[i])
            for g in groups for i in range(g.n)}


def scaled_weights() -> Dict[str, Any]:
    from safetensors.torch import load_file
    return {name: (value.float() * 1.01).to(value.dtype)
            for name, value in load_file(TINY / "model.safetensors").items()}


def draw_from(state: Dict[str, Any], folder: Path, flags: Dict[str, Any], asked: Any,
              **how: Any) -> Dict[Any, Any]:
    """What a worker draws that loads these weights from files."""
    from safetensors.torch import save_file
    folder.mkdir()
    for path in TINY.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        child = stampede.launch(folder, connect=trainer.url, **flags)
        loaded = collect(trainer.generate(asked, **how))
        trainer.close(run_complete=True)
    assert child.wait(60) == 0
    return {k: v[:2] for k, v in loaded.items()}


def test_a_trainer_and_a_push(emulated: None, tmp_path: Path) -> None:
    """Before and after a push; then what a worker that loads the pushed weights draws."""
    state = scaled_weights()
    asked = [stampede.Prompt(prompt_ids=[1, 2, 3 + i], id=i) for i in range(3)]
    how: Dict[str, Any] = {
        "n": 2, "sampling": stampede.Sampling(max_new_tokens=6, ignore_eos=True), "seed": 3}
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        child = stampede.launch(TINY, connect=trainer.url, **FLAGS)
        trainer.wait_for_workers(1, 90)
        worker = trainer.workers()[0]
        assert worker["numerics"].startswith("cuda-wgmma sm_90")
        assert "NVIDIA H100" in worker["build"] and "MHz" in worker["build"]
        before = collect(trainer.generate(asked, **how))
        trainer.push_weights(state, version=1)
        after = collect(trainer.generate(asked, **how))
        trainer.close(run_complete=True)
    assert child.wait(60) == 0
    assert len(before) == len(after) == 6
    assert {x[2][0][1] for x in before.values()} == {0}
    assert {x[2][0][1] for x in after.values()} == {1}
    after = {k: v[:2] for k, v in after.items()}
    assert {k: v[:2] for k, v in before.items()} != after
    assert draw_from(state, tmp_path / "pushed", FLAGS, asked, **how) == after


@WITH_CUBLASLT
def test_a_push_reaches_what_cublas_multiplies(emulated: None, tmp_path: Path) -> None:
    """It has copies of the dense matrices, made for the first prompts: those after the push must
    give what our own kernels give with the pushed weights. The library takes steps of 512 tokens or
    more: 4 prompts of 300 fill one of 640, though the first may be a step of its own."""
    state = scaled_weights()
    flags = {**FLAGS, "max_context": 320, "prefill_chunk": 640}
    first, second = ([stampede.Prompt(prompt_ids=((np.arange(300) + at) * by % 470 + 5).tolist(),
                                      id=at) for at in range(4)] for by in (7, 11))
    how: Dict[str, Any] = {
        "n": 1, "sampling": stampede.Sampling(max_new_tokens=4, ignore_eos=True), "seed": 3}
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        child = stampede.launch(TINY, connect=trainer.url, gemm="cublas", **flags)
        trainer.wait_for_workers(1, 90)
        assert " gemm=cublaslt-" in trainer.workers()[0]["numerics"]
        collect(trainer.generate(first, **how))
        trainer.push_weights(state, version=1)
        after = collect(trainer.generate(second, **how))
        trainer.close(run_complete=True)
    assert child.wait(60) == 0
    assert [x[2][0][1] for x in after.values()] == [1] * 4
    assert draw_from(state, tmp_path / "pushed", flags, second, **how) == {
        k: v[:2] for k, v in after.items()}


def test_a_lost_device(emulated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's error at the n-th call: the worker ends with 74, and another one draws what
    it had, the same samples as if nothing had been."""
    asked = [stampede.Prompt(prompt_ids=[1, 2, 3 + i], id=i) for i in range(4)]
    sampling = stampede.Sampling(max_new_tokens=24, ignore_eos=True)
    with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
        monkeypatch.setenv("CUDASIM_FAIL", "cudaGraphLaunch:9:719")
        first = stampede.launch(TINY, connect=trainer.url, **FLAGS)
        groups = trainer.generate(asked, n=2, sampling=sampling, seed=3)
        assert first.wait(200) == 74
        monkeypatch.delenv("CUDASIM_FAIL")
        second = stampede.launch(TINY, connect=trainer.url, **FLAGS)
        got = collect(groups)
        assert trainer.counters()["lost_sessions"] == 1
        again = collect(trainer.generate(asked, n=2, sampling=sampling, seed=3))
        trainer.close(run_complete=True)
    assert second.wait(60) == 0
    assert len(got) == 8 and got == again
