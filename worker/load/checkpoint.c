#include "worker/load/checkpoint.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/digest.h"
#include "kernels/types/types.h"
#include "protocol/base/memory.h"
#include "worker/load/file.h"
#include "worker/load/gguf_config.h"

// ------------------------------------------------------------------ tensors to weights

static int check_tensor(const struct safetensor *t, const int64_t *dims, int n_dims,
                        struct error *err) {
    if (!t->is_float)
        return error_set(err, ERROR_CONFIG,
                         "Tensor \"%.*s\" has type %.*s; BF16, F16 or F32 was expected.",
                         SLICE_ARG(t->name), SLICE_ARG(t->dtype_name));
    bool same = t->n_dims == n_dims;
    for (int i = 0; same && i < n_dims; i++) same = t->dims[i] == dims[i];
    if (same) return 0;
    char found[NAMES_MAX_DIMS_BYTES], expected[NAMES_MAX_DIMS_BYTES];
    return error_set(err, ERROR_CONFIG,
                     "Tensor \"%.*s\" has shape %s; %s was expected, as config.json says.",
                     SLICE_ARG(t->name), names_write_dims(t->dims, t->n_dims, found),
                     names_write_dims(dims, n_dims, expected));
}

int checkpoint_set_weight(struct checkpoint *c, int index, enum dtype dtype, const void *data,
                          struct slice from, struct error *err) {
    const struct weight *w = &c->names->weights[index];
    struct tensor *view = &c->tensors[index];
    if (view->data) {
        char name[NAMES_MAX_BYTES];
        names_write(w, name);
        return error_set(err, ERROR_CONFIG,
                         "Tensor \"%.*s\" gives \"%s\" a second time; either one tensor an expert "
                         "or fused experts were expected.",
                         SLICE_ARG(from), name);
    }
    view->dtype = dtype;
    view->n_dims = w->n_dims;
    memcpy(view->dims, w->dims, sizeof w->dims);
    view->data = data;
    return 0;
}

// The values that start at `first` of the tensor.
static int set_weight(struct checkpoint *c, int index, const struct safetensor *t, int64_t first,
                      struct error *err) {
    const char *data = (const char *)t->data + (size_t)first * dtype_bytes(t->dtype);
    return checkpoint_set_weight(c, index, t->dtype, data, t->name, err);
}

// A fused tensor becomes one view for each expert's matrix inside it.
static int take_fused(struct checkpoint *c, struct name_match m, const struct safetensor *t,
                      struct error *err) {
    char name[NAMES_MAX_BYTES];
    int64_t dims[3];
    names_write_fused(c->names, c->names->weights[m.index].layer, m.form, name, dims);
    if (check_tensor(t, dims, 3, err)) return -1;
    int64_t size = weight_n(&c->names->weights[m.index]);
    int n_parts = m.form == NAME_FUSED_GATE_UP ? 2 : 1;
    for (int e = 0; e < c->config.shape.n_experts; e++)
        for (int part = 0; part < n_parts; part++)
            if (set_weight(c, m.index + 3 * e + part, t, (n_parts * e + part) * size, err))
                return -1;
    return 0;
}

// A head beside a tied embedding adds nothing if it is the same; if it is not, which of the two
// was meant is not ours to guess.
static int check_tied_head(const struct checkpoint *c, const struct safetensor *head,
                           struct error *err) {
    const struct safetensor *embed =
        safetensors_find(c->map, slice_of("model.embed_tokens.weight"));
    if (embed && embed->is_float && head->is_float && embed->dtype == head->dtype &&
        embed->n_bytes == head->n_bytes &&
        memcmp(embed->data, head->data, (size_t)head->n_bytes) == 0)
        return 0;
    return error_set(err, ERROR_CONFIG,
                     "Tensor \"lm_head.weight\" differs from \"model.embed_tokens.weight\"; the "
                     "same values or none were expected, as \"tie_word_embeddings\" is true.");
}

