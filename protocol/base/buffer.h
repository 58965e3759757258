// A growable run of bytes, for output lines, messages and text. Zero-initialised is empty.
#ifndef PROTOCOL_BASE_BUFFER_H
#define PROTOCOL_BASE_BUFFER_H

#include <stdint.h>

#include "protocol/base/slice.h"

struct buffer {
    char *ptr; // (len) bytes, owned; a 0 stands behind them once anything was added
    size_t len, capacity;
};

void buffer_add(struct buffer *b, const void *bytes, size_t len);
void buffer_add_text(struct buffer *b, const char *text);
void buffer_add_slice(struct buffer *b, struct slice s);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Makes room for `len` more bytes, counts them as used and returns where they start (not zeroed).
char *buffer_extend(struct buffer *b, size_t len);
void buffer_clear(struct buffer *b); // empties, keeps the memory
void buffer_free(struct buffer *b);  // empties and frees

static inline struct slice buffer_slice(const struct buffer *b) {
    return (struct slice){b->ptr, b->len};
}

#endif
