// Communicators and the functions of NCCL.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>

#include "tests/cudasim/device/memory.h"
#include "tests/cudasim/host/nccl_inside.h"

namespace cudasim {

static const uint32_t BOARD_MARK = 0x6e63636c;
static thread_local std::string last_error;

static ncclResult_t refuse_nccl(ncclResult_t status, const std::string &why) {
    last_error = why;
    fprintf(stderr, "cudasim: NCCL: %s.\n", why.c_str());
    return status;
}

// ---------------------------------------------------------------- who is there

bool everybody_joined(Communicator *c) {
    if (c->board->n_joined.load() < c->n_ranks) return false;
    if (c->linked) shm_unlink(c->name.c_str());
    c->linked = false;
    return true;
}

// A process that ended, or is only waiting for its parent to notice.
static bool is_dead(pid_t process) {
    char path[64], state = 'X', line[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    FILE *f = fopen(path, "r");
    if (!f) return true;
    const char *end = fgets(line, sizeof line, f) ? strrchr(line, ')') : nullptr;
    if (end && end[1] == ' ') state = end[2];
    fclose(f);
    return state == 'Z' || state == 'X';
}

bool everybody_lives(Communicator *c) {
    if (c->error != ncclSuccess) return false;
    for (int r = 0; r < c->n_ranks; r++) {
        Seat *seat = &c->board->seats[r];
        RankState state = seat->state;
        if (state == RankState::absent || r == c->rank) continue;
        bool died = state == RankState::alive && is_dead(seat->process);
        if (!died && state != RankState::aborted) continue;
        c->error = refuse_nccl(ncclRemoteError, text("rank %d %s; rank %d noticed it", r,
                                                     died ? "has died" : "has aborted", c->rank));
        return false;
    }
    return true;
}

// ---------------------------------------------------------------- communicators

static auto &all_communicators = *new std::vector<Communicator *>(); // outlives the process's end
static std::mutex all_lock;

static Communicator *live(ncclComm_t comm, const char *what) {
    Communicator *c = (Communicator *)comm;
    std::lock_guard<std::mutex> hold(all_lock);
    bool known =
        std::find(all_communicators.begin(), all_communicators.end(), c) != all_communicators.end();
    if (!known || c->gone)
        fail(nullptr, "NCCL: %s with a communicator that %s", what,
             known ? "was destroyed or aborted" : "was never made");
    return c;
}

static Communicator *open_board(const char *name, int n_ranks, int rank) {
    int fd = shm_open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(Board)) != 0) {
        refuse_nccl(ncclSystemError, text("shared memory %s: %s", name, strerror(errno)));
        return nullptr;
    }
    void *p = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) return nullptr;
    Communicator *c = new Communicator();
    c->board = (Board *)p;
    c->name = name;
    c->rank = rank;
    c->n_ranks = n_ranks;
    c->linked = true;
    c->error = ncclSuccess;
    c->n_collectives = 0;
    c->gone = false;
    std::lock_guard<std::mutex> hold(all_lock);
    all_communicators.push_back(c);
    return c;
}

static ncclResult_t take_seat(Communicator *c) {
    Board *b = c->board;
    int none = 0;
    b->mark.store(BOARD_MARK);
    if (!b->n_ranks.compare_exchange_strong(none, c->n_ranks) && none != c->n_ranks)
        return refuse_nccl(ncclInvalidArgument,
                           text("rank %d says %d ranks, another %d", c->rank, c->n_ranks, none));
    Seat *seat = &b->seats[c->rank];
    RankState absent = RankState::absent;
    seat->process = getpid();
    if (!seat->state.compare_exchange_strong(absent, RankState::alive))
        return refuse_nccl(ncclInvalidArgument, text("rank %d joins twice", c->rank));
    b->n_joined++;
    return ncclSuccess;
}

static void close_board(Communicator *c, RankState state) {
    RankState alive = RankState::alive;
    c->board->seats[c->rank].state.compare_exchange_strong(alive, state);
    if (c->linked) shm_unlink(c->name.c_str());
    c->linked = false;
}

static ncclResult_t wait_for_everybody(Communicator *c) {
    const char *limit = getenv("CUDASIM_NCCL_TIMEOUT_S");
    time_t end = time(nullptr) + (limit && *limit ? atoi(limit) : 60);
    while (!everybody_joined(c)) {
        if (!everybody_lives(c)) return c->error;
        if (time(nullptr) > end)
            return refuse_nccl(ncclSystemError, text("only %d of %d ranks came",
                                                     (int)c->board->n_joined, c->n_ranks));
        usleep(200);
    }
    return ncclSuccess;
}

// ---------------------------------------------------------------- groups

struct Group {
    int depth = 0;
    std::vector<std::pair<Stream *, Transfer>> transfers;
};
static thread_local Group group;

