#include "kernels/cpu/neon.h"

#include "kernels/cpu/attention_lanes.h"

#include <assert.h>

void attention_neon(const struct attention_rows *a) {
    assert(a->head_dim % 8 == 0 && a->page_tokens % 8 == 0 && a->n_rows <= ATTENTION_ROWS);
    if (a->kv == DTYPE_F32)
        attend(a, DTYPE_F32);
    else
        attend(a, DTYPE_BF16);
}
