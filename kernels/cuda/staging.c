#include "kernels/cuda/staging.h"

#include <string.h>

#include "kernels/cuda/plan.h"

int staging_open(struct staging *s, int n_pieces) {
    size_t bytes = (size_t)n_pieces * LOAD_BYTES;
    *s = (struct staging){.n_pieces = n_pieces};
    cudaError_t status = cudaMalloc((void **)&s->device, bytes);
    if (!status) status = cudaHostAlloc((void **)&s->host, bytes, cudaHostAllocDefault);
    for (int i = 0; i < 2 && !status; i++)
        status = cudaEventCreateWithFlags(&s->done[i], cudaEventDisableTiming);
    return status;
}

void staging_close(struct staging *s) {
    cudaFree(s->device);
    cudaFreeHost(s->host);
    for (int i = 0; i < 2; i++)
        if (s->done[i]) cudaEventDestroy(s->done[i]);
    *s = (struct staging){0};
}

static int64_t piece(const struct weight_move *place, int64_t n) {
    int64_t most = LOAD_BYTES / (int64_t)dtype_bytes(place->dtype);
    return n < most ? n : most;
}

static int write_piece(struct staging *s, const struct queue *q, const struct weight_move *m,
                       const void *values) {
    int i = s->next;
    size_t bytes = (size_t)m->n * dtype_bytes(m->dtype);
    char *host = s->host + (size_t)i * LOAD_BYTES;
    cudaStream_t stream = q->stream;
    cudaError_t status = s->is_used[i] ? cudaEventSynchronize(s->done[i]) : cudaSuccess;
    if (status) return status;
    memcpy(host, values, bytes);
    status = cudaMemcpyAsync(m->plain, host, bytes, cudaMemcpyHostToDevice, stream);
    if (!status) status = (cudaError_t)weight_write_launch(q, m);
    if (!status) status = cudaEventRecord(s->done[i], stream);
    s->is_used[i] = true;
    s->next = 1 - i;
    return status;
}

int staging_write(struct staging *s, const struct queue *q, const struct weight_move *place,
                  int64_t first, int64_t n, const void *values) {
    int status = cudaSuccess;
    while (n > 0 && !status) {
        struct weight_move m = *place;
        m.plain = s->device + (size_t)s->next * LOAD_BYTES;
        m.first = first;
        m.n = piece(place, n);
        status = write_piece(s, q, &m, values);
        values = (const char *)values + (size_t)m.n * dtype_bytes(m.dtype);
        first += m.n;
        n -= m.n;
    }
    return status;
}

int staging_read(struct staging *s, const struct queue *q, const struct weight_move *place,
                 int64_t first, int64_t n, void *values) {
    cudaStream_t stream = q->stream;
    cudaError_t status = cudaStreamSynchronize(stream); // the pieces are free
    while (n > 0 && !status) {
        struct weight_move m = *place;
        m.plain = s->device;
        m.first = first;
        m.n = piece(place, n);
        size_t bytes = (size_t)m.n * dtype_bytes(m.dtype);
        status = (cudaError_t)weight_read_launch(q, &m);
        if (!status)
            status = cudaMemcpyAsync(s->host, m.plain, bytes, cudaMemcpyDeviceToHost, stream);
        if (!status) status = cudaStreamSynchronize(stream);
        if (!status) memcpy(values, s->host, bytes);
        values = (char *)values + bytes;
        first += m.n;
        n -= m.n;
    }
    return status;
}
