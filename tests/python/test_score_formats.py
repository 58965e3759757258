"""The formats of interface.md, section 2: rows of the shapes that each program writes today.

The rows are ours; the comments say where the shape was read.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Dict, List, Optional

import pyarrow
import pyarrow.parquet
import pytest
from transformers import AutoTokenizer

from cli import TINY, run
from score_cli import Line, native, read, score, values, write

NAN = float("nan")


def check_format(tmp: Path, lines: List[Any], name: str, want: List[Any], *flags: Any,
                 verifier: str = "math") -> List[Line]:
    """The same rows whether the format is found or said."""
    for asked in ("auto", name):
        status, rows, _, stderr = score(tmp, lines, "--verifier", verifier, "--format", asked,
                                        *flags)
        assert values(rows) == want, (rows, stderr)
        assert status == (1 if None in want else 0), stderr
        assert (f"format is {name}" in stderr) == (asked == "auto")
    return rows


def check_shards(tmp: Path, *flags: Any) -> None:
    """Shards of in.jsonl, merged, are out.jsonl."""
    shards = [tmp / f"s{i}" for i in range(3)]
    for i, shard in enumerate(shards):
        run("score", tmp / "in.jsonl", "--output", shard, "--shard", f"{i}/3", *flags)
    done = run("score", "--merge", *shards, "--output", tmp / "merged")
    assert done.returncode in (0, 1), done.stderr
    assert (tmp / "merged").read_bytes() == (tmp / "out.jsonl").read_bytes()


# ---- native


def test_lists_of_completions(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "\\boxed{4}"}]
    lines = [
        {"id": "a", "completion": ["\\boxed{4}", "\\boxed{5}"], "gold": "4"},
        {"id": "b", "completions": ["\\boxed{4}", None, "4"], "gold": "4"},
        {"id": "c", "responses": [["\\boxed{4}"], [["\\boxed{3}"]]], "gold": "4"},
        {"id": "d", "response": "\\boxed{4}", "gold": "4"},
        {"id": "e", "completion": [chat, chat], "gold": "4"},
        {"id": "f", "completion": chat[1], "gold": "4"},
        {"id": "g", "completion": ["\\boxed{4}"], "gold": "4"},
        {"id": "h", "completion": [{"text": "\\boxed{4}"}, {"text": "5"}], "gold": "4"},
        {"id": "i", "completion": [], "gold": "4"},
        {"id": "j", "completion": ["a", 7], "gold": "4"},
        {"id": "k", "completion": [1, 2], "gold": "4"},
        {"id": "l", "messages": chat, "gold": "4"},
        {"id": "m", "response": {"body": 1}, "gold": "4"},
    ]
    status, rows, summary, _ = score(tmp_path, lines, "--verifier", "math")
    assert status == 1
    assert [(r["id"], r["index"], r.get("sample")) for r in rows] == [
        ("a", 0, 0), ("a", 0, 1), ("b", 1, 0), ("b", 1, 1), ("b", 1, 2), ("c", 2, 0), ("c", 2, 1),
        ("d", 3, None), ("e", 4, 0), ("e", 4, 1), ("f", 5, None), ("g", 6, None), ("h", 7, 0),
        ("h", 7, 1), ("i", 8, None), ("j", 9, None), ("k", 10, None), ("l", 11, None),
        ("m", 12, None)]
    assert values(rows) == [1, 0, 1, None, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, None, None, None, 1, None]
    for row, words in ((rows[3], "null"), (rows[14], "empty list"), (rows[15], "a number"),
                       (rows[16], "list of numbers"), (rows[18], "\"completion\" or \"messages\"")):
        assert words in row["error"], row
    assert summary["pass_at"]["1"] > 0 and "2" in summary["pass_at"]  # a record is a group
    check_shards(tmp_path, "--verifier", "math")


def test_samples_with_on_error_and_resume(tmp_path: Path) -> None:
    """A record's rows are bad one by one; they stay together where a run stops."""
    lines = [{"completion": [f"\\boxed{{{i}}}", None, "x"], "gold": i} for i in range(4)]
    status, rows, summary, _ = score(tmp_path, lines, "--verifier", "math", "--on-error", "skip")
    assert status == 1 and summary["n_bad"] == 4
    assert [(r["index"], r["sample"]) for r in rows] == [(i, s) for i in range(4) for s in (0, 2)]
    (tmp_path / "out.jsonl").unlink()
    status, rows, _, _ = score(tmp_path, lines, "--verifier", "math", "--max-errors", 1)
    part = read(tmp_path / "out.jsonl.part")
    assert status == 1 and not rows and {r["index"] for r in part} == {0, 1} and len(part) == 6
    assert part[-1]["sample"] == 2
    status, rows, _, _ = score(tmp_path, lines, "--verifier", "math", "--resume")
    assert status == 1 and len(rows) == 12


