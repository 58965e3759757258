// A whole backend against the float64 network, and the contract's promises on bits.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/digest.h"
#include "protocol/base/memory.h"
#include "protocol/base/sanitized.h"
#include "tests/kernels/harness.h"

enum { N = 37, N_TARGETS = 3 };

// float32 sums over at most 6 layers of width 200 stray by some 1e-6 of logits of size 10.
static const double TOLERANCE = 3e-5;
// bf16 KV and conv state round at 2^-9; the tiny networks pass that on almost undamped.
static const double TOLERANCE_BF16_STATE = 0.15;
// KV alone: f16 rounds at 2^-12, q8_0 at 2^-8 of the largest of 32.
static const double TOLERANCE_F16_STATE = 0.02, TOLERANCE_Q8_0_STATE = 0.15;
// Devices that round the operands of products to bf16: the reference rounds too, but at times to
// the other side, and the weights of the softmax not at all.
static const double TOLERANCE_BF16 = 0.15, STRAY = 0.01;

static void fill_ids(const struct model_shape *s, uint64_t seed, int n, int32_t *ids) {
    struct reference_random r = {seed};
    for (int i = 0; i < n; i++) ids[i] = reference_below(&r, s->vocab);
}

// A network run in one step, with its routes.
struct run {
    int32_t ids[N], targets[N_TARGETS];
    float lp[N * N_TARGETS];
    uint16_t *routes;
};

static void run_network(struct harness *h, struct run *r) {
    const struct model_shape *s = &h->model->shape;
    int32_t drawn[N * N_TARGETS], pages[HARNESS_PAGES];
    float behav[N * N_TARGETS];
    uint8_t bad[N * N_TARGETS];
    struct step_output outputs[N * N_TARGETS];
    r->routes = memory_new((size_t)(N * shape_n_moe(s) * s->n_experts_used), 2);
    for (int i = 0; i < HARNESS_PAGES; i++) pages[i] = HARNESS_PAGES - 1 - i;
    for (int i = 0; i < N * N_TARGETS; i++)
        outputs[i] = (struct step_output){
            .token = i / N_TARGETS, .target = r->targets[i % N_TARGETS], .temperature = 1};
    struct step_segment segment = {0, N, 0, 2, pages, HARNESS_PAGES};
    struct step step = {N, 1, N * N_TARGETS, r->ids, &segment, outputs, true};
    struct step_result result = {drawn, r->lp, behav, bad, r->routes};
    harness_step(h, &step, &result);
    for (int i = 0; i < N * N_TARGETS; i++) assert_false(bad[i]);
}

// The log-probabilities against those of the reference's logits.
static void compare(const struct harness *h, const struct run *r, const double *logits,
                    double tolerance) {
    int vocab = h->model->shape.vocab;
    double *p = memory_new((size_t)vocab, sizeof *p), worst = 0;
    for (int t = 0; t < N; t++) {
        reference_log_softmax(vocab, logits + t * vocab, p);
        for (int k = 0; k < N_TARGETS; k++)
            worst = fmax(worst, fabs(p[r->targets[k]] - (double)r->lp[t * N_TARGETS + k]));
    }
    if (!(worst <= tolerance)) print_message("off by %g, %g is allowed\n", worst, tolerance);
    assert_true(worst <= tolerance);
    free(p);
}

static void compare_exact(const struct harness *h, const struct run *r, double tolerance) {
    const struct model_shape *s = &h->model->shape;
    size_t n = (size_t)(N * shape_n_moe(s));
    double *logits = memory_new((size_t)(N * s->vocab), sizeof *logits);
    double *gaps = memory_new(n, sizeof *gaps);
    uint16_t *routes = memory_new(n * (size_t)s->n_experts_used, 2);
    reference_forward(h->model, N, r->ids, logits, routes, gaps);
    for (size_t i = 0; i < n; i++) assert_true(gaps[i] > 1e-5);
    assert_memory_equal(r->routes, routes, n * (size_t)s->n_experts_used * 2);
    compare(h, r, logits, tolerance);
    free(logits);
    free(gaps);
    free(routes);
}

