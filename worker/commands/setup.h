// From flags to an open engine: what generate, serve and bench have in common.
#ifndef WORKER_COMMANDS_SETUP_H
#define WORKER_COMMANDS_SETUP_H

#include "worker/commands/flags.h"
#include "worker/engine/engine.h"
#include "worker/load/chat.h"
#include "worker/load/checkpoint.h"
#include "worker/log.h"
#include "worker/session/request.h"
#include "worker/session/verify.h"

struct engine_flags {
    const char *model, *device, *math, *gemm, *weights, *kv_type;
    const char *log_level, *log_format;
    struct flag_list verifiers; // NAME=COMMAND
    int n_threads, max_rows, max_context, prefill_chunk;
    uint64_t kv_bytes, suspend_bytes, draft_bytes;
    const char *packed;     // file of packed weights, or NULL
    const char *draft;      // as sampling_parse_draft takes it
    uint64_t staging_bytes; // of weight updates; 0: as much as the weights, if any is needed
    bool needs_staging, master, second_copy;
    bool no_verify, verifier_network;
};

enum { SETUP_MAX_FLAGS = 48 };

struct engine_flags engine_flags_defaults(void);
// Appends the flags to a table of `*n` entries (room for SETUP_MAX_FLAGS).
void engine_flags_add(struct engine_flags *f, struct flag *table, int *n);

// An open engine with everything that requests are checked against.
struct setup {
    struct log log;
    struct checkpoint *checkpoint; // NULL for a synthetic model
    struct tokenizer *tokenizer;   // NULL: the checkpoint has none
    struct chat *chat;
    struct names *names;             // the checkpoint's, or own for a synthetic model
    enum dtype *dtypes;              // resident types, likewise
    const enum dtype *update_dtypes; // what updates come in: the master's types, else the resident
    int32_t *end_ids;                // (n)
    struct verifier_command *externals;
    int n_externals;
    struct verify verify;
    struct engine engine;
    struct request_context requests;
    uint64_t *digests;      // (names->n) parts of the digest, where they were asked for
    uint64_t staging_bytes; // as planned
    uint64_t fingerprint;   // xxh3-64 of config.json and tokenizer.json
    struct device_facts device;
    uint64_t memory_bytes[N_MEMORY_USES]; // as planned
    double load_bytes_per_s;              // of the weights
};

// Starts the verifiers' processes, then opens checkpoint, tokenizer, backend and engine, and logs
// the memory plan. `want_digests`: hash the weights while loading. On failure everything is closed.
int setup_open(struct setup *s, const struct engine_flags *f, bool want_digests, struct error *err);

// The same for `bench --synthetic NAME`: random weights, no tokenizer, no verifiers.
int setup_open_synthetic(struct setup *s, const struct engine_flags *f, const char *name,
                         struct error *err);

void setup_close(struct setup *s);

// A command: its flags, and what runs when they are good. `run` may set *status, the exit status
// when it succeeds.
struct command {
    const char *name, *usage;
    const struct flag *table; // (n_flags)
    int n_flags;
    int (*run)(void *flags, int *status, struct error *err);
    void *flags; // handed to `run`
};

// Parses the flags, prints --help or runs, prints an error's sentence, returns the exit status.
int command_run(const struct command *c, int argc, char **argv);

// The exit status of an error (README.md, Commands).
int exit_status(const struct error *err);

#endif
