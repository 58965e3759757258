// Inside the cutting of tokens: its state, and what its files call of one another.
#ifndef VERIFIERS_MATH_READ_TOKEN_LEXER_H
#define VERIFIERS_MATH_READ_TOKEN_LEXER_H

#include "verifiers/math/read/token_table.h"

struct lexer {
    struct slice text;
    size_t at;
    int environments; // \begin without its \end
    int aligned;      // of those, \begin{aligned} and its kin: & only places what is behind it
    bool space, thin, over;
    struct arena *arena;
    struct tokens *out;
    int capacity;
};

// token_push.c
struct token *lexer_push(struct lexer *l, enum token_kind kind, struct slice text, size_t at);
struct token *lexer_push_char(struct lexer *l, char c, size_t at);
void lexer_push_digit(struct lexer *l, char digit, size_t at); // joins the digits before it
void lexer_push_dollar(struct lexer *l, size_t at);            // of an amount of money
void lexer_close_brace(struct lexer *l, size_t at);

// token_command.c: a backslash and what belongs to it.
void lexer_command(struct lexer *l);
// token_unicode.c: a character that is not ASCII. False when the bytes are no UTF-8.
bool lexer_unicode(struct lexer *l);
bool lexer_is_letter(uint32_t code);

static inline struct slice lexer_rest(const struct lexer *l) {
    return (struct slice){l->text.ptr + l->at, l->text.len - l->at};
}

static inline char lexer_peek(const struct lexer *l, size_t ahead) {
    return l->at + ahead < l->text.len ? l->text.ptr[l->at + ahead] : 0;
}

static inline struct token *lexer_last(const struct lexer *l) {
    return l->out->n ? &l->out->list[l->out->n - 1] : NULL;
}

#endif
