#include "kernels/cpu/softmax.h"

#include "kernels/math.h"

bool softmax_is_finite_portable(int n, const float *x) {
    bool finite = true;
    for (int i = 0; i < n; i++) finite &= (bool)math_is_finite(x[i]);
    return finite;
}

void softmax_divide_portable(int n, const float *x, float divisor, float *out) {
    for (int i = 0; i < n; i++) out[i] = x[i] / divisor;
}

float softmax_max_portable(int n, const float *x) {
    float max = x[0];
    for (int i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

double softmax_sum_portable(int n, const float *x, float max) {
    double s[8] = {0};
    for (int i = 0; i < n; i++) s[i & 7] += (double)math_exp(x[i] - max);
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

struct softmax softmax_of(const struct isa *isa, int n, const float *x) {
    float max = isa->softmax_max(n, x);
    return (struct softmax){max, math_log64(isa->softmax_sum(n, x, max))};
}

float softmax_log(const struct softmax *s, float x) {
    return (float)((double)x - (double)s->max - s->log_sum);
}
