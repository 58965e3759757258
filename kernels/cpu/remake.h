// The weights of an update, made beside those that serve and exchanged with them at the commit.
//
// They are made while decoding goes on, in a second place for each weight (cpu.next): what is
// resident is copied there, unless all of it changes, and what changes is laid over it. That is
// the values that are staged or, beside a master, the blocks in which an element changes, packed
// anew. The apply exchanges the places, and so does taking it back.
//
// So decoding pauses for a pointer a weight, and for the exchange of a master's values: not for
// packing (of 1% of the values at random 28% of the blocks of 32 change and 92% of those of 256,
// and to exchange these where they lie would be to copy all tiles), nor for memory that has a
// changed value in every fourth of its cache lines.
#ifndef KERNELS_CPU_REMAKE_H
#define KERNELS_CPU_REMAKE_H

#include "kernels/cpu/backend.h"

// What is packed adds itself to a sum (cpu.next_sums), by which damage is found later
// (weight_digest).
//
// remake of backend_ops, on the threads of checks.
int cpu_remake(struct backend *b, const struct weight_change *changes, int n, int *bad,
               struct error *err);

// Exchanges what was remade with what is resident.
void remake_exchange(struct cpu *c, const struct weight_change *changes, int n);

#endif
