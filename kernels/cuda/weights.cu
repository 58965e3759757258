// Weights between the checkpoint's order and the order in which they are resident.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/ops_memory.h"
#include "kernels/cuda/place.cuh"

enum { MOVE_THREADS = 256 };

// Vectors are float32 whatever their type; matrices of bf16 and rows of either stay as they are.
static __device__ __forceinline__ void write_one(const struct weight_move &a, int64_t k) {
    void *to = place_of(a, a.first + k);
    if (a.kind == PLACE_VECTOR)
        *(float *)to = dtype_get(a.dtype, a.plain, k);
    else if (a.dtype == DTYPE_BF16)
        *(uint16_t *)to = ((const uint16_t *)a.plain)[k];
    else
        *(uint32_t *)to = ((const uint32_t *)a.plain)[k];
}
static __device__ __forceinline__ void read_one(const struct weight_move &a, int64_t k) {
    const void *from = place_of(a, a.first + k);
    if (a.kind == PLACE_VECTOR)
        dtype_put(a.dtype, a.plain, k, *(const float *)from);
    else if (a.dtype == DTYPE_BF16)
        ((uint16_t *)a.plain)[k] = *(const uint16_t *)from;
    else
        ((uint32_t *)a.plain)[k] = *(const uint32_t *)from;
}

// 8 elements a time: where a matrix's rows are whole chunks, they are one chunk of a tile.
__global__ void __launch_bounds__(MOVE_THREADS) write_weights(const struct weight_move a) {
    bool is_chunked = place_is_chunked(a) && a.first % 8 == 0;
    int64_t stride = (int64_t)gridDim.x * MOVE_THREADS * 8;
    for (int64_t k = ((int64_t)blockIdx.x * MOVE_THREADS + threadIdx.x) * 8; k < a.n; k += stride) {
        if (is_chunked && k + 8 <= a.n)
            *(uint4 *)place_of(a, a.first + k) = *(const uint4 *)((const uint16_t *)a.plain + k);
        else
            for (int64_t i = k; i < k + 8 && i < a.n; i++) write_one(a, i);
    }
}

__global__ void __launch_bounds__(MOVE_THREADS) read_weights(const struct weight_move a) {
    int64_t stride = (int64_t)gridDim.x * MOVE_THREADS;
    for (int64_t k = (int64_t)blockIdx.x * MOVE_THREADS + threadIdx.x; k < a.n; k += stride)
        read_one(a, k);
}

// What the element adds to the digest. A float of a vector that its type does not have counts
// whole.
static __device__ __forceinline__ uint64_t resident_mix(const struct weight_move &a, int64_t i,
                                                        uint64_t name_hash) {
    const void *at = place_of(a, i);
    uint32_t bits = 0, wide;
    if (a.kind != PLACE_VECTOR) {
        bits = a.dtype == DTYPE_BF16 ? *(const uint16_t *)at : *(const uint32_t *)at;
        return digest_mix(name_hash, (uint64_t)i, bits);
    }
    float value = *(const float *)at, back;
    memcpy(&wide, &value, sizeof wide);
    dtype_put(a.dtype, &bits, 0, value);
    back = dtype_get(a.dtype, &bits, 0);
    uint32_t again;
    memcpy(&again, &back, sizeof again);
    return digest_mix(name_hash, (uint64_t)i, again == wide ? bits : (uint64_t)1 << 32 | wide);
}

static __device__ __forceinline__ void add_sum(unsigned long long mine, unsigned long long *sum) {
    for (int by = N_LANES / 2; by > 0; by /= 2) mine += __shfl_xor_sync(ALL_LANES, mine, by);
    if (threadIdx.x % N_LANES == 0) atomicAdd(sum, mine); // of integers: in any order
}

__global__ void __launch_bounds__(MOVE_THREADS)
    digest_resident(const struct weight_move a, uint64_t name_hash, unsigned long long *sum) {
    unsigned long long mine = 0;
    int64_t stride = (int64_t)gridDim.x * MOVE_THREADS;
    for (int64_t k = (int64_t)blockIdx.x * MOVE_THREADS + threadIdx.x; k < a.n; k += stride)
        mine += resident_mix(a, a.first + k, name_hash);
    add_sum(mine, sum);
}

__global__ void __launch_bounds__(MOVE_THREADS)
    digest_weights(const void *plain, int is_wide, uint64_t name_hash, int64_t first, int64_t n,
                   unsigned long long *sum) {
    unsigned long long mine = 0;
    int64_t stride = (int64_t)gridDim.x * MOVE_THREADS;
    for (int64_t k = (int64_t)blockIdx.x * MOVE_THREADS + threadIdx.x; k < n; k += stride) {
        uint32_t bits = is_wide ? ((const uint32_t *)plain)[k] : ((const uint16_t *)plain)[k];
        mine += digest_mix(name_hash, (uint64_t)(first + k), bits);
    }
    add_sum(mine, sum);
}

__global__ void __launch_bounds__(MOVE_THREADS)
    make_weights(void *plain, int dtype, const struct weight_formula f, int64_t first, int64_t n) {
    int64_t stride = (int64_t)gridDim.x * MOVE_THREADS;
    for (int64_t k = (int64_t)blockIdx.x * MOVE_THREADS + threadIdx.x; k < n; k += stride)
        dtype_put((enum dtype)dtype, plain, k, formula_value(&f, first + k));
}

static struct launch move_launch(const struct queue *q, int64_t n_threads) {
    int64_t n = (n_threads + MOVE_THREADS - 1) / MOVE_THREADS, most = 8 * q->n_sms;
    struct launch how;
    how.grid = dim3((unsigned)(n < 1 ? 1 : n < most ? n : most));
    how.block = dim3(MOVE_THREADS);
    how.stream = (cudaStream_t)q->stream;
    return how;
}

int weight_write_launch(const struct queue *q, const struct weight_move *a) {
    return launch_kernel(move_launch(q, (a->n + 7) / 8), write_weights, *a);
}

int weight_read_launch(const struct queue *q, const struct weight_move *a) {
    return launch_kernel(move_launch(q, a->n), read_weights, *a);
}

int resident_digest_launch(const struct queue *q, const struct weight_move *a, uint64_t name_hash,
                           uint64_t *sum) {
    return launch_kernel(move_launch(q, a->n), digest_resident, *a, name_hash,
                         (unsigned long long *)sum);
}

int formula_launch(const struct queue *q, void *plain, enum dtype dtype,
                   const struct weight_formula *formula, int64_t first, int64_t n) {
    return launch_kernel(move_launch(q, n), make_weights, plain, (int)dtype, *formula, first, n);
}

int digest_launch(const struct queue *q, const void *plain, enum dtype dtype, uint64_t name_hash,
                  int64_t first, int64_t n, uint64_t *sum) {
    return launch_kernel(move_launch(q, n), digest_weights, plain, dtype_bytes(dtype) == 4,
                         name_hash, first, n, (unsigned long long *)sum);
}
