"""GGUF files and block types, beside the gguf package and llama.cpp.

The gguf package (tests/requirements.txt) is the truth for the bits of blocks; llama.cpp, as the
xllamacpp wheel (`make peers`), for answers. Nothing of them is in the program.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from tokenizers import Tokenizer

import checkpoints
from cli import BIN, ROOT, TINY, generate, generate_raw, run

BLOCK_TYPES = ["q8_0", "q4_0", "q4_k", "q5_k", "q6_k"]
PEERS = Path(os.environ.get("STAMPEDE_PEERS", ROOT / ".venv-peers")) / "bin/python"
TOOL = Path(BIN).parent / "tests/tools/types"

# Rows are whole blocks of 256; the rest is that of "moe".
RECIPE = dict(layers="caca", hidden_size=256, num_attention_heads=4, num_key_value_heads=2,
              intermediate_size=512, moe_intermediate_size=256, num_dense_layers=1,
              num_experts=8, num_experts_per_tok=2, theta=1e6, vocab_size=512, eos_token_id=4)
DENSE = dict(layers="caca", hidden_size=256, num_attention_heads=4, num_key_value_heads=2,
             intermediate_size=512, block_auto_adjust_ff_dim=False, theta=1e6, vocab_size=512,
             eos_token_id=4)


@pytest.fixture(scope="module", autouse=True)
def tool():
    if "STAMPEDE_BIN" not in os.environ:
        subprocess.run(["make", "-s", str(TOOL)], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Dict[str, Path]:
    """A mixture and a dense checkpoint with the tokenizer of the tiny one."""
    out = {}
    for name, recipe in {"moe_256": RECIPE, "dense_256": DENSE}.items():
        checkpoints.RECIPES[name] = recipe
        out[name] = checkpoints.save(checkpoints.make(name, 5, torch.bfloat16),
                                     tmp_path_factory.mktemp(name))
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(TINY / file, out[name])
        del checkpoints.RECIPES[name]
    return out


def quantize(model: Path, kind: str, folder: Path) -> Path:
    path = folder / f"{model.name}-{kind}.gguf"
    done = run("quantize", "--model", model, "--type", kind, "--output", path)
    assert done.returncode == 0, done.stderr
    return path


def convert(what: str, kind: str, data: bytes) -> bytes:
    return subprocess.run([str(TOOL), what, kind], input=data, capture_output=True, check=True,
                          timeout=60).stdout


def random_blocks(kind: str, n: int, seed: int) -> np.ndarray:
    """Any bytes are a block, but scales are finite."""
    rng = np.random.default_rng(seed)
    size = gguf.GGML_QUANT_SIZES[Type[kind.upper()]][1]
    blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
    at = 208 if kind == "q6_k" else 0
    for i in range(2 if kind in ("q4_k", "q5_k") else 1):
        scales = rng.normal(0, 1, n).astype(np.float16)
        blocks[:, at + 2 * i:at + 2 * i + 2] = scales.view(np.uint8).reshape(n, 2)
    return blocks


@pytest.mark.parametrize("kind", BLOCK_TYPES)
def test_dequantised_bits(kind):
    blocks = random_blocks(kind, 500, 1)
    ours = np.frombuffer(convert("unpack", kind, blocks.tobytes()), np.uint32)
    theirs = gguf.quants.dequantize(blocks, Type[kind.upper()]).astype(np.float32)
    assert np.array_equal(ours, theirs.reshape(-1).view(np.uint32))


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_quantised_bytes(kind):
    rng = np.random.default_rng(2)
    x = (rng.normal(0, 0.02, (400, 256)) * rng.choice([1e-6, 1, 50], (400, 1))).astype(np.float32)
    x[0], x[1], x[2, ::3] = 0, 0.5, 0
    x[3:40] = np.round(x[3:40] * 256) / 256  # many ties
    ours = convert("pack", kind, x.tobytes())
    assert ours == gguf.quants.quantize(x, Type[kind.upper()]).tobytes()


@pytest.mark.parametrize("kind", BLOCK_TYPES)
def test_quantised_error(kind):
    """Within the error of a type that fits 32 values with as many levels; K types do better."""
    x = np.random.default_rng(3).normal(0, 0.02, (200, 256)).astype(np.float32)
    y = np.frombuffer(convert("unpack", kind, convert("pack", kind, x.tobytes())), np.float32)
    error = np.square(y.reshape(x.shape) - x).mean() / np.square(x).mean()
    assert error < {"q8_0": 5e-5, "q4_0": 1e-2, "q4_k": 6e-3, "q5_k": 1.5e-3, "q6_k": 4e-4}[kind]


def test_file_is_read_by_gguf(models, tmp_path):
    """Every tensor of a Q4_0 file has the package's bytes, and the others are exact."""
    model = models["moe_256"]
    reader = gguf.GGUFReader(quantize(model, "q4_0", tmp_path))
    keys = {k: f.contents() for k, f in reader.fields.items()}
    assert keys["general.architecture"] == "lfm2moe"
    assert keys["lfm2moe.attention.head_count_kv"] == [0, 2, 0, 2]
    assert keys["lfm2moe.expert_gating_func"] == 2
    assert keys["tokenizer.ggml.pre"] == "lfm2"
    loaded = checkpoints_of(model)
    tensors = {t.name: t for t in reader.tensors}
    w1 = [loaded[f"model.layers.1.feed_forward.experts.{e}.w1.weight"] for e in range(8)]
    expected = {
        "blk.1.ffn_gate_exps.weight": np.stack(w1),
        "blk.0.shortconv.in_proj.weight": loaded["model.layers.0.conv.in_proj.weight"],
        "blk.3.attn_output.weight": loaded["model.layers.3.self_attn.out_proj.weight"],
        "blk.2.ffn_gate_inp.weight": loaded["model.layers.2.feed_forward.gate.weight"],
        "blk.2.exp_probs_b.bias": loaded["model.layers.2.feed_forward.expert_bias"],
        "token_embd_norm.weight": loaded["model.embedding_norm.weight"],
        "blk.0.shortconv.conv.weight": loaded["model.layers.0.conv.conv.weight"][:, 0],
    }
    for name, values in expected.items():
        kind = Type.F32 if values.ndim == 1 or "gate_inp" in name or "conv.conv" in name \
            else Type.Q4_0
        assert tensors[name].tensor_type == kind, name
        want = gguf.quants.quantize(values, kind)
        assert tensors[name].data.tobytes() == want.tobytes(), name
    assert tensors["token_embd.weight"].tensor_type == Type.Q6_K


