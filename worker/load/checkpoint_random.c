// Weights without files.
#include <string.h>

#include "kernels/digest.h"
#include "kernels/types/types.h"
#include "worker/load/checkpoint.h"

// Uniform with mean 0 and the given deviation, from element number and seed alone.
static float random_value(uint64_t seed, uint64_t i, float deviation) {
    uint64_t bits = digest_mix(seed, i, 0) >> 40;     // 24 bits
    float unit = ((float)bits + 0.5f) * 0x1p-23f - 1; // (-1, 1), deviation 1 / sqrt(3)
    return unit * deviation * 1.7320508f;
}

// Packing takes far longer than random numbers: of block types the same few blocks come again and
// again.
enum { PATTERN = 1 << 12 };

static void read_blocks(enum dtype t, uint64_t seed, float deviation, int64_t first, int64_t n,
                        char *room) {
    float x[TYPE_MAX_ELEMENTS];
    int64_t size = type_elements(t);
    size_t bytes = type_size(t, size), pattern = type_size(t, PATTERN);
    for (int64_t i = 0; i < n && i < PATTERN; i += size) {
        for (int64_t k = 0; k < size; k++)
            x[k] = random_value(seed, (uint64_t)(first + i + k), deviation);
        type_pack(t, x, size, room + type_size(t, i));
    }
    for (size_t at = pattern; at < type_size(t, n); at += bytes)
        memcpy(room + at, room + at - pattern, bytes);
}

static const void *read_random(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct checkpoint_random *r = self;
    const struct weight *w = &r->names->weights[index];
    uint64_t seed = r->names->hashes[index] ^ r->seed;
    bool bias = w->kind == WEIGHT_EXPERT_BIAS || w->kind == WEIGHT_CONV_IN_BIAS ||
                w->kind == WEIGHT_CONV_TAPS_BIAS || w->kind == WEIGHT_CONV_OUT_BIAS;
    float deviation = 1;
    (void)err;
    for (int64_t c = w->dims[w->n_dims - 1]; c > 1; c /= 4) deviation /= 2;
    if (dtype_is_block(r->dtypes[index])) {
        read_blocks(r->dtypes[index], seed, deviation, first, n, room);
        return room;
    }
    for (int64_t i = 0; i < n; i++) {
        float v = bias ? 0 : 1;
        if (w->n_dims > 1) v = random_value(seed, (uint64_t)(first + i), deviation);
        dtype_put(r->dtypes[index], room, i, v);
    }
    return room;
}

struct weight_source checkpoint_random_source(const struct checkpoint_random *r) {
    return (struct weight_source){r, read_random};
}
