// Products of many tokens by wgmma on sm_90a: here the tokens are the 64 rows of A and rows of the
// weights are N (the sum of a k16 step has no order, so that the bits are those of the other
// kernels). A block takes 128 tokens and ROWS rows of the weights, 64 tokens a warpgroup; two
// blocks are a cluster that shares the weights: each fetches half of them for both. A thread keeps
// all of its token's rows of the weights in registers, and the Op finishes them there, while the
// producer fills the ring for the next tile: the warpgroups, which give stages back together, are
// at most the ring apart, so that products rest meanwhile.
//
// An H100's L2 cache gives 25 bytes a clock to each SM when all ask (5.8 TB/s). A stage
// of 64 columns is 16 KB of activations and 32 KB of weights, half of which the other block asks
// for: 32 KB of the L2 cache for 1024 clocks of products, so 1310 clocks, 78% of the tensor cores'
// pace (tiles of 128 x 128: 32 KB for 512 clocks, 39%). Shared memory: 48 KB are written and 80 KB
// read in a stage, 100 of at most 128 bytes a clock in 1310. In flight: 3 stages of 32 KB of the L2
// cache a SM, 96 KB; 25 bytes a clock with 1000 clocks of latency are 25 KB. Nothing in the loop of
// a warp may wait for memory: see mbarrier_arrive_remote and fence_proxy_async_shared.
//
// Beside what a tile in matmul.cuh has, the Op has
//     template <int N> void finish_wide(const product_tile &, int first,
//         const float (&d)[N]) const;
// of a thread: with q = threadIdx.x % 4, d[4 j + 2 h + e] is row 8 j + 2 q + e of the tile's and
// token first + 8 h, which may be none: from tile.n on. All lanes call it.
#ifndef KERNELS_CUDA_MATMUL_MANY_CUH
#define KERNELS_CUDA_MATMUL_MANY_CUH

enum { MANY_BLOCKS = 2, MANY_TOKENS = 128, MANY_TILE = MANY_BLOCKS * MANY_TOKENS };
enum { MANY_CONSUMERS = 2 * WARPGROUP, MANY_THREADS = WARPGROUP + MANY_CONSUMERS };

template <int ROWS> struct many_memory {
    static constexpr int w_bytes = ROWS * X_ROW_BYTES, x_bytes = MANY_TOKENS * X_ROW_BYTES;
    static constexpr int stage_bytes = w_bytes + x_bytes, n_stages = 4;
    char *stages;
    uint64_t *full, *free; // (n_stages)
    template <class Memory> __host__ __device__ explicit many_memory(Memory &memory) {
        memory.take(&stages, n_stages * stage_bytes, 1024);
        memory.take(&full, n_stages);
        memory.take(&free, n_stages);
    }
};

// Words w[i] of lanes q of a group of 4 change places: lane q gets w[q] of lanes 0 to 3.
__device__ __forceinline__ uint4 quad_transpose(const uint32_t (&w)[4]) {
    const bool is_odd = threadIdx.x & 1, is_high = threadIdx.x & 2;
    uint32_t a = __shfl_xor_sync(ALL_LANES, is_odd ? w[0] : w[1], 1);
    uint32_t b = __shfl_xor_sync(ALL_LANES, is_odd ? w[2] : w[3], 1);
    uint32_t v0 = is_odd ? a : w[0], v1 = is_odd ? w[1] : a;
    uint32_t v2 = is_odd ? b : w[2], v3 = is_odd ? w[3] : b;
    a = __shfl_xor_sync(ALL_LANES, is_high ? v0 : v2, 2);
    b = __shfl_xor_sync(ALL_LANES, is_high ? v1 : v3, 2);
    return is_high ? make_uint4(a, b, v2, v3) : make_uint4(v0, v1, a, b);
}

#if HAS_WGMMA
// This block's part of a tile of the cluster.
__device__ __forceinline__ product_tile many_part(product_tile t, int rank) {
    int half = t.n > MANY_TOKENS ? MANY_TOKENS : MANY_TOKENS / 2;
    t.token += rank * half;
    t.n = min(half, max(t.n - rank * half, 0));
    return t;
}

// Half of the weights of a stage, to both blocks; the other block sends the rest.
template <int ROWS>
__device__ __forceinline__ void many_load_w(char *stage, const product_tile &tile, int k_tile,
                                            int n_k_tiles, uint64_t *full, int rank) {
    constexpr int N = ROWS / TILE_ROWS / MANY_BLOCKS;
    mbarrier_arrive_expect(full, ROWS * X_ROW_BYTES);
    const char *from = tile.w + ((int64_t)rank * N * n_k_tiles + k_tile) * TILE_BYTES;
    stage += rank * N * TILE_BYTES;
#pragma unroll
    for (int i = 0; i < N; i++)
        bulk_load_multicast(stage + i * TILE_BYTES, from + (int64_t)i * n_k_tiles * TILE_BYTES,
                            TILE_BYTES, full, (1 << MANY_BLOCKS) - 1);
}

