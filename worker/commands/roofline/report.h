// A plan as text and as JSON: a device, a model, and the steps that were asked for.
#ifndef WORKER_COMMANDS_ROOFLINE_REPORT_H
#define WORKER_COMMANDS_ROOFLINE_REPORT_H

#include "protocol/base/buffer.h"
#include "worker/commands/roofline/roofline.h"

struct report_plan {
    const char *model_name;
    const struct roofline_model *model;
    const struct device *device;
    const struct roofline_load *loads; // (n_loads): the kernels are told of the last one
    int n_loads;
    int n_in, n_out; // of a mix of requests; 0: the loads only decode
};

// Appends tables: memory, a line for each load, the kernels of the last one.
void report_add_text(struct buffer *out, const struct report_plan *p);

// Appends one JSON object with the same figures and a newline. step_ms, tokens_per_s and kernels
// are the last load's; `decode` has all loads, where they decode only.
void report_add_json(struct buffer *out, const struct report_plan *p);

#endif