static void compare_rounded(const struct harness *h, const struct run *r, double tolerance) {
    double *logits = memory_new((size_t)(N * h->model->shape.vocab), sizeof *logits), stray;
    reference_follow(h->model, N, r->ids, logits, r->routes, &stray);
    if (stray > STRAY) print_message("an expert's score is %g below a better one\n", stray);
    assert_true(stray <= STRAY);
    compare(h, r, logits, tolerance);
    free(logits);
}

static void check_network(int shape, const struct harness_options *o, double tolerance) {
    struct model_shape s = harness_shape(shape);
    struct harness *h = harness_open(&s, o, 7 + (uint64_t)shape);
    struct run r = {.targets = {0, 5, s.vocab - 1}};
    fill_ids(&s, (uint64_t)shape + 100, N, r.ids);
    run_network(h, &r);
    if (!harness_rounds(o->path))
        compare_exact(h, &r, tolerance);
    else
        compare_rounded(h, &r, fmax(tolerance, TOLERANCE_BF16));
    free(r.routes);
    harness_close(&h);
}

// Every shape, path and type of weights against the reference network.
static void test_network(void **state) {
    (void)state;
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16};
    for (int shape = 0; shape < HARNESS_N_SHAPES; shape++)
        for (int path = 0; path < harness_n_paths(); path++)
            for (int type = 0; type < (harness_is_cpu() ? 3 : 1); type++) {
                struct harness_options o = {
                    .matrices = types[type], .n_threads = 2, .page_tokens = 16};
                o.path = harness_path(path);
                if (harness_is_cpu() && harness_rounds(o.path) && o.matrices != DTYPE_BF16)
                    continue; // others are multiplied exactly, see test_matmul
                check_network(shape, &o, TOLERANCE);
            }
}

static void test_state_types(void **state) {
    (void)state;
    for (int kv = 1; kv < harness_n_kv(); kv++) {
        struct harness_options o = {.kv = harness_kv(kv), .n_threads = 1, .page_tokens = 16};
        check_network(0, &o,
                      o.kv == DTYPE_BF16  ? TOLERANCE_BF16_STATE
                      : o.kv == DTYPE_F16 ? TOLERANCE_F16_STATE
                                          : TOLERANCE_Q8_0_STATE);
    }
}

// The same sequence in any chunks, by any number of threads: the same bits.
static void test_chunks_and_threads(void **state) {
    (void)state;
    for (int shape = 0; shape < HARNESS_N_SHAPES; shape++)
        for (int path = 0; path < harness_n_paths(); path++)
            for (int kv = 0; kv < harness_n_kv(); kv++) {
                if (harness_is_emulated() && kv != shape % 2) continue;
                if (IS_SANITIZED && kv != shape % harness_n_kv()) continue;
                struct model_shape s = harness_shape(shape);
                int32_t ids[N], targets[N_TARGETS] = {0, 5, s.vocab - 1};
                float first[N * N_TARGETS], lp[N * N_TARGETS];
                fill_ids(&s, (uint64_t)shape + 100, N, ids);
                for (int threads = 1; threads <= (harness_is_cpu() ? 2 : 1); threads++) {
                    struct harness_options o = {.matrices = DTYPE_BF16, .page_tokens = 8};
                    o.kv = harness_kv(kv);
                    o.n_threads = threads;
                    o.path = harness_path(path);
                    struct harness *h = harness_open(&s, &o, 7 + (uint64_t)shape);
                    static const int chunks[] = {N, 1, 5, 16};
                    for (int i = 0; i < 4; i++) {
                        struct harness_sequence q = {ids, N,     0,       chunks[i],
                                                     i,   5 * i, targets, N_TARGETS};
                        bool is_first = threads == 1 && i == 0;
                        harness_score(h, &q, is_first ? first : lp);
                        if (!is_first) assert_memory_equal(first, lp, sizeof lp);
                    }
                    harness_close(&h);
                }
            }
}

