// The memory plan (design D7): what is taken at start, from flags and the shape.
#ifndef WORKER_COMMANDS_PLAN_H
#define WORKER_COMMANDS_PLAN_H

#include "worker/commands/setup.h"

struct plan_memory {
    struct engine_options engine;
    uint64_t weight_bytes, kv_bytes, conv_bytes, suspend_bytes;
    char weight_types[16];
};

// Sizes KV pages, conv slots and the arena of suspended rows. ERROR_CONFIG when a row of
// --max-context tokens does not fit into --kv-memory.
int plan_memory(struct plan_memory *p, const struct model_shape *shape, const struct names *names,
                const enum dtype *dtypes, const struct engine_flags *f, struct error *err);

// Logs the plan as one table.
void plan_log(const struct plan_memory *p, const struct log *log);

#endif
