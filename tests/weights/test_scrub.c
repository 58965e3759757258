// Damage of resident weights: every bit that flips is found within a pass and by its tensor's name,
// whatever the type; updates in between raise no alarm and starve no tensor.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/backend.h"
#include "tests/kernels/harness.h"
#include "tests/weights/offered.h"
#include "tests/weights/served.h"
#include "worker/load/checkpoint.h"
#include "worker/load/config.h"
#include "worker/weights/scrub.h"
#include "worker/weights/update.h"

enum { INTERVAL_S = 100, STAGING_BYTES = 16 << 20, BLOCK = 256 };

struct fixture {
    struct model_config config;
    struct names *names;
    enum dtype *dtypes;
    struct backend *backend;
    struct resident resident;
    struct scrub *scrub;
    int64_t now_ms;
};

static void open_fixture(struct fixture *f, int type) {
    struct error err = {0};
    int device;
    const char *path;
    const struct backend_ops *ops = kernels_find(harness_device(), &device, &path, &err);
    assert_int_equal(config_synthetic("tiny", &f->config, &err), 0);
    f->names = names_new(&f->config.shape);
    f->dtypes = memory_new((size_t)f->names->n, sizeof *f->dtypes);
    checkpoint_synthetic_dtypes(f->names, type, f->dtypes);
    const struct backend_options o = {.shape = f->config.shape,
                                      .weight_dtypes = f->dtypes,
                                      .weight_hashes = f->names->hashes,
                                      .device = device,
                                      .path = path,
                                      .staging_bytes = STAGING_BYTES,
                                      .n_threads = 2,
                                      .page_tokens = 16,
                                      .n_pages = 1,
                                      .n_conv_slots = 1,
                                      .max_segments = 1,
                                      .max_tokens = 1,
                                      .max_outputs = 1};
    assert_int_equal(ops->open(&o, &f->backend, &err), 0);
    const struct checkpoint_random random = {f->names, f->dtypes, 1};
    const struct weight_source source = checkpoint_random_source(&random);
    uint64_t *digests = memory_new((size_t)f->names->n, sizeof *digests);
    assert_int_equal(ops->load(f->backend, &source, digests, &err), 0);
    resident_open(&f->resident, f->names, f->dtypes, digests);
    f->now_ms = 1000;
    f->scrub = scrub_open(&f->resident, f->backend, INTERVAL_S, f->now_ms);
}

static void close_fixture(struct fixture *f) {
    scrub_free(&f->scrub);
    resident_close(&f->resident);
    f->backend->ops->close(&f->backend);
    names_free(&f->names);
    free(f->dtypes);
}

static int turn(struct fixture *f, int64_t ms, struct scrub_damage *damage, struct error *err) {
    f->now_ms += ms;
    return scrub_turn(f->scrub, f->now_ms, damage, err);
}

static void pass_quietly(struct fixture *f, int n_turns, int64_t ms) {
    struct scrub_damage damage;
    struct error err = {0};
    for (int i = 0; i < n_turns; i++) {
        if (turn(f, ms, &damage, &err)) fail_msg("%s", err.text);
        assert_int_equal(damage.tensor[0], 0);
    }
}

// Flips a bit of the block in which the element lies.
static void flip(const struct fixture *f, int weight, int64_t element, int bit) {
    struct error err = {0};
    char values[BLOCK * 4];
    int64_t size = weight_n(&f->names->weights[weight]), first = element / BLOCK * BLOCK;
    int64_t n = size - first < BLOCK ? size - first : BLOCK;
    const struct backend_ops *ops = f->backend->ops;
    assert_int_equal(ops->weight_read(f->backend, weight, first, n, values, &err), 0);
    values[bit / 8] = (char)(values[bit / 8] ^ 1 << bit % 8);
    ops->weight_write(f->backend, weight, first, n, values);
}

// The types of the device that is tested: the CPU's has blocks.
static int types(const int **out) {
    static const int all[] = {CHECKPOINT_AS_IS, DTYPE_F32, DTYPE_F16, DTYPE_Q8_0, DTYPE_Q4_K};
    *out = all;
    return strcmp(harness_device(), "cpu") == 0 ? 5 : 1;
}

