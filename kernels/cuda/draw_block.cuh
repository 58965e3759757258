// A block of the draw: its shared memory, its sums, and the row of stored logits that it looks at.
#ifndef KERNELS_CUDA_DRAW_BLOCK_CUH
#define KERNELS_CUDA_DRAW_BLOCK_CUH

#include "kernels/cuda/draw.cuh"

enum {
    DRAW_THREADS = 512,
    DRAW_WARPS = DRAW_THREADS / N_LANES,
    RADIX_BITS = 11,
    RADIX = 1 << RADIX_BITS, // buckets, too
    N_PASSES = 3,
    LIST = 1024,   // ids of a bucket that are compared with each other
    IDS_AHEAD = 2, // loads of a thread under way, 4 ids each
    PER_UNIT = 64, // buckets of a distance of 1
};
// Blocks a SM, and sums of warps that are loaded at a time. For sm_100 and 120 ptxas takes more
// registers than two blocks, or all the sums, leave it, and would spill.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
enum { DRAW_BLOCKS = 1, SUMS_AHEAD = 4 };
#else
enum { DRAW_BLOCKS = 2, SUMS_AHEAD = DRAW_WARPS };
#endif
#define MASS_ONE 0x1p44f // of an id as probable as the most probable one

struct draw_memory {
    unsigned long long *counts;  // (RADIX) ids, or masses, best first
    unsigned long long *list;    // (LIST) places of ids of a bucket
    unsigned long long *weights; // (LIST) of them
    uint32_t *biased;            // (vocab bits) ids with a bias
    double *sums;                // (DRAW_WARPS)
    float *values;               // (DRAW_WARPS)
    int *ids;                    // (DRAW_WARPS)
    unsigned long long *found;   // (3)
    uint32_t *n_listed, *reached;
    struct step_want *want; // that the block is at
    template <class Memory> __host__ __device__ draw_memory(Memory &memory, int vocab) {
        memory.take(&counts, RADIX);
        memory.take(&list, LIST);
        memory.take(&weights, LIST);
        memory.take(&biased, (vocab + 31) / 32);
        memory.take(&sums, DRAW_WARPS);
        memory.take(&values, DRAW_WARPS);
        memory.take(&ids, DRAW_WARPS);
        memory.take(&found, 3);
        memory.take(&n_listed, 1);
        memory.take(&reached, 1);
        memory.take(&want, 1);
    }
};

// A call: inlined, the constants of its series would be kept in registers from want to want, and
// spilled.
static __device__ __noinline__ double log_of(double x) {
    return math_log64(x);
}

// ------------------------------------------------------------------ of the block

__device__ __forceinline__ double block_sum(const draw_memory &at, double x) {
    for (int by = N_LANES / 2; by > 0; by /= 2) x += __shfl_xor_sync(ALL_LANES, x, by);
    if (threadIdx.x % N_LANES == 0) at.sums[threadIdx.x / N_LANES] = x;
    __syncthreads();
    x = 0;
#pragma unroll SUMS_AHEAD
    for (int i = 0; i < DRAW_WARPS; i++) x += at.sums[i];
    __syncthreads();
    return x;
}
__device__ __forceinline__ unsigned long long block_sum(const draw_memory &at,
                                                        unsigned long long x) {
    unsigned long long *sums = (unsigned long long *)at.sums;
    for (int by = N_LANES / 2; by > 0; by /= 2) x += __shfl_xor_sync(ALL_LANES, x, by);
    if (threadIdx.x % N_LANES == 0) sums[threadIdx.x / N_LANES] = x;
    __syncthreads();
    x = 0;
#pragma unroll SUMS_AHEAD
    for (int i = 0; i < DRAW_WARPS; i++) x += sums[i];
    __syncthreads();
    return x;
}
__device__ __forceinline__ float block_max(const draw_memory &at, float x) {
    x = warp_max(x);
    if (threadIdx.x % N_LANES == 0) at.values[threadIdx.x / N_LANES] = x;
    __syncthreads();
#pragma unroll SUMS_AHEAD
    for (int i = 0; i < DRAW_WARPS; i++) x = fmaxf(x, at.values[i]);
    __syncthreads();
    return x;
}
__device__ __forceinline__ struct best block_best(const draw_memory &at, struct best b) {
    b = warp_best(b);
    if (threadIdx.x % N_LANES == 0) {
        at.values[threadIdx.x / N_LANES] = b.value;
        at.ids[threadIdx.x / N_LANES] = b.id;
    }
    __syncthreads();
#pragma unroll SUMS_AHEAD
    for (int i = 0; i < DRAW_WARPS; i++) best_take(&b, at.values[i], at.ids[i]);
    __syncthreads();
    return b;
}

