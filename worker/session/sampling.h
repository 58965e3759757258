// The settings of a group: defaults, their JSON names, and what values are allowed.
#ifndef WORKER_SESSION_SAMPLING_H
#define WORKER_SESSION_SAMPLING_H

#include "protocol/base/error.h"
#include "protocol/base/json.h"
#include "worker/task.h"

// "auto", "off", or a number of tokens from 0 to MESSAGE_MAX_DRAFT, as enum message_draft. -1 for
// anything else.
int sampling_parse_draft(struct slice text, int *draft);
#define SAMPLING_DRAFTS "auto, off, or 1 to 64 tokens"

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

// The one check of a task's settings, however they came: a prompt file, its flags, or the wire.
// Ids below `vocab`, numbers in their ranges, no more of anything than messages.h allows. Brings
// stop_ids and the bias into rising order, each id once, in `arena`.
int sampling_check(struct sampling *s, int vocab, struct arena *arena, struct error *err);

#endif
