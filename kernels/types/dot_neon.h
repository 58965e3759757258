// What the *_neon.c files of block types share. A vector of 16 bytes is 4 of a group's 16 rows, 4
// columns each; a lane of 32 bits is a row.
//
// Each of these files is compiled twice. With DOT_SDOT it needs the dot products of Armv8.2, which
// multiply signed bytes and add 4 of them in 32 bits. Without, products are summed in 16 bits,
// which hold as many of two columns as follows from the largest weight: 2 * 127 * weight * sums <=
// 32767.
//
// Where weights have a zero point of 2^shift, the sum of activations, times that, is taken off
// beforehand.
#ifndef KERNELS_TYPES_DOT_NEON_H
#define KERNELS_TYPES_DOT_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "kernels/types/tile.h"
#include "kernels/types/types.h"

// The name of a type's products.
#if defined(DOT_SDOT)
#define DOT_NAME(type) type_##type##_neondot
#else
#define DOT_NAME(type) type_##type##_neon
#endif

enum { DOT_PREFETCH = 4096, DOT_TOKENS = 4, DOT_QUARTERS = TYPE_ROWS / 4 };

struct dot_run {
    uint8x16_t w[8]; // weights as signed bytes, 4 columns each
    float32x4_t scale, min;
    int32x4_t sub[2]; // of the two halves of 16 columns
};

// What a type is to the products, constants.
struct dot_form {
    int n_runs, run_bytes;
    int shift; // weights have a zero point of 2^shift; -1: none
    int sums;  // that 16 bits hold
    bool has_sub, has_min;
};

DOT_INLINE float32x4_t dot_halves(const void *p) {
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

// 4 bytes, in 32 bits.
DOT_INLINE uint32x4_t dot_unsigned(const void *p) {
    uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(tile_word(p, 0)));
    return vmovl_u16(vget_low_u16(vmovl_u8(bytes)));
}
DOT_INLINE int32x4_t dot_signed(const void *p) {
    int8x8_t bytes = vreinterpret_s8_u32(vdup_n_u32(tile_word(p, 0)));
    return vmovl_s16(vget_low_s16(vmovl_s8(bytes)));
}
DOT_INLINE float32x4_t dot_bytes(const void *p) {
    return vcvtq_f32_u32(dot_unsigned(p));
}

DOT_INLINE void dot_nibbles(const char *tile, uint8x16_t w[8]) {
    DOT_UNROLL for (int v = 0; v < 4; v++) {
        uint8x16_t both = vld1q_u8((const uint8_t *)tile + v * TILE_VECTOR);
        w[2 * v] = vandq_u8(both, vdupq_n_u8(15));
        w[2 * v + 1] = vshrq_n_u8(both, 4);
    }
}

// Adds 16 columns, those of half 0 or 1.
#if defined(DOT_SDOT)
DOT_INLINE int32x4_t dot_part(const struct dot_run *run, const struct activation *x, int half,
                              int sums, int32x4_t s) {
    const uint8x16_t *w = run->w + 4 * half;
    int8x16_t q = vld1q_s8(x->q + 16 * half);
    (void)sums;
    s = vdotq_laneq_s32(s, vreinterpretq_s8_u8(w[0]), q, 0);
    s = vdotq_laneq_s32(s, vreinterpretq_s8_u8(w[1]), q, 1);
    s = vdotq_laneq_s32(s, vreinterpretq_s8_u8(w[2]), q, 2);
    return vdotq_laneq_s32(s, vreinterpretq_s8_u8(w[3]), q, 3);
}
#else
DOT_INLINE int32x4_t dot_part(const struct dot_run *run, const struct activation *x, int half,
                              int sums, int32x4_t s) {
    DOT_UNROLL for (int from = 4 * half; from < 4 * half + 4; from += sums) {
        int16x8_t low = vdupq_n_s16(0), high = low; // two rows each
        DOT_UNROLL for (int g = from; g < from + sums; g++) {
            int8x16_t w = vreinterpretq_s8_u8(run->w[g]);
            int8x8_t q = vreinterpret_s8_u32(vdup_n_u32(tile_word(x->q, g)));
            low = vmlal_s8(low, vget_low_s8(w), q);
            high = vmlal_s8(high, vget_high_s8(w), q);
        }
        s = vpadalq_s16(s, vpaddq_s16(low, high));
    }
    return s;
}
#endif

