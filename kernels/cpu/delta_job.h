// Changes in pieces for threads: blocks of codes, or rows of a dense weight.
#ifndef KERNELS_CPU_DELTA_JOB_H
#define KERNELS_CPU_DELTA_JOB_H

#include <pthread.h>

#include "kernels/cpu/backend.h"
#include "kernels/kernels.h"

struct delta_job {
    struct cpu *c;
    const struct weight_change *changes; // (n)
    int n;
    int64_t *first_piece; // (n + 1)
    int64_t next_piece;   // the first of those that the pool has
    pthread_mutex_t lock; // for what follows
    struct change_sums *sums;
    int bad; // the first change that is wrong, n: none
    struct error why;
};

// n_pieces: of a change.
void delta_job_open(struct delta_job *j, struct cpu *c, const struct weight_change *changes, int n,
                    int64_t (*n_pieces)(const struct cpu *c, const struct weight_change *change));
// Runs `work` on every piece, with the job as its argument.
void delta_job_run(struct delta_job *j, struct pool *pool, pool_job *work);
// -1 with *bad and its sentence where a change was wrong; else *bad is -1.
int delta_job_close(struct delta_job *j, int *bad, struct error *err);

// For the work: the change that the piece of a chunk belongs to, *piece: its number within it; a
// change is wrong.
int delta_change_of(const struct delta_job *j, int chunk, int64_t *piece);
void delta_note_bad(struct delta_job *j, int change, const struct error *why);

// Blocks of codes of a sparse change; pieces of a dense one: elements *first .. *first + n - 1 of
// piece `piece` are whole blocks of rows, but at the end. Returns n.
int64_t delta_n_pieces(const struct weight_slot *s, const struct weight_change *change);
int64_t delta_piece(const struct weight_slot *s, const struct weight_change *change, int64_t piece,
                    int64_t *first);

#endif
