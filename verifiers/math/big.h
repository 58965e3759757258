// Natural numbers with a fixed budget, for exact comparison of rational numbers.
//
// Operands have at most BIG_OPERAND_BITS; a product of two and a carry fit. What does not fit makes
// a function return false, which the caller turns into the verdict `limit`: nothing wraps.
#ifndef VERIFIERS_MATH_BIG_H
#define VERIFIERS_MATH_BIG_H

#include <stdbool.h>
#include <stdint.h>

enum { BIG_OPERAND_BITS = 2048, BIG_LIMBS = 2 * BIG_OPERAND_BITS / 32 + 2 };

struct big {
    int n;                    // used limbs; 0 is the number zero
    uint32_t limb[BIG_LIMBS]; // least significant first; limb[n - 1] != 0
};

void big_set(struct big *a, uint32_t value);
bool big_is_operand(const struct big *a);                      // at most BIG_OPERAND_BITS
bool big_scale(struct big *a, uint32_t factor, uint32_t plus); // a = a * factor + plus
bool big_scale_pow10(struct big *a, int exponent);             // a = a * 10^exponent
bool big_add(struct big *out, const struct big *a, const struct big *b);
void big_sub(struct big *out, const struct big *a, const struct big *b); // needs a >= b
// out = a * b; `out` is neither of them.
bool big_mul(struct big *out, const struct big *a, const struct big *b);
int big_compare(const struct big *a, const struct big *b); // -1, 0, 1
// Divides by a small number in place and returns the remainder.
uint32_t big_divide(struct big *a, uint32_t divisor);
// a mod b by shift and subtract; b is not zero.
void big_mod(struct big *out, const struct big *a, const struct big *b);

#endif