static void test_whole_weights_pass(void **state) {
    const int *type;
    (void)state;
    for (int i = 0, n = types(&type); i < n; i++) {
        struct fixture f;
        open_fixture(&f, type[i]);
        pass_quietly(&f, 99, 1000 * INTERVAL_S / 100);
        assert_int_equal(scrub_n_passes(f.scrub), 0);
        pass_quietly(&f, 103, 1000 * INTERVAL_S / 100);
        assert_int_equal(scrub_n_passes(f.scrub), 2);
        close_fixture(&f);
    }
}

// Parts of any cut add up, and the backend sums up what it holds.
static void test_parts(void **state) {
    struct fixture f;
    struct error err = {0};
    const int *type;
    (void)state;
    for (int k = 0, n = types(&type); k < n; k++) {
        open_fixture(&f, type[k]);
        for (int i = 0; i < f.names->n; i++) {
            int64_t size = weight_n(&f.names->weights[i]), cut = size / 3 / BLOCK * BLOCK;
            uint64_t sums[2] = {0};
            const struct backend_ops *ops = f.backend->ops;
            assert_int_equal(ops->weight_digest(f.backend, i, 0, cut, &sums[0], &err), 0);
            assert_int_equal(ops->weight_digest(f.backend, i, cut, size - cut, &sums[1], &err), 0);
            assert_true(sums[0] + sums[1] == f.resident.tensor_digests[i]);
        }
        close_fixture(&f);
    }
}

static void test_a_flipped_bit_is_found(void **state) {
    const int *type;
    (void)state;
    for (int k = 0, n = types(&type); k < n; k++) {
        struct fixture f;
        open_fixture(&f, type[k]);
        pass_quietly(&f, 100, 1000 * INTERVAL_S / 100); // and a bit of the next pass
        int step = harness_is_emulated() ? 7 : 1;
        for (int i = 0; i < f.names->n; i += step) {
            struct scrub_damage damage = {0};
            struct error err = {0};
            char name[NAMES_MAX_BYTES];
            int64_t size = weight_n(&f.names->weights[i]);
            int64_t element = (int64_t)((uint64_t)i * 2654435761u % (uint64_t)size);
            int turns = 0, failed = 0;
            flip(&f, i, element, i * 7 % 16);
            int64_t flipped_ms = f.now_ms;
            while (!failed && turns++ < 105) failed = turn(&f, 10 * INTERVAL_S, &damage, &err);
            assert_int_equal(failed, -1);
            assert_int_equal(err.code, ERROR_INTERNAL);
            names_write(&f.names->weights[i], name);
            assert_string_equal(damage.tensor, name);
            assert_non_null(strstr(err.text, name));
            assert_true(damage.good_ms <= flipped_ms);
            assert_true(flipped_ms - damage.good_ms <= 1020 * INTERVAL_S);
            flip(&f, i, element, i * 7 % 16);
            scrub_free(&f.scrub);
            f.scrub = scrub_open(&f.resident, f.backend, INTERVAL_S, f.now_ms);
        }
        close_fixture(&f);
    }
}

// A norm of bf16 is resident as float32: a bit counts that bf16 does not have.
static void test_bits_below_the_type(void **state) {
    (void)state;
    if (strcmp(harness_device(), "cpu") != 0) skip(); // the device's: tests/cudasim/kernels
    for (int bit = 0; bit < 32; bit++) {
        struct fixture f;
        struct scrub_damage damage = {0};
        struct error err = {0};
        int i = 0, failed = 0;
        open_fixture(&f, DTYPE_BF16);
        const struct weights *w = &((struct cpu *)f.backend)->weights;
        while (w->slots[i].layout == WEIGHT_PACKED || f.dtypes[i] != DTYPE_BF16) i++;
        ((uint32_t *)w->slots[i].data)[w->slots[i].rows - 1] ^= (uint32_t)1 << bit;
        for (int t = 0; t < 105 && !failed; t++) failed = turn(&f, 10 * INTERVAL_S, &damage, &err);
        assert_int_equal(failed, -1);
        close_fixture(&f);
    }
}

