// Weight updates by a backend: staged changes are proved and summed, exchanged and taken back, each
// against a model of the weights on the host.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "tests/kernels/staged.h"

// Of the matrices, beside a master; float32: there is no master, they are floats.
static enum dtype blocks;
static bool second_copy;

static struct harness_options options(enum dtype matrices) {
    return (struct harness_options){.matrices = matrices,
                                    .blocks = blocks,
                                    .has_master = dtype_is_block(blocks),
                                    .second_copy = second_copy,
                                    .n_threads = 2,
                                    .page_tokens = 16};
}

// ------------------------------------------------------------------ what is right

static int n_float_types(int shape) {
    if (dtype_is_block(blocks)) return 1;
    return harness_is_cpu() ? 3 : 1 + (shape > 2);
}

// Every kind of weight in every form, of every shape and resident type.
static void test_every_form(void **state) {
    (void)state;
    static const enum dtype types[] = {DTYPE_BF16, DTYPE_F16, DTYPE_F32};
    for (int shape = 0; shape < HARNESS_N_SHAPES; shape++)
        for (int type = 0; type < n_float_types(shape); type++) {
            struct model_shape s = harness_shape(shape);
            struct harness_options o = options(types[type]);
            struct staged *u = staged_new(&s, &o, (uint64_t)shape + 1);
            for (int turn = 0; turn < (harness_is_emulated() ? 1 : 4); turn++) {
                staged_add_turn(u, turn);
                staged_exchange_twice(u);
                staged_clear(u);
            }
            staged_free(u);
        }
}

// The order of changes is the caller's. One that was applied stays when the next comes, one that
// was taken back or dropped leaves nothing behind.
static void test_updates_follow(void **state) {
    (void)state;
    struct model_shape s = harness_shape(1);
    struct harness_options o = options(DTYPE_BF16);
    struct staged *u = staged_new(&s, &o, 5);
    for (int round = 0; round < 8; round++) {
        for (int i = u->h->model->n - 1; i >= 0; i -= 1 + reference_below(&u->random, 3))
            if (reference_below(&u->random, 6))
                staged_add_pattern(u, i, 1 + round % 2,
                                   (enum pattern)reference_below(&u->random, N_PATTERNS));
            else
                staged_add_dense(u, i);
        staged_stage_all(u);
        staged_expect_sums(u);
        for (int n = round % 4 == 3 ? 0 : 1 + round % 2; n > 0; n--) staged_apply(u);
        staged_clear(u);
    }
    staged_expect_weights(u);
    staged_free(u);
}

// Thousands of tensors of a few hundred elements.
static void test_many_tensors(void **state) {
    (void)state;
    struct model_shape s = harness_shape(1);
    s.hidden = 32;
    s.head_dim = 8;
    s.n_layers = harness_is_emulated() ? 7 : 24;
    s.n_experts = 64;
    s.ff_expert = 8;
    struct harness_options o = options(DTYPE_BF16);
    struct staged *u = staged_new(&s, &o, 9);
    assert_true(u->h->model->n > 1100);
    for (int i = 0; i < u->h->model->n; i++) {
        uint32_t *positions = memory_new(3, sizeof *positions);
        int64_t size = staged_n_elements(u->h, i), n = size < 3 ? size : 3;
        for (int64_t k = 0; k < n; k++)
            positions[k] = (uint32_t)(k * (size - 1) / (n > 1 ? n - 1 : 1));
        staged_add(u, i, 1, positions, n, false);
    }
    staged_exchange_twice(u);
    staged_free(u);
}

// A dense change that is larger than the pieces in which a device stages, handed over at once.
static void test_large_change(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    s.n_layers = s.n_dense_layers = 1;
    s.vocab = 8300;
    struct harness_options o = options(DTYPE_BF16);
    struct staged *u = staged_new(&s, &o, 7);
    staged_add_dense(u, 0);
    staged_stage(u, 0, u->bytes, u->image);
    staged_expect_sums(u);
    staged_apply(u);
    staged_expect_weights(u);
    staged_free(u);
}

