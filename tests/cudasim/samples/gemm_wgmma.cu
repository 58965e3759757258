// out = x w' with wgmma and the bulk copy engine, operands swapped: 128 rows of w are the rows of
// the product (64 for each of two consumer warpgroups), TOKENS rows of x its columns. A producer
// warp fills a ring of four stages; the tile leaves by stmatrix and a bulk store.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/samples/samples.h"

#include <string.h>

enum { ROWS = 128, DEPTH = 64, STAGES = 4, THREADS = 384, CONSUMERS = 256 };
typedef __nv_bfloat16 bf16;

template <int TOKENS> struct ring {
    bf16 *w, *x;           // (STAGES, ROWS, DEPTH), (STAGES, TOKENS, DEPTH), swizzled by 128 bytes
    bf16 *tile;            // (TOKENS, ROWS)
    uint64_t *full, *free; // (STAGES)
    template <class Memory> __host__ __device__ explicit ring(Memory &memory) {
        memory.take(&w, STAGES * ROWS * DEPTH, 1024);
        memory.take(&x, STAGES * TOKENS * DEPTH, 1024);
        memory.take(&tile, TOKENS * ROWS, 128);
        memory.take(&full, STAGES);
        memory.take(&free, STAGES);
    }
};

#if HAS_WGMMA
__device__ __forceinline__ void wait(uint64_t *barrier, int parity) {
    while (!mbarrier_try_wait(barrier, parity)) {
    }
}

template <int TOKENS>
__device__ __forceinline__ void produce(const ring<TOKENS> &r, const CUtensorMap *w_map,
                                        const CUtensorMap *x_map, int row0, int token0, int steps) {
    uint64_t policy = l2_evict_first();
    for (int step = 0; step < steps; step++) {
        int stage = step % STAGES, turn = step / STAGES;
        wait(&r.free[stage], ~turn & 1);
        mbarrier_arrive_expect(&r.full[stage], (ROWS + TOKENS) * DEPTH * (int)sizeof(bf16));
        tensor_load_2d_hint(r.w + stage * ROWS * DEPTH, w_map, step * DEPTH, row0, &r.full[stage],
                            policy);
        tensor_load_2d(r.x + stage * TOKENS * DEPTH, x_map, step * DEPTH, token0, &r.full[stage]);
    }
}

template <int TOKENS>
__device__ __forceinline__ void consume(const ring<TOKENS> &r, float (&acc)[TOKENS / 2], int group,
                                        int steps) {
    for (int step = 0; step < steps; step++) {
        int stage = step % STAGES;
        wait(&r.full[stage], step / STAGES & 1);
        const bf16 *w = r.w + (stage * ROWS + group * 64) * DEPTH,
                   *x = r.x + stage * TOKENS * DEPTH;
        wgmma_fence();
        for (int k = 0; k < DEPTH; k += 16)
            wgmma_bf16<TOKENS>(acc, wgmma_descriptor(w + k, 16, 1024, WGMMA_128),
                               wgmma_descriptor(x + k, 16, 1024, WGMMA_128), step + k > 0);
        wgmma_commit();
        wgmma_wait<1>(); // the product of the step before is done: its stage is free
        if (step > 0 && threadIdx.x % 32 == 0) mbarrier_arrive(&r.free[(step - 1) % STAGES]);
    }
    wgmma_wait<0>();
}

// The accumulators as bf16 into tile (TOKENS, ROWS).
template <int TOKENS>
__device__ __forceinline__ void store_tile(bf16 *tile, const float (&acc)[TOKENS / 2], int group) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
    for (int j = 0; j < TOKENS / 8; j += 2) {
        uint32_t r[4];
        for (int i = 0; i < 4; i++) {
            __nv_bfloat162 two = __floats2bfloat162_rn(acc[4 * j + 2 * i], acc[4 * j + 2 * i + 1]);
            memcpy(&r[i], &two, 4);
        }
        int token = 8 * j + lane / 16 * 8 + lane % 8;
        stmatrix_x4_trans(tile + token * ROWS + group * 64 + warp * 16 + lane / 8 % 2 * 8, r);
    }
}
#endif

