// The blocks as launches. n, the normalised input of a block, is written by the kernel before it:
// embed, combine and the norm behind a dense network know the next block's weight.
//
// With cuBLASLt (gemm.h) conv_in, qkv and gate are two: the library's product and what follows.
//
//     conv       conv_in, residual                                2 launches
//     attention  qkv, attention, residual                         3
//     dense      norm, gate, residual, norm                       4
//     moe        router, expert_gate, expert_down, combine        4
#include <string.h>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/errors.h"
#include "kernels/cuda/ops_gemm.h"

static bool is_quiet(const struct cuda *c) {
    return c->failed || c->is_replaying;
}

static void note(struct cuda *c, const char *kernel, int status) {
    if (!backend_note(c, status, kernel)) return;
    if (c->timing.is_on) backend_note(c, timing_mark(&c->timing, c->stream, kernel), kernel);
}

// The weight of the norm that follows a layer.
static const float *next_norm(const struct cuda *c, int layer) {
    return layer + 1 < c->shape.n_layers ? c->weights.layers[layer + 1].operator_norm
                                         : c->weights.final_norm;
}

void cuda_begin(struct backend *b, const struct step *step) {
    struct cuda *c = (struct cuda *)b;
    c->is_recording = c->is_replaying = false;
    c->n_tokens = step->n_tokens;
    c->n_outputs = step->n_outputs;
    c->want_routes = step->want_routes;
    if (c->failed) return;
    step_describe(c, step);
    if (c->failed) return;
    if (!backend_note(c,
                      cudaMemcpyAsync(c->device_step, c->step, c->step->n_bytes,
                                      cudaMemcpyHostToDevice, c->stream),
                      "a step's description"))
        return;
    if (c->timing.is_on) backend_note(c, timing_mark(&c->timing, c->stream, NULL), "timing");
    if (c->gemm.cublas) gemm_begin(c, step->n_tokens);
    // The library's products are for an exact number of tokens.
    if (!c->use_graphs || c->gemm.is_used) return;
    c->is_replaying = graph_find(&c->graphs, &c->bounds);
    if (!c->is_replaying) c->is_recording = backend_note(c, graph_begin(c->stream), "recording");
}

void cuda_embed(struct backend *b) {
    struct cuda *c = (struct cuda *)b;
    if (is_quiet(c)) return;
    const struct dimensions *d = &c->d;
    struct embed a = {.step = c->device_step,
                      .embedding = c->weights.embed,
                      .hidden = c->shape.hidden,
                      .stride = d->hidden_stride,
                      .norm = c->weights.layers[0].operator_norm,
                      .eps = c->shape.norm_eps,
                      .h = c->scratch.h,
                      .n = c->scratch.n,
                      .frequencies = c->scratch.frequencies,
                      .n_rope = c->shape.head_dim / 2,
                      .cosine = c->scratch.cosine,
                      .sine = c->scratch.sine,
                      .slots = c->slots,
                      .snapshots = c->scratch.snapshots,
                      .slot_bytes = d->slot_bytes,
                      .is_bf16 = d->kv_is_bf16,
                      .n_conv_layers = d->n_conv,
                      .n_ring = d->n_ring,
                      .n_past = d->n_past,
                      .tickets = c->scratch.tickets,
                      .n_tickets = d->n_attention};
    note(c, "embed", embed_launch(&c->queue, &a, c->bounds.tokens));
}

// The product of a block by cuBLASLt; false: our own kernel does it.
static bool by_library(struct cuda *c, enum gemm_kind kind, int layer, const void *x) {
    if (!gemm_takes(c, kind)) return false;
    note(c, "cublaslt", gemm_run(c, kind, layer, x));
    return true;
}

// The first matrix of the layer behind this one, if the step has so few tokens that it takes longer
// to wait for results than to read weights. It is at most half of an H100's L2 cache; the experts'
// weights, which come in between, leave the cache first (is_read_once).
enum { AHEAD_TOKENS = 8, AHEAD_BYTES = 26 << 20 };
static struct matrix matrix_ahead(const struct cuda *c, int layer) {
    const struct model_shape *s = &c->shape;
    if (c->bounds.tokens > AHEAD_TOKENS || layer + 1 >= s->n_layers) return (struct matrix){0};
    const struct layer *next = &c->weights.layers[layer + 1];
    struct matrix m = s->is_attention[layer + 1] ? next->qkv : next->conv_in;
    bool is_small = (int64_t)m.n_rows * m.n_tile_columns * TILE_COLUMNS * 2 <= AHEAD_BYTES;
    return is_small ? m : (struct matrix){0};
}