static void test_nothing(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    struct harness_options o = options(DTYPE_BF16);
    struct staged *u = staged_new(&s, &o, 3);
    staged_exchange_twice(u);
    staged_add(u, 1, 1, memory_new(1, sizeof(uint32_t)), 0, false); // no code, no value
    staged_add_pattern(u, 0, 2, PATTERN_CLUSTERED);
    staged_add(u, 2, 2, memory_new(1, sizeof(uint32_t)), 0, false);
    staged_exchange_twice(u);
    staged_free(u);
}

// Log-probabilities of some tokens; `bytes` of them.
enum { N_IDS = 24 };
static void score(struct harness *h, float out[N_IDS]) {
    int32_t ids[N_IDS], target = 9;
    for (int i = 0; i < N_IDS; i++) ids[i] = (i * 29 + 3) % h->model->shape.vocab;
    struct harness_sequence q = {ids, N_IDS, 0, 8, 0, 0, &target, 1};
    harness_score(h, &q, out);
}

// Small steps from what is resident, so that the network stays one.
static void soften(struct staged *u) {
    for (int i = 0; i < u->n; i++) {
        const struct weight_change *c = &u->changes[i];
        for (int64_t k = 0; k < c->n_values; k++)
            staged_put_bits(u->h->dtypes[c->weight], u->image + c->values, k,
                            u->held[c->weight][u->positions[i][k]] ^ 1);
    }
}

// Steps behind an update compute what a backend computes that was given the target's weights.
static void test_steps_follow(void **state) {
    (void)state;
    for (int shape = 0; shape < HARNESS_N_SHAPES; shape++) {
        if (harness_is_emulated() && shape != 2) continue; // of odd sizes
        struct model_shape s = harness_shape(shape);
        struct harness_options o = options(DTYPE_BF16);
        struct staged *u = staged_new(&s, &o, 11);
        o.has_master = o.second_copy = false;
        struct harness *target = harness_open(&s, &o, 11);
        float before[N_IDS], after[N_IDS], want[N_IDS];
        score(u->h, before);
        for (int i = 0; i < u->h->model->n; i++)
            if (i % 3)
                staged_add_pattern(u, i, 1 << i % 3, i % 2 ? PATTERN_ALL : PATTERN_RANDOM);
            else
                staged_add_dense(u, i);
        soften(u);
        staged_stage_all(u);
        staged_expect_sums(u);
        staged_apply(u);
        for (int i = 0; i < target->model->n; i++) {
            void *values = staged_pack(u, i);
            target->backend->ops->weight_write(target->backend, i, 0, staged_n_elements(u->h, i),
                                               values);
            free(values);
        }
        score(u->h, after);
        score(target, want);
        assert_memory_equal(after, want, sizeof want);
        assert_true(memcmp(before, after, sizeof after) != 0);
        staged_apply(u);
        score(u->h, after);
        assert_memory_equal(after, before, sizeof before);
        harness_close(&target);
        staged_free(u);
    }
}

// What was written right before a check is what it sums.
static void test_written_before(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    struct harness_options o = options(DTYPE_BF16);
    struct staged *u = staged_new(&s, &o, 13);
    struct backend *b = u->h->backend;
    int64_t n = staged_n_elements(u->h, 0);
    staged_add_pattern(u, 0, 1, PATTERN_ALL);
    staged_stage_all(u);
    staged_expect_sums(u);
    if (!u->h->has_master) { // there is none to write
        char *values = staged_read(u->h, 0);
        for (int64_t i = 0; i < n; i++)
            staged_put_bits(u->h->dtypes[0], values, i, u->held[0][i] ^= 1);
        b->ops->weight_write(b, 0, 0, n, values);
        staged_expect_sums(u);
        free(values);
    }
    staged_free(u);
}

// ------------------------------------------------------------------ beside steps

struct checker {
    struct staged *u;
    atomic_bool is_over;
    int n_checks;
    bool is_wrong;
};

static void *check_on(void *arg) {
    struct checker *c = arg;
    struct staged *u = c->u;
    struct change_sums *sums = memory_new((size_t)u->n, sizeof *sums);
    struct backend *b = u->h->backend;
    struct error err = {0};
    for (int bad; !atomic_load(&c->is_over) || c->n_checks == 0; c->n_checks++) {
        uint64_t half = u->bytes / 2;
        c->is_wrong |= b->ops->stage(b, 0, half, u->image, &err) ||
                       b->ops->stage(b, half, u->bytes - half, u->image + half, &err) ||
                       staged_check(u, sums, &bad, &err);
        for (int i = 0; i < u->n; i++) {
            struct change_sums want = staged_sums_of(u, i);
            c->is_wrong |= sums[i].staged != want.staged || sums[i].resident != want.resident;
        }
    }
    free(sums);
    return NULL;
}

