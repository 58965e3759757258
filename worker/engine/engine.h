// The engine: scheduler, cache, batch, model and rows behind five verbs. Used by one thread.
//
// Tasks go in, samples come out, in the order in which they end. Nothing here knows files, sockets
// or verifiers.
#ifndef WORKER_ENGINE_ENGINE_H
#define WORKER_ENGINE_ENGINE_H

#include "worker/engine/batch.h"
#include "worker/engine/rows.h"

struct engine_options {
    int max_rows, max_prefixes, max_context, prefill_chunk;
    int page_tokens, n_pages;
    int suspend_pages, suspend_slots;
    enum dtype kv_dtype; // of pages and conv states
};

struct engine_counters {
    uint64_t n_steps, n_prompt_tokens, n_output_tokens;
    int64_t step_us;      // time inside steps
    int64_t last_step_ms; // clock_ms when the last step ended, 0: none yet
};

struct engine {
    struct model model;
    struct vocabulary vocabulary;
    struct engine_options options;
    struct scheduler *scheduler;
    struct batch batch;
    struct row *rows;   // (max_rows)
    struct task *tasks; // all that have samples which did not end
    struct sample *finished, **last_finished;
    bool draining;
    uint64_t n_updates; // tags what is cached: a restarted trainer may use a version again
    struct engine_counters counters;
};

// Takes over the model's backend, also on failure. `vocabulary` is copied; what it points at
// outlives the engine.
int engine_open(struct engine *e, struct model *model, const struct engine_options *options,
                const struct vocabulary *vocabulary, struct error *err);
void engine_close(struct engine *e);

// Whether the task can ever run here; the sentence says what does not fit. Reads only options, so
// another thread than the engine's may ask.
int engine_check(const struct engine *e, const struct task *task, struct error *err);

// Takes over a task that engine_check accepts. A task whose min_version lies ahead waits.
void engine_add(struct engine *e, struct task *task);

// Ends samples first .. first + n - 1 of the group (n 0: all of them) with `reason`; they come out
// with what they have. Returns how many that were.
int engine_cancel(struct engine *e, uint64_t serial, int first, int n, enum message_finish reason);

// Ends what is past its deadline, as cancelled.
void engine_expire(struct engine *e, int64_t now_ms);

// From now on nothing starts: what has not begun comes out as preempted, rows in flight go on.
void engine_drain(struct engine *e);
// Ends all that is left, as preempted.
void engine_preempt(struct engine *e);

// Nobody waits for these tasks any more: all that is left ends as preempted, new ones may come.
void engine_forget(struct engine *e);

// The weights are now `version`: rows in flight continue, tasks that ask for it start again.
void engine_set_version(struct engine *e, uint64_t version);

// One step: plan, move, compute, advance. Returns 1 when tokens were computed, 0 when there was
// nothing to do, -1 when the device failed.
int engine_step(struct engine *e, struct error *err);

// The samples that have ended, oldest first, as a list; now the caller's. NULL: none.
struct sample *engine_take_finished(struct engine *e);

bool engine_is_idle(const struct engine *e);  // no task is left but those that wait for a version
int engine_n_samples(const struct engine *e); // that did not end, of all tasks

#endif
