// Mathematics written as LaTeX, Unicode or plain text, cut into tokens.
//
// Unicode is mapped here and only here (a minus sign of any kind is '-', a vulgar fraction its two
// numbers). Layout that means nothing is dropped: math delimiters, \left, \displaystyle, the
// command (not the braces) of \text and \mathrm. Every other token keeps its bytes.
#ifndef VERIFIERS_MATH_LEX_H
#define VERIFIERS_MATH_LEX_H

#include <stdbool.h>

#include "protocol/base/slice.h"

enum {
    LEX_MAX_BYTES = 4096, // of an answer
    LEX_MAX_TOKENS = 1024,
};

enum lex_kind {
    LEX_END,
    LEX_DIGITS,   // a run of 0-9
    LEX_WORD,     // a run of letters of any script
    LEX_COMMAND,  // a LaTeX command that means something; text without the backslash
    LEX_CHAR,     // one ASCII character of punctuation, `c`
    LEX_SPACE,    // white space
    LEX_THIN,     // a space that may stand inside a number: \, \! U+2009 ...
    LEX_CURRENCY, // a currency sign; text is the currency's name
    LEX_VULGAR,   // a fraction in one character; text is two digits strings "1/2"
};

struct lex_token {
    enum lex_kind kind;
    char c; // of LEX_CHAR, else 0
    struct slice text;
};

struct lex {
    int n; // tokens before LEX_END
    struct lex_token tokens[LEX_MAX_TOKENS + 1];
};

// Returns false when `text` is over a budget. Token texts point into `text` or into constants.
bool lex_run(struct slice text, struct lex *out);

#endif
