// No memory is taken while rows decode: every malloc of this program is counted between the steps
// in which rows start and end, on the CPU and on a device that computes nothing. Other devices'
// runtimes take memory of their own at every launch.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/sanitized.h"
#include "tests/engine/rig.h"
#include "tests/kernels/harness.h"

static _Atomic int n_calls; // of all threads

#if !IS_SANITIZED // whose own malloc must stay
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t bytes);
void *malloc(size_t bytes) {
    n_calls++;
    return __libc_malloc(bytes);
}
void *calloc(size_t n, size_t size) {
    n_calls++;
    return __libc_calloc(n, size);
}
void *realloc(void *old, size_t bytes) {
    n_calls++;
    return __libc_realloc(old, bytes);
}
#endif

static void decode(const struct rig_options *options) {
    struct rig rig;
    struct sample *samples[16];
    rig_open(&rig, options);
    struct task *t = rig_task(&rig, 1, 20, 8, 90);
    struct slice stops[] = {{"\x01\x02\x03", 3}};
    t->sampling.repetition_penalty = 1.2f;
    t->sampling.stops = stops;
    t->sampling.n_stops = 1;
    t->sampling.top_p = 0.9f;
    t->routed_experts = options->has_moe;
    engine_add(&rig.engine, t);
    int before = n_calls;
    while (engine_status(&rig.engine).n_rows < 8) assert_int_equal(rig_step(&rig), 1);
    assert_true(n_calls > before); // rows start: the count counts
    rig_step(&rig);
    before = n_calls;
    for (int i = 0; i < 80; i++) {
        engine_expire(&rig.engine, 1);
        assert_int_equal(rig_step(&rig), 1);
        engine_take_finished(&rig.engine);
        engine_status(&rig.engine);
    }
    assert_int_equal(engine_status(&rig.engine).n_rows, 8);
    assert_int_equal(n_calls - before, 0);
    rig_run(&rig);
    rig_free(samples, rig_take(&rig, samples, 16));
    rig_close(&rig);
}

static void test_decoding_takes_no_memory(void **state) {
    (void)state;
#if IS_SANITIZED
    skip();
#endif
    struct error err = {0};
    struct tokenizer *tokenizer = tokenizer_load("examples/tiny/checkpoint", &err);
    if (!tokenizer) fail_msg("%s", err.text);
    int vocab = tokenizer_n_ids(tokenizer);
    for (int moe = 0; moe < 2; moe++)
        for (int real = 0; real < (harness_is_cpu() ? 2 : 1); real++)
            for (int draft = 0; draft < 16; draft += 5)
                decode(
                    &(struct rig_options){.is_real = real,
                                          .has_moe = moe,
                                          .tokenizer = tokenizer,
                                          .vocab = vocab,
                                          .draft = {.max_draft = draft, .is_auto = draft == 10}});
    tokenizer_free(&tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decoding_takes_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
