// One line of input as what is to be graded, whatever wrote it.
#ifndef VERIFIERS_SCORE_SCORE_RECORD_H
#define VERIFIERS_SCORE_SCORE_RECORD_H

#include "verifiers/score/score_completion.h"

struct score_record {
    const struct json *root;                   // NULL: the line is no object
    const struct json *values[SCORE_N_FIELDS]; // NULL: absent (or null)
    struct score_completions completions;
    struct slice group; // bytes that are the same within a group; or empty
};

// Takes a line apart. Texts live in `arena` or point into `line`. `out` holds what was found also
// on failure; the error is a sentence about the record.
int score_record_read(struct slice line, enum score_format format, const struct score_map *map,
                      struct arena *arena, struct score_record *out, struct error *err);

#endif
