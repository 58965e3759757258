// With which tasks a worker goes on: all that move or wait their turn, and none that hangs.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/engine/rig.h"
#include "worker/session/progress.h"

static struct task *give(struct rig *rig, struct progress *p, uint64_t serial, int n, int max_new) {
    struct task *t = rig_task(rig, serial, 3, n, max_new);
    progress_add(p, t);
    engine_add(&rig->engine, t);
    return t;
}

// The serials that a look tells, as digits, the first task last.
static const char *look(struct progress *p, uint64_t version, char out[32]) {
    struct buffer serials = {0};
    size_t n = 0;
    progress_look(p, version, &serials);
    for (; n < serials.len / sizeof(uint64_t); n++) {
        uint64_t serial;
        memcpy(&serial, serials.ptr + n * sizeof serial, sizeof serial);
        out[n] = (char)('0' + serial);
    }
    out[n] = 0;
    buffer_free(&serials);
    return out;
}

// Delivers what ended; `graded`: with a verdict each.
static void deliver(struct rig *rig, struct progress *p, bool graded) {
    struct sample *list = engine_take_finished(&rig->engine);
    static struct reward verdict;
    for (struct sample *s = list; s && graded; s = s->next) s->reward = &verdict;
    progress_deliver(p, list);
    for (struct sample *s = list; s; s = s->next) s->reward = NULL;
    sample_free_list(list);
}

static void test_an_engine_that_works(void **state) {
    (void)state;
    struct rig rig;
    struct progress p = {0};
    char told[32];
    rig_open(&rig, &(struct rig_options){.max_rows = 2});
    give(&rig, &p, 1, 2, 40);
    give(&rig, &p, 2, 3, 40);
    struct task *held = give(&rig, &p, 3, 1, 40);
    assert_string_equal(look(&p, 0, told), "321");
    for (int i = 0; i < 12; i++) {
        for (int k = 0; k < 10; k++) rig_step(&rig);
        deliver(&rig, &p, false);
        const char *want = p.first == held ? "3" : p.first && p.first->serial == 2 ? "32" : "321";
        if (!p.first) want = "";
        assert_string_equal(look(&p, 0, told), want);
    }
    rig_run(&rig);
    deliver(&rig, &p, false);
    assert_null(p.first);
    assert_null(p.last);
    assert_string_equal(look(&p, 0, told), "");
    rig_close(&rig);
}

// A task that waits for a policy version lets others pass, and is told for as long as it has to.
static void test_one_that_waits_for_weights(void **state) {
    (void)state;
    struct rig rig;
    struct progress p = {0};
    char told[32];
    rig_open(&rig, &(struct rig_options){.max_rows = 2});
    struct task *t = rig_task(&rig, 1, 3, 1, 20);
    t->min_version = 5;
    progress_add(&p, t);
    engine_add(&rig.engine, t);
    give(&rig, &p, 2, 1, 100);
    for (int i = 0; i < 5; i++) {
        rig_step(&rig);
        assert_string_equal(look(&p, 0, told), "21");
    }
    engine_set_version(&rig.engine, 5, 0); // its turn: what passed it is no reproach
    assert_string_equal(look(&p, 5, told), "21");
    rig_run(&rig);
    deliver(&rig, &p, false);
    assert_null(p.first);
    rig_close(&rig);
}

// What the scheduler would never do, by hand: a later task begins and an earlier one does not.
static void test_one_that_is_never_scheduled(void **state) {
    (void)state;
    struct rig rig;
    struct progress p = {0};
    struct task *t[3];
    char told[32];
    rig_open(&rig, &(struct rig_options){0});
    for (int i = 0; i < 3; i++) {
        t[i] = rig_task(&rig, (uint64_t)i + 1, 3, 1, 4);
        t[i]->n_open = 1;
        progress_add(&p, t[i]);
    }
    t[0]->has_moved = true;
    assert_string_equal(look(&p, 0, told), "321"); // nothing went past the second
    t[2]->has_moved = true;
    assert_string_equal(look(&p, 0, told), "3"); // past both, and neither moved
    t[0]->has_moved = true;
    assert_string_equal(look(&p, 0, told), "31");
    assert_string_equal(look(&p, 0, told), "31"); // and it stays out until it moves
    t[0]->has_moved = t[1]->has_moved = true;
    assert_string_equal(look(&p, 0, told), "321");
    for (int i = 0; i < 3; i++) task_free(&t[i]);
    rig_close(&rig);
}

// A verdict that never comes, while those of samples that ended later do.
static void test_one_whose_grader_hangs(void **state) {
    (void)state;
    struct rig rig;
    struct progress p = {0};
    char told[32];
    rig_open(&rig, &(struct rig_options){.max_rows = 2});
    give(&rig, &p, 1, 1, 2);
    rig_run(&rig);
    struct sample *hung = engine_take_finished(&rig.engine);
    assert_non_null(hung);
    for (int i = 0; i < 3; i++) assert_string_equal(look(&p, 0, told), "1"); // nobody was quicker
    give(&rig, &p, 2, 1, 2);
    rig_run(&rig);
    deliver(&rig, &p, false); // one without a reward proves nothing
    assert_string_equal(look(&p, 0, told), "1");
    give(&rig, &p, 3, 1, 2);
    rig_run(&rig);
    deliver(&rig, &p, true);
    for (int i = 0; i < 3; i++) assert_string_equal(look(&p, 0, told), "");
    progress_deliver(&p, hung);
    sample_free_list(hung);
    assert_null(p.first);
    rig_close(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_engine_that_works),
        cmocka_unit_test(test_one_that_waits_for_weights),
        cmocka_unit_test(test_one_that_is_never_scheduled),
        cmocka_unit_test(test_one_whose_grader_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
