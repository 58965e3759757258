// Stacks and shared memory of a block's record.
#ifndef TESTS_CUDASIM_DEVICE_BLOCK_H
#define TESTS_CUDASIM_DEVICE_BLOCK_H

#include "tests/cudasim/device/sanitizer.h"
#include "tests/cudasim/device/sim.h"

namespace cudasim {

// The stride is no power of two, so that the stacks of a warp do not share cache lines' sets.
enum {
    STACK_BYTES = (CUDASIM_ASAN ? 256 : 64) * 1024,
    STACK_STRIDE = STACK_BYTES + 13 * 64,
    // Addresses of shared memory begin behind the system's part, as on sm_90 and later, and end
    // where those of a matrix descriptor end.
    SHARED_RESERVED = 1024,
    WINDOW_BYTES = (256 << 10) - SHARED_RESERVED,
};

inline unsigned char *block_stack(const Block *b, unsigned thread) {
    return b->stacks + (size_t)thread * STACK_STRIDE;
}
void thread_main();

} // namespace cudasim

#endif
