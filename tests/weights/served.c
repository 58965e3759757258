#include "tests/weights/served.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/backend.h"
#include "kernels/types/types.h"
#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"
#include "worker/load/checkpoint.h"
#include "worker/load/config.h"

// ------------------------------------------------------------------ values

// Floats in the type that updates come in.
static const void *read_floats(const struct served *s, int index, int64_t first, int64_t n,
                               void *room, bool is_random) {
    const struct checkpoint_random random = {s->names, s->dtypes, 1};
    const struct weight_source source = checkpoint_random_source(&random);
    if (is_random) return source.read(source.self, index, first, n, room, NULL);
    return memset(room, 0, (size_t)n * dtype_bytes(s->dtypes[index]));
}

// What they are as `t`, one block after the other.
static void convert(enum dtype from, const void *values, int64_t n, enum dtype t, char *out) {
    int64_t size = type_elements(t);
    for (int64_t at = 0; at < n; at += size) {
        float x[TYPE_MAX_ELEMENTS];
        for (int64_t i = 0; i < size; i++) x[i] = dtype_get(from, values, at + i);
        if (dtype_is_block(t))
            type_find(t)->pack(x, out + type_size(t, at));
        else
            dtype_put(t, out, at, x[0]);
    }
}

struct source {
    const struct served *served;
    bool is_random;
};

static const void *read_master(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct source *source = self;
    (void)err;
    return read_floats(source->served, index, first, n, room, source->is_random);
}

static const void *read_values(const void *self, int index, int64_t first, int64_t n, void *room,
                               struct error *err) {
    const struct served *s = ((const struct source *)self)->served;
    char *floats = memory_new((size_t)n, sizeof(float));
    read_master(self, index, first, n, floats, err);
    convert(s->dtypes[index], floats, n, s->blocks[index], room);
    free(floats);
    return room;
}

// ------------------------------------------------------------------ open and close

static void choose_shape(const struct served_options *o, struct model_shape *shape) {
    struct model_config config;
    *shape = harness_shape(0);
    if (o->vocab) shape->vocab = o->vocab;
    if (!o->is_random) return;
    assert_int_equal(config_synthetic("tiny", &config, NULL), 0);
    *shape = config.shape;
}

static void choose_dtypes(struct served *s, const struct served_options *o) {
    size_t n = (size_t)s->names->n;
    s->dtypes = memory_new(n, sizeof *s->dtypes);
    s->blocks = memory_new(n, sizeof *s->blocks);
    if (o->is_random) checkpoint_synthetic_dtypes(s->names, CHECKPOINT_AS_IS, s->dtypes);
    memcpy(s->blocks, s->dtypes, n * sizeof *s->blocks);
    s->has_master = dtype_is_block(o->blocks);
    if (s->has_master) checkpoint_resident_all(s->names, (int)o->blocks, s->blocks);
}

void served_open(struct served *s, const struct served_options *options) {
    struct model_shape shape;
    struct error err = {0};
    const char *path;
    int device;
    const struct backend_ops *ops =
        kernels_find(options->is_random ? harness_device() : "cpu", &device, &path, &err);
    choose_shape(options, &shape);
    s->names = names_new(&shape);
    choose_dtypes(s, options);
    const struct backend_options o = {.shape = shape,
                                      .weight_dtypes = s->blocks,
                                      .master_dtypes = s->has_master ? s->dtypes : NULL,
                                      .weight_hashes = s->names->hashes,
                                      .device = device,
                                      .path = path,
                                      .staging_bytes = options->staging_bytes,
                                      .second_copy = options->second_copy,
                                      .n_threads = options->is_random ? 2 : 1,
                                      .page_tokens = 16,
                                      .n_pages = 1,
                                      .n_conv_slots = 1,
                                      .max_segments = 1,
                                      .max_tokens = 1,
                                      .max_outputs = 1};
    const struct source values = {s, options->is_random};
    const struct weight_source source = {
        .self = &values, .read = read_values, .read_master = read_master};
    uint64_t *digests = memory_new((size_t)s->names->n, sizeof *digests);
    assert_int_equal(ops->open(&o, &s->backend, &err), 0);
    assert_int_equal(ops->load(s->backend, &source, digests, &err), 0);
    resident_open(&s->resident, s->names, s->dtypes, digests);
    s->ops = *s->backend->ops;
    s->backend->ops = &s->ops;
}

void served_close(struct served *s) {
    resident_close(&s->resident);
    s->backend->ops->close(&s->backend);
    names_free(&s->names);
    free(s->dtypes);
    free(s->blocks);
}

// ------------------------------------------------------------------ what is held

static void *read_resident(const struct served *s, int weight) {
    struct error err = {0};
    int64_t n = weight_n(&s->names->weights[weight]);
    void *values = memory_new((size_t)n, sizeof(float));
    assert_int_equal(s->backend->ops->weight_read(s->backend, weight, 0, n, values, &err), 0);
    return values;
}

void *served_read(const struct served *s, int weight) {
    if (!s->has_master) return read_resident(s, weight);
    const struct cpu *c = (const struct cpu *)s->backend; // no other backend has a master
    size_t n = (size_t)weight_n(&s->names->weights[weight]);
    return memcpy(memory_new(n, sizeof(float)), c->master.slots[weight].data,
                  n * dtype_bytes(s->dtypes[weight]));
}

bool served_is_packed(const struct served *s) {
    bool is_same = true;
    for (int i = 0; i < s->names->n && s->has_master; i++) {
        int64_t n = weight_n(&s->names->weights[i]);
        char *floats = served_read(s, i), *blocks = read_resident(s, i);
        char *want = memory_new((size_t)n, sizeof(float));
        convert(s->dtypes[i], floats, n, s->blocks[i], want);
        is_same = is_same && memcmp(blocks, want, type_size(s->blocks[i], n)) == 0;
        free(floats);
        free(blocks);
        free(want);
    }
    return is_same;
}

void served_offer(const struct served *s, struct offered *o, int first, int n) {
    for (int i = first; i < first + n; i++) {
        int64_t size = weight_n(&s->names->weights[i]);
        float *values = memory_new((size_t)size, sizeof *values);
        for (int64_t k = 0; k < size; k++) values[k] = (float)(k % 50 + i);
        offered_add_dense(o, &s->resident, i, values);
        free(values);
    }
}
