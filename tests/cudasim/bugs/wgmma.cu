// Errors of kernels that copy by the bulk engine and multiply by wgmma.
#include "tests/cudasim/bugs/bug.h"
#include "tests/cudasim/wrappers/encode.h"

enum bug {
    CORRECT, STORE_FENCE, INIT_FENCE, PHASE, EXPECT_FEW, EXPECT_MANY, DESCRIPTOR, SWIZZLE,
    REGISTER_FENCE, READ_EARLY, FREED_EARLY, ONE_WARP_WAITS, STORE_NOT_WAITED, MAP_TOO_LARGE,
    NOT_WAITED, DIFFERENT_DESCRIPTORS, FILL_FENCE, BOX_START
};
enum { ROWS = 64, COLUMNS = 32, DEPTH = 64, STAGES = 2, THREADS = 256 };

struct ring {
    uint16_t *w, *x; // (STAGES, ROWS, DEPTH), (STAGES, COLUMNS, DEPTH), swizzled by 128 bytes
    float *tile;     // (COLUMNS, ROWS)
    uint64_t *full, *free;
    template <class Memory> __host__ __device__ explicit ring(Memory &memory) {
        memory.take(&w, STAGES * ROWS * DEPTH, 1024);
        memory.take(&x, STAGES * COLUMNS * DEPTH, 1024);
        memory.take(&tile, COLUMNS * ROWS, 128);
        memory.take(&full, STAGES);
        memory.take(&free, STAGES);
    }
};

__device__ void wait(uint64_t *barrier, int parity) {
    while (!mbarrier_try_wait(barrier, parity)) {
    }
}

// x by cp.async of one warp, swizzled by hand; w by the engine.
__device__ void produce(const ring &r, const CUtensorMap *w_map, const uint16_t *x, int k, int bug) {
    int lane = threadIdx.x % 32;
    for (int step = 0; step < k / DEPTH; step++) {
        int s = step % STAGES, turn = step / STAGES & 1;
        wait(&r.free[s], bug == PHASE ? turn : turn ^ 1);
        uint16_t *to = r.x + s * COLUMNS * DEPTH;
        for (int c = lane; c < COLUMNS * DEPTH / 8; c += 32) {
            int row = c / 8, piece = c % 8;
            cp_async_16(to + row * DEPTH + (piece ^ row % 8) * 8, x + row * k + step * DEPTH + piece * 8);
        }
        cp_async_commit();
        cp_async_wait<0>();
        if (bug != FILL_FENCE) fence_proxy_async_shared();
        if (lane == 0) {
            int bytes = ROWS * DEPTH * 2;
            if (bug == EXPECT_FEW) bytes -= 128;
            if (bug == EXPECT_MANY) bytes += 128;
            mbarrier_arrive_expect(&r.full[s], bytes);
            int column = step * DEPTH + (bug == BOX_START ? 4 : 0);
            tensor_load_2d(r.w + s * ROWS * DEPTH, w_map, column, 0, &r.full[s]);
        } else {
            mbarrier_arrive(&r.full[s]);
        }
    }
}

__device__ void consume(const ring &r, float (&acc)[COLUMNS / 2], int k, int bug) {
    int warp = threadIdx.x / 32 % 4;
    for (int step = 0; step < k / DEPTH; step++) {
        int s = step % STAGES;
        if (bug != ONE_WARP_WAITS || warp == 0) wait(&r.full[s], step / STAGES & 1);
        const uint16_t *w = r.w + s * ROWS * DEPTH, *x = r.x + s * COLUMNS * DEPTH;
        if (bug != REGISTER_FENCE) wgmma_fence();
        for (int kk = 0; kk < DEPTH; kk += 16) {
            int stride = bug == DESCRIPTOR ? 512 : 1024;
            uint64_t a = wgmma_descriptor(w + kk, 16, stride, WGMMA_128);
            uint64_t b = wgmma_descriptor(x + kk, 16, 1024, WGMMA_128);
            if (bug == DIFFERENT_DESCRIPTORS) a += warp;
            wgmma_bf16<COLUMNS>(acc, a, b, step + kk > 0);
        }
        wgmma_commit();
        if (bug == FREED_EARLY) mbarrier_arrive(&r.free[s]);
        if (bug == READ_EARLY)
            wgmma_wait<1>();
        else if (bug != NOT_WAITED)
            wgmma_wait<0>();
        if (bug != FREED_EARLY) mbarrier_arrive(&r.free[s]);
    }
}

