// Errors between ranks.
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cudasim/bugs/bug.h"
#include "tests/cudasim/host/nccl_functions.h"

enum bug { CORRECT, ORDER, COUNT, ROOT, TYPE, NOT_POLLED, SIZES, EARLY };
enum { N = 1024 };
#define CHECK_NCCL(call) CHECK((call) == ncclSuccess)

static void settle(ncclComm_t comm, ncclResult_t status) {
    while (status == ncclInProgress) CHECK_NCCL(ncclCommGetAsyncError(comm, &status));
    CHECK_NCCL(status);
}

// The second rank is the one that is wrong.
static void run_rank(int rank, ncclUniqueId id, int bug) {
    ncclComm_t comm;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    settle((ncclCommInitRankConfig(&comm, 2, id, rank, &config), comm), ncclInProgress);
    bool wrong = rank == 1;
    cudaStream_t s, reader;
    cudaEvent_t arrived;
    CHECK_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    CHECK_CUDA(cudaStreamCreateWithFlags(&reader, cudaStreamNonBlocking));
    CHECK_CUDA(cudaEventCreateWithFlags(&arrived, cudaEventDisableTiming));
    std::vector<uint32_t> v(N, (uint32_t)rank + 5);
    uint32_t *x = device_copy(v), *y = device_copy(std::vector<uint32_t>(N)), *sum = device_copy(v);
    uint32_t *host = pinned_array<uint32_t>(N);
    for (int turn = 0; turn < 2; turn++) {
        bool broadcast = (turn == 0) != (wrong && bug == ORDER);
        if (broadcast) {
            int root = wrong && bug == ROOT ? 1 : 0;
            size_t count = wrong && bug == COUNT ? N - 1 : N;
            ncclDataType_t type = wrong && bug == TYPE ? ncclFloat32 : ncclInt32;
            ncclResult_t status = ncclBroadcast(x, x, count, type, root, comm, s);
            if (bug != NOT_POLLED) settle(comm, status);
        } else {
            settle(comm, ncclAllReduce(sum, sum, N, ncclInt32, ncclSum, comm, s));
        }
        CHECK_CUDA(cudaEventRecord(arrived, s));
        if (!wrong || bug != EARLY) CHECK_CUDA(cudaStreamWaitEvent(reader, arrived, 0));
        CHECK_CUDA(cudaMemcpyAsync(host, x, N * 4, cudaMemcpyDeviceToHost, reader));
        CHECK_CUDA(cudaStreamSynchronize(reader));
        EXPECT(host[N - 1] == 5);
    }
    size_t count = wrong && bug == SIZES ? N / 2 : N;
    if (rank == 0)
        settle(comm, ncclSend(sum, N, ncclInt32, 1, comm, s));
    else
        settle(comm, ncclRecv(y, count, ncclInt32, 0, comm, s));
    CHECK_CUDA(cudaStreamSynchronize(s));
    if (rank == 1) EXPECT(fetch(y, N)[0] == 11);
    CHECK_NCCL(ncclCommDestroy(comm));
}

int main(int argc, char **argv) {
    int bug = bug_number(
            argc, argv,
            {"correct", "order", "count", "root", "type", "not_polled", "sizes", "early"}),
        status;
    ncclUniqueId id;
    CHECK_NCCL(ncclGetUniqueId(&id));
    pid_t first = fork();
    if (first == 0) {
        alarm(20);
        run_rank(0, id, bug);
        _exit(0);
    }
    alarm(20);
    run_rank(1, id, bug);
    CHECK(waitpid(first, &status, 0) == first);
    return status != 0;
}
