// The whole CPU backend against the float64 network, and the contract's promises on bits.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"

enum { N = 37, N_TARGETS = 3 };

// float32 sums over at most 6 layers of width 200 stray by some 1e-6 of logits of size 10.
static const double TOLERANCE = 3e-5;
// bf16 KV and conv state round at 2^-9; the tiny networks pass that on almost undamped.
static const double TOLERANCE_BF16_STATE = 0.15;

static void fill_ids(const struct model_shape *s, uint64_t seed, int n, int32_t *ids) {
    struct reference_random r = {seed};
    for (int i = 0; i < n; i++) ids[i] = reference_below(&r, s->vocab);
}

static void compare(const struct harness *h, const int32_t *ids, const int32_t *targets,
                    const float *lp, double tolerance) {
    const struct model_shape *s = &h->model->shape;
    size_t moe = (size_t)shape_n_moe(s);
    double *logits = memory_new((size_t)(N * s->vocab), sizeof *logits);
    double *gaps = memory_new((size_t)N * moe, sizeof *gaps);
    reference_forward(h->model, N, ids, logits, NULL, gaps);
    double *p = memory_new((size_t)s->vocab, sizeof *p);
    for (int t = 0; t < N; t++) {
        for (size_t i = 0; i < moe; i++) assert_true(gaps[(size_t)t * moe + i] > 1e-5);
        reference_log_softmax(s->vocab, logits + t * s->vocab, p);
        for (int k = 0; k < N_TARGETS; k++) {
            double error = fabs(p[targets[k]] - (double)lp[t * N_TARGETS + k]);
            if (error > tolerance) print_message("token %d: off by %g\n", t, error);
            assert_true(error <= tolerance);
        }
    }
    free(logits);
    free(gaps);
    free(p);
}

// Every shape, path and type of weights against the reference network.
static void test_network(void **state) {
    (void)state;
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16};
    for (int shape = 0; shape < HARNESS_N_SHAPES; shape++)
        for (int path = 0; harness_isa(path); path++)
            for (int type = 0; type < 3; type++) {
                struct model_shape s = harness_shape(shape);
                struct harness_options o = {types[type], DTYPE_F32, 2, 16, harness_isa(path), NULL};
                struct harness *h = harness_open(&s, &o, 7 + (uint64_t)shape);
                int32_t ids[N], targets[N_TARGETS] = {0, 5, s.vocab - 1};
                float lp[N * N_TARGETS];
                fill_ids(&s, (uint64_t)shape + 100, N, ids);
                struct harness_sequence q = {ids, N, 0, N, 3, 5, targets, N_TARGETS};
                h->backend->ops->conv_clear(h->backend, 3);
                harness_score(h, &q, lp);
                compare(h, ids, targets, lp, TOLERANCE);
                harness_close(&h);
            }
}

static void test_bf16_state(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    struct harness_options o = {DTYPE_F32, DTYPE_BF16, 1, 16, NULL, NULL};
    struct harness *h = harness_open(&s, &o, 7);
    int32_t ids[N], targets[N_TARGETS] = {0, 5, s.vocab - 1};
    float lp[N * N_TARGETS];
    fill_ids(&s, 100, N, ids);
    struct harness_sequence q = {ids, N, 0, N, 3, 5, targets, N_TARGETS};
    h->backend->ops->conv_clear(h->backend, 3);
    harness_score(h, &q, lp);
    compare(h, ids, targets, lp, TOLERANCE_BF16_STATE);
    harness_close(&h);
}

// The same sequence in any chunks, by any number of threads: the same bits.
static void test_chunks_and_threads(void **state) {
    (void)state;
    for (int shape = 0; shape < HARNESS_N_SHAPES; shape++)
        for (int path = 0; harness_isa(path); path++)
            for (int kv = 0; kv < 2; kv++) {
                struct model_shape s = harness_shape(shape);
                int32_t ids[N], targets[N_TARGETS] = {0, 5, s.vocab - 1};
                float first[N * N_TARGETS], lp[N * N_TARGETS];
                fill_ids(&s, (uint64_t)shape + 100, N, ids);
                for (int threads = 1; threads <= 2; threads++) {
                    struct harness_options o = {DTYPE_BF16, kv ? DTYPE_BF16 : DTYPE_F32, threads,
                                                8,          harness_isa(path),           NULL};
                    struct harness *h = harness_open(&s, &o, 7 + (uint64_t)shape);
                    static const int chunks[] = {N, 1, 5, 16};
                    for (int i = 0; i < 4; i++) {
                        struct harness_sequence q = {ids, N,     0,       chunks[i],
                                                     i,   5 * i, targets, N_TARGETS};
                        bool is_first = threads == 1 && i == 0;
                        h->backend->ops->conv_clear(h->backend, i);
                        harness_score(h, &q, is_first ? first : lp);
                        if (!is_first) assert_memory_equal(first, lp, sizeof lp);
                    }
                    harness_close(&h);
                }
            }
}

