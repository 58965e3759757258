// Which ids of a row of logits survive top-k and top-p: a histogram over the distance to the
// largest logit, 2,048 buckets of 1/64, finds the bucket in which a threshold lies; the ids of that
// bucket are compared with each other. Where a bucket has more ids than are worth that, its
// threshold is found by radix selection. Masses are added as integers of 2^-44, so that their sum
// has no order.
#ifndef KERNELS_CUDA_DRAW_CUT_CUH
#define KERNELS_CUDA_DRAW_CUT_CUH

#include "kernels/cuda/draw_block.cuh"

// ------------------------------------------------------------------ thresholds

// The order of ids: larger logits first, of equal ones the lower id. A better place is larger.
__device__ __forceinline__ unsigned long long place_of(float x, int id) {
    return (unsigned long long)key_of(x) << 32 | (uint32_t)~id;
}
__device__ __forceinline__ unsigned long long mass_of(float x, float max) {
    return (unsigned long long)(exp_of(x - max) * MASS_ONE);
}
__device__ __forceinline__ int bucket_of(float x, float max) {
    return (int)fminf((max - x) * PER_UNIT, RADIX - 1);
}

// The first index at which the counts reach `wanted`, and what lies before it, by all threads;
// RADIX when they never do.
__device__ __forceinline__ int find_count(const draw_memory &at, unsigned long long wanted,
                                          unsigned long long *above) {
    constexpr int SHARE = RADIX / DRAW_THREADS;
    const int warp = threadIdx.x / N_LANES, lane = threadIdx.x % N_LANES;
    unsigned long long *totals = (unsigned long long *)at.sums, mine = 0;
    if (threadIdx.x == 0) at.found[0] = RADIX;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < SHARE; i++) mine += at.counts[threadIdx.x * SHARE + i];
    unsigned long long upto = mine;
    for (int by = 1; by < N_LANES; by *= 2) {
        unsigned long long before = __shfl_up_sync(ALL_LANES, upto, by);
        if (lane >= by) upto += before;
    }
    if (lane == N_LANES - 1) totals[warp] = upto;
    __syncthreads();
    for (int i = 0; i < warp; i++) upto += totals[i];
    unsigned long long sum = upto - mine;
    if (sum < wanted && wanted <= upto)
        for (int i = threadIdx.x * SHARE;; i++) {
            if (sum + at.counts[i] >= wanted) {
                at.found[0] = (unsigned long long)i;
                at.found[1] = sum;
                break;
            }
            sum += at.counts[i];
        }
    __syncthreads();
    *above = at.found[1];
    int found = (int)at.found[0];
    __syncthreads();
    return found;
}

__device__ __forceinline__ void clear_counts(const draw_memory &at) {
    __syncthreads();
    for (int i = threadIdx.x; i < RADIX; i += DRAW_THREADS) at.counts[i] = 0;
    __syncthreads();
}

// The key at which the weights of ids, from the largest key down, reach `wanted`, which they do;
// *above becomes what lies above that key.
template <class Weight>
__device__ __forceinline__ uint32_t find_key(const struct row_logits &row, const draw_memory &at,
                                             unsigned long long wanted, unsigned long long *above,
                                             Weight weight) {
    uint32_t found = 0, mask = 0;
    *above = 0;
    for (int pass = N_PASSES - 1; pass >= 0; pass--) {
        int shift = pass * RADIX_BITS;
        clear_counts(at);
        each_id(row, [&](float x, int id) {
            uint32_t key = key_of(x);
            unsigned long long of_id = (key & mask) == found ? weight(x, id) : 0;
            if (of_id) atomicAdd(&at.counts[~(key >> shift) & (RADIX - 1)], of_id);
        });
        __syncthreads();
        unsigned long long before;
        uint32_t digit = (RADIX - 1) - (uint32_t)find_count(at, wanted - *above, &before);
        *above += before;
        found |= digit << shift;
        mask |= (uint32_t)(RADIX - 1) << shift;
    }
    return found;
}

// The n-th id (from 1, in order) whose key is `key`.
__device__ __forceinline__ int find_tie(const struct row_logits &row, const draw_memory &at,
                                        uint32_t key, unsigned long long n) {
    const int vocab = row.head->vocab, lane = threadIdx.x % N_LANES, warp = threadIdx.x / N_LANES;
    const divisor temperature(row.want->temperature);
    unsigned long long before = 0;
    for (int first = 0; first < vocab && before < n; first += DRAW_THREADS * 4) {
        int id = first + threadIdx.x * 4, mine = 0;
        float x[4] = {};
        if (id < vocab) {
            row.values(id, *(const float4 *)(row.logits + id), temperature, x);
            for (int k = 0; k < 4; k++) mine += key_of(x[k]) == key;
        }
        int upto = mine;
        for (int by = 1; by < N_LANES; by *= 2) {
            int lower = __shfl_up_sync(ALL_LANES, upto, by);
            if (lane >= by) upto += lower;
        }
        if (lane == N_LANES - 1) at.ids[warp] = upto;
        __syncthreads();
        unsigned long long rank = before + (unsigned)(upto - mine);
        for (int i = 0; i < DRAW_WARPS; i++) {
            if (i < warp) rank += (unsigned)at.ids[i];
            before += (unsigned)at.ids[i];
        }
        for (int k = 0; k < 4 && mine > 0; k++)
            if (key_of(x[k]) == key && ++rank == n) at.found[0] = (unsigned long long)(id + k);
        __syncthreads();
    }
    return (int)at.found[0];
}

