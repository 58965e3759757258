"""GRPO in PyTorch on rollouts from Stampede workers: a tiny LFM2-MoE learns to do sums.

    python examples/grpo.py                 120 steps, about six minutes on two cores
    python examples/grpo.py --quick         30 steps, about a minute; what `make demo` runs
    python examples/grpo.py --async --max-lag 2
                                            rollouts go on while the trainer trains: tokens are up
                                            to two policies old and weighed by importance
    python examples/grpo.py --workers 0 --listen tcp://127.0.0.1:5555
                                            with workers that you start yourself:
                                            stampede serve --model M --connect tcp://127.0.0.1:5555

Each step asks the workers for 8 samples of each of 48 problems, scored by their `math` verifier,
takes one clipped policy-gradient step on them, and pushes the weights back. transformers'
Lfm2MoeForCausalLM is the trainer. Its optimizer keeps float32 master weights; the network itself
holds them rounded to bf16, as the workers do, so that both sides have the same policy, the ratio
of a fresh rollout is 1, and every log-probability of a worker can be checked against the
trainer's own. Worker and trainer take turns on the same cores: hence OMP_WAIT_POLICY=passive.

Exit status: 0 the reward rose by --min-rise, 1 it did not, 2 a worker died or did not start,
3 log-probabilities differ.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
import offpolicy  # noqa: E402
import parity  # noqa: E402
import report  # noqa: E402
from tiny import problems  # noqa: E402
from workers import NoWorkerLeft, Workers  # noqa: E402

CHECKOUT = Path(__file__).resolve().parents[1]
EVALUATION_SEED = 778  # the held-out problems, the same in every run
MICRO_BATCHES = 4
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def advantages(rewards: Tensor, valid: Tensor, group: Tensor) -> Tensor:
    """Group-relative advantages: (reward - mean of its group) / (deviation of its group + 1e-4).

    rewards (B,) float32, valid (B,) bool, group (B,) int64. A sample that is not valid has no
    reward (NaN): it counts in no mean and gets 0, as does a group with fewer than two valid ones.
    """
    out = torch.zeros(len(rewards))
    for index in group.unique():
        rows = (group == index) & valid
        if int(rows.sum()) > 1:
            own = rewards[rows]
            out[rows] = (own - own.mean()) / (own.std() + 1e-4)
    return out


def clipped_loss(
    own: Tensor, behaviour: Tensor, advantage: Tensor, clip: float, n_tokens: int
) -> Tensor:
    """PPO's clipped loss, summed over tokens and divided by the batch's `n_tokens`.

    own, behaviour (tokens,) log-probabilities of the trainer and of the worker (lp_full),
    advantage (tokens,).
    """
    ratio = (own - behaviour).exp()
    bounded = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantage, bounded * advantage).sum() / n_tokens


def merge_equal(batch: dict[str, Tensor], advantage: Tensor) -> tuple[Tensor, Tensor]:
    """The rows to train on, each once, and (B,) advantages that make up for those left out.

    A small model often gives the same answer twice. Rows with the same tokens, log-probabilities
    and advantage have the same gradient, so one of them stands for all with the sum of their
    advantages. Rows with advantage 0 have none.
    """
    first: dict[bytes, int] = {}
    merged = torch.zeros_like(advantage)
    columns = [batch["input_ids"].numpy(), batch["lp_full"].numpy(), advantage.numpy()]
    for row in advantage.nonzero()[:, 0].tolist():
        key = b"".join(column[row].tobytes() for column in columns)
        merged[first.setdefault(key, row)] += advantage[row]
    return torch.tensor(list(first.values()), dtype=torch.long), merged


class Masters:
    """AdamW on float32 master weights of a network that holds them rounded to bf16."""

    def __init__(self, model: torch.nn.Module, lr: float, clip_norm: float = 1.0) -> None:
        self.clip_norm = clip_norm
        self.rounded = list(model.parameters())
        self.masters = [p.detach().clone().requires_grad_() for p in self.rounded]
        self.optimizer = torch.optim.AdamW(
            self.masters, lr=lr, betas=(0.9, 0.95), weight_decay=0.0
        )
        self.round()

    @torch.no_grad()
    def round(self) -> None:
        """Writes the masters' values into the network, rounded (the network stays float32)."""
        for rounded, master in zip(self.rounded, self.masters):
            rounded.copy_(master.to(torch.bfloat16))

    def step(self) -> float:
        """One step along the network's gradients; returns their norm before clipping."""
        for rounded, master in zip(self.rounded, self.masters):
            master.grad, rounded.grad = rounded.grad, None
        norm = torch.nn.utils.clip_grad_norm_(self.masters, self.clip_norm)
        self.optimizer.step()
        self.round()
        return float(norm)


