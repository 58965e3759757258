// Offline scoring: stored completions in, graded rows out (`stampede score`).
//
// The parent reads the input (JSON lines, plain, .gz or .zst), deals batches of records to
// supervised processes that grade them in-process, and writes their rows in input order, so that
// the output does not depend on the number of processes. Beside a regular output file lies a
// journal, FILE.journal, with a block for every batch that was written: a run that was killed is
// gone on with, and shards are merged with the checks that they need.
#ifndef VERIFIERS_SCORE_H
#define VERIFIERS_SCORE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/error.h"
#include "verifiers/verify.h"

enum {
    SCORE_MAX_LINE_BYTES = 32 << 20, // a longer line is a bad record
    SCORE_MAX_WORKERS = 256,
};

// Exit statuses of `stampede score`.
enum score_status {
    SCORE_DONE = 0,
    SCORE_BAD_RECORDS = 1,
    SCORE_USAGE = 2,
    SCORE_INPUT = 3,
    SCORE_OUTPUT = 4,
    SCORE_INTERNAL = 70,
    SCORE_HUNG_UP = 129,     // SIGHUP
    SCORE_INTERRUPTED = 130, // SIGINT
    SCORE_TERMINATED = 143,  // SIGTERM
};

// What a bad record does; they are counted in any case.
enum score_on_error {
    SCORE_EMIT, // a row with "error"
    SCORE_SKIP, // no row
    SCORE_STOP, // a row with "error", and the end
};

struct score_options {
    const char *const *inputs; // (n_inputs), "-" is stdin
    int n_inputs;
    const char *output;                       // "-" is stdout
    const char *format;                       // "auto", "jsonl", "verl", ...
    const char *map;                          // "completion=.output,gold=.answer", or NULL
    const char *verifier;                     // of records with a gold, or NULL
    const struct verifier_command *externals; // (n_externals)
    int n_externals;
    bool verifier_network; // externals may open sockets
    const char *reward;    // JSON, of records without their own, or NULL
    const char *golds;     // file, or NULL
    const char *label;     // path of a record's own verdict, or NULL
    int n_workers;         // 1 to SCORE_MAX_WORKERS
    enum score_on_error on_error;
    int64_t max_errors; // -1: any number
    int shard, n_shards;
    int64_t only; // this index alone; -1: all
    bool resume, explain;
    const char *summary;   // "table", "md", "json", "off"
    const char *histogram; // SVG file, or NULL
    const char *progress;  // "auto", "never", "json"
    const char *version;   // of this build: a journal of another one is refused
    // Token ids as text, for records that hold no text; NULL: not known. Called from one thread.
    void (*decode)(void *self, const int32_t *ids, size_t n, struct buffer *out);
    void *decode_self;
    const char *tokenizer;   // what --tokenizer names, for the identity of a run; or NULL
    const char *program;     // that workers are started from; NULL: this executable
    char *const *child_argv; // what workers are called with (NULL-terminated), behind the program
};

// Fills in defaults; everything else is 0.
struct score_options score_options_defaults(void);

// Scores. Returns an exit status; err->text is a sentence, or empty where all is well.
enum score_status score_run(const struct score_options *options, struct error *err);

// Merges the outputs of all shards, in any order, into options->output. Refuses gaps and overlaps.
enum score_status score_merge(const struct score_options *options, struct error *err);

// The body of a worker: the options that the parent has. Returns the exit status.
int score_worker_main(const struct score_options *options);

#endif
