// q, k, v = W n of an attention layer; then, head by head while the sums are at hand: RMSNorm of q
// and k over the head, the rotation, q to memory for attention.cu, k and v to their pages.
//
// A warp takes a head of a token: its squares are summed by lanes (pairs d, d + head_dim / 2 of
// d = lane, lane + 32, ...), then as warp_sum does.
#include "kernels/cuda/matmul_finish.cuh"

template <int ROWS, int BT> struct qkv_op : qkv {
    static const int rows = ROWS;
    static const bool is_early = true;

    __device__ __forceinline__ int n_tiles() const {
        return n_dense_tiles<ROWS, BT>(w, step->n_tokens);
    }
    __device__ __forceinline__ product_tile tile(int i) const {
        return dense_tile<ROWS, BT>(w, step->n_tokens, i);
    }
    __device__ __forceinline__ int token(const product_tile &t, int i) const { return t.token + i; }
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

    // Heads of 64 from a thread's registers: of a token d = 8 j + 2 q + e, in v[2 j + e].
    __device__ __forceinline__ void store_wide(const float (&v)[16], void *to, int is_rounded,
                                               bool is_there) const {
        const int quarter = threadIdx.x % 4;
#pragma unroll
        for (int b = 0; b < 2; b++) {
            if (is_rounded) {
                uint32_t w[4];
#pragma unroll
                for (int i = 0; i < 4; i++)
                    w[i] = pack_bf16(v[8 * b + 2 * i], v[8 * b + 2 * i + 1]);
                uint4 words = quad_transpose(w);
                if (is_there) *(uint4 *)((bf16 *)to + 32 * b + 8 * quarter) = words;
                continue;
            }
#pragma unroll
            for (int i = 4 * b; i < 4 * b + 4 && is_there; i++)
                *(float2 *)((float *)to + 8 * i + 2 * quarter) =
                    make_float2(v[2 * i], v[2 * i + 1]);
        }
    }
    // The squares are summed in the order of store_rotated: d and d + 32, then distances 16 to 1.
    __device__ __forceinline__ void rotate_wide(float (&v)[16], const float *norm,
                                                int token) const {
        const int first = threadIdx.x % 4 * 2;
        float s[8];
#pragma unroll
        for (int i = 0; i < 8; i++) s[i] = v[i] * v[i] + v[i + 8] * v[i + 8];
#pragma unroll
        for (int i = 0; i < 4; i++) s[i] += s[i + 4];
        s[0] += s[2], s[1] += s[3];
#pragma unroll
        for (int by = 2; by > 0; by /= 2) {
            s[0] += __shfl_xor_sync(ALL_LANES, s[0], by);
            s[1] += __shfl_xor_sync(ALL_LANES, s[1], by);
        }
        float scale_of = 1.0f / sqrtf((s[0] + s[1]) / (float)head_dim + eps);
#pragma unroll
        for (int i = 0; i < 8; i += 2) {
            // Two a load: whole sectors by the 4 lanes of a token.
            const int d = i / 2 * 8 + first;
            const float2 c = *(const float2 *)(cosine + (int64_t)token * 32 + d);
            const float2 z = *(const float2 *)(sine + (int64_t)token * 32 + d);
            const float2 low = *(const float2 *)(norm + d), high = *(const float2 *)(norm + d + 32);
            float a = v[i] * scale_of * low.x, b = v[i + 8] * scale_of * high.x;
            v[i] = a * c.x - b * z.x, v[i + 8] = b * c.x + a * z.x;
            a = v[i + 1] * scale_of * low.y, b = v[i + 9] * scale_of * high.y;
            v[i + 1] = a * c.y - b * z.y, v[i + 9] = b * c.y + a * z.y;
        }
    }
    template <int N>
    __device__ __forceinline__ void finish_wide(const product_tile &t, int first,
                                                const float (&d)[N]) const {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const bool is_there = first + 8 * half < t.n;
            const int token = t.token + (is_there ? first + 8 * half : 0);
#pragma unroll
            for (int at = 0; at < N / 32; at++) {
                const int head = t.row / 64 + at, kv = head - n_heads;
                float v[16];
#pragma unroll
                for (int i = 0; i < 16; i++) v[i] = d[32 * at + i / 2 * 4 + 2 * half + i % 2];
                if (kv < n_kv_heads) rotate_wide(v, kv < 0 ? q_norm : k_norm, token);
                if (kv < 0)
                    store_wide(v, (bf16 *)q + (int64_t)token * q_stride + head * 64, 1, is_there);
                else if (kv < 2 * n_kv_heads)
                    store_wide(v, page_row(token, kv % n_kv_heads, kv >= n_kv_heads), is_bf16,
                               is_there);
            }
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
    if (max_tokens <= 256) return launch_wgmma<qkv_op<128, 64>, 64>(q, a);
    if (a->head_dim == 64 && wants_many(q, &a->w, max_tokens))
        return launch_many<qkv_op<256, MANY_TILE>>(q, a);
    return launch_wgmma<qkv_op<128, 128>, 128>(q, a);
}

int qkv_finish_launch(const struct queue *q, const struct qkv *a, const float *sums) {
    return launch_finish<qkv_op<128, 32>, 32>(q, a, sums);
}
