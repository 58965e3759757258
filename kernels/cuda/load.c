// All weights from their source to their places. Several threads each read pieces of LOAD_BYTES
// into two pinned buffers in turn; copy, layout and digest of a piece run on the thread's own
// stream while it reads the next one. What follows from a formula is made on the device.
#include <pthread.h>
#include <string.h>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/errors.h"

enum { MAX_LOADERS = 64 };

struct load {
    struct cuda *c;
    const struct weight_source *source;
    bool want_digests;
    pthread_mutex_t lock; // for what follows
    int index;            // the next piece
    int64_t first;
    bool has_failed;
    int failed_index; // the first piece that failed
    int64_t failed_first;
    struct error failure;
};

struct piece {
    int index;
    int64_t first, n;
};

struct loader {
    struct load *load;
    int number;
    pthread_t thread;
    bool has_started;
};

static bool next_piece(struct load *l, struct piece *p) {
    const struct weights *w = &l->c->weights;
    pthread_mutex_lock(&l->lock);
    bool is_there = l->index < w->n && !l->has_failed;
    if (is_there) {
        int64_t most = LOAD_BYTES / (int64_t)dtype_bytes(w->places[l->index].dtype);
        int64_t left = w->sizes[l->index] - l->first;
        *p = (struct piece){l->index, l->first, left < most ? left : most};
        l->first += p->n;
        if (left <= most) {
            l->index++;
            l->first = 0;
        }
    }
    pthread_mutex_unlock(&l->lock);
    return is_there;
}

static void note_failure(struct load *l, const struct piece *p, const struct error *err) {
    pthread_mutex_lock(&l->lock);
    if (!l->has_failed || p->index < l->failed_index ||
        (p->index == l->failed_index && p->first < l->failed_first)) {
        l->has_failed = true;
        l->failed_index = p->index;
        l->failed_first = p->first;
        l->failure = *err;
    }
    pthread_mutex_unlock(&l->lock);
}

static int read_piece(const struct load *l, const struct piece *p, char *to, struct error *err) {
    size_t size = dtype_bytes(l->c->weights.places[p->index].dtype);
    for (int64_t at = 0; at < p->n; at += WEIGHT_CHUNK) {
        int64_t n = p->n - at < WEIGHT_CHUNK ? p->n - at : WEIGHT_CHUNK;
        char *room = to + (size_t)at * size;
        const void *values =
            l->source->read(l->source->self, p->index, p->first + at, n, room, err);
        if (!values) return -1;
        if (values != room) memcpy(room, values, (size_t)n * size);
    }
    return 0;
}

static int put_piece(const struct load *l, const struct queue *q, const struct piece *p,
                     const char *host, char *device) {
    struct weight_move m = l->c->weights.places[p->index];
    size_t bytes = (size_t)p->n * dtype_bytes(m.dtype);
    m.plain = device;
    m.first = p->first;
    m.n = p->n;
    int status;
    if (l->source->formula) {
        const struct weight_formula f = l->source->formula(l->source->self, p->index);
        status = formula_launch(q, device, m.dtype, &f, p->first, p->n);
    } else {
        status =
            cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, (cudaStream_t)q->stream);
    }
    if (!status) status = weight_write_launch(q, &m);
    if (!status && l->want_digests)
        status = digest_launch(q, device, m.dtype, l->c->hashes[p->index], p->first, p->n,
                               l->c->scratch.digests + p->index);
    return status;
}

// Pieces, until there are none: those of even number through one buffer, of odd through the other.
static int load_pieces(struct load *l, const struct queue *q, int number, cudaEvent_t done[2],
                       struct piece *p, struct error *err) {
    const struct staging *s = &l->c->staging;
    for (int i = 0; next_piece(l, p); i++) {
        size_t at = (size_t)(2 * number + i % 2) * LOAD_BYTES;
        int status = i < 2 ? 0 : (int)cudaEventSynchronize(done[i % 2]);
        bool is_read = !l->source->formula;
        if (!status && is_read && read_piece(l, p, s->host + at, err)) return -1;
        if (!status) status = put_piece(l, q, p, s->host + at, s->device + at);
        if (!status) status = cudaEventRecord(done[i % 2], (cudaStream_t)q->stream);
        if (status) return errors_run(err, status, "loading weights");
    }
    return 0;
}

