// Sentences for what the CUDA runtime reports.
#ifndef KERNELS_CUDA_ERRORS_H
#define KERNELS_CUDA_ERRORS_H

#include "protocol/base/error.h"

// Fills `err` from a cudaError_t that came while something was opened. what: "the weights", for
// memory that was asked for; else what was being done. Returns -1.
int errors_open(struct error *err, int status, const char *what);

// The same for an error in mid-run: the device is lost, ERROR_IO.
int errors_run(struct error *err, int status, const char *what);

// Checks that there is a driver, new enough, and a device `index` that kernels were built for.
int errors_device(struct error *err, int index);

#endif
