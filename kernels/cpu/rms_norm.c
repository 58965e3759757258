#include "kernels/cpu/rms_norm.h"

#include "kernels/math.h"

void rms_norm_portable(int n, const float *x, const float *w, float eps, float *out) {
    float s[8] = {0};
    for (int i = 0; i < n; i++) s[i & 7] += x[i] * x[i];
    float sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    float scale = 1.0f / math_sqrt(sum / (float)n + eps);
    for (int i = 0; i < n; i++) out[i] = x[i] * scale * w[i];
}
