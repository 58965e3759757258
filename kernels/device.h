// What a device is and how it would be used, for people.
#ifndef KERNELS_DEVICE_H
#define KERNELS_DEVICE_H

#include <stdint.h>

// 0: not known, or no such thing there.
struct device_facts {
    char name[96];
    char path[32];                   // that would be taken, as in numerics
    int major, minor;                // CUDA's compute capability
    int n_units;                     // cores that may be used, or streaming multiprocessors
    int n_nodes;                     // NUMA nodes on which these cores lie
    int clock_mhz, memory_clock_mhz; // at most
    uint64_t memory_bytes;           // 0: of the machine, not counted
    uint64_t free_bytes;
};
// All of it as one line for people.
enum { DEVICE_LINE_BYTES = 232 };
void kernels_device_line(const struct device_facts *f, char line[DEVICE_LINE_BYTES]);

#endif
