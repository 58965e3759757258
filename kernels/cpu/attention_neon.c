#include "kernels/cpu/neon.h"

#include "kernels/cpu/attention_lanes.h"

void attention_neon(const struct attention_rows *a) {
    attend_lanes(a);
}
