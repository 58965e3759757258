#include "kernels/cuda/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/describe.h"
#include "kernels/cuda/errors.h"
#include "kernels/cuda/path.h"
#include "kernels/math.h"
#include "protocol/base/memory.h"

enum {
    LAYER_LAUNCHES = 9, // at most, with cuBLASLt
    // Of the device, behind open(): the driver's code and recorded steps, some 100 of 300 kernels.
    UNPLANNED_BYTES = 512 << 20,
};

const struct backend_ops stampede_backend;

bool backend_note(struct cuda *c, int status, const char *what) {
    if (status && !c->failed) {
        c->failed = status;
        c->failed_what = what;
    }
    return !c->failed;
}

// ------------------------------------------------------------------ memory

static bool take_device(struct cuda *c, char **at, size_t bytes, const char *what) {
    *at = NULL;
    return backend_note(c, bytes ? (int)cudaMalloc((void **)at, bytes) : 0, what);
}

static bool take_pinned(struct cuda *c, char **at, size_t bytes, const char *what) {
    *at = NULL;
    int status = bytes ? (int)cudaHostAlloc((void **)at, bytes, cudaHostAllocDefault) : 0;
    return backend_note(c, status, what);
}

static bool clear(struct cuda *c, char *at, size_t bytes, const char *what) {
    return backend_note(c, bytes ? (int)cudaMemsetAsync(at, 0, bytes, c->stream) : 0, what);
}

void backend_room_for_step(struct cuda *c, size_t bytes) {
    const char *what = "a step's description";
    if (bytes <= c->step_bytes || c->failed) return;
    size_t room = c->step_bytes ? c->step_bytes : bytes;
    while (room < bytes) room *= 2;
    graphs_clear(&c->graphs);
    cudaFreeHost(c->step);
    cudaFree(c->device_step);
    c->step = c->device_step = NULL;
    c->step_bytes = 0;
    if (take_pinned(c, (char **)&c->step, room, what) &&
        take_device(c, (char **)&c->device_step, room, what))
        c->step_bytes = room;
}

// Weights and scratch begin as zeros: what pads them is never written.
static void take_memory(struct cuda *c, const struct backend_options *o) {
    const struct dimensions *d = &c->d;
    size_t routes = (size_t)d->max_tokens * (size_t)d->n_moe * (size_t)c->shape.n_experts_used * 2;
    weights_lay(&c->weights, &c->shape, o->weight_dtypes, NULL);
    plan_scratch(&c->scratch, d, &c->shape, c->weights.n, NULL);
    size_t weights = c->weights.bytes, scratch = c->scratch.bytes;
    int n_weights = c->weights.n;
    weights_free(&c->weights);
    bool has_all =
        take_device(c, &c->weight_memory, weights, "the weights") &&
        take_device(c, &c->pages, (size_t)(d->n_pages * d->page_bytes), "the KV pages") &&
        take_device(c, &c->slots, (size_t)(d->n_conv_slots * d->slot_bytes), "conv states") &&
        take_device(c, &c->scratch_memory, scratch, "activations") &&
        take_pinned(c, &c->arena,
                    (size_t)(d->arena_pages * d->page_bytes + d->arena_slots * d->slot_bytes),
                    "suspended rows") &&
        take_pinned(c, (char **)&c->copies, BACKEND_COPIES * sizeof *c->copies, "moves") &&
        take_pinned(c, &c->results, (size_t)d->max_outputs * RESULT_BYTES + 16 + routes,
                    "results") &&
        backend_note(c, staging_open(&c->staging, 2 * c->n_loaders), "weights on their way") &&
        backend_note(c, update_open(&c->update, o->staging_bytes, n_weights), "weight updates") &&
        clear(c, c->weight_memory, weights, "the weights") &&
        clear(c, c->scratch_memory, scratch, "activations");
    backend_room_for_step(c, plan_step_bytes(d));
    weights_lay(&c->weights, &c->shape, o->weight_dtypes, c->weight_memory);
    plan_scratch(&c->scratch, d, &c->shape, c->weights.n, c->scratch_memory);
    c->hashes = memory_new((size_t)c->weights.n, sizeof *c->hashes);
    memcpy(c->hashes, o->weight_hashes, (size_t)c->weights.n * sizeof *c->hashes);
    int n_places = d->n_pages + d->n_conv_slots + d->arena_pages + d->arena_slots;
    c->touched = memory_new(2 * (size_t)n_places, sizeof *c->touched);
    c->order = memory_new((size_t)d->max_segments, sizeof *c->order);
    c->first_cell = memory_new((size_t)d->max_segments, sizeof *c->first_cell);
    (void)has_all; // the first failure is noted
}

