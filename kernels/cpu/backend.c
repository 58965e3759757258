#include "kernels/cpu/backend.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/delta.h"
#include "kernels/cpu/packed.h"
#include "kernels/cpu/remake.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/rope.h"
#include "kernels/math.h"
#include "protocol/base/machine.h"
#include "protocol/base/memory.h"

enum { ITEM_TOKENS = 16, NORM_CHUNK = 16 };

// ------------------------------------------------------------------ open and close

static void check(const struct backend_options *o) {
    const struct model_shape *s = &o->shape;
    assert(s->n_layers > 0 && s->n_layers <= MODEL_MAX_LAYERS && s->hidden > 0 && s->vocab > 0);
    assert(s->n_heads > 0 && s->n_kv_heads > 0 && s->n_heads % s->n_kv_heads == 0);
    assert(s->head_dim > 0 && s->head_dim % 2 == 0);
    assert(s->conv_width >= 1 && s->conv_width <= MODEL_MAX_CONV_WIDTH);
    assert(s->n_experts <= MODEL_MAX_EXPERTS && s->n_experts_used <= MODEL_MAX_EXPERTS_USED);
    assert(s->n_experts_used <= s->n_experts);
    assert(o->kv_dtype < N_FLOAT_DTYPES || o->kv_dtype == DTYPE_Q8_0);
    assert(o->page_tokens > 0 && o->page_tokens <= ATTENTION_MAX_PAGE_TOKENS);
    assert(o->max_tokens > 0 && o->max_outputs >= 0 && o->n_pages >= 0 && o->n_conv_slots >= 0);
    assert(o->arena_pages >= 0 && o->arena_slots >= 0 && o->max_draft >= 0 && o->max_segments > 0);
    assert(o->n_threads >= 0);
    assert(o->staging_bytes || !(o->master_dtypes || o->second_copy));
}

// Types of the matrices, in the order of enum dtype: "bf16", or "f32+bf16" where they differ.
static void name_numerics(struct cpu *c) {
    bool has[N_DTYPES] = {false};
    char types[N_DTYPES * 5] = "";
    for (int i = 0; i < c->weights.n; i++)
        if (c->weights.slots[i].layout == WEIGHT_PACKED) has[c->weights.slots[i].dtype] = true;
    for (int t = 0; t < N_DTYPES; t++) {
        if (!has[t]) continue;
        if (types[0]) strcat(types, "+");
        strcat(types, dtype_name((enum dtype)t));
    }
    snprintf(c->numerics, sizeof c->numerics, "cpu-%s weights=%s kv=%s", c->isa->bits, types,
             dtype_name(c->kv));
}

static size_t largest(size_t a, size_t b) {
    return a > b ? a : b;
}

// Carves the activations out of one region, or only counts their bytes when it is not there yet.
static size_t carve(struct cpu *c) {
    const struct model_shape *s = &c->shape;
    size_t tokens = (size_t)c->max_tokens, rope = tokens * (size_t)(s->head_dim / 2);
    size_t row = tokens * (size_t)matmul_stride(s->hidden);
    size_t work =
        largest(largest(cpu_conv_work(s, c->max_tokens), cpu_attention_work(s, c->max_tokens)),
                largest(cpu_dense_work(s, c->max_tokens), cpu_moe_work(s, c->max_tokens)));
    struct {
        float **at;
        size_t n;
    } parts[] = {{&c->h, row},       {&c->n, row},     {&c->work, work},
                 {&c->cosine, rope}, {&c->sine, rope}, {&c->frequencies, (size_t)s->head_dim}};
    size_t n = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (c->scratch.data) *parts[i].at = (float *)c->scratch.data + n;
        n += (parts[i].n + MATMUL_ROWS - 1) & ~(size_t)(MATMUL_ROWS - 1);
    }
    return n * sizeof(float);
}

// Bytes of what is mapped, by what it is for.
struct sizes {
    size_t weights, next, master, pages, convs, arena, staging, scratch, logits, draws;
};

static int n_threads(const struct backend_options *o) {
    return o->n_threads ? o->n_threads : machine_n_cores();
}

static bool has_next(const struct backend_options *o) {
    return o->second_copy || o->master_dtypes;
}

