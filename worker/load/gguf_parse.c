// One GGUF file's bytes, checked.
#include <stdlib.h>
#include <string.h>

#include "kernels/types/types.h"
#include "worker/load/gguf.h"

enum { VERSION = 3, MAX_TENSORS = 1 << 20, MAX_ALIGNMENT = 1 << 20 };

struct reader {
    struct slice rest;
    struct error *err;
};

static const uint8_t kind_bytes[GGUF_N_KINDS] = {
    [GGUF_UINT8] = 1,  [GGUF_INT8] = 1,    [GGUF_UINT16] = 2, [GGUF_INT16] = 2,
    [GGUF_UINT32] = 4, [GGUF_INT32] = 4,   [GGUF_BOOL] = 1,   [GGUF_FLOAT32] = 4,
    [GGUF_UINT64] = 8, [GGUF_FLOAT64] = 8, [GGUF_INT64] = 8,
};

static int refuse_end(struct reader *r, const char *what) {
    return error_set(r->err, ERROR_CONFIG, "The file ends inside %s; more bytes were expected.",
                     what);
}

static int take(struct reader *r, uint64_t n, const char *what, struct slice *out) {
    if (n > r->rest.len) return refuse_end(r, what);
    *out = (struct slice){r->rest.ptr, (size_t)n};
    r->rest = (struct slice){r->rest.ptr + n, r->rest.len - (size_t)n};
    return 0;
}

static int take_number(struct reader *r, size_t size, const char *what, void *out) {
    memset(out, 0, size);
    if (size > r->rest.len) return refuse_end(r, what);
    memcpy(out, r->rest.ptr, size);
    r->rest = (struct slice){r->rest.ptr + size, r->rest.len - size};
    return 0;
}

static int take_u32(struct reader *r, const char *what, uint32_t *out) {
    return take_number(r, sizeof *out, what, out);
}

static int take_u64(struct reader *r, const char *what, uint64_t *out) {
    return take_number(r, sizeof *out, what, out);
}

static int take_string(struct reader *r, const char *what, struct slice *out) {
    uint64_t n;
    return take_u64(r, what, &n) || take(r, n, what, out) ? -1 : 0;
}

// ------------------------------------------------------------------ keys

static int take_kind(struct reader *r, struct slice name, enum gguf_kind *out) {
    uint32_t kind;
    if (take_u32(r, "the type of a key", &kind)) return -1;
    if (kind >= GGUF_N_KINDS)
        return error_set(r->err, ERROR_CONFIG, "Key \"%.*s\" has type %u; 0 to %d was expected.",
                         SLICE_ARG(name), kind, GGUF_N_KINDS - 1);
    *out = (enum gguf_kind)kind;
    return 0;
}

static int take_array(struct reader *r, struct gguf_key *k) {
    if (take_kind(r, k->name, &k->element) || take_u64(r, "the length of an array", &k->n))
        return -1;
    if (k->element == GGUF_ARRAY)
        return error_set(r->err, ERROR_CONFIG,
                         "Key \"%.*s\" is an array of arrays; one of values was expected.",
                         SLICE_ARG(k->name));
    if (k->element != GGUF_STRING) {
        uint64_t size = kind_bytes[k->element];
        return k->n > r->rest.len / size ? refuse_end(r, "an array")
                                         : take(r, k->n * size, "an array", &k->bytes);
    }
    const char *start = r->rest.ptr;
    struct slice s;
    for (uint64_t i = 0; i < k->n; i++)
        if (take_string(r, "a string of an array", &s)) return -1;
    k->bytes = (struct slice){start, (size_t)(r->rest.ptr - start)};
    return 0;
}

static int take_key(struct reader *r, struct gguf_key *k) {
    if (take_string(r, "a key", &k->name) || take_kind(r, k->name, &k->kind)) return -1;
    k->element = k->kind;
    k->n = 1;
    if (k->kind == GGUF_ARRAY) return take_array(r, k);
    if (k->kind == GGUF_STRING) return take_string(r, "a string", &k->bytes);
    return take(r, kind_bytes[k->kind], "a value", &k->bytes);
}

