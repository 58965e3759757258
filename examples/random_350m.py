"""Writes a checkpoint of LFM2-350M's shape with random weights: real sizes without a download.

    python examples/random_350m.py OUT --tokenizer tokenizer.json

What it says is noise; its speed, its memory and its log-probabilities are those of the real shape.
About 710 MB of bf16, and 1 GB of memory while it is written.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch  # noqa: E402
from transformers import Lfm2Config, Lfm2ForCausalLM  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tiny.tokenizer import CHAT_TEMPLATE  # noqa: E402

ATTENTION_LAYERS = (2, 5, 8, 10, 12, 14)
LAYERS = 16
PARAMETERS = 354_483_968
PAD, BOS, TURN_END = 0, 1, 7  # LFM2's own ids


def make_config() -> Lfm2Config:
    """LFM2-350M's config.json. 6,656 becomes a feed-forward width of 4,608 by LFM2's width rule."""
    return Lfm2Config(
        vocab_size=65536,
        hidden_size=1024,
        intermediate_size=6656,
        block_auto_adjust_ff_dim=True,
        block_ffn_dim_multiplier=1.0,
        block_multiple_of=256,
        num_hidden_layers=LAYERS,
        layer_types=[
            "full_attention" if i in ATTENTION_LAYERS else "conv" for i in range(LAYERS)
        ],
        num_attention_heads=16,
        num_key_value_heads=8,
        conv_L_cache=3,
        conv_bias=False,
        norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        max_position_embeddings=128000,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=TURN_END,
        dtype="bfloat16",
    )


def write_tokenizer(source: Path, folder: Path) -> None:
    """The real tokenizer.json, with the config and the template that belong to it."""
    shutil.copyfile(source, folder / "tokenizer.json")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|pad|>",
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder to write the checkpoint into")
    parser.add_argument("--tokenizer", type=Path, help="LFM2's tokenizer.json (none: ids only)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (%(default)s)")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_default_dtype(torch.bfloat16)
    model = Lfm2ForCausalLM(make_config())
    count = sum(parameter.numel() for parameter in model.parameters())
    if count != PARAMETERS:
        print(f"{count:,} parameters, {PARAMETERS:,} were expected", file=sys.stderr)
        return 1
    model.save_pretrained(options.out)
    if options.tokenizer:
        write_tokenizer(options.tokenizer, options.out)
    print(f"{count:,} parameters written to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
