#include "worker/load/jinja/arith.h"

#include <math.h>

#include "worker/load/jinja/pystr.h"
#include "worker/load/jinja/repr.h"

static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "**"};

static int no_operation(struct run *r, enum arith_op op, struct value a, struct value b) {
    return run_fail(r, "%s %s %s is not defined.", value_type_name(a), signs[op],
                    value_type_name(b));
}

static int too_large(struct run *r, enum arith_op op) {
    return run_fail(r, "the result of %s does not fit into 64 bits.", signs[op]);
}

static int by_zero(struct run *r) {
    return run_fail(r, "a division by zero.");
}

// ---- integers

// Rounded to minus infinity, with the remainder's sign that of b. b is not zero.
static int64_t floor_div(int64_t a, int64_t b, int64_t *rest) {
    int64_t quotient = a / b;
    *rest = a % b;
    if (*rest != 0 && (*rest < 0) != (b < 0)) {
        quotient--;
        *rest += b;
    }
    return quotient;
}

static int power(struct run *r, int64_t base, int64_t exponent, struct value *out) {
    int64_t result = 1;
    if (exponent < 0) return run_fail(r, "the exponent of ** is negative.");
    if (base >= -1 && base <= 1 && exponent > 2) exponent = 2 - exponent % 2; // same sign
    for (int64_t i = 0; i < exponent; i++)
        if (__builtin_mul_overflow(result, base, &result)) return too_large(r, ARITH_POW);
    *out = value_int(result);
    return 0;
}

static int divide(struct run *r, int64_t a, int64_t b, struct value *out) {
    const int64_t exact = (int64_t)1 << 53;
    if (b == 0) return by_zero(r);
    if (a > exact || a < -exact || b > exact || b < -exact)
        return run_fail(r, "an integer of more than 53 bits is divided.");
    *out = (struct value){.type = VALUE_FLOAT, .real = (double)a / (double)b};
    return 0;
}

static int integers(struct run *r, enum arith_op op, int64_t a, int64_t b, struct value *out) {
    int64_t result = 0, rest;
    bool overflow = false;
    switch (op) {
    case ARITH_ADD:
        overflow = __builtin_add_overflow(a, b, &result);
        break;
    case ARITH_SUB:
        overflow = __builtin_sub_overflow(a, b, &result);
        break;
    case ARITH_MUL:
        overflow = __builtin_mul_overflow(a, b, &result);
        break;
    case ARITH_DIV:
        return divide(r, a, b, out);
    case ARITH_POW:
        return power(r, a, b, out);
    default:
        if (b == 0) return by_zero(r);
        overflow = b == -1 && a == INT64_MIN;
        if (!overflow) result = floor_div(a, b, &rest);
        if (!overflow && op == ARITH_MOD) result = rest;
    }
    if (overflow) return too_large(r, op);
    *out = value_int(result);
    return 0;
}

// ---- floats

static int as_real(struct run *r, struct value v, double *out) {
    const int64_t exact = (int64_t)1 << 53;
    if (v.type == VALUE_FLOAT) {
        *out = v.real;
        return 0;
    }
    int64_t integer = value_integer(v);
    if (v.type == VALUE_BIG || integer > exact || integer < -exact)
        return run_fail(r, "an integer of more than 53 bits meets a float.");
    *out = (double)integer;
    return 0;
}

// The quotient rounded down and the remainder, as Python's float_floor_div and float_rem find
// them. b is not zero.
static double floor_div_real(double a, double b, double *rest) {
    double mod = fmod(a, b), quotient = (a - mod) / b;
    if (mod != 0) {
        if ((b < 0) != (mod < 0)) {
            mod += b;
            quotient -= 1;
        }
    } else {
        mod = copysign(0.0, b);
    }
    *rest = mod;
    if (quotient == 0) return copysign(0.0, a / b);
    double floored = floor(quotient);
    return quotient - floored > 0.5 ? floored + 1 : floored;
}

