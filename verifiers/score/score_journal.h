// The output file and its journal.
//
// Rows are written first, then a block of the journal that says how long the output is with them
// and which record comes next, with the accounts of the rows. A run that was killed at any byte
// goes on behind the last whole block: the output is cut there. The blocks also give back the
// summary, and what a merge needs to know of a shard.
#ifndef VERIFIERS_SCORE_SCORE_JOURNAL_H
#define VERIFIERS_SCORE_SCORE_JOURNAL_H

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"
#include "verifiers/score.h"

// What must be the same when a run goes on.
struct score_identity {
    uint64_t input;   // sizes and ends of the files
    uint64_t options; // everything that decides rows, and the version
    uint64_t shard, n_shards;
};

enum score_block_kind { SCORE_BLOCK_HEAD = 1, SCORE_BLOCK_ROWS, SCORE_BLOCK_END };

struct score_block {
    enum score_block_kind kind;
    uint64_t n_bytes;     // of the output, up to here
    uint64_t next_index;  // of the input; in the last block: how many records there are
    struct slice payload; // SCORE_BLOCK_HEAD: struct score_identity; ROWS: the accounts
};

// Called with each block of rows that a resumed run or a merge takes over.
typedef int score_block_fn(void *self, const struct score_block *block, struct error *err);

// Reads the whole blocks of a journal. *n_good: bytes of them. Fails only when there is no head
// (ERROR_INPUT) or the file cannot be read (ERROR_IO), or `take` fails.
int score_journal_read(const char *output, struct score_identity *identity, uint64_t *n_good,
                       score_block_fn *take, void *self, struct error *err);

struct score_output;

// Opens the output. Only a regular file that was asked for by name has a journal. With `resume`,
// *next is where to go on, blocks go to `take`, and *ended says that nothing is left to do. Errors:
// ERROR_USAGE when the journal is of another run, ERROR_IO.
struct score_output *score_output_open(const char *path, bool resume,
                                       const struct score_identity *identity, score_block_fn *take,
                                       void *self, uint64_t *next, bool *ended, struct error *err);

int score_output_write(struct score_output *out, struct slice text, struct slice meta,
                       uint64_t next_index, struct error *err);
// Writes the last block and closes; `n_records` of the whole input.
int score_output_finish(struct score_output *out, uint64_t n_records, struct error *err);
bool score_output_has_journal(const struct score_output *out);
void score_output_free(struct score_output **out);

#endif
