#include "kernels/cpu/attention.h"
#include "kernels/cpu/draw.h"
#include "kernels/cpu/feed_forward.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/softmax.h"

const struct isa isa_avx2 = {
    .name = "avx2",
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
