// ldmatrix, stmatrix, mma.sync.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/wrappers/wrappers.h"

// Rows lie in shared memory in a turned order, so that each lane's address matters.
__device__ __forceinline__ int turned(int row) {
    return (row * 5 + 3) % 32;
}

__global__ void ldmatrix_kernel(const uint32_t *in, uint32_t *out) {
    SHARED_ALIGNED(16, uint32_t, rows, [32][4]);
    int t = threadIdx.x;
    for (int i = 0; i < 4; i++) rows[turned(t)][i] = in[4 * t + i];
    __syncwarp();
    const void *mine = rows[turned(t)];
    uint32_t r1[1], r2[2], r4[4], s2[2], s4[4];
    ldmatrix_x1(r1, mine);
    ldmatrix_x2(r2, mine);
    ldmatrix_x4(r4, mine);
    ldmatrix_x2_trans(s2, mine);
    ldmatrix_x4_trans(s4, mine);
    out[t] = r1[0];
    for (int i = 0; i < 2; i++) out[32 * (1 + i) + t] = r2[i], out[32 * (3 + i) + t] = s2[i];
    for (int i = 0; i < 4; i++) out[32 * (5 + i) + t] = r4[i], out[32 * (9 + i) + t] = s4[i];
}
CASE(ldmatrix, NEEDS_80) {
    std::vector<uint32_t> in = c.random_words(128), want;
    const uint16_t *h = (const uint16_t *)in.data(); // row r, element e: h[8 r + e]
    auto plain = [&](int m, int l) { return in[4 * (8 * m + l / 4) + l % 4]; };
    auto trans = [&](int m, int l) {
        int row = 2 * (l % 4), column = l / 4;
        return h[8 * (8 * m + row) + column] | (uint32_t)h[8 * (8 * m + row + 1) + column] << 16;
    };
    for (int l = 0; l < 32; l++) want.push_back(plain(0, l));
    for (int m = 0; m < 2; m++)
        for (int l = 0; l < 32; l++) want.push_back(plain(m, l));
    for (int m = 0; m < 2; m++)
        for (int l = 0; l < 32; l++) want.push_back(trans(m, l));
    for (int m = 0; m < 4; m++)
        for (int l = 0; l < 32; l++) want.push_back(plain(m, l));
    for (int m = 0; m < 4; m++)
        for (int l = 0; l < 32; l++) want.push_back(trans(m, l));
    uint32_t *out = c.zeros<uint32_t>(want.size());
    struct launch how = {dim3(1), dim3(32)};
    c.check(launch_kernel(how, ldmatrix_kernel, c.device(in), out), "launch");
    c.expect("registers", out, want);
}

#if HAS_BULK
__global__ void stmatrix_kernel(const uint32_t *in, uint32_t *out) {
    SHARED_ALIGNED(16, uint32_t, rows, [3][32][4]);
    int t = threadIdx.x;
    uint32_t r4[4], r2[2];
    for (int i = 0; i < 4; i++) r4[i] = in[32 * i + t];
    for (int i = 0; i < 2; i++) r2[i] = r4[i];
    for (int i = 0; i < 4; i++) rows[2][t][i] = 7;
    __syncwarp();
    stmatrix_x4(rows[0][turned(t)], r4);
    stmatrix_x4_trans(rows[1][turned(t)], r4);
    stmatrix_x2(rows[2][t], r2);
    __syncwarp();
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 4; i++) out[128 * k + 4 * t + i] = rows[k][k < 2 ? turned(t) : t][i];
}
#else
__global__ void stmatrix_kernel(const uint32_t *, uint32_t *) {}
#endif
CASE(stmatrix, NEEDS_90) {
    std::vector<uint32_t> in = c.random_words(128), want(384, 7);
    uint16_t *h = (uint16_t *)want.data();
    for (int m = 0; m < 4; m++)
        for (int l = 0; l < 32; l++)
            for (int e = 0; e < 2; e++) {
                uint16_t v = (uint16_t)(in[32 * m + l] >> 16 * e);
                h[8 * (8 * m + l / 4) + 2 * (l % 4) + e] = v;
                h[256 + 8 * (8 * m + 2 * (l % 4) + e) + l / 4] = v;
                if (m < 2) h[512 + 8 * (8 * m + l / 4) + 2 * (l % 4) + e] = v;
            }
    uint32_t *out = c.zeros<uint32_t>(384);
    struct launch how = {dim3(1), dim3(32)};
    c.check(launch_kernel(how, stmatrix_kernel, c.device(in), out), "launch");
    c.expect("rows", out, want);
}

