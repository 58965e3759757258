#include "kernels/cpu/isa.h"

#include <stddef.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "kernels/cpu/attention.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/feed_forward.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/softmax.h"

const struct isa isa_portable = {
    .name = "portable",
    .matmul_tile = matmul_tile_portable,
    .swiglu = feed_forward_swiglu_portable,
    .rms_norm = rms_norm_portable,
    .attention = attention_portable,
    .softmax_is_finite = softmax_is_finite_portable,
    .softmax_divide = softmax_divide_portable,
    .softmax_max = softmax_max_portable,
    .softmax_sum = softmax_sum_portable,
    .draw_gumbel = draw_gumbel_portable,
};

static bool has_avx2(void) {
#if defined(__x86_64__)
    unsigned a, b, c, d; // f16c is bit 29 of ecx; clang's builtin does not know its name
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1) && __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

const struct isa *isa_find(const char *name) {
    if (!name) return has_avx2() ? &isa_avx2 : &isa_portable;
    if (strcmp(name, "avx2") == 0) return has_avx2() ? &isa_avx2 : NULL;
    return strcmp(name, "portable") == 0 ? &isa_portable : NULL;
}
