// Weights in the layout of the products, kept in a file, and mapped from there: no source is read,
// nothing is packed anew, and processes that map the same file share its memory.
//
// The layout is the same for all instruction set paths. Numbers are the machine's, little-endian.
#ifndef KERNELS_CPU_PACKED_H
#define KERNELS_CPU_PACKED_H

#include "kernels/kernels.h"

// Changes with every change of what packed bytes are: of matmul.h's and types.h's layouts, of
// how type_pack rounds, of the order of the weights. tests/kernels/test_packed.c says when.
enum { PACKED_LAYOUT = 1 };

// backend_ops.packed_map and packed_keep.
int cpu_packed_map(struct backend *b, const char *path, uint64_t source, uint64_t *digests,
                   struct error *err);
int cpu_packed_keep(struct backend *b, const char *path, uint64_t source, const uint64_t *digests,
                    struct error *err);

#endif
