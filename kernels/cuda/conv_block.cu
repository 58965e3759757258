// The gated short convolution: (B, C, x) = W n (+ bias), u = B * x, y = C * (taps on u (+ bias)).
// A tile holds B, C and x of the same channels, so that the product's finish does the rest: the
// state of a sequence is read and written where its tokens are, and nothing goes to memory but y.
//
// A past u is one rounded to the state's type, whether it comes from the slot or from this step;
// the token's own is not rounded; taps oldest first, then the bias. So chunking changes no bit.
#include "kernels/cuda/matmul_finish.cuh"

// What the finish knows of a row of the tile.
struct conv_row {
    int32_t token, position;
    int32_t run_position; // of its segment's first token in this step
    int32_t snapshot;     // -1: the state is in the slot
    int32_t slot;
    int32_t is_kept; // its u stays in the slot: of a segment longer than the ring the last ones do
};

template <int ROWS, int BT> struct conv_op : conv_in {
    static const int rows = ROWS;
    static const bool is_early = true;
    static const int channels = ROWS / 3;
    // Rows of B in a tile that lie together, then as many of C and of x.
    static const int turn = w_piece<ROWS>;

    __device__ __forceinline__ int n_tiles() const {
        return w.n_rows / ROWS * (step->n_conv_rows / BT);
    }
    __device__ __forceinline__ product_tile tile(int i) const {
        const struct raster_place place =
            raster_tile(i, w.n_rows / ROWS, step->n_conv_rows / BT, RASTER_TOKENS / BT);
        const int at = place.row;
        // Tiles of 48 rows are the halves of 96: 16 rows of B, of C and of x.
        int n_halves = TILE_ROWS / turn;
        product_tile t;
        t.row = at * ROWS;
        t.token = place.column * BT;
        t.group = 0;
        t.w = (const char *)w.data +
              (int64_t)(at / n_halves * (ROWS / turn)) * w.n_tile_columns * TILE_BYTES +
              at % n_halves * turn * X_ROW_BYTES;
        // Rows of the last tile that are none come last.
        const int32_t *list = step_conv_rows(step) + t.token;
        int low = list[BT - 1] < 0 ? 0 : BT, high = BT;
        while (low < high) {
            int middle = (low + high) / 2;
            if (list[middle] < 0)
                high = middle;
            else
                low = middle + 1;
        }
        t.n = low;
        return t;
    }
    __device__ __forceinline__ int token(const product_tile &t, int i) const {
        return step_conv_rows(step)[t.token + i] & ~CONV_HALO;
    }
    __device__ __forceinline__ const void *row(const product_tile &t, int i) const {
        return (const bf16 *)n + (int64_t)token(t, i) * stride;
    }

    static __device__ __forceinline__ conv_row *tile_rows() {
        SHARED(conv_row, list, [BT]);
        return list;
    }
    __device__ __forceinline__ void begin(const product_tile &t, int thread, int n_threads) const {
        for (int i = thread; i < t.n; i += n_threads) {
            int32_t token = step_conv_rows(step)[t.token + i];
            const struct step_token place = step_tokens(step)[token & ~CONV_HALO];
            const struct step_run run = step_runs(step)[place.segment];
            tile_rows()[i] = {token,         place.position,
                              run.position,  run.snapshot,
                              run.conv_slot, token - run.first_token >= run.n_tokens - n_ring};
            ask_for_past(t, tile_rows()[i]);
        }
    }
    // A past u in the slot, where nobody looked since the step before, is on its way while the
    // product is made: output() waits for each in turn.
    __device__ __forceinline__ void ask_for_past(const product_tile &t, const conv_row &at) const {
        if (at.snapshot >= 0 || t.row / 3 >= hidden) return;
        for (int p = max(at.position - width + 1, 0); p < at.run_position; p++)
            prefetch_l2((const char *)slots + at.slot * slot_bytes +
                        ((int64_t)(p % n_ring) * hidden + t.row / 3) * (is_bf16 ? 2 : 4));
    }

    // Four channels of the tile from c on; none, or all of them are the network's (hidden is a
    // multiple of 4).
    __device__ __forceinline__ float4 value(const product_tile &t, const float *sums, int row,
                                            int part, int c) const {
        float4 v = *(const float4 *)(sums + row * sums_stride<ROWS> + c / turn * (3 * turn) +
                                     part * turn + c % turn);
        if (!bias) return v;
        float4 b = *(const float4 *)(bias + part * hidden + t.row / 3 + c);
        return make_float4(v.x + b.x, v.y + b.y, v.z + b.z, v.w + b.w);
    }
    __device__ __forceinline__ float4 product(const product_tile &t, const float *sums, int row,
                                              int c) const {
        float4 a = value(t, sums, row, 0, c), b = value(t, sums, row, 2, c);
        return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w);
    }
    // u of `back` positions before the token of a row.
    __device__ __forceinline__ float4 past(const product_tile &t, const float *sums, int row, int c,
                                           int back, const conv_row &at) const {
        int p = at.position - back, channel = t.row / 3 + c;
        if (p < 0) return make_float4(0, 0, 0, 0);
        if (p >= at.run_position) {
            float4 u = product(t, sums, row - back, c);
            return make_float4(round_state(is_bf16, u.x), round_state(is_bf16, u.y),
                               round_state(is_bf16, u.z), round_state(is_bf16, u.w));
        }
        if (at.snapshot < 0)
            return load_state_4(is_bf16, (const char *)slots + at.slot * slot_bytes,
                                (int64_t)(p % n_ring) * hidden + channel);
        return load_state_4(is_bf16, (const char *)snapshots + at.snapshot * snapshot_bytes,
                            (int64_t)(p - at.run_position + width - 1) * hidden + channel);
    }
    __device__ __forceinline__ void add_tap(float4 &v, float4 u, const float *tap) const {
        float4 w = *(const float4 *)tap;
        v = make_float4(v.x + u.x * w.x, v.y + u.y * w.y, v.z + u.z * w.z, v.w + u.w * w.w);
    }
    __device__ __forceinline__ uint2 output(const product_tile &t, const float *sums, int row,
                                            int c, const conv_row &at) const {
        int channel = t.row / 3 + c;
        if (channel >= hidden) return make_uint2(0, 0);
        float4 v = make_float4(0, 0, 0, 0);
        for (int j = 0; j < width - 1; j++)
            add_tap(v, past(t, sums, row, c, width - 1 - j, at), taps + j * hidden + channel);
        add_tap(v, product(t, sums, row, c), taps + (width - 1) * hidden + channel);
        if (taps_bias) {
            float4 b = *(const float4 *)(taps_bias + channel);
            v = make_float4(v.x + b.x, v.y + b.y, v.z + b.z, v.w + b.w);
        }
        float4 gate = value(t, sums, row, 1, c);
        return make_uint2(pack_bf16(gate.x * v.x, gate.y * v.y),
                          pack_bf16(gate.z * v.z, gate.w * v.w));
    }

    template <class Sync>
    __device__ __forceinline__ void finish(const product_tile &t, int, int n_rows,
                                           const float *sums, int thread, int n_threads,
                                           Sync sync) const {
        constexpr int FOURS = channels / 4;
        for (int i = thread; i < n_rows * FOURS; i += n_threads) {
            int row = i / FOURS, c = i % FOURS * 4;
            const conv_row &at = tile_rows()[row];
            if (at.token & CONV_HALO) continue;
            bf16 *to = (bf16 *)y + (int64_t)at.token * stride + t.row / 3 + c;
            *(uint2 *)to = output(t, sums, row, c, at);
        }
        sync(); // the state is read before it is written
        for (int i = thread; i < n_rows * FOURS; i += n_threads) {
            int row = i / FOURS, c = i % FOURS * 4, channel = t.row / 3 + c;
            const conv_row &at = tile_rows()[row];
            if (at.token & CONV_HALO || !at.is_kept || channel >= hidden) continue;
            store_state_4(is_bf16, (char *)slots + at.slot * slot_bytes,
                          (int64_t)(at.position % n_ring) * hidden + channel,
                          product(t, sums, row, c));
        }
    }
};

