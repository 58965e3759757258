// A second place for the weights: whatever updates came, were taken back or were dropped on the
// way, what is resident has the bytes that the exchange of values leaves, padding included, and
// steps compute the same bits.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/backend.h"
#include "protocol/base/memory.h"
#include "tests/kernels/staged.h"

static const enum dtype types[] = {DTYPE_BF16, DTYPE_F16, DTYPE_F32};

static struct staged *open_staged(const struct model_shape *s, enum dtype type, bool second_copy,
                                  uint64_t seed) {
    const struct harness_options o = {
        .matrices = type, .second_copy = second_copy, .n_threads = 2, .page_tokens = 16};
    return staged_new(s, &o, seed);
}

static struct cpu *cpu_of(const struct staged *u) {
    return (struct cpu *)u->h->backend;
}

// The same update for both, since both draw the same numbers.
static void add_any(struct staged *u) {
    for (int i = 0; i < u->h->model->n; i++) {
        int form = reference_below(&u->random, 8);
        if (form < 4)
            staged_add_pattern(u, i, 1 << form % 3,
                               (enum pattern)reference_below(&u->random, N_PATTERNS));
        else if (form == 4)
            staged_add_dense(u, i);
        else if (form == 5)
            staged_add(u, i, 1, memory_new(1, sizeof(uint32_t)), 0, false);
    }
}

// ------------------------------------------------------------------ beside the exchange of values

static void expect_same_bytes(const struct staged *a, const struct staged *b) {
    const struct weights *v = &cpu_of(a)->weights, *w = &cpu_of(b)->weights;
    for (int i = 0; i < v->n; i++)
        if (memcmp(v->slots[i].data, w->slots[i].data, weights_slot_bytes(&v->slots[i])) != 0)
            fail_msg("weight %d differs", i);
}

// Small values, so that the network stays one.
static void soften(struct staged *u) {
    for (int i = 0; i < u->n; i++)
        for (int64_t k = 0; k < u->changes[i].n_values; k++)
            dtype_put(u->h->dtypes[u->changes[i].weight], u->image + u->changes[i].values, k,
                      (float)(reference_below(&u->random, 201) - 100) / 1000);
}

static void expect_same_steps(struct staged *a, struct staged *b) {
    enum { N = 24 };
    int32_t ids[N], target = 9;
    float want[N], found[N];
    for (int i = 0; i < N; i++) ids[i] = (i * 29 + 3) % a->h->model->shape.vocab;
    struct harness_sequence q = {ids, N, 0, 8, 0, 0, &target, 1};
    harness_score(a->h, &q, want);
    harness_score(b->h, &q, found);
    assert_memory_equal(found, want, sizeof want);
}

static void test_any_updates(void **state) {
    (void)state;
    for (int shape = 0; shape < HARNESS_N_SHAPES; shape++)
        for (int type = 0; type < 3; type++) {
            struct model_shape s = harness_shape(shape);
            struct staged *both[2];
            for (int k = 0; k < 2; k++) both[k] = open_staged(&s, types[type], k, 31);
            for (int round = 0; round < 30; round++) {
                // Committed, taken back, committed again; now and then dropped.
                int n_applies = reference_below(&both[0]->random, 4);
                assert_int_equal(reference_below(&both[1]->random, 4), n_applies);
                for (int k = 0; k < 2; k++) {
                    add_any(both[k]);
                    soften(both[k]);
                    staged_stage_all(both[k]);
                    staged_expect_sums(both[k]);
                    for (int n = 0; n < n_applies; n++) staged_apply(both[k]);
                    staged_clear(both[k]);
                }
                expect_same_bytes(both[0], both[1]);
            }
            expect_same_steps(both[0], both[1]);
            for (int k = 0; k < 2; k++) {
                staged_expect_weights(both[k]);
                staged_free(both[k]);
            }
        }
}

// Dropped when only some of its weights had been made, as a push that is cut off.
static void test_dropped_half_way(void **state) {
    (void)state;
    struct model_shape s = harness_shape(2);
    struct staged *u = open_staged(&s, DTYPE_BF16, true, 32);
    for (int round = 0; round < 6; round++) {
        struct error err;
        int bad, n;
        add_any(u);
        staged_stage_all(u);
        n = u->n;
        struct change_sums *sums = memory_new((size_t)n, sizeof *sums);
        u->n = n / 2;
        assert_int_equal(staged_check(u, sums, &bad, &err), 0);
        staged_expect_weights(u);
        u->n = n;
        free(sums);
        staged_clear(u);
        add_any(u);
        staged_stage_all(u);
        staged_expect_sums(u);
        staged_apply(u);
        staged_expect_weights(u);
        staged_clear(u);
    }
    staged_free(u);
}

// ------------------------------------------------------------------ what an apply touches

// The places of changed weights alone, and nothing that lies in one.
static void test_places(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    struct staged *u = open_staged(&s, DTYPE_BF16, true, 33);
    struct cpu *c = cpu_of(u);
    staged_add_dense(u, 0);
    staged_add_pattern(u, 1, 2, PATTERN_EDGES);
    staged_add(u, 2, 1, memory_new(1, sizeof(uint32_t)), 0, false);
    staged_stage_all(u);
    staged_expect_sums(u);
    void *now[4], *next[4], *held[2];
    for (int i = 0; i < 4; i++) {
        now[i] = c->weights.slots[i].data;
        next[i] = c->next.slots[i].data;
    }
    for (int i = 0; i < 2; i++) {
        size_t bytes = weights_slot_bytes(&c->weights.slots[i]);
        held[i] = memcpy(memory_new(bytes, 1), now[i], bytes);
    }
    for (int turn = 0; turn < 2; turn++) {
        staged_apply(u);
        for (int i = 0; i < 4; i++)
            assert_ptr_equal(c->weights.slots[i].data, i < 2 && turn == 0 ? next[i] : now[i]);
        for (int i = 0; i < 2; i++) {
            assert_memory_equal(now[i], held[i], weights_slot_bytes(&c->weights.slots[i]));
            if (turn) free(held[i]);
        }
        assert_ptr_equal(c->weights.embed.data, c->weights.slots[0].data);
        assert_ptr_equal(c->weights.head.data, c->weights.slots[0].data); // it is tied
    }
    staged_free(u);
}

// ------------------------------------------------------------------ the plan

static void test_plan(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    struct staged *u = open_staged(&s, DTYPE_BF16, false, 34);
    struct backend_options o = staged_plan_options(u, &s);
    struct backend_plan without, with;
    struct error err = {0};
    assert_int_equal(u->h->backend->ops->plan(&o, &without, &err), 0);
    o.second_copy = true;
    assert_int_equal(u->h->backend->ops->plan(&o, &with, &err), 0);
    for (int i = 0; i < N_MEMORY_USES; i++) {
        uint64_t more = i == MEMORY_SECOND_COPY ? with.bytes[MEMORY_WEIGHTS] : 0;
        assert_true(with.bytes[i] == without.bytes[i] + more && with.is_host[i]);
    }
    staged_free(u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_updates),
        cmocka_unit_test(test_dropped_half_way),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_plan),
    };
    return harness_is_cpu() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
