// Counts of the host's copies, for cudasim.h.
#ifndef TESTS_CUDASIM_HOST_COPIES_H
#define TESTS_CUDASIM_HOST_COPIES_H

#include <stdint.h>

namespace cudasim {
struct CopyCounts {
    uint64_t copies, bytes, pageable; // pageable: not asynchronous, whatever their name
};
extern CopyCounts copy_counts;
} // namespace cudasim

#endif
