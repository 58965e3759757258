// The settings of a group: defaults, their JSON names, and what values are allowed.
#ifndef WORKER_SESSION_SAMPLING_H
#define WORKER_SESSION_SAMPLING_H

#include "protocol/base/error.h"
#include "protocol/base/json.h"
#include "worker/task.h"

// The defaults of `stampede generate`.
struct sampling sampling_defaults(void);

// Settings that are asked for beside the draw itself.
struct wanted {
    bool prompt_logprobs, routed_experts;
};

// Applies one member of a `sampling` object: the flags of `generate` by name with '_', stop,
// stop_ids and logit_bias. Arrays live in `arena`. `vocab` bounds ids. An unknown key, a wrong
// type or a value out of range is ERROR_INPUT with a sentence that names the key.
int sampling_set(struct sampling *s, struct wanted *wanted, struct slice key,
                 const struct json *value, int vocab, struct arena *arena, struct error *err);

// Checks the numbers of settings that came another way (flags, the wire).
int sampling_check(const struct sampling *s, int vocab, struct error *err);

#endif
