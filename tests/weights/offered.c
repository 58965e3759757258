#include "tests/weights/offered.h"

#include <assert.h>
#include <string.h>

#include "kernels/delta.h"
#include "kernels/digest.h"

void offered_open(struct offered *o, uint64_t update, uint64_t base, uint64_t version) {
    *o = (struct offered){.m = {.update = update, .base = base, .version = version}};
}

void offered_free(struct offered *o) {
    column_texts_free(&o->names);
    buffer_free(&o->stream);
}

// The next tensor, of which all but the mode's fields are filled.
static int add(struct offered *o, const struct resident *r, int weight) {
    const struct weight *w = &r->names->weights[weight];
    char name[NAMES_MAX_BYTES];
    int i = o->n++;
    assert(i < OFFERED_MAX);
    names_write(w, name);
    column_texts_add(&o->names, slice_of(name));
    o->weights[i] = weight;
    o->dtypes[i] = r->dtypes[weight] == DTYPE_F32    ? COLUMN_F32
                   : r->dtypes[weight] == DTYPE_BF16 ? COLUMN_BF16
                                                     : COLUMN_F16;
    o->ranks[i] = (uint8_t)w->n_dims;
    for (int d = 0; d < w->n_dims; d++) o->shapes[4 * i + d] = w->dims[d];
    o->begins[i] = o->stream.len;
    return i;
}

// A part of the stream, up to the next multiple of DELTA_ALIGN.
static void add_part(struct offered *o, const void *bytes, size_t len) {
    static const char zeros[DELTA_ALIGN];
    buffer_add(&o->stream, bytes, len);
    buffer_add(&o->stream, zeros, (DELTA_ALIGN - len % DELTA_ALIGN) % DELTA_ALIGN);
}

void offered_add_skip(struct offered *o, const struct resident *r, int weight) {
    o->modes[add(o, r, weight)] = TENSOR_SKIP;
}

void offered_add_dense(struct offered *o, const struct resident *r, int weight,
                       const void *values) {
    int i = add(o, r, weight);
    int64_t n = weight_n(&r->names->weights[weight]);
    enum dtype dtype = r->dtypes[weight];
    o->modes[i] = TENSOR_DENSE;
    o->n_values[i] = (uint64_t)n;
    o->checks[i] = digest_range(r->names->hashes[weight], 0, n, dtype, values);
    add_part(o, values, (size_t)n * dtype_bytes(dtype));
}

// Codes and anchors, one code at a time.
struct coder {
    struct buffer codes, anchors;
    int code_bytes;
    uint64_t n, cursor, n_values;
};

static void add_code(struct coder *c, uint64_t code) {
    const struct delta_anchor anchor = {c->cursor, c->n_values};
    if (c->n++ % DELTA_BLOCK == 0) buffer_add(&c->anchors, &anchor, sizeof anchor);
    buffer_add(&c->codes, &code, (size_t)c->code_bytes); // little-endian
    c->cursor += code;
}

static void add_position(struct coder *c, uint32_t position) {
    uint64_t skip = delta_skip(c->code_bytes);
    while (position - c->cursor >= skip) add_code(c, skip);
    add_code(c, position - c->cursor);
    c->cursor++;
    c->n_values++;
}

void offered_add_sparse(struct offered *o, const struct resident *r, int weight, int code_bytes,
                        const uint32_t *positions, int64_t n, const void *values) {
    int i = add(o, r, weight);
    enum dtype dtype = r->dtypes[weight];
    size_t size = dtype_bytes(dtype);
    struct coder c = {.code_bytes = code_bytes};
    for (int64_t k = 0; k < n; k++) {
        add_position(&c, positions[k]);
        o->checks[i] += digest_range(r->names->hashes[weight], positions[k], 1, dtype,
                                     (const char *)values + (size_t)k * size);
    }
    o->modes[i] = TENSOR_SPARSE;
    o->code_bytes[i] = (uint8_t)code_bytes;
    o->n_values[i] = (uint64_t)n;
    o->n_codes[i] = c.n;
    add_part(o, c.codes.ptr, c.codes.len);
    add_part(o, c.anchors.ptr, c.anchors.len);
    add_part(o, values, (size_t)n * size);
    buffer_free(&c.codes);
    buffer_free(&c.anchors);
}

void offered_finish(struct offered *o) {
    uint64_t n = (uint64_t)o->n;
    o->m.total_bytes = o->stream.len;
    o->m.names = column_texts_bytes(&o->names);
    o->m.name_offsets = column_texts_offsets(&o->names);
    o->m.dtypes = column_of(COLUMN_U8, o->dtypes, n);
    o->m.ranks = column_of(COLUMN_U8, o->ranks, n);
    o->m.shapes = column_of(COLUMN_I64, o->shapes, 4 * n);
    o->m.modes = column_of(COLUMN_U8, o->modes, n);
    o->m.n_values = column_of(COLUMN_U64, o->n_values, n);
    o->m.checks = column_of(COLUMN_U64, o->checks, n);
    o->m.code_bytes = column_of(COLUMN_U8, o->code_bytes, n);
    o->m.n_codes = column_of(COLUMN_U64, o->n_codes, n);
}

struct message_weights_chunk offered_answer(const struct offered *o,
                                            const struct message_weights_pull *p) {
    assert(p->offset + p->n_bytes <= o->stream.len);
    return (struct message_weights_chunk){
        .update = p->update,
        .offset = p->offset,
        .data = column_of(COLUMN_U8, o->stream.ptr + p->offset, p->n_bytes)};
}