static int take_tensor(struct checkpoint *c, const struct safetensor *t, struct error *err) {
    struct name_match m = names_find(c->names, t->name);
    if (m.form == NAME_UNKNOWN) {
        if (c->config.shape.tied_head && slice_is(t->name, "lm_head.weight"))
            return check_tied_head(c, t, err);
        return error_set(err, ERROR_CONFIG,
                         "Tensor \"%.*s\" is no part of the model that config.json describes; "
                         "only its tensors were expected.",
                         SLICE_ARG(t->name));
    }
    if (m.form != NAME_WEIGHT) return take_fused(c, m, t, err);
    const struct weight *w = &c->names->weights[m.index];
    if (check_tensor(t, w->dims, w->n_dims, err)) return -1;
    return set_weight(c, m.index, t, 0, err);
}

static int take_safetensors(struct checkpoint *c, struct error *err) {
    for (int i = 0; i < c->map->n; i++)
        if (take_tensor(c, &c->map->items[i], err)) return -1;
    return 0;
}

static int take_tensors(struct checkpoint *c, struct error *err) {
    if (c->gguf ? checkpoint_take_gguf(c, err) : take_safetensors(c, err)) return -1;
    for (int i = 0; i < c->names->n; i++) {
        if (c->tensors[i].data) continue;
        const struct weight *w = &c->names->weights[i];
        char name[NAMES_MAX_BYTES], dims[NAMES_MAX_DIMS_BYTES];
        names_write(w, name);
        if (c->gguf) gguf_names_write(w, name);
        return error_set(err, ERROR_CONFIG,
                         "Tensor \"%s\" is missing; one of shape %s was expected.", name,
                         names_write_dims(w->dims, w->n_dims, dims));
    }
    return 0;
}

static int open_files(struct checkpoint *c, struct error *err) {
    if (!file_exists(c->path))
        return config_load(c->path, &c->config, err) || safetensors_open(c->path, &c->map, err);
    if (gguf_open(c->path, &c->gguf, err)) return -1;
    return gguf_config(c->gguf, &c->config, err) ? error_prefix(err, "%s", c->path) : 0;
}

int checkpoint_open(const char *path, int types, struct checkpoint **out, struct error *err) {
    struct checkpoint *c = memory_new(1, sizeof *c);
    c->path = memory_copy(path, strlen(path));
    if (open_files(c, err)) {
        checkpoint_close(&c);
        return -1;
    }
    c->names = names_new(&c->config.shape);
    c->tensors = memory_new((size_t)c->names->n, sizeof *c->tensors);
    c->dtypes = memory_new((size_t)c->names->n, sizeof *c->dtypes);
    if (take_tensors(c, err)) {
        error_prefix(err, "Model %s", path);
        checkpoint_close(&c);
        return -1;
    }
    for (int i = 0; i < c->names->n; i++) c->dtypes[i] = c->tensors[i].dtype;
    checkpoint_resident_all(c->names, types, c->dtypes);
    *out = c;
    return 0;
}

void checkpoint_close(struct checkpoint **c) {
    if (!*c) return;
    safetensors_free(&(*c)->map);
    gguf_free(&(*c)->gguf);
    names_free(&(*c)->names);
    free((*c)->tensors);
    free((*c)->dtypes);
    free((*c)->master_dtypes);
    free((*c)->path);
    free(*c);
    *c = NULL;
}

// ------------------------------------------------------------------ values

static int refuse_value(const struct checkpoint *c, int index, int64_t element, float value,
                        const char *expected, struct error *err) {
    char name[NAMES_MAX_BYTES];
    names_write(&c->names->weights[index], name);
    return error_set(err, ERROR_CONFIG,
                     "Model %s: element %lld of tensor \"%s\" is %g; %s was expected.", c->path,
                     (long long)element, name, (double)value, expected);
}

// Elements first .. first + n - 1 as floats.
static void read_floats(const struct tensor *t, int64_t first, int64_t n, float *out) {
    if (!dtype_is_block(t->dtype)) {
        for (int64_t i = 0; i < n; i++) out[i] = dtype_get(t->dtype, t->data, first + i);
        return;
    }
    int64_t size = type_elements(t->dtype), end = first + n;
    for (int64_t at = first / size * size; at < end; at += size) {
        float block[TYPE_MAX_ELEMENTS];
        type_unpack(t->dtype, (const char *)t->data + type_size(t->dtype, at), size, block);
        for (int64_t i = at < first ? first - at : 0; i < size && at + i < end; i++)
            out[at + i - first] = block[i];
    }
}

