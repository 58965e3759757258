// The scheduler under random events (tests/engine/sim.h), and the rules of its header one by one.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/engine/sim.h"

static struct book *random_book(struct sim *sim) {
    if (sim->n_books == 0) return NULL;
    uint32_t recent = sim->n_books < 12 ? (uint32_t)sim->n_books : 12;
    return &sim->books[sim->n_books - 1 - (int32_t)sim_draw(&sim->seed, recent)];
}

// As the engine's: a new version, and by number of the task rows go on, are recomputed or
// restarted.
static void update(struct sim *sim) {
    sim_set_version(sim);
    for (int32_t i = 0; i < sim->n_books; i++) {
        if (i % 3 == 1) sim_recompute(sim, &sim->books[i]);
        if (i % 3 == 2) sim_restart(sim, &sim->books[i]);
    }
    sim_hold(sim, false);
}

static void disturb(struct sim *sim, struct book *book) {
    uint64_t *seed = &sim->seed;
    uint32_t what = sim_draw(seed, 100), n_samples = (uint32_t)book->task.n_samples;
    if (what < 25)
        sim_cancel(sim, book, 0, book->task.n_samples);
    else if (what < 40)
        sim_cancel(sim, book, (int32_t)sim_draw(seed, n_samples + 2) - 1,
                   (int32_t)sim_draw(seed, n_samples + 1));
    else if (what < 46)
        sim_cancel_waiting(sim, book);
    else if (what < 60)
        sim_release(sim, book);
    else if (what < 70)
        sim_set_version(sim);
    else if (what < 76)
        sim_hold(sim, !sim->is_holding);
    else if (what < 86)
        sim_restart(sim, book);
    else
        update(sim);
}

static void random_event(struct sim *sim, uint32_t n_disturb) {
    uint64_t *seed = &sim->seed;
    const int32_t context = sim->options.max_context;
    uint32_t event = sim_draw(seed, 1000);
    struct book *book = random_book(sim);
    if (event < 120 && scheduler_stats(sim->scheduler).n_tasks < 30) {
        uint32_t n =
            sim_draw(seed, 4) ? 1 + sim_draw(seed, 8) : 1 + sim_draw(seed, SIM_MAX_SAMPLES);
        uint32_t prompt = 1 + sim_draw(seed, (uint32_t)context + 1);
        if (sim_draw(seed, 3)) prompt = 1 + prompt / 4;
        int32_t max_new = (int32_t)sim_draw(seed, 40);
        (n_disturb && sim_draw(seed, 8) == 0 ? sim_add_held : sim_add)(sim, (int32_t)prompt,
                                                                       (int32_t)n, max_new);
    } else if (book && event < 120 + n_disturb) {
        disturb(sim, book);
    } else {
        sim_step(sim);
    }
    sim_check(sim);
}

static struct scheduler_options random_options(uint64_t *seed) {
    struct scheduler_options o = {
        .max_rows = 1 + (int32_t)sim_draw(seed, 16),
        .max_prefixes = 1 + (int32_t)sim_draw(seed, 4),
        .page_tokens = 1 + (int32_t)sim_draw(seed, 8),
        .max_context = 2 + (int32_t)sim_draw(seed, SIM_MAX_CONTEXT - 1),
        .prefill_chunk = 1 + (int32_t)sim_draw(seed, 20),
        .version = sim_draw(seed, 3),
        .max_draft = sim_draw(seed, 3) ? 1 + (int32_t)sim_draw(seed, 16) : 0,
    };
    int32_t one = (o.max_context + o.page_tokens - 1) / o.page_tokens + 1;
    o.n_pages = (one + 1) / 2 + (int32_t)sim_draw(seed, (uint32_t)(4 * one));
    if (sim_draw(seed, 3)) o.suspend_pages = 1 + (int32_t)sim_draw(seed, (uint32_t)(3 * one));
    if (sim_draw(seed, 3)) o.suspend_slots = (int32_t)sim_draw(seed, 6);
    return o;
}

enum { N_TOTALS = CACHE_CONV_RESUME + 5 };

