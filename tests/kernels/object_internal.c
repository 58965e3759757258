// A backend that finds a fault of its own when it is asked what its device is, and tells: a
// worker's status is 70 then (tests/faults/test_starts.py).
#include <stdio.h>

#include "kernels/kernels.h"

static int describe(int device, const char *path, struct device_facts *facts, struct error *err) {
    (void)device, (void)path, (void)facts;
    err->code = ERROR_INTERNAL;
    snprintf(err->text, sizeof err->text, "The device says that it is another one than it was.");
    return -1;
}

extern const struct backend_ops stampede_backend;
const struct backend_ops stampede_backend = {
    .abi = KERNELS_ABI, .name = "internal", .describe = describe};
