// The instruction set paths: one table of inner loops each, chosen once when a backend is opened.
// All other code of the backend is plain C and the same for every path.
#ifndef KERNELS_CPU_ISA_H
#define KERNELS_CPU_ISA_H

#include <stdbool.h>
#include <stdint.h>

struct attention_rows;
struct matmul_tile;

struct isa {
    const char *name;
    void (*matmul_tile)(const struct matmul_tile *t);
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
extern const struct isa isa_avx2; // its functions need AVX2, FMA and F16C

// The path of a name, NULL: the fastest that this processor has. NULL when the name is not known
// or the processor lacks it.
const struct isa *isa_find(const char *name);

#endif
