// Sums over a row of the head: what log-probabilities are made of.
#ifndef KERNELS_CPU_SOFTMAX_H
#define KERNELS_CPU_SOFTMAX_H

#include <stdbool.h>

#include "kernels/cpu/isa.h"

bool softmax_is_finite_portable(int n, const float *x);
void softmax_divide_portable(int n, const float *x, float divisor, float *out);
float softmax_max_portable(int n, const float *x);
// Sum of e^(x - max), exponentials in float32, sums in float64 in 8 lanes (i mod 8), the lanes as
// ((0+4)+(2+6))+((1+5)+(3+7)). Entries of -infinity add 0.
double softmax_sum_portable(int n, const float *x, float max);

// The same bits.
bool softmax_is_finite_avx2(int n, const float *x);
void softmax_divide_avx2(int n, const float *x, float divisor, float *out);
float softmax_max_avx2(int n, const float *x);
double softmax_sum_avx2(int n, const float *x, float max);

// log-softmax of one entry. `log_sum` is ln of the sum of e^(x - max).
struct softmax {
    float max;
    double log_sum;
};
struct softmax softmax_of(const struct isa *isa, int n, const float *x);
float softmax_log(const struct softmax *s, float x);

#endif
