#include "worker/load/checkpoint.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/digest.h"
#include "protocol/base/memory.h"

int checkpoint_types_parse(const char *text, enum checkpoint_types *out, struct error *err) {
    static const char *const names[] = {"as-is", "bf16", "f16", "f32"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *out = (enum checkpoint_types)i;
        return 0;
    }
    return error_set(err, ERROR_USAGE,
                     "\"%.80s\" is no type of weights; as-is, bf16, f16 or f32 was expected.",
                     text);
}

static enum dtype resident(const struct weight *w, enum checkpoint_types types, enum dtype own) {
    if (w->kind == WEIGHT_EXPERT_BIAS) return DTYPE_F32;
    if (types == CHECKPOINT_BF16) return DTYPE_BF16;
    if (types == CHECKPOINT_F16) return DTYPE_F16;
    return types == CHECKPOINT_F32 ? DTYPE_F32 : own;
}

void checkpoint_synthetic_dtypes(const struct names *names, enum checkpoint_types t,
                                 enum dtype *dtypes) {
    for (int i = 0; i < names->n; i++) dtypes[i] = resident(&names->weights[i], t, DTYPE_BF16);
}

void checkpoint_dtype_name(const struct names *names, const enum dtype *dtypes, char out[16]) {
    bool used[N_DTYPES] = {false};
    for (int i = 0; i < names->n; i++)
        if (names->weights[i].kind != WEIGHT_EXPERT_BIAS) used[dtypes[i]] = true;
    size_t len = 0;
    const enum dtype order[] = {DTYPE_BF16, DTYPE_F16, DTYPE_F32};
    for (int i = 0; i < N_DTYPES; i++)
        if (used[order[i]])
            len +=
                (size_t)snprintf(out + len, 16 - len, "%s%s", len ? "+" : "", dtype_name(order[i]));
}

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

