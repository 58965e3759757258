// The bulk copy engine: runs of bytes, boxes with each swizzle mode, edges, stores.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/wrappers/encode.h"
#include "tests/cudasim/wrappers/wrappers.h"

#if HAS_BULK
__device__ __forceinline__ void wait(uint64_t *barrier, int parity) {
    while (!mbarrier_try_wait(barrier, parity)) {
    }
}
__device__ __forceinline__ void begin(uint64_t *barrier) {
    if (threadIdx.x == 0) {
        mbarrier_init(barrier, 1);
        fence_mbarrier_init();
    }
    __syncthreads();
}

// Two phases of one barrier, then back to other places: 1024 bytes turned by 512.
__global__ void bytes_kernel(const uint32_t *in, uint32_t *out) {
    SHARED_ALIGNED(16, uint32_t, buffer, [256]);
    SHARED(uint64_t, barrier, [1]);
    int t = threadIdx.x;
    begin(barrier);
    if (t == 0) {
        bulk_prefetch(in, 1024);
        mbarrier_arrive_expect(barrier, 512);
        bulk_load(buffer, in + 128, 512, barrier);
    }
    wait(barrier, 0);
    __syncthreads(); // all have seen the first phase before the second can end
    if (t == 0) {
        mbarrier_arrive_expect(barrier, 512);
        bulk_load_hint(buffer + 128, in, 256, barrier, l2_evict_first());
        bulk_load(buffer + 192, in + 64, 256, barrier);
    }
    wait(barrier, 1);
    buffer[t] ^= 0x55;
    fence_proxy_async_shared();
    __syncthreads();
    if (t == 0) {
        bulk_store(out, buffer, 512);
        bulk_commit();
        bulk_store(out + 128, buffer + 128, 512);
        bulk_commit();
        bulk_wait_read<1>();
        bulk_wait<0>();
    }
}

// Device memory that threads wrote, loaded by the engine in the same kernel.
__global__ void proxy_kernel(const uint32_t *in, uint32_t *between, uint32_t *out) {
    SHARED_ALIGNED(16, uint32_t, buffer, [128]);
    SHARED(uint64_t, barrier, [1]);
    int t = threadIdx.x;
    begin(barrier);
    between[t] = in[t] * 3;
    fence_proxy_async();
    __syncthreads();
    if (t == 0) {
        mbarrier_arrive_expect(barrier, 512);
        bulk_load(buffer, between, 512, barrier);
    }
    wait(barrier, 0);
    out[t] = buffer[127 - t];
}

// The box at (x, y, z) as it lies in shared memory, then stored at (sx, sy, sz).
__global__ void box_kernel(const __grid_constant__ CUtensorMap map,
                           const __grid_constant__ CUtensorMap store_map, int rank, int n_words,
                           int3 at, int3 to, uint32_t *out) {
    DYNAMIC_SHARED(memory);
    uint32_t *box;
    memory.take(&box, 4096, 1024);
    SHARED(uint64_t, barrier, [1]);
    begin(barrier);
    if (threadIdx.x == 0) {
        tensor_prefetch_map(&map);
        mbarrier_arrive_expect(barrier, 4 * n_words);
        if (rank == 1) tensor_load_1d(box, &map, at.x, barrier);
        if (rank == 2) tensor_load_2d(box, &map, at.x, at.y, barrier);
        if (rank == 3) tensor_load_3d(box, &map, at.x, at.y, at.z, barrier);
    }
    wait(barrier, 0);
    for (int i = threadIdx.x; i < n_words; i += blockDim.x) out[i] = box[i];
    __syncthreads();
    if (threadIdx.x == 0) {
        mbarrier_arrive_expect(barrier, 4 * n_words); // again, with a hint
        if (rank == 1) tensor_load_1d(box, &map, at.x, barrier);
        if (rank == 2) tensor_load_2d_hint(box, &map, at.x, at.y, barrier, l2_evict_last());
        if (rank == 3) tensor_load_3d_hint(box, &map, at.x, at.y, at.z, barrier, l2_evict_first());
    }
    wait(barrier, 1);
    if (threadIdx.x == 0) {
        if (rank == 1) tensor_store_1d(&store_map, to.x, box);
        if (rank == 2) tensor_store_2d(&store_map, to.x, to.y, box);
        if (rank == 3) tensor_store_3d(&store_map, to.x, to.y, to.z, box);
        bulk_commit();
        bulk_wait<0>();
    }
}
#else
__global__ void bytes_kernel(const uint32_t *, uint32_t *) {}
__global__ void proxy_kernel(const uint32_t *, uint32_t *, uint32_t *) {}
__global__ void box_kernel(const __grid_constant__ CUtensorMap, const __grid_constant__ CUtensorMap,
                           int, int, int3, int3, uint32_t *) {}