// A step for which a device takes its largest tiles (an H100: 256 x 256 of dense products and of
// experts, 128 tokens of convolutions), and the same in small steps: the same bits.
static void test_large_steps(void **state) {
    (void)state;
    enum { LONG = 300 };
    struct model_shape s = harness_shape(1);
    s.n_layers = 3;
    s.hidden = s.ff_dense = 256;
    s.head_dim = 64;
    s.n_experts = 2;
    s.n_experts_used = 1;
    s.ff_expert = 128;
    int32_t ids[LONG], target = 7;
    float whole[LONG], parts[LONG];
    fill_ids(&s, 100, LONG, ids);
    for (int path = 0; path < harness_n_paths(); path++) {
        struct harness_options o = {.matrices = DTYPE_BF16, .n_threads = 1, .page_tokens = 8};
        o.max_tokens = 512;
        o.path = harness_path(path);
        struct harness *h = harness_open(&s, &o, 12);
        struct harness_sequence q = {ids, LONG, 0, LONG, 0, 0, &target, 1};
        harness_score(h, &q, whole);
        q.chunk = 37;
        q.conv_slot = 1;
        harness_score(h, &q, parts);
        assert_memory_equal(whole, parts, sizeof whole);
        harness_close(&h);
    }
}

// As many tokens as there may be, of which a tile of an expert takes the fewest that it can: most
// experts have a tile that is not full.
static void test_most_tiles(void **state) {
    (void)state;
    struct model_shape s = harness_shape(4);
    struct harness_options o = {.matrices = DTYPE_BF16, .n_threads = 1, .page_tokens = 8};
    o.max_tokens = 32;
    struct harness *h = harness_open(&s, &o, 12);
    int32_t ids[N], target = 7;
    float whole[N], parts[N];
    fill_ids(&s, 100, N, ids);
    struct harness_sequence q = {ids, N, 0, 32, 0, 0, &target, 1};
    harness_score(h, &q, whole);
    q.chunk = 3;
    harness_score(h, &q, parts);
    assert_memory_equal(whole, parts, sizeof whole);
    harness_close(&h);
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
    harness_score(h, &q, alone);
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
        for (int path = 0; path < harness_n_paths(); path++) {
            struct model_shape s = harness_shape(shape);
            struct harness_options o = {.matrices = DTYPE_BF16, .n_threads = 2, .page_tokens = 8};
            o.path = harness_path(path);
            o.kv = harness_kv((shape + path) % harness_n_kv());
            struct harness *h = harness_open(&s, &o, 7 + (uint64_t)shape);
            among_strangers(h);
            harness_close(&h);
        }
}

// A fork (pages and conv state copied) and a suspension (out to the arena and in elsewhere) go on
// with the bits of the sequence that never moved.
static void test_fork_and_suspend(void **state) {
    (void)state;
    int n_kv = harness_n_kv();
    for (int i = 0; i < HARNESS_N_SHAPES * n_kv; i++) {
        int shape = i / n_kv;
        if (harness_is_emulated() && i % n_kv == shape % 2) continue;
        struct model_shape s = harness_shape(shape);
        struct harness_options o = {.n_threads = 1, .page_tokens = 16, .max_draft = shape};
        o.kv = harness_kv(i % n_kv);
        struct harness *h = harness_open(&s, &o, 3);
        int32_t ids[N], target = 11;
        float whole[N], rest[N];
        int cut = 21; // in the second page
        fill_ids(&s, 55, N, ids);
        struct harness_sequence q = {ids, N, 0, N, 0, 0, &target, 1};
        harness_score(h, &q, whole);
        q.n = cut;
        harness_score(h, &q, rest);
        // As one list: what is moved out is taken by somebody else before it is moved in again.
        const struct state_move moves[] = {
            {MOVE_CONV_COPY, 0, 4},    {MOVE_PAGE_COPY, 0, 10},   {MOVE_PAGE_COPY, 1, 11},
            {MOVE_CONV_SUSPEND, 0, 2}, {MOVE_PAGE_SUSPEND, 0, 3}, {MOVE_PAGE_SUSPEND, 1, 1},
            {MOVE_PAGE_COPY, 9, 1}, // over what the moves ahead read, and nothing else
            {MOVE_PAGE_COPY, 11, 0},   {MOVE_CONV_COPY, 9, 0},    {MOVE_PAGE_RESUME, 3, 16},
            {MOVE_PAGE_RESUME, 1, 17}, {MOVE_CONV_RESUME, 2, 5},  {MOVE_PAGE_COPY, 16, 20},
            {MOVE_PAGE_COPY, 17, 21}, // what the moves ahead write
        };
        h->backend->ops->move(h->backend, moves, sizeof moves / sizeof moves[0]);
        struct harness_sequence fork = {ids + cut, N - cut, cut, 3, 4, 10, &target, 1};
        harness_score(h, &fork, rest);
        assert_memory_equal(rest, whole + cut, (size_t)(N - cut) * sizeof *rest);
        fork.conv_slot = 5;
        fork.first_page = 20;
        harness_score(h, &fork, rest);
        assert_memory_equal(rest, whole + cut, (size_t)(N - cut) * sizeof *rest);
        harness_close(&h);
    }
}

