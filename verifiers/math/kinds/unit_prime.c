// Primes behind a number: feet and inches, or minutes and seconds of arc.
#include "verifiers/math/kinds/unit_prime.h"

#include "verifiers/math/kinds/unit.h"

static const char FEET[] = "'", INCHES[] = "''";

// How many marks stand behind the number at the parser, 1 or 2; `*n_tokens`: as how many tokens.
static int marks_at(const struct parser *p, int *n_tokens) {
    const struct token *t = parse_peek(p);
    if (p->inside || t->kind != TOKEN_CHAR || t->space || (t->c != '\'' && t->c != '"')) return 0;
    const bool two = t->c == '\'' && t[1].kind == TOKEN_CHAR && t[1].c == '\'';
    *n_tokens = two ? 2 : 1;
    const struct token *next = &t[*n_tokens];
    if (next->kind == TOKEN_CHAR && (next->c == '\'' || next->c == '"')) return 0;
    if (next->kind == TOKEN_WORD && !next->space) return 0; // 12'dir
    return two || t->c == '"' ? 2 : 1;
}

bool unit_prime_follows(const struct parser *p, const struct math_node *value) {
    int n_tokens;
    return value->kind == MATH_NUMBER && !value->bracketed && marks_at(p, &n_tokens) > 0;
}

struct math_node *unit_prime(struct parser *p, struct math_node *value) {
    int n_tokens = 0;
    const int n_marks = marks_at(p, &n_tokens);
    struct math_node *node = parse_node(p, MATH_QUANTITY, 0, 1, &value);
    struct math_unit *unit = arena_take(p->arena, 1, sizeof *unit);
    if (!node || !unit_find(slice_of(n_marks == 1 ? "ft" : "in"), unit)) return NULL;
    while (n_tokens-- > 0) parse_next(p);
    unit->name = n_marks == 1 ? FEET : INCHES;
    node->unit = unit;
    tree_seal(node);
    return node;
}

int unit_prime_marks(const struct math_node *node) {
    if (node->kind != MATH_QUANTITY || !node->unit->name) return 0;
    return strcmp(node->unit->name, FEET) == 0 ? 1 : strcmp(node->unit->name, INCHES) == 0 ? 2 : 0;
}

const struct math_node *unit_prime_degrees(struct comparison *c, const struct math_node *node) {
    const long parts = unit_prime_marks(node) == 1 ? 60 : 3600;
    return kind_quotient(c, node->kids[0], tree_number(parts, c->arena));
}
