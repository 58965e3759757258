// q, k, v = W n of an attention layer; then, head by head while the sums are at hand: RMSNorm of q
// and k over the head, the rotation, q to memory for attention.cu, k and v to their pages.
//
// A warp takes a head of a token: its squares are summed by lanes (pairs d, d + head_dim / 2 of
// d = lane, lane + 32, ...), then as warp_sum does.
#include "kernels/cuda/matmul.cuh"

template <int ROWS, int BT> struct qkv_op : qkv {
    static const int rows = ROWS;
    static const bool is_early = true;

    __device__ __forceinline__ int n_tiles() const {
        return n_dense_tiles<ROWS, BT>(w, step->n_tokens);
    }
    __device__ __forceinline__ product_tile tile(int i) const {
        return dense_tile<ROWS, BT>(w, step->n_tokens, i);
    }
    __device__ __forceinline__ const void *row(const product_tile &t, int i) const {
        return (const bf16 *)n + (int64_t)(t.token + i) * n_stride;
    }

    // K (is_v 0) or V of a KV head at a token's place in its page.
    __device__ __forceinline__ char *page_row(int token, int head, int is_v) const {
        const struct step_token *place = &step_tokens(step)[token];
        int64_t size = is_bf16 ? 2 : 4;
        int64_t slot = (int64_t)(2 * head + is_v) * page_tokens + place->position % page_tokens;
        return (char *)pages + place->page * page_bytes + slot * head_dim * size;
    }
    __device__ __forceinline__ void store_v(const float *x, int token, int head, int lane) const {
        char *to = page_row(token, head, 1);
        for (int d = lane; d < head_dim; d += N_LANES) store_state(is_bf16, to, d, x[d]);
    }
    // Norm and rotation; then q (k_head < 0) or a KV head of k.
    __device__ __forceinline__ void store_rotated(const float *x, const float *norm, int token,
                                                  int q_head, int k_head, int lane) const {
        int half = head_dim / 2;
        float squares = 0;
        for (int d = lane; d < half; d += N_LANES)
            squares += x[d] * x[d] + x[d + half] * x[d + half];
        float scale_of = 1.0f / sqrtf(warp_sum(squares) / (float)head_dim + eps);
        const float *c = cosine + (int64_t)token * half, *s = sine + (int64_t)token * half;
        bf16 *q_row = (bf16 *)q + (int64_t)token * q_stride + q_head * head_rows;
        char *k_row = k_head >= 0 ? page_row(token, k_head, 0) : nullptr;
        for (int d = lane; d < half; d += N_LANES) {
            float a = x[d] * scale_of * norm[d], b = x[d + half] * scale_of * norm[d + half];
            float low = a * c[d] - b * s[d], high = b * c[d] + a * s[d];
            if (k_head >= 0) {
                store_state(is_bf16, k_row, d, low);
                store_state(is_bf16, k_row, d + half, high);
            } else {
                q_row[d] = __float2bfloat16_rn(low);
                q_row[d + half] = __float2bfloat16_rn(high);
            }
        }
    }
    template <class Sync>
    __device__ __forceinline__ void finish(const product_tile &t, int first, int n_tokens,
                                           const float *sums, int thread, int n_threads,
                                           Sync) const {
        int n_tile_heads = ROWS / head_rows, lane = thread % N_LANES;
        for (int i = thread / N_LANES; i < n_tokens * n_tile_heads; i += n_threads / N_LANES) {
            int row = i / n_tile_heads, at = i % n_tile_heads, token = t.token + first + row;
            int head = t.row / head_rows + at, kv = head - n_heads;
            const float *x = sums + row * sums_stride<ROWS> + at * head_rows;
            if (kv < 0)
                store_rotated(x, q_norm, token, head, -1, lane);
            else if (kv < n_kv_heads)
                store_rotated(x, k_norm, token, 0, kv, lane);
            else if (kv < 2 * n_kv_heads)
                store_v(x, token, kv - n_kv_heads, lane);
        }
    }
};

int qkv_launch(const struct queue *q, const struct qkv *a, int max_tokens) {
    if (q->family == FAMILY_MMA) return launch_by_tile<qkv_op>(q, a, max_tokens);
    // 48 heads of 64 rows: 48 or 96 tiles up to 128 tokens.
    if (max_tokens <= 8) return launch_few<qkv_op<64, 8>, 8>(q, a);
    if (max_tokens <= 32) return launch_few<qkv_op<64, 16>, 16>(q, a);
    if (max_tokens <= 64) return launch_few<qkv_op<64, 32>, 32>(q, a);
    if (max_tokens <= 128) return launch_few<qkv_op<64, 64>, 64>(q, a);
    if (max_tokens <= 256) return launch_product<qkv_op<128, 64>, 64>(q, a);
    return launch_product<qkv_op<128, 128>, 128>(q, a);
}
