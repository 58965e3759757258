#include "kernels/cuda/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/ops_gemm.h"
#include "protocol/base/memory.h"

enum { ALIGN = 256, N_SIZES = 5 };
enum filling { FILL_W, FILL_X, FILL_SUMS }; // of random values

static const char *const NAMES[N_GEMM_KINDS] = {"conv_in",       "conv_out", "qkv",
                                                "attention_out", "gate",     "down"};

// ------------------------------------------------------------------ memory

// A layer's matrix of a kind; NULL where it has none that is dense.
static const struct matrix *matrix_of(const struct weights *w, const struct model_shape *s,
                                      int layer, enum gemm_kind kind) {
    const struct layer *l = &w->layers[layer];
    bool is_attention = s->is_attention[layer], is_moe = shape_is_moe(s, layer);
    switch (kind) {
    case GEMM_CONV_IN:
        return is_attention ? NULL : &l->conv_in;
    case GEMM_CONV_OUT:
        return is_attention ? NULL : &l->conv_out;
    case GEMM_QKV:
        return is_attention ? &l->qkv : NULL;
    case GEMM_ATTENTION_OUT:
        return is_attention ? &l->attention_out : NULL;
    case GEMM_GATE:
        return is_moe ? NULL : &l->gate;
    default:
        return is_moe ? NULL : &l->down;
    }
}

// All layers have the same shape of a kind; n_out 0: none has it.
static struct cublas_product product_of(const struct dimensions *d, const struct model_shape *s,
                                        const struct weights *w, enum gemm_kind kind) {
    const struct matrix *m = NULL;
    for (int i = 0; i < s->n_layers && !m; i++) m = matrix_of(w, s, i, kind);
    // No checkpoint of the family has the bias; our own kernel adds it.
    bool has_bias = kind == GEMM_CONV_OUT && s->conv_bias;
    if (!m || has_bias) return (struct cublas_product){0};
    bool adds = kind == GEMM_CONV_OUT || kind == GEMM_ATTENTION_OUT || kind == GEMM_DOWN;
    return (struct cublas_product){.n_out = adds ? d->hidden_stride : m->n_rows,
                                   .n_in = m->n_tile_columns * TILE_COLUMNS,
                                   .adds = adds};
}

static int most_outputs(const struct cublas_product *products) {
    int most = 0;
    for (int i = 0; i < N_GEMM_KINDS; i++)
        if (products[i].n_out > most) most = products[i].n_out;
    return most;
}

struct room {
    char *base; // NULL: only counts
    uint64_t bytes;
};

