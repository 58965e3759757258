// Parts of an answer's text.
#ifndef VERIFIERS_MATH_GRADE_FORM_CUT_H
#define VERIFIERS_MATH_GRADE_FORM_CUT_H

#include <stdbool.h>
#include <string.h>

#include "protocol/base/slice.h"
#include "verifiers/math/base/ascii.h"

static inline struct slice cut(struct slice s, size_t from, size_t to) {
    return (struct slice){s.ptr + from, to - from};
}

static inline struct slice trimmed(struct slice s) {
    while (s.len && ascii_is_space(s.ptr[0])) s = cut(s, 1, s.len);
    while (s.len && ascii_is_space(s.ptr[s.len - 1])) s.len--;
    return s;
}

static inline bool starts(struct slice s, const char *word) {
    return s.len >= strlen(word) && memcmp(s.ptr, word, strlen(word)) == 0;
}

#endif