// A sequence goes on from any of the last max_draft positions, whatever was computed behind it.
static void test_going_back(void **state) {
    (void)state;
    enum { DRAFT = 5 };
    for (int shape = 0; shape < HARNESS_N_SHAPES; shape++)
        for (int path = 0; path < harness_n_paths(); path++) {
            struct model_shape s = harness_shape(shape);
            struct harness_options o = {.n_threads = 1, .page_tokens = 8, .max_draft = DRAFT};
            o.path = harness_path(path);
            o.kv = harness_kv((shape + path) % harness_n_kv());
            struct harness *h = harness_open(&s, &o, 3);
            int32_t ids[N], wrong[1 + DRAFT], target = 11;
            float whole[N], part[1 + DRAFT];
            fill_ids(&s, 55, N, ids);
            struct harness_sequence q = {ids, N, 0, N, 0, 0, &target, 1};
            harness_score(h, &q, whole);
            q.n = q.chunk = 9;
            harness_score(h, &q, whole); // begins again in the used slot, up to position 9
            for (int at = 9, turn = 0; at + 1 + DRAFT <= N; turn++) {
                const int kept = turn % (DRAFT + 1); // of the guesses; the next one is wrong
                memcpy(wrong, ids + at, sizeof wrong);
                for (int i = 1 + kept; i <= DRAFT; i++) wrong[i] = (ids[at + i] + i) % s.vocab;
                struct harness_sequence guess = {wrong, 1 + DRAFT, at, 1 + DRAFT, 0, 0, &target, 1};
                harness_score(h, &guess, part);
                assert_memory_equal(part, whole + at, (size_t)(1 + kept) * sizeof *part);
                at += 1 + kept;
            }
            harness_close(&h);
        }
}

// A step whose description is larger than what a device has room for at first: draws with a bias
// for each id.
static void draw_with_biases(struct harness *h, const int32_t *tokens, int n) {
    enum { VOCAB = 512, N_DRAWS = 3 };
    int32_t ids[VOCAB], pages[HARNESS_PAGES], drawn[N_DRAWS * HARNESS_MAX_TOKENS];
    float bias[VOCAB] = {0}, lp[N_DRAWS * HARNESS_MAX_TOKENS], behav[N_DRAWS * HARNESS_MAX_TOKENS];
    uint8_t bad[N_DRAWS * HARNESS_MAX_TOKENS];
    struct step_output outputs[N_DRAWS * HARNESS_MAX_TOKENS];
    for (int i = 0; i < VOCAB; i++) ids[i] = i;
    for (int i = 0; i < HARNESS_PAGES; i++) pages[i] = i;
    bias[77] = 100;
    for (int i = 0; i < n * N_DRAWS; i++) {
        outputs[i] = (struct step_output){.token = i / N_DRAWS, .is_draw = true};
        outputs[i].draw = (struct draw){.temperature = 1,
                                        .top_p = 1,
                                        .repetition_penalty = 1,
                                        .bias_ids = ids,
                                        .bias = bias,
                                        .n_bias = VOCAB};
    }
    struct step_segment segment = {0, n, 0, 0, pages, HARNESS_PAGES};
    struct step step = {n, 1, n * N_DRAWS, tokens, &segment, outputs, false};
    struct step_result r = {drawn, lp, behav, bad, NULL};
    harness_step(h, &step, &r);
    for (int i = 0; i < n * N_DRAWS; i++) assert_true(drawn[i] == 77 && !bad[i]);
}