// Another thread stages and checks while steps run: neither sees the other.
static void test_beside_steps(void **state) {
    (void)state;
    struct model_shape s = harness_shape(1);
    struct harness_options o = options(DTYPE_BF16);
    struct staged *u = staged_new(&s, &o, 12);
    float alone[N_IDS], beside[N_IDS];
    score(u->h, alone);
    for (int i = 0; i < u->h->model->n; i++)
        if (i % 2)
            staged_add_pattern(u, i, 1, PATTERN_RANDOM);
        else
            staged_add_dense(u, i);
    struct checker c = {.u = u};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, check_on, &c), 0);
    bool is_same = true;
    for (int i = 0; i < (harness_is_emulated() ? 3 : 40); i++) {
        score(u->h, beside);
        is_same = is_same && memcmp(alone, beside, sizeof alone) == 0;
    }
    atomic_store(&c.is_over, true);
    pthread_join(thread, NULL);
    assert_true(is_same);
    assert_false(c.is_wrong);
    assert_true(c.n_checks > 0);
    staged_apply(u);
    staged_expect_weights(u);
    staged_free(u);
}

// ------------------------------------------------------------------ what is wrong

// `says`: what the sentence has in it, or NULL.
static void expect_sentence(struct staged *u, int change, const char *says) {
    struct change_sums *sums = memory_new((size_t)u->n, sizeof *sums);
    struct error err;
    int bad = -1;
    staged_stage(u, 0, u->bytes, u->image);
    assert_int_equal(staged_check(u, sums, &bad, &err), -1);
    assert_int_equal(bad, change);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_true(strlen(err.text) > 20 && err.text[strlen(err.text) - 1] == '.');
    if (says && !strstr(err.text, says)) fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    free(sums);
}

static void expect_refusal(struct staged *u, int change) {
    expect_sentence(u, change, NULL);
}

// The largest weight, whose changes have several blocks, stands between two others.
static struct staged *update_of_three(uint64_t seed, int code_bytes, enum pattern pattern) {
    struct model_shape s = harness_shape(4);
    struct harness_options o = options(DTYPE_BF16);
    struct staged *u = staged_new(&s, &o, seed);
    staged_add_pattern(u, 1, 1, PATTERN_FIRST_AND_LAST);
    staged_add_pattern(u, 0, code_bytes, pattern);
    staged_add_dense(u, 2);
    return u;
}

static void test_wrong_anchors(void **state) {
    (void)state;
    struct staged *u = update_of_three(21, 1, PATTERN_ALL);
    const struct weight_change *c = &u->changes[1];
    int64_t n = delta_n_blocks(c->n_codes);
    assert_true(n > 2);
    struct delta_anchor *anchors = (struct delta_anchor *)(void *)(u->image + c->anchors);
    static const uint64_t offsets[] = {1, UINT64_MAX, 1000, 1u << 31, 1ull << 32, 1ull << 63};
    for (int64_t b = 0; b < n; b++)
        for (size_t k = 0; k < sizeof offsets / sizeof *offsets; k++)
            for (int field = 0; field < 3; field++) {
                struct delta_anchor kept = anchors[b];
                if (field != 1) anchors[b].cursor += offsets[k];
                if (field != 0) anchors[b].n_values += offsets[k];
                expect_refusal(u, 1);
                anchors[b] = kept;
            }
    for (int64_t b = 1; b < n; b++) { // the block begins anew, or as another one
        struct delta_anchor kept = anchors[b];
        anchors[b] = (struct delta_anchor){0, 0};
        expect_refusal(u, 1);
        anchors[b] = anchors[(b + 1) % n];
        expect_refusal(u, 1);
        anchors[b] = (struct delta_anchor){0, kept.n_values};
        expect_refusal(u, 1);
        anchors[b] = (struct delta_anchor){kept.cursor, 0};
        expect_refusal(u, 1);
        anchors[b] = kept;
    }
    staged_exchange_twice(u); // as it was, nothing has changed meanwhile
    staged_free(u);
}

