#include "protocol/base/utf8.h"

#include <assert.h>

// For a lead byte: the sequence's length and the range of its second byte, which is what excludes
// overlong forms, surrogates and values above U+10FFFF (Unicode table 3-7).
static int lead(unsigned char c, unsigned char *low, unsigned char *high) {
    *low = 0x80;
    *high = 0xbf;
    if (c < 0x80) return 1;
    if (c < 0xc2 || c > 0xf4) return 0;
    if (c < 0xe0) return 2;
    if (c < 0xf0) {
        if (c == 0xe0) *low = 0xa0;
        if (c == 0xed) *high = 0x9f;
        return 3;
    }
    if (c == 0xf0) *low = 0x90;
    if (c == 0xf4) *high = 0x8f;
    return 4;
}

// How many bytes at the start of s form the longest beginning of a well-formed sequence, and the
// length which that sequence would have (0: not even the first byte fits).
static size_t prefix(struct slice s, size_t *need) {
    unsigned char low, high;
    const unsigned char *p = (const unsigned char *)s.ptr;
    *need = s.len ? (size_t)lead(p[0], &low, &high) : 0;
    if (*need == 0) return 0;
    size_t n = 1;
    while (n < *need && n < s.len && p[n] >= low && p[n] <= high) {
        n++;
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

int utf8_next(struct slice s, uint32_t *code) {
    size_t need;
    if (prefix(s, &need) != need || need == 0) return 0;
    const unsigned char *p = (const unsigned char *)s.ptr;
    static const unsigned char mask[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = p[0] & mask[need];
    for (size_t i = 1; i < need; i++) c = c << 6 | (p[i] & 0x3f);
    *code = c;
    return (int)need;
}

int utf8_write(uint32_t c, char out[4]) {
    assert(c <= 0x10ffff && (c < 0xd800 || c > 0xdfff));
    if (c < 0x80) return out[0] = (char)c, 1;
    int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char mark[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(mark[n] | c);
    return n;
}

size_t utf8_valid_prefix(struct slice s) {
    size_t at = 0;
    while (at < s.len) {
        uint64_t eight; // most text is ASCII
        while (s.len - at >= sizeof eight) {
            memcpy(&eight, s.ptr + at, sizeof eight);
            if (eight & 0x8080808080808080) break;
            at += sizeof eight;
        }
        if (at == s.len) break;
        size_t need, n = prefix((struct slice){s.ptr + at, s.len - at}, &need);
        if (n == 0 || n != need) break;
        at += n;
    }
    return at;
}

size_t utf8_incomplete_tail(struct slice s) {
    for (size_t back = 1; back <= 3 && back <= s.len; back++) {
        size_t need, n = prefix((struct slice){s.ptr + s.len - back, back}, &need);
        if (n == 0) continue; // a continuation byte: its lead is further back
        return n == back && n < need ? back : 0;
    }
    return 0;
}

void utf8_add_lossy(struct buffer *out, struct slice s) {
    size_t at = 0;
    while (at < s.len) {
        size_t need, n = prefix((struct slice){s.ptr + at, s.len - at}, &need);
        if (n == need && n) {
            buffer_add(out, s.ptr + at, n);
        } else {
            buffer_add(out, "\xef\xbf\xbd", 3);
            if (n == 0) n = 1;
        }
        at += n;
    }
}