// Frequencies of the rotation, and a bit for each id that the tokenizer lacks.
static void fill_constants(struct cuda *c, const uint8_t *id_exists) {
    int half = c->shape.head_dim / 2, n_words = c->d.vocab_rows / 32;
    float *frequencies = memory_new((size_t)half, sizeof *frequencies);
    uint32_t *missing = memory_new((size_t)n_words, sizeof *missing);
    for (int d = 0; d < half; d++)
        frequencies[d] = math_inverse_frequency(c->shape.rope_theta, d, c->shape.head_dim);
    for (int i = 0; i < c->shape.vocab; i++)
        if (id_exists && !id_exists[i]) missing[i / 32] |= 1u << i % 32;
    cudaError_t status = cudaStreamSynchronize(c->stream);
    if (!status)
        status = cudaMemcpy(c->scratch.frequencies, frequencies, (size_t)half * sizeof *frequencies,
                            cudaMemcpyHostToDevice);
    if (!status)
        status = cudaMemcpy(c->scratch.missing, missing, (size_t)n_words * sizeof *missing,
                            cudaMemcpyHostToDevice);
    backend_note(c, status, "constants");
    free(frequencies);
    free(missing);
}

// ------------------------------------------------------------------ the device

static int attribute(struct cuda *c, enum cudaDeviceAttr which) {
    int value = 0;
    backend_note(c, cudaDeviceGetAttribute(&value, which, c->device), "its attributes");
    return value;
}

// The family of products is the device's, for all sizes.
static int open_queue(struct cuda *c, const struct path *p, struct error *err) {
    int least = 0, greatest = 0; // the engine's stream goes before that of updates
    if (!backend_note(c, cudaSetDevice(c->device), "opening it") ||
        !backend_note(c, cudaDeviceGetStreamPriorityRange(&least, &greatest), "opening it") ||
        !backend_note(c, cudaStreamCreateWithPriority(&c->stream, cudaStreamNonBlocking, greatest),
                      "opening it"))
        return 0;
    int major = attribute(c, cudaDevAttrComputeCapabilityMajor);
    int minor = attribute(c, cudaDevAttrComputeCapabilityMinor);
    enum family family = FAMILY_MMA;
    if (path_family(p, major, minor, &family, err)) return -1;
    c->queue = (struct queue){
        .stream = c->stream,
        .family = family,
        .n_sms = attribute(c, cudaDevAttrMultiProcessorCount),
        .max_shared_bytes = attribute(c, cudaDevAttrMaxSharedMemoryPerBlockOptin),
        .is_programmatic = major >= 9 && !p->serial && !p->timed,
    };
    c->max_token_tile = c->queue.max_shared_bytes >= LARGEST_TILE_SHARED ? 128 : 64;
    c->use_graphs = !p->launches && !p->timed;
    snprintf(c->numerics, sizeof c->numerics, "cuda-%s sm_%d%d weights=bf16 kv=%s page=%d",
             path_family_name(family), major, minor, c->d.kv_is_bf16 ? "bf16" : "f32",
             c->d.page_tokens);
    if (p->timed)
        backend_note(c, timing_open(&c->timing, c->shape.n_layers * LAYER_LAUNCHES + 8), "timing");
    return 0;
}

// ------------------------------------------------------------------ operations

