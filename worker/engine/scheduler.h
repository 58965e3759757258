// Who runs next, on which pages, and what became of each sample. Integers only: no kernels, no
// wire, no clock.
//
// A task is one prompt of P tokens and n samples. Its prompt is prefilled once, positions 0 to
// P - 2, as the task's prefix, in chunks. Each sample is then a row: it forks the prefix, feeds
// prompt token P - 1 at position P - 1 and draws output token 0; every further step feeds the
// token drawn last, and perhaps guesses of what comes behind it (scheduler_draft), of which the
// caller says how many stand. The last sample to start takes over the prefix itself, so nothing is
// copied for a task with one sample. A task with max_new_tokens 0 has a prefix and no rows.
//
// A recompute (scheduler_recompute) makes rows samples that wait again, but with what they have
// drawn. Such a sample starts as any other, from a prefix that is prefilled anew; then its row
// feeds the tokens that it had, as many in a step as prefill_chunk leaves room for, and draws on
// behind the last of them.
//
// A step is what scheduler_plan returns: movements of bytes to execute in order, then segments to
// compute: first each running row's next token, oldest row first, then up to prefill_chunk tokens
// more: what rows recompute, then prompts of tasks in order of arrival. The caller computes it and
// calls scheduler_commit. The plan is a function of the calls made so far and of nothing else.
//
// Fate: the scheduler alone knows of each sample whether it waits, has a row or has ended, and says
// of each one that ends, by a commit or a call, which row slot it had (struct scheduler_end).
//
// Admission: tasks, and the samples of a task, start in order of arrival. One starts when a row
// slot is free, no row is parked, and the pages that all running rows are expected to grow to fit
// beside its own (the running mean of finished lengths; the limit until 32 have finished).
//
// Growth: rows are ordered by when they started. Where no page is free the youngest row is parked
// and its pages go to the arena as they are needed. A row is brought back, oldest first, when its
// pages fit with a page to spare for every second running row. While a row waits, those behind it
// take no pages, and nothing new starts.
//
// No deadlock: rows in order of age, then prefixes in order of arrival, are such that each can
// reach its limit with what is free on the device and in the arena plus what those before it hold
// (the banker's rule). A page is taken only where this stays so; a row that cannot take one waits
// and keeps its pages. So the oldest row is in every plan, every row becomes the oldest in
// time, and a plan is empty only where nothing is left to do.
//
// Cost: a plan and a commit are linear in rows and tasks; every other call in what it changes.
#ifndef WORKER_ENGINE_SCHEDULER_H
#define WORKER_ENGINE_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/error.h"
#include "worker/engine/cache.h"

struct scheduler_options {
    int32_t max_rows;      // row slots, >= 1
    int32_t max_prefixes;  // prompts that are prefilled or wait for row slots, >= 1
    int32_t n_pages;       // KV pages on the device, >= 1
    int32_t page_tokens;   // positions in a page, >= 1
    int32_t suspend_pages; // KV pages in the arena of suspended rows, >= 0
    int32_t suspend_slots; // conv slots in that arena, >= 0
    int32_t max_context;   // positions of one row, >= 1
    int32_t prefill_chunk; // prompt tokens in one step, >= 1
    int32_t max_draft;     // guesses behind a row's token, >= 0
    uint64_t version;      // of the weights at start
};

// The backend needs max_rows + max_prefixes conv slots, and room for max_rows + prefill_chunk
// tokens and max_rows + max_prefixes segments in a step.
struct scheduler;

// Fails with ERROR_USAGE where an option is out of its range.
struct scheduler *scheduler_open(const struct scheduler_options *options, struct error *err);
void scheduler_free(struct scheduler **scheduler);

struct scheduler_task {
    int32_t n_prompt;       // P, >= 1
    int32_t first_sample;   // >= 0
    int32_t n_samples;      // >= 1
    int32_t max_new_tokens; // >= 0; with 0 n_prompt must be >= 2, or there is nothing to compute
    bool is_held;           // starts only after scheduler_release, and lets those behind it pass
    void *user;             // handed back in segments and ends; stays the caller's
};

// Whether the task can ever run: -1 with ERROR_INPUT where a number is out of range or where the
// prompt, or one row at its limit, does not fit alone.
int scheduler_check_task(const struct scheduler *scheduler, const struct scheduler_task *task,
                         struct error *err);

// Puts a task that scheduler_check_task accepts at the end of the queue. The entry is valid until
// the last of the task's samples has ended.
struct scheduler_entry;
struct scheduler_entry *scheduler_add_task(struct scheduler *scheduler,
                                           const struct scheduler_task *task);

void scheduler_release(struct scheduler *scheduler, struct scheduler_entry *entry);

// A run of consecutive positions of one sequence to compute in this step.
struct segment {
    void *user;           // of the task
    int32_t row;          // row slot, 0 to max_rows - 1; -1 for a prefix
    int32_t sample;       // of the group; -1 for a prefix
    int32_t position;     // of the first token
    int32_t n_tokens;     // of a row: the one that was drawn last, and guesses behind it
    int32_t n_recomputed; // of a row: its first tokens, which it was fed before; nothing is drawn
                          // behind them, and there are no guesses where there are such
    int32_t conv_slot;    //
    int32_t n_pages;      // enough for the last position of the segment
    const int32_t *pages; // (n_pages) device pages of positions 0, page_tokens, ...
    bool is_first; // the sequence's first segment: a row slot is new, a prompt starts (again)
    bool is_last;  // its end is the row's limit, or that of the prompt
};

