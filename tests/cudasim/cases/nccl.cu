// NCCL's stand-in between processes: results, groups, communicators that do not block, dead ranks,
// aborts, and what is refused.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <functional>

#include "tests/cudasim/cases/check.h"
#include "tests/cudasim/host/nccl_functions.h"

#define CHECK_NCCL(call) CHECK((call) == ncclSuccess)

// Runs f(rank, id) in n processes; each must end with this status (or be killed by -status).
static void in_ranks(int n, std::function<void(int, ncclUniqueId)> f,
                     std::vector<int> status = {}) {
    ncclUniqueId id;
    CHECK_NCCL(ncclGetUniqueId(&id));
    std::vector<pid_t> child(n);
    fflush(stdout);
    for (int r = 0; r < n; r++) {
        child[r] = fork();
        if (child[r] == 0) {
            alarm(60);
            f(r, id);
            _exit(0);
        }
    }
    for (int r = 0; r < n; r++) {
        int s, want = r < (int)status.size() ? status[r] : 0;
        CHECK(waitpid(child[r], &s, 0) == child[r]);
        CHECK(want < 0 ? WIFSIGNALED(s) && WTERMSIG(s) == -want
                       : WIFEXITED(s) && WEXITSTATUS(s) == want);
    }
}

// A communicator by either way, once all ranks are there.
static ncclComm_t join(int rank, int n, ncclUniqueId id, bool blocking) {
    ncclComm_t comm;
    if (blocking) {
        CHECK_NCCL(ncclCommInitRank(&comm, n, id, rank));
        return comm;
    }
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    CHECK(ncclCommInitRankConfig(&comm, n, id, rank, &config) == ncclInProgress);
    ncclResult_t state = ncclInProgress;
    while (state == ncclInProgress) CHECK_NCCL(ncclCommGetAsyncError(comm, &state));
    CHECK_NCCL(state);
    return comm;
}
// Of a call on a communicator that may not block.
static void settle(ncclComm_t comm, ncclResult_t status) {
    while (status == ncclInProgress) CHECK_NCCL(ncclCommGetAsyncError(comm, &status));
    CHECK_NCCL(status);
}

enum { N = 200000 }; // more than one piece of a channel
static void all_kinds(int rank, int n, ncclUniqueId id, bool blocking) {
    ncclComm_t comm = join(rank, n, id, blocking);
    int count, me;
    CHECK_NCCL(ncclCommCount(comm, &count));
    CHECK_NCCL(ncclCommUserRank(comm, &me));
    CHECK(count == n && me == rank);
    cudaStream_t s;
    CHECK_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    std::vector<float> mine(N);
    for (int i = 0; i < N; i++) mine[i] = (float)(i % 100 + 1000 * rank);
    float *x = device_copy(mine), *sum = device_array<float>(N), *all = device_array<float>(n * N);
    settle(comm, ncclAllReduce(x, sum, N, ncclFloat32, ncclSum, comm, s));
    settle(comm, ncclAllGather(x, all, N, ncclFloat32, comm, s));
    settle(comm, ncclBroadcast(x, x, N, ncclFloat32, n - 1, comm, s));
    float *from_next = device_array<float>(N);
    // Around the ring: in one group, or both would wait for each other.
    CHECK_NCCL(ncclGroupStart());
    CHECK_NCCL(ncclSend(sum, N, ncclFloat32, (rank + n - 1) % n, comm, s));
    CHECK_NCCL(ncclRecv(from_next, N, ncclFloat32, (rank + 1) % n, comm, s));
    settle(comm, ncclGroupEnd());
    CHECK_CUDA(cudaStreamSynchronize(s));
    auto have = fetch(x, N), sums = fetch(sum, N), gathered = fetch(all, n * N);
    auto next = fetch(from_next, N);
    for (int i = 0; i < N; i++) {
        CHECK(have[i] == (float)(i % 100 + 1000 * (n - 1)));
        CHECK(sums[i] == (float)(n * (i % 100) + 1000 * n * (n - 1) / 2) && next[i] == sums[i]);
        for (int r = 0; r < n; r++) CHECK(gathered[r * N + i] == (float)(i % 100 + 1000 * r));
    }
    CHECK_NCCL(ncclCommFinalize(comm));
    CHECK_NCCL(ncclCommDestroy(comm));
}

// The buffers of a broadcast go on in the order of the stream: a copy behind it sees its data.
static void ordered(int rank, ncclUniqueId id) {
    ncclComm_t comm = join(rank, 2, id, false);
    cudaStream_t s;
    CHECK_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    uint32_t *x = device_array<uint32_t>(64), *host = pinned_array<uint32_t>(64);
    for (uint32_t round = 0; round < 5; round++) {
        CHECK_CUDA(cudaMemsetAsync(x, rank == 0 ? (int)round + 1 : 0, 256, s));
        settle(comm, ncclBroadcast(x, x, 64, ncclUint32, 0, comm, s));
        CHECK_CUDA(cudaMemcpyAsync(host, x, 256, cudaMemcpyDeviceToHost, s));
        CHECK_CUDA(cudaStreamSynchronize(s));
        CHECK(host[63] == 0x01010101 * (round + 1));
    }
    CHECK_NCCL(ncclCommDestroy(comm));
}

