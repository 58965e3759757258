"""make bench-drafts: what drafts give and cost, on this machine, beside what they would on another.

    .venv/bin/python tests/tools/bench_drafts.py [--rows 1,2,4,8,64] [--groups 8,32] [--quick]
        [--texts FILE]

(a) The tiny model, widened 16 times (widen.py), on the GRPO example's problems: the same prompts in
three epochs, each epoch with draws of its own. Two workers, one with drafts and one without, take
turns with the same prompts and seeds, so that each pair of times is of one moment. Every token,
log-probability and route must be the same bit, or the program ends with 1. The worker without
drafts goes second: nothing that it draws can be known to the other.
(b) bench --acceptance on random weights of the 350M shape: guesses that are right as often as told.
(c) bench --plan h100 with the acceptance that (a) met.

With --texts FILE the samples of the last rows and groups are kept for draft_replay, which compares
the policy with fixed lengths and with an oracle.

Tables go to the terminal, build/drafts.json and build/drafts.png have the rest.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "protocol/python"), str(ROOT / "examples"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import stampede  # noqa: E402
from tiny import problems  # noqa: E402
from widen import widen  # noqa: E402

TINY = ROOT / "examples/tiny/checkpoint"
PROGRAM = ROOT / "build/stampede"
EPOCHS = 3
NEW = 56  # tokens, as the GRPO example has them
BEAT_S = 1.3  # a heartbeat has the last counters by then


class Side:
    """A worker that drafts, or does not, and its trainer."""

    def __init__(self, model, rows, draft):
        self.trainer = stampede.Trainer("tcp://127.0.0.1:*", min_workers=1)
        self.worker = stampede.launch(model=str(model), connect=self.trainer.url, draft=draft,
                                      max_rows=rows, max_context=256, log_level="warn")
        self.seconds = self.cpu_seconds = 0.0

    def cpu(self):
        """Processor time of the worker, seconds: of a busy machine it says more than the clock."""
        fields = Path(f"/proc/{self.worker.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def generate(self, prompts, n, seed):
        start, cpu = time.monotonic(), self.cpu()
        groups = list(self.trainer.generate(
            prompts, n=n, seed=seed, routed_experts=True,
            sampling=stampede.Sampling(max_new_tokens=NEW)))
        self.seconds, self.cpu_seconds = time.monotonic() - start, self.cpu() - cpu
        return sorted(groups, key=lambda g: g.index)

    def counters(self):
        time.sleep(BEAT_S)
        (worker,) = self.trainer.workers()
        return np.array([worker[key] for key in ("tokens", "steps", "guessed", "accepted")])

    def close(self):
        self.worker.terminate()
        self.worker.wait()
        self.trainer.close()


def same_bits(a, b):
    for x, y in zip(a, b):
        for i in range(x.n):
            for key in ("tokens", "lp_full", "lp_behav", "routed_experts"):
                u, v = getattr(x, key)[i], getattr(y, key)[i]
                if u.shape != v.shape or u.tobytes() != v.tobytes():
                    sys.exit(f"bench_drafts: {key} of group {x.id}, sample {i} differ with drafts.")
            if x.finish_reason[i] != y.finish_reason[i] or x.text[i] != y.text[i]:
                sys.exit(f"bench_drafts: group {x.id}, sample {i} ends otherwise with drafts.")


def ready(side):
    """Both sides have computed before anything is timed."""
    side.generate([stampede.Prompt(prompt="1 + 1", id="ready")], 1, 0)


def keep(path, epoch, groups):
    """The groups' samples, a line each, as draft_replay.c reads them."""
    with open(path, "a") as file:
        for g in groups:
            for i, tokens in enumerate(g.tokens):
                print(epoch, g.id.partition(".")[2], g.seed, i, len(g.prompt_ids), len(tokens),
                      *g.prompt_ids, *tokens, *g.lp_behav[i], file=file)


