#include "protocol/base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/locale.h"
#include "protocol/base/memory.h"

char *buffer_extend(struct buffer *b, size_t len) {
    assert(b->len < b->capacity || b->capacity == 0);
    if (b->capacity - b->len < len + 1) {
        size_t capacity = b->capacity ? b->capacity : 64;
        while (capacity - b->len < len + 1) capacity *= 2;
        b->ptr = memory_resize(b->ptr, capacity, 1);
        b->capacity = capacity;
    }
    char *start = b->ptr + b->len;
    b->len += len;
    b->ptr[b->len] = 0;
    return start;
}

void buffer_add(struct buffer *b, const void *bytes, size_t len) {
    char *start = buffer_extend(b, len);
    if (len) memcpy(start, bytes, len);
}

void buffer_add_text(struct buffer *b, const char *text) {
    buffer_add(b, text, strlen(text));
}

void buffer_add_slice(struct buffer *b, struct slice s) {
    buffer_add(b, s.ptr, s.len);
}

void buffer_printf(struct buffer *b, const char *format, ...) {
    locale_t before = locale_enter();
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    assert(n >= 0);
    char *start = buffer_extend(b, (size_t)n);
    vsnprintf(start, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    locale_leave(before);
}

void buffer_clear(struct buffer *b) {
    b->len = 0;
    if (b->ptr) b->ptr[0] = 0;
}

void buffer_free(struct buffer *b) {
    free(b->ptr);
    *b = (struct buffer){0};
}
