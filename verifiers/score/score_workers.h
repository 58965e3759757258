// The supervised processes: batches in, replies out, in any order; what dies is started again.
//
// When a worker dies, the record that it was at is tried once more (someone may have killed it);
// the second time it is marked as `crash`, and the batch goes on without it. A worker that stays
// with one record for longer than a minute is killed, and the record is a `timeout`.
#ifndef VERIFIERS_SCORE_SCORE_WORKERS_H
#define VERIFIERS_SCORE_SCORE_WORKERS_H

#include "verifiers/score.h"
#include "verifiers/score/score_frame.h"
#include "verifiers/score/score_golds.h"
#include "verifiers/process/supervisor.h"
#include "verifiers/score/score_format.h"

struct score_batch {
    struct supervisor_job queued; // first
    uint64_t number;
    uint64_t next_index; // behind its last record
    uint32_t n_records;
    enum score_format format;
    const char *file;
    struct buffer records; // struct score_item and its bytes, each
    struct score_mark *marks;
    uint32_t n_marks;
    int64_t suspect; // the ordinal that a worker died at, or -1
    bool done;
    struct buffer reply; // behind the struct score_reply: text and meta
    size_t text_len;
};

void score_batch_free(struct score_batch **batch);

struct score_workers;

struct score_workers *score_workers_open(const struct score_options *options,
                                         const struct score_golds *golds, struct error *err);
void score_workers_free(struct score_workers **workers); // kills what still runs

// Whether a batch could be sent on at once.
bool score_workers_hungry(const struct score_workers *workers);
// Queues a batch, which stays the caller's and must not be freed before it is done.
void score_workers_submit(struct score_workers *workers, struct score_batch *batch);

// A descriptor to poll for input: then a step has something to do.
int score_workers_fd(const struct score_workers *workers);
// Sends, receives, restarts, and marks batches as done; call it after each poll, and every 200 ms.
// ERROR_INTERNAL when workers do not start.
int score_workers_step(struct score_workers *workers, struct error *err);

#endif
