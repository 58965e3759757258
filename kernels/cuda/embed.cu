// The first kernel of a step: h = embedding of each id, n = norm(h), the rotation of each position,
// the conv state that must be kept aside, counters. A block of 128 threads a token.
#include "kernels/cuda/device.cuh"

// 8 columns a time: a chunk of a resident tile.
__device__ __forceinline__ void embed_token(const struct embed &a, int t, int id) {
    float *h = a.h + (int64_t)t * a.stride, squares = 0;
    const char *matrix = (const char *)a.embedding.data;
    for (int c = threadIdx.x * 8; c < a.stride; c += ROW_THREADS * 8) {
        uint4 v = *(const uint4 *)(matrix + tile_offset(id, c, a.embedding.n_tile_columns));
        float4 low = make_float4(low_bf16(v.x), high_bf16(v.x), low_bf16(v.y), high_bf16(v.y));
        float4 high = make_float4(low_bf16(v.z), high_bf16(v.z), low_bf16(v.w), high_bf16(v.w));
        *(float4 *)(h + c) = low;
        *(float4 *)(h + c + 4) = high;
        squares += square_sum(low) + square_sum(high);
    }
    float scale = row_scale(squares, a.hidden, a.eps); // its barriers order h for the block
    store_normed(h, a.norm, scale, a.hidden, a.stride, (bf16 *)a.n + (int64_t)t * a.stride);
}

// Apart from the rows, which have fewer angles than threads, and what they keep in registers would
// be spilled around the divisions of a sine.
__device__ __forceinline__ void rotate_tokens(const struct embed &a) {
    int n = a.step->n_tokens * a.n_rope;
    for (int i = blockIdx.x * ROW_THREADS + threadIdx.x; i < n; i += gridDim.x * ROW_THREADS) {
        float sine, cosine;
        int position = step_tokens(a.step)[i / a.n_rope].position;
        math_sin_cos((float)position * a.frequencies[i % a.n_rope], &sine, &cosine);
        a.sine[i] = sine;
        a.cosine[i] = cosine;
    }
}

// The entries before a segment that is cut into several tiles of the convolution: its first tile
// reads them while its last one writes new ones.
__device__ __forceinline__ void keep_state(const struct embed &a, int snapshot) {
    const struct step_run *run = &step_runs(a.step)[step_snapshots(a.step)[snapshot]];
    int size = a.is_bf16 ? 2 : 4, bytes = a.hidden * size;
    for (int i = blockIdx.x; i < a.n_conv_layers * a.n_past; i += gridDim.x) {
        int layer = i / a.n_past, position = run->position - a.n_past + i % a.n_past;
        if (position < 0) continue;
        const char *from = (const char *)a.slots + run->conv_slot * a.slot_bytes +
                           (int64_t)(layer * a.n_ring + position % a.n_ring) * bytes;
        char *to =
            (char *)a.snapshots + ((int64_t)snapshot * a.n_conv_layers * a.n_past + i) * bytes;
        for (int k = threadIdx.x; k < a.hidden; k += ROW_THREADS)
            if (a.is_bf16)
                ((uint16_t *)to)[k] = ((const uint16_t *)from)[k];
            else
                ((uint32_t *)to)[k] = ((const uint32_t *)from)[k];
    }
}

__global__ void __launch_bounds__(ROW_THREADS) embed_tokens(const struct embed a) {
    launch_dependents();
    wait_for_prior_grid();
    const struct step_token *tokens = step_tokens(a.step);
    for (int t = blockIdx.x; t < a.step->n_tokens; t += gridDim.x) embed_token(a, t, tokens[t].id);
    rotate_tokens(a);
    for (int i = 0; i < a.step->n_snapshots; i++) keep_state(a, i);
    if (blockIdx.x == 0)
        for (int i = threadIdx.x; i < a.n_tickets; i += ROW_THREADS) a.tickets[i] = 0;
}

int embed_launch(const struct queue *q, const struct embed *a, int max_tokens) {
    return launch_kernel(rows_launch(q, max_tokens), embed_tokens, *a);
}
