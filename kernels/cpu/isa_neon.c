// Sums of the head and draws are portable C: they have the same bits on every path.
#include "kernels/cpu/attention.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/feed_forward.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/softmax.h"

// What the paths of this processor have in common.
#define NEON_LOOPS                                                                                 \
    .matmul_exact = matmul_tile_neon, .swiglu = feed_forward_swiglu_neon,                          \
    .rms_norm = rms_norm_neon, .attention = attention_neon,                                        \
    .softmax_is_finite = softmax_is_finite_portable, .softmax_divide = softmax_divide_portable,    \
    .softmax_max = softmax_max_portable, .softmax_sum = softmax_sum_portable,                      \
    .draw_gumbel = draw_gumbel_portable

const struct isa isa_neon = {
    .name = "neon",
    .bits = "fma",
    .types = TYPE_NEON,
    .matmul_tile = matmul_tile_neon,
    NEON_LOOPS,
};

// Dot products are of block types only.
const struct isa isa_neondot = {
    .name = "neon-dot",
    .bits = "fma",
    .types = TYPE_NEONDOT,
    .matmul_tile = matmul_tile_neon,
    NEON_LOOPS,
};

const struct isa isa_neonbf16 = {
    .name = "neon-bf16",
    .bits = "neon-bf16",
    .types = TYPE_NEONDOT,
    .is_bf16 = true,
    .matmul_tile = matmul_tile_neonbf16,
    NEON_LOOPS,
};
