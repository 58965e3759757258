// Products by mma.sync, for every device from sm_80 on: 4 warps, a ring of stages filled by
// cp.async across the borders of tiles, sums in registers, slices of them through shared memory to
// the Op.
//
// Bytes in flight (gpu.md B2: an H100 needs 3.35 TB/s * 0.8 us / 132 SMs = 20 KB a SM): two blocks
// a SM with 5 stages of at least 8 KB under way each: 80 KB. Registers: 64 x 64 outputs of a warp
// at the largest tile are 128 of at most 255.
#ifndef KERNELS_CUDA_MATMUL_MMA_CUH
#define KERNELS_CUDA_MATMUL_MMA_CUH

enum { MMA_THREADS = 128, MMA_SHARED = 84 * 1024, MMA_MAX_STAGES = 6 };

// Warps along the rows and along the tokens of a tile; 16 x 8 products of a warp.
template <int ROWS, int BT> struct mma_warps {
    static constexpr int WN = BT >= 64 || (ROWS == 96 && BT >= 16) ? 2 : 1;
    static constexpr int WM = 4 / WN;
    static constexpr int M = ROWS / WM / 16, N = BT / WN / 8;
    static_assert(M * WM * 16 == ROWS && N * WN * 8 == BT, "");
};

template <int ROWS, int BT> struct mma_memory {
    static constexpr int w_bytes = ROWS * X_ROW_BYTES, x_bytes = BT * X_ROW_BYTES;
    static constexpr int stage_bytes = w_bytes + x_bytes;
    static constexpr int sums_bytes = slice_tokens<ROWS, BT> * sums_stride<ROWS> * 4;
    static constexpr int fit = (MMA_SHARED - sums_bytes) / stage_bytes;
    // The largest tile takes more; devices with 99 KB a block are not given it.
    static constexpr int n_stages = fit > MMA_MAX_STAGES ? MMA_MAX_STAGES : fit < 3 ? 3 : fit;
    char *stages;
    float *sums; // (slice, sums_stride)
    template <class Memory> __host__ __device__ explicit mma_memory(Memory &memory) {
        memory.take(&stages, n_stages * stage_bytes, 1024);
        memory.take(&sums, sums_bytes / 4, 16);
    }
};

// Copies of the rows of weights of a stage: their tiles lie 4 KiB at a time.
template <int ROWS, bool IS_ONCE>
__device__ __forceinline__ void mma_load_w(char *stage, const product_tile &tile, int k_tile,
                                           int n_k_tiles, uint64_t policy) {
    const char *from = tile.w + (int64_t)k_tile * TILE_BYTES + threadIdx.x * 16;
    char *to = stage + threadIdx.x * 16;
#pragma unroll
    for (int i = 0; i < ROWS / TILE_ROWS; i++)
#pragma unroll
        for (int half = 0; half < TILE_BYTES; half += MMA_THREADS * 16) {
            char *place = to + i * TILE_BYTES + half;
            const char *at = from + (int64_t)i * n_k_tiles * TILE_BYTES + half;
            if (IS_ONCE)
                cp_async_16_hint(place, at, policy);
            else
                cp_async_16(place, at);
        }
}

template <int M, int N> struct mma_sums { float d[M][N][4]; };

// One stage: 64 columns, 16 at a time.
template <int ROWS, int BT, int M, int N>
__device__ __forceinline__ void mma_stage(const char *w, const char *x, int row0, int token0,
                                          mma_sums<M, N> &sums) {
    const int lane = threadIdx.x % N_LANES;
    // Rows of both are 128 bytes whose 16-byte chunks stand at chunk ^ (row % 8).
    const char *w_row = w + (row0 + lane % 16) * X_ROW_BYTES;
    const char *x_row = x + (token0 + lane % 8 + (N > 1 ? lane / 16 * 8 : 0)) * X_ROW_BYTES;
#pragma unroll
    for (int k = 0; k < K_STEP / 8; k += 2) {
        uint32_t a[M][4], b[N][2];
        int a_chunk = (k + lane / 16) ^ lane % 8, b_chunk = (k + lane / 8 % 2) ^ lane % 8;
#pragma unroll
        for (int i = 0; i < M; i++) ldmatrix_x4(a[i], w_row + i * 16 * X_ROW_BYTES + a_chunk * 16);
        if (N == 1) {
            ldmatrix_x2(b[0], x_row + b_chunk * 16);
        } else {
#pragma unroll
            for (int j = 0; j < N; j += 2) {
                uint32_t r[4];
                ldmatrix_x4(r, x_row + j * 8 * X_ROW_BYTES + b_chunk * 16);
                b[j][0] = r[0], b[j][1] = r[1];
                b[j + 1 < N ? j + 1 : 0][0] = r[2], b[j + 1 < N ? j + 1 : 0][1] = r[3];
            }
        }
        mma_tile(sums.d, a, b);
    }
}