// Returns the hash of all plans. Adds to what came about.
static uint64_t simulate(uint64_t seed, int32_t n_events, int64_t *totals) {
    static const uint32_t disturb[] = {0, 5, 40, 150}, finish[] = {0, 30, 150};
    uint64_t state = seed;
    struct scheduler_options o = random_options(&state);
    struct sim sim;
    sim_open(&sim, &o, state);
    sim.finish_per_mille = finish[seed % 3];
    uint32_t n_disturb = disturb[seed % 4];
    for (int32_t i = 0; i < n_events; i++) {
        random_event(&sim, n_disturb);
        if (i % 50 == 0) sim_check_counts(&sim);
    }
    sim_drain(&sim);
    for (int k = 0; k <= CACHE_CONV_RESUME; k++) totals[k] += sim.n_ops[k];
    totals[CACHE_CONV_RESUME + 1] += sim.n_stalled;
    totals[CACHE_CONV_RESUME + 2] += sim.n_guessed - sim.n_refused;
    totals[CACHE_CONV_RESUME + 3] += sim.n_refused;
    totals[CACHE_CONV_RESUME + 4] += sim.n_recomputed;
    uint64_t trace = sim.trace;
    sim_close(&sim);
    return trace;
}

static void test_random(void **state) {
    (void)state;
    int64_t totals[N_TOTALS] = {0};
    for (uint64_t seed = 1; seed <= 24; seed++) simulate(seed, 10000, totals);
    for (uint64_t seed = 1000; seed < 1300; seed++) simulate(seed, 300, totals);
    // The simulations came through every kind of movement, often, rows that had to wait, guesses
    // that stood and did not, and positions that were recomputed.
    for (int k = 0; k < N_TOTALS; k++) assert_true(totals[k] > 1000);
}

// The same events give the same plans.
static void test_deterministic(void **state) {
    (void)state;
    int64_t totals[N_TOTALS] = {0};
    for (uint64_t seed = 1; seed <= 8; seed++)
        assert_int_equal(simulate(seed, 1000, totals), simulate(seed, 1000, totals));
    assert_int_not_equal(simulate(1, 1000, totals), simulate(2, 1000, totals));
}

static const struct scheduler_options small = {
    .max_rows = 4,
    .max_prefixes = 2,
    .n_pages = 64,
    .page_tokens = 4,
    .suspend_pages = 64,
    .suspend_slots = 4,
    .max_context = 32,
    .prefill_chunk = 8,
};

static void refuse_options(struct scheduler_options o, const char *name) {
    struct error err;
    assert_null(scheduler_open(&o, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.text, name));
}

static void refuse_task(const struct scheduler *s, struct scheduler_task task, const char *text) {
    struct error err;
    assert_int_equal(scheduler_check_task(s, &task, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, text));
}

static void test_refusals(void **state) {
    (void)state;
    struct scheduler_options o = small;
    o.max_rows = 0;
    refuse_options(o, "max_rows");
    o = small;
    o.suspend_pages = -1;
    refuse_options(o, "suspend_pages");

    struct error err;
    o = small;
    o.n_pages = 7; // of 4 positions: 28 of the 32
    struct scheduler *s = scheduler_open(&o, &err);
    struct scheduler_task task = {.n_prompt = 10, .n_samples = 1, .max_new_tokens = 19};
    assert_int_equal(scheduler_check_task(s, &task, &err), 0);
    task.max_new_tokens = 20;
    refuse_task(s, task, "8 KV pages");
    task.max_new_tokens = INT32_MAX;
    refuse_task(s, task, "8 KV pages");
    task.max_new_tokens = 19;
    task.n_samples = 2; // the first of them copies the partial page that the prefix keeps
    refuse_task(s, task, "8 KV pages");
    task.n_samples = 0;
    refuse_task(s, task, "number of samples");
    refuse_task(s, (struct scheduler_task){.n_prompt = 33, .n_samples = 1}, "33");
    refuse_task(s, (struct scheduler_task){.n_prompt = 0, .n_samples = 1}, "prompt tokens");
    refuse_task(s, (struct scheduler_task){.n_prompt = 1, .n_samples = 1}, "nothing to compute");
    scheduler_free(&s);
    scheduler_free(&s);
}

