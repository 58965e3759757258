// Which chunks of an update count, and which offers of a later epoch: each byte once, nothing that
// nobody asked for or wants any more.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/weights/served.h"
#include "worker/weights/update.h"

struct offer_of_all {
    struct served served;
    struct offered offered; // several chunks
};

static void open_fixture(struct offer_of_all *f, uint64_t base, uint64_t version) {
    const struct served_options options = {.vocab = 9000, .staging_bytes = 16 << 20};
    served_open(&f->served, &options);
    offered_open(&f->offered, 9, base, version);
    served_offer(&f->served, &f->offered, 0, f->served.names->n);
    offered_finish(&f->offered);
}

static void close_fixture(struct offer_of_all *f) {
    offered_free(&f->offered);
    served_close(&f->served);
}

static int begin(const struct offer_of_all *f, uint64_t served, bool is_inherited,
                 struct update **u) {
    const struct update_target target = {.resident = &f->served.resident,
                                         .version = served,
                                         .is_inherited = is_inherited,
                                         .staging_bytes = 16 << 20};
    char tensor[NAMES_MAX_BYTES];
    struct error err = {0};
    *u = NULL;
    return update_begin(&f->offered.m, &target, u, tensor, &err);
}

// A chunk that comes twice, or that nobody asked for, counts once or not at all: the update is
// verified when its last byte is there, and no sooner.
static void test_each_counts_once(void **state) {
    (void)state;
    struct message_weights_pull pulls[UPDATE_WINDOW], odd;
    struct offer_of_all f;
    struct update *u;
    open_fixture(&f, 4, 7);
    assert_int_equal(begin(&f, 4, false, &u), 0);
    int n = 0;
    while (n < UPDATE_WINDOW && update_next_pull(u, 0, &pulls[n])) n++;
    assert_true(n >= 3);
    for (int i = 0; i < n; i++) {
        odd = pulls[i];
        odd.offset += 64;
        odd.n_bytes -= 64;
        struct message_weights_chunk chunk = offered_answer(&f.offered, &pulls[i]),
                                     other = offered_answer(&f.offered, &odd);
        assert_int_equal(update_state(u), UPDATE_STAGING);
        assert_false(update_take(u, &other));
        assert_true(update_take(u, &chunk));
        assert_false(update_take(u, &chunk));
        update_stage(u, &chunk, f.served.backend);
        assert_false(update_take(u, &chunk));
    }
    assert_int_equal(update_state(u), UPDATE_VERIFIED);
    update_release(&u);
    close_fixture(&f);
}

// What was taken before nobody wanted the update any more is not staged, and proves nothing.
static void test_dropped(void **state) {
    (void)state;
    struct message_weights_pull pull;
    struct offer_of_all f;
    struct update *u;
    open_fixture(&f, 4, 7);
    assert_int_equal(begin(&f, 4, false, &u), 0);
    for (int i = 0; update_next_pull(u, 0, &pull); i++) {
        struct message_weights_chunk chunk = offered_answer(&f.offered, &pull);
        assert_true(update_take(u, &chunk));
        if (i == 0) update_drop(u);
        update_stage(u, &chunk, f.served.backend);
    }
    assert_false(update_is_wanted(u));
    assert_int_equal(update_state(u), UPDATE_STAGING);
    assert_int_equal(update_check_us(u), 0);
    update_release(&u);
    close_fixture(&f);
}

// A trainer of a later epoch may go back to an older version: to the number that is served, too.
static void test_a_later_epoch_goes_back(void **state) {
    (void)state;
    for (uint64_t version = 6; version < 9; version++) {
        struct offer_of_all f;
        struct update *u;
        open_fixture(&f, 7, version);
        assert_int_equal(begin(&f, 7, true, &u), 0);
        update_release(&u);
        assert_int_equal(begin(&f, 7, false, &u), version > 7 ? 0 : -1);
        update_release(&u);
        close_fixture(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_counts_once),
        cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_a_later_epoch_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
