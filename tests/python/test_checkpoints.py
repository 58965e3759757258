"""Checkpoints that transformers made, as `stampede inspect` sees them."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import checkpoints as made

TINY = made.CHECKOUT / "examples/tiny/checkpoint"
BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """(model, directory) of a recipe, each made once."""
    known = {}

    def get(name):
        if name not in known:
            model = made.make(name)
            known[name] = model, made.save(model, tmp_path_factory.mktemp(name))
        return known[name]

    return get


def xxh3(text: str) -> int:
    library = ctypes.CDLL(ctypes.util.find_library("xxhash"))
    library.XXH3_64bits.restype = ctypes.c_uint64
    return library.XXH3_64bits(text.encode(), ctypes.c_size_t(len(text.encode())))


def digest(tensors: dict[str, torch.Tensor], dtype: torch.dtype) -> str:
    """The formula of worker/weights/digest.h, over tensors by hub name."""
    total = np.uint64(0)
    with np.errstate(over="ignore"):
        for name, tensor in tensors.items():
            tensor = tensor.to(torch.float32 if name.endswith("expert_bias") else dtype)
            bits = tensor.contiguous().view(BITS[tensor.dtype]).numpy().reshape(-1)
            v = bits.view(f"u{bits.itemsize}").astype(np.uint64)
            i = np.arange(1, len(v) + 1, dtype=np.uint64)
            x = np.uint64(xxh3(name)) + i * np.uint64(0x9E3779B97F4A7C15)
            x ^= v * np.uint64(0xC2B2AE3D27D4EB4F)
            x = (x ^ (x >> np.uint64(32))) * np.uint64(0xFF51AFD7ED558CCD)
            x = (x ^ (x >> np.uint64(29))) * np.uint64(0xC4CEB9FE1A85EC53)
            total += (x ^ (x >> np.uint64(32))).sum(dtype=np.uint64)
    return f"{int(total):016x}"


def test_expert_bias_changes_the_choice():
    ids = torch.arange(3, 67)
    for name, recipe in made.RECIPES.items():
        model = made.make(name)
        with_bias, without = (made.router_choices(model, ids, bias) for bias in (True, False))
        assert len(with_bias) == len(without)
        changed = [bool((a.sort().values != b.sort().values).any())
                   for a, b in zip(with_bias, without)]
        if "num_experts" in recipe and recipe.get("use_expert_bias", True):
            assert changed and all(changed), f"the bias of {name} is too small to matter"


@pytest.mark.parametrize("name", made.RECIPES)
def test_parameters_and_digest(saved, name):
    model, directory = saved(name)
    seen = made.inspect(directory)
    # transformers counts parameters; the expert bias is a buffer.
    bias = sum(b.numel() for k, b in model.named_buffers() if k.endswith("expert_bias"))
    assert seen["parameters"]["total"] == model.num_parameters() + bias
    config, idle = model.config, 0
    if config.model_type == "lfm2_moe":
        idle = ((config.num_experts - config.num_experts_per_tok) * 3 * config.hidden_size
                * config.moe_intermediate_size
                * (config.num_hidden_layers - config.num_dense_layers))
    assert seen["parameters"]["active"] == seen["parameters"]["total"] - idle
    assert seen["family"] == config.model_type
    tensors = made.hub_tensors(model)
    assert seen["tensors"]["count"] == len(tensors)
    assert seen["digest"] == digest(tensors, torch.float32)
    assert seen["digest_dtype"] == "f32"
    shape = seen["shape"]
    types = made.layers(made.RECIPES[name]["layers"])
    assert shape["attention_layers"] == [i for i, t in enumerate(types) if t != "conv"]
    assert shape["dense_width"] == (model.model.layers[0].feed_forward.w1.weight.shape[0]
                                    if hasattr(model.model.layers[0].feed_forward, "w1")
                                    else config.intermediate_size)
    assert shape["rope_theta"] == made.RECIPES[name]["theta"]
    assert shape["tied_head"] == config.tie_word_embeddings
    assert shape["head_dim"] == model.model.layers[types.index("full_attention")].self_attn.head_dim
    assert shape["end_ids"] == [7]


@pytest.mark.parametrize("name", ["moe", "moe_72", "dense_72"])
def test_digest_is_of_the_values_not_of_the_files(saved, tmp_path, name):
    model, directory = saved(name)
    whole = made.inspect(directory)
    shards = made.save(model, tmp_path / "shards", shards="64KB")
    assert (shards / made.INDEX).exists() and len(list(shards.glob("*.safetensors"))) > 1
    fused = made.save_fused(model, tmp_path / "fused")
    old = tmp_path / "old"
    shutil.copytree(directory, old)
    made.spell_old(old)
    for other in (shards, fused, old):
        seen = made.inspect(other)
        for key in ("digest", "digest_dtype", "parameters", "shape", "memory"):
            assert seen[key] == whole[key], (other.name, key)


@pytest.mark.parametrize("name", ["moe", "dense"])
@pytest.mark.parametrize("stored", ["bf16", "f16"])
def test_types(tmp_path, name, stored):
    model = made.make(name, dtype=DTYPES[stored])
    directory = made.save(model, tmp_path)
    tensors = made.hub_tensors(model)
    for resident in ("as-is", "bf16", "f16", "f32"):
        seen = made.inspect(directory, "--weights", resident)
        label = stored if resident == "as-is" else resident
        assert seen["digest_dtype"] == label
        assert seen["digest"] == digest(tensors, DTYPES[label])
        bias = sum(t.numel() for k, t in tensors.items() if k.endswith("expert_bias"))
        total = sum(t.numel() for t in tensors.values())
        size = 4 if label == "f32" else 2
        assert seen["memory"]["weights_bytes"] == (total - bias) * size + 4 * bias
    assert seen["tensors"]["by_type"] == {
        stored: {"tensors": len(tensors), "parameters": total, "bytes": 2 * total}}


def test_shipped_checkpoint():
    seen = made.inspect(TINY)
    assert seen["family"] == "lfm2_moe"
    tensors = load_file(TINY / made.WEIGHTS)
    assert seen["digest"] == digest(tensors, torch.bfloat16)
    text = made.stampede("inspect", "--model", TINY).stdout
    assert seen["digest"] in text and f"{seen['parameters']['total']:,}" in text


RELEASED = dict(
    model_type="lfm2_moe", vocab_size=65536, hidden_size=2048, num_attention_heads=32,
    num_key_value_heads=8, num_dense_layers=2, num_experts_per_tok=4, use_expert_bias=True,
    norm_topk_prob=True, routed_scaling_factor=1.0, conv_L_cache=3, conv_bias=False, norm_eps=1e-5,
    rope_theta=1000000.0, max_position_embeddings=128000, bos_token_id=1, eos_token_id=7,
    pad_token_id=0, tie_embedding=True, torch_dtype="bfloat16")
BIG = {
    "24b": (dict(num_hidden_layers=40, intermediate_size=11776, num_experts=64,
                 moe_intermediate_size=1536), [2, 6, 10, 14, 18, 22, 26, 30, 34, 38],
            23_843_661_440, 2_326_881_920, 7610, 20480, 245_760, 47_687_327_744),
    "8b": (dict(num_hidden_layers=24, intermediate_size=7168, num_experts=32,
                moe_intermediate_size=1792), [2, 6, 10, 14, 18, 21],
           8_339_930_560, 1_557_740_992, 2302, 12288, 147_456, None),
}


@pytest.mark.parametrize("name", BIG)
def test_config_alone(tmp_path, name):
    keys, attention, total, active, n_tensors, kv, conv, size = BIG[name]
    types = ["full_attention" if i in attention else "conv"
             for i in range(keys["num_hidden_layers"])]
    (tmp_path / "config.json").write_text(json.dumps({**RELEASED, **keys, "layer_types": types}))
    seen = made.inspect(tmp_path)
    assert seen["parameters"] == {"total": total, "active": active}
    assert seen["weights"] is False and seen["digest"] is None
    assert seen["tensors"] == {"count": n_tensors, "by_type": None}
    assert seen["memory"]["kv_bytes_per_token"] == {
        "bf16": kv, "f16": kv, "f32": 2 * kv, "q8_0": kv * 34 // 64}
    assert seen["memory"]["conv_bytes_per_sequence"] == {"bf16": conv, "f32": 2 * conv}
    if size:
        assert seen["memory"]["weights_bytes"] == size
    done = made.stampede("inspect", "--model", tmp_path)
    assert done.returncode == 0 and f"{total:,}" in done.stdout and f"{active:,}" in done.stdout
    assert "absent" in done.stdout


def refused(directory, status, *parts):
    done = made.stampede("inspect", "--model", directory)
    assert done.returncode == status and done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


def test_refusals(saved, tmp_path):
    model, directory = saved("moe")
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    tensors, key = load_file(copy / made.WEIGHTS), "model.layers.1.feed_forward.experts.3.w2.weight"
    save_file({k: v for k, v in tensors.items() if k != key}, copy / made.WEIGHTS)
    refused(copy, 78, key, "missing", "[64, 48]")
    save_file({**tensors, "model.vision.weight": torch.zeros(2)}, copy / made.WEIGHTS)
    refused(copy, 78, "model.vision.weight")
    save_file({**tensors, key: tensors[key].T.contiguous()}, copy / made.WEIGHTS)
    refused(copy, 78, key, "[48, 64]", "[64, 48]")
    save_file({**tensors, key: tensors[key].to(torch.float64)}, copy / made.WEIGHTS)
    refused(copy, 78, key, "F64")
    save_file(tensors, copy / made.WEIGHTS)
    data = (copy / made.WEIGHTS).read_bytes()
    (copy / made.WEIGHTS).write_bytes(data[:-10])
    refused(copy, 78, "model.safetensors", "cut short")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "num_experts": 7}))
    (copy / made.WEIGHTS).write_bytes(data)
    refused(copy, 78, "model.layers.1.feed_forward.expert_bias", "[8]", "[7]")
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))
    refused(copy, 78, "model_type", "llama")
    refused(tmp_path / "nowhere", 78, "nowhere")


def test_missing_shard(saved, tmp_path):
    shards = made.save(saved("moe")[0], tmp_path, shards="64KB")
    first = sorted(shards.glob("*.safetensors"))[0]
    first.unlink()
    refused(shards, 78, first.name)


def test_usage():
    wrong = [(["--modle", "x"], "--modle"), ([], "--model"), (["--model"], "--model"),
             (["--model", "x", "--weights", "q4"], "q4"), (["x"], "x")]
    for arguments, part in wrong:
        done = made.stampede("inspect", *arguments)
        assert done.returncode == 2 and part in done.stderr and done.stdout == ""
    done = made.stampede("inspect", "--help")
    assert done.returncode == 0 and "--model" in done.stdout and done.stderr == ""
