#include "kernels/cuda/plan.h"

#include <assert.h>

#include "kernels/cuda/gemm.h"
#include "kernels/cuda/update.h"
#include "kernels/cuda/weights.h"
#include "protocol/base/machine.h"

enum { ALIGN = 256, MAX_LOADERS = 16, STATE_ALIGN = 16, MIN_EXPERT_TILE = 8 };

static void check_options(const struct backend_options *o) {
    const struct model_shape *s = &o->shape;
    assert(s->n_layers > 0 && s->n_layers <= MODEL_MAX_LAYERS && s->hidden > 0 && s->vocab > 0);
    assert(s->n_heads > 0 && s->n_kv_heads > 0 && s->n_heads % s->n_kv_heads == 0);
    assert(s->head_dim > 0 && s->head_dim % 2 == 0);
    assert(s->conv_width >= 1 && s->conv_width <= MODEL_MAX_CONV_WIDTH);
    assert(s->n_experts <= MODEL_MAX_EXPERTS && s->n_experts_used <= MODEL_MAX_EXPERTS_USED);
    assert(s->n_experts_used <= s->n_experts);
    assert(o->page_tokens > 0 && o->max_tokens > 0 && o->max_outputs >= 0 && o->n_pages >= 0);
    assert(o->n_conv_slots >= 0 && o->arena_pages >= 0 && o->arena_slots >= 0);
    assert(o->max_draft >= 0 && o->max_segments > 0);
}

int plan_check(const struct backend_options *o, struct error *err) {
    const struct model_shape *s = &o->shape;
    check_options(o);
    if (o->kv_dtype != DTYPE_F32 && o->kv_dtype != DTYPE_BF16)
        return error_set(err, ERROR_CONFIG,
                         "--kv-type %s is not there on device cuda; expected f32 or bf16.",
                         dtype_name(o->kv_dtype));
    if (!weights_head_rows(s))
        return error_set(err, ERROR_CONFIG,
                         "Heads of %d values cannot run on device cuda, which takes up to 64.",
                         s->head_dim);
    if (s->n_heads / s->n_kv_heads > ATTENTION_ROWS)
        return error_set(err, ERROR_CONFIG,
                         "%d query heads share a KV head; device cuda takes up to %d.",
                         s->n_heads / s->n_kv_heads, ATTENTION_ROWS);
    return weights_check(s, o->weight_dtypes, err);
}

static int64_t pad_state(size_t bytes) {
    return (int64_t)((bytes + STATE_ALIGN - 1) / STATE_ALIGN * STATE_ALIGN);
}

void plan_dimensions(struct dimensions *d, const struct backend_options *o) {
    const struct model_shape *s = &o->shape;
    int64_t size = (int64_t)dtype_bytes(o->kv_dtype);
    int head_rows = weights_head_rows(s);
    *d = (struct dimensions){
        .hidden_stride = tile_pad(s->hidden, TILE_COLUMNS),
        .q_stride = tile_pad(s->n_heads * head_rows, TILE_COLUMNS),
        .head_rows = head_rows,
        .dense_stride = tile_pad(s->ff_dense, TILE_COLUMNS),
        .expert_stride = tile_pad(s->ff_expert, TILE_COLUMNS),
        .vocab_rows = tile_pad(s->vocab, HEAD_TILE),
        .n_attention = shape_n_attention(s),
        .n_conv = s->n_layers - shape_n_attention(s),
        .n_moe = shape_n_moe(s),
        .n_ring = s->conv_width - 1 + o->max_draft,
        .n_past = s->conv_width - 1,
        .kv_is_bf16 = o->kv_dtype == DTYPE_BF16,
        .page_tokens = o->page_tokens,
        .n_pages = o->n_pages,
        .n_conv_slots = o->n_conv_slots,
        .arena_pages = o->arena_pages,
        .arena_slots = o->arena_slots,
        .max_segments = o->max_segments,
        .max_tokens = o->max_tokens,
        .max_outputs = o->max_outputs,
        .max_snapshots = o->max_tokens / SNAPSHOT_TILE + 1,
    };
    d->page_bytes = pad_state(kernels_page_bytes(s, o->kv_dtype, o->page_tokens));
    d->slot_bytes = pad_state(kernels_conv_bytes(s, o->kv_dtype, o->max_draft));
    d->layer_page_bytes = 2 * s->n_kv_heads * o->page_tokens * s->head_dim * size;
    d->layer_slot_bytes = (int64_t)d->n_ring * s->hidden * size;
    d->layer_snapshot_bytes = (int64_t)d->n_past * s->hidden * size;
}

