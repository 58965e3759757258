#include "verifiers/score/score_literal.h"

#include <ctype.h>

#include "protocol/base/json.h"
#include "protocol/base/utf8.h"

struct reader {
    const char *at, *end;
    struct buffer *out;
    bool latex;
    int depth;
};

static char here(const struct reader *r) {
    return r->at < r->end ? *r->at : 0;
}

static void skip_space(struct reader *r) {
    while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at) r->at++;
}

static bool take(struct reader *r, char c) {
    skip_space(r);
    if (here(r) != c || r->at == r->end) return false;
    r->at++;
    return true;
}

// ---- Strings -----------------------------------------------------------------------------------

static int hex(const char *p, const char *end, int n, uint32_t *out) {
    *out = 0;
    if (end - p < n) return -1;
    for (int i = 0; i < n; i++) {
        const char c = (char)(p[i] | 32);
        if (!isxdigit((unsigned char)p[i])) return -1;
        *out = *out << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return 0;
}

static void add_code(struct buffer *text, uint32_t code) {
    char bytes[4];
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
    buffer_add(text, bytes, (size_t)utf8_write(code, bytes));
}

// Behind "\u": one code point, of two escapes where the first one is half a pair.
static int unicode_escape(struct reader *r, struct buffer *text) {
    uint32_t code, low;
    if (hex(r->at, r->end, 4, &code)) return -1;
    r->at += 4;
    const bool pair = code >= 0xD800 && code < 0xDC00 && r->end - r->at >= 6 && r->at[0] == '\\' &&
                      r->at[1] == 'u' && hex(r->at + 2, r->end, 4, &low) == 0 && low >= 0xDC00 &&
                      low < 0xE000;
    if (pair) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        r->at += 6;
    }
    add_code(text, code);
    return 0;
}

// Behind a backslash. -1: it is no escape.
static int escape(struct reader *r, struct buffer *text) {
    static const char NAMES[] = "abfnrtv", VALUES[] = "\a\b\f\n\r\t\v";
    const char c = *r->at, *name = strchr(NAMES, c);
    uint32_t code;
    if (name && *name) {
        if (r->latex && r->at + 1 < r->end && isalpha((unsigned char)r->at[1])) return -1;
        buffer_add(text, &VALUES[name - NAMES], 1);
        r->at++;
        return 0;
    }
    if (strchr("\\'\"/", c) && c) {
        buffer_add(text, r->at++, 1);
        return 0;
    }
    const int n_digits = c == 'x' ? 2 : c == 'U' ? 8 : 0;
    if (n_digits && hex(r->at + 1, r->end, n_digits, &code) == 0) {
        r->at += 1 + n_digits;
        add_code(text, code);
        return 0;
    }
    if (c != 'u') return -1;
    r->at++;
    if (unicode_escape(r, text) == 0) return 0;
    r->at--;
    return -1;
}

static int read_text(struct reader *r, char quote, struct buffer *text) {
    while (r->at < r->end && *r->at != quote) {
        const char c = *r->at++;
        if (c == '\n') return -1;
        if (c != '\\') {
            buffer_add(text, &c, 1);
            continue;
        }
        if (r->at == r->end) return -1;
        if (escape(r, text) == 0) continue;
        if (!r->latex && !ispunct((unsigned char)*r->at)) return -1;
        buffer_add(text, "\\", 1); // one that stands for itself
    }
    return r->at++ < r->end ? 0 : -1;
}

static int read_string(struct reader *r) {
    struct buffer text = {0};
    const char quote = *r->at++;
    const int failed = read_text(r, quote, &text);
    if (!failed) json_add_string(r->out, buffer_slice(&text));
    buffer_free(&text);
    return failed;
}

// ---- Values ------------------------------------------------------------------------------------

static int read_value(struct reader *r);

static int read_word(struct reader *r) {
    static const char *const WORDS[][2] = {{"None", "null"}, {"null", "null"},   {"True", "true"},
                                           {"true", "true"}, {"False", "false"}, {"false", "false"},
                                           {"NaN", "null"},  {"nan", "null"}};
    size_t len = 0;
    while (r->at + len < r->end && isalpha((unsigned char)r->at[len])) len++;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (slice_is((struct slice){r->at, len}, WORDS[i][0])) {
            buffer_add_text(r->out, WORDS[i][1]);
            r->at += len;
            return 0;
        }
    return -1;
}

static int read_number(struct reader *r) {
    struct arena arena = {0};
    size_t len = 0;
    while (r->at + len < r->end && r->at[len] && strchr("+-.0123456789eE", r->at[len])) len++;
    const struct slice number = {r->at, len};
    const struct json *value = len ? json_parse(number, &arena, NULL) : NULL;
    const int failed = value && value->type == JSON_NUMBER ? 0 : -1;
    if (!failed) buffer_add_slice(r->out, number);
    r->at += len;
    arena_clear(&arena);
    return failed;
}

static int read_items(struct reader *r, char close) {
    const bool is_object = close == '}';
    bool first = true;
    if (++r->depth > SCORE_LITERAL_MAX_DEPTH) return -1;
    r->at++;
    buffer_add_text(r->out, is_object ? "{" : "[");
    while (!take(r, close)) {
        if (!first && !take(r, ',')) return -1;
        if (!first && take(r, close)) break; // a comma behind the last one
        if (!first) buffer_add_text(r->out, ",");
        first = false;
        skip_space(r);
        if (is_object) {
            if ((here(r) != '"' && here(r) != '\'') || read_string(r) || !take(r, ':')) return -1;
            buffer_add_text(r->out, ":");
        }
        if (read_value(r)) return -1;
    }
    buffer_add_text(r->out, is_object ? "}" : "]");
    r->depth--;
    return 0;
}

static int read_value(struct reader *r) {
    skip_space(r);
    const char c = here(r);
    if (c == '[') return read_items(r, ']');
    if (c == '(') return read_items(r, ')');
    if (c == '{') return read_items(r, '}');
    if (c == '"' || c == '\'') return read_string(r);
    if (isalpha((unsigned char)c)) return read_word(r);
    return read_number(r);
}

int score_literal_json(struct slice text, bool latex, struct buffer *out) {
    const size_t before = out->len;
    struct reader r = {.at = text.ptr, .end = text.ptr + text.len, .out = out, .latex = latex};
    if (text.len == 0) return -1;
    skip_space(&r);
    const bool opens = here(&r) == '[' || here(&r) == '{';
    int failed = opens ? read_value(&r) : -1;
    skip_space(&r);
    if (!failed && r.at == r.end) return 0;
    out->len = before;
    return -1;
}
