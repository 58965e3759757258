#include "protocol/columns.h"

static const struct {
    const char *name;
    size_t bytes;
} DTYPES[COLUMN_N_DTYPES] = {
    [COLUMN_NONE] = {"none", 0}, [COLUMN_U8] = {"u8", 1},     [COLUMN_U16] = {"u16", 2},
    [COLUMN_I32] = {"i32", 4},   [COLUMN_I64] = {"i64", 8},   [COLUMN_U64] = {"u64", 8},
    [COLUMN_F32] = {"f32", 4},   [COLUMN_F64] = {"f64", 8},   [COLUMN_BF16] = {"bf16", 2},
    [COLUMN_F16] = {"f16", 2},   [COLUMN_Q8_0] = {"q8_0", 0}, [COLUMN_Q4_0] = {"q4_0", 0},
    [COLUMN_Q4_K] = {"q4_k", 0}, [COLUMN_Q5_K] = {"q5_k", 0}, [COLUMN_Q6_K] = {"q6_k", 0},
};

size_t column_dtype_bytes(enum column_dtype dtype) {
    return (unsigned)dtype < COLUMN_N_DTYPES ? DTYPES[dtype].bytes : 0;
}

const char *column_dtype_name(enum column_dtype dtype) {
    return (unsigned)dtype < COLUMN_N_DTYPES ? DTYPES[dtype].name : "unknown";
}

enum column_dtype column_dtype_find(struct slice name) {
    for (int i = COLUMN_NONE + 1; i < COLUMN_N_DTYPES; i++)
        if (slice_is(name, DTYPES[i].name)) return (enum column_dtype)i;
    return COLUMN_NONE;
}

int column_check_offsets(struct column offsets, uint64_t n, uint64_t end, const char *what,
                         struct error *err) {
    if (offsets.dtype != COLUMN_I64 || offsets.n != n + 1)
        return error_set(err, ERROR_INPUT, "%s: %llu offsets of type %s, expected %llu of i64.",
                         what, (unsigned long long)offsets.n, column_dtype_name(offsets.dtype),
                         (unsigned long long)n + 1);
    const int64_t *at = column_i64(offsets);
    if (at[0] != 0 || (uint64_t)at[n] != end)
        return error_set(err, ERROR_INPUT, "%s: offsets run from %lld to %lld, expected 0 to %llu.",
                         what, (long long)at[0], (long long)at[n], (unsigned long long)end);
    for (uint64_t i = 0; i < n; i++)
        if (at[i + 1] < at[i])
            return error_set(err, ERROR_INPUT, "%s: offset %llu falls from %lld to %lld.", what,
                             (unsigned long long)i + 1, (long long)at[i], (long long)at[i + 1]);
    return 0;
}

void column_texts_add(struct column_texts *t, struct slice text) {
    int64_t at = 0;
    assert(t->offsets.len > 0 || t->bytes.len == 0);
    if (t->offsets.len == 0) buffer_add(&t->offsets, &at, sizeof at);
    buffer_add_slice(&t->bytes, text);
    at = (int64_t)t->bytes.len;
    buffer_add(&t->offsets, &at, sizeof at);
}

struct column column_texts_bytes(const struct column_texts *t) {
    return column_of(COLUMN_U8, t->bytes.ptr, t->bytes.len);
}

struct column column_texts_offsets(const struct column_texts *t) {
    static const int64_t none[1] = {0};
    if (t->offsets.len == 0) return column_of(COLUMN_I64, none, 1);
    return column_of(COLUMN_I64, t->offsets.ptr, t->offsets.len / sizeof(int64_t));
}

void column_texts_free(struct column_texts *t) {
    buffer_free(&t->bytes);
    buffer_free(&t->offsets);
}
