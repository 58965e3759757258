// What a weight update costs a worker beside the wire, on the shapes of real models: proving and
// exchanging a delta of some share of the values, and the digest, beside what memory can do.
//
//   weights_apply SHAPE SHARE random|clustered|dense [THREADS [TYPE|second-copy [LAYERS]]]
//
// prints one line of JSON. SHAPE as in `bench --synthetic`; SHARE of each tensor's values, 0 to 1;
// THREADS 0: one a core; TYPE: resident as this block type, beside a master, or bf16; second-copy:
// bf16 with a second place, where the update is made; LAYERS: the first so many alone.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/digest.h"
#include "kernels/kernels.h"
#include "kernels/types/types.h"
#include "protocol/base/clock.h"
#include "protocol/base/memory.h"
#include "worker/load/checkpoint.h"
#include "worker/load/config.h"

enum { CLUSTER = 512 };

struct bench {
    struct model_config config;
    struct names *names;
    enum dtype *dtypes, *blocks; // what updates come in; what is resident
    struct backend *backend;
    struct weight_change *changes;
    int n;
    uint64_t stream_bytes;
    int64_t n_values, n_elements;
    uint64_t random;
};

static uint64_t next(struct bench *b) {
    b->random = digest_mix(b->random, 1, 2);
    return b->random;
}

static void die(const struct error *err) {
    fprintf(stderr, "weights_apply: %s\n", err->text);
    exit(1);
}

static void stage(struct bench *b, uint64_t at, uint64_t n, const void *bytes) {
    struct error err = {0};
    if (b->backend->ops->stage(b->backend, at, n, bytes, &err)) die(&err);
}

// Gaps of two bytes: with a mean of 1 / share, in clusters or not.
static int64_t make_gaps(struct bench *b, int64_t size, double share, bool is_clustered,
                         uint16_t *codes, struct delta_anchor *anchors) {
    uint64_t cursor = 0;
    int64_t n = 0;
    double mean = 1 / share;
    while (true) {
        uint64_t gap = is_clustered && n % CLUSTER ? 0
                       : is_clustered              ? (uint64_t)((mean - 1) * CLUSTER)
                                      : next(b) % (uint64_t)(2 * mean - 1 > 1 ? 2 * mean - 1 : 1);
        if (gap > 65000) gap = 65000;
        if (cursor + gap >= (uint64_t)size) return n;
        if (n % DELTA_BLOCK == 0)
            anchors[n / DELTA_BLOCK] = (struct delta_anchor){cursor, (uint64_t)n};
        codes[n++] = (uint16_t)gap;
        cursor += gap + 1;
    }
}

static void add_change(struct bench *b, int weight, double share, const char *kind) {
    int64_t size = weight_n(&b->names->weights[weight]);
    size_t width = dtype_bytes(b->dtypes[weight]);
    struct weight_change *c = &b->changes[b->n];
    *c = (struct weight_change){.weight = weight, .n_values = size};
    bool is_dense = strcmp(kind, "dense") == 0;
    uint16_t *codes = is_dense ? NULL : memory_new((size_t)size, 2);
    struct delta_anchor *anchors =
        is_dense ? NULL : memory_new((size_t)delta_n_blocks(size) + 1, sizeof *anchors);
    if (!is_dense) {
        c->n_values = c->n_codes =
            make_gaps(b, size, share, strcmp(kind, "clustered") == 0, codes, anchors);
        c->code_bytes = 2;
    }
    if (c->n_values) {
        b->stream_bytes = delta_lay(c, b->dtypes[weight], b->stream_bytes);
        char *values = memory_new((size_t)c->n_values, width);
        for (int64_t i = 0; i < c->n_values; i++)
            dtype_put(b->dtypes[weight], values, i, (float)(next(b) % 1000) / 1000);
        if (!is_dense) {
            stage(b, c->codes, (uint64_t)c->n_codes * 2, codes);
            stage(b, c->anchors, (uint64_t)delta_n_blocks(c->n_codes) * sizeof *anchors, anchors);
        }
        stage(b, c->values, (uint64_t)c->n_values * width, values);
        free(values);
        b->n_values += c->n_values;
        b->n++;
    }
    b->n_elements += size;
    free(codes);
    free(anchors);
}

static const void *read_master(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct bench *b = self;
    const struct checkpoint_random random = {b->names, b->dtypes, 1};
    return checkpoint_random_source(&random).read(&random, index, first, n, room, err);
}

static const void *read_blocks(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct bench *b = self;
    const struct checkpoint_random random = {b->names, b->blocks, 1};
    return checkpoint_random_source(&random).read(&random, index, first, n, room, err);
}

