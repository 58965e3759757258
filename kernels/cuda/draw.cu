// The results of a step: each want's sums of all tiles of the head added in order, then its id and
// both log-probabilities. Draws with top-k, top-p, min-p, penalties or bias go over their stored
// logits: thresholds by radix selection (11 bits a pass), no sort. Masses are added as integers of
// 2^-44, so that their sum has no order.
//
// A block of 512 threads a want. Sums of exponentials are float64: a thread's ids in order, lanes
// as warp_sum, warps in order.
#include "kernels/cuda/draw.cuh"

enum {
    DRAW_THREADS = 512,
    DRAW_WARPS = DRAW_THREADS / N_LANES,
    RADIX_BITS = 11,
    RADIX = 1 << RADIX_BITS,
    N_PASSES = 3,
};
#define MASS_ONE 0x1p44 // of an id as probable as the most probable one

struct draw_memory {
    unsigned long long *counts; // (RADIX) ids, or masses, by digit
    uint32_t *biased;           // (vocab bits) ids with a bias
    double *sums;               // (DRAW_WARPS)
    float *values;              // (DRAW_WARPS)
    int *ids;                   // (DRAW_WARPS)
    unsigned long long *found;  // (2)
    template <class Memory> __host__ __device__ draw_memory(Memory &memory, int vocab) {
        memory.take(&counts, RADIX);
        memory.take(&biased, (vocab + 31) / 32);
        memory.take(&sums, DRAW_WARPS);
        memory.take(&values, DRAW_WARPS);
        memory.take(&ids, DRAW_WARPS);
        memory.take(&found, 2);
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

    // Processed: -infinity for ids that the tokenizer lacks.
    __device__ __forceinline__ float value(int id) const {
        if (head->missing[id / 32] >> id % 32 & 1) return -math_infinity();
        float x = logits[id];
        if (want.n_bias > 0 && biased[id / 32] >> id % 32 & 1)
            for (int i = 0; i < want.n_bias; i++)
                if (bias_ids[i] == id) x += biases[i];
        if (seen && seen[id / 32] >> id % 32 & 1) x = x > 0 ? x / want.penalty : x * want.penalty;
        return want.temperature == 0 ? x : x / want.temperature;
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

// What survives: keys above `least`, and of those that are `least` the ids up to last_id; of these
// e^(x - max) >= min_p, or all.
struct survivors {
    uint32_t least;
    int last_id;
    float max, min_p;
    __device__ __forceinline__ bool has(float x, int id) const {
        uint32_t key = key_of(x);
        if (x == -math_infinity() || key < least || (key == least && id > last_id)) return false;
        return !(min_p > 0 && x < max && math_exp(x - max) < min_p);
    }
};

__device__ __forceinline__ unsigned long long mass_of(float x, float max) {
    return (unsigned long long)((double)math_exp(x - max) * MASS_ONE);
}

// The digit at which the counts from the top reach `wanted` (more than 0, at most all of them), and
// what lies above it; by all threads.
__device__ __forceinline__ int find_digit(const draw_memory &at, unsigned long long wanted,
                                          unsigned long long *above) {
    const int SHARE = RADIX / N_LANES, lane = threadIdx.x % N_LANES;
    __syncthreads();
    if (threadIdx.x < N_LANES) {
        // Lane 0 has the digits at the top.
        int top = RADIX - 1 - lane * SHARE;
        unsigned long long mine = 0;
        for (int i = 0; i < SHARE; i++) mine += at.counts[top - i];
        unsigned long long upto = mine;
        for (int by = 1; by < N_LANES; by *= 2) {
            unsigned long long before = __shfl_up_sync(ALL_LANES, upto, by);
            if (lane >= by) upto += before;
        }
        unsigned long long sum = upto - mine;
        if (sum < wanted && wanted <= upto)
            for (int i = 0; i < SHARE; i++) {
                unsigned long long count = at.counts[top - i];
                if (sum + count >= wanted) {
                    at.found[0] = (unsigned long long)(top - i);
                    at.found[1] = sum;
                    break;
                }
                sum += count;
            }
    }
    __syncthreads();
    *above = at.found[1];
    return (int)at.found[0];
}

// The key at which the weights of ids, from the largest key down, reach `wanted`; *above becomes
// what lies above that key. weight(x) is of the ids that survive so far.
template <class Weight>
__device__ __forceinline__ uint32_t find_key(const struct row_logits &row, const draw_memory &at,
                                             unsigned long long wanted, unsigned long long *above,
                                             Weight weight) {
    uint32_t found = 0, mask = 0;
    *above = 0;
    for (int pass = N_PASSES - 1; pass >= 0; pass--) {
        int shift = pass * RADIX_BITS;
        __syncthreads();
        for (int i = threadIdx.x; i < RADIX; i += DRAW_THREADS) at.counts[i] = 0;
        __syncthreads();
        for (int id = threadIdx.x; id < row.head->vocab; id += DRAW_THREADS) {
            float x = row.value(id);
            uint32_t key = key_of(x);
            unsigned long long of_id = (key & mask) == found ? weight(x) : 0;
            if (of_id) atomicAdd(&at.counts[key >> shift & (RADIX - 1)], of_id);
        }
        unsigned long long before;
        uint32_t digit = (uint32_t)find_digit(at, wanted - *above, &before);
        *above += before;
        found |= digit << shift;
        mask |= (uint32_t)(RADIX - 1) << shift;
    }
    return found;
}

// The id of the n-th id (from 1, in order) whose key is `key`.
__device__ __forceinline__ int find_tie(const struct row_logits &row, const draw_memory &at,
                                        uint32_t key, unsigned long long n) {
    unsigned long long before = 0;
    for (int first = 0; first < row.head->vocab; first += DRAW_THREADS) {
        int id = first + threadIdx.x, lane = threadIdx.x % N_LANES, warp = threadIdx.x / N_LANES;
        bool is_tie = id < row.head->vocab && key_of(row.value(id)) == key;
        unsigned ties = __ballot_sync(ALL_LANES, is_tie);
        if (lane == 0) at.ids[warp] = __popc(ties);
        __syncthreads();
        unsigned long long rank = before + (unsigned)__popc(ties & ((2u << lane) - 1));
        for (int i = 0; i < DRAW_WARPS; i++) {
            if (i < warp) rank += (unsigned)at.ids[i];
            before += (unsigned)at.ids[i];
        }
        if (is_tie && rank == n) at.found[0] = (unsigned long long)id;
        __syncthreads();
        if (before >= n) break;
    }
    return (int)at.found[0];
}

template <class Visit>
__device__ __forceinline__ void each_id(const struct row_logits &row, Visit visit) {
    for (int id = threadIdx.x; id < row.head->vocab; id += DRAW_THREADS) visit(row.value(id), id);
}

__device__ __forceinline__ void cut_top_k(const struct row_logits &row, const draw_memory &at,
                                          struct survivors *s) {
    if (row.want.top_k <= 0 || row.want.top_k >= row.head->vocab) return;
    unsigned long long above;
    s->least =
        find_key(row, at, (unsigned long long)row.want.top_k, &above, [](float) { return 1ull; });
}

// Of the ids that are left: from the most probable down, lower id first, until p is reached.
__device__ __forceinline__ void cut_top_p(const struct row_logits &row, const draw_memory &at,
                                          struct survivors *s) {
    if (row.want.top_p >= 1.0f) return;
    const struct survivors left = *s;
    auto mass = [&](float x) { return left.has(x, 0) ? mass_of(x, left.max) : 0ull; };
    unsigned long long total = 0;
    each_id(row, [&](float x, int) { total += mass(x); });
    __syncthreads();
    if (threadIdx.x == 0) at.counts[0] = 0;
    __syncthreads();
    atomicAdd(&at.counts[0], total);
    __syncthreads();
    total = at.counts[0];
    unsigned long long wanted = (unsigned long long)((double)row.want.top_p * (double)total), above;
    if (wanted == 0) wanted = 1;
    s->least = find_key(row, at, wanted, &above, mass);
    float x = value_of(s->least);
    unsigned long long each = mass_of(x, left.max), n = (wanted - above + each - 1) / each;
    s->last_id = find_tie(row, at, s->least, n);
}

struct drawn {
    int id;
    float logit, lp_behav;
};

__device__ __forceinline__ struct drawn draw_row(const struct row_logits &row,
                                                 const draw_memory &at) {
    const struct step_want &want = row.want;
    float top = -math_infinity();
    struct best best = best_none();
    if (want.temperature == 0) {
        each_id(row, [&](float x, int id) { best_take(&best, x, id); });
        best = block_best(at, best);
        return {best.id, row.logits[best.id], 0};
    }
    each_id(row, [&](float x, int) { top = fmaxf(top, x); });
    struct survivors s = {0, row.head->vocab, block_max(at, top), 0};
    if (!math_is_finite(s.max)) return {0, row.logits[0], s.max}; // a log-probability that is bad
    cut_top_k(row, at, &s);
    cut_top_p(row, at, &s);
    s.min_p = want.min_p;
    double sum = 0;
    each_id(row, [&](float x, int id) {
        if (!s.has(x, id)) return;
        sum += (double)math_exp(x - s.max);
        if (best.id < 0 || x + MAX_NOISE > best.value)
            best_take(&best, x + want_noise(want, id), id);
    });
    sum = block_sum(at, sum);
    best = block_best(at, best);
    return {best.id, row.logits[best.id], log_softmax(row.value(best.id), s.max, math_log64(sum))};
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
        d = draw_row(row, at);
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

__global__ void __launch_bounds__(DRAW_THREADS, 1) draw_wants(const struct draw_args a) {
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
