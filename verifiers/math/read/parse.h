// The parser of a span: its state, the grammar of expressions, and how a kind of answer joins it.
//
// Recursive descent. Every function returns NULL when what it should read is not there; the span
// is then not understood as a whole. Depth, nodes and tokens are bounded, and `over` is set when
// one of them is used up.
//
// The files of this folder read numbers, functions, powers, products and sums. What else an answer
// may be (a list, a relation, an interval, a matrix, a quantity, words) is read by the kinds of
// kinds/, which the parser knows by their `struct reader` alone.
#ifndef VERIFIERS_MATH_READ_PARSE_H
#define VERIFIERS_MATH_READ_PARSE_H

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/base/budget.h"
#include "verifiers/math/base/verdict.h"
#include "verifiers/math/read/token.h"

struct parser;

// How a kind of answer is read. A member is NULL where nothing of the kind stands there.
struct reader {
    // The kind joins others by signs that bind less than those of a sum ("1, 2", "x < 3"): reads
    // one of it, its parts by parse_level(p, below). The order in the table is that of binding,
    // the loosest first.
    struct math_node *(*level)(struct parser *p, int below);
    // A value of the kind begins at the parser: `starts` says so, `atom` reads it.
    bool (*starts)(const struct parser *p);
    struct math_node *(*atom)(struct parser *p);
    // What the brackets hold is several: `inside` is a list, they are `open` and `close`.
    struct math_node *(*brackets)(struct parser *p, char open, char close,
                                  struct math_node *inside);
    // Something of the kind stands behind a value ("5" and " cm"): `follows` says so, `behind`
    // reads both as one and returns `value` itself where nothing follows.
    bool (*follows)(const struct parser *p, const struct math_node *value);
    struct math_node *(*behind)(struct parser *p, struct math_node *value);
    // The whole span is one of the kind, beside what else it was read as (`formula`, or NULL).
    struct math_node *(*whole)(struct parser *p, struct math_node *formula);
};

struct parser {
    const struct reader *const *readers; // (n_readers)
    int n_readers;
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
    bool single;     // an argument without braces: a space ends its digits
    bool prose, over;
    bool split_word; // a word was read as a product of letters
    size_t furthest; // offset of the token at which reading stopped
};

// parse.c
struct math_node *parse_node(struct parser *p, enum math_kind kind, uint8_t op, int n,
                             struct math_node *const *kids);
struct math_node *parse_level(struct parser *p, int level); // of the readers from `level` on
struct math_node *parse_any(struct parser *p);              // of every level: a list, ...
struct math_node *parse_item(struct parser *p); // of every level but the loosest: no list
struct math_node *parse_sum(struct parser *p);
struct math_node *parse_term(struct parser *p);
int parse_modulus(const struct parser *p); // "(mod 7)": how many tokens up to the number, or 0
struct math_node *parse_unary(struct parser *p);    // a factor with signs, powers, postfixes
struct math_node *parse_argument(struct parser *p); // what a function without brackets takes
struct math_node *parse_quotient(struct parser *p, struct math_node *top,
                                 struct math_node *bottom); // NULL where one of them is
bool parse_enter(struct parser *p);                         // one level deeper; false: too deep
void parse_leave(struct parser *p);

// A growing list of nodes.
struct parse_nodes {
    struct math_node **list;
    int n, capacity;
};
void parse_add(struct parser *p, struct parse_nodes *nodes, struct math_node *node);

// parse_separator.c: commas, semicolons, "and", "or". `words` collects TREE_AND and TREE_OR.
bool parse_separator(struct parser *p, uint8_t *words); // takes one of them
bool parse_separator_is_next(const struct parser *p);

// parse_atom.c
struct math_node *parse_power(struct parser *p); // an atom with what is behind it
bool parse_starts_atom(const struct parser *p);
struct math_node *parse_group(struct parser *p); // {...} or one token, of a command
struct math_node *parse_single(struct parser *p, bool all_digits); // one digit or all, one letter

struct math_node *parse_kind(struct parser *p); // the atom of a kind, or NULL
// A symbol of that name as it is.
struct math_node *parse_named(struct parser *p, struct slice name, uint8_t op);

// parse_bracket.c
struct math_node *parse_bracket(struct parser *p); // ( [ { | and their kin
// What stands behind an opening bracket, with bars and sets of its own.
struct math_node *parse_inside(struct parser *p, bool set);

// parse_symbol.c
struct math_node *parse_symbol(struct parser *p, struct slice name, uint8_t op);

// parse_group.c: braces, and what stands in fonts.
int parse_group_end(const struct parser *p, int at); // index of the } of the { at `at`, or -1
bool parse_skip_group(struct parser *p, struct slice *inside); // {...} as it is written
struct slice parse_plain(struct parser *p, struct slice raw);  // words in lower case, single spaces
struct math_node *parse_font(struct parser *p); // \text{...}, \mathrm{...} where a value stands
int parse_skip_fonts(const struct parser *p, int at); // past fonts, boxes and braces

// parse_number.c
struct math_node *parse_number(struct parser *p);
struct math_node *parse_unmixed(struct parser *p); // without a fraction behind it
// A5_{16}, or NULL where it is not that.
struct math_node *parse_letters_with_base(struct parser *p);
bool parse_starts_number(const struct parser *p);

// parse_command.c
struct math_node *parse_command(struct parser *p);  // TOKEN_COMMAND
struct math_node *parse_function(struct parser *p); // TOKEN_FUNCTION
struct math_node *parse_call(struct parser *p, enum math_function function);

// parse_span.c: reads a whole span, as math_parse of ../math.h says.
enum math_read parse_span(struct slice text, bool prose, const struct reader *const *readers,
                          int n_readers, struct arena *arena, struct math_budget *budget,
                          struct math_node **out, size_t *stopped);

// Is the token that word, in any case?
static inline bool parse_is_word(const struct token *t, const char *word) {
    return t->kind == TOKEN_WORD && t->text.len == strlen(word) &&
           ascii_same(t->text.ptr, word, t->text.len);
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