// ------------------------------------------------------------------ a row of logits

// What is seldom looked at is found through shared memory, not kept in registers.
struct row_logits {
    const struct head *head;
    const struct step_want *want; // in shared memory
    const float *logits;          // as the head left them
    const uint32_t *biased;
    bool is_plain; // neither penalty nor bias

    __device__ __forceinline__ float adjusted(float x, int id) const {
        if (want->n_bias > 0 && biased[id / 32] >> id % 32 & 1) {
            const int32_t *ids = step_bias_ids(head->step) + want->first_bias;
            for (int i = 0; i < want->n_bias; i++)
                if (ids[i] == id) x += step_biases(head->step)[want->first_bias + i];
        }
        if (want->seen >= 0) {
            int64_t n_words = (head->vocab + 31) / 32;
            uint32_t word = step_seen(head->step)[want->seen * n_words + id / 32];
            if (word >> id % 32 & 1) x = x > 0 ? x / want->penalty : x * want->penalty;
        }
        return x;
    }
    // Processed logits of ids first .. first + 3 from v; -infinity for ids that the tokenizer
    // lacks.
    __device__ __forceinline__ void values(int first, float4 v, const divisor &temperature,
                                           float (&x)[4]) const {
        uint32_t gone = head->missing[first / 32] >> first % 32;
        x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            bool is_there = !(gone >> k & 1) && first + k < head->vocab;
            if (is_there && !is_plain) x[k] = adjusted(x[k], first + k);
            x[k] = is_there ? temperature.divide(x[k]) : -math_infinity();
        }
    }
};

__device__ __forceinline__ void find_biased(const struct row_logits &row, uint32_t *biased) {
    if (row.want->n_bias == 0) return;
    for (int i = threadIdx.x; i < (row.head->vocab + 31) / 32; i += DRAW_THREADS) biased[i] = 0;
    __syncthreads();
    const int32_t *ids = step_bias_ids(row.head->step) + row.want->first_bias;
    for (int i = threadIdx.x; i < row.want->n_bias; i += DRAW_THREADS)
        atomicOr(&biased[ids[i] / 32], 1u << ids[i] % 32);
    __syncthreads();
}

// visit(x, first): processed logits of ids first .. first + 3, by each thread for its own.
template <class Visit>
__device__ __forceinline__ void each_four(const struct row_logits &row, Visit visit) {
    const int vocab = row.head->vocab, step = DRAW_THREADS * 4;
    const divisor temperature(row.want->temperature);
#pragma unroll 1
    for (int first = threadIdx.x * 4; first < vocab; first += IDS_AHEAD * step) {
        float4 v[IDS_AHEAD];
#pragma unroll
        for (int i = 0; i < IDS_AHEAD; i++)
            if (first + i * step < vocab) v[i] = *(const float4 *)(row.logits + first + i * step);
#pragma unroll
        for (int i = 0; i < IDS_AHEAD; i++) {
            if (first + i * step >= vocab) break;
            float x[4];
            row.values(first + i * step, v[i], temperature, x);
            visit(x, first + i * step);
        }
    }
}
template <class Visit>
__device__ __forceinline__ void each_id(const struct row_logits &row, Visit visit) {
    each_four(row, [&](const float(&x)[4], int first) {
#pragma unroll
        for (int k = 0; k < 4; k++) visit(x[k], first + k);
    });
}

#endif
