"""The examples' own arithmetic: problems, advantages, the loss, parity, and what is shown."""

from __future__ import annotations

import csv
import json
import math
import random
import signal
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "examples"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import grpo  # noqa: E402
import offpolicy  # noqa: E402
import gsm8k  # noqa: E402
import parity  # noqa: E402
import report  # noqa: E402
import workers  # noqa: E402
from tiny import problems  # noqa: E402
from tiny import tokenizer as tiny_tokenizer  # noqa: E402

CHECKPOINT = CHECKOUT / "examples/tiny/checkpoint"


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads of torch stall for seconds where something else runs; the work here is tiny."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ---- problems


def test_answers_by_hand():
    assert problems.answer(("add", 37, (("+", 25),))) == 62
    assert problems.answer(("three", 50, (("-", 8), ("+", 30), ("-", 2)))) == 70
    assert problems.answer(("mul", 7, (("*", 12), ("-", 5)))) == 79
    assert problems.worked(("mul", 7, (("*", 12), ("-", 5)))) == (
        "7 * 12 = 84. 84 - 5 = 79. \\boxed{79}"
    )


def test_split_is_fixed_and_a_tenth():
    # Two problems by hand: sha256 of the repr decides, and must go on doing so, because the
    # checkpoint was trained on one side of it.
    rng = random.Random(3)
    drawn = [problems._draw_any(rng) for _ in range(4000)]
    share = sum(map(problems.is_held_out, drawn)) / len(drawn)
    assert 0.08 < share < 0.12
    assert problems.is_held_out(("add", 5, (("+", 7),))) is True
    assert problems.is_held_out(("add", 5, (("+", 2),))) is False


def test_sides_never_meet():
    rng = random.Random(0)
    train = {problems.draw(rng, held_out=False) for _ in range(3000)}
    held_out = {problem for problem, _, _ in problems.questions(500, 1, held_out=True)}
    assert len(held_out) == 500
    assert not train & held_out


def test_values_stay_in_range():
    rng = random.Random(5)
    for _ in range(2000):
        problem = problems.draw(rng, held_out=False)
        value = problem[1]
        for operator, number in problem[2]:
            value = problems.apply(value, operator, number)
            assert 0 <= value <= problems.LARGEST
        assert str(problems.answer(problem)) in problems.worked(problem)


def test_question_says_every_number():
    rng = random.Random(6)
    for _ in range(500):
        problem = problems.draw(rng, held_out=True)
        text = problems.question(rng, problem)
        for number in [problem[1], *(number for _, number in problem[2])]:
            assert f" {number}" in text
        assert text.startswith(tuple(problems.NAMES)) and text.endswith("?")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1 + 2 = 3. \\boxed{3}<|im_end|>", True),
        ("\\boxed{4} no, \\boxed{ 3 }<|im_end|>", True),
        ("\\boxed{3} no, \\boxed{4}<|im_end|>", False),
        ("1 + 2 = 3.<|im_end|>", False),
        ("1 + 2 = 3. \\boxed{3}", False),
    ],
)
def test_is_right(text, right):
    assert problems.is_right(text, 3) is right


# ---- the checkpoint and its tokenizer


def test_tokenizer_is_what_the_recipe_makes():
    made = json.loads(tiny_tokenizer.train().to_str())
    assert made == json.loads((CHECKPOINT / "tokenizer.json").read_text())


def test_template_prints_what_training_saw():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    messages = [{"role": "user", "content": "Tom has 137 apples?"}]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == problems.chat("Tom has 137 apples?")
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert ids[:2] == [tiny_tokenizer.BOS, tiny_tokenizer.TURN_START]
    assert tokenizer("7").input_ids[0] == tiny_tokenizer.BOS
    assert len(tokenizer("137", add_special_tokens=False).input_ids) == 3  # a digit, a token


