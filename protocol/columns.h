// Binary columns of a message's payload frame.
//
// A payload is little-endian and holds columns one after another, each starting at a multiple of
// 64 bytes. A list of texts is two columns: the bytes of all texts joined (u8), and n + 1 offsets
// into them (i64), from 0 to the number of bytes, never falling. Other ragged lists do the same.
#ifndef PROTOCOL_COLUMNS_H
#define PROTOCOL_COLUMNS_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/slice.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "The wire's columns are little-endian; this host is not."
#endif

enum { COLUMN_ALIGNMENT = 64 };

// Element types of columns and of weights on the wire. The numbers are the wire's.
enum column_dtype {
    COLUMN_NONE = 0, // absent
    COLUMN_U8 = 1,
    COLUMN_U16 = 2,
    COLUMN_I32 = 3,
    COLUMN_I64 = 4,
    COLUMN_U64 = 5,
    COLUMN_F32 = 6,
    COLUMN_F64 = 7,
    COLUMN_BF16 = 8,  // weights only
    COLUMN_F16 = 9,   // weights only
    COLUMN_Q8_0 = 10, // block types of weights, which no message brings
    COLUMN_Q4_0 = 11,
    COLUMN_Q4_K = 12,
    COLUMN_Q5_K = 13,
    COLUMN_Q6_K = 14,
    COLUMN_N_DTYPES,
};

// Borrowed elements: a received message's columns point into its payload, a message to be sent
// points at the caller's memory. An absent column is all zero.
struct column {
    enum column_dtype dtype;
    uint64_t n;       // elements
    const void *data; // (n) of dtype, aligned to 8 bytes when received
};

size_t column_dtype_bytes(enum column_dtype dtype); // 0 for one that no column has
const char *column_dtype_name(enum column_dtype dtype);
enum column_dtype column_dtype_find(struct slice name); // "bf16"; COLUMN_NONE when unknown

static inline struct column column_of(enum column_dtype dtype, const void *data, uint64_t n) {
    return (struct column){dtype, n, data};
}
static inline struct column column_of_text(struct slice text) {
    return (struct column){COLUMN_U8, text.len, text.ptr};
}
static inline struct slice column_slice(struct column c) { // the bytes of a u8 column
    return (struct slice){(const char *)c.data, (size_t)c.n};
}
// The elements, (c.n) of the type that the name says. Of an absent column NULL.
static inline const void *column_elements(struct column c, enum column_dtype dtype) {
    assert(c.dtype == dtype || c.dtype == COLUMN_NONE);
    return c.data;
}
static inline const uint8_t *column_u8(struct column c) {
    return (const uint8_t *)column_elements(c, COLUMN_U8);
}
static inline const uint16_t *column_u16(struct column c) {
    return (const uint16_t *)column_elements(c, COLUMN_U16);
}
static inline const int32_t *column_i32(struct column c) {
    return (const int32_t *)column_elements(c, COLUMN_I32);
}
static inline const int64_t *column_i64(struct column c) {
    return (const int64_t *)column_elements(c, COLUMN_I64);
}
static inline const uint64_t *column_u64(struct column c) {
    return (const uint64_t *)column_elements(c, COLUMN_U64);
}
static inline const float *column_f32(struct column c) {
    return (const float *)column_elements(c, COLUMN_F32);
}
static inline const double *column_f64(struct column c) {
    return (const double *)column_elements(c, COLUMN_F64);
}

// Text i of a list of texts (i below offsets.n - 1). The offsets were checked by the decoder.
static inline struct slice column_text(struct column texts, struct column offsets, uint64_t i) {
    const int64_t *at = column_i64(offsets);
    assert(i + 1 < offsets.n && at[i] <= at[i + 1] && (uint64_t)at[i + 1] <= texts.n);
    return (struct slice){(const char *)texts.data + at[i], (size_t)(at[i + 1] - at[i])};
}

// Checks that `offsets` is an i64 column of n + 1 numbers from 0 to `end` that never fall. `what`
// names it in the sentence.
int column_check_offsets(struct column offsets, uint64_t n, uint64_t end, const char *what,
                         struct error *err);

// Builds a list of texts: add each, then take the two columns (valid until the next change).
struct column_texts {
    struct buffer bytes;   // joined
    struct buffer offsets; // int64_t, n + 1 once anything was added
};
void column_texts_add(struct column_texts *t, struct slice text);
struct column column_texts_bytes(const struct column_texts *t);
struct column column_texts_offsets(const struct column_texts *t);
void column_texts_free(struct column_texts *t);

#endif