static int compare(struct slice a, struct slice b) {
    int c = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int compare_keys(const void *a, const void *b) {
    return compare(((const struct gguf_key *)a)->name, ((const struct gguf_key *)b)->name);
}

static int compare_tensors(const void *a, const void *b) {
    return compare(((const struct gguf_tensor *)a)->name, ((const struct gguf_tensor *)b)->name);
}

static int take_keys(struct reader *r, struct gguf *g, uint64_t n) {
    g->keys = memory_new((size_t)n, sizeof *g->keys);
    for (; g->n_keys < (int)n; g->n_keys++)
        if (take_key(r, &g->keys[g->n_keys])) return -1;
    qsort(g->keys, (size_t)n, sizeof *g->keys, compare_keys);
    for (int i = 1; i < g->n_keys; i++)
        if (slice_equal(g->keys[i].name, g->keys[i - 1].name))
            return error_set(r->err, ERROR_CONFIG,
                             "Key \"%.*s\" comes twice; each key once was expected.",
                             SLICE_ARG(g->keys[i].name));
    return 0;
}

// ------------------------------------------------------------------ tensors

uint32_t gguf_type_number(enum dtype t) {
    static const uint32_t floats[N_FLOAT_DTYPES] = {
        [DTYPE_F32] = 0, [DTYPE_F16] = 1, [DTYPE_BF16] = 30};
    return dtype_is_block(t) ? type_find(t)->gguf : floats[t];
}

static int find_type(uint32_t number, enum dtype *out) {
    for (int t = 0; t < N_DTYPES; t++) {
        if (gguf_type_number((enum dtype)t) != number) continue;
        *out = (enum dtype)t;
        return 0;
    }
    return -1;
}

// What the unsupported ones are called.
static const char *foreign_type(uint32_t number) {
    static const char *const names[] = {
        [3] = "Q4_1",   [6] = "Q5_0",    [7] = "Q5_1",     [9] = "Q8_1",    [10] = "Q2_K",
        [11] = "Q3_K",  [15] = "Q8_K",   [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS",
        [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S",   [22] = "IQ2_S",  [23] = "IQ4_XS",
        [24] = "I8",    [25] = "I16",    [26] = "I32",     [27] = "I64",    [28] = "F64",
        [29] = "IQ1_M", [34] = "TQ1_0",  [35] = "TQ2_0",   [39] = "MXFP4",  [40] = "NVFP4",
    };
    return number < sizeof names / sizeof *names && names[number] ? names[number] : "not known";
}

// Sizes: no product overflows, as every one is checked against the bytes of the data.
static int measure(struct reader *r, struct gguf_tensor *t, uint64_t room) {
    uint64_t n = 1;
    for (int i = 0; i < t->n_dims; i++) {
        uint64_t d = (uint64_t)t->dims[i];
        if (d == 0 || d > (uint64_t)1 << 40 || n > ((uint64_t)1 << 50) / d)
            return error_set(r->err, ERROR_CONFIG,
                             "Tensor \"%.*s\" has a dimension of %llu; sizes of a tensor that fits "
                             "the file were expected.",
                             SLICE_ARG(t->name), (unsigned long long)d);
        n *= d;
    }
    int elements = type_elements(t->dtype);
    if (t->dims[0] % elements)
        return error_set(
            r->err, ERROR_CONFIG,
            "Tensor \"%.*s\" has rows of %lld elements; a multiple of %d was expected, "
            "as it is %s.",
            SLICE_ARG(t->name), (long long)t->dims[0], elements, dtype_name(t->dtype));
    t->n_bytes = (int64_t)type_size(t->dtype, (int64_t)n);
    if ((uint64_t)t->n_bytes <= room) return 0;
    return error_set(r->err, ERROR_CONFIG,
                     "Tensor \"%.*s\" has %lld bytes; at most %llu were expected, as the file "
                     "ends there.",
                     SLICE_ARG(t->name), (long long)t->n_bytes, (unsigned long long)room);
}

// `offset`: where the data is to lie, in it.
static int take_tensor(struct reader *r, struct gguf_tensor *t, uint64_t *offset) {
    uint32_t n_dims, type;
    if (take_string(r, "a tensor's name", &t->name) ||
        take_u32(r, "a tensor's description", &n_dims))
        return -1;
    if (n_dims < 1 || n_dims > GGUF_MAX_DIMS)
        return error_set(r->err, ERROR_CONFIG,
                         "Tensor \"%.*s\" has %u dimensions; 1 to %d were expected.",
                         SLICE_ARG(t->name), n_dims, GGUF_MAX_DIMS);
    t->n_dims = (int)n_dims;
    for (int i = 0; i < t->n_dims; i++)
        if (take_u64(r, "a tensor's dimensions", (uint64_t *)&t->dims[i])) return -1;
    if (take_u32(r, "a tensor's type", &type) || take_u64(r, "a tensor's place", offset)) return -1;
    if (find_type(type, &t->dtype) == 0) return 0;
    return error_set(r->err, ERROR_CONFIG,
                     "Tensor \"%.*s\" has type %u (%s); F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K or "
                     "Q6_K was expected.",
                     SLICE_ARG(t->name), type, foreign_type(type));
}

static int take_tensors(struct reader *r, struct gguf *g, uint64_t n, uint64_t *offsets) {
    for (; g->n_tensors < (int)n; g->n_tensors++)
        if (take_tensor(r, &g->tensors[g->n_tensors], &offsets[g->n_tensors])) return -1;
    return 0;
}

static int place(struct reader *r, struct gguf *g, const uint64_t *offsets, struct slice data,
                 uint64_t alignment) {
    for (int i = 0; i < g->n_tensors; i++) {
        struct gguf_tensor *t = &g->tensors[i];
        if (offsets[i] % alignment)
            return error_set(r->err, ERROR_CONFIG,
                             "Tensor \"%.*s\" lies at byte %llu of the data; a multiple of the "
                             "alignment, %llu, was expected.",
                             SLICE_ARG(t->name), (unsigned long long)offsets[i],
                             (unsigned long long)alignment);
        if (offsets[i] > data.len)
            return error_set(r->err, ERROR_CONFIG,
                             "Tensor \"%.*s\" lies at byte %llu of the data, which has %zu bytes; "
                             "a place inside was expected.",
                             SLICE_ARG(t->name), (unsigned long long)offsets[i], data.len);
        if (measure(r, t, data.len - offsets[i])) return -1;
        t->data = data.ptr + offsets[i];
    }
    return 0;
}

static int compare_places(const void *a, const void *b) {
    const char *x = (*(const struct gguf_tensor *const *)a)->data;
    const char *y = (*(const struct gguf_tensor *const *)b)->data;
    return (x > y) - (x < y);
}

static int check_overlaps(struct reader *r, const struct gguf *g) {
    size_t n = (size_t)g->n_tensors;
    const struct gguf_tensor **order = memory_new(n + 1, sizeof *order);
    int failed = 0;
    for (size_t i = 0; i < n; i++) order[i] = &g->tensors[i];
    qsort(order, n, sizeof *order, compare_places);
    for (size_t i = 1; i < n && !failed; i++) {
        const struct gguf_tensor *a = order[i - 1], *b = order[i];
        if ((const char *)a->data + a->n_bytes > (const char *)b->data)
            failed = error_set(r->err, ERROR_CONFIG,
                               "Tensors \"%.*s\" and \"%.*s\" overlap; places of their own were "
                               "expected.",
                               SLICE_ARG(a->name), SLICE_ARG(b->name));
    }
    free(order);
    return failed;
}

static int check_names(struct reader *r, struct gguf *g) {
    qsort(g->tensors, (size_t)g->n_tensors, sizeof *g->tensors, compare_tensors);
    for (int i = 1; i < g->n_tensors; i++)
        if (slice_equal(g->tensors[i].name, g->tensors[i - 1].name))
            return error_set(r->err, ERROR_CONFIG,
                             "Tensor \"%.*s\" comes twice; each tensor once was expected.",
                             SLICE_ARG(g->tensors[i].name));
    return 0;
}

static int find_alignment(struct reader *r, const struct gguf *g, uint64_t *out) {
    const struct gguf_key *k = gguf_find(g, "general.alignment");
    int64_t a = 32;
    if (k && (gguf_int(k, 0, &a) || a < 1 || a > MAX_ALIGNMENT || (a & (a - 1))))
        return error_set(r->err, ERROR_CONFIG,
                         "Key \"general.alignment\" is none that is possible; a power of two up to "
                         "%d was expected.",
                         MAX_ALIGNMENT);
    *out = (uint64_t)a;
    return 0;
}

// ------------------------------------------------------------------ the file

static int check_head(struct reader *r, uint64_t *n_tensors, uint64_t *n_keys) {
    struct slice magic = {"", 0};
    uint32_t version;
    if (take(r, 4, "its first bytes", &magic) || take_u32(r, "its version", &version)) return -1;
    if (!slice_is(magic, "GGUF"))
        return error_set(r->err, ERROR_CONFIG, "The file does not begin with \"GGUF\".");
    if (version == (uint32_t)VERSION << 24)
        return error_set(r->err, ERROR_CONFIG,
                         "The file is big-endian; a little-endian one was expected.");
    if (version != VERSION)
        return error_set(r->err, ERROR_CONFIG, "The file has version %u; version %d was expected.",
                         version, VERSION);
    if (take_u64(r, "the number of tensors", n_tensors) ||
        take_u64(r, "the number of keys", n_keys))
        return -1;
    // The shortest key and the shortest tensor have 13 and 32 bytes.
    if (*n_keys > GGUF_MAX_KEYS || *n_keys > r->rest.len / 13)
        return error_set(r->err, ERROR_CONFIG,
                         "The file announces %llu keys; at most %d that fit the file were "
                         "expected.",
                         (unsigned long long)*n_keys, GGUF_MAX_KEYS);
    if (*n_tensors > MAX_TENSORS || *n_tensors > r->rest.len / 32)
        return error_set(r->err, ERROR_CONFIG,
                         "The file announces %llu tensors; at most %d that fit the file were "
                         "expected.",
                         (unsigned long long)*n_tensors, MAX_TENSORS);
    return 0;
}

static int parse(struct reader *r, struct slice file, struct gguf *g) {
    uint64_t n_tensors, n_keys, alignment = 32;
    if (check_head(r, &n_tensors, &n_keys) || take_keys(r, g, n_keys) ||
        find_alignment(r, g, &alignment))
        return -1;
    uint64_t *offsets = memory_new((size_t)n_tensors, sizeof *offsets);
    g->tensors = memory_new((size_t)n_tensors, sizeof *g->tensors);
    int failed = take_tensors(r, g, n_tensors, offsets);
    size_t start = (size_t)(r->rest.ptr - file.ptr), skip = (size_t)alignment - 1;
    start = (start + skip) & ~skip;
    struct slice data = {file.ptr + file.len, 0};
    if (start < file.len) data = (struct slice){file.ptr + start, file.len - start};
    if (!failed) failed = place(r, g, offsets, data, alignment);
    free(offsets);
    return failed || check_overlaps(r, g) || check_names(r, g) ? -1 : 0;
}

int gguf_parse(struct slice file, struct gguf *out, struct error *err) {
    struct reader r = {file, err};
    *out = (struct gguf){0};
    if (!parse(&r, file, out)) return 0;
    free(out->keys);
    free(out->tensors);
    *out = (struct gguf){0};
    return -1;
}

// ------------------------------------------------------------------ values

const struct gguf_key *gguf_find(const struct gguf *g, const char *name) {
    const struct gguf_key key = {.name = slice_of(name)};
    if (!g->n_keys) return NULL;
    return bsearch(&key, g->keys, (size_t)g->n_keys, sizeof key, compare_keys);
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name) {
    const struct gguf_tensor t = {.name = slice_of(name)};
    if (!g->n_tensors) return NULL;
    return bsearch(&t, g->tensors, (size_t)g->n_tensors, sizeof t, compare_tensors);
}

int gguf_int(const struct gguf_key *k, uint64_t i, int64_t *out) {
    if (i >= k->n) return -1;
    static const bool is_signed[GGUF_N_KINDS] = {
        [GGUF_INT8] = true, [GGUF_INT16] = true, [GGUF_INT32] = true, [GGUF_INT64] = true};
    enum gguf_kind kind = k->element;
    if (kind == GGUF_STRING || kind == GGUF_FLOAT32 || kind == GGUF_FLOAT64 || kind == GGUF_BOOL)
        return -1;
    uint64_t v = 0;
    unsigned size = kind_bytes[kind];
    memcpy(&v, k->bytes.ptr + i * size, size);
    if (is_signed[kind] && v >> (8 * size - 1) && size < 8) v |= ~(uint64_t)0 << (8 * size);
    if (!is_signed[kind] && v > INT64_MAX) return -1;
    memcpy(out, &v, 8);
    return 0;
}

int gguf_float(const struct gguf_key *k, double *out) {
    int64_t whole;
    float f;
    if (k->kind == GGUF_FLOAT32) {
        memcpy(&f, k->bytes.ptr, 4);
        *out = (double)f;
        return 0;
    }
    if (k->kind == GGUF_FLOAT64) {
        memcpy(out, k->bytes.ptr, 8);
        return 0;
    }
    if (k->kind == GGUF_ARRAY || gguf_int(k, 0, &whole)) return -1;
    *out = (double)whole;
    return 0;
}

int gguf_bool(const struct gguf_key *k, bool *out) {
    if (k->kind != GGUF_BOOL) return -1;
    *out = k->bytes.ptr[0] != 0;
    return 0;
}

struct slice gguf_next_string(struct slice *rest) {
    uint64_t n;
    memcpy(&n, rest->ptr, 8);
    struct slice s = {rest->ptr + 8, (size_t)n};
    *rest = (struct slice){s.ptr + n, rest->len - 8 - (size_t)n};
    return s;
}
