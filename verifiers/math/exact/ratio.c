// Rational values of small trees in 64-bit integers: the commonest check, without any library.
#include <assert.h>

#include "verifiers/math/exact/exact.h"

static int64_t gcd(int64_t a, int64_t b) {
    while (b) {
        const int64_t r = a % b;
        a = b;
        b = r;
    }
    return a < 0 ? -a : a;
}

static bool make(int64_t num, int64_t den, struct ratio *out) {
    if (den == 0 || num == INT64_MIN || den == INT64_MIN) return false;
    const int64_t g = gcd(num, den);
    *out = (struct ratio){num / g, den / g};
    if (out->den < 0) *out = (struct ratio){-out->num, -out->den};
    assert(out->den > 0);
    return true;
}

static bool add(struct ratio a, struct ratio b, struct ratio *out) {
    int64_t left, right, num, den;
    return !__builtin_mul_overflow(a.num, b.den, &left) &&
           !__builtin_mul_overflow(b.num, a.den, &right) &&
           !__builtin_add_overflow(left, right, &num) &&
           !__builtin_mul_overflow(a.den, b.den, &den) && make(num, den, out);
}

static bool multiply(struct ratio a, struct ratio b, struct ratio *out) {
    int64_t num, den;
    return !__builtin_mul_overflow(a.num, b.num, &num) &&
           !__builtin_mul_overflow(a.den, b.den, &den) && make(num, den, out);
}

static bool ten_to(int exponent, int64_t *out) {
    *out = 1;
    if (exponent > 18) return false;
    while (exponent-- > 0) *out *= 10;
    return true;
}

static bool literal(const struct math_node *node, struct ratio *out) {
    int64_t all = 0, head = 0, ten;
    if (node->text.len > 17) return false;
    for (size_t i = 0; i < node->text.len; i++) {
        all = all * 10 + (node->text.ptr[i] - '0');
        if (i + 1 + (size_t)node->repeat == node->text.len) head = all;
    }
    if (node->repeat == 0) {
        const bool up = node->exponent > 0;
        if (!ten_to(up ? node->exponent : -node->exponent, &ten)) return false;
        if (!up) return make(all, ten, out);
        return !__builtin_mul_overflow(all, ten, &all) && make(all, 1, out);
    }
    int64_t nines, scale;
    if (node->exponent > 0 || !ten_to(node->repeat, &nines)) return false;
    if (!ten_to(-node->exponent - node->repeat, &scale)) return false;
    if (__builtin_mul_overflow(nines - 1, scale, &nines)) return false;
    return make(all - head, nines, out);
}

static bool power(const struct math_node *node, struct ratio *out) {
    struct ratio base, exponent;
    if (!ratio_of(node->kids[0], &base) || !ratio_of(node->kids[1], &exponent)) return false;
    if (exponent.den != 1 || exponent.num > 62 || exponent.num < -62) return false;
    if (exponent.num < 0 && !make(base.den, base.num, &base)) return false;
    if (exponent.num == 0 && base.num == 0) return false;
    int64_t n = exponent.num < 0 ? -exponent.num : exponent.num;
    *out = (struct ratio){1, 1};
    while (n-- > 0)
        if (!multiply(*out, base, out)) return false;
    return true;
}

static bool fold(const struct math_node *node, bool product, struct ratio *out) {
    struct ratio part;
    *out = product ? (struct ratio){1, 1} : (struct ratio){0, 1};
    for (int i = 0; i < node->n; i++) {
        if (!ratio_of(node->kids[i], &part)) return false;
        if (!(product ? multiply(*out, part, out) : add(*out, part, out))) return false;
    }
    return true;
}

bool ratio_of(const struct math_node *node, struct ratio *out) {
    switch (node->kind) {
    case MATH_NUMBER:
        return literal(node, out);
    case MATH_ADD:
    case MATH_MIXED:
        return fold(node, false, out);
    case MATH_MUL:
        if (!fold(node, true, out)) return false;
        if (node->n == 1) out->num = -out->num;
        return true;
    case MATH_POW:
        return power(node, out);
    case MATH_PERCENT:
        return ratio_of(node->kids[0], out) && multiply(*out, (struct ratio){1, 100}, out);
    default:
        return false;
    }
}