# ---- verl


def test_verl_dumps(tmp_path: Path) -> None:
    # verl-project/verl, verl/trainer/ppo/v1/trainer_base.py, _write_generations: the columns of a
    # step; gts is null where the data have none, what a reward function adds stands beside, and
    # the uid is the prompt's with rollout and output. Older: ppo/ray_trainer.py.
    lines = [{"input": "user\n1+1?\nassistant\n", "output": f"#### {a}", "gts": "2", "score": 1.0,
              "step": 3, "acc": True, "uid": f"6f1-x_{i}_0"} for i, a in enumerate((2, 3))]
    rows = check_format(tmp_path, lines, "verl", [1.0, 0.0])
    assert [r["id"] for r in rows] == ["6f1-x_0_0", "6f1-x_1_0"]
    assert score(tmp_path, lines, "--verifier", "math")[2]["pass_at"] == {"1": 0.5, "2": 1.0}
    old = [{k: v for k, v in line.items() if k != "uid"} for line in lines]
    check_format(tmp_path, old, "verl", [1.0, 0.0])
    assert score(tmp_path, old, "--verifier", "math")[2]["pass_at"] == {"1": 0.5, "2": 1.0}
    golds: List[Any] = ['["2"]', "['2']", ["2"], '["3", "2"]', 2, 2.0, None, NAN]
    lines = [{"input": "q", "output": "\\boxed{2}", "gts": gold, "score": NAN, "step": 3,
              "reward": NAN} for gold in golds]
    rows = check_format(tmp_path, lines, "verl", [1.0] * 6 + [None, None])
    assert "gold" in rows[6]["error"] and "Its gold is NaN" in rows[7]["error"]


def test_verl_generations(tmp_path: Path) -> None:
    # verl-project/verl, verl/trainer/main_generation_server.py: the data set's own columns and
    # "responses", a list of texts for each prompt.
    def line(gold: Any, *texts: str) -> Line:
        return {"data_source": "openai/gsm8k", "prompt": [{"role": "user", "content": "q"}],
                "ability": "math", "reward_model": {"style": "rule", "ground_truth": gold},
                "extra_info": {"index": 0, "split": "test"}, "responses": list(texts)}
    lines = [line("72", "#### 72", "So 72.", "#### 71"), line('["3"]', "\\boxed{3}")]
    rows = check_format(tmp_path, lines, "verl", [1.0, 1.0, 0.0, 1.0])
    assert [(r["index"], r.get("sample")) for r in rows] == [(0, 0), (0, 1), (0, 2), (1, None)]
    summary = score(tmp_path, lines, "--verifier", "math")[2]
    assert summary["pass_at"]["2"] == 1.0 and set(summary["datasets"]) == {"openai/gsm8k"}
    # The same file, of Parquet by way of pandas.
    table = pyarrow.Table.from_pylist(lines)
    pyarrow.parquet.write_table(table, tmp_path / "g.parquet")
    back = pyarrow.parquet.read_table(tmp_path / "g.parquet").to_pylist()
    check_format(tmp_path, back, "verl", [1.0, 1.0, 0.0, 1.0])
    status, rows, _, stderr = score(tmp_path, tmp_path / "g.parquet", "--verifier", "math")
    assert status == 3 and "Parquet" in stderr and stderr.count("\n") == 1
    # A data set before anything was generated.
    del lines[0]["responses"]
    rows = score(tmp_path, lines[:1], "--verifier", "math", "--format", "verl")[1]
    assert "\"output\"" in rows[0]["error"]


# ---- TRL


