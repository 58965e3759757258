"""stampede.score, equal and extract over libstampede_verify.so; statistics of groups."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest

import stampede
from stampede import scoring

from cli import BIN, ROOT

LIBRARY = Path(BIN).resolve().parent / "libstampede_verify.so"
pytestmark = pytest.mark.skipif("address" in BIN or "thread" in BIN,
                                reason="Python does not load a library of the sanitizers")


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("STAMPEDE_LIBRARY", str(LIBRARY))
    scoring._library.cache_clear()
    yield
    scoring._library.cache_clear()


def values(results: Any) -> Any:
    return [r["value"] for r in results]


def test_one_reward_for_all() -> None:
    texts = ["The answer is 4.", "\\boxed{5}", "", "\\boxed{4.0} é\u2603"]
    results = stampede.score(texts, [stampede.math("4")])
    assert [(r["value"], r["status"]) for r in results] == \
        [(1.0, "ok"), (0.0, "ok"), (0.0, "no_answer"), (1.0, "ok")]
    assert results[0]["terms"] == [{"name": "math", "verifier": "math", "value": 1.0,
                                    "status": "ok", "weight": 1.0}]
    assert values(stampede.score(texts, stampede.math("4"))) == [1, 0, 0, 1]
    shaped = {"terms": [stampede.math("4"), stampede.regex_format("boxed", weight=0.5)],
              "scale": "pm1"}
    assert values(stampede.score(texts, shaped)) == [1, 0, -1, 2]


def test_one_reward_for_each() -> None:
    texts = [f"#### {i}" for i in range(50)]
    golds = [[stampede.math(i - i % 2)] for i in range(50)]
    assert values(stampede.score(texts, golds)) == [float(i % 2 == 0) for i in range(50)]
    assert values(stampede.score((t for t in texts), ({"terms": g} for g in golds))) == \
        [float(i % 2 == 0) for i in range(50)]


def test_arrays_and_series() -> None:
    texts = np.array(["\\boxed{1}", "\\boxed{2}"])
    rewards = np.empty(2, object)
    rewards[:] = [[stampede.math("1")], [stampede.math("1")]]
    assert values(stampede.score(texts, rewards)) == [1.0, 0.0]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": texts, "reward": rewards}, index=[7, 3])
    assert values(stampede.score(frame["text"], frame["reward"])) == [1.0, 0.0]


def test_what_has_no_value_is_nan() -> None:
    one, two = stampede.score(["a", "b"], [[{"verifier": "nobody"}], [stampede.exact("b")]])
    assert math.isnan(one["value"]) and one["status"] == "bad_spec" and "nobody" in one["error"]
    assert two["value"] == 1.0
    length = {"verifier": "length", "max": 10, "soft": 5}
    result, = stampede.score(["a"], length)
    assert math.isnan(result["value"]) and result["status"] == "unsupported"
    assert math.isnan(result["terms"][0]["value"])
    assert values(stampede.score(["a"], length, n_tokens=[7])) == [pytest.approx(-0.4)]


def test_misuse_is_said() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        stampede.score([None], stampede.math("1"))  # type: ignore[list-item]
    with pytest.raises(TypeError, match="list"):
        stampede.score("abc", stampede.math("1"))
    with pytest.raises(ValueError, match="3 rewards"):
        stampede.score(["a", "b"], [[stampede.math("1")]] * 3)
    with pytest.raises(ValueError, match="list of lists"):
        stampede.score(["1", "2"], [stampede.math("1"), stampede.math("2")])
    with pytest.raises(ValueError, match="n_tokens"):
        stampede.score(["a"], stampede.math("1"), n_tokens=[1, 2])
    assert stampede.score([], stampede.math("1")) == []


def test_bytes_that_are_odd() -> None:
    texts = ["\x00 \\boxed{1}", "\ud800 \\boxed{1}", "x" * 1_000_000 + "\\boxed{1}"]
    assert values(stampede.score(texts, stampede.math("1"))) == [1.0] * 3


def test_equal_and_extract() -> None:
    assert stampede.equal("\\frac{1}{2}", "0.5") and stampede.equal(12, "12.0")
    assert not stampede.equal("2", "3") and not stampede.equal("2", None)
    assert not stampede.equal("2", "no number at all, I am afraid")
    assert stampede.equal("12", "3*4") and not stampede.equal("12", "3*4", policy="literal")
    with pytest.raises(stampede.StampedeError, match="policy"):
        stampede.equal("1", "1", policy="loose")
    with pytest.raises(stampede.StampedeError, match="gold"):
        stampede.equal("\\frac{", "1")
    assert stampede.extract("Thus \\boxed{\\frac12}.") == "\\frac12"
    assert stampede.extract("\\boxed{1} and \\boxed{2}") == "1, 2"
    assert stampede.extract("") is None
    assert stampede.equal("2,1", stampede.extract("so \\boxed{1} and \\boxed{2}"))


def test_threads_grade_at_the_same_time() -> None:
    """The GIL is let go: this thread runs on while another one grades."""
    texts, done, ticks = ["word " * 5000 + "\\boxed{1}"] * 100, threading.Event(), 0

    def grade() -> None:
        scoring.score(texts, stampede.regex_format("(w|o|r|d| )*\\\\boxed"))
        done.set()

    scoring._library()
    lib = scoring._library()
    began, ended = threading.Event(), threading.Event()
    real = lib.stampede_score

    def call(*args: Any) -> Any:
        began.set()
        out = real(*args)
        ended.set()
        return out

    lib.stampede_score = call  # type: ignore[assignment]
    thread = threading.Thread(target=grade)
    thread.start()
    began.wait()
    while not ended.is_set():
        ticks += 1
        time.sleep(0.001)
    thread.join()
    assert ticks > 5 and done.is_set()


def test_library_exports_what_is_documented_and_nothing_else() -> None:
    lib = ctypes.CDLL(str(LIBRARY))
    for name in ("reward_spec_parse", "reward_grade", "reward_to_json", "verifier_pool_open",
                 "stampede_score"):
        assert hasattr(lib, name)
    for name in ("json_parse", "arena_take", "math_parse"):
        assert not hasattr(lib, name)


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAMPEDE_LIBRARY", os.devnull)
    with pytest.raises(stampede.LibraryError, match="cannot be used"):
        stampede.extract("1")
    monkeypatch.setenv("STAMPEDE_LIBRARY", str(ROOT / "nowhere.so"))
    with pytest.raises(stampede.LibraryError, match="STAMPEDE_LIBRARY"):
        stampede.extract("1")


def test_group_statistics() -> None:
    group = stampede.Group("g", 0, 0, 4)
    assert math.isnan(group.mean) and math.isnan(group.std) and group.all_equal
    group.rewards = np.array([1.0, 0.0, math.nan, 1.0])
    assert group.mean == pytest.approx(2 / 3) and not group.all_equal
    assert group.std == pytest.approx(np.std([1.0, 0.0, 1.0]))
    group.rewards = np.array([1.0, math.nan, 1.0, 1.0])
    assert group.all_equal and group.std == 0.0


# ---- examples


def example(name: str) -> Any:
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


def test_a_batch_of_ray() -> None:
    grade = example("score_ray").Grader("text", "answer")
    out = grade({"text": np.array(["\\boxed{1}", "\\boxed{2}"]), "answer": np.array([1, 3])})
    assert out["value"] == [1.0, 0.0] and out["status"] == ["ok", "ok"]
    assert json.loads(out["terms"][0])[0]["verifier"] == "math"
    out = grade({"text": ["yes"], "reward": [json.dumps([stampede.exact("yes", weight=2)])]})
    assert out["value"] == [2.0]


def test_ray_maps_over_files(tmp_path: Path) -> None:
    pytest.importorskip("ray.data")
    with open(tmp_path / "in.jsonl", "w", encoding="utf-8") as file:
        for i in range(300):
            row = {"completion": f"\\boxed{{{i}}}", "gold": str(i // 2 * 2)}
            file.write(json.dumps(row) + "\n")
    done = subprocess.run([sys.executable, str(ROOT / "examples" / "score_ray.py"),
                           str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out")],
                          capture_output=True, text=True, timeout=300, check=False,
                          env={**os.environ, "RAY_DEDUP_LOGS": "1"})
    assert done.returncode == 0, done.stderr
    assert "300 rows, mean 0.5000" in done.stdout
    rows = [json.loads(line) for path in sorted((tmp_path / "out").iterdir())
            for line in path.read_text().splitlines()]
    assert len(rows) == 300
    assert all(row["value"] == float(row["completion"][7:-1] == row["gold"]) for row in rows)


def test_parquet_through_a_pipe(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    chat = [{"role": "assistant", "content": "\\boxed{2}"}]
    table = pyarrow.table({"step": [1, 1], "prompt": ["a", "a"], "completion": [chat, chat],
                           "advantage": [0.5, -0.5], "answer": ["2", "3"]})
    parquet.write_table(table, tmp_path / "completions.parquet")
    flags = f"--format trl --map gold=.answer --verifier math --summary off --output {tmp_path}/out"
    pipes = [f"{sys.executable} {ROOT}/examples/score_parquet.py {tmp_path}/completions.parquet"]
    if importlib.util.find_spec("duckdb"):
        copy = f"COPY (FROM '{tmp_path}/*.parquet') TO '/dev/stdout' (FORMAT json)"
        pipes.append(f'{sys.executable} -c "import duckdb; duckdb.sql(\\"{copy}\\")"')
    for pipe in pipes:
        done = subprocess.run(["sh", "-c", f"{pipe} | {BIN} score - {flags}"], check=False,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
        assert [row["reward"]["value"] for row in rows] == [1.0, 0.0]