// 2^shift times a sum of activations, in all lanes.
DOT_INLINE int32x4_t dot_zero(int32_t minus_sum, int shift) {
    return vdupq_n_s32(shift < 0 ? 0 : minus_sum * (1 << (shift & 31)));
}

// Adds the run's products with one token.
DOT_INLINE float32x4_t dot_add(const struct dot_run *run, const struct activation *x,
                               const struct dot_form *f, float32x4_t y) {
    int32x4_t s;
    if (f->has_sub) {
        int32x4_t low = dot_zero(x->minus_low_sum, f->shift);
        int32x4_t high = dot_zero(x->minus_sum - x->minus_low_sum, f->shift);
        low = dot_part(run, x, 0, f->sums, low);
        high = dot_part(run, x, 1, f->sums, high);
        s = vmlaq_s32(vmulq_s32(low, run->sub[0]), high, run->sub[1]);
    } else {
        s = dot_part(run, x, 0, f->sums, dot_zero(x->minus_sum, f->shift));
        s = dot_part(run, x, 1, f->sums, s);
    }
    float32x4_t scale = vmulq_n_f32(run->scale, x->scale);
    y = vaddq_f32(y, vmulq_f32(vcvtq_f32_s32(s), scale));
    if (!f->has_min) return y;
    return vaddq_f32(y, vmulq_n_f32(run->min, x->minus_scaled_sum));
}

// load(quants of a quarter of the rows, scales, run of the block, quarter, out)
typedef void dot_load(const char *quants, const char *scales, int r, int quarter,
                      struct dot_run *out);

DOT_INLINE void dot_prefetch(const char *ahead, int bytes) {
    for (int p = 0; p < bytes; p += 64) __builtin_prefetch(ahead + p, 0, 3);
}

// A group of rows with `tokens` tokens from `first` on.
DOT_INLINE void dot_few(const struct type_dot *d, const struct block_type *t, struct dot_form f,
                        int first, int tokens, dot_load *load) {
    float32x4_t y[DOT_TOKENS][DOT_QUARTERS];
    const struct activation *x[DOT_TOKENS];
    DOT_UNROLL for (int k = 0; k < tokens; k++) {
        x[k] = d->x[first + k];
        DOT_UNROLL for (int i = 0; i < DOT_QUARTERS; i++) y[k][i] = vdupq_n_f32(0);
    }
    const char *quants = d->quants, *scales = d->scales, *ahead = scales + DOT_PREFETCH;
    for (int b = 0, at = 0; b < d->n_blocks; b++) {
        dot_prefetch(ahead, t->scale_bytes);
        ahead += t->scale_bytes;
        for (int r = 0; r < f.n_runs; r++, at++) {
            dot_prefetch(ahead, f.run_bytes);
            DOT_UNROLL for (int i = 0; i < DOT_QUARTERS; i++) {
                struct dot_run run;
                load(quants + 16 * i, scales, r, i, &run);
                DOT_UNROLL for (int k = 0; k < tokens; k++) {
                    y[k][i] = dot_add(&run, x[k] + at, &f, y[k][i]);
                    // Here, and no load ahead: all quarters at once are more than the registers.
                    __asm__ volatile("" : "+w"(y[k][i])::"memory");
                }
            }
            quants += f.run_bytes;
            ahead += f.run_bytes;
        }
        scales += t->scale_bytes;
    }
    DOT_UNROLL for (int k = 0; k < tokens; k++) {
        DOT_UNROLL for (int i = 0; i < DOT_QUARTERS; i++)
            vst1q_f32(d->y[first + k] + 4 * i, y[k][i]);
    }
}

DOT_INLINE void dot_group(const struct type_dot *d, const struct block_type *t, struct dot_form f,
                          dot_load *load) {
    int k = 0;
    for (; k + 4 <= d->n; k += 4) dot_few(d, t, f, k, 4, load);
    if (d->n - k == 3) dot_few(d, t, f, k, 3, load);
    if (d->n - k == 2) dot_few(d, t, f, k, 2, load);
    if (d->n - k == 1) dot_few(d, t, f, k, 1, load);
}

#endif