// One prefill for 50 samples on 4 row slots; the last one takes the prefix over.
static void test_many_samples(void **state) {
    (void)state;
    struct sim sim;
    sim_open(&sim, &small, 1);
    assert_non_null(sim_add(&sim, 11, 50, 5));
    sim_drain(&sim);
    assert_int_equal(sim.n_prefilled, 10);
    assert_int_equal(sim.n_ops[CACHE_PAGE_COPY], 49);
    assert_int_equal(sim.n_ops[CACHE_CONV_COPY], 49);
    assert_int_equal(scheduler_stats(sim.scheduler).n_rows_finished, 50);
    sim_close(&sim);

    sim_open(&sim, &small, 1); // one sample: nothing is copied
    assert_non_null(sim_add(&sim, 11, 1, 5));
    sim_drain(&sim);
    for (int k = 0; k <= CACHE_CONV_RESUME; k++) assert_int_equal(sim.n_ops[k], 0);
    sim_close(&sim);
}

// Lets 32 rows of one token finish, so that rows are expected to be short from here on.
static void expect_short_rows(struct sim *sim) {
    assert_int_equal(scheduler_stats(sim->scheduler).mean_length, -1);
    assert_non_null(sim_add(sim, 1, 32, 1));
    sim_drain(sim);
    assert_int_equal(scheduler_stats(sim->scheduler).mean_length, 1);
}

// Rows are taken to reach their limit until 32 have finished, then the mean length.
static void test_expected_growth(void **state) {
    (void)state;
    struct scheduler_options o = small;
    o.n_pages = 12; // a row at its limit has 4
    struct sim sim;
    for (int warm = 0; warm < 2; warm++) {
        sim_open(&sim, &o, 1);
        if (warm) expect_short_rows(&sim);
        assert_non_null(sim_add(&sim, 1, 4, 16));
        sim_step(&sim);
        assert_int_equal(scheduler_stats(sim.scheduler).n_running, warm ? 4 : 3);
        sim_drain(&sim);
        sim_close(&sim);
    }
}

// A younger row gives way page by page. As the oldest it comes back though no page is to spare.
static void test_suspend_and_resume(void **state) {
    (void)state;
    struct scheduler_options o = small;
    o.n_pages = 4;
    o.prefill_chunk = 16;
    struct sim sim;
    sim_open(&sim, &o, 1);
    expect_short_rows(&sim);
    assert_non_null(sim_add(&sim, 1, 1, 16));
    assert_non_null(sim_add(&sim, 10, 1, 7));
    for (int i = 0; i < 4; i++) sim_step(&sim); // 1 page and 3 pages, the latter full
    assert_int_equal(scheduler_stats(sim.scheduler).n_running, 2);
    assert_int_equal(scheduler_stats(sim.scheduler).n_free_pages, 0);
    sim_step(&sim);
    assert_int_equal(sim.n_ops[CACHE_PAGE_SUSPEND], 1);
    for (int i = 0; i < 10; i++) sim_step(&sim);
    assert_int_equal(scheduler_stats(sim.scheduler).n_suspended, 1);
    assert_int_equal(scheduler_stats(sim.scheduler).n_preempted, 1);
    assert_int_equal(scheduler_stats(sim.scheduler).n_pages_moved, 3);
    sim_step(&sim);
    assert_int_equal(scheduler_stats(sim.scheduler).n_rows_finished, 33);
    sim_step(&sim);
    assert_int_equal(sim.n_ops[CACHE_PAGE_RESUME], 3);
    assert_int_equal(sim.n_ops[CACHE_CONV_SUSPEND], 1);
    assert_int_equal(sim.n_ops[CACHE_CONV_RESUME], 1);
    sim_drain(&sim);
    assert_int_equal(sim.n_ops[CACHE_PAGE_SUSPEND], 3);
    sim_close(&sim);
}