static int reals(struct run *r, enum arith_op op, struct value left, struct value right,
                 struct value *out) {
    double a = 0, b = 0, result, rest = 0;
    if (as_real(r, left, &a) || as_real(r, right, &b)) return -1;
    if (op == ARITH_POW) return run_fail(r, "** of a float is not supported.");
    if (op >= ARITH_DIV && b == 0) return by_zero(r);
    switch (op) {
    case ARITH_ADD:
        result = a + b;
        break;
    case ARITH_SUB:
        result = a - b;
        break;
    case ARITH_MUL:
        result = a * b;
        break;
    case ARITH_DIV:
        result = a / b;
        break;
    default:
        result = floor_div_real(a, b, &rest);
        if (op == ARITH_MOD) result = rest;
    }
    if (!isfinite(result)) return run_fail(r, "the result of %s is not finite.", signs[op]);
    *out = (struct value){.type = VALUE_FLOAT, .real = result};
    return 0;
}

static int numbers(struct run *r, enum arith_op op, struct value a, struct value b,
                   struct value *out) {
    if (value_is_integer(a) && value_is_integer(b))
        return integers(r, op, value_integer(a), value_integer(b), out);
    if (a.type == VALUE_FLOAT || b.type == VALUE_FLOAT) return reals(r, op, a, b, out);
    return run_fail(r, "%s of an integer of more than 64 bits is not supported.", signs[op]);
}

// ---- strings and lists

static int join_texts(struct run *r, struct value a, struct value b, struct value *out) {
    bool markup = a.markup || b.markup;
    if (markup && (arith_escape(r, a, &a) || arith_escape(r, b, &b))) return -1;
    size_t n = (size_t)a.size + b.size;
    if (n > RUN_MAX_TEXT) return run_fail(r, "a string has more than %d MiB.", RUN_MAX_TEXT >> 20);
    char *text = run_take(r, n, 1);
    if (!text || run_spend_many(r, n >> 10)) return -1;
    if (a.size) memcpy(text, a.text, a.size);
    if (b.size) memcpy(text + a.size, b.text, b.size);
    *out = value_string((struct slice){text, n});
    out->markup = markup;
    return 0;
}

static int join_lists(struct run *r, struct value a, struct value b, struct value *out) {
    struct value *items = value_new_list(r, a.type, a.list->n + b.list->n, out);
    if (!items || run_spend_many(r, (a.list->n + b.list->n) >> 6)) return -1;
    if (a.list->n) memcpy(items, a.list->items, a.list->n * sizeof *items);
    if (b.list->n) memcpy(items + a.list->n, b.list->items, b.list->n * sizeof *items);
    return 0;
}

static int repeat(struct run *r, struct value v, int64_t times, struct value *out) {
    size_t n = v.type == VALUE_STRING ? v.size : v.list->n, total;
    if (times < 0) times = 0;
    if (__builtin_mul_overflow(n, (size_t)times, &total) || total > RUN_MAX_TEXT)
        return run_fail(r, "the result of * is too long.");
    if (run_spend_many(r, total >> 6)) return -1;
    if (v.type == VALUE_STRING) {
        char *text = run_take(r, total, 1);
        if (!text) return -1;
        for (size_t i = 0; i < total; i += n) memcpy(text + i, v.text, n);
        bool markup = v.markup;
        *out = value_string((struct slice){text, total});
        out->markup = markup;
        return 0;
    }
    struct value *items = value_new_list(r, v.type, total, out);
    if (!items) return -1;
    for (size_t i = 0; i < total; i += n) memcpy(items + i, v.list->items, n * sizeof *items);
    return 0;
}

static bool is_repeatable(struct value v) {
    return value_is_string(v) || value_is_sequence(v);
}

static int format_one(struct run *r, struct value format, struct value b, struct value *out) {
    if (b.type == VALUE_TUPLE) return arith_format(r, format, b.list->items, b.list->n, out);
    if (b.type == VALUE_DICT || b.type == VALUE_LIST)
        return run_fail(r, "%s is formatted by %%; expected a string, a number or a tuple.",
                        value_type_name(b));
    return arith_format(r, format, &b, 1, out);
}

