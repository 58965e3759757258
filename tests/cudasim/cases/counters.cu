// Counts that can be told in advance: bytes by buffer, sectors, bank conflicts, FLOPs, barriers.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/cases/check.h"
#include "tests/cudasim/cudasim.h"
#include "tests/cudasim/samples/samples.h"

// One warp a block; each lane reads a word `stride` words from its neighbour's.
__global__ void read_words(const uint32_t *in, uint32_t *out, int stride) {
    out[blockIdx.x * 32 + threadIdx.x] = in[(blockIdx.x * 32 + threadIdx.x) * stride];
}
// Each lane writes a word, then reads one `stride` words from its neighbour's.
__global__ void share_words(uint32_t *out, int stride) {
    SHARED(uint32_t, words, [1024]);
    for (int i = 0; i < 32; i++) words[32 * i + threadIdx.x] = 1;
    __syncwarp();
    out[threadIdx.x] = words[threadIdx.x * stride];
}
__global__ void load_rows(const void *in, uint32_t *out, int row_bytes) {
    SHARED_ALIGNED(16, unsigned char, rows, [16 * 144]);
    int lane = threadIdx.x;
    for (int i = lane; i < 16 * row_bytes / 16; i += 32)
        cp_async_16(rows + 16 * i, (const char *)in + 16 * i);
    cp_async_commit();
    cp_async_wait<0>();
    __syncwarp();
    uint32_t r[4];
    ldmatrix_x4(r, rows + (lane % 16) * row_bytes + lane / 16 * 16);
    out[lane] = r[0] + r[1] + r[2] + r[3];
}

static struct cudasim_counts counts_of(const char *kernel) {
    struct cudasim_counts c;
    CHECK_CUDA(cudaDeviceSynchronize());
    CHECK(cudasim_counts(kernel, &c) == 1);
    return c;
}

// Ordinary accesses are seen in the race build alone.
static bool sees_accesses() {
    uint32_t *in = device_copy(std::vector<uint32_t>(64, 1)), *out = device_array<uint32_t>(64);
    struct launch how = {dim3(2), dim3(32)};
    CHECK_CUDA(launch_kernel(how, read_words, in, out, 1));
    bool sees = counts_of("read_words").bytes_read > 0;
    cudasim_clear_counts();
    return sees;
}

static void test_sectors() {
    uint32_t *in = device_copy(std::vector<uint32_t>(64 * 32, 1));
    uint32_t *out = device_array<uint32_t>(64);
    struct launch how = {dim3(2), dim3(32)};
    for (int stride : {1, 2, 8, 32}) {
        cudasim_clear_counts();
        CHECK_CUDA(launch_kernel(how, read_words, in, out, stride));
        CHECK_CUDA(cudaDeviceSynchronize());
        struct cudasim_counts c;
        CHECK(cudasim_buffer_counts("read_words", in, &c) == 1);
        CHECK(c.bytes_read == 256 && c.bytes_written == 0 && c.requests == 2);
        CHECK(c.sectors == 2 * (stride < 8 ? 4u * stride : 32u));
        CHECK(c.sector_bytes_used == 256);
        CHECK(cudasim_buffer_counts("read_words", out, &c) == 1);
        CHECK(c.bytes_written == 256 && c.requests == 2 && c.sectors == 8);
    }
    // A named part of a buffer has counts of its own.
    cudasim_name(in + 32, 128, "second half");
    cudasim_clear_counts();
    CHECK_CUDA(launch_kernel(how, read_words, in, out, 1));
    struct cudasim_counts c = counts_of("read_words");
    CHECK(c.launches == 1 && c.blocks == 2 && c.bytes_read == 256);
    CHECK(cudasim_buffer_counts(nullptr, in + 32, &c) == 1 && c.bytes_read == 128);
    CHECK(cudasim_buffer_counts(nullptr, in, &c) == 1 && c.bytes_read == 128);
}

