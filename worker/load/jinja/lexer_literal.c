#include "worker/load/jinja/lexer_literal.h"

#include "protocol/base/utf8.h"
#include "worker/load/jinja/pystr.h"

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

// ---- strings

static int add_code(struct buffer *out, uint32_t code) {
    char bytes[4];
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return -1;
    buffer_add(out, bytes, (size_t)utf8_write(code, bytes));
    return 0;
}

// `n` hexadecimal digits at the start of `s`.
static int add_hex(struct buffer *out, struct slice *s, size_t n) {
    uint32_t code = 0;
    if (s->len < n) return -1;
    for (size_t i = 0; i < n; i++) {
        int d = digit(s->ptr[i]);
        if (d > 15) return -1;
        code = code << 4 | (uint32_t)d;
    }
    *s = (struct slice){s->ptr + n, s->len - n};
    return add_code(out, code);
}

static int add_octal(struct buffer *out, struct slice *s, char first) {
    uint32_t code = (uint32_t)digit(first);
    for (int i = 0; i < 2 && s->len && digit(*s->ptr) < 8; i++) {
        code = code << 3 | (uint32_t)digit(*s->ptr);
        *s = (struct slice){s->ptr + 1, s->len - 1};
    }
    return add_code(out, code);
}

// Behind a backslash. Jinja escapes what is not ASCII before it reads escapes, so that a backslash
// in front of such a character is one in front of the backslash of that escape.
static int add_escape(struct buffer *out, struct slice *s) {
    static const char names[] = "\\'\"abfnrtv", values[] = "\\'\"\a\b\f\n\r\t\v";
    uint32_t code;
    if (!pystr_next(s, &code)) return -1;
    if (code >= 0x80) {
        buffer_printf(out, code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
        return 0;
    }
    const char *at = code ? strchr(names, (int)code) : NULL;
    if (at)
        buffer_add(out, &values[at - names], 1);
    else if (code >= '0' && code <= '7')
        return add_octal(out, s, (char)code);
    else if (code == 'x')
        return add_hex(out, s, 2);
    else if (code == 'u' || code == 'U')
        return add_hex(out, s, code == 'u' ? 4 : 8);
    else if (code == 'N')
        return -1;
    else if (code != '\n') // a line break behind a backslash goes; all else stays as it is
        buffer_printf(out, "\\%c", (char)code);
    return 0;
}

int lexer_unescape(struct slice written, struct arena *arena, struct slice *out) {
    struct buffer text = {0};
    int failed = 0;
    while (!failed && written.len) {
        const char *at = memchr(written.ptr, '\\', written.len);
        size_t plain = at ? (size_t)(at - written.ptr) : written.len;
        buffer_add(&text, written.ptr, plain);
        written = (struct slice){written.ptr + plain, written.len - plain};
        if (!written.len) break;
        written = (struct slice){written.ptr + 1, written.len - 1};
        failed = add_escape(&text, &written);
    }
    *out = (struct slice){arena_copy(arena, text.ptr, text.len), text.len};
    buffer_free(&text);
    return failed;
}

// ---- numbers

// Digits of `base` with single underscores between them; an underscore may also come first.
static size_t digits(struct slice s, size_t from, int base, bool underscore_first) {
    size_t at = from;
    for (;;) {
        size_t next = at;
        if (next < s.len && s.ptr[next] == '_' && (at > from || underscore_first)) next++;
        if (next >= s.len || digit(s.ptr[next]) >= base) return at;
        at = next + 1;
    }
}

// The end of a float at the start of `s`, or 0.
static size_t float_end(struct slice s) {
    size_t whole = digits(s, 0, 10, false), end = whole;
    if (end < s.len && s.ptr[end] == '.') {
        size_t fraction = digits(s, end + 1, 10, false);
        if (fraction == end + 1) return 0;
        end = fraction;
    }
    if (end < s.len && (s.ptr[end] == 'e' || s.ptr[end] == 'E')) {
        size_t exponent = end + 1;
        if (exponent < s.len && (s.ptr[exponent] == '+' || s.ptr[exponent] == '-')) exponent++;
        size_t behind = digits(s, exponent, 10, false);
        if (behind > exponent) end = behind;
    }
    return end > whole ? end : 0;
}

static size_t read_float(struct slice s, size_t n, struct value *out) {
    char text[400];
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        if (s.ptr[i] != '_' && len < sizeof text) text[len++] = s.ptr[i];
    struct json json = {.type = JSON_NUMBER, .text = {text, len}};
    *out = (struct value){.type = VALUE_FLOAT};
    return len < sizeof text && json_double(&json, &out->real) == 0 ? n : 0;
}

static size_t read_integer(struct slice s, size_t from, size_t end, int base, struct value *out) {
    int64_t integer = 0;
    for (size_t i = from; i < end; i++) {
        if (s.ptr[i] == '_') continue;
        if (__builtin_mul_overflow(integer, base, &integer) ||
            __builtin_add_overflow(integer, digit(s.ptr[i]), &integer))
            return 0;
    }
    *out = value_int(integer);
    return end;
}

size_t lexer_number(struct slice s, bool behind_dot, struct value *out) {
    size_t end = behind_dot ? 0 : float_end(s);
    if (end) return read_float(s, end, out);
    if (s.ptr[0] != '0') return read_integer(s, 0, digits(s, 0, 10, false), 10, out);
    char kind = s.len > 1 ? (char)(s.ptr[1] | 0x20) : 0;
    int base = kind == 'b' ? 2 : kind == 'o' ? 8 : kind == 'x' ? 16 : 0;
    if (base && (end = digits(s, 2, base, true)) > 2) return read_integer(s, 2, end, base, out);
    end = 1; // zeros only: what follows them is another token
    while (end < s.len &&
           (s.ptr[end] == '0' || (s.ptr[end] == '_' && end + 1 < s.len && s.ptr[end + 1] == '0')))
        end += s.ptr[end] == '_' ? 2 : 1;
    *out = value_int(0);
    return end;
}
