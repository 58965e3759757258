#include "kernels/cpu/isa.h"

#include <stddef.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include "kernels/amx.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/feed_forward.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/softmax.h"
#include "kernels/processor.h"

const struct isa isa_portable = {
    .name = "portable",
    .bits = "portable",
    .types = TYPE_PORTABLE,
    .matmul_tile = matmul_tile_portable,
    .matmul_exact = matmul_tile_portable,
    .swiglu = feed_forward_swiglu_portable,
    .rms_norm = rms_norm_portable,
    .attention = attention_portable,
    .softmax_is_finite = softmax_is_finite_portable,
    .softmax_divide = softmax_divide_portable,
    .softmax_max = softmax_max_portable,
    .softmax_sum = softmax_sum_portable,
    .draw_gumbel = draw_gumbel_portable,
};

#if defined(__x86_64__)
static bool has_avx2(void) {
    unsigned a, b, c, d; // f16c is bit 29 of ecx; clang's builtin does not know its name
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1) && __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("fma");
}

static bool has_avx512(void) {
    return has_avx2() && processor_has_avx512();
}

static bool has_avx512bf16(void) {
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}

static bool has_amx(void) {
    return has_avx512bf16() && amx_is_there();
}
#elif defined(__aarch64__)
static bool has_dot(void) {
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
}

static bool has_bf16(void) {
    return has_dot() && (getauxval(AT_HWCAP2) & HWCAP2_BF16);
}
#endif

// The fastest first.
static const struct {
    const struct isa *isa;
    bool (*is_there)(void);
} paths[] = {
#if defined(__x86_64__)
    {&isa_amxbf16, has_amx}, {&isa_avx512bf16, has_avx512bf16},
    {&isa_amx, has_amx},     {&isa_avx512, has_avx512},
    {&isa_avx2, has_avx2},
#elif defined(__aarch64__)
    {&isa_neonbf16, has_bf16},
    {&isa_neondot, has_dot},
    {&isa_neon, NULL},
#endif
    {&isa_portable, NULL},
};

static bool is_wanted(const struct isa *isa, const char *name) {
    if (!name) return !isa->is_bf16;
    return strcmp(name, "bf16") == 0 ? isa->is_bf16 : strcmp(name, isa->name) == 0;
}

const struct isa *isa_find(const char *name) {
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (is_wanted(paths[i].isa, name) && (!paths[i].is_there || paths[i].is_there()))
            return paths[i].isa;
    return NULL;
}
