// Counts of what kernels do, one record a kernel name. cudasim.h is how tests read them.
#ifndef TESTS_CUDASIM_DEVICE_COUNTERS_H
#define TESTS_CUDASIM_DEVICE_COUNTERS_H

#include <stdint.h>

#include <string>
#include <vector>

#include "tests/cudasim/device/sim.h"

namespace cudasim {

// Requests of device memory by buffer (memory_part). A request is what the lanes of a warp ask for
// by one instruction; it moves whole sectors of 32 bytes.
struct BufferCounts {
    uint64_t bytes_read, bytes_written, bytes_prefetched;
    uint64_t requests, sectors, sector_bytes_used;
};

struct KernelCounts {
    std::string name;
    uint64_t launches = 0, blocks = 0, barriers = 0;
    uint64_t mma_flops = 0, wgmma_flops = 0;
    uint64_t copies = 0, bulk_copies = 0;
    uint64_t shared_requests = 0, shared_passes = 0, shared_passes_ideal = 0;
    uint64_t atomics = 0, float_atomics = 0;
    std::vector<BufferCounts> buffers; // by number, grown as needed
};

KernelCounts *counters_of(const std::string &kernel);
std::vector<KernelCounts *> counters_all();
void counters_clear();
void counters_add(KernelCounts *into, const KernelCounts &from);

// Bytes of device memory that the current thread's kernel moves. By one lane of a request: counted
// for sectors too, when request counting is on.
void count_bytes(const void *global, uint64_t bytes, bool write);
void count_sectors(const void *global, uint64_t bytes); // a request of its own: bulk copies
void count_prefetch(const void *global, uint64_t bytes);
inline void count_barrier(Block *b) {
    b->grid->counts->barriers++;
}

// One lane's part of a request; caller tells instructions apart. Requests close when all live lanes
// have come to the instruction equally often, or at requests_end. Used when settings.count.
void count_request(const void *address, unsigned bytes, bool shared, const void *caller);
void requests_end(Warp *warp);

} // namespace cudasim

#endif