int arith_binary(struct run *r, enum arith_op op, struct value a, struct value b,
                 struct value *out) {
    if (a.type == VALUE_STRING && op == ARITH_MOD) return format_one(r, a, b, out);
    if (a.type == VALUE_UNDEFINED || b.type == VALUE_UNDEFINED)
        return value_fail_undefined(r, a.type == VALUE_UNDEFINED ? a : b);
    if (value_is_number(a) && value_is_number(b)) return numbers(r, op, a, b, out);
    if (op == ARITH_ADD && value_is_string(a) && value_is_string(b))
        return join_texts(r, a, b, out);
    if (op == ARITH_ADD && value_is_sequence(a) && a.type == b.type)
        return join_lists(r, a, b, out);
    if (op == ARITH_MUL && is_repeatable(a) && value_is_integer(b))
        return repeat(r, a, value_integer(b), out);
    if (op == ARITH_MUL && is_repeatable(b) && value_is_integer(a))
        return repeat(r, b, value_integer(a), out);
    return no_operation(r, op, a, b);
}

int arith_negative(struct run *r, struct value v, struct value *out) {
    if (v.type == VALUE_FLOAT) {
        *out = (struct value){.type = VALUE_FLOAT, .real = -v.real};
        return 0;
    }
    if (value_is_integer(v)) return integers(r, ARITH_SUB, 0, value_integer(v), out);
    if (v.type == VALUE_UNDEFINED) return value_fail_undefined(r, v);
    return run_fail(r, "the negative of %s is not supported.", value_type_name(v));
}

int arith_positive(struct run *r, struct value v, struct value *out) {
    if (v.type == VALUE_UNDEFINED) return value_fail_undefined(r, v);
    if (!value_is_number(v)) return run_fail(r, "+ of %s is not defined.", value_type_name(v));
    *out = v.type == VALUE_BOOL ? value_int(v.boolean) : v;
    return 0;
}

// ---- text of other kinds

int arith_escape(struct run *r, struct value v, struct value *out) {
    static const char meant[] = "&<>'\"";
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    size_t from = r->out.len;
    if (value_is_string(v) && v.markup) {
        *out = v;
        return 0;
    }
    if (repr_print(r, v) || run_take_printed(r, from, &v)) return -1;
    for (size_t i = 0; i < v.size; i++) {
        const char *at = v.text[i] ? strchr(meant, v.text[i]) : NULL;
        struct slice piece = {v.text + i, 1};
        if (run_print(r, at ? slice_of(entities[at - meant]) : piece)) return -1;
    }
    if (run_take_printed(r, from, out)) return -1;
    out->markup = true;
    return 0;
}

static int format_field(struct run *r, char kind, struct value v) {
    if (kind == 's') return repr_print(r, v);
    if (kind != 'd' && kind != 'i')
        return run_fail(r, "a format has something else than %%s, %%d, %%i and %%%%.");
    if (v.type == VALUE_BOOL) v = value_int(v.boolean);
    if (v.type != VALUE_INT && v.type != VALUE_BIG)
        return run_fail(r, "%%d formats %s, expected an integer.", value_type_name(v));
    return repr_print(r, v);
}

int arith_format(struct run *r, struct value format, const struct value *values, size_t n,
                 struct value *out) {
    size_t from = r->out.len, used = 0;
    struct slice s = value_slice(format);
    if (format.markup) return run_fail(r, "text from 'safe' is formatted by %%.");
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '%') {
            if (run_print(r, (struct slice){s.ptr + i, 1})) return -1;
            continue;
        }
        if (++i == s.len) return run_fail(r, "a format ends with %%.");
        if (s.ptr[i] == '%') {
            if (run_print(r, slice_of("%"))) return -1;
        } else if (used == n) {
            return run_fail(r, "a format has more places than there are values.");
        } else if (format_field(r, s.ptr[i], values[used++])) {
            return -1;
        }
    }
    if (used < n) return run_fail(r, "a format has %zu places for %zu values.", used, n);
    return run_take_printed(r, from, out);
}
