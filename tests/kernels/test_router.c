#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/router.h"
#include "tests/reference.h"

// Random logits and biases of all sizes against float64.
static void test_router(void **state) {
    (void)state;
    struct reference_random r = {1};
    int n_changed = 0;
    for (int i = 0; i < 2000; i++) {
        struct model_shape s = {.n_experts = 1 + reference_below(&r, 64)};
        s.n_experts_used = 1 + reference_below(&r, s.n_experts < 8 ? s.n_experts : 8);
        s.norm_topk = i % 2;
        s.routed_scale = i % 3 ? 1.0f : 2.5f;
        float logits[64], bias[64], scores[64], weights[8];
        double logits64[64], bias64[64], weights64[MODEL_MAX_EXPERTS_USED];
        uint16_t experts[8];
        int want[MODEL_MAX_EXPERTS_USED], plain[MODEL_MAX_EXPERTS_USED];
        for (int e = 0; e < s.n_experts; e++) {
            logits64[e] = (double)(logits[e] = (float)(2 * reference_normal(&r)));
            bias64[e] = (double)(bias[e] = (float)(0.3 * reference_normal(&r)));
        }
        bool biased = i % 5 != 0;
        struct router router = {s.n_experts, s.n_experts_used, biased ? bias : NULL, s.norm_topk,
                                s.routed_scale};
        reference_router(&s, logits64, NULL, plain, weights64);
        double gap = reference_router(&s, logits64, biased ? bias64 : NULL, want, weights64);
        if (gap < 1e-6) continue; // either choice is right
        router_select(&router, logits, scores, experts, weights);
        for (int k = 0; k < s.n_experts_used; k++) {
            n_changed += want[k] != plain[k];
            assert_int_equal(experts[k], want[k]);
            assert_true(fabs((double)weights[k] - weights64[k]) < 1e-6);
        }
    }
    assert_true(n_changed > 1000); // the biases decide often
}

// Equal scores go to the lowest expert; scores that are no numbers still give distinct experts.
static void test_ties(void **state) {
    (void)state;
    float logits[8] = {1, 2, 2, 0, 2, 1, 1, 0}, scores[8], weights[5];
    uint16_t experts[5], want[5] = {1, 2, 4, 0, 5};
    struct router router = {8, 5, NULL, true, 1};
    router_select(&router, logits, scores, experts, weights);
    assert_memory_equal(experts, want, sizeof want);
    for (int i = 0; i < 8; i++) logits[i] = NAN;
    router_select(&router, logits, scores, experts, weights);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < i; j++) assert_int_not_equal(experts[i], experts[j]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_router),
        cmocka_unit_test(test_ties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
