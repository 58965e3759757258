// Tokens as they are appended: what groups around a single one, and digits, come to.
#include "verifiers/math/base/budget.h"
#include "verifiers/math/read/token_lexer.h"

struct token *lexer_push(struct lexer *l, enum token_kind kind, struct slice text, size_t at) {
    if (l->out->n + 2 > l->capacity) {
        const int capacity = l->capacity * 2 + 32;
        struct token *list = arena_take(l->arena, (size_t)capacity, sizeof *list);
        if (l->out->n) memcpy(list, l->out->list, (size_t)l->out->n * sizeof *list);
        l->out->list = list;
        l->capacity = capacity;
    }
    if (l->out->n >= MATH_MAX_TOKENS) l->over = true;
    struct token *t = &l->out->list[l->over ? l->out->n : l->out->n++];
    *t = (struct token){.kind = kind, .space = l->space, .thin = l->thin, .text = text, .at = at};
    l->space = l->thin = false;
    return t;
}

struct token *lexer_push_char(struct lexer *l, char c, size_t at) {
    struct token *t = lexer_push(l, TOKEN_CHAR, (struct slice){l->text.ptr + at, 1}, at);
    t->c = c;
    return t;
}

static bool is_open_brace(const struct token *t) {
    return t->kind == TOKEN_CHAR && t->c == '{' && t->op == 0;
}

// What a font changes nothing about: \text{-}, \mathrel{=}, \text{°}.
static bool is_sign(const struct token *t) {
    if (t->kind == TOKEN_CHAR) return strchr("+-*/:.,;%", t->c) != NULL;
    return t->kind == TOKEN_RELATION || (t->kind == TOKEN_COMMAND && slice_is(t->text, "degree"));
}

// A closing brace: {} behind a value is nothing, and a sign alone in a font is the sign.
void lexer_close_brace(struct lexer *l, size_t at) {
    struct token *list = l->out->list;
    const int n = l->out->n;
    if (n >= 2 && is_open_brace(&list[n - 1])) {
        const struct token *before = &list[n - 2];
        const bool needed = before->kind == TOKEN_FONT || before->kind == TOKEN_COMMAND ||
                            before->kind == TOKEN_FUNCTION || before->c == '^' ||
                            before->c == '_' || before->c == '}';
        if (!needed) {
            l->out->n--;
            return;
        }
    }
    if (n >= 3 && is_open_brace(&list[n - 2]) && list[n - 3].kind == TOKEN_DIGITS &&
        list[n - 1].kind == TOKEN_CHAR && list[n - 1].c == ':') { // 10{:}30
        list[n - 2] = list[n - 1];
        l->out->n--;
        return;
    }
    if (n >= 3 && is_open_brace(&list[n - 2]) && list[n - 3].kind == TOKEN_FONT &&
        is_sign(&list[n - 1])) {
        struct token sign = list[n - 1];
        sign.space = list[n - 3].space;
        sign.thin = list[n - 3].thin;
        list[n - 3] = sign;
        l->out->n -= 2;
        return;
    }
    lexer_push_char(l, '}', at);
}

void lexer_push_digit(struct lexer *l, char digit, size_t at) {
    struct token *last = lexer_last(l);
    if (last && last->kind == TOKEN_DIGITS && !l->space && !l->thin) {
        char *both = arena_take(l->arena, last->text.len + 2, 1);
        memcpy(both, last->text.ptr, last->text.len);
        both[last->text.len] = digit;
        last->text = (struct slice){both, last->text.len + 1};
    } else {
        lexer_push(l, TOKEN_DIGITS, (struct slice){arena_copy(l->arena, &digit, 1), 1}, at);
    }
}

// A dollar sign with an amount behind it. "US$", "HK$": the letters before it are its country's.
void lexer_push_dollar(struct lexer *l, size_t at) {
    static const char *const COUNTRIES[][2] = {
        {"US", "dollar"},   {"HK", "HK dollar"}, {"NT", "NT dollar"}, {"NZ", "NZ dollar"},
        {"AU", "A dollar"}, {"A", "A dollar"},   {"CA", "C dollar"},  {"C", "C dollar"},
        {"SG", "S dollar"}, {"S", "S dollar"},   {"R", "real"},       {"MX", "peso"}};
    struct token *last = lexer_last(l);
    for (size_t i = 0; last && !l->space && i < sizeof COUNTRIES / sizeof *COUNTRIES; i++) {
        if (last->kind != TOKEN_WORD || !slice_is(last->text, COUNTRIES[i][0])) continue;
        last->kind = TOKEN_CURRENCY;
        last->text = slice_of(COUNTRIES[i][1]);
        return;
    }
    lexer_push(l, TOKEN_CURRENCY, slice_of("dollar"), at);
}
