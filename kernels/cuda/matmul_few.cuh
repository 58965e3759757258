// Products of few tokens on sm_90, whose weights take longer to read than to multiply: tiles of 16,
// 32, 48, 64 or 96 rows, so that all SMs have some, by mma.sync. A warpgroup fills a ring of
// stages, weights by the bulk copy engine, activations by cp.async; 4 warps multiply.
//
// Why not wgmma: its tiles have 64 rows, so of 2048 rows 100 SMs would have none, and a block's
// time is that of its rows. Columns may not be split: one sum from the first to the last is the
// order that all sizes share, and two accumulators of 64 x 256 do not fit into registers where
// tokens are many. mma.sync has the bits of wgmma on an H100 (ptx_wgmma.h; part (b) of the GPU
// bundle asks the device), and both must wait for the sum before: a k16 step is 33 clocks, 2048
// columns 2.4 us.
//
// Time of such a kernel between two others (estimated but for the steps): 1 us from the end of the
// one ahead until its results are seen, 0.7 us until activations are there, 2.4 us of steps, 1.5 us
// for the finish and the end. In these 5.6 us memory works only for what need not wait: weights. 48
// rows of conv_in are 192 KB a block, 8.4 us at 3 TB/s, so its bandwidth is reached only if all of
// them are under way from the start: 96 to 128 KB in the ring (an H100 needs 20 KB a SM in flight),
// the rest of the first tile to the L2 cache (few_prefetch), from where 64 KB take 1.5 us (25 bytes
// a clock) while the ring is multiplied. Rings of two kernels fit on a SM (128 + 96 KB). out_proj
// is 8.4 MB, 2.8 us: it waits for results, not for memory, and so do router and experts behind it;
// it fetches for the next layer meanwhile (struct residual).
#ifndef KERNELS_CUDA_MATMUL_FEW_CUH
#define KERNELS_CUDA_MATMUL_FEW_CUH

enum {
    FEW_WARPS = 4,
    FEW_CONSUMERS = FEW_WARPS * N_LANES,
    FEW_THREADS = FEW_CONSUMERS + WARPGROUP,
    FEW_PREFETCH_BYTES = 128 * 1024 // of a block, beside its ring
};

// Warps along the rows and along the tokens of a tile; 16 x 8 products of a warp.
template <int ROWS, int BT> struct few_warps {
    static constexpr int WM = ROWS == 48              ? (BT <= 16 ? 3 : 1)
                              : ROWS == 16            ? 1
                              : ROWS == 32 || BT > 16 ? 2
                                                      : 4;
    static constexpr int MOST = BT / 8 < FEW_WARPS / WM ? BT / 8 : FEW_WARPS / WM;
    static constexpr int WN = WM == 3 ? 1 : MOST, N_ACTIVE = WM * WN;
    static constexpr int M = ROWS / WM / 16, N = BT / WN / 8;
    static_assert(M * WM * 16 == ROWS && N * WN * 8 == BT && N_ACTIVE <= FEW_WARPS, "");
};

template <int ROWS, int BT> struct few_memory {
    static constexpr int w_bytes = ROWS * X_ROW_BYTES, x_bytes = BT * X_ROW_BYTES;
    static constexpr int stage_bytes = w_bytes + x_bytes;
    static constexpr int sums_bytes = slice_tokens<ROWS, BT> * sums_stride<ROWS> * 4;
    static constexpr int fit = ((ROWS < 48 ? 96 : 128) * 1024 - sums_bytes) / stage_bytes;
    static constexpr int n_stages = fit > 32 ? 32 : fit;
    static_assert(n_stages >= 3, "");
    char *stages;
    float *sums;           // (slice, sums_stride)
    uint64_t *full, *free; // (n_stages)
    template <class Memory> __host__ __device__ explicit few_memory(Memory &memory) {
        memory.take(&stages, n_stages * stage_bytes, 1024);
        memory.take(&sums, sums_bytes / 4, 16);
        memory.take(&full, n_stages);
        memory.take(&free, n_stages);
    }
};

#if HAS_BULK
// A place in a ring, and how often it went round.
template <int STAGES> struct ring_place {
    int stage = 0, parity = 0;
    __device__ __forceinline__ void next() {
        if (++stage < STAGES) return;
        stage = 0;
        parity ^= 1;
    }
};

