// The tables behind token.h.
#ifndef VERIFIERS_MATH_READ_TOKEN_TABLE_H
#define VERIFIERS_MATH_READ_TOKEN_TABLE_H

#include "verifiers/math/read/token.h"

struct token_command {
    const char *name;
    enum token_kind kind;
    char c;
    uint8_t op;
    const char *text;
};

struct token_character {
    uint32_t code;
    enum token_kind kind;
    char c;
    uint8_t op;
    const char *text;
};

const struct token_command *token_command(struct slice name); // or NULL
const struct token_character *token_character(uint32_t code); // or NULL
const char *token_greek(uint32_t code);                       // a letter's name, or NULL
bool token_is_layout(struct slice name);

#endif
