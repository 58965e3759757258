"""Grades requests with the graders of requirements-peers.txt; runs in .venv-peers (make peers).

    .venv-peers/bin/python tests/tools/peers.py PEER < requests > rows

PEER is math-verify, if-verifiable or lm-eval. Requests and rows are those of verify_bench.c, with
"prompt" and, for if-verifiable, "benchmark" ("ifeval" or "ifbench"). A peer that raises has
{"error": ...}. Times are processor time, of one pass: these libraries keep what they computed, so
that a second pass would measure their caches. The languages of langdetect are drawn with seed 0.
"""

import importlib.util
import json
import logging
import random
import sys
import time
import types
from pathlib import Path


def package(name):
    """Where a package lies, without importing it."""
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


def bare_package(name, folder):
    """A package whose __init__, which imports readers of data sets, is not run."""
    module = types.ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module


def use_nltk_tables():
    """Points NLTK to its English tables, as llama-index-core has them; nothing is downloaded."""
    import nltk
    nltk.data.path[:] = [str(package("llama_index") / "core/_static/nltk_cache")]
    nltk.download = lambda *args, **kwargs: False


def run_math(requests):
    """All golds before the first completion: parsing one right before the other leaves what the
    other needs in the caches of the library."""
    from math_verify import ExprExtractionConfig, parse, verify
    number = [ExprExtractionConfig()]
    golds = []
    for request in requests:
        start = time.process_time_ns()
        gold = (parse(request["gold"], number) if request["set"] == "GSM8K"
                else parse(f"${request['gold']}$"))
        golds.append((gold, time.process_time_ns() - start))
    for request, (gold, gold_ns) in zip(requests, golds):
        text = request["completion"]
        start = time.process_time_ns()
        verdict = verify(gold, parse(text, number) if request["set"] == "GSM8K" else parse(text))
        ns = time.process_time_ns() - start
        yield {"verdict": "equal" if verdict else "different",
               "once_us": ns / 1000, "each_us": (gold_ns + ns) / 1000}


def run_if_verifiable(request):
    from if_verifiable.common import evaluate_instructions
    from if_verifiable.ifbench import instructions_registry as ifbench
    from if_verifiable.ifeval import instructions_registry as ifeval
    registry = ifbench if request["benchmark"] == "ifbench" else ifeval
    start = time.process_time_ns()
    results, _ = evaluate_instructions(request["response"], request["instruction_id_list"],
                                       request["kwargs"], request["prompt"],
                                       registry.INSTRUCTION_DICT)
    us = (time.process_time_ns() - start) / 1000
    if not results:  # a blank response
        results = [types.SimpleNamespace(strict_pass=False, loose_pass=False)
                   for _ in request["instruction_id_list"]]
    return {"strict": [r.strict_pass for r in results], "loose": [r.loose_pass for r in results],
            "each_us": us}


def run_lm_eval(request):
    from lm_eval.tasks.ifeval import utils
    doc = utils.InputExample(request.get("key", 0), request["instruction_id_list"],
                             request["prompt"], request["kwargs"])
    start = time.process_time_ns()
    strict = utils.test_instruction_following_strict(doc, request["response"])
    middle = time.process_time_ns()
    loose = utils.test_instruction_following_loose(doc, request["response"])
    end = time.process_time_ns()
    return {"strict": list(map(bool, strict.follow_instruction_list)),
            "loose": list(map(bool, loose.follow_instruction_list)),
            "once_us": (middle - start) / 1000, "each_us": (end - start) / 1000}


def run_each(run, requests):
    for request in requests:
        try:
            yield run(request)
        except Exception as error:
            yield {"error": f"{type(error).__name__}: {error}"}


def prepare(peer):
    logging.disable(logging.WARNING)
    if peer == "math-verify":
        return run_math
    use_nltk_tables()
    import langdetect
    langdetect.DetectorFactory.seed = 0
    random.seed(0)  # they draw arguments that are missing, and letters that are none
    folder = package(peer.replace("-", "_"))
    bare_package(folder.name, folder)
    if peer == "lm-eval":
        bare_package("lm_eval.tasks", folder / "tasks")
    run = run_if_verifiable if peer == "if-verifiable" else run_lm_eval
    return lambda requests: run_each(run, requests)


def main():
    run = prepare(sys.argv[1])
    requests = [json.loads(line) for line in sys.stdin]
    list(run(requests[:3]))  # what is loaded with the first check is no part of its time
    for row in run(requests):
        print(json.dumps(row))


main()
