// Mathematics written as LaTeX, Unicode or plain text, cut into tokens.
//
// Unicode and synonyms are mapped here and only here: a minus sign of any kind is '-', \dfrac is
// \frac, U+2264 and \leqslant are MATH_LE. Layout that means nothing is dropped (\left,
// \displaystyle, math delimiters); white space becomes a mark on the token behind it.
#ifndef VERIFIERS_MATH_READ_TOKEN_H
#define VERIFIERS_MATH_READ_TOKEN_H

#include "verifiers/math/base/tree.h"

enum token_kind {
    TOKEN_END,
    TOKEN_DIGITS,   // a run of 0-9
    TOKEN_WORD,     // a run of letters of any script
    TOKEN_NAME,     // a Greek letter or the like; text = its name
    TOKEN_CHAR,     // `c`; for '|': op 1 can only open, 2 only close, 3 is \mid
    TOKEN_RELATION, // op: enum math_relation
    TOKEN_FUNCTION, // op: enum math_function
    TOKEN_CONSTANT, // op: enum math_constant
    TOKEN_COMMAND,  // any other command; text = its name
    TOKEN_FONT,     // \text, \mathrm, ... with a group behind it; op 1: upright text
    TOKEN_CURRENCY, // text = its name
    TOKEN_VULGAR,   // a fraction in one character; text = "1/2"
    TOKEN_SET_NAME, // op as in MATH_SET_NAME
    TOKEN_DOTS,
};

struct token {
    enum token_kind kind;
    char c; // of TOKEN_CHAR, else 0
    uint8_t op;
    bool space; // white space before it
    bool thin;  // a thin space (\, \! U+2009 ...) before it
    bool plain; // a function or constant that is written as a word: sec, not \sec
    struct slice text;
    size_t at; // byte offset
};

struct tokens {
    int n; // before TOKEN_END
    struct token *list;
};

// Cuts `text`; names point into it or into constants. False when it is over a limit or no UTF-8.
bool token_run(struct slice text, struct arena *arena, struct tokens *out);

// A word's meaning outside \text ("sin", "pi", "infinity"), or false.
bool token_word(struct slice word, struct token *out);

#endif
