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

struct product_tile {
    const char *w;     // tiles of the first 32 rows; those of the next ones follow
    int row, token, n; // first row of the matrix; tokens token .. token + n - 1
    int group;         // of the Op
};

enum { K_STEP = TILE_COLUMNS, X_ROW_BYTES = K_STEP * 2, SLICE_MAX = 32, SUMS_PAD = 4 };

template <int ROWS> constexpr int sums_stride = ROWS + SUMS_PAD;
// Convolutions look at the tokens before: they get whole tiles.
template <int ROWS, int BT>
constexpr int slice_tokens = BT < SLICE_MAX || ROWS % 96 == 0 ? BT : int(SLICE_MAX);

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
    int index, k_tile, n_k_tiles, n_tiles;
    product_tile tile;

    __device__ __forceinline__ product_cursor(const Op &op, int n_k_tiles)
        : index(blockIdx.x), k_tile(0), n_k_tiles(n_k_tiles), n_tiles(op.n_tiles()) {
        if (index < n_tiles) tile = op.tile(index);
    }
    __device__ __forceinline__ bool is_done() const { return index >= n_tiles; }
    // True when a new tile begins.
    __device__ __forceinline__ bool next(const Op &op) {
        if (++k_tile < n_k_tiles) return false;
        k_tile = 0;
        index += gridDim.x;
        if (index < n_tiles) tile = op.tile(index);
        return true;
    }
};

// Tiles of all tokens of a step: all tokens of some rows, then the next rows, so that rows that are
// read by several blocks are read at the same time.
template <int ROWS, int BT>
__device__ __forceinline__ product_tile dense_tile(const struct matrix &w, int n_tokens, int i) {
    int n_token_tiles = (n_tokens + BT - 1) / BT;
    product_tile t;
    t.row = i / n_token_tiles * ROWS;
    t.token = i % n_token_tiles * BT;
    t.n = min(BT, n_tokens - t.token);
    t.group = 0;
    t.w = (const char *)w.data + (int64_t)(t.row / TILE_ROWS) * w.n_tile_columns * TILE_BYTES;
    return t;
}
template <int ROWS, int BT>
__device__ __forceinline__ int n_dense_tiles(const struct matrix &w, int n_tokens) {
    return w.n_rows / ROWS * ((n_tokens + BT - 1) / BT);
}

#include "kernels/cuda/matmul_mma.cuh"
#include "kernels/cuda/matmul_wgmma.cuh"

// ------------------------------------------------------------------ launching

template <class Memory, class Op>
static int launch_with(const struct queue *q, void (*kernel)(const Op), int n_threads,
                       const Op &op) {
    shared_size size;
    Memory counted(size);
    struct launch how;
    int n_blocks, status = resident_blocks(q, kernel, n_threads, size.bytes, &n_blocks);
    if (status) return status;
    how.grid = dim3(n_blocks);
    how.block = dim3(n_threads);
    how.shared_bytes = size.bytes;
    how.stream = (cudaStream_t)q->stream;
    how.programmatic = q->is_programmatic;
    return launch_kernel(how, kernel, op);
}
template <class Op, int BT> static int launch_mma(const struct queue *q, const Op &op) {
    return launch_with<mma_memory<Op::rows, BT>>(q, product_mma<Op, BT>, MMA_THREADS, op);
}
template <class Op, int BT> static int launch_wgmma(const struct queue *q, const Op &op) {
    return launch_with<wgmma_memory<Op::rows, BT>>(q, product_wgmma<Op, BT>,
                                                   wgmma_threads<Op::rows>, op);
}

// Op<ROWS, BT> with the arguments `a`, which it inherits, on the device's family.
template <class Op, int BT, class Arguments>
static int launch_product(const struct queue *q, const Arguments *a) {
    Op op;
    static_cast<Arguments &>(op) = *a;
    return q->family == FAMILY_MMA ? launch_mma<Op, BT>(q, op) : launch_wgmma<Op, BT>(q, op);
}

// The rows of a tile: few where there are few tokens, so that all SMs have one; a function that
// launches Op for each tile of tokens.
#define PRODUCT_LAUNCH(name, Op, Arguments)                                                        \
    int name(const struct queue *q, const struct Arguments *a, int token_tile) {                   \
        switch (token_tile) {                                                                      \
        case 8:                                                                                    \
            return launch_product<Op<64, 8>, 8>(q, a);                                             \
        case 16:                                                                                   \
            return launch_product<Op<64, 16>, 16>(q, a);                                           \
        case 32:                                                                                   \
            return launch_product<Op<64, 32>, 32>(q, a);                                           \
        case 64:                                                                                   \
            return launch_product<Op<128, 64>, 64>(q, a);                                          \
        default:                                                                                   \
            return launch_product<Op<128, 128>, 128>(q, a);                                        \
        }                                                                                          \
    }

#endif
