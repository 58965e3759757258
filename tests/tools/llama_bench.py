"""Tokens a second of llama.cpp on a GGUF file; runs in .venv-llama (make bench-peers).

    .venv-llama/bin/python tests/tools/llama_bench.py FILE.gguf --rows 1,4,16,64 --prompt 32 --new 8
        --prefill 512 --threads 2

llama.cpp's own calls (llama_decode) through the bindings of llama-cpp-python: decode is one call a
step with one token of each row, prefill one call for each 512 tokens. Nothing is drawn: the next
tokens are random ones, so that sampling costs it nothing. One JSON object.
"""

import argparse
import json
import random
import time

import llama_cpp as llama

VOCAB = 65536
BATCH = 2048


def numbers(text):
    return [int(n) for n in text.split(",")]


class Batch:
    """Tokens of rows at positions, for one llama_decode."""

    def __init__(self):
        self.batch = llama.llama_batch_init(BATCH, 0, 1)
        self.batch.n_tokens = 0

    def add(self, token, position, row, wants_output):
        b, i = self.batch, self.batch.n_tokens
        b.token[i], b.pos[i], b.n_seq_id[i], b.seq_id[i][0] = token, position, 1, row
        b.logits[i] = wants_output
        b.n_tokens = i + 1

    def run(self, context):
        status = llama.llama_decode(context, self.batch)
        assert status == 0, f"llama_decode ended with {status}"
        llama.llama_synchronize(context)
        self.batch.n_tokens = 0


def open_context(model, n_rows, n_positions, threads):
    params = llama.llama_context_default_params()
    params.n_ctx = n_rows * (n_positions + 32)
    params.n_seq_max, params.n_batch, params.n_ubatch = n_rows, BATCH, 512
    params.n_threads = params.n_threads_batch = threads
    context = llama.llama_init_from_model(model, params)
    assert context, "llama.cpp has no memory for this context"
    return context


def prefill(context, batch, row, n, draw):
    for first in range(0, n, 512):
        for at in range(first, min(n, first + 512)):
            batch.add(draw(), at, row, at == n - 1)
        batch.run(context)


def decode(model, n_rows, args, draw):
    context, batch = open_context(model, n_rows, args.prompt + args.new + 1, args.threads), Batch()
    for row in range(n_rows):
        prefill(context, batch, row, args.prompt, draw)
    start = 0.0
    for step in range(args.new + 1):
        if step == 1:  # the first one touches what is new
            start = time.perf_counter()
        for row in range(n_rows):
            batch.add(draw(), args.prompt + step, row, True)
        batch.run(context)
    seconds = time.perf_counter() - start
    llama.llama_free(context)
    return {"rows": n_rows, "step_ms": 1000 * seconds / args.new,
            "tokens_per_s": n_rows * args.new / seconds}


def long_prompt(model, n, args, draw):
    context, batch = open_context(model, 1, n, args.threads), Batch()
    prefill(context, batch, 0, 64, draw)
    llama.llama_memory_clear(llama.llama_get_memory(context), True)
    start = time.perf_counter()
    prefill(context, batch, 0, n, draw)
    seconds = time.perf_counter() - start
    llama.llama_free(context)
    return {"tokens": n, "tokens_per_s": n / seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--rows", type=numbers, default=[1, 4, 16, 64])
    parser.add_argument("--prefill", type=numbers, default=[512])
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--new", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    draw = random.Random(1).choices
    llama.llama_log_set(silent, None)
    llama.llama_backend_init()
    params = llama.llama_model_default_params()
    model = llama.llama_model_load_from_file(args.model.encode(), params)
    assert model, f"llama.cpp does not load {args.model}"
    token = lambda: draw(range(VOCAB))[0]  # noqa: E731
    print(json.dumps({
        "version": llama.llama_cpp.__version__ if hasattr(llama.llama_cpp, "__version__") else
        llama.__version__,
        "decode": [decode(model, n, args, token) for n in args.rows],
        "prefill": [long_prompt(model, n, args, token) for n in args.prefill]}))


@llama.llama_log_callback
def silent(level, text, data):
    pass


if __name__ == "__main__":
    main()
