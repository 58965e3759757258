// What Python's json.loads takes: JSON, and besides NaN, Infinity, -Infinity and any escape of a
// UTF-16 unit. protocol/base/json.h refuses these, rightly for messages.
#ifndef VERIFIERS_CONSTRAINTS_PYTHON_JSON_H
#define VERIFIERS_CONSTRAINTS_PYTHON_JSON_H

#include <stdbool.h>

#include "protocol/base/slice.h"

enum { PYTHON_JSON_MAX_DEPTH = 900 }; // Python itself gives up near 1,000

// Whether `text` (UTF-8) is one value, with white space around it at most.
bool python_json_loads(struct slice text);

#endif
