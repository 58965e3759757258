// Allocation and copies. Page-locked and pageable host memory behave as NVIDIA documents it ("API
// synchronization behavior"): only copies of page-locked memory are asynchronous.
#include <string.h>

#include <map>

#include "tests/cudasim/device/counters.h"
#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/host/runtime.h"

using namespace cudasim;

namespace cudasim {

static std::map<const char *, size_t> registered; // by cudaHostRegister

bool is_host_registered(const void *p) {
    auto after = registered.upper_bound((const char *)p);
    if (after == registered.begin()) return false;
    --after;
    return (const char *)p < after->first + after->second;
}

static bool is_page_locked(const void *p) {
    return memory_is_pinned(p) || is_host_registered(p);
}

// What is wrong with a copy's pointers; null: nothing. Infers the direction of cudaMemcpyDefault.
static const char *check_copy(void *to, const void *from, size_t bytes, cudaMemcpyKind *kind) {
    bool to_device = memory_is_device(to), from_device = memory_is_device(from);
    if (*kind == cudaMemcpyDefault)
        *kind = to_device     ? from_device ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice
                : from_device ? cudaMemcpyDeviceToHost
                              : cudaMemcpyHostToHost;
    bool wants_to = *kind == cudaMemcpyHostToDevice || *kind == cudaMemcpyDeviceToDevice;
    bool wants_from = *kind == cudaMemcpyDeviceToHost || *kind == cudaMemcpyDeviceToDevice;
    if (wants_to != to_device) return "the destination is not of the kind that the copy names";
    if (wants_from != from_device) return "the source is not of the kind that the copy names";
    if (to_device && !memory_holds(to, bytes)) return "the destination leaves its buffer";
    if (from_device && !memory_holds(from, bytes)) return "the source leaves its buffer";
    return nullptr;
}

static void copy_now(void *to, const void *from, size_t bytes) {
    memmove(to, from, bytes);
    if (memory_is_device(from) || memory_is_pinned(from))
        race::moved(to, from, bytes);
    else
        race::filled(to, bytes);
    race::host_accesses(from, bytes, false, "a copy");
    race::host_accesses(to, bytes, true, "a copy");
}

static cudaError_t enqueue_copy(Stream *s, void *to, const void *from, size_t bytes,
                                cudaMemcpyKind kind) {
    bool from_pageable = kind == cudaMemcpyHostToDevice && !is_page_locked(from);
    bool to_pageable = kind == cudaMemcpyDeviceToHost && !is_page_locked(to);
    host_counts.copies++;
    host_counts.copied_bytes += bytes;
    host_counts.pageable_copies += from_pageable || to_pageable;
    if (s->capture) // the addresses are frozen; the bytes are read at each launch
        return result(enqueue(s, {"copy", [=] { copy_now(to, from, bytes); }}));
    if (from_pageable) {
        // Staged before the call returns, which may also wait for the stream.
        const char *p = (const char *)from;
        auto staged = std::make_shared<std::vector<char>>(p, p + bytes);
        cudaError_t status = enqueue(s, {"copy", [=] { copy_now(to, staged->data(), bytes); }});
        if (settings.streams != When::late) run_until_done(s->last);
        return result(status);
    }
    cudaError_t status = enqueue(s, {"copy", [=] { copy_now(to, from, bytes); }});
    if (to_pageable || kind == cudaMemcpyHostToHost) run_until_done(s->last);
    return result(status);
}

} // namespace cudasim

#define STREAM(s, handle)                                                                          \
    Stream *s = stream_of(handle);                                                                 \
    if (!s) return result(cudaErrorInvalidResourceHandle, "a stream that does not exist")