static void residual(struct cuda *c, const char *name, const struct matrix *w, const void *x,
                     int x_stride, const float *bias, struct matrix ahead) {
    struct residual a = {.step = c->device_step,
                         .w = *w,
                         .x = x,
                         .h = c->scratch.h,
                         .bias = bias,
                         .x_stride = x_stride,
                         .h_stride = c->d.hidden_stride,
                         .n_out = c->shape.hidden,
                         .ahead = ahead};
    note(c, name, residual_launch(&c->queue, &a, c->bounds.tokens));
}

void cuda_conv(struct backend *b, int layer) {
    struct cuda *c = (struct cuda *)b;
    if (is_quiet(c)) return;
    const struct dimensions *d = &c->d;
    const struct layer *l = &c->weights.layers[layer];
    int index = shape_conv_index(&c->shape, layer);
    struct conv_in a = {.step = c->device_step,
                        .w = l->conv_in,
                        .n = c->scratch.n,
                        .y = c->scratch.y,
                        .stride = d->hidden_stride,
                        .hidden = c->shape.hidden,
                        .width = c->shape.conv_width,
                        .n_ring = d->n_ring,
                        .bias = l->conv_in_bias,
                        .taps = l->taps,
                        .taps_bias = l->taps_bias,
                        .slots = c->slots + index * d->layer_slot_bytes,
                        .snapshots = (char *)c->scratch.snapshots + index * d->layer_snapshot_bytes,
                        .slot_bytes = d->slot_bytes,
                        .snapshot_bytes = d->n_conv * d->layer_snapshot_bytes,
                        .is_bf16 = d->kv_is_bf16};
    if (by_library(c, GEMM_CONV_IN, layer, a.n))
        note(c, "conv_finish",
             conv_in_finish_launch(&c->queue, &a, c->gemm.sums, c->bounds.tokens));
    else
        note(c, "conv_in", conv_in_launch(&c->queue, &a, c->bounds.tokens));
    if (!by_library(c, GEMM_CONV_OUT, layer, c->scratch.y))
        residual(c, "conv_out", &l->conv_out, c->scratch.y, d->hidden_stride, l->conv_out_bias,
                 matrix_ahead(c, layer));
}

void cuda_attention(struct backend *b, int layer) {
    struct cuda *c = (struct cuda *)b;
    if (is_quiet(c)) return;
    const struct dimensions *d = &c->d;
    const struct model_shape *s = &c->shape;
    const struct layer *l = &c->weights.layers[layer];
    int index = shape_attention_index(s, layer);
    char *pages = c->pages + index * d->layer_page_bytes;
    struct qkv in = {.step = c->device_step,
                     .w = l->qkv,
                     .n = c->scratch.n,
                     .q = c->scratch.q,
                     .n_stride = d->hidden_stride,
                     .q_stride = d->q_stride,
                     .n_heads = s->n_heads,
                     .n_kv_heads = s->n_kv_heads,
                     .head_dim = s->head_dim,
                     .head_rows = d->head_rows,
                     .q_norm = l->q_norm,
                     .k_norm = l->k_norm,
                     .eps = s->norm_eps,
                     .cosine = c->scratch.cosine,
                     .sine = c->scratch.sine,
                     .pages = pages,
                     .page_bytes = d->page_bytes,
                     .page_tokens = d->page_tokens,
                     .is_bf16 = d->kv_is_bf16};
    struct attention a = {.step = c->device_step,
                          .q = c->scratch.q,
                          .out = c->scratch.out,
                          .q_stride = d->q_stride,
                          .n_heads = s->n_heads,
                          .n_kv_heads = s->n_kv_heads,
                          .head_dim = s->head_dim,
                          .head_rows = d->head_rows,
                          .scale = c->attention_scale,
                          .pages = pages,
                          .page_bytes = d->page_bytes,
                          .page_tokens = d->page_tokens,
                          .is_bf16 = d->kv_is_bf16,
                          .cells = c->scratch.cells,
                          .counters = c->scratch.cell_counters,
                          .ticket = c->scratch.tickets + index};
    if (by_library(c, GEMM_QKV, layer, in.n))
        note(c, "qkv_finish", qkv_finish_launch(&c->queue, &in, c->gemm.sums));
    else
        note(c, "qkv", qkv_launch(&c->queue, &in, c->bounds.tokens));
    note(c, "attention", attention_launch(&c->queue, &a));
    if (!by_library(c, GEMM_ATTENTION_OUT, layer, c->scratch.out))
        residual(c, "attention_out", &l->attention_out, c->scratch.out, d->q_stride, NULL,
                 matrix_ahead(c, layer));
}

