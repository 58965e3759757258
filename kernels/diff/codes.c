#include <string.h>

#include "kernels/delta.h"
#include "kernels/diff/codes_paths.h"
#include "kernels/diff/library.h"
#include "kernels/processor.h"

enum { RUN = 16 }; // positions that are taken one by one where the fast way gave up

static size_t run(const uint32_t *positions, size_t n, uint32_t cursor, size_t width,
                  unsigned char *codes) {
#ifdef __x86_64__
    if (processor_has_avx512()) return codes_run_avx512(positions, n, cursor, width, codes);
#endif
    (void)positions, (void)n, (void)cursor, (void)width, (void)codes;
    return 0;
}

void stampede_count_skips(const uint32_t *positions, size_t n, uint32_t cursor,
                          uint64_t n_skips[3]) {
    uint64_t skips[3] = {0};
    for (size_t i = 0; i < n;) {
        size_t near = run(positions + i, n - i, cursor, 1, NULL), end;
        if (near) cursor = positions[i + near - 1] + 1;
        i += near;
        for (end = n - i < RUN ? n : i + RUN; i < end; i++) {
            uint32_t gap = positions[i] - cursor;
            cursor = positions[i] + 1;
            if (gap < delta_skip(1)) continue;
            for (int k = 0; k < 3; k++) skips[k] += gap / delta_skip(1 << k);
        }
    }
    memcpy(n_skips, skips, sizeof skips);
}

// One by one. `width` is a constant where this is expanded. Returns the end of the codes.
static inline unsigned char *encode(const uint32_t *positions, size_t n, uint32_t cursor,
                                    size_t width, unsigned char *to) {
    const uint32_t skip = delta_skip((int)width);
    for (size_t i = 0; i < n; i++) {
        uint32_t gap = positions[i] - cursor;
        cursor = positions[i] + 1;
        for (; gap >= skip; gap -= skip, to += width) memset(to, 0xff, width);
        memcpy(to, &gap, width);
        to += width;
    }
    return to;
}

size_t stampede_encode(const uint32_t *positions, size_t n, uint32_t cursor, size_t width,
                       void *codes) {
    unsigned char *to = codes;
    for (size_t i = 0, some; i < n; i += some, cursor = positions[i - 1] + 1) {
        some = run(positions + i, n - i, cursor, width, to);
        to += some * width;
        if (some) continue;
        some = n - i < RUN ? n - i : RUN;
        to = width == 1   ? encode(positions + i, some, cursor, 1, to)
             : width == 2 ? encode(positions + i, some, cursor, 2, to)
                          : encode(positions + i, some, cursor, 4, to);
    }
    return (size_t)(to - (unsigned char *)codes) / width;
}

// What a block of codes moves the cursor by, and how many values it has. Codes of 1 and 2 bytes are
// counted in parts of a known length, which compilers make vectors of, and whose sums need 32 bits.
static inline struct delta_anchor sum(const unsigned char *codes, size_t n, int width) {
    enum { PART = 64 };
    const uint32_t skip = delta_skip(width);
    struct delta_anchor sum = {0};
    size_t i = 0;
    for (; width < 4 && i + PART <= n; i += PART) {
        uint32_t moved = 0, skips = 0;
        for (size_t k = 0; k < PART; k++) {
            moved += delta_code(codes, width, (int64_t)(i + k));
            skips += delta_code(codes, width, (int64_t)(i + k)) == skip;
        }
        sum.cursor += moved;
        sum.n_values += PART - skips;
    }
    for (; i < n; i++) {
        sum.cursor += delta_code(codes, width, (int64_t)i);
        sum.n_values += delta_code(codes, width, (int64_t)i) != skip;
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
