// Products by wgmma, on sm_90a: the rows of the weights are the 64 rows of A, tokens are N. A
// producer warpgroup fills a ring of stages: the weights by the bulk copy engine (their tiles lie
// as the swizzling of wgmma wants them), the activations by cp.async, gathered row by row. A
// warpgroup for each 64 rows multiplies. mbarriers say what is full and what is free.
//
// Bytes in flight: tiles of 64 rows take 104 KB a block, two blocks a SM, 7 stages of 8 KB of
// weights under way in each: 112 KB a SM, where an H100's memory needs 20 KB (3.35 TB/s * 0.8 us /
// 132 SMs). No thread of the ring waits for copies that it has just issued: activations arrive at
// the mbarrier by themselves, and those fence for wgmma who multiply.
#ifndef KERNELS_CUDA_MATMUL_WGMMA_CUH
#define KERNELS_CUDA_MATMUL_WGMMA_CUH

enum { WGMMA_ROWS = 64 };

template <int ROWS> constexpr int wgmma_threads = WARPGROUP *(1 + ROWS / WGMMA_ROWS);

template <int ROWS, int BT> struct wgmma_memory {
    static constexpr int w_bytes = ROWS * X_ROW_BYTES, x_bytes = BT * X_ROW_BYTES;
    static constexpr int stage_bytes = w_bytes + x_bytes;
    static constexpr int sums_bytes = slice_tokens<ROWS, BT> * sums_stride<ROWS> * 4;
    static constexpr int limit = ROWS == 64 && BT <= 32 ? 110 * 1024 : 220 * 1024;
    static constexpr int fit = (limit - sums_bytes) / stage_bytes;
    static constexpr int n_stages = fit > 8 ? 8 : fit;
    static_assert(n_stages >= 3, "");
    char *stages;
    float *sums;           // (slice, sums_stride)
    uint64_t *full, *free; // (n_stages)
    template <class Memory> __host__ __device__ explicit wgmma_memory(Memory &memory) {
        memory.take(&stages, n_stages * stage_bytes, 1024);
        memory.take(&sums, sums_bytes / 4, 16);
        memory.take(&full, n_stages);
        memory.take(&free, n_stages);
    }
};

#if HAS_WGMMA

template <class Op, int BT>
__device__ __forceinline__ void wgmma_produce(const Op &op, const wgmma_memory<Op::rows, BT> &at,
                                              int thread) {
    typedef wgmma_memory<Op::rows, BT> memory_of;
    constexpr int STAGES = memory_of::n_stages;
    const int n_k_tiles = op.w.n_tile_columns;
    const uint64_t policy = l2_evict_first();
    product_cursor<Op> load(op, n_k_tiles);
    if (Op::is_early) {
        product_cursor<Op> ahead = load;
        for (int s = 0; s < STAGES && !ahead.is_done() && thread == 0; s++, ahead.next(op))
            bulk_load_w<Op::rows, is_read_once<BT>>(at.stages + s * memory_of::stage_bytes,
                                                    ahead.tile, ahead.k_tile, n_k_tiles,
                                                    &at.full[s], policy);
        wait_for_prior_grid();
    }
    x_loader<Op, BT> x;
    if (!load.is_done()) x.begin(op, load.tile, thread);
    int n = 0;
    for (; !load.is_done(); n++) {
        int stage = n % STAGES;
        char *to = at.stages + stage * memory_of::stage_bytes;
        wait_barrier(&at.free[stage], ~(n / STAGES) & 1);
        if (thread == 0 && (!Op::is_early || n >= STAGES))
            bulk_load_w<Op::rows, is_read_once<BT>>(to, load.tile, load.k_tile, n_k_tiles,
                                                    &at.full[stage], policy);
        x.load(to + memory_of::w_bytes, load.k_tile, thread, op.w.data);
        cp_async_arrive(&at.full[stage]);
        if (load.next(op) && !load.is_done()) x.begin(op, load.tile, thread);
    }
    prefetch_ahead(op, thread, 0);
    cp_async_commit();
    cp_async_wait<0>();
}

