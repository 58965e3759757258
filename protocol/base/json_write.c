// JSON that is written: values that were read, texts, numbers.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/json.h"
#include "protocol/base/locale.h"
#include "protocol/base/utf8.h"

static bool is_integer(struct slice number) {
    for (size_t i = 0; i < number.len; i++)
        if (number.ptr[i] != '-' && (number.ptr[i] < '0' || number.ptr[i] > '9')) return false;
    return true;
}

static void add_number(struct buffer *out, const struct json *value) {
    double v;
    if (slice_is(value->text, "-0"))
        buffer_add_text(out, "0"); // Python's integers have no negative zero
    else if (is_integer(value->text))
        buffer_add_slice(out, value->text);
    else if (json_double(value, &v) == 0)
        json_add_double(out, v);
    else if (*value->text.ptr == 'N')
        buffer_add_text(out, "NaN");
    else
        buffer_add_text(out, value->text.ptr[0] == '-' ? "-Infinity" : "Infinity");
}

static int by_key(const void *left, const void *right) {
    const struct json *a = *(const struct json *const *)left,
                      *b = *(const struct json *const *)right;
    size_t n = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = n ? memcmp(a->key.ptr, b->key.ptr, n) : 0;
    if (order) return order;
    if (a->key.len != b->key.len) return a->key.len < b->key.len ? -1 : 1;
    return a->text.ptr < b->text.ptr ? -1 : a->text.ptr > b->text.ptr; // as written
}

// A repeated key stands where it stood first, with the value that it had last, as in a Python dict.
static void add_members(struct buffer *out, const struct json *object) {
    size_t n = (size_t)object->n_children, i = 0;
    const struct json **sorted = memory_new(n, sizeof(struct json *));
    for (const struct json *m = object->first; m; m = m->next) sorted[i++] = m;
    qsort(sorted, n, sizeof *sorted, by_key);
    bool repeated = false;
    for (i = 1; i < n; i++) repeated |= slice_equal(sorted[i - 1]->key, sorted[i]->key);
    const char *comma = "";
    for (const struct json *m = object->first; m; m = m->next) {
        const struct json *last = m;
        if (repeated) {
            const struct json **found = bsearch(&m, sorted, n, sizeof *sorted, by_key);
            size_t at = (size_t)(found - sorted);
            if (at > 0 && slice_equal(sorted[at - 1]->key, m->key)) continue;
            while (at + 1 < n && slice_equal(sorted[at + 1]->key, m->key)) at++;
            last = sorted[at];
        }
        buffer_add_text(out, comma);
        json_add_string(out, m->key);
        buffer_add(out, ":", 1);
        json_add_compact(out, last);
        comma = ",";
    }
    free(sorted);
}

void json_add_compact(struct buffer *out, const struct json *value) {
    if (value->type == JSON_STRING) {
        struct arena arena = {0};
        json_add_string(out, json_string(value, &arena));
        arena_clear(&arena);
    } else if (value->type == JSON_NUMBER) {
        add_number(out, value);
    } else if (value->type == JSON_ARRAY) {
        buffer_add(out, "[", 1);
        for (const struct json *c = value->first; c; c = c->next) {
            json_add_compact(out, c);
            if (c->next) buffer_add(out, ",", 1);
        }
        buffer_add(out, "]", 1);
    } else if (value->type == JSON_OBJECT) {
        buffer_add(out, "{", 1);
        add_members(out, value);
        buffer_add(out, "}", 1);
    } else {
        buffer_add_slice(out, value->text);
    }
}

static void add_escaped(struct buffer *out, struct slice text) {
    static const char hex[] = "0123456789abcdef";
    size_t plain = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        buffer_add(out, text.ptr + plain, i - plain);
        plain = i + 1;
        const char *at = c ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", c) : NULL;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        if (at) escape[1] = at[1];
        buffer_add(out, escape, at ? 2 : 6);
    }
    if (plain < text.len) buffer_add(out, text.ptr + plain, text.len - plain);
}

void json_add_string(struct buffer *out, struct slice text) {
    buffer_add(out, "\"", 1);
    if (utf8_valid_prefix(text) == text.len) {
        add_escaped(out, text);
    } else {
        struct buffer whole = {0};
        utf8_add_lossy(&whole, text);
        add_escaped(out, buffer_slice(&whole));
        buffer_free(&whole);
    }
    buffer_add(out, "\"", 1);
}

void json_add_float(struct buffer *out, float value) {
    if (value - value != 0)
        buffer_add_text(out, "null");
    else if (value == 0)
        buffer_add_text(out,
                        signbit(value) ? "-0.0" : "0"); // "-0" would be an integer, without sign
    else
        buffer_printf(out, "%.9g", (double)value);
}

// A power of two has a smaller gap below it than above, so that the nearest text of n digits can
// read back to less while the next one up reads back. Puts that one into `digits`.
static bool step_up_reads_back(char digits[40], double value) {
    char next[40];
    int exponent;
    if (fabs(frexp(value, &exponent)) != 0.5) return false;
    memcpy(next, digits, sizeof next);
    char *p = strchr(next, 'e') - 1;
    for (; p > next && (*p == '9' || *p == '.'); p--)
        if (*p == '9') *p = '0';
    if (*p < '0' || *p >= '9' || (++*p, strtod(next, NULL) != value)) return false;
    memcpy(digits, next, sizeof next);
    return true;
}

// Python's repr: the fewest digits that read back; an exponent below 1e-4 and from 1e16 on.
static void write_shortest(char digits[40], double value) {
    int n = 0;
    for (; n < 17; n++) {
        snprintf(digits, 40, "%.*e", n, value);
        if (strtod(digits, NULL) == value || step_up_reads_back(digits, value)) break;
    }
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent >= -4 && exponent < 16) // no power of two is stepped up here
        snprintf(digits, 40, "%.*f", n > exponent ? n - exponent : 1, value);
}

void json_add_double(struct buffer *out, double value) {
    char digits[40];
    if (value - value != 0) {
        buffer_add_text(out, "null");
        return;
    }
    if (value == 0 || value == 1) { // most rewards
        buffer_add_text(out, value == 1 ? "1.0" : signbit(value) ? "-0.0" : "0.0");
        return;
    }
    locale_t before = locale_enter();
    write_shortest(digits, value);
    locale_leave(before);
    buffer_add_text(out, digits);
}