// a (16, 16) row-major, b (8, 16) with k contiguous, d (16, 8); fragments loaded as documented.
__global__ void mma_kernel(const uint16_t *a, const uint16_t *b, const float *d, float *out) {
    int lane = threadIdx.x, g = lane / 4, q = 2 * (lane % 4);
    uint32_t ra[4], rb[2];
    for (int i = 0; i < 4; i++) ra[i] = *(const uint32_t *)&a[16 * (g + i % 2 * 8) + q + i / 2 * 8];
    for (int i = 0; i < 2; i++) rb[i] = *(const uint32_t *)&b[16 * g + q + 8 * i];
    float acc[4];
    for (int i = 0; i < 4; i++) acc[i] = d[8 * (g + i / 2 * 8) + q + i % 2];
    mma_m16n8k16_bf16(acc, ra, rb);
    mma_m16n8k16_bf16(acc, ra, rb);
    for (int i = 0; i < 4; i++) out[8 * (g + i / 2 * 8) + q + i % 2] = acc[i];
}
CASE(mma, NEEDS_80) {
    std::vector<uint16_t> a = c.random_bf16(256), b = c.random_bf16(128);
    std::vector<float> d(128);
    std::vector<double> want(128);
    for (int i = 0; i < 128; i++) {
        want[i] = d[i] = c.random_float();
        for (int k = 0; k < 16; k++)
            want[i] += 2.0 * float_of(a[16 * (i / 8) + k]) * float_of(b[16 * (i % 8) + k]);
    }
    float *out = c.zeros<float>(128);
    struct launch how = {dim3(1), dim3(32)};
    c.check(launch_kernel(how, mma_kernel, c.device(a), c.device(b), c.device(d), out), "launch");
    c.expect("d", out, want, 1e-5); // 33 products of magnitude 1 in float32
}

// mma_tile gives the bits of the single products.
__global__ void tile_kernel(const uint32_t *a, const uint32_t *b, float *out) {
    int lane = threadIdx.x;
    uint32_t ra[2][4], rb[3][2];
    float one[2][3][4] = {}, tile[2][3][4] = {};
    for (int i = 0; i < 8; i++) ra[i / 4][i % 4] = a[32 * i + lane];
    for (int i = 0; i < 6; i++) rb[i / 2][i % 2] = b[32 * i + lane];
    for (int n = 0; n < 2; n++) {
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 3; j++) mma_m16n8k16_bf16(one[i][j], ra[i], rb[j]);
        mma_tile(tile, ra, rb);
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int e = 0; e < 4; e++) {
                out[32 * (12 * i + 4 * j + e) + lane] = tile[i][j][e];
                out[768 + 32 * (12 * i + 4 * j + e) + lane] = tile[i][j][e] - one[i][j][e];
            }
}
CASE(mma_tile, NEEDS_80) {
    std::vector<uint16_t> a = c.random_bf16(512), b = c.random_bf16(384);
    float *out = c.zeros<float>(1536);
    struct launch how = {dim3(1), dim3(32)};
    c.check(launch_kernel(how, tile_kernel, (const uint32_t *)c.device(a),
                          (const uint32_t *)c.device(b), out),
            "launch");
    c.expect("difference", out + 768, std::vector<double>(768), 0);
}
