// Weights without files.
#include <string.h>

#include "kernels/types/types.h"
#include "worker/load/checkpoint.h"

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

// Packing takes far longer than random numbers: of block types the same few blocks come again and
// again.
enum { PATTERN = 1 << 12 };

static void read_blocks(enum dtype t, const struct weight_formula *f, int64_t first, int64_t n,
                        char *room) {
    float x[TYPE_MAX_ELEMENTS];
    int64_t size = type_elements(t);
    size_t bytes = type_size(t, size), pattern = type_size(t, PATTERN);
    for (int64_t i = 0; i < n && i < PATTERN; i += size) {
        for (int64_t k = 0; k < size; k++) x[k] = formula_value(f, first + i + k);
        type_pack(t, x, size, room + type_size(t, i));
    }
    for (size_t at = pattern; at < type_size(t, n); at += bytes)
        memcpy(room + at, room + at - pattern, bytes);
}

static const void *read_random(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct checkpoint_random *r = self;
    const struct weight_formula f = random_formula(self, index);
    (void)err;
    if (dtype_is_block(r->dtypes[index])) {
        read_blocks(r->dtypes[index], &f, first, n, room);
        return room;
    }
    for (int64_t i = 0; i < n; i++)
        dtype_put(r->dtypes[index], room, i, formula_value(&f, first + i));
    return room;
}

struct weight_source checkpoint_random_source(const struct checkpoint_random *r) {
    return (struct weight_source){.self = r, .read = read_random, .formula = random_formula};
}
