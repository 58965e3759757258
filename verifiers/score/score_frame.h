// What goes between the parent and its workers, and into the journal: batches of records one way,
// rows with a fixed-size account of each the other. Both ends are the same program, so that
// structures are sent as they lie in memory.
#ifndef VERIFIERS_SCORE_SCORE_FRAME_H
#define VERIFIERS_SCORE_SCORE_FRAME_H

#include "protocol/base/buffer.h"
#include "protocol/base/memory.h"
#include "verifiers/verify.h"

enum {
    SCORE_BATCH_BYTES = 256 << 10, // of records, but at least one
    SCORE_BATCH_RECORDS = 4096,
    SCORE_SLOW_BATCH_RECORDS = 64, // where programs grade, which may take seconds
    // Descriptors of a worker besides its stdin, stdout and stderr.
    SCORE_PAGE_FD = 3,
    SCORE_GOLDS_INDEX_FD = 4,
    SCORE_GOLDS_ROWS_FD = 5,
};

// Shared with a worker: where it is. When it dies, the record to blame is known.
struct score_page {
    _Atomic uint64_t beat;    // grows with every step
    _Atomic uint32_t ordinal; // of the record in its batch that is being graded
};

// A record of the batch that is not to be graded again, and why.
struct score_mark {
    uint32_t ordinal;
    uint16_t status; // REWARD_CRASH or REWARD_TIMEOUT
    uint16_t unread; // it may not even be parsed
};

// Followed by the file's name, the marks and the records.
struct score_request {
    uint64_t batch;
    uint32_t n_records, n_marks, file_len, format;
    uint64_t records_len;
};

// Followed by its `len` bytes.
struct score_item {
    uint64_t index, line;
    uint32_t len;
    uint32_t too_long;
};

// Followed by the rows and their account (struct score_meta).
struct score_reply {
    uint64_t batch, text_len, meta_len;
};

enum {
    SCORE_ROW_BAD = 1,     // no value: a bad record, a crash, a time-out, not supported
    SCORE_ROW_WRITTEN = 2, // a row stands in the output
    SCORE_ROW_JUDGED = 4,  // right or wrong is known
    SCORE_ROW_RIGHT = 8,   // each of math, exact and choice is 1; without them, the value is
    SCORE_ROW_LABELLED = 16,
    SCORE_ROW_LABEL = 32, // the label says right
    SCORE_ROW_ERROR = 64, // the record itself is bad: it has no reward
};

// The account of one graded completion.
struct score_stat {
    uint64_t index;
    uint64_t group;  // hash, 0: none
    uint64_t answer; // hash of the extracted answer, 0: none
    double value;
    uint32_t us; // time of grading
    uint32_t n_bytes;
    int32_t n_tokens;       // -1: not known
    uint16_t dataset, rule; // of the meta's strings; 0 is ""
    uint16_t flags;
    uint8_t status; // of the reward; of a bad record REWARD_OK, unless it is to blame
    uint8_t unused[5];
};

// The accounts of a batch, and the strings that they name.
struct score_meta {
    uint32_t n_strings, n_stats;
    struct buffer strings; // uint16_t length and bytes, each
    struct buffer stats;   // struct score_stat
};

void score_meta_clear(struct score_meta *meta);
void score_meta_free(struct score_meta *meta);
uint16_t score_meta_string(struct score_meta *meta, struct slice text); // 0: none or too many
void score_meta_add(struct score_meta *meta, const struct score_stat *stat);
void score_meta_write(const struct score_meta *meta, struct buffer *out);

// A written meta: strings[0] is "". Slices point into the bytes; arrays are in `arena`.
struct score_accounts {
    uint32_t n_strings, n_stats;
    struct slice *strings;
    struct score_stat *stats;
};

int score_accounts_read(struct slice bytes, struct arena *arena, struct score_accounts *out);

#endif
