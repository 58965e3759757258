// What gate products share: rows of w1 and w3 take turns by 32 in a tile.
#ifndef KERNELS_CUDA_SWIGLU_CUH
#define KERNELS_CUDA_SWIGLU_CUH

#include "kernels/cuda/matmul.cuh"

// act[t] = silu(gate) * up for n tokens of a slice; act is the first one's row, `first_row` the row
// of the matrix at which the tile begins. Columns behind the network's width become zeros, since
// their rows of weights are.
template <int ROWS>
__device__ __forceinline__ void swiglu_store(const float *sums, int n, bf16 *act, int act_stride,
                                             int first_row, int thread, int n_threads) {
    constexpr int COLUMNS = ROWS / 2;
    for (int i = thread; i < n * (COLUMNS / 4); i += n_threads) {
        int token = i / (COLUMNS / 4), c = i % (COLUMNS / 4) * 4, column = first_row / 2 + c;
        if (column >= act_stride) continue;
        const float *at = sums + token * sums_stride<ROWS> + c / 32 * 64 + c % 32;
        float4 gate = *(const float4 *)at, up = *(const float4 *)(at + 32);
        float x = gate.x / (1.0f + math_exp(-gate.x)) * up.x;
        float y = gate.y / (1.0f + math_exp(-gate.y)) * up.y;
        float z = gate.z / (1.0f + math_exp(-gate.z)) * up.z;
        float w = gate.w / (1.0f + math_exp(-gate.w)) * up.w;
        uint2 *to = (uint2 *)(act + (int64_t)token * act_stride + column);
        *to = make_uint2(pack_bf16(x, y), pack_bf16(z, w));
    }
}

#endif
