"""Random checkpoints of the LFM2 family, made with transformers, for tests.

    model = make("moe_72", seed=3)         # float32, on the CPU, in eval mode
    save(model, directory)                 # as save_pretrained writes it: experts one by one
    save(model, directory, shards="64KB")  # several files and an index
    save_fused(model, directory)           # experts in two tensors a layer
    spell_old(directory)                   # config.json as transformers 4 wrote it

RECIPES names what each checkpoint is for. Weights are scaled so that every part of the network
matters: matrices keep the size of what passes through them, norms differ from 1, the expert bias
changes which experts are chosen, and logits spread by about 2.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Lfm2Config, Lfm2ForCausalLM, Lfm2MoeConfig, Lfm2MoeForCausalLM

CHECKOUT = Path(__file__).resolve().parents[2]
STAMPEDE = Path(os.environ.get("STAMPEDE_BIN", CHECKOUT / "build/stampede"))
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def layers(pattern: str) -> list[str]:
    """The layer types of a pattern such as "cac": convolution, attention, convolution."""
    return [{"c": "conv", "a": "full_attention"}[c] for c in pattern]


def rope(theta: float) -> dict:
    return {"rope_theta": theta, "rope_type": "default"}


# Keys as Lfm2Config and Lfm2MoeConfig take them; "layers" is a pattern, "theta" rope's.
RECIPES = {
    # The mixture as released, but small: tied head, expert bias, normalised, scale 1.
    "moe": dict(layers="caca", hidden_size=64, num_attention_heads=4, num_key_value_heads=2,
                intermediate_size=160, moe_intermediate_size=48, num_dense_layers=1,
                num_experts=8, num_experts_per_tok=2, theta=1e6),
    # No power of two anywhere, head_dim 24, untied head, weights not normalised, scale 2.5.
    "moe_72": dict(layers="ccaca", hidden_size=72, num_attention_heads=3, num_key_value_heads=1,
                   intermediate_size=100, moe_intermediate_size=36, num_dense_layers=2,
                   num_experts=5, num_experts_per_tok=3, theta=1e4, norm_topk_prob=False,
                   routed_scaling_factor=2.5, tie_word_embeddings=False),
    # No dense layer, no expert bias, scale 0.7, attention first, one head of keys per query head.
    "moe_96": dict(layers="acca", hidden_size=96, num_attention_heads=4, num_key_value_heads=4,
                   intermediate_size=64, moe_intermediate_size=40, num_dense_layers=0,
                   num_experts=6, num_experts_per_tok=2, theta=5e5, use_expert_bias=False,
                   routed_scaling_factor=0.7),
    # Neither bias nor normalisation; many experts, most of them used.
    "moe_plain": dict(layers="cac", hidden_size=48, num_attention_heads=6, num_key_value_heads=2,
                      intermediate_size=72, moe_intermediate_size=24, num_dense_layers=1,
                      num_experts=16, num_experts_per_tok=11, theta=1e4, use_expert_bias=False,
                      norm_topk_prob=False),
    # head_dim that is not hidden / heads, convolutions with bias and 4 taps, attention throughout
    # the mixture layers.
    "moe_bias": dict(layers="ccaa", hidden_size=60, num_attention_heads=4, num_key_value_heads=2,
                     head_dim=20, intermediate_size=90, moe_intermediate_size=30,
                     num_dense_layers=1, num_experts=4, num_experts_per_tok=1, theta=2e4,
                     conv_bias=True, conv_L_cache=4),
    # Dense, with the width rule (2/3 of 200, up to a multiple of 16: 144).
    "dense": dict(layers="ccac", hidden_size=64, num_attention_heads=4, num_key_value_heads=2,
                  intermediate_size=200, block_auto_adjust_ff_dim=True, block_multiple_of=16,
                  theta=1e6),
    # Dense, width as given, untied, no power of two, biased convolutions.
    "dense_72": dict(layers="caca", hidden_size=72, num_attention_heads=3, num_key_value_heads=3,
                     intermediate_size=110, block_auto_adjust_ff_dim=False, theta=1e4,
                     tie_word_embeddings=False, conv_bias=True),
}


def config_of(name: str, **changes):
    """The transformers config of a recipe, with some of its keys changed."""
    recipe = dict(vocab_size=211, max_position_embeddings=1024, conv_L_cache=3, norm_eps=1e-5,
                  bos_token_id=1, eos_token_id=7, pad_token_id=0)
    recipe.update(RECIPES[name], **changes)
    types, theta = layers(recipe.pop("layers")), recipe.pop("theta")
    recipe.update(layer_types=types, num_hidden_layers=len(types), rope_parameters=rope(theta))
    return (Lfm2MoeConfig if "num_experts" in recipe else Lfm2Config)(**recipe)


def make(name: str, seed: int = 0, dtype: torch.dtype = torch.float32, **changes):
    """A model of a recipe, with some of its keys changed, with random weights: the same for the
    same seed and dtype."""
    config = config_of(name, **changes)
    model = (Lfm2MoeForCausalLM if config.model_type == "lfm2_moe" else Lfm2ForCausalLM)(config)
    if config.model_type == "lfm2_moe":
        # The grouped product wants rows that are multiples of 16 bytes; and loading a checkpoint
        # of such a shape with from_pretrained needs experts_implementation="eager" too.
        model.set_experts_implementation("eager")
    generator = torch.Generator().manual_seed(seed)

    def normal(shape, deviation):
        return torch.randn(shape, generator=generator) * deviation

    with torch.no_grad():
        named = sorted({**dict(model.named_parameters()), **dict(model.named_buffers())}.items())
        for key, tensor in named:
            if "norm" in key:
                tensor.copy_(1 + normal(tensor.shape, 0.2))
            elif key.endswith("expert_bias"):
                tensor.copy_(normal(tensor.shape, 0.3))
            elif key.endswith(".bias"):
                tensor.copy_(normal(tensor.shape, 0.3))
            elif key.endswith("conv.conv.weight"):
                tensor.copy_(normal(tensor.shape, 0.6))
            elif key.endswith("embed_tokens.weight") or key.endswith("lm_head.weight"):
                tensor.copy_(normal(tensor.shape, 2 * tensor.shape[-1] ** -0.5))
            elif tensor.dim() > 1:
                tensor.copy_(normal(tensor.shape, 1.2 * tensor.shape[-1] ** -0.5))
    return model.to(dtype).eval()


def save(model, directory: Path, shards: str | None = None) -> Path:
    """Saves as transformers does; `shards`: the largest size of a file, such as "64KB"."""
    model.save_pretrained(directory, **({"max_shard_size": shards} if shards else {}))
    return Path(directory)


def hub_tensors(model) -> dict[str, torch.Tensor]:
    """The model's tensors as the hub names them: experts one by one, a tied head once."""
    tensors, width = {}, getattr(model.config, "moe_intermediate_size", None)
    for key, tensor in model.state_dict().items():
        head, _, last = key.rpartition(".")
        if key == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        if last == "gate_up_proj":
            for e, both in enumerate(tensor):
                tensors[f"{head}.{e}.w1.weight"] = both[:width]
                tensors[f"{head}.{e}.w3.weight"] = both[width:]
        elif last == "down_proj":
            tensors.update({f"{head}.{e}.w2.weight": w for e, w in enumerate(tensor)})
        else:
            tensors[key] = tensor
    return tensors