// An update of two values of every tensor.
static struct update *stage_into(const struct resident *r, struct backend *b, struct offered *o,
                                 uint64_t version) {
    struct update *u = NULL;
    struct error err = {0};
    struct message_weights_pull pull;
    char tensor[NAMES_MAX_BYTES];
    const struct update_target target = {
        .resident = r, .version = version, .staging_bytes = STAGING_BYTES};
    offered_open(o, version + 1, version, version + 1);
    for (int i = 0; i < r->names->n && i < OFFERED_MAX - 1; i++) {
        // The first was summed up already where the scrub stands inside of the tensor.
        const uint32_t positions[] = {0, (uint32_t)(weight_n(&r->names->weights[i]) - 1)};
        char values[8];
        for (int k = 0; k < 2; k++)
            dtype_put(r->dtypes[i], values, k, (float)((version + (uint64_t)k) % 9) / 8);
        offered_add_sparse(o, r, i, 4, positions, 2, values);
    }
    offered_finish(o);
    if (update_begin(&o->m, &target, &u, tensor, &err)) fail_msg("%s", err.text);
    while (update_next_pull(u, 0, &pull)) {
        struct message_weights_chunk chunk = offered_answer(o, &pull);
        assert_true(update_take(u, &chunk));
        update_stage(u, &chunk, b);
    }
    assert_int_equal(update_state(u), UPDATE_VERIFIED);
    return u;
}

// ------------------------------------------------------------------ what updates have made

static void open_served(struct served *s, enum dtype blocks) {
    const struct served_options o = {.is_random = true,
                                     .staging_bytes = STAGING_BYTES,
                                     .blocks = blocks,
                                     .second_copy = !dtype_is_block(blocks)};
    served_open(s, &o);
}

// Summed up to the end of a pass and a little of the next. The damaged tensor's name, "" for none.
static const char *damaged(const struct served *s, struct scrub_damage *damage) {
    struct error err = {0};
    struct scrub *scrub = scrub_open(&s->resident, s->backend, INTERVAL_S, 0);
    int failed = 0;
    for (int i = 1; i < 105 && !failed; i++)
        failed = scrub_turn(scrub, i * 10 * INTERVAL_S, damage, &err);
    assert_int_equal(failed, damage->tensor[0] ? -1 : 0);
    scrub_free(&scrub);
    return damage->tensor;
}

