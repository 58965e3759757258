// What a device is: of kernels.h's describe.
#ifndef KERNELS_CUDA_DESCRIBE_H
#define KERNELS_CUDA_DESCRIBE_H

#include "kernels/kernels.h"

int cuda_describe(int device, const char *path, struct device_facts *out, struct error *err);

#endif