def test_checkpoint_is_small_and_loads():
    from transformers import AutoModelForCausalLM

    assert sum(file.stat().st_size for file in CHECKPOINT.iterdir()) < 8 << 20
    model = AutoModelForCausalLM.from_pretrained(CHECKPOINT, dtype=torch.float32)
    assert type(model).__name__ == "Lfm2MoeForCausalLM"
    assert sum(p.numel() for p in model.parameters()) == 2_531_264
    bias = [b for name, b in model.named_buffers() if name.endswith("expert_bias")]
    assert len(bias) == 5
    assert all(b.abs().max() > 0 for b in bias)
    # rounding to bf16 would change these: they were saved in float32
    assert any((b != b.bfloat16().float()).any() for b in bias)


# ---- GRPO


def test_advantages_by_hand():
    rewards = torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0, float("nan"), 0.0, float("nan"), 5.0])
    valid = torch.tensor([1, 1, 1, 1, 1, 0, 1, 0, 1], dtype=torch.bool)
    group = torch.tensor([0, 0, 1, 1, 2, 2, 2, 3, 3])
    got = grpo.advantages(rewards, valid, group)
    pair = 0.5 / (math.sqrt(0.5) + 1e-4)  # deviation of (1, 0), divided by n - 1
    want = [pair, -pair, 0, 0, pair, 0, -pair, 0, 0]  # one valid sample is no group
    assert torch.allclose(got, torch.tensor(want), atol=1e-6)


def test_clipped_loss_by_hand():
    own = torch.log(torch.tensor([1.1, 1.5, 0.5, 1.5, 0.5]))
    advantage = torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0])
    loss = grpo.clipped_loss(own, torch.zeros(5), advantage, clip=0.2, n_tokens=10)
    # 1.1 as it is; 1.5 cut to 1.2; 0.5 not cut; -1.5 not cut; -0.5 cut to -0.8
    assert loss.item() == pytest.approx(-(1.1 + 1.2 + 0.5 - 1.5 - 0.8) / 10, abs=1e-6)


def test_clipped_loss_gives_no_gradient_outside():
    own = torch.log(torch.tensor([1.5, 0.5, 1.0])).requires_grad_()
    advantage = torch.tensor([1.0, -1.0, 2.0])
    grpo.clipped_loss(own, torch.zeros(3), advantage, clip=0.2, n_tokens=1).backward()
    assert own.grad.tolist() == pytest.approx([0.0, 0.0, -2.0], abs=1e-6)


def test_importance_loss_by_hand():
    own = torch.log(torch.tensor([1.0, 1.5, 3.0, 0.4])).requires_grad_()
    advantage = torch.tensor([1.0, 1.0, -1.0, 2.0])

    def gradient(masked):
        own.grad = None
        offpolicy.importance_loss(own, torch.zeros(4), advantage, 2.0, masked, 10).backward()
        return own.grad.tolist()

    # Weights: the ratio, at most 2; masked, 3 and 0.4 are outside of 0.5 to 2.
    assert gradient(False) == pytest.approx([-0.1, -0.15, 0.2, -0.08], abs=1e-6)
    assert gradient(True) == pytest.approx([-0.1, -0.15, 0.0, 0.0], abs=1e-6)


