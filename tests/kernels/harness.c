#include "tests/kernels/harness.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/backend.h"
#include "kernels/types/types.h"
#include "protocol/base/memory.h"

struct model_shape harness_shape(int index) {
    struct model_shape s = {
        .n_layers = 4,
        .hidden = 64,
        .vocab = 131,
        .n_heads = 4,
        .n_kv_heads = 2,
        .head_dim = 16,
        .conv_width = 3,
        .n_dense_layers = 4,
        .ff_dense = 96,
        .max_positions = 1024,
        .norm_eps = 1e-5f,
        .rope_theta = 1e6f,
        .routed_scale = 1,
        .norm_topk = true,
        .use_expert_bias = true,
        .tied_head = true,
        .is_attention = {false, true, false, true},
    };
    if (index == 0) return s;
    s.n_dense_layers = 1;
    s.n_experts = 8;
    s.n_experts_used = 2;
    s.ff_expert = 32;
    if (index == 1) return s;
    if (index == 2) { // odd sizes, an untied head, all biases, no normalised weights
        s.hidden = 72;
        s.n_heads = 3;
        s.n_kv_heads = 1;
        s.head_dim = 24;
        s.n_experts = 11;
        s.n_experts_used = 3;
        s.ff_expert = 40;
        s.ff_dense = 100;
        s.conv_width = 2;
        s.tied_head = s.norm_topk = s.use_expert_bias = false;
        s.conv_bias = true;
        s.routed_scale = 1.7f;
        s.rope_theta = 10000;
    } else if (index == 3) {
        s.hidden = 200;
        s.n_heads = 5;
        s.n_kv_heads = 5;
        s.head_dim = 10;
        s.conv_width = 8;
        s.vocab = 257;
        s.n_experts = 5;
        s.n_experts_used = 5;
        s.conv_bias = true;
    } else { // all experts dense-free, more kinds of layers in a row
        s.hidden = 96;
        s.n_layers = 6;
        s.n_dense_layers = 0;
        s.head_dim = 32;
        s.n_heads = 6;
        s.n_experts = 16;
        s.n_experts_used = 4;
        s.conv_width = 4;
        s.vocab = 512;
        s.is_attention[0] = s.is_attention[2] = true;
    }
    return s;
}

static bool is_vector(const struct weight *w) {
    return w->n_dims != 2;
}

bool harness_is_cpu(void) {
    return strncmp(harness_device(), "cpu", 3) == 0;
}

bool harness_is_emulated(void) {
    return strncmp(harness_device(), "cudasim", 7) == 0;
}

enum dtype harness_dtype(const struct weight *w, enum dtype wanted) {
    return harness_is_cpu() || is_vector(w) ? wanted : DTYPE_BF16;
}

// The reference's values, in type `t`.
static const void *read_as(const struct harness *h, enum dtype t, int index, int64_t first,
                           int64_t n, void *room) {
    const double *values = h->model->values[index] + first;
    for (int64_t k = 0, size = type_elements(t); k < n; k += size) {
        float x[TYPE_MAX_ELEMENTS];
        for (int64_t i = 0; i < size; i++) x[i] = (float)values[k + i];
        if (dtype_is_block(t))
            type_pack(t, x, size, (char *)room + type_size(t, k));
        else
            dtype_put(t, room, k, x[0]);
    }
    return room;
}

static const void *read_values(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct harness *h = self;
    (void)err;
    return read_as(h, h->resident[index], index, first, n, room);
}

static const void *read_master(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct harness *h = self;
    (void)err;
    return read_as(h, h->dtypes[index], index, first, n, room);
}

