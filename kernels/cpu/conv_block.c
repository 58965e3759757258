// The block of a convolution layer: h += out(C * conv(B * x)) of norm(h).
#include "kernels/cpu/backend.h"
#include "kernels/cpu/short_conv.h"

enum { CHUNK = 256 }; // channels

struct conv_run {
    struct cpu *c;
    const struct layer *layer;
    size_t state_at; // of this layer in a slot, bytes
    int n_ring;      // entries of a slot in each layer
    int n_chunks;    // of channels
};

size_t cpu_conv_work(const struct model_shape *s, int n) {
    return (size_t)n * (size_t)matmul_stride(3 * s->hidden);
}

static void segment_chunk(void *arg, int chunk, int thread) {
    (void)thread;
    const struct conv_run *r = arg;
    struct cpu *c = r->c;
    const struct step_segment *s = &c->step.segments[chunk / r->n_chunks];
    int first = chunk % r->n_chunks * CHUNK, left = c->shape.hidden - first;
    struct short_conv conv = {
        .width = c->shape.conv_width,
        .hidden = c->shape.hidden,
        .taps = r->layer->conv_taps,
        .tap_stride = (size_t)matmul_pad(c->shape.hidden),
        .bias = r->layer->conv_taps_bias,
        .state_dtype = state_conv_dtype(c->kv),
        .state = c->convs.data + (size_t)s->conv_slot * c->conv_bytes + r->state_at,
        .bcx_stride = (size_t)matmul_stride(3 * c->shape.hidden),
        .out_stride = (size_t)matmul_stride(c->shape.hidden),
        .n_ring = r->n_ring,
        .position = s->position,
        .n_tokens = s->n_tokens,
    };
    conv.bcx = c->work + (size_t)s->first_token * conv.bcx_stride;
    conv.out = c->n + (size_t)s->first_token * conv.out_stride;
    short_conv(&conv, first, left < CHUNK ? left : CHUNK);
}

void cpu_conv(struct backend *b, int layer) {
    struct cpu *c = (struct cpu *)b;
    const struct model_shape *s = &c->shape;
    const struct layer *l = &c->weights.layers[layer];
    size_t stride = (size_t)matmul_stride(s->hidden), wide = (size_t)matmul_stride(3 * s->hidden);
    int n = c->step.n_tokens;
    cpu_norm(c, l->operator_norm);
    struct matmul in = {.m = &l->conv_in, .x = c->n, .y = c->work, .x_stride = stride};
    in.y_stride = wide;
    in.bias = l->conv_in_bias;
    matmul(c->isa, c->pool, &in, 1, n);

    struct conv_run r = {.c = c, .layer = l, .n_chunks = (s->hidden + CHUNK - 1) / CHUNK};
    r.n_ring = s->conv_width - 1 + c->max_draft;
    r.state_at = (size_t)shape_conv_index(s, layer) * (size_t)r.n_ring * (size_t)s->hidden *
                 dtype_bytes(state_conv_dtype(c->kv));
    bool is_small = matmul_is_small((double)n * s->hidden * 8);
    pool_run(c->pool, c->step.n_segments * r.n_chunks, is_small, segment_chunk, &r);

    struct matmul out = {.m = &l->conv_out, .x = c->n, .y = c->h, .x_stride = stride};
    out.y_stride = stride;
    out.bias = l->conv_out_bias;
    out.add = true;
    matmul(c->isa, c->pool, &out, 1, n);
}