// What is free of an emulated device, of which nobody else takes memory; 0 of others.
static uint64_t free_bytes(const struct backend_ops *ops) {
    struct device_facts facts = {0};
    struct error err = {0};
    const char *path;
    int device;
    if (!harness_is_emulated()) return 0;
    kernels_find(harness_device(), &device, &path, &err);
    assert_int_equal(ops->describe(device, path, &facts, &err), 0);
    return facts.free_bytes;
}

// More output tokens, and more outputs, than one tile of logits holds. They take no memory of the
// device but for the rare step, whose description is larger than the plan has it.
static void test_many_outputs(void **state) {
    (void)state;
    enum { TOKENS = 120 };
    struct model_shape s = harness_shape(4);
    struct harness_options o = {.matrices = DTYPE_BF16, .n_threads = 2, .page_tokens = 16};
    struct harness *h = harness_open(&s, &o, 3);
    int32_t ids[TOKENS], targets[3] = {0, 77, 511};
    float whole[TOKENS * 3], parts[TOKENS * 3];
    fill_ids(&s, 55, TOKENS, ids);
    struct harness_sequence q = {ids, TOKENS, 0, TOKENS, 0, 0, targets, 3};
    uint64_t before = free_bytes(h->backend->ops);
    harness_score(h, &q, whole);
    q.chunk = 7;
    harness_score(h, &q, parts);
    assert_memory_equal(whole, parts, sizeof whole);
    assert_true(free_bytes(h->backend->ops) == before);
    draw_with_biases(h, ids, TOKENS);
    assert_true(!harness_is_emulated() || free_bytes(h->backend->ops) < before);
    harness_score(h, &q, parts);
    assert_memory_equal(whole, parts, sizeof whole);
    harness_close(&h);
}

// Routes of a step without outputs are those of one with them (compare_exact has the reference's).
static void test_routes(void **state) {
    (void)state;
    for (int shape = 1; shape < HARNESS_N_SHAPES; shape++) {
        struct model_shape s = harness_shape(shape);
        struct harness_options o = {.n_threads = 1, .page_tokens = 16};
        struct harness *h = harness_open(&s, &o, 7 + (uint64_t)shape);
        size_t n = (size_t)(N * shape_n_moe(&s) * s.n_experts_used);
        uint16_t *got = memory_new(n, 2);
        int32_t pages[] = {2, 1, 0};
        struct run r = {.targets = {0, 5, s.vocab - 1}};
        fill_ids(&s, (uint64_t)shape + 100, N, r.ids);
        struct step_segment segment = {0, N, 0, 2, pages, 3};
        struct step step = {N, 1, 0, r.ids, &segment, NULL, true};
        struct step_result result = {.routes = got};
        harness_step(h, &step, &result);
        run_network(h, &r); // as many tokens as before, and outputs
        for (int i = 0; i < N * N_TARGETS; i++) assert_true(r.lp[i] < 0);
        assert_memory_equal(got, r.routes, n * 2);
        free(got);
        free(r.routes);
        harness_close(&h);
    }
}

// What is loaded or written is read back exactly, in any pieces, and nothing else changes; the
// digests are those of what was loaded.
static void test_weights(void **state) {
    (void)state;
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16};
    for (int type = 0; type < (harness_is_cpu() ? 3 : 2); type++) {
        struct model_shape s = harness_shape(2);
        struct harness_options o = {.matrices = types[type], .n_threads = 1, .page_tokens = 16};
        struct harness *h = harness_open(&s, &o, 1);
        struct backend *b = h->backend;
        struct reference_random random = {5};
        for (int i = 0; i < h->model->n; i++) {
            int64_t n = weight_n(&h->model->list[i]);
            size_t size = dtype_bytes(h->dtypes[i]), bytes = (size_t)n * size;
            char *mine = memory_new(bytes + 1, 1), *got = memory_new(bytes, 1);
            for (int64_t k = 0; k < n; k++)
                dtype_put(h->dtypes[i], mine, k, (float)h->model->values[i][k]);
            harness_read_weight(h, i, 0, n, got);
            assert_memory_equal(got, mine, bytes);
            assert_true(h->digests[i] == digest_range(h->hashes[i], 0, n, h->dtypes[i], mine));
            for (int piece = 0; piece < 5; piece++) {
                int64_t first = reference_below(&random, (int)n);
                int64_t len = 1 + reference_below(&random, (int)(n - first));
                for (int64_t k = first; k < first + len; k++)
                    dtype_put(h->dtypes[i], mine, k, (float)reference_normal(&random));
                char *odd = memory_new((size_t)len * size + 1, 1); // in any alignment
                memcpy(odd + 1, mine + (size_t)first * size, (size_t)len * size);
                b->ops->weight_write(b, i, first, len, odd + 1);
                harness_read_weight(h, i, first, len, odd);
                assert_memory_equal(odd, mine + (size_t)first * size, (size_t)len * size);
                free(odd);
                harness_read_weight(h, i, 0, n, got);
                assert_memory_equal(got, mine, bytes);
            }
            free(mine);
            free(got);
        }
        harness_close(&h);
    }
}