#endif

CASE(bulk_bytes, NEEDS_90) {
    std::vector<uint32_t> in = c.random_words(256), want(256);
    for (int i = 0; i < 256; i++) want[i] = in[(i + 128) % 256] ^ 0x55;
    uint32_t *out = c.zeros<uint32_t>(256);
    struct launch how = {dim3(1), dim3(256)};
    c.check(launch_kernel(how, bytes_kernel, c.device(in), out), "launch");
    c.expect("out", out, want);
}

CASE(bulk_proxies, NEEDS_90) {
    std::vector<uint32_t> in = c.random_words(128), want(128);
    for (int i = 0; i < 128; i++) want[i] = in[127 - i] * 3;
    uint32_t *between = c.zeros<uint32_t>(128), *out = c.zeros<uint32_t>(128);
    struct launch how = {dim3(1), dim3(128)};
    c.check(launch_kernel(how, proxy_kernel, c.device(in), between, out), "launch");
    c.expect("out", out, want);
}

struct box_test {
    const char *name;
    int rank, size[3], box[3], at[3], to[3];
    CUtensorMapSwizzle swizzle;
};

// Where byte i of an unswizzled box lies: bits 4.. are exchanged with bits 7.. of the address.
static size_t swizzled(size_t i, CUtensorMapSwizzle mode) {
    int bits = mode == CU_TENSOR_MAP_SWIZZLE_128B  ? 3
               : mode == CU_TENSOR_MAP_SWIZZLE_64B ? 2
               : mode == CU_TENSOR_MAP_SWIZZLE_32B ? 1
                                                   : 0;
    return i ^ ((i >> 7 & ((1u << bits) - 1)) << 4);
}

static void run_box(context &c, const box_test &b) {
    const int *s = b.size;
    size_t n = (size_t)s[0] * s[1] * s[2], n_box = (size_t)b.box[0] * b.box[1] * b.box[2];
    std::vector<uint16_t> in = c.random_bf16(n), stored(n, 9), want(n_box);
    for (int z = 0; z < b.box[2]; z++)
        for (int y = 0; y < b.box[1]; y++)
            for (int x = 0; x < b.box[0]; x++) {
                size_t i = ((size_t)z * b.box[1] + y) * b.box[0] + x;
                int gx = b.at[0] + x, gy = b.at[1] + y, gz = b.at[2] + z;
                bool inside = gx >= 0 && gx < s[0] && gy >= 0 && gy < s[1] && gz >= 0 && gz < s[2];
                uint16_t v = inside ? in[((size_t)gz * s[1] + gy) * s[0] + gx] : 0;
                want[swizzled(2 * i, b.swizzle) / 2] = v;
                int tx = b.to[0] + x, ty = b.to[1] + y, tz = b.to[2] + z;
                if (tx >= 0 && tx < s[0] && ty >= 0 && ty < s[1] && tz >= 0 && tz < s[2])
                    stored[((size_t)tz * s[1] + ty) * s[0] + tx] = v;
            }
    uint16_t *source = c.device(in), *target = c.device(std::vector<uint16_t>(n, 9));
    uint32_t *out = c.zeros<uint32_t>(n_box / 2);
    CUtensorMap map, store_map;
    if (encode_16bit(&map, source, b.rank, s, 2 * (size_t)s[0], b.box, b.swizzle) ||
        encode_16bit(&store_map, target, b.rank, s, 2 * (size_t)s[0], b.box, b.swizzle)) {
        printf("# %s: the tensor map was refused\n", b.name);
        c.n_failed++;
        return;
    }
    struct launch how = {dim3(1), dim3(128), 4096 * 4};
    c.check(launch_kernel(how, box_kernel, map, store_map, b.rank, (int)n_box / 2,
                          make_int3(b.at[0], b.at[1], b.at[2]), make_int3(b.to[0], b.to[1], b.to[2]),
                          out), "launch");
    c.expect(b.name, out, want);
    c.expect((std::string(b.name) + " stored").c_str(), target, stored);
}

