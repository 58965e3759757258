// Inside the parser: its state, and the functions that its files call of one another.
//
// Recursive descent. Every function returns NULL when what it should read is not there; the span
// is then not understood as a whole. Depth, nodes and tokens are bounded, and `over` is set when
// one of them is used up.
#ifndef VERIFIERS_MATH_PARSE_H
#define VERIFIERS_MATH_PARSE_H

#include <strings.h>

#include "verifiers/math/token.h"

// Values of `op` that only the parser and the comparer need.
enum {
    TREE_JUXTAPOSED = 1, // MATH_MUL without a sign between the factors; MATH_POW of a denominator
    TREE_MINUS = 2,      // MATH_MUL with one child: minus it
    TREE_FROM_TEXT = 3,  // MATH_SYMBOL that was upright words
    TREE_VARIABLE = 4,   // MATH_SYMBOL of \variable{}
    TREE_AND = 1,        // MATH_LIST with an "and" in it
    TREE_OR = 2,         // MATH_LIST with an "or" in it
};

struct parser {
    struct slice text;
    const struct token *t; // (n + 1), the last is TOKEN_END
    int at;
    size_t inside; // bytes of token `at` already used: letters of a word, digits after \frac
    struct arena *arena;
    struct math_budget *budget;
    int depth, n_nodes;
    int brackets;    // within ( ) [ ] { } or arguments: a comma separates, it never groups digits
    int bars;        // open |
    int integrals;   // "dx" ends an integrand
    bool set;        // within \{ \}: | begins the condition
    bool eager_bars; // of two readings of |x|y|z|, the one that opens early
    bool prose, over;
    bool split_word; // a word was read as a product of letters
    size_t furthest; // offset of the token at which reading stopped
};

// tree.c
void tree_seal(struct math_node *node); // after its fields are set: hash, free
struct math_node *tree_list(enum math_kind kind, struct math_node *const *items, int n,
                            struct arena *arena);
struct math_node *tree_number(long value, struct arena *arena);

// parse.c
struct math_node *parse_node(struct parser *p, enum math_kind kind, uint8_t op, int n,
                             struct math_node *const *kids);
struct math_node *parse_list(struct parser *p);     // items with separators, or one relation
struct math_node *parse_relation(struct parser *p); // one relation or set expression
struct math_node *parse_sum(struct parser *p);
struct math_node *parse_term(struct parser *p);
struct math_node *parse_unary(struct parser *p);    // a factor with signs, powers, postfixes
struct math_node *parse_argument(struct parser *p); // what a function without brackets takes
bool parse_enter(struct parser *p);                 // one level deeper; false when too deep
void parse_leave(struct parser *p);
bool parse_separator(struct parser *p, uint8_t *words); // takes one of , ; and or
bool parse_separator_is_next(struct parser *p);

// parse_atom.c
struct math_node *parse_power(struct parser *p); // an atom with what is behind it
bool parse_starts_atom(struct parser *p);
struct math_node *parse_group(struct parser *p); // {...} or one token, of a command
struct math_node *parse_single(struct parser *p, bool all_digits); // one digit or all, one letter
bool parse_skip_group(struct parser *p, struct slice *inside);     // {...} as it is written
struct math_node *parse_symbol(struct parser *p, struct slice name, uint8_t op);
int parse_group_end(const struct parser *p, int at); // index of the } of the { at `at`, or -1

// parse_bracket.c
struct math_node *parse_bracket(struct parser *p); // ( [ { | and their kin

// parse_number.c
struct math_node *parse_number(struct parser *p);
bool parse_starts_number(const struct parser *p);

// parse_command.c
struct math_node *parse_command(struct parser *p);  // TOKEN_COMMAND
struct math_node *parse_function(struct parser *p); // TOKEN_FUNCTION
struct math_node *parse_call(struct parser *p, enum math_function function);

// parse_unit.c: a unit behind a value, if there is one; the value itself otherwise.
struct math_node *parse_unit(struct parser *p, struct math_node *value);
bool parse_unit_is_next(const struct parser *p, const struct math_node *value);
struct math_node *parse_money(struct parser *p); // a currency sign and the amount

// parse_text.c
struct slice parse_plain(struct parser *p, struct slice raw); // words in lower case, single spaces
struct math_node *parse_font(struct parser *p); // \text{...}, \mathrm{...} where a value stands
// The whole span again: a choice, a time, words, with `formula` (or NULL), as which it was read
// before, below it. `formula` itself where the span is none of these.
struct math_node *parse_words(struct parser *p, struct math_node *formula);

// Is the token that word, in any case?
static inline bool parse_is_word(const struct token *t, const char *word) {
    return t->kind == TOKEN_WORD && t->text.len == strlen(word) &&
           strncasecmp(t->text.ptr, word, t->text.len) == 0;
}

static inline const struct token *parse_peek(const struct parser *p) {
    return &p->t[p->at];
}

static inline bool parse_is(const struct parser *p, char c) {
    return p->inside == 0 && p->t[p->at].kind == TOKEN_CHAR && p->t[p->at].c == c;
}

static inline void parse_next(struct parser *p) {
    if (p->t[p->at].kind != TOKEN_END) p->at++;
    p->inside = 0;
    if (p->t[p->at].at > p->furthest) p->furthest = p->t[p->at].at;
}

static inline bool parse_take(struct parser *p, char c) {
    if (!parse_is(p, c)) return false;
    parse_next(p);
    return true;
}

static inline bool parse_is_command(const struct parser *p, const char *name) {
    return p->t[p->at].kind == TOKEN_COMMAND && slice_is(p->t[p->at].text, name);
}

static inline bool parse_take_command(struct parser *p, const char *name) {
    if (!parse_is_command(p, name)) return false;
    parse_next(p);
    return true;
}

#endif