// Of wgmma, tiles of 192 rows x 128 tokens read 40 KB of the L2 cache for as many products as two
// of 64 tokens do with 64 KB: 256 tokens take 83 MB of it on 64 SMs, at 64 bytes a clock each, and
// not 133 MB on 128.
int conv_in_tile(const struct queue *q, int max_tokens) {
    if (q->family == FAMILY_WGMMA && max_tokens >= 256) return 128;
    return max_tokens <= 16 ? 16 : max_tokens <= 32 ? 32 : 64;
}

template <template <int, int> class Op, int BT>
static int launch(const struct queue *q, const struct conv_in *a, int max_tokens) {
    if (q->family == FAMILY_MMA) return launch_mma<Op<96, BT>, BT>(q, a);
    if (BT < 64 || max_tokens <= 64) return launch_few<Op<48, BT>, BT>(q, a);
    return launch_few<Op<96, 64>, 64>(q, a);
}

int conv_in_launch(const struct queue *q, const struct conv_in *a, int max_tokens) {
    switch (conv_in_tile(q, max_tokens)) {
    case 16:
        return launch<conv_op, 16>(q, a, max_tokens);
    case 32:
        return launch<conv_op, 32>(q, a, max_tokens);
    case 128:
        return launch_wgmma<conv_op<192, 128>, 128>(q, a);
    default:
        return launch<conv_op, 64>(q, a, max_tokens);
    }
}

int conv_in_finish_launch(const struct queue *q, const struct conv_in *a, const float *sums,
                          int max_tokens) {
    // 48 rows: what a block may have of static shared memory.
    if (conv_in_tile(q, max_tokens) == 128) return launch_finish<conv_op<48, 128>, 128>(q, a, sums);
    return launch_finish<conv_op<96, 64>, 64>(q, a, sums);
}
