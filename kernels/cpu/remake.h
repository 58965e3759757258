// Resident weights made anew from the master and what is staged: of a block type, the blocks in
// which an element changes.
//
// They are made while decoding goes on, in a second place for each weight (cpu.next): what is
// resident is copied there, and the blocks that change are packed over it. The apply exchanges the
// places, and so does taking it back. So decoding pauses for the master's exchange and for a
// pointer a weight, not for packing: of 1% of the values at random 28% of the blocks of 32 change
// and 92% of those of 256, and to exchange these where they lie would be to copy all tiles.
#ifndef KERNELS_CPU_REMAKE_H
#define KERNELS_CPU_REMAKE_H

#include "kernels/cpu/backend.h"

// What is made adds itself to a sum (cpu.next_sums), by which damage is found later
// (weight_digest).
//
// remake of backend_ops, on the threads of checks.
int cpu_remake(struct backend *b, const struct weight_change *changes, int n, int *bad,
               struct error *err);

// Exchanges what was remade with what is resident.
void remake_exchange(struct cpu *c, const struct weight_change *changes, int n);

#endif
