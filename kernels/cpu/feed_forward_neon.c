#include "kernels/cpu/feed_forward.h"

#include "kernels/cpu/neon.h"

void feed_forward_swiglu_neon(int n, const float *gate, const float *up, float *out) {
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t g = vld1q_f32(gate + i), e = neon_exp(vnegq_f32(g));
        float32x4_t s = vdivq_f32(g, vaddq_f32(vdupq_n_f32(1.0f), e));
        vst1q_f32(out + i, vmulq_f32(s, vld1q_f32(up + i)));
    }
    feed_forward_swiglu_portable(n - i, gate + i, up + i, out + i);
}
