// Lines of the input files, one after another, decompressed on the way. Nothing but the line that
// is being read is held.
#ifndef VERIFIERS_SCORE_SCORE_SOURCE_H
#define VERIFIERS_SCORE_SCORE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/error.h"
#include "protocol/base/slice.h"

struct score_line {
    struct slice text; // without its newline; valid until the next read
    uint64_t index;    // of the record, from 0, over all files; blank lines are none
    uint64_t line;     // in its file, from 1
    const char *file;
    bool too_long; // longer than SCORE_MAX_LINE_BYTES: `text` is empty
};

struct score_source;

// Opens nothing yet but checks that each file is there. "-" is stdin.
struct score_source *score_source_open(const char *const *paths, int n, struct error *err);
void score_source_free(struct score_source **source);

bool score_source_ended(const struct score_source *source); // all files were read

// The descriptor to wait on before a read, or -1 where a read does not block for long.
int score_source_fd(const struct score_source *source);

// One read from the file, or one stretch of what is compressed. Take all lines before each read.
// ERROR_IO when the file cannot be read, its compressed data are damaged, or it holds no lines of
// JSON (Parquet, an indented list, ...): then it has ended, and whole lines before the damage can
// still be taken.
int score_source_read(struct score_source *source, struct error *err);

// The next whole line that is not blank, of what was read, without a byte order mark. False: read
// on, or the end.
bool score_source_line(struct score_source *source, struct score_line *out);

uint64_t score_source_bytes_read(const struct score_source *source);  // as stored
uint64_t score_source_bytes_total(const struct score_source *source); // 0: not known (a pipe)
uint64_t score_source_n_records(const struct score_source *source);   // handed out so far

// What is known of the files without reading them: sizes and a hash of both ends.
uint64_t score_source_identity(const struct score_source *source);

#endif