// The rest of the first tile to the L2 cache while the kernel ahead still runs: a piece of w_piece
// rows a thread.
template <class Op>
__device__ __forceinline__ void few_prefetch(const Op &op, const product_cursor<Op> &load,
                                             int first_k, int thread) {
    constexpr int BYTES = w_piece<Op::rows> * X_ROW_BYTES, N = Op::rows / w_piece<Op::rows>;
    if (load.is_done()) return;
    const int n_k_tiles = op.w.n_tile_columns;
    const int n = min((n_k_tiles - first_k) * N, FEW_PREFETCH_BYTES / BYTES);
    for (int i = thread; i < n; i += WARPGROUP)
        bulk_prefetch(load.tile.w + ((int64_t)(i % N) * n_k_tiles + first_k + i / N) * TILE_BYTES,
                      BYTES);
}

template <class Op, int BT>
__device__ __forceinline__ void few_produce(const Op &op, const few_memory<Op::rows, BT> &at,
                                            int thread) {
    typedef few_memory<Op::rows, BT> memory_of;
    constexpr int STAGES = memory_of::n_stages;
    const int n_k_tiles = op.w.n_tile_columns;
    const uint64_t policy = l2_evict_first();
    product_cursor<Op> load(op, n_k_tiles);
    int n_ahead = 0;
    if (Op::is_early) {
        product_cursor<Op> ahead = load;
        for (; n_ahead < STAGES && !ahead.is_done(); n_ahead++, ahead.next(op))
            if (thread == 0)
                bulk_load_w<Op::rows, true>(at.stages + n_ahead * memory_of::stage_bytes,
                                            ahead.tile, ahead.k_tile, n_k_tiles, &at.full[n_ahead],
                                            policy);
        few_prefetch(op, load, n_ahead, thread);
        wait_for_prior_grid();
    }
    x_loader<Op, BT> x;
    if (!load.is_done()) x.begin(op, load.tile, thread);
    ring_place<STAGES> place;
    for (int n = 0; !load.is_done(); n++, place.next()) {
        char *to = at.stages + place.stage * memory_of::stage_bytes;
        wait_barrier(&at.free[place.stage], !place.parity);
        if (thread == 0 && n >= n_ahead)
            bulk_load_w<Op::rows, true>(to, load.tile, load.k_tile, n_k_tiles,
                                        &at.full[place.stage], policy);
        x.load(to + memory_of::w_bytes, load.k_tile, thread, op.w.data);
        cp_async_arrive(&at.full[place.stage]);
        if (load.next(op) && !load.is_done()) x.begin(op, load.tile, thread);
    }
    prefetch_ahead(op, thread, 0);
    cp_async_commit();
    cp_async_wait<0>();
}

// Operands of two k16 steps, half of a stage.
template <int M, int N> struct few_operands {
    uint32_t a[2][M][4], b[2][N][2];

    // w, x: this lane's rows.
    __device__ __forceinline__ void load(const char *w, const char *x, int half) {
        const int lane = threadIdx.x % N_LANES;
        if (N == 1) {
            uint32_t r[4];
            ldmatrix_x4(r, x + ((half * 4 + lane / 8) ^ lane % 8) * 16);
            b[0][0][0] = r[0], b[0][0][1] = r[1], b[1][0][0] = r[2], b[1][0][1] = r[3];
        }
#pragma unroll
        for (int k = 0; k < 2; k++) {
            const int chunk = half * 4 + k * 2;
            const int a_place = (chunk + lane / 16) ^ lane % 8;
            const int b_place = (chunk + lane / 8 % 2) ^ lane % 8;
#pragma unroll
            for (int i = 0; i < M; i++)
                ldmatrix_x4(a[k][i], w + i * 16 * X_ROW_BYTES + a_place * 16);
#pragma unroll
            for (int j = 0; j + 1 < N; j += 2) {
                uint32_t r[4];
                ldmatrix_x4(r, x + j * 8 * X_ROW_BYTES + b_place * 16);
                b[k][j][0] = r[0], b[k][j][1] = r[1];
                b[k][j + 1][0] = r[2], b[k][j + 1][1] = r[3];
            }
        }
    }
    __device__ __forceinline__ void multiply(mma_sums<M, N> &sums) const {
#pragma unroll
        for (int k = 0; k < 2; k++) mma_tile(sums.d, a[k], b[k]);
    }
};

