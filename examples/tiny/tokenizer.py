"""Trains the byte-level BPE of the tiny model and writes it as Hugging Face files.

It has LFM2's pre-tokenizer, decoder and BOS rule, so that a worker treats it like the real one.
Digits stay single tokens: the merges are learnt on text that is split digit by digit, and the file
ships with LFM2's own pattern, which takes up to three digits and then finds no merge for them.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tiny import problems  # noqa: E402

SPECIALS = ["<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PAD, BOS, END_OF_TEXT, TURN_START, TURN_END = range(len(SPECIALS))
VOCABULARY = 512  # rows of the embedding; the tokenizer ends up with fewer ids

# The pattern in LFM2's tokenizer.json.
LFM2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# LFM2's template without tools.
CHAT_TEMPLATE = (
    "{{- bos_token -}}{%- set system_prompt = '' -%}"
    "{%- if messages[0]['role'] == 'system' -%}"
    "{%- set system_prompt = messages[0]['content'] -%}{%- set messages = messages[1:] -%}"
    "{%- endif -%}"
    "{%- if system_prompt -%}"
    "{{- '<|im_start|>system\\n' + system_prompt + '<|im_end|>\\n' -}}{%- endif -%}"
    "{%- for m in messages -%}"
    "{{- '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def _pre_tokenizer(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def corpus(n: int = 20000, seed: int = 1) -> list[str]:
    """Questions with their worked answers, and a few phrases an untrained policy may need."""
    rng = random.Random(seed)
    out = []
    for _ in range(n):
        problem = problems.draw(rng, held_out=False)
        asked = problems.question(rng, problem)
        box = f"\\boxed{{{problems.answer(problem)}}}"
        out.append(
            f"user\n{asked}\nassistant\n{problems.worked(problem)} "
            f"So {problems.answer(problem)}. The answer is {box} Maybe {box}"
        )
    return out


def train() -> Tokenizer:
    """Learns the merges from `corpus()`; takes seconds and gives the same file each time."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _pre_tokenizer(LFM2_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}"))
    tokenizer.train_from_iterator(
        corpus(),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=SPECIALS,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    tokenizer.pre_tokenizer = _pre_tokenizer(LFM2_PATTERN)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SPECIALS[BOS]} $A",
        pair=f"{SPECIALS[BOS]} $A {SPECIALS[BOS]}:1 $B:1",
        special_tokens=[(SPECIALS[BOS], BOS)],
    )
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes tokenizer.json, tokenizer_config.json and chat_template.jinja into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": SPECIALS[BOS],
        "eos_token": SPECIALS[TURN_END],
        "model_max_length": 512,
        "pad_token": SPECIALS[PAD],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder to write the tokenizer's files into")
    folder = parser.parse_args().folder
    tokenizer = train()
    save(tokenizer, folder)
    print(f"{tokenizer.get_vocab_size()} ids written to {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
