#include "kernels/cpu/avx2.h"

#include "kernels/cpu/attention_lanes.h"

#include <assert.h>

void attention_avx2(const struct attention_rows *a) {
    assert(a->head_dim % 8 == 0 && a->page_tokens % 8 == 0 && a->n_rows <= ATTENTION_ROWS);
    switch (a->kv) {
    case DTYPE_F32:
        attend(a, DTYPE_F32);
        break;
    case DTYPE_BF16:
        attend(a, DTYPE_BF16);
        break;
    case DTYPE_F16:
        attend(a, DTYPE_F16);
        break;
    default:
        attend(a, DTYPE_Q8_0);
    }
}
