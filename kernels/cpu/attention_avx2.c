#include "kernels/cpu/avx2.h"

#include "kernels/cpu/attention_lanes.h"

void attention_avx2(const struct attention_rows *a) {
    assert(a->head_dim % 8 == 0 && a->page_tokens % 8 == 0);
    attend_rows(a);
}
