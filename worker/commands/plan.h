// The memory plan (D7): what is taken at start, from flags and the shape.
#ifndef WORKER_COMMANDS_PLAN_H
#define WORKER_COMMANDS_PLAN_H

#include "worker/commands/setup.h"

struct plan_memory {
    struct engine_options engine;
    enum dtype kv_dtype; // of K and V; conv state has state_conv_dtype of it
    struct backend_plan backend;
    char weight_types[CHECKPOINT_TYPES_BYTES];
};

// The type of --kv-type: f32, bf16, f16 or q8_0.
int plan_kv_type(const char *text, enum dtype *out, struct error *err);

// Sizes KV pages, conv slots and the arena of suspended rows. ERROR_CONFIG when a row of
// --max-context tokens does not fit into --kv-memory.
int plan_engine(struct plan_memory *p, const struct model_shape *shape,
                const struct engine_flags *f, struct error *err);

// Bytes of the staging memory: those of the flag, else what an update of every value takes.
uint64_t plan_staging(const struct names *names, const enum dtype *dtypes,
                      const struct engine_flags *f);

// The options of a backend for a planned engine, but for id_exists and the device; names and dtypes
// are borrowed.
struct backend_options plan_options(const struct plan_memory *p, const struct names *names,
                                    const enum dtype *dtypes, const struct engine_flags *f);

// What the backend takes for `options`, which are made of the above. ERROR_MEMORY when that is more
// than this process can have.
int plan_backend(struct plan_memory *p, const struct backend_ops *ops,
                 const struct backend_options *options, const struct names *names,
                 struct error *err);

// Logs the plan as one table.
void plan_log(const struct plan_memory *p, const struct log *log);

#endif
