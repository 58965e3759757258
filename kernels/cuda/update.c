#include "kernels/cuda/update.h"

#include <assert.h>
#include <string.h>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/errors.h"

// Where the parts of a batch lie in its memory, for n changes.
struct batch_parts {
    size_t targets, first_block, sums, fault, end;
};

static struct batch_parts batch_parts(int n) {
    struct batch_parts p = {0};
    p.first_block = (size_t)n * sizeof(struct delta_target);
    p.sums = (p.first_block + ((size_t)n + 1) * sizeof(uint32_t) + 15) & ~(size_t)15;
    p.fault = p.sums + (size_t)n * sizeof(struct change_sums);
    p.end = p.fault + sizeof(uint64_t);
    return p;
}

uint64_t update_bytes(uint64_t staging_bytes, int n_weights) {
    return staging_bytes ? staging_bytes + batch_parts(n_weights).end : 0;
}

int update_open(struct update *u, uint64_t staging_bytes, int n_weights) {
    int least = 0, greatest = 0;
    *u = (struct update){.staging_bytes = staging_bytes};
    if (!staging_bytes) return cudaSuccess;
    u->batch_bytes = batch_parts(n_weights).end;
    cudaError_t status = cudaDeviceGetStreamPriorityRange(&least, &greatest);
    if (!status) status = cudaStreamCreateWithPriority(&u->stream, cudaStreamNonBlocking, least);
    if (!status) status = cudaMalloc((void **)&u->staging, staging_bytes);
    if (!status) status = cudaMalloc((void **)&u->device_batch, u->batch_bytes);
    if (!status) status = cudaHostAlloc((void **)&u->batch, u->batch_bytes, cudaHostAllocDefault);
    if (!status)
        status = cudaHostAlloc((void **)&u->pieces, (size_t)UPDATE_PIECES * LOAD_BYTES,
                               cudaHostAllocDefault);
    if (!status) status = cudaEventCreateWithFlags(&u->written, cudaEventDisableTiming);
    for (int i = 0; i < UPDATE_PIECES && !status; i++)
        status = cudaEventCreateWithFlags(&u->piece_done[i], cudaEventDisableTiming);
    return status;
}

void update_close(struct update *u) {
    if (u->stream) cudaStreamSynchronize(u->stream);
    cudaFree(u->staging);
    cudaFree(u->device_batch);
    cudaFreeHost(u->batch);
    cudaFreeHost(u->pieces);
    if (u->written) cudaEventDestroy(u->written);
    for (int i = 0; i < UPDATE_PIECES; i++)
        if (u->piece_done[i]) cudaEventDestroy(u->piece_done[i]);
    if (u->stream) cudaStreamDestroy(u->stream);
    *u = (struct update){0};
}

// ------------------------------------------------------------------ stage

static int stage_piece(struct update *u, uint64_t offset, size_t n_bytes, const void *bytes) {
    int i = u->next_piece;
    char *piece = u->pieces + (size_t)i * LOAD_BYTES;
    cudaError_t status = cudaEventSynchronize(u->piece_done[i]);
    if (status) return status;
    memcpy(piece, bytes, n_bytes);
    status =
        cudaMemcpyAsync(u->staging + offset, piece, n_bytes, cudaMemcpyHostToDevice, u->stream);
    if (!status) status = cudaEventRecord(u->piece_done[i], u->stream);
    u->next_piece = (i + 1) % UPDATE_PIECES;
    return status;
}

int cuda_stage(struct backend *b, uint64_t offset, uint64_t n_bytes, const void *bytes,
               struct error *err) {
    struct cuda *c = (struct cuda *)b;
    struct update *u = &c->update;
    assert(offset <= u->staging_bytes && n_bytes <= u->staging_bytes - offset);
    int status = cudaSetDevice(c->device);
    for (uint64_t at = 0; at < n_bytes && !status;) {
        size_t n = n_bytes - at < LOAD_BYTES ? (size_t)(n_bytes - at) : LOAD_BYTES;
        status = stage_piece(u, offset + at, n, (const char *)bytes + at);
        at += n;
    }
    return status ? errors_run(err, status, "staging weights") : 0;
}

// ------------------------------------------------------------------ batches

static bool fits(const struct update *u, uint64_t at, int64_t n, size_t size) {
    return n >= 0 && at % DELTA_ALIGN == 0 && at <= u->staging_bytes &&
           (uint64_t)n <= (u->staging_bytes - at) / size;
}

static void assert_change(const struct cuda *c, const struct weight_change *change) {
    const struct update *u = &c->update;
    assert(change->weight >= 0 && change->weight < c->weights.n);
    int64_t size = c->weights.sizes[change->weight];
    assert(size < INT32_MAX);
    assert(fits(u, change->values, change->n_values,
                dtype_bytes(c->weights.places[change->weight].dtype)));
    if (!change->code_bytes) {
        assert(change->n_values == size);
        return;
    }
    assert(change->code_bytes == 1 || change->code_bytes == 2 || change->code_bytes == 4);
    assert(change->n_values >= 0 && change->n_values <= change->n_codes && change->n_codes <= size);
    assert(fits(u, change->codes, change->n_codes, (size_t)change->code_bytes));
    assert(fits(u, change->anchors, delta_n_blocks(change->n_codes), sizeof(struct delta_anchor)));
}

