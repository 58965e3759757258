// What stands between the items of a list.
#include "verifiers/math/read/parse.h"

// How many tokens the separator at the parser takes; 0: there is none.
static int separator_tokens(const struct parser *p) {
    const struct token *t = parse_peek(p);
    if (p->inside) return 0;
    if (t->kind == TOKEN_CHAR && (t->c == ',' || t->c == ';')) return 1;
    if (t->kind == TOKEN_CHAR && t->c == '&' && t->op) return 1;
    if (parse_is_word(t, "and") || parse_is_word(t, "or")) return 1;
    if (t->kind != TOKEN_FONT || t[1].kind != TOKEN_CHAR || t[1].c != '{') return 0;
    bool any = false; // \text{ and }, \text{, or }
    for (int i = 2; p->at + i < p->at + 6; i++) {
        if (t[i].kind == TOKEN_CHAR && t[i].c == '}') return any ? i + 1 : 0;
        if (parse_is_word(&t[i], "and") || parse_is_word(&t[i], "or"))
            any = true;
        else if (!(t[i].kind == TOKEN_CHAR && (t[i].c == ',' || t[i].c == ';')))
            return 0;
        else
            any = true;
        if (t[i].kind == TOKEN_END) return 0;
    }
    return 0;
}

bool parse_separator_is_next(const struct parser *p) {
    return separator_tokens(p) > 0;
}

bool parse_separator(struct parser *p, uint8_t *words) {
    const int n = separator_tokens(p);
    for (int i = 0; i < n; i++) {
        const struct token *t = parse_peek(p);
        if (parse_is_word(t, "and") || (t->c == '&' && t->op == 1)) *words |= TREE_AND;
        if (parse_is_word(t, "or") || (t->c == '&' && t->op == 2)) *words |= TREE_OR;
        parse_next(p);
    }
    return n > 0;
}
