"""`stampede generate`: the surface that worker/README.md describes."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List

import pytest
from transformers import AutoTokenizer

from cli import BIN, DEVICE_FLAGS, TINY, generate, generate_raw, run

CHAT = {"messages": [{"role": "user", "content": "Tom has 5 apples and buys 7 more. "
                                                 "How many apples does Tom have now?"}]}
SHORT = {"max_new_tokens": 12, "ignore_eos": True}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(TINY)


def test_line_fields() -> None:
    meta = '{"b": 1.50, "a": [1,  2], "big": 12345678901234567890}'
    line = '{"id": {"k": "ü", "n": 1.0}, "n": 3, "meta": %s, "prompt": "Tom has 5"}' % meta
    status, rows, log = generate_raw(TINY, [line], "--max-new-tokens", 5)
    assert status == 0, log
    assert [r["sample"] for r in rows] == [0, 1, 2]
    assert rows[0]["id"] == {"k": "ü", "n": 1.0}
    raw = run("generate", "--model", TINY, "--prompts", "-", "--output", "-",
              "--max-new-tokens", 5, stdin=line.encode()).stdout.decode()
    assert f'"meta":{meta}' in raw.splitlines()[0]  # byte for byte
    assert set(rows[0]) == {"id", "sample", "prompt_ids", "tokens", "text", "finish_reason",
                            "lp_full", "lp_behav", "version_spans", "reward", "meta"}
    assert rows[0]["version_spans"] == [[0, 0]] and rows[0]["reward"] is None


def test_default_ids_are_line_numbers_and_order_is_input_order() -> None:
    lines = [{"prompt_ids": [1, 5 + i], "sampling": {"max_new_tokens": 40 - 4 * i}}
             for i in range(10)]
    assert [r["id"] for r in generate(TINY, lines)] == list(range(10))


def test_prompts_are_tokenized_as_transformers_does(tokenizer: Any) -> None:
    text = "Ana has 12 boxes.  How many? \n\n<|im_end|> Zoë ½"
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]
    rows = generate(TINY, [{"prompt": text}, {"messages": chat}, {"prompt_ids": [9, 8]}],
                    "--max-new-tokens", 1)
    assert rows[0]["prompt_ids"] == tokenizer(text)["input_ids"]
    want = tokenizer.apply_chat_template(chat, add_generation_prompt=True)
    assert rows[1]["prompt_ids"] == (want if isinstance(want, list) else want["input_ids"])
    assert rows[2]["prompt_ids"] == [9, 8]


def test_floats_read_back_to_the_same_bits() -> None:
    for row in generate(TINY, [dict(CHAT, n=4)]):
        for value in row["lp_full"] + row["lp_behav"]:
            bits = struct.unpack("f", struct.pack("f", value))[0]
            assert float("%.9g" % bits) == value


def test_text_ends_before_the_end_token(tokenizer: Any) -> None:
    row = generate(TINY, [CHAT], "--temperature", 0)[0]
    assert row["finish_reason"] == "stop"
    assert row["tokens"][-1] == tokenizer.eos_token_id
    assert row["text"] == tokenizer.decode(row["tokens"][:-1])
    longer = generate(TINY, [CHAT], "--temperature", 0, "--ignore-eos", "--max-new-tokens", 40)[0]
    assert longer["tokens"][: len(row["tokens"])] == row["tokens"]
    assert len(longer["tokens"]) == 40 and longer["finish_reason"] == "length"
    assert "<|im_end|>" in longer["text"]


def test_stop_strings_cross_token_borders() -> None:
    greedy = {"temperature": 0}
    whole = generate(TINY, [dict(CHAT, sampling=greedy)])[0]
    text = whole["text"]
    for start, end in [(0, 1), (2, 5), (3, 9), (len(text) - 3, len(text))]:
        stop = text[start:end]
        row = generate(TINY, [dict(CHAT, sampling=dict(greedy, stop=[stop, "never seen"]))])[0]
        assert row["finish_reason"] == "stop"
        assert row["text"] == text[: text.index(stop)]
        n = len(row["tokens"])
        assert row["tokens"] == whole["tokens"][:n]  # tokens are never cut
        assert row["lp_full"] == whole["lp_full"][:n] and len(row["lp_behav"]) == n
    flag = generate(TINY, [dict(CHAT, sampling=greedy)], "--stop", text[2:5])[0]
    assert flag["text"] == text[: text.index(text[2:5])]


def test_stop_ids() -> None:
    whole = generate(TINY, [dict(CHAT, sampling={"temperature": 0})])[0]
    stop = whole["tokens"][4]
    n = whole["tokens"].index(stop) + 1
    row = generate(TINY, [dict(CHAT, sampling={"temperature": 0, "stop_ids": [stop]})])[0]
    assert row["tokens"] == whole["tokens"][:n] and row["finish_reason"] == "stop"


def test_logit_bias_and_lp_full() -> None:
    """A bias changes the draw and lp_behav; lp_full stays what a trainer computes."""
    plain = generate(TINY, [dict(CHAT, sampling={"temperature": 0})])[0]
    forced = generate(TINY, [dict(CHAT, sampling={"max_new_tokens": 3, "temperature": 1.0,
                                                  "logit_bias": {"42": 1000.0}})])[0]
    assert forced["tokens"] == [42, 42, 42]
    assert all(abs(x) < 1e-6 for x in forced["lp_behav"])
    assert all(x < -3 for x in forced["lp_full"])
    assert plain["lp_behav"] == [0] * len(plain["tokens"])


def test_n_samples_beyond_max_rows() -> None:
    rows = generate(TINY, [dict(CHAT, n=50, sampling=SHORT)], "--max-rows", 7)
    assert [r["sample"] for r in rows] == list(range(50))
    assert len({tuple(r["tokens"]) for r in rows}) > 3
    few = generate(TINY, [dict(CHAT, n=5, sampling=SHORT)])
    assert [r["tokens"] for r in few] == [r["tokens"] for r in rows[:5]]


def test_scoring_without_generating() -> None:
    ids = list(range(10, 40))
    row = generate(TINY, [{"prompt_ids": ids, "n": 2}], "--max-new-tokens", 0,
                   "--prompt-logprobs")
    assert len(row) == 2 and row[0]["tokens"] == [] and row[0]["finish_reason"] == "length"
    assert row[0]["prompt_lp_full"][0] is None and len(row[0]["prompt_lp_full"]) == len(ids)
    assert all(x < 0 for x in row[0]["prompt_lp_full"][1:])
    one = generate(TINY, [{"prompt_ids": [7]}], "--max-new-tokens", 0, "--prompt-logprobs")[0]
    assert one["prompt_lp_full"] == [None] and one["tokens"] == []


def test_the_last_position_ends_with_length() -> None:
    ids = [5] * 500
    row = generate(TINY, [{"prompt_ids": ids}], "--ignore-eos")[0]
    assert len(row["tokens"]) == 12 and row["finish_reason"] == "length"  # 512 positions
    status, rows, _ = generate_raw(TINY, [{"prompt_ids": [5] * 513}, {"prompt_ids": [5] * 512}])
    assert status == 1
    assert rows[0]["sample"] is None and "513" in rows[0]["error"] and "512" in rows[0]["error"]
    assert rows[1]["tokens"] == [] and rows[1]["finish_reason"] == "length"


def test_rewards() -> None:
    terms = [{"verifier": "math", "gold": "12", "weight": 2, "name": "right"},
             {"verifier": "regex_format", "pattern": "boxed"}]
    rows = generate(TINY, [dict(CHAT, n=6, reward=terms),
                           dict(CHAT, reward={"terms": [{"verifier": "exact", "gold": "x"}],
                                              "scale": "pm1"})])
    for row in rows[:6]:
        right = "\\boxed{12}" in row["text"]
        assert row["reward"]["status"] == "ok"
        assert row["reward"]["value"] == 2 * right + ("boxed" in row["text"])
        assert [t["name"] for t in row["reward"]["terms"]] == ["right", "regex_format"]
    assert rows[6]["reward"]["value"] == -1
    assert generate(TINY, [dict(CHAT, reward=terms)], "--no-verify")[0]["reward"] is None


BAD_LINES = [
    ("{", "JSON"),
    ("[1, 2]", "object"),
    ({}, "exactly one of prompt, messages and prompt_ids"),
    ({"prompt": "x", "prompt_ids": [1]}, "exactly one"),
    ({"prompt": 5}, "prompt is a number"),
    ({"prompt_ids": []}, "no tokens"),
    ({"prompt_ids": [1, 512]}, "prompt_ids[1] is 512"),
    ({"prompt_ids": [1.5]}, "prompt_ids[0]"),
    ({"prompt_ids": "1"}, "list of token ids"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user"}]}, "content"),
    ({"prompt": "x", "n": 0}, "n is 0"),
    ({"prompt": "x", "sampling": {"temperature": -1}}, "temperature"),
    ({"prompt": "x", "sampling": {"top_p": 0}}, "top_p"),
    ({"prompt": "x", "sampling": {"top_q": 1}}, "top_q"),
    ({"prompt": "x", "sampling": {"stop": [""]}}, "stop"),
    ({"prompt": "x", "sampling": {"logit_bias": {"x": 1}}}, "logit_bias"),
    ({"prompt": "x", "sampling": {"seed": -1}}, "seed"),
    ({"prompt": "x", "reward": [{"verifier": "nobody"}]}, "nobody"),
    ({"prompt": "x", "reward": [{"verifier": "math"}]}, "gold"),
    ({"prompt": "x", "tools": []}, "tools"),
    ('{"prompt": "\\ud800"}', "surrogate"),
]


def test_every_bad_line_gets_its_sentence_and_the_others_go_on() -> None:
    lines: List[Any] = []
    for bad, _ in BAD_LINES:
        lines += [bad, {"prompt_ids": [5, 6], "sampling": {"max_new_tokens": 2}}]
    status, rows, _ = generate_raw(TINY, lines)
    assert status == 1 and len(rows) == 2 * len(BAD_LINES)
    for i, (_, words) in enumerate(BAD_LINES):
        bad, good = rows[2 * i], rows[2 * i + 1]
        assert bad["sample"] is None and bad["id"] == 2 * i
        assert words in bad["error"], bad["error"]
        assert f"Line {2 * i} " in bad["error"]
        assert "\n" not in bad["error"] and bad["error"].endswith(".")
        assert len(good["tokens"]) == 2


def test_bytes_that_are_no_utf8_are_refused_with_their_offset() -> None:
    done = run("generate", "--model", TINY, "--prompts", "-", "--output", "-",
               stdin=b'{"prompt": "a\xff"}\n')
    row = json.loads(done.stdout)
    assert done.returncode == 1 and "byte 13" in row["error"]


def test_a_checkpoint_without_a_tokenizer_serves_ids(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(TINY / name)
    status, rows, _ = generate_raw(tmp_path, [{"prompt_ids": [5, 6]}, {"prompt": "x"},
                                              {"prompt_ids": [5], "reward": [
                                                  {"verifier": "exact", "gold": "a"}]}],
                                   "--max-new-tokens", 3)
    assert status == 1
    assert rows[0]["text"] is None and len(rows[0]["tokens"]) == 3
    assert "tokenizer" in rows[1]["error"]
    assert rows[2]["reward"]["status"] == "unsupported" and rows[2]["reward"]["value"] is None


@pytest.mark.parametrize("id_text", ["1e400", "-1e400", "1.10", "1E2", "-0", "12345678901234567890",
                                     '"\\u00e4\\/"', '{"b": 1.50, "a":[ ]}', "null", "true"])
def test_ids_come_back_as_they_came(id_text: str) -> None:
    line = '{"prompt_ids": [5, 6], "id": %s, "sampling": {"max_new_tokens": 2}}' % id_text
    with tempfile.NamedTemporaryFile("r") as output:
        done = run("generate", "--model", TINY, "--prompts", "-", "--output", output.name,
                   stdin=line.encode())
        assert done.returncode == 0, done.stderr
        assert Path(output.name).read_text().startswith('{"id":%s,"sample":0,' % id_text)
        done = run("generate", "--model", TINY, "--prompts", "-", "--output", output.name,
                   stdin=line.replace("2}}", "-2}}").encode())
        assert done.returncode == 1
        assert Path(output.name).read_text().startswith('{"id":%s,"sample":null,' % id_text)


def test_the_same_id_in_other_words_draws_the_same() -> None:
    lines = ['{"prompt_ids": [5, 6], "id": %s, "n": 4}' % text for text in
             ("1.10", "1.1", "[1, 2]", "[1,2]", "2")]
    rows = generate(TINY, lines)
    tokens = [[r["tokens"] for r in rows[4 * i:4 * i + 4]] for i in range(5)]
    assert tokens[0] == tokens[1] and tokens[2] == tokens[3]
    assert tokens[0] != tokens[2] != tokens[4]


def checkpoint_with_norm(tmp_path: Path, value: float) -> Path:
    """The tiny checkpoint with one value of its final norm changed, whose input is about 11."""
    from safetensors.torch import load_file, save_file
    tensors = load_file(TINY / "model.safetensors")
    tensors["model.embedding_norm.weight"][3] = value
    tensors["model.embed_tokens.weight"][:, 3] = 1000
    save_file(tensors, tmp_path / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).symlink_to(TINY / name)
    return tmp_path


def test_non_finite_logits_fail_the_sample(tmp_path: Path) -> None:
    model = checkpoint_with_norm(tmp_path, 3e38)  # finite: its products are not
    rows = generate(model, [{"prompt_ids": [5, 6], "n": 2}])
    assert [r["finish_reason"] for r in rows] == ["error"] * 2
    assert "not finite" in rows[0]["error"] and rows[0]["tokens"] == []


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_non_finite_weights_are_refused(tmp_path: Path, value: float) -> None:
    model = checkpoint_with_norm(tmp_path, value)
    status, rows, stderr = generate_raw(model, [{"prompt_ids": [5, 6]}])
    assert status == 78 and not rows
    assert "element 3 of tensor \"model.embedding_norm.weight\"" in stderr
    assert "a finite value was expected" in stderr


@pytest.mark.parametrize("sampling", [
    {"temperature": 0.5}, {"temperature": 0.5, "top_k": 5}, {"temperature": 0.01, "top_p": 0.5},
    {"temperature": 0.5, "repetition_penalty": 1.3},
])
def test_a_bias_that_overflows_fails_the_sample(sampling: Dict[str, Any]) -> None:
    prompt = {"prompt_ids": [5, 6], "sampling": {**sampling, "logit_bias": {"7": 3e38}}}
    row, = generate(TINY, [prompt])
    assert row["finish_reason"] == "error" and row["tokens"] == [] and row["lp_behav"] == []
    assert "not finite" in row["error"]
    negative = {"prompt_ids": [5, 6], "sampling": {**sampling, "logit_bias": {"7": -3e38}}}
    row, = generate(TINY, [negative])  # never drawn, and nothing else is touched
    assert row["finish_reason"] in ("stop", "length") and 7 not in row["tokens"]
    assert all(math.isfinite(lp) for lp in row["lp_behav"])


BAD_FLAGS = [
    (["--model", TINY], "--prompts"), (["--model", TINY, "--prompts", "-"], "--output"),
    (["--model", TINY, "--prompts", "/nowhere", "--output", "-"], "/nowhere"),
    (["--model", TINY, "--prompts", "-", "--output", "/nowhere/x"], "/nowhere/x"),
    (["--temperature", "warm"], "warm"), (["--top-p", "2"], "--top-p"), (["--n", "0"], "--n"),
    (["--flag"], "--flag"), (["--seed"], "needs a value"), (["--kv-memory", "2X"], "2X"),
    (["--ignore-eos=1"], "takes no value"), (["stray"], "stray"),
    (["--model", TINY, "--prompts", "-", "--output", "-", "--kv-type", "int4"],
     "'int4'; expected f32, bf16, f16 or q8_0"),
    (["--model", TINY, "--prompts", "-", "--output", "-", "--weights", "q9"], "q9"),
    (["--model", TINY, "--prompts", "-", "--output", "-", "--device", "tpu"], "tpu"),
    (["--model", TINY, "--prompts", "-", "--output", "-", "--verifier", "x"], "NAME=COMMAND"),
    (["--model", TINY, "--prompts", "-", "--output", "-", "--log-level", "loud"], "loud"),
]


@pytest.mark.parametrize("flags,words", BAD_FLAGS, ids=lambda x: str(x)[-30:])
def test_bad_flags(flags: List[Any], words: str) -> None:
    if flags and flags[0] not in ("--model",):
        flags = ["--model", TINY, "--prompts", "-", "--output", "-"] + flags
    done = run("generate", *flags, stdin=b'{"prompt_ids": [1]}')
    said = done.stderr.decode().splitlines()[-1]
    assert done.returncode == 2, said
    assert words in said and said.startswith("stampede generate: ")


@pytest.mark.parametrize("flags,words", [
    (["--model", "/nowhere"], "/nowhere"),
    (["--kv-memory", "100"], "100 bytes; expected room for a page of 16 tokens"),
    (["--kv-memory", "48K", "--max-context", "100"], "one row of --max-context needs 100"),
    (["--max-context", "9999"], "9999"),
])
def test_configurations_that_cannot_work(flags: List[Any], words: str) -> None:
    done = run("generate", "--model", TINY, "--prompts", "-", "--output", "-", *flags,
               stdin=b'{"prompt_ids": [1]}')
    said = done.stderr.decode()
    assert done.returncode == 78 and words in said, said


@pytest.mark.parametrize("flags", [[], ["--no-verify"]])
def test_a_closed_pipe_is_an_error(flags: List[Any], tmp_path: Path) -> None:
    """Nobody reads the output any more: exit status 74 and a sentence, not a signal."""
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt_ids": [5, 6], "n": 8, "sampling": {"ignore_eos": true}}\n' * 50)
    with open(tmp_path / "said", "wb") as said:
        child = subprocess.Popen([BIN, "generate", "--model", str(TINY), "--prompts", str(prompts),
                                  "--output", "-", *DEVICE_FLAGS, *flags],
                                 stdout=subprocess.PIPE, stderr=said)
        child.stdout.read(1000)
        child.stdout.close()
        assert child.wait(60) == 74
    last = (tmp_path / "said").read_text().splitlines()[-1]
    assert last.startswith("stampede generate: The output could not be written"), last


def test_help_names_every_flag() -> None:
    text = run("generate", "--help").stdout.decode()
    flags = ("model prompts output n max-new-tokens temperature top-k top-p min-p seed stop "
             "repetition-penalty ignore-eos prompt-logprobs routed-experts device threads "
             "max-rows max-context kv-memory suspend-memory kv-type prefill-chunk weights "
             "no-verify progress verifier log-level log-format").split()
    assert [f for f in flags if f"--{f} " not in text] == []
    for command in ("serve", "bench", "inspect"):
        assert run(command, "--help").returncode == 0
    assert run("--version").stdout.startswith(b"stampede ")
    assert run("bogus").returncode == 2


def test_progress_as_json() -> None:
    done = run("generate", "--model", TINY, "--prompts", "-", "--output", "-", "--progress",
               "json", stdin=b'{"prompt_ids": [5], "n": 3}\n')
    last = json.loads(done.stderr.decode().splitlines()[-1])
    assert last["samples"] == 3 and last["of"] == 3 and last["tokens"] > 0
    assert last["accepted"] <= last["guessed"] and last["suspended"] == 0


def test_drafts() -> None:
    """Guesses from samples of before: counted, told, and without a trace in what is written."""
    lines = b"".join(b'{"prompt_ids": [5, 6, 7], "id": 1, "n": 2, "sampling": {"ignore_eos": true, '
                     b'"max_new_tokens": 40, "draft": %s}}\n' % d for d in (b"4", b'"off"', b"8"))
    flags = ("generate", "--model", TINY, "--prompts", "-", "--output", "-", "--max-rows", 1)
    on = run(*flags, "--draft", 8, "--progress", "json", stdin=lines)
    off = run(*flags, "--draft", "off", "--progress", "json", stdin=lines)
    last = json.loads(on.stderr.decode().splitlines()[-1])
    assert on.stdout == off.stdout and on.returncode == off.returncode == 0
    assert last["guessed"] > 60 and last["accepted"] > 50
    assert "of texts; up to 8 tokens a row" in on.stderr.decode()
    assert f"{last['guessed']} tokens guessed, {last['accepted']} (" in on.stderr.decode()
    assert json.loads(off.stderr.decode().splitlines()[-1])["guessed"] == 0
    assert "drafts" not in off.stderr.decode()


@pytest.mark.parametrize("draft", ["on", "-1", "65", "", "3.5"])
def test_bad_drafts(draft: str) -> None:
    done = run("generate", "--model", TINY, "--prompts", "-", "--output", "-", "--draft", draft)
    assert done.returncode == 2 and f"--draft is '{draft}'" in done.stderr.decode()
    value = json.dumps(draft).encode()
    done = run("generate", "--model", TINY, "--prompts", "-", "--output", "-",
               stdin=b'{"prompt_ids": [5], "sampling": {"draft": %s}}\n' % value)
    row = json.loads(done.stdout)
    assert done.returncode == 1 and row["sample"] is None
    assert "sampling.draft is " in row["error"] and "from 0 to 64" in row["error"]
