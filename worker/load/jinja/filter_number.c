// Filters whose object is a number, or becomes one.
#include <math.h>

#include "worker/load/jinja/arith.h"
#include "worker/load/jinja/filter.h"
#include "worker/load/jinja/iterator.h"
#include "worker/load/jinja/text_value.h"

static struct value real_value(double real) {
    return (struct value){.type = VALUE_FLOAT, .real = real};
}

int filter_abs(struct run *r, struct value self, const struct args *args, struct value *out) {
    (void)args;
    if (self.type == VALUE_UNDEFINED) return value_fail_undefined(r, self);
    if (!value_is_number(self) || self.type == VALUE_BIG)
        return run_fail(r, "abs of %s is not supported.", value_type_name(self));
    bool negative = self.type == VALUE_FLOAT ? signbit(self.real) : value_integer(self) < 0;
    return negative ? arith_negative(r, self, out) : arith_positive(r, self, out);
}

// ---- numbers in text, by the rules of Python's int() and float()

enum reading { READ_NOTHING, READ_NUMBER, READ_NOT_FINITE };

// Decimal digits with single underscores between them, from `at` on: appended to `out`.
static size_t take_digits(struct slice s, size_t at, struct buffer *out) {
    size_t start = at;
    while (at < s.len) {
        if (s.ptr[at] == '_' && at > start && at + 1 < s.len && s.ptr[at + 1] >= '0' &&
            s.ptr[at + 1] <= '9' && s.ptr[at - 1] != '_') {
            at++;
            continue;
        }
        if (s.ptr[at] < '0' || s.ptr[at] > '9') break;
        buffer_add(out, s.ptr + at++, 1);
    }
    return at;
}

static size_t take_sign(struct slice s, size_t at, struct buffer *out) {
    if (at == s.len || (s.ptr[at] != '+' && s.ptr[at] != '-')) return at;
    if (s.ptr[at] == '-') buffer_add(out, "-", 1);
    return at + 1;
}

static bool is_word(struct slice s, const char *lower) {
    if (s.len != strlen(lower)) return false;
    for (size_t i = 0; i < s.len; i++)
        if ((s.ptr[i] | 0x20) != lower[i]) return false;
    return true;
}

static bool is_not_finite(struct slice s) {
    if (s.len && (s.ptr[0] == '+' || s.ptr[0] == '-')) s = (struct slice){s.ptr + 1, s.len - 1};
    return is_word(s, "inf") || is_word(s, "infinity") || is_word(s, "nan");
}

// Appends the number as JSON writes it; false when the text is none.
static bool plain_float(struct slice s, struct buffer *out) {
    size_t at = take_sign(s, 0, out), before = out->len;
    at = take_digits(s, at, out);
    bool has_whole = out->len > before;
    if (!has_whole) buffer_add(out, "0", 1);
    if (at < s.len && s.ptr[at] == '.') {
        buffer_add(out, ".", 1);
        before = out->len;
        at = take_digits(s, at + 1, out);
        if (out->len > before)
            has_whole = true;
        else
            out->len--; // "1." has no fraction
    }
    if (!has_whole) return false;
    if (at < s.len && (s.ptr[at] == 'e' || s.ptr[at] == 'E')) {
        buffer_add(out, "e", 1);
        at = take_sign(s, at + 1, out);
        before = out->len;
        at = take_digits(s, at, out);
        if (out->len == before) return false;
    }
    return at == s.len;
}

static enum reading read_float(struct slice s, double *out) {
    struct buffer text = {0};
    s = pystr_strip(s, PYSTR_LEFT | PYSTR_RIGHT, NULL);
    if (is_not_finite(s)) return READ_NOT_FINITE;
    bool is_number = plain_float(s, &text);
    struct json json = {.type = JSON_NUMBER, .text = buffer_slice(&text)};
    enum reading reading = !is_number                ? READ_NOTHING
                           : json_double(&json, out) ? READ_NOT_FINITE
                                                     : READ_NUMBER;
    buffer_free(&text);
    return reading;
}

// Also of more than 64 bits.
static int integer_of_digits(struct run *r, struct slice digits, struct value *out) {
    bool negative = digits.len && digits.ptr[0] == '-';
    struct buffer text = {0};
    size_t at = negative;
    while (at + 1 < digits.len && digits.ptr[at] == '0') at++;
    if (negative) buffer_add(&text, "-", 1);
    buffer_add(&text, digits.ptr + at, digits.len - at);
    struct json json = {.type = JSON_NUMBER, .text = buffer_slice(&text)};
    int failed = value_from_json(r, &json, out);
    buffer_free(&text);
    return failed;
}

static int read_integer(struct run *r, struct slice s, bool *found, struct value *out) {
    struct buffer digits = {0};
    int failed = 0;
    s = pystr_strip(s, PYSTR_LEFT | PYSTR_RIGHT, NULL);
    size_t start = take_sign(s, 0, &digits), end = take_digits(s, start, &digits);
    *found = end > start && end == s.len;
    if (*found) failed = integer_of_digits(r, buffer_slice(&digits), out);
    buffer_free(&digits);
    return failed;
}