static void open_bench(struct bench *b, int n_threads, uint64_t staging, const char *type) {
    struct error err = {0};
    int device;
    const char *path;
    bool second_copy = type && strcmp(type, "second-copy") == 0;
    b->names = names_new(&b->config.shape);
    b->dtypes = memory_new((size_t)b->names->n, sizeof *b->dtypes);
    checkpoint_synthetic_dtypes(b->names, CHECKPOINT_AS_IS, b->dtypes);
    b->blocks = memory_new((size_t)b->names->n, sizeof *b->blocks);
    enum dtype blocks = DTYPE_BF16;
    if (type && !second_copy && type_parse(type, &blocks))
        die(&(struct error){.text = "TYPE is none; q4_0 or the like was expected."});
    checkpoint_synthetic_dtypes(b->names, (int)blocks, b->blocks);
    b->changes = memory_new((size_t)b->names->n, sizeof *b->changes);
    const struct backend_ops *ops = kernels_find("cpu", &device, &path, &err);
    const struct backend_options o = {.shape = b->config.shape,
                                      .weight_dtypes = b->blocks,
                                      .master_dtypes = dtype_is_block(blocks) ? b->dtypes : NULL,
                                      .weight_hashes = b->names->hashes,
                                      .n_threads = n_threads,
                                      .page_tokens = 16,
                                      .n_pages = 1,
                                      .n_conv_slots = 1,
                                      .max_segments = 1,
                                      .max_tokens = 1,
                                      .max_outputs = 1,
                                      .staging_bytes = staging,
                                      .second_copy = second_copy};
    if (!ops || ops->open(&o, &b->backend, &err)) die(&err);
    const struct weight_source source = {
        .self = b, .read = read_blocks, .read_master = read_master};
    if (ops->load(b->backend, &source, NULL, &err)) die(&err);
}

int main(int argc, char **argv) {
    if (argc < 4) return fprintf(stderr, "usage: weights_apply SHAPE SHARE KIND [THREADS]\n"), 2;
    struct bench b = {.random = 7};
    struct error err = {0};
    double share = atof(argv[2]);
    bool is_dense = strcmp(argv[3], "dense") == 0;
    if (config_synthetic(argv[1], &b.config, &err)) die(&err);
    struct model_shape *shape = &b.config.shape;
    if (argc > 6 && atoi(argv[6]) < shape->n_layers) shape->n_layers = atoi(argv[6]);
    struct weight *list;
    int n = weights_list(shape, &list), bad;
    uint64_t bytes = 0;
    for (int i = 0; i < n; i++) bytes += (uint64_t)weight_n(&list[i]) * 4;
    open_bench(&b, argc > 4 ? atoi(argv[4]) : 0,
               is_dense ? bytes : (uint64_t)((double)bytes * (share * 1.5 + 0.001)) + (64u << 20),
               argc > 5 ? argv[5] : NULL);
    for (int i = 0; i < b.names->n; i++) add_change(&b, i, is_dense ? 1 : share, argv[3]);
    struct change_sums *sums = memory_new((size_t)b.n, sizeof *sums);
    int64_t t0 = clock_us();
    if (b.backend->ops->check(b.backend, b.changes, b.n, sums, &bad, &err)) die(&err);
    int64_t check_us = clock_us() - t0, apply_us[5];
    int64_t remake_us[2]; // the first one touches memory for the first time
    for (int i = 0; i < 2; i++) {
        t0 = clock_us();
        if (b.backend->ops->remake(b.backend, b.changes, b.n, &bad, &err)) die(&err);
        remake_us[i] = clock_us() - t0;
    }
    for (int i = 0; i < 5; i++) {
        t0 = clock_us();
        if (b.backend->ops->apply(b.backend, b.changes, b.n, &err)) die(&err);
        apply_us[i] = clock_us() - t0;
    }
    printf("{\"shape\": \"%s\", \"kind\": \"%s\", \"share\": %.5f, \"elements\": %lld, "
           "\"payload_bytes\": %llu, \"check_ms\": %.1f, \"remake_ms\": [%.1f, %.1f], "
           "\"apply_ms\": [%.2f, %.2f, %.2f, %.2f, %.2f]}\n",
           argv[1], argv[3], (double)b.n_values / (double)b.n_elements, (long long)b.n_elements,
           (unsigned long long)b.stream_bytes, (double)check_us / 1e3, (double)remake_us[0] / 1e3,
           (double)remake_us[1] / 1e3, (double)apply_us[0] / 1e3, (double)apply_us[1] / 1e3,
           (double)apply_us[2] / 1e3, (double)apply_us[3] / 1e3, (double)apply_us[4] / 1e3);
    b.backend->ops->close(&b.backend);
    return 0;
}
