// Where a thread of a kernel stands. The emulator's own records of threads and blocks begin with
// these; kernels read them through threadIdx, blockIdx, blockDim and gridDim.
#ifndef TESTS_CUDASIM_DEVICE_PLACE_H
#define TESTS_CUDASIM_DEVICE_PLACE_H

#include <vector_types.h>

namespace cudasim {

struct BlockPlace {
    uint3 block_index;
    dim3 block_dim, grid_dim;
};
struct Place {
    uint3 thread_index;
    const BlockPlace *block;
};
// Atomic operations of builtins.h.
enum Atomic { ADD, EXCHANGE, MIN, MAX, AND, OR, XOR, COMPARE, INCREMENT, DECREMENT };
enum Kind { SIGNED, UNSIGNED, FLOAT };

// The thread that runs; null while host code runs. One module's slot, so that it costs one load.
extern thread_local Place *place __attribute__((tls_model("initial-exec")));

} // namespace cudasim

#endif
