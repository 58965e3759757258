// The head: logits of the rows that are wanted, and what each want needs of them, while the sums
// are at hand: maximum, sum of exponentials and the best id with its noise, of 128 ids at a time.
// Logits go to memory only for draws that must look at all of them again (draw.cu).
//
// A warp takes a row of the tile, a lane 4 ids in a row. Sums: a lane's ids in order, then as
// warp_sum; draw.cu adds the tiles.
#include "kernels/cuda/draw.cuh"
#include "kernels/cuda/matmul.cuh"

template <int ROWS, int BT> struct head_op : head {
    static const int rows = ROWS;
    static const bool is_early = true;
    static_assert(ROWS == HEAD_TILE && ROWS == 4 * N_LANES, "");

    __device__ __forceinline__ int n_tiles() const {
        return n_dense_tiles<ROWS, BT>(w, step->n_rows);
    }
    __device__ __forceinline__ product_tile tile(int i) const {
        return dense_tile<ROWS, BT>(w, step->n_rows, i);
    }
    __device__ __forceinline__ const void *row(const product_tile &t, int i) const {
        return (const bf16 *)n + (int64_t)step_rows(step)[t.token + i].token * n_stride;
    }

    // Maximum and sum over the lanes' values, where `mask` has the value's bit.
    __device__ __forceinline__ void sum_of(const float (&x)[4], unsigned mask, float *max,
                                           float *sum) const {
        float top = -math_infinity(), s = 0;
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (mask >> k & 1) top = fmaxf(top, x[k]);
        top = warp_max(top);
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (mask >> k & 1) s += math_exp(x[k] - top);
        *max = top;
        *sum = warp_sum(s);
    }
    // The best of the lanes' known ids.
    __device__ __forceinline__ void best_of(const struct step_want &want, const float (&x)[4],
                                            const float (&logit)[4], unsigned known, int id,
                                            head_sums &sums) const {
        struct best best = best_none();
        float best_logit = 0;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            if (!(known >> k & 1)) continue;
            float noise = want.temperature == 0 ? 0 : want_noise(want, id + k);
            if (best_take(&best, x[k] + noise, id + k)) best_logit = logit[k];
        }
        struct best all = warp_best(best);
        unsigned owner = __ballot_sync(ALL_LANES, best.id == all.id);
        sums.best = all.value;
        sums.best_id = all.id;
        sums.best_logit = __shfl_sync(ALL_LANES, best_logit, __ffs((int)owner) - 1);
    }

    __device__ __forceinline__ void want_sums(int index, const float (&logit)[4], unsigned valid,
                                              unsigned known, bool is_bad, int id, int tile_index,
                                              int n_all) const {
        const struct step_want want = step_wants(step)[index];
        float temperature = want.temperature == 0 ? 1 : want.temperature, x[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            x[k] = logit[k] / temperature;
            if (!want.is_draw && id + k == want.target) targets[index] = logit[k];
        }
        head_sums s = {};
        s.is_bad = is_bad;
        s.best_id = -1;
        sum_of(x, valid, &s.max, &s.sum);
        s.max_known = s.max;
        s.sum_known = s.sum;
        if (want.is_draw && !want.needs_logits) {
            if (__any_sync(ALL_LANES, known != valid)) sum_of(x, known, &s.max_known, &s.sum_known);
            best_of(want, x, logit, known, id, s);
        }
        struct head_sums *to = sums + (int64_t)index * n_all + tile_index;
        if (threadIdx.x % N_LANES == 0) *to = s;
    }

    template <class Sync>
    __device__ __forceinline__ void finish(const product_tile &t, int first, int n_tokens,
                                           const float *tile_sums, int thread, int n_threads,
                                           Sync) const {
        int lane = thread % N_LANES, id = t.row + lane * 4, n_all = w.n_rows / ROWS;
        unsigned valid = id + 4 <= vocab ? 15 : id < vocab ? (1u << (vocab - id)) - 1 : 0;
        unsigned known = valid & ~(id < vocab ? missing[id / 32] >> id % 32 & 15 : 0);
        for (int i = thread / N_LANES; i < n_tokens; i += n_threads / N_LANES) {
            const struct step_row row = step_rows(step)[t.token + first + i];
            float4 v = *(const float4 *)(tile_sums + i * sums_stride<ROWS> + lane * 4);
            float logit[4] = {v.x, v.y, v.z, v.w};
            bool is_bad = false;
#pragma unroll
            for (int k = 0; k < 4; k++) is_bad |= valid >> k & 1 && !math_is_finite(logit[k]);
            is_bad = __any_sync(ALL_LANES, is_bad);
            if (row.stored >= 0) *(float4 *)(logits + row.stored * logits_stride + id) = v;
            for (int k = 0; k < row.n; k++)
                want_sums(row.first + k, logit, valid, known, is_bad, id, t.row / ROWS, n_all);
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