// The same of a matrix that is larger than the pieces in which weights are on their way: loaded,
// read, and written from an element in its first piece on.
static void test_large_weight(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    s.n_layers = s.n_dense_layers = 1;
    s.vocab = 8300;
    const int64_t n = (int64_t)s.vocab * s.hidden, first = 1003;
    struct harness_options o = {.matrices = DTYPE_BF16, .n_threads = 1, .page_tokens = 16};
    struct harness *h = harness_open(&s, &o, 1);
    uint16_t *mine = memory_new((size_t)n, sizeof *mine), *got = memory_new((size_t)n, 2);
    for (int64_t k = 0; k < n; k++) dtype_put(h->dtypes[0], mine, k, (float)h->model->values[0][k]);
    assert_true(h->digests[0] == digest_range(h->hashes[0], 0, n, h->dtypes[0], mine));
    harness_read_weight(h, 0, 0, n, got);
    assert_memory_equal(got, mine, (size_t)n * sizeof *mine);
    for (int64_t k = first; k < n; k++) mine[k] ^= (uint16_t)(k % 7);
    h->backend->ops->weight_write(h->backend, 0, first, n - first, mine + first);
    harness_read_weight(h, 0, 0, n, got);
    assert_memory_equal(got, mine, (size_t)n * sizeof *mine);
    free(mine);
    free(got);
    harness_close(&h);
}

// A logit that is not finite marks its own outputs and no other sequence's.
static void test_bad(void **state) {
    (void)state;
    struct model_shape s = harness_shape(1);
    struct harness_options o = {.n_threads = 1, .page_tokens = 16};
    struct harness *h = harness_open(&s, &o, 7);
    char infinite[4];
    dtype_put(h->dtypes[0], infinite, 0, INFINITY);
    h->backend->ops->weight_write(h->backend, 0, 3 * s.hidden, 1, infinite); // of id 3
    // An untied head keeps the infinity out of other rows' logits, but here the head is tied: id
    // 3's own logit is bad for everybody, so all outputs are.
    int32_t ids[2] = {3, 4}, pages[2] = {0, 1}, drawn[2];
    float lp[2], behav[2];
    uint8_t bad[2] = {0};
    struct step_segment segments[2] = {{0, 1, 0, 0, pages, 1}, {1, 1, 0, 1, pages + 1, 1}};
    struct step_output outputs[2] = {{.token = 0}, {.token = 1}};
    struct step step = {2, 2, 2, ids, segments, outputs, false};
    struct step_result r = {drawn, lp, behav, bad, NULL};
    harness_step(h, &step, &r);
    assert_true(bad[0] && bad[1]);
    harness_close(&h);

    s = harness_shape(2); // untied: only the row that reads id 3 is bad
    h = harness_open(&s, &o, 7);
    h->backend->ops->weight_write(h->backend, 0, 3 * s.hidden, 1, infinite);
    harness_step(h, &step, &r);
    assert_true(bad[0] && !bad[1]);
    assert_true(isfinite(lp[1]));
    harness_close(&h);
}

// Values by a formula: every backend, whether it reads them or makes them itself, holds what the
// formula says in the resident type, bit for bit.
static struct weight_formula formula_of(const void *self, int index) {
    (void)self;
    struct weight_formula f = {.seed = 99 + (uint64_t)index, .constant = 1};
    if (index % 4) f.deviation = 1 / (float)(1 + index);
    return f;
}

