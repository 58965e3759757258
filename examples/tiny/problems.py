"""Arithmetic word problems, generated without end and split once and for all.

A problem is its operations and its numbers; the words around them (names, things, verbs) are drawn
anew each time it is asked. The split looks at the problem alone: sha256 of its repr modulo 10 is 0
for the held-out tenth, so no wording of a held-out problem is ever trained on.
"""

from __future__ import annotations

import hashlib
import random
import re

# (kind, first value, ((operator, number), ...)); kind is "add", "sub", "two", "three" or "mul".
Problem = tuple[str, int, tuple[tuple[str, int], ...]]

# Kinds of problems and how often each is drawn.
KINDS: dict[str, int] = {"add": 2, "sub": 2, "two": 3, "three": 2, "mul": 2}
STEPS: dict[str, int] = {"add": 1, "sub": 1, "two": 2, "three": 3}
LARGEST = 199  # values between the steps stay in 1..LARGEST, products in 4..168

NAMES = (
    "Tom Ana Ben Mia Leo Zoe Sam Eva Max Ivy Dan Lily Noah Emma Jack Nina Omar Ruth Hugo Kate"
).split()
ITEMS = "apples books coins stamps pens cards shells marbles eggs cookies stickers pears".split()
GAIN = ["buys {n} more", "finds {n} more", "gets {n} more", "is given {n} more"]
LOSE = ["gives away {n}", "loses {n}", "sells {n}", "uses {n}"]
ENDINGS = ["?", " now?", " in the end?"]

BOX = re.compile(r"\\boxed\{([^{}]*)\}")
END_OF_TURN = "<|im_end|>"


def apply(value: int, operator: str, number: int) -> int:
    """One operation: `value operator number`, operator one of + - *."""
    if operator == "*":
        return value * number
    return value + number if operator == "+" else value - number


def answer(problem: Problem) -> int:
    """The value after the last operation."""
    value = problem[1]
    for operator, number in problem[2]:
        value = apply(value, operator, number)
    return value


def is_held_out(problem: Problem) -> bool:
    """Whether a problem belongs to the held-out tenth."""
    return int(hashlib.sha256(repr(problem).encode()).hexdigest()[:8], 16) % 10 == 0


def _draw_any(rng: random.Random) -> Problem:
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    if kind == "mul":
        a, b, c = rng.randint(2, 9), rng.randint(2, 12), rng.randint(2, 60)
        plus = rng.random() < 0.5 or a * b <= c
        return ("mul", a, (("*", b), ("+" if plus else "-", c)))
    while True:
        value = first = rng.randint(5, 99)
        steps: list[tuple[str, int]] = []
        for _ in range(STEPS[kind]):
            operator = {"add": "+", "sub": "-"}.get(kind) or rng.choice("+-")
            number = rng.randint(2, 99) if operator == "+" else rng.randint(2, 98)
            value = apply(value, operator, number)
            steps.append((operator, number))
            if not 1 <= value <= LARGEST:
                break
        else:
            return (kind, first, tuple(steps))


def draw(rng: random.Random, held_out: bool) -> Problem:
    """A random problem of one side of the split."""
    while True:
        problem = _draw_any(rng)
        if is_held_out(problem) == held_out:
            return problem


def question(rng: random.Random, problem: Problem) -> str:
    """A problem in words that `rng` chooses."""
    name, item = rng.choice(NAMES), rng.choice(ITEMS)
    steps = list(problem[2])
    if problem[0] == "mul":
        text = f"{name} has {problem[1]} boxes with {steps[0][1]} {item} in each box"
        steps = steps[1:]
    else:
        text = f"{name} has {problem[1]} {item}"
    parts = [rng.choice(GAIN if op == "+" else LOSE).format(n=n) for op, n in steps]
    if len(parts) == 1 and rng.random() < 0.5:
        text += f" and {parts[0]}."
    else:
        text += f". {name} {', then '.join(parts)}."
    return f"{text} How many {item} does {name} have{rng.choice(ENDINGS)}"


def worked(problem: Problem) -> str:
    """The demonstration: every operation on its own, then the value in a box."""
    value, out = problem[1], []
    for operator, number in problem[2]:
        result = apply(value, operator, number)
        out.append(f"{value} {operator} {number} = {result}.")
        value = result
    return " ".join(out) + f" \\boxed{{{value}}}"


def chat(text: str) -> str:
    """A question as the checkpoint's chat template prints it, up to the assistant's turn."""
    return (
        f"<|startoftext|><|im_start|>user\n{text}{END_OF_TURN}\n<|im_start|>assistant\n"
    )


def is_right(completion: str, gold: int) -> bool:
    """Whether the last box of a completion that ended by itself holds the gold answer.

    `completion` still has its special tokens. The worker's `math` verifier is what rewards are made
    of; this is the yardstick where no worker runs.
    """
    boxes = BOX.findall(completion)
    return bool(boxes) and boxes[-1].strip() == str(gold) and completion.endswith(END_OF_TURN)


def questions(n: int, seed: int, held_out: bool) -> list[tuple[Problem, str, int]]:
    """`n` different problems of one side of the split: (problem, question, answer) each."""
    rng = random.Random(seed)
    seen: set[Problem] = set()
    out: list[tuple[Problem, str, int]] = []
    while len(out) < n:
        problem = draw(rng, held_out)
        if problem not in seen:
            seen.add(problem)
            out.append((problem, question(rng, problem), answer(problem)))
    return out