extern "C" {

cudaError_t cudaMalloc(void **at, size_t bytes) {
    CALL(cudaMalloc, true);
    if (!at) return result(cudaErrorInvalidValue);
    *at = nullptr;
    if (bytes == 0) return cudaSuccess;
    void *p = memory_allocate(bytes, false);
    if (!p) return result(cudaErrorMemoryAllocation);
    host_counts.allocations++;
    host_counts.allocated_bytes += bytes;
    *at = p;
    return cudaSuccess;
}

// Waits for everything, as the driver does.
cudaError_t cudaFree(void *at) {
    CALL(cudaFree, true);
    if (!at) return cudaSuccess;
    run_everything();
    return memory_free(at, false) ? cudaSuccess
                                  : result(cudaErrorInvalidValue,
                                           "cudaFree of %p, which is no "
                                           "device allocation",
                                           at);
}

cudaError_t cudaHostAlloc(void **at, size_t bytes, unsigned flags) {
    CALL(cudaHostAlloc, true);
    if (!at || flags & ~(unsigned)(cudaHostAllocPortable | cudaHostAllocMapped |
                                   cudaHostAllocWriteCombined))
        return result(cudaErrorInvalidValue);
    *at = bytes ? memory_allocate(bytes, true) : nullptr;
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void **at, size_t bytes) {
    CALL(cudaMallocHost, true);
    return cudaHostAlloc(at, bytes, cudaHostAllocDefault);
}
cudaError_t cudaFreeHost(void *at) {
    CALL(cudaFreeHost, true);
    if (!at) return cudaSuccess;
    run_everything();
    return memory_free(at, true) ? cudaSuccess : result(cudaErrorInvalidValue);
}
cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned flags) {
    CALL(cudaHostGetDevicePointer);
    if (!device || flags || !is_page_locked(host)) return result(cudaErrorInvalidValue);
    *device = host;
    return cudaSuccess;
}
cudaError_t cudaHostRegister(void *at, size_t bytes, unsigned flags) {
    CALL(cudaHostRegister, true);
    if (!at || !bytes ||
        flags & ~(unsigned)(cudaHostRegisterPortable | cudaHostRegisterMapped |
                            cudaHostRegisterReadOnly))
        return result(cudaErrorInvalidValue);
    if (is_page_locked(at)) return result(cudaErrorHostMemoryAlreadyRegistered);
    registered[(const char *)at] = bytes;
    return cudaSuccess;
}
cudaError_t cudaHostUnregister(void *at) {
    CALL(cudaHostUnregister, true);
    run_everything();
    return registered.erase((const char *)at) ? cudaSuccess
                                              : result(cudaErrorHostMemoryNotRegistered);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    CALL(cudaMemGetInfo);
    *total = settings.device.memory_bytes;
    *free_bytes = *total - memory_used();
    return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *a, const void *p) {
    CALL(cudaPointerGetAttributes);
    if (!a) return result(cudaErrorInvalidValue);
    *a = cudaPointerAttributes();
    a->type = memory_is_device(p) ? cudaMemoryTypeDevice
              : is_page_locked(p) ? cudaMemoryTypeHost
                                  : cudaMemoryTypeUnregistered;
    a->devicePointer = a->type == cudaMemoryTypeUnregistered ? nullptr : (void *)p;
    a->hostPointer = a->type == cudaMemoryTypeHost ? (void *)p : nullptr;
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    CALL(cudaMemcpyAsync);
    STREAM(s, stream);
    if (bytes == 0) return cudaSuccess;
    const char *wrong = check_copy(to, from, bytes, &kind);
    if (wrong)
        return result(cudaErrorInvalidValue, "cudaMemcpyAsync of %zu bytes: %s", bytes, wrong);
    return enqueue_copy(s, to, from, bytes, kind);
}

// In the legacy default stream; the caller waits, except for copies within the device.
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    CALL(cudaMemcpy, true);
    if (bytes == 0) return cudaSuccess;
    const char *wrong = check_copy(to, from, bytes, &kind);
    if (wrong) return result(cudaErrorInvalidValue, "cudaMemcpy of %zu bytes: %s", bytes, wrong);
    Stream *s = stream_of(nullptr);
    host_counts.copies++;
    host_counts.copied_bytes += bytes;
    host_counts.waits += kind != cudaMemcpyDeviceToDevice;
    cudaError_t status = enqueue(s, {"copy", [=] { copy_now(to, from, bytes); }});
    if (status == cudaSuccess && kind != cudaMemcpyDeviceToDevice) run_until_done(s->last);
    return result(status);
}

static cudaError_t enqueue_set(Stream *s, void *to, int value, size_t bytes) {
    if (bytes == 0) return cudaSuccess;
    if (!memory_is_device(to) || !memory_holds(to, bytes))
        return result(cudaErrorInvalidValue, "cudaMemset of %zu bytes outside of a buffer", bytes);
    return result(enqueue(s, {"memset", [=] {
                                  memset(to, value, bytes);
                                  race::filled(to, bytes);
                                  race::host_accesses(to, bytes, true, "a memset");
                              }}));
}
cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
    CALL(cudaMemsetAsync);
    STREAM(s, stream);
    return enqueue_set(s, to, value, bytes);
}
cudaError_t cudaMemset(void *to, int value, size_t bytes) {
    CALL(cudaMemset, true);
    return enqueue_set(stream_of(nullptr), to, value, bytes);
}

} // extern "C"
