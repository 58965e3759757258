// Buffers and the arena: lengths, growth, termination, alignment, and reuse after clearing.
#include "protocol/base/buffer.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocol/base/memory.h"

static void test_adds(void **state) {
    (void)state;
    struct buffer b = {0};
    buffer_add(&b, NULL, 0);
    assert_int_equal(b.len, 0);
    buffer_add_text(&b, "ab");
    buffer_add(&b, "c\0d", 3);
    buffer_add_slice(&b, (struct slice){"efg", 2});
    buffer_printf(&b, "%d-%s", 42, "x");
    assert_int_equal(b.len, 11);
    assert_memory_equal(b.ptr, "abc\0def42-x", 12);
    assert_true(slice_equal(buffer_slice(&b), (struct slice){"abc\0def42-x", 11}));
    char *room = buffer_extend(&b, 2);
    assert_ptr_equal(room, b.ptr + 11);
    assert_int_equal(b.ptr[13], 0);
    char *kept = b.ptr;
    buffer_clear(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.ptr, "");
    buffer_add_text(&b, "z");
    assert_ptr_equal(b.ptr, kept);
    assert_string_equal(b.ptr, "z");
    buffer_free(&b);
    assert_null(b.ptr);
    assert_int_equal(b.len + b.capacity, 0);
    buffer_clear(&b);
    buffer_free(&b);
}

static void test_grows(void **state) {
    (void)state;
    struct buffer b = {0};
    for (int i = 0; i < 100000; i++) {
        buffer_printf(&b, "%05d", i);
        assert_true(b.capacity > b.len);
    }
    assert_int_equal(b.len, 500000);
    for (int i = 0; i < 100000; i++) {
        char want[8];
        snprintf(want, sizeof want, "%05d", i);
        assert_memory_equal(b.ptr + 5 * i, want, 5);
    }
    assert_int_equal(b.ptr[b.len], 0);
    buffer_free(&b);
    for (size_t n = 0; n < 300; n++) { // each size as the first: the 0 behind needs room too
        memset(buffer_extend(&b, n), 'x', n);
        assert_int_equal(strlen(b.ptr), n);
        buffer_free(&b);
    }
}

static void test_arena(void **state) {
    (void)state;
    struct arena arena = {0};
    unsigned char *taken[2000];
    size_t sizes[2000];
    for (size_t i = 0; i < 2000; i++) {
        const bool unset = i % 50 == 0;
        sizes[i] = i % 100 == 0 ? 70000 : i * 7 % 97;
        taken[i] = unset ? arena_take_unset(&arena, sizes[i], 1) : arena_take(&arena, sizes[i], 1);
        assert_int_equal((uintptr_t)taken[i] % 16, 0);
        for (size_t j = 0; j < sizes[i] && !unset; j++) assert_int_equal(taken[i][j], 0);
        memset(taken[i], (int)(i % 255 + 1), sizes[i]);
    }
    for (size_t i = 0; i < 2000; i++) // none overlaps another
        for (size_t j = 0; j < sizes[i]; j++) assert_int_equal(taken[i][j], i % 255 + 1);
    assert_string_equal(arena_copy(&arena, "abcdef", 3), "abc");
    assert_string_equal(arena_copy(&arena, NULL, 0), "");
    arena_clear(&arena);
    assert_null(arena.blocks);
    assert_int_equal(arena.n_bytes, 0);
    arena_clear(&arena);
}

static void test_memory(void **state) {
    (void)state;
    unsigned char *p = memory_new(3, 5);
    for (int i = 0; i < 15; i++) assert_int_equal(p[i], 0);
    p[14] = 9;
    p = memory_resize(p, 100, 5);
    assert_int_equal(p[14], 9);
    free(p);
    p = memory_new(0, 5);
    assert_non_null(p);
    free(p);
    char *copy = memory_copy("a\0b", 3);
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
    copy = memory_copy(NULL, 0);
    assert_string_equal(copy, "");
    free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adds),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
