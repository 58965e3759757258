// cp.async: sizes, zero fill, groups, arrivals at mbarriers.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/wrappers/wrappers.h"

// One warp copies 512 bytes by each size, then reverses them.
__global__ void copy_kernel(const uint32_t *in, uint32_t *out) {
    SHARED_ALIGNED(16, uint32_t, buffer, [3][128]);
    int t = threadIdx.x;
    for (int i = 0; i < 4; i++) cp_async_4(&buffer[0][32 * i + t], in + 32 * i + t);
    cp_async_16(&buffer[1][4 * t], in + 128 + 4 * t);
    cp_async_16_hint(&buffer[2][4 * t], in + 256 + 4 * t,
                     t & 1 ? l2_evict_first() : l2_evict_last());
    cp_async_commit();
    cp_async_wait<0>();
    __syncwarp();
    for (int i = t; i < 384; i += 32) out[i] = buffer[2 - i / 128][127 - i % 128];
}
CASE(cp_async, NEEDS_80) {
    std::vector<uint32_t> in = c.random_words(384), want(384);
    for (int i = 0; i < 384; i++) want[i] = in[383 - i];
    uint32_t *out = c.zeros<uint32_t>(384);
    struct launch how = {dim3(1), dim3(32)};
    c.check(launch_kernel(how, copy_kernel, c.device(in), out), "launch");
    c.expect("out", out, want);
}

// Lane t reads t % 17 bytes of 16.
__global__ void zero_fill_kernel(const unsigned char *in, unsigned char *out) {
    SHARED_ALIGNED(16, unsigned char, buffer, [512]);
    int t = threadIdx.x;
    cp_async_16_zero_fill(buffer + 16 * t, in + 16 * t, t % 17);
    cp_async_commit();
    cp_async_wait<0>();
    for (int i = 0; i < 16; i++) out[16 * t + i] = buffer[16 * t + i];
}
CASE(cp_async_zero_fill, NEEDS_80) {
    std::vector<uint32_t> in = c.random_words(128), want = in;
    for (int i = 0; i < 512; i++)
        if (i % 16 >= i / 16 % 17) ((unsigned char *)want.data())[i] = 0;
    uint32_t *out = c.zeros<uint32_t>(128);
    struct launch how = {dim3(1), dim3(32)};
    c.check(launch_kernel(how, zero_fill_kernel, (const unsigned char *)c.device(in),
                          (unsigned char *)out),
            "launch");
    c.expect("out", out, want);
}

// Three groups in flight, used as they land: out = sums of words of each group, by all threads.
__global__ void groups_kernel(const uint32_t *in, uint32_t *out) {
    SHARED_ALIGNED(16, uint32_t, ring, [3][512]);
    int t = threadIdx.x;
    for (int g = 0; g < 2; g++) {
        cp_async_16(&ring[g][4 * t], in + 512 * g + 4 * t);
        cp_async_commit();
    }
    for (int g = 0; g < 8; g++) {
        cp_async_wait<1>();
        __syncthreads();
        if (g + 2 < 8) cp_async_16(&ring[(g + 2) % 3][4 * t], in + 512 * (g + 2) + 4 * t);
        cp_async_commit();
        uint32_t sum = 0;
        for (int i = 0; i < 4; i++) sum += ring[g % 3][(t * 7 + i * 128) % 512];
        out[128 * g + t] = sum;
    }
    cp_async_wait<0>();
}
CASE(cp_async_groups, NEEDS_80) {
    std::vector<uint32_t> in = c.random_words(4096), want(1024);
    for (int g = 0; g < 8; g++)
        for (int t = 0; t < 128; t++)
            for (int i = 0; i < 4; i++) want[128 * g + t] += in[512 * g + (t * 7 + i * 128) % 512];
    uint32_t *out = c.zeros<uint32_t>(1024);
    struct launch how = {dim3(1), dim3(128)};
    c.check(launch_kernel(how, groups_kernel, c.device(in), out), "launch");
    c.expect("out", out, want);
}

// Copies whose end is an arrival: 64 threads copy, 64 others wait and read.
__global__ void arrive_kernel(const uint32_t *in, uint32_t *out) {
    SHARED_ALIGNED(16, uint32_t, buffer, [256]);
    SHARED(uint64_t, barrier, [1]);
    int t = threadIdx.x;
    if (t == 0) mbarrier_init(barrier, 64);
    __syncthreads();
    if (t < 64) {
        cp_async_16(&buffer[4 * t], in + 4 * t);
        cp_async_arrive(barrier);
    } else {
        while (!mbarrier_test_wait(barrier, 0)) {
        }
        for (int i = 0; i < 4; i++) out[64 * i + t - 64] = buffer[255 - (64 * i + t - 64)];
    }
    __syncthreads();
    if (t == 0) mbarrier_invalidate(barrier);
}
CASE(cp_async_arrive, NEEDS_80) {
    std::vector<uint32_t> in = c.random_words(256), want(in.rbegin(), in.rend());
    uint32_t *out = c.zeros<uint32_t>(256);
    struct launch how = {dim3(1), dim3(128)};
    c.check(launch_kernel(how, arrive_kernel, c.device(in), out), "launch");
    c.expect("out", out, want);
}

__global__ void single_kernel(const uint4 *in, uint32_t *out, const float *x, float *y) {
    int t = threadIdx.x;
    prefetch_l2(in + t);
    uint4 v = load_streamed_16(in + t);
    out[4 * t] = v.x, out[4 * t + 1] = v.y, out[4 * t + 2] = v.z, out[4 * t + 3] = v.w;
    y[t] = exp2_approx(x[t]);
}
CASE(single_accesses, NEEDS_80) {
    std::vector<uint32_t> in = c.random_words(128);
    std::vector<float> x(32);
    std::vector<double> want(32);
    for (int i = 0; i < 32; i++) {
        x[i] = 4 * c.random_float();
        want[i] = exp2((double)x[i]);
    }
    uint32_t *out = c.zeros<uint32_t>(128);
    float *y = c.zeros<float>(32);
    struct launch how = {dim3(1), dim3(32)};
    c.check(launch_kernel(how, single_kernel, (const uint4 *)c.device(in), out, c.device(x), y),
            "launch");
    c.expect("streamed", out, in);
    c.expect("exp2", y, want, 16 * 2.4e-7); // 2 units in the last place of numbers up to 16
}
