"""Tokens and log-probabilities of llama.cpp on a GGUF file; runs in .venv-peers (make peers).

    .venv-peers/bin/python tests/tools/llama.py MODEL.gguf < requests > rows

A request is a line of JSON: "prompt_ids", "n", the number of tokens that are wanted, drawn
greedily, and "banned", ids that are not; a row has "tokens" and "lp", one log-probability a
token. KV is float32.
"""

import json
import os
import sys


def main():
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.n_ctx = 512
    params.n_parallel = 1
    params.cpuparams.n_threads = 2
    params.warmup = False
    for name in ("cache_type_k", "cache_type_v"):
        setattr(params, name, xllamacpp.ggml_type.GGML_TYPE_F32)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # its log goes to standard output
    server = xllamacpp.Server(params)
    for line in sys.stdin:
        request = json.loads(line)
        answer = server.handle_completions({
            "prompt": request["prompt_ids"], "n_predict": request["n"], "temperature": 0,
            "n_probs": 1, "cache_prompt": False, "ignore_eos": True,
            "logit_bias": [[i, False] for i in request["banned"]]})
        content = answer["choices"][0]["logprobs"]["content"]
        print(json.dumps({"tokens": [p["id"] for p in content],
                          "lp": [p["logprob"] for p in content]}), file=out, flush=True)


if __name__ == "__main__":
    main()
