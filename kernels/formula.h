// Values of weights that follow from their place (bench --synthetic), so that every backend may
// make them where they lie: all give the same bits.
#ifndef KERNELS_FORMULA_H
#define KERNELS_FORMULA_H

#include "kernels/digest.h"

// Element i of a weight: `constant` where the deviation is 0, else uniform with mean 0 and that
// deviation, from the seed and i alone.
struct weight_formula {
    uint64_t seed;
    float deviation, constant;
};

ON_DEVICE float formula_value(const struct weight_formula *f, int64_t i) {
    if (f->deviation == 0) return f->constant;
    uint32_t bits = (uint32_t)(digest_mix(f->seed, (uint64_t)i, 0) >> 40); // 24 of them
    float unit = ((float)bits + 0.5f) * 0x1p-23f - 1; // in (-1, 1), of deviation 1 / sqrt(3)
    return unit * f->deviation * 1.7320508f;
}

#endif
