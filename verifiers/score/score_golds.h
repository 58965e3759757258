// --golds: rows that are joined on `id` or `custom_id`. The parent builds an index of 24 bytes a
// slot, at most two thirds full, in shared memory; the rows stay in their file (or in an unnamed
// temporary one, where the file is compressed or a pipe) and are read when they are needed.
#ifndef VERIFIERS_SCORE_SCORE_GOLDS_H
#define VERIFIERS_SCORE_SCORE_GOLDS_H

#include "protocol/base/buffer.h"
#include "verifiers/score/score_path.h"

struct score_golds {
    int index_fd, rows_fd; // -1: none; passed on to workers
    uint64_t n_slots, n_keys;
    void *index; // mapped, or NULL
    uint64_t identity;
};

// Reads the whole file. ERROR_IO: it cannot be read, has a bad line, or one key twice.
int score_golds_open(const char *path, struct score_golds *out, struct error *err);

// In a worker: maps what the parent made.
int score_golds_attach(int index_fd, int rows_fd, struct score_golds *out, struct error *err);

void score_golds_close(struct score_golds *golds);

// The fields `gold` and `reward` of the row with that key, in `arena`. Returns false when there is
// none; both are NULL then.
bool score_golds_find(const struct score_golds *golds, struct slice key, struct arena *arena,
                      const struct json **gold, const struct json **reward);

#endif
