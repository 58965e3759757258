#include "kernels/cpu/avx2.h"

#include "kernels/cpu/attention_lanes.h"

void attention_avx2(const struct attention_rows *a) {
    attend_lanes(a);
}
