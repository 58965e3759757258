// What the head and the draw share: the noise of an id, the better of two.
#ifndef KERNELS_CUDA_DRAW_CUH
#define KERNELS_CUDA_DRAW_CUH

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/ops_head.h"

__device__ __forceinline__ float want_noise(const struct step_want &want, int id) {
    uint64_t seed = (uint64_t)want.seed_high << 32 | want.seed_low;
    return math_gumbel_of(seed, (uint32_t)id, want.position, want.sample);
}

#define MAX_NOISE 16.7f // no noise is larger

// e^x of a difference from a maximum (x of at most 80; below -87: e^-87) within 2 units in the last
// place, 1 at 0. A third of math_exp's instructions; contraction is written out, so that its bits
// are the same everywhere.
__device__ __forceinline__ float exp_of(float x) {
    x = fmaxf(x, -87.0f);
    float t = fmaf(x, 0x1.715476p+0f, 12582912.0f); // the nearest integer in the low bits
    float f = fmaf(x, 0x1.715476p+0f, 12582912.0f - t), p = 0x1.41d332p-13f;
    p = fmaf(p, f, 0x1.5f456ap-10f); // 2^f on [-1/2, 1/2]: minimax, relative error 2e-9
    p = fmaf(p, f, 0x1.3b2dbcp-7f);
    p = fmaf(p, f, 0x1.c6aed4p-5f);
    p = fmaf(p, f, 0x1.ebfbdap-3f);
    p = fmaf(p, f, 0x1.62e43p-1f);
    p = fmaf(p, f, 1.0f);
    return math_float(math_bits(p) + (math_bits(t) << 23));
}

// x / temperature. Of usual temperatures by two fused steps from 1 / temperature: the same bits.
struct divisor {
    float by, inverse;
    __device__ __forceinline__ explicit divisor(float temperature)
        : by(temperature == 0 ? 1 : temperature), inverse(1 / by) {}
    __device__ __forceinline__ float divide(float x) const {
        if (by == 1) return x;
        if (!(by > 0x1p-60f && by < 0x1p60f)) return x / by;
        // Kept finite, or what overflows would be infinity minus infinity.
        float q = fminf(fmaxf(x * inverse, -0x1.fffffep127f), 0x1.fffffep127f);
        return fmaf(fmaf(-q, by, x), inverse, q);
    }
};

// Unsigned order of keys is the order of floats; no number has key 0.
__device__ __forceinline__ uint32_t key_of(float x) {
    uint32_t u = math_bits(x + 0.0f); // -0 becomes 0
    return u >> 31 ? ~u : u | 0x80000000u;
}
__device__ __forceinline__ float value_of(uint32_t key) {
    return math_float(key >> 31 ? key & 0x7fffffffu : ~key);
}

struct best {
    float value;
    int id; // -1: none
};
__device__ __forceinline__ struct best best_none() {
    return {-math_infinity(), -1};
}
// The larger value, among equal ones the lower id. True when the new one is taken.
__device__ __forceinline__ bool best_take(struct best *b, float value, int id) {
    bool is_better =
        id >= 0 && (b->id < 0 || value > b->value || (value == b->value && id < b->id));
    if (is_better) *b = {value, id};
    return is_better;
}
__device__ __forceinline__ struct best warp_best(struct best b) {
    for (int by = N_LANES / 2; by > 0; by /= 2) {
        float value = __shfl_xor_sync(ALL_LANES, b.value, by);
        best_take(&b, value, __shfl_xor_sync(ALL_LANES, b.id, by));
    }
    return b;
}

#endif
