#include <string.h>

#include "kernels/diff/diff_paths.h"
#include "kernels/diff/library.h"
#include "kernels/processor.h"

// Without a branch on the values: at some shares nobody could foretell it. `size` is a constant
// where this is expanded.
static inline size_t find(const unsigned char *a, const unsigned char *b, size_t n, size_t size,
                          uint32_t first, uint32_t *positions, unsigned char *values) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t x = 0, y = 0;
        memcpy(&x, a + i * size, size);
        memcpy(&y, b + i * size, size);
        positions[found] = first + (uint32_t)i;
        memcpy(values + found * size, &y, size);
        found += x != y;
    }
    return found;
}

size_t diff_portable(const unsigned char *a, const unsigned char *b, size_t n, size_t size,
                     uint32_t first, uint32_t *positions, unsigned char *values) {
    enum { RUN = 64 }; // values that are compared as bytes first: most runs are equal
    size_t found = 0;
    for (size_t i = 0; i < n; i += RUN) {
        size_t some = n - i < RUN ? n - i : RUN, at = i * size;
        if (memcmp(a + at, b + at, some * size) == 0) continue;
        uint32_t here = first + (uint32_t)i;
        if (size == 2)
            found += find(a + at, b + at, some, 2, here, positions + found, values + found * 2);
        else
            found += find(a + at, b + at, some, 4, here, positions + found, values + found * 4);
    }
    return found;
}

size_t stampede_differing(const void *old_values, const void *new_values, size_t n, size_t size,
                          uint32_t first, uint32_t *positions, void *values) {
#ifdef __x86_64__
    if (processor_has_avx512())
        return diff_avx512(old_values, new_values, n, size, first, positions, values);
#endif
    return diff_portable(old_values, new_values, n, size, first, positions, values);
}

void stampede_replace(void *values, const uint32_t *positions, const void *new_values, size_t n,
                      size_t size, void *former) {
    unsigned char *all = values, *kept = former;
    const unsigned char *now = new_values;
    if (size == 2) // apart, so that the compiler knows the size
        for (size_t i = 0; i < n; i++) {
            unsigned char *at = all + 2 * (size_t)positions[i];
            memcpy(kept + 2 * i, at, 2);
            memcpy(at, now + 2 * i, 2);
        }
    else
        for (size_t i = 0; i < n; i++) {
            unsigned char *at = all + 4 * (size_t)positions[i];
            memcpy(kept + 4 * i, at, 4);
            memcpy(at, now + 4 * i, 4);
        }
}