static void norm(struct cuda *c, const float *w) {
    struct rms_norm a = {.step = c->device_step,
                         .h = c->scratch.h,
                         .w = w,
                         .n = c->scratch.n,
                         .hidden = c->shape.hidden,
                         .stride = c->d.hidden_stride,
                         .eps = c->shape.norm_eps};
    note(c, "rms_norm", rms_norm_launch(&c->queue, &a, c->bounds.tokens));
}

void cuda_dense(struct backend *b, int layer) {
    struct cuda *c = (struct cuda *)b;
    if (is_quiet(c)) return;
    const struct layer *l = &c->weights.layers[layer];
    struct gate a = {.step = c->device_step,
                     .w = l->gate,
                     .n = c->scratch.n,
                     .act = c->scratch.act,
                     .n_stride = c->d.hidden_stride,
                     .act_stride = c->d.dense_stride};
    norm(c, l->ffn_norm);
    if (by_library(c, GEMM_GATE, layer, a.n))
        note(c, "gate_finish", gate_finish_launch(&c->queue, &a, c->gemm.sums));
    else
        note(c, "gate", gate_launch(&c->queue, &a, c->bounds.tokens));
    if (!by_library(c, GEMM_DOWN, layer, c->scratch.act))
        residual(c, "down", &l->down, c->scratch.act, c->d.dense_stride, NULL, (struct matrix){0});
    norm(c, next_norm(c, layer));
}

static void route(struct cuda *c, const struct layer *l, int moe_index) {
    const struct model_shape *s = &c->shape;
    struct router a = {.step = c->device_step,
                       .h = c->scratch.h,
                       .norm = l->ffn_norm,
                       .n = c->scratch.n,
                       .hidden = s->hidden,
                       .stride = c->d.hidden_stride,
                       .eps = s->norm_eps,
                       .w = l->router,
                       .is_bf16 = l->router_is_bf16,
                       .bias = l->expert_bias,
                       .n_experts = s->n_experts,
                       .n_used = s->n_experts_used,
                       .norm_topk = s->norm_topk,
                       .scale = s->routed_scale,
                       .routes = c->scratch.routes,
                       .moe_index = moe_index,
                       .n_moe = c->d.n_moe,
                       .token_tile = c->bounds.expert_tile};
    note(c, "router", router_launch(&c->queue, &a, c->bounds.tokens));
}

void cuda_moe(struct backend *b, int layer) {
    struct cuda *c = (struct cuda *)b;
    if (is_quiet(c)) return;
    const struct dimensions *d = &c->d;
    const struct layer *l = &c->weights.layers[layer];
    struct expert_gate gate = {.w = l->gate,
                               .expert_bytes = l->gate_bytes,
                               .n = c->scratch.n,
                               .act = c->scratch.act,
                               .n_stride = d->hidden_stride,
                               .act_stride = d->expert_stride,
                               .n_used = c->shape.n_experts_used,
                               .routes = c->scratch.routes};
    struct expert_down down = {.w = l->down,
                               .expert_bytes = l->down_bytes,
                               .act = c->scratch.act,
                               .y = c->scratch.slot_y,
                               .act_stride = d->expert_stride,
                               .y_stride = d->hidden_stride,
                               .n_out = c->shape.hidden,
                               .routes = c->scratch.routes};
    struct combine sum = {.step = c->device_step,
                          .y = c->scratch.slot_y,
                          .weights = c->scratch.routes.weights,
                          .h = c->scratch.h,
                          .norm = next_norm(c, layer),
                          .n = c->scratch.n,
                          .hidden = c->shape.hidden,
                          .stride = d->hidden_stride,
                          .y_stride = d->hidden_stride,
                          .n_used = c->shape.n_experts_used,
                          .eps = c->shape.norm_eps};
    route(c, l, shape_moe_index(&c->shape, layer));
    note(c, "expert_gate", expert_gate_launch(&c->queue, &gate, c->bounds.expert_tile));
    note(c, "expert_down", expert_down_launch(&c->queue, &down, c->bounds.expert_tile));
    note(c, "combine", combine_launch(&c->queue, &sum, c->bounds.tokens));
}

