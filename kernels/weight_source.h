// Where weights come from when a backend loads them.
#ifndef KERNELS_WEIGHT_SOURCE_H
#define KERNELS_WEIGHT_SOURCE_H

#include <stdint.h>

#include "kernels/formula.h"
#include "protocol/base/error.h"

// read() gives elements first .. first + n - 1 of weight `index` in its resident type, in row-major
// order and any alignment: in `room` (n elements), or where they lie, for as long as the load
// lasts. NULL with a sentence when they are not to be had. Several threads may call it at once. n
// is at most WEIGHT_CHUNK.
enum { WEIGHT_CHUNK = 1 << 16 };
struct weight_source {
    const void *self;
    const void *(*read)(const void *self, int index, int64_t first, int64_t n, void *room,
                        struct error *err);
    // With a master: the same of its values, in its types.
    const void *(*read_master)(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err);
    // NULL, or what the values follow from: rounded to the resident type (tensor.h) they are those
    // of read(), and a backend may make them itself.
    struct weight_formula (*formula)(const void *self, int index);
};

#endif