static int check_room(const struct backend_options *o, const struct backend_plan *plan,
                      struct error *err) {
    size_t free_bytes = 0, total = 0;
    uint64_t need = 0;
    int status = cudaSetDevice(o->device);
    if (!status) status = cudaMemGetInfo(&free_bytes, &total);
    if (status) return errors_open(err, status, "asking for its memory");
    for (int i = 0; i < N_MEMORY_USES; i++)
        if (!plan->is_host[i]) need += plan->bytes[i];
    if (need + UNPLANNED_BYTES <= free_bytes) return 0;
    return error_set(
        err, ERROR_MEMORY,
        "The plan needs %.1f GiB of CUDA device %d, %.1f of them for weights, and %.2f "
        "GiB beside them for code and recorded steps; %.1f of its %.1f GiB are free "
        "(--kv-memory, --max-rows, --prefill-chunk).",
        (double)need / (1 << 30), o->device, (double)plan->bytes[MEMORY_WEIGHTS] / (1 << 30),
        (double)UNPLANNED_BYTES / (1 << 30), (double)free_bytes / (1 << 30),
        (double)total / (1 << 30));
}

static int cuda_plan(const struct backend_options *o, struct backend_plan *out, struct error *err) {
    struct path path;
    if (plan_check(o, err) || path_parse(o->path, &path, err) || errors_device(err, o->device))
        return -1;
    plan_bytes(o, path.cublas, out);
    return check_room(o, out, err);
}

static void cuda_close(struct backend **b) {
    struct cuda *c = (struct cuda *)*b;
    *b = NULL;
    if (!c) return;
    cudaSetDevice(c->device);
    if (c->stream) cudaStreamSynchronize(c->stream);
    timing_print(&c->timing);
    timing_close(&c->timing);
    gemm_close(&c->gemm);
    graphs_clear(&c->graphs);
    staging_close(&c->staging);
    comm_ops.leave(&c->base);
    update_close(&c->update);
    cudaFree(c->weight_memory);
    cudaFree(c->pages);
    cudaFree(c->slots);
    cudaFree(c->scratch_memory);
    cudaFree(c->device_step);
    cudaFreeHost(c->step);
    cudaFreeHost(c->arena);
    cudaFreeHost(c->copies);
    cudaFreeHost(c->results);
    if (c->stream) cudaStreamDestroy(c->stream);
    weights_free(&c->weights);
    free(c->hashes);
    free(c->touched);
    free(c->order);
    free(c->first_cell);
    free(c);
}

static int cuda_open(const struct backend_options *o, struct backend **out, struct error *err) {
    struct path path;
    *out = NULL;
    if (plan_check(o, err) || path_parse(o->path, &path, err) || errors_device(err, o->device))
        return -1;
    struct cuda *c = memory_new(1, sizeof *c);
    struct backend *b = &c->base;
    c->base.ops = &stampede_backend;
    c->shape = o->shape;
    c->device = o->device;
    c->n_loaders = plan_n_loaders();
    c->attention_scale = 1.0f / math_sqrt((float)c->shape.head_dim);
    plan_dimensions(&c->d, o);
    int refused = open_queue(c, &path, err);
    if (!refused && !c->failed) take_memory(c, o);
    if (!refused && !c->failed && path.cublas) refused = gemm_open(c, err);
    if (!refused && !c->failed) fill_constants(c, o->id_exists);
    if (!refused && c->failed) errors_open(err, c->failed, c->failed_what);
    if (refused || c->failed) {
        cuda_close(&b);
        return -1;
    }
    *out = b;
    return 0;
}

static const char *cuda_numerics(const struct backend *b) {
    return ((const struct cuda *)b)->numerics;
}

static int cuda_n_devices(int *n, struct error *err) {
    return errors_n_devices(err, n);
}

const struct backend_ops stampede_backend = {
    .abi = KERNELS_ABI,
    .name = "cuda",
    .n_devices = cuda_n_devices,
    .describe = cuda_describe,
    .plan = cuda_plan,
    .open = cuda_open,
    .close = cuda_close,
    .numerics = cuda_numerics,
    .load = cuda_load,
    .weight_write = cuda_weight_write,
    .weight_read = cuda_weight_read,
    .weight_digest = cuda_weight_digest,
    .stage = cuda_stage,
    .check = cuda_check,
    .apply = cuda_apply,
    .comm = &comm_ops,
    .move = cuda_move,
    .begin = cuda_begin,
    .embed = cuda_embed,
    .conv = cuda_conv,
    .attention = cuda_attention,
    .dense = cuda_dense,
    .moe = cuda_moe,
    .head = cuda_head,
    .submit = cuda_submit,
    .wait = cuda_wait,
};