static void open_backend(struct harness *h, const struct model_shape *shape,
                         const struct harness_options *o) {
    struct backend_options options = {
        .shape = *shape,
        .weight_dtypes = h->resident,
        .master_dtypes = h->has_master ? h->dtypes : NULL,
        .weight_hashes = h->hashes,
        .kv_dtype = o->kv,
        .page_tokens = o->page_tokens,
        .n_pages = HARNESS_PAGES,
        .n_conv_slots = HARNESS_SLOTS,
        .arena_pages = HARNESS_ARENA,
        .arena_slots = HARNESS_ARENA,
        .max_draft = o->max_draft,
        .max_segments = HARNESS_SLOTS,
        .max_tokens = o->max_tokens ? o->max_tokens : HARNESS_MAX_TOKENS,
        .max_outputs = 4 * HARNESS_MAX_TOKENS,
        .staging_bytes = o->staging_bytes,
        .second_copy = o->second_copy,
        .id_exists = o->id_exists,
        .n_threads = o->n_threads,
        .path = o->path,
    };
    struct error err = {0};
    const struct weight_source source = {
        .self = h, .read = read_values, .read_master = read_master};
    const char *path;
    const struct backend_ops *ops = kernels_find(harness_device(), &options.device, &path, &err);
    if (path) options.path = path;
    if (!ops || ops->open(&options, &h->backend, &err) ||
        ops->load(h->backend, &source, h->digests, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

// A block type where rows are whole blocks of it.
static enum dtype block_dtype(const struct weight *w, enum dtype blocks) {
    if (is_vector(w) || w->kind == WEIGHT_ROUTER) return DTYPE_F32;
    if (w->dims[1] % type_elements(blocks) == 0) return blocks;
    return w->dims[1] % type_elements(DTYPE_Q8_0) == 0 ? DTYPE_Q8_0 : DTYPE_F16;
}

// The three matrices of a feed-forward network have blocks, or none has.
static void set_blocks(struct harness *h, const struct weight *list, int n, enum dtype blocks) {
    for (int i = 0; i < n; i++) h->resident[i] = block_dtype(&list[i], blocks);
    for (int i = 0; i < n; i++) {
        enum dtype *t = h->resident + i;
        if (list[i].kind != WEIGHT_W1) continue;
        if (dtype_is_block(t[0]) && dtype_is_block(t[1]) && dtype_is_block(t[2])) continue;
        for (int k = 0; k < 3; k++) t[k] = DTYPE_F32;
    }
}

struct harness *harness_open(const struct model_shape *shape, const struct harness_options *o,
                             uint64_t seed) {
    struct harness *h = memory_new(1, sizeof *h);
    struct weight *list;
    int n = weights_list(shape, &list);
    h->dtypes = memory_new((size_t)n, sizeof *h->dtypes);
    h->resident = memory_new((size_t)n, sizeof *h->resident);
    h->has_master = o->has_master;
    h->keeps_staged = o->second_copy && !o->has_master;
    h->hashes = memory_new((size_t)n, sizeof *h->hashes);
    h->digests = memory_new((size_t)n, sizeof *h->digests);
    for (int i = 0; i < n; i++) {
        h->hashes[i] = (uint64_t)i * 0x9e3779b97f4a7c15u;
        h->dtypes[i] = harness_dtype(&list[i], o->matrices);
        if (list[i].kind == WEIGHT_EXPERT_BIAS || (is_vector(&list[i]) && i % 2))
            h->dtypes[i] = DTYPE_F32;
    }
    memcpy(h->resident, h->dtypes, (size_t)n * sizeof *h->resident);
    if (dtype_is_block(o->blocks)) set_blocks(h, list, n, o->blocks);
    free(list);
    h->model = reference_model_random(shape, h->dtypes, seed);
    if (!h->has_master) memcpy(h->dtypes, h->resident, (size_t)n * sizeof *h->dtypes);
    open_backend(h, shape, o);
    return h;
}

void harness_read_weight(struct harness *h, int index, int64_t first, int64_t n, void *values) {
    struct error err = {0};
    if (h->has_master) { // which only the CPU's backend has
        const struct cpu *c = (const struct cpu *)h->backend;
        size_t size = dtype_bytes(h->dtypes[index]);
        memcpy(values, (const char *)c->master.slots[index].data + (size_t)first * size,
               (size_t)n * size);
        return;
    }
    int rc = h->backend->ops->weight_read(h->backend, index, first, n, values, &err);
    assert(rc == 0);
}

void harness_close(struct harness **harness) {
    struct harness *h = *harness;
    *harness = NULL;
    if (!h) return;
    h->backend->ops->close(&h->backend);
    reference_model_free(&h->model);
    free(h->dtypes);
    free(h->resident);
    free(h->hashes);
    free(h->digests);
    free(h);
}

void harness_step(struct harness *h, const struct step *step, struct step_result *result) {
    struct backend *b = h->backend;
    const struct backend_ops *ops = b->ops;
    const struct model_shape *s = &h->model->shape;
    ops->begin(b, step);
    ops->embed(b);
    for (int i = 0; i < s->n_layers; i++) {
        if (s->is_attention[i])
            ops->attention(b, i);
        else
            ops->conv(b, i);
        if (shape_is_moe(s, i))
            ops->moe(b, i);
        else
            ops->dense(b, i);
    }
    ops->head(b);
    ops->submit(b);
    struct error err = {0};
    int rc = ops->wait(b, result, &err);
    assert(rc == 0);
}

void harness_score(struct harness *h, const struct harness_sequence *s, float *out) {
    int32_t pages[HARNESS_PAGES], drawn[4 * HARNESS_MAX_TOKENS];
    float behav[4 * HARNESS_MAX_TOKENS];
    uint8_t bad[4 * HARNESS_MAX_TOKENS];
    struct step_output outputs[4 * HARNESS_MAX_TOKENS];
    for (int i = 0; i < HARNESS_PAGES; i++) pages[i] = s->first_page + i;
    for (int at = 0; at < s->n; at += s->chunk) {
        int n = s->n - at < s->chunk ? s->n - at : s->chunk;
        struct step_segment segment = {
            0, n, s->position + at, s->conv_slot, pages, HARNESS_PAGES - s->first_page};
        for (int i = 0; i < n * s->n_targets; i++)
            outputs[i] = (struct step_output){.token = i / s->n_targets,
                                              .target = s->targets[i % s->n_targets],
                                              .temperature = 1};
        struct step step = {.n_tokens = n,
                            .n_segments = 1,
                            .n_outputs = n * s->n_targets,
                            .ids = s->ids + at,
                            .segments = &segment,
                            .outputs = outputs};
        struct step_result r = {.ids = drawn,
                                .lp_full = out + (size_t)at * (size_t)s->n_targets,
                                .lp_behav = behav,
                                .bad = bad};
        harness_step(h, &step, &r);
        for (int i = 0; i < n * s->n_targets; i++) assert(!bad[i]);
    }
}

const char *harness_device(void) {
    const char *device = getenv("STAMPEDE_DEVICE");
    // The emulator runs each block of a persistent kernel, and few tiles are here to share.
    if (device && strncmp(device, "cudasim", 7) == 0) setenv("CUDASIM_SMS", "3", 0);
    return device ? device : "cpu";
}

// The one of `names` with this index, of those that this processor has.
static const char *path_of(const char *const *names, int n, int index) {
    for (int i = 0; i < n; i++)
        if (isa_find(names[i]) && index-- == 0) return names[i];
    return NULL;
}

const char *harness_isa(int index) {
    static const char *const names[] = {"portable", "neon", "avx2", "avx512"};
    return path_of(names, 4, index);
}

const char *harness_path(int index) {
    static const char *const names[] = {"portable", "neon",        "neon-dot", "avx2",     "avx512",
                                        "amx",      "avx512-bf16", "amx-bf16", "neon-bf16"};
    return harness_is_cpu() ? path_of(names, 9, index) : NULL;
}

int harness_n_paths(void) {
    int n = 1;
    while (harness_path(n)) n++;
    return n;
}

enum dtype harness_kv(int index) {
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0};
    return types[index];
}

int harness_n_kv(void) {
    return harness_is_cpu() ? 4 : 2;
}

bool harness_rounds(const char *path) {
    return harness_is_cpu() ? isa_find(path)->is_bf16 : true;
}
