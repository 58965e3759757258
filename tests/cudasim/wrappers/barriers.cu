// Named barriers, mbarriers, acquire and release, launches that overlap, the barrier of a grid; and
// the device functions of CUDA C++ that the emulator has bodies for.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.h"
#include "tests/cudasim/wrappers/wrappers.h"

// Warp 0 produces, warps 1 to 3 consume, ten times, by two named barriers.
__global__ void named_kernel(uint32_t *out) {
    SHARED(uint32_t, buffer, [32]);
    int t = threadIdx.x, lane = t % 32;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 10; i++) {
        if (t < 32) {
            if (i > 0) barrier_sync(2, 128); // consumed
            buffer[lane] = i * 100 + (uint32_t)lane;
            barrier_arrive(1, 128); // full
        } else {
            barrier_sync(1, 128);
            sum += buffer[(lane + t / 32) % 32];
            if (i < 9) barrier_arrive(2, 128);
        }
    }
    out[t] = sum;
}
CASE(named_barriers, NEEDS_80) {
    std::vector<uint32_t> want(128);
    for (uint32_t t = 32; t < 128; t++) want[t] = 4500 + 10 * ((t % 32 + t / 32) % 32);
    uint32_t *out = c.zeros<uint32_t>(128);
    struct launch how = {dim3(1), dim3(128)};
    c.check(launch_kernel(how, named_kernel, out), "launch");
    c.expect("sums", out, want);
}

// A ring of two stages with full and free mbarriers; arrivals by all lanes.
__global__ void mbarrier_kernel(const uint32_t *in, uint32_t *out) {
    SHARED(uint32_t, ring, [2][32]);
    SHARED(uint64_t, full, [2]);
    SHARED(uint64_t, empty, [2]);
    int t = threadIdx.x, lane = t % 32;
    if (t == 0)
        for (int s = 0; s < 2; s++) {
            mbarrier_init(&full[s], 32);
            mbarrier_init(&empty[s], 32);
        }
    __syncthreads();
    for (int i = 0; i < 12; i++) {
        int s = i % 2, turn = i / 2 & 1;
        if (t < 32) {
            while (!mbarrier_test_wait(&empty[s], turn ^ 1)) {
            }
            ring[s][lane] = in[32 * i + lane];
            mbarrier_arrive(&full[s]);
        } else {
            while (!mbarrier_test_wait(&full[s], turn)) {
            }
            out[32 * i + lane] = ring[s][31 - lane];
            mbarrier_arrive(&empty[s]);
        }
    }
}
CASE(mbarriers, NEEDS_80) {
    std::vector<uint32_t> in = c.random_words(384), want(384);
    for (int i = 0; i < 384; i++) want[i] = in[i / 32 * 32 + 31 - i % 32];
    uint32_t *out = c.zeros<uint32_t>(384);
    struct launch how = {dim3(1), dim3(64)};
    c.check(launch_kernel(how, mbarrier_kernel, c.device(in), out), "launch");
    c.expect("out", out, want);
}

// Each block adds its part; the last one sums them (acquire-release counter). Block 0 also spins
// until block 1 has published a word (release, acquire).
__global__ void ordered_kernel(uint32_t *parts, uint32_t *counter, uint32_t *flag, uint32_t *out) {
    SHARED(uint32_t, last, [1]);
    int t = threadIdx.x;
    if (blockIdx.x == 1 && t == 0) {
        parts[100] = 77;
        store_release(flag, 1);
    }
    if (blockIdx.x == 0 && t == 0) {
        while (load_acquire(flag) == 0) {
        }
        out[1] = parts[100];
    }
    if (t == 0) parts[blockIdx.x] = blockIdx.x + 1;
    __syncthreads();
    if (t == 0) last[0] = atomic_add_acq_rel(counter, 1) == gridDim.x - 1;
    __syncthreads();
    if (last[0] && t == 0) {
        uint32_t sum = 0;
        for (unsigned i = 0; i < gridDim.x; i++) sum += parts[i];
        out[0] = sum;
    }
}
CASE(ordered_accesses, NEEDS_80) {
    uint32_t *parts = c.zeros<uint32_t>(128), *counter = c.zeros<uint32_t>(1);
    uint32_t *flag = c.zeros<uint32_t>(1), *out = c.zeros<uint32_t>(2);
    struct launch how = {dim3(20), dim3(64)};
    c.check(launch_kernel(how, ordered_kernel, parts, counter, flag, out), "launch");
    c.expect("out", out, std::vector<uint32_t>{210, 77});
}

