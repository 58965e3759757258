// What CUDA promises of streams, events and copies, whatever the order that is run.
#include <unistd.h>

#include "kernels/cuda/launch.h"
#include "tests/cudasim/cases/check.h"
#include "tests/cudasim/cudasim.h"

// words[i] = words[i] * 3 + value
__global__ void step(uint32_t *words, uint32_t value) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    words[i] = words[i] * 3 + value;
}
static void launch_step(uint32_t *words, uint32_t value, cudaStream_t stream) {
    struct launch how;
    how.grid = dim3(2), how.block = dim3(32), how.stream = stream;
    CHECK_CUDA(launch_kernel(how, step, words, value));
}
enum { N = 64 };

// Operations of one stream keep their order.
static void test_order() {
    cudaStream_t s;
    CHECK_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    uint32_t *words = device_array<uint32_t>(N), *host = pinned_array<uint32_t>(N), want = 0;
    CHECK_CUDA(cudaMemsetAsync(words, 0, N * 4, s));
    for (uint32_t i = 0; i < 10; i++) {
        launch_step(words, i, s);
        want = want * 3 + i;
    }
    CHECK_CUDA(cudaMemcpyAsync(host, words, N * 4, cudaMemcpyDeviceToHost, s));
    CHECK_CUDA(cudaStreamSynchronize(s));
    for (int i = 0; i < N; i++) CHECK(host[i] == want);
    CHECK_CUDA(cudaStreamDestroy(s));
}

// Two streams hand a buffer over by events, in turn.
static void test_events() {
    cudaStream_t s[2];
    cudaEvent_t e[2];
    for (int i = 0; i < 2; i++) {
        CHECK_CUDA(cudaStreamCreateWithFlags(&s[i], cudaStreamNonBlocking));
        CHECK_CUDA(cudaEventCreateWithFlags(&e[i], cudaEventDisableTiming));
    }
    uint32_t *words = device_array<uint32_t>(N), want = 0;
    CHECK_CUDA(cudaMemsetAsync(words, 0, N * 4, s[0]));
    for (uint32_t i = 0; i < 12; i++) {
        launch_step(words, i, s[i % 2]);
        want = want * 3 + i;
        CHECK_CUDA(cudaEventRecord(e[i % 2], s[i % 2]));
        CHECK_CUDA(cudaStreamWaitEvent(s[(i + 1) % 2], e[i % 2], 0));
    }
    CHECK_CUDA(cudaStreamSynchronize(s[0]));
    for (uint32_t w : fetch(words, N)) CHECK(w == want);
    // An event that nothing was recorded in waits for nothing; a query comes true in the end.
    cudaEvent_t fresh;
    CHECK_CUDA(cudaEventCreate(&fresh));
    CHECK_CUDA(cudaStreamWaitEvent(s[0], fresh, 0));
    CHECK_CUDA(cudaEventSynchronize(fresh));
    launch_step(words, 1, s[1]);
    CHECK_CUDA(cudaEventRecord(fresh, s[1]));
    while (cudaEventQuery(fresh) == cudaErrorNotReady) {
    }
    launch_step(words, 1, s[1]);
    while (cudaStreamQuery(s[1]) == cudaErrorNotReady) {
    }
    cudaEvent_t later;
    CHECK_CUDA(cudaEventCreate(&later));
    launch_step(words, 1, s[1]);
    CHECK_CUDA(cudaEventRecord(later, s[1]));
    CHECK_CUDA(cudaEventSynchronize(later));
    float ms = -1;
    CHECK_CUDA(cudaEventElapsedTime(&ms, fresh, later));
    CHECK(ms > 0);
    CHECK_FAILS(cudaEventElapsedTime(&ms, e[0], later), cudaErrorInvalidResourceHandle);
}