template <class Op>
__device__ __forceinline__ void many_produce(const Op &op, const many_memory<Op::rows> &at,
                                             int thread, int rank) {
    typedef many_memory<Op::rows> memory_of;
    constexpr int STAGES = memory_of::n_stages;
    const int n_k_tiles = op.w.n_tile_columns;
    product_cursor<Op> load(op, n_k_tiles, blockIdx.x / MANY_BLOCKS, gridDim.x / MANY_BLOCKS);
    int n_ahead = 0;
    if (Op::is_early) {
        product_cursor<Op> ahead = load;
        for (; n_ahead < STAGES && !ahead.is_done(); n_ahead++, ahead.next(op))
            if (thread == 0)
                many_load_w<Op::rows>(at.stages + n_ahead * memory_of::stage_bytes, ahead.tile,
                                      ahead.k_tile, n_k_tiles, &at.full[n_ahead], rank);
        wait_for_prior_grid();
    }
    x_loader<Op, MANY_TOKENS> x;
    if (!load.is_done()) x.begin(op, many_part(load.tile, rank), thread);
    int n = 0;
    for (; !load.is_done(); n++) {
        int stage = n % STAGES;
        char *to = at.stages + stage * memory_of::stage_bytes;
        wait_barrier(&at.free[stage], ~(n / STAGES) & 1);
        if (thread == 0 && n >= n_ahead)
            many_load_w<Op::rows>(to, load.tile, load.k_tile, n_k_tiles, &at.full[stage], rank);
        x.load(to + memory_of::w_bytes, load.k_tile, thread, op.w.data);
        cp_async_arrive(&at.full[stage]);
        if (load.next(op) && !load.is_done()) x.begin(op, many_part(load.tile, rank), thread);
    }
    cp_async_commit();
    cp_async_wait<0>();
}

template <class Op>
__device__ __forceinline__ void many_consume(const Op &op, const many_memory<Op::rows> &at,
                                             int thread, int rank) {
    typedef many_memory<Op::rows> memory_of;
    constexpr int STAGES = memory_of::n_stages;
    const int n_k_tiles = op.w.n_tile_columns, lane = thread % N_LANES;
    const int group = thread / WARPGROUP, n_tiles = op.n_tiles();
    // A stage is free when the warps of both blocks have read it.
    auto release = [&](int i) {
        if (lane < MANY_BLOCKS) mbarrier_arrive_remote(&at.free[i % STAGES], lane);
    };
    int n = 0;
    for (int i = blockIdx.x / MANY_BLOCKS; i < n_tiles; i += gridDim.x / MANY_BLOCKS) {
        const product_tile tile = many_part(op.tile(i), rank);
        if (group * 64 >= tile.n) {
            for (int k = 0; k < n_k_tiles; k++, n++) {
                wait_barrier(&at.full[n % STAGES], n / STAGES & 1);
                __syncwarp();
                release(n);
            }
            continue;
        }
        float d[Op::rows / 2];
        for (int k = 0; k < n_k_tiles; k++, n++) {
            const char *w = at.stages + n % STAGES * memory_of::stage_bytes;
            const char *x = w + memory_of::w_bytes + group * 64 * X_ROW_BYTES;
            wait_barrier(&at.full[n % STAGES], n / STAGES & 1);
            fence_proxy_async_shared(); // activations came by cp.async; the stage before multiplies
            wgmma_fence();
            for (int c = 0; c < K_STEP / 16; c++)
                wgmma_bf16<Op::rows>(d, wgmma_descriptor(x + c * 32, 16, 1024, WGMMA_128),
                                     wgmma_descriptor(w + c * 32, 16, 1024, WGMMA_128), k + c > 0);
            wgmma_commit();
            // The products of the stage before are done.
            wgmma_wait<1>();
            if (k > 0) release(n - 1);
        }
        wgmma_wait<0>();
        release(n - 1);
        op.finish_wide(tile, group * 64 + thread % WARPGROUP / N_LANES * 16 + lane / 4, d);
    }
}
#endif

template <class Op> __global__ void __launch_bounds__(MANY_THREADS, 1) product_many(const Op op) {
#if HAS_WGMMA
    typedef many_memory<Op::rows> memory_of;
    DYNAMIC_SHARED(memory);
    memory_of at(memory);
    const int rank = cluster_rank();
    if (threadIdx.x == 0) {
        for (int s = 0; s < memory_of::n_stages; s++) {
            // The expectation of the weights, and the threads that copy activations.
            mbarrier_init(&at.full[s], 1 + WARPGROUP);
            mbarrier_init(&at.free[s], MANY_BLOCKS * MANY_CONSUMERS / N_LANES);
        }
        fence_mbarrier_init();
    }
    // The other block writes into this one's memory: it begins before and ends after that.
    cluster_arrive();
    cluster_wait();
    launch_dependents();
    if (threadIdx.x < WARPGROUP) {
        registers_decrease<40>();
        if (!Op::is_early) wait_for_prior_grid();
        many_produce(op, at, threadIdx.x, rank);
    } else {
        registers_increase<232>();
        wait_for_prior_grid();
        many_consume(op, at, threadIdx.x - WARPGROUP, rank);
    }
    cluster_arrive();
    cluster_wait();
#endif
}

#endif
