// What scheduler.c (events), scheduler_plan.c, scheduler_room.c and scheduler_check.c share; nobody
// else includes it.
#ifndef WORKER_ENGINE_SCHEDULER_STATE_H
#define WORKER_ENGINE_SCHEDULER_STATE_H

#include "worker/engine/scheduler.h"

// A prompt's computed positions, which sequences fork: a task's, from its admission until its last
// sample has started.
struct prefix {
    int32_t seq;
    int32_t share; // of the pages that rows may share with it
    struct scheduler_entry *owner;
};

// Full pages that a prefix and its forks hold together. An id lives as long as one of them.
struct share {
    int32_t n_holders;
    int32_t last; // of them in the order; scratch of scheduler_room_begin
};

// What a sample is: it waits, has ended, or is the number of its row slot.
enum { SAMPLE_WAITING = -1, SAMPLE_ENDED = -2 };

// A task in the queue. It leaves when its last sample ends.
struct scheduler_entry {
    struct scheduler_task task;
    uint64_t id;         // rises with arrival
    int32_t *samples;    // (n_samples) SAMPLE_WAITING, SAMPLE_ENDED, or a row slot
    int32_t next_sample; // none before it waits
    int32_t n_waiting;   // of them; all of a task without rows, until its prompt is computed
    int32_t n_live;
    int32_t *n_drawn;      // (n_samples) tokens that a waiting sample has from before a recompute,
                           // by which it is one of n_returning; NULL: none has any
    int32_t n_returning;   // of those that wait; they stand before all others
    int32_t row_pages;     // of one row at its limit
    struct prefix *prefix; // NULL: not admitted, or every sample has started
    struct scheduler_entry *prev, *next;
};

struct row_slot {
    struct scheduler_entry *entry; // NULL: the slot is free
    int32_t sample;                // from 0
    int32_t seq;
    int32_t n_drawn;   // tokens that it had when it started: what a recompute left it
    int32_t n_shared;  // leading pages that came from the prefix
    int32_t share;     // their id; -1: there are none
    bool frees_shared; // nobody behind it in the order holds them; known within a plan
};

// The banker's account up to some place in the order (rows by start, then prefixes by arrival).
struct room {
    int32_t avail; // pages free, here or in the arena, once all before that place have ended
    int32_t low;   // the least that any of them has over its need: what may be taken behind them
};

struct scheduler {
    struct scheduler_options options;
    struct cache *cache;
    struct scheduler_entry *head, *tail; // in order of arrival
    uint64_t next_id, version;
    struct row_slot *rows; // (max_rows)
    int32_t n_rows;        // slots in use
    int32_t *order;     // (max_rows) the first n_order: row slots, oldest start first; some may be
    int32_t n_order;    // free again until the next plan
    int32_t *free_rows; // (max_rows) the first max_rows - n_rows: free slots
    struct prefix *prefix_memory; // (max_prefixes)
    struct prefix **prefixes;     // (max_prefixes) the first n_prefixes: by arrival; then free ones
    int32_t n_prefixes;
    struct share *shares; // (max_rows + max_prefixes)
    int32_t *free_shares; // (likewise) the first n_free_shares
    int32_t n_free_shares;
    int32_t n_tasks, n_waiting;   // in the queue; samples of them
    int32_t n_returning;          // of the samples that wait
    bool is_holding;              // nothing begins (scheduler_hold)
    int64_t length_sum, length_n; // finished lengths, old ones fading
    uint64_t n_preempted, n_pages_moved, n_rows_finished;
    bool planned; // a plan is outstanding
    struct plan plan;
    struct segment *segments; // (max_rows + max_prefixes)
    struct segment *chunks;   // (max_prefixes) of prefixes, until they go behind the rows
    struct scheduler_entry **chunk_owners; // (max_prefixes)
    int32_t n_chunks;
    struct scheduler_end *ends; // (ends_room) of the last call
    int32_t n_ends, ends_room;
    // Of the plan that is made: tokens beyond one a row that it has room for, the account behind
    // the rows planned so far, and what running rows are expected to take still.
    int32_t budget;
    struct room room;
    bool room_is_bound;      // guesses took pages, and room.low is not exact but a lower bound
    int32_t expected_growth; // -1: not known
    int32_t victim;          // place in the order of the youngest row that may have pages to give
};

// ---- scheduler.c

// A new share with one holder; one holder less, -1 being none.
int32_t scheduler_new_share(struct scheduler *s);
void scheduler_leave_share(struct scheduler *s, int32_t share);

// Takes the prefix off its task, whose sequence and share the caller has another use for or closes.
void scheduler_drop_prefix(struct scheduler *s, struct scheduler_entry *e);

// Gives back all that the prefix holds, if there is one.
void scheduler_close_prefix(struct scheduler *s, struct scheduler_entry *e);

int32_t scheduler_mean_length(const struct scheduler *s); // -1: too few have finished

// The tokens that a sample has from before a recompute (0: it begins); it starts now.
int32_t scheduler_take_drawn(struct scheduler *s, struct scheduler_entry *e, int32_t sample);

// Whether a sample of the task may start, or its prompt be computed for one.
bool scheduler_may_start(const struct scheduler *s, const struct scheduler_entry *e);

// Positions that one row of the task can have; for a task without rows, its prefix.
int32_t scheduler_row_tokens(const struct scheduler *s, const struct scheduler_task *task);

// Pages that the prefix and one more row can come to hold together.
int32_t scheduler_entry_pages(const struct scheduler *s, const struct scheduler_entry *e);

// ---- scheduler_room.c: the account, carried along while a plan is made

void scheduler_room_begin(struct scheduler *s);           // before the first row
void scheduler_room_take(struct scheduler *s, int32_t n); // n pages were taken behind it
void scheduler_room_pass(struct scheduler *s, int32_t slot,
                         int32_t n_pages);                    // the row, with its
                                                              // pages, now counts as before it
void scheduler_room_start(struct scheduler *s, int32_t slot); // likewise, of a row that is new

// The account behind all rows and the first n_prefixes prefixes.
struct room scheduler_room_behind(const struct scheduler *s, int32_t n_prefixes);

// Free pages that nobody who runs is expected to take; those that one row will, and the positions
// that a row of the task is expected to come to when it has drawn n_drawn tokens.
int32_t scheduler_room_expected(struct scheduler *s);
int32_t scheduler_room_growth(const struct scheduler *s, int32_t slot);
int32_t scheduler_room_expected_tokens(const struct scheduler *s, const struct scheduler_task *task,
                                       int32_t n_drawn);

#endif
