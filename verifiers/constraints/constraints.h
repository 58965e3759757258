// Instruction constraints: ids such as "keywords:existence" with arguments, checked on a text.
//
// The ids and meanings are those of IFEval (arXiv 2311.07911), IFBench and IF-RLVR (arXiv
// 2507.02833): the verdicts are those of the published checkers, and README.md lists where they are
// not. A list of instructions is parsed once (constraint_list_parse), which finds every unknown id
// and bad argument, and then checked on any number of texts, from any thread.
//
// To add a constraint:
//   1. source: a function `static bool follows_x(struct constraint_text *, const struct
//      constraint_args *)` in the file of its family (ifeval_words.c, ...), with text.h's help;
//   2. test: cases that follow and cases that do not in tests/verifiers/constraints/;
//   3. table row: in the `const struct constraint_table` at the end of that file (a new file's
//   table
//      goes into the list in registry.c);
//   4. document: a row in verifiers/README.md.
#ifndef VERIFIERS_CONSTRAINTS_CONSTRAINTS_H
#define VERIFIERS_CONSTRAINTS_CONSTRAINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/error.h"
#include "protocol/base/json.h"
#include "protocol/base/slice.h"
#include "verifiers/constraints/text.h"

enum {
    CONSTRAINT_MAX_PARAMS = 8,
    CONSTRAINT_MAX_INSTRUCTIONS = 64, // in one list
    CONSTRAINT_MAX_ITEMS = 256,       // of one list of strings
    CONSTRAINT_MAX_ARG_BYTES = 64 << 10,
};

enum constraint_type {
    CONSTRAINT_INTEGER,  // .integer, within [min, max]; 3.0 counts as 3
    CONSTRAINT_REAL,     // .real, within [min, max]
    CONSTRAINT_STRING,   // .string, of min to max code points
    CONSTRAINT_STRINGS,  // .items and .n_items (1 to CONSTRAINT_MAX_ITEMS), each of min to max
    CONSTRAINT_RELATION, // .at_least: "at least" (true) or "less than" (false)
};

// One argument that a constraint takes.
struct constraint_param {
    const char *name; // its key in kwargs; NULL ends the list
    enum constraint_type type;
    int64_t min, max;           // see `type`; max 0: no upper bound
    const char *const *choices; // a string must be one of these (NULL-terminated); NULL: any
    bool optional;              // may be absent: then .given is false
    bool or_list;               // a string may come as a list of them: the first counts
};

struct constraint_value {
    bool given;
    bool at_least;
    int64_t integer;
    double real;
    struct slice string;
    const struct slice *items;
    int n_items;
    void *prepared; // whatever the row's `prepare` made for its checks, in the list's arena
};

// The arguments of one instruction, values[i] for the row's params[i].
struct constraint_args {
    struct constraint_value values[CONSTRAINT_MAX_PARAMS];
};

struct constraint {
    const char *id;
    // Whether the text follows the instruction. Deterministic, linear or nearly so; what is not is
    // charged with text_spend. When text->over is set the answer does not count. A loose check asks
    // up to eight times, about a response and parts of it: an answer of no should say what it means
    // for the others (text_no_part, text_blame), and what was counted may be kept (text->kept).
    bool (*follows)(struct constraint_text *text, const struct constraint_args *args);
    struct constraint_param params[CONSTRAINT_MAX_PARAMS + 1];
    // Optional. Checks what params cannot say (ERROR_INPUT with a sentence), and may store what
    // every check needs into a value's `prepared`, allocated in `arena`.
    int (*prepare)(struct constraint_args *args, struct arena *arena, struct error *err);
};

struct constraint_table {
    const struct constraint *rows;
    int n_rows;
};

// In a family's file: const struct constraint_table ifeval_words_table = CONSTRAINT_TABLE(ROWS);
#define CONSTRAINT_TABLE(rows)                                                                     \
    { (rows), (int)(sizeof(rows) / sizeof *(rows)) }

// The row of an id, or NULL.
const struct constraint *constraint_find(struct slice id);
// All rows, for listings: i from 0; NULL behind the last.
const struct constraint *constraint_at(int i);

// Instructions with their arguments; immutable.
struct constraint_list;

// `ids` is a list of strings and `kwargs` a list of as many objects (or null): each has the
// arguments of its instruction; members that are null count as absent; `kwargs` may be NULL when no
// instruction has arguments. Returns NULL with an ERROR_INPUT sentence on an unknown id, a missing,
// unknown or bad argument.
struct constraint_list *constraint_list_parse(const struct json *ids, const struct json *kwargs,
                                              struct error *err);
void constraint_list_free(struct constraint_list **list);
int constraint_list_n(const struct constraint_list *list);
const char *constraint_list_id(const struct constraint_list *list, int i);

enum constraint_verdict { CONSTRAINT_BROKEN, CONSTRAINT_FOLLOWED, CONSTRAINT_LIMIT };

// Checks a response; verdicts: (constraint_list_n). A blank response follows nothing. `loose`: an
// instruction is followed when any of eight variants follows it: the response without its first
// line, its last line, both or neither, each with and without every '*'. CONSTRAINT_LIMIT: the
// budget of bytes or steps was used up before a verdict.
void constraint_list_check(const struct constraint_list *list, struct slice response, bool loose,
                           enum constraint_verdict *verdicts);

// Checks one instruction on a text as it is: no blank test, no variants.
bool constraint_list_follows(const struct constraint_list *list, int i,
                             struct constraint_text *text);

#endif
