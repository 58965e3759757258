// The results of a step: each want's sums of all tiles of the head added in order, then its id and
// both log-probabilities. Draws with top-k, top-p, min-p, penalties or bias go over their stored
// logits, 256 KB of the L2 cache a time: two passes for each cut (draw_cut.cuh), and one that
// draws.
//
// A block of 512 threads a want, two a SM on sm_80 to 90. Sums of exponentials of tiles are
// float64: a thread's tiles in order, lanes as warp_sum, warps in order.
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
    // Halves of a head_sums as 16 bytes: a load a field would move each sector 8 times.
    for (int i = threadIdx.x; i < n; i += DRAW_THREADS) {
        float4 of_sums = ((const float4 *)(tiles + i))[0],
               of_best = ((const float4 *)(tiles + i))[1];
        t.max = fmaxf(t.max, of_sums.x);
        t.max_known = fmaxf(t.max_known, of_sums.z);
        is_bad |= __float_as_int(of_best.w) != 0;
        best_take(&t.best, of_best.x, __float_as_int(of_best.z));
    }
    t.is_bad = __syncthreads_or(is_bad);
    t.max = block_max(at, t.max);
    t.max_known = block_max(at, t.max_known);
    t.best = block_best(at, t.best);
    for (int i = threadIdx.x; i < n; i += DRAW_THREADS) {
        float4 v = *(const float4 *)(tiles + i); // max, sum, max_known, sum_known
        if (v.y > 0) t.sum += v.y * (double)math_exp(v.x - t.max);
        if (v.w > 0) t.sum_known += v.w * (double)math_exp(v.z - t.max_known);
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
    const struct step_want *want = row.want;
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
            struct math_words counter = {{(uint32_t)(first + k), want->position, want->sample, 0}};
            uint32_t word = math_philox(counter, want->seed_low, want->seed_high).w[0];
            float u = math_float(word >> 9 | 0x3f800000u);
            if (u >= fmaf(e, -scale, 2 - 0x1p-23f) &&
                best_take(&best, v + math_gumbel(word), first + k))
                atomicMax(at.reached, key_of(best.value));
        }
    });
    sum = block_sum(at, sum);
    best = block_best(at, best);
    float x = row.logits[best.id];
    struct drawn d = {best.id, x, 0};
    if (!row.is_plain) x = row.adjusted(x, best.id);
    x = divisor(want->temperature).divide(x);
    d.lp_behav = log_softmax(x, s.max, log_of((double)sum / (double)MASS_ONE));
    return d;
}

__device__ __forceinline__ struct drawn
draw_row(const struct row_logits &row, const draw_memory &at, const struct tile_totals &tiles) {
    if (row.want->temperature == 0) return draw_greedily(row, at);
    struct survivors s = {0, tiles.max_known, row.want->min_p};
    if (!row.is_plain) {
        float top = -math_infinity();
        each_id(row, [&](float x, int) { top = fmaxf(top, x); });
        s.max = block_max(at, top);
    }
    if (!math_is_finite(s.max)) return {0, row.logits[0], s.max}; // a log-probability that is bad
    cut(row, at, row.is_plain ? tiles.sum_known : 0, &s);
    return draw_survivor(row, at, s);
}

// ------------------------------------------------------------------ results

__device__ __forceinline__ struct row_logits logits_of(const struct head &h,
                                                       const draw_memory &at) {
    const struct step_want *want = at.want;
    return {&h, want, h.logits + step_rows(h.step)[want->row].stored * h.logits_stride, at.biased,
            want->seen < 0 && want->n_bias == 0};
}

__device__ __forceinline__ void draw_want(const struct draw_args &a, const draw_memory &at, int i) {
    const struct head &h = a.head;
    const struct step_want &want = *at.want;
    int n = h.step->n_wants;
    if (threadIdx.x == 0) *at.want = step_wants(h.step)[i];
    struct tile_totals t = add_tiles(h, at, i); // its barriers are behind the want
    float temperature = want.temperature == 0 ? 1 : want.temperature;
    struct drawn d = {want.target, 0, 0};
    if (t.is_bad) {
        d.id = want.is_draw ? 0 : want.target;
    } else if (!want.is_draw) {
        d.logit = h.targets[i];
    } else if (want.needs_logits) {
        struct row_logits row = logits_of(h, at);
        find_biased(row, at.biased);
        d = draw_row(row, at, t);
    } else {
        d.id = t.best.id;
        d.logit = t.best_logit;
        if (want.temperature != 0)
            d.lp_behav = log_softmax(d.logit / temperature, t.max_known, log_of(t.sum_known));
    }
    if (threadIdx.x != 0) return;
    h.reached[i] = 0;
    float lp_full = t.is_bad ? 0 : log_softmax(d.logit / temperature, t.max, log_of(t.sum));
    a.ids[i] = d.id;
    ((float *)a.ids)[n + i] = lp_full;
    ((float *)a.ids)[2 * n + i] = d.lp_behav;
    // Finite logits become infinite by a large bias or a low temperature.
    ((uint8_t *)a.ids)[12 * n + i] =
        t.is_bad || !math_is_finite(lp_full) || !math_is_finite(d.lp_behav);
}

__global__ void __launch_bounds__(DRAW_THREADS, DRAW_BLOCKS) draw_wants(const struct draw_args a) {
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
