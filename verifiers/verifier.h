// What a built-in verifier is, for the files of this folder.
//
// To add one: a file with a `const struct verifier NAME_verifier`, a line in reward_spec.c's table,
// a test, and its row in README.md.
#ifndef VERIFIERS_VERIFIER_H
#define VERIFIERS_VERIFIER_H

#include <stdatomic.h>

#include "protocol/base/json.h"
#include "protocol/base/memory.h"
#include "verifiers/verify.h"

// What a check says. The value counts only where the status is REWARD_OK.
struct verifier_outcome {
    double value;
    enum reward_status status;
    char detail[256];                   // a sentence on a status that is not ok
    char parts[VERIFIER_MAX_PARTS + 1]; // as in struct reward_term
    // For summaries and --explain, where the verifier tells: constants, or NULL.
    const char *found; // how the answer was found: "box", ...
    const char *rule;  // what decided
    struct slice span; // of the completion: its answer
    int64_t steps;     // work that it took
};

struct verifier {
    const char *name;
    bool no_gate;            // a gate makes no sense
    const char *const *keys; // of its terms besides the common ones; NULL-terminated
    // Checks a term and prepares what every check shares. Returns NULL with an error. `arena` is
    // for scratch memory and gone afterwards.
    void *(*parse)(const struct json *term, struct arena *arena, struct error *err);
    // One check, within a budget of its own. Called from many threads; `state` is not changed.
    void (*grade)(const void *state, const struct verifier_sample *sample,
                  struct verifier_outcome *out);
    void (*free)(void *state);
};

extern const struct verifier choice_verifier, exact_verifier, ifeval_verifier, language_verifier,
    length_verifier, math_verifier, regex_format_verifier, repetition_verifier, tags_verifier;

// Whether the programs of all commands are there and their names differ; ERROR_USAGE.
int verifier_commands_check(const struct verifier_command *commands, int n, struct error *err);

// A built-in verifier of that name, or NULL.
const struct verifier *verifier_find(struct slice name);

struct reward_spec_term {
    const struct verifier *builtin; // NULL: an external one
    void *state;                    // of the built-in verifier
    char *name, *verifier;          // owned
    struct slice json;              // the term as written, within the spec's text
    double weight;
    bool gate;
};

struct reward_spec {
    atomic_int n_owners;
    char *text; // owned copy of the spec's JSON
    size_t text_len;
    int n_terms, n_external;
    struct reward_spec_term terms[REWARD_MAX_TERMS]; // (n_terms)
    bool has_clamp, pm1;
    double low, high;
};

// A reward with the spec's names and weights, each term with `outcomes[i]`, composed.
struct reward *reward_compose(const struct reward_spec *spec,
                              const struct verifier_outcome *outcomes); // (n_terms)

// Grades the built-in terms; external ones come out `unsupported`. outcomes: (n_terms).
void reward_grade_terms(const struct reward_spec *spec, const struct verifier_sample *sample,
                        struct verifier_outcome *outcomes);

// The string member `key` of a term, for parse functions: a sentence when it is missing or no
// string. The text is in `arena`.
int verifier_string(const struct json *term, const char *key, struct arena *arena,
                    struct slice *out, struct error *err);

// The optional member `key`, one of the NULL-terminated `words`, as its index; absent: 0, the
// first.
int verifier_word(const struct json *term, const char *key, const char *const *words,
                  struct arena *arena, int *out, struct error *err);

// What stands behind the last "</think>"; nothing where a thought is opened and not closed.
struct slice verifier_behind_thinking(struct slice completion);

#endif