CASE(bulk_boxes, NEEDS_90) {
    const box_test tests[] = {
        {"1d", 1, {200, 1, 1}, {64, 1, 1}, {24, 0, 0}, {8, 0, 0}, CU_TENSOR_MAP_SWIZZLE_NONE},
        {"1d edge", 1, {200, 1, 1}, {64, 1, 1}, {168, 0, 0}, {-8, 0, 0}, CU_TENSOR_MAP_SWIZZLE_NONE},
        {"2d", 2, {96, 40, 1}, {64, 32, 1}, {16, 3, 0}, {32, 8, 0}, CU_TENSOR_MAP_SWIZZLE_NONE},
        {"2d 32", 2, {96, 40, 1}, {16, 32, 1}, {16, 3, 0}, {32, 8, 0}, CU_TENSOR_MAP_SWIZZLE_32B},
        {"2d 64", 2, {96, 40, 1}, {32, 32, 1}, {16, 3, 0}, {32, 8, 0}, CU_TENSOR_MAP_SWIZZLE_64B},
        {"2d 128", 2, {96, 40, 1}, {64, 32, 1}, {16, 3, 0}, {32, 8, 0}, CU_TENSOR_MAP_SWIZZLE_128B},
        {"2d edges", 2, {96, 40, 1}, {64, 32, 1}, {-8, 20, 0}, {48, -9, 0},
         CU_TENSOR_MAP_SWIZZLE_128B},
        {"2d corner", 2, {96, 40, 1}, {64, 16, 1}, {56, 35, 0}, {-40, 39, 0},
         CU_TENSOR_MAP_SWIZZLE_128B},
        {"3d", 3, {72, 9, 5}, {64, 4, 3}, {8, 2, 1}, {0, 5, 2}, CU_TENSOR_MAP_SWIZZLE_128B},
        {"3d edges", 3, {72, 9, 5}, {64, 4, 3}, {24, 7, 4}, {-8, -2, -1},
         CU_TENSOR_MAP_SWIZZLE_128B},
    };
    for (const box_test &b : tests) run_box(c, b);
}

// A cluster of two: each block loads half of a box for both, arrives at the other's barrier, and
// reads what came. out[block] is the box of that block.
#if HAS_BULK
__global__ void cluster_kernel(const __grid_constant__ CUtensorMap map, uint32_t *out,
                               uint32_t *ranks) {
    SHARED_ALIGNED(128, uint32_t, box, [2][8][32]);
    SHARED(uint64_t, full, [1]);
    SHARED(uint64_t, peers, [1]);
    int t = threadIdx.x, rank = (int)cluster_rank();
    if (t == 0) {
        mbarrier_init(full, 1);
        mbarrier_init(peers, 2);
        fence_mbarrier_init();
        ranks[blockIdx.x] = (uint32_t)rank;
    }
    cluster_arrive();
    cluster_wait();
    if (t == 0) {
        mbarrier_arrive_expect(full, 2 * 8 * 128);
        tensor_load_2d_multicast(box[rank], &map, 0, 8 * rank, full, 3);
    }
    wait(full, 0);
    for (int i = 0; i < 4; i++) out[512 * blockIdx.x + 128 * i + t] = ((uint32_t *)box)[128 * i + t];
    __syncthreads();
    if (t < 2) mbarrier_arrive_remote(peers, t);
    wait(peers, 0);
    cluster_arrive();
    cluster_wait(); // nobody leaves while others may reach into its memory
}
#else
__global__ void cluster_kernel(const __grid_constant__ CUtensorMap, uint32_t *, uint32_t *) {}
#endif
CASE(cluster, NEEDS_90) {
    const int size[3] = {64, 16, 1}, box[3] = {64, 8, 1};
    std::vector<uint16_t> in = c.random_bf16(1024);
    std::vector<uint32_t> want(1024);
    for (int b = 0; b < 2; b++)
        for (int i = 0; i < 512; i++)
            want[512 * b + i] = in[2 * i] | (uint32_t)in[2 * i + 1] << 16;
    CUtensorMap map;
    uint16_t *source = c.device(in);
    if (encode_16bit(&map, source, 2, size, 128, box, CU_TENSOR_MAP_SWIZZLE_NONE)) c.n_failed++;
    uint32_t *out = c.zeros<uint32_t>(1024), *ranks = c.zeros<uint32_t>(2);
    struct launch how = {dim3(2), dim3(128)};
    how.n_cluster_blocks = 2;
    c.check(launch_kernel(how, cluster_kernel, map, out, ranks), "launch");
    c.expect("boxes", out, want);
    c.expect("ranks", ranks, std::vector<uint32_t>{0, 1});
}