static void test_wrong_codes(void **state) {
    (void)state;
    for (int code_bytes = 1; code_bytes <= 4; code_bytes *= 2) {
        struct staged *u = update_of_three(22, code_bytes, PATTERN_FIRST_AND_LAST);
        const struct weight_change *c = &u->changes[1];
        int64_t last = c->n_codes - 1;
        uint32_t skip = delta_skip(code_bytes), code;
        while (delta_code(u->image + c->codes, code_bytes, last) == skip) last--;
        code = delta_code(u->image + c->codes, code_bytes, last);
        staged_put_code(u->image + c->codes, code_bytes, last, code + 1); // beyond the last element
        expect_refusal(u, 1);
        staged_put_code(u->image + c->codes, code_bytes, last, skip); // a value too few
        expect_refusal(u, 1);
        staged_put_code(u->image + c->codes, code_bytes, last, code);
        uint32_t first = delta_code(u->image + c->codes, code_bytes, 0);
        staged_put_code(u->image + c->codes, code_bytes, 0, skip - 1); // far on from the start
        expect_refusal(u, 1);
        staged_put_code(u->image + c->codes, code_bytes, 0, first);
        u->changes[1].n_values--; // a value too many
        expect_refusal(u, 1);
        u->changes[1].n_values++;
        staged_expect_sums(u);
        staged_free(u);
    }
}

// The block that is told is the one that is wrong, at its first code and at its last.
static void test_wrong_block(void **state) {
    (void)state;
    struct staged *u = update_of_three(26, 4, PATTERN_ALL);
    const struct weight_change *c = &u->changes[1];
    int64_t n = delta_n_blocks(c->n_codes);
    assert_true(n > 2);
    for (int64_t b = 0; b < n; b++)
        for (int is_last = 0; is_last < 2; is_last++) {
            int64_t end = (b + 1) * DELTA_BLOCK < c->n_codes ? (b + 1) * DELTA_BLOCK : c->n_codes;
            int64_t at = is_last ? end - 1 : b * DELTA_BLOCK;
            char says[64];
            snprintf(says, sizeof says, "block %lld goes beyond the tensor", (long long)b);
            uint32_t kept = delta_code(u->image + c->codes, 4, at);
            staged_put_code(u->image + c->codes, 4, at, 1u << 30);
            expect_sentence(u, 1, says);
            staged_put_code(u->image + c->codes, 4, at, kept);
        }
    staged_free(u);
}

// A block that is alone begins at 0 too, where its codes would fit elsewhere.
static void test_wrong_beginning(void **state) {
    (void)state;
    struct staged *u = update_of_three(27, 1, PATTERN_FIRST_AND_LAST);
    u->changes[1].n_codes = 2;
    for (int wrong = 0; wrong < 2; wrong++) {
        const struct delta_anchor anchor = {wrong == 0, wrong == 1};
        memcpy(u->image + u->changes[1].anchors, &anchor, sizeof anchor);
        staged_put_code(u->image + u->changes[1].codes, 1, 1, wrong ? delta_skip(1) : 5);
        expect_sentence(u, 1, "block 0 does not begin ");
    }
    staged_free(u);
}

// A code with a value and the one without may move the cursor alike: values are counted, too.
static void test_a_value_too_few(void **state) {
    (void)state;
    struct staged *u = update_of_three(28, 1, PATTERN_FIRST_AND_LAST);
    assert_int_equal(u->changes[1].n_values, 2);
    u->changes[1].n_codes = 2;
    memset(u->image + u->changes[1].anchors, 0, sizeof(struct delta_anchor));
    staged_put_code(u->image + u->changes[1].codes, 1, 0, delta_skip(1) - 1);
    staged_put_code(u->image + u->changes[1].codes, 1, 1, delta_skip(1));
    expect_sentence(u, 1, "block 0 does not end where");
    staged_free(u);
}