// Tokens first .. first + slice - 1 of the tile to shared memory, from the warps that hold them.
template <int ROWS, int BT, int M, int N>
__device__ __forceinline__ void mma_put(const mma_sums<M, N> &sums, float *to, int row0, int token0,
                                        int first) {
    constexpr int SLICE = slice_tokens<ROWS, BT>;
    const int lane = threadIdx.x % N_LANES;
#pragma unroll
    for (int j = 0; j < N; j++) {
        int token = token0 + j * 8 - first;
        if (token < 0 || token >= SLICE) continue;
        float *at = to + (token + lane % 4 * 2) * sums_stride<ROWS> + row0 + lane / 4;
#pragma unroll
        for (int i = 0; i < M; i++) {
            at[i * 16] = sums.d[i][j][0];
            at[i * 16 + sums_stride<ROWS>] = sums.d[i][j][1];
            at[i * 16 + 8] = sums.d[i][j][2];
            at[i * 16 + 8 + sums_stride<ROWS>] = sums.d[i][j][3];
        }
    }
}

template <class Op, int BT>
__global__ void __launch_bounds__(MMA_THREADS, 2) product_mma(const Op op) {
    typedef mma_memory<Op::rows, BT> memory_of;
    typedef mma_warps<Op::rows, BT> warps;
    constexpr int STAGES = memory_of::n_stages, SLICE = slice_tokens<Op::rows, BT>;
    DYNAMIC_SHARED(memory);
    memory_of at(memory);
    const int warp = threadIdx.x / N_LANES, n_k_tiles = op.w.n_tile_columns;
    const int row0 = warp / warps::WN * (Op::rows / warps::WM);
    const int token0 = warp % warps::WN * (BT / warps::WN);
    const uint64_t policy = l2_evict_first();
    auto sync = [] { __syncthreads(); };

    launch_dependents();
    if (!Op::is_early) wait_for_prior_grid();
    product_cursor<Op> load(op, n_k_tiles);
    if (Op::is_early) {
        // Weights first; they become part of the first stage's group.
        product_cursor<Op> ahead = load;
        for (int s = 0; s < STAGES - 1 && !ahead.is_done(); s++, ahead.next(op))
            mma_load_w<Op::rows, is_read_once<BT>>(at.stages + s * memory_of::stage_bytes,
                                                   ahead.tile, ahead.k_tile, n_k_tiles, policy);
        wait_for_prior_grid();
    }
    x_loader<Op, BT> x;
    if (!load.is_done()) x.begin(op, load.tile, threadIdx.x);
    int n_issued = 0;
    auto issue = [&] {
        if (!load.is_done()) {
            char *stage = at.stages + n_issued % STAGES * memory_of::stage_bytes;
            if (!Op::is_early || n_issued >= STAGES - 1)
                mma_load_w<Op::rows, is_read_once<BT>>(stage, load.tile, load.k_tile, n_k_tiles,
                                                       policy);
            x.load(stage + memory_of::w_bytes, load.k_tile, threadIdx.x, op.w.data);
            if (load.next(op) && !load.is_done()) x.begin(op, load.tile, threadIdx.x);
        }
        n_issued++;
        cp_async_commit();
    };
    for (int s = 0; s < STAGES - 1; s++) issue();

    int n_done = 0;
    for (int index = blockIdx.x; index < load.n_tiles; index += gridDim.x) {
        const product_tile tile = op.tile(index);
        begin_tile(op, tile, threadIdx.x, MMA_THREADS, 0);
        mma_sums<warps::M, warps::N> sums = {};
        for (int k = 0; k < n_k_tiles; k++, n_done++) {
            cp_async_wait<STAGES - 2>();
            __syncthreads();
            const char *stage = at.stages + n_done % STAGES * memory_of::stage_bytes;
            issue();
            mma_stage<Op::rows, BT>(stage, stage + memory_of::w_bytes, row0, token0, sums);
        }
        for (int first = 0; first < tile.n; first += SLICE) {
            mma_put<Op::rows, BT>(sums, at.sums, row0, token0, first);
            __syncthreads();
            op.finish(tile, first, min(SLICE, tile.n - first), at.sums, threadIdx.x, MMA_THREADS,
                      sync);
            __syncthreads();
        }
    }
    cp_async_wait<0>();
}

#endif