static struct sizes sizes_of(const struct backend_options *o) {
    struct cpu c = {.shape = o->shape, .max_tokens = o->max_tokens};
    size_t page = kernels_page_bytes(&o->shape, o->kv_dtype, o->page_tokens);
    size_t conv = kernels_conv_bytes(&o->shape, o->kv_dtype, o->max_draft);
    size_t rows = (size_t)(o->max_outputs < HEAD_TILE ? o->max_outputs : HEAD_TILE);
    return (struct sizes){
        .weights = weights_bytes(&o->shape, o->weight_dtypes),
        .next = has_next(o) ? weights_bytes(&o->shape, o->weight_dtypes) : 0,
        .master = o->master_dtypes ? master_bytes(&o->shape, o->master_dtypes) : 0,
        .pages = (size_t)o->n_pages * page,
        .convs = (size_t)o->n_conv_slots * conv,
        .arena = (size_t)o->arena_pages * page + (size_t)o->arena_slots * conv,
        .staging = o->staging_bytes,
        .scratch = carve(&c),
        .logits = rows * (size_t)matmul_stride(o->shape.vocab) * sizeof(float),
        .draws = (size_t)n_threads(o) * 5 * (size_t)matmul_pad(o->shape.vocab) * 4,
    };
}

static void open_draw(struct cpu *c, const uint8_t *id_exists) {
    size_t vocab = (size_t)matmul_pad(c->shape.vocab), n = (size_t)pool_n_threads(c->pool);
    c->missing = memory_new(vocab, sizeof *c->missing);
    for (int i = 0; id_exists && i < c->shape.vocab; i++)
        if (!id_exists[i]) c->missing[c->n_missing++] = i;
    assert(c->n_missing < c->shape.vocab);
    c->draw = memory_new(n, sizeof *c->draw);
    char *at = c->draw_memory.data;
    for (size_t i = 0; i < n; i++, at += 5 * vocab * 4) {
        c->draw[i].x = (float *)at;
        for (size_t k = 0; k < 2; k++) {
            c->draw[i].keys[k] = (uint32_t *)at + (k + 1) * vocab;
            c->draw[i].ids[k] = (int32_t *)at + (k + 3) * vocab;
        }
    }
}

static int open_weights(struct cpu *c, const struct backend_options *o, struct error *err) {
    enum type_path path = c->isa->types;
    if (weights_open(&c->weights, &o->shape, o->weight_dtypes, path, err)) return -1;
    c->has_next = has_next(o);
    c->has_master = o->master_dtypes != NULL;
    if (c->has_next && weights_open(&c->next, &o->shape, o->weight_dtypes, path, err)) return -1;
    if (!c->has_master) return 0;
    c->sums = memory_new((size_t)c->weights.n, sizeof *c->sums);
    c->next_sums = memory_new((size_t)c->weights.n, sizeof *c->next_sums);
    return master_open(&c->master, &o->shape, o->master_dtypes, err);
}

static int open_memory(struct cpu *c, const struct backend_options *o, struct error *err) {
    const struct model_shape *s = &c->shape;
    const struct sizes sizes = sizes_of(o);
    size_t tokens = (size_t)c->max_tokens, outputs = (size_t)c->max_outputs;
    if (open_weights(c, o, err) != 0 ||
        region_map(&c->pages, sizes.pages, "the KV pages", err) != 0 ||
        region_map(&c->convs, sizes.convs, "the conv states", err) != 0 ||
        region_map(&c->arena, sizes.arena, "suspended rows", err) != 0 ||
        region_map(&c->staging, sizes.staging, "weight updates", err) != 0 ||
        region_map(&c->scratch, sizes.scratch, "activations", err) != 0 ||
        region_map(&c->logits, sizes.logits, "logits", err) != 0 ||
        region_map(&c->draw_memory, sizes.draws, "draws", err) != 0)
        return -1;
    carve(c);
    open_draw(c, o->id_exists);
    c->hashes = memory_new((size_t)c->weights.n, sizeof *c->hashes);
    memcpy(c->hashes, o->weight_hashes, (size_t)c->weights.n * sizeof *c->hashes);
    c->token_segment = memory_new(tokens, sizeof *c->token_segment);
    c->items = memory_new(tokens, sizeof *c->items);
    c->experts = cpu_experts_new(s, c->max_tokens);
    c->ids = memory_new(outputs, sizeof *c->ids);
    c->lp_full = memory_new(outputs, sizeof *c->lp_full);
    c->lp_behav = memory_new(outputs, sizeof *c->lp_behav);
    c->bad = memory_new(outputs, sizeof *c->bad);
    c->routes =
        memory_new(tokens * (size_t)shape_n_moe(s) * (size_t)s->n_experts_used, sizeof *c->routes);
    return 0;
}