static void *take(struct room *r, uint64_t bytes) {
    void *at = r->base ? r->base + r->bytes : NULL;
    r->bytes += (bytes + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
    return at;
}

static void lay_copies(struct gemm *g, const struct model_shape *s, const struct weights *w,
                       struct room *r) {
    for (int i = 0; i < s->n_layers; i++)
        for (int k = 0; k < N_GEMM_KINDS; k++) {
            const struct matrix *m = matrix_of(w, s, i, (enum gemm_kind)k);
            if (!m || g->products[k].n_out == 0) continue;
            uint64_t n_rows = (uint64_t)m->n_rows, n_tiles = (uint64_t)m->n_tile_columns;
            void *at = take(r, n_rows * n_tiles * TILE_COLUMNS * 2);
            if (r->base) g->rows[i][k] = at;
        }
}

static void lay_scratch(struct gemm *g, const struct dimensions *d, struct room *r) {
    uint64_t row = (uint64_t)most_outputs(g->products) * sizeof(float);
    g->sums = take(r, (uint64_t)d->max_tokens * row);
    g->own = take(r, GEMM_CHECK_TOKENS * row);
    g->n_different = take(r, sizeof *g->n_different);
    g->workspace = take(r, CUBLAS_WORKSPACE_BYTES);
}

static void set_products(struct gemm *g, const struct dimensions *d, const struct model_shape *s,
                         const struct weights *w) {
    for (int k = 0; k < N_GEMM_KINDS; k++) g->products[k] = product_of(d, s, w, (enum gemm_kind)k);
}

void gemm_bytes(const struct dimensions *d, const struct model_shape *s, const struct weights *w,
                uint64_t *copies, uint64_t *scratch) {
    struct gemm g = {0};
    struct room matrices = {0}, rest = {0};
    set_products(&g, d, s, w);
    lay_copies(&g, s, w, &matrices);
    lay_scratch(&g, d, &rest);
    *copies = matrices.bytes;
    *scratch = rest.bytes;
}

static bool take_memory(struct cuda *c) {
    struct gemm *g = &c->gemm;
    uint64_t copies, scratch;
    gemm_bytes(&c->d, &c->shape, &c->weights, &copies, &scratch);
    g->rows = memory_new((size_t)c->shape.n_layers, sizeof *g->rows);
    if (!backend_note(c, cudaMalloc((void **)&g->memory, copies + scratch),
                      "copies of dense weights"))
        return false;
    struct room r = {.base = g->memory};
    lay_copies(g, &c->shape, &c->weights, &r);
    lay_scratch(g, &c->d, &r);
    return true;
}

// ------------------------------------------------------------------ the check

// Numbers of tokens that are tried, the last tokens of max_tokens each: so a token's place differs.
static int sizes_to_try(int max_tokens, int sizes[N_SIZES]) {
    const int some[N_SIZES] = {max_tokens, GEMM_MIN_TOKENS, GEMM_MIN_TOKENS + 1,
                               (GEMM_MIN_TOKENS + max_tokens) / 2 | 1, max_tokens - 1};
    int n = 0;
    for (int i = 0; i < N_SIZES; i++)
        if (some[i] >= GEMM_MIN_TOKENS && some[i] <= max_tokens) sizes[n++] = some[i];
    return n;
}

static const void *input_of(const struct cuda *c, enum gemm_kind kind) {
    switch (kind) {
    case GEMM_CONV_OUT:
        return c->scratch.y;
    case GEMM_ATTENTION_OUT:
        return c->scratch.out;
    case GEMM_DOWN:
        return c->scratch.act;
    default:
        return c->scratch.n;
    }
}

static int first_layer(const struct cuda *c, enum gemm_kind kind) {
    int i = 0;
    while (!matrix_of(&c->weights, &c->shape, i, kind)) i++;
    return i;
}

// Uniform in (-1, 1).
static int fill_random(const struct cuda *c, void *to, enum dtype t, enum filling what,
                       int64_t first, int64_t n) {
    const struct weight_formula f = {.seed = what, .deviation = 0.57735f};
    return formula_launch(&c->queue, to, t, &f, first, n);
}

// The first layer's matrix: random rows, to tiles, and from them to rows again.
static int fill_matrix(const struct cuda *c, enum gemm_kind kind) {
    int layer = first_layer(c, kind);
    const struct matrix *m = matrix_of(&c->weights, &c->shape, layer, kind);
    int columns = m->n_tile_columns * TILE_COLUMNS;
    void *rows = c->gemm.rows[layer][kind];
    const struct weight_move move = {
        .kind = PLACE_TILES,
        .dtype = DTYPE_BF16,
        .map = {.rows = m->n_rows,
                .columns = columns,
                .fold = m->n_rows,
                .n_parts = 1,
                .head = 1,
                .head_rows = 1,
                .column_head = 8,
                .column_head_rows = 8},
        .n_tile_columns = m->n_tile_columns,
        .data = (void *)(uintptr_t)m->data,
        .plain = rows,
        .n = (int64_t)m->n_rows * columns,
    };
    int status = fill_random(c, rows, DTYPE_BF16, FILL_W, 0, move.n);
    if (!status) status = weight_write_launch(&c->queue, &move);
    if (!status) status = cudaMemsetAsync(rows, 0, (size_t)move.n * 2, c->stream);
    if (!status) status = copy_rows_launch(&c->queue, m, rows);
    return status;
}

// A step of so many tokens, for our own kernel.
static int put_step(struct cuda *c, int n_tokens) {
    if (c->step->n_tokens == n_tokens) return cudaSuccess;
    cudaError_t status = cudaStreamSynchronize(c->stream); // nobody reads the one before
    *c->step = (struct step_header){.n_tokens = n_tokens, .n_bytes = sizeof *c->step};
    if (status) return status;
    return cudaMemcpy(c->device_step, c->step, sizeof *c->step, cudaMemcpyHostToDevice);
}

// Tokens first .. first + n - 1 by our own kernel, into `own`, and how many of their outputs are
// not what the library left in `sums`.
static int compare_some(struct cuda *c, enum gemm_kind kind, int first, int n, const float *sums) {
    int status = put_step(c, n);
    const struct cublas_product *p = &c->gemm.products[kind];
    int layer = first_layer(c, kind);
    size_t bytes = (size_t)n * (size_t)p->n_out * sizeof(float);
    struct residual a = {.step = c->device_step,
                         .w = *matrix_of(&c->weights, &c->shape, layer, kind),
                         .x = (const char *)input_of(c, kind) + (int64_t)first * p->n_in * 2,
                         .h = c->gemm.own,
                         .x_stride = p->n_in,
                         .h_stride = p->n_out,
                         .n_out = p->n_out};
    if (!status && p->adds)
        status = fill_random(c, a.h, DTYPE_F32, FILL_SUMS, (int64_t)first * p->n_out,
                             (int64_t)n * p->n_out);
    else if (!status)
        status = cudaMemsetAsync(a.h, 0, bytes, c->stream);
    if (!status) status = residual_launch(&c->queue, &a, GEMM_CHECK_TOKENS);
    if (!status)
        status = compare_launch(&c->queue, a.h, sums, (int64_t)n * p->n_out, c->gemm.n_different);
    return status;
}

// The bits of a product of the last n of max_tokens tokens against those of our own kernel.
static int try_size(struct cuda *c, enum gemm_kind kind, int n, bool *is_same) {
    struct gemm *g = &c->gemm;
    const struct cublas_product *p = &g->products[kind];
    int before = c->d.max_tokens - n, status = 0;
    uint32_t n_different = 1;
    const struct cublas_operands o = {.w = g->rows[first_layer(c, kind)][kind],
                                      .x = (const char *)input_of(c, kind) +
                                           (int64_t)before * p->n_in * 2,
                                      .d = g->sums,
                                      .n_tokens = n,
                                      .workspace = g->workspace,
                                      .stream = c->stream};
    if (p->adds)
        status = fill_random(c, g->sums, DTYPE_F32, FILL_SUMS, (int64_t)before * p->n_out,
                             (int64_t)n * p->n_out);
    if (!status) status = cudaMemsetAsync(g->n_different, 0, sizeof *g->n_different, c->stream);
    if (status) return status;
    *is_same = cublas_run(g->cublas, p, &g->algorithms[kind], &o) == 0;
    for (int i = 0; i < n && *is_same && !status; i += GEMM_CHECK_TOKENS)
        status =
            compare_some(c, kind, before + i, n - i < GEMM_CHECK_TOKENS ? n - i : GEMM_CHECK_TOKENS,
                         g->sums + (int64_t)i * p->n_out);
    if (!status && *is_same)
        status = cudaMemcpyAsync(&n_different, g->n_different, sizeof n_different,
                                 cudaMemcpyDeviceToHost, c->stream);
    if (!status) status = cudaStreamSynchronize(c->stream);
    *is_same = *is_same && n_different == 0;
    return status;
}

// The first of the library's algorithms whose bits are our own in all sizes.
static int choose(struct cuda *c, enum gemm_kind kind) {
    struct gemm *g = &c->gemm;
    const struct cublas_product *p = &g->products[kind];
    struct cublas_algorithm found[CUBLAS_MAX_ALGORITHMS];
    int sizes[N_SIZES], n_sizes = sizes_to_try(c->d.max_tokens, sizes);
    int n = cublas_algorithms(g->cublas, p, c->d.max_tokens, found);
    int status = fill_matrix(c, kind);
    if (!status)
        status = fill_random(c, (void *)(uintptr_t)input_of(c, kind), DTYPE_BF16, FILL_X, 0,
                             (int64_t)c->d.max_tokens * p->n_in);
    for (int i = 0; i < n && !g->is_on[kind] && !status; i++) {
        bool is_same = true;
        g->algorithms[kind] = found[i];
        for (int k = 0; k < n_sizes && is_same && !status; k++)
            status = try_size(c, kind, sizes[k], &is_same);
        g->is_on[kind] = is_same && !status;
    }
    return status;
}

// What the check left in matrices and activations becomes zeros again.
static int clear(struct cuda *c) {
    int status = cudaMemsetAsync(c->weight_memory, 0, c->weights.bytes, c->stream);
    if (!status) status = cudaMemsetAsync(c->scratch_memory, 0, c->scratch.bytes, c->stream);
    return status;
}

static void report(struct cuda *c) {
    const struct gemm *g = &c->gemm;
    char on[96] = "", off[96] = "";
    bool has_off = false;
    for (int k = 0; k < N_GEMM_KINDS; k++) {
        char *to = g->is_on[k] ? on : off;
        if (g->products[k].n_out == 0) continue;
        has_off = has_off || !g->is_on[k];
        snprintf(to + strlen(to), sizeof on - strlen(to), "%s%s", *to ? "," : "", NAMES[k]);
    }
    size_t len = strlen(c->numerics);
    if (*on)
        snprintf(c->numerics + len, sizeof c->numerics - len, " gemm=cublaslt-%d%s%s",
                 cublas_version(g->cublas), has_off ? ":" : "", has_off ? on : "");
    if (has_off)
        fprintf(stderr,
                "--gemm cublas: our own kernels multiply for %s, since no algorithm of cuBLASLt %d "
                "gave their bits for every number and place of %d to %d tokens.\n",
                off, cublas_version(g->cublas), GEMM_MIN_TOKENS, c->d.max_tokens);
}

int gemm_open(struct cuda *c, struct error *err) {
    struct gemm *g = &c->gemm;
    set_products(g, &c->d, &c->shape, &c->weights);
    if (c->d.max_tokens < GEMM_MIN_TOKENS)
        return error_set(err, ERROR_CONFIG,
                         "--gemm cublas is for steps of %d tokens or more; --max-rows and "
                         "--prefill-chunk allow %d.",
                         GEMM_MIN_TOKENS, c->d.max_tokens);
    if (cublas_open(&g->cublas, err)) return -1;
    if (c->failed || !take_memory(c)) return 0;
    int status = 0;
    c->step->n_tokens = 0;
    for (int k = 0; k < N_GEMM_KINDS && !status; k++)
        if (g->products[k].n_out) status = choose(c, (enum gemm_kind)k);
    if (!status) status = clear(c);
    g->is_stale = true;
    if (backend_note(c, status, "trying cuBLASLt")) report(c);
    return 0;
}

void gemm_close(struct gemm *g) {
    cublas_close(&g->cublas);
    cudaFree(g->memory);
    free(g->rows);
    *g = (struct gemm){0};
}

// ------------------------------------------------------------------ steps

static int copy_matrices(struct cuda *c) {
    int status = 0;
    for (int i = 0; i < c->shape.n_layers; i++)
        for (int k = 0; k < N_GEMM_KINDS && !status; k++) {
            const struct matrix *m = matrix_of(&c->weights, &c->shape, i, (enum gemm_kind)k);
            if (m && c->gemm.is_on[k]) status = copy_rows_launch(&c->queue, m, c->gemm.rows[i][k]);
        }
    return status;
}

void gemm_begin(struct cuda *c, int n_tokens) {
    struct gemm *g = &c->gemm;
    bool is_any = false;
    for (int k = 0; k < N_GEMM_KINDS; k++) is_any = is_any || g->is_on[k];
    g->is_used = is_any && n_tokens >= GEMM_MIN_TOKENS;
    if (!g->is_used || !g->is_stale) return;
    backend_note(c, copy_matrices(c), "copying dense weights");
    g->is_stale = false;
}

bool gemm_takes(const struct cuda *c, enum gemm_kind kind) {
    return c->gemm.is_used && c->gemm.is_on[kind];
}

int gemm_run(struct cuda *c, enum gemm_kind kind, int layer, const void *x) {
    const struct gemm *g = &c->gemm;
    const struct cublas_operands o = {.w = g->rows[layer][kind],
                                      .x = x,
                                      .d = g->products[kind].adds ? c->scratch.h : g->sums,
                                      .n_tokens = c->n_tokens,
                                      .workspace = g->workspace,
                                      .stream = c->stream};
    int status = cublas_run(g->cublas, &g->products[kind], &g->algorithms[kind], &o);
    if (!status) return cudaSuccess;
    cudaError_t why = cudaGetLastError();
    return why ? (int)why : cudaErrorUnknown;
}
