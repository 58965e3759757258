// The scales of K types: least squares from a few first scales, of which the best is taken.
//
// The first scales are tried side by side, a lane each, so that compilers make vectors of them.
// Every sum goes over the values in order, with one rounding an operation: all paths give the same
// bits.
#ifndef KERNELS_TYPES_FIT_H
#define KERNELS_TYPES_FIT_H

enum { FIT_RANGE = 32, FIT_SIGNED = 16 }; // values

struct fit {
    float scale, min;
};

// A path; values x are finite.
struct fit_ops {
    // Of x = scale * w - min, w from 0 to `top`. Large values count more: weights are
    // 1 + x^2 / mean x^2.
    struct fit (*range)(const float x[FIT_RANGE], int top);
    // Of x = scale * w, w from -32 to 31, each value weighted by its square. The scale's sign is
    // such that the largest value is at -32.
    float (*signed_scale)(const float x[FIT_SIGNED]);
};

// The fastest that runs here.
const struct fit_ops *fit_ops(void);

extern const struct fit_ops fit_portable, fit_avx2, fit_avx512;

#endif
