// The gated short convolution: u = B * x, v_t = sum over j of taps[j] * u_(t - width + 1 + j)
// (+ bias), out = C * v; u before the sequence is 0.
//
// The state is a ring: the u of position p lies in entry p modulo n_ring. A past u is always one
// rounded to the state's type, whether it comes from the state or from the same chunk; the token's
// own u is not rounded. So chunking does not change bits.
#ifndef KERNELS_CPU_SHORT_CONV_H
#define KERNELS_CPU_SHORT_CONV_H

#include <stddef.h>

#include "kernels/tensor.h"

struct short_conv {
    int width, hidden;
    const float *taps;      // (width, tap_stride): tap j of all channels
    size_t tap_stride;      // floats
    const float *bias;      // (hidden) or NULL
    enum dtype state_dtype; // f32 or bf16
    void *state;            // (n_ring, hidden): the entries before `position` are read
    int n_ring;             // >= width - 1
    int position;           // of the first token
    const float *bcx;       // (n_tokens, bcx_stride): rows of B, C, x, hidden values each
    float *out;             // (n_tokens, out_stride)
    size_t bcx_stride, out_stride;
    int n_tokens;
};

// Channels first_channel .. first_channel + n_channels - 1 of one sequence.
void short_conv(const struct short_conv *c, int first_channel, int n_channels);

#endif