@dataclass
class Update:
    """What one training step saw."""

    lp_diff_mean: float
    lp_diff_max: float
    clipped: float
    grad_norm: float


def train_step(
    model: torch.nn.Module,
    masters: Masters,
    batch: dict[str, Tensor],
    clip: float,
    temperature: float,
    loss: Callable[..., Tensor] | None = None,
) -> Update:
    """One optimizer step on a batch of `stampede.to_tensors`. `loss` takes own, behaviour,
    advantage and n_tokens; without it, clipped_loss.

    Samples without a reward are left out; those with advantage 0 add nothing to the gradient, but
    their tokens count in the mean.
    """
    valid = batch["reward_mask"].bool()
    advantage = advantages(batch["rewards"], valid, batch["group_index"])
    completion = batch["completion_mask"].bool()
    n_tokens = max(1, int(completion[valid].sum()))
    differences, n_outside = [torch.zeros(0)], 0
    used, advantage = merge_equal(batch, advantage)
    for rows, length in parity.by_length(batch["attention_mask"], used, MICRO_BATCHES):
        mask = completion[rows, :length]
        own = parity.completion_logprobs(
            model, batch["input_ids"][rows, :length], mask, temperature
        )
        behaviour = batch["lp_full"][rows, :length][mask]
        spread = advantage[rows][:, None].expand(-1, length)[mask]
        if loss is None:
            clipped_loss(own, behaviour, spread, clip, n_tokens).backward()
        else:
            loss(own, behaviour, spread, n_tokens=n_tokens).backward()
        difference = own.detach() - behaviour
        n_outside += int(((difference.exp() - 1).abs() > clip).sum())
        differences.append(difference.abs())
    every = torch.cat(differences)
    norm = masters.step() if len(every) else 0.0
    return Update(
        lp_diff_mean=float(every.mean()) if len(every) else 0.0,
        lp_diff_max=float(every.max()) if len(every) else 0.0,
        clipped=n_outside / max(1, len(every)),
        grad_norm=norm,
    )


class Session:
    """The workers, as this script uses them."""

    def __init__(self, trainer, options: argparse.Namespace) -> None:
        import stampede

        self.stampede, self.trainer, self.options = stampede, trainer, options
        self.sampling = stampede.Sampling(
            temperature=options.temperature, max_new_tokens=options.max_new_tokens
        )

    def rollouts(
        self, asked: Sequence[tuple[problems.Problem, str, int]], n: int, tag: str | None = None
    ) -> tuple[list, float]:
        """n samples of each problem: the groups in the problems' order, and the seconds it took.

        With a `tag` the groups are named after it and their number, so that two calls with the same
        tag draw with the same random numbers.
        """
        started = time.monotonic()
        groups = list(self.ask(asked, n, tag))
        return sorted(groups, key=lambda group: group.index), time.monotonic() - started

    def ask(
        self, asked: Sequence[tuple[problems.Problem, str, int]], n: int, tag: str | None = None
    ) -> Iterable:
        """Submits them; yields groups as they end."""
        prompts = [
            self.stampede.Prompt(
                messages=[{"role": "user", "content": text}],
                reward=[self.stampede.math(str(gold))],
                **({} if tag is None else {"id": f"{tag}-{number}"}),
            )
            for number, (_, text, gold) in enumerate(asked)
        ]
        return self.trainer.generate(
            prompts, n=n, sampling=self.sampling, seed=self.options.seed
        )

    def accuracy(self, asked: Sequence[tuple[problems.Problem, str, int]]) -> float:
        """Mean reward of one sample of each problem."""
        groups, _ = self.rollouts(asked, n=1, tag="held-out")
        rewards = torch.tensor([float(group.rewards[0]) for group in groups])
        return float(rewards[~rewards.isnan()].mean())

    def drafts(self) -> str:
        """How far the workers guessed ahead, as of their last heartbeats; no bit depends on it."""
        sums = {
            key: sum(worker[key] for worker in self.trainer.workers())
            for key in ("guessed", "accepted", "tokens", "steps")
        }
        return (
            f"drafts: {sums['guessed']:,} tokens guessed, {sums['accepted']:,} of them right, "
            f"{sums['tokens'] / max(1, sums['steps']):.1f} tokens a step"
        )


