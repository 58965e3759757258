// Four floats at once in plain C (GNU vectors: SSE2, NEON, or scalar code where there is neither).
// What is packed with them has the same bits everywhere.
#ifndef KERNELS_TYPES_LANES_H
#define KERNELS_TYPES_LANES_H

#include <stdint.h>
#include <string.h>

enum { LANES = 4 };
typedef float lanes __attribute__((vector_size(16)));
typedef int32_t lanes_mask __attribute__((vector_size(16)));

static inline lanes lanes_at(const float *x) {
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline lanes lanes_all(float x) {
    return (lanes){x, x, x, x};
}

// `yes` where the mask is set, else `no`.
static inline lanes lanes_choose(lanes_mask mask, lanes yes, lanes no) {
    return (lanes)((mask & (lanes_mask)yes) | (~mask & (lanes_mask)no));
}

// The whole number nearest to v, halves up, within 0 .. top; 0 for what is no number.
static inline lanes lanes_nearest(lanes v, lanes top) {
    v = (lanes)((v > 0) & (lanes_mask)v);
    v = lanes_choose(v < top, v, top);
    lanes_mask whole = __builtin_convertvector(v + 0.5f, lanes_mask);
    return __builtin_convertvector(whole, lanes);
}

static inline float lanes_total(lanes v) {
    return (v[0] + v[2]) + (v[1] + v[3]);
}

#endif
