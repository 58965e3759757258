// Matrix products with swapped operands: rows of the weights are the rows of a tile of outputs,
// tokens its columns. A product is an Op, which says what its tiles are, where its activations lie
// and what becomes of the sums; it runs on either family of instructions (matmul_mma.cuh,
// matmul_wgmma.cuh).
//
// Order of a sum, on both: columns in steps of 16, one accumulator from the first to the last. It
// depends on the weight's shape alone: not on the tile of tokens, the place of a token in it, nor
// the number of blocks.
//
// An Op<ROWS> is copied to the kernel and has
//     static const int rows = ROWS;     weight rows of a tile
//     static const bool is_early;       its tiles do not depend on the kernel ahead, so that the
//                                       weights of the first stages may be fetched before it ends
//     int n_tiles() const;
//     product_tile tile(int i) const;
//     const void *row(const product_tile &, int i) const;   activations of token i of the tile
//     template <class Sync> void finish(const product_tile &, int first, int n, const float *sums,
//         int thread, int n_threads, Sync sync) const;
// finish gets tokens first .. first + n - 1 of the tile in slices; sums[t * sums_stride + row] of
// token first + t. All n_threads call it and may call sync(), a barrier of them.
#ifndef KERNELS_CUDA_MATMUL_CUH
#define KERNELS_CUDA_MATMUL_CUH

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/raster.h"

struct product_tile {
    const char *w;     // its pieces, w_piece rows each; the next n_tile_columns * TILE_BYTES on
    int row, token, n; // first row of the matrix; tokens token .. token + n - 1
    int group;         // of the Op
};

enum { K_STEP = TILE_COLUMNS, X_ROW_BYTES = K_STEP * 2, SLICE_MAX = 32, SUMS_PAD = 4 };

template <int ROWS> constexpr int sums_stride = ROWS + SUMS_PAD;
// Convolutions look at the tokens before: they get whole tiles.
template <int ROWS, int BT>
constexpr int slice_tokens = BT < SLICE_MAX || ROWS % 48 == 0 ? BT : int(SLICE_MAX);

// Rows that lie together in memory: a tile's, or half of them.
template <int ROWS> constexpr int w_piece = ROWS % TILE_ROWS ? TILE_ROWS / 2 : int(TILE_ROWS);

// Small tiles are of steps that have one tile of tokens: nobody reads the weights again, and they
// leave the L2 cache first.
template <int BT> constexpr bool is_read_once = BT <= 32;

// Copies of the activations of a stage, BT rows of 128 bytes, by 128 threads: chunk t % 8 of rows
// t / 8, t / 8 + 16, .... Rows that the tile does not have are zeros.
template <class Op, int BT> struct x_loader {
    static constexpr int N = (BT + 15) / 16;
    const char *row[N];

    __device__ __forceinline__ void begin(const Op &op, const product_tile &tile, int thread) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            int r = thread / 8 + 16 * i;
            row[i] = r < tile.n ? (const char *)op.row(tile, r) + thread % 8 * 16 : nullptr;
        }
    }
    __device__ __forceinline__ void load(char *stage, int k_tile, int thread, const void *any) {
        int place = thread % 8 ^ thread / 8 % 8;
        char *to = stage + thread / 8 * X_ROW_BYTES + place * 16;
#pragma unroll
        for (int i = 0; i < N; i++, to += 16 * X_ROW_BYTES)
            if (BT >= 16 || thread < BT * 8)
                cp_async_16_zero_fill(to, row[i] ? row[i] + k_tile * X_ROW_BYTES : any,
                                      row[i] ? 16 : 0);
    }
};

// The tiles of a block of a persistent grid, and the steps along the columns of each.
template <class Op> struct product_cursor {
    int index, step, k_tile, n_k_tiles, n_tiles;
    product_tile tile;

    __device__ __forceinline__ product_cursor(const Op &op, int n_k_tiles, int first = blockIdx.x,
                                              int step = gridDim.x)
        : index(first), step(step), k_tile(0), n_k_tiles(n_k_tiles), n_tiles(op.n_tiles()) {
        if (index < n_tiles) tile = op.tile(index);
    }
    __device__ __forceinline__ bool is_done() const { return index >= n_tiles; }
    // True when a new tile begins.
    __device__ __forceinline__ bool next(const Op &op) {
        if (++k_tile < n_k_tiles) return false;
        k_tile = 0;
        index += step;
        if (index < n_tiles) tile = op.tile(index);
        return true;
    }
};

// An Op may have begin(tile, thread, n_threads): what its finish wants to know early. The barriers
// around the sums order it.
template <class Op>
__device__ __forceinline__ auto begin_tile(const Op &op, const product_tile &tile, int thread,
                                           int n_threads, int)
    -> decltype(op.begin(tile, thread, n_threads)) {
    op.begin(tile, thread, n_threads);
}
template <class Op>
__device__ __forceinline__ void begin_tile(const Op &, const product_tile &, int, int, long) {}

// An Op may have prefetch(thread), for a warpgroup of each block whose copies are all on their way:
// what later kernels read, to the L2 cache.
template <class Op>
__device__ __forceinline__ auto prefetch_ahead(const Op &op, int thread, int)
    -> decltype(op.prefetch(thread)) {
    op.prefetch(thread);
}
template <class Op> __device__ __forceinline__ void prefetch_ahead(const Op &, int, long) {}

