// Wrappers for sm_90 and later, included by ptx.h: mbarriers that count bytes, the bulk copy engine
// (TMA), clusters. What the engine reads or writes is "async proxy": shared memory that threads
// wrote by ordinary stores, stmatrix or cp.async needs fence_proxy_async_shared somewhere between
// the writes and the engine's or wgmma's reads: in each writing thread, then a barrier; or in each
// thread that makes the products, after the barrier that told it of the writes.
#ifndef KERNELS_CUDA_PTX_BULK_H
#define KERNELS_CUDA_PTX_BULK_H

// ------------------------------------------------------------------ mbarriers with transactions

// One arrival that also makes n_bytes due in this phase: the sum of what the copies will bring.
PTX void mbarrier_arrive_expect(uint64_t *shared, int n_bytes) {
    RUN(cudasim::mbarrier_arrive_expect(shared, n_bytes),
        "mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::AT(shared), "r"(n_bytes)
        : "memory");
}
// Suspends the thread for a while if the phase has not ended.
PTX bool mbarrier_try_wait(uint64_t *shared, int parity) {
    uint32_t done;
    RUN(done = cudasim::mbarrier_try_wait(shared, parity),
        "{ .reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
        : "=r"(done)
        : AT(shared), "r"(parity)
        : "memory");
    return done;
}
// After the inits, before the barrier: the copy engine and the cluster see them.
PTX void fence_mbarrier_init() {
    RUN(cudasim::fence_mbarrier_init(), "fence.mbarrier_init.release.cluster;" ::: "memory");
}

// ------------------------------------------------------------------ proxies

// ptxas puts MEMBAR.ALL.CTA in front, which waits for what the thread has under way: cheap in a
// thread that multiplies, the latency of memory in one that has issued cp.async.
PTX void fence_proxy_async_shared() {
    RUN(cudasim::fence_proxy_async(), "fence.proxy.async.shared::cta;" ::: "memory");
}
// Also between ordinary writes of device memory and bulk copies of it inside one kernel.
PTX void fence_proxy_async() {
    RUN(cudasim::fence_proxy_async(), "fence.proxy.async;" ::: "memory");
}

// ------------------------------------------------------------------ bulk copies of bytes