void cuda_head(struct backend *b) {
    struct cuda *c = (struct cuda *)b;
    if (is_quiet(c) || c->bounds.rows == 0) return;
    struct draw_args draw = {.head = {.step = c->device_step,
                                      .w = c->weights.head,
                                      .n = c->scratch.n,
                                      .n_stride = c->d.hidden_stride,
                                      .vocab = c->shape.vocab,
                                      .missing = c->scratch.missing,
                                      .sums = c->scratch.sums,
                                      .reached = c->scratch.reached,
                                      .targets = c->scratch.targets,
                                      .logits = c->scratch.logits,
                                      .logits_stride = c->d.vocab_rows},
                             .ids = c->scratch.results};
    note(c, "head", head_launch(&c->queue, &draw.head, c->bounds.row_tile));
    note(c, "draw", draw_launch(&c->queue, &draw, c->bounds.rows));
}

// ------------------------------------------------------------------ results

// Routes stand behind the outputs' results in pinned memory.
static size_t result_bytes(int n_outputs) {
    return ((size_t)n_outputs * RESULT_BYTES + 15) & ~(size_t)15;
}

static size_t routes_bytes(const struct cuda *c) {
    return (size_t)c->n_tokens * (size_t)c->d.n_moe * (size_t)c->shape.n_experts_used *
           sizeof(uint16_t);
}

static void fetch(struct cuda *c, size_t at, const void *from, size_t bytes) {
    if (bytes > 0)
        backend_note(
            c, cudaMemcpyAsync(c->results + at, from, bytes, cudaMemcpyDeviceToHost, c->stream),
            "results");
}

void cuda_submit(struct backend *b) {
    struct cuda *c = (struct cuda *)b;
    if (c->is_recording) {
        c->is_recording = false;
        backend_note(c, graph_end(&c->graphs, c->stream, &c->bounds), "recording");
        c->is_replaying = true;
    }
    if (c->failed) return;
    if (c->is_replaying) {
        const struct graph *g = graph_find(&c->graphs, &c->bounds);
        backend_note(c, cudaGraphLaunch(g->exec, c->stream), "a step");
        c->is_replaying = false;
    }
    fetch(c, 0, c->scratch.results, (size_t)c->n_outputs * RESULT_BYTES);
    if (c->want_routes)
        fetch(c, result_bytes(c->n_outputs), c->scratch.routes.chosen, routes_bytes(c));
}

int cuda_wait(struct backend *b, struct step_result *r, struct error *err) {
    struct cuda *c = (struct cuda *)b;
    size_t n = (size_t)c->n_outputs;
    if (!c->failed) backend_note(c, cudaStreamSynchronize(c->stream), "a step");
    if (c->failed) return errors_run(err, c->failed, c->failed_what);
    c->n_copies = 0;
    timing_add(&c->timing);
    if (n > 0) {
        memcpy(r->ids, c->results, n * sizeof *r->ids);
        memcpy(r->lp_full, c->results + 4 * n, n * sizeof *r->lp_full);
        memcpy(r->lp_behav, c->results + 8 * n, n * sizeof *r->lp_behav);
        memcpy(r->bad, c->results + 12 * n, n * sizeof *r->bad);
    }
    if (c->want_routes && routes_bytes(c) > 0)
        memcpy(r->routes, c->results + result_bytes(c->n_outputs), routes_bytes(c));
    return 0;
}
