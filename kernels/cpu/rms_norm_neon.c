#include "kernels/cpu/rms_norm.h"

#include "kernels/cpu/neon.h"
#include "kernels/math.h"

void rms_norm_neon(int n, const float *x, const float *w, float eps, float *out) {
    lanes8 sum = lanes8_set(0);
    int i = 0;
    for (; i + 8 <= n; i += 8) {
        lanes8 v = lanes8_load(DTYPE_F32, x + i);
        sum = lanes8_add(sum, lanes8_mul(v, v));
    }
    if (i < n) {
        float tail[8] = {0};
        memcpy(tail, x + i, (size_t)(n - i) * sizeof *x);
        lanes8 v = lanes8_load(DTYPE_F32, tail);
        sum = lanes8_add(sum, lanes8_mul(v, v));
    }
    float scale = 1.0f / math_sqrt(lanes8_sum(sum) / (float)n + eps);
    for (i = 0; i + 8 <= n; i += 8) {
        lanes8 v = lanes8_mul(lanes8_load(DTYPE_F32, x + i), lanes8_set(scale));
        lanes8_store(out + i, lanes8_mul(v, lanes8_load(DTYPE_F32, w + i)));
    }
    for (; i < n; i++) out[i] = x[i] * scale * w[i];
}
