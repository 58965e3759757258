#include "verifiers/math/big.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

void big_set(struct big *a, uint32_t value) {
    a->n = value != 0;
    a->limb[0] = value;
}

bool big_is_operand(const struct big *a) {
    return a->n <= BIG_OPERAND_BITS / 32;
}

bool big_scale(struct big *a, uint32_t factor, uint32_t plus) {
    uint64_t carry = plus;
    for (int i = 0; i < a->n; i++) {
        carry += (uint64_t)a->limb[i] * factor;
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) {
        if (a->n == BIG_LIMBS) return false;
        a->limb[a->n++] = (uint32_t)carry;
    }
    while (a->n > 0 && a->limb[a->n - 1] == 0) a->n--;
    return true;
}

bool big_scale_pow10(struct big *a, int exponent) {
    for (; exponent >= 9; exponent -= 9)
        if (!big_scale(a, 1000000000, 0)) return false;
    for (; exponent > 0; exponent--)
        if (!big_scale(a, 10, 0)) return false;
    return true;
}

bool big_add(struct big *out, const struct big *a, const struct big *b) {
    const int n = a->n > b->n ? a->n : b->n;
    uint64_t carry = 0;
    for (int i = 0; i < n; i++) {
        carry += (uint64_t)(i < a->n ? a->limb[i] : 0) + (i < b->n ? b->limb[i] : 0);
        out->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    out->n = n;
    if (carry == 0) return true;
    if (n == BIG_LIMBS) return false;
    out->limb[out->n++] = (uint32_t)carry;
    return true;
}

void big_sub(struct big *out, const struct big *a, const struct big *b) {
    uint64_t borrow = 0;
    const int n = a->n;
    for (int i = 0; i < n; i++) {
        const uint64_t minus = (uint64_t)(i < b->n ? b->limb[i] : 0) + borrow;
        borrow = a->limb[i] < minus;
        out->limb[i] = (uint32_t)(a->limb[i] - minus);
    }
    assert(borrow == 0);
    out->n = n;
    while (out->n > 0 && out->limb[out->n - 1] == 0) out->n--;
}

bool big_mul(struct big *out, const struct big *a, const struct big *b) {
    if (a->n == 0 || b->n == 0) {
        big_set(out, 0);
        return true;
    }
    if (a->n + b->n > BIG_LIMBS) return false;
    out->n = a->n + b->n;
    memset(out->limb, 0, (size_t)out->n * sizeof out->limb[0]);
    for (int i = 0; i < a->n; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < b->n; j++) {
            carry += (uint64_t)a->limb[i] * b->limb[j] + out->limb[i + j];
            out->limb[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        out->limb[i + b->n] = (uint32_t)carry;
    }
    while (out->n > 0 && out->limb[out->n - 1] == 0) out->n--;
    return true;
}

int big_compare(const struct big *a, const struct big *b) {
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    for (int i = a->n - 1; i >= 0; i--)
        if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

uint32_t big_divide(struct big *a, uint32_t divisor) {
    uint64_t rest = 0;
    for (int i = a->n - 1; i >= 0; i--) {
        rest = rest << 32 | a->limb[i];
        a->limb[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    while (a->n > 0 && a->limb[a->n - 1] == 0) a->n--;
    return (uint32_t)rest;
}

void big_mod(struct big *out, const struct big *a, const struct big *b) {
    assert(b->n > 0 && big_is_operand(b));
    big_set(out, 0);
    for (int bit = a->n * 32 - 1; bit >= 0; bit--) {
        big_scale(out, 2, a->limb[bit / 32] >> bit % 32 & 1);
        if (big_compare(out, b) >= 0) big_sub(out, out, b);
    }
}