def checkpoints_of(model: Path) -> Dict[str, np.ndarray]:
    from safetensors.torch import load_file
    return {k: v.float().numpy() for k, v in load_file(model / "model.safetensors").items()}


@pytest.mark.parametrize("name", ["moe_256", "dense_256"])
def test_float_file_is_the_directory(models, tmp_path, name):
    """Float32 values are exact, so that all log-probabilities, texts and ids have the same bits."""
    path = quantize(models[name], "f32", tmp_path)
    lines = [{"prompt": "box is boxed an 12", "n": 2, "sampling": {"seed": 1}},
             {"messages": [{"role": "user", "content": "Hello"}], "sampling": {"seed": 3}}]
    flags = ["--max-new-tokens", 12, "--prompt-logprobs", "--weights", "f32", "--no-verify"]
    assert generate(models[name], lines, *flags) == generate(path, lines, *flags)


@pytest.mark.parametrize("kind", BLOCK_TYPES)
def test_digests(models, tmp_path, kind):
    """The same bytes, whether packed when loaded or beforehand."""
    model = models["moe_256"]
    file = checkpoints.inspect(quantize(model, kind, tmp_path))
    loaded = checkpoints.inspect(model, "--weights", kind)
    assert file["digest"] == loaded["digest"]
    assert file["digest_dtype"] == loaded["digest_dtype"]
    assert file["parameters"] == loaded["parameters"]
    assert kind in file["tensors"]["by_type"] and "bf16" in loaded["tensors"]["by_type"]


def score(model: Path, rows: List[Dict[str, Any]], *flags: Any) -> List[np.ndarray]:
    """lp_full of each row's tokens behind its prompt."""
    lines = [{"prompt_ids": r["prompt_ids"] + r["tokens"], "id": i} for i, r in enumerate(rows)]
    out = generate(model, lines, "--max-new-tokens", 0, "--prompt-logprobs", *flags)
    return [np.array(o["prompt_lp_full"][len(r["prompt_ids"]):], np.float64)
            for r, o in zip(rows, out)]


@pytest.mark.parametrize("kind", BLOCK_TYPES)
def test_error_of_types(models, tmp_path, kind):
    """What 8-bit activations cost. Random weights amplify it, as they choose other experts; what
    llama.cpp has on the same file is below."""
    path = quantize(models["moe_256"], kind, tmp_path)
    rng = np.random.default_rng(4)
    rows = [{"prompt_ids": [1], "tokens": rng.integers(5, 500, 40).tolist()} for _ in range(4)]
    ours = np.concatenate(score(path, rows))
    exact = np.concatenate(score(path, rows, "--weights", "f32"))
    print(f"{kind}: mean error {np.abs(ours - exact).mean():.5f}")
    assert np.abs(ours - exact).mean() < 0.2
    assert not np.array_equal(ours, exact)


