#include "kernels/cuda/describe.h"

#include <cuda_runtime_api.h>
#include <stdio.h>

#include "kernels/cuda/errors.h"
#include "kernels/cuda/path.h"

static int attribute(int device, enum cudaDeviceAttr which, int *status) {
    int value = 0;
    if (!*status) *status = (int)cudaDeviceGetAttribute(&value, which, device);
    return value;
}

int cuda_describe(int device, const char *path, struct device_facts *out, struct error *err) {
    struct path p;
    struct cudaDeviceProp properties;
    enum family family;
    size_t free_bytes = 0, total = 0;
    *out = (struct device_facts){0};
    if (path_parse(path, &p, err) || errors_device(err, device)) return -1;
    int status = (int)cudaGetDeviceProperties(&properties, device);
    out->major = attribute(device, cudaDevAttrComputeCapabilityMajor, &status);
    out->minor = attribute(device, cudaDevAttrComputeCapabilityMinor, &status);
    out->n_units = attribute(device, cudaDevAttrMultiProcessorCount, &status);
    out->clock_mhz = attribute(device, cudaDevAttrClockRate, &status) / 1000;
    out->memory_clock_mhz = attribute(device, cudaDevAttrMemoryClockRate, &status) / 1000;
    if (!status) status = (int)cudaSetDevice(device);
    if (!status) status = (int)cudaMemGetInfo(&free_bytes, &total);
    if (status) return errors_open(err, status, "asking what it is");
    if (path_family(&p, out->major, out->minor, &family, err)) return -1;
    snprintf(out->name, sizeof out->name, "%.95s", properties.name);
    snprintf(out->path, sizeof out->path, "%s", path_family_name(family));
    out->memory_bytes = total;
    out->free_bytes = free_bytes;
    return 0;
}
