// What the vector paths of attention have in common before their own operations are known.
#ifndef KERNELS_CPU_ATTENTION_PARTS_H
#define KERNELS_CPU_ATTENTION_PARTS_H

#include "kernels/cpu/attention.h"

enum { MIX = 4 }; // rows that are mixed together

// Some rows of a group: what they are weighed with, and where they are summed.
struct mix {
    const float *p[MIX];
    float shrink[MIX], *out[MIX];
};

// Of a value where it lies in a page.
static inline size_t value_bytes(enum dtype kv) {
    return kv == DTYPE_Q8_0 ? 1 : dtype_bytes(kv);
}

#endif
