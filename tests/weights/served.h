// What a worker serves while it is offered updates: a small checkpoint in a backend.
#ifndef TESTS_WEIGHTS_SERVED_H
#define TESTS_WEIGHTS_SERVED_H

#include "kernels/kernels.h"
#include "tests/weights/offered.h"
#include "worker/weights/resident.h"

struct served_options {
    bool is_random; // bf16 of `bench --synthetic tiny` on the device that is tested; else float32
                    // zeros of a smaller shape on the CPU
    int vocab;      // of that shape, 0: as it is
    uint64_t staging_bytes;
    enum dtype blocks; // resident type of matrices beside a master; a float: there is no master
    bool second_copy;  // updates are made there
};

struct served {
    struct backend_ops ops; // those of the backend, which a test may replace
    struct backend *backend;
    struct names *names;
    bool has_master;
    enum dtype *dtypes, *blocks; // (names->n) what updates come in; what is resident
    struct resident resident;
};

void served_open(struct served *s, const struct served_options *o);
void served_close(struct served *s);

// A weight's values in the type that updates come in: the master's, or the resident ones. The
// caller's, to free().
void *served_read(const struct served *s, int weight);

// What is resident beside a master is what the whole master is packed to, byte for byte. True where
// there is none.
bool served_is_packed(const struct served *s);

// Adds to `o` weights first .. first + n - 1, whole, with values.
void served_offer(const struct served *s, struct offered *o, int first, int n);

#endif
