#include "protocol/base/json.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/locale.h"
#include "protocol/base/utf8.h"

struct reader {
    struct slice text;
    size_t at;
    struct arena *arena;
    struct error *err;
    int depth;
    int max_kept; // nodes of this depth and less are kept
    bool python;  // NaN, Infinity and -Infinity are numbers
};

static int fail(struct reader *r, const char *what) {
    return error_set(r->err, ERROR_INPUT, "Invalid JSON at byte %zu: %s.", r->at, what);
}

static bool more(const struct reader *r) {
    return r->at < r->text.len;
}

static char here(const struct reader *r) {
    return more(r) ? r->text.ptr[r->at] : '\0';
}

static void skip_space(struct reader *r) {
    while (more(r) && strchr(" \t\n\r", here(r)) && here(r)) r->at++;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int hex4(const char *p, uint32_t *out) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        uint32_t d;
        if (is_digit(c))
            d = (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            d = (uint32_t)((c | 32) - 'a' + 10);
        else
            return -1;
        v = v << 4 | d;
    }
    *out = v;
    return 0;
}

// At "\u": reads one code point, two escapes when the first is a high surrogate.
static int scan_unicode_escape(struct reader *r) {
    uint32_t high, low;
    const char *p = r->text.ptr + r->at;
    size_t left = r->text.len - r->at;
    if (left < 6 || hex4(p + 2, &high)) return fail(r, "\\u needs four hexadecimal digits");
    if (high >= 0xdc00 && high <= 0xdfff) return fail(r, "a low surrogate stands alone");
    if (high < 0xd800 || high > 0xdbff) {
        r->at += 6;
        return 0;
    }
    if (left < 12 || p[6] != '\\' || p[7] != 'u' || hex4(p + 8, &low) || low < 0xdc00 ||
        low > 0xdfff)
        return fail(r, "a high surrogate needs a low one behind it");
    r->at += 12;
    return 0;
}

static int scan_string(struct reader *r, struct slice *out) {
    size_t start = r->at++;
    while (more(r)) {
        unsigned char c = (unsigned char)here(r);
        if (c == '"') {
            r->at++;
            *out = (struct slice){r->text.ptr + start, r->at - start};
            return 0;
        }
        if (c < 0x20) return fail(r, "a control character stands unescaped in a string");
        if (c != '\\') {
            r->at++;
            continue;
        }
        char e = r->at + 1 < r->text.len ? r->text.ptr[r->at + 1] : '\0';
        if (e == 'u') {
            if (scan_unicode_escape(r)) return -1;
        } else if (e && strchr("\"\\/bfnrt", e)) {
            r->at += 2;
        } else {
            return fail(r, "this escape is none of JSON's");
        }
    }
    return fail(r, "a string is not closed");
}

static int scan_word(struct reader *r, const char *word);

static int scan_number(struct reader *r) {
    if (r->python && here(r) == 'N') return scan_word(r, "NaN");
    if (here(r) == '-') r->at++;
    if (r->python && here(r) == 'I') return scan_word(r, "Infinity");
    if (!is_digit(here(r))) return fail(r, "a value was expected");
    if (here(r) == '0')
        r->at++;
    else
        while (is_digit(here(r))) r->at++;
    if (here(r) == '.') {
        r->at++;
        if (!is_digit(here(r))) return fail(r, "digits were expected after the decimal point");
        while (is_digit(here(r))) r->at++;
    }
    if (here(r) == 'e' || here(r) == 'E') {
        r->at++;
        if (here(r) == '+' || here(r) == '-') r->at++;
        if (!is_digit(here(r))) return fail(r, "digits were expected in the exponent");
        while (is_digit(here(r))) r->at++;
    }
    return 0;
}

static int scan_word(struct reader *r, const char *word) {
    size_t n = strlen(word);
    if (r->text.len - r->at < n || memcmp(r->text.ptr + r->at, word, n) != 0)
        return fail(r, "a value was expected");
    r->at += n;
    return 0;
}

static void decode_string(struct slice text, char *out, size_t *len);

static int read_value(struct reader *r, struct json *value);

// Reads `"key" :` of a member; the key is decoded.
static int read_key(struct reader *r, struct json *member) {
    struct slice quoted;
    if (here(r) != '"') return fail(r, "a key in quotes was expected");
    if (scan_string(r, &quoted)) return -1;
    member->key = (struct slice){quoted.ptr + 1, quoted.len - 2};
    if (r->depth <= r->max_kept && memchr(member->key.ptr, '\\', member->key.len)) {
        char *decoded = arena_take(r->arena, quoted.len, 1);
        size_t len;
        decode_string(quoted, decoded, &len);
        member->key = (struct slice){decoded, len};
    }
    skip_space(r);
    if (here(r) != ':') return fail(r, "':' was expected after the key");
    r->at++;
    skip_space(r);
    return 0;
}

static int read_children(struct reader *r, struct json *parent, char close) {
    const struct json **link = &parent->first;
    if (++r->depth > JSON_MAX_DEPTH) return fail(r, "values are nested too deeply");
    r->at++;
    skip_space(r);
    if (here(r) == close && more(r)) {
        r->at++, r->depth--;
        return 0;
    }
    for (;;) {
        struct json unkept = {0}, *child = &unkept;
        if (r->depth <= r->max_kept) {
            child = arena_take(r->arena, 1, sizeof *child);
            *link = child;
            link = &child->next;
        }
        skip_space(r);
        if (close == '}' && read_key(r, child)) return -1;
        if (read_value(r, child)) return -1;
        parent->n_children++;
        skip_space(r);
        char c = here(r);
        if (c != ',' && c != close)
            return fail(r, close == '}' ? "',' or '}' was expected" : "',' or ']' was expected");
        r->at++;
        if (c == close) break;
    }
    r->depth--;
    return 0;
}

