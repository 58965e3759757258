#include "kernels/cpu/attention.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/feed_forward.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/softmax.h"

const struct isa isa_avx2 = {
    .name = "avx2",
    .bits = "fma",
    .types = TYPE_AVX2,
    .matmul_tile = matmul_tile_avx2,
    .matmul_exact = matmul_tile_avx2,
    .swiglu = feed_forward_swiglu_avx2,
    .rms_norm = rms_norm_avx2,
    .attention = attention_avx2,
    .softmax_is_finite = softmax_is_finite_avx2,
    .softmax_divide = softmax_divide_avx2,
    .softmax_max = softmax_max_avx2,
    .softmax_sum = softmax_sum_avx2,
    .draw_gumbel = draw_gumbel_avx2,
};
