// The machine's limit for products: multiply-adds with everything in registers, for `bench`.
#ifndef KERNELS_CPU_PEAK_H
#define KERNELS_CPU_PEAK_H

#include "kernels/kernels.h"

enum { PEAK_CHAINS = 12, PEAK_LANES = 8 }; // as the product's largest tile

// n rounds of PEAK_CHAINS * PEAK_LANES independent multiply-adds; returns a value of them all, so
// that no compiler drops them.
float peak_portable(int n);
float peak_avx2(int n);

// backend_ops.peak_flops of this backend.
double peak_flops(struct backend *b);

#endif
