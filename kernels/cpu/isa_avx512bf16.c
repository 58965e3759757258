#include "kernels/cpu/attention.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/feed_forward.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/softmax.h"

const struct isa isa_avx512bf16 = {
    .name = "avx512-bf16",
    .bits = "avx512-bf16",
    .is_bf16 = true,
    .matmul_tile = matmul_tile_avx512bf16,
    .matmul_exact = matmul_tile_avx512,
    .swiglu = feed_forward_swiglu_avx512,
    .rms_norm = rms_norm_avx2,
    .attention = attention_avx512,
    .softmax_is_finite = softmax_is_finite_avx2,
    .softmax_divide = softmax_divide_avx2,
    .softmax_max = softmax_max_avx2,
    .softmax_sum = softmax_sum_avx2,
    .draw_gumbel = draw_gumbel_avx2,
};
