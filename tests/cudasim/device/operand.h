// An operand of wgmma in shared memory: a descriptor, decoded bit by bit, and the 16-byte pieces
// that it points to. Layouts: PTX ISA, "Shared Memory Matrix Layout" of wgmma.
#ifndef TESTS_CUDASIM_DEVICE_OPERAND_H
#define TESTS_CUDASIM_DEVICE_OPERAND_H

#include "tests/cudasim/device/sim.h"
#include "tests/cudasim/device/vector.h"

namespace cudasim {

enum { OPERAND_MAX_N = 256 };

// rows: 64 of A, n of B. trans: M or N is the contiguous dimension instead of K. Fails when the
// descriptor is malformed or a piece lies outside of the arrays of the block.
void operand_will_read(race::Token token, Block *b, uint64_t descriptor, int rows, int trans,
                       const char *name, const void *caller);
// As float32: out[row][k], and out[k][row].
void operand_gather_rows(Block *b, uint64_t descriptor, int rows, int trans, float (*out)[16]);
void operand_gather_columns(Block *b, uint64_t descriptor, int rows, int trans,
                            float (*out)[OPERAND_MAX_N]);

} // namespace cudasim

#endif
