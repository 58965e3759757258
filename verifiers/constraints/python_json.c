#include "verifiers/constraints/python_json.h"

enum { MAX_INTEGER_DIGITS = 4300 }; // Python refuses to read longer ones

struct reader {
    const char *at, *end;
    int depth;
    char open[PYTHON_JSON_MAX_DEPTH]; // (depth) '[' or '{'
};

static void skip_space(struct reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool take(struct reader *r, char c) {
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

static bool take_word(struct reader *r, const char *word) {
    const size_t n = strlen(word);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0) return false;
    r->at += n;
    return true;
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Behind the opening quote.
static bool take_string(struct reader *r) {
    while (r->at < r->end) {
        const char c = *r->at++;
        if (c == '"') return true;
        if ((unsigned char)c < 0x20) return false;
        if (c != '\\') continue;
        if (r->at == r->end) return false;
        const char escape = *r->at++;
        if (escape == 0 || !strchr("\"\\/bfnrtu", escape)) return false;
        for (int i = 0; escape == 'u' && i < 4; i++)
            if (r->at == r->end || !is_hex(*r->at++)) return false;
    }
    return false;
}

static size_t take_digits(struct reader *r) {
    const char *start = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
    return (size_t)(r->at - start);
}

// A fraction or exponent that is not complete is not part of the number.
static bool take_number(struct reader *r) {
    const bool zero = take(r, '0');
    const size_t n = zero ? 1 : take_digits(r);
    bool whole = true;
    const char *mark = r->at;
    if (n == 0) return false;
    if (take(r, '.')) {
        if (take_digits(r))
            whole = false;
        else
            r->at = mark;
    }
    mark = r->at;
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+')) take(r, '-');
        if (take_digits(r))
            whole = false;
        else
            r->at = mark;
    }
    return !whole || n <= MAX_INTEGER_DIGITS;
}

static bool take_key(struct reader *r) {
    skip_space(r);
    if (!take(r, '"') || !take_string(r)) return false;
    skip_space(r);
    return take(r, ':');
}

// A value, or the opening of one: *opened.
static bool take_value(struct reader *r, bool *opened) {
    *opened = false;
    skip_space(r);
    if (r->at == r->end) return false;
    const char c = *r->at;
    if (c == '[' || c == '{') {
        if (r->depth == PYTHON_JSON_MAX_DEPTH) return false;
        r->open[r->depth++] = c;
        r->at++;
        *opened = true;
        return true;
    }
    if (take(r, '"')) return take_string(r);
    if (take_word(r, "null") || take_word(r, "true") || take_word(r, "false") ||
        take_word(r, "NaN") || take_word(r, "Infinity") || take_word(r, "-Infinity"))
        return true;
    take(r, '-');
    return take_number(r);
}

static bool take_close(struct reader *r) {
    if (!take(r, r->open[r->depth - 1] == '[' ? ']' : '}')) return false;
    r->depth--;
    return true;
}

bool python_json_loads(struct slice text) {
    struct reader r = {.at = text.ptr, .end = text.ptr + text.len};
    bool opened;
    if (text.len == 0 || !take_value(&r, &opened)) return false;
    while (r.depth) {
        skip_space(&r);
        // Here a value has ended, or (opened) a list or object has just begun.
        if (take_close(&r)) {
            opened = false;
            continue;
        }
        if (!opened && !take(&r, ',')) return false;
        if (r.open[r.depth - 1] == '{' && !take_key(&r)) return false;
        if (!take_value(&r, &opened)) return false;
    }
    skip_space(&r);
    return r.at == r.end;
}
