// What the head and the draw share: the noise of an id, the better of two.
#ifndef KERNELS_CUDA_DRAW_CUH
#define KERNELS_CUDA_DRAW_CUH

#include "kernels/cuda/device.cuh"

__device__ __forceinline__ float want_noise(const struct step_want &want, int id) {
    uint64_t seed = (uint64_t)want.seed_high << 32 | want.seed_low;
    return math_gumbel_of(seed, (uint32_t)id, want.position, want.sample);
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
