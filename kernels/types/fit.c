#include "kernels/types/fit.h"

#include "kernels/types/fit_lanes.h"

const struct fit_ops fit_portable = {range, signed_scale};

#if defined(__x86_64__)
// All that the flags of the files allow the compiler.
const struct fit_ops *fit_ops(void) {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni"))
        return &fit_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &fit_avx2;
    return &fit_portable;
}
#else
const struct fit_ops *fit_ops(void) {
    return &fit_portable;
}
#endif