// The transfers of one communicator get on together, as one operation of its stream.
static ncclResult_t start(Stream *s, std::vector<Transfer> transfers) {
    Communicator *c = transfers[0].comm;
    auto all = std::make_shared<std::vector<Transfer>>(std::move(transfers));
    auto done = std::make_shared<std::vector<bool>>(all->size(), false);
    Work work = {"NCCL", nullptr};
    work.attempt = [all, done] {
        bool every = true;
        for (size_t i = 0; i < all->size(); i++) {
            bool collective = (*all)[i].post.kind < Collective::send;
            if (!(*done)[i] && !(collective && !every)) (*done)[i] = transfer_attempt(&(*all)[i]);
            every = every && (*done)[i];
        }
        return every;
    };
    if (!c->blocking && settings.streams != When::early) { // told as in progress; see the poll
        c->deferred.push_back({s, work});
        return ncclInProgress;
    }
    std::vector<OperationPtr> after;
    if (c->last && !c->last->done) after.push_back(c->last);
    if (enqueue(s, work, after) != cudaSuccess) return ncclUnhandledCudaError;
    c->last = s->last;
    return ncclSuccess;
}

static ncclResult_t start_group() {
    ncclResult_t status = ncclSuccess;
    std::vector<std::pair<Stream *, Transfer>> rest = std::move(group.transfers);
    group.transfers.clear();
    while (!rest.empty()) {
        Stream *s = rest[0].first;
        Communicator *c = rest[0].second.comm;
        std::vector<Transfer> same;
        for (size_t i = 0; i < rest.size();) {
            bool mine = rest[i].second.comm == c && rest[i].first == s;
            if (mine) same.push_back(rest[i].second);
            if (mine)
                rest.erase(rest.begin() + (long)i);
            else
                i++;
        }
        ncclResult_t one = start(s, same);
        if (one != ncclSuccess && (status == ncclSuccess || status == ncclInProgress)) status = one;
    }
    return status;
}

// The checks that every operation shares, then into the group or the stream.
static ncclResult_t add(Collective kind, const void *from, void *to, size_t count,
                        ncclDataType_t type, int root, int reduction, int peer, ncclComm_t comm,
                        cudaStream_t stream) {
    Call call(collective_name(kind));
    if (call.status != cudaSuccess) return ncclUnhandledCudaError;
    const char *name = collective_name(kind);
    Communicator *c = live(comm, name);
    Stream *s = stream_of(stream);
    if (!s) return refuse_nccl(ncclInvalidArgument, text("%s: no such stream", name));
    if (c->error != ncclSuccess) return c->error;
    if (!c->deferred.empty())
        return refuse_nccl(ncclInvalidUsage, text("%s while the communicator is in progress: "
                                                  "ncclCommGetAsyncError comes first",
                                                  name));
    if (s->capture)
        return refuse_nccl(ncclInvalidUsage, text("%s in a capture is not emulated", name));
    if (!everybody_joined(c) && !c->blocking)
        return refuse_nccl(ncclInvalidUsage, text("%s before all ranks have joined", name));
    size_t bytes = count * bytes_of_type(type);
    if (bytes_of_type(type) == 0)
        return refuse_nccl(ncclInvalidArgument,
                           text("%s of type %d is not emulated", name, (int)type));
    int limit = c->n_ranks;
    if ((kind == Collective::broadcast && (root < 0 || root >= limit)) ||
        (kind >= Collective::send && (peer < 0 || peer >= limit || peer == c->rank)))
        return refuse_nccl(
            ncclInvalidArgument,
            text("%s: rank %d of %d", name, kind == Collective::broadcast ? root : peer, limit));
    size_t n_to = kind == Collective::all_gather ? bytes * (size_t)limit : bytes;
    bool gives = kind != Collective::recv && !(kind == Collective::broadcast && root != c->rank);
    if ((gives && bytes && !memory_holds(from, bytes)) ||
        (kind != Collective::send && bytes && !memory_holds(to, n_to)))
        return refuse_nccl(ncclInvalidArgument,
                           text("%s of %zu bytes outside of a buffer", name, bytes));
    Transfer t = {};
    t.comm = c;
    t.post = {kind, (int32_t)type, root, reduction, count};
    t.from = gives ? (const char *)from : nullptr;
    t.to = kind == Collective::send ? nullptr : (char *)to;
    t.peer = peer;
    if (group.depth == 0) return start(s, {t});
    group.transfers.push_back({s, t});
    return ncclSuccess;
}

} // namespace cudasim

using namespace cudasim;

