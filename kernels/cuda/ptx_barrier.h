// Wrappers for sm_80 and later, included by ptx.h: named barriers, mbarriers, acquire and release.
#ifndef KERNELS_CUDA_PTX_BARRIER_H
#define KERNELS_CUDA_PTX_BARRIER_H

// ------------------------------------------------------------------ barriers

// Barrier id (1 to 15; 0 is __syncthreads) for n_threads of the block, a multiple of 32, whole
// warps. arrive does not wait: a producer arrives, the consumers sync.
PTX void barrier_sync(int id, int n_threads) {
    RUN(cudasim::barrier_sync(id, n_threads), "bar.sync %0, %1;" ::"r"(id), "r"(n_threads)
        : "memory");
}
PTX void barrier_arrive(int id, int n_threads) {
    RUN(cudasim::barrier_arrive(id, n_threads), "bar.arrive %0, %1;" ::"r"(id), "r"(n_threads)
        : "memory");
}

// An mbarrier in shared memory. A phase ends when n_arrivals have arrived and no transaction bytes
// are due; then the next begins by itself. try_wait(parity) is true once the phase of that parity
// has ended: 0 for the first, then 1, 0, ... It may be false before that: call it in a loop. Others
// may use a barrier only after a __syncthreads behind its init.
PTX void mbarrier_init(uint64_t *shared, int n_arrivals) {
    RUN(cudasim::mbarrier_init(shared, n_arrivals),
        "mbarrier.init.shared.b64 [%0], %1;" ::AT(shared), "r"(n_arrivals)
        : "memory");
}
PTX void mbarrier_invalidate(uint64_t *shared) {
    RUN(cudasim::mbarrier_invalidate(shared), "mbarrier.inval.shared.b64 [%0];" ::AT(shared)
        : "memory");
}
PTX void mbarrier_arrive(uint64_t *shared) {
    RUN(cudasim::mbarrier_arrive(shared),
        "{ .reg .b64 state; mbarrier.arrive.shared.b64 state, [%0]; "
        "}" ::AT(shared)
        : "memory");
}
// Arrives when all cp.async of this thread so far have landed; counts as one of n_arrivals.
PTX void cp_async_arrive(uint64_t *shared) {
    RUN(cudasim::cp_async_arrive(shared),
        "cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::AT(shared)
        : "memory");
}
PTX bool mbarrier_test_wait(uint64_t *shared, int parity) {
    uint32_t done;
    RUN(done = cudasim::mbarrier_test_wait(shared, parity),
        "{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
        : "=r"(done)
        : AT(shared), "r"(parity)
        : "memory");
    return done;
}

// ------------------------------------------------------------------ ordered accesses of 32 bits

// Device memory, seen by all blocks. A release makes this thread's earlier accesses visible to
// whoever acquires what it wrote. __syncthreads before (after) extends that to the block.
PTX uint32_t load_acquire(const uint32_t *global) {
    uint32_t value;
    RUN(value = cudasim::load_acquire(global), "ld.acquire.gpu.global.u32 %0, [%1];"
        : "=r"(value)
        : "l"(global)
        : "memory");
    return value;
}
PTX void store_release(uint32_t *global, uint32_t value) {
    RUN(cudasim::store_release(global, value), "st.release.gpu.global.u32 [%0], %1;" ::"l"(global),
        "r"(value)
        : "memory");
}
// Returns the value before.
PTX uint32_t atomic_add_acq_rel(uint32_t *global, uint32_t value) {
    uint32_t before;
    RUN(before = cudasim::atomic_add_acq_rel(global, value),
        "atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;"
        : "=r"(before)
        : "l"(global), "r"(value)
        : "memory");
    return before;
}

#endif
