#include <stdio.h>

#include "kernels/kernels.h"

static double gib(uint64_t bytes) {
    return (double)bytes / (1 << 30);
}

void kernels_device_line(const struct device_facts *f, char line[DEVICE_LINE_BYTES]) {
    char capability[48] = "", nodes[32] = "", clock[32] = "", memory_clock[32] = "";
    if (f->major) snprintf(capability, 48, ", compute capability %d.%d", f->major, f->minor);
    if (f->n_nodes > 1) snprintf(nodes, 32, " on %d NUMA nodes", f->n_nodes);
    if (f->clock_mhz) snprintf(clock, 32, " at %d MHz", f->clock_mhz);
    if (f->memory_clock_mhz) snprintf(memory_clock, 32, " at %d MHz", f->memory_clock_mhz);
    snprintf(line, DEVICE_LINE_BYTES, "%s%s, %d %s%s%s, %.1f GiB of memory%s, path %s", f->name,
             capability, f->n_units, f->major ? "SMs" : "cores", nodes, clock, gib(f->memory_bytes),
             memory_clock, f->path);
}
