// Block types: weights in runs of 32 or 256 elements along a row that share scales, as GGUF files
// hold them. A type is one object, struct block_type: its blocks, and its tiles in which the CPU
// backend multiplies. A new one is a file here, a line of types.c, a row of kernels/README.md and
// its name in the tests.
//
// Levels. Every type says the same of an element i of a block, in runs of 32 (r = i / 32):
//
//   x_i = scale_r * sub_(i / 16) * w_i - min_r
//
// with a whole number w_i, a whole number sub (1 but for Q6_K) and floats scale and min (0 but for
// Q4_K and Q5_K). All products are exact in float32, so that there is one rounding at most.
//
// Products. A row of activations is quantised once for all matrices that read it, to 8-bit numbers
// q with a scale for every 32 columns (struct activation). A product with a row of weights is
//
//   y = 0;  for r = 0, 1, ...:  y = y + float(I_r) * (scale_r * activation scale)
//                               y = y + min_r * minus_scaled_sum          (types with a min)
//   I_r = sum over the run's 32 columns of sub * w * q, exact in int32
//
// with one rounding for every operation and no FMA. So all paths give the same bits, and a row's
// bits do not depend on the tile into which it fell.
//
// Tiles. Rows lie in groups of 16. A group holds the scales of all its blocks, then their quants:
// n * scale_bytes, n * quant_bytes, n = blocks of a row. Inside, 16 rows are interleaved by 4
// columns (tile.h), and no two rows share a byte, so that rows may be written by several threads.
// A product reads a group from front to back; while it does, it fetches what lies DOT_PREFETCH
// bytes ahead, at its end the scales of the next group and the first quants.
#ifndef KERNELS_TYPES_TYPES_H
#define KERNELS_TYPES_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/tensor.h"

enum {
    TYPE_RUN = 32, // columns that share a scale of activations
    TYPE_MAX_ELEMENTS = 256,
    TYPE_MAX_BYTES = 256, // of a block
    TYPE_ROWS = 16,       // of a group
    TYPE_TOKENS = 16,     // of a product, on any path
    TYPE_TOKENS_AVX512 = 12,
};

// 32 quantised activations.
struct activation {
    int8_t q[TYPE_RUN];
    float scale;            // largest absolute value / 127
    float minus_scaled_sum; // -scale * sum of q
    int32_t minus_sum;      // -sum of q
    int32_t minus_low_sum;  // -sum of the first 16 q
};

// All but q, of the largest absolute value and the sums of the first and the last 16 q.
static inline void activation_set_sums(struct activation *a, float largest, int32_t low,
                                       int32_t high) {
    a->scale = largest / 127.0f;
    a->minus_scaled_sum = a->scale * (float)-(low + high);
    a->minus_sum = -(low + high);
    a->minus_low_sum = -low;
}

struct levels {
    int8_t w[TYPE_MAX_ELEMENTS];
    int8_t sub[TYPE_MAX_ELEMENTS / 16];
    float scale[TYPE_MAX_ELEMENTS / TYPE_RUN], min[TYPE_MAX_ELEMENTS / TYPE_RUN];
};

// Products of one group of rows with a few tokens: y[t][i] = row i times x[t].
struct type_dot {
    const void *quants, *scales; // of the group
    int n_blocks;                // of a row
    int n;                       // tokens, 1 .. type_tokens(path)
    const struct activation *x[TYPE_TOKENS];
    float (*y)[TYPE_ROWS]; // (n)
};

// Instruction sets of products, of this machine's kind, each with all before it. Which of them are
// here the backend knows.
enum type_path {
    TYPE_PORTABLE,
#if defined(__x86_64__)
    TYPE_AVX2,
    TYPE_AVX512,
    TYPE_AMX,
#elif defined(__aarch64__)
    TYPE_NEON,
    TYPE_NEONDOT,
#endif
    N_TYPE_PATHS
};

