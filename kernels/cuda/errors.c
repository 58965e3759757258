#include "kernels/cuda/errors.h"

#include <cuda_runtime_api.h>
#include <stdlib.h>

static int no_driver(struct error *err) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0)
        return error_set(err, ERROR_CONFIG,
                         "There is no CUDA driver on this machine; device cuda needs NVIDIA's "
                         "driver for CUDA %d.%d or later.",
                         CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    return error_set(err, ERROR_CONFIG,
                     "The CUDA driver is for CUDA %d.%d; this program needs one for CUDA %d.%d or "
                     "later.",
                     driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
                     CUDART_VERSION % 1000 / 10);
}

int errors_open(struct error *err, int status, const char *what) {
    if (status == cudaErrorInsufficientDriver) return no_driver(err);
    if (status == cudaErrorMemoryAllocation) {
        size_t free_bytes = 0, total = 0;
        if (cudaMemGetInfo(&free_bytes, &total)) free_bytes = total = 0;
        return error_set(err, ERROR_MEMORY,
                         "No memory for %s: the CUDA device has %.1f GiB of %.1f GiB left.", what,
                         (double)free_bytes / (1 << 30), (double)total / (1 << 30));
    }
    return error_set(err, ERROR_CONFIG, "The CUDA device cannot be used, at %s: %s (%s).", what,
                     cudaGetErrorString((cudaError_t)status),
                     cudaGetErrorName((cudaError_t)status));
}

int errors_run(struct error *err, int status, const char *what) {
    if (status == cudaErrorMemoryAllocation) return errors_open(err, status, what);
    return error_set(err, ERROR_IO, "The CUDA device was lost in mid-run, at %s: %s (%s).", what,
                     cudaGetErrorString((cudaError_t)status),
                     cudaGetErrorName((cudaError_t)status));
}

// The first to call CUDA. All kernels are loaded when the device is opened: by default each is at
// its first launch, which takes memory in mid-run and waits for all that the device does, a
// broadcast of NCCL too.
int errors_n_devices(struct error *err, int *n) {
    setenv("CUDA_MODULE_LOADING", "EAGER", 0);
    cudaError_t status = cudaGetDeviceCount(n);
    if (status == cudaErrorNoDevice || (status == cudaSuccess && *n == 0))
        return error_set(err, ERROR_CONFIG, "There is no CUDA device on this machine.");
    return status ? errors_open(err, status, "counting devices") : 0;
}

int errors_device(struct error *err, int index) {
    int n = 0, major = 0, minor = 0;
    cudaError_t status;
    if (errors_n_devices(err, &n)) return -1;
    if (index >= n)
        return error_set(err, ERROR_USAGE,
                         "CUDA device %d does not exist; this machine has %d, numbered from 0.",
                         index, n);
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
    status = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index);
    if (status) return errors_open(err, status, "asking for its compute capability");
    if (major >= 8) return 0;
    return error_set(err, ERROR_CONFIG,
                     "CUDA device %d has compute capability %d.%d; 8.0 or later is needed.", index,
                     major, minor);
}
