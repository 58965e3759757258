#include "worker/load/jinja/pystr.h"

#include <string.h>

#include "protocol/base/utf8.h"

static bool is_continuation(char c) {
    return ((unsigned char)c & 0xc0) == 0x80;
}

size_t pystr_length(struct slice s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += !is_continuation(s.ptr[i]);
    return n;
}

size_t pystr_offset(struct slice s, size_t place) {
    for (size_t i = 0; i < s.len; i++)
        if (!is_continuation(s.ptr[i]) && place-- == 0) return i;
    return s.len;
}

bool pystr_next(struct slice *s, uint32_t *code) {
    int len = utf8_next(*s, code);
    s->ptr += len;
    s->len -= (size_t)len;
    return len > 0;
}

bool pystr_last(struct slice *s, uint32_t *code) {
    if (s->len == 0) return false;
    size_t at = s->len - 1;
    while (at > 0 && is_continuation(s->ptr[at])) at--;
    utf8_next((struct slice){s->ptr + at, s->len - at}, code);
    s->len = at;
    return true;
}

bool pystr_is_space(uint32_t c) {
    return (c >= 0x9 && c <= 0xd) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

bool pystr_is_ascii(struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80) return false;
    return true;
}

static bool has_code(struct slice chars, uint32_t code) {
    uint32_t c;
    while (pystr_next(&chars, &c))
        if (c == code) return true;
    return false;
}

static bool strips(const struct slice *chars, uint32_t code) {
    return chars ? has_code(*chars, code) : pystr_is_space(code);
}

struct slice pystr_strip(struct slice s, int sides, const struct slice *chars) {
    uint32_t code;
    struct slice rest = s;
    while (sides & PYSTR_LEFT && pystr_next(&rest, &code) && strips(chars, code)) s = rest;
    rest = s;
    while (sides & PYSTR_RIGHT && pystr_last(&rest, &code) && strips(chars, code)) s = rest;
    return s;
}

ptrdiff_t pystr_find(struct slice s, struct slice needle, size_t from) {
    if (from > s.len || needle.len > s.len - from) return PYSTR_NONE;
    if (needle.len == 0) return (ptrdiff_t)from;
    const char *at = memmem(s.ptr + from, s.len - from, needle.ptr, needle.len);
    return at ? at - s.ptr : PYSTR_NONE;
}

ptrdiff_t pystr_find_last(struct slice s, struct slice needle, size_t to) {
    for (size_t end = to; end >= needle.len; end--) {
        size_t at = end - needle.len;
        if (needle.len == 0 || memcmp(s.ptr + at, needle.ptr, needle.len) == 0)
            return (ptrdiff_t)at;
        if (end == 0) break;
    }
    return PYSTR_NONE;
}

bool pystr_starts(struct slice s, struct slice prefix) {
    return s.len >= prefix.len && (!prefix.len || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool pystr_ends(struct slice s, struct slice suffix) {
    if (s.len < suffix.len) return false;
    return !suffix.len || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0;
}

static bool ends_line(uint32_t c) {
    return (c >= 0xa && c <= 0xd) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

bool pystr_next_line(struct slice *s, struct slice *line, struct slice *end) {
    struct slice rest = *s;
    uint32_t code;
    if (s->len == 0) return false;
    *line = *s;
    *end = (struct slice){s->ptr + s->len, 0};
    const char *before = rest.ptr;
    while (pystr_next(&rest, &code)) {
        if (ends_line(code)) {
            if (code == '\r' && rest.len && *rest.ptr == '\n') rest.ptr++, rest.len--;
            line->len = (size_t)(before - s->ptr);
            *end = (struct slice){before, (size_t)(rest.ptr - before)};
            break;
        }
        before = rest.ptr;
    }
    *s = rest;
    return true;
}

void pystr_add_ascii_json(struct buffer *out, struct slice s) {
    static const char written[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    uint32_t code;
    buffer_add(out, "\"", 1);
    while (pystr_next(&s, &code)) {
        const char *at = code && code < 0x80 ? strchr(written, (int)code) : NULL;
        if (at)
            buffer_printf(out, "\\%c", names[at - written]);
        else if (code >= ' ' && code <= '~')
            buffer_printf(out, "%c", (char)code);
        else if (code < 0x10000)
            buffer_printf(out, "\\u%04x", code);
        else
            buffer_printf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                          0xdc00 + ((code - 0x10000) & 0x3ff));
    }
    buffer_add(out, "\"", 1);
}
