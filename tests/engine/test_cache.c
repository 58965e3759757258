// The cache by itself: who holds what after forks, moves and closes, and what it tells the backend.
// tests/engine/test_scheduler.c drives it at random, with contents.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/engine/cache.h"

static const struct cache_options options = {
    .page_tokens = 4,
    .n_pages = 8,
    .n_conv_slots = 4,
    .arena_pages = 4,
    .arena_slots = 1,
    .max_tokens = 32,
};

static void check(const struct cache *cache) {
    const char *wrong = cache_check(cache);
    if (wrong) fail_msg("%s", wrong);
}

// The n-th operation since the last call of cache_clear_ops.
static struct cache_op op(const struct cache *cache, size_t n) {
    size_t n_ops;
    const struct cache_op *ops = cache_ops(cache, &n_ops);
    assert_true(n < n_ops);
    return ops[n];
}

static void assert_op(struct cache_op o, enum cache_op_kind kind, int32_t from, int32_t to) {
    assert_int_equal(o.kind, kind);
    assert_int_equal(o.from, from);
    assert_int_equal(o.to, to);
}

static size_t n_ops(const struct cache *cache) {
    size_t n;
    cache_ops(cache, &n);
    return n;
}

// A prefix with n_tokens positions, its operations forgotten.
static int32_t new_prefix(struct cache *cache, int32_t n_tokens, uint64_t version) {
    int32_t prefix = cache_new_seq(cache, version);
    assert_int_equal(n_ops(cache), 0);
    cache_take_pages(cache, prefix, cache_pages_for(cache, n_tokens), version);
    cache_advance_seq(cache, prefix, n_tokens);
    cache_clear_ops(cache);
    check(cache);
    return prefix;
}

static void test_pages_for(void **state) {
    (void)state;
    struct cache *cache = cache_open(&options);
    const int32_t expected[] = {0, 1, 1, 1, 1, 2, 2, 2, 2, 3};
    for (int32_t n = 0; n < 10; n++) assert_int_equal(cache_pages_for(cache, n), expected[n]);
    assert_int_equal(cache_pages_for(cache, INT32_MAX), 1 << 29);
    cache_free(&cache);
    assert_null(cache);
    cache_free(&cache);
}

// Full pages are shared, the partial one is copied, and a page is free when its last holder ends.
static void test_fork(void **state) {
    (void)state;
    struct cache *cache = cache_open(&options);
    int32_t prefix = new_prefix(cache, 10, 7);
    struct cache_seq p = cache_seq(cache, prefix);
    int32_t fork = cache_fork_seq(cache, prefix);
    check(cache);
    struct cache_seq f = cache_seq(cache, fork);
    assert_int_equal(f.n_tokens, 10);
    assert_int_equal(f.n_pages, 3);
    assert_int_equal(f.version, 7);
    assert_int_equal(f.pages[0], p.pages[0]);
    assert_int_equal(f.pages[1], p.pages[1]);
    assert_int_not_equal(f.pages[2], p.pages[2]);
    assert_int_not_equal(f.conv_slot, p.conv_slot);
    assert_int_equal(n_ops(cache), 2);
    assert_op(op(cache, 0), CACHE_PAGE_COPY, p.pages[2], f.pages[2]);
    assert_op(op(cache, 1), CACHE_CONV_COPY, p.conv_slot, f.conv_slot);
    assert_int_equal(cache_page_holders(cache, f.pages[0]), 2);
    assert_int_equal(cache_page_holders(cache, f.pages[2]), 1);
    assert_int_equal(cache_page_version(cache, f.pages[2]), 7);
    assert_int_equal(cache_n_free_pages(cache), 4);

    int32_t shared = p.pages[0];
    cache_close_seq(cache, prefix);
    check(cache);
    assert_int_equal(cache_n_free_pages(cache), 5);
    assert_int_equal(cache_page_holders(cache, shared), 1);
    cache_close_seq(cache, fork);
    check(cache);
    assert_int_equal(cache_n_free_pages(cache), 8);
    assert_int_equal(cache_page_holders(cache, shared), 0);
    cache_free(&cache);
}

// A prefix that ends with its page has nothing to copy; an empty one only its conv state.
static void test_fork_at_border(void **state) {
    (void)state;
    struct cache *cache = cache_open(&options);
    for (int32_t n_tokens = 0; n_tokens <= 8; n_tokens += 8) {
        int32_t prefix = new_prefix(cache, n_tokens, 0);
        int32_t fork = cache_fork_seq(cache, prefix);
        assert_int_equal(n_ops(cache), 1);
        assert_int_equal(op(cache, 0).kind, CACHE_CONV_COPY);
        assert_int_equal(cache_n_free_pages(cache), 8 - n_tokens / 4);
        cache_take_pages(cache, fork, 1, 1); // after an update: the page says so
        cache_advance_seq(cache, fork, 1);
        struct cache_seq f = cache_seq(cache, fork);
        assert_int_equal(cache_page_version(cache, f.pages[f.n_pages - 1]), 1);
        check(cache);
        cache_close_seq(cache, prefix);
        cache_close_seq(cache, fork);
        cache_clear_ops(cache);
        check(cache);
    }
    cache_free(&cache);
}