// out (COLUMNS, ROWS) = x (COLUMNS, k) w (ROWS, k)'. Warp 0 produces, the second warpgroup consumes.
__global__ void __launch_bounds__(THREADS, 1)
    multiply(const __grid_constant__ CUtensorMap w_map, const uint16_t *x, float *out, int k, int bug) {
    DYNAMIC_SHARED(memory);
    ring r(memory);
    if (threadIdx.x == 128) { // not the thread that uses them with the engine
        for (int s = 0; s < STAGES; s++) {
            mbarrier_init(&r.full[s], 32);
            mbarrier_init(&r.free[s], 128);
        }
        if (bug != INIT_FENCE) fence_mbarrier_init();
    }
    __syncthreads();
    if (threadIdx.x < 32) produce(r, &w_map, x, k, bug);
    if (threadIdx.x < 128) return;
    float acc[COLUMNS / 2];
    consume(r, acc, k, bug);
    int t = threadIdx.x % 128, g = t % 32 / 4, q = 2 * (t % 4);
    for (int i = 0; i < COLUMNS / 2; i++) {
        int row = 16 * (t / 32) + g + 8 * (i / 2 % 2), column = 8 * (i / 4) + q + i % 2;
        r.tile[column * ROWS + row] = acc[i];
    }
    if (bug == READ_EARLY) wgmma_wait<0>();
    if (bug != STORE_FENCE) fence_proxy_async_shared();
    barrier_sync(1, 128);
    if (t == 0) {
        bulk_store(out, r.tile, COLUMNS * ROWS * 4);
        bulk_commit();
        if (bug != STORE_NOT_WAITED) bulk_wait_read<0>();
    }
}

int main(int argc, char **argv) {
    int bug = bug_number(argc, argv,
                         {"correct", "store_fence", "init_fence", "phase", "expect_few",
                          "expect_many", "descriptor", "swizzle", "register_fence", "read_early",
                          "freed_early", "one_warp_waits", "store_not_waited", "map_too_large",
                          "not_waited", "different_descriptors", "fill_fence",
                          "box_start"});
    int k = 256;
    std::vector<uint16_t> x = random_bf16(COLUMNS * k, 1), w = random_bf16(ROWS * k, 2);
    uint16_t *dx = device_copy(x), *dw = device_copy(w);
    float *out = device_array<float>(COLUMNS * ROWS);
    int size[2] = {k, bug == MAP_TOO_LARGE ? 2 * ROWS : ROWS}, box[2] = {DEPTH, ROWS};
    if (bug == MAP_TOO_LARGE) dw += ROWS / 2 * k;
    CUtensorMap map;
    CHECK(encode_16bit(&map, dw, 2, size, 2 * k, box, bug == SWIZZLE ? CU_TENSOR_MAP_SWIZZLE_NONE
                                                      : CU_TENSOR_MAP_SWIZZLE_128B) == CUDA_SUCCESS);
    shared_size bytes;
    ring counted(bytes);
    struct launch how = {dim3(1), dim3(THREADS), bytes.bytes};
    CHECK_CUDA(allow_shared(multiply, bytes.bytes));
    CHECK_CUDA(launch_kernel(how, multiply, map, dx, out, k, bug));
    CHECK_CUDA(cudaDeviceSynchronize());
    std::vector<float> have = fetch(out, COLUMNS * ROWS);
    for (int i = 0; i < COLUMNS; i++)
        for (int j = 0; j < ROWS; j++) {
            double want = 0;
            for (int l = 0; l < k; l++) want += bf16_value(x[i * k + l]) * bf16_value(w[j * k + l]);
            EXPECT(fabs(have[i * ROWS + j] - want) <= 2e-4);
        }
    return 0;
}
