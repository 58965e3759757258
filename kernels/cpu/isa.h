// The instruction set paths: one table of inner loops each, chosen once when a backend is opened.
// All other code of the backend is plain C and the same for every path.
#ifndef KERNELS_CPU_ISA_H
#define KERNELS_CPU_ISA_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/types/types.h"

struct attention_rows;
struct matmul_tile;

struct isa {
    const char *name;
    const char *bits; // of what it computes, for the numerics id: paths with one name agree in all
    enum type_path types; // of products with block types, which agree on all paths
    // Products: float32 ones summed in float32, or, where is_bf16, of activations rounded to bf16.
    bool is_bf16;
    void (*matmul_tile)(const struct matmul_tile *t);
    void (*matmul_exact)(const struct matmul_tile *t); // float32 on every path
    // out = silu(gate) * up, n values; out may be gate.
    void (*swiglu)(int n, const float *gate, const float *up, float *out);
    // out = x / sqrt(mean(x^2) + eps) * w; out may be x.
    void (*rms_norm)(int n, const float *x, const float *w, float eps, float *out);
    void (*attention)(const struct attention_rows *a);
    bool (*softmax_is_finite)(int n, const float *x);
    void (*softmax_divide)(int n, const float *x, float divisor, float *out);
    float (*softmax_max)(int n, const float *x);
    double (*softmax_sum)(int n, const float *x, float max);
    int (*draw_gumbel)(int n, const float *x, uint64_t seed, uint32_t position, uint32_t sample);
};

extern const struct isa isa_portable;
#if defined(__x86_64__)
extern const struct isa isa_avx2;       // its functions need AVX2, FMA and F16C
extern const struct isa isa_avx512;     // likewise, and AVX-512 F, BW, VL, DQ and VNNI
extern const struct isa isa_avx512bf16; // likewise, and AVX512-BF16; its products are of bf16
extern const struct isa isa_amx;        // as isa_avx512, where amx_is_there(): for block types
extern const struct isa isa_amxbf16;    // as isa_avx512bf16, likewise; its products are of bf16
#elif defined(__aarch64__)
extern const struct isa isa_neon;
extern const struct isa isa_neondot;  // where block types have dot products
extern const struct isa isa_neonbf16; // its functions need BF16; its products are of bf16
#endif

// The path of a name. NULL: the fastest exact one that this processor has; "bf16": the fastest
// whose products are of bf16. NULL when the name is not known or the processor lacks it.
const struct isa *isa_find(const char *name);

#endif
