// Rewards: what the rest of the tree sees of the verifiers.
//
// A reward spec (JSON, as a trainer or a prompts file gives it) is parsed once per group into a
// `struct reward_spec`; each completion is then graded against it, in this process
// (reward_grade) or in supervised child processes (verifier_pool_*), into a `struct reward`.
//
//   reward := [term, ...] | {"terms": [term, ...], "clamp": [lo, hi], "scale": "01" | "pm1"}
//   term   := {"verifier": name, "weight": 1, "gate": false, "name": name, ...the verifier's keys}
//
// value = scale(clamp(sum of weight * value)); a gate term of value 0 makes the sum 0; pm1 is
// 2v - 1. The status is the first in the order of `enum reward_status` that any term has. A term
// that is `bad_spec, unsupported, crash` or `timeout` has value NaN, and so has the reward;
// `unknown, limit` and `no_answer` have value 0. verifiers/README.md describes each verifier.
#ifndef VERIFIERS_VERIFY_H
#define VERIFIERS_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

enum {
    REWARD_MAX_TERMS = 32,
    REWARD_MAX_SPEC_BYTES = 1 << 20,
    VERIFIER_DEADLINE_MS = 10000, // the default of verifier_pool_options.deadline_ms
    VERIFIER_MAX_PARTS = 64,      // instructions of one `ifeval` term
};

// Worst first: a reward has the first of these that one of its terms has.
enum reward_status {
    REWARD_BAD_SPEC,    // the spec is wrong; refused before anything is generated
    REWARD_UNSUPPORTED, // the verifier cannot grade this sample (no token count, not running)
    REWARD_CRASH,       // the verifier's process died or answered junk
    REWARD_TIMEOUT,     // no answer within the deadline
    REWARD_UNKNOWN,     // the grader could not decide
    REWARD_LIMIT,       // a budget inside the grader was used up
    REWARD_NO_ANSWER,   // the completion holds nothing to grade
    REWARD_OK,
};

const char *reward_status_name(enum reward_status status);               // "bad_spec", ..., "ok"
bool reward_status_parse(struct slice name, enum reward_status *status); // false: no such status
bool reward_status_has_value(enum reward_status status);                 // UNKNOWN and after

// One --verifier NAME=COMMAND.
struct verifier_command {
    char *name;  // letters, digits, '_', '-', '.'; not the name of a built-in verifier
    char **argv; // (n_args + 1) words of the command, NULL behind the last
    int n_args;
};

// Parses "NAME=COMMAND". The command is split into words as a shell does it, with '...', "..." and
// backslash, and without any expansion; the program is looked for on PATH when the pool opens.
int verifier_command_parse(const char *text, struct verifier_command *out, struct error *err);
void verifier_command_clear(struct verifier_command *command); // frees what parse made

// A checked reward spec with its golds parsed. Immutable; the reference count is atomic.
struct reward_spec;

// Parses and checks `json`, which is copied. `externals` are the names that --verifier made known;
// any other name that is not built in is refused. An ERROR_INPUT error is the sentence of
// `bad_spec`. Returns NULL on failure. Freed with reward_spec_free.
struct reward_spec *reward_spec_parse(struct slice json, const struct verifier_command *externals,
                                      int n_externals, struct error *err);
struct reward_spec *reward_spec_hold(struct reward_spec *spec); // one more owner; returns `spec`
void reward_spec_free(struct reward_spec **spec);               // drops an owner
struct slice reward_spec_json(const struct reward_spec *spec);  // as given, valid as long as `spec`

// What is graded. Slices are borrowed for the call.
struct verifier_sample {
    struct slice completion;   // UTF-8, the sample's `text`
    struct slice prompt;       // UTF-8, passed to external verifiers; ptr NULL: not known
    int64_t n_tokens;          // of the completion; -1: not known
    const char *finish_reason; // "stop", "length", ...; NULL: not known
};

struct reward_term {
    const char *name;     // the term's name, by default the verifier's
    const char *verifier; // "math", ...
    double value;         // NaN exactly when the status has no value
    double weight;
    enum reward_status status;
    const char *detail; // a sentence on a status that is not ok, or ""
    const char *parts;  // of `ifeval`, a character an instruction: '1' followed, '0' not, '?' not
                        // decided within its budget; else ""
};

// One allocation that holds its terms and their texts; it does not refer to the spec.
struct reward {
    double value; // NaN: no value (JSON null)
    enum reward_status status;
    int n_terms;
    struct reward_term *terms; // (n_terms)
};

void reward_free(struct reward **reward);

// Grades here and now, within the budgets of each verifier. External terms come out `unsupported`.
// Thread-safe: nothing is shared but the immutable spec.
struct reward *reward_grade(const struct reward_spec *spec, const struct verifier_sample *sample);

// A reward that nothing was graded for: every term has `status` (one without a value) and `detail`.
struct reward *reward_failed(const struct reward_spec *spec, enum reward_status status,
                             const char *detail);

// Appends {"value":..,"status":"..","terms":[{"name","verifier","value","status","weight"},..]};
// a term that has a detail carries it as "detail", one that has parts as "instructions", a list of
// true, false and null.
void reward_to_json(const struct reward *reward, struct buffer *out);

// ---- Child processes -------------------------------------------------------------------------
//
// Built-in verifiers run in `n_children` copies of this program, every external command in as many
// processes of its own. All of it belongs to one thread: open, submit, poll and close are called
// from the thread that opened the pool, and children die with it. No call blocks longer than asked.
// Children inherit no descriptor but their pipes and stderr.

struct verifier_pool;

struct verifier_pool_options {
    const char *program; // started as `program verify-child ...`; NULL: this executable
    int n_children;      // 1 to 64
    int deadline_ms;     // of one check, from when its process could begin with it; 0: the default
    const struct verifier_command *externals; // (n_externals), copied
    int n_externals;
    bool network; // externals may open sockets
};

// Starts all processes. Fails with ERROR_USAGE when a command's program does not exist.
struct verifier_pool *verifier_pool_open(const struct verifier_pool_options *options,
                                         struct error *err);

// Queues a sample; texts are copied and the spec is held. `ticket` comes back with the result.
void verifier_pool_submit(struct verifier_pool *pool, uint64_t ticket, struct reward_spec *spec,
                          const struct verifier_sample *sample);

struct verifier_result {
    uint64_t ticket;
    struct reward *reward; // now the caller's; freed with reward_free
};

// Moves bytes to and from the children, enforces deadlines, restarts what died, and stores up to
// `max` finished samples. Waits up to `timeout_ms` (0: not at all) for the first of them, and
// returns at once when nothing is pending. Returns how many were stored.
int verifier_pool_poll(struct verifier_pool *pool, int timeout_ms, struct verifier_result *out,
                       int max);

int verifier_pool_n_pending(const struct verifier_pool *pool); // submitted and not yet returned

// An epoll descriptor that is readable when a poll has something to do, for threads that wait on
// other descriptors too. Deadlines and restarts do not make it readable: poll every 100 ms at
// least while something is pending.
int verifier_pool_fd(const struct verifier_pool *pool);

void verifier_pool_free(struct verifier_pool **pool); // kills all processes; drops what is pending

// The body of the hidden subcommand `verify-child`: argv[0] is the word behind it. Returns the exit
// status. Reads requests from stdin and writes replies to stdout until end of file.
int verifier_child_main(int argc, char **argv);

#endif