def save_fused(model, directory: Path) -> Path:
    """Saves one file with the experts of a layer in gate_up_proj and down_proj."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(directory)
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()
               if k != "lm_head.weight" or not model.config.tie_word_embeddings}
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    return directory


def spell_old(directory: Path) -> None:
    """Rewrites config.json with the keys that transformers 4 and the first releases used."""
    path = Path(directory) / "config.json"
    config = json.loads(path.read_text())
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    config["tie_embedding"] = config.pop("tie_word_embeddings")
    config["torch_dtype"] = config.pop("dtype")
    if "num_experts" in config:
        config["num_local_experts"] = config.pop("num_experts")
    else:
        types = config.pop("layer_types")
        config["full_attn_idxs"] = [i for i, t in enumerate(types) if t == "full_attention"]
        config["block_ff_dim"] = config.pop("intermediate_size")
        config["block_norm_eps"] = config["norm_eps"]
    path.write_text(json.dumps(config, indent=2))


def stampede(*arguments, **options) -> subprocess.CompletedProcess:
    """Runs the program and returns what it said, as text."""
    command = [str(STAMPEDE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def inspect(directory: Path, *arguments) -> dict:
    """What `stampede inspect --json` says of a checkpoint that it must accept."""
    done = stampede("inspect", "--model", directory, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def router_choices(model, ids: torch.Tensor, bias: bool = True) -> list[torch.Tensor]:
    """The experts that each mixture layer chooses, (tokens, k), in order of falling selection
    score; with `bias` False by the scores without the bias, on the same inputs."""
    chosen, hooks = [], []

    def note(module, inputs, kwargs, output):
        score = output[0].sigmoid()
        given = inputs[1] if len(inputs) > 1 else kwargs.get("expert_bias")
        if bias and given is not None:
            score = score + given
        chosen.append(score.topk(module.top_k, dim=-1).indices)

    for layer in model.model.layers:
        gate = getattr(layer.feed_forward, "gate", None)
        if gate is not None:
            hooks.append(gate.register_forward_hook(note, with_kwargs=True))
    with torch.no_grad():
        model(ids[None], use_cache=False)
    for hook in hooks:
        hook.remove()
    return chosen
