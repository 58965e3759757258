#include "kernels/cuda/weights.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/memory.h"

// Products take up to 128 rows at a time (256 where these are whole tiles: matmul_many.cuh),
// convolutions 192 (64 channels of B, C and x).
enum { ALIGN = 256, ROW_PAD = 128, CHANNEL_PAD = 64, VECTOR_PAD = 128 };

int weights_head_rows(const struct model_shape *s) {
    return s->head_dim <= 32 ? 32 : s->head_dim <= 64 ? 64 : 0;
}

int weights_check(const struct model_shape *s, const enum dtype *dtypes, struct error *err) {
    struct weight *list;
    int n = weights_list(s, &list), bad = -1;
    for (int i = 0; i < n && bad < 0; i++) {
        bool is_wide = list[i].kind == WEIGHT_ROUTER && dtypes[i] == DTYPE_F32;
        if (list[i].n_dims == 2 && dtypes[i] != DTYPE_BF16 && !is_wide) bad = i;
    }
    free(list);
    if (bad < 0) return 0;
    return error_set(err, ERROR_CONFIG,
                     "Matrices of %s cannot be resident on device cuda, which holds them as bf16; "
                     "--weights bf16 rounds them.",
                     dtype_name(dtypes[bad]));
}

// ------------------------------------------------------------------ room

struct room {
    char *base; // null: only counting
    size_t bytes;
};

