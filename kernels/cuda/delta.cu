// Weight updates (kernels/delta.h): changes are proved and summed, and exchanged with the resident
// values. One launch for all changes of an update, whatever their number and kind.
//
// A block of threads takes 4,096 codes, a thread 16 of them. What the thread's codes go on by is
// summed, a scan over the block says where each thread begins, and the positions go to shared
// memory. Then value k of the block is thread k's, so that values are read in whole sectors; what
// is scattered is the weight alone: 32 bytes read and written for 2 that change, at random places.
// Of a dense change a block takes DENSE values. Blocks are short, so that a step's kernels on a
// stream of higher priority need not wait long.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/place.cuh"

enum {
    DELTA_THREADS = 256,
    DELTA_WARPS = DELTA_THREADS / N_LANES,
    THREAD_CODES = DELTA_BLOCK / DELTA_THREADS,
    DENSE = 4 * DELTA_BLOCK,
};
static const uint32_t NOWHERE = 0xffffffffu; // a position beyond the weight

// ------------------------------------------------------------------ codes to positions

// How far a code goes on, in one word: elements << 16 | values. All codes of a block together go
// on by at most 2^44 elements and 2^12 values.
static __device__ __forceinline__ uint64_t advance_of(uint32_t code, uint32_t skip) {
    return code == skip ? (uint64_t)code << 16 : ((uint64_t)code + 1) << 16 | 1;
}

// The sum of `mine` over the threads before this one, and of all in *total.
static __device__ __forceinline__ uint64_t sum_before(uint64_t mine, uint64_t *total) {
    SHARED(uint64_t, warps, [DELTA_WARPS]);
    int lane = threadIdx.x % N_LANES, warp = threadIdx.x / N_LANES;
    uint64_t sum = mine, before = 0;
    for (int by = 1; by < N_LANES; by *= 2) {
        uint64_t below = __shfl_up_sync(ALL_LANES, sum, by);
        if (lane >= by) sum += below;
    }
    if (lane == N_LANES - 1) warps[warp] = sum;
    __syncthreads();
    *total = 0;
    for (int w = 0; w < DELTA_WARPS; w++) {
        if (w < warp) before += warps[w];
        *total += warps[w];
    }
    return before + sum - mine;
}

// The positions of a block's values, in order, and the anchor behind it. All threads.
static __device__ __forceinline__ int decode(const struct delta_target &t, int64_t block,
                                             const struct delta_anchor &begin, uint32_t *positions,
                                             struct delta_anchor *end) {
    int64_t first = block * DELTA_BLOCK + threadIdx.x * THREAD_CODES;
    int64_t left = t.n_codes - first;
    int n = left < 0 ? 0 : left < THREAD_CODES ? (int)left : THREAD_CODES;
    uint32_t skip = delta_skip(t.code_bytes);
    uint64_t mine = 0, total;
    for (int i = 0; i < n; i++)
        mine += advance_of(delta_code(t.codes, t.code_bytes, first + i), skip);
    uint64_t at = sum_before(mine, &total);
    for (int i = 0; i < n; i++) {
        uint32_t code = delta_code(t.codes, t.code_bytes, first + i);
        uint64_t position = begin.cursor + (at >> 16) + code;
        if (code != skip)
            positions[at & 0xffff] = position < t.n_elements ? (uint32_t)position : NOWHERE;
        at += advance_of(code, skip);
    }
    __syncthreads();
    end->cursor = begin.cursor + (total >> 16);
    end->n_values = begin.n_values + (total & 0xffff);
    return (int)(total & 0xffff);
}

// The target of this block of threads; *block: its number there.
static __device__ __forceinline__ int find_target(const struct delta_batch &b, int64_t *block) {
    int low = 0, high = b.n - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (b.first_block[middle] <= blockIdx.x)
            low = middle;
        else
            high = middle - 1;
    }
    *block = blockIdx.x - b.first_block[low];
    return low;
}

// ------------------------------------------------------------------ check

static __device__ __forceinline__ uint32_t bits_of(enum dtype t, const void *values, int64_t i) {
    return t == DTYPE_F32 ? ((const uint32_t *)values)[i] : ((const uint16_t *)values)[i];
}

