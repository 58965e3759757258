// The results of a step: each want's sums of all tiles of the head added in order, then its id and
// both log-probabilities. Draws with top-k, top-p, min-p, penalties or bias go over their stored
// logits, 256 KB of the L2 cache a time: a histogram over the distance to the largest one, 2,048
// buckets of 1/64, finds the bucket in which a threshold lies; the ids of that bucket are compared
// with each other. So there are two passes, and a third that draws. Where a bucket has more ids
// than are worth that, its threshold is found by radix selection. Masses are added as integers of
// 2^-44, so that their sum has no order.
//
// A block of 512 threads a want, two a SM. Sums of exponentials of tiles are float64: a thread's
// tiles in order, lanes as warp_sum, warps in order.
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
    }
};

// ------------------------------------------------------------------ of the block

__device__ __forceinline__ double block_sum(const draw_memory &at, double x) {
    for (int by = N_LANES / 2; by > 0; by /= 2) x += __shfl_xor_sync(ALL_LANES, x, by);
    if (threadIdx.x % N_LANES == 0) at.sums[threadIdx.x / N_LANES] = x;
    __syncthreads();
    x = 0;
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
    for (int i = 0; i < DRAW_WARPS; i++) x += sums[i];
    __syncthreads();
    return x;
}
__device__ __forceinline__ float block_max(const draw_memory &at, float x) {
    x = warp_max(x);
    if (threadIdx.x % N_LANES == 0) at.values[threadIdx.x / N_LANES] = x;
    __syncthreads();
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
    for (int i = 0; i < DRAW_WARPS; i++) best_take(&b, at.values[i], at.ids[i]);
    __syncthreads();
    return b;
}

// log-softmax of x from a maximum and the logarithm of the sum of e^(x - maximum).
__device__ __forceinline__ float log_softmax(float x, float max, double log_sum) {
    return (float)((double)x - (double)max - log_sum);
}

// ------------------------------------------------------------------ of all tiles

struct tile_totals {
    float max, max_known;
    double sum, sum_known;
    struct best best;
    float best_logit;
    bool is_bad;
};

__device__ __forceinline__ struct tile_totals add_tiles(const struct head &h, const draw_memory &at,
                                                        int want) {
    int n = h.w.n_rows / HEAD_TILE;
    const struct head_sums *tiles = h.sums + (int64_t)want * n;
    struct tile_totals t = {-math_infinity(), -math_infinity(), 0, 0, best_none(), 0, false};
    bool is_bad = false;
    for (int i = threadIdx.x; i < n; i += DRAW_THREADS) {
        t.max = fmaxf(t.max, tiles[i].max);
        t.max_known = fmaxf(t.max_known, tiles[i].max_known);
        is_bad |= tiles[i].is_bad != 0;
        best_take(&t.best, tiles[i].best, tiles[i].best_id);
    }
    t.is_bad = __syncthreads_or(is_bad);
    t.max = block_max(at, t.max);
    t.max_known = block_max(at, t.max_known);
    t.best = block_best(at, t.best);
    for (int i = threadIdx.x; i < n; i += DRAW_THREADS) {
        if (tiles[i].sum > 0) t.sum += tiles[i].sum * (double)math_exp(tiles[i].max - t.max);
        if (tiles[i].sum_known > 0)
            t.sum_known += tiles[i].sum_known * (double)math_exp(tiles[i].max_known - t.max_known);
    }
    t.sum = block_sum(at, t.sum);
    t.sum_known = block_sum(at, t.sum_known);
    if (t.best.id >= 0) t.best_logit = tiles[t.best.id / HEAD_TILE].best_logit;
    return t;
}

// ------------------------------------------------------------------ a row of logits

struct row_logits {
    const struct head *head;
    struct step_want want;
    const float *logits; // as the head left them
    const uint32_t *seen, *biased;
    const int32_t *bias_ids;
    const float *biases;

    __device__ __forceinline__ bool is_plain() const { return !seen && want.n_bias == 0; }
    __device__ __forceinline__ float adjusted(float x, int id) const {
        if (want.n_bias > 0 && biased[id / 32] >> id % 32 & 1)
            for (int i = 0; i < want.n_bias; i++)
                if (bias_ids[i] == id) x += biases[i];
        if (seen && seen[id / 32] >> id % 32 & 1) x = x > 0 ? x / want.penalty : x * want.penalty;
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
            if (is_there && !is_plain()) x[k] = adjusted(x[k], first + k);
            x[k] = is_there ? temperature.divide(x[k]) : -math_infinity();
        }
    }
};

__device__ __forceinline__ void find_biased(const struct row_logits &row, uint32_t *biased) {
    if (row.want.n_bias == 0) return;
    for (int i = threadIdx.x; i < (row.head->vocab + 31) / 32; i += DRAW_THREADS) biased[i] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < row.want.n_bias; i += DRAW_THREADS)
        atomicOr(&biased[row.bias_ids[i] / 32], 1u << row.bias_ids[i] % 32);
    __syncthreads();
}

