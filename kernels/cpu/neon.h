// What the *_neon.c files share; every 64-bit ARM processor has what it needs. Operations give the
// bits of the AVX2 path: 8 lanes are two vectors, exp is that of kernels/math.h without FMA.
#ifndef KERNELS_CPU_NEON_H
#define KERNELS_CPU_NEON_H

#include <arm_neon.h>
#include <stdint.h>

#include "kernels/tensor.h"

#define LANES_INLINE inline __attribute__((always_inline))
#if defined(__clang__)
#define LANES_UNROLL _Pragma("unroll")
#else
#define LANES_UNROLL _Pragma("GCC unroll 16")
#endif

typedef struct {
    float32x4_t a, b; // lanes 0..3 and 4..7
} lanes8;

// 4 values of a type, in any alignment.
static LANES_INLINE float32x4_t neon_load(enum dtype dtype, const void *p) {
    if (dtype == DTYPE_F32) return vld1q_f32(p);
    uint16x4_t h = vreinterpret_u16_u8(vld1_u8(p));
    if (dtype == DTYPE_F16) return vcvt_f32_f16(vreinterpret_f16_u16(h));
    return vreinterpretq_f32_u32(vshll_n_u16(h, 16));
}

static LANES_INLINE lanes8 lanes8_load(enum dtype dtype, const void *p) {
    const char *at = p;
    return (lanes8){neon_load(dtype, at), neon_load(dtype, at + 4 * dtype_bytes(dtype))};
}
// 8 signed bytes.
static LANES_INLINE lanes8 lanes8_load_int8(const void *p) {
    int16x8_t w = vmovl_s8(vld1_s8(p));
    return (lanes8){vcvtq_f32_s32(vmovl_s16(vget_low_s16(w))),
                    vcvtq_f32_s32(vmovl_s16(vget_high_s16(w)))};
}
static LANES_INLINE void lanes8_store(float *p, lanes8 v) {
    vst1q_f32(p, v.a);
    vst1q_f32(p + 4, v.b);
}
static LANES_INLINE lanes8 lanes8_set(float x) {
    return (lanes8){vdupq_n_f32(x), vdupq_n_f32(x)};
}
static LANES_INLINE lanes8 lanes8_add(lanes8 x, lanes8 y) {
    return (lanes8){vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b)};
}
static LANES_INLINE lanes8 lanes8_sub(lanes8 x, lanes8 y) {
    return (lanes8){vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b)};
}
static LANES_INLINE lanes8 lanes8_mul(lanes8 x, lanes8 y) {
    return (lanes8){vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b)};
}
static LANES_INLINE lanes8 lanes8_max(lanes8 x, lanes8 y) {
    return (lanes8){vmaxq_f32(x.a, y.a), vmaxq_f32(x.b, y.b)};
}
static LANES_INLINE lanes8 lanes8_fma(lanes8 x, lanes8 y, lanes8 sum) {
    return (lanes8){vfmaq_f32(sum.a, x.a, y.a), vfmaq_f32(sum.b, x.b, y.b)};
}

static LANES_INLINE float32x4_t neon_horner(float32x4_t p, float32x4_t r, float c) {
    return vaddq_f32(vmulq_f32(p, r), vdupq_n_f32(c));
}

// math_exp
static LANES_INLINE float32x4_t neon_exp(float32x4_t x) {
    x = vminq_f32(vmaxq_f32(x, vdupq_n_f32(-104.0f)), vdupq_n_f32(89.0f));
    float32x4_t magic = vdupq_n_f32(12582912.0f);
    float32x4_t t = vaddq_f32(vmulq_f32(x, vdupq_n_f32(0x1.715476p+0f)), magic);
    float32x4_t n = vsubq_f32(t, magic);
    float32x4_t r = vsubq_f32(x, vmulq_f32(n, vdupq_n_f32(0x1.62ep-1f)));
    r = vsubq_f32(r, vmulq_f32(n, vdupq_n_f32(0x1.0bfbe8p-15f)));
    float32x4_t p = vdupq_n_f32(1.0f / 5040.0f);
    p = neon_horner(p, r, 1.0f / 720.0f);
    p = neon_horner(p, r, 1.0f / 120.0f);
    p = neon_horner(p, r, 1.0f / 24.0f);
    p = neon_horner(p, r, 1.0f / 6.0f);
    p = neon_horner(p, r, 0.5f);
    p = vaddq_f32(vmulq_f32(p, vmulq_f32(r, r)), r);
    p = vaddq_f32(p, vdupq_n_f32(1.0f));
    int32x4_t k = vsubq_s32(vreinterpretq_s32_f32(t), vdupq_n_s32(0x4b400000));
    int32x4_t half = vshrq_n_s32(k, 1), one = vdupq_n_s32(127);
    int32x4_t a = vshlq_n_s32(vaddq_s32(half, one), 23);
    int32x4_t b = vshlq_n_s32(vaddq_s32(vsubq_s32(k, half), one), 23);
    p = vmulq_f32(p, vreinterpretq_f32_s32(a));
    return vmulq_f32(p, vreinterpretq_f32_s32(b));
}
static LANES_INLINE lanes8 lanes8_exp(lanes8 x) {
    return (lanes8){neon_exp(x.a), neon_exp(x.b)};
}

// ((0+4)+(2+6))+((1+5)+(3+7))
static LANES_INLINE float lanes8_sum(lanes8 x) {
    float32x4_t s = vaddq_f32(x.a, x.b);
    float32x2_t t = vadd_f32(vget_low_f32(s), vget_high_f32(s));
    return vget_lane_f32(t, 0) + vget_lane_f32(t, 1);
}
static LANES_INLINE float lanes8_top(lanes8 x) {
    return vmaxvq_f32(vmaxq_f32(x.a, x.b));
}

#endif
