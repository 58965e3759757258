// libstampede_weights.so: what a trainer does to each value of its weights before a push, for
// other languages: plain pointers and numbers, no structures of ours.
//
// The Python package calls these and has the same in numpy for where they are missing. A sparse
// change (delta.h, PROTOCOL.md) comes out of stampede_differing, stampede_count_skips and
// stampede_encode, its check out of stampede_digest_positions, a dense one's out of
// stampede_digest_range (digest.h); stampede_replace keeps the copy with which the next weights
// are compared. All are thread-safe, keep nothing, take no memory, and cannot fail.
//
// `size`: bytes of a value, 2 (bf16, float16) or 4 (float32), little-endian. Arrays of values lie
// in any alignment, all others in that of their elements; none overlaps another one.
#ifndef KERNELS_DIFF_LIBRARY_H
#define KERNELS_DIFF_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

// The number of this header: another one declares other functions.
enum { STAMPEDE_WEIGHTS_ABI = 1 };
int stampede_weights_abi(void);

// The part of the digest that elements first .. first + n - 1 of a tensor make. name_hash: xxh3-64
// of its hub name. values: (n).
uint64_t stampede_digest_range(uint64_t name_hash, uint64_t first, const void *values, size_t n,
                               size_t size);

// The same of n elements at `positions` (n). values: (n).
uint64_t stampede_digest_positions(uint64_t name_hash, const uint32_t *positions,
                                   const void *values, size_t n, size_t size);

// Where two arrays (n) differ in any bit. positions: (n), begins with `first` + the indices of
// these values, which rise; values: (n), begins with the new bits there. What follows in both is
// anything. Returns how many differ. first + n is at most 2^32.
size_t stampede_differing(const void *old_values, const void *new_values, size_t n, size_t size,
                          uint32_t first, uint32_t *positions, void *values);

// Codes without a value that positions (n), which rise, take behind `cursor`: in codes of 1, 2 and
// 4 bytes.
void stampede_count_skips(const uint32_t *positions, size_t n, uint32_t cursor,
                          uint64_t n_skips[3]);

// Their codes of `width` bytes, 1, 2 or 4: n and as many as stampede_count_skips says. Returns the
// number of them.
size_t stampede_encode(const uint32_t *positions, size_t n, uint32_t cursor, size_t width,
                       void *codes);

// The cursor and the number of values before each 4,096 of the codes of a tensor (n).
// anchors: ((n + 4095) / 4096, 2).
void stampede_anchors(const void *codes, size_t n, size_t width, uint64_t *anchors);

// Writes new_values (n) to `positions` (n) of `values`; former: (n), what was there.
void stampede_replace(void *values, const uint32_t *positions, const void *new_values, size_t n,
                      size_t size, void *former);

#endif
