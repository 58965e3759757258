// Errors with shared memory and between blocks.
#include "tests/cudasim/bugs/bug.h"

enum bug {
    CORRECT, UNWRITTEN, OVERRUN, WARP_FENCE, OVER_LIMIT, FLAG_UNORDERED, NO_COOPERATION, STUCK
};

// Each lane's value in reverse order; the second array stands behind the first.
__global__ void reverse(const uint32_t *in, uint32_t *out, int bug) {
    SHARED(uint32_t, first, [32]);
    SHARED(uint32_t, second, [32]);
    int t = threadIdx.x;
    second[t] = 7;
    if (bug != UNWRITTEN || t != 9) first[t + (bug == OVERRUN ? 20 : 0)] = in[t];
    if (bug != WARP_FENCE) __syncwarp();
    out[t] = first[31 - t] + second[t];
}

// Block 1 hands a word to block 0.
__global__ void hand_over(uint32_t *words, uint32_t *flag, int bug) {
    if (threadIdx.x != 0) return;
    if (blockIdx.x == 1) {
        words[0] = 42;
        if (bug == FLAG_UNORDERED)
            *(volatile uint32_t *)flag = 1;
        else
            store_release(flag, 1);
    } else if (blockIdx.x == 0) {
        if (bug == FLAG_UNORDERED)
            while (*(volatile uint32_t *)flag == 0) __nanosleep(1);
        else
            while (load_acquire(flag) == 0) {
            }
        words[1] = words[0];
    }
}

// Blocks pass a token on: each waits for the next, which needs all of them on the device at once.
__global__ void relay(uint32_t *tokens, int n) {
    int next = blockIdx.x + 1;
    if (threadIdx.x == 0) {
        while (next < n && load_acquire(&tokens[next]) == 0) {
        }
        store_release(&tokens[blockIdx.x], 1);
    }
}

__global__ void meet_all(uint32_t *count) {
    if (threadIdx.x == 0) atomicAdd(count, 1u);
    grid_barrier();
    if (threadIdx.x == 0 && blockIdx.x == 0) count[1] = count[0];
}

__global__ void large(uint32_t *out, int n) {
    SHARED(uint32_t, fixed, [4096]);
    DYNAMIC_SHARED(memory);
    uint32_t *rest;
    memory.take(&rest, n, 16);
    fixed[threadIdx.x] = rest[threadIdx.x] = 1;
    out[threadIdx.x] = fixed[threadIdx.x] + rest[threadIdx.x];
}

int main(int argc, char **argv) {
    int bug = bug_number(argc, argv, {"correct", "unwritten", "overrun", "warp_fence", "over_limit",
                                      "flag_unordered", "no_cooperation", "stuck"});
    std::vector<uint32_t> in(32);
    for (uint32_t i = 0; i < 32; i++) in[i] = i * 5;
    uint32_t *din = device_copy(in), *out = device_array<uint32_t>(64);
    struct launch how = {dim3(1), dim3(32)};
    CHECK_CUDA(launch_kernel(how, reverse, din, out, bug));
    CHECK_CUDA(cudaDeviceSynchronize());
    std::vector<uint32_t> have = fetch(out, 32);
    for (int i = 0; i < 32; i++) EXPECT(have[i] == in[31 - i] + 7);

    uint32_t *words = device_copy(std::vector<uint32_t>(1024));
    how.grid = dim3(2);
    CHECK_CUDA(launch_kernel(how, hand_over, words, words + 8, bug));
    CHECK_CUDA(cudaDeviceSynchronize());
    EXPECT(fetch(words, 2)[1] == 42);

    // As many blocks as are resident at once, or many more.
    CHECK_CUDA(cudaMemset(words, 0, 4096));
    how.grid = dim3(bug == STUCK ? 1000 : 8), how.block = dim3(bug == STUCK ? 1024 : 32);
    CHECK_CUDA(launch_kernel(how, relay, words, (int)how.grid.x));
    CHECK_CUDA(cudaDeviceSynchronize());
    EXPECT(fetch(words, 1)[0] == 1);

    CHECK_CUDA(cudaMemset(words, 0, 4096));
    how.grid = dim3(8), how.block = dim3(32), how.cooperative = bug != NO_COOPERATION;
    CHECK_CUDA(launch_kernel(how, meet_all, words));
    CHECK_CUDA(cudaDeviceSynchronize());
    EXPECT(fetch(words, 2)[1] == 8);

    // 16 KB of static shared memory beside 220 KB: together more than the 227 KB of a block.
    int n = (bug == OVER_LIMIT ? 220 : 200) * 256;
    struct launch wide = {dim3(1), dim3(32), n * sizeof(uint32_t)};
    CHECK_CUDA(allow_shared(large, wide.shared_bytes));
    CHECK_CUDA(launch_kernel(wide, large, out, n));
    CHECK_CUDA(cudaDeviceSynchronize());
    EXPECT(fetch(out, 1)[0] == 2);
    return 0;
}