def test_trl(tmp_path: Path) -> None:
    # huggingface/trl, trl/trainer/grpo_trainer.py: completions_*.parquet with step, prompt,
    # completion, a column a reward function (NaN where it gave none), extra columns, advantage.
    chat = [{"role": "assistant", "content": "\\boxed{4}"}]
    lines = [{"step": 1, "prompt": "2+2", "completion": c, "accuracy_reward": 1.0,
              "format_reward": NAN, "answer": "4", "advantage": 0.5}
             for c in ("\\boxed{4}", chat, "5")]
    check_format(tmp_path, lines, "trl", [1.0, 1.0, 0.0], "--map", "gold=.answer")
    assert score(tmp_path, lines, "--verifier", "math", "--map", "gold=.answer")[2]["groups"] == 1
    for line in lines:
        line["prompt"] = [{"role": "user", "content": "2+2"}]
    check_format(tmp_path, lines, "trl", [1.0, 1.0, 0.0], "--map", "gold=.answer")
    assert score(tmp_path, lines, "--verifier", "math", "--map", "gold=.answer")[2]["groups"] == 1
    # A data frame's to_json(lines=True) writes null for NaN.
    text = json.dumps(lines[0]).replace("NaN", "null")
    check_format(tmp_path, [text], "trl", [1.0], "--map", "gold=.answer")


# ---- AReaL


def areal(task: Any, sample: int, completion: str, segments: Optional[List[Line]] = None) -> Line:
    # areal-project/AReaL, areal/infra/workflow_executor.py, _dump_trajectory: texts are decoded
    # with their special tokens; segments where there is more than one turn.
    line = {"task_id": task, "sample_idx": sample, "seqlen": 90, "prompt_len": 30,
            "head_version": 1, "tail_version": 2, "version_rle": [[1, 60]], "reward": 1.0,
            "original_reward": 1.0, "prompt": "<|im_start|>user\nq<|im_end|>\n",
            "completion": completion}
    return {**line, "segments": segments} if segments else line


def test_areal(tmp_path: Path) -> None:
    lines = [areal(t, s, f"\\boxed{{{s}}}") for t in ("a", "b") for s in (0, 1)]
    golds = write(tmp_path / "golds.jsonl", [{"id": "b", "gold": "1"}, {"id": "a", "gold": 0}])
    rows = check_format(tmp_path, lines, "areal", [1.0, 0.0, 0.0, 1.0], "--golds", golds)
    assert [r["id"] for r in rows] == ["a", "a", "b", "b"]
    golds = write(tmp_path / "golds.jsonl", [{"id": i, "gold": "yes"} for i in range(6)])
    turns = [{"role": "prompt", "len": 3, "text": "q"}, {"role": "gen", "len": 2, "text": "no"},
             {"role": "context", "len": 3, "text": "Try again."},
             {"role": "gen", "len": 2, "text": "yes<|im_end|>"}]
    lines = [areal(0, 0, "yes<|im_end|>\n"), areal(1, 0, "yes<|im_end|><|endoftext|>"),
             areal(2, 0, "yes</s>"), areal(3, 0, "no<|im_end|>Try again.yes<|im_end|>", turns),
             areal(4, 0, "yes <| no |>"), areal(5, 0, "yes<eos>")]
    check_format(tmp_path, lines, "areal", [1.0, 1.0, 1.0, 1.0, 0.0, 1.0], "--golds", golds,
                 verifier="exact")


# ---- open-instruct


def rollout(**keys: Any) -> Line:
    # allenai/open-instruct, open_instruct/rl_utils.py, RolloutRecord: token ids alone, also of the
    # gold where the data set was tokenized.
    return {"step": 7, "sample_idx": 0, "prompt_idx": 3, "prompt_tokens": [1, 2],
            "response_tokens": [3], "reward": 1.0, "advantage": 0.5, "finish_reason": "stop",
            "dataset": ["gsm8k"], "ground_truth": None, "request_info": None, "logprobs": None,
            **keys}


def test_open_instruct(tmp_path: Path) -> None:
    lines = [rollout(response="The answer is 7.", ground_truth="7"),
             rollout(response="The answer is 7.", ground_truth=[22, 7]),
             rollout(ground_truth="7"),
             rollout(response="The answer is 7.", ground_truth=["7"]),
             rollout(response="The answer is 7.", dataset="gsm8k")]
    rows = check_format(tmp_path, lines, "open-instruct", [1.0, None, None, 1.0, None])
    assert "token ids" in rows[1]["error"] and "token ids" in rows[2]["error"]
    assert "gold" in rows[4]["error"]
    summary = score(tmp_path, lines, "--verifier", "math")[2]
    assert set(summary["datasets"]) == {"gsm8k"} and summary["groups"] == 1
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    end = [tokenizer.eos_token_id]
    lines = [rollout(response_tokens=encode("The answer is 7.") + end,
                     ground_truth=encode(gold) + end,
                     reward=1.0 if gold else [{"verifier": "length", "max": 99, "soft": 1}])
             for gold in ("7", "8", "")] + [rollout(response_tokens=[1, "x"])]
    rows = check_format(tmp_path, lines, "open-instruct", [1.0, 0.0, 0.0, None], "--tokenizer",
                        TINY)
    assert rows[2]["reward"]["status"] == "ok"  # the tokens were counted


