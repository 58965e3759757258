// Launching kernels and declaring their shared memory, the same for nvcc and for the emulator
// (tests/cudasim), which has neither <<<>>> nor __shared__.
//
//     __global__ void __launch_bounds__(128) add(const float *a, float *b, int n) {
//         SHARED(float, sums, [4]);
//         DYNAMIC_SHARED(memory);
//         float *tile;
//         memory.take(&tile, n, 16);
//         ...
//     }
//     struct launch how = {dim3(n_blocks), dim3(128), n_bytes, stream};
//     cudaError_t status = launch_kernel(how, add, a, b, n);
#ifndef KERNELS_CUDA_LAUNCH_H
#define KERNELS_CUDA_LAUNCH_H

#include <cooperative_groups.h>
#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

#include <tuple>
#include <utility>

struct launch {
    dim3 grid, block;
    size_t shared_bytes = 0; // dynamic; over 48 KB needs allow_shared first
    cudaStream_t stream = nullptr;
    bool programmatic = false; // may start before the kernel ahead has ended: wait_for_prior_grid
    bool cooperative = false;  // all blocks run at once: grid_barrier may be called
    unsigned n_cluster_blocks = 1; // along x; 1: no clusters
};

// Each argument is converted to the parameter's type and copied, at once. The status is that of
// the launch; what goes wrong in the kernel comes later.
template <class... Parameter, class... Argument>
cudaError_t launch_kernel(const struct launch &how, void (*kernel)(Parameter...),
                          Argument &&...argument) {
    cudaLaunchAttribute attributes[3];
    cudaLaunchConfig_t config = {how.grid, how.block, how.shared_bytes, how.stream, attributes, 0};
    if (how.programmatic) {
        cudaLaunchAttribute *a = &attributes[config.numAttrs++];
        a->id = cudaLaunchAttributeProgrammaticStreamSerialization;
        a->val.programmaticStreamSerializationAllowed = 1;
    }
    if (how.cooperative) {
        cudaLaunchAttribute *a = &attributes[config.numAttrs++];
        a->id = cudaLaunchAttributeCooperative;
        a->val.cooperative = 1;
    }
    if (how.n_cluster_blocks > 1) {
        cudaLaunchAttribute *a = &attributes[config.numAttrs++];
        a->id = cudaLaunchAttributeClusterDimension;
        a->val.clusterDim.x = how.n_cluster_blocks;
        a->val.clusterDim.y = a->val.clusterDim.z = 1;
    }
    std::tuple<Parameter...> values(std::forward<Argument>(argument)...);
#ifdef CUDASIM
    return cudasim::launch(&config, kernel, std::move(values));
#else
    return std::apply(
        [&](auto &...value) {
            void *pointers[] = {(void *)&value..., nullptr};
            return cudaLaunchKernelExC(&config, (const void *)kernel, pointers);
        },
        values);
#endif
}

// Once a kernel, before its first launch with so much dynamic shared memory.
template <class... Parameter>
cudaError_t allow_shared(void (*kernel)(Parameter...), size_t shared_bytes) {
    return cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                (int)shared_bytes);
}

// ------------------------------------------------------------------ inside of kernels

// An array of the block: SHARED(float, sums, [2][32]); SHARED_ALIGNED where copies ask for more.
#ifdef CUDASIM
#define SHARED_ALIGNED(align, type, name, ...)                                                     \
    typedef type name##_shared_type __VA_ARGS__;                                                   \
    static const char name##_shared_key = 0;                                                       \
    name##_shared_type &name = *(name##_shared_type *)cudasim::shared_array(                       \
        &name##_shared_key, sizeof(name##_shared_type), align, #name)
#else
#define SHARED_ALIGNED(align, type, name, ...)                                                     \
    __shared__ __align__(align)                                                                    \
    type name __VA_ARGS__
#endif
#define SHARED(type, name, ...) SHARED_ALIGNED(alignof(type), type, name, __VA_ARGS__)

// The dynamic shared memory of the block, handed out in order; all threads take the same. To take
// and to count with the same lines, write them once for either class:
//     struct layout {
//         bf16 *tile;
//         uint64_t *full;
//         template <class Memory> __host__ __device__ explicit layout(Memory &memory) {
//             memory.take(&tile, 64 * 64, 1024); // n elements, aligned to so many bytes
//             memory.take(&full, 4);
//         }
//     };
// In the kernel: DYNAMIC_SHARED(memory); layout at(memory); on the host: shared_size size;
// layout at(size); how.shared_bytes = size.bytes.
class dynamic_shared {
  public:
    __device__ __forceinline__ explicit dynamic_shared(unsigned char *base) : base(base) {}
    // align: a power of 2 up to 1024.
    template <class T>
    __device__ __forceinline__ void take(T **array, size_t n, size_t align = alignof(T)) {
        at = (at + align - 1) / align * align;
#ifdef CUDASIM
        *array = (T *)cudasim::shared_take(n_taken++, at, n * sizeof(T), align);
#else
        *array = (T *)(base + at);
#endif
        at += n * sizeof(T);
    }

  private:
    unsigned char *base;
    size_t at = 0;
    int n_taken = 0;
};
struct shared_size {
    size_t bytes = 0;
    template <class T>
    __host__ __device__ void take(T **array, size_t n, size_t align = alignof(T)) {
        *array = nullptr;
        bytes = (bytes + align - 1) / align * align + n * sizeof(T);
    }
};
#ifdef CUDASIM
#define DYNAMIC_SHARED(name) dynamic_shared name(nullptr)
#else
#define DYNAMIC_SHARED(name)                                                                       \
    extern __shared__ __align__(1024) unsigned char name##_bytes[];                                \
    dynamic_shared name(name##_bytes)
#endif

// All threads of a cooperative launch: orders all their accesses.
static __device__ __forceinline__ void grid_barrier() {
#ifdef CUDASIM
    cudasim::grid_barrier();
#else
    cooperative_groups::this_grid().sync();
#endif
}

#endif
