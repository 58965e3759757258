#include "kernels/cpu/weights.h"

#include <assert.h>
#include <stdlib.h>

#include "kernels/cpu/matmul_blocks.h"
#include "protocol/base/memory.h"

enum { ALIGN = 64 };

struct weight_slot weights_slot(const struct weight *w, enum dtype dtype) {
    struct weight_slot s = {.dtype = dtype, .rows = (int)w->dims[0], .columns = 1};
    if (w->n_dims > 1) s.columns = (int)w->dims[w->n_dims - 1];
    s.layout = w->n_dims == 2 ? WEIGHT_PACKED : WEIGHT_VECTOR;
    return s;
}

size_t weights_slot_bytes(const struct weight_slot *s) {
    size_t bytes = (size_t)matmul_pad(s->rows) * (size_t)s->columns * sizeof(float);
    if (s->layout == WEIGHT_PACKED)
        bytes = dtype_is_block(s->dtype) ? matmul_blocks_bytes(s->dtype, s->rows, s->columns)
                                         : matmul_bytes(s->dtype, s->rows, s->columns);
    return (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

// Points the layer's field of this kind at the slot.
static void place(struct weights *w, const struct weight *id, const struct weight_slot *s) {
    struct matrix m = {s->dtype, s->rows, s->columns, s->data, w->path};
    const float *v = s->data;
    struct layer *l = id->layer < 0 ? NULL : &w->layers[id->layer];
    struct expert *e = l ? &l->experts[id->expert < 0 ? 0 : id->expert] : NULL;
    switch (id->kind) {
    case WEIGHT_EMBED:
        w->embed = m;
        if (w->is_tied) w->head = m;
        break;
    case WEIGHT_HEAD:
        w->head = m;
        break;
    case WEIGHT_FINAL_NORM:
        w->final_norm = v;
        break;
    case WEIGHT_OPERATOR_NORM:
        l->operator_norm = v;
        break;
    case WEIGHT_FFN_NORM:
        l->ffn_norm = v;
        break;
    case WEIGHT_CONV_IN:
        l->conv_in = m;
        break;
    case WEIGHT_CONV_IN_BIAS:
        l->conv_in_bias = v;
        break;
    case WEIGHT_CONV_TAPS:
        l->conv_taps = v;
        break;
    case WEIGHT_CONV_TAPS_BIAS:
        l->conv_taps_bias = v;
        break;
    case WEIGHT_CONV_OUT:
        l->conv_out = m;
        break;
    case WEIGHT_CONV_OUT_BIAS:
        l->conv_out_bias = v;
        break;
    case WEIGHT_Q:
        l->q = m;
        break;
    case WEIGHT_K:
        l->k = m;
        break;
    case WEIGHT_V:
        l->v = m;
        break;
    case WEIGHT_ATTENTION_OUT:
        l->attention_out = m;
        break;
    case WEIGHT_Q_NORM:
        l->q_norm = v;
        break;
    case WEIGHT_K_NORM:
        l->k_norm = v;
        break;
    case WEIGHT_W1:
        e->w1 = m;
        break;
    case WEIGHT_W3:
        e->w3 = m;
        break;
    case WEIGHT_W2:
        e->w2 = m;
        break;
    case WEIGHT_ROUTER:
        l->router = m;
        break;
    case WEIGHT_EXPERT_BIAS:
        l->expert_bias = v;
        break;
    case N_WEIGHT_KINDS:
        assert(false);
    }
}

size_t weights_bytes(const struct model_shape *shape, const enum dtype *dtypes) {
    struct weight *list;
    size_t bytes = 0;
    int n = weights_list(shape, &list);
    for (int i = 0; i < n; i++) {
        struct weight_slot slot = weights_slot(&list[i], dtypes[i]);
        bytes += weights_slot_bytes(&slot);
    }
    free(list);
    return bytes;
}

int weights_open(struct weights *w, const struct model_shape *shape, const enum dtype *dtypes,
                 enum type_path path, struct error *err) {
    *w = (struct weights){.path = path, .is_tied = shape->tied_head};
    w->n = weights_list(shape, &w->list);
    w->slots = memory_new((size_t)w->n, sizeof *w->slots);
    w->layers = memory_new((size_t)shape->n_layers, sizeof *w->layers);
    for (int i = 0; i < shape->n_layers; i++)
        w->layers[i].experts = memory_new((size_t)(shape_is_moe(shape, i) ? shape->n_experts : 1),
                                          sizeof(struct expert));
    for (int i = 0; i < w->n; i++) w->slots[i] = weights_slot(&w->list[i], dtypes[i]);
    w->bytes = weights_bytes(shape, dtypes);
    if (region_map(&w->region, w->bytes, "the weights", err) != 0) {
        weights_close(w, shape);
        return -1;
    }
    char *at = w->region.data;
    for (int i = 0; i < w->n; i++) {
        w->slots[i].data = at;
        at += weights_slot_bytes(&w->slots[i]);
        place(w, &w->list[i], &w->slots[i]);
    }
    return 0;
}

void weights_close(struct weights *w, const struct model_shape *shape) {
    region_unmap(&w->region);
    for (int i = 0; w->layers && i < shape->n_layers; i++) free(w->layers[i].experts);
    free(w->layers);
    free(w->slots);
    free(w->list);
    *w = (struct weights){0};
}

void weights_exchange(struct weights *a, struct weights *b, int index) {
    struct weight_slot *s = &a->slots[index], *t = &b->slots[index];
    void *was = s->data;
    s->data = t->data;
    t->data = was;
    place(a, &a->list[index], s);
    place(b, &b->list[index], t);
}

// ------------------------------------------------------------------ element ranges

// Copies `n` elements of one row from column `c` between the packed layout and a plain array.
static void row_copy(const struct weight_slot *s, int row, int c, int n, char *plain, bool write) {
    struct matrix m = {s->dtype, s->rows, s->columns, s->data, TYPE_PORTABLE};
    size_t size = dtype_bytes(s->dtype);
    char *packed = (char *)s->data + matmul_at(&m, row, 0) * size;
    for (int i = 0; i < n; i++) {
        char *at = packed + matmul_column(s->dtype, c + i) * size;
        if (write)
            memcpy(at, plain + size * (size_t)i, size);
        else
            memcpy(plain + size * (size_t)i, at, size);
    }
}

// A whole block of rows of 2-byte elements: the packed side is written in order.
static void block_write(const struct weight_slot *s, int row, const char *plain) {
    struct matrix m = {s->dtype, s->rows, s->columns, s->data, TYPE_PORTABLE};
    char *at = (char *)s->data + 2 * matmul_at(&m, row, 0);
    size_t row_bytes = (size_t)s->columns * 2, step = s->dtype == DTYPE_BF16 ? 4 : 2;
    size_t whole = row_bytes - row_bytes % step;
    for (size_t c = 0; c < whole; c += step)
        for (size_t i = 0; i < MATMUL_ROWS; i++, at += step) {
            if (step == 4)
                memcpy(at, plain + i * row_bytes + c, 4);
            else
                memcpy(at, plain + i * row_bytes + c, 2);
        }
    for (size_t i = 0; whole < row_bytes && i < MATMUL_ROWS; i++)
        memcpy(at + i * step, plain + i * row_bytes + whole, 2);
}

static void matrix_copy(const struct weight_slot *s, int64_t first, int64_t n, char *plain,
                        bool write) {
    if (dtype_is_block(s->dtype)) {
        struct matrix m = {s->dtype, s->rows, s->columns, s->data, TYPE_PORTABLE};
        write ? matmul_blocks_put(&m, first, n, plain) : matmul_blocks_get(&m, first, n, plain);
        return;
    }
    size_t size = dtype_bytes(s->dtype);
    while (n > 0) {
        int row = (int)(first / s->columns), c = (int)(first % s->columns);
        int64_t block = (int64_t)MATMUL_ROWS * s->columns, take = s->columns - c;
        if (write && size == 2 && c == 0 && row % MATMUL_ROWS == 0 && n >= block) {
            block_write(s, row, plain);
            take = block;
        } else {
            if (take > n) take = n;
            row_copy(s, row, c, (int)take, plain, write);
        }
        first += take;
        n -= take;
        plain += (size_t)take * size;
    }
}

// The place of element `i` of a vector or of the taps.
static float *vector_at(const struct weight_slot *s, int64_t i) {
    int64_t row = i / s->columns, c = i % s->columns;
    return (float *)s->data + c * matmul_pad(s->rows) + row;
}

static const struct weight_slot *checked(const struct weights *w, int index, int64_t first,
                                         int64_t n) {
    assert(index >= 0 && index < w->n && first >= 0 && n >= 0);
    const struct weight_slot *s = &w->slots[index];
    assert(first + n <= (int64_t)s->rows * s->columns);
    return s;
}

void weights_write(struct weights *w, int index, int64_t first, int64_t n, const void *values) {
    const struct weight_slot *s = checked(w, index, first, n);
    if (s->layout == WEIGHT_PACKED) {
        matrix_copy(s, first, n, (char *)values, true);
        return;
    }
    for (int64_t i = 0; i < n; i++) *vector_at(s, first + i) = dtype_get(s->dtype, values, i);
}

void weights_read(const struct weights *w, int index, int64_t first, int64_t n, void *values) {
    const struct weight_slot *s = checked(w, index, first, n);
    if (s->layout == WEIGHT_PACKED) {
        matrix_copy(s, first, n, values, false);
        return;
    }
    for (int64_t i = 0; i < n; i++) dtype_put(s->dtype, values, i, *vector_at(s, first + i));
}

float weights_vector_value(const struct weights *w, int index, int64_t i) {
    const struct weight_slot *s = checked(w, index, i, 1);
    assert(s->layout == WEIGHT_VECTOR);
    return *vector_at(s, i);
}
