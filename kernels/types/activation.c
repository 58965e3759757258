#include <string.h>

#include "kernels/types/types.h"

// The largest of the absolute values' bits: an infinity is above all numbers, a NaN above it.
static uint32_t largest_bits(const float *x) {
    uint32_t largest = 0;
    for (int i = 0; i < TYPE_RUN; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], 4);
        bits &= 0x7fffffffu;
        if (bits > largest) largest = bits;
    }
    return largest;
}

static void activate_run(const float *x, struct activation *out) {
    uint32_t bits = largest_bits(x);
    float largest, q[TYPE_RUN];
    memcpy(&largest, &bits, 4);
    // To the nearest whole number, to even between two: the sum's last bit counts ones. Of values
    // that are not finite, or so small that 127 / largest is not, all q are 0.
    bool is_usual = bits < 0x7f800000u && largest > 1e-30f;
    float per_unit = is_usual ? 127.0f / largest : 0;
    for (int i = 0; i < TYPE_RUN; i++)
        q[i] = is_usual ? (x[i] * per_unit + 12582912.0f) - 12582912.0f : 0;
    int32_t sum[2] = {0, 0};
    for (int i = 0; i < TYPE_RUN; i++) {
        out->q[i] = (int8_t)q[i];
        sum[i / 16] += out->q[i];
    }
    activation_set_sums(out, largest, sum[0], sum[1]);
}

void type_activate_portable(const float *x, int n, struct activation *out) {
    for (int i = 0; i < n / TYPE_RUN; i++) {
        float run[TYPE_RUN]; // out may lie over x
        memcpy(run, x + i * TYPE_RUN, sizeof run);
        activate_run(run, &out[i]);
    }
}

void type_activate(enum type_path path, const float *x, int n, struct activation *out) {
#if defined(__x86_64__)
    if (path >= TYPE_AVX2) {
        type_activate_avx2(x, n, out);
        return;
    }
#elif defined(__aarch64__)
    if (path >= TYPE_NEON) {
        type_activate_neon(x, n, out);
        return;
    }
#endif
    (void)path;
    type_activate_portable(x, n, out);
}
