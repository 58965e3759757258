"""Sampling from the tiny model with transformers alone, and its accuracy on problems.

    python examples/tiny/sampling.py --model examples/tiny/checkpoint

prints how many of 1,000 held-out problems the model gets right, sampled at temperature 1 and
greedy.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import DynamicCache, Lfm2MoeForCausalLM  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tiny import problems  # noqa: E402
from tiny.tokenizer import PAD, TURN_END  # noqa: E402

MAX_NEW_TOKENS = 56
BATCH = 200


@torch.no_grad()
def sample(
    model: Lfm2MoeForCausalLM,
    prompts: list[list[int]],
    max_new_tokens: int = MAX_NEW_TOKENS,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """One completion a prompt, its end token included; temperature 0 takes the likeliest token.

    Prompts are padded on the left. LFM2's convolutions see padding unless the attention mask is
    given, in every step.
    """
    rows, width = len(prompts), max(map(len, prompts))
    ids = torch.full((rows, width), PAD)
    mask = torch.zeros(rows, width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    done = torch.zeros(rows, dtype=torch.bool)
    columns: list[torch.Tensor] = []
    for _ in range(max_new_tokens):
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1].float()
        if temperature > 0:
            drawn = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
        else:
            drawn = logits.argmax(-1, keepdim=True)
        drawn = torch.where(done[:, None], torch.full_like(drawn, PAD), drawn)
        columns.append(drawn)
        done |= drawn[:, 0] == TURN_END
        if done.all():
            break
        mask = torch.cat([mask, torch.ones(rows, 1, dtype=torch.long)], 1)
        ids, positions = drawn, positions[:, -1:] + 1
    out = []
    for row in torch.cat(columns, 1).tolist():
        out.append(row[: row.index(TURN_END) + 1] if TURN_END in row else row)
    return out


def accuracy(
    model: Lfm2MoeForCausalLM,
    tokenizer: Tokenizer,
    asked: list[tuple[problems.Problem, str, int]],
    temperature: float = 1.0,
    seed: int = 5,
) -> tuple[float, dict[str, float]]:
    """Share of problems that come out right, over all and by kind; one sample a problem."""
    was_training = model.training
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    rows = [
        (problem[0], tokenizer.encode(problems.chat(text), add_special_tokens=False).ids, gold)
        for problem, text, gold in asked
    ]
    rows.sort(key=lambda row: len(row[1]))
    right: dict[str, list[bool]] = {}
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        outs = sample(model, [row[1] for row in part], temperature=temperature, generator=generator)
        texts = tokenizer.decode_batch(outs, skip_special_tokens=False)
        for (kind, _, gold), text in zip(part, texts):
            right.setdefault(kind, []).append(problems.is_right(text, gold))
    model.train(was_training)
    total = sum(map(sum, right.values())) / len(rows)
    return total, {kind: sum(hits) / len(hits) for kind, hits in sorted(right.items())}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = Path(__file__).resolve().parent
    parser.add_argument(
        "--model", type=Path, default=here / "checkpoint", help="checkpoint folder (%(default)s)"
    )
    parser.add_argument(
        "--problems", type=int, default=1000, help="held-out problems (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=778, help="which problems (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = Lfm2MoeForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    asked = problems.questions(options.problems, options.seed, held_out=True)
    for name, temperature in (("sampled", 1.0), ("greedy", 0.0)):
        total, kinds = accuracy(model, tokenizer, asked, temperature)
        by_kind = "  ".join(f"{kind} {share:.1%}" for kind, share in kinds.items())
        print(f"{name:8} {total:.1%}   {by_kind}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
