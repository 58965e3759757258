#include "kernels/types/types.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "kernels/digest.h"
#include "protocol/base/hash.h"

static const struct block_type *const types[N_DTYPES] = {
    [DTYPE_Q8_0] = &type_q8_0, [DTYPE_Q4_0] = &type_q4_0, [DTYPE_Q4_K] = &type_q4_k,
    [DTYPE_Q5_K] = &type_q5_k, [DTYPE_Q6_K] = &type_q6_k,
};

const struct block_type *type_find(enum dtype t) {
    assert(t < N_DTYPES);
    return types[t];
}

int type_elements(enum dtype t) {
    return dtype_is_block(t) ? types[t]->elements : 1;
}

size_t type_size(enum dtype t, int64_t n) {
    if (!dtype_is_block(t)) return (size_t)n * dtype_bytes(t);
    assert(n % types[t]->elements == 0);
    return (size_t)(n / types[t]->elements) * (size_t)types[t]->bytes;
}

int type_parse(const char *name, enum dtype *out) {
    for (int t = 0; t < N_DTYPES; t++) {
        if (strcmp(name, dtype_name((enum dtype)t)) != 0) continue;
        *out = (enum dtype)t;
        return 0;
    }
    return -1;
}

int64_t type_find_not_finite(enum dtype dtype, const void *values, int64_t n) {
    if (!dtype_is_block(dtype)) return dtype_find_not_finite(dtype, values, n);
    const struct block_type *t = types[dtype];
    const char *at = values;
    for (int64_t i = 0; i < n; i += t->elements, at += t->bytes)
        if (!t->is_finite(at)) return i;
    return -1;
}

uint64_t type_digest(uint64_t name_hash, int64_t first, int64_t n, enum dtype dtype,
                     const void *values) {
    if (!dtype_is_block(dtype)) return digest_range(name_hash, first, n, dtype, values);
    const struct block_type *t = types[dtype];
    const char *at = values;
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i += t->elements, at += t->bytes)
        sum += digest_mix(name_hash, (uint64_t)(first + i), hash_bytes(at, (size_t)t->bytes));
    return sum;
}

static void unpack(const struct block_type *t, const void *block, float *x) {
    struct levels l;
    t->levels(block, &l);
    for (int i = 0; i < t->elements; i++)
        x[i] = l.scale[i / 32] * (float)l.sub[i / 16] * (float)l.w[i] - l.min[i / 32];
}

void type_unpack(enum dtype dtype, const void *blocks, int64_t n, float *x) {
    const struct block_type *t = type_find(dtype);
    assert(n % t->elements == 0);
    const char *at = blocks;
    for (int64_t i = 0; i < n; i += t->elements, at += t->bytes) unpack(t, at, x + i);
}

void type_pack(enum dtype dtype, const float *x, int64_t n, void *blocks) {
    const struct block_type *t = type_find(dtype);
    assert(n % t->elements == 0);
    char *at = blocks;
    for (int64_t i = 0; i < n; i += t->elements, at += t->bytes) t->pack(x + i, at);
}

// Far above what any type's scale holds, and far below where sums of squares overflow.
static bool is_in_range(const struct block_type *t, const float *x) {
    bool is = true;
    for (int i = 0; i < t->elements; i++) is &= x[i] < 1e12f && x[i] > -1e12f;
    return is;
}

int64_t type_pack_checked(enum dtype dtype, const float *x, int64_t n, void *blocks) {
    const struct block_type *t = type_find(dtype);
    assert(n % t->elements == 0);
    char *at = blocks;
    for (int64_t i = 0; i < n; i += t->elements, at += t->bytes) {
        if (!is_in_range(t, x + i)) return i;
        t->pack(x + i, at);
        if (!t->is_finite(at)) return i;
    }
    return -1;
}

// ------------------------------------------------------------------ paths

static const char *const path_names[N_TYPE_PATHS] = {
    "portable",
#if defined(__x86_64__)
    "avx2",
    "avx512",
    "amx",
#elif defined(__aarch64__)
    "neon",
    "neon-dot",
#endif
};

const char *type_path_name(enum type_path path) {
    return path_names[path];
}

int type_tokens(enum type_path path) {
#if defined(__x86_64__)
    if (path == TYPE_AMX) return TYPE_TOKENS;
    if (path == TYPE_AVX512) return TYPE_TOKENS_AVX512;
#endif
    (void)path;
    return 8;
}

// ------------------------------------------------------------------ products in plain C

// sum of sub * w * q over run `r` of a block
static int32_t run_sum(const struct levels *l, int r, const struct activation *x) {
    int32_t sum = 0;
    for (int half = 0; half < 2; half++) {
        int32_t s = 0;
        for (int i = half * 16; i < half * 16 + 16; i++) s += l->w[r * TYPE_RUN + i] * x->q[i];
        sum += s * l->sub[2 * r + half];
    }
    return sum;
}

static void dot_row(const struct block_type *t, const struct type_dot *d, int row) {
    int n_runs = t->elements / TYPE_RUN;
    float y[TYPE_TOKENS] = {0};
    for (int b = 0; b < d->n_blocks; b++) {
        char block[TYPE_MAX_BYTES];
        struct levels l;
        t->get((const char *)d->quants + (size_t)b * (size_t)t->quant_bytes,
               (const char *)d->scales + (size_t)b * (size_t)t->scale_bytes, row, block);
        t->levels(block, &l);
        for (int r = 0; r < n_runs; r++)
            for (int k = 0; k < d->n; k++) {
                const struct activation *x = d->x[k] + (size_t)b * (size_t)n_runs + r;
                y[k] = y[k] + (float)run_sum(&l, r, x) * (l.scale[r] * x->scale);
                if (t->has_min) y[k] = y[k] + l.min[r] * x->minus_scaled_sum;
            }
    }
    for (int k = 0; k < d->n; k++) d->y[k][row] = y[k];
}

void type_dot(const struct block_type *t, enum type_path path, const struct type_dot *d) {
    assert(d->n > 0 && d->n <= type_tokens(path));
    if (t->dot[path]) {
        t->dot[path](d);
        return;
    }
    for (int row = 0; row < TYPE_ROWS; row++) dot_row(t, d, row);
}
