#include "worker/weights/resident.h"

#include <stdlib.h>

void resident_open(struct resident *r, const struct names *names, const enum dtype *dtypes,
                   uint64_t *digests) {
    *r = (struct resident){.names = names, .dtypes = dtypes, .tensor_digests = digests};
    for (int i = 0; i < names->n; i++) r->digest += digests[i];
}

void resident_close(struct resident *r) {
    free(r->tensor_digests);
    *r = (struct resident){0};
}