static void *take(struct room *r, size_t bytes) {
    void *at = r->base ? r->base + r->bytes : NULL;
    r->bytes += (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    return at;
}

static int64_t matrix_bytes(int n_rows, int n_tile_columns) {
    return (int64_t)(n_rows / TILE_ROWS) * n_tile_columns * TILE_BYTES;
}

// n matrices of so many padded rows, one behind the other; the first one.
static struct matrix take_matrices(struct room *r, int n, int rows, int columns) {
    struct matrix m = {.n_rows = tile_pad(rows, ROW_PAD),
                       .n_tile_columns = tile_pad(columns, TILE_COLUMNS) / TILE_COLUMNS};
    m.data = take(r, (size_t)n * (size_t)matrix_bytes(m.n_rows, m.n_tile_columns));
    return m;
}

static struct matrix take_conv_in(struct room *r, int hidden) {
    struct matrix m = {.n_rows = 3 * tile_pad(hidden, CHANNEL_PAD),
                       .n_tile_columns = tile_pad(hidden, TILE_COLUMNS) / TILE_COLUMNS};
    m.data = take(r, (size_t)matrix_bytes(m.n_rows, m.n_tile_columns));
    return m;
}

static void take_layer(struct layer *l, const struct model_shape *s, int layer, struct room *r) {
    int head_rows = weights_head_rows(s);
    if (s->is_attention[layer]) {
        l->qkv = take_matrices(r, 1, (s->n_heads + 2 * s->n_kv_heads) * head_rows, s->hidden);
        l->attention_out = take_matrices(r, 1, s->hidden, s->n_heads * head_rows);
    } else {
        l->conv_in = take_conv_in(r, s->hidden);
        l->conv_out = take_matrices(r, 1, s->hidden, s->hidden);
    }
    bool is_moe = shape_is_moe(s, layer);
    int n = is_moe ? s->n_experts : 1, ff = is_moe ? s->ff_expert : s->ff_dense;
    l->gate = take_matrices(r, n, 2 * tile_pad(ff, TILE_ROWS), s->hidden);
    l->down = take_matrices(r, n, s->hidden, ff);
    l->gate_bytes = matrix_bytes(l->gate.n_rows, l->gate.n_tile_columns);
    l->down_bytes = matrix_bytes(l->down.n_rows, l->down.n_tile_columns);
}

// ------------------------------------------------------------------ places

static struct weight_move tiles(const struct matrix *m, const struct weight *id) {
    int rows = (int)id->dims[0], columns = (int)id->dims[1];
    return (struct weight_move){
        .kind = PLACE_TILES,
        .map = {.rows = rows,
                .columns = columns,
                .fold = rows,
                .n_parts = 1,
                .head = 1,
                .head_rows = 1,
                .column_head = 8, // any number of columns without gaps
                .column_head_rows = 8},
        .n_tile_columns = m->n_tile_columns,
        .data = (void *)(uintptr_t)m->data,
    };
}

static struct weight_move tiles_of_heads(const struct matrix *m, const struct weight *id,
                                         const struct model_shape *s, int first_head) {
    struct weight_move p = tiles(m, id);
    p.map.head = s->head_dim;
    p.map.head_rows = weights_head_rows(s);
    p.map.first_row = first_head * p.map.head_rows;
    return p;
}

static struct weight_move tiles_in_turns(const struct matrix *m, const struct weight *id, int part,
                                         int64_t bytes) {
    struct weight_move p = tiles(m, id);
    p.map.part = part;
    p.map.n_parts = 2;
    if (p.data && id->expert > 0) p.data = (char *)p.data + id->expert * bytes;
    return p;
}

// A vector, or the taps of a convolution by tap.
static struct weight_move vector(struct room *r, const struct weight *id, const float **field) {
    int rows = (int)id->dims[0], columns = id->n_dims == 3 ? (int)id->dims[2] : 1;
    struct weight_move p = {.kind = PLACE_VECTOR, .stride = rows};
    p.map.rows = rows;
    p.map.columns = columns;
    p.data = take(r, (size_t)tile_pad(rows * columns, VECTOR_PAD) * sizeof(float));
    *field = p.data;
    return p;
}

static struct weight_move router_rows(struct room *r, const struct weight *id, struct layer *l,
                                      enum dtype dtype) {
    struct weight_move p = {.kind = PLACE_ROWS};
    p.map.rows = (int)id->dims[0];
    p.map.columns = (int)id->dims[1];
    p.stride = tile_pad(p.map.columns, TILE_COLUMNS);
    p.data = take(r, (size_t)p.map.rows * (size_t)p.stride * dtype_bytes(dtype));
    l->router = p.data;
    l->router_is_bf16 = dtype == DTYPE_BF16;
    return p;
}

static struct weight_move place_vector(struct weights *w, const struct weight *id, struct layer *l,
                                       struct room *r) {
    switch (id->kind) {
    case WEIGHT_FINAL_NORM:
        return vector(r, id, &w->final_norm);
    case WEIGHT_OPERATOR_NORM:
        return vector(r, id, &l->operator_norm);
    case WEIGHT_FFN_NORM:
        return vector(r, id, &l->ffn_norm);
    case WEIGHT_CONV_IN_BIAS:
        return vector(r, id, &l->conv_in_bias);
    case WEIGHT_CONV_TAPS:
        return vector(r, id, &l->taps);
    case WEIGHT_CONV_TAPS_BIAS:
        return vector(r, id, &l->taps_bias);
    case WEIGHT_CONV_OUT_BIAS:
        return vector(r, id, &l->conv_out_bias);
    case WEIGHT_Q_NORM:
        return vector(r, id, &l->q_norm);
    case WEIGHT_K_NORM:
        return vector(r, id, &l->k_norm);
    default:
        assert(id->kind == WEIGHT_EXPERT_BIAS);
        return vector(r, id, &l->expert_bias);
    }
}

static struct weight_move place(struct weights *w, const struct model_shape *s,
                                const struct weight *id, enum dtype dtype, struct room *r) {
    struct layer *l = id->layer < 0 ? NULL : &w->layers[id->layer];
    struct weight_move p;
    switch (id->kind) {
    case WEIGHT_EMBED:
        return tiles(&w->embed, id);
    case WEIGHT_HEAD:
        return tiles(&w->head, id);
    case WEIGHT_CONV_IN:
        p = tiles(&l->conv_in, id);
        p.map.fold = s->hidden;
        p.map.n_parts = 3;
        return p;
    case WEIGHT_CONV_OUT:
        return tiles(&l->conv_out, id);
    case WEIGHT_Q:
        return tiles_of_heads(&l->qkv, id, s, 0);
    case WEIGHT_K:
        return tiles_of_heads(&l->qkv, id, s, s->n_heads);
    case WEIGHT_V:
        return tiles_of_heads(&l->qkv, id, s, s->n_heads + s->n_kv_heads);
    case WEIGHT_ATTENTION_OUT:
        p = tiles(&l->attention_out, id);
        p.map.column_head = s->head_dim;
        p.map.column_head_rows = weights_head_rows(s);
        return p;
    case WEIGHT_W1:
        return tiles_in_turns(&l->gate, id, 0, l->gate_bytes);
    case WEIGHT_W3:
        return tiles_in_turns(&l->gate, id, 1, l->gate_bytes);
    case WEIGHT_W2:
        p = tiles(&l->down, id);
        if (p.data && id->expert > 0) p.data = (char *)p.data + id->expert * l->down_bytes;
        return p;
    case WEIGHT_ROUTER:
        return router_rows(r, id, l, dtype);
    default:
        return place_vector(w, id, l, r);
    }
}

void weights_lay(struct weights *w, const struct model_shape *s, const enum dtype *dtypes,
                 char *base) {
    struct weight *list;
    struct room r = {.base = base};
    *w = (struct weights){.n = weights_list(s, &list)};
    w->places = memory_new((size_t)w->n, sizeof *w->places);
    w->sizes = memory_new((size_t)w->n, sizeof *w->sizes);
    w->layers = memory_new((size_t)s->n_layers, sizeof *w->layers);
    w->embed = take_matrices(&r, 1, s->vocab, s->hidden);
    w->head = s->tied_head ? w->embed : take_matrices(&r, 1, s->vocab, s->hidden);
    for (int i = 0; i < s->n_layers; i++) take_layer(&w->layers[i], s, i, &r);
    for (int i = 0; i < w->n; i++) {
        w->places[i] = place(w, s, &list[i], dtypes[i], &r);
        w->places[i].dtype = dtypes[i];
        w->sizes[i] = weight_n(&list[i]);
    }
    w->bytes = r.bytes;
    free(list);
}

void weights_free(struct weights *w) {
    free(w->places);
    free(w->sizes);
    free(w->layers);
    *w = (struct weights){0};
}