static float value_at(const struct tensor *t, int64_t i) {
    float v;
    read_floats(t, i, 1, &v);
    return v;
}

static void round_floats(enum dtype t, float *values, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        char rounded[sizeof *values];
        dtype_put(t, rounded, 0, values[i]);
        values[i] = dtype_get(t, rounded, 0);
    }
}

// Values of a chunk in type `target`, by way of the master where there is one. -1 where a finite
// value becomes infinite.
static int convert(const struct checkpoint *c, int index, int64_t first, int64_t n,
                   enum dtype target, void *to, struct error *err) {
    const struct tensor *t = &c->tensors[index];
    float *values = memory_take((size_t)n, sizeof *values);
    read_floats(t, first, n, values);
    if (c->master_dtypes) round_floats(c->master_dtypes[index], values, n);
    int64_t bad;
    if (dtype_is_block(target)) {
        bad = type_pack_checked(target, values, n, to);
    } else {
        for (int64_t i = 0; i < n; i++) dtype_put(target, to, i, values[i]);
        bad = dtype_find_not_finite(target, to, n);
    }
    free(values);
    if (bad < 0) return 0;
    char expected[64];
    snprintf(expected, sizeof expected, "a value that %s holds", dtype_name(target));
    return refuse_value(c, index, first + bad, value_at(t, first + bad), expected, err);
}

// Whether the stored values are those of type `target`.
static bool is_as_stored(const struct checkpoint *c, int index, enum dtype target) {
    enum dtype stored = c->tensors[index].dtype;
    return stored == target && (!c->master_dtypes || stored == c->master_dtypes[index]);
}

static const void *read_as(const struct checkpoint *c, enum dtype target, int index, int64_t first,
                           int64_t n, void *room, struct error *err) {
    const struct tensor *t = &c->tensors[index];
    int64_t size = type_elements(t->dtype), start = first / size * size;
    int64_t end = (first + n + size - 1) / size * size;
    const char *values = (const char *)t->data + type_size(t->dtype, start);
    int64_t bad = type_find_not_finite(t->dtype, values, end - start);
    if (bad >= 0) {
        refuse_value(c, index, start + bad, value_at(t, start + bad), "a finite value", err);
        return NULL;
    }
    if (is_as_stored(c, index, target)) return values;
    return convert(c, index, first, n, target, room, err) ? NULL : room;
}

static const void *read_values(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct checkpoint *c = self;
    return read_as(c, c->dtypes[index], index, first, n, room, err);
}

static const void *read_master(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct checkpoint *c = self;
    return read_as(c, c->master_dtypes[index], index, first, n, room, err);
}

struct weight_source checkpoint_source(const struct checkpoint *c) {
    return (struct weight_source){
        .self = c, .read = read_values, .read_master = c->master_dtypes ? read_master : NULL};
}

uint64_t checkpoint_stamp(const struct checkpoint *c) {
    return c->gguf ? c->gguf->stamp : c->map->stamp;
}

int checkpoint_digest(const struct checkpoint *c, uint64_t *digest, struct error *err) {
    void *room = memory_new(WEIGHT_CHUNK, 4);
    int failed = 0;
    *digest = 0;
    for (int i = 0; i < c->names->n && !failed; i++) {
        int64_t size = tensor_n(&c->tensors[i]);
        for (int64_t first = 0; first < size && !failed; first += WEIGHT_CHUNK) {
            int64_t n = size - first < WEIGHT_CHUNK ? size - first : WEIGHT_CHUNK;
            const void *values = read_values(c, i, first, n, room, err);
            failed = values ? 0 : -1;
            if (values) *digest += type_digest(c->names->hashes[i], first, n, c->dtypes[i], values);
        }
    }
    free(room);
    return failed;
}