def test_lags():
    versions = torch.tensor([[-1, 3, 3, 5], [-1, 5, 5, -1], [-1, -1, -1, -1]])
    completion = torch.tensor([[0, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)
    assert offpolicy.lags(versions, completion, 5).tolist() == [2, 0, 0]


def test_batches_are_asked_for_ahead():
    log = []

    class Group:
        def __init__(self, index):
            self.index = index

    def ask(asked):
        log.append(asked)
        return [Group(1), Group(0)]

    for n in (0, 2):
        log.clear()
        numbers = iter(range(100))
        ahead = offpolicy.Ahead(lambda: [next(numbers)], ask, n)
        for k in range(4):
            asked, groups, _ = ahead.take()
            assert asked == [k] and [g.index for g in groups] == [0, 1]
            assert len(log) == k + 1 + n


def test_masters_keep_what_rounding_loses():
    layer = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    masters = grpo.Masters(layer, lr=1e-3, clip_norm=1e9)
    for _ in range(8):
        layer.weight.grad = torch.ones(1, 1)
        masters.step()
        assert layer.weight.item() == layer.weight.bfloat16().item()
    # a single step of 0.001 is less than half the distance of bf16 below 1 (2^-8): only the float32
    # masters can add eight of them up
    assert masters.masters[0].item() == pytest.approx(0.992, abs=1e-4)
    assert layer.weight.item() == pytest.approx(0.992, abs=2**-9)


def make_model():
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(CHECKPOINT, dtype=torch.float32)


def make_batch(model, n_prompts=2, n=2):
    """A batch such as stampede.to_tensors makes, its lp_full from the model itself."""
    tokenizer = tiny_tokenizer.Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))
    asked = problems.questions(n_prompts, 1, held_out=False)
    texts = []
    for problem, text, gold in asked:
        prompt = tokenizer.encode(problems.chat(text), add_special_tokens=False).ids
        for i in range(n):
            said = f"{problems.worked(problem)}" if i % 2 == 0 else f"\\boxed{{{gold + i}}}"
            done = tokenizer.encode(said + "<|im_end|>", add_special_tokens=False).ids
            texts.append((prompt, done))
    shape = (len(texts), max(len(a) + len(b) for a, b in texts))
    batch = {
        "input_ids": torch.zeros(shape, dtype=torch.long),
        "attention_mask": torch.zeros(shape, dtype=torch.long),
        "completion_mask": torch.zeros(shape, dtype=torch.bool),
        "lp_full": torch.zeros(shape),
        "rewards": torch.tensor([float(i % n == 0) for i in range(len(texts))]),
        "reward_mask": torch.ones(len(texts), dtype=torch.bool),
        "group_index": torch.arange(len(texts)) // n,
    }
    for row, (prompt, done) in enumerate(texts):
        end = len(prompt) + len(done)
        batch["input_ids"][row, :end] = torch.tensor(prompt + done)
        batch["attention_mask"][row, :end] = 1
        batch["completion_mask"][row, len(prompt) : end] = True
    with torch.no_grad():
        logits = model(input_ids=batch["input_ids"]).logits.log_softmax(-1)
    own = logits[:, :-1].gather(2, batch["input_ids"][:, 1:, None])[..., 0]
    batch["lp_full"][:, 1:] = own
    batch["lp_full"][~batch["completion_mask"]] = 0
    return batch


def test_train_step_raises_what_was_rewarded():
    model = make_model()
    batch = make_batch(model)
    masters = grpo.Masters(model, lr=2e-4)
    update = grpo.train_step(model, masters, batch, clip=0.2, temperature=1.0)
    assert update.lp_diff_max < 1e-4 and update.clipped == 0
    assert update.grad_norm > 0
    with torch.no_grad():
        own = parity.completion_logprobs(
            model, batch["input_ids"], batch["completion_mask"], 1.0
        )
    rose = torch.zeros(batch["lp_full"].shape)
    rose[batch["completion_mask"]] = own - batch["lp_full"][batch["completion_mask"]]
    rose = rose.sum(1)  # rows 0 and 2 were rewarded, 1 and 3 were not
    assert rose[0] > rose[1] and rose[2] > rose[3]