// One thread calls it. Addresses and n_bytes are multiples of 16. When the bytes are there they
// are counted on the mbarrier.
PTX void bulk_load(void *shared, const void *global, int n_bytes, uint64_t *barrier) {
    RUN(cudasim::bulk_load(shared, global, n_bytes, barrier),
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
            AT(shared),
        "l"(global), "r"(n_bytes), AT(barrier)
        : "memory");
}
PTX void bulk_load_hint(void *shared, const void *global, int n_bytes, uint64_t *barrier,
                        uint64_t policy) {
    RUN((cudasim::check_policy(policy), cudasim::bulk_load(shared, global, n_bytes, barrier)),
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
        "[%0], [%1], %2, [%3], %4;" ::AT(shared),
        "l"(global), "r"(n_bytes), AT(barrier), "l"(policy)
        : "memory");
}
// The same bytes to the blocks of the cluster in mask, at the same place of each one's shared
// memory; they count on the mbarrier at the same place in each.
PTX void bulk_load_multicast(void *shared, const void *global, int n_bytes, uint64_t *barrier,
                             uint16_t mask) {
    RUN(cudasim::bulk_load_multicast(shared, global, n_bytes, barrier, mask),
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
        "[%0], [%1], %2, [%3], %4;" ::AT(shared),
        "l"(global), "r"(n_bytes), AT(barrier), "h"(mask)
        : "memory");
}
// Stores belong to groups of the calling thread: commit closes one, wait<N> returns when all but
// the N newest are written, wait_read<N> when all but the N newest no longer read shared memory.
PTX void bulk_store(void *global, const void *shared, int n_bytes) {
    RUN(cudasim::bulk_store(global, shared, n_bytes),
        "cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global), AT(shared),
        "r"(n_bytes)
        : "memory");
}
PTX void bulk_commit() {
    RUN(cudasim::bulk_commit(), "cp.async.bulk.commit_group;" ::: "memory");
}
template <int N> PTX void bulk_wait() {
    RUN(cudasim::bulk_wait(N, false), "cp.async.bulk.wait_group %0;" ::"n"(N) : "memory");
}
template <int N> PTX void bulk_wait_read() {
    RUN(cudasim::bulk_wait(N, true), "cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
}
PTX void bulk_prefetch(const void *global, int n_bytes) {
    RUN(cudasim::prefetch_l2(global, n_bytes),
        "cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(global), "r"(n_bytes));
}

// ------------------------------------------------------------------ bulk copies of boxes

// The map (cuTensorMapEncodeTiled) lies in a parameter that the kernel declares
// "const __grid_constant__ CUtensorMap". x, y, z: element coordinates of the box's first element,
// x along the contiguous dimension, a multiple of 16 bytes (else: illegal instruction, seen on an
// H100, 2026-11-26); they may lie outside of the tensor. Loads write zeros there and
// count the whole box on the mbarrier; stores leave it out. shared is aligned to 128 bytes, with
// swizzling to the repeat of its pattern (1024 for 128-byte swizzling).
PTX void tensor_prefetch_map(const CUtensorMap *map) {
    RUN(cudasim::tensor_prefetch_map(map), "prefetch.tensormap [%0];" ::"l"(map) : "memory");
}
PTX void tensor_load_1d(void *shared, const CUtensorMap *map, int x, uint64_t *barrier) {
    RUN(cudasim::tensor_load(shared, map, 1, x, 0, 0, barrier),
        "cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%2}], [%3];" ::AT(shared),
        "l"(map), "r"(x), AT(barrier)
        : "memory");
}
PTX void tensor_load_2d(void *shared, const CUtensorMap *map, int x, int y, uint64_t *barrier) {
    RUN(cudasim::tensor_load(shared, map, 2, x, y, 0, barrier),
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%2, %3}], [%4];" ::AT(shared),
        "l"(map), "r"(x), "r"(y), AT(barrier)
        : "memory");
}
PTX void tensor_load_2d_hint(void *shared, const CUtensorMap *map, int x, int y, uint64_t *barrier,
                             uint64_t policy) {
    RUN((cudasim::check_policy(policy), cudasim::tensor_load(shared, map, 2, x, y, 0, barrier)),
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
        ".L2::cache_hint [%0], [%1, {%2, %3}], [%4], %5;" ::AT(shared),
        "l"(map), "r"(x), "r"(y), AT(barrier), "l"(policy)
        : "memory");
}
PTX void tensor_load_3d(void *shared, const CUtensorMap *map, int x, int y, int z,
                        uint64_t *barrier) {
    RUN(cudasim::tensor_load(shared, map, 3, x, y, z, barrier),
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%2, %3, %4}], [%5];" ::AT(shared),
        "l"(map), "r"(x), "r"(y), "r"(z), AT(barrier)
        : "memory");
}
PTX void tensor_load_3d_hint(void *shared, const CUtensorMap *map, int x, int y, int z,
                             uint64_t *barrier, uint64_t policy) {
    RUN((cudasim::check_policy(policy), cudasim::tensor_load(shared, map, 3, x, y, z, barrier)),
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
        ".L2::cache_hint [%0], [%1, {%2, %3, %4}], [%5], %6;" ::AT(shared),
        "l"(map), "r"(x), "r"(y), "r"(z), AT(barrier), "l"(policy)
        : "memory");
}
// The same box to the blocks of the cluster in mask, at the same place of each one's shared memory;
// it counts on the mbarrier at the same place in each.
PTX void tensor_load_2d_multicast(void *shared, const CUtensorMap *map, int x, int y,
                                  uint64_t *barrier, uint16_t mask) {
    RUN(cudasim::tensor_load_multicast(shared, map, 2, x, y, 0, barrier, mask),
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
        ".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::AT(shared),
        "l"(map), "r"(x), "r"(y), AT(barrier), "h"(mask)
        : "memory");
}
PTX void tensor_store_1d(const CUtensorMap *map, int x, const void *shared) {
    RUN(cudasim::tensor_store(map, 1, x, 0, 0, shared),
        "cp.async.bulk.tensor.1d.global.shared::cta.tile.bulk_group [%0, {%1}], [%2];" ::"l"(map),
        "r"(x), AT(shared)
        : "memory");
}
PTX void tensor_store_2d(const CUtensorMap *map, int x, int y, const void *shared) {
    RUN(cudasim::tensor_store(map, 2, x, y, 0, shared),
        "cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];" ::"l"(
            map),
        "r"(x), "r"(y), AT(shared)
        : "memory");
}
PTX void tensor_store_3d(const CUtensorMap *map, int x, int y, int z, const void *shared) {
    RUN(cudasim::tensor_store(map, 3, x, y, z, shared),
        "cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%1, %2, %3}], [%4];" ::
            "l"(map),
        "r"(x), "r"(y), "r"(z), AT(shared)
        : "memory");
}