// Where room is short, those who get pages are older than those who wait.
static void test_youngest_waits(void **state) {
    (void)state;
    struct scheduler_options o = small;
    o.n_pages = 9;
    struct sim sim;
    sim_open(&sim, &o, 1);
    expect_short_rows(&sim);
    assert_non_null(sim_add(&sim, 3, 4, 30));
    int n_waits = 0;
    bool waited[4] = {false};
    int32_t n[4] = {0};
    while (sim_step(&sim)) {
        uint64_t youngest = 0, oldest = UINT64_MAX, last = 0; // that got; that waits; of all
        for (int i = 0; i < 4; i++) {
            const struct slot *slot = &sim.slots[i];
            bool waits = slot->book && slot->history.n == n[i];
            bool got = slot->book && !waits && (waited[i] || n[i] % o.page_tokens == 0);
            if (got && slot->start > youngest) youngest = slot->start;
            if (waits && slot->start < oldest) oldest = slot->start;
            if (slot->book && slot->start > last) last = slot->start;
            waited[i] = waits;
            n[i] = slot->history.n;
        }
        assert_true(youngest < oldest);
        if (oldest < UINT64_MAX && n_waits++ == 0) assert_int_equal(oldest, last);
    }
    assert_true(n_waits > 0);
    sim_close(&sim);
}

// Without an arena rows that cannot grow wait with their pages, and all come to their end.
static void test_no_arena(void **state) {
    (void)state;
    struct scheduler_options o = small;
    o.n_pages = 10;
    o.suspend_pages = o.suspend_slots = 0;
    struct sim sim;
    sim_open(&sim, &o, 1);
    expect_short_rows(&sim);
    assert_non_null(sim_add(&sim, 3, 9, 30));
    sim_drain(&sim);
    assert_true(sim.n_stalled > 0);
    assert_int_equal(sim.n_ops[CACHE_PAGE_SUSPEND], 0);
    assert_int_equal(scheduler_stats(sim.scheduler).n_rows_finished, 32 + 9);
    sim_close(&sim);
}

// Samples that start after an update fork a prefix of the new version; the row in flight goes on.
static void test_version(void **state) {
    (void)state;
    struct scheduler_options o = small;
    o.max_rows = 1;
    struct sim sim;
    sim_open(&sim, &o, 1);
    assert_non_null(sim_add(&sim, 8, 3, 5));
    for (int i = 0; i < 3; i++) sim_step(&sim);
    assert_int_equal(sim.n_prefilled, 7);
    assert_int_equal(sim.slots[0].history.n, 9);
    sim_set_version(&sim);
    sim_step(&sim);
    assert_int_equal(sim.slots[0].history.n, 10);
    sim_drain(&sim);
    assert_int_equal(sim.n_prefilled, 14);
    sim_set_version(&sim); // with nothing to do
    assert_false(sim_step(&sim));
    sim_close(&sim);
}

// Rows come back with what they had: they share the prompt, which is prefilled once, and feed their
// tokens in chunks beside a row that goes on.
static void test_recompute(void **state) {
    (void)state;
    struct scheduler_options o = small;
    o.max_rows = 5;
    struct sim sim;
    sim_open(&sim, &o, 1);
    struct book *goes_on = sim_add(&sim, 1, 1, 31), *again = sim_add(&sim, 10, 4, 20);
    for (int i = 0; i < 12; i++) sim_step(&sim);
    assert_int_equal(scheduler_n_rows(sim.scheduler), 5);
    assert_int_equal(sim.n_prefilled, 9);
    int32_t n_drawn = sim.slots[1].n_drawn, n_free = scheduler_stats(sim.scheduler).n_free_pages;
    assert_true(n_drawn >= 8);
    sim_set_version(&sim);
    sim_recompute(&sim, again);
    assert_int_equal(scheduler_n_rows(sim.scheduler), 1);
    assert_int_equal(scheduler_n_begun(sim.scheduler), 5);
    sim_cancel_waiting(&sim, again); // nothing that has begun
    sim_check_counts(&sim);
    while (again->samples[3] == RETURNING) sim_step(&sim);
    assert_int_equal(sim.n_prefilled, 18);
    sim_recompute(&sim, again); // in the middle of it
    sim_cancel(&sim, again, 1, 1);
    sim_hold(&sim, true);
    assert_non_null(sim_add(&sim, 3, 1, 2));
    int32_t n_steps = 0;
    for (; sim.n_recomputed < 3 * n_drawn; n_steps++) sim_step(&sim);
    assert_true(n_steps > 3 * n_drawn / o.prefill_chunk);
    for (int i = 0; i < 3; i++) sim_step(&sim);
    assert_int_equal(sim.n_prefilled, 27);
    struct book *waits = &sim.books[2];
    assert_int_equal(waits->samples[0], WAITING);
    assert_true(scheduler_stats(sim.scheduler).n_free_pages < n_free + 8); // 2 pages are shared
    while (sim_step(&sim)) assert_int_equal(waits->samples[0], WAITING);
    assert_false(goes_on->open || again->open);
    sim_drain(&sim);
    assert_false(waits->open);
    sim_close(&sim);
}

