#include "worker/weights/resident.h"

#include <stdlib.h>

#include "protocol/base/memory.h"
#include "worker/weights/digest.h"

enum { CHUNK_ELEMENTS = 1 << 18 };

static uint64_t digest_tensor(const struct resident *r, const struct backend *b, int i,
                              void *chunk) {
    int64_t n = weight_n(&r->names->weights[i]);
    uint64_t sum = 0;
    for (int64_t first = 0; first < n; first += CHUNK_ELEMENTS) {
        int64_t part = n - first < CHUNK_ELEMENTS ? n - first : CHUNK_ELEMENTS;
        b->ops->weight_read(b, i, first, part, chunk);
        sum += digest_range(r->names->hashes[i], first, part, r->dtypes[i], chunk);
    }
    return sum;
}

void resident_open(struct resident *r, const struct names *names, const enum dtype *dtypes,
                   const struct backend *b) {
    *r = (struct resident){.names = names, .dtypes = dtypes};
    r->tensor_digests = memory_new((size_t)names->n, sizeof *r->tensor_digests);
    void *chunk = memory_new(CHUNK_ELEMENTS, sizeof(float));
    for (int i = 0; i < names->n; i++) {
        r->tensor_digests[i] = digest_tensor(r, b, i, chunk);
        r->digest += r->tensor_digests[i];
    }
    free(chunk);
}

void resident_close(struct resident *r) {
    free(r->tensor_digests);
    *r = (struct resident){0};
}
