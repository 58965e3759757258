// A GGUF file's tensors as weights.
#include "kernels/types/types.h"
#include "worker/load/checkpoint.h"
#include "worker/load/gguf_config.h"

static int check(const struct checkpoint *c, const struct gguf_tensor *t, struct gguf_match m,
                 struct error *err) {
    int64_t dims[GGUF_MAX_DIMS];
    int n = gguf_names_dims(&c->config.shape, &c->names->weights[m.index], m.is_stack, dims);
    bool same = n == t->n_dims;
    for (int i = 0; same && i < n; i++) same = dims[i] == t->dims[i];
    if (same) return 0;
    char found[NAMES_MAX_DIMS_BYTES], expected[NAMES_MAX_DIMS_BYTES];
    return error_set(err, ERROR_CONFIG,
                     "Tensor \"%.*s\" has dimensions %s; %s were expected, as the metadata says.",
                     SLICE_ARG(t->name), names_write_dims(t->dims, t->n_dims, found),
                     names_write_dims(dims, n, expected));
}

static int take(struct checkpoint *c, const struct gguf_tensor *t, struct error *err) {
    struct gguf_match m = gguf_names_find(c->names, t->name);
    if (m.index < 0)
        return error_set(
            err, ERROR_CONFIG,
            "Tensor \"%.*s\" is no part of the model that the metadata describes; only "
            "its tensors were expected.",
            SLICE_ARG(t->name));
    if (check(c, t, m, err)) return -1;
    size_t bytes = type_size(t->dtype, weight_n(&c->names->weights[m.index]));
    int n = m.is_stack ? c->config.shape.n_experts : 1;
    for (int e = 0; e < n; e++)
        if (checkpoint_set_weight(c, m.index + 3 * e, t->dtype,
                                  (const char *)t->data + (size_t)e * bytes, t->name, err))
            return -1;
    return 0;
}

int checkpoint_take_gguf(struct checkpoint *c, struct error *err) {
    for (int i = 0; i < c->gguf->n_tensors; i++)
        if (take(c, &c->gguf->tensors[i], err)) return -1;
    return 0;
}