static void *take(struct scratch *s, char *base, int64_t n, size_t size) {
    void *at = base ? base + s->bytes : NULL;
    s->bytes += ((size_t)n * size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    return at;
}

static void take_routes(struct scratch *s, const struct dimensions *d,
                        const struct model_shape *shape, char *base) {
    if (d->n_moe == 0) return;
    int64_t pairs = (int64_t)d->max_tokens * shape->n_experts_used;
    int64_t tiles = pairs / MIN_EXPERT_TILE + shape->n_experts;
    s->slot_y = take(s, base, pairs * d->hidden_stride, 2);
    s->routes.chosen = take(s, base, pairs * d->n_moe, sizeof *s->routes.chosen);
    s->routes.weights = take(s, base, pairs, sizeof *s->routes.weights);
    s->routes.experts = take(s, base, pairs, sizeof *s->routes.experts);
    s->routes.sorted = take(s, base, pairs, sizeof *s->routes.sorted);
    s->routes.tiles = take(s, base, tiles, sizeof *s->routes.tiles);
    s->routes.n_tiles = take(s, base, 1, sizeof *s->routes.n_tiles);
    s->routes.logits =
        take(s, base, (int64_t)d->max_tokens * shape->n_experts, sizeof *s->routes.logits);
    s->routes.counters = take(s, base, 1 + d->max_tokens, sizeof *s->routes.counters);
}

void plan_scratch(struct scratch *s, const struct dimensions *d, const struct model_shape *shape,
                  int n_weights, char *base) {
    *s = (struct scratch){0};
    int64_t tokens = d->max_tokens, hidden = tokens * d->hidden_stride;
    int64_t dense = tokens * d->dense_stride;
    int64_t expert = d->n_moe ? tokens * shape->n_experts_used * d->expert_stride : 0;
    int half = shape->head_dim / 2;
    s->h = take(s, base, hidden, sizeof(float));
    s->n = take(s, base, hidden, 2);
    s->y = take(s, base, hidden, 2);
    s->q = take(s, base, tokens * d->q_stride, 2);
    s->out = take(s, base, tokens * d->q_stride, 2);
    s->act = take(s, base, dense > expert ? dense : expert, 2);
    s->frequencies = take(s, base, half, sizeof(float));
    s->cosine = take(s, base, tokens * half, sizeof(float));
    s->sine = take(s, base, tokens * half, sizeof(float));
    s->snapshots = take(s, base, d->max_snapshots, (size_t)(d->n_conv * d->layer_snapshot_bytes));
    s->cells = take(s, base, (int64_t)ATTENTION_CELLS * ATTENTION_ROWS * (d->head_rows + 2),
                    sizeof(float));
    s->cell_counters = take(s, base, ATTENTION_CELLS, sizeof *s->cell_counters);
    s->tickets = take(s, base, d->n_attention, sizeof *s->tickets);
    take_routes(s, d, shape, base);
    s->missing = take(s, base, d->vocab_rows / 32, sizeof *s->missing);
    s->sums = take(s, base, (int64_t)d->max_outputs * (d->vocab_rows / HEAD_TILE), sizeof *s->sums);
    s->reached = take(s, base, d->max_outputs, sizeof *s->reached);
    s->targets = take(s, base, d->max_outputs, sizeof *s->targets);
    int stored = d->max_outputs < d->max_tokens ? d->max_outputs : d->max_tokens;
    s->logits = take(s, base, (int64_t)stored * d->vocab_rows, sizeof *s->logits);
    s->results = take(s, base, d->max_outputs, RESULT_BYTES);
    s->digests = take(s, base, n_weights, sizeof *s->digests);
}

size_t plan_step_bytes(const struct dimensions *d) {
    const size_t a_token = 64 + sizeof(struct step_token);                     // with its items
    const size_t a_segment = sizeof(struct step_run) + 1024 * sizeof(int32_t); // and its pages
    const size_t an_output = sizeof(struct step_row) + sizeof(struct step_want);
    const size_t seen = (size_t)d->vocab_rows / 8; // by a penalty, a row
    return (64 << 10) + (size_t)d->max_tokens * a_token +
           (size_t)d->max_segments * (a_segment + seen) + (size_t)d->max_outputs * an_output;
}

int plan_n_loaders(void) {
    int n = machine_n_cores();
    return n < MAX_LOADERS ? n : MAX_LOADERS;
}

void plan_bytes(const struct backend_options *o, bool with_cublas, struct backend_plan *out) {
    struct dimensions d;
    struct weights w;
    struct scratch s;
    plan_dimensions(&d, o);
    weights_lay(&w, &o->shape, o->weight_dtypes, NULL);
    plan_scratch(&s, &d, &o->shape, w.n, NULL);
    *out = (struct backend_plan){
        .bytes = {[MEMORY_WEIGHTS] = w.bytes,
                  [MEMORY_PAGES] = (uint64_t)(d.n_pages * d.page_bytes),
                  [MEMORY_SLOTS] = (uint64_t)(d.n_conv_slots * d.slot_bytes),
                  [MEMORY_SCRATCH] =
                      s.bytes + plan_step_bytes(&d) + 2 * LOAD_BYTES * (uint64_t)plan_n_loaders(),
                  [MEMORY_ARENA] =
                      (uint64_t)(d.arena_pages * d.page_bytes + d.arena_slots * d.slot_bytes),
                  [MEMORY_STAGING] = update_bytes(o->staging_bytes, w.n)},
        .is_host = {[MEMORY_ARENA] = true},
    };
    if (with_cublas) {
        uint64_t copies, scratch;
        gemm_bytes(&d, &o->shape, &w, &copies, &scratch);
        out->bytes[MEMORY_WEIGHTS] += copies;
        out->bytes[MEMORY_SCRATCH] += scratch;
    }
    weights_free(&w);
}
