// What this process may use of the machine: its CPU affinity and control groups count, not what the
// machine has.
#ifndef PROTOCOL_BASE_MACHINE_H
#define PROTOCOL_BASE_MACHINE_H

#include <stdint.h>

// Processors that the affinity mask allows, and no more than the CPU quota of the control groups
// that this process is in, rounded up. At least 1.
int machine_n_cores(void);

// Bytes of memory that can still be had: what the kernel calls available, and no more than what the
// control groups leave below their limits (page cache counts as free). 0: not known.
uint64_t machine_available_bytes(void);

// NUMA nodes that have a processor and memory which this process may use: bit i is node i, of the
// first 64. Where the system tells of none there is one, node 0.
uint64_t machine_nodes(void);

// The same for a given root of /proc and /sys, for tests.
int machine_n_cores_at(const char *root, int n_allowed);
uint64_t machine_available_bytes_at(const char *root);
uint64_t machine_nodes_at(const char *root);

#endif
