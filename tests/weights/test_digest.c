// The digest of resident weights: the documented formula, sums of parts, and what it notices.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "kernels/digest_paths.h"

// Computed apart from this code, in Python, from the formula in digest.h.
static void test_known_values(void **state) {
    (void)state;
    assert_true(digest_mix(0, 0, 0) == 0xfd24034ea9930e12u);
    assert_true(digest_mix(0x0123456789abcdef, 41, 0x3f800000) == 0x5267ef55b615b744u);
    assert_true(digest_mix(UINT64_MAX, UINT64_MAX, UINT32_MAX) == 0x88bad0d5b97473e3u);
    uint64_t h = hash_bytes("model.embed_tokens.weight", 25);
    const uint16_t bf16[] = {0x3f80, 0, 0x8000, 0xc040};
    const float f32[] = {1, -2.5f};
    assert_true(digest_range(h, 0, 4, DTYPE_BF16, bf16) == 0x05646663710c284du);
    assert_true(digest_range(h, 7, 2, DTYPE_F32, f32) == 0xc574d030ef8bb853u);
}

enum { N = 1000 };

static void test_parts(void **state) {
    (void)state;
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16};
    unsigned char bytes[4 * N + 1];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 37 >> 3);
    for (int t = 0; t < 3; t++) {
        size_t size = dtype_bytes(types[t]);
        const unsigned char *values = bytes + 1; // any alignment
        uint64_t whole = digest_range(9, 100, N, types[t], values), parts = 0;
        for (int i = 0, n; i < N; i += n) {
            n = i + 1 + i / 3 < N ? 1 + i / 3 : N - i;
            parts += digest_range(9, 100 + i, n, types[t], values + (size_t)i * size);
        }
        assert_true(whole == parts);
        assert_true(digest_range(9, 100, 0, types[t], values) == 0);
    }
}

// Whatever path digest_range takes here, the portable one gives the same sum.
static void test_paths(void **state) {
    (void)state;
    unsigned char bytes[4 * N + 1];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * i * 37 >> 3);
    for (int n = 0; n < 70; n++) {
        uint64_t first = (uint64_t)n << 31;
        const unsigned char *values = bytes + n % 7;
        assert_true(digest_range(9, (int64_t)first, n, DTYPE_BF16, values) ==
                    digest_range_portable(9, first, n, 2, values));
        assert_true(digest_range(9, (int64_t)first, n, DTYPE_F32, values) ==
                    digest_range_portable(9, first, n, 4, values));
        uint32_t positions[70];
        for (uint32_t k = 0; k < 70; k++) positions[k] = k * k * 1000003;
        for (int t = 0; t < 2; t++)
            assert_true(digest_positions(9, positions, n, t ? DTYPE_F32 : DTYPE_BF16, values) ==
                        digest_at_portable(9, positions, n, t ? 4 : 2, values));
    }
}

static void test_update(void **state) {
    (void)state;
    uint16_t v[N];
    for (int i = 0; i < N; i++) v[i] = (uint16_t)(i * 77);
    uint64_t before = digest_range(3, 0, N, DTYPE_BF16, v);
    uint64_t old = digest_range(3, 500, 1, DTYPE_BF16, v + 500);
    v[500] ^= 1;
    uint64_t now = digest_range(3, 500, 1, DTYPE_BF16, v + 500);
    uint64_t after = digest_range(3, 0, N, DTYPE_BF16, v);
    assert_true(after != before);
    assert_true(after == before - old + now);
}

static void test_notices(void **state) {
    (void)state;
    uint16_t v[N] = {0}, w[N] = {0};
    v[10] = 5;
    v[11] = 6;
    w[10] = 6;
    w[11] = 5;
    uint64_t d = digest_range(3, 0, N, DTYPE_BF16, v);
    assert_true(d != digest_range(3, 0, N, DTYPE_BF16, w));     // two elements swapped
    assert_true(d != digest_range(4, 0, N, DTYPE_BF16, v));     // another tensor
    assert_true(d != digest_range(3, 1, N, DTYPE_BF16, v));     // moved by one
    assert_true(digest_range(3, 0, N - 1, DTYPE_BF16, v) != d); // a zero less
    v[10] = 0x8005;
    assert_true(d != digest_range(3, 0, N, DTYPE_BF16, v)); // a sign
}

// Every bit of an element's digest should flip with each bit of value or index half of the time.
static void test_avalanche(void **state) {
    (void)state;
    enum { TRIALS = 512 };
    for (int in = 0; in < 48; in++) { // bits of the value, then 16 of the index
        int flips[64] = {0};
        for (uint64_t k = 0; k < TRIALS; k++) {
            uint32_t bits = (uint32_t)(k * 0x9e3779b9u), other = bits;
            uint64_t index = k * 3, moved = index;
            if (in < 32)
                other ^= 1u << in;
            else
                moved ^= 1u << (in - 32);
            uint64_t x = digest_mix(77, index, bits) ^ digest_mix(77, moved, other);
            for (int b = 0; b < 64; b++) flips[b] += (int)(x >> b & 1);
        }
        for (int b = 0; b < 64; b++) // 512 coins: deviation 11.3, so 8 of them either way
            if (flips[b] < 166 || flips[b] > 346)
                fail_msg("input bit %d flips output bit %d in %d of %d", in, b, flips[b], TRIALS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_paths),        cmocka_unit_test(test_update),
        cmocka_unit_test(test_notices),      cmocka_unit_test(test_avalanche),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