static const void *read_formula(const void *self, int index, int64_t first, int64_t n, void *room,
                                struct error *err) {
    const struct harness *h = self;
    const struct weight_formula f = formula_of(self, index);
    (void)err;
    for (int64_t i = 0; i < n; i++)
        dtype_put(h->dtypes[index], room, i, formula_value(&f, first + i));
    return room;
}

static void test_formula(void **state) {
    (void)state;
    struct model_shape s = harness_shape(2);
    struct harness_options o = {.matrices = DTYPE_BF16, .n_threads = 2, .page_tokens = 16};
    struct harness *h = harness_open(&s, &o, 1);
    const struct weight_source source = {.self = h, .read = read_formula, .formula = formula_of};
    uint64_t *digests = memory_new((size_t)h->model->n, sizeof *digests);
    struct error err;
    assert_int_equal(h->backend->ops->load(h->backend, &source, digests, &err), 0);
    for (int i = 0; i < h->model->n; i++) {
        int64_t n = weight_n(&h->model->list[i]);
        size_t bytes = (size_t)n * dtype_bytes(h->dtypes[i]);
        char *want = memory_new(bytes, 1), *got = memory_new(bytes, 1);
        read_formula(h, i, 0, n, want, NULL);
        harness_read_weight(h, i, 0, n, got);
        assert_memory_equal(got, want, bytes);
        assert_true(digests[i] == digest_range(h->hashes[i], 0, n, h->dtypes[i], want));
        free(want);
        free(got);
    }
    free(digests);
    harness_close(&h);
}

// A source that has no value for one weight.
static const void *read_or_fail(const void *self, int index, int64_t first, int64_t n, void *room,
                                struct error *err) {
    (void)first;
    if (index != *(const int *)self) return memset(room, 0, (size_t)n * 4);
    error_set(err, ERROR_CONFIG, "Weight %d is not to be had.", index);
    return NULL;
}

static void test_failed_load(void **state) {
    (void)state;
    struct model_shape s = harness_shape(1);
    struct harness_options o = {.n_threads = 2, .page_tokens = 16};
    struct harness *h = harness_open(&s, &o, 1);
    const int bad = 7;
    const struct weight_source source = {.self = &bad, .read = read_or_fail};
    struct error err = {0};
    assert_int_equal(h->backend->ops->load(h->backend, &source, NULL, &err), -1);
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_string_equal(err.text, "Weight 7 is not to be had.");
    harness_close(&h);
}

// Of an emulated device nobody else takes memory: `taken` is what the plan says it is, each part in
// whole pages.
static void check_taken(const struct backend_plan *plan, uint64_t taken) {
    uint64_t planned = 0;
    if (!harness_is_emulated()) return;
    for (int i = 0; i < N_MEMORY_USES; i++)
        if (!plan->is_host[i]) planned += plan->bytes[i];
    assert_in_range(taken, planned, planned + (16 << 10));
}

