// xxh3-64 and the group's seed against values of the Python package xxhash 4.1.0.
#include "protocol/base/hash.h"

#include <stdarg.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void test_bytes(void **state) {
    (void)state;
    static const struct {
        size_t len;
        uint64_t want;
    } cases[] = {
        {0, 0x2d06800538d394c2u},    {1, 0xc44bdff4074eecdbu},    {3, 0x6811538b444fc6dcu},
        {4, 0xed503340c589a28bu},    {8, 0xe5b43ab074c9c13bu},    {9, 0x089b8d25b20fb877u},
        {16, 0x0a0ec5ae8679cb7fu},   {17, 0x57c52d21ce492c1eu},   {128, 0x696069c4f1e6a91au},
        {129, 0xb1ada52285757bebu},  {240, 0xb80284837259eee4u},  {241, 0x44dbd3180a664e27u},
        {1024, 0xc6c700c409d40c4bu}, {1025, 0x3ef78c3256f23450u}, {4096, 0x1e0a232f4ec7fa9eu},
    };
    unsigned char bytes[4096];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 131 + i / 256);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(hash_bytes(bytes, cases[i].len) == cases[i].want);
    assert_true(hash_bytes(bytes + 1, 100) != hash_bytes(bytes, 100));
}

static void test_group_seed(void **state) {
    (void)state;
    static const struct {
        uint64_t seed;
        const char *id;
        uint64_t want;
    } cases[] = {
        {0u, "0", 0xf2dd4f7d3a7660a9u},
        {0u, "1", 0x858e915e3904fdf1u},
        {1u, "0", 0x838fc1dd205d5855u},
        {42u, "\"a\"", 0x88f81f304320c6ebu},
        {72623859790382856u, "\"\303\251\"", 0x1281120c006816a0u},
        {18446744073709551615u, "{\"k\":[1,2.5,null]}", 0x575ce0119c40e772u},
        {7u, "", 0x81671e58d6b596afu},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(hash_group_seed(cases[i].seed, cases[i].id, strlen(cases[i].id)) ==
                    cases[i].want);
    assert_true(hash_group_seed(7, "12", 1) == hash_group_seed(7, "1", 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_group_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
