// A trainer's side of weight updates (kernels/diff): what differs, codes of positions, digests,
// each beside the obvious way, on every path.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/delta.h"
#include "kernels/diff/diff_paths.h"
#include "kernels/diff/library.h"
#include "kernels/digest.h"
#include "kernels/processor.h"

enum { N = 20000, GUARD = 0x5a };

static uint32_t draw(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

// ---- what differs

typedef size_t (*differing)(const unsigned char *, const unsigned char *, size_t, size_t, uint32_t,
                            uint32_t *, unsigned char *);

static size_t by_library(const unsigned char *a, const unsigned char *b, size_t n, size_t size,
                         uint32_t first, uint32_t *positions, unsigned char *values) {
    return stampede_differing(a, b, n, size, first, positions, values);
}

// Some share of (n) values in a million changes, each in one bit; all arrays one byte off, and none
// longer than it is said to be.
static void check_differing(differing f, size_t n, size_t size, uint32_t share) {
    uint64_t state = n * 7 + size + share;
    unsigned char *a = malloc(n * size + 1), *b = malloc(n * size + 1),
                  *values = malloc(n * size + 2);
    uint32_t *positions = malloc((n + 1) * sizeof *positions);
    for (size_t i = 0; i < n * size; i++) a[1 + i] = b[1 + i] = (unsigned char)draw(&state);
    for (size_t i = 0; i < n; i++)
        if (draw(&state) % 1000000 < share)
            b[1 + i * size + draw(&state) % size] ^= (unsigned char)(1 << draw(&state) % 8);
    positions[n] = GUARD;
    values[n * size + 1] = GUARD;
    const uint32_t first = UINT32_MAX - (uint32_t)n;
    size_t found = f(a + 1, b + 1, n, size, first, positions, values + 1), k = 0;
    for (size_t i = 0; i < n; i++) {
        if (memcmp(a + 1 + i * size, b + 1 + i * size, size) == 0) continue;
        assert_true(k < found && positions[k] == first + (uint32_t)i);
        assert_memory_equal(values + 1 + k * size, b + 1 + i * size, size);
        k++;
    }
    assert_int_equal(k, found);
    assert_true(positions[n] == GUARD && values[n * size + 1] == GUARD);
    free(a);
    free(b);
    free(values);
    free(positions);
}

static void test_differing(void **state) {
    (void)state;
    static const uint32_t shares[] = {0, 300, 50000, 330000, 1000000};
    differing ways[] = {by_library, diff_portable, by_library};
#ifdef __x86_64__
    if (processor_has_avx512()) ways[2] = diff_avx512;
#endif
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
        for (size_t size = 2; size <= 4; size += 2)
            for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
                for (size_t n = 0; n < 140; n++) check_differing(ways[w], n, size, shares[s]);
                check_differing(ways[w], N, size, shares[s]);
            }
}

static void test_replace(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    for (size_t size = 2; size <= 4; size += 2) {
        unsigned char all[4 * COUNT + 1], before[4 * COUNT + 1], now[4 * COUNT + 1],
            former[4 * COUNT + 1];
        uint32_t positions[COUNT / 3];
        for (size_t i = 0; i < sizeof all; i++) {
            before[i] = all[i] = (unsigned char)(i * 37 >> 3);
            now[i] = (unsigned char)(i * 91 >> 2);
        }
        for (uint32_t k = 0; k < COUNT / 3; k++) positions[k] = 3 * k + k % 2;
        stampede_replace(all + 1, positions, now + 1, COUNT / 3, size, former + 1);
        for (size_t k = 0; k < COUNT / 3; k++) {
            size_t at = 1 + size * positions[k];
            assert_memory_equal(former + 1 + size * k, before + at, size);
            assert_memory_equal(all + at, now + 1 + size * k, size);
        }
        stampede_replace(all + 1, positions, former + 1, COUNT / 3, size, now + 1);
        assert_memory_equal(all, before, sizeof all); // and nothing else had changed
    }
}

// ---- codes

static void check_codes(const uint32_t *positions, size_t n, size_t width) {
    uint64_t n_skips[3] = {0}, more[3];
    size_t half = n / 2; // of two blocks, one behind the other
    uint32_t between = half ? positions[half - 1] + 1 : 0;
    stampede_count_skips(positions, half, 0, n_skips);
    stampede_count_skips(positions + half, n - half, between, more);
    size_t k = width == 1 ? 0 : width == 2 ? 1 : 2, most = n + n_skips[k] + more[k];
    unsigned char *codes = malloc(most * width + 1);
    codes[most * width] = GUARD;
    size_t n_codes = stampede_encode(positions, half, 0, width, codes);
    assert_int_equal(n_codes, half + n_skips[k]);
    n_codes += stampede_encode(positions + half, n - half, between, width, codes + n_codes * width);
    assert_int_equal(n_codes, most);
    assert_int_equal(codes[most * width], GUARD);

    struct delta_anchor at = {0};
    uint64_t(*anchors)[2] = malloc((size_t)delta_n_blocks((int64_t)n_codes) * sizeof *anchors + 1);
    stampede_anchors(codes, n_codes, width, *anchors);
    for (size_t i = 0; i < n_codes; i++) {
        if (i % DELTA_BLOCK == 0)
            assert_true(anchors[i / DELTA_BLOCK][0] == at.cursor &&
                        anchors[i / DELTA_BLOCK][1] == at.n_values);
        uint32_t code = delta_code(codes, (int)width, (int64_t)i);
        at.cursor += code;
        if (code != delta_skip((int)width))
            assert_true(at.n_values < n && positions[at.n_values++] == at.cursor++);
    }
    assert_int_equal(at.n_values, n);
    free(codes);
    free(anchors);
}

// Gaps up to `most`, and now and then one at an escape of some width.
static void test_codes(void **state) {
    (void)state;
    static const uint32_t most[] = {1, 4, 300, 70000}, odd[] = {254, 255, 256, 510, 65534, 65535};
    static uint32_t positions[N];
    uint64_t random = 5;
    for (size_t m = 0; m < 4; m++) {
        uint32_t cursor = 0;
        for (size_t i = 0; i < N; i++) {
            uint32_t gap = draw(&random) % 50 ? draw(&random) % most[m] : odd[draw(&random) % 6];
            positions[i] = cursor + gap;
            cursor = positions[i] + 1;
        }
        static const size_t counts[] = {0, 1, 2, 4095, 4096, 4097, 8192, N};
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
            for (size_t width = 1; width <= 4; width *= 2) check_codes(positions, counts[c], width);
    }
    check_codes((const uint32_t[]){UINT32_MAX}, 1, 4); // the one gap that escapes 4 bytes
    check_codes((const uint32_t[]){0, UINT32_MAX - 1}, 2, 2);
}

// ---- digests: those of digest.h, which has tests of its own

static void test_digests(void **state) {
    (void)state;
    unsigned char values[4 * 100];
    uint32_t positions[100];
    for (size_t i = 0; i < sizeof values; i++) values[i] = (unsigned char)(i * i >> 3);
    for (uint32_t i = 0; i < 100; i++) positions[i] = i * i;
    assert_int_equal(stampede_weights_abi(), STAMPEDE_WEIGHTS_ABI);
    for (int t = 0; t < N_FLOAT_DTYPES; t++) {
        size_t size = dtype_bytes((enum dtype)t);
        assert_true(stampede_digest_range(7, 41, values, 100, size) ==
                    digest_range(7, 41, 100, (enum dtype)t, values));
        assert_true(stampede_digest_positions(7, positions, values, 100, size) ==
                    digest_positions(7, positions, 100, (enum dtype)t, values));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differing),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
