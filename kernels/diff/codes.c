#include <string.h>

#include "kernels/delta.h"
#include "kernels/diff/library.h"

void stampede_count_skips(const uint32_t *positions, size_t n, uint32_t cursor,
                          uint64_t n_skips[3]) {
    uint64_t skips[3] = {0};
    for (size_t i = 0; i < n; i++) {
        uint32_t gap = positions[i] - cursor;
        cursor = positions[i] + 1;
        if (gap < delta_skip(1)) continue;
        for (int k = 0; k < 3; k++) skips[k] += gap / delta_skip(1 << k);
    }
    memcpy(n_skips, skips, sizeof skips);
}

// `width` is a constant where this is expanded.
static inline size_t encode(const uint32_t *positions, size_t n, uint32_t cursor, size_t width,
                            unsigned char *codes) {
    const uint32_t skip = delta_skip((int)width);
    unsigned char *to = codes;
    for (size_t i = 0; i < n; i++) {
        uint32_t gap = positions[i] - cursor;
        cursor = positions[i] + 1;
        for (; gap >= skip; gap -= skip, to += width) memset(to, 0xff, width);
        memcpy(to, &gap, width);
        to += width;
    }
    return (size_t)(to - codes) / width;
}

size_t stampede_encode(const uint32_t *positions, size_t n, uint32_t cursor, size_t width,
                       void *codes) {
    if (width == 1) return encode(positions, n, cursor, 1, codes);
    if (width == 2) return encode(positions, n, cursor, 2, codes);
    return encode(positions, n, cursor, 4, codes);
}

static inline uint32_t code_at(const unsigned char *codes, size_t i, size_t width) {
    uint32_t code = 0;
    memcpy(&code, codes + i * width, width);
    return code;
}

// What a block of codes moves the cursor by, and how many values it has. Codes of 1 and 2 bytes are
// counted in runs of a known length, which compilers make vectors of, and whose sums need 32 bits.
static inline struct delta_anchor sum(const unsigned char *codes, size_t n, size_t width) {
    enum { RUN = 64 };
    const uint32_t skip = delta_skip((int)width);
    struct delta_anchor sum = {0};
    size_t i = 0;
    for (; width < 4 && i + RUN <= n; i += RUN) {
        uint32_t moved = 0, skips = 0;
        for (size_t k = 0; k < RUN; k++) {
            moved += code_at(codes, i + k, width);
            skips += code_at(codes, i + k, width) == skip;
        }
        sum.cursor += moved;
        sum.n_values += RUN - skips;
    }
    for (; i < n; i++) {
        sum.cursor += code_at(codes, i, width);
        sum.n_values += code_at(codes, i, width) != skip;
    }
    sum.cursor += sum.n_values;
    return sum;
}

void stampede_anchors(const void *codes, size_t n, size_t width, uint64_t *anchors) {
    const unsigned char *from = codes;
    struct delta_anchor at = {0};
    for (size_t i = 0; i < n; i += DELTA_BLOCK, from += DELTA_BLOCK * width, anchors += 2) {
        size_t some = n - i < DELTA_BLOCK ? n - i : DELTA_BLOCK;
        anchors[0] = at.cursor;
        anchors[1] = at.n_values;
        struct delta_anchor moved = width == 1   ? sum(from, some, 1)
                                    : width == 2 ? sum(from, some, 2)
                                                 : sum(from, some, 4);
        at.cursor += moved.cursor;
        at.n_values += moved.n_values;
    }
}
