// What a worker serves while it is offered updates: a small checkpoint of zeros in the CPU's
// backend.
#ifndef TESTS_WEIGHTS_SERVED_H
#define TESTS_WEIGHTS_SERVED_H

#include "kernels/kernels.h"
#include "tests/weights/offered.h"
#include "worker/weights/resident.h"

struct served {
    struct backend_ops ops; // those of the backend, which a test may replace
    struct backend *backend;
    struct names *names;
    enum dtype *dtypes; // (names->n), all float32
    struct resident resident;
};

// vocab: of the shape, 0 as it is; staging_bytes: the staging memory.
void served_open(struct served *s, int vocab, uint64_t staging_bytes);
void served_close(struct served *s);

// Adds to `o` weights first .. first + n - 1, whole, with values.
void served_offer(const struct served *s, struct offered *o, int first, int n);

#endif