# ---- lm-eval


def sample(doc_id: int, resps: Any, name: str = "none", **keys: Any) -> Line:
    # EleutherAI/lm-evaluation-harness, lm_eval/loggers/evaluation_tracker.py and utils.py
    # (sanitize_list): every leaf of resps and filtered_resps is a text; a line for each filter.
    settings = {"until": ["\n\n"], "do_sample": False, "temperature": 0.0}
    return {"doc_id": doc_id, "doc": {"question": "q", "answer": "a"}, "target": "3",
            "arguments": {"gen_args_0": {"arg_0": "Question: q\nAnswer:", "arg_1": settings}},
            "resps": resps, "filtered_resps": ["3"], "filter": name, "metrics": ["exact_match"],
            "doc_hash": "h", "prompt_hash": "p", "target_hash": "t", "exact_match": 1.0, **keys}


def test_lm_eval(tmp_path: Path) -> None:
    lines = [sample(i, [[f"A: {a}" for a in answers]], name) for name in ("strict", "flexible")
             for i, answers in enumerate([(3, 4), (3,)])]
    rows = check_format(tmp_path, lines, "lm-eval", [1.0, 0.0, 1.0] * 2)
    assert [(r["id"], r["index"], r.get("sample")) for r in rows[:3]] == [(0, 0, 0), (0, 0, 1),
                                                                          (1, 1, None)]
    summary = score(tmp_path, lines, "--verifier", "math")[2]
    assert summary["groups"] == 4 and set(summary["datasets"]) == {"strict", "flexible"}
    check_shards(tmp_path, "--verifier", "math")
    lines = [sample(0, [["3"]], arguments=[["Question: q", {"until": ["\n"]}]]),  # before 0.4.4
             sample(1, [["True", "False"]], target="True")]
    check_format(tmp_path, lines, "lm-eval", [1.0, 1.0, 0.0], verifier="exact")


def likelihoods(kind: str) -> Line:
    # Requests of multiple choice: one an option, [log-likelihood, is it greedy] as texts. Rolling:
    # one number. The target is the option's index, as a text.
    def arguments(*args: str) -> Line:
        return {f"arg_{i}": arg for i, arg in enumerate(args)}
    options = {f"gen_args_{i}": arguments("Q: q\nA:", f" {x}") for i, x in enumerate("ab")}
    pairs = [[["-4.9375", "False"]], [["-1.25", "True"]]]
    shapes: Dict[str, Line] = {
        "choice": {"arguments": options, "resps": pairs,
                   "filtered_resps": [["-4.9375", "False"], ["-1.25", "True"]]},
        "cloze": {"arguments": {"gen_args_0": arguments("The", " end")},
                  "resps": [[["-1.25", "True"]]], "filtered_resps": [["-1.25", "True"]]},
        "rolling": {"arguments": {"gen_args_0": arguments("A page.")}, "resps": [["-512.5"]],
                    "filtered_resps": ["-512.5"]},
        "old choice": {"arguments": [["Q", " a"], ["Q", " b"]],
                       "resps": [[[-4.9, False]], [[-1.25, True]]]},
        "no arguments": {"arguments": None, "resps": pairs},
    }
    doc = {"query": "q", "choices": ["a", "b"], "gold": 1}
    return {**sample(0, [], target="1", doc=doc), **shapes[kind]}


@pytest.mark.parametrize("kind", ["choice", "cloze", "rolling", "old choice", "no arguments"])
def test_likelihoods_are_no_completions(tmp_path: Path, kind: str) -> None:
    for verifier in ("math", "choice", "exact"):
        rows = check_format(tmp_path, [likelihoods(kind)], "lm-eval", [None], verifier=verifier)
        assert len(rows) == 1 and "log-likelihoods" in rows[0]["error"]


# ---- OpenAI's batches


