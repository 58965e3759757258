// The weights that are being served: types, digest and policy version; of a backend with a master
// those of the master, which updates are of. Changed by the engine's thread alone; others read it
// through what the engine reports.
#ifndef WORKER_WEIGHTS_RESIDENT_H
#define WORKER_WEIGHTS_RESIDENT_H

#include <stdint.h>

#include "kernels/tensor.h"
#include "worker/load/names.h"

struct resident {
    const struct names *names; // borrowed
    const enum dtype *dtypes;  // (names->n), borrowed
    uint64_t *tensor_digests;  // (names->n) parts of the digest, so that an update changes it in
                               // time proportional to what it brings
    uint64_t digest;           // their sum modulo 2^64
};

// digests: (names->n) as backend_ops.load filled them; taken over.
void resident_open(struct resident *r, const struct names *names, const enum dtype *dtypes,
                   uint64_t *digests);
void resident_close(struct resident *r);

#endif