// The classic form of the same: __threadfence and a relaxed atomic.
__global__ void fenced_kernel(volatile uint32_t *parts, uint32_t *counter, uint32_t *out) {
    SHARED(bool, last, [1]);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = blockIdx.x + 1;
        __threadfence();
        last[0] = atomicAdd(counter, 1u) == gridDim.x - 1;
        if (last[0]) {
            __threadfence();
            uint32_t sum = 0;
            for (unsigned i = 0; i < gridDim.x; i++) sum += parts[i];
            out[0] = sum;
        }
    }
}
CASE(fences, NEEDS_80) {
    uint32_t *parts = c.zeros<uint32_t>(64), *counter = c.zeros<uint32_t>(1);
    uint32_t *out = c.zeros<uint32_t>(1);
    struct launch how = {dim3(20), dim3(32)};
    c.check(launch_kernel(how, fenced_kernel, parts, counter, out), "launch");
    c.expect("sum", out, std::vector<uint32_t>{210});
}

// Ten steps over a row of words: each block writes its word, then reads its neighbours'.
__global__ void grid_kernel(uint32_t *words) {
    for (int step = 0; step < 10; step++) {
        uint32_t *from = words + step % 2 * 64, *to = words + (step + 1) % 2 * 64;
        unsigned i = blockIdx.x, n = gridDim.x;
        if (threadIdx.x == 0) to[i] = from[(i + n - 1) % n] + from[(i + 1) % n];
        grid_barrier();
    }
}
CASE(grid_barrier, NEEDS_80) {
    std::vector<uint32_t> words = c.random_words(128), want = words;
    for (int step = 0; step < 10; step++)
        for (int i = 0; i < 16; i++)
            want[(step + 1) % 2 * 64 + i] =
                want[step % 2 * 64 + (i + 15) % 16] + want[step % 2 * 64 + (i + 1) % 16];
    uint32_t *at = c.device(words);
    struct launch how = {dim3(16), dim3(64)};
    how.cooperative = true;
    c.check(launch_kernel(how, grid_kernel, at), "launch");
    c.expect("words", at, want);
}

// A chain of kernels that may overlap: each adds the sum of the one before to its words.
__global__ void chain_kernel(const uint32_t *from, uint32_t *to, int n) {
    SHARED(uint32_t, own, [64]);
    own[threadIdx.x] = threadIdx.x * 3; // before the wait: nothing of others
    __syncthreads();
    launch_dependents();
    wait_for_prior_grid();
    int i = blockIdx.x * 64 + threadIdx.x;
    if (i < n) to[i] = from[(i + 1) % n] + own[63 - threadIdx.x];
}
CASE(programmatic_launches, NEEDS_90) {
    std::vector<uint32_t> words = c.random_words(256), want = words;
    uint32_t *a = c.device(words), *b = c.zeros<uint32_t>(256);
    struct launch how = {dim3(4), dim3(64)};
    how.programmatic = true;
    for (int step = 0; step < 8; step++) {
        c.check(launch_kernel(how, chain_kernel, step % 2 ? b : a, step % 2 ? a : b, 256),
                "launch");
        std::vector<uint32_t> before = want;
        for (int i = 0; i < 256; i++) want[i] = before[(i + 1) % 256] + (63 - i % 64) * 3;
    }
    c.expect("words", a, want);
}

#if HAS_BULK
__global__ void elect_kernel(uint32_t *out) {
    bool mine = elect_one(), again = elect_one();
    unsigned lanes = __ballot_sync(0xffffffff, mine);
    if (threadIdx.x == 0) out[0] = (uint32_t)__popc(lanes);
    out[1 + threadIdx.x] = mine == again;
}
#else
__global__ void elect_kernel(uint32_t *) {}
#endif
CASE(elect, NEEDS_90) {
    uint32_t *out = c.zeros<uint32_t>(33);
    struct launch how = {dim3(1), dim3(32)};
    c.check(launch_kernel(how, elect_kernel, out), "launch");
    c.expect("one lane, always the same", out, std::vector<uint32_t>(33, 1));
}
