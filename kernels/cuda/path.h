// How a device is used: the words behind the slash of a device's name, and the family of products.
#ifndef KERNELS_CUDA_PATH_H
#define KERNELS_CUDA_PATH_H

#include <stdbool.h>

#include "kernels/cuda/ops.h"
#include "protocol/base/error.h"

struct path {
    bool mma, wgmma; // the family of products
    bool launches;   // no graphs
    bool serial;     // no kernel begins before the one before has ended
    bool cublas;     // cuBLASLt for dense products of many tokens, see gemm.h
    bool timed;      // events between launches, times printed at close; implies the two above
};

// Words joined by commas; NULL: none. -1 with a sentence for others.
int path_parse(const char *text, struct path *p, struct error *err);

// The family that the device of this compute capability runs, or -1 where the path asks for one
// that it lacks.
int path_family(const struct path *p, int major, int minor, enum family *out, struct error *err);
const char *path_family_name(enum family family);

#endif
