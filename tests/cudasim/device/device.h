// What a .cu file sees on the emulator, included before everything else in it (g++ -include): the
// CUDA headers, then their keywords, variables and device functions as host C++. The functions of
// namespace cudasim that kernels/cuda/ptx*.h and launch.h name are declared here too.
#ifndef TESTS_CUDASIM_DEVICE_DEVICE_H
#define TESTS_CUDASIM_DEVICE_DEVICE_H

// Before the macros below: prototypes use gridDim and blockDim as names of parameters.
#include <cooperative_groups.h>
#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>
#include <cstring>

#include <limits>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "tests/cudasim/device/place.h"

namespace cudasim {

// ---------------------------------------------------------------- launch.h

void *shared_array(const void *key, size_t bytes, size_t align, const char *name);
void *shared_take(int index, size_t begin, size_t bytes, size_t align);
void grid_barrier();
// call(arguments) is the kernel's body for one thread.
cudaError_t launch(const cudaLaunchConfig_t *config, const void *kernel, void (*call)(const void *),
                   std::shared_ptr<const void> arguments, size_t arguments_bytes);
template <class... Parameter>
cudaError_t launch(const cudaLaunchConfig_t *config, void (*kernel)(Parameter...),
                   std::tuple<Parameter...> values) {
    struct Arguments {
        void (*kernel)(Parameter...);
        std::tuple<Parameter...> values;
    };
    void (*call)(const void *) = [](const void *p) {
        const Arguments *a = (const Arguments *)p;
        std::apply(a->kernel, a->values);
    };
    return launch(config, (const void *)kernel, call,
                  std::make_shared<Arguments>(Arguments{kernel, std::move(values)}),
                  sizeof(Arguments));
}

// ---------------------------------------------------------------- ptx.h

uint32_t shared_address(const void *shared);
void cp_async(void *shared, const void *global, int bytes, int read_bytes);
void cp_async_commit();
void cp_async_wait(int n_pending);
void cp_async_arrive(uint64_t *shared);
uint64_t l2_policy(int kind);
void check_policy(uint64_t policy);
void ldmatrix(uint32_t *r, int n, bool trans, const void *shared);
void stmatrix(void *shared, const uint32_t *r, int n, bool trans);
// n_m n_n products at once: d (n_m, n_n, 4), a (n_m, 4), b (n_n, 2).
void mma_m16n8k16_bf16(float *d, const uint32_t *a, const uint32_t *b, int n_m = 1, int n_n = 1);
void wait_for_prior_grid();
void launch_dependents();
uint4 load_streamed_16(const void *global);
void prefetch_l2(const void *global, int bytes);
float exp2_approx(float x);

// ---------------------------------------------------------------- ptx_barrier.h

void barrier_sync(int id, int n_threads);
void barrier_arrive(int id, int n_threads);
void mbarrier_init(uint64_t *shared, int n_arrivals);
void mbarrier_invalidate(uint64_t *shared);
void mbarrier_arrive(uint64_t *shared);
bool mbarrier_test_wait(uint64_t *shared, int parity);
uint32_t load_acquire(const uint32_t *global);
void store_release(uint32_t *global, uint32_t value);
uint32_t atomic_add_acq_rel(uint32_t *global, uint32_t value);

// ---------------------------------------------------------------- ptx_bulk.h

void mbarrier_arrive_expect(uint64_t *shared, int bytes);
bool mbarrier_try_wait(uint64_t *shared, int parity);
void mbarrier_arrive_remote(uint64_t *shared, uint32_t rank);
void fence_mbarrier_init();
void fence_proxy_async();
void bulk_load_multicast(void *shared, const void *global, int bytes, uint64_t *barrier,
                         uint16_t mask);
void bulk_load(void *shared, const void *global, int bytes, uint64_t *barrier);
void bulk_store(void *global, const void *shared, int bytes);
void bulk_commit();
void bulk_wait(int n_pending, bool only_reads);
void tensor_prefetch_map(const CUtensorMap *map);
void tensor_load(void *shared, const CUtensorMap *map, int rank, int x, int y, int z,
                 uint64_t *barrier);
void tensor_load_multicast(void *shared, const CUtensorMap *map, int rank, int x, int y, int z,
                           uint64_t *barrier, uint16_t mask);
void tensor_store(const CUtensorMap *map, int rank, int x, int y, int z, const void *shared);
bool elect_one();
uint32_t cluster_rank();
void cluster_arrive();
void cluster_wait();

// ---------------------------------------------------------------- ptx_wgmma.h

void wgmma_fence();
void wgmma_commit();
void wgmma_wait(int n_pending);
void set_max_registers(int n, bool increase);
// a_registers is null when A lies in shared memory.
void wgmma_bf16(int n, int trans_a, int trans_b, float *d, const uint32_t *a_registers, uint64_t a,
                uint64_t b, int accumulate);

// ---------------------------------------------------------------- CUDA C++

void block_barrier(int line);
int block_vote(int kind, int predicate, int line); // 0 count, 1 and, 2 or
void warp_barrier(uint32_t mask);
uint32_t active_lanes();
uint64_t shuffle(uint32_t mask, uint64_t value, int lane);
uint32_t ballot(uint32_t mask, bool predicate);
uint32_t match(uint32_t mask, uint64_t value, int *all);
uint32_t reduce(uint32_t mask, uint32_t value, int operation);
int lane();

uint64_t atomic(void *address, int bytes, Kind kind, Atomic operation, uint64_t operand,
                uint64_t compare);
void fence(bool whole_device);
void sleep(unsigned ns);
long long clock_ticks();
void trap(const char *what);
void copy_bytes(void *to, const void *from, size_t n);
void set_bytes(void *to, int value, size_t n);

} // namespace cudasim

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __managed__
#undef __forceinline__
#undef __noinline__
#undef __launch_bounds__
#undef __cluster_dims__
#undef __grid_constant__
#undef __maxnreg__
#define __global__
#define __device__
#define __host__
#define __constant__
#define __shared__      this_is_SHARED_or_DYNAMIC_SHARED_of_launch_h
#define __managed__     managed_memory_is_not_emulated
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__    __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict

#define threadIdx (cudasim::place->thread_index)
#define blockIdx  (cudasim::place->block->block_index)
#define blockDim  (cudasim::place->block->block_dim)
#define gridDim   (cudasim::place->block->grid_dim)
static const int warpSize = 32;

#include "tests/cudasim/device/builtins.h"

#endif
