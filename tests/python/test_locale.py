"""Nothing in the client depends on the locale: a decimal comma changes no number, here or there."""

import locale
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli import BIN

HERE = Path(__file__).resolve().parent
NAME = "de_DE.UTF-8"
COMMA = f"""
import locale, sys
sys.path.insert(0, {str(HERE)!r})
locale.setlocale(locale.LC_ALL, {NAME!r})
assert locale.localeconv()["decimal_point"] == ","
import numpy as np
import stampede
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The variables of a process that has the locale: the system's, or one that is made here."""
    try:
        before = locale.setlocale(locale.LC_ALL)
        locale.setlocale(locale.LC_ALL, NAME)
        locale.setlocale(locale.LC_ALL, before)
        return dict(os.environ)
    except locale.Error:
        pass
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is None or subprocess.run(
            ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / NAME)],
            capture_output=True).returncode > 1:
        pytest.skip(f"The locale {NAME} is not installed and cannot be made: Debian's package "
                    "locales brings it.")
    return {**os.environ, "LOCPATH": str(folder)}


def run(environment, code):
    done = subprocess.run([sys.executable, "-c", COMMA + code], env=environment,
                          capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_numbers_of_tasks_and_results(environment):
    run(environment, """
from fake_worker import FakeWorker
from stampede import wire
with stampede.Trainer("tcp://127.0.0.1:0") as trainer, FakeWorker(trainer.url) as worker:
    reward = [stampede.math(0.5, weight=0.25), stampede.math(np.float32(1.5))]
    prompt = stampede.Prompt(prompt_ids=[1], id=1.5, meta=[0.1, 1e300], reward=reward)
    (group,) = trainer.generate([prompt], sampling=stampede.Sampling(temperature=0.7))
    task = next(m for m in worker.log if m.type == "TASK")
    assert task["id"] == "1.5" and task["temperature"] == 0.7
    assert wire.column_text(task["meta"]) == "[0.1,1e+300]"
    assert wire.column_text(task["reward"]) == (
        '[{"verifier":"math","gold":"0.5","weight":0.25},{"verifier":"math","gold":"1.5"}]')
    assert group.rewards.tolist() == [0.5] and group.terms[0][0]["value"] == 0.5
    try:
        stampede.Sampling(top_p=1.5)
    except ValueError as error:
        assert "1.5" in str(error)
from stampede.launch import flags_to_arguments
assert flags_to_arguments({"x": 0.5, "y": np.float64(0.25)}) == ["--x", "0.5", "--y", "0.25"]
""")


@pytest.mark.skipif("address" in BIN or "thread" in BIN,
                    reason="Python does not load a library of the sanitizers")
def test_the_graders(environment):
    library = Path(BIN).resolve().parent / "libstampede_verify.so"
    run({**environment, "STAMPEDE_LIBRARY": str(library)}, """
reward = {"terms": [stampede.math("0.5", weight=0.5), stampede.exact("x", weight=0.25)],
          "clamp": [-0.75, 0.75]}
(result,) = stampede.score(["\\\\boxed{0.5}"], reward)
assert result["value"] == 0.5 and result["status"] == "ok", result
assert [term["weight"] for term in result["terms"]] == [0.5, 0.25], result
assert stampede.equal("0.5", "1/2") and stampede.equal(0.5, "0.50")
assert not stampede.equal("0.5", "0")
(result,) = stampede.score(["a b"], stampede.length(100, 20), n_tokens=[90])
assert result["value"] == -0.5, result
(result,) = stampede.score(["a a"], stampede.repetition(1, 0.5))
assert result["value"] == -0.25, result
""")
