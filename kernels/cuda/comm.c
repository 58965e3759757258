#include "kernels/cuda/comm.h"

#include <assert.h>
#include <string.h>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/errors.h"

// Blocks of NCCL's kernels, at most: a few move as much as a network brings, and the rest of the
// device goes on decoding.
enum { MOST_BLOCKS = 4 };

static int refuse(const struct comm_link *l, ncclResult_t status, const char *what,
                  struct error *err) {
    const char *why = l->nccl->last_error(l->comm);
    return error_set(err, ERROR_IO, "NCCL failed at %s: %s%s%s.", what,
                     l->nccl->error_string(status), why && *why ? ": " : "", why ? why : "");
}

// ------------------------------------------------------------------ join, leave

static int open_queue(struct comm_link *l) {
    int least = 0, greatest = 0;
    cudaError_t status = cudaDeviceGetStreamPriorityRange(&least, &greatest);
    if (!status) status = cudaStreamCreateWithPriority(&l->stream, cudaStreamNonBlocking, least);
    for (int i = 0; i < COMM_RECEIVES && !status; i++)
        status = cudaEventCreateWithFlags(&l->receives[i].arrived, cudaEventDisableTiming);
    return status;
}

static void leave(struct backend *b) {
    struct cuda *c = (struct cuda *)b;
    struct comm_link *l = &c->comm;
    cudaSetDevice(c->device);
    if (l->comm) l->nccl->abort(l->comm);
    if (l->stream) cudaStreamSynchronize(l->stream); // its kernels end by the abort
    for (int i = 0; i < COMM_RECEIVES; i++)
        if (l->receives[i].arrived) cudaEventDestroy(l->receives[i].arrived);
    if (l->stream) cudaStreamDestroy(l->stream);
    *l = (struct comm_link){0};
}

static int check_comm(const struct nccl *nccl, const struct comm *comm, struct error *err) {
    assert(comm->rank > 0 && comm->rank < comm->n_ranks);
    if (comm->version == nccl->version) return 0;
    return error_set(
        err, ERROR_CONFIG,
        "The trainer has NCCL %d.%d.%d and this worker %d.%d.%d; they must be the same.",
        comm->version / 10000, comm->version / 100 % 100, comm->version % 100,
        nccl->version / 10000, nccl->version / 100 % 100, nccl->version % 100);
}

static int join(struct backend *b, const struct comm *comm, struct error *err) {
    struct cuda *c = (struct cuda *)b;
    struct comm_link *l = &c->comm;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclUniqueId id;
    leave(b);
    l->nccl = nccl_open(err);
    if (!l->nccl || check_comm(l->nccl, comm, err)) return -1;
    int failed = open_queue(l);
    if (failed) {
        leave(b);
        return errors_run(err, failed, "joining a communicator");
    }
    memcpy(&id, comm->id, sizeof id);
    config.blocking = 0;
    config.maxCTAs = MOST_BLOCKS;
    ncclResult_t status = l->nccl->init(&l->comm, comm->n_ranks, id, comm->rank, &config);
    if (status != ncclSuccess && status != ncclInProgress) {
        refuse(l, status, "joining its communicator", err);
        leave(b);
        return -1;
    }
    l->state = COMM_JOINING;
    return 0;
}

// ------------------------------------------------------------------ receive

static void receive(struct backend *b, uint64_t offset, uint64_t n_bytes) {
    struct cuda *c = (struct cuda *)b;
    struct comm_link *l = &c->comm;
    assert(l->state != COMM_NONE && l->n_listed - l->n_arrived < COMM_RECEIVES);
    assert(n_bytes > 0 && offset <= c->update.staging_bytes &&
           n_bytes <= c->update.staging_bytes - offset);
    struct comm_receive *r = &l->receives[l->n_listed++ % COMM_RECEIVES];
    r->offset = offset;
    r->n_bytes = n_bytes;
}

// The call that was in progress has ended: what it put on the stream is there.
static int end_call(struct comm_link *l) {
    struct comm_receive *r = &l->receives[l->n_called % COMM_RECEIVES];
    cudaError_t status = cudaSuccess;
    if (l->state == COMM_CALLING) {
        status = cudaEventRecord(r->arrived, l->stream);
        l->n_called++;
    }
    l->state = COMM_READY;
    return status;
}

static int begin_call(struct cuda *c, struct error *err) {
    struct comm_link *l = &c->comm;
    const struct comm_receive *r = &l->receives[l->n_called % COMM_RECEIVES];
    char *to = c->update.staging + r->offset;
    ncclResult_t status = l->nccl->broadcast(to, to, r->n_bytes, ncclUint8, 0, l->comm, l->stream);
    if (status != ncclSuccess && status != ncclInProgress)
        return refuse(l, status, "a broadcast", err);
    l->state = COMM_CALLING;
    return 0;
}

static int count_arrived(struct comm_link *l) {
    cudaError_t status = cudaSuccess;
    while (l->n_arrived < l->n_called && !status) {
        status = cudaEventQuery(l->receives[l->n_arrived % COMM_RECEIVES].arrived);
        if (!status) l->n_arrived++;
    }
    return status == cudaErrorNotReady ? (int)cudaSuccess : (int)status;
}

static int comm_poll(struct backend *b, int64_t *n_arrived, struct error *err) {
    struct cuda *c = (struct cuda *)b;
    struct comm_link *l = &c->comm;
    ncclResult_t now = ncclSuccess;
    assert(l->state != COMM_NONE);
    cudaSetDevice(c->device);
    ncclResult_t status = l->nccl->async_error(l->comm, &now);
    if (status != ncclSuccess) now = status;
    if (now != ncclSuccess && now != ncclInProgress)
        return refuse(l, now, "receiving weights", err);
    int failed = cudaSuccess;
    if (now == ncclSuccess && l->state != COMM_READY) failed = end_call(l);
    if (l->state == COMM_READY && l->n_called < l->n_listed && begin_call(c, err)) return -1;
    if (!failed) failed = count_arrived(l);
    if (failed) return errors_run(err, failed, "receiving weights");
    *n_arrived = l->state == COMM_JOINING ? -1 : l->n_arrived;
    return 0;
}

const struct comm_ops comm_ops = {join, receive, comm_poll, leave};
