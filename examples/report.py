"""What the example trainers show: lines, tables, a sparkline in the terminal, a CSV and a curve."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-~=+*#"  # for terminals that cannot print the blocks


@dataclass(frozen=True)
class Step:
    """One training step, as a progress line and a row of the CSV. All of it is about the rollouts
    of this step, made before the weights of this step were pushed."""

    step: int  # from 1
    seconds: float  # since training began
    reward: float  # mean over the samples that have a reward
    tokens: int  # generated in this step
    tokens_per_second: float  # of generation
    staleness: float  # policy versions between a token and the trainer, mean over tokens
    lp_diff_mean: float  # |lp_full of the worker - the trainer's own|, over the trained tokens
    lp_diff_max: float
    clipped: float  # share of the trained tokens outside the clip range
    grad_norm: float
    masked: int  # samples without a reward: a failure on our side, left out
    generate_s: float
    train_s: float
    push_s: float
    share: float  # of the values, how many the push changed in the workers' type
    payload_mb: float  # that a worker was sent for it
    pause_ms: float  # for which its steps stood still

    def line(self) -> str:
        """The progress line."""
        return (
            f"step {self.step:4d}  {self.seconds:6.1f} s  reward {self.reward:.3f}  "
            f"{self.tokens_per_second:6,.0f} tok/s  staleness {self.staleness:.1f}  "
            f"|lp diff| {self.lp_diff_mean:.1e} max {self.lp_diff_max:.1e}  "
            f"push {self.share:.1%}, {self.payload_mb:.2f} MB, pause {self.pause_ms:.1f} ms"
            + (f"  masked {self.masked}" if self.masked else "")
        )


def moving_mean(values: Sequence[float], width: int) -> list[float]:
    """Mean of each value and up to `width - 1` values before it."""
    out = []
    for end in range(1, len(values) + 1):
        part = values[max(0, end - width) : end]
        out.append(sum(part) / len(part))
    return out


def sparkline(values: Sequence[float], width: int = 60, blocks: str = BLOCKS) -> str:
    """One character a value, lowest to highest block; more than `width` values are averaged in
    `width` bins. All-equal values give the lowest block, no values give an empty text."""
    if not values:
        return ""
    n = min(width, len(values))
    edges = [i * len(values) // n for i in range(n + 1)]
    bins = [sum(values[a:b]) / (b - a) for a, b in zip(edges, edges[1:])]
    low, high = min(bins), max(bins)
    top = len(blocks) - 1
    scale = top / (high - low) if high > low else 0.0
    return "".join(blocks[round((value - low) * scale)] for value in bins)


def terminal_blocks() -> str:
    """The block characters where standard output can print them, else plain ASCII."""
    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN
    return BLOCKS


def wilson_interval(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95% interval of a share, after Wilson (1927): right for shares near 0 and 1 too."""
    if n == 0:
        return (0.0, 1.0)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (max(0.0, middle - half), min(1.0, middle + half))


def mean_interval(values: Sequence[float], z: float = 1.96) -> tuple[float, float]:
    """95% interval of a mean, by the normal distribution; for means over several samples each."""
    n = len(values)
    if n < 2:
        return (0.0, 1.0)
    mean = sum(values) / n
    half = z * math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)
    return (mean - half, mean + half)


def shorten(text: str, width: int) -> str:
    """A text on one line of at most `width` characters."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."


def rollout_table(rows: Sequence[tuple[str, str, float]], width: int = 110) -> str:
    """Rollouts on a screen: prompts with their completions and rewards, equal prompts once."""
    out, last = [], None
    for prompt, text, reward in rows:
        if prompt != last:
            out.append("  " + shorten(prompt, width - 2))
            last = prompt
        value = " nan" if math.isnan(reward) else f"{reward:4.1f}"
        out.append(f"    {value}  {shorten(text, width - 10)}")
    return "\n".join(out)


def write_csv(path: Path, steps: Sequence[Step]) -> None:
    """One row a step, one column a field of `Step`."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Step)])
        writer.writeheader()
        writer.writerows(asdict(step) for step in steps)


def write_curve(
    path: Path, steps: Sequence[Step], before: float | None, after: float | None
) -> None:
    """The reward over steps as a PNG, with the held-out accuracies where they are known."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(8, 4.5))
    x, y = [step.step for step in steps], [step.reward for step in steps]
    axis.plot(x, y, color="tab:blue", alpha=0.35, linewidth=1, label="mean reward of a step")
    axis.plot(x, moving_mean(y, 10), color="tab:blue", label="mean of the last 10 steps")
    ends = [(0, before), (x[-1] if x else 0, after)]
    known = [(at, value) for at, value in ends if value is not None]
    if known:
        axis.plot(*zip(*known), "o", color="tab:red", label="held-out problems")
    for at, value in known:
        axis.annotate(f"{value:.1%}", (at, value), textcoords="offset points", xytext=(4, 8))
    axis.set(xlabel="training step", ylabel="mean reward", ylim=(0, 1))
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
