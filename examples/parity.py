"""Are the worker's log-probabilities the trainer's? Compared on the same rounded weights.

Both sides compute in float32, so tokens agree to about 1e-5, save where two experts' selection
scores are so close that rounding decides which of them a token goes to. Then everything after it in
the sequence differs. Such a sequence is shown with its smallest router gap, which must be tiny:
a difference without a near tie is a bug.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

CLOSE = 1e-4  # a token agrees when its log-probabilities are this close
WANTED_SHARE = 0.999  # of the tokens
NEAR_TIE = 1e-5  # a router gap below this excuses a sequence


@dataclass(frozen=True)
class Outlier:
    """A sequence with a token that does not agree."""

    row: int  # in the batch
    token: int  # position in the sequence of the first such token
    difference: float  # the sequence's largest
    router_gap: float  # smallest before `token`, over layers and tokens; inf without experts


@dataclass
class Parity:
    """The outcome of one comparison."""

    n_tokens: int = 0
    n_close: int = 0
    largest: float = 0.0
    outliers: list[Outlier] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Share of the tokens that agree."""
        return self.n_close / self.n_tokens if self.n_tokens else 1.0

    def add(self, other: Parity) -> None:
        """Takes in the counts of another comparison."""
        self.n_tokens += other.n_tokens
        self.n_close += other.n_close
        self.largest = max(self.largest, other.largest)
        self.outliers += other.outliers

    def ok(self) -> bool:
        """Whether enough tokens agree and every outlier has a near tie to excuse it."""
        return self.share >= WANTED_SHARE and all(o.router_gap < NEAR_TIE for o in self.outliers)

    def lines(self) -> list[str]:
        """The comparison in words, one line for the tokens and one for each outlier."""
        out = [
            f"parity: {self.share:.4%} of {self.n_tokens:,} tokens within {CLOSE:g}, "
            f"largest difference {self.largest:.1e}, {len(self.outliers)} sequences outside"
        ]
        for o in self.outliers:
            verdict = "near tie" if o.router_gap < NEAR_TIE else "NOT a near tie"
            out.append(
                f"  sequence {o.row}, token {o.token}: difference {o.difference:.1e}, "
                f"smallest router gap {o.router_gap:.1e} ({verdict})"
            )
        return out


def completion_logprobs(
    model: nn.Module, ids: Tensor, completion: Tensor, temperature: float
) -> Tensor:
    """log-softmax(logits / temperature) of the completions' tokens, teacher-forced.

    ids (B, L) int64 padded on the right, completion (B, L) bool, never true in column 0. Returns
    float32 of (tokens,), row by row: the entries of `completion`. Padding on the right cannot reach
    the tokens before it, so no attention mask is needed.
    """
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    chosen = completion[:, 1:]
    logits = model.lm_head(hidden[chosen]).float() / (temperature if temperature > 0 else 1.0)
    return logits.log_softmax(-1).gather(1, ids[:, 1:][chosen][:, None])[:, 0]


class RouterGaps:
    """While it is entered, records how close each token came to another choice of experts."""

    def __init__(self, model: nn.Module) -> None:
        self.gaps: list[Tensor] = []  # a layer each: (B * L,)
        self.model = model
        self.handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> RouterGaps:
        for layer in self.model.model.layers:
            gate = getattr(layer.feed_forward, "gate", None)
            if gate is not None:
                self.handles.append(gate.register_forward_hook(self._hook))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _hook(self, gate: nn.Module, inputs: tuple, output: tuple) -> None:
        self.gaps.append(selection_gap(output[0], inputs[1], gate.top_k))

    def smallest(self, shape: torch.Size) -> Tensor:
        """(B, L): each position's smallest gap over the layers; inf without experts."""
        if not self.gaps:
            return torch.full(shape, torch.inf)
        return torch.stack(self.gaps).amin(0).view(shape)


def selection_gap(logits: Tensor, bias: Tensor | None, k: int) -> Tensor:
    """k-th minus (k+1)-th largest selection score. logits (tokens, experts), bias (experts,)."""
    scores = logits.sigmoid() if bias is None else logits.sigmoid() + bias
    best = scores.topk(k + 1, dim=-1).values
    return best[:, k - 1] - best[:, k]


def by_length(mask: Tensor, rows: Tensor, parts: int) -> Iterator[tuple[Tensor, int]]:
    """Cuts `rows` of a padded batch into at most `parts` parts of similar lengths.

    mask (B, L) is the attention mask. Yields (rows of the part, its longest length).
    """
    lengths = mask.long().sum(1)
    order = rows[lengths[rows].argsort()]
    for part in order.tensor_split(parts):
        if len(part):
            yield part, int(lengths[part].max())


@torch.no_grad()
def compare(
    model: nn.Module, batch: dict[str, Tensor], temperature: float, parts: int = 4
) -> Parity:
    """Compares every token of a batch from `stampede.to_tensors` that has a log-probability."""
    was_training = model.training
    model.eval()
    total = Parity()
    every = torch.arange(len(batch["input_ids"]))
    for rows, length in by_length(batch["attention_mask"], every, parts):
        ids = batch["input_ids"][rows, :length]
        theirs = batch["lp_full"][rows, :length]
        completion = batch["completion_mask"][rows, :length].bool() & theirs.isfinite()
        if not completion.any():
            continue
        with RouterGaps(model) as gaps:
            own = completion_logprobs(model, ids, completion, temperature)
        difference = torch.zeros(ids.shape)
        difference[completion] = (own - theirs[completion]).abs()
        total.add(_judge(rows, difference, completion, gaps.smallest(ids.shape)))
    model.train(was_training)
    return total


def _judge(rows: Tensor, difference: Tensor, completion: Tensor, gaps: Tensor) -> Parity:
    """difference, completion, gaps (rows, length); NaN counts as a difference."""
    far = completion & ~(difference <= CLOSE)
    found = Parity(
        n_tokens=int(completion.sum()),
        n_close=int((completion & ~far).sum()),
        largest=float(difference.max()),
    )
    for at in far.any(1).nonzero()[:, 0].tolist():
        first = int(far[at].nonzero()[0, 0])
        found.outliers.append(
            Outlier(
                row=int(rows[at]),
                token=first,
                difference=float(difference[at].max()),
                router_gap=float(gaps[at, :first].min()),
            )
        )
    return found