def test_merge_equal_keeps_the_gradient():
    model = make_model()
    batch = make_batch(model, n=4)
    batch["rewards"] = torch.tensor([1.0, 1, 1, 0, 1, 0, 0, 0])
    for to, source in ((1, 0), (2, 0), (6, 5)):  # equal samples of a group
        for column in ("input_ids", "attention_mask", "completion_mask", "lp_full"):
            batch[column][to] = batch[column][source]
    advantage = grpo.advantages(batch["rewards"], batch["reward_mask"], batch["group_index"])
    rows, merged = grpo.merge_equal(batch, advantage)
    assert rows.tolist() == [0, 3, 4, 5, 7]
    assert merged[0] == pytest.approx(3 * advantage[0].item())
    assert merged[5] == pytest.approx(2 * advantage[5].item())
    assert merged[[1, 2, 6]].tolist() == [0, 0, 0]

    def gradient(rows, advantage):
        model.zero_grad()
        mask = batch["completion_mask"][rows]
        own = parity.completion_logprobs(model, batch["input_ids"][rows], mask, 1.0)
        spread = advantage[rows][:, None].expand(mask.shape)[mask]
        grpo.clipped_loss(own, batch["lp_full"][rows][mask], spread, 0.2, 100).backward()
        return model.model.layers[3].self_attn.q_proj.weight.grad.clone()

    whole = gradient(torch.arange(8), advantage)
    assert torch.allclose(gradient(rows, merged), whole, atol=1e-6 + 1e-4 * whole.abs().max())


def test_train_step_leaves_masked_samples_out():
    changes = []
    for text_of_the_masked in (5, 9):
        model = make_model()
        batch = make_batch(model, n=3)
        batch["rewards"][2] = float("nan")
        batch["reward_mask"][2] = False
        row = batch["completion_mask"][2]
        batch["input_ids"][2][row] = text_of_the_masked
        grpo.train_step(model, grpo.Masters(model, lr=2e-4), batch, clip=0.2, temperature=1.0)
        changes.append([p.clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*changes))
    assert all(p.isfinite().all() for p in changes[0])


# ---- parity


def test_selection_gap_by_hand():
    logits = torch.tensor([[0.0, 0.0, 4.0, -4.0]])
    bias = torch.tensor([0.1, 0.0, 0.0, 0.0])
    low = 1 / (1 + math.exp(4))
    # scores 0.6, 0.5, 0.982, 0.018
    assert parity.selection_gap(logits, bias, 2).item() == pytest.approx(0.1, abs=1e-6)
    assert parity.selection_gap(logits, None, 2).item() == 0.0
    assert parity.selection_gap(logits, bias, 3).item() == pytest.approx(0.5 - low, abs=1e-6)


def test_parity_of_a_model_with_itself():
    model = make_model()
    found = parity.compare(model, make_batch(model), 1.0)
    assert found.n_tokens == found.n_close > 20
    assert found.ok() and found.largest < 1e-4


def test_parity_finds_one_wrong_token():
    model = make_model()
    batch = make_batch(model)
    at = int(batch["completion_mask"][3].nonzero()[1, 0])
    batch["lp_full"][3, at] += 0.01
    found = parity.compare(model, batch, 1.0)
    assert found.n_close == found.n_tokens - 1
    [outlier] = found.outliers
    assert (outlier.row, outlier.token) == (3, at)
    assert outlier.difference == pytest.approx(0.01, abs=1e-4)
    assert 0 < outlier.router_gap < 1
    assert not found.ok() and "NOT a near tie" in found.lines()[1]


def test_parity_excuses_near_ties_only():
    near = parity.Outlier(row=0, token=9, difference=0.1, router_gap=1e-7)
    far = parity.Outlier(row=0, token=9, difference=0.1, router_gap=1e-3)
    assert parity.Parity(10000, 9999, 0.1, [near]).ok()
    assert not parity.Parity(10000, 9999, 0.1, [far]).ok()
    assert not parity.Parity(100, 99, 0.1, [near]).ok()  # too many, even if excused


def test_by_length_covers_every_row_once():
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0]])
    parts = list(parity.by_length(mask, torch.tensor([0, 1, 2]), 2))
    assert [(sorted(rows.tolist()), length) for rows, length in parts] == [([0, 1], 3), ([2], 4)]


# ---- what is shown