def measure(model, rows, n, n_prompts, texts):
    """A row of table (a) for each epoch."""
    asked = [q for _, q, _ in problems.questions(n_prompts, 5, False)]
    sides = [Side(model, rows, "auto"), Side(model, rows, "off")]
    out = []
    for side in sides:
        ready(side)
    if texts:
        Path(texts).write_text("")
    for epoch in range(EPOCHS):
        before = sides[0].counters(), sides[1].counters()
        pairs, cpu, n_tokens = [], [], 0
        # Parts in turn, so that the machine's moods fall on both.
        size = max(1, rows // n)
        for first in range(0, n_prompts, size):
            prompts = [stampede.Prompt(messages=[{"role": "user", "content": q}],
                                       id=f"{epoch}.{first + i}")
                       for i, q in enumerate(asked[first:first + size])]
            on, off = (side.generate(prompts, n, epoch) for side in sides)
            same_bits(on, off)
            if texts:
                keep(texts, epoch, on)
            n_tokens += sum(len(t) for g in on for t in g.tokens)
            pairs.append([side.seconds for side in sides])
            cpu.append([side.cpu_seconds for side in sides])
        on, off = (side.counters() - b for side, b in zip(sides, before))
        seconds, cpu_seconds = np.sum(pairs, axis=0), np.sum(cpu, axis=0)
        out.append({
            "rows": rows, "group": n, "epoch": epoch + 1, "tokens": n_tokens,
            "on_tokens_per_s": n_tokens / seconds[0], "off_tokens_per_s": n_tokens / seconds[1],
            "gain": seconds[1] / seconds[0],
            "gain_median": statistics.median(b / a for a, b in pairs),
            "gain_cpu": cpu_seconds[1] / cpu_seconds[0],
            "guessed": int(on[2]), "accepted": int(on[3]),
            "acceptance": on[3] / on[2] if on[2] else 0.0,
            "tokens_a_step": on[0] / on[1], "off_tokens_a_step": off[0] / off[1]})
        tell(out[-1])
    for side in sides:
        side.close()
    return out


def tell(r):
    print(f"{r['rows']:5d} {r['group']:6d} {r['epoch']:6d} {r['tokens']:7d} "
          f"{r['off_tokens_per_s']:8.1f} {r['on_tokens_per_s']:8.1f} {r['gain']:6.2f} "
          f"{r['gain_median']:7.2f} {r['gain_cpu']:5.2f} {r['guessed']:8d} "
          f"{100 * r['acceptance']:6.0f}% {r['tokens_a_step']:7.2f} "
          f"{r['off_tokens_a_step']:7.2f}", flush=True)


def run(*arguments):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench_drafts: {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measured(rows, acceptances):
    """Table (b): tokens a second at set acceptances, without and with drafts."""
    print("\n(b) guesses that are right as often as told: random weights of the 350M shape, auto")
    print(f"{'rows':>5} {'acceptance':>10} {'off tok/s':>10} {'on tok/s':>10} {'gain':>6} "
          f"{'right':>6}")
    out = []
    for acceptance in acceptances:
        report = run("bench", "--synthetic", "350m", "--rows", rows, "--prompt", 64, "--new", 48,
                     "--draft", "auto", "--acceptance", acceptance, "--json")
        for p in report["decode"]:
            d = p["drafts"]
            out.append({"rows": p["rows"], "acceptance": acceptance, "gain": d["gain"],
                        "off_tokens_per_s": d["off_tokens_per_s"],
                        "on_tokens_per_s": d["tokens_per_s"]})
            right = d["accepted"] / d["guessed"] if d["guessed"] else 0
            print(f"{p['rows']:5d} {acceptance:10.1f} {d['off_tokens_per_s']:10.1f} "
                  f"{d['tokens_per_s']:10.1f} {d['gain']:6.2f} {100 * right:5.0f}%", flush=True)
    return out


def planned(acceptance):
    """Table (c): the gain that an H100 could have at best."""
    print(f"\n(c) bench --plan h100, the 24B, acceptance {acceptance:.2f}: a bound, not measured")
    print(f"{'rows':>5} {'draft':>6} {'tokens/s':>10} {'gain':>6}")
    out = []
    for draft in (1, 2, 4, 8):
        report = run("bench", "--plan", "h100", "--rows", "64,1024", "--draft", draft,
                     "--acceptance", f"{acceptance:.3f}", "--json")
        for load in report["decode"]:
            out.append({"rows": load["rows"], "draft": draft, "gain": load["draft_gain"]})
            print(f"{load['rows']:5g} {draft:6d} {load['tokens_per_s']:10.0f} "
                  f"{load['draft_gain']:6.2f}")
    return out


def draw(path, texts, loads):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4), sharey=True)
    for group in sorted({r["group"] for r in texts}):
        for epoch in (1, EPOCHS):
            line = [r for r in texts if r["group"] == group and r["epoch"] == epoch]
            axes[0].plot([r["rows"] for r in line], [r["gain"] for r in line], marker="o",
                         label=f"groups of {group}, epoch {epoch}")
    axes[0].set_title("texts of a trained model, widened to 630 M")
    for acceptance in sorted({r["acceptance"] for r in loads}):
        line = [r for r in loads if r["acceptance"] == acceptance]
        axes[1].plot([r["rows"] for r in line], [r["gain"] for r in line], marker="o",
                     label=f"{100 * acceptance:.0f}% of guesses right")
    axes[1].set_title("acceptance as set, 350M shape")
    for axis in axes:
        axis.axhline(1, color="grey", linewidth=0.8)
        axis.set_xscale("log", base=2)
        axis.set_xlabel("rows")
        axis.legend(fontsize=8)
    axes[0].set_ylabel("tokens a second with drafts / without")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default="1,2,4,8,64")
    parser.add_argument("--groups", default="8,32")
    parser.add_argument("--samples", type=int, default=64, help="of an epoch, at least")
    parser.add_argument("--texts", help="keep the last samples here, for draft_replay")
    parser.add_argument("--quick", action="store_true", help="table (a) alone")
    options = parser.parse_args()
    model = ROOT / "build/wide"
    if not (model / "config.json").exists():
        widen(TINY, model, 16)
    print("(a) the tiny model, widened 16 times; gain: all times, median of pairs, processor time")
    print(f"{'rows':>5} {'group':>6} {'epoch':>6} {'tokens':>7} {'off t/s':>8} {'on t/s':>8} "
          f"{'gain':>6} {'median':>7} {'cpu':>5} {'guessed':>8} "
          f"{'right':>7} {'a step':>7} {'(off)':>7}")
    texts = []
    for n in map(int, options.groups.split(",")):
        for rows in map(int, options.rows.split(",")):
            n_samples = max(options.samples, 2 * rows)
            texts += measure(model, rows, n, max(1, n_samples // n), options.texts)
    report = {"texts": texts}
    if not options.quick:
        report["loads"] = measured("1,4,16,64", (0, 0.3, 0.6, 0.9))
        last = [r for r in texts if r["epoch"] == EPOCHS and r["rows"] >= 8] or texts
        report["plan"] = planned(statistics.mean(r["acceptance"] for r in last))
        draw(ROOT / "build/drafts.png", texts, report["loads"])
    (ROOT / "build/drafts.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
