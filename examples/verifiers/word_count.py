#!/usr/bin/env python3
"""A verifier as a program: 1 if the completion has at least `at_least` words, else 0.

    stampede generate --verifier words='python3 examples/verifiers/word_count.py' ...
    reward: [{"verifier": "words", "at_least": 20}]

One JSON object a line in, one out, in order, flushed. verifiers/README.md has the whole contract.
"""

import json
import sys

for line in sys.stdin:
    request = json.loads(line)
    words = len(request["completion"].split())
    least = request["term"].get("at_least")
    reply = {"id": request["id"]}
    if isinstance(least, int):
        reply["value"] = 1 if words >= least else 0
    else:
        reply.update(value=None, status="unsupported", detail='The term has no number "at_least".')
    print(json.dumps(reply), flush=True)
