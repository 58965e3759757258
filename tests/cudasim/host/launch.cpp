// Launching kernels: limits of the device, function attributes, occupancy.
#include <cxxabi.h>
#include <dlfcn.h>
#include <stdlib.h>

#include <algorithm>
#include <map>

#include "tests/cudasim/host/runtime.h"

namespace cudasim {

struct Function {
    size_t dynamic_limit = 48 << 10;
    int n_registers = 128; // assumed where occupancy asks; cudasim_set_registers
};
static std::map<const void *, Function> functions;

static std::string name_of(const void *kernel) {
    Dl_info info;
    if (!dladdr(kernel, &info) || !info.dli_sname) return text("the kernel at %p", kernel);
    int status;
    char *name = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
    std::string plain = name ? name : info.dli_sname;
    free(name);
    // Without the result type and the arguments: "gemm<128, 64>".
    size_t end = plain.rfind('(');
    if (end != std::string::npos) plain.resize(end);
    if (plain.compare(0, 5, "void ") == 0) plain.erase(0, 5);
    return plain;
}

size_t blocks_per_sm(const Grid &g, size_t static_bytes) {
    const Device &d = settings.device;
    size_t threads = (size_t)g.block.x * g.block.y * g.block.z;
    size_t by_threads = (size_t)d.threads_per_sm / ((threads + WARP - 1) / WARP * WARP);
    // Each block takes 1 KB more than it asks for.
    size_t by_shared = (size_t)d.shared_per_sm / (g.shared_bytes + static_bytes + 1024);
    return std::min({by_threads, by_shared, (size_t)d.blocks_per_sm});
}

static cudaError_t check_limits(const Grid &g, const Function &f) {
    const Device &d = settings.device;
    uint64_t threads = (uint64_t)g.block.x * g.block.y * g.block.z;
    const char *name = g.name.c_str();
    if (threads == 0 || threads > MAX_THREADS || g.block.x > 1024 || g.block.y > 1024 ||
        g.block.z > 64)
        return result(cudaErrorInvalidConfiguration, "%s: blocks of %u x %u x %u threads", name,
                      g.block.x, g.block.y, g.block.z);
    if (g.n_blocks == 0 || g.grid.x > 0x7fffffff || g.grid.y > 65535 || g.grid.z > 65535)
        return result(cudaErrorInvalidConfiguration, "%s: a grid of %u x %u x %u blocks", name,
                      g.grid.x, g.grid.y, g.grid.z);
    if (g.shared_bytes > (size_t)d.shared_per_block)
        return result(cudaErrorInvalidValue, "%s: %zu bytes of dynamic shared memory; %s has %d",
                      name, g.shared_bytes, d.full_name, d.shared_per_block);
    if (g.shared_bytes > f.dynamic_limit)
        return result(cudaErrorInvalidValue,
                      "%s: %zu bytes of dynamic shared memory; allow_shared "
                      "was called for %zu",
                      name, g.shared_bytes, f.dynamic_limit);
    if (g.cluster_blocks > 1 && (!d.has(90) || g.cluster_blocks > 8 || g.grid.x % g.cluster_blocks))
        return result(cudaErrorInvalidConfiguration, "%s: clusters of %u in a grid of %u blocks",
                      name, g.cluster_blocks, g.grid.x);
    if (g.programmatic && !d.has(90))
        return result(cudaErrorNotSupported, "%s: programmatic launches need sm_90", name);
    uint64_t at_once = blocks_per_sm(g, 0) * (uint64_t)d.n_sms;
    if (g.cooperative && g.n_blocks > at_once)
        return result(cudaErrorCooperativeLaunchTooLarge,
                      "%s: %llu blocks in a cooperative launch; %llu fit", name,
                      (unsigned long long)g.n_blocks, (unsigned long long)at_once);
    return cudaSuccess;
}

static void read_attributes(const cudaLaunchConfig_t &config, Grid *g) {
    for (unsigned i = 0; i < config.numAttrs; i++) {
        const cudaLaunchAttribute &a = config.attrs[i];
        if (a.id == cudaLaunchAttributeProgrammaticStreamSerialization)
            g->programmatic = a.val.programmaticStreamSerializationAllowed != 0;
        else if (a.id == cudaLaunchAttributeCooperative)
            g->cooperative = a.val.cooperative != 0;
        else if (a.id == cudaLaunchAttributeClusterDimension)
            g->cluster_blocks = a.val.clusterDim.x;
        else
            fail(nullptr, "the emulator does not know launch attribute %d", (int)a.id);
    }
}

cudaError_t launch(const cudaLaunchConfig_t *config, const void *kernel, void (*body)(const void *),
                   std::shared_ptr<const void> arguments, size_t arguments_bytes) {
    CALL(cudaLaunchKernelExC);
    Stream *s = stream_of(config->stream);
    if (!s) return result(cudaErrorInvalidResourceHandle, "a stream that does not exist");
    auto g = std::make_shared<Grid>();
    g->name = name_of(kernel);
    g->call = body;
    g->arguments = std::move(arguments);
    g->arguments_bytes = arguments_bytes;
    g->grid = config->gridDim;
    g->block = config->blockDim;
    g->shared_bytes = config->dynamicSmemBytes;
    g->n_blocks = (uint64_t)g->grid.x * g->grid.y * g->grid.z;
    read_attributes(*config, g.get());
    cudaError_t status = check_limits(*g, functions[kernel]);
    if (status != cudaSuccess) return status;
    host_counts.kernel_launches++;
    Work work = {g->name, nullptr, g};
    work.programmatic = g->programmatic;
    return result(enqueue(s, work));
}

void set_registers(const void *kernel, int n) {
    functions[kernel].n_registers = n;
}

} // namespace cudasim

using namespace cudasim;

extern "C" {

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value) {
    CALL(cudaFuncSetAttribute);
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0)
        return result(cudaErrorInvalidValue);
    if (value > settings.device.shared_per_block)
        return result(cudaErrorInvalidValue, "%s: %d bytes of dynamic shared memory; %s has %d",
                      name_of(kernel).c_str(), value, settings.device.full_name,
                      settings.device.shared_per_block);
    functions[kernel].dynamic_limit = (size_t)value;
    return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, const void *kernel,
                                                                   int n_threads,
                                                                   size_t shared_bytes, unsigned) {
    CALL(cudaOccupancyMaxActiveBlocksPerMultiprocessor);
    if (n_threads < 1 || n_threads > MAX_THREADS) return result(cudaErrorInvalidValue);
    const Function &f = functions[kernel];
    Grid g;
    g.block = dim3((unsigned)n_threads);
    g.shared_bytes = shared_bytes;
    // Registers are handed out by 256 a warp.
    size_t warps = ((size_t)n_threads + WARP - 1) / WARP;
    size_t a_warp = ((size_t)f.n_registers * WARP + 255) / 256 * 256;
    size_t by_registers = 65536 / (warps * a_warp);
    *n = (int)std::min(blocks_per_sm(g, 0), by_registers);
    if (shared_bytes > f.dynamic_limit) *n = 0;
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n, const void *kernel, int n_threads,
                                                          size_t shared_bytes) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(n, kernel, n_threads,
                                                                  shared_bytes, 0);
}

} // extern "C"