template <class Op, int BT>
__device__ __forceinline__ void wgmma_consume(const Op &op, const wgmma_memory<Op::rows, BT> &at,
                                              int thread) {
    typedef wgmma_memory<Op::rows, BT> memory_of;
    constexpr int STAGES = memory_of::n_stages, SLICE = slice_tokens<Op::rows, BT>;
    constexpr int N_THREADS = Op::rows / WGMMA_ROWS * WARPGROUP, STRIDE = sums_stride<Op::rows>;
    const int n_k_tiles = op.w.n_tile_columns, lane = thread % N_LANES;
    const int group = thread / WARPGROUP, n_tiles = op.n_tiles();
    auto sync = [] { barrier_sync(1, N_THREADS); };
    int n = 0;
    for (int index = blockIdx.x; index < n_tiles; index += gridDim.x) {
        const product_tile tile = op.tile(index);
        float d[BT / 2];
        begin_tile(op, tile, thread, N_THREADS, 0);
        for (int k = 0; k < n_k_tiles; k++, n++) {
            int stage = n % STAGES;
            const char *w = at.stages + stage * memory_of::stage_bytes, *x = w + memory_of::w_bytes;
            w += group * WGMMA_ROWS * X_ROW_BYTES;
            wait_barrier(&at.full[stage], n / STAGES & 1);
            fence_proxy_async_shared(); // activations came by cp.async; the stage before multiplies
            wgmma_fence();
            for (int i = 0; i < K_STEP / 16; i++)
                wgmma_bf16<BT>(d, wgmma_descriptor(w + i * 32, 16, 1024, WGMMA_128),
                               wgmma_descriptor(x + i * 32, 16, 1024, WGMMA_128), k + i > 0);
            wgmma_commit();
            // The products of the stage before are done.
            wgmma_wait<1>();
            if (k > 0 && lane == 0) mbarrier_arrive(&at.free[(n - 1) % STAGES]);
        }
        wgmma_wait<0>();
        if (lane == 0) mbarrier_arrive(&at.free[(n - 1) % STAGES]);
        float *to = at.sums + lane % 4 * 2 * STRIDE + group * WGMMA_ROWS +
                    thread % WARPGROUP / N_LANES * 16 + lane / 4;
        for (int first = 0; first < tile.n; first += SLICE) {
#pragma unroll
            for (int j = 0; j < BT / 8; j++) {
                if (j * 8 / SLICE != first / SLICE) continue;
                float *token = to + j * 8 % SLICE * STRIDE;
                token[0] = d[4 * j];
                token[STRIDE] = d[4 * j + 1];
                token[8] = d[4 * j + 2];
                token[STRIDE + 8] = d[4 * j + 3];
            }
            sync();
            op.finish(tile, first, min(SLICE, tile.n - first), at.sums, thread, N_THREADS, sync);
            sync();
        }
    }
}
#endif

template <class Op, int BT>
__global__ void __launch_bounds__(wgmma_threads<Op::rows>, Op::rows == 64 && BT <= 32 ? 2 : 1)
    product_wgmma(const Op op) {
#if HAS_WGMMA
    typedef wgmma_memory<Op::rows, BT> memory_of;
    DYNAMIC_SHARED(memory);
    memory_of at(memory);
    if (threadIdx.x == 0) {
        for (int s = 0; s < memory_of::n_stages; s++) {
            // The expectation of the weights, and the threads that copy activations.
            mbarrier_init(&at.full[s], 1 + WARPGROUP);
            mbarrier_init(&at.free[s], Op::rows / WGMMA_ROWS * (WARPGROUP / N_LANES));
        }
        fence_mbarrier_init();
    }
    __syncthreads();
    launch_dependents();
    // Of 512 threads each has 128 registers, which 64 sums and a finish do not fit into.
    constexpr bool is_tight = Op::rows == 192 && BT == 128;
    if (threadIdx.x < WARPGROUP) {
        if (is_tight) registers_decrease<56>();
        if (!Op::is_early) wait_for_prior_grid();
        wgmma_produce<Op, BT>(op, at, threadIdx.x);
    } else {
        if (is_tight) registers_increase<152>();
        wait_for_prior_grid();
        wgmma_consume<Op, BT>(op, at, threadIdx.x - WARPGROUP);
    }
#endif
}

#endif