static int integer_of_real(struct run *r, double real, struct value *out) {
    if (fabs(real) >= 0x1p62) return run_fail(r, "int of a float beyond 64 bits is not supported.");
    *out = value_int((int64_t)real);
    return 0;
}

static int needs_ascii(struct run *r, struct value text) {
    if (pystr_is_ascii(value_slice(text))) return run_spend_many(r, text.size >> 8);
    return run_fail(r, "a number is read from text that is not ASCII.");
}

int filter_int(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value base = callable_argument(args, 1, value_int(10));
    double real;
    bool found;
    if (self.type == VALUE_UNDEFINED) return value_fail_undefined(r, self);
    if (value_is_integer(self) || self.type == VALUE_BIG) {
        *out = self.type == VALUE_BOOL ? value_int(self.boolean) : self;
        return 0;
    }
    if (self.type == VALUE_FLOAT) return integer_of_real(r, self.real, out);
    *out = callable_argument(args, 0, value_int(0));
    if (!value_is_string(self)) {
        if (self.type == VALUE_NONE || value_is_sequence(self) || self.type == VALUE_DICT) return 0;
        return run_fail(r, "int of %s is not supported.", value_type_name(self));
    }
    if (base.type != VALUE_INT || base.integer != 10)
        return run_fail(r, "int with another base than 10 is not supported.");
    if (needs_ascii(r, self)) return -1;
    struct value otherwise = *out;
    if (read_integer(r, value_slice(self), &found, out)) return -1;
    if (found) return 0;
    if (read_float(value_slice(self), &real) == READ_NUMBER) return integer_of_real(r, real, out);
    *out = otherwise;
    return 0;
}

static int real_of_integer(struct run *r, int64_t integer, struct value *out) {
    const int64_t exact = (int64_t)1 << 53;
    if (integer > exact || integer < -exact)
        return run_fail(r, "an integer of more than 53 bits becomes a float.");
    *out = real_value((double)integer);
    return 0;
}

int filter_float(struct run *r, struct value self, const struct args *args, struct value *out) {
    double real;
    *out = callable_argument(args, 0, real_value(0));
    if (self.type == VALUE_FLOAT) {
        *out = self;
    } else if (value_is_integer(self)) {
        return real_of_integer(r, value_integer(self), out);
    } else if (value_is_string(self)) {
        if (needs_ascii(r, self)) return -1;
        enum reading reading = read_float(value_slice(self), &real);
        if (reading == READ_NOT_FINITE) return run_fail(r, "float of a text is not finite.");
        if (reading == READ_NUMBER) *out = real_value(real);
    } else if (self.type == VALUE_UNDEFINED) {
        return value_fail_undefined(r, self);
    } else if (self.type != VALUE_NONE && !value_is_sequence(self) && self.type != VALUE_DICT) {
        return run_fail(r, "float of %s is not supported.", value_type_name(self));
    }
    return 0;
}

// ---- round and sum

int filter_round(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value precision = callable_argument(args, 0, value_int(0));
    struct slice method;
    if (text_argument(r, callable_argument(args, 1, value_string(slice_of("common"))),
                      "round's method", &method))
        return -1;
    bool common = slice_is(method, "common"), up = slice_is(method, "ceil");
    if (!common && !up && !slice_is(method, "floor"))
        return run_fail(r, "round's method is '%.*s', expected common, ceil or floor.",
                        SLICE_ARG(method));
    if (self.type == VALUE_UNDEFINED) return value_fail_undefined(r, self);
    if (precision.type != VALUE_INT || precision.integer != 0)
        return run_fail(r, "round to another precision than 0 is not supported.");
    if (value_is_integer(self) && common) {
        *out = value_int(value_integer(self));
        return 0;
    }
    if (value_is_integer(self)) return real_of_integer(r, value_integer(self), out);
    if (self.type != VALUE_FLOAT || fabs(self.real) > 0x1p53)
        return run_fail(r, "round of %s is not supported.", value_type_name(self));
    double rounded = common ? rint(self.real) : up ? ceil(self.real) : floor(self.real);
    *out = real_value(common ? rounded : (double)(int64_t)rounded);
    return 0;
}

int filter_sum(struct run *r, struct value self, const struct args *args, struct value *out) {
    struct value attribute = callable_argument(args, 0, value_none()), item;
    struct iterator *it;
    bool done, has_float = false;
    struct value total = callable_argument(args, 1, value_int(0));
    if (value_is_string(total)) return run_fail(r, "sum starts with a string.");
    if (iterator_of(r, self, &it)) return -1;
    for (int n = 0;; n++) {
        if (iterator_next(r, it, &item, &done)) return -1;
        if (done) break;
        if (filter_attribute(r, item, attribute, &item)) return -1;
        has_float |= item.type == VALUE_FLOAT || total.type == VALUE_FLOAT;
        if (has_float && n > 0) // Python adds them in another way from 3.12 on
            return run_fail(r, "sum of several floats is not supported.");
        if (arith_binary(r, ARITH_ADD, total, item, &total)) return -1;
    }
    *out = total;
    return 0;
}