// The legacy default stream waits for blocking streams and they for it; non-blocking ones do not.
static void test_default_stream() {
    cudaStream_t blocking;
    CHECK_CUDA(cudaStreamCreate(&blocking));
    uint32_t *words = device_array<uint32_t>(N), want = 0;
    CHECK_CUDA(cudaMemset(words, 0, N * 4));
    for (uint32_t i = 0; i < 9; i++) {
        launch_step(words, i, i % 3 == 0 ? blocking : i % 3 == 1 ? nullptr : cudaStreamPerThread);
        want = want * 3 + i;
        if (i % 3 == 2) { // between two blocking streams the default one has to stand
            launch_step(words, 7, nullptr);
            want = want * 3 + 7;
        }
    }
    for (uint32_t w : fetch(words, N)) CHECK(w == want);
}

static void test_pageable() {
    std::vector<uint32_t> host(N, 5);
    uint32_t *words = device_array<uint32_t>(N);
    cudaStream_t s;
    CHECK_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    // From pageable memory the bytes are taken before the call returns ...
    CHECK_CUDA(cudaMemcpyAsync(words, host.data(), N * 4, cudaMemcpyHostToDevice, s));
    host.assign(N, 6);
    launch_step(words, 1, s);
    // ... and to it the call returns when they are there.
    CHECK_CUDA(cudaMemcpyAsync(host.data(), words, N * 4, cudaMemcpyDeviceToHost, s));
    for (uint32_t w : host) CHECK(w == 16);
    // Registered memory is page-locked: the copy happens when the stream gets there.
    CHECK_CUDA(cudaHostRegister(host.data(), N * 4, cudaHostRegisterDefault));
    CHECK_CUDA(cudaMemcpyAsync(words, host.data(), N * 4, cudaMemcpyHostToDevice, s));
    if (streams_run("late")) host.assign(N, 1);
    CHECK_CUDA(cudaStreamSynchronize(s));
    CHECK(fetch(words, N)[3] == (streams_run("late") ? 1u : 16u));
    CHECK_CUDA(cudaHostUnregister(host.data()));
    struct cudasim_host_counts counts;
    cudasim_host_counts(&counts);
    CHECK(counts.pageable_copies == 2);
}

static void run_host(void *argument) {
    int *n = (int *)argument;
    ++*n;
    CHECK(cudaDeviceSynchronize() == cudaErrorNotPermitted); // no calls from here
}
static void test_host_functions() {
    cudaStream_t s;
    CHECK_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    int n = 0;
    for (int i = 0; i < 3; i++) CHECK_CUDA(cudaLaunchHostFunc(s, run_host, &n));
    CHECK_CUDA(cudaStreamSynchronize(s));
    CHECK(n == 3);
    cudaGetLastError();
}

static void test_refusals() {
    uint32_t *words = device_array<uint32_t>(N), host[N];
    CHECK_FAILS(cudaMemcpy(words, host, N * 4 + 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    CHECK_FAILS(cudaMemcpy(words, host, 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    CHECK_FAILS(cudaMemcpyAsync(host, words + N, 4, cudaMemcpyDeviceToHost, nullptr),
                cudaErrorInvalidValue);
    CHECK_FAILS(cudaMemset(host, 0, 4), cudaErrorInvalidValue);
    CHECK_FAILS(cudaFree(host), cudaErrorInvalidValue);
    CHECK_FAILS(cudaStreamSynchronize((cudaStream_t)host), cudaErrorInvalidResourceHandle);
    CHECK_FAILS(cudaEventRecord((cudaEvent_t)host, nullptr), cudaErrorInvalidResourceHandle);
    CHECK_CUDA(cudaFree(words));
    CHECK_FAILS(cudaFree(words), cudaErrorInvalidValue);
    CHECK(cudaPeekAtLastError() == cudaSuccess);
    cudaPointerAttributes a;
    uint32_t *pinned = pinned_array<uint32_t>(4);
    CHECK_CUDA(cudaPointerGetAttributes(&a, pinned));
    CHECK(a.type == cudaMemoryTypeHost);
    CHECK_CUDA(cudaPointerGetAttributes(&a, host));
    CHECK(a.type == cudaMemoryTypeUnregistered);
}

int main() {
    test_order();
    test_events();
    test_default_stream();
    test_pageable();
    test_host_functions();
    test_refusals();
    printf("ok\n");
    return 0;
}