// The last place at which the weights before an id are still less than `wanted`. weight(x, id) is 0
// for ids that do not count. 0 when all ids weigh less.
template <class Weight>
__device__ __forceinline__ unsigned long long last_place(const struct row_logits &row,
                                                         const draw_memory &at, float max,
                                                         unsigned long long wanted, Weight weight) {
    clear_counts(at);
    if (threadIdx.x == 0) *at.n_listed = 0, at.found[2] = ~0ull;
    each_id(row, [&](float x, int id) {
        unsigned long long of_id = weight(x, id);
        if (of_id) atomicAdd(&at.counts[bucket_of(x, max)], of_id);
    });
    __syncthreads();
    unsigned long long above, more;
    const int bucket = find_count(at, wanted, &above);
    if (bucket == RADIX) return 0;
    each_id(row, [&](float x, int id) {
        unsigned long long of_id = weight(x, id);
        if (of_id == 0 || bucket_of(x, max) != bucket) return;
        uint32_t i = atomicAdd(at.n_listed, 1u);
        if (i < LIST) at.list[i] = place_of(x, id), at.weights[i] = of_id;
    });
    __syncthreads();
    const int n = (int)*at.n_listed;
    if (n > LIST) {
        uint32_t key = find_key(row, at, wanted - above, &more, [&](float x, int id) {
            return bucket_of(x, max) == bucket ? weight(x, id) : 0ull;
        });
        // Equal logits weigh the same, whatever the id.
        unsigned long long each = weight(value_of(key), 0), left = wanted - above - more;
        int id = find_tie(row, at, key, (left + each - 1) / each);
        return (unsigned long long)key << 32 | (uint32_t)~id;
    }
    for (int i = threadIdx.x; i < n; i += DRAW_THREADS) {
        unsigned long long before = above, mine = at.list[i];
        for (int k = 0; k < n; k++)
            if (at.list[k] > mine) before += at.weights[k];
        if (before < wanted) atomicMin(&at.found[2], mine);
    }
    __syncthreads();
    return at.found[2];
}

// ------------------------------------------------------------------ cuts

// Ids down to the place `last` survive; of these e^(x - max) >= min_p, or all.
struct survivors {
    unsigned long long last;
    float max, min_p;
    __device__ __forceinline__ bool has(float x, int id) const {
        return x > -math_infinity() && place_of(x, id) >= last;
    }
};

// What ids weigh for a cut: 1 each, or their mass where they may survive.
struct cut_weight {
    struct survivors left;
    float least; // ids below are out
    bool is_mass;
    __device__ __forceinline__ unsigned long long operator()(float x, int id) const {
        if (!is_mass) return x > -math_infinity() ? 1ull : 0ull;
        return x >= least && left.has(x, id) ? mass_of(x, left.max) : 0ull;
    }
};

// The mass to be reached, of the ids that are left. total: of e^(x - max) over all ids, 0: not
// known.
__device__ __forceinline__ unsigned long long wanted_mass(const struct row_logits &row,
                                                          const draw_memory &at, double total,
                                                          struct cut_weight *weight) {
    const struct survivors left = weight->left;
    if (total == 0 || left.last > 0) {
        unsigned long long all = 0;
        each_id(row, [&](float x, int id) { all += left.has(x, id) ? mass_of(x, left.max) : 0; });
        total = (double)block_sum(at, all) / (double)MASS_ONE;
    }
    double wanted = (double)row.want->top_p * total, out = (total - wanted) / row.head->vocab;
    // Ids below this are out even if all of them lie there.
    weight->least = left.max + (float)log_of(fmax(out, 1e-30)) - 0.01f;
    return max(1ull, (unsigned long long)(wanted * (double)MASS_ONE));
}

// First top-k: with all that equal the least of them. Then top-p: of the ids that are left, from
// the most probable down, lower id first, until p is reached. A loop, so that the code which finds
// a place is there once: twice, it would not fit into the registers.
__device__ __forceinline__ void cut(const struct row_logits &row, const draw_memory &at,
                                    double total, struct survivors *s) {
#pragma unroll 1
    for (int is_mass = 0; is_mass < 2; is_mass++) {
        int k = row.want->top_k;
        if (is_mass ? row.want->top_p >= 1.0f : k <= 0 || k >= row.head->vocab) continue;
        struct cut_weight weight = {*s, -math_infinity(), is_mass != 0};
        unsigned long long wanted =
            is_mass ? wanted_mass(row, at, total, &weight) : (unsigned long long)k;
        unsigned long long last = last_place(row, at, s->max, wanted, weight);
        if (!is_mass) last &= ~0xffffffffull;
        s->last = max(last, s->last);
    }
}

#endif
