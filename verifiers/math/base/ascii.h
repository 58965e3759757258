// Letters and digits of ASCII, whatever the locale of the process says.
#ifndef VERIFIERS_MATH_BASE_ASCII_H
#define VERIFIERS_MATH_BASE_ASCII_H

#include <stdbool.h>
#include <stddef.h>

_Static_assert('\xFF' < 0, "The graders compare bytes as signed ones: build with -fsigned-char.");

static inline bool ascii_is_alpha(char c) {
    return (unsigned char)((c | 32) - 'a') < 26;
}

static inline bool ascii_is_digit(char c) {
    return (unsigned char)(c - '0') < 10;
}

static inline bool ascii_is_alnum(char c) {
    return ascii_is_alpha(c) || ascii_is_digit(c);
}

static inline bool ascii_is_upper(char c) {
    return (unsigned char)(c - 'A') < 26;
}

static inline bool ascii_is_lower(char c) {
    return (unsigned char)(c - 'a') < 26;
}

static inline bool ascii_is_space(char c) {
    return c == ' ' || (unsigned char)(c - '\t') < 5; // \t \n \v \f \r
}

static inline char ascii_lower(char c) {
    return ascii_is_upper(c) ? (char)(c | 32) : c;
}

static inline char ascii_upper(char c) {
    return ascii_is_lower(c) ? (char)(c & ~32) : c;
}

// The same (n) bytes but for the case of letters.
static inline bool ascii_same(const char *a, const char *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && ascii_lower(a[i]) != ascii_lower(b[i])) return false;
    return true;
}

#endif