// visit(x, first): processed logits of ids first .. first + 3, by each thread for its own.
template <class Visit>
__device__ __forceinline__ void each_four(const struct row_logits &row, Visit visit) {
    const int vocab = row.head->vocab, step = DRAW_THREADS * 4;
    const divisor temperature(row.want.temperature);
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

// ------------------------------------------------------------------ thresholds

// The order of ids: larger logits first, of equal ones the lower id. A better place is larger.
__device__ __forceinline__ unsigned long long place_of(float x, int id) {
    return (unsigned long long)key_of(x) << 32 | (uint32_t)~id;
}
__device__ __forceinline__ float value_at(unsigned long long place) {
    return value_of((uint32_t)(place >> 32));
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
    const divisor temperature(row.want.temperature);
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

// ------------------------------------------------------------------ a row of logits

// Ids down to the place `last` survive; of these e^(x - max) >= min_p, or all.
struct survivors {
    unsigned long long last;
    float max, min_p;
    __device__ __forceinline__ bool has(float x, int id) const {
        return x > -math_infinity() && place_of(x, id) >= last;
    }
};

// With all that equal the least of them.
__device__ __forceinline__ void cut_top_k(const struct row_logits &row, const draw_memory &at,
                                          struct survivors *s) {
    if (row.want.top_k <= 0 || row.want.top_k >= row.head->vocab) return;
    s->last = last_place(row, at, s->max, (unsigned long long)row.want.top_k,
                         [](float x, int) { return x > -math_infinity() ? 1ull : 0ull; });
    s->last &= ~0xffffffffull;
}

// Of the ids that are left: from the most probable down, lower id first, until p is reached. total:
// of e^(x - max) over all ids, 0: not known.
__device__ __forceinline__ void cut_top_p(const struct row_logits &row, const draw_memory &at,
                                          double total, struct survivors *s) {
    if (row.want.top_p >= 1.0f) return;
    const struct survivors left = *s;
    if (total == 0 || left.last > 0) {
        unsigned long long all = 0;
        each_id(row, [&](float x, int id) { all += left.has(x, id) ? mass_of(x, left.max) : 0; });
        total = (double)block_sum(at, all) / (double)MASS_ONE;
    }
    double wanted = (double)row.want.top_p * total, out = (total - wanted) / row.head->vocab;
    // Ids below this are out even if all of them lie there.
    float least = left.max + (float)math_log64(fmax(out, 1e-30)) - 0.01f;
    s->last =
        last_place(row, at, left.max, max(1ull, (unsigned long long)(wanted * (double)MASS_ONE)),
                   [&](float x, int id) {
                       return x >= least && left.has(x, id) ? mass_of(x, left.max) : 0ull;
                   });
    s->last = max(s->last, left.last);
}

struct drawn {
    int id;
    float logit, lp_behav;
};

__device__ __forceinline__ struct drawn draw_greedily(const struct row_logits &row,
                                                      const draw_memory &at) {
    struct best best = best_none();
    each_id(row, [&](float x, int id) { best_take(&best, x, id); });
    best = block_best(at, best);
    return {best.id, row.logits[best.id], 0};
}

// The best of those that survive, by x + noise, and log-softmax over them. Logarithms are taken as
// in head.cu.
__device__ __forceinline__ struct drawn
draw_survivor(const struct row_logits &row, const draw_memory &at, const struct survivors &s) {
    const struct step_want &want = row.want;
    const uint64_t seed = (uint64_t)want.seed_high << 32 | want.seed_low;
    unsigned long long sum = 0;
    struct best best = best_none();
    __syncthreads();
    if (threadIdx.x == 0) *at.reached = 0;
    __syncthreads();
    each_four(row, [&](const float(&x)[4], int first) {
        unsigned mask = 0;
#pragma unroll
        for (int k = 0; k < 4; k++) mask |= (unsigned)s.has(x[k], first + k) << k;
        if (mask == 0) return;
        uint32_t key = *(volatile uint32_t *)at.reached;
        float bound = key ? value_of(key) : -math_infinity();
        float scale = exp_of(fminf(s.max - bound, 80.0f)) * 1.001f;
#pragma unroll 1
        for (; mask; mask &= mask - 1) {
            int k = __ffs((int)mask) - 1;
            float v = k == 0 ? x[0] : k == 1 ? x[1] : k == 2 ? x[2] : x[3], e = exp_of(v - s.max);
            if (s.min_p > 0 && v < s.max && e < s.min_p) continue;
            sum += (unsigned long long)(e * MASS_ONE);
            struct math_words counter = {{(uint32_t)(first + k), want.position, want.sample, 0}};
            uint32_t word = math_philox(counter, (uint32_t)seed, (uint32_t)(seed >> 32)).w[0];
            float u = math_float(word >> 9 | 0x3f800000u);
            if (u >= fmaf(e, -scale, 2 - 0x1p-23f) &&
                best_take(&best, v + math_gumbel(word), first + k))
                atomicMax(at.reached, key_of(best.value));
        }
    });
    sum = block_sum(at, sum);
    best = block_best(at, best);
    float x[4];
    int first = best.id & ~3;
    row.values(first, *(const float4 *)(row.logits + first), divisor(want.temperature), x);
    double log_sum = math_log64((double)sum / (double)MASS_ONE);
    return {best.id, row.logits[best.id], log_softmax(x[best.id & 3], s.max, log_sum)};
}

__device__ __forceinline__ struct drawn
draw_row(const struct row_logits &row, const draw_memory &at, const struct tile_totals &tiles) {
    if (row.want.temperature == 0) return draw_greedily(row, at);
    struct survivors s = {0, tiles.max_known, row.want.min_p};
    if (!row.is_plain()) {
        float top = -math_infinity();
        each_id(row, [&](float x, int) { top = fmaxf(top, x); });
        s.max = block_max(at, top);
    }
    if (!math_is_finite(s.max)) return {0, row.logits[0], s.max}; // a log-probability that is bad
    cut_top_k(row, at, &s);
    cut_top_p(row, at, row.is_plain() ? tiles.sum_known : 0, &s);
    return draw_survivor(row, at, s);
}

// ------------------------------------------------------------------ results

__device__ __forceinline__ struct row_logits
logits_of(const struct head &h, const struct step_want &want, const draw_memory &at) {
    struct row_logits row = {};
    row.head = &h;
    row.want = want;
    row.logits = h.logits + step_rows(h.step)[want.row].stored * h.logits_stride;
    if (want.seen >= 0) row.seen = step_seen(h.step) + (int64_t)want.seen * ((h.vocab + 31) / 32);
    row.biased = at.biased;
    row.bias_ids = step_bias_ids(h.step) + want.first_bias;
    row.biases = step_biases(h.step) + want.first_bias;
    return row;
}

__device__ __forceinline__ void draw_want(const struct draw_args &a, const draw_memory &at, int i) {
    const struct head &h = a.head;
    const struct step_want want = step_wants(h.step)[i];
    int n = h.step->n_wants;
    struct tile_totals t = add_tiles(h, at, i);
    float temperature = want.temperature == 0 ? 1 : want.temperature;
    struct drawn d = {want.target, 0, 0};
    if (t.is_bad) {
        d.id = want.is_draw ? 0 : want.target;
    } else if (!want.is_draw) {
        d.logit = h.targets[i];
    } else if (want.needs_logits) {
        struct row_logits row = logits_of(h, want, at);
        find_biased(row, at.biased);
        d = draw_row(row, at, t);
    } else {
        d.id = t.best.id;
        d.logit = t.best_logit;
        if (want.temperature != 0)
            d.lp_behav = log_softmax(d.logit / temperature, t.max_known, math_log64(t.sum_known));
    }
    if (threadIdx.x != 0) return;
    h.reached[i] = 0;
    float lp_full = t.is_bad ? 0 : log_softmax(d.logit / temperature, t.max, math_log64(t.sum));
    a.ids[i] = d.id;
    ((float *)a.ids)[n + i] = lp_full;
    ((float *)a.ids)[2 * n + i] = d.lp_behav;
    // Finite logits become infinite by a large bias or a low temperature.
    ((uint8_t *)a.ids)[12 * n + i] =
        t.is_bad || !math_is_finite(lp_full) || !math_is_finite(d.lp_behav);
}

__global__ void __launch_bounds__(DRAW_THREADS, 2) draw_wants(const struct draw_args a) {
    DYNAMIC_SHARED(memory);
    draw_memory at(memory, a.head.vocab);
    launch_dependents();
    wait_for_prior_grid();
    for (int i = blockIdx.x; i < a.head.step->n_wants; i += gridDim.x) {
        draw_want(a, at, i);
        __syncthreads();
    }
}

int draw_launch(const struct queue *q, const struct draw_args *a, int max_outputs) {
    shared_size size;
    draw_memory counted(size, a->head.vocab);
    struct launch how;
    int n_blocks, status = resident_blocks(q, draw_wants, DRAW_THREADS, size.bytes, &n_blocks);
    if (status) return status;
    how.grid = dim3(max_outputs < n_blocks ? max_outputs : n_blocks);
    how.block = dim3(DRAW_THREADS);
    how.shared_bytes = size.bytes;
    how.stream = (cudaStream_t)q->stream;
    how.programmatic = q->is_programmatic;
    return launch_kernel(how, draw_wants, *a);
}
