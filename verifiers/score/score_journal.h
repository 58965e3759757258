// The journal of an output: OUTPUT.journal.
//
// Rows are written first, then a block of the journal that says how long the output is with them
// and which record comes next, with the accounts of the rows. A run that was killed at any byte
// goes on behind the last whole block. The blocks also give back the summary, and what a merge
// needs to know of a shard.
#ifndef VERIFIERS_SCORE_SCORE_JOURNAL_H
#define VERIFIERS_SCORE_SCORE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/error.h"
#include "protocol/base/slice.h"

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

// Called with each block of rows that a resumed run or a merge takes over, and with the end.
typedef int score_block_fn(void *self, const struct score_block *block, struct error *err);

// Reads the whole blocks of the journal of `output`, of which `have` bytes are there: blocks that
// say more are of rows that a crash of the machine lost. *n_good: bytes of them. Fails only when
// there is no head (ERROR_INPUT) or the file cannot be read (ERROR_IO), or `take` fails.
int score_journal_read(const char *output, uint64_t have, struct score_identity *identity,
                       uint64_t *n_good, score_block_fn *take, void *self, struct error *err);

// A new journal with its head, or the old one without what lies behind its first `n_good` bytes.
// Returns its descriptor, or -1 with ERROR_IO.
int score_journal_create(const char *output, const struct score_identity *identity,
                         struct error *err);
int score_journal_go_on(const char *output, uint64_t n_good, struct error *err);

int score_journal_add(int journal, const char *output, const struct score_block *block,
                      struct error *err);

#endif