struct plan {
    const struct cache_op *ops; // (n_ops) to execute in this order before the step
    size_t n_ops;
    const struct segment *segments; // (n_segments) rows first, then prefixes
    int32_t n_segments, n_rows;
    int32_t n_tokens;     // of all segments
    int32_t n_recomputed; // of these
};

// The next step; valid until the next call on the scheduler. With a plan outstanding only
// scheduler_commit, scheduler_stats and the checks may be called. n_segments is 0 only where no
// task is left that may run; such a plan has no operations and is not committed.
const struct plan *scheduler_plan(struct scheduler *scheduler);

// Gives row segment i of the outstanding plan room for guesses behind its token: up to n, as far
// as max_draft, the row's limit, the tokens of a step (max_rows + prefill_chunk) and free pages go.
// Guesses take nothing from anybody: all else that is planned stays, and no row is parked for
// them. At most once for a segment. Returns for how many there is room: none in a row that
// recomputes.
int32_t scheduler_draft(struct scheduler *scheduler, int32_t i, int32_t n);

// A sample that has ended, or that starts again (scheduler_restart, scheduler_recompute).
struct scheduler_end {
    void *user;     // of its task
    int32_t sample; // of the group
    int32_t row;    // the slot that it had, free now; -1: it had none
};

// The list that a call returns: valid until the next call on the scheduler.
struct scheduler_ends {
    const struct scheduler_end *items; // (n)
    int32_t n;
};

// What a computed row segment has come to.
struct outcome {
    int32_t n_kept; // 1 to n_tokens: its first tokens, which stand; the others were wrong guesses.
                    // All of them where some are recomputed
    bool finished;  // the token drawn behind those ends the row
};

// The plan has been computed. A row at its limit ends in any case. The row goes on behind the
// tokens that stand; pages that only the others needed are given back. outcomes: (n_rows).
// Returns the rows that ended, in the order of their segments, and all samples of tasks without
// rows whose prompt is done.
struct scheduler_ends scheduler_commit(struct scheduler *scheduler, const struct outcome *outcomes);

// Ends samples first .. first + n - 1 of the group that are the task's and have not ended, with
// their rows. A row slot that was in use may be given to another sample by the next plan.
struct scheduler_ends scheduler_cancel(struct scheduler *scheduler, struct scheduler_entry *entry,
                                       int32_t first, int32_t n);

// Ends the task's samples that have not started. Those that come back from a recompute had.
struct scheduler_ends scheduler_cancel_waiting(struct scheduler *scheduler,
                                               struct scheduler_entry *entry);

// Throws away the prefix and the progress of every unfinished sample of a task; they start again,
// in the task's place in the queue. Returns those that had a row, or waited to have it back.
struct scheduler_ends scheduler_restart(struct scheduler *scheduler, struct scheduler_entry *entry);

// Throws away the prefix and what is computed of every row of a task, but not what the rows have
// drawn: they start again, in the task's place in the queue, compute those positions anew and go
// on. Returns those that had a row.
struct scheduler_ends scheduler_recompute(struct scheduler *scheduler,
                                          struct scheduler_entry *entry);

// While this is so nothing begins: rows go on, those come back that a recompute made wait, and no
// prompt is computed for others.
void scheduler_hold(struct scheduler *scheduler, bool is_holding);

// The weights have changed. Rows in flight continue; a prefix from which samples have yet to
// start is prefilled again from position 0, because pages of one version are never forked under
// another. Groups that ask for a restart or a recompute get it by the caller, after this.
void scheduler_set_version(struct scheduler *scheduler, uint64_t version);

struct scheduler_stats {
    int32_t n_tasks;     // in the queue or running
    int32_t n_waiting;   // samples not started
    int32_t n_running;   // rows that are awake
    int32_t n_stalled;   // rows parked with all pages on the device
    int32_t n_suspended; // rows with pages in the arena
    int32_t n_prefixes;
    int32_t n_free_rows, n_free_pages, n_free_arena_pages;
    int32_t mean_length;      // expected output tokens; -1 until 32 rows have finished
    uint64_t n_preempted;     // times that a row's pages began to move to the arena
    uint64_t n_pages_moved;   // to the arena
    uint64_t n_rows_finished; // cancelled rows are not
};
struct scheduler_stats scheduler_stats(const struct scheduler *scheduler);

int32_t scheduler_n_rows(const struct scheduler *scheduler); // samples that have a row
// Samples in flight: that have a row, or come back from a recompute.
int32_t scheduler_n_begun(const struct scheduler *scheduler);

// The cache behind it, to look at.
const struct cache *scheduler_cache(const struct scheduler *scheduler);

// For tests: NULL where all invariants hold, else a sentence that names the first that does not.
const char *scheduler_check(const struct scheduler *scheduler);

#endif
