// The form of a weight update (D8): which elements of a tensor change, and to what.
//
// A dense change holds every value of the tensor, in row-major order. A sparse one holds the
// values of some positions, which rise, and codes that say which. With a cursor that starts at 0,
// each code c of 1, 2 or 4 bytes (little-endian) is read in turn:
//
//   c == all ones   the cursor goes on by c, and no value belongs to it
//   else            the next value is that of position cursor + c; the cursor goes on behind it
//
// So positions can neither fall nor come twice, whatever the bytes are; they can only run beyond
// the tensor. Codes are read in blocks of DELTA_BLOCK, in parallel: an anchor for each block says
// where the cursor stands and how many values came before it. Anchors are proved, not believed:
// block b must end where anchor b + 1 says.
//
// A master is all weights once more, as floats in host memory, beside resident weights of block
// types, which are always what the source (weight_source.h) makes of the master's values. Updates
// are of the master: its types are those that they come in, its values those that are digested,
// checked and exchanged.
//
// Beside a master, or with backend_options.second_copy, the resident weights have a second place.
// remake() makes there what an update will make resident, beside what serves, and apply()
// exchanges the places: for a pointer a weight, whatever changes in it. What is staged stays, but
// for values of a master, which are exchanged where they lie: staged is then what they were. So
// are those of resident weights without a second place.
#ifndef KERNELS_DELTA_H
#define KERNELS_DELTA_H

#include <stdint.h>

#include "kernels/tensor.h"

enum { DELTA_BLOCK = 4096, DELTA_ALIGN = 64 };

struct delta_anchor {
    uint64_t cursor, n_values; // before the block
};

// The change of one weight. Places are bytes from the start of the staging memory, multiples of
// DELTA_ALIGN.
struct weight_change {
    int weight;       // index of weights_list
    int code_bytes;   // 1, 2 or 4; 0: dense
    int64_t n_values; // dense: all elements of the weight
    int64_t n_codes;  // sparse: at least n_values
    uint64_t codes;   // sparse: (n_codes)
    uint64_t anchors; // sparse: (delta_n_blocks) struct delta_anchor
    uint64_t values;  // (n_values) in the weight's resident type, or its master's
};

// What check() says of one change: the parts of the digest (digest.h) that its values make, and
// that the same elements of the resident weight, or of its master, make now. The latter of sparse
// changes alone, 0 of a dense one: who knows what the whole weight makes need not have it read.
struct change_sums {
    uint64_t staged, resident;
};

static inline int64_t delta_n_blocks(int64_t n_codes) {
    return (n_codes + DELTA_BLOCK - 1) / DELTA_BLOCK;
}

// The code at `i`.
ON_DEVICE uint32_t delta_code(const void *codes, int code_bytes, int64_t i) {
    if (code_bytes == 1) return ((const uint8_t *)codes)[i];
    if (code_bytes == 2) return ((const uint16_t *)codes)[i];
    return ((const uint32_t *)codes)[i];
}

// The code without a value.
ON_DEVICE uint32_t delta_skip(int code_bytes) {
    return code_bytes == 1 ? 0xffu : code_bytes == 2 ? 0xffffu : 0xffffffffu;
}

// Lays the parts of a change out from `at` on, in the order codes, anchors, values, each at a
// multiple of DELTA_ALIGN: fills the three places and returns the end, a multiple too. The sizes
// must be sane: n_values and n_codes at most 2^40.
uint64_t delta_lay(struct weight_change *c, enum dtype dtype, uint64_t at);

#endif