// Vectors lie as float32, which holds a value of their type exactly.
static __device__ __forceinline__ uint32_t held_bits(const struct weight_move &a, int64_t i) {
    const void *at = place_of(a, i);
    if (a.kind != PLACE_VECTOR || a.dtype == DTYPE_F32) return bits_of(a.dtype, at, 0);
    return a.dtype == DTYPE_BF16 ? dtype_f32_to_bf16(*(const float *)at)
                                 : dtype_f32_to_f16(*(const float *)at);
}

static __device__ __forceinline__ bool is_finite(enum dtype t, uint32_t bits) {
    uint32_t exponent = t == DTYPE_F32 ? 0x7f800000u : t == DTYPE_BF16 ? 0x7f80u : 0x7c00u;
    return (bits & exponent) != exponent;
}

static __device__ __forceinline__ void report(const struct delta_batch &b, int change,
                                              int64_t block, enum delta_fault_kind kind) {
    atomicMin(b.fault, (unsigned long long)delta_fault(change, block, kind));
}

// What a thread found.
struct findings {
    uint64_t staged, resident;
    bool is_beyond, is_not_finite;
};

// The staged value.
static __device__ __forceinline__ void look(const struct delta_target &t, uint64_t position,
                                            int64_t value, struct findings *f) {
    uint32_t bits = bits_of(t.place.dtype, t.values, value);
    f->is_not_finite |= !is_finite(t.place.dtype, bits);
    f->staged += digest_mix(t.name_hash, position, bits);
}

static __device__ __forceinline__ void check_dense(const struct delta_target &t, int64_t block,
                                                   struct findings *f) {
    int64_t end = (block + 1) * DENSE < t.n_values ? (block + 1) * DENSE : t.n_values;
    for (int64_t k = block * DENSE + threadIdx.x; k < end; k += DELTA_THREADS)
        look(t, (uint64_t)k, k, f);
}

// All threads return the same.
static __device__ __forceinline__ bool is_anchor(const struct delta_target &t, int64_t block,
                                                 const struct delta_anchor &a) {
    bool is_first = block > 0 || (a.cursor == 0 && a.n_values == 0);
    return is_first && a.cursor <= t.n_elements && a.n_values <= (uint64_t)t.n_values;
}

// Whether the block ends where the next one begins, or with the last value.
static __device__ __forceinline__ bool is_end(const struct delta_target &t, int64_t block,
                                              const struct delta_anchor &end) {
    if ((block + 1) * DELTA_BLOCK >= t.n_codes) return end.n_values == (uint64_t)t.n_values;
    const struct delta_anchor next = t.anchors[block + 1];
    return end.cursor == next.cursor && end.n_values == next.n_values;
}

static __device__ __forceinline__ void check_sparse(const struct delta_batch &b, int i,
                                                    int64_t block, struct findings *f) {
    SHARED(uint32_t, positions, [DELTA_BLOCK]);
    const struct delta_target &t = b.targets[i];
    const struct delta_anchor begin = t.anchors[block];
    struct delta_anchor end;
    if (!is_anchor(t, block, begin)) {
        if (threadIdx.x == 0) report(b, i, block, DELTA_BEGIN);
        return;
    }
    int n = decode(t, block, begin, positions, &end);
    if (threadIdx.x == 0 && end.cursor > t.n_elements) f->is_beyond = true;
    if (threadIdx.x == 0 && !is_end(t, block, end)) report(b, i, block, DELTA_END);
    for (int k = threadIdx.x; k < n; k += DELTA_THREADS) {
        int64_t value = (int64_t)begin.n_values + k;
        uint32_t position = positions[k];
        bool is_inside = position != NOWHERE && value < t.n_values;
        f->is_beyond |= !is_inside;
        if (!is_inside) continue;
        look(t, position, value, f);
        f->resident += digest_mix(t.name_hash, position, held_bits(t.place, position));
    }
}

