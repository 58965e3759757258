"""Trains the tiny checkpoint from scratch on a CPU, in one run of about six minutes.

    python examples/tiny/pretrain.py OUT

Supervised, on worked answers to generated problems. Training stops on purpose at the first check
at which sampled accuracy reaches --target, well before the model is good, so that reinforcement
learning has something to win. The checks use problems of the training side; the held-out tenth
stays unseen.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import Lfm2MoeConfig, Lfm2MoeForCausalLM  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tiny import problems, tokenizer as tiny_tokenizer  # noqa: E402
from tiny.sampling import accuracy  # noqa: E402
from tiny.tokenizer import BOS, PAD, TURN_END, VOCABULARY  # noqa: E402

POOL = 2048  # examples that are sorted by length and cut into batches together
LAYERS = ["conv", "full_attention"] * 3


def make_config() -> Lfm2MoeConfig:
    """The shape: 2,531,264 parameters, every part of LFM2-MoE in it."""
    return Lfm2MoeConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        moe_intermediate_size=128,
        num_hidden_layers=len(LAYERS),
        layer_types=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_dense_layers=1,
        num_experts=8,
        num_experts_per_tok=2,
        norm_topk_prob=True,
        use_expert_bias=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        max_position_embeddings=512,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=TURN_END,
    )


class LoadBalance:
    """Balances the experts through expert_bias, without an auxiliary loss.

    After each step the bias of an expert that got more than the mean share of tokens goes down by
    `rate`, and up where it got less (Wang et al. 2024, "Auxiliary-Loss-Free Load Balancing").
    """

    def __init__(self, model: Lfm2MoeForCausalLM, rate: float) -> None:
        self.rate = rate
        self.experts = model.config.num_experts
        self.blocks = [
            layer.feed_forward
            for layer in model.model.layers
            if hasattr(layer.feed_forward, "expert_bias")
        ]
        self.counts = [torch.zeros(self.experts) for _ in self.blocks]
        for index, block in enumerate(self.blocks):
            block.gate.register_forward_hook(self._counter(index))

    def _counter(self, index: int) -> Callable[..., None]:
        def hook(_module: torch.nn.Module, _inputs: tuple, output: tuple) -> None:
            chosen = output[2].reshape(-1)  # (tokens, k) expert numbers
            self.counts[index] = torch.bincount(chosen, minlength=self.experts).float()

        return hook

    def step(self) -> None:
        """Moves the biases by the counts of the last forward pass."""
        for block, count in zip(self.blocks, self.counts):
            block.expert_bias += self.rate * torch.sign(count.mean() - count)

    def largest_load(self) -> float:
        """The busiest expert's share of tokens over the mean share, over all layers."""
        return max((count.max() / count.mean()).item() for count in self.counts)


def batches(
    tokenizer: Tokenizer, seed: int, size_at: Callable[[int], int]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless (ids, is_completion) pairs of (rows, length); `size_at(examples)` gives the rows."""
    rng = random.Random(seed)
    examples = 0
    while True:
        prompts, texts = [], []
        for _ in range(POOL):
            problem = problems.draw(rng, held_out=False)
            prompts.append(problems.chat(problems.question(rng, problem)))
            texts.append(f"{prompts[-1]}{problems.worked(problem)}{problems.END_OF_TURN}")
        whole = [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
        n_prompt = [len(e.ids) for e in tokenizer.encode_batch(prompts, add_special_tokens=False)]
        order = sorted(range(POOL), key=lambda i: len(whole[i]))
        rows = size_at(examples)
        parts = [order[i : i + rows] for i in range(0, POOL, rows)]
        rng.shuffle(parts)
        for part in parts:
            ids = torch.full((len(part), max(len(whole[i]) for i in part)), PAD)
            wanted = torch.zeros(ids.shape, dtype=torch.bool)
            for row, i in enumerate(part):
                ids[row, : len(whole[i])] = torch.tensor(whole[i])
                wanted[row, n_prompt[i] : len(whole[i])] = True
            examples += len(part)
            yield ids, wanted


def completion_loss(
    model: Lfm2MoeForCausalLM, ids: torch.Tensor, wanted: torch.Tensor
) -> torch.Tensor:
    """Mean cross-entropy of the completions' tokens. Padding on the right needs no mask."""
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    chosen = wanted[:, 1:]
    return F.cross_entropy(model.lm_head(hidden[chosen]), ids[:, 1:][chosen])


def save_rounded(model: Lfm2MoeForCausalLM, folder: Path) -> None:
    """Writes the weights in bf16 and expert_bias in float32, as released checkpoints have them.

    The model itself is rounded on the way.
    """
    biases = {n: b.clone() for n, b in model.named_buffers() if n.endswith("expert_bias")}
    model.to(torch.bfloat16)  # casts the biases too, so they are put back
    for name, bias in biases.items():
        block, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(block), attribute, bias)
    model.config.dtype = torch.bfloat16
    model.save_pretrained(folder)


