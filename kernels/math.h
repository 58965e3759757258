// Functions whose bits must not depend on the C library: exp, log, sin and cos in float32, Philox,
// and the Gumbel draw (design D5). Plain C arithmetic without contraction, so that every backend
// that includes this file computes the same bits; also valid CUDA C++.
#ifndef KERNELS_MATH_H
#define KERNELS_MATH_H

#endif
