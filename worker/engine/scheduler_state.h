// What scheduler.c (events), scheduler_plan.c and scheduler_check.c share; nobody else includes it.
#ifndef WORKER_ENGINE_SCHEDULER_STATE_H
#define WORKER_ENGINE_SCHEDULER_STATE_H

#include "worker/engine/scheduler.h"

enum sample_state { SAMPLE_WAITING, SAMPLE_LIVE, SAMPLE_FINISHED };

// A task in the queue. It leaves when its last sample finishes.
struct entry {
    struct scheduler_task task;
    uint64_t id;
    uint8_t *samples;  // (n_samples) enum sample_state
    int32_t n_waiting; // of them; all of a task without rows, until its prompt is computed
    int32_t n_live;
    int32_t prefix; // sequence, or -1: not admitted, or every sample has started
    struct entry *prev, *next;
};

struct row {
    struct entry *entry; // NULL: the slot is free
    int32_t sample;      // from 0
    int32_t seq;
    int32_t n_shared; // leading pages that came from the prefix
};

struct scheduler {
    struct scheduler_options options;
    struct cache *cache;
    struct entry *head, *tail; // in order of arrival
    uint64_t next_id, version;
    struct row *rows;   // (max_rows)
    int32_t *order;     // (max_rows) the first n_rows: row slots in use, oldest start first
    int32_t *free_rows; // (max_rows) the first max_rows - n_rows: free slots
    int32_t n_rows;
    struct entry **prefixes; // (max_prefixes) the first n_prefixes: tasks that have one, by arrival
    int32_t n_prefixes;
    int32_t n_tasks, n_waiting;   // in the queue; samples of them
    int64_t length_sum, length_n; // finished lengths, old ones fading
    uint64_t n_preempted, n_pages_moved, n_rows_finished;
    bool planned; // a plan is outstanding
    struct plan plan;
    struct segment *segments; // (max_rows + max_prefixes)
    struct segment *chunks;   // (max_prefixes) of prefixes, until they go behind the rows
    int32_t n_chunks;
    int32_t *last; // (n_pages + suspend_pages) scratch of scheduler_room
};

// The banker's account up to some place in the order (rows by start, then prefixes by arrival).
struct room {
    int32_t avail; // pages free, here or in the arena, once all before that place have ended
    int32_t low;   // the least that any of them has over its need: what may be taken behind them
};

// The account behind the first n_rows rows and the first n_prefixes prefixes; the second is 0
// unless the first is all rows.
struct room scheduler_room(struct scheduler *s, int32_t n_rows, int32_t n_prefixes);

// Takes the task off the list of those with a prefix, whose sequence the caller has another use
// for or closes.
void scheduler_drop_prefix(struct scheduler *s, struct entry *e);

int32_t scheduler_mean_length(const struct scheduler *s); // -1: too few have finished

// Positions that one row of the task can have; for a task without rows, its prefix.
int32_t scheduler_row_tokens(const struct scheduler *s, const struct scheduler_task *task);

// Pages that the prefix and one more row can come to hold together.
int32_t scheduler_entry_pages(const struct scheduler *s, const struct entry *e);

#endif