def train(model: Lfm2MoeForCausalLM, tokenizer: Tokenizer, options: argparse.Namespace) -> float:
    """Trains until the target or the last example; returns the last checked accuracy."""
    balance = LoadBalance(model, options.bias_rate)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": 0.01},
            {"params": vectors, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
    )
    asked = problems.questions(options.check_problems, seed=4242, held_out=False)
    started, examples, step, share = time.monotonic(), 0, 0, 0.0
    next_check, losses = options.check_from, []

    def rows(done: int) -> int:
        return options.batch // 2 if done < options.half_until else options.batch

    for ids, wanted in batches(tokenizer, options.seed, rows):
        done = examples / options.examples
        if done >= 1 or time.monotonic() - started > 60 * options.max_minutes:
            break
        cosine = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = options.lr * min(1.0, (step + 1) / 60) * cosine
        loss = completion_loss(model, ids, wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        balance.step()
        step, examples = step + 1, examples + len(ids)
        losses.append(loss.item())
        line = (
            f"{time.monotonic() - started:5.0f} s  step {step:4}  examples {examples:6}  "
            f"loss {sum(losses[-30:]) / len(losses[-30:]):.4f}  load {balance.largest_load():.2f}"
        )
        if examples >= next_check:
            next_check += options.check_every
            share, _ = accuracy(model, tokenizer, asked)
            print(f"{line}  sampled {share:.1%}", flush=True)
            if share >= options.target:
                break
        elif step % 50 == 0:
            print(line, flush=True)
    return share


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("out", type=Path, help="folder to write the checkpoint into")
    add("--target", type=float, default=0.42, help="stop at this accuracy (%(default)s)")
    add("--examples", type=int, default=80000, help="end of the schedule (%(default)s)")
    add("--lr", type=float, default=2e-3, help="highest learning rate (%(default)s)")
    add("--batch", type=int, default=64, help="examples a step (%(default)s)")
    add("--half-until", type=int, default=15000, help="half batches until then (%(default)s)")
    add("--bias-rate", type=float, default=3e-3, help="step of expert_bias (%(default)s)")
    add("--max-minutes", type=float, default=60, help="stop after this long (%(default)s)")
    add("--check-from", type=int, default=50000, help="first check, examples (%(default)s)")
    add("--check-every", type=int, default=2000, help="examples between checks (%(default)s)")
    add("--check-problems", type=int, default=400, help="problems a check (%(default)s)")
    add("--seed", type=int, default=0, help="weights and problems (%(default)s)")
    add("--threads", type=int, default=2, help="torch threads (%(default)s)")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    tokenizer = tiny_tokenizer.train()
    model = Lfm2MoeForCausalLM(make_config()).float().train()
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    share = train(model, tokenizer, options)
    save_rounded(model, options.out)
    tiny_tokenizer.save(tokenizer, options.out)
    print(f"wrote {options.out}, sampled accuracy {share:.1%} on training problems")
    return 0 if share >= options.target else 1


if __name__ == "__main__":
    sys.exit(main())
