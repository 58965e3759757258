// cudasim.h over the emulator's own records.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cudasim/cudasim.h"
#include "tests/cudasim/device/counters.h"
#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/host/runtime.h"

using namespace cudasim;

static void add_buffer(struct cudasim_counts *c, const BufferCounts &b) {
    c->bytes_read += b.bytes_read;
    c->bytes_written += b.bytes_written;
    c->bytes_prefetched += b.bytes_prefetched;
    c->requests += b.requests;
    c->sectors += b.sectors;
    c->sector_bytes_used += b.sector_bytes_used;
}

static void add_kernel(struct cudasim_counts *c, const KernelCounts &k) {
    c->launches += k.launches;
    c->blocks += k.blocks;
    c->barriers += k.barriers;
    c->mma_flops += k.mma_flops;
    c->wgmma_flops += k.wgmma_flops;
    c->copies += k.copies;
    c->bulk_copies += k.bulk_copies;
    c->shared_requests += k.shared_requests;
    c->shared_passes += k.shared_passes;
    c->shared_passes_ideal += k.shared_passes_ideal;
    c->atomics += k.atomics;
    c->float_atomics += k.float_atomics;
}

static bool matches(const KernelCounts &k, const char *kernel) {
    return k.launches > 0 && (!kernel || k.name.find(kernel) != std::string::npos);
}

static int sum(const char *kernel, unsigned buffer, struct cudasim_counts *counts) {
    int n = 0;
    memset(counts, 0, sizeof *counts);
    for (KernelCounts *k : counters_all()) {
        if (!matches(*k, kernel)) continue;
        n++;
        add_kernel(counts, *k);
        for (unsigned i = 0; i < k->buffers.size(); i++)
            if (buffer == 0 || i == buffer) add_buffer(counts, k->buffers[i]);
    }
    return n;
}

static void print_kernel(FILE *out, const KernelCounts &k) {
    fprintf(out,
            "%s: %llu launches, %llu blocks, %.3g GFLOP mma, %.3g GFLOP wgmma, %llu barriers\n",
            k.name.c_str(), (unsigned long long)k.launches, (unsigned long long)k.blocks,
            (double)k.mma_flops / 1e9, (double)k.wgmma_flops / 1e9, (unsigned long long)k.barriers);
    if (k.shared_requests)
        fprintf(out, "    shared memory: %llu requests, %llu passes, %llu without conflicts\n",
                (unsigned long long)k.shared_requests, (unsigned long long)k.shared_passes,
                (unsigned long long)k.shared_passes_ideal);
    for (unsigned i = 1; i < k.buffers.size(); i++) {
        const BufferCounts &b = k.buffers[i];
        if (!b.bytes_read && !b.bytes_written && !b.bytes_prefetched) continue;
        fprintf(out, "    %s: %llu bytes read, %llu written", memory_buffer(i).name.c_str(),
                (unsigned long long)b.bytes_read, (unsigned long long)b.bytes_written);
        if (b.sectors)
            fprintf(out, ", %llu requests, %llu sectors, %.1f%% of them used",
                    (unsigned long long)b.requests, (unsigned long long)b.sectors,
                    100.0 * (double)b.sector_bytes_used / (32.0 * (double)b.sectors));
        if (b.bytes_prefetched)
            fprintf(out, ", %llu bytes prefetched", (unsigned long long)b.bytes_prefetched);
        fprintf(out, "\n");
    }
}

extern "C" {

int cudasim_counts(const char *kernel, struct cudasim_counts *counts) {
    return sum(kernel, 0, counts);
}
int cudasim_buffer_counts(const char *kernel, const void *address, struct cudasim_counts *counts) {
    unsigned buffer = memory_part(address);
    if (!buffer) fail(nullptr, "cudasim_buffer_counts of %p, which is in no buffer", address);
    return sum(kernel, buffer, counts);
}
void cudasim_clear_counts(void) {
    counters_clear();
    memset(&host_counts, 0, sizeof host_counts);
}
void cudasim_count_requests(int on) {
    settings.count = on != 0;
}
void cudasim_name(const void *address, size_t bytes, const char *name) {
    memory_name(address, bytes, name);
}

void cudasim_print_counts(const char *path) {
    FILE *out = path ? fopen(path, "w") : stderr;
    if (!out) fail(nullptr, "cannot write counts to %s", path);
    for (KernelCounts *k : counters_all())
        if (k->launches) print_kernel(out, *k);
    if (path) fclose(out);
}

void cudasim_host_counts(struct cudasim_host_counts *counts) {
    *counts = host_counts;
}
void cudasim_set(const char *variable, const char *value) {
    setenv(variable, value, 1);
    settings_from_environment();
    failures_from_environment();
}
void cudasim_set_registers(const void *kernel, int n) {
    set_registers(kernel, n);
}
void cudasim_lose_device(int cuda_error) {
    lose_device((cudaError_t)cuda_error);
}

} // extern "C"

__attribute__((destructor)) static void at_exit() {
    const char *path = getenv("CUDASIM_COUNTS");
    if (path && *path) cudasim_print_counts(path);
}
