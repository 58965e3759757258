// The CPU backend's one symbol.
#ifndef KERNELS_CPU_CPU_H
#define KERNELS_CPU_CPU_H

#include "kernels/kernels.h"

extern const struct backend_ops cpu_backend;

#endif
