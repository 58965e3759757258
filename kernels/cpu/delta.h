// Weight updates on the CPU: staged changes are proved, and exchanged with the resident weights.
#ifndef KERNELS_CPU_DELTA_H
#define KERNELS_CPU_DELTA_H

#include "kernels/kernels.h"

// stage, check and apply of backend_ops. check() runs on threads of its own, so that the blocks of
// a step have the pool.
int cpu_stage(struct backend *b, uint64_t offset, uint64_t n_bytes, const void *bytes,
              struct error *err);
int cpu_check(struct backend *b, const struct weight_change *changes, int n,
              struct change_sums *sums, int *bad, struct error *err);
int cpu_apply(struct backend *b, const struct weight_change *changes, int n, struct error *err);

#endif