// Rank 1 dies between two broadcasts; rank 0 is told, aborts, and its stream comes to an end.
static void death(int rank, ncclUniqueId id) {
    ncclComm_t comm = join(rank, 2, id, false);
    cudaStream_t s;
    CHECK_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    uint32_t *x = device_array<uint32_t>(64);
    CHECK_CUDA(cudaMemsetAsync(x, rank, 256, s));
    settle(comm, ncclBroadcast(x, x, 64, ncclUint32, 1, comm, s));
    CHECK_CUDA(cudaStreamSynchronize(s));
    CHECK(fetch(x, 64)[5] == 0x01010101);
    if (rank == 1) raise(SIGKILL);
    ncclResult_t state = ncclBroadcast(x, x, 64, ncclUint32, 1, comm, s);
    while (state != ncclRemoteError) {
        CHECK_NCCL(ncclCommGetAsyncError(comm, &state));
        CHECK(state == ncclSuccess || state == ncclInProgress || state == ncclRemoteError);
        usleep(1000);
    }
    CHECK_NCCL(ncclCommAbort(comm));
    CHECK_CUDA(cudaStreamSynchronize(s));
}

struct shared {
    ncclUniqueId second;
    volatile int joined;
};
// A rank that aborts is told to the others; both go on with a new communicator.
static void abort_and_again(int rank, ncclUniqueId id, shared *m) {
    ncclComm_t comm = join(rank, 2, id, false);
    ncclResult_t state = ncclSuccess;
    if (rank == 1) m->joined = 1;
    if (rank == 0) {
        while (!m->joined) usleep(100);
        CHECK_NCCL(ncclGetUniqueId(&m->second));
    }
    while (rank == 1 && state == ncclSuccess) CHECK_NCCL(ncclCommGetAsyncError(comm, &state));
    if (rank == 1) CHECK(state == ncclRemoteError);
    CHECK_NCCL(ncclCommAbort(comm));
    all_kinds(rank, 2, m->second, false);
}

// Rank 1 stands still in the middle; rank 0 has a deadline of its own, aborts, and its stream ends.
static void standstill(int rank, ncclUniqueId id, shared *m) {
    ncclComm_t comm = join(rank, 2, id, false);
    cudaStream_t s;
    CHECK_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    uint32_t *x = device_array<uint32_t>(64);
    if (rank == 1) {
        while (!m->joined) usleep(1000);
        ncclResult_t state;
        CHECK_NCCL(ncclCommGetAsyncError(comm, &state));
        CHECK(state == ncclRemoteError);
        CHECK_NCCL(ncclCommAbort(comm));
        return;
    }
    settle(comm, ncclBroadcast(x, x, 64, ncclUint32, 0, comm, s));
    for (int i = 0; i < 20; i++) {
        ncclResult_t state;
        CHECK_NCCL(ncclCommGetAsyncError(comm, &state));
        CHECK(state == ncclSuccess && cudaStreamQuery(s) == cudaErrorNotReady);
        usleep(1000);
    }
    CHECK_NCCL(ncclCommAbort(comm));
    CHECK_CUDA(cudaStreamSynchronize(s));
    m->joined = 1;
}

// A rank that never comes: the others stay in progress and give up when they like.
static void lonely(int, ncclUniqueId id) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t comm;
    ncclResult_t state;
    CHECK(ncclCommInitRankConfig(&comm, 2, id, 0, &config) == ncclInProgress);
    for (int i = 0; i < 20; i++) {
        CHECK_NCCL(ncclCommGetAsyncError(comm, &state));
        CHECK(state == ncclInProgress);
    }
    CHECK_NCCL(ncclCommAbort(comm));
    setenv("CUDASIM_NCCL_TIMEOUT_S", "0", 1);
    ncclUniqueId other;
    CHECK_NCCL(ncclGetUniqueId(&other));
    CHECK(ncclCommInitRank(&comm, 2, other, 0) == ncclSystemError);
}

static void refusals(int rank, ncclUniqueId id) {
    ncclComm_t comm = join(rank, 1, id, true), second;
    uint32_t *x = device_array<uint32_t>(64), host[64];
    CHECK(ncclBroadcast(x, x, 65, ncclUint32, 0, comm, nullptr) == ncclInvalidArgument);
    CHECK(ncclBroadcast(x, x, 64, ncclUint32, 1, comm, nullptr) == ncclInvalidArgument);
    CHECK(ncclBroadcast(host, host, 64, ncclUint32, 0, comm, nullptr) == ncclInvalidArgument);
    CHECK(ncclSend(x, 64, ncclUint32, 0, comm, nullptr) == ncclInvalidArgument); // to itself
    ncclUniqueId made_up = {};
    CHECK(ncclCommInitRank(&second, 1, made_up, 0) == ncclInvalidArgument);
    ncclConfig_t config = {};
    CHECK(ncclCommInitRankConfig(&second, 1, id, 0, &config) == ncclInvalidArgument);
    CHECK(ncclGroupEnd() == ncclInvalidUsage);
    CHECK_NCCL(ncclAllReduce(x, x, 64, ncclInt32, ncclMax, comm, nullptr)); // alone: its own data
    CHECK_CUDA(cudaDeviceSynchronize());
    CHECK_NCCL(ncclCommDestroy(comm));
}

int main() {
    in_ranks(2, [](int r, ncclUniqueId id) { all_kinds(r, 2, id, true); });
    in_ranks(3, [](int r, ncclUniqueId id) { all_kinds(r, 3, id, false); });
    in_ranks(2, ordered);
    in_ranks(2, death, {0, -SIGKILL});
    void *p = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    in_ranks(2, [&](int r, ncclUniqueId id) { abort_and_again(r, id, (shared *)p); });
    ((shared *)p)->joined = 0;
    in_ranks(2, [&](int r, ncclUniqueId id) { standstill(r, id, (shared *)p); });
    in_ranks(1, lonely);
    in_ranks(1, refusals);
    printf("ok\n");
    return 0;
}
