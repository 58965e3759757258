#include "worker/weights/offer.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/base/memory.h"

static enum column_dtype wire_dtype(enum dtype t) {
    return t == DTYPE_F32 ? COLUMN_F32 : t == DTYPE_BF16 ? COLUMN_BF16 : COLUMN_F16;
}

static int check_shape(const struct message_weights_begin *m, uint32_t i, const struct weight *w,
                       struct slice name, struct error *err) {
    const int64_t *dims = column_i64(m->shapes) + 4 * (size_t)i;
    int rank = column_u8(m->ranks)[i];
    bool same = rank == w->n_dims;
    for (int d = 0; same && d < rank; d++) same = dims[d] == w->dims[d];
    if (same) return 0;
    char found[NAMES_MAX_DIMS_BYTES], expected[NAMES_MAX_DIMS_BYTES];
    return error_set(err, ERROR_INPUT, "Tensor '%.*s' comes with shape %s; expected %s.",
                     SLICE_ARG(name), names_write_dims(dims, rank, found),
                     names_write_dims(w->dims, w->n_dims, expected));
}

// The weight that tensor i is; -1 with a sentence where it is none, or another.
static int find_weight(const struct message_weights_begin *m, uint32_t i, const struct resident *r,
                       struct slice name, struct error *err) {
    struct name_match match = names_find(r->names, name);
    if (match.form != NAME_WEIGHT)
        return error_set(err, ERROR_INPUT, "Tensor '%.*s' is none of this model's.",
                         SLICE_ARG(name));
    if (check_shape(m, i, &r->names->weights[match.index], name, err)) return -1;
    enum dtype dtype = r->dtypes[match.index];
    if (dtype_is_block(dtype))
        return error_set(err, ERROR_INPUT,
                         "Tensor '%.*s' is resident as %s, which updates cannot write; a worker "
                         "with weights of f32, bf16 or f16 was expected, or one with --master.",
                         SLICE_ARG(name), dtype_name(dtype));
    enum column_dtype found = column_u8(m->dtypes)[i];
    if (found == wire_dtype(dtype)) return match.index;
    return error_set(err, ERROR_INPUT, "Tensor '%.*s' comes as %s; it is resident as %s.",
                     SLICE_ARG(name), column_dtype_name(found), dtype_name(dtype));
}

static int check_versions(const struct message_weights_begin *m, const struct update_target *t,
                          struct error *err) {
    if (m->base != t->version)
        return error_set(err, ERROR_INPUT,
                         "The update is based on policy version %llu; version %llu is served.",
                         (unsigned long long)m->base, (unsigned long long)t->version);
    if (m->version <= t->version && !t->is_inherited)
        return error_set(err, ERROR_INPUT,
                         "The update leads to policy version %llu; version %llu is served, and "
                         "versions only rise within an epoch.",
                         (unsigned long long)m->version, (unsigned long long)t->version);
    return 0;
}

static void add_change(struct offer *o, const struct message_weights_begin *m, uint32_t i,
                       int weight, enum dtype dtype) {
    struct weight_change *c = &o->changes[o->n];
    *c = (struct weight_change){.weight = weight,
                                .code_bytes = column_u8(m->code_bytes)[i],
                                .n_values = (int64_t)column_u64(m->n_values)[i],
                                .n_codes = (int64_t)column_u64(m->n_codes)[i]};
    o->total_bytes = delta_lay(c, dtype, o->total_bytes);
    o->checks[o->n] = column_u64(m->checks)[i];
    o->ends[o->n++] = o->total_bytes;
}

static int read_tensors(struct offer *o, const struct message_weights_begin *m,
                        const struct resident *r, char tensor[NAMES_MAX_BYTES], struct error *err) {
    uint8_t *seen = memory_new((size_t)r->names->n, 1);
    int failed = 0;
    for (uint32_t i = 0; i < m->dtypes.n && !failed; i++) {
        struct slice name = column_text(m->names, m->name_offsets, i);
        int weight = find_weight(m, i, r, name, err);
        failed = weight < 0 ? -1 : 0;
        if (!failed && seen[weight]++)
            failed = error_set(err, ERROR_INPUT, "Tensor '%.*s' comes twice.", SLICE_ARG(name));
        if (failed)
            snprintf(tensor, NAMES_MAX_BYTES, "%.*s", SLICE_ARG(name));
        else if (column_u8(m->modes)[i] != TENSOR_SKIP)
            add_change(o, m, i, weight, r->dtypes[weight]);
    }
    free(seen);
    return failed;
}

int offer_read(struct offer *o, const struct message_weights_begin *m,
               const struct update_target *t, char tensor[NAMES_MAX_BYTES], struct error *err) {
    size_t n = m->dtypes.n;
    tensor[0] = 0;
    *o = (struct offer){.changes = memory_new(n, sizeof *o->changes),
                        .ends = memory_new(n, sizeof *o->ends),
                        .checks = memory_new(n, sizeof *o->checks)};
    int failed = check_versions(m, t, err) || read_tensors(o, m, t->resident, tensor, err) ? -1 : 0;
    if (!failed && o->total_bytes != m->total_bytes)
        failed = error_set(err, ERROR_INPUT,
                           "The tensors make a stream of %llu bytes; %llu were announced.",
                           (unsigned long long)o->total_bytes, (unsigned long long)m->total_bytes);
    if (!failed && o->total_bytes > t->staging_bytes)
        failed =
            error_set(err, ERROR_INPUT, "The update has %llu bytes; --staging-memory is %llu.",
                      (unsigned long long)o->total_bytes, (unsigned long long)t->staging_bytes);
    if (failed) offer_free(o);
    return failed;
}

void offer_free(struct offer *o) {
    free(o->changes);
    free(o->ends);
    free(o->checks);
    *o = (struct offer){0};
}