// The sums of a tile; the operands of half a stage are loaded while the ones before are multiplied.
template <int ROWS, int BT, class Warps>
__device__ __forceinline__ void few_multiply(const few_memory<ROWS, BT> &at, int row0, int token0,
                                             int n_k_tiles,
                                             ring_place<few_memory<ROWS, BT>::n_stages> &place,
                                             mma_sums<Warps::M, Warps::N> &sums) {
    typedef few_memory<ROWS, BT> memory_of;
    const int lane = threadIdx.x % N_LANES;
    const char *w = at.stages + (row0 + lane % 16) * X_ROW_BYTES;
    const char *x = at.stages + memory_of::w_bytes +
                    (token0 + lane % 8 + (Warps::N > 1 ? lane / 16 * 8 : 0)) * X_ROW_BYTES;
    few_operands<Warps::M, Warps::N> first, second;
    auto take_first = [&] {
        wait_barrier(&at.full[place.stage], place.parity);
        int stage = place.stage * memory_of::stage_bytes;
        first.load(w + stage, x + stage, 0);
    };
    take_first();
    for (int k = 0; k < n_k_tiles; k++) {
        int stage = place.stage * memory_of::stage_bytes;
        second.load(w + stage, x + stage, 1);
        first.multiply(sums);
        __syncwarp();
        if (lane == 0) mbarrier_arrive(&at.free[place.stage]);
        place.next();
        if (k + 1 < n_k_tiles) take_first();
        second.multiply(sums);
    }
}

template <class Op, int BT>
__device__ __forceinline__ void few_consume(const Op &op, const few_memory<Op::rows, BT> &at,
                                            int thread) {
    typedef few_memory<Op::rows, BT> memory_of;
    typedef few_warps<Op::rows, BT> warps;
    constexpr int SLICE = slice_tokens<Op::rows, BT>;
    const int warp = thread / N_LANES, n_k_tiles = op.w.n_tile_columns, n_tiles = op.n_tiles();
    const int row0 = warp / warps::WN * (Op::rows / warps::WM);
    const int token0 = warp % warps::WN * (BT / warps::WN);
    const bool is_active = warp < warps::N_ACTIVE;
    auto sync = [] { barrier_sync(1, FEW_CONSUMERS); };
    ring_place<memory_of::n_stages> place;
    for (int index = blockIdx.x; index < n_tiles; index += gridDim.x) {
        const product_tile tile = op.tile(index);
        begin_tile(op, tile, thread, FEW_CONSUMERS, 0);
        mma_sums<warps::M, warps::N> sums = {};
        if (is_active) few_multiply<Op::rows, BT, warps>(at, row0, token0, n_k_tiles, place, sums);
        for (int first = 0; first < tile.n; first += SLICE) {
            if (is_active) mma_put<Op::rows, BT>(sums, at.sums, row0, token0, first);
            sync();
            op.finish(tile, first, min(SLICE, tile.n - first), at.sums, thread, FEW_CONSUMERS,
                      sync);
            sync();
        }
    }
}
#endif

template <class Op, int BT>
__global__ void __launch_bounds__(FEW_THREADS, 1) product_few(const Op op) {
#if HAS_BULK
    typedef few_memory<Op::rows, BT> memory_of;
    DYNAMIC_SHARED(memory);
    memory_of at(memory);
    if (threadIdx.x == 0) {
        for (int s = 0; s < memory_of::n_stages; s++) {
            // The expectation of the weights, and the threads that copy activations.
            mbarrier_init(&at.full[s], 1 + WARPGROUP);
            mbarrier_init(&at.free[s], few_warps<Op::rows, BT>::N_ACTIVE);
        }
        fence_mbarrier_init();
    }
    __syncthreads();
    launch_dependents();
    if (threadIdx.x >= FEW_CONSUMERS) {
        if (!Op::is_early) wait_for_prior_grid();
        few_produce<Op, BT>(op, at, threadIdx.x - FEW_CONSUMERS);
    } else {
        wait_for_prior_grid();
        few_consume<Op, BT>(op, at, threadIdx.x);
    }
#endif
}

#endif
