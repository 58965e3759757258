// Wrappers of single PTX instructions: the only inline assembly of kernels/cuda. Each has its PTX
// for nvcc and, beside it, the call that does the same on the emulator (tests/cudasim, which
// compiles the same .cu files as host C++ with CUDASIM defined and its own header included first).
//
// ptx.h         sm_80 and later: cp.async, ldmatrix, mma.sync, programmatic launches
// ptx_barrier.h sm_80 and later: named barriers, mbarriers, acquire and release
// ptx_bulk.h    sm_90 and later: mbarriers that count bytes, the bulk copy engine, clusters
// ptx_wgmma.h   sm_90a only: warpgroup matrix products
//
// A pointer named *shared* points into shared memory, *global* into device memory. "All 32 lanes"
// means: converged, every lane of the warp calls it. Names follow the PTX ISA.
#ifndef KERNELS_CUDA_PTX_H
#define KERNELS_CUDA_PTX_H

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <stdint.h>

#define PTX static __device__ __forceinline__
#ifdef CUDASIM
#define RUN(emulated, ...) emulated
#else
#define RUN(emulated, ...) asm volatile(__VA_ARGS__)
#endif

// #if HAS_BULK, #if HAS_WGMMA: the architecture being compiled has it. The host's pass of nvcc and
// the emulator have all; the emulator checks what the named device has when it is called.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define HAS_BULK 1
#else
#define HAS_BULK 0
#endif
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define HAS_WGMMA 1
#else
#define HAS_WGMMA 0
#endif

// The address of shared memory as instructions and matrix descriptors take it.
PTX uint32_t shared_address(const void *shared) {
#ifdef CUDASIM
    return cudasim::shared_address(shared);
#else
    return (uint32_t)__cvta_generic_to_shared(shared);
#endif
}

#define AT(shared) "r"(shared_address(shared))

// ------------------------------------------------------------------ cp.async

// Each copies so many bytes, aligned to its size. It lands at some time between the call and the
// wait for its group; only this thread knows then: others need a barrier after the wait.
PTX void cp_async_4(void *shared, const void *global) {
    RUN(cudasim::cp_async(shared, global, 4, 4),
        "cp.async.ca.shared.global [%0], [%1], 4;" ::AT(shared), "l"(global)
        : "memory");
}
PTX void cp_async_16(void *shared, const void *global) {
    RUN(cudasim::cp_async(shared, global, 16, 16),
        "cp.async.cg.shared.global [%0], [%1], 16;" ::AT(shared), "l"(global)
        : "memory");
}
// Reads n_bytes (0 to 16) and writes zeros behind them. At 0 bytes global may be any pointer.
PTX void cp_async_16_zero_fill(void *shared, const void *global, int n_bytes) {
    RUN(cudasim::cp_async(shared, global, 16, n_bytes),
        "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::AT(shared), "l"(global), "r"(n_bytes)
        : "memory");
}
// With a policy of l2_evict_first or l2_evict_last. Trap: for sm_90 and later ptxas 13.0 gives the
// hint a register that nobody wrote where the address has a part that all lanes share (SASS:
// `LDGSTS [R+UR0], desc[UR1]`); an H100 then says "illegal instruction". So there is no hint.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
PTX void cp_async_16_hint(void *shared, const void *global, uint64_t) {
    cp_async_16(shared, global);
}
#else
PTX void cp_async_16_hint(void *shared, const void *global, uint64_t policy) {
    RUN((cudasim::check_policy(policy), cudasim::cp_async(shared, global, 16, 16)),
        "cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;" ::AT(shared), "l"(global),
        "l"(policy)
        : "memory");
}
#endif
// Closes a group of this thread's copies; wait<N> returns when all but the N newest groups landed.
PTX void cp_async_commit() {
    RUN(cudasim::cp_async_commit(), "cp.async.commit_group;" ::: "memory");
}
template <int N> PTX void cp_async_wait() {
    RUN(cudasim::cp_async_wait(N), "cp.async.wait_group %0;" ::"n"(N) : "memory");
}

PTX uint64_t l2_evict_first() {
    uint64_t policy;
    RUN(policy = cudasim::l2_policy(1), "createpolicy.fractional.L2::evict_first.b64 %0, 1.0;"
        : "=l"(policy));
    return policy;
}
PTX uint64_t l2_evict_last() {
    uint64_t policy;
    RUN(policy = cudasim::l2_policy(2), "createpolicy.fractional.L2::evict_last.b64 %0, 1.0;"
        : "=l"(policy));
    return policy;
}

// ------------------------------------------------------------------ matrices of a warp