def show_rollouts(
    groups: Sequence, asked: Sequence[tuple[problems.Problem, str, int]], rate: float
) -> None:
    """Prints two samples of each of a few groups, with their rewards."""
    rows = [
        (asked[g.index][1], g.text[i], float(g.rewards[i])) for g in groups[:6] for i in range(2)
    ]
    n = sum(g.n for g in groups)
    print(f"\n{len(rows)} of {n} rollouts ({rate:,.0f} tokens/s):")
    print(report.rollout_table(rows), flush=True)


def train(model, session: Session, options: argparse.Namespace) -> tuple[list, parity.Parity]:
    """The training loop: rollouts, a step, new weights."""
    masters = Masters(model, options.lr)
    rng = random.Random(1000 + options.seed)
    steps: list[report.Step] = []
    checked = parity.Parity()
    started = time.monotonic()

    def draw() -> list[tuple[problems.Problem, str, int]]:
        drawn = [problems.draw(rng, held_out=False) for _ in range(options.prompts)]
        return [(p, problems.question(rng, p), problems.answer(p)) for p in drawn]

    ahead = offpolicy.Ahead(
        draw,
        lambda asked: session.ask(asked, options.samples),
        options.max_lag if options.is_async else 0,
    )
    loss = None
    if options.is_async:
        loss = partial(
            offpolicy.importance_loss, cap=options.cap, masked=options.correction == "mis"
        )
    for number in range(1, options.steps + 1):
        asked, groups, generate_s = ahead.take()
        batch = session.stampede.to_tensors(groups, pad_id=0)
        completion = batch["completion_mask"].bool()
        n_tokens = int(completion.sum())
        lag = offpolicy.lags(batch["versions"], completion, number - 1)
        if options.is_async:
            batch["reward_mask"] &= lag <= options.max_lag
        valid = batch["reward_mask"].bool()
        if options.show_every and (number - 1) % options.show_every == 0:
            show_rollouts(groups, asked, n_tokens / generate_s)
        if options.check_every and (number - 1) % options.check_every == 0:
            fresh = {name: column[lag == 0] for name, column in batch.items()}
            found = parity.compare(model, fresh, options.temperature)
            checked.add(found)
            print("\n".join(found.lines()), flush=True)

        at = time.monotonic()
        update = train_step(model, masters, batch, options.clip, options.temperature, loss)
        train_s = time.monotonic() - at
        at = time.monotonic()
        pushed = session.trainer.push_weights(model.state_dict(), version=number)
        push_s = time.monotonic() - at
        steps.append(
            report.Step(
                step=number,
                seconds=time.monotonic() - started,
                reward=float(batch["rewards"][valid].mean()),
                tokens=n_tokens,
                tokens_per_second=n_tokens / generate_s,
                staleness=float((number - 1 - batch["versions"][completion]).float().mean()),
                masked=int((~valid).sum()),
                generate_s=generate_s,
                train_s=train_s,
                push_s=push_s,
                share=pushed.share,
                payload_mb=pushed.payload_bytes / 1e6,
                pause_ms=pushed.pause_ms,
                **vars(update),
            )
        )
        print(steps[-1].line(), flush=True)
        if options.max_seconds and steps[-1].seconds > options.max_seconds:
            print(f"stopped by --max-seconds {options.max_seconds:g}")
            break
    return steps, checked