static void cpu_close(struct backend **b) {
    struct cpu *c = (struct cpu *)*b;
    *b = NULL;
    if (!c) return;
    pool_stop(&c->pool);
    pool_stop(&c->check_pool);
    weights_close(&c->weights, &c->shape);
    weights_close(&c->next, &c->shape);
    master_close(&c->master);
    region_unmap(&c->pages);
    region_unmap(&c->convs);
    region_unmap(&c->arena);
    region_unmap(&c->staging);
    region_unmap(&c->scratch);
    region_unmap(&c->logits);
    region_unmap(&c->draw_memory);
    cpu_experts_free(&c->experts);
    free(c->hashes);
    free(c->sums);
    free(c->next_sums);
    free(c->missing);
    free(c->draw);
    free(c->token_segment);
    free(c->items);
    free(c->ids);
    free(c->lp_full);
    free(c->lp_behav);
    free(c->bad);
    free(c->routes);
    free(c);
}

const struct isa *cpu_isa(const char *path, struct error *err) {
    const struct isa *isa = isa_find(path);
    if (!isa)
        error_set(err, ERROR_USAGE,
                  "Instruction set path '%s' is not known or this processor lacks it; "
                  "expected portable, avx2, avx512, amx or neon, or bf16 (products of bf16, by "
                  "AVX512-BF16 or AMX).",
                  path);
    return isa;
}

static int cpu_plan(const struct backend_options *o, struct backend_plan *out, struct error *err) {
    check(o);
    if (!cpu_isa(o->path, err)) return -1;
    const struct sizes s = sizes_of(o);
    *out = (struct backend_plan){
        .bytes = {[MEMORY_WEIGHTS] = region_bytes(s.weights),
                  [MEMORY_PAGES] = region_bytes(s.pages),
                  [MEMORY_SLOTS] = region_bytes(s.convs),
                  [MEMORY_SCRATCH] =
                      region_bytes(s.scratch) + region_bytes(s.logits) + region_bytes(s.draws),
                  [MEMORY_ARENA] = region_bytes(s.arena),
                  [MEMORY_STAGING] = region_bytes(s.staging),
                  [MEMORY_SECOND_COPY] = region_bytes(s.next),
                  [MEMORY_MASTER] = region_bytes(s.master)}};
    for (int i = 0; i < N_MEMORY_USES; i++) out->is_host[i] = true;
    return 0;
}

static void take_options(struct cpu *c, const struct backend_options *o) {
    c->shape = o->shape;
    c->kv = o->kv_dtype;
    c->page_tokens = o->page_tokens;
    c->n_pages = o->n_pages;
    c->n_conv_slots = o->n_conv_slots;
    c->arena_pages = o->arena_pages;
    c->arena_slots = o->arena_slots;
    c->max_draft = o->max_draft;
    c->max_segments = o->max_segments;
    c->max_tokens = o->max_tokens;
    c->max_outputs = o->max_outputs;
    c->page_bytes = kernels_page_bytes(&c->shape, c->kv, c->page_tokens);
    c->conv_bytes = kernels_conv_bytes(&c->shape, c->kv, c->max_draft);
}

static int cpu_open(const struct backend_options *o, struct backend **out, struct error *err) {
    check(o);
    *out = NULL;
    const struct isa *isa = cpu_isa(o->path, err);
    if (!isa) return -1;
    struct cpu *c = memory_new(1, sizeof *c);
    c->base.ops = &cpu_backend;
    c->isa = isa;
    take_options(c, o);
    // Vector code takes 8 positions and 8 values of a head at a time.
    bool fits = c->page_tokens % 8 == 0 && c->shape.head_dim % 8 == 0;
    c->attend = fits ? isa->attention : attention_portable;
    c->attention_scale = 1.0f / math_sqrt((float)c->shape.head_dim);
    c->pool = pool_start(n_threads(o), err);
    if (o->staging_bytes) c->check_pool = pool_start(n_threads(o), err);
    struct backend *b = &c->base;
    if (!c->pool || (o->staging_bytes && !c->check_pool) || open_memory(c, o, err) != 0) {
        cpu_close(&b);
        return -1;
    }
    rope_frequencies(c->shape.rope_theta, c->shape.head_dim, c->frequencies);
    name_numerics(c);
    *out = b;
    return 0;
}

static const char *cpu_numerics(const struct backend *b) {
    return ((const struct cpu *)b)->numerics;
}

static void cpu_weight_write(struct backend *b, int index, int64_t first, int64_t n,
                             const void *values) {
    struct cpu *c = (struct cpu *)b;
    assert(!c->has_master);
    weights_write(&c->weights, index, first, n, values);
}

static int cpu_weight_read(struct backend *b, int index, int64_t first, int64_t n, void *values,
                           struct error *err) {
    (void)err;
    weights_read(&((const struct cpu *)b)->weights, index, first, n, values);
    return 0;
}

// ------------------------------------------------------------------ a step

struct norm_run {
    struct cpu *c;
    const float *weight;
};

