// Large zeroed memory of the backend: its own pages, huge where the system has them. Any thread may
// read any of it (chunks of a job go to who comes first), so on a machine of several NUMA nodes
// pages lie on all of them in turn: each thread reads at the speed of all memory controllers
// together, whoever wrote the page first.
#ifndef KERNELS_CPU_REGION_H
#define KERNELS_CPU_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/error.h"

struct region {
    char *data; // page-aligned
    size_t bytes;
};

// What region_map takes for `bytes`: whole huge pages, where it is at least one.
size_t region_bytes(size_t bytes);

// -1 with a sentence that names `what` when the memory is not to be had.
int region_map(struct region *r, size_t bytes, const char *what, struct error *err);

// Places the pages that are not yet written on `nodes` (bits, as machine_nodes) in turn. False: the
// system refuses it (as seccomp profiles of containers do without CAP_SYS_NICE) or has no such
// node; then a page lies near to the thread that writes it first.
bool region_spread(const struct region *r, uint64_t nodes);

void region_unmap(struct region *r);

#endif
