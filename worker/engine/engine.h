// The engine: scheduler, cache, batch, model and rows behind a few verbs. Used by one thread.
//
// Tasks go in, samples come out, in the order in which they end; each sample of each task exactly
// once. Nothing here knows files, sockets or verifiers. A turn is engine_submit, then anything that
// does not call the engine, then engine_finish: the device computes in between.
#ifndef WORKER_ENGINE_ENGINE_H
#define WORKER_ENGINE_ENGINE_H

#include "worker/engine/batch.h"
#include "worker/engine/draft.h"
#include "worker/engine/model.h"
#include "worker/engine/rows.h"
#include "worker/status.h"

struct engine_options {
    int max_rows, max_prefixes, max_context, prefill_chunk;
    int page_tokens, n_pages;
    int suspend_pages, suspend_slots;
    struct draft_options draft;
};

// Microseconds in the parts of a turn that are the engine's own, all steps together.
struct engine_times {
    int64_t plan_us;    // scheduler_plan
    int64_t draft_us;   // guesses: made, filed and judged
    int64_t fill_us;    // new rows, the arrays of the step
    int64_t submit_us;  // handing it to the backend
    int64_t wait_us;    // for the backend
    int64_t advance_us; // tokens into rows
    int64_t commit_us;  // scheduler_commit, samples that ended
};

struct engine {
    struct model model;
    struct vocabulary vocabulary;
    struct engine_options options;
    struct scheduler *scheduler;
    struct batch batch;
    struct drafts *drafts;               // NULL: none are made
    const struct plan *plan;             // of the step that is under way, NULL: none is
    struct row *rows;                    // (max_rows)
    struct task *first_task, *last_task; // all that have samples which did not end, by arrival
    int n_samples;                       // which did not end
    uint64_t n_ended;                    // samples
    int64_t next_deadline_ms;            // no task's is earlier; INT64_MAX: none has one
    struct sample *finished, **last_finished;
    bool draining;
    int64_t submitted_us; // clock_us when the step under way was handed to the backend
    uint64_t n_updates;   // tags what is cached: a restarted trainer may use a version again
    struct status_counters counters;
    struct engine_times times;
};

// Takes over the model's backend, also on failure. `vocabulary` is copied; what it points at
// outlives the engine.
int engine_open(struct engine *e, struct model *model, const struct engine_options *options,
                const struct vocabulary *vocabulary, struct error *err);
void engine_close(struct engine *e);

// Whether the task can ever run here; the sentence says what does not fit. Reads only options, so
// another thread than the engine's may ask.
int engine_check(const struct engine *e, const struct task *task, struct error *err);

// Takes over a task that engine_check accepts. A task whose min_version lies ahead waits, in
// nobody's way.
void engine_add(struct engine *e, struct task *task);

// Ends samples first .. first + n - 1 of the group (n 0: all of them) with `reason`, at once; they
// come out with what they have. Returns how many that were.
int engine_cancel(struct engine *e, uint64_t serial, int first, int n, enum message_finish reason);

// Ends what is past its deadline, as cancelled.
void engine_expire(struct engine *e, int64_t now_ms);

// From now on nothing starts: what has not begun comes out as preempted, rows in flight go on.
void engine_drain(struct engine *e);
// Ends all that is left, as preempted.
void engine_preempt(struct engine *e);

// Nobody waits for these tasks any more: all that is left ends as preempted, new ones may come.
void engine_forget(struct engine *e);

// Weights of `version` are about to be applied: ends, as cancelled and with what they have, the
// samples that would be more versions behind than their task allows. Returns how many.
int engine_end_stale(struct engine *e, uint64_t version);

// Rows in flight go on; while this is so, nothing else begins.
void engine_hold(struct engine *e, bool is_holding);
int engine_n_begun(const struct engine *e); // samples in flight

// The weights are now `version`, with that digest: rows in flight continue, begin again, or have
// their KV computed anew before they continue, as their task asks.
void engine_set_version(struct engine *e, uint64_t version, uint64_t digest);

// An update that was announced, and the taking back of it, are over, and nothing has changed: both
// count as applied.
void engine_forgo(struct engine *e);

// The weights were taken back to an older version. All rows begin again from the prompt: some of
// their tokens may be of a version that does not count.
void engine_take_back(struct engine *e, uint64_t version, uint64_t digest);

// Plans a step and hands it to the backend. False: there is nothing to do. Between this and
// engine_finish no other verb may be called but engine_take_finished, engine_check and
// engine_status.
bool engine_submit(struct engine *e);

// Waits for the step, if one is under way, and makes its tokens rows. Returns 1 when there was one,
// 0 when there was none, -1 when the device failed.
int engine_finish(struct engine *e, struct error *err);

// The samples that have ended, oldest first, as a list; now the caller's. NULL: none.
struct sample *engine_take_finished(struct engine *e);

struct status engine_status(const struct engine *e);

#endif