extern "C" {

ncclResult_t ncclGetVersion(int *version) {
    *version = 22809;
    return ncclSuccess;
}
const char *ncclGetErrorString(ncclResult_t status) {
    switch (status) {
    case ncclSuccess:
        return "no error";
    case ncclUnhandledCudaError:
        return "unhandled cuda error";
    case ncclSystemError:
        return "unhandled system error";
    case ncclInternalError:
        return "internal error";
    case ncclInvalidArgument:
        return "invalid argument";
    case ncclInvalidUsage:
        return "invalid usage";
    case ncclRemoteError:
        return "remote process exited or there was a network error";
    case ncclInProgress:
        return "NCCL operation in progress";
    default:
        return "unknown result code";
    }
}
const char *ncclGetLastError(ncclComm_t) {
    return last_error.c_str();
}

// Needs no device, as in the library.
ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    static std::atomic<unsigned> n;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    memset(id, 0, sizeof *id);
    snprintf(id->internal, sizeof id->internal, "/cudasim-nccl-%d-%u-%lx", (int)getpid(), n++,
             (long)(t.tv_sec * 1000000000 + t.tv_nsec));
    return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int n_ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config) {
    Call call("ncclCommInitRankConfig");
    *comm = nullptr;
    if (call.status != cudaSuccess) return ncclUnhandledCudaError;
    if (config && (config->size != sizeof(ncclConfig_t) || config->magic != NCCL_API_MAGIC))
        return refuse_nccl(ncclInvalidArgument, "the config was not initialised with "
                                                "NCCL_CONFIG_INITIALIZER");
    if (n_ranks < 1 || n_ranks > NCCL_MAX_RANKS || rank < 0 || rank >= n_ranks)
        return refuse_nccl(ncclInvalidArgument, text("rank %d of %d; the emulator has up to %d",
                                                     rank, n_ranks, (int)NCCL_MAX_RANKS));
    if (strncmp(id.internal, "/cudasim-nccl-", 14) != 0)
        return refuse_nccl(ncclInvalidArgument, "the unique id was not made by ncclGetUniqueId");
    Communicator *c = open_board(id.internal, n_ranks, rank);
    if (!c) return ncclSystemError;
    c->blocking = !config || config->blocking != 0; // undefined is 1
    ncclResult_t status = take_seat(c);
    if (status == ncclSuccess && c->blocking) status = wait_for_everybody(c);
    if (status != ncclSuccess) {
        close_board(c, RankState::aborted);
        c->gone = true;
        return status;
    }
    *comm = (ncclComm_t)c;
    return c->blocking ? ncclSuccess : ncclInProgress;
}
ncclResult_t ncclCommInitRank(ncclComm_t *comm, int n_ranks, ncclUniqueId id, int rank) {
    return ncclCommInitRankConfig(comm, n_ranks, id, rank, nullptr);
}

// Where a communicator that does not block says how it gets on; what was in progress goes on here.
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error) {
    Call call("ncclCommGetAsyncError");
    Communicator *c = live(comm, "ncclCommGetAsyncError");
    bool joined = everybody_joined(c);
    everybody_lives(c);
    *error = c->error;
    if (c->error != ncclSuccess) return ncclSuccess;
    if (!joined) {
        *error = ncclInProgress;
        return ncclSuccess;
    }
    for (auto &d : c->deferred) {
        std::vector<OperationPtr> after;
        if (c->last && !c->last->done) after.push_back(c->last);
        enqueue(d.first, d.second, after);
        c->last = d.first->last;
    }
    c->deferred.clear();
    return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
    Call call("ncclCommFinalize");
    Communicator *c = live(comm, "ncclCommFinalize");
    if (c->error != ncclSuccess) return c->error;
    run_until_done(c->last);
    close_board(c, RankState::finalized);
    return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    Call call("ncclCommDestroy");
    Communicator *c = live(comm, "ncclCommDestroy");
    if (c->error == ncclSuccess) run_until_done(c->last);
    close_board(c, RankState::finalized);
    c->gone = true;
    return ncclSuccess;
}
// Operations in flight end without their data.
ncclResult_t ncclCommAbort(ncclComm_t comm) {
    Call call("ncclCommAbort");
    Communicator *c = live(comm, "ncclCommAbort");
    c->deferred.clear();
    close_board(c, RankState::aborted);
    c->gone = true;
    return ncclSuccess;
}

ncclResult_t ncclCommCount(const ncclComm_t comm, int *count) {
    *count = live(comm, "ncclCommCount")->n_ranks;
    return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int *rank) {
    *rank = live(comm, "ncclCommUserRank")->rank;
    return ncclSuccess;
}
ncclResult_t ncclCommCuDevice(const ncclComm_t, int *device) {
    return cudaGetDevice(device) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclGroupStart() {
    group.depth++;
    return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
    Call call("ncclGroupEnd");
    if (group.depth == 0)
        return refuse_nccl(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
    return --group.depth ? ncclSuccess : start_group();
}

ncclResult_t ncclBroadcast(const void *from, void *to, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
    return add(Collective::broadcast, from, to, count, type, root, -1, 0, comm, stream);
}
ncclResult_t ncclBcast(void *buffer, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                       cudaStream_t stream) {
    return ncclBroadcast(buffer, buffer, count, type, root, comm, stream);
}
ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
    return add(Collective::all_reduce, from, to, count, type, -1, (int)op, 0, comm, stream);
}
ncclResult_t ncclAllGather(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
    return add(Collective::all_gather, from, to, count, type, -1, -1, 0, comm, stream);
}
ncclResult_t ncclSend(const void *from, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
    return add(Collective::send, from, nullptr, count, type, -1, -1, peer, comm, stream);
}
ncclResult_t ncclRecv(void *to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
    return add(Collective::recv, nullptr, to, count, type, -1, -1, peer, comm, stream);
}

} // extern "C"