@pytest.mark.parametrize("kind", ["q4_0", "q6_k"])
def test_bits_do_not_depend_on_company(models, tmp_path, kind):
    """One row, many rows, chunks of the prompt and threads give the same tokens and bits."""
    path = quantize(models["moe_256"], kind, tmp_path)
    lines = [{"prompt_ids": [1, *range(9, 9 + 3 * i)], "id": i} for i in range(9)]
    flags = ["--max-new-tokens", 8, "--prompt-logprobs"]
    together = generate(path, lines, *flags, "--threads", 2)
    chunked = generate(path, lines, *flags, "--threads", 1, "--prefill-chunk", 5, "--max-rows", 2)
    assert together == chunked
    for i in (0, 8):
        assert generate(path, [lines[i]], *flags, "--threads", 1) == [together[i]]
    for device in ("cpu/portable", "cpu/avx2"):
        status, rows, _ = generate_raw(path, lines[:3], *flags, "--device", device)
        if status == 0:  # a processor without AVX2 refuses
            exact = [r["prompt_lp_full"][1:] for r in rows]
            assert np.allclose(np.concatenate(exact), np.concatenate(
                [r["prompt_lp_full"][1:] for r in together[:3]]), atol=0.05)


def test_compare(models, tmp_path):
    """bench --compare: nothing between equal values, and more between coarser types."""
    model, found = models["dense_256"], {}
    for kind in ("f32", "q8_0", "q4_0"):
        path = quantize(model, kind, tmp_path)
        done = run("bench", "--model", path, "--compare", model, "--json")
        assert done.returncode == 0, done.stderr
        found[kind] = json.loads(done.stdout)["compare"]
        assert found[kind]["tokens"] == 512 and found[kind]["model"] == str(model)
    assert found["f32"]["mean"] == found["f32"]["largest"] == found["f32"]["kl"] == 0
    assert 0 < found["q8_0"]["mean"] < found["q4_0"]["mean"] < found["q4_0"]["largest"]
    assert 0 < found["q8_0"]["kl"] < found["q4_0"]["kl"] < 1
    done = run("bench", "--synthetic", "tiny", "--compare", model)
    assert done.returncode == 2 and b"--compare needs --model" in done.stderr


# ------------------------------------------------------------------ llama.cpp

def ask_llama(model: Path, requests: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    text = "".join(json.dumps(r) + "\n" for r in requests)
    command = [str(PEERS), str(ROOT / "tests/tools/llama.py"), str(model)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    rows = [json.loads(x) for x in done.stdout.splitlines()]
    assert len(rows) == len(requests), done.stderr[-2000:]
    return [{**q, **r} for q, r in zip(requests, rows)]


def partial_ids() -> List[int]:
    """Ids that are no whole characters: the server's answers leave them out."""
    tokens = Tokenizer.from_file(str(TINY / "tokenizer.json"))
    return [i for i in range(512) if "\ufffd" in tokens.decode([i], skip_special_tokens=False)]


@functools.lru_cache(maxsize=None)
def has_llama() -> bool:
    return PEERS.exists() and subprocess.run([str(PEERS), "-c", "import xllamacpp"],
                                             capture_output=True).returncode == 0


@pytest.mark.parametrize("kind", ["f32", *BLOCK_TYPES])
@pytest.mark.parametrize("name", ["moe_256", "dense_256"])
def test_answers_of_llama(models, tmp_path, name, kind):
    """Log-probabilities of the same tokens on the same file. llama.cpp's own error is its distance
    from the exact values of the file (ours in float32); ours may be a little larger by chance."""
    if not has_llama():
        pytest.skip("xllamacpp is not installed: make peers")
    path = quantize(models[name], kind, tmp_path)
    rng = np.random.default_rng(6)
    requests = [{"prompt_ids": [1, *rng.integers(5, 500, 12).tolist()], "n": 24,
                 "banned": partial_ids()} for _ in range(4)]
    rows = ask_llama(path, requests)
    theirs = np.concatenate([r["lp"] for r in rows])
    ours, exact = (np.concatenate(score(path, rows, "--weights", t)) for t in ("as-is", "f32"))
    assert len(theirs) == 96
    if kind == "f32":
        assert np.abs(ours - theirs).max() < 2e-3  # its products of float32 matrices vary
        return
    their_error, our_error = np.abs(theirs - exact), np.abs(ours - exact)
    assert our_error.mean() < 1.25 * their_error.mean() + 1e-3
    assert np.abs(ours - theirs).mean() < 2 * their_error.mean() + 1e-3
    print(f"{name} {kind}: mean error {our_error.mean():.5f}, llama.cpp's {their_error.mean():.5f}")
