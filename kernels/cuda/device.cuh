// What the kernels share: sums of blocks, numbers, loops.
#ifndef KERNELS_CUDA_DEVICE_CUH
#define KERNELS_CUDA_DEVICE_CUH

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "kernels/cuda/ops.h"
#include "kernels/cuda/step.h"
#include "kernels/cuda/tile.h"
#include "kernels/digest.h"
#include "kernels/math.h"

typedef __nv_bfloat16 bf16;

enum { N_LANES = 32 };
static const unsigned ALL_LANES = 0xffffffffu;

// Two values rounded to bf16, the first in the low half.
__device__ __forceinline__ uint32_t pack_bf16(float a, float b) {
    return (uint32_t)__bfloat16_as_ushort(__float2bfloat16_rn(a)) |
           (uint32_t)__bfloat16_as_ushort(__float2bfloat16_rn(b)) << 16;
}
__device__ __forceinline__ float low_bf16(uint32_t two) {
    return __uint_as_float(two << 16);
}
__device__ __forceinline__ float high_bf16(uint32_t two) {
    return __uint_as_float(two & 0xffff0000u);
}
__device__ __forceinline__ float round_bf16(float x) {
    return __bfloat162float(__float2bfloat16_rn(x));
}

// A value of the KV or conv state's type.
__device__ __forceinline__ float round_state(int is_bf16, float x) {
    return is_bf16 ? round_bf16(x) : x;
}
__device__ __forceinline__ float load_state(int is_bf16, const void *at, int64_t i) {
    return is_bf16 ? __bfloat162float(((const bf16 *)at)[i]) : ((const float *)at)[i];
}
__device__ __forceinline__ void store_state(int is_bf16, void *at, int64_t i, float x) {
    if (is_bf16)
        ((bf16 *)at)[i] = __float2bfloat16_rn(x);
    else
        ((float *)at)[i] = x;
}
// Four of them, from a multiple of 4 on.
__device__ __forceinline__ float4 load_state_4(int is_bf16, const void *at, int64_t i) {
    if (!is_bf16) return *(const float4 *)((const float *)at + i);
    uint2 v = *(const uint2 *)((const bf16 *)at + i);
    return make_float4(low_bf16(v.x), high_bf16(v.x), low_bf16(v.y), high_bf16(v.y));
}
__device__ __forceinline__ void store_state_4(int is_bf16, void *at, int64_t i, float4 x) {
    if (is_bf16)
        *(uint2 *)((bf16 *)at + i) = make_uint2(pack_bf16(x.x, x.y), pack_bf16(x.z, x.w));
    else
        *(float4 *)((float *)at + i) = x;
}

// All lanes; the same in each: lanes at distance 16, then 8, 4, 2, 1.
__device__ __forceinline__ float warp_sum(float x) {
    for (int by = N_LANES / 2; by > 0; by /= 2) x += __shfl_xor_sync(ALL_LANES, x, by);
    return x;
}
__device__ __forceinline__ float warp_max(float x) {
    for (int by = N_LANES / 2; by > 0; by /= 2) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, by));
    return x;
}

// The mean of squares of a row of float32 in device memory, by a block of 128 threads: each thread
// sums its groups of 4 in order, lanes as warp_sum, then warps in order. n: a multiple of 4.
enum { ROW_THREADS = 128 };
__device__ __forceinline__ float row_scale(float squares, int n, float eps) {
    SHARED(float, sums, [ROW_THREADS / N_LANES]);
    float sum = warp_sum(squares);
    if (threadIdx.x % N_LANES == 0) sums[threadIdx.x / N_LANES] = sum;
    __syncthreads();
    sum = sums[0] + sums[1] + sums[2] + sums[3];
    __syncthreads();
    return 1.0f / sqrtf(sum / (float)n + eps);
}
__device__ __forceinline__ float square_sum(float4 v) {
    return v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
}

// A block a token, and no more blocks than run at once.
static inline struct launch rows_launch(const struct queue *q, int max_tokens) {
    int most = 8 * q->n_sms;
    struct launch how;
    how.grid = dim3(max_tokens < most ? max_tokens : most);
    how.block = dim3(ROW_THREADS);
    how.stream = (cudaStream_t)q->stream;
    how.programmatic = q->is_programmatic;
    return how;
}

// Blocks of a kernel that fit on the device at once.
template <class Kernel>
static int resident_blocks(const struct queue *q, Kernel *kernel, int n_threads, size_t bytes,
                           int *n) {
    int a_sm = 0;
    cudaError_t status = allow_shared(kernel, bytes);
    if (status == cudaSuccess)
        status = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&a_sm, (const void *)kernel,
                                                               n_threads, bytes);
    *n = q->n_sms * (a_sm > 0 ? a_sm : 1);
    return status;
}

// Groups of 4 columns that a thread of a row asks for before it uses any: the latency of memory is
// waited for once. In front of their use no store: the compiler moves no load across it.
enum { ROW_GROUPS = 2, ROW_STEP = ROW_THREADS * 4 };

// out[0 .. stride) = x * scale * w as bf16, zeros behind the n-th; groups of 4 of a block.
__device__ __forceinline__ void store_normed(const float *x, const float *w, float scale, int n,
                                             int stride, bf16 *out) {
    for (int first = threadIdx.x * 4; first < stride; first += ROW_GROUPS * ROW_STEP) {
        float4 v[ROW_GROUPS], u[ROW_GROUPS];
        // Both are padded to whole fours: a load a value would move each sector 4 times.
#pragma unroll
        for (int g = 0; g < ROW_GROUPS; g++) {
            int i = first + g * ROW_STEP;
            v[g] = u[g] = make_float4(0, 0, 0, 0);
            if (i < n) v[g] = *(const float4 *)(x + i);
            if (i < n) u[g] = *(const float4 *)(w + i);
        }
#pragma unroll
        for (int g = 0; g < ROW_GROUPS; g++) {
            int i = first + g * ROW_STEP;
            float y[4] = {v[g].x * scale * u[g].x, v[g].y * scale * u[g].y, v[g].z * scale * u[g].z,
                          v[g].w * scale * u[g].w};
#pragma unroll
            for (int k = 0; k < 4; k++) y[k] = i + k < n ? y[k] : 0;
            if (i < stride)
                *(uint2 *)(out + i) = make_uint2(pack_bf16(y[0], y[1]), pack_bf16(y[2], y[3]));
        }
    }
}

#if HAS_BULK
// Pieces of 4 KB, every n-th from the who-th on, to the L2 cache. bytes: a multiple of 16.
__device__ __forceinline__ void prefetch_share(const void *data, int64_t bytes, int who, int n) {
    const int64_t piece = 4096;
    for (int64_t at = who * piece; at < bytes; at += n * piece)
        bulk_prefetch((const char *)data + at, (int)(bytes - at < piece ? bytes - at : piece));
}
#endif

#endif
