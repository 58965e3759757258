#include "kernels/cpu/attention.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/feed_forward.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/softmax.h"

// What the paths with AVX-512 have in common.
#define AVX512_LOOPS                                                                               \
    .matmul_exact = matmul_tile_avx512, .swiglu = feed_forward_swiglu_avx512,                      \
    .rms_norm = rms_norm_avx2, .attention = attention_avx512,                                      \
    .softmax_is_finite = softmax_is_finite_avx2, .softmax_divide = softmax_divide_avx2,            \
    .softmax_max = softmax_max_avx2, .softmax_sum = softmax_sum_avx2,                              \
    .draw_gumbel = draw_gumbel_avx2

const struct isa isa_avx512 = {
    .name = "avx512",
    .bits = "fma",
    .types = TYPE_AVX512,
    .matmul_tile = matmul_tile_avx512,
    AVX512_LOOPS,
};

const struct isa isa_avx512bf16 = {
    .name = "avx512-bf16",
    .bits = "avx512-bf16",
    .types = TYPE_AVX512,
    .is_bf16 = true,
    .matmul_tile = matmul_tile_avx512bf16,
    AVX512_LOOPS,
};

const struct isa isa_amx = {
    .name = "amx",
    .bits = "fma",
    .types = TYPE_AMX,
    .matmul_tile = matmul_tile_avx512,
    AVX512_LOOPS,
};

const struct isa isa_amxbf16 = {
    .name = "amx-bf16",
    .bits = "amx-bf16",
    .types = TYPE_AMX,
    .is_bf16 = true,
    .matmul_tile = matmul_tile_amxbf16,
    AVX512_LOOPS,
};
