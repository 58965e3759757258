// The head: logits of the rows that are wanted, and what each want needs of them, while the sums
// are at hand: maximum, sum of exponentials and the best id with its noise, of 128 ids at a time.
// Logits go to memory only for draws that must look at all of them again (draw.cu).
//
// A row of the tile goes to 8 lanes of a warp, or to all 32 where rows are few. Sums: groups of 4
// ids in order, then groups at distance 16, 8, 4, 2, 1: one order for both.
//
// Noise costs 60 instructions for its random word and as many for two logarithms, of 65,536 ids a
// row. An id's logarithms are taken only if it can win: 1 - u <= -ln u, so its value x - ln(-ln u)
// reaches `bound`, that of an id seen before in any tile, only where 1 - u <= e^(x - bound). Words
// are left out where no u suffices. What a block sees of other tiles changes no result: ids that
// win are never left out.
#include "kernels/cuda/draw.cuh"
#include "kernels/cuda/matmul.cuh"

// What the lanes of a row share: its logits in shared memory, their maximum; a lane's bits for ids
// that are in the vocabulary, and that the tokenizer knows.
struct head_row {
    const float *logits;
    float max;
    bool is_bad; // a logit is not finite
    unsigned valid, known;
};

template <int ROWS, int BT> struct head_op : head {
    static const int rows = ROWS;
    static const bool is_early = true;
    static constexpr int LANES = BT <= 16 ? N_LANES : 8; // of a row
    static constexpr int PARTS = ROWS / (4 * LANES), N = 4 * PARTS;
    static_assert(ROWS == HEAD_TILE, "");

    __device__ __forceinline__ int n_tiles() const {
        return n_dense_tiles<ROWS, BT>(w, step->n_rows);
    }
    __device__ __forceinline__ product_tile tile(int i) const {
        return dense_tile<ROWS, BT>(w, step->n_rows, i);
    }
    __device__ __forceinline__ const void *row(const product_tile &t, int i) const {
        return (const bf16 *)n + (int64_t)step_rows(step)[t.token + i].token * n_stride;
    }

    // Over the lanes of a row; the same in each.
    __device__ __forceinline__ static float row_max(float x) {
#pragma unroll
        for (int by = LANES / 2; by > 0; by /= 2) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, by));
        return x;
    }
    __device__ __forceinline__ static struct best row_best(struct best b) {
#pragma unroll
        for (int by = LANES / 2; by > 0; by /= 2) {
            float value = __shfl_xor_sync(ALL_LANES, b.value, by);
            best_take(&b, value, __shfl_xor_sync(ALL_LANES, b.id, by));
        }
        return b;
    }
    // The lane's id number i of a tile.
    __device__ __forceinline__ static int lane_id(int i) {
        return (i / 4 * LANES + threadIdx.x % LANES) * 4 + i % 4;
    }

    // Its logits of group p, divided.
    __device__ __forceinline__ static float4 values(const head_row &row, int p,
                                                    const divisor &temperature) {
        float4 v = *(const float4 *)(row.logits + lane_id(4 * p));
        return make_float4(temperature.divide(v.x), temperature.divide(v.y),
                           temperature.divide(v.z), temperature.divide(v.w));
    }

    // The best of the known ids without noise.
    __device__ __forceinline__ static struct best
    largest(const head_row &row, const divisor &temperature, int first_id) {
        struct best best = best_none();
#pragma unroll 1 // beside the 64 sums of a thread registers are few
        for (int p = 0; p < PARTS; p++) {
            float4 x = values(row, p, temperature);
            int id = first_id + lane_id(4 * p);
            if (row.known >> 4 * p & 1) best_take(&best, x.x, id);
            if (row.known >> 4 * p & 2) best_take(&best, x.y, id + 1);
            if (row.known >> 4 * p & 4) best_take(&best, x.z, id + 2);
            if (row.known >> 4 * p & 8) best_take(&best, x.w, id + 3);
        }
        return row_best(best);
    }

    // The sum of e^(x - top) of the masked ids over the row. Of a draw (scale > 0) *candidates
    // becomes the lane's ids that may reach a bound: e^(x - top) * scale is e^(x - bound), a little
    // more.
    __device__ __forceinline__ static float sum_ids(const head_row &row, const divisor &temperature,
                                                    unsigned mask, float top, float scale,
                                                    const struct step_want &want, int first_id,
                                                    unsigned *candidates) {
        const uint64_t seed = (uint64_t)want.seed_high << 32 | want.seed_low;
        float even = 0, odd = 0; // the sums of groups, in turns
        *candidates = 0;
#pragma unroll 1
        for (int p = 0; p < PARTS; p++) {
            float4 x = values(row, p, temperature);
            float e[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
            for (int k = 0; k < 4; k++) e[k] = mask >> (4 * p + k) & 1 ? exp_of(e[k] - top) : 0;
            float sum = even + (((e[0] + e[1]) + e[2]) + e[3]);
            even = odd;
            odd = sum;
            // 1 - u is at least 2^-24.
            float most = fmaxf(fmaxf(e[0], e[1]), fmaxf(e[2], e[3])) * scale;
            if (!__any_sync(ALL_LANES, most > 0x1p-25f)) continue;
#pragma unroll
            for (int k = 0; k < 4; k++) {
                struct math_words counter = {
                    {(uint32_t)(first_id + lane_id(4 * p) + k), want.position, want.sample, 0}};
                uint32_t word = math_philox(counter, (uint32_t)seed, (uint32_t)(seed >> 32)).w[0];
                float u = math_float(word >> 9 | 0x3f800000u); // 1 + u, at most 2^-24 less
                if (u >= fmaf(e[k], -scale, 2 - 0x1p-23f)) *candidates |= 1u << (4 * p + k);
            }
        }
        *candidates &= scale > 0 ? mask : 0;
        float sum = even + odd;
#pragma unroll
        for (int by = LANES / 2; by > 0; by /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, by);
        return sum;
    }

    // The best of the lanes' candidates by x + noise.
    __device__ __forceinline__ static struct best best_of(const head_row &row,
                                                          const divisor &temperature,
                                                          const struct step_want &want,
                                                          int first_id, unsigned candidates) {
        struct best best = best_none();
#pragma unroll 1
        for (; candidates; candidates &= candidates - 1) {
            int at = lane_id(__ffs((int)candidates) - 1), id = first_id + at;
            best_take(&best, temperature.divide(row.logits[at]) + want_noise(want, id), id);
        }
        __syncwarp();
        return row_best(best);
    }

    // What of e^(x - top) is e^(x - bound), where `key` says which value an id of any tile has
    // reached; 0: none has, and this tile's largest logit says it.
    __device__ __forceinline__ static float scale_of(const head_row &row,
                                                     const divisor &temperature,
                                                     const struct step_want &want, int first_id,
                                                     float top, uint32_t key) {
        float bound = key ? value_of(key) : -math_infinity();
        if (__any_sync(ALL_LANES, key == 0)) {
            struct best first = largest(row, temperature, first_id);
            if (key == 0 && first.id >= 0) bound = first.value + want_noise(want, first.id);
        }
        return exp_of(fminf(top - bound, 80.0f)) * 1.001f;
    }

    // One want of each row of the warp; is_there: this row has one.
    __device__ __forceinline__ void want_sums(const product_tile &t, int index, bool is_there,
                                              const head_row &row) const {
        const struct step_want want = step_wants(step)[is_there ? index : 0];
        const bool is_drawn = is_there && want.is_draw && !want.needs_logits;
        const bool is_greedy = is_drawn && want.temperature == 0, is_random = is_drawn != is_greedy;
        // Early, since it is slow.
        uint32_t key = is_random ? *(volatile uint32_t *)&reached[index] : ~0u;
        const divisor temperature(want.temperature);
        head_sums s = {};
        s.is_bad = row.is_bad;
        s.max = s.max_known = temperature.divide(row.max); // which keeps the order
        struct best best = best_none();
        bool is_whole = __all_sync(ALL_LANES, row.known == row.valid);
        if (!is_whole || __any_sync(ALL_LANES, is_greedy)) best = largest(row, temperature, t.row);
        if (!is_whole) s.max_known = best.value;
        float scale = 0;
        unsigned candidates;
        if (__any_sync(ALL_LANES, is_random))
            scale = scale_of(row, temperature, want, t.row, s.max_known, key);
        if (!is_random) scale = 0;
        if (!is_whole)
            s.sum = sum_ids(row, temperature, row.valid, s.max, 0, want, t.row, &candidates);
        s.sum_known =
            sum_ids(row, temperature, row.known, s.max_known, scale, want, t.row, &candidates);
        if (is_whole) s.sum = s.sum_known;
        if (!is_greedy) best = best_none();
        if (__any_sync(ALL_LANES, candidates != 0)) {
            struct best noisy = best_of(row, temperature, want, t.row, candidates);
            if (!is_greedy) best = noisy;
        }
        if (!is_there || threadIdx.x % LANES != 0) return;
        if (is_random && best.id >= 0) atomicMax(&reached[index], key_of(best.value));
        if (!want.is_draw && want.target >= t.row && want.target < t.row + ROWS)
            targets[index] = row.logits[want.target - t.row];
        s.best = best.value;
        s.best_id = best.id;
        if (best.id >= 0) s.best_logit = row.logits[best.id - t.row];
        sums[(int64_t)index * (w.n_rows / ROWS) + t.row / ROWS] = s;
    }

    // Whole warps come, with or without a row for all of their lanes.
    __device__ __forceinline__ void warp_rows(const product_tile &t, const struct step_row &wanted,
                                              bool is_there, head_row &row) const {
        float top = -math_infinity(), zero = 0;
#pragma unroll 1
        for (int p = 0; p < PARTS; p++) {
            float4 v = *(const float4 *)(row.logits + lane_id(4 * p));
            if (is_there && wanted.stored >= 0)
                *(float4 *)(logits + wanted.stored * logits_stride + t.row + lane_id(4 * p)) = v;
            const float of_part[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (int k = 0; k < 4; k++)
                if (row.valid >> (4 * p + k) & 1) {
                    top = fmaxf(top, of_part[k]);
                    zero = fmaf(of_part[k], 0.0f, zero);
                }
        }
        row.max = row_max(top);
        row.is_bad = row_max(zero == 0 ? 0.0f : 1.0f) != 0;
        int n = is_there ? wanted.n : 0, most = __reduce_max_sync(ALL_LANES, n);
#pragma unroll 1
        for (int k = 0; k < most; k++) want_sums(t, wanted.first + k, k < n, row);
    }

    template <class Sync>
    __device__ __forceinline__ void finish(const product_tile &t, int first, int n_tokens,
                                           const float *tile_sums, int thread, int n_threads,
                                           Sync) const {
        head_row row = {};
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
            int id = t.row + lane_id(4 * p);
            unsigned bits = id + 4 <= vocab ? 15 : id < vocab ? (1u << (vocab - id)) - 1 : 0;
            row.valid |= bits << 4 * p;
            if (bits) row.known |= (bits & ~(missing[id / 32] >> id % 32)) << 4 * p;
        }
        const int place = thread % N_LANES / LANES, n_rows = n_threads / LANES;
        for (int i = thread / LANES; i - place < n_tokens; i += n_rows) {
            int at = i < n_tokens ? i : 0;
            row.logits = tile_sums + at * sums_stride<ROWS>;
            warp_rows(t, step_rows(step)[t.token + first + at], i < n_tokens, row);
        }
    }
};

int head_launch(const struct queue *q, const struct head *a, int token_tile) {
    switch (token_tile) {
    case 8:
        return launch_product<head_op<128, 8>, 8>(q, a);
    case 16:
        return launch_product<head_op<128, 16>, 16>(q, a);
    case 32:
        return launch_product<head_op<128, 32>, 32>(q, a);
    case 64:
        return launch_product<head_op<128, 64>, 64>(q, a);
    default:
        return launch_product<head_op<128, 128>, 128>(q, a);
    }
}
