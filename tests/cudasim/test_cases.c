#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/cudasim/programs.h"

// The orders that CUDA leaves open: seeds, and when asynchronous operations take effect.
static const char *const ORDERS[][3] = {
    {"CUDASIM_SEED=1", "CUDASIM_COPIES=late", "CUDASIM_STREAMS=late"},
    {"CUDASIM_SEED=2", "CUDASIM_COPIES=random", "CUDASIM_STREAMS=random"},
    {"CUDASIM_SEED=3", "CUDASIM_COPIES=early", "CUDASIM_STREAMS=early"},
    {"CUDASIM_SEED=4", "CUDASIM_COPIES=late", "CUDASIM_STREAMS=random"},
};
static const char *const VARIANTS[] = {"normal", "race", "memory"};

// Correct programs: each passes its own checks, without an alarm, in every build and order. What
// they leave to the end of the process is no leak.
static void run_everywhere(const char *name, const char *with, const char *op) {
    if (!programs_exist(with)) skip();
    static char output[1 << 16];
    for (size_t v = 0; v < 3; v++)
        for (size_t o = 0; o < sizeof ORDERS / sizeof *ORDERS; o++) {
            struct program p = {
                VARIANTS[v],
                name,
                {op ? "--op" : NULL, op},
                {ORDERS[o][0], ORDERS[o][1], ORDERS[o][2], "ASAN_OPTIONS=detect_leaks=0"}};
            int status = program_run(&p, 120, output, sizeof output);
            if (status == 0) continue;
            fail_msg("%s (%s, %s, %s, %s) ended with status %d:\n%s", name, VARIANTS[v],
                     ORDERS[o][0], ORDERS[o][1], ORDERS[o][2], status, output);
        }
}

#define CASE(function, name, with)                                                                 \
    static void function(void **state) {                                                           \
        (void)state;                                                                               \
        run_everywhere(name, with, NULL);                                                          \
    }
CASE(test_wrappers, "wrappers/wrappers", NULL)
CASE(test_products, "cases/products", NULL)
CASE(test_samples, "cases/samples", NULL)
CASE(test_streams, "cases/streams", NULL)
CASE(test_graphs, "cases/graphs", NULL)
CASE(test_device, "cases/device", NULL)
CASE(test_counters, "cases/counters", NULL)
CASE(test_cublaslt, "cases/cublaslt", "cublaslt")
CASE(test_nccl, "cases/nccl", "nccl")

// The kernels of weight updates, which change what every step reads.
static void test_deltas(void **state) {
    (void)state;
    run_everywhere("kernels/kernel_check", NULL, "deltas");
}

// The emulator's bits are those that a GPU computed, as far as one was asked.
static void test_bits_of_h100(void **state) {
    (void)state;
    if (!programs_exist(NULL)) skip();
    static char output[1 << 16];
    struct program p = {"normal",
                        "wrappers/wrappers",
                        {"--seeds", "3", "--digests", "tests/cudasim/wrappers/h100.txt"},
                        {0}};
    if (program_run(&p, 120, output, sizeof output) != 0) fail_msg("%s", output);
    assert_non_null(strstr(output, "\nok numerics_of_tokens: 3 results, 49152 values; 3 with"));
    assert_non_null(strstr(output, "\nok pipeline_wgmma: 18 results, 360960 values; 18 with"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrappers), cmocka_unit_test(test_bits_of_h100),
        cmocka_unit_test(test_products), cmocka_unit_test(test_samples),
        cmocka_unit_test(test_streams),  cmocka_unit_test(test_graphs),
        cmocka_unit_test(test_device),   cmocka_unit_test(test_counters),
        cmocka_unit_test(test_cublaslt), cmocka_unit_test(test_nccl),
        cmocka_unit_test(test_deltas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
