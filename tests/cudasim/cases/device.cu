// The device's limits and names, injected errors, a lost device, no device.
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "kernels/cuda/launch.h"
#include "tests/cudasim/cases/check.h"
#include "tests/cudasim/cudasim.h"

__global__ void idle() {}
__global__ void use(uint32_t *out) {
    DYNAMIC_SHARED(memory);
    uint32_t *words;
    memory.take(&words, 64);
    words[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = words[threadIdx.x];
}

// In a process of its own, with these variables; messages of refusals are not shown.
static void in_child(std::vector<std::pair<const char *, const char *>> variables,
                     std::function<void()> run) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        for (auto &v : variables) cudasim_set(v.first, v.second);
        run();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_device(const char *name, int major, int minor, int sms, size_t shared) {
    in_child({{"CUDASIM_DEVICE", name}}, [=] {
        cudaDeviceProp p;
        int value;
        CHECK_CUDA(cudaGetDeviceProperties(&p, 0));
        CHECK(p.major == major && p.minor == minor && p.multiProcessorCount == sms);
        CHECK(p.sharedMemPerBlockOptin == shared && p.warpSize == 32);
        CHECK_CUDA(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
        CHECK(value == sms);
        CHECK_FAILS(cudaGetDeviceProperties(&p, 1), cudaErrorInvalidDevice);
        // Dynamic shared memory: 48 KB without the opt-in, the device's limit with it.
        struct launch how;
        how.grid = dim3(1), how.block = dim3(64), how.shared_bytes = 49152;
        uint32_t *out = device_array<uint32_t>(64);
        CHECK_CUDA(launch_kernel(how, use, out));
        how.shared_bytes = shared;
        CHECK_FAILS(launch_kernel(how, use, out), cudaErrorInvalidValue);
        CHECK_CUDA(allow_shared(use, shared));
        CHECK_CUDA(launch_kernel(how, use, out));
        CHECK_CUDA(cudaDeviceSynchronize());
        CHECK(fetch(out, 64)[63] == 63);
        CHECK_FAILS(allow_shared(use, shared + 1), cudaErrorInvalidValue);
    });
}

static void test_limits() {
    struct launch how;
    how.grid = dim3(1), how.block = dim3(1025);
    CHECK_FAILS(launch_kernel(how, idle), cudaErrorInvalidConfiguration);
    how.block = dim3(16, 1, 65);
    CHECK_FAILS(launch_kernel(how, idle), cudaErrorInvalidConfiguration);
    how.block = dim3(32), how.grid = dim3(1, 65536);
    CHECK_FAILS(launch_kernel(how, idle), cudaErrorInvalidConfiguration);
    how.grid = dim3(0);
    CHECK_FAILS(launch_kernel(how, idle), cudaErrorInvalidConfiguration);
    how.grid = dim3(132 * 2 + 1), how.block = dim3(1024), how.cooperative = true;
    CHECK_FAILS(launch_kernel(how, idle), cudaErrorCooperativeLaunchTooLarge);
    int n;
    CHECK_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, (const void *)idle, 128, 0));
    CHECK(n == 4); // 128 registers are assumed
    cudasim_set_registers((const void *)idle, 32);
    CHECK_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, (const void *)idle, 128, 0));
    CHECK(n == 16);
    CHECK_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, (const void *)idle, 128, 40000));
    CHECK(n == 5); // 228 KB for blocks of 40000 + 1024 bytes
}

static void test_memory() {
    in_child({{"CUDASIM_MEMORY", "1000000"}}, [] {
        void *a, *b;
        size_t free_bytes, total;
        CHECK_CUDA(cudaMalloc(&a, 600000));
        CHECK_FAILS(cudaMalloc(&b, 600000), cudaErrorMemoryAllocation);
        CHECK_CUDA(cudaMemGetInfo(&free_bytes, &total));
        CHECK(total == 1000000 && free_bytes == 400000);
        CHECK_CUDA(cudaFree(a));
        CHECK_CUDA(cudaMalloc(&b, 600000));
        CHECK((uintptr_t)b % 256 == 0);
    });
}

static void test_errors() {
    in_child({{"CUDASIM_FAIL", "cudaMalloc:2:2,cudaMemset:1:719"}}, [] {
        void *a, *b;
        CHECK_CUDA(cudaMalloc(&a, 4));
        CHECK_FAILS(cudaMalloc(&b, 4), cudaErrorMemoryAllocation);
        CHECK_CUDA(cudaMalloc(&b, 4));
        CHECK_FAILS(cudaMemset(a, 0, 4), cudaErrorLaunchFailure);
        CHECK(cudaGetLastError() == cudaSuccess); // told once
    });
    in_child({{"CUDASIM_LOSE", "3:46"}}, [] {
        void *a;
        CHECK_CUDA(cudaMalloc(&a, 4));
        CHECK_CUDA(cudaMemset(a, 0, 4));
        for (int i = 0; i < 3; i++) CHECK(cudaMemset(a, 0, 4) == cudaErrorDevicesUnavailable);
        CHECK(cudaGetLastError() == cudaErrorDevicesUnavailable); // for ever
        CHECK(cudaGetLastError() == cudaErrorDevicesUnavailable);
        CHECK(cudaDeviceSynchronize() == cudaErrorDevicesUnavailable);
    });
    in_child({}, [] {
        void *a;
        CHECK_CUDA(cudaMalloc(&a, 4));
        cudasim_lose_device(cudaErrorECCUncorrectable);
        CHECK(cudaFree(a) == cudaErrorECCUncorrectable);
    });
    in_child({{"CUDASIM_DEVICES", "0"}}, [] {
        int n = 9;
        CHECK_FAILS(cudaGetDeviceCount(&n), cudaErrorNoDevice);
        CHECK(n == 0);
    });
    in_child({{"CUDASIM_DRIVER", "old"}}, [] {
        int version;
        void *a;
        CHECK_FAILS(cudaMalloc(&a, 4), cudaErrorInsufficientDriver);
        CHECK_CUDA(cudaDriverGetVersion(&version));
        CHECK(version < CUDART_VERSION);
        CHECK(strstr(cudaGetErrorString(cudaErrorInsufficientDriver), "driver"));
    });
}

int main() {
    test_device("a100", 8, 0, 108, 163 << 10);
    test_device("l40s", 8, 9, 142, 99 << 10);
    test_device("4090", 8, 9, 128, 99 << 10);
    test_device("h100", 9, 0, 132, 227 << 10);
    test_device("b200", 10, 0, 148, 227 << 10);
    test_device("5090", 12, 0, 170, 99 << 10);
    test_limits();
    test_memory();
    test_errors();
    printf("ok\n");
    return 0;
}
