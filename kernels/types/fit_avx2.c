#include "kernels/types/fit_lanes.h"

const struct fit_ops fit_avx2 = {range, signed_scale};