def batch_line(name: str, *texts: str, code: int = 200) -> Line:
    # The batch API's output file; vllm-project/vllm, vllm/entrypoints/openai/run_batch.py writes
    # the same.
    choices = [{"index": i, "message": {"role": "assistant", "content": t}, "finish_reason": "stop"}
               for i, t in enumerate(texts)]
    return {"id": "batch_1", "custom_id": name, "error": None,
            "response": {"status_code": code, "request_id": "r",
                         "body": {"object": "chat.completion", "choices": choices,
                                  "usage": {"completion_tokens": 9}}}}


def test_openai_batch_in_any_order(tmp_path: Path) -> None:
    lines = [batch_line(f"q{i}", f"\\boxed{{{i}}}") for i in range(6)]
    random.Random(4).shuffle(lines)
    lines += [batch_line("q7", "7", "\\boxed{8}"), batch_line("q8", "8", code=500),
              batch_line("unknown", "1"),
              {"custom_id": "q9", "response": None, "error": {"code": "expired"}},
              {"custom_id": "q5", "error": None, "response": {"status_code": 200, "body": {
                  "output": [{"type": "reasoning"}, {"type": "message", "content": [
                      {"type": "output_text", "text": "\\boxed{5}"}]}]}}},
              {"custom_id": "q6", "error": None, "response": {"status_code": 200, "body": {
                  "object": "text_completion", "choices": [{"index": 0, "text": "6"}]}}}]
    golds = write(tmp_path / "golds.jsonl", [{"custom_id": f"q{i}", "gold": str(i)}
                                             for i in range(9)])
    rows = check_format(tmp_path, lines, "openai-batch",
                        [1.0] * 6 + [1.0, 0.0, None, None, None, 1.0, 1.0], "--golds", golds)
    assert "status 500" in rows[8]["error"] and "no row of --golds" in rows[9]["error"]
    assert "expired" in rows[10]["error"]
    assert [(r["id"], r.get("sample")) for r in rows[6:8]] == [("q7", 0), ("q7", 1)]
    check_shards(tmp_path, "--verifier", "math", "--golds", golds)


# ---- golds and instructions


@pytest.mark.parametrize("gold, right, wrong", [
    ('["17"]', "17", "18"), ("['17']", "17", "18"), (["17"], "17", "18"), ("('17',)", None, "18"),
    ('["17", "seventeen"]', "17", "18"), ("['\\\\frac{1}{2}']", "\\frac12", "2"),
    ("[\"\\\\frac{1}{2}\"]", "0.5", "2"), ("['\\frac{1}{2}']", "0.5", "2"),
    ("['\\nu']", "\\nu", "u"), ("['(1, 2)', '(2, 1)']", "(2,1)", "(3,1)"),
    ("[1, 2]", "[1,2]", "3"), ("[1]", "[1]", "2"), ("(1, 2)", "(1,2)", "(2,1)"),
    ("[0, 1)", "[0,1)", "[0,1]"), ('["17"', None, "17"), ("{1, 2}", "\\{2,1\\}", "1"),
    ("[None]", None, "2"), (17, "17", "18"), (17.0, "17", "18"), ([17], "17", "18"),
    (["4", "5"], "5", "6"), ("['it\\'s 4']", None, "5"),
])
def test_golds_that_are_the_text_of_a_list(tmp_path: Path, gold: Any, right: Optional[str],
                                           wrong: str) -> None:
    lines = [{"completion": f"\\boxed{{{a}}}", "gold": gold} for a in (right, wrong) if a]
    _, rows, _, _ = score(tmp_path, lines, "--verifier", "math")
    assert values(rows)[-1] in (0, None)
    if right:
        assert values(rows)[0] == 1, rows


def test_golds_of_choices(tmp_path: Path) -> None:
    lines = [{"completion": "The answer is B.", "gold": g} for g in ("B", "['B']", '["B"]', ["B"],
                                                                     "['C']")]
    assert values(score(tmp_path, lines, "--verifier", "choice")[1]) == [1, 1, 1, 1, 0]


NO_COMMA = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
LONG = {"instruction_id": ["length_constraints:number_words", "punctuation:no_comma"],
        "kwargs": [{"num_words": 2, "relation": "at least", "keyword": None}, None]}


