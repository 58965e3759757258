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
    // The dynamic parts lie in the first half, whose addresses fit a matrix descriptor.
    WINDOW_BYTES = 512 << 10,
    STATIC_BEGIN = WINDOW_BYTES / 2,
};

inline unsigned char *block_stack(const Block *b, unsigned thread) {
    return b->stacks + (size_t)thread * STACK_STRIDE;
}
void thread_main();

} // namespace cudasim

#endif
