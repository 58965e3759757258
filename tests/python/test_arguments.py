"""Every argument is checked before anything of a call is sent: a ValueError names it."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from pathlib import Path
from typing import Any, Callable, List, Tuple

import numpy as np
import pytest
import torch
from client import check_all, eventually, prompts, quick_loss, trainer
from fake_worker import FakeWorker

import stampede
from stampede import jobs, wire

NAN, INF, HALF = math.nan, math.inf, "\ud800"
P, S = stampede.Prompt, stampede.Sampling
Call = Callable[[Any], Any]


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def circle() -> Any:
    value: List[Any] = []
    value.append(value)
    return value


def sampling(**more: Any) -> Call:
    return lambda t: S(**more)


def prompt(**more: Any) -> Call:
    return lambda t: P(**{**({} if {"prompt", "messages", "prompt_ids"} & more.keys()
                             else {"prompt_ids": [1]}), **more})


def generate(**more: Any) -> Call:
    return lambda t: t.generate(**{"prompts": prompts(1), **more})


def trainer_of(**more: Any) -> Call:
    return lambda t: stampede.Trainer(**{"url": "tcp://127.0.0.1:0", **more})


def push(state: Any = None, version: Any = 1, **more: Any) -> Call:
    return lambda t: t.push_weights({"w": torch.ones(2)} if state is None else state, version,
                                    **more)


# The call, and words of the sentence: the argument, its value, what was expected.
BAD: List[Tuple[Call, str, str, str]] = [
    # Sampling
    *[(sampling(temperature=v), "temperature", str(v), "1e-5 to 1e5")
      for v in (INF, -INF, NAN, -1, 1e-6, 1e6, "hot", True, None)],
    *[(sampling(top_k=v), "top_k", str(v), "integer from 0")
      for v in (-1, 1 << 31, 2.5, "3", True)],
    *[(sampling(top_p=v), "top_p", str(v), "above 0, at most 1") for v in (0, 1.01, NAN, 1e-50)],
    *[(sampling(min_p=v), "min_p", str(v), "from 0 to 1") for v in (-0.1, 1.1, NAN, INF)],
    *[(sampling(repetition_penalty=v), "repetition_penalty", str(v), "1e-3 to 1e3")
      for v in (0, 1e-4, 1e4, NAN, "1")],
    *[(sampling(max_new_tokens=v), "max_new_tokens", str(v), "integer from 0")
      for v in (-1, 3.7, 1 << 31, np.float64(4), None)],
    *[(sampling(seed=v), "seed", str(v), "2^64 - 1") for v in (-1, 1 << 64, 1.0)],
    (sampling(ignore_eos=1), "ignore_eos", "1", "True or False"),
    *[(sampling(draft=v), "draft", repr(v), "0 to 64")
      for v in ("on", "", "3", -1, 65, 2.5, True)],
    (sampling(stop=[""]), "stop[0]", "''", "not empty"),
    (sampling(stop=["a", 5]), "stop[1]", "5", "str"),
    (sampling(stop=["a"] * 65), "stop", "65", "at most 64"),
    (sampling(stop=["a" + HALF]), "stop[0]", "surrogate", "UTF-8"),
    (sampling(stop=["ä" * 20_000] * 2), "stop", "80,000", "65,536"),
    (sampling(stop=5), "stop", "5", "list"),
    (sampling(stop_ids=[1.5]), "stop_ids", "1.5", "list of token ids"),
    (sampling(stop_ids=[1.0]), "stop_ids", "1.0", "list of token ids"),
    (sampling(stop_ids=[True, 2]), "stop_ids", "True", "list of token ids"),
    (sampling(stop_ids=[3, -1]), "stop_ids[1]", "-1", "0 to 2^31 - 1"),
    (sampling(stop_ids=[1 << 31]), "stop_ids[0]", str(1 << 31), "0 to 2^31 - 1"),
    (sampling(stop_ids=range(1025)), "stop_ids", "1025", "at most 1024"),
    (sampling(stop_ids=7), "stop_ids", "7", "list of token ids"),
    (sampling(logit_bias={5: NAN}), "logit_bias[5]", "nan", "-1e30 to 1e30"),
    (sampling(logit_bias={5: 3e38}), "logit_bias[5]", "3e+38", "-1e30 to 1e30"),
    (sampling(logit_bias={5: 1 << 2000}), "logit_bias[5]", "1148", "-1e30 to 1e30"),
    (sampling(logit_bias={5: "1"}), "logit_bias[5]", "'1'", "-1e30 to 1e30"),
    (sampling(logit_bias={"5": 1.0}), "logit_bias", "'5'", "integer from 0"),
    (sampling(logit_bias={1.0: 1.0}), "logit_bias", "1.0", "integer from 0"),
    (sampling(logit_bias={-1: 1.0}), "logit_bias", "-1", "integer from 0"),
    (sampling(logit_bias=dict.fromkeys(range(65537), 0.0)), "logit_bias", "65,537", "65,536"),
    (sampling(logit_bias=[1]), "logit_bias", "[1]", "dict"),
    # Prompt
    (prompt(prompt="a", prompt_ids=[1]), "prompt", "prompt_ids", "exactly one"),
    (lambda t: P(), "prompt", "none", "exactly one"),
    *[(prompt(n=v), "n is", str(v), "integer from 1 to 65,536")
      for v in (0, -1, 65537, 2.5, 2.0, True, "2")],
    (prompt(prompt=5), "prompt", "5", "str"),
    (prompt(prompt="a" + HALF), "prompt", "character 1", "UTF-8"),
    (prompt(prompt_ids=[1.0]), "prompt_ids", "1.0", "list of token ids"),
    (prompt(prompt_ids=[-1]), "prompt_ids[0]", "-1", "0 to 2^31 - 1"),
    (prompt(prompt_ids=[[1]]), "prompt_ids", "[[1]]", "list of token ids"),
    (prompt(prompt_ids=[[1], [2, 3]]), "prompt_ids", "[1]", "list of token ids"),
    (prompt(prompt_ids=["a"]), "prompt_ids", "'a'", "list of token ids"),
    (prompt(prompt_ids="12"), "prompt_ids", "'12'", "list of token ids"),
    (prompt(prompt_ids=np.array([1.5])), "prompt_ids", "1.5", "list of token ids"),
    (prompt(prompt_ids=[1 << 70]), "prompt_ids", "1180", "list of token ids"),
    (prompt(messages="hello"), "messages", "'hello'", "list of messages"),
    (prompt(messages={"role": "user"}), "messages", "user", "list of messages"),
    (prompt(messages=["hello"]), "messages[0]", "'hello'", "dict"),
    (prompt(messages=[{"role": "user", "content": HALF}]), "messages", "surrogate", "UTF-8"),
    (prompt(tools=[]), "tools", "without messages", "both"),
    (prompt(messages=[], tools="search"), "tools", "'search'", "list of tools"),
    (prompt(messages=[], tools=[print]), "tools[0]", "print", "dict"),
    (prompt(messages=[], tools=[{"type": NAN}]), "tools", "nan", "JSON"),
    (prompt(messages=[{"role": "user", "content": {1, 2}}]), "messages", "{1, 2}", "JSON"),
    (prompt(id=INF), "id", "inf", "JSON value without NaN and Infinity"),
    (prompt(id=float("1e400")), "id", "inf", "JSON"),
    (prompt(id={"id": 1e400}), "id", "inf", "JSON"),
    (prompt(id=HALF), "id", "surrogate", "UTF-8"),
    (prompt(id="x" * 4096), "id", "4,098", "at most 4,096"),
    (prompt(id={(1, 2): 3}), "id", "(1, 2)", "JSON"),
    (prompt(id=circle()), "id", "[...]", "JSON"),
    (prompt(id=nested(100_000)), "id", "[", "less deeply"),
    (prompt(id=Odd()), "id", "Odd", "JSON"),
    (prompt(meta=[1, NAN]), "meta", "nan", "JSON"),
    (prompt(meta=b"x"), "meta", "b'x'", "JSON"),
    (prompt(meta=np.ones(2)), "meta", "ndarray", "JSON"),
    (prompt(reward=[{"verifier": "math", "gold": NAN}]), "reward", "nan", "JSON"),
    (prompt(reward="math"), "reward", "'math'", "terms"),
    (prompt(reward=["math"]), "reward[0]", "'math'", "a dict"),
    (prompt(reward=5), "reward", "5", "terms"),
    (prompt(sampling={"temperature": 1}), "sampling", "temperature", "stampede.Sampling"),
    # generate
    *[(generate(n=v), "n is", str(v), "integer from 1 to 65,536") for v in (0, 2.5, 65537, None)],
    *[(generate(seed=v), "seed", str(v), "2^64 - 1") for v in (-1, 1 << 64, 1.0, None)],
    *[(generate(min_version=v), "min_version", str(v), "2^64 - 1") for v in (-1, 1.5, 1 << 64)],
    *[(generate(on_update=v), "on_update", str(v), "restart") for v in ("stop", None, 1)],
    *[(generate(max_version_lag=v), "max_version_lag", str(v), "an integer from 0 to 2^63 - 1")
      for v in (-1, 1.0, True, 2**63)],
    *[(generate(deadline_s=v), "deadline_s", str(v), "seconds")
      for v in (0, -1, NAN, INF, "1", 2147484, True)],
    (generate(prompt_logprobs=1), "prompt_logprobs", "1", "True or False"),
    (generate(routed_experts="yes"), "routed_experts", "yes", "True or False"),
    (generate(sampling={"top_k": 3}), "sampling", "top_k", "stampede.Sampling"),
    (generate(prompts=P(prompt_ids=[1])), "prompts", "Prompt", "list of stampede.Prompt"),
    (generate(prompts="hello"), "prompts", "hello", "list of stampede.Prompt"),
    (generate(prompts=[P(prompt_ids=[1]), "hello"]), "prompts[1]", "hello", "stampede.Prompt"),
    (generate(prompts=5), "prompts", "5", "list of stampede.Prompt"),
    (generate(prompts=[P(prompt_ids=[1]), P(prompt_ids=[1], meta="x" * (17 << 20))]),
     "prompts[1]", "17,825,", "16,777,216"),
    (lambda t: t.agenerate(prompts(1), n=0), "n is", "0", "integer from 1"),
    # Trainer and its other calls
    *[(trainer_of(min_workers=v), "min_workers", str(v), "integer from 0") for v in (-1, 1.0, "2")],
    *[(trainer_of(epoch=v), "epoch", str(v), "2^64 - 1") for v in (-1, 0.5, 1 << 64)],
    *[(trainer_of(first_serial=v), "first_serial", str(v), "2^64 - 1") for v in (-1, 1.0)],
    *[(trainer_of(run=v), "run", str(v), expected) for v, expected in
      (("", "1 to 64"), ("x" * 65, "1 to 64"), (5, "str"))],
    (trainer_of(run=HALF), "run", "surrogate", "UTF-8"),
    (trainer_of(insecure=1), "insecure", "1", "True or False"),
    (trainer_of(url=5), "url", "5", "str"),
    (trainer_of(url="ipc://" + HALF), "url", "surrogate", "UTF-8"),
    (trainer_of(url="tcp://0.0.0.0:1"), "Address", "0.0.0.0", "wildcard"),
    (trainer_of(connect=["ipc:///x"]), "url", "connect", "exactly one"),
    (lambda t: stampede.Trainer(), "url", "connect", "exactly one"),
    (lambda t: stampede.Trainer(connect=[]), "connect", "empty", "URL or more"),
    (lambda t: stampede.Trainer(connect=[5]), "connect[0]", "5", "str"),
    (lambda t: stampede.Trainer(connect=["ipc:///x", "ipc:///x"]), "connect[1]", "ipc:///x",
     "each URL once"),
    (lambda t: pickle.dumps(t), "Trainer", "pickled", "another process"),
    (lambda t: copy.deepcopy(t), "Trainer", "copied", "another process"),
    (lambda t: t.cancel(INF), "cancel: id", "inf", "JSON"),
    (lambda t: t.cancel({1, 2}), "cancel: id", "{1, 2}", "JSON"),
    (lambda t: t.wait_for_workers(1.5), "n is", "1.5", "integer from 0"),
    (lambda t: t.wait_for_workers(1, NAN), "timeout_s", "nan", "seconds"),
    (lambda t: t.close(run_complete=1), "run_complete", "1", "True or False"),
    *[(push(version=v), "version", str(v), "integer from 0")
      for v in (1.5, -1, "1", 1 << 63, None)],
    *[(push(timeout_s=v), "timeout_s", str(v), "seconds") for v in (0, NAN, -1, "1")],
    (push(state={}), "state_dict", "empty", "a tensor or more"),
    (push(state=5), "state_dict", "5", "pairs"),
    (push(state=[torch.ones(2)]), "state_dict", "tensor", "a pair"),
    (push(state={5: torch.ones(2)}), "state_dict", "5", "str"),
    (push(state={"x" * 513: torch.ones(2)}), "state_dict", "512", "bytes"),
    # tensors
    (lambda t: stampede.to_tensors(stampede.Group(0, 0, 0, 1)), "groups", "Group", "list"),
    (lambda t: stampede.to_tensors([5]), "groups[0]", "5", "stampede.Group"),
    (lambda t: stampede.to_tensors([], pad_id=0.5), "pad_id", "0.5", "integer"),
    (lambda t: stampede.to_tensors([], pad_id=1 << 63), "pad_id", str(1 << 63), "2^63 - 1"),
    # launch
    (lambda t: stampede.launch("m"), "connect", "bind", "exactly one"),
    (lambda t: stampede.launch(5, connect="x"), "model", "5", "path"),
    (lambda t: stampede.launch("", connect="x"), "model", "''", "path"),
    (lambda t: stampede.launch("m\0", connect="x"), "model", "m\\x00", "NUL"),
    (lambda t: stampede.launch("m", connect=5), "connect", "5", "str"),
    (lambda t: stampede.launch("m", bind="ipc://\0"), "bind", "\\x00", "NUL"),
    (lambda t: stampede.launch("m", connect="x", threads=[[2]]), "threads", "[2]", "number"),
    (lambda t: stampede.launch("m", connect="x", threads=NAN), "threads", "nan", "finite"),
    (lambda t: stampede.launch("m", connect="x", verifier={"x": {}}), "verifier", "{}", "number"),
    # scoring
    (lambda t: stampede.score([5], stampede.math("1")), "completions[0]", "5", "str"),
    (lambda t: stampede.score(["a"], 5), "rewards", "5", "reward"),
    (lambda t: stampede.score(["a"], [5]), "rewards[0]", "5", "terms"),
    (lambda t: stampede.score(["a"], [{"verifier": "x", "y": NAN}]), "rewards", "nan", "JSON"),
    (lambda t: stampede.score(["a"], stampede.math("1"), n_tokens=[1.5]), "n_tokens[0]", "1.5",
     "integer"),
    (lambda t: stampede.score(["a"], stampede.math("1"), n_tokens=[-1]), "n_tokens[0]", "-1",
     "integer"),
    (lambda t: stampede.equal(None, "1"), "gold", "None", "str"),
    (lambda t: stampede.equal(True, "1"), "gold", "True", "number"),
    (lambda t: stampede.equal("1", 1), "answer", "1", "str"),
    (lambda t: stampede.equal("1", "1", policy=5), "policy", "5", "str"),
    (lambda t: stampede.equal("1", "1", policy="value\0"), "policy", "\\x00", "literal"),
    (lambda t: stampede.extract(b"x"), "text", "b'x'", "str"),
    # rewards
    (lambda t: stampede.term(5), "verifier", "5", "str"),
    (lambda t: stampede.math(None), "gold", "None", "str"),
    (lambda t: stampede.math(INF), "gold", "inf", "finite"),
    (lambda t: stampede.math(True), "gold", "True", "number"),
    (lambda t: stampede.math(["1", b"2"]), "gold[1]", "b'2'", "str"),
    (lambda t: stampede.math("1", weight=NAN), "weight", "nan", "finite"),
    (lambda t: stampede.math("1", weight="2"), "weight", "'2'", "finite"),
    (lambda t: stampede.math("1", gate=1), "gate", "1", "True or False"),
    (lambda t: stampede.math("1", name=5), "name", "5", "str"),
    (lambda t: stampede.math("1", data={1, 2}), "math", "{1, 2}", "JSON"),
    (lambda t: stampede.exact(5), "gold", "5", "str"),
    (lambda t: stampede.regex_format(5), "pattern", "5", "str"),
    (lambda t: stampede.regex_format("a", where="on"), "where", "'on'", "full"),
    (lambda t: stampede.choice(1), "gold", "1", "str"),
    (lambda t: stampede.choice("A", options="xy"), "options", "'xy'", "list of texts"),
    (lambda t: stampede.choice("A", options=["x", 1]), "options[1]", "1", "str"),
    (lambda t: stampede.tags([1]), "names[0]", "1", "str"),
    (lambda t: stampede.tags(["a"], opened=1), "opened", "1", "True or False"),
    (lambda t: stampede.language(5), "code", "5", "str"),
    (lambda t: stampede.repetition(2.5), "ngram", "2.5", "integer"),
    (lambda t: stampede.repetition(3, NAN), "max_penalty", "nan", "finite"),
    (lambda t: stampede.length(10.5), "max", "10.5", "integer"),
    (lambda t: stampede.length(10, soft="2"), "soft", "'2'", "integer"),
    (lambda t: stampede.ifeval("a:b"), "instruction_id_list", "'a:b'", "list of texts"),
    (lambda t: stampede.ifeval([5]), "instruction_id_list[0]", "5", "str"),
    (lambda t: stampede.ifeval(["a:b"], [5]), "kwargs[0]", "5", "a dict or None"),
]


@pytest.fixture(scope="module")
def one():
    with stampede.Trainer("tcp://127.0.0.1:0") as t:
        yield t
        assert t.next_serial == 0 and t.counters() == {}


@pytest.mark.parametrize("call, name, value, expected", BAD,
                         ids=[f"{i} {row[1]} {row[2][:20]}".encode("ascii", "replace").decode()
                              for i, row in enumerate(BAD)])
def test_it_is_refused_by_name(one, call, name, value, expected):
    with pytest.raises(ValueError) as caught:
        call(one)
    text = str(caught.value)
    assert isinstance(caught.value, stampede.StampedeError), text
    assert name in text and value in text and expected in text and text.endswith("."), text
    assert len(text) < 600 and "\n" not in text


def test_wrong_kinds_are_type_errors_too():
    for call in (lambda: S(top_k=2.5), lambda: P(prompt=5), lambda: stampede.math(None)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError) as caught:
        S(top_k=-1)
    assert not isinstance(caught.value, TypeError)


def test_nothing_of_a_refused_call_is_sent(trainer):
    with FakeWorker(trainer.url) as worker:
        trainer.wait_for_workers(1, 30)
        call = trainer.generate(prompts(3), n=2)
        with pytest.raises(ValueError, match=r"prompts\[1\]"):
            trainer.generate([P(prompt_ids=[1]), P(prompt_ids=[1], meta="x" * (17 << 20))])
        check_all(list(call), 3, 2)
        assert worker.count("TASK") == 3 and trainer.next_serial == 3
        check_all(list(trainer.generate(prompts(2), n=1)), 2, 1, first_serial=3)


def test_numpys_numbers_are_numbers(trainer):
    s = S(temperature=np.float32(0.5), top_k=np.int64(3), stop_ids=np.array([7, 9, 7]),
          logit_bias={np.int32(5): np.float64(-1)}, max_new_tokens=np.uint8(9),
          ignore_eos=np.bool_(True), seed=np.uint64(2**64 - 1), min_p=0)
    assert s == S(temperature=0.5, top_k=3, stop_ids=(7, 9), logit_bias={5: -1.0},
                  max_new_tokens=9, ignore_eos=True, seed=2**64 - 1)
    assert type(s.top_k) is int and type(s.temperature) is float and type(s.ignore_eos) is bool
    with FakeWorker(trainer.url) as worker:
        p = P(prompt_ids=torch.tensor([1, 2]), id={"a": np.int64(5), "b": [np.float32(0.5)]},
              meta=np.bool_(True), n=np.int64(2), reward=stampede.math(np.int64(4)))
        (group,) = trainer.generate((p,), n=np.int64(3), seed=np.int32(7), sampling=s,
                                    min_version=np.int64(0), deadline_s=np.float32(1.5))
        assert group.n == 2 and group.prompt_ids.tolist() == [1, 2]
        task = next(m for m in worker.log if m.type == "TASK")
    assert task["id"] == '{"a":5,"b":[0.5]}' and task["deadline_ms"] == 1500
    assert wire.column_text(task["reward"]) == '[{"verifier":"math","gold":"4"}]'
    assert wire.column_text(task["meta"]) == "true" and task["stop_ids"].tolist() == [7, 9]


def test_limits_are_inclusive(trainer):
    s = S(temperature=1e-5, top_k=(1 << 31) - 1, min_p=1, repetition_penalty=1e3,
          stop=["x"] * 64, stop_ids=range(1024), logit_bias={i: 1e30 for i in range(65536)})
    p = P(prompt_ids=[2**31 - 1], id="x" * 4094, sampling=s)
    with FakeWorker(trainer.url) as worker:
        (group,) = trainer.generate([p], deadline_s=2147483.0)
        assert group.finish_reason == ["stop"]
        task = next(m for m in worker.log if m.type == "TASK")
        assert len(task["bias_ids"]) == 65536 and len(task["id"]) == 4096
        assert task["temperature"] == 1e-5 and task["deadline_ms"] == 2147483000
        # 16 MiB in all: exactly, and one byte more.
        room = wire.MAX_PAYLOAD - 64  # behind one token in the first 64 bytes
        (group,) = trainer.generate([P(prompt_ids=[1], meta="x" * (room - 2))])
        assert len(group.meta) == room - 2
        with pytest.raises(ValueError, match="16,777,217"):
            trainer.generate([P(prompt_ids=[1], meta="x" * (room - 1))])


def test_values_count_as_they_were():
    """What becomes of the lists and dicts afterwards is not sent, and so need not be checked."""
    stop, bias, messages = ["a"], {1: 1.0}, [{"role": "user", "content": "hi"}]
    s, p = S(stop=stop, logit_bias=bias), P(messages=messages, meta=messages, id=messages)
    before = frames_of(p, s)
    stop.append("")
    bias[2] = NAN
    messages[0]["content"] = NAN  # type: ignore[assignment]
    assert frames_of(p, s) == before


def frames_of(p: stampede.Prompt, s: stampede.Sampling) -> Any:
    request = jobs.Request(1, s, 0, None, "continue", False, False, None)
    return request.job(p, 0, 3, Box()).task.frames("run", 1, 2, 0, 1, 0)


class Box:
    def put(self, group: Any) -> None: ...


def test_prompts_and_samplings_are_values():
    s = S(stop="x", logit_bias={3: 1})
    p = P(prompt="a", sampling=s)
    assert s.stop == ("x",) and s == dataclasses.replace(s) != dataclasses.replace(s, top_k=1)
    assert dataclasses.replace(p, n=4).n == 4 and "x" in repr(p)
    for clone in (pickle.loads(pickle.dumps(p)), copy.deepcopy(p), copy.copy(p)):
        assert clone == p and not clone.has_id
        assert frames_of(clone, s) == frames_of(p, s)
    assert frames_of(P(prompt="a", id=3), s) == frames_of(P(prompt="a"), s)


@pytest.mark.parametrize("p, s", [
    (P(prompt_ids=[1, 2]), S()), (P(prompt_ids=[]), S()),
    (P(prompt="ü", id="é"), S(temperature=0)),
    (P(messages=[{"role": "user", "content": "ü"}], meta=1.5, reward=stampede.math("4")),
     S(top_k=3, stop=["a", "ü"], stop_ids=[4], logit_bias={1: 2}, ignore_eos=True, seed=3,
       draft=5)),
    (P(prompt="a"), S(draft="auto")), (P(prompt="a"), S(draft="off", stop="b")),
], ids=range(6))
@pytest.mark.parametrize("attempt", [0, 3])
def test_tasks_are_written_as_any_message(p, s, attempt):
    """Frames that are put together from parts are the canonical ones."""
    request = jobs.Request(5, s, 7, 2, "recompute", True, True, 1.5, 2)
    job = request.job(p, 0, 11, Box())
    frames = job.task.frames("run", 1, 2, 3, 4, attempt)
    message = wire.decode(*frames)
    assert (message["serial"], message["first"], message["n"], message["attempt"],
            message["min_version"], message["seed"]) == (
        11, 3, 4, attempt, 2, stampede.types.group_seed(7 if s.seed is None else s.seed,
                                                        job.id_json))
    assert wire.encode(message) == frames


def test_a_group_that_cannot_be_written_fails_alone(trainer, monkeypatch):
    whole = jobs.Task.frames

    def frames(self: Any, run: str, epoch: int, seq: int, first: int, *more: int) -> Any:
        if b'"b"' in self._before:  # the id
            raise OverflowError("something that no check has seen")
        return whole(self, run, epoch, seq, first, *more)

    monkeypatch.setattr(jobs.Task, "frames", frames)
    with FakeWorker(trainer.url):
        got = {g.id: g for g in trainer.generate([P(prompt_ids=[1], id=i) for i in (1, "b", 2)],
                                                 n=3)}
        assert set(got) == {1, "b", 2}
        assert got[1].finish_reason == got[2].finish_reason == ["stop"] * 3
        assert got["b"].finish_reason == ["error"] * 3
        assert "something that no check has seen" in got["b"].errors[1]
        assert np.isnan(got["b"].rewards).all() and got["b"].tokens[0].size == 0
        eventually(lambda: len(list(trainer.generate(prompts(2), n=1))) == 2)


def test_paths_and_flags_of_launch(tmp_path: Path) -> None:
    from stampede.launch import flags_to_arguments
    assert flags_to_arguments(dict(threads=np.int64(2), model=tmp_path, insecure=np.bool_(True),
                                   x=None, kv_memory="2G", verifier={"a": tmp_path})) == [
        "--threads", "2", "--model", str(tmp_path), "--insecure", "--kv-memory", "2G",
        "--verifier", f"a={tmp_path}"]
