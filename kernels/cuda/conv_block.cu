// The gated short convolution: (B, C, x) = W n (+ bias), u = B * x, y = C * (taps on u (+ bias)).
// A tile holds B, C and x of the same channels, so that the product's finish does the rest: the
// state of a sequence is read and written where its tokens are, and nothing goes to memory but y.
//
// A past u is one rounded to the state's type, whether it comes from the slot or from this step;
// the token's own is not rounded; taps oldest first, then the bias. So chunking changes no bit.
#include "kernels/cuda/matmul.cuh"

template <int ROWS, int BT> struct conv_op : conv_in {
    static const int rows = ROWS;
    static const bool is_early = true;
    static const int channels = ROWS / 3;

    __device__ __forceinline__ int n_tiles() const {
        return w.n_rows / ROWS * (step->n_conv_rows / BT);
    }
    __device__ __forceinline__ product_tile tile(int i) const {
        int n_token_tiles = step->n_conv_rows / BT;
        product_tile t;
        t.row = i / n_token_tiles * ROWS;
        t.token = i % n_token_tiles * BT;
        t.group = 0;
        t.w = (const char *)w.data + (int64_t)(t.row / TILE_ROWS) * w.n_tile_columns * TILE_BYTES;
        // Rows of the last tile that are none come last.
        const int32_t *list = step_conv_rows(step) + t.token;
        int low = 0, high = BT;
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
    __device__ __forceinline__ const void *row(const product_tile &t, int i) const {
        int token = step_conv_rows(step)[t.token + i] & ~CONV_HALO;
        return (const bf16 *)n + (int64_t)token * stride;
    }

    // One part (0: B, 1: C, 2: x) of a channel of the tile.
    __device__ __forceinline__ float value(const product_tile &t, const float *sums, int row,
                                           int part, int c) const {
        float v = sums[row * sums_stride<ROWS> + c / 32 * 96 + part * 32 + c % 32];
        return bias ? v + bias[part * hidden + t.row / 3 + c] : v;
    }
    // u of `back` positions before the token of a row.
    __device__ __forceinline__ float past(const product_tile &t, const float *sums, int row, int c,
                                          int back, int position,
                                          const struct step_run &run) const {
        int p = position - back, channel = t.row / 3 + c;
        if (p < 0) return 0;
        if (p >= run.position)
            return round_state(is_bf16,
                               value(t, sums, row - back, 0, c) * value(t, sums, row - back, 2, c));
        if (run.snapshot < 0)
            return load_state(is_bf16, (const char *)slots + run.conv_slot * slot_bytes,
                              (int64_t)(p % n_ring) * hidden + channel);
        return load_state(is_bf16, (const char *)snapshots + run.snapshot * snapshot_bytes,
                          (int64_t)(p - run.position + width - 1) * hidden + channel);
    }
    __device__ __forceinline__ float output(const product_tile &t, const float *sums, int row,
                                            int c, int position, const struct step_run &run) const {
        int channel = t.row / 3 + c;
        float v = 0;
        for (int j = 0; j < width - 1; j++)
            v += past(t, sums, row, c, width - 1 - j, position, run) * taps[j * hidden + channel];
        v += value(t, sums, row, 0, c) * value(t, sums, row, 2, c) *
             taps[(width - 1) * hidden + channel];
        if (taps_bias) v += taps_bias[channel];
        return value(t, sums, row, 1, c) * v;
    }

    template <class Sync>
    __device__ __forceinline__ void finish(const product_tile &t, int, int n_rows,
                                           const float *sums, int thread, int n_threads,
                                           Sync sync) const {
        const int32_t *list = step_conv_rows(step) + t.token;
        // Two channels a thread: a word of y.
        for (int i = thread; i < n_rows * (channels / 2); i += n_threads) {
            int row = i / (channels / 2), c = i % (channels / 2) * 2, token = list[row];
            if (token & CONV_HALO) continue;
            const struct step_token *place = &step_tokens(step)[token];
            const struct step_run run = step_runs(step)[place->segment];
            float two[2];
#pragma unroll
            for (int k = 0; k < 2; k++)
                two[k] = t.row / 3 + c + k < hidden
                             ? output(t, sums, row, c + k, place->position, run)
                             : 0;
            bf16 *to = (bf16 *)y + (int64_t)token * stride + t.row / 3 + c;
            *(uint32_t *)to = pack_bf16(two[0], two[1]);
        }
        sync(); // the state is read before it is written
        for (int i = thread; i < n_rows * channels; i += n_threads) {
            int row = i / channels, c = i % channels, token = list[row], channel = t.row / 3 + c;
            if (token & CONV_HALO || channel >= hidden) continue;
            const struct step_token *place = &step_tokens(step)[token];
            const struct step_run run = step_runs(step)[place->segment];
            // Of a segment longer than the ring only the last entries stay.
            if (token - run.first_token < run.n_tokens - n_ring) continue;
            float u = value(t, sums, row, 0, c) * value(t, sums, row, 2, c);
            store_state(is_bf16, (char *)slots + run.conv_slot * slot_bytes,
                        (int64_t)(place->position % n_ring) * hidden + channel, u);
        }
    }
};

template <int BT> static int launch(const struct queue *q, const struct conv_in *a) {
    conv_op<96, BT> mma;
    conv_op<192, BT> wgmma;
    static_cast<struct conv_in &>(mma) = static_cast<struct conv_in &>(wgmma) = *a;
    return q->family == FAMILY_MMA ? launch_mma<conv_op<96, BT>, BT>(q, mma)
                                   : launch_wgmma<conv_op<192, BT>, BT>(q, wgmma);
}

int conv_in_launch(const struct queue *q, const struct conv_in *a, int token_tile) {
    switch (token_tile) {
    case 16:
        return launch<16>(q, a);
    case 32:
        return launch<32>(q, a);
    default:
        return launch<64>(q, a);
    }
}
