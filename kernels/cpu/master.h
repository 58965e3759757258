// The master (delta.h): all weights once more, as floats in row-major order, which updates
// change.
#ifndef KERNELS_CPU_MASTER_H
#define KERNELS_CPU_MASTER_H

#include "kernels/cpu/region.h"
#include "kernels/cpu/weights.h"

struct master {
    struct weight_slot *slots; // (weights) WEIGHT_PLAIN
    struct region region;
};

// Bytes of all weights. `dtypes`: type of each, by index.
size_t master_bytes(const struct model_shape *shape, const enum dtype *dtypes);

int master_open(struct master *m, const struct model_shape *shape, const enum dtype *dtypes,
                struct error *err);
void master_close(struct master *m);

// Elements first .. first + n - 1, in the weight's type.
void master_write(struct master *m, int index, int64_t first, int64_t n, const void *values);

// The same as float32. n is small.
void master_floats(const struct master *m, int index, int64_t first, int64_t n, float *out);

#endif
