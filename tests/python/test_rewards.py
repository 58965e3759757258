"""Constructors of reward terms: each makes what its verifier takes, and says what is wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest

import stampede
from stampede import scoring

from cli import BIN

LIBRARY = Path(BIN).resolve().parent / "libstampede_verify.so"
needs_library = pytest.mark.skipif("address" in BIN or "thread" in BIN,
                                   reason="Python does not load a library of the sanitizers")


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("STAMPEDE_LIBRARY", str(LIBRARY))
    scoring._library.cache_clear()
    yield
    scoring._library.cache_clear()


def grade(text: str, term: Dict[str, Any]) -> Any:
    result = stampede.score([text], [term])[0]
    assert result["status"] == "ok", result
    return result["value"]


def test_terms() -> None:
    assert stampede.choice("B") == {"verifier": "choice", "gold": "B"}
    assert stampede.choice("B", ("x", "y"), weight=2) == {
        "verifier": "choice", "gold": "B", "options": ["x", "y"], "weight": 2}
    assert stampede.tags(["think"]) == {"verifier": "tags", "tags": ["think"]}
    assert stampede.tags(boxed=True, gate=True) == {"verifier": "tags", "boxed": True, "gate": True}
    assert stampede.tags(["a", "b"], where="full", opened=True) == {
        "verifier": "tags", "tags": ["a", "b"], "where": "full", "opened": True}
    assert stampede.language("en") == {"verifier": "language", "language": "en"}
    assert stampede.language("en", where="answer", name="l") == {
        "verifier": "language", "language": "en", "where": "answer", "name": "l"}
    assert stampede.repetition(4, 0.5) == {"verifier": "repetition", "ngram": 4, "max_penalty": 0.5}
    assert stampede.length(100, 20) == {"verifier": "length", "max": 100, "soft": 20}
    assert stampede.ifeval(["punctuation:no_comma"]) == {
        "verifier": "ifeval", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}],
        "mode": "strict", "score": "all"}
    assert stampede.ifeval(["a:b"], where="answer")["where"] == "answer"


@needs_library
def test_values() -> None:
    assert grade("The answer is (B).", stampede.choice("B")) == 1
    assert grade("Rome", stampede.choice("B", ["Paris", "Rome"])) == 1
    assert grade("The answer is A or B.", stampede.choice("B")) == 0
    full = stampede.tags(["think", "answer"], where="full")
    assert grade("<think>a</think> <answer>b</answer>", full) == 1
    assert grade("<think>a</think> b", full) == 0
    assert grade("a</think> \\boxed{1}", stampede.tags(["think"], opened=True, boxed=True)) == 1
    assert grade("So it is \\boxed{1", stampede.tags(boxed=True)) == 0
    assert grade("This is a sentence in English.", stampede.language("en")) == 1
    assert grade("This is a sentence in English.", stampede.language("fr")) == 0
    assert grade("one two three one two three", stampede.repetition()) == -0.25
    assert grade("a a", stampede.repetition(ngram=1, max_penalty=3)) == -1.5
    rules = stampede.ifeval(["punctuation:no_comma", "keywords:existence"],
                            [None, {"keywords": ["tea"]}], mode="loose", score="fraction")
    assert grade("Coffee.", rules) == 0.5
    assert grade("Tea.", rules) == 1
    thought = "<think>First, tea.</think><answer>Coffee.</answer>"
    assert grade(thought, stampede.ifeval(["punctuation:no_comma"])) == 0
    assert grade(thought, stampede.ifeval(["punctuation:no_comma"], where="answer")) == 1


@needs_library
def test_length_needs_tokens() -> None:
    assert stampede.score(["x"], [stampede.length(10, 4)], n_tokens=[8])[0]["value"] == -0.5
    result = stampede.score(["x"], [stampede.length(10)])[0]
    assert result["status"] == "unsupported" and math.isnan(result["value"])


@needs_library
def test_composed() -> None:
    reward = [stampede.choice("B"), stampede.tags(boxed=True, gate=True),
              stampede.repetition(weight=0.5)]
    right = stampede.score(["The answer is \\boxed{B}."], reward)[0]
    assert right["value"] == 2 and [t["value"] for t in right["terms"]] == [1, 1, 0]
    assert stampede.score(["The answer is B."], reward)[0]["value"] == 0


def test_refusals() -> None:
    with pytest.raises(ValueError, match="tags: where is 'all'"):
        stampede.tags(["a"], where="all")
    with pytest.raises(TypeError, match="names is a string"):
        stampede.tags("think")
    with pytest.raises(ValueError, match="language: where is 'full'"):
        stampede.language("en", where="full")
    with pytest.raises(ValueError, match="ifeval: mode is 'lax'"):
        stampede.ifeval([], mode="lax")
    with pytest.raises(ValueError, match="ifeval: score is 'any'"):
        stampede.ifeval([], score="any")
    with pytest.raises(ValueError, match="ifeval: where is 'full'"):
        stampede.ifeval([], where="full")
    with pytest.raises(ValueError, match="kwargs has 1 elements for 2"):
        stampede.ifeval(["a:b", "c:d"], [{}])


@needs_library
@pytest.mark.parametrize("term, sentence", [
    (stampede.choice("K"), "a letter from"),
    (stampede.choice("C", ["x", "y"]), "the last of the 2 options"),
    (stampede.tags(), "\"tags\" is missing"),
    (stampede.language("xx"), "55 codes"),
    (stampede.repetition(0), "1 to 64"),
    (stampede.repetition(3, -1.0), "above 0"),
    (stampede.length(0), "1 or more"),
])
def test_bad_specs(term: Dict[str, Any], sentence: str) -> None:
    result = stampede.score(["x"], [term])[0]
    assert result["status"] == "bad_spec" and math.isnan(result["value"])
    assert sentence in result["error"]