// A sequence among strangers, decoding and prefilling, against the sequence alone.
static void among_strangers(struct harness *h) {
    const struct model_shape *s = &h->model->shape;
    enum { OTHERS = 12 };
    int32_t ids[N], target = 9, all[HARNESS_MAX_TOKENS], pages[OTHERS + 1][5];
    float alone[N], lp = 0, behav = 0;
    int32_t drawn = -1;
    uint8_t bad = 0;
    fill_ids(s, 100, N, ids);
    struct harness_sequence q = {ids, N, 0, N, 0, 0, &target, 1};
    h->backend->ops->conv_clear(h->backend, 0);
    harness_score(h, &q, alone);
    for (int i = 0; i <= OTHERS; i++) h->backend->ops->conv_clear(h->backend, i);
    for (int i = 0; i < (OTHERS + 1) * 5; i++) pages[i / 5][i % 5] = (i * 7) % HARNESS_PAGES;
    int done = 0, widths[] = {1, 4, 2, 17, 1, 12};
    for (int step = 0; done < N; step++) {
        struct step_segment segments[OTHERS + 1];
        int n = 0, mine = 3 + step % 4, width = widths[step % 6];
        if (width > N - done) width = N - done;
        struct step_output output = {.target = target, .temperature = 1};
        for (int i = 0; i <= OTHERS; i++) {
            int m = i == mine ? width : 1 + (i + step) % 5;
            int slot = i == mine ? 0 : i < mine ? i + 1 : i;
            segments[i] = (struct step_segment){n, m, i == mine ? done : 0, slot, pages[slot], 5};
            if (i != mine)
                fill_ids(s, (uint64_t)(step * 100 + i), m, all + n);
            else
                memcpy(all + n, ids + done, (size_t)m * sizeof *ids);
            if (i == mine) output.token = n + m - 1;
            n += m;
        }
        struct step st = {n, OTHERS + 1, 1, all, segments, &output, false};
        struct step_result r = {&drawn, &lp, &behav, &bad, NULL};
        harness_step(h, &st, &r);
        done += width;
        assert_memory_equal(&lp, &alone[done - 1], sizeof(float));
        assert_int_equal(drawn, target);
        assert_false(bad);
    }
}

static void test_strangers(void **state) {
    (void)state;
    for (int shape = 0; shape < HARNESS_N_SHAPES; shape++)
        for (int path = 0; harness_isa(path); path++) {
            struct model_shape s = harness_shape(shape);
            struct harness_options o = {DTYPE_BF16, DTYPE_F32, 2, 8, harness_isa(path), NULL};
            struct harness *h = harness_open(&s, &o, 7 + (uint64_t)shape);
            among_strangers(h);
            harness_close(&h);
        }
}

// A fork (pages and conv state copied) and a suspension (out to the host and in elsewhere) go on
// with the bits of the sequence that never moved.
static void test_fork_and_suspend(void **state) {
    (void)state;
    for (int shape = 0; shape < HARNESS_N_SHAPES; shape++) {
        struct model_shape s = harness_shape(shape);
        struct harness_options o = {DTYPE_F32, shape % 2 ? DTYPE_F32 : DTYPE_BF16, 1, 16, NULL,
                                    NULL};
        struct harness *h = harness_open(&s, &o, 3);
        struct backend *b = h->backend;
        int32_t ids[N], target = 11;
        float whole[N], rest[N];
        int cut = 21; // in the second page
        fill_ids(&s, 55, N, ids);
        struct harness_sequence q = {ids, N, 0, N, 0, 0, &target, 1};
        b->ops->conv_clear(b, 0);
        harness_score(h, &q, whole);
        q.n = cut;
        b->ops->conv_clear(b, 0);
        harness_score(h, &q, rest);
        b->ops->conv_copy(b, 0, 4);
        char *page = memory_new(1, kernels_page_bytes(&s, o.kv, 16) + 1);
        char *conv = memory_new(1, kernels_conv_bytes(&s, o.kv) + 1);
        for (int i = 0; i < 2; i++) {
            b->ops->page_copy(b, i, 10 + i);
            b->ops->page_out(b, i, page);
            b->ops->page_in(b, 20 + i, page);
        }
        b->ops->conv_out(b, 0, conv);
        b->ops->conv_in(b, 5, conv);
        struct harness_sequence fork = {ids + cut, N - cut, cut, 3, 4, 10, &target, 1};
        harness_score(h, &fork, rest);
        assert_memory_equal(rest, whole + cut, (size_t)(N - cut) * sizeof *rest);
        fork.conv_slot = 5;
        fork.first_page = 20;
        harness_score(h, &fork, rest);
        assert_memory_equal(rest, whole + cut, (size_t)(N - cut) * sizeof *rest);
        free(page);
        free(conv);
        harness_close(&h);
    }
}

