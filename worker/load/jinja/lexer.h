// A template's text as tokens, with the white space between tags taken away as transformers' Jinja
// environment does it (trim_blocks, lstrip_blocks, no keep_trailing_newline).
#ifndef WORKER_LOAD_JINJA_LEXER_H
#define WORKER_LOAD_JINJA_LEXER_H

#include "worker/load/jinja/value.h"

enum token_type {
    TOKEN_EOF,
    TOKEN_DATA,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_VARIABLE_BEGIN,
    TOKEN_VARIABLE_END,
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_OPERATOR,
};

struct token {
    enum token_type type;
    int line;
    struct slice text;  // the name or operator as written; the text of data and strings
    struct value value; // of TOKEN_NUMBER
};

struct tokens {
    int n;
    struct token *list; // (n), the last one is TOKEN_EOF; owned, freed with free()
};

// `text` is UTF-8; tokens point into `arena`. ERROR_CONFIG with "NAME, line N: " and what is wrong;
// nothing is left to be freed then.
int lexer_read(struct slice text, const char *name, struct arena *arena, struct tokens *out,
               struct error *err);

#endif
