// What a tensor is to the loaders, the weight updates and the backends: a type, a shape, bytes.
#ifndef KERNELS_TENSOR_H
#define KERNELS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Functions of headers that CUDA's kernels call too.
#ifdef __CUDACC__
#define ON_DEVICE static inline __host__ __device__
#else
#define ON_DEVICE static inline
#endif

// Floats, and block types: runs of elements along a row that share scales (kernels/types/types.h).
enum dtype {
    DTYPE_F32,
    DTYPE_BF16,
    DTYPE_F16,
    N_FLOAT_DTYPES,
    DTYPE_Q8_0 = N_FLOAT_DTYPES,
    DTYPE_Q4_0,
    DTYPE_Q4_K,
    DTYPE_Q5_K,
    DTYPE_Q6_K,
    N_DTYPES
};

static inline bool dtype_is_block(enum dtype t) {
    return t >= N_FLOAT_DTYPES;
}

// Of an element; of floats only.
ON_DEVICE size_t dtype_bytes(enum dtype t) {
    return t == DTYPE_F32 ? 4 : 2;
}

static inline const char *dtype_name(enum dtype t) {
    static const char *const names[N_DTYPES] = {"f32",  "bf16", "f16",  "q8_0",
                                                "q4_0", "q4_k", "q5_k", "q6_k"};
    return names[t];
}

enum { TENSOR_MAX_DIMS = 4 };

// A borrowed, contiguous, row-major (C order) tensor in host memory, in any alignment.
struct tensor {
    enum dtype dtype;
    int n_dims;
    int64_t dims[TENSOR_MAX_DIMS];
    const void *data; // (dims[0], ..., dims[n_dims - 1]) of dtype
};

static inline int64_t tensor_n(const struct tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->n_dims; i++) n *= t->dims[i];
    return n;
}

// Scalar conversions, exact where the target holds the value and to nearest even otherwise.
// A NaN stays a NaN.
ON_DEVICE float dtype_bf16_to_f32(uint16_t bits) {
    uint32_t u = (uint32_t)bits << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

ON_DEVICE uint16_t dtype_f32_to_bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

ON_DEVICE float dtype_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31, m = h & 0x3ffu, u;
    if (exponent == 31) {
        u = sign | 0x7f800000u | m << 13;
    } else if (exponent) {
        u = sign | (exponent + 112) << 23 | m << 13;
    } else { // zero or subnormal: m * 2^-24 is exact in float32
        float f = (float)m * 0x1p-24f;
        return sign ? -f : f;
    }
    float f;
    memcpy(&f, &u, 4);
    return f;
}

ON_DEVICE uint16_t dtype_f32_to_f16(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    uint32_t sign = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); // rounds to 65536 or more
    if (a >= 0x38800000u)
        return (uint16_t)(sign | ((a - 0x38000000u + 0xfffu + (a >> 13 & 1)) >> 13));
    // Subnormal: adding 0.5 puts the unit in the last place at 2^-24, so the sum rounds for us.
    float g;
    memcpy(&g, &a, 4);
    g += 0.5f;
    uint32_t v;
    memcpy(&v, &g, 4);
    return (uint16_t)(sign | (v - 0x3f000000u));
}

// One element; of floats only.
ON_DEVICE float dtype_get(enum dtype t, const void *data, int64_t i) {
    if (t == DTYPE_F32) {
        float f;
        memcpy(&f, (const char *)data + 4 * i, 4);
        return f;
    }
    uint16_t h;
    memcpy(&h, (const char *)data + 2 * i, 2);
    return t == DTYPE_BF16 ? dtype_bf16_to_f32(h) : dtype_f16_to_f32(h);
}

ON_DEVICE void dtype_put(enum dtype t, void *data, int64_t i, float value) {
    if (t == DTYPE_F32) {
        memcpy((char *)data + 4 * i, &value, 4);
        return;
    }
    uint16_t h = t == DTYPE_BF16 ? dtype_f32_to_bf16(value) : dtype_f32_to_f16(value);
    memcpy((char *)data + 2 * i, &h, 2);
}

// The first of n floats, in any alignment, that is infinite or NaN; -1: all are finite.
int64_t dtype_find_not_finite(enum dtype t, const void *values, int64_t n);

#endif
