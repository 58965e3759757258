#include "kernels/cpu/master.h"

#include <stdlib.h>

#include "protocol/base/memory.h"

enum { ALIGN = 64 };

static size_t slot_bytes(const struct weight_slot *s) {
    size_t bytes = (size_t)s->rows * (size_t)s->columns * dtype_bytes(s->dtype);
    return (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static struct weight_slot slot_of(const struct weight *w, enum dtype dtype) {
    struct weight_slot s = weights_slot(w, dtype);
    s.layout = WEIGHT_PLAIN;
    return s;
}

size_t master_bytes(const struct model_shape *shape, const enum dtype *dtypes) {
    struct weight *list;
    size_t bytes = 0;
    int n = weights_list(shape, &list);
    for (int i = 0; i < n; i++) {
        struct weight_slot slot = slot_of(&list[i], dtypes[i]);
        bytes += slot_bytes(&slot);
    }
    free(list);
    return bytes;
}

int master_open(struct master *m, const struct model_shape *shape, const enum dtype *dtypes,
                struct error *err) {
    struct weight *list;
    *m = (struct master){0};
    if (region_map(&m->region, master_bytes(shape, dtypes), "the master of the weights", err))
        return -1;
    int n = weights_list(shape, &list);
    char *at = m->region.data;
    m->slots = memory_new((size_t)n, sizeof *m->slots);
    for (int i = 0; i < n; i++) {
        m->slots[i] = slot_of(&list[i], dtypes[i]);
        m->slots[i].data = at;
        at += slot_bytes(&m->slots[i]);
    }
    free(list);
    return 0;
}

void master_close(struct master *m) {
    region_unmap(&m->region);
    free(m->slots);
    *m = (struct master){0};
}

void master_write(struct master *m, int index, int64_t first, int64_t n, const void *values) {
    const struct weight_slot *s = &m->slots[index];
    size_t size = dtype_bytes(s->dtype);
    memcpy((char *)s->data + (size_t)first * size, values, (size_t)n * size);
}

void master_floats(const struct master *m, int index, int64_t first, int64_t n, float *out) {
    const struct weight_slot *s = &m->slots[index];
    if (s->dtype == DTYPE_BF16) // apart, so that compilers make vectors of it
        for (int64_t i = 0; i < n; i++)
            out[i] = dtype_bf16_to_f32(((const uint16_t *)s->data)[first + i]);
    else
        for (int64_t i = 0; i < n; i++) out[i] = dtype_get(s->dtype, s->data, first + i);
}