template <int TOKENS>
__global__ void __launch_bounds__(THREADS, 1)
    gemm_wgmma(const __grid_constant__ CUtensorMap w_map, const __grid_constant__ CUtensorMap x_map,
               const __grid_constant__ CUtensorMap out_map, int k) {
#if HAS_WGMMA
    DYNAMIC_SHARED(memory);
    ring<TOKENS> r(memory);
    int row0 = blockIdx.x * ROWS, token0 = blockIdx.y * TOKENS, steps = k / DEPTH;
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            mbarrier_init(&r.full[s], 1);
            mbarrier_init(&r.free[s], CONSUMERS / 32);
        }
        fence_mbarrier_init();
    }
    __syncthreads();
    wait_for_prior_grid();
    if (threadIdx.x < 128) {
        registers_decrease<40>();
        if (threadIdx.x < 32 && elect_one())
            produce<TOKENS>(r, &w_map, &x_map, row0, token0, steps);
    } else {
        registers_increase<232>();
        int group = threadIdx.x / 128 - 1;
        float acc[TOKENS / 2];
        consume<TOKENS>(r, acc, group, steps);
        store_tile<TOKENS>(r.tile, acc, group);
        fence_proxy_async_shared();
        barrier_sync(1, CONSUMERS);
        if (threadIdx.x == 128) {
            tensor_store_2d(&out_map, row0, token0, r.tile);
            bulk_commit();
            bulk_wait<0>();
        }
    }
#endif
}

template <int TOKENS>
static cudaError_t launch_with(const CUtensorMap &w, const CUtensorMap &x, const CUtensorMap &out,
                               int m, int n, int k, cudaStream_t stream) {
    struct launch how;
    how.grid = dim3(n / ROWS, (m + TOKENS - 1) / TOKENS);
    how.block = dim3(THREADS);
    shared_size size;
    ring<TOKENS> counted(size);
    how.shared_bytes = size.bytes;
    how.stream = stream;
    how.programmatic = true;
    cudaError_t status = allow_shared(gemm_wgmma<TOKENS>, how.shared_bytes);
    if (status != cudaSuccess) return status;
    return launch_kernel(how, gemm_wgmma<TOKENS>, w, x, out, k);
}

typedef decltype(&cuTensorMapEncodeTiled) encoder;

// A matrix of bf16 with rows of `columns`, cut into boxes of box_rows x box_columns.
static CUresult encode(encoder f, CUtensorMap *map, const void *at, int rows, int columns,
                       int box_rows, int box_columns, CUtensorMapSwizzle swizzle) {
    cuuint64_t sizes[2] = {(cuuint64_t)columns, (cuuint64_t)rows};
    cuuint64_t strides[1] = {(cuuint64_t)columns * sizeof(bf16)};
    cuuint32_t box[2] = {(cuuint32_t)box_columns, (cuuint32_t)box_rows}, ones[2] = {1, 1};
    return f(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, (void *)at, sizes, strides, box, ones,
             CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

cudaError_t gemm_wgmma_launch(const void *x, const void *w, void *out, int m, int n, int k,
                              int tokens, cudaStream_t stream) {
    void *symbol;
    cudaDriverEntryPointQueryResult found;
    cudaError_t status = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &symbol, 12000,
                                                          cudaEnableDefault, &found);
    if (status != cudaSuccess) return status;
    CUtensorMap w_map, x_map, out_map;
    encoder f = (encoder)symbol;
    if (encode(f, &w_map, w, n, k, ROWS, DEPTH, CU_TENSOR_MAP_SWIZZLE_128B) ||
        encode(f, &x_map, x, m, k, tokens, DEPTH, CU_TENSOR_MAP_SWIZZLE_128B) ||
        encode(f, &out_map, out, m, n, tokens, ROWS, CU_TENSOR_MAP_SWIZZLE_NONE))
        return cudaErrorInvalidValue;
    switch (tokens) {
    case 16:
        return launch_with<16>(w_map, x_map, out_map, m, n, k, stream);
    case 64:
        return launch_with<64>(w_map, x_map, out_map, m, n, k, stream);
    case 128:
        return launch_with<128>(w_map, x_map, out_map, m, n, k, stream);
    default:
        return cudaErrorInvalidValue;
    }
}