// Only pages without an awake holder leave, last first, and the conv state with the first one.
static void test_suspend_private(void **state) {
    (void)state;
    struct cache *cache = cache_open(&options);
    int32_t prefix = new_prefix(cache, 10, 0), fork = cache_fork_seq(cache, prefix);
    int32_t copy = cache_seq(cache, fork).pages[2], slot = cache_seq(cache, fork).conv_slot;
    cache_park_seq(cache, fork);
    check(cache);
    cache_clear_ops(cache);
    assert_true(cache_suspend_page(cache, fork));
    check(cache);
    assert_int_equal(n_ops(cache), 2);
    assert_op(op(cache, 0), CACHE_CONV_SUSPEND, slot, 0);
    assert_op(op(cache, 1), CACHE_PAGE_SUSPEND, copy, ~cache_seq(cache, fork).pages[2]);
    assert_false(cache_suspend_page(cache, fork)); // the rest is the prefix's too
    assert_int_equal(cache_seq(cache, fork).n_away, 1);
    assert_int_equal(cache_n_free_pages(cache), 5);
    assert_int_equal(cache_n_free_arena_pages(cache), 3);

    cache_park_seq(cache, prefix); // its conv state stays: the arena's one slot is taken
    cache_clear_ops(cache);
    assert_true(cache_suspend_page(cache, prefix));
    assert_int_equal(n_ops(cache), 1);
    assert_true(cache_seq(cache, prefix).conv_slot >= 0);
    check(cache);

    cache_clear_ops(cache);
    int32_t away = cache_seq(cache, fork).pages[2];
    cache_wake_seq(cache, fork);
    cache_resume_page(cache, fork);
    check(cache);
    assert_op(op(cache, 0), CACHE_CONV_RESUME, 0, cache_seq(cache, fork).conv_slot);
    assert_op(op(cache, 1), CACHE_PAGE_RESUME, ~away, cache_seq(cache, fork).pages[2]);
    assert_int_equal(cache_seq(cache, fork).n_away, 0);
    cache_advance_seq(cache, fork, 2);
    check(cache);
    cache_free(&cache);
}

// A shared page moves once for all its holders, and stays shared there and back.
static void test_suspend_shared(void **state) {
    (void)state;
    struct cache *cache = cache_open(&options);
    int32_t prefix = new_prefix(cache, 8, 0), seqs[3] = {prefix};
    for (int i = 1; i < 3; i++) seqs[i] = cache_fork_seq(cache, prefix);
    for (int i = 0; i < 3; i++) cache_park_seq(cache, seqs[i]);
    cache_clear_ops(cache);
    assert_true(cache_suspend_page(cache, seqs[2]));
    assert_true(cache_suspend_page(cache, seqs[1]));
    assert_false(cache_suspend_page(cache, seqs[0]));
    check(cache);
    assert_int_equal(cache_n_free_pages(cache), 8);
    assert_int_equal(cache_n_free_arena_pages(cache), 2);
    for (int i = 0; i < 3; i++) assert_int_equal(cache_seq(cache, seqs[i]).n_away, 2);

    cache_wake_seq(cache, seqs[1]);
    cache_resume_page(cache, seqs[1]);
    cache_resume_page(cache, seqs[1]);
    check(cache);
    for (int i = 0; i < 3; i++) assert_int_equal(cache_seq(cache, seqs[i]).n_away, 0);
    assert_int_equal(cache_page_holders(cache, cache_seq(cache, seqs[0]).pages[0]), 3);
    assert_false(cache_suspend_page(cache, seqs[0])); // one holder is awake
    assert_int_equal(cache_n_free_arena_pages(cache), 4);
    cache_free(&cache);
}

// What is closed or reset while it is away gives its arena pages back.
static void test_close_away(void **state) {
    (void)state;
    struct cache *cache = cache_open(&options);
    for (int reset = 0; reset < 2; reset++) {
        int32_t seq = new_prefix(cache, 9, 0);
        cache_park_seq(cache, seq);
        while (cache_suspend_page(cache, seq)) continue;
        assert_int_equal(cache_n_free_arena_pages(cache), 1);
        assert_true(cache_seq(cache, seq).conv_slot < 0);
        check(cache);
        cache_clear_ops(cache);
        if (reset) {
            cache_reset_seq(cache, seq, 5);
            check(cache);
            struct cache_seq s = cache_seq(cache, seq);
            assert_int_equal(n_ops(cache), 0);
            assert_true(s.awake && s.n_pages == 0 && s.n_tokens == 0 && s.version == 5);
        }
        cache_close_seq(cache, seq);
        check(cache);
        assert_int_equal(cache_n_free_arena_pages(cache), 4);
        assert_int_equal(cache_n_free_pages(cache), 8);
    }
    cache_free(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_for),      cmocka_unit_test(test_fork),
        cmocka_unit_test(test_fork_at_border), cmocka_unit_test(test_suspend_private),
        cmocka_unit_test(test_suspend_shared), cmocka_unit_test(test_close_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