// Skips may lead to the tensor's end exactly; no value is there.
static void test_value_at_end(void **state) {
    (void)state;
    struct staged *u = update_of_three(28, 1, PATTERN_ALL);
    struct weight_change *c = &u->changes[1];
    uint32_t skip = delta_skip(1), last = (uint32_t)staged_n_elements(u->h, 0) - 1,
             first = last % skip;
    c->n_codes = last / skip + 2;
    c->n_values = 2;
    assert_true(c->n_codes > 2 && c->n_codes <= DELTA_BLOCK && first > 0);
    memset(u->image + c->codes, (int)skip, (size_t)c->n_codes);
    staged_put_code(u->image + c->codes, 1, 0, first);
    staged_put_code(u->image + c->codes, 1, c->n_codes - 1, 0);
    expect_sentence(u, 1, "block 0 goes beyond the tensor");
    staged_put_code(u->image + c->codes, 1, 0, first - 1); // and now it is the last element's
    u->positions[1][0] = first - 1;
    u->positions[1][1] = last;
    staged_stage(u, 0, u->bytes, u->image);
    staged_expect_sums(u);
    staged_free(u);
}

static void test_not_finite(void **state) {
    (void)state;
    struct staged *u = update_of_three(23, 2, PATTERN_RANDOM);
    for (int i = u->n - 1; i >= 0; i--) {
        const struct weight_change *c = &u->changes[i];
        enum dtype t = u->h->dtypes[c->weight];
        uint32_t sign = dtype_bytes(t) == 4 ? 1u << 31 : 1u << 15;
        uint32_t wrong[] = {staged_infinity(t), staged_infinity(t) | sign, staged_infinity(t) | 1,
                            sign * 2 - 1};
        int64_t at[] = {0, c->n_values / 2, c->n_values - 1};
        for (int w = 0; w < 4; w++)
            for (int k = 0; k < 3; k++) {
                uint32_t kept = staged_bits_at(t, u->image + c->values, at[k]);
                staged_put_bits(t, u->image + c->values, at[k], wrong[w]);
                expect_refusal(u, i);
                staged_put_bits(t, u->image + c->values, at[k], kept);
            }
        staged_put_bits(t, u->image + c->values, 0, staged_infinity(t));
    }
    expect_refusal(u, 0); // all three are wrong: the first is named
    staged_free(u);
}

// ------------------------------------------------------------------ flipped bits

// The positions that the codes of a change mean, read one by one; how many.
static int64_t decode(const struct staged *u, int i, uint32_t *positions) {
    const struct weight_change *c = &u->changes[i];
    uint64_t cursor = 0;
    int64_t n = 0;
    for (int64_t k = 0; k < c->n_codes; k++) {
        uint32_t code = delta_code(u->image + c->codes, c->code_bytes, k);
        bool is_skip = code == delta_skip(c->code_bytes);
        if (!is_skip && n < c->n_values) positions[n] = (uint32_t)(cursor + code);
        n += !is_skip;
        cursor += (uint64_t)code + !is_skip;
    }
    return n;
}

// One byte of the image is another: refused, or it means other positions, and the sums say so.
static bool is_caught(struct staged *u, int i, uint64_t at, uint64_t want) {
    struct change_sums sums[3];
    struct error err;
    int bad;
    staged_stage(u, at, 1, u->image + at);
    if (staged_check(u, sums, &bad, &err)) return bad == i;
    if (decode(u, i, u->positions[i]) != u->changes[i].n_values) return false;
    struct change_sums now = staged_sums_of(u, i);
    return now.staged == sums[i].staged && now.resident == sums[i].resident && now.staged != want;
}

static void flip(struct staged *u, int i, uint64_t from, uint64_t bytes, int rare) {
    uint64_t want = staged_sums_of(u, i).staged;
    for (uint64_t bit = 0; bit < 8 * bytes; bit++) {
        if (rare > 1 && reference_below(&u->random, rare)) continue;
        uint64_t at = from + bit / 8;
        u->image[at] ^= (char)(1 << bit % 8);
        bool caught = is_caught(u, i, at, want);
        if (!caught) print_message("bit %d of byte %d\n", (int)(bit % 8), (int)(at - from));
        assert_true(caught);
        u->image[at] ^= (char)(1 << bit % 8);
        staged_stage(u, at, 1, u->image + at);
        decode(u, i, u->positions[i]);
    }
}