def make_step(number: int, reward: float) -> report.Step:
    return report.Step(
        number, 1.5, reward, 100, 50.0, 0.0, 1e-6, 1e-5, 0.0, 1.0, 0, 2.0, 1.0, 0.1, 0.025, 0.4, 0.7
    )


def test_sparkline():
    assert report.sparkline([]) == ""
    assert report.sparkline([3, 3, 3]) == "▁▁▁"
    assert report.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == report.BLOCKS
    assert report.sparkline([0, 0, 1, 1], width=2) == "▁█"
    assert report.sparkline([0, 7], blocks=report.PLAIN) == "_#"
    assert len(report.sparkline(list(range(1000)), width=60)) == 60


def test_moving_mean():
    assert report.moving_mean([1, 2, 3, 4], 2) == [1, 1.5, 2.5, 3.5]


def test_csv_and_curve(tmp_path):
    steps = [make_step(1, 0.25), make_step(2, 0.5)]
    report.write_csv(tmp_path / "curve.csv", steps)
    rows = list(csv.DictReader((tmp_path / "curve.csv").open()))
    assert list(rows[0]) == [field.name for field in fields(report.Step)]
    assert [(row["step"], float(row["reward"])) for row in rows] == [("1", 0.25), ("2", 0.5)]
    report.write_curve(tmp_path / "curve.png", steps, 0.2, 0.6)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_line_and_table():
    line = make_step(7, 0.5).line()
    assert "step    7" in line and "reward 0.500" in line and "50 tok/s" in line
    assert "push 2.5%, 0.40 MB, pause 0.7 ms" in line
    table = report.rollout_table([("a\nb", "x" * 200, 1.0), ("a\nb", "y", float("nan"))], width=40)
    assert table.splitlines() == ["  a b", f"     1.0  {'x' * 27}...", "     nan  y"]


def test_wilson_interval():
    low, high = report.wilson_interval(50, 100)
    assert (round(low, 4), round(high, 4)) == (0.4038, 0.5962)
    assert report.wilson_interval(0, 10)[0] == 0.0
    assert report.wilson_interval(0, 10)[1] == pytest.approx(0.2775, abs=1e-3)


def test_quick_changes_defaults_only():
    assert grpo.parse([]).steps == 120
    assert grpo.parse(["--quick"]).eval_problems == 200
    given = grpo.parse(["--quick", "--steps", "7", "--min-rise", "3"])
    assert (given.steps, given.min_rise, given.max_seconds) == (7, 3.0, 90.0)


def ending(tmp_path, before, after, checked=None):
    options = grpo.parse(["--quick", "--min-rise", "10", "--out", str(tmp_path)])
    steps = [make_step(1, before), make_step(2, after)]
    return grpo.summarise(steps, checked or parity.Parity(), before, after, options)


def test_exit_status(tmp_path, capsys):
    assert ending(tmp_path, 0.4, 0.6) == 0
    assert "+20.0 points" in capsys.readouterr().out
    assert ending(tmp_path, 0.4, 0.45) == 1
    assert ending(tmp_path, 0.4, 0.3) == 1
    wrong = parity.Parity(100, 99, 0.1, [parity.Outlier(0, 1, 0.1, 1e-3)])
    assert ending(tmp_path, 0.4, 0.6, wrong) == 3


# ---- GSM8K


def test_gsm8k_reads_golds(tmp_path):
    data = tmp_path / "test.jsonl"
    golds = enumerate(["1,234", "-5"])
    lines = [{"question": f"q{i}", "answer": f"so\n#### {gold}"} for i, gold in golds]
    data.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert gsm8k.read_problems(data) == [("q0", "1234"), ("q1", "-5")]
    assert gsm8k.read_problems(data, limit=1) == [("q0", "1234")]
    data.write_text('{"question": "q", "answer": "7"}\n')
    with pytest.raises(ValueError, match="line 1"):
        gsm8k.read_problems(data)