// Gives weight `index` the values that start at `first` of the tensor.
static int set_weight(struct checkpoint *c, int index, const struct safetensor *t, int64_t first,
                      struct error *err) {
    const struct weight *w = &c->names->weights[index];
    struct tensor *view = &c->tensors[index];
    if (view->data) {
        char name[NAMES_MAX_BYTES];
        names_write(w, name);
        return error_set(err, ERROR_CONFIG,
                         "Tensor \"%.*s\" gives \"%s\" a second time; either one tensor an expert "
                         "or fused experts were expected.",
                         SLICE_ARG(t->name), name);
    }
    view->dtype = t->dtype;
    view->n_dims = w->n_dims;
    memcpy(view->dims, w->dims, sizeof w->dims);
    view->data = (const char *)t->data + (size_t)first * dtype_bytes(t->dtype);
    return 0;
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

static int take_tensors(struct checkpoint *c, struct error *err) {
    for (int i = 0; i < c->map->n; i++)
        if (take_tensor(c, &c->map->items[i], err)) return -1;
    for (int i = 0; i < c->names->n; i++) {
        if (c->tensors[i].data) continue;
        const struct weight *w = &c->names->weights[i];
        char name[NAMES_MAX_BYTES], dims[NAMES_MAX_DIMS_BYTES];
        names_write(w, name);
        return error_set(err, ERROR_CONFIG,
                         "Tensor \"%s\" is missing; one of shape %s was expected.", name,
                         names_write_dims(w->dims, w->n_dims, dims));
    }
    return 0;
}

int checkpoint_open(const char *directory, enum checkpoint_types types, struct checkpoint **out,
                    struct error *err) {
    struct checkpoint *c = memory_new(1, sizeof *c);
    c->directory = memory_copy(directory, strlen(directory));
    if (config_load(directory, &c->config, err) || safetensors_open(directory, &c->map, err)) {
        checkpoint_close(&c);
        return -1;
    }
    c->names = names_new(&c->config.shape);
    c->tensors = memory_new((size_t)c->names->n, sizeof *c->tensors);
    c->dtypes = memory_new((size_t)c->names->n, sizeof *c->dtypes);
    if (take_tensors(c, err)) {
        error_prefix(err, "Model %s", directory);
        checkpoint_close(&c);
        return -1;
    }
    for (int i = 0; i < c->names->n; i++)
        c->dtypes[i] = resident(&c->names->weights[i], types, c->tensors[i].dtype);
    *out = c;
    return 0;
}

void checkpoint_close(struct checkpoint **c) {
    if (!*c) return;
    safetensors_free(&(*c)->map);
    names_free(&(*c)->names);
    free((*c)->tensors);
    free((*c)->dtypes);
    free((*c)->directory);
    free(*c);
    *c = NULL;
}

// ------------------------------------------------------------------ values

static int refuse_value(const struct checkpoint *c, int index, int64_t element, float value,
                        const char *expected, struct error *err) {
    char name[NAMES_MAX_BYTES];
    names_write(&c->names->weights[index], name);
    return error_set(err, ERROR_CONFIG,
                     "Model %s: element %lld of tensor \"%s\" is %g; %s was expected.",
                     c->directory, (long long)element, name, (double)value, expected);
}

// Values of a chunk in the resident type. -1 where a finite value becomes infinite.
static int convert(const struct checkpoint *c, int index, int64_t first, int64_t n, void *to,
                   struct error *err) {
    const struct tensor *t = &c->tensors[index];
    enum dtype target = c->dtypes[index];
    for (int64_t i = 0; i < n; i++)
        dtype_put(target, to, i, dtype_get(t->dtype, t->data, first + i));
    int64_t bad = dtype_find_not_finite(target, to, n);
    if (bad < 0) return 0;
    char expected[64];
    snprintf(expected, sizeof expected, "a value that %s holds", dtype_name(target));
    return refuse_value(c, index, first + bad, dtype_get(t->dtype, t->data, first + bad), expected,
                        err);
}

static const void *read_values(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct checkpoint *c = self;
    const struct tensor *t = &c->tensors[index];
    const char *values = (const char *)t->data + (size_t)first * dtype_bytes(t->dtype);
    int64_t bad = dtype_find_not_finite(t->dtype, values, n);
    if (bad >= 0) {
        refuse_value(c, index, first + bad, dtype_get(t->dtype, values, bad), "a finite value",
                     err);
        return NULL;
    }
    if (t->dtype == c->dtypes[index]) return values;
    return convert(c, index, first, n, room, err) ? NULL : room;
}

struct weight_source checkpoint_source(const struct checkpoint *c) {
    return (struct weight_source){.self = c, .read = read_values};
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
            if (values)
                *digest += digest_range(c->names->hashes[i], first, n, c->dtypes[i], values);
        }
    }
    free(room);
    return failed;
}

// ------------------------------------------------------------------ without files

static struct weight_formula random_formula(const void *self, int index) {
    const struct checkpoint_random *r = self;
    const struct weight *w = &r->names->weights[index];
    bool bias = w->kind == WEIGHT_EXPERT_BIAS || w->kind == WEIGHT_CONV_IN_BIAS ||
                w->kind == WEIGHT_CONV_TAPS_BIAS || w->kind == WEIGHT_CONV_OUT_BIAS;
    struct weight_formula f = {.seed = r->names->hashes[index] ^ r->seed, .constant = bias ? 0 : 1};
    if (w->n_dims > 1) f.deviation = 1;
    for (int64_t c = w->dims[w->n_dims - 1]; c > 1; c /= 4) f.deviation /= 2;
    return f;
}

static const void *read_random(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct checkpoint_random *r = self;
    const struct weight_formula f = random_formula(self, index);
    (void)err;
    for (int64_t i = 0; i < n; i++)
        dtype_put(r->dtypes[index], room, i, formula_value(&f, first + i));
    return room;
}

struct weight_source checkpoint_random_source(const struct checkpoint_random *r) {
    return (struct weight_source){r, read_random, random_formula};
}
