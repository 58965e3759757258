// A shared object that was built for another backend interface (test_find.c).
#include "kernels/kernels.h"

extern const struct backend_ops stampede_backend;
const struct backend_ops stampede_backend = {.abi = KERNELS_ABI - 1, .name = "oldabi"};
