// The emulator's interface for tests, in C: what was counted, settings, names of buffers. A test
// that opens a shared object finds these by dlsym.
#ifndef TESTS_CUDASIM_CUDASIM_H
#define TESTS_CUDASIM_CUDASIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ------------------------------------------------------------------ what kernels did

// Bytes and requests count device memory. Ordinary loads and stores are seen in the race build
// alone; cp.async, bulk copies, wgmma, mma.sync, load_streamed_16 and atomics in all. Requests,
// sectors and passes of shared memory count after cudasim_count_requests(1).
struct cudasim_counts {
    uint64_t launches, blocks, barriers; // barriers: arrivals of threads at __syncthreads, bar.sync
    uint64_t mma_flops, wgmma_flops;
    uint64_t copies, bulk_copies; // cp.async by thread; calls of the bulk engine
    uint64_t bytes_read, bytes_written;
    uint64_t bytes_prefetched;    // to the L2 cache; not in bytes_read
    uint64_t requests;            // by warps, of device memory
    uint64_t sectors;             // of 32 bytes that those moved
    uint64_t sector_bytes_used;   // of their bytes, those that a lane asked for
    uint64_t shared_requests;     // by warps, of shared memory
    uint64_t shared_passes;       // cycles that they take with their bank conflicts
    uint64_t shared_passes_ideal; // and without
    uint64_t atomics, float_atomics;
};
// The sum over the kernels whose name holds the text; null: all. Returns how many kernels those
// are.
int cudasim_counts(const char *kernel, struct cudasim_counts *counts);
// The same, of device memory the part that lies in the buffer (or named part) of the address.
int cudasim_buffer_counts(const char *kernel, const void *address, struct cudasim_counts *counts);
void cudasim_clear_counts(void);
void cudasim_count_requests(int on);
// Names a buffer, or a part of one, in counts and messages. bytes 0: the whole buffer.
void cudasim_name(const void *address, size_t bytes, const char *name);
// A line for each kernel and buffer. path null: stderr. Also at exit, to the file $CUDASIM_COUNTS.
void cudasim_print_counts(const char *path);

// ------------------------------------------------------------------ what the host did

struct cudasim_host_counts {
    uint64_t kernel_launches, graph_launches; // calls, kernels inside of graphs not counted
    uint64_t copies, copied_bytes;
    uint64_t pageable_copies;              // calls of cudaMemcpyAsync that are not asynchronous
    uint64_t waits;                        // calls that wait for the device
    uint64_t allocations, allocated_bytes; // of device memory
};
void cudasim_host_counts(struct cudasim_host_counts *counts);

// ------------------------------------------------------------------ settings

// The same as the environment's (README.md): "CUDASIM_SEED", "7". Ends the process when the value
// is none.
void cudasim_set(const char *variable, const char *value);
// Registers of a kernel, for the occupancy functions: ptxas knows them, the emulator does not.
void cudasim_set_registers(const void *kernel, int n);
// Every call of the runtime fails with this error from here on.
void cudasim_lose_device(int cuda_error);

#ifdef __cplusplus
}
#endif
#endif
