// The digest of resident weights (D8), one definition for load, commit, inspect and HELLO, on the
// host and on devices: outside tools may compute it too.
//
// It is a sum modulo 2^64, over every tensor and every element of it, of mix(h, i, v):
//
//   h  xxh3-64 (seed 0) of the tensor's hub name in UTF-8, without a terminating 0; one tensor per
//      expert ("model.layers.2.feed_forward.experts.7.w1.weight") however the file stores them;
//      a tied head counts once, as "model.embed_tokens.weight"
//   i  the element's index from 0 in row-major order, as the hub stores the tensor
//   v  the value's bits in the resident type, zero-extended: 32 bits of float32, 16 of bf16 or
//      float16; expert_bias is always float32
//
//   mix(h, i, v):   (all arithmetic modulo 2^64)
//     x = (h + (i + 1) * 0x9E3779B97F4A7C15) ^ (v * 0xC2B2AE3D27D4EB4F)
//     x = (x ^ x >> 32) * 0xFF51AFD7ED558CCD
//     x = (x ^ x >> 29) * 0xC4CEB9FE1A85EC53
//     return x ^ x >> 32
//
// Being a sum, it can be taken in any order and in parallel, and an update changes it by
// mix(new) - mix(old) of the elements that change. It guards against mistakes, not against an
// adversary. It is reported as 16 hexadecimal digits, always with the resident type.
#ifndef KERNELS_DIGEST_H
#define KERNELS_DIGEST_H

#include <stdint.h>

#include "kernels/tensor.h"

#define DIGEST_STEP 0x9e3779b97f4a7c15u // of the position

ON_DEVICE uint64_t digest_mix(uint64_t name_hash, uint64_t index, uint32_t bits) {
    uint64_t x = (name_hash + (index + 1) * DIGEST_STEP) ^ (bits * 0xc2b2ae3d27d4eb4fu);
    x = (x ^ x >> 32) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 29) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 32;
}

#ifdef __cplusplus
extern "C" {
#endif

// The part of the digest that elements first .. first + n - 1 of one tensor make. values: (n) of
// dtype, in any alignment.
uint64_t digest_range(uint64_t name_hash, int64_t first, int64_t n, enum dtype dtype,
                      const void *values);

// The same of n elements at `positions` (n).
uint64_t digest_positions(uint64_t name_hash, const uint32_t *positions, int64_t n,
                          enum dtype dtype, const void *values);
#ifdef __cplusplus
}
#endif

#endif
