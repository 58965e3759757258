#include "kernels/cpu/rope.h"

#include "kernels/math.h"

void rope_frequencies(float theta, int head_dim, float *out) {
    for (int d = 0; d < head_dim / 2; d++) out[d] = math_inverse_frequency(theta, d, head_dim);
}

void rope_table(const float *frequencies, int head_dim, int position, float *cosine, float *sine) {
    for (int d = 0; d < head_dim / 2; d++)
        math_sin_cos((float)position * frequencies[d], &sine[d], &cosine[d]);
}

void rope_apply(int head_dim, const float *cosine, const float *sine, float *x) {
    int half = head_dim / 2;
    for (int d = 0; d < half; d++) {
        float a = x[d], b = x[d + half];
        x[d] = a * cosine[d] - b * sine[d];
        x[d + half] = b * cosine[d] + a * sine[d];
    }
}
