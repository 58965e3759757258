#include "kernels/cpu/short_conv.h"

#include <string.h>

#include "kernels/shape.h"

enum { LANES = 64 };

static void read_entry(const struct short_conv *c, int position, int first, int n, float *out) {
    int64_t at = (int64_t)(position % c->n_ring) * c->hidden + first;
    if (c->state_dtype == DTYPE_F32)
        memcpy(out, (const float *)c->state + at, (size_t)n * sizeof *out);
    else
        for (int i = 0; i < n; i++) out[i] = dtype_get(c->state_dtype, c->state, at + i);
}

static void write_entry(const struct short_conv *c, int position, int first, int n,
                        const float *u) {
    int64_t at = (int64_t)(position % c->n_ring) * c->hidden + first;
    if (c->state_dtype == DTYPE_F32)
        memcpy((float *)c->state + at, u, (size_t)n * sizeof *u);
    else
        for (int i = 0; i < n; i++) dtype_put(c->state_dtype, c->state, at + i, u[i]);
}

// The entries before the chunk, oldest first; zeros, which are there, before the sequence.
static void read_past(const struct short_conv *c, int first, int n, float past[][LANES]) {
    int n_past = c->width - 1;
    for (int j = 0; j < n_past; j++) {
        int position = c->position - n_past + j;
        if (position >= 0) read_entry(c, position, first, n, past[j]);
    }
}

// A constant number of channels is what compilers make vectors of.
static inline void multiply(int n, const float *a, const float *b, float *restrict out) {
    if (n == LANES)
        for (int i = 0; i < LANES; i++) out[i] = a[i] * b[i];
    else
        for (int i = 0; i < n; i++) out[i] = a[i] * b[i];
}

static inline void add_product(int n, const float *a, const float *b, float *restrict sum) {
    if (n == LANES)
        for (int i = 0; i < LANES; i++) sum[i] += a[i] * b[i];
    else
        for (int i = 0; i < n; i++) sum[i] += a[i] * b[i];
}

static void lanes(const struct short_conv *c, int first, int n) {
    int n_past = c->width - 1;
    float past[MODEL_MAX_CONV_WIDTH][LANES] = {{0}};
    read_past(c, first, n, past);
    for (int t = 0; t < c->n_tokens; t++) {
        const float *gate_b = c->bcx + (size_t)t * c->bcx_stride + first;
        const float *gate_c = gate_b + c->hidden, *x = gate_c + c->hidden;
        float *out = c->out + (size_t)t * c->out_stride + first;
        float u[LANES], v[LANES] = {0};
        multiply(n, gate_b, x, u);
        for (int j = 0; j < n_past; j++)
            add_product(n, past[j], c->taps + (size_t)j * c->tap_stride + first, v);
        add_product(n, u, c->taps + (size_t)n_past * c->tap_stride + first, v);
        if (c->bias)
            for (int i = 0; i < n; i++) v[i] += c->bias[first + i];
        multiply(n, gate_c, v, out);
        // Of a chunk longer than the ring only the last entries stay.
        if (t >= c->n_tokens - c->n_ring) write_entry(c, c->position + t, first, n, u);
        if (n_past == 0) continue;
        memmove(past[0], past[1], (size_t)(n_past - 1) * sizeof past[0]);
        if (c->state_dtype == DTYPE_BF16)
            for (int i = 0; i < n; i++) u[i] = dtype_bf16_to_f32(dtype_f32_to_bf16(u[i]));
        memcpy(past[n_past - 1], u, (size_t)n * sizeof u[0]);
    }
}

void short_conv(const struct short_conv *c, int first_channel, int n_channels) {
    for (int i = 0; i < n_channels; i += LANES)
        lanes(c, first_channel + i, n_channels - i < LANES ? n_channels - i : LANES);
}