// What is planned is what is taken, and more than there is is a sentence.
static void test_plan_and_open(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    struct weight *list;
    int n = weights_list(&s, &list), device;
    enum dtype *dtypes = memory_new((size_t)n, sizeof *dtypes);
    uint64_t *hashes = memory_new((size_t)n, sizeof *hashes);
    for (int i = 0; i < n && !harness_is_cpu(); i++) dtypes[i] = DTYPE_BF16;
    struct backend_options o = {.shape = s, .weight_dtypes = dtypes, .weight_hashes = hashes};
    o.page_tokens = o.max_tokens = 16;
    o.n_pages = o.n_conv_slots = o.max_outputs = o.max_segments = o.n_threads = 1;
    struct backend *b;
    struct backend_plan plan;
    struct error err = {0};
    const struct backend_ops *ops = kernels_find(harness_device(), &device, &o.path, &err);
    assert_int_equal(ops->abi, KERNELS_ABI);
    assert_int_equal(ops->plan(&o, &plan, &err), 0);
    assert_true(plan.bytes[MEMORY_WEIGHTS] >=
                (uint64_t)(s.vocab * s.hidden * (harness_is_cpu() ? 4 : 2)));
    assert_true(plan.bytes[MEMORY_PAGES] >= kernels_page_bytes(&s, DTYPE_F32, 16));
    assert_true(plan.bytes[MEMORY_SLOTS] >= kernels_conv_bytes(&s, DTYPE_F32, 0));
    assert_true(plan.bytes[MEMORY_SCRATCH] > 0);
    assert_true(plan.bytes[MEMORY_ARENA] == 0);
    uint64_t slots = plan.bytes[MEMORY_SLOTS];
    o.max_draft = 4;
    o.arena_pages = 3;
    assert_int_equal(ops->plan(&o, &plan, &err), 0);
    assert_true(plan.bytes[MEMORY_SLOTS] > slots && plan.bytes[MEMORY_ARENA] > 0);
    uint64_t before = free_bytes(ops);
    assert_int_equal(ops->open(&o, &b, &err), 0);
    check_taken(&plan, before - free_bytes(ops));
    assert_non_null(strstr(b->ops->numerics(b), "kv=f32"));
    // A CPU's attention goes by its own blocks: its bits do not depend on pages.
    if (!harness_is_cpu()) assert_non_null(strstr(b->ops->numerics(b), "page=16"));
    b->ops->close(&b);
    assert_null(b);
    assert_true(free_bytes(ops) == before);
    static const enum dtype narrow[] = {DTYPE_F16, DTYPE_Q8_0};
    for (int i = 0; i < 2; i++) {
        o.kv_dtype = narrow[i];
        assert_int_equal(ops->plan(&o, &plan, &err), harness_is_cpu() ? 0 : -1);
        if (!harness_is_cpu()) {
            assert_int_equal(err.code, ERROR_CONFIG);
            assert_non_null(strstr(err.text, dtype_name(narrow[i])));
        } else {
            assert_true(plan.bytes[MEMORY_PAGES] == kernels_page_bytes(&s, narrow[i], 16));
            assert_int_equal(ops->open(&o, &b, &err), 0);
            assert_string_equal(strstr(b->ops->numerics(b), "kv=") + 3, dtype_name(narrow[i]));
            b->ops->close(&b);
        }
    }
    o.kv_dtype = DTYPE_F32;
    o.n_pages = 1 << 30; // more than any machine has addresses for
    o.page_tokens = 256;
    if (harness_is_cpu()) s.head_dim = o.shape.head_dim = 1 << 14;
    assert_int_equal(ops->open(&o, &b, &err), -1);
    assert_int_equal(err.code, ERROR_MEMORY);
    assert_null(b);
    free(dtypes);
    free(hashes);
    free(list);
}

static void test_cpu_path(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    struct harness_options o = {.n_threads = 1, .page_tokens = 16, .path = "portable"};
    if (!harness_is_cpu()) skip();
    struct harness *h = harness_open(&s, &o, 1);
    assert_string_equal(h->backend->ops->numerics(h->backend), "cpu-portable weights=f32 kv=f32");
    struct backend_options options = {.shape = s, .weight_dtypes = h->dtypes, .path = "abacus"};
    options.page_tokens = options.max_tokens = options.max_segments = 16;
    struct backend_plan plan;
    struct backend *b;
    struct error err = {0};
    assert_int_equal(h->backend->ops->plan(&options, &plan, &err), -1);
    assert_int_equal(err.code, ERROR_USAGE);
    assert_non_null(strstr(err.text, "abacus"));
    assert_int_equal(h->backend->ops->open(&options, &b, &err), -1);
    assert_null(b);
    harness_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network),          cmocka_unit_test(test_state_types),
        cmocka_unit_test(test_strangers),        cmocka_unit_test(test_chunks_and_threads),
        cmocka_unit_test(test_fork_and_suspend), cmocka_unit_test(test_routes),
        cmocka_unit_test(test_many_outputs),     cmocka_unit_test(test_weights),
        cmocka_unit_test(test_formula),          cmocka_unit_test(test_bad),
        cmocka_unit_test(test_going_back),       cmocka_unit_test(test_failed_load),
        cmocka_unit_test(test_plan_and_open),    cmocka_unit_test(test_cpu_path),
        cmocka_unit_test(test_large_steps),      cmocka_unit_test(test_most_tiles),
        cmocka_unit_test(test_large_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