struct block_type {
    enum dtype dtype;
    int elements, bytes; // of a block
    uint32_t gguf;       // the type's number in GGUF files
    // One block of `elements` values, which are finite, and back. Without has_min all min are 0.
    void (*pack)(const float *x, void *block);
    bool has_min;
    void (*levels)(const void *block, struct levels *out);
    bool (*is_finite)(const void *block); // its scales are
    // Tiles: bytes for 16 rows of one block, and one row's block in and out.
    int quant_bytes, scale_bytes;
    void (*put)(void *quants, void *scales, int row, const void *block);
    void (*get)(const void *quants, const void *scales, int row, void *block);
    void (*dot[N_TYPE_PATHS])(const struct type_dot *d); // NULL: plain C
};

// The type's object, NULL for floats.
const struct block_type *type_find(enum dtype t);

// Of any type: elements of a block, 1 for floats, and its bytes; bytes of `n` elements (whole
// blocks); the type of a name ("q4_0"), -1 where there is none.
int type_elements(enum dtype t);
size_t type_size(enum dtype t, int64_t n);
int type_parse(const char *name, enum dtype *out);

// Of any type, n elements (whole blocks) in any alignment: the first that is not finite, of block
// types the first of a block with such a scale, or -1; the part of the digest (digest.h).
int64_t type_find_not_finite(enum dtype t, const void *values, int64_t n);
uint64_t type_digest(uint64_t name_hash, int64_t first, int64_t n, enum dtype t,
                     const void *values);

// Floats from `n` elements (whole blocks) of a block type, bit for bit as the gguf package has
// them, and back.
void type_unpack(enum dtype t, const void *blocks, int64_t n, float *x);
void type_pack(enum dtype t, const float *x, int64_t n, void *blocks);
// Packs, and returns the first element of a block that cannot hold its values, or -1: a scale of
// float16 would be infinite. Any finite values are allowed.
int64_t type_pack_checked(enum dtype t, const float *x, int64_t n, void *blocks);

const char *type_path_name(enum type_path path);
// Tokens that a product takes at once, at most.
int type_tokens(enum type_path path);

// Products on a path: y of every token is written.
void type_dot(const struct block_type *t, enum type_path path, const struct type_dot *d);

// Quantises `n` activations (whole runs); out may be where x lies. Where a value is not finite, the
// run's scale is not, and so no product with it.
void type_activate(enum type_path path, const float *x, int n, struct activation *out);
void type_activate_portable(const float *x, int n, struct activation *out);
void type_activate_avx2(const float *x, int n, struct activation *out);
void type_activate_neon(const float *x, int n, struct activation *out);

extern const struct block_type type_q8_0, type_q4_0, type_q4_k, type_q5_k, type_q6_k;

// Products of a type, in files of their own.
#if defined(__x86_64__)
#define TYPE_DOTS(name)                                                                            \
    { NULL, type_##name##_avx2, type_##name##_avx512, type_##name##_amx }
#elif defined(__aarch64__)
#define TYPE_DOTS(name)                                                                            \
    { NULL, type_##name##_neon, type_##name##_neondot }
#else
#define TYPE_DOTS(name)                                                                            \
    { NULL }
#endif
void type_q8_0_avx2(const struct type_dot *d);
void type_q8_0_avx512(const struct type_dot *d);
void type_q8_0_amx(const struct type_dot *d);
void type_q8_0_neon(const struct type_dot *d);
void type_q8_0_neondot(const struct type_dot *d);
void type_q4_0_avx2(const struct type_dot *d);
void type_q4_0_avx512(const struct type_dot *d);
void type_q4_0_amx(const struct type_dot *d);
void type_q4_0_neon(const struct type_dot *d);
void type_q4_0_neondot(const struct type_dot *d);
void type_q4_k_avx2(const struct type_dot *d);
void type_q4_k_avx512(const struct type_dot *d);
void type_q4_k_amx(const struct type_dot *d);
void type_q4_k_neon(const struct type_dot *d);
void type_q4_k_neondot(const struct type_dot *d);
void type_q5_k_avx2(const struct type_dot *d);
void type_q5_k_avx512(const struct type_dot *d);
void type_q5_k_amx(const struct type_dot *d);
void type_q5_k_neon(const struct type_dot *d);
void type_q5_k_neondot(const struct type_dot *d);
void type_q6_k_avx2(const struct type_dot *d);
void type_q6_k_avx512(const struct type_dot *d);
void type_q6_k_amx(const struct type_dot *d);
void type_q6_k_neon(const struct type_dot *d);
void type_q6_k_neondot(const struct type_dot *d);

#endif
