// A borrowed run of bytes: not terminated, not owned, valid as long as what it points into.
#ifndef PROTOCOL_BASE_SLICE_H
#define PROTOCOL_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *ptr; // (len) bytes, may be NULL when len is 0
    size_t len;
};

static inline struct slice slice_of(const char *text) {
    return (struct slice){text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *text) {
    return slice_equal(a, slice_of(text));
}

// For printf's "%.*s": slices of input can be long, a sentence quotes at most 80 bytes of them.
#define SLICE_ARG(s) (int)((s).len < 80 ? (s).len : 80), (s).ptr ? (s).ptr : ""

#endif
