// As isa_neon.c: dot products are of block types only, which choose by the path's name.
#include "kernels/cpu/attention.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/feed_forward.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/softmax.h"

const struct isa isa_neondot = {
    .name = "neon-dot",
    .bits = "fma",
    .matmul_tile = matmul_tile_neon,
    .matmul_exact = matmul_tile_neon,
    .swiglu = feed_forward_swiglu_neon,
    .rms_norm = rms_norm_neon,
    .attention = attention_neon,
    .softmax_is_finite = softmax_is_finite_portable,
    .softmax_divide = softmax_divide_portable,
    .softmax_max = softmax_max_portable,
    .softmax_sum = softmax_sum_portable,
    .draw_gumbel = draw_gumbel_portable,
};
