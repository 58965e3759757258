// Large zeroed memory of the backend: its own pages, huge where the system has them.
#ifndef KERNELS_CPU_REGION_H
#define KERNELS_CPU_REGION_H

#include <stddef.h>

#include "protocol/base/error.h"

struct region {
    char *data; // page-aligned
    size_t bytes;
};

// What region_map takes for `bytes`: whole huge pages, where it is at least one.
size_t region_bytes(size_t bytes);

// -1 with a sentence that names `what` when the memory is not to be had.
int region_map(struct region *r, size_t bytes, const char *what, struct error *err);
void region_unmap(struct region *r);

#endif