static void norm_chunk(void *arg, int chunk, int thread) {
    (void)thread;
    const struct norm_run *r = arg;
    struct cpu *c = r->c;
    size_t stride = (size_t)matmul_stride(c->shape.hidden);
    int end = (chunk + 1) * NORM_CHUNK;
    if (end > c->step.n_tokens) end = c->step.n_tokens;
    for (int t = chunk * NORM_CHUNK; t < end; t++)
        c->isa->rms_norm(c->shape.hidden, c->h + (size_t)t * stride, r->weight, c->shape.norm_eps,
                         c->n + (size_t)t * stride);
}

void cpu_norm(struct cpu *c, const float *weight) {
    struct norm_run r = {c, weight};
    bool is_small = matmul_is_small((double)c->step.n_tokens * c->shape.hidden * 2);
    pool_run(c->pool, (c->step.n_tokens + NORM_CHUNK - 1) / NORM_CHUNK, is_small, norm_chunk, &r);
}

static void add_segment(struct cpu *c, int i) {
    const struct step_segment *s = &c->step.segments[i];
    int dim = c->shape.head_dim, last = s->position + s->n_tokens - 1;
    assert(s->n_tokens > 0 && s->position >= 0 && last / c->page_tokens < s->n_pages);
    assert(s->conv_slot >= 0 && s->conv_slot < c->n_conv_slots);
    for (int p = 0; p < s->n_pages; p++) assert(s->pages[p] >= 0 && s->pages[p] < c->n_pages);
    for (int k = 0; k < s->n_tokens; k++) {
        int t = s->first_token + k;
        size_t at = (size_t)t * (size_t)(dim / 2);
        c->token_segment[t] = i;
        rope_table(c->frequencies, dim, s->position + k, c->cosine + at, c->sine + at);
        if (k % ITEM_TOKENS == 0)
            c->items[c->n_items++] = (struct attention_item){
                i, t, s->n_tokens - k < ITEM_TOKENS ? s->n_tokens - k : ITEM_TOKENS};
    }
}

static void cpu_begin(struct backend *b, const struct step *step) {
    struct cpu *c = (struct cpu *)b;
    assert(step->n_tokens <= c->max_tokens && step->n_outputs <= c->max_outputs);
    assert(step->n_segments <= c->max_segments);
    c->step = *step;
    c->n_items = 0;
    for (int t = 0; t < step->n_tokens; t++)
        assert(step->ids[t] >= 0 && step->ids[t] < c->shape.vocab);
    int next = 0;
    for (int i = 0; i < step->n_segments; i++) {
        assert(step->segments[i].first_token == next);
        next += step->segments[i].n_tokens;
        assert(next <= step->n_tokens);
        add_segment(c, i);
    }
    assert(next == step->n_tokens);
}

// The blocks have run when they return.
static void cpu_submit(struct backend *b) {
    (void)b;
}

static int cpu_wait(struct backend *b, struct step_result *r, struct error *err) {
    (void)err;
    struct cpu *c = (struct cpu *)b;
    size_t n = (size_t)c->step.n_outputs;
    if (n > 0) {
        memcpy(r->ids, c->ids, n * sizeof *r->ids);
        memcpy(r->lp_full, c->lp_full, n * sizeof *r->lp_full);
        memcpy(r->lp_behav, c->lp_behav, n * sizeof *r->lp_behav);
        memcpy(r->bad, c->bad, n * sizeof *r->bad);
    }
    if (c->step.want_routes && shape_n_moe(&c->shape) > 0)
        memcpy(r->routes, c->routes,
               (size_t)c->step.n_tokens * (size_t)shape_n_moe(&c->shape) *
                   (size_t)c->shape.n_experts_used * sizeof *r->routes);
    return 0;
}

static int cpu_n_devices(int *n, struct error *err) {
    (void)err;
    *n = 1;
    return 0;
}

const struct backend_ops cpu_backend = {
    .abi = KERNELS_ABI,
    .name = "cpu",
    .n_devices = cpu_n_devices,
    .describe = cpu_describe,
    .plan = cpu_plan,
    .open = cpu_open,
    .close = cpu_close,
    .numerics = cpu_numerics,
    .load = cpu_load,
    .packed_map = cpu_packed_map,
    .packed_keep = cpu_packed_keep,
    .weight_write = cpu_weight_write,
    .weight_read = cpu_weight_read,
    .weight_digest = cpu_weight_digest,
    .stage = cpu_stage,
    .check = cpu_check,
    .remake = cpu_remake,
    .apply = cpu_apply,
    .move = cpu_move,
    .begin = cpu_begin,
    .embed = cpu_embed,
    .conv = cpu_conv,
    .attention = cpu_attention,
    .dense = cpu_dense,
    .moe = cpu_moe,
    .head = cpu_head,
    .submit = cpu_submit,
    .wait = cpu_wait,
};
