// As activation.c, the same bits.
#include <arm_neon.h>
#include <string.h>

#include "kernels/types/types.h"

static uint32_t largest_bits(const float32x4_t v[8]) {
    uint32x4_t m = vreinterpretq_u32_f32(vabsq_f32(v[0]));
    for (int i = 1; i < 8; i++) m = vmaxq_u32(m, vreinterpretq_u32_f32(vabsq_f32(v[i])));
    return vmaxvq_u32(m);
}

// 16 whole numbers as bytes, and their sum.
static int32_t narrow(const float32x4_t v[4], float per_unit, int8_t *out) {
    int16x4_t h[4];
    for (int i = 0; i < 4; i++) h[i] = vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(v[i], per_unit)));
    int8x8_t low = vmovn_s16(vcombine_s16(h[0], h[1]));
    int8x16_t q = vcombine_s8(low, vmovn_s16(vcombine_s16(h[2], h[3])));
    vst1q_s8(out, q);
    return vaddlvq_s8(q);
}

void type_activate_neon(const float *x, int n, struct activation *out) {
    for (int i = 0; i < n / TYPE_RUN; i++) {
        float32x4_t v[8]; // out may lie over x
        for (int k = 0; k < 8; k++) v[k] = vld1q_f32(x + i * TYPE_RUN + 4 * k);
        uint32_t bits = largest_bits(v);
        float largest;
        memcpy(&largest, &bits, 4);
        if (bits >= 0x7f800000u || largest <= 1e-30f) {
            type_activate_portable(x + i * TYPE_RUN, TYPE_RUN, &out[i]);
            continue;
        }
        float per_unit = 127.0f / largest;
        int32_t low = narrow(v, per_unit, out[i].q), high = narrow(v + 4, per_unit, out[i].q + 16);
        activation_set_sums(&out[i], largest, low, high);
    }
}
