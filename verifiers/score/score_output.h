// The output of a run. A regular file has its name only when it is complete: rows go to
// OUTPUT.part, which is renamed at the end, and OUTPUT.journal tells how far they are (and stays,
// for merges). Pipes and devices are written as they are.
#ifndef VERIFIERS_SCORE_SCORE_OUTPUT_H
#define VERIFIERS_SCORE_SCORE_OUTPUT_H

#include "verifiers/score/score_journal.h"

struct score_output;

// Opens the output. With `resume`, *next is where to go on, blocks of its journal go to `take`, and
// *ended says that nothing is left to do. Without, an old output stays until the new one is
// complete. Errors: ERROR_USAGE when the journal is of another run, or another run writes the same
// output; ERROR_IO.
struct score_output *score_output_open(const char *path, bool resume,
                                       const struct score_identity *identity, score_block_fn *take,
                                       void *self, uint64_t *next, bool *ended, struct error *err);

int score_output_write(struct score_output *out, struct slice text, struct slice meta,
                       uint64_t next_index, struct error *err);
// Writes the last block and closes: now the file has its name. `n_records` of the whole input.
int score_output_finish(struct score_output *out, uint64_t n_records, struct error *err);
// Where the rows are until then: OUTPUT.part, or NULL where nothing can be gone on with.
const char *score_output_part(const struct score_output *out);
void score_output_free(struct score_output **out);

#endif
