// The memory plan: what a model of 24 billion parameters takes, by the types of its weights and of
// KV. Nothing of it is taken here.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "worker/commands/plan.h"

static const char *const kv_types[] = {"f32", "f16", "bf16", "q8_0"};
static const uint64_t kv_token_bytes[] = {40960, 20480, 20480, 10880};

struct model24 {
    struct names *names;
    enum dtype *dtypes;
};

static struct model24 open_24b(enum dtype matrices) {
    struct model_config config;
    struct error err = {0};
    struct model24 m;
    if (config_synthetic("24b", &config, &err)) fail_msg("%s", err.text);
    m.names = names_new(&config.shape);
    m.dtypes = memory_new((size_t)m.names->n, sizeof *m.dtypes);
    checkpoint_synthetic_dtypes(m.names, (int)matrices, m.dtypes);
    return m;
}

static void close_24b(struct model24 *m) {
    free(m->dtypes);
    names_free(&m->names);
}

// As llama.cpp's Q4_K_M: of the V and down projections those of some layers are Q6_K, and so is the
// embedding.
static void mix_q4_k_m(struct model24 *m) {
    int n = m->names->shape.n_layers;
    for (int i = 0; i < m->names->n; i++) {
        const struct weight *w = &m->names->weights[i];
        int l = w->layer;
        bool more = l < n / 8 || l >= 7 * n / 8 || (l - n / 8) % 3 == 2;
        if (w->kind == WEIGHT_EMBED || ((w->kind == WEIGHT_V || w->kind == WEIGHT_W2) && more))
            m->dtypes[i] = DTYPE_Q6_K;
    }
}

static struct plan_memory plan_of(const struct model24 *m, const struct engine_flags *f) {
    struct plan_memory p;
    struct error err = {0};
    if (plan_engine(&p, &m->names->shape, f, &err)) fail_msg("%s", err.text);
    const struct backend_options o = plan_options(&p, m->names, m->dtypes, f);
    int device;
    const char *path;
    const struct backend_ops *cpu = kernels_find("cpu", &device, &path, &err);
    if (cpu->plan(&o, &p.backend, &err)) fail_msg("%s", err.text);
    return p;
}

static uint64_t total(const struct plan_memory *p) {
    uint64_t n = p->engine.draft.max_draft ? p->engine.draft.memory_bytes : 0;
    for (int i = 0; i < N_MEMORY_USES; i++) n += p->backend.bytes[i];
    return n;
}

// Q4_0 and 64 rows of 1,024 positions, each with pages of its own, fit into 16 GiB.
static void test_q4_0_in_16_gib(void **state) {
    (void)state;
    struct model24 m = open_24b(DTYPE_Q4_0);
    for (int i = 0; i < 4; i++) {
        struct engine_flags f = engine_flags_defaults();
        f.kv_type = kv_types[i];
        f.max_context = 1024;
        f.kv_bytes = 64 * 1024 * kv_token_bytes[i];
        f.suspend_bytes = 0;
        f.n_threads = 2;
        struct plan_memory p = plan_of(&m, &f);
        print_message("Q4_0, 64 rows of 1024, KV %s: %.2f GiB\n", kv_types[i],
                      (double)total(&p) / (1 << 30));
        assert_int_equal(p.engine.n_pages, 64 * 64);
        assert_true(p.backend.bytes[MEMORY_PAGES] == f.kv_bytes);
        assert_true(p.backend.bytes[MEMORY_WEIGHTS] > 12ull << 30);
        assert_true(total(&p) <= 16ull << 30);
    }
    close_24b(&m);
}

// Q4_K_M in 32 GB: at least so many rows of 8,192 and of 32,768 positions.
static void test_q4_k_m_in_32_gb(void **state) {
    (void)state;
    static const int contexts[] = {8192, 32768};
    static const int rows[4][2] = {{48, 12}, {96, 24}, {96, 24}, {180, 45}};
    struct model24 m = open_24b(DTYPE_Q4_K);
    mix_q4_k_m(&m);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 2; k++) {
            struct engine_flags f = engine_flags_defaults();
            f.kv_type = kv_types[i];
            f.max_context = contexts[k];
            f.suspend_bytes = 0;
            f.n_threads = 2;
            f.draft = "8";
            int n = 0;
            do {
                f.max_rows = ++n;
                f.kv_bytes = (uint64_t)n * (uint64_t)contexts[k] * kv_token_bytes[i];
                struct plan_memory p = plan_of(&m, &f);
                if (total(&p) > 32000000000) break;
            } while (n < 1024);
            print_message("Q4_K_M, KV %s, rows of %d: %d fit into 32 GB\n", kv_types[i],
                          contexts[k], n - 1);
            assert_true(n - 1 >= rows[i][k]);
        }
    close_24b(&m);
}

// What no machine has is refused with the figure, before anything is taken or loaded.
static void test_too_much(void **state) {
    (void)state;
    struct model24 m = open_24b(DTYPE_Q4_0);
    struct engine_flags f = engine_flags_defaults();
    f.kv_type = "q8_0";
    f.max_rows = 4096;
    f.max_context = 128000;
    f.kv_bytes = 1ull << 50;
    struct plan_memory p;
    struct error err = {0};
    int device;
    const char *path;
    assert_int_equal(plan_engine(&p, &m.names->shape, &f, &err), 0);
    const struct backend_options o = plan_options(&p, m.names, m.dtypes, &f);
    const struct backend_ops *cpu = kernels_find("cpu", &device, &path, &err);
    assert_int_equal(plan_backend(&p, cpu, &o, m.names, &err), -1);
    assert_int_equal(err.code, ERROR_MEMORY);
    uint64_t pages = 4112ull * 128000 * 10880; // rows, and prompts of theirs
    assert_true(p.backend.bytes[MEMORY_PAGES] - pages < 2 << 20);
    char figure[64];
    snprintf(figure, sizeof figure, "The plan needs %.1f GiB", (double)total(&p) / (1 << 30));
    assert_non_null(strstr(err.text, figure));
    close_24b(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_q4_0_in_16_gib),
                                       cmocka_unit_test(test_q4_k_m_in_32_gb),
                                       cmocka_unit_test(test_too_much)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