// A task that was restarted waits until what younger prompts hold leaves it room to reach its
// limit, and they go on for that.
static void test_restart_waits_for_room(void **state) {
    (void)state;
    struct scheduler_options o = small;
    o.n_pages = 9;
    o.suspend_pages = 0;
    struct sim sim;
    sim_open(&sim, &o, 1);
    expect_short_rows(&sim);
    struct book *a = sim_add(&sim, 1, 1, 32); // 8 pages in the end
    assert_non_null(a);
    assert_non_null(sim_add(&sim, 5, 2, 8));
    assert_non_null(sim_add(&sim, 9, 2, 1));
    sim_step(&sim);
    assert_int_equal(a->samples[0], LIVE);
    sim_restart(&sim, a);
    assert_int_equal(a->samples[0], WAITING);
    for (int i = 0; i < 2; i++) sim_step(&sim);
    assert_int_equal(a->samples[0], WAITING);
    sim_drain(&sim);
    assert_int_equal(a->samples[0], DONE);
    sim_close(&sim);
}

// A cancel of some samples ends those alone and at once, with the row slots that they had; the last
// sample that waits takes its prefix along.
static void test_cancel_part(void **state) {
    (void)state;
    struct sim sim;
    sim_open(&sim, &small, 1);
    struct book *book = sim_add(&sim, 5, 6, 20);
    for (int i = 0; i < 3; i++) sim_step(&sim);
    assert_int_equal(scheduler_n_rows(sim.scheduler), 4);
    sim_cancel(&sim, book, 1, 2);
    assert_int_equal(scheduler_n_rows(sim.scheduler), 2);
    assert_int_equal(book->samples[1], CANCELLED);
    assert_int_equal(book->samples[0], LIVE);
    sim_cancel_waiting(&sim, book);
    assert_int_equal(scheduler_stats(sim.scheduler).n_prefixes, 0);
    sim_check(&sim);
    sim_step(&sim);
    assert_int_equal(scheduler_n_rows(sim.scheduler), 2);
    sim_drain(&sim);
    assert_int_equal(scheduler_stats(sim.scheduler).n_rows_finished, 2);
    sim_close(&sim);
}

// A task that is held keeps nobody waiting.
static void test_held(void **state) {
    (void)state;
    struct sim sim;
    sim_open(&sim, &small, 1);
    struct book *held = sim_add_held(&sim, 5, 2, 3), *other = sim_add(&sim, 5, 1, 3);
    while (sim_step(&sim)) assert_int_equal(held->samples[0], WAITING);
    assert_false(other->open);
    sim_release(&sim, held);
    sim_drain(&sim);
    assert_false(held->open);
    assert_int_equal(scheduler_stats(sim.scheduler).n_rows_finished, 3);
    sim_close(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),          cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_many_samples),
        cmocka_unit_test(test_expected_growth), cmocka_unit_test(test_suspend_and_resume),
        cmocka_unit_test(test_youngest_waits),  cmocka_unit_test(test_no_arena),
        cmocka_unit_test(test_version),         cmocka_unit_test(test_restart_waits_for_room),
        cmocka_unit_test(test_cancel_part),     cmocka_unit_test(test_held),
        cmocka_unit_test(test_recompute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
