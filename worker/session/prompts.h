// A prompt file as a port of the loop: lines become tasks, samples become lines, in input order.
#ifndef WORKER_SESSION_PROMPTS_H
#define WORKER_SESSION_PROMPTS_H

#include <stdio.h>

#include "worker/port.h"
#include "worker/session/output.h"
#include "worker/session/request.h"

struct prompts;

struct prompts_options {
    const struct request_context *requests; // borrowed
    const struct engine *engine;            // to ask whether a task can run
    struct output_shape shape;
    int max_ahead; // tasks that may be in the engine at once
    FILE *output;  // borrowed
};

// Takes the whole file: every line is checked before anything runs, and parsed again when its turn
// comes, so that memory holds one copy of the text and the tasks in flight.
struct prompts *prompts_open(struct slice text, const struct prompts_options *options);
void prompts_close(struct prompts **p);

const struct port *prompts_port(const struct prompts *p);

struct prompts_counts {
    uint64_t n_groups, n_bad, n_samples, n_done, n_tokens; // n_samples: of all good lines
    uint64_t n_failed; // samples that ended with an error of ours
};
struct prompts_counts prompts_counts(const struct prompts *p);

#endif