// ------------------------------------------------------------------ warps and clusters

// All 32 lanes: true in one of them, the same at every call.
PTX bool elect_one() {
    uint32_t me;
    RUN(me = cudasim::elect_one(),
        "{ .reg .pred p; elect.sync _|p, 0xffffffff; selp.u32 %0, 1, 0, p; }"
        : "=r"(me));
    return me;
}
// All 32 lanes: the opposite of ldmatrix, r[m] of lane l to elements (l / 4, 2 (l % 4)) and the
// next.
PTX void stmatrix_x2(void *shared, const uint32_t (&r)[2]) {
    RUN(cudasim::stmatrix(shared, r, 2, false),
        "stmatrix.sync.aligned.m8n8.x2.shared.b16 [%0], {%1, %2};" ::AT(shared), "r"(r[0]),
        "r"(r[1])
        : "memory");
}
PTX void stmatrix_x4(void *shared, const uint32_t (&r)[4]) {
    RUN(cudasim::stmatrix(shared, r, 4, false),
        "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::AT(shared), "r"(r[0]),
        "r"(r[1]), "r"(r[2]), "r"(r[3])
        : "memory");
}
PTX void stmatrix_x4_trans(void *shared, const uint32_t (&r)[4]) {
    RUN(cudasim::stmatrix(shared, r, 4, true),
        "stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::AT(shared),
        "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
        : "memory");
}
PTX uint32_t cluster_rank() {
    uint32_t rank;
    RUN(rank = cudasim::cluster_rank(), "mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}
// All threads of all blocks of the cluster: arrive, then wait. Orders their shared memory.
PTX void cluster_arrive() {
    RUN(cudasim::cluster_arrive(), "barrier.cluster.arrive.release.aligned;" ::: "memory");
}
PTX void cluster_wait() {
    RUN(cudasim::cluster_wait(), "barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
// Arrives at the mbarrier at the same place in the shared memory of another block of the cluster.
// Of this thread it orders what is complete: products after wgmma_wait, copies that were waited
// for. Not ".release.cluster", which ptxas makes MEMBAR.ALL.GPU of: it waits for all that the
// thread has under way in device memory, 0.7 us at every stage of a ring.
PTX void mbarrier_arrive_remote(uint64_t *shared, uint32_t rank) {
    RUN(cudasim::mbarrier_arrive_remote(shared, rank),
        "{ .reg .b32 at; mapa.shared::cluster.u32 at, %0, %1; "
        "mbarrier.arrive.shared::cluster.b64 _, [at]; }" ::AT(shared),
        "r"(rank)
        : "memory");
}

#endif
