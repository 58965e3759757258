#include "kernels/cpu/delta_job.h"

#include <stdlib.h>

#include "protocol/base/memory.h"

enum { PIECES = 1024 }; // that the pool has at a time: an update may have more than it can number

static int64_t piece_elements(const struct weight_slot *s) {
    int64_t block = (int64_t)MATMUL_ROWS * s->columns;
    return block < WEIGHT_CHUNK ? WEIGHT_CHUNK / block * block : block;
}

int64_t delta_n_pieces(const struct weight_slot *s, const struct weight_change *change) {
    int64_t size = piece_elements(s);
    if (change->code_bytes) return delta_n_blocks(change->n_codes);
    return (change->n_values + size - 1) / size;
}

int64_t delta_piece(const struct weight_slot *s, const struct weight_change *change, int64_t piece,
                    int64_t *first) {
    int64_t size = piece_elements(s), left = change->n_values - piece * size;
    *first = piece * size;
    return left < size ? left : size;
}

void delta_job_open(struct delta_job *j, struct cpu *c, const struct weight_change *changes, int n,
                    int64_t (*n_pieces)(const struct cpu *c, const struct weight_change *change)) {
    *j = (struct delta_job){.c = c, .changes = changes, .n = n, .bad = n};
    j->first_piece = memory_new((size_t)n + 1, sizeof *j->first_piece);
    for (int i = 0; i < n; i++)
        j->first_piece[i + 1] = j->first_piece[i] + n_pieces(c, &changes[i]);
    pthread_mutex_init(&j->lock, NULL);
}

void delta_job_run(struct delta_job *j, struct pool *pool, pool_job *work) {
    int64_t n = j->first_piece[j->n];
    for (j->next_piece = 0; j->next_piece < n; j->next_piece += PIECES) {
        int64_t left = n - j->next_piece;
        pool_run(pool, (int)(left < PIECES ? left : PIECES), left < 2, work, j);
    }
}

int delta_job_close(struct delta_job *j, int *bad, struct error *err) {
    pthread_mutex_destroy(&j->lock);
    free(j->first_piece);
    *bad = j->bad < j->n ? j->bad : -1;
    if (*bad < 0) return 0;
    if (err) *err = j->why;
    return -1;
}

int delta_change_of(const struct delta_job *j, int chunk, int64_t *piece) {
    int low = 0, high = j->n - 1;
    *piece = j->next_piece + chunk;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (j->first_piece[middle] <= *piece)
            low = middle;
        else
            high = middle - 1;
    }
    *piece -= j->first_piece[low];
    return low;
}

void delta_note_bad(struct delta_job *j, int change, const struct error *why) {
    pthread_mutex_lock(&j->lock);
    if (change < j->bad) {
        j->bad = change;
        j->why = *why;
    }
    pthread_mutex_unlock(&j->lock);
}
