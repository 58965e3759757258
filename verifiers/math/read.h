// The reader's position in a run of tokens, shared by the files that read parts of a number.
#ifndef VERIFIERS_MATH_READ_H
#define VERIFIERS_MATH_READ_H

#include "verifiers/math/number.h"

struct read {
    struct lex lex;
    int at;     // index of the next token
    int depth;  // of braces and parentheses around it
    bool limit; // a budget was used up
};

static inline const struct lex_token *read_peek(const struct read *r) {
    return &r->lex.tokens[r->at];
}

static inline bool read_is(const struct read *r, char c) {
    return read_peek(r)->kind == LEX_CHAR && read_peek(r)->c == c;
}

static inline bool read_is_command(const struct read *r, const char *name) {
    return read_peek(r)->kind == LEX_COMMAND && slice_is(read_peek(r)->text, name);
}

static inline bool read_take(struct read *r, char c) {
    if (!read_is(r, c)) return false;
    r->at++;
    return true;
}

static inline bool read_take_command(struct read *r, const char *name) {
    if (!read_is_command(r, name)) return false;
    r->at++;
    return true;
}

static inline void read_spaces(struct read *r) {
    while (read_peek(r)->kind == LEX_SPACE || read_peek(r)->kind == LEX_THIN) r->at++;
}

// What may stand behind the number: percent, degrees, a unit with its power and a "per". Nothing
// that is not known is taken. Returns false only when `number` has a unit already and another
// follows.
bool unit_read(struct read *r, struct number *number);

#endif