def summarise(
    steps: list[report.Step], checked: parity.Parity, before: float, after: float, options
) -> int:
    """Writes the curve, prints the end of the story, and returns the exit status."""
    options.out.mkdir(parents=True, exist_ok=True)
    report.write_csv(options.out / "curve.csv", steps)
    report.write_curve(options.out / "curve.png", steps, before, after)
    rewards = report.moving_mean([step.reward for step in steps], 5)
    tokens = sum(step.tokens for step in steps)
    generate_s = sum(step.generate_s for step in steps)
    rise = 100 * (after - before)
    print(f"\nreward  {report.sparkline(rewards, blocks=report.terminal_blocks())}")
    print(f"        {rewards[0]:.3f} at the start, {rewards[-1]:.3f} at the end (mean of 5 steps)")
    print(
        f"{len(steps)} steps in {steps[-1].seconds:.0f} s: {tokens:,} tokens generated at "
        f"{tokens / generate_s:,.0f} tok/s, {generate_s:.0f} s generating, "
        f"{sum(step.train_s for step in steps):.0f} s training, "
        f"{sum(step.push_s for step in steps):.1f} s pushing"
    )
    if checked.n_tokens:
        print(f"all checks together: {checked.lines()[0]}")
    print(f"curve: {options.out / 'curve.png'} and {options.out / 'curve.csv'}")
    print(
        f"held-out accuracy on {options.eval_problems} problems: {before:.1%} before, "
        f"{after:.1%} after, {rise:+.1f} points"
    )
    if not checked.ok():
        print("FAILED: the worker's log-probabilities are not the trainer's", file=sys.stderr)
        return 3
    if rise <= 0 or rise < options.min_rise:
        print(f"FAILED: a rise of {options.min_rise:g} points was expected", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> int:
    """Everything between the command line and the exit status."""
    import stampede
    from tiny.pretrain import save_rounded
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).train()
    asked = problems.questions(options.eval_problems, EVALUATION_SEED, held_out=True)
    with stampede.Trainer(options.listen, min_workers=max(1, options.workers)) as trainer:
        print(f"trainer at {trainer.url}, {options.workers} workers started here", flush=True)
        workers = Workers(
            options.workers,
            model=options.model,
            connect=trainer.url,
            threads=options.worker_threads,
            max_rows=options.max_rows,
            draft=options.draft,
            log_level="warn",
        )
        try:
            with workers:
                session = Session(trainer, options)
                before = session.accuracy(asked)
                print(f"held-out accuracy before: {before:.1%}", flush=True)
                steps, checked = train(model, session, options)
                after = session.accuracy(asked)
                print(session.drafts())
        except NoWorkerLeft:
            print("FAILED: no worker is left", file=sys.stderr)
            return 2
    if options.save:
        save_rounded(model, options.save)
        for name in TOKENIZER_FILES:
            shutil.copyfile(options.model / name, options.save / name)
    status = summarise(steps, checked, before, after, options)
    if workers.dead:
        print(f"FAILED: {len(workers.dead)} of {options.workers} workers died", file=sys.stderr)
        return 2
    return status


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line. --quick changes defaults only; what is given wins."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a minute's demonstration: fewer steps and problems")
    add("--model", type=Path, default=CHECKOUT / "examples/tiny/checkpoint", help="checkpoint")
    add("--out", type=Path, default=CHECKOUT / "build/grpo", help="folder of curve.png, curve.csv")
    add("--save", type=Path, help="folder to write the trained checkpoint into")
    add("--workers", type=int, default=1, help="workers to start here; 0: wait (%(default)s)")
    add("--listen", default="tcp://127.0.0.1:0", help="address of the trainer (%(default)s)")
    add("--threads", type=int, default=2, help="threads of torch (%(default)s)")
    add("--worker-threads", type=int, default=2, help="threads of each worker (%(default)s)")
    add("--max-rows", type=int, default=192, help="rows a worker runs at once (%(default)s)")
    add("--draft", default="auto", help="how far workers guess ahead: auto, off or tokens")
    add("--steps", type=int, help="training steps (120; quick: 30)")
    add("--max-seconds", type=float, help="stop training after this long (none; quick: 90)")
    add("--prompts", type=int, default=48, help="problems a step (%(default)s)")
    add("--samples", type=int, default=8, help="samples a problem (%(default)s)")
    add("--max-new-tokens", type=int, default=56, help="tokens a sample (%(default)s)")
    add("--temperature", type=float, default=1.0, help="of the samples (%(default)s)")
    add("--lr", type=float, default=2e-4, help="learning rate (%(default)s)")
    add("--clip", type=float, default=0.2, help="clip range of the ratio (%(default)s)")
    add(
        "--async",
        dest="is_async",
        action="store_true",
        help="ask for rollouts ahead of time: they go on while the trainer trains",
    )
    add("--max-lag", type=int, default=2, help="--async: policies that a token may be old (2)")
    add("--correction", choices=["tis", "mis"], default="tis", help="--async: weights (tis)")
    add("--cap", type=float, default=2.0, help="--async: largest weight of a token (2)")
    add("--eval-problems", type=int, help="held-out problems (1000; quick: 200)")
    add("--min-rise", type=float, help="points to rise for exit status 0 (25; quick: 0)")
    add("--check-every", type=int, default=10, help="steps between parity checks (%(default)s)")
    add("--show-every", type=int, help="steps between rollouts shown (40; quick: 10)")
    add("--seed", type=int, default=0, help="problems and draws (%(default)s)")
    options = parser.parse_args(arguments)
    full = {"steps": 120, "max_seconds": None, "eval_problems": 1000, "min_rise": 25.0}
    quick = {"steps": 30, "max_seconds": 90.0, "eval_problems": 200, "min_rise": 0.0}
    chosen = quick | {"show_every": 10} if options.quick else full | {"show_every": 40}
    for name, value in chosen.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def main() -> int:
    """The exit status; what the package refuses is one sentence."""
    import stampede

    try:
        return run(parse())
    except stampede.StampedeError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
