"""Just enough of the `stampede` package to run the examples' loops without a worker.

The "worker" samples with transformers from a copy of the last pushed weights, in this process. It
is as strict as the real one where the loops could go wrong: versions only grow, and what is pushed
is rounded to bf16.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from stampede.push import PushReport
from tiny import problems, sampling
from tokenizers import Tokenizer
from transformers import Lfm2MoeForCausalLM


@dataclass
class Sampling:
    temperature: float = 1.0
    max_new_tokens: int = 512


@dataclass
class Prompt:
    messages: list[dict[str, str]]
    reward: list[dict[str, Any]]
    id: Any = None


@dataclass
class Group:
    index: int
    prompt_ids: list[int]
    tokens: list[list[int]]
    lp_full: list[torch.Tensor]
    rewards: list[float]
    text: list[str]
    version: int

    @property
    def n(self) -> int:
        return len(self.tokens)


def math(gold: str) -> dict[str, Any]:
    return {"verifier": "math", "gold": gold}


@dataclass
class Worker:
    """A process that is running until it is told to end, or until `dies_after` calls of poll; one
    that dies has answered nothing."""

    pid: int = 1
    dies_after: int | None = None
    polls: int = 0
    ended: bool = False
    flags: dict[str, Any] = field(default_factory=dict)

    def poll(self) -> int | None:
        self.polls += 1
        if self.dies_after is not None and self.polls > self.dies_after:
            return -9
        return 0 if self.ended else None

    def terminate(self) -> None:
        self.ended = True

    def wait(self) -> int:
        return 0


class Fake:
    """Stands in for the module `stampede`."""

    Sampling, Prompt, math = Sampling, Prompt, staticmethod(math)

    def __init__(self, checkpoint: Path, dies_after: int | None = None, fail_sample=None) -> None:
        self.model = Lfm2MoeForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
        self.tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
        self.dies_after, self.fail_sample = dies_after, fail_sample
        self.version, self.url = 0, "tcp://127.0.0.1:1"
        self.launched: list[Worker] = []
        self.generator = torch.Generator().manual_seed(0)

    def Trainer(self, url: str, min_workers: int = 1) -> Fake:
        return self

    def __enter__(self) -> Fake:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def launch(self, **flags: Any) -> Worker:
        self.launched.append(Worker(dies_after=self.dies_after, flags=flags))
        return self.launched[-1]

    def workers(self) -> list[dict[str, int]]:
        return [dict.fromkeys(("guessed", "accepted", "tokens", "steps"), 0) for _ in self.launched]

    def push_weights(self, weights: dict[str, torch.Tensor], version: int) -> PushReport:
        assert version > self.version
        self.version = version
        biases = {n: w for n, w in weights.items() if n.endswith("expert_bias")}
        rounded = {n: w.bfloat16().float() for n, w in weights.items()}
        self.model.load_state_dict(rounded | biases)
        n = sum(w.numel() for w in weights.values())
        return PushReport(version, n, n, 2 * n, 0.1, 0.1, 1.0, 1.0, 0)

    @torch.no_grad()
    def generate(self, prompts, n, sampling: Sampling, seed=0):
        while self.dies_after is not None:  # nobody is there to answer
            time.sleep(0.01)
        order = list(enumerate(prompts))[::-1]  # groups come as they finish
        for index, prompt in order:
            text = problems.chat(prompt.messages[0]["content"])
            ids = self.tokenizer.encode(text, add_special_tokens=False).ids
            outs = sample(self.model, ids, n, sampling, self.generator)
            texts = self.tokenizer.decode_batch(outs, skip_special_tokens=False)
            gold = int(prompt.reward[0]["gold"])
            rewards = [float(problems.is_right(text, gold)) for text in texts]
            if self.fail_sample is not None:
                rewards[self.fail_sample % n] = float("nan")
            yield Group(
                index=index,
                prompt_ids=ids,
                tokens=outs,
                lp_full=[logprobs(self.model, ids, out) for out in outs],
                rewards=rewards,
                text=texts,
                version=self.version,
            )

    def to_tensors(self, groups: list[Group], pad_id: int) -> dict[str, torch.Tensor]:
        rows = [(g, i) for g in groups for i in range(g.n)]
        shape = (len(rows), max(len(g.prompt_ids) + len(g.tokens[i]) for g, i in rows))
        out = {
            "input_ids": torch.full(shape, pad_id),
            "attention_mask": torch.zeros(shape, dtype=torch.long),
            "completion_mask": torch.zeros(shape, dtype=torch.bool),
            "lp_full": torch.zeros(shape),
            "versions": torch.full(shape, -1),
            "rewards": torch.tensor([g.rewards[i] for g, i in rows]),
            "group_index": torch.tensor([g.index for g, _ in rows]),
        }
        out["reward_mask"] = ~out["rewards"].isnan()
        for row, (group, i) in enumerate(rows):
            start, end = len(group.prompt_ids), len(group.prompt_ids) + len(group.tokens[i])
            out["input_ids"][row, :end] = torch.tensor(group.prompt_ids + group.tokens[i])
            out["attention_mask"][row, :end] = 1
            out["completion_mask"][row, start:end] = True
            out["lp_full"][row, start:end] = group.lp_full[i]
            out["versions"][row, start:end] = group.version
        return out


def sample(model, ids, n, settings: Sampling, generator) -> list[list[int]]:
    return sampling.sample(
        model, [ids] * n, settings.max_new_tokens, settings.temperature, generator
    )


def logprobs(model, ids: list[int], out: list[int]) -> torch.Tensor:
    whole = torch.tensor([ids + out])
    logits = model(input_ids=whole).logits[0, len(ids) - 1 : -1].log_softmax(-1)
    return logits.gather(1, torch.tensor(out)[:, None])[:, 0]