__global__ void __launch_bounds__(DELTA_THREADS) check_changes(const struct delta_batch b) {
    int64_t block;
    int i = find_target(b, &block);
    const struct delta_target &t = b.targets[i];
    struct findings f = {0, 0, false, false};
    if (t.code_bytes)
        check_sparse(b, i, block, &f);
    else
        check_dense(t, block, &f);
    if (f.is_beyond) report(b, i, block, DELTA_BEYOND);
    if (f.is_not_finite) report(b, i, block, DELTA_NOT_FINITE);
    for (int by = N_LANES / 2; by > 0; by /= 2) {
        f.staged += __shfl_xor_sync(ALL_LANES, f.staged, by);
        f.resident += __shfl_xor_sync(ALL_LANES, f.resident, by);
    }
    if (threadIdx.x % N_LANES == 0) { // of integers: in any order
        atomicAdd(b.sums + 2 * i, (unsigned long long)f.staged);
        atomicAdd(b.sums + 2 * i + 1, (unsigned long long)f.resident);
    }
}

// ------------------------------------------------------------------ exchange

static __device__ __forceinline__ void exchange(const struct delta_target &t, int64_t position,
                                                int64_t value) {
    void *at = place_of(t.place, position);
    if (t.place.kind == PLACE_VECTOR) {
        float was = *(float *)at;
        *(float *)at = dtype_get(t.place.dtype, t.values, value);
        dtype_put(t.place.dtype, t.values, value, was);
    } else if (t.place.dtype == DTYPE_F32) {
        uint32_t was = *(uint32_t *)at;
        *(uint32_t *)at = ((uint32_t *)t.values)[value];
        ((uint32_t *)t.values)[value] = was;
    } else {
        uint16_t was = *(uint16_t *)at;
        *(uint16_t *)at = ((uint16_t *)t.values)[value];
        ((uint16_t *)t.values)[value] = was;
    }
}

// 8 elements a time where they are a chunk of a tile.
static __device__ __forceinline__ void exchange_dense(const struct delta_target &t, int64_t block) {
    int64_t first = block * DENSE, end = first + DENSE < t.n_values ? first + DENSE : t.n_values;
    if (!place_is_chunked(t.place)) {
        for (int64_t k = first + threadIdx.x; k < end; k += DELTA_THREADS) exchange(t, k, k);
        return;
    }
    for (int64_t k = first + threadIdx.x * 8; k < end; k += DELTA_THREADS * 8) {
        uint4 *at = (uint4 *)place_of(t.place, k), *value = (uint4 *)((uint16_t *)t.values + k);
        uint4 was = *at;
        *at = *value;
        *value = was;
    }
}

__global__ void __launch_bounds__(DELTA_THREADS) exchange_changes(const struct delta_batch b) {
    SHARED(uint32_t, positions, [DELTA_BLOCK]);
    int64_t block;
    const struct delta_target &t = b.targets[find_target(b, &block)];
    if (!t.code_bytes) {
        exchange_dense(t, block);
        return;
    }
    const struct delta_anchor begin = t.anchors[block];
    struct delta_anchor end;
    int n = decode(t, block, begin, positions, &end);
    for (int k = threadIdx.x; k < n; k += DELTA_THREADS)
        exchange(t, positions[k], (int64_t)begin.n_values + k);
}

// ------------------------------------------------------------------ launches

int64_t delta_n_thread_blocks(const struct delta_target *t) {
    return t->code_bytes ? delta_n_blocks(t->n_codes) : (t->n_values + DENSE - 1) / DENSE;
}

static int launch_batch(const struct queue *q, const struct delta_batch *b,
                        void (*kernel)(const struct delta_batch)) {
    if (b->n_blocks == 0) return cudaSuccess;
    struct launch how;
    how.grid = dim3(b->n_blocks);
    how.block = dim3(DELTA_THREADS);
    how.stream = (cudaStream_t)q->stream;
    return launch_kernel(how, kernel, *b);
}

int delta_check_launch(const struct queue *q, const struct delta_batch *b) {
    return launch_batch(q, b, check_changes);
}

int delta_exchange_launch(const struct queue *q, const struct delta_batch *b) {
    return launch_batch(q, b, exchange_changes);
}