// Tiles of all tokens of a step.
template <int ROWS, int BT>
__device__ __forceinline__ product_tile dense_tile(const struct matrix &w, int n_tokens, int i) {
    const struct raster_place place =
        raster_tile(i, w.n_rows / ROWS, (n_tokens + BT - 1) / BT, RASTER_TOKENS / BT);
    product_tile t;
    t.row = place.row * ROWS;
    t.token = place.column * BT;
    t.n = min(BT, n_tokens - t.token);
    t.group = 0;
    t.w = (const char *)w.data + (int64_t)(t.row / TILE_ROWS) * w.n_tile_columns * TILE_BYTES +
          t.row % TILE_ROWS * X_ROW_BYTES;
    return t;
}
template <int ROWS, int BT>
__device__ __forceinline__ int n_dense_tiles(const struct matrix &w, int n_tokens) {
    return w.n_rows / ROWS * ((n_tokens + BT - 1) / BT);
}

enum { WARPGROUP = 128 };

#if HAS_BULK
__device__ __forceinline__ void wait_barrier(uint64_t *barrier, int parity) {
    while (!mbarrier_try_wait(barrier, parity)) {
    }
}

// The weights of a stage, by one thread.
template <int ROWS, bool IS_ONCE>
__device__ __forceinline__ void bulk_load_w(char *stage, const product_tile &tile, int k_tile,
                                            int n_k_tiles, uint64_t *full, uint64_t policy) {
    mbarrier_arrive_expect(full, ROWS * X_ROW_BYTES);
    const char *from = tile.w + (int64_t)k_tile * TILE_BYTES;
    constexpr int BYTES = w_piece<ROWS> * X_ROW_BYTES;
#pragma unroll
    for (int i = 0; i < ROWS / w_piece<ROWS>; i++, stage += BYTES) {
        const char *at = from + (int64_t)i * n_k_tiles * TILE_BYTES;
        if (IS_ONCE)
            bulk_load_hint(stage, at, BYTES, full, policy);
        else
            bulk_load(stage, at, BYTES, full);
    }
}
#endif

#include "kernels/cuda/matmul_mma.cuh"
#include "kernels/cuda/matmul_wgmma.cuh"
#include "kernels/cuda/matmul_few.cuh"
#include "kernels/cuda/matmul_many.cuh"

// ------------------------------------------------------------------ launching

template <class Memory, class Op>
static int launch_with(const struct queue *q, void (*kernel)(const Op), int n_threads, const Op &op,
                       int n_cluster_blocks = 1) {
    shared_size size;
    Memory counted(size);
    struct launch how;
    int n_blocks, status = resident_blocks(q, kernel, n_threads, size.bytes, &n_blocks);
    if (status) return status;
    how.grid = dim3((n_blocks + n_cluster_blocks - 1) / n_cluster_blocks * n_cluster_blocks);
    how.n_cluster_blocks = n_cluster_blocks;
    how.block = dim3(n_threads);
    how.shared_bytes = size.bytes;
    how.stream = (cudaStream_t)q->stream;
    how.programmatic = q->is_programmatic;
    return launch_kernel(how, kernel, op);
}
template <class Op, class Arguments> static Op with_arguments(const Arguments *a) {
    Op op;
    static_cast<Arguments &>(op) = *a;
    return op;
}

// Op<ROWS, BT> with the arguments `a`, which it inherits.
template <class Op, int BT, class Arguments>
static int launch_wgmma(const struct queue *q, const Arguments *a) {
    return launch_with<wgmma_memory<Op::rows, BT>>(q, product_wgmma<Op, BT>,
                                                   wgmma_threads<Op::rows>, with_arguments<Op>(a));
}
template <class Op, int BT, class Arguments>
static int launch_mma(const struct queue *q, const Arguments *a) {
    return launch_with<mma_memory<Op::rows, BT>>(q, product_mma<Op, BT>, MMA_THREADS,
                                                 with_arguments<Op>(a));
}
// The same on the device's family.
template <class Op, int BT, class Arguments>
static int launch_product(const struct queue *q, const Arguments *a) {
    return q->family == FAMILY_MMA ? launch_mma<Op, BT>(q, a) : launch_wgmma<Op, BT>(q, a);
}
template <class Op, int BT, class Arguments>
static int launch_few(const struct queue *q, const Arguments *a) {
    return launch_with<few_memory<Op::rows, BT>>(q, product_few<Op, BT>, FEW_THREADS,
                                                 with_arguments<Op>(a));
}

// Op::rows divides the rows of the matrix.
template <class Op, class Arguments>
static int launch_many(const struct queue *q, const Arguments *a) {
    return launch_with<many_memory<Op::rows>>(q, product_many<Op>, MANY_THREADS,
                                              with_arguments<Op>(a), MANY_BLOCKS);
}
static inline bool has_many(const struct queue *q, const struct matrix *w, int rows) {
    return q->family == FAMILY_WGMMA && w->n_rows % rows == 0;
}
// Where tiles of 128 x 128 are more than one wave: as long as all of them run at once, there are
// twice as many SMs at work as with tiles of 256 x 256 on two, and the L2 cache has time for all.
static inline bool wants_many(const struct queue *q, const struct matrix *w, int max_tokens) {
    return max_tokens >= MANY_TILE && has_many(q, w, 256) &&
           w->n_rows / 128 * (max_tokens / 128) > q->n_sms;
}

// Op for each tile of tokens: few rows where there are few tokens, so that all SMs have some.
template <template <int, int> class Op, class Arguments>
static int launch_by_tile(const struct queue *q, const Arguments *a, int token_tile) {
    if (token_tile <= 8) return launch_product<Op<64, 8>, 8>(q, a);
    if (token_tile <= 16) return launch_product<Op<64, 16>, 16>(q, a);
    if (token_tile <= 32) return launch_product<Op<64, 32>, 32>(q, a);
    if (token_tile <= 64 || q->max_shared_bytes < LARGEST_TILE_SHARED)
        return launch_product<Op<128, 64>, 64>(q, a);
    return launch_product<Op<128, 128>, 128>(q, a);
}

#endif