static void *run_loader(void *arg) {
    struct loader *r = arg;
    struct load *l = r->load;
    struct queue q = l->c->queue;
    struct piece p = {0};
    struct error err = {0};
    cudaStream_t stream = NULL;
    cudaEvent_t done[2] = {NULL, NULL};
    int status = cudaSetDevice(l->c->device);
    if (!status) status = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    for (int i = 0; i < 2 && !status; i++)
        status = cudaEventCreateWithFlags(&done[i], cudaEventDisableTiming);
    q.stream = stream;
    int failed = status ? errors_run(&err, status, "loading weights")
                        : load_pieces(l, &q, r->number, done, &p, &err);
    if (stream) status = cudaStreamSynchronize(stream);
    if (!failed && status) failed = errors_run(&err, status, "loading weights");
    if (failed) note_failure(l, &p, &err);
    for (int i = 0; i < 2; i++)
        if (done[i]) cudaEventDestroy(done[i]);
    if (stream) cudaStreamDestroy(stream);
    return NULL;
}

static void run_loaders(struct load *l) {
    struct loader loaders[MAX_LOADERS] = {0};
    int n = l->c->n_loaders < MAX_LOADERS ? l->c->n_loaders : MAX_LOADERS;
    for (int i = 0; i < n; i++) {
        struct loader *r = &loaders[i];
        r->load = l;
        r->number = i;
        r->has_started = i > 0 && pthread_create(&r->thread, NULL, run_loader, r) == 0;
    }
    run_loader(&loaders[0]);
    for (int i = 0; i < n; i++)
        if (loaders[i].has_started) pthread_join(loaders[i].thread, NULL);
}

int cuda_load(struct backend *b, const struct weight_source *source, uint64_t *digests,
              struct error *err) {
    struct cuda *c = (struct cuda *)b;
    struct load l = {.c = c, .source = source, .want_digests = digests};
    size_t bytes = (size_t)c->weights.n * sizeof *digests;
    int status = cudaMemsetAsync(c->scratch.digests, 0, bytes, c->stream);
    if (!status) status = cudaStreamSynchronize(c->stream);
    if (status) return errors_run(err, status, "loading weights");
    pthread_mutex_init(&l.lock, NULL);
    c->gemm.is_stale = true;
    run_loaders(&l);
    pthread_mutex_destroy(&l.lock);
    if (l.has_failed) {
        if (err) *err = l.failure;
        return -1;
    }
    if (digests) status = cudaMemcpy(digests, c->scratch.digests, bytes, cudaMemcpyDeviceToHost);
    return status ? errors_run(err, status, "loading weights") : 0;
}

void cuda_weight_write(struct backend *b, int index, int64_t first, int64_t n, const void *values) {
    struct cuda *c = (struct cuda *)b;
    if (c->failed) return;
    c->gemm.is_stale = true;
    backend_note(c,
                 staging_write(&c->staging, &c->queue, &c->weights.places[index], first, n, values),
                 "writing weights");
    if (c->update.written && !c->failed)
        backend_note(c, cudaEventRecord(c->update.written, c->stream), "writing weights");
}

int cuda_weight_read(struct backend *b, int index, int64_t first, int64_t n, void *values,
                     struct error *err) {
    struct cuda *c = (struct cuda *)b;
    if (!c->failed)
        backend_note(
            c, staging_read(&c->staging, &c->queue, &c->weights.places[index], first, n, values),
            "reading weights");
    return c->failed ? errors_run(err, c->failed, c->failed_what) : 0;
}

// On the stream of steps, between two of them. The sums are those of load's, which are free.
static int digest_resident(struct cuda *c, const struct weight_move *m, uint64_t hash,
                           uint64_t *sum) {
    uint64_t *on_device = c->scratch.digests;
    cudaError_t status = cudaMemsetAsync(on_device, 0, sizeof *sum, c->stream);
    if (!status) status = (cudaError_t)resident_digest_launch(&c->queue, m, hash, on_device);
    if (!status)
        status = cudaMemcpyAsync(sum, on_device, sizeof *sum, cudaMemcpyDeviceToHost, c->stream);
    if (!status) status = cudaStreamSynchronize(c->stream);
    return (int)status;
}

int cuda_weight_digest(struct backend *b, int index, int64_t first, int64_t n, uint64_t *sum,
                       struct error *err) {
    struct cuda *c = (struct cuda *)b;
    struct weight_move m = c->weights.places[index];
    m.first = first;
    m.n = n;
    if (!c->failed)
        backend_note(c, digest_resident(c, &m, c->hashes[index], sum), "summing up weights");
    return c->failed ? errors_run(err, c->failed, c->failed_what) : 0;
}
