// A shared object that a backend could be (test_find.c).
#include "kernels/kernels.h"

extern const struct backend_ops stampede_backend;
const struct backend_ops stampede_backend = {.abi = KERNELS_ABI, .name = "good"};