def test_instructions_in_native_records(tmp_path: Path) -> None:
    lines: List[Line] = []
    for completion in ("Tea please.", "Tea, please."):
        lines += [{"completion": completion, **NO_COMMA}, {"completion": completion, **LONG},
                  {"completion": completion, "gold": NO_COMMA},
                  {"completion": completion, "gold": json.dumps(NO_COMMA)},
                  {"completion": completion, "gold": str(LONG)},
                  {"completion": completion, "gold": [LONG]},
                  {"completion": completion, "gold": {**NO_COMMA, "kwargs": [{"x": NAN}]}},
                  {"completion": completion, "instruction_id_list": "punctuation:no_comma",
                   "kwargs": {}}]
    status, rows, _, stderr = score(tmp_path, lines, "--verifier", "ifeval")
    assert status == 0 and values(rows) == [1.0] * 8 + [0.0] * 8, (rows, stderr)
    bad = [{"completion": "a"}, {"completion": "a", "gold": "17"},
           {"completion": "a", "instruction_id_list": ["no:such"], "kwargs": [{}]},
           {"completion": "a", "instruction_id_list": NO_COMMA["instruction_id_list"],
            "kwargs": [{}, {}]}, {"completion": "a", "gold": NAN}]
    status, rows, _, _ = score(tmp_path, bad, "--verifier", "ifeval")
    assert status == 1 and [r.get("error") is not None for r in rows] == [True] * 5, rows
    golds = write(tmp_path / "golds", [{"id": 1, "gold": NO_COMMA}])
    assert values(score(tmp_path, [{"id": 1, "completion": "a, b"}], "--verifier", "ifeval",
                        "--golds", golds)[1]) == [0.0]


def test_instructions_of_lm_eval(tmp_path: Path) -> None:
    # lm_eval/tasks/ifeval: the document has key, prompt, instruction_id_list and kwargs with every
    # argument of every instruction, null where it is none; the target is 0.
    doc = {"key": 1000, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"],
           "kwargs": [{"num_highlights": None, "relation": None, "num_words": None}]}
    lines = [sample(i, [[text]], doc=doc, target="0", prompt_level_strict_acc=True,
                    inst_level_strict_acc=[True]) for i, text in enumerate(("a b", "a, b"))]
    check_format(tmp_path, lines, "lm-eval", [1.0, 0.0], verifier="ifeval")


def test_instructions_of_open_instruct(tmp_path: Path) -> None:
    # allenai/open-instruct, open_instruct/ground_truth_utils.py, IFEvalVerifier: the label is the
    # text of a list of one dictionary (ast.literal_eval), or JSON; what is graded stands behind the
    # thinking, without the tags of an answer.
    thought = "<think>One, two.</think><answer>Tea please.</answer>"
    labels: List[Any] = [str([LONG]), json.dumps([LONG]), json.dumps(LONG), [str(LONG)]]
    lines = [rollout(response=text, ground_truth=label, dataset=["ifeval"])
             for text in (thought, "Tea, please.") for label in labels]
    check_format(tmp_path, lines, "open-instruct", [1.0] * 4 + [0.0] * 4, verifier="ifeval")
    old = rollout(response="a", ground_truth=json.dumps({"func_name": "verify_keywords", "N": 3}))
    rows = check_format(tmp_path, [old], "open-instruct", [None], verifier="ifeval")
    assert "instruction_id" in rows[0]["error"]


# ---- --map and --golds


def test_map_overlays(tmp_path: Path) -> None:
    lines = [{"data": {"turns": ["q", f"\\boxed{{{i}}}"]}, "ref": [{"a": "1"}], "k": i, "q": "same"}
             for i in range(3)]
    status, rows, summary, _ = score(
        tmp_path, lines, "--verifier", "math", "--map",
        "completion=.data.turns[1],gold=ref[0].a,id=.k,group=.q,label=k")
    assert status == 0 and values(rows) == [0.0, 1.0, 0.0]
    assert [r["id"] for r in rows] == [0, 1, 2] and summary["groups"] == 1
    assert summary["labels"] == {"n": 3, "agreement": pytest.approx(2 / 3),
                                 "right_graded_wrong": 1, "wrong_graded_right": 0}
    assert summary["disagreements"] == [{"index": 2, "value": 0.0}]


def test_golds_are_checked(tmp_path: Path) -> None:
    for rows, word in (([{"id": 1, "gold": 1}, {"id": "1", "gold": 2}], "line 1"),
                       ([{"id": 1}], "gold"), (["{"], "JSON"), ([{"gold": 1}], "custom_id"),
                       ([], "no rows")):
        golds = write(tmp_path / "golds", rows)
        status, _, _, stderr = score(tmp_path, native(2), "--verifier", "math", "--golds", golds)
        assert status == 3 and word in stderr