static struct delta_target target_of(const struct cuda *c, const struct weight_change *change) {
    char *staging = c->update.staging;
    return (struct delta_target){
        .place = c->weights.places[change->weight],
        .n_elements = (uint64_t)c->weights.sizes[change->weight],
        .name_hash = c->hashes[change->weight],
        .code_bytes = change->code_bytes,
        .n_values = change->n_values,
        .n_codes = change->code_bytes ? change->n_codes : 0,
        .codes = staging + change->codes,
        .anchors = (const struct delta_anchor *)(staging + change->anchors),
        .values = staging + change->values,
    };
}

// Fills the batch and copies it to the device.
static int put_batch(struct cuda *c, const struct weight_change *changes, int n, cudaStream_t s,
                     struct delta_batch *out) {
    struct update *u = &c->update;
    struct batch_parts p = batch_parts(n);
    assert(n <= c->weights.n && p.end <= u->batch_bytes);
    struct delta_target *targets = (struct delta_target *)u->batch;
    uint32_t *first_block = (uint32_t *)(u->batch + p.first_block);
    int64_t n_blocks = 0;
    for (int i = 0; i < n; i++) {
        assert_change(c, &changes[i]);
        targets[i] = target_of(c, &changes[i]);
        first_block[i] = (uint32_t)n_blocks;
        n_blocks += delta_n_thread_blocks(&targets[i]);
        assert(n_blocks <= INT32_MAX);
    }
    first_block[n] = (uint32_t)n_blocks;
    memset(u->batch + p.sums, 0, p.fault - p.sums);
    memset(u->batch + p.fault, 0xff, p.end - p.fault);
    *out = (struct delta_batch){
        .targets = (const struct delta_target *)u->device_batch,
        .first_block = (const uint32_t *)(u->device_batch + p.first_block),
        .n = n,
        .n_blocks = (unsigned)n_blocks,
        .sums = (unsigned long long *)(u->device_batch + p.sums),
        .fault = (unsigned long long *)(u->device_batch + p.fault),
    };
    return cudaMemcpyAsync(u->device_batch, u->batch, p.end, cudaMemcpyHostToDevice, s);
}

// ------------------------------------------------------------------ check

static int refuse(struct error *err, uint64_t fault) {
    static const char *const what[] = {
        [DELTA_BEGIN] = "does not begin where its anchor may be",
        [DELTA_BEYOND] = "goes beyond the tensor or its values",
        [DELTA_END] = "does not end where the next one begins",
    };
    enum delta_fault_kind kind = delta_fault_kind(fault);
    if (kind == DELTA_NOT_FINITE)
        return error_set(err, ERROR_INPUT, "It holds a value that is not finite.");
    return error_set(err, ERROR_INPUT, "Its positions are wrong: block %lld %s.",
                     (long long)delta_fault_block(fault), what[kind]);
}

static int run_check(struct cuda *c, const struct weight_change *changes, int n,
                     struct change_sums *sums, uint64_t *fault) {
    struct update *u = &c->update;
    struct queue q = c->queue;
    struct batch_parts p = batch_parts(n);
    struct delta_batch batch;
    q.stream = u->stream;
    int status = cudaSetDevice(c->device);
    if (!status) status = cudaStreamWaitEvent(u->stream, u->written, 0);
    if (!status) status = put_batch(c, changes, n, u->stream, &batch);
    if (!status) status = delta_check_launch(&q, &batch);
    if (!status)
        status = cudaMemcpyAsync(u->batch + p.sums, u->device_batch + p.sums, p.end - p.sums,
                                 cudaMemcpyDeviceToHost, u->stream);
    if (!status) status = cudaStreamSynchronize(u->stream);
    if (status) return status;
    memcpy(sums, u->batch + p.sums, p.fault - p.sums);
    memcpy(fault, u->batch + p.fault, sizeof *fault);
    return cudaSuccess;
}

int cuda_check(struct backend *b, const struct weight_change *changes, int n,
               struct change_sums *sums, int *bad, struct error *err) {
    struct cuda *c = (struct cuda *)b;
    uint64_t fault = UINT64_MAX;
    *bad = -1;
    if (n == 0) return 0;
    int status = run_check(c, changes, n, sums, &fault);
    if (status) return errors_run(err, status, "checking staged weights");
    if (fault == UINT64_MAX) return 0;
    *bad = delta_fault_change(fault);
    return refuse(err, fault);
}

// ------------------------------------------------------------------ apply

int cuda_apply(struct backend *b, const struct weight_change *changes, int n, struct error *err) {
    struct cuda *c = (struct cuda *)b;
    struct delta_batch batch;
    c->gemm.is_stale = true; // its copies of the matrices are older from here on
    if (n == 0 || c->failed) return c->failed ? errors_run(err, c->failed, c->failed_what) : 0;
    int status = put_batch(c, changes, n, c->stream, &batch);
    if (!status) status = delta_exchange_launch(&c->queue, &batch);
    if (!status) status = cudaStreamSynchronize(c->stream);
    if (!backend_note(c, status, "applying staged weights"))
        return errors_run(err, c->failed, c->failed_what);
    return 0;
}
