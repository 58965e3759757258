#include "kernels/types/fit_lanes.h"

const struct fit_ops fit_avx512 = {range, signed_scale};