static void flip_bit(void *bytes, uint64_t bit) {
    ((uint8_t *)bytes)[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

// A bit of the master, which updates are of, or of the blocks, which every step reads.
static void expect_found(struct served *s, int weight, bool is_master, uint64_t bit) {
    struct cpu *c = (struct cpu *)s->backend;
    const struct weight_slot *slot =
        is_master ? &c->master.slots[weight] : &c->weights.slots[weight];
    const size_t n = (size_t)slot->rows * (size_t)slot->columns;
    const size_t bytes = slot->layout == WEIGHT_VECTOR ? n * 4 : type_size(slot->dtype, (int64_t)n);
    struct scrub_damage damage;
    char name[NAMES_MAX_BYTES];
    names_write(&s->names->weights[weight], name);
    flip_bit(slot->data, bit % (8 * bytes));
    assert_string_equal(damaged(s, &damage), name);
    flip_bit(slot->data, bit % (8 * bytes));
}

static void test_blocks_beside_a_master(void **state) {
    static const enum dtype types[] = {DTYPE_Q8_0, DTYPE_Q4_K};
    (void)state;
    if (strcmp(harness_device(), "cpu") != 0) skip(); // others have no master
    for (int k = 0; k < 2; k++) {
        struct served s;
        struct scrub_damage damage;
        open_served(&s, types[k]);
        for (int i = 0; i < s.names->n; i += 3) {
            expect_found(&s, i, true, (uint64_t)(i + 1) * 2654435761u);
            expect_found(&s, i, false, (uint64_t)(i + 1) * 2654435761u);
        }
        assert_string_equal(damaged(&s, &damage), "");
        served_close(&s);
    }
}

// What an update made anew is watched over as what was loaded, and so is what taking it back
// brings back; blocks beside a master, and floats in a second copy.
static void expect_watch(enum dtype blocks) {
    struct served s;
    struct offered o;
    struct error err = {0};
    struct scrub_damage damage;
    open_served(&s, blocks);
    struct update *u = stage_into(&s.resident, s.backend, &o, 0);
    for (int turn = 0; turn < 2; turn++) {
        int failed = turn ? update_undo(u, &s.resident, s.backend, &err)
                          : update_apply(u, &s.resident, s.backend, &err);
        assert_int_equal(failed, 0);
        assert_string_equal(damaged(&s, &damage), "");
        expect_found(&s, turn, false, 12345);
        assert_true(served_is_packed(&s));
    }
    update_release(&u);
    offered_free(&o);
    served_close(&s);
}

static void test_what_was_made_anew(void **state) {
    (void)state;
    if (strcmp(harness_device(), "cpu") != 0) skip();
    expect_watch(DTYPE_Q4_K);
    expect_watch(DTYPE_F32);
}

// ------------------------------------------------------------------ updates in between

// Applies an update, or takes it back.
static void exchange(struct fixture *f, struct update *u, bool is_undo) {
    struct error err = {0};
    int failed = is_undo ? update_undo(u, &f->resident, f->backend, &err)
                         : update_apply(u, &f->resident, f->backend, &err);
    if (failed) fail_msg("%s", err.text);
    scrub_restart(f->scrub);
}

// Updates, and updates that are taken back, in the middle of every tensor: the largest one takes
// longer than from one to the next, and is gone through nevertheless.
static void test_updates_in_between(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f, CHECKPOINT_AS_IS);
    uint64_t version = 0;
    for (int i = 0; i < 200 && scrub_n_passes(f.scrub) < 2; i++) {
        struct offered o;
        struct update *u = stage_into(&f.resident, f.backend, &o, version);
        pass_quietly(&f, 3, 1000);
        exchange(&f, u, false);
        pass_quietly(&f, 3, 1000);
        if (i % 2)
            exchange(&f, u, true);
        else
            version++;
        update_release(&u);
        offered_free(&o);
    }
    assert_int_equal(scrub_n_passes(f.scrub), 2);
    close_fixture(&f);
}

// A backend that counts what is asked of it.
static int64_t n_summed;
static int count(struct backend *b, int index, int64_t first, int64_t n, uint64_t *sum,
                 struct error *err) {
    (void)b, (void)index, (void)first, (void)err;
    n_summed += n;
    *sum = 0;
    return 0;
}

// A turn that comes late sums up no more than its share of a large model.
static void test_no_turn_is_long(void **state) {
    (void)state;
    struct fixture f;
    struct scrub_damage damage;
    struct error err = {0};
    open_fixture(&f, CHECKPOINT_AS_IS);
    const struct backend_ops *ops = f.backend->ops;
    struct backend_ops counting = *ops;
    counting.weight_digest = count;
    memset(f.resident.tensor_digests, 0, (size_t)f.names->n * sizeof(uint64_t));
    f.backend->ops = &counting;
    assert_int_equal(turn(&f, 3600 * 1000 * (int64_t)INTERVAL_S, &damage, &err), 0);
    assert_in_range(n_summed, SCRUB_MOST - SCRUB_PIECE, SCRUB_MOST);
    n_summed = 0;
    assert_int_equal(turn(&f, 0, &damage, &err), 0);
    assert_int_equal(n_summed, 0);
    f.backend->ops = ops;
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_weights_pass),     cmocka_unit_test(test_parts),
        cmocka_unit_test(test_a_flipped_bit_is_found), cmocka_unit_test(test_bits_below_the_type),
        cmocka_unit_test(test_updates_in_between),     cmocka_unit_test(test_no_turn_is_long),
        cmocka_unit_test(test_blocks_beside_a_master), cmocka_unit_test(test_what_was_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
