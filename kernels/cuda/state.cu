// Moves of KV pages and conv slots: copies, and suspensions and resumptions through the arena in
// pinned memory of the host, which the device reads and writes over the bus. 16 bytes a thread.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/ops_memory.h"

enum { COPY_THREADS = 256, COPY_BLOCKS = 8 }; // blocks a copy

__global__ void __launch_bounds__(COPY_THREADS)
    copy_states(const struct state_copy *copies, int n) {
    for (int i = blockIdx.y; i < n; i += gridDim.y) {
        const struct state_copy c = copies[i];
        int64_t n_words = c.bytes / 16, stride = (int64_t)gridDim.x * COPY_THREADS;
        for (int64_t k = (int64_t)blockIdx.x * COPY_THREADS + threadIdx.x; k < n_words; k += stride)
            ((uint4 *)c.to)[k] = ((const uint4 *)c.from)[k];
    }
}

int state_launch(const struct queue *q, const struct state_copy *copies, int n) {
    struct launch how;
    how.grid = dim3(COPY_BLOCKS, n < 1024 ? n : 1024);
    how.block = dim3(COPY_THREADS);
    how.stream = (cudaStream_t)q->stream;
    return launch_kernel(how, copy_states, copies, n);
}