// More output tokens, and more outputs, than one tile of logits holds.
static void test_many_outputs(void **state) {
    (void)state;
    enum { TOKENS = 120 };
    struct model_shape s = harness_shape(4);
    struct harness_options o = {DTYPE_BF16, DTYPE_F32, 2, 16, NULL, NULL};
    struct harness *h = harness_open(&s, &o, 3);
    int32_t ids[TOKENS], targets[3] = {0, 77, 511};
    float whole[TOKENS * 3], parts[TOKENS * 3];
    fill_ids(&s, 55, TOKENS, ids);
    struct harness_sequence q = {ids, TOKENS, 0, TOKENS, 0, 0, targets, 3};
    h->backend->ops->conv_clear(h->backend, 0);
    harness_score(h, &q, whole);
    q.chunk = 7;
    h->backend->ops->conv_clear(h->backend, 0);
    harness_score(h, &q, parts);
    assert_memory_equal(whole, parts, sizeof whole);
    harness_close(&h);
}

// Routed experts are the reference's, in its order.
static void test_routes(void **state) {
    (void)state;
    for (int shape = 1; shape < HARNESS_N_SHAPES; shape++)
        for (int path = 0; harness_isa(path); path++) {
            struct model_shape s = harness_shape(shape);
            struct harness_options o = {DTYPE_F32, DTYPE_F32, 1, 16, harness_isa(path), NULL};
            struct harness *h = harness_open(&s, &o, 7 + (uint64_t)shape);
            size_t n = (size_t)(N * shape_n_moe(&s) * s.n_experts_used);
            uint16_t *got = memory_new(n, 2), *want = memory_new(n, 2);
            double *logits = memory_new((size_t)(N * s.vocab), sizeof *logits);
            int32_t ids[N], pages[] = {2, 1, 0};
            fill_ids(&s, (uint64_t)shape + 100, N, ids);
            reference_forward(h->model, N, ids, logits, want, NULL);
            struct step_segment segment = {0, N, 0, 2, pages, 3};
            struct step step = {N, 1, 0, ids, &segment, NULL, true};
            struct step_result r = {.routes = got};
            h->backend->ops->conv_clear(h->backend, 2);
            harness_step(h, &step, &r);
            assert_memory_equal(got, want, n * 2);
            free(got);
            free(want);
            free(logits);
            harness_close(&h);
        }
}

// What is written is read back exactly, in any pieces, and nothing else changes.
static void test_weights(void **state) {
    (void)state;
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16};
    for (int type = 0; type < 3; type++) {
        struct model_shape s = harness_shape(2);
        struct harness_options o = {types[type], DTYPE_F32, 1, 16, NULL, NULL};
        struct harness *h = harness_open(&s, &o, 1);
        struct backend *b = h->backend;
        struct reference_random random = {5};
        for (int i = 0; i < h->model->n; i++) {
            int64_t n = weight_n(&h->model->list[i]);
            size_t size = dtype_bytes(h->dtypes[i]), bytes = (size_t)n * size;
            char *mine = memory_new(bytes + 1, 1), *got = memory_new(bytes, 1);
            for (int64_t k = 0; k < n; k++)
                dtype_put(h->dtypes[i], mine, k, (float)h->model->values[i][k]);
            b->ops->weight_read(b, i, 0, n, got);
            assert_memory_equal(got, mine, bytes);
            for (int piece = 0; piece < 5; piece++) {
                int64_t first = reference_below(&random, (int)n);
                int64_t len = 1 + reference_below(&random, (int)(n - first));
                for (int64_t k = first; k < first + len; k++)
                    dtype_put(h->dtypes[i], mine, k, (float)reference_normal(&random));
                char *odd = memory_new((size_t)len * size + 1, 1); // in any alignment
                memcpy(odd + 1, mine + (size_t)first * size, (size_t)len * size);
                b->ops->weight_write(b, i, first, len, odd + 1);
                b->ops->weight_read(b, i, first, len, odd);
                assert_memory_equal(odd, mine + (size_t)first * size, (size_t)len * size);
                free(odd);
                b->ops->weight_read(b, i, 0, n, got);
                assert_memory_equal(got, mine, bytes);
            }
            free(mine);
            free(got);
        }
        harness_close(&h);
    }
}