static int read_value(struct reader *r, struct json *value) {
    size_t start = r->at;
    int failed;
    switch (here(r)) {
    case '{':
        value->type = JSON_OBJECT, failed = read_children(r, value, '}');
        break;
    case '[':
        value->type = JSON_ARRAY, failed = read_children(r, value, ']');
        break;
    case '"': {
        struct slice unused;
        value->type = JSON_STRING, failed = scan_string(r, &unused);
        break;
    }
    case 't':
        value->type = JSON_TRUE, failed = scan_word(r, "true");
        break;
    case 'f':
        value->type = JSON_FALSE, failed = scan_word(r, "false");
        break;
    case 'n':
        value->type = JSON_NULL, failed = scan_word(r, "null");
        break;
    default:
        value->type = JSON_NUMBER, failed = scan_number(r);
        break;
    }
    if (failed) return -1;
    value->text = (struct slice){r->text.ptr + start, r->at - start};
    return 0;
}

static const struct json *parse(struct slice text, int max_kept, bool python, struct arena *arena,
                                struct error *err) {
    struct reader r = {
        .text = text, .arena = arena, .err = err, .max_kept = max_kept, .python = python};
    r.at = utf8_valid_prefix(text);
    if (r.at < text.len) return fail(&r, "these bytes are no UTF-8"), NULL;
    r.at = 0;
    skip_space(&r);
    struct json *value = arena_take(arena, 1, sizeof *value);
    if (read_value(&r, value)) return NULL;
    skip_space(&r);
    if (more(&r)) return fail(&r, "something stands after the value"), NULL;
    return value;
}

const struct json *json_parse(struct slice text, struct arena *arena, struct error *err) {
    return parse(text, JSON_MAX_DEPTH, false, arena, err);
}

const struct json *json_parse_shallow(struct slice text, struct arena *arena, struct error *err) {
    return parse(text, 1, false, arena, err);
}

const struct json *json_parse_python(struct slice text, struct arena *arena, struct error *err) {
    return parse(text, JSON_MAX_DEPTH, true, arena, err);
}

const struct json *json_parse_python_shallow(struct slice text, struct arena *arena,
                                             struct error *err) {
    return parse(text, 1, true, arena, err);
}

bool json_is_not_finite(const struct json *value) {
    return value->type == JSON_NUMBER && (*value->text.ptr == 'N' || *value->text.ptr == 'I' ||
                                          slice_is(value->text, "-Infinity"));
}

const struct json *json_get(const struct json *object, const char *key) {
    const struct json *found = NULL;
    if (!object || object->type != JSON_OBJECT) return NULL;
    for (const struct json *m = object->first; m; m = m->next)
        if (slice_is(m->key, key)) found = m;
    return found;
}

// `out` has room for text.len bytes; decoded text is never longer than what was written.
static void decode_string(struct slice text, char *out, size_t *len) {
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    char *o = out;
    const char *p = text.ptr + 1, *end = text.ptr + text.len - 1;
    while (p < end) {
        if (*p != '\\') {
            *o++ = *p++;
        } else if (p[1] != 'u') {
            const char *name = strchr(names, p[1]);
            *o++ = name ? values[name - names] : p[1];
            p += 2;
        } else {
            uint32_t code = 0, low = 0;
            hex4(p + 2, &code);
            p += 6;
            if (code >= 0xd800 && code <= 0xdbff) {
                hex4(p + 2, &low);
                p += 6;
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            }
            o += utf8_write(code, o);
        }
    }
    *len = (size_t)(o - out);
}

struct slice json_string(const struct json *value, struct arena *arena) {
    assert(value && value->type == JSON_STRING);
    char *out = arena_take(arena, value->text.len, 1);
    size_t len;
    decode_string(value->text, out, &len);
    return (struct slice){out, len};
}

static bool is_integer(struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.ptr[i]) && !(i == 0 && s.ptr[i] == '-')) return false;
    return s.len > 0;
}

// An integer's text, 0-terminated for strtoll and its kin: the slice points into longer input.
// JSON has no leading zeros, so that 31 characters hold all that 64 bits can.
static int integer_text(const struct json *value, char out[32]) {
    if (!value || value->type != JSON_NUMBER || value->text.len >= 32) return -1;
    if (!is_integer(value->text)) return -1;
    memcpy(out, value->text.ptr, value->text.len);
    out[value->text.len] = 0;
    return 0;
}

int json_int64(const struct json *value, int64_t *out) {
    char text[32];
    if (integer_text(value, text)) return -1;
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    if (errno) return -1;
    *out = v;
    return 0;
}

int json_uint64(const struct json *value, uint64_t *out) {
    char text[32];
    if (integer_text(value, text)) return -1;
    if (text[0] == '-') return -1;
    errno = 0;
    unsigned long long v = strtoull(text, NULL, 10);
    if (errno) return -1;
    *out = v;
    return 0;
}

int json_double(const struct json *value, double *out) {
    if (!value || value->type != JSON_NUMBER) return -1;
    char *text = memory_copy(value->text.ptr, value->text.len);
    double v = locale_strtod(text, NULL);
    free(text);
    if (v - v != 0) return -1;
    *out = v;
    return 0;
}

const char *json_type_name(const struct json *value) {
    if (!value) return "nothing";
    static const char *const names[] = {
        [JSON_NULL] = "null",       [JSON_FALSE] = "a boolean", [JSON_TRUE] = "a boolean",
        [JSON_NUMBER] = "a number", [JSON_STRING] = "a string", [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object"};
    return names[value->type];
}
