// What gate products share: rows of w1 and w3 take turns by 32 in a tile.
#ifndef KERNELS_CUDA_SWIGLU_CUH
#define KERNELS_CUDA_SWIGLU_CUH

#include "kernels/cuda/matmul.cuh"

__device__ __forceinline__ float swiglu(float gate, float up) {
    return gate / (1.0f + math_exp(-gate)) * up;
}

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
        uint2 *to = (uint2 *)(act + (int64_t)token * act_stride + column);
        *to = make_uint2(pack_bf16(swiglu(gate.x, up.x), swiglu(gate.y, up.y)),
                         pack_bf16(swiglu(gate.z, up.z), swiglu(gate.w, up.w)));
    }
}

// The same from a thread's registers (matmul_many.cuh), 16 bytes a store.
template <int N>
__device__ __forceinline__ void swiglu_store_wide(const product_tile &t, int first,
                                                  const float (&d)[N], bf16 *act, int act_stride) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int token = first + 8 * half;
        bf16 *to = act + (int64_t)(t.token + token) * act_stride;
#pragma unroll
        for (int b = 0; b < N / 32; b++) {
            const int at = 32 * b + 2 * half, column = t.row / 2 + 32 * b + threadIdx.x % 4 * 8;
            uint32_t w[4];
#pragma unroll
            for (int i = 0; i < 4; i++)
                w[i] = pack_bf16(swiglu(d[at + 4 * i], d[at + 4 * i + 16]),
                                 swiglu(d[at + 4 * i + 1], d[at + 4 * i + 17]));
            const uint4 words = quad_transpose(w);
            if (token < t.n && column < act_stride) *(uint4 *)(to + column) = words;
        }
    }
}

#endif