static void test_banks() {
    uint32_t *out = device_array<uint32_t>(32);
    struct launch how = {dim3(1), dim3(32)};
    for (int stride : {1, 2, 31, 8, 0}) { // 31: no conflict; 0: one word for all
        cudasim_clear_counts();
        CHECK_CUDA(launch_kernel(how, share_words, out, stride));
        struct cudasim_counts c = counts_of("share_words");
        uint64_t ways = stride == 2 ? 2 : stride == 8 ? 8 : 1;
        CHECK(c.shared_requests == 33 && c.shared_passes_ideal == 33);
        CHECK(c.shared_passes == 32 + ways);
    }
}

// Rows of 64 bytes put every second row on the same banks; of 80 bytes (64 and 16 for padding)
// none.
static void test_matrices() {
    std::vector<uint32_t> zeros(1024);
    uint32_t *in = device_copy(zeros), *out = device_array<uint32_t>(32);
    struct launch how = {dim3(1), dim3(32)};
    for (int row_bytes : {64, 80, 128, 144}) {
        cudasim_clear_counts();
        CHECK_CUDA(launch_kernel(how, load_rows, (const void *)in, out, row_bytes));
        struct cudasim_counts c = counts_of("load_rows");
        uint64_t ways = row_bytes == 64 ? 4 : row_bytes == 128 ? 8 : 1;
        CHECK(c.shared_requests == 1 && c.shared_passes_ideal == 4 && c.shared_passes == 4 * ways);
        CHECK(c.copies == (uint64_t)row_bytes);
        CHECK(cudasim_buffer_counts("load_rows", in, &c) == 1);
        CHECK(c.bytes_read == 16u * row_bytes && c.sector_bytes_used == c.bytes_read);
        CHECK(c.sectors == c.bytes_read / 32);
    }
}

// The samples read each byte of w once for each tile of rows, and multiply what they pad.
static void test_products() {
    int m = 70, n = 128, k = 192;
    uint16_t *x = device_copy(std::vector<uint16_t>((size_t)m * k));
    uint16_t *w = device_copy(std::vector<uint16_t>((size_t)n * k));
    uint16_t *out = device_array<uint16_t>((size_t)m * n);
    float *squares = device_copy(std::vector<float>(m));
    cudasim_name(w, 0, "w");
    cudasim_clear_counts();
    CHECK_CUDA(gemm_mma_launch(x, w, out, squares, m, n, k, nullptr));
    struct cudasim_counts c = counts_of("gemm_mma");
    CHECK(c.mma_flops == 2ull * 128 * n * k && c.wgmma_flops == 0 && c.blocks == 4);
    CHECK(c.barriers == 4 * 128 * (k / 32 + 1ull));
    CHECK(c.atomics == 2 * 70 && c.float_atomics == 2 * 70);
    CHECK(cudasim_buffer_counts("gemm_mma", w, &c) == 1);
    CHECK(c.bytes_read == 2ull * n * k * 2 && c.sector_bytes_used == 32 * c.sectors);
    cudasim_clear_counts();
    CHECK_CUDA(gemm_wgmma_launch(x, w, out, m, n, k, 64, nullptr));
    c = counts_of("gemm_wgmma<64>");
    CHECK(c.wgmma_flops == 2ull * 128 * n * k && c.mma_flops == 0 && c.blocks == 2);
    CHECK(c.bulk_copies == 2 * (2ull * k / 64 + 1));
    CHECK(cudasim_buffer_counts("gemm_wgmma", w, &c) == 1 && c.bytes_read == 2ull * n * k * 2);
    CHECK(cudasim_buffer_counts("gemm_wgmma", x, &c) == 1 && c.bytes_read == 2ull * m * k);
    CHECK(cudasim_buffer_counts("gemm_wgmma", out, &c) == 1 && c.bytes_written == 2ull * m * n);
    cudasim_print_counts("/dev/null");
}

int main() {
    int major;
    CHECK_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
    CHECK(major == 9);
    bool sees = sees_accesses();
    cudasim_count_requests(1);
    if (sees) test_sectors();
    if (sees) test_banks();
    test_matrices();
    test_products();
    printf("ok%s\n", sees ? "" : " (without ordinary accesses)");
    return 0;
}
