// What the processor that this runs on can do.
#ifndef KERNELS_PROCESSOR_H
#define KERNELS_PROCESSOR_H

#include <stdbool.h>

// All that the flags of *_avx512.c allow the compiler, AVX2 apart. A build with
// PROCESSOR_WITHOUT_AVX512 is for what is measured for processors that lack it.
static inline bool processor_has_avx512(void) {
#if defined(__x86_64__) && !defined(PROCESSOR_WITHOUT_AVX512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
}

#endif