// Every bit of the codes and the anchors of a small change, some of a large one's.
static void test_flipped_bits(void **state) {
    (void)state;
    for (int code_bytes = 1; code_bytes <= 4; code_bytes *= 2) {
        struct staged *u = update_of_three(24, code_bytes, PATTERN_ALL);
        staged_stage_all(u);
        const struct weight_change *small = &u->changes[0], *large = &u->changes[1];
        int rare = harness_is_emulated() ? 8 : 1;
        flip(u, 0, small->codes, (uint64_t)small->n_codes * (uint64_t)small->code_bytes, 1);
        flip(u, 0, small->anchors, sizeof(struct delta_anchor), rare);
        flip(u, 1, large->anchors,
             (uint64_t)delta_n_blocks(large->n_codes) * sizeof(struct delta_anchor), 8 * rare);
        flip(u, 1, large->codes, (uint64_t)large->n_codes * (uint64_t)code_bytes, 16000 * rare);
        staged_expect_sums(u);
        staged_apply(u);
        staged_expect_weights(u);
        staged_free(u);
    }
}

// Codes that are others than were meant, and right in themselves: the sums are of just the elements
// that staged_apply() then exchanges.
static void test_flipped_is_exact(void **state) {
    (void)state;
    struct staged *u = update_of_three(25, 1, PATTERN_RANDOM);
    const struct weight_change *c = &u->changes[1];
    int n_passed = 0;
    for (int turn = 0; n_passed < 10 && turn < 1000; turn++) {
        uint64_t at = c->codes + (uint64_t)reference_below(&u->random, (int)c->n_codes - 1);
        // A step longer and the next one shorter: the block ends where it should.
        unsigned char *two = (unsigned char *)u->image + at;
        if (two[1] == 0 || two[0] >= 254 || two[1] == 255) continue;
        two[0]++;
        two[1]--;
        staged_stage_all(u);
        decode(u, 1, u->positions[1]);
        staged_expect_sums(u);
        staged_apply(u);
        staged_expect_weights(u);
        n_passed++;
    }
    assert_int_equal(n_passed, 10);
    staged_free(u);
}

// ------------------------------------------------------------------ the plan

static void test_plan(void **state) {
    (void)state;
    struct model_shape s = harness_shape(0);
    struct harness_options with = {.matrices = DTYPE_BF16, .n_threads = 1, .page_tokens = 16};
    struct harness *h = harness_open(&s, &with, 1);
    struct backend_options o = {.shape = s,
                                .weight_dtypes = h->dtypes,
                                .weight_hashes = h->hashes,
                                .page_tokens = 16,
                                .max_tokens = 16,
                                .max_segments = 1,
                                .n_threads = 1};
    struct backend_plan plan;
    struct error err = {0};
    int device;
    const struct backend_ops *ops = kernels_find(harness_device(), &device, &o.path, &err);
    assert_int_equal(ops->plan(&o, &plan, &err), 0);
    assert_true(plan.bytes[MEMORY_STAGING] == 0);
    o.staging_bytes = 1 << 20;
    assert_int_equal(ops->plan(&o, &plan, &err), 0);
    assert_true(plan.bytes[MEMORY_STAGING] >= 1 << 20);
    assert_true(plan.is_host[MEMORY_STAGING] == harness_is_cpu());
    harness_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form),       cmocka_unit_test(test_updates_follow),
        cmocka_unit_test(test_many_tensors),     cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_steps_follow),     cmocka_unit_test(test_beside_steps),
        cmocka_unit_test(test_wrong_anchors),    cmocka_unit_test(test_wrong_codes),
        cmocka_unit_test(test_wrong_block),      cmocka_unit_test(test_wrong_beginning),
        cmocka_unit_test(test_a_value_too_few),  cmocka_unit_test(test_value_at_end),
        cmocka_unit_test(test_not_finite),       cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_flipped_is_exact), cmocka_unit_test(test_plan),
        cmocka_unit_test(test_written_before),   cmocka_unit_test(test_large_change),
    };
    int failed = cmocka_run_group_tests_name("floats", tests, NULL, NULL);
    blocks = DTYPE_Q4_0;
    if (harness_is_cpu()) failed += cmocka_run_group_tests_name("master", tests, NULL, NULL);
    blocks = DTYPE_F32;
    second_copy = true;
    if (harness_is_cpu()) failed += cmocka_run_group_tests_name("second copy", tests, NULL, NULL);
    return failed;
}