// A logit that is not finite marks its own outputs and no other sequence's.
static void test_bad(void **state) {
    (void)state;
    struct model_shape s = harness_shape(1);
    struct harness_options o = {DTYPE_F32, DTYPE_F32, 1, 16, NULL, NULL};
    struct harness *h = harness_open(&s, &o, 7);
    float infinite = INFINITY;
    h->backend->ops->weight_write(h->backend, 0, 3 * s.hidden, 1, &infinite); // of id 3
    // An untied head keeps the infinity out of other rows' logits, but here the head is tied: id
    // 3's own logit is bad for everybody, so all outputs are.
    int32_t ids[2] = {3, 4}, pages[2] = {0, 1}, drawn[2];
    float lp[2], behav[2];
    uint8_t bad[2] = {0};
    struct step_segment segments[2] = {{0, 1, 0, 0, pages, 1}, {1, 1, 0, 1, pages + 1, 1}};
    struct step_output outputs[2] = {{.token = 0}, {.token = 1}};
    struct step step = {2, 2, 2, ids, segments, outputs, false};
    struct step_result r = {drawn, lp, behav, bad, NULL};
    for (int i = 0; i < 2; i++) h->backend->ops->conv_clear(h->backend, i);
    harness_step(h, &step, &r);
    assert_true(bad[0] && bad[1]);
    harness_close(&h);

    s = harness_shape(2); // untied: only the row that reads id 3 is bad
    h = harness_open(&s, &o, 7);
    h->backend->ops->weight_write(h->backend, 0, 3 * s.hidden, 1, &infinite);
    for (int i = 0; i < 2; i++) h->backend->ops->conv_clear(h->backend, i);
    harness_step(h, &step, &r);
    assert_true(bad[0] && !bad[1]);
    assert_true(isfinite(lp[1]));
    harness_close(&h);
}

static void test_open(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    struct weight *list;
    int n = weights_list(&s, &list);
    enum dtype *dtypes = memory_new((size_t)n, sizeof *dtypes);
    struct backend_options o = {.shape = s, .weight_dtypes = dtypes, .kv_dtype = DTYPE_F32};
    o.page_tokens = o.max_tokens = 16;
    o.n_pages = o.n_conv_slots = o.max_outputs = o.n_threads = 1;
    o.isa = "abacus";
    struct backend *b;
    struct error err = {0};
    assert_int_equal(kernels_find("cpu", &err)->open(&o, &b, &err), -1);
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.text, "abacus"));
    assert_null(b);
    assert_null(kernels_find("tpu", &err));
    o.isa = "portable";
    assert_int_equal(kernels_find("cpu", &err)->open(&o, &b, &err), 0);
    assert_string_equal(b->ops->numerics(b), "cpu-portable weights=f32 kv=f32 page=16");
    assert_true(b->ops->memory_bytes(b) > (size_t)(s.vocab * s.hidden * 4));
    b->ops->close(&b);
    assert_null(b);
    o.isa = NULL;
    o.n_pages = 1 << 30; // more than any machine has addresses for
    o.page_tokens = 256;
    s.head_dim = o.shape.head_dim = 1 << 14;
    assert_int_equal(kernels_find("cpu", &err)->open(&o, &b, &err), -1);
    assert_int_equal(err.code, ERROR_MEMORY);
    free(dtypes);
    free(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_bf16_state),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_chunks_and_threads),
        cmocka_unit_test(test_fork_and_suspend),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_many_outputs),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
