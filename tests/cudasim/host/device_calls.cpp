// What the device is, and the few entry points of the driver.
#include <string.h>

#include <cuda.h>

#include "tests/cudasim/host/runtime.h"

using namespace cudasim;

static int n_devices() {
    const char *text = getenv("CUDASIM_DEVICES");
    return text && *text ? atoi(text) : 1;
}
static thread_local int current_device;

extern "C" {

cudaError_t cudaGetDeviceCount(int *n) {
    *n = 0;
    CALL(cudaGetDeviceCount);
    *n = n_devices();
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    CALL(cudaSetDevice);
    if (device < 0 || device >= n_devices()) return result(cudaErrorInvalidDevice);
    current_device = device;
    return cudaSuccess;
}
cudaError_t cudaGetDevice(int *device) {
    CALL(cudaGetDevice);
    *device = current_device;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *version) {
    const char *driver = getenv("CUDASIM_DRIVER");
    *version = driver && strcmp(driver, "none") == 0  ? 0
               : driver && strcmp(driver, "old") == 0 ? 12020
                                                      : CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device) {
    CALL(cudaGetDeviceProperties);
    if (device < 0 || device >= n_devices()) return result(cudaErrorInvalidDevice);
    const Device &d = settings.device;
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s", d.full_name);
    p->totalGlobalMem = d.memory_bytes;
    p->sharedMemPerBlock = 48 << 10;
    p->sharedMemPerBlockOptin = (size_t)d.shared_per_block;
    p->sharedMemPerMultiprocessor = (size_t)d.shared_per_sm;
    p->reservedSharedMemPerBlock = 1024;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->warpSize = WARP;
    p->maxThreadsPerBlock = MAX_THREADS;
    p->maxThreadsPerMultiProcessor = d.threads_per_sm;
    p->maxBlocksPerMultiProcessor = d.blocks_per_sm;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->major = d.major;
    p->minor = d.minor;
    p->multiProcessorCount = d.n_sms;
    p->l2CacheSize = d.l2_bytes;
    p->memoryBusWidth = d.memory_bus_bits;
    p->cooperativeLaunch = p->unifiedAddressing = p->canMapHostMemory = p->asyncEngineCount = 1;
    p->concurrentKernels = 1;
    p->pciBusID = 1 + device;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
    CALL(cudaDeviceGetAttribute);
    if (device < 0 || device >= n_devices()) return result(cudaErrorInvalidDevice);
    const Device &d = settings.device;
    switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
        *value = d.n_sms;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = d.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = d.minor;
        break;
    case cudaDevAttrMaxThreadsPerBlock:
        *value = MAX_THREADS;
        break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = d.threads_per_sm;
        break;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
        *value = d.blocks_per_sm;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = 48 << 10;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = d.shared_per_block;
        break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = d.shared_per_sm;
        break;
    case cudaDevAttrReservedSharedMemoryPerBlock:
        *value = 1024;
        break;
    case cudaDevAttrMaxRegistersPerBlock:
        *value = 65536;
        break;
    case cudaDevAttrMaxRegistersPerMultiprocessor:
        *value = 65536;
        break;
    case cudaDevAttrWarpSize:
        *value = WARP;
        break;
    case cudaDevAttrL2CacheSize:
        *value = d.l2_bytes;
        break;
    case cudaDevAttrClockRate:
        *value = d.clock_khz;
        break;
    case cudaDevAttrMemoryClockRate:
        *value = d.memory_clock_khz;
        break;
    case cudaDevAttrGlobalMemoryBusWidth:
        *value = d.memory_bus_bits;
        break;
    case cudaDevAttrCooperativeLaunch:
        *value = 1;
        break;
    case cudaDevAttrUnifiedAddressing:
        *value = 1;
        break;
    case cudaDevAttrMaxGridDimX:
        *value = 2147483647;
        break;
    case cudaDevAttrMaxGridDimY:
        *value = 65535;
        break;
    case cudaDevAttrMaxGridDimZ:
        *value = 65535;
        break;
    case cudaDevAttrAsyncEngineCount:
        *value = 1;
        break;
    default:
        return result(cudaErrorInvalidValue, "cudaDeviceGetAttribute does not know attribute %d",
                      (int)attribute);
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *id, int length, int device) {
    CALL(cudaDeviceGetPCIBusId);
    if (device < 0 || device >= n_devices()) return result(cudaErrorInvalidDevice);
    snprintf(id, (size_t)length, "0000:%02X:00.0", 1 + device);
    return cudaSuccess;
}

cudaError_t cudaDeviceReset() {
    CALL(cudaDeviceReset);
    run_everything();
    return cudaSuccess;
}

// ---------------------------------------------------------------- the driver

CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                                void *global, const cuuint64_t *sizes, const cuuint64_t *strides,
                                const cuuint32_t *box, const cuuint32_t *element_strides,
                                CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill);

cudaError_t cudaGetDriverEntryPointByVersion(const char *symbol, void **function, unsigned version,
                                             unsigned long long flags,
                                             cudaDriverEntryPointQueryResult *found) {
    CALL(cudaGetDriverEntryPointByVersion);
    (void)flags;
    *function = nullptr;
    bool known = strcmp(symbol, "cuTensorMapEncodeTiled") == 0 && version >= 12000;
    if (known) *function = (void *)cuTensorMapEncodeTiled;
    if (found) *found = known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    if (!known && !found) return result(cudaErrorSymbolNotFound);
    return cudaSuccess;
}

} // extern "C"