def test_gsm8k_accuracy():
    nan = float("nan")
    share, (low, high), masked = gsm8k.accuracy([[1.0], [0.0], [nan], [1.0], [1.0]])
    assert (share, masked) == (0.75, 1)
    assert (low, high) == report.wilson_interval(3, 4)
    share, (low, high), masked = gsm8k.accuracy([[1.0, 0.0], [1.0, 1.0], [0.0, nan]])
    assert (share, masked) == (0.5, 1)
    assert low < 0.5 < high
    assert math.isnan(gsm8k.accuracy([[nan]])[0])


# ---- the whole loop, with a worker that is not there


@pytest.fixture
def fake(monkeypatch):
    from fake_stampede import Fake

    def install(**settings):
        module = Fake(CHECKPOINT, **settings)
        monkeypatch.setitem(sys.modules, "stampede", module)
        return module

    return install


SMALL = "--quick --steps 2 --prompts 3 --samples 4 --eval-problems 4 --check-every 1 --threads 1"


def test_grpo_runs_from_end_to_end(fake, tmp_path, capsys):
    module = fake(fail_sample=1)
    options = grpo.parse([*SMALL.split(), "--out", str(tmp_path), "--save", str(tmp_path / "new")])
    status = grpo.run(options)
    shown = capsys.readouterr().out
    assert status in (0, 1)  # two steps may or may not help
    assert module.version == 2 and module.launched[0].ended
    rows = list(csv.DictReader((tmp_path / "curve.csv").open()))
    assert [row["step"] for row in rows] == ["1", "2"]
    assert all(float(row["staleness"]) == 0 and int(row["masked"]) == 3 for row in rows)
    assert all(float(row["lp_diff_max"]) < 1e-3 for row in rows)
    assert "held-out accuracy on 4 problems" in shown and "rollouts (" in shown
    saved = parity_model(tmp_path / "new")
    for name, weight in module.model.state_dict().items():
        assert torch.equal(saved[name], weight), name


@pytest.mark.parametrize("correction", ["tis", "mis"])
def test_grpo_runs_ahead(fake, tmp_path, capsys, correction):
    module = fake()
    flags = f"{SMALL} --async --max-lag 2 --correction {correction}"
    assert grpo.run(grpo.parse([*flags.split(), "--out", str(tmp_path)])) in (0, 1)
    assert module.version == 2
    rows = list(csv.DictReader((tmp_path / "curve.csv").open()))
    assert [row["step"] for row in rows] == ["1", "2"]


def parity_model(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_grpo_tells_of_a_dead_worker(fake, tmp_path, capsys, monkeypatch, handler):
    fake(dies_after=1)
    monkeypatch.setattr(workers, "LOOK_S", 0.01)
    former = signal.signal(signal.SIGINT, handler)  # ignored in the background of a shell
    try:
        status = grpo.run(grpo.parse([*SMALL.split(), "--out", str(tmp_path)]))
    finally:
        signal.signal(signal.SIGINT, former)
    assert status == 2
    shown = capsys.readouterr().err
    assert "worker 1 ended with status -9" in shown and "no worker is left" in shown


def test_drafts_do_not_move_the_curve(tmp_path):
    """A real worker of few rows, which guesses, and one that does not: the same weights."""
    flags = "--quick --steps 2 --prompts 8 --samples 4 --eval-problems 4 --threads 1 --max-rows 4"
    curves, weights = [], []
    for draft in ("off", "8"):
        out = tmp_path / draft
        options = [*flags.split(), "--draft", draft, "--out", str(out), "--save", str(out / "new")]
        assert grpo.run(grpo.parse(options)) in (0, 1)
        rows = list(csv.DictReader((out / "curve.csv").open()))
        curves.append([(r["reward"], r["tokens"], r["lp_diff_max"], r["grad_norm"]) for r in rows])
        weights.append((out / "new/model.safetensors").read_bytes())
    assert len(curves[0]) == 2 and curves[0] == curves[1]
    assert weights[0] == weights[1]