// All 32 lanes. An 8x8 matrix of 16-bit elements has 8 rows of 16 bytes, aligned to 16: lane 8m + i
// passes the address of row i of matrix m (lanes of further matrices pass anything). Lane l gets
// in r[m] the elements (l / 4, 2 (l % 4)) and (l / 4, 2 (l % 4) + 1), the first in the low half;
// with _trans the elements (2 (l % 4), l / 4) and (2 (l % 4) + 1, l / 4).
PTX void ldmatrix_x1(uint32_t (&r)[1], const void *shared) {
    RUN(cudasim::ldmatrix(r, 1, false, shared),
        "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
        : "=r"(r[0])
        : AT(shared)
        : "memory");
}
PTX void ldmatrix_x2(uint32_t (&r)[2], const void *shared) {
    RUN(cudasim::ldmatrix(r, 2, false, shared),
        "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
        : "=r"(r[0]), "=r"(r[1])
        : AT(shared)
        : "memory");
}
PTX void ldmatrix_x4(uint32_t (&r)[4], const void *shared) {
    RUN(cudasim::ldmatrix(r, 4, false, shared),
        "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
        : AT(shared)
        : "memory");
}
PTX void ldmatrix_x2_trans(uint32_t (&r)[2], const void *shared) {
    RUN(cudasim::ldmatrix(r, 2, true, shared),
        "ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
        : "=r"(r[0]), "=r"(r[1])
        : AT(shared)
        : "memory");
}
PTX void ldmatrix_x4_trans(uint32_t (&r)[4], const void *shared) {
    RUN(cudasim::ldmatrix(r, 4, true, shared),
        "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
        : AT(shared)
        : "memory");
}
// d += a b, all 32 lanes: a is 16 x 16 bf16, b 16 x 8 bf16, d 16 x 8 float32. Lane l, g = l / 4,
// q = 2 (l % 4), holds of d: (g, q), (g, q+1), (g+8, q), (g+8, q+1); of a, two elements a register:
// (g, q), (g+8, q), (g, q+8), (g+8, q+8); of b, as (k, n): (q, g), (q+8, g). ldmatrix_x4 of
// row-major a gives a; ldmatrix_x2 of b stored with k contiguous (a weight matrix) gives b.
PTX void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    RUN(cudasim::mma_m16n8k16_bf16(d, a, b),
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The same for M x N of them, d[i][j] += a[i] b[j]: a loop for nvcc, one meeting of the lanes on
// the emulator, where it is several times as fast.
template <int M, int N>
PTX void mma_tile(float (&d)[M][N][4], const uint32_t (&a)[M][4], const uint32_t (&b)[N][2]) {
#ifdef CUDASIM
    cudasim::mma_m16n8k16_bf16(d[0][0], a[0], b[0], M, N);
#else
#pragma unroll
    for (int i = 0; i < M; i++)
#pragma unroll
        for (int j = 0; j < N; j++) mma_m16n8k16_bf16(d[i][j], a[i], b[j]);
#endif
}

// ------------------------------------------------------------------ single accesses and numbers

// 16 bytes that no kernel in flight writes and nobody reads again: past L1, aligned to 16.
PTX uint4 load_streamed_16(const void *global) {
    uint4 v;
    RUN(v = cudasim::load_streamed_16(global),
        "ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
        : "l"(global));
    return v;
}
PTX void prefetch_l2(const void *global) {
    RUN(cudasim::prefetch_l2(global, 1), "prefetch.global.L2 [%0];" ::"l"(global));
}
// 2^x within 2 units in the last place; denormals are 0. Not the same bits on the emulator.
PTX float exp2_approx(float x) {
    float y;
    RUN(y = cudasim::exp2_approx(x), "ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// ------------------------------------------------------------------ programmatic launches

// A kernel that is launched with launch.programmatic may start before the kernel ahead of it in the
// stream has ended: as soon as each of that one's blocks has called launch_dependents or has ended.
// wait_for_prior_grid returns when the kernel ahead has ended and its writes are visible; until
// then nothing may be read that it writes, nor written that it reads. Every kernel of a chain calls
// wait_for_prior_grid in every block, or the one behind may overtake the one ahead. Before sm_90
// kernels do not overlap and both do nothing.
PTX void wait_for_prior_grid() {
#if HAS_BULK
    RUN(cudasim::wait_for_prior_grid(), "griddepcontrol.wait;" ::: "memory");
#endif
}
PTX void launch_dependents() {
#if HAS_BULK
    RUN(cudasim::launch_dependents(), "griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#include "kernels/cuda/ptx_barrier.h"
#if HAS_BULK
#include "kernels/cuda/ptx_bulk.h"
#endif
#if HAS_WGMMA
#include "kernels/cuda/ptx_wgmma.h"
#endif

#endif
