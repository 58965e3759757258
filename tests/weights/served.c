#include "tests/weights/served.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"

static const void *read_zeros(const void *self, int index, int64_t first, int64_t n, void *room,
                              struct error *err) {
    (void)first, (void)err;
    return memset(room, 0, (size_t)n * dtype_bytes(((const enum dtype *)self)[index]));
}

void served_open(struct served *s, int vocab, uint64_t staging_bytes) {
    struct model_shape shape = harness_shape(0);
    struct error err = {0};
    const char *path;
    int device;
    const struct backend_ops *ops = kernels_find("cpu", &device, &path, &err);
    if (vocab) shape.vocab = vocab;
    s->names = names_new(&shape);
    s->dtypes = memory_new((size_t)s->names->n, sizeof *s->dtypes);
    const struct backend_options o = {.shape = shape,
                                      .weight_dtypes = s->dtypes,
                                      .weight_hashes = s->names->hashes,
                                      .staging_bytes = staging_bytes,
                                      .n_threads = 1,
                                      .page_tokens = 16,
                                      .n_pages = 1,
                                      .n_conv_slots = 1,
                                      .max_segments = 1,
                                      .max_tokens = 1,
                                      .max_outputs = 1};
    const struct weight_source source = {.self = s->dtypes, .read = read_zeros};
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
