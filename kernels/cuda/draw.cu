// The results of a step: each want's sums of all tiles of the head added in order, then its id and
// both log-probabilities. Draws with top-k, top-p, min-p, penalties or bias go over their stored
// logits, 256 KB of the L2 cache a time: two passes for each cut (draw_cut.cuh), and one that
// draws.
//
// A block of 512 threads a want, two a SM. Sums of exponentials of tiles are float64: a thread's
// tiles in order, lanes as warp_sum, warps in order.
#include "kernels/cuda/draw_cut.cuh"

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

// ------------------------------------------------------------------ draws

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
