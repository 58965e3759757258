// Weight updates as transactions: offers that are refused, chunks in any order, repeats and
// corruption, apply and undo, and the digest against a full rehash. A backend holds the weights;
// nothing is mocked but the trainer.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/load/checkpoint.h"
#include "kernels/digest.h"
#include "tests/kernels/harness.h"
#include "tests/weights/served.h"
#include "worker/weights/update.h"

enum { STAGING_BYTES = 64 << 20 };

// Of the matrices, beside a master; float32: there is no master.
static enum dtype blocks;
static bool second_copy;

static void open_fixture(struct served *f) {
    const struct served_options o = {.is_random = true,
                                     .staging_bytes = STAGING_BYTES,
                                     .blocks = blocks,
                                     .second_copy = second_copy};
    served_open(f, &o);
}

// A full rehash of what updates are of.
static uint64_t digest_backend(const struct served *f) {
    uint64_t sum = 0;
    for (int i = 0; i < f->names->n; i++) {
        void *values = served_read(f, i);
        sum += digest_range(f->names->hashes[i], 0, weight_n(&f->names->weights[i]), f->dtypes[i],
                            values);
        free(values);
    }
    return sum;
}

// ------------------------------------------------------------------ what a trainer offers

static float value_of(int64_t k, int weight) {
    return (float)((k * 37 + weight) % 201 - 100) / 64;
}

// All values, or those of every `stride`th position from `first` on in codes of code_bytes; they
// go into `target` too, which holds the weight.
static void add_tensor(struct offered *o, const struct served *f, int weight, int code_bytes,
                       uint32_t first, uint32_t stride, void *target) {
    enum dtype dtype = f->dtypes[weight];
    int64_t size = weight_n(&f->names->weights[weight]), n = 0;
    uint32_t *positions = memory_new((size_t)size, sizeof *positions);
    void *values = memory_new((size_t)size, 4);
    for (int64_t p = code_bytes ? first : 0; p < size; p += code_bytes ? stride : 1, n++) {
        positions[n] = (uint32_t)p;
        dtype_put(dtype, values, n, value_of(p, weight));
        dtype_put(dtype, target, p, value_of(p, weight));
    }
    if (code_bytes)
        offered_add_sparse(o, &f->resident, weight, code_bytes, positions, n, values);
    else
        offered_add_dense(o, &f->resident, weight, values);
    free(positions);
    free(values);
}

// Every weight of the model in turn: dense, sparse of each width, skipped.
struct target {
    struct served *f;
    struct offered offered;
    void **base, **values; // (weights), before and after the update
};

static void open_target(struct target *t, struct served *f, uint64_t base, uint64_t version) {
    const struct {
        int code_bytes;
        uint32_t first, stride;
    } kinds[] = {{1, 3, 7}, {0, 0, 1}, {2, 0, 300}, {4, 1, 70000}, {1, 0, 1}, {1, 600, 257}};
    size_t n = (size_t)f->names->n;
    *t = (struct target){f, .base = memory_new(n, sizeof(void *)),
                         .values = memory_new(n, sizeof(void *))};
    offered_open(&t->offered, 9, base, version);
    for (int i = 0; i < f->names->n; i++) {
        t->base[i] = served_read(f, i);
        t->values[i] = served_read(f, i);
        if (i >= OFFERED_MAX - 1) continue;
        int k = i % 7;
        uint32_t size = (uint32_t)weight_n(&f->names->weights[i]);
        if (k == 6)
            offered_add_skip(&t->offered, &f->resident, i);
        else
            add_tensor(&t->offered, f, i, kinds[k].code_bytes, kinds[k].first % size,
                       kinds[k].stride, t->values[i]);
    }
    offered_finish(&t->offered);
}

static void close_target(struct target *t) {
    for (int i = 0; i < t->f->names->n; i++) free(t->base[i]), free(t->values[i]);
    free(t->base);
    free(t->values);
    offered_free(&t->offered);
}

static void assert_held(const struct served *f, void *const *expected) {
    for (int i = 0; i < f->names->n; i++) {
        void *held = served_read(f, i);
        size_t bytes = (size_t)weight_n(&f->names->weights[i]) * dtype_bytes(f->dtypes[i]);
        assert_memory_equal(held, expected[i], bytes);
        free(held);
    }
    assert_true(served_is_packed(f));
}

static struct update_target target_of(const struct served *f, uint64_t version) {
    return (struct update_target){
        .resident = &f->resident, .version = version, .staging_bytes = STAGING_BYTES};
}

static struct update *begin(const struct served *f, const struct offered *o, uint64_t version) {
    struct update *u = NULL;
    struct error err = {0};
    char tensor[NAMES_MAX_BYTES];
    const struct update_target target = target_of(f, version);
    if (update_begin(&o->m, &target, &u, tensor, &err)) fail_msg("%s", err.text);
    return u;
}

// Pulls and answers, the last of a window first and each chunk twice, until all came or it failed.
static void transfer(struct update *u, const struct offered *o, struct backend *b) {
    struct message_weights_pull pulls[UPDATE_WINDOW];
    while (update_state(u) == UPDATE_STAGING) {
        int n = 0;
        while (n < UPDATE_WINDOW && update_next_pull(u, 0, &pulls[n])) n++;
        assert_true(n > 0);
        for (int i = n - 1; i >= 0; i--)
            for (int twice = 0; twice < 2; twice++) {
                struct message_weights_chunk chunk = offered_answer(o, &pulls[i]);
                if (update_take(u, &chunk)) update_stage(u, &chunk, b);
            }
    }
}

// ------------------------------------------------------------------ tests

static void test_apply_and_undo(void **state) {
    (void)state;
    struct served f;
    struct target t;
    struct error err = {0};
    open_fixture(&f);
    open_target(&t, &f, 4, 7);
    uint64_t before = f.resident.digest;
    assert_int_equal(before, digest_backend(&f));
    struct update *u = begin(&f, &t.offered, 4);
    assert_int_equal(update_state(u), UPDATE_STAGING);
    transfer(u, &t.offered, f.backend);
    assert_int_equal(update_state(u), UPDATE_VERIFIED);
    assert_held(&f, t.base); // staging touches nothing
    uint64_t after = before + update_digest_change(u);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(update_apply(u, &f.resident, f.backend, &err), 0);
        assert_int_equal(update_state(u), UPDATE_COMMITTED);
        assert_held(&f, t.values);
        assert_true(f.resident.digest == after && after != before);
        assert_int_equal(after, digest_backend(&f));
        if (round == 1) break;
        assert_int_equal(update_undo(u, &f.resident, f.backend, &err), 0);
        assert_int_equal(update_state(u), UPDATE_ROLLED_BACK);
        assert_held(&f, t.base);
        assert_int_equal(f.resident.digest, before);
        update_release(&u);
        u = begin(&f, &t.offered, 4); // the parts of the digest are the base's again
        transfer(u, &t.offered, f.backend);
    }
    assert_int_equal(update_base(u), 4);
    assert_int_equal(update_version(u), 7);
    uint64_t sum = 0;
    for (int i = 0; i < f.names->n; i++) sum += f.resident.tensor_digests[i];
    assert_int_equal(sum, after);
    update_release(&u);
    close_target(&t);
    served_close(&f);
}

// The stream in pieces of any length, in any order, as a directory or a communicator brings them:
// every tensor is proved, and remade beside a master, when its last byte is there.
static void test_pieces_in_any_order(void **state) {
    (void)state;
    struct reference_random random = {7};
    for (int turn = 0; turn < (harness_is_emulated() ? 2 : 12); turn++) {
        enum { MOST = 400 };
        struct served f;
        struct target t;
        struct error err = {0};
        uint64_t ends[MOST + 1], cuts[MOST];
        int n = 0, order[MOST];
        open_fixture(&f);
        open_target(&t, &f, 4, 7);
        struct update *u = begin(&f, &t.offered, 4);
        const uint64_t total = update_total_bytes(u);
        const int longest = (int)(total * 2 / (uint64_t)(2 + turn * turn));
        for (uint64_t at = 0; at < total; at = ends[n++]) {
            assert_true(n < MOST);
            cuts[n] = at;
            ends[n] = at + 1 + (uint64_t)reference_below(&random, longest);
            if (ends[n] > total || n == MOST - 1) ends[n] = total;
            order[n] = n;
        }
        for (int i = n - 1; i > 0; i--) {
            int other = reference_below(&random, i + 1), kept = order[i];
            order[i] = order[other], order[other] = kept;
        }
        for (int i = 0; i < n; i++) {
            uint64_t at = cuts[order[i]], bytes = ends[order[i]] - at;
            assert_int_equal(update_state(u), UPDATE_STAGING);
            const char *from = t.offered.stream.ptr + at;
            assert_int_equal(f.backend->ops->stage(f.backend, at, bytes, from, &err), 0);
            update_arrived(u, at, bytes, f.backend);
        }
        assert_int_equal(update_state(u), UPDATE_VERIFIED);
        assert_int_equal(update_apply(u, &f.resident, f.backend, &err), 0);
        assert_held(&f, t.values);
        assert_int_equal(f.resident.digest, digest_backend(&f));
        update_release(&u);
        close_target(&t);
        served_close(&f);
    }
}

static void test_nothing_changes_but_the_version(void **state) {
    (void)state;
    struct served f;
    struct offered o;
    struct error err = {0};
    struct message_weights_pull pull;
    open_fixture(&f);
    uint64_t before = f.resident.digest;
    offered_open(&o, 9, 4, 5);
    offered_finish(&o);
    struct update *u = begin(&f, &o, 4);
    assert_int_equal(update_state(u), UPDATE_VERIFIED);
    assert_false(update_next_pull(u, 0, &pull));
    assert_int_equal(update_digest_change(u), 0);
    assert_int_equal(update_apply(u, &f.resident, f.backend, &err), 0);
    assert_int_equal(f.resident.digest, before);
    assert_int_equal(digest_backend(&f), before);
    update_release(&u);
    offered_free(&o);
    served_close(&f);
}

// Each offer is good but for one thing, which the sentence must name.
static void test_wrong_offers_are_refused(void **state) {
    (void)state;
    struct served f;
    open_fixture(&f);
    const char *const words[] = {"version 4",    "only rise",          "--staging-memory",
                                 "none of this", "comes with shape [", "resident as",
                                 "twice",        "were announced"};
    for (int i = 0; i < 8; i++) {
        struct target t;
        struct error err = {0};
        struct update *u = NULL;
        char tensor[NAMES_MAX_BYTES];
        open_target(&t, &f, 4, 7);
        struct offered *o = &t.offered;
        struct update_target target = target_of(&f, 4);
        if (i == 0) o->m.base = 3;
        if (i == 1) o->m.version = 4;
        if (i == 2) target.staging_bytes = o->m.total_bytes - 1;
        if (i == 3) o->names.bytes.ptr[8] ^= 1;
        if (i == 4) o->shapes[0]++;
        if (i == 5) o->dtypes[1] = COLUMN_F16;
        if (i == 6) {
            add_tensor(o, &f, 0, 1, 0, 9, t.values[0]);
            offered_finish(o);
        }
        if (i == 7) o->m.total_bytes -= 64;
        assert_int_equal(update_begin(&o->m, &target, &u, tensor, &err), -1);
        assert_null(u);
        assert_non_null(strstr(err.text, words[i]));
        assert_true((i >= 3 && i <= 6) == (tensor[0] != 0));
        close_target(&t);
    }
    served_close(&f);
}

// What is held as a block type no update can bring, whatever type it comes as.
static void test_block_types_are_refused(void **state) {
    (void)state;
    struct served f;
    struct target t;
    open_fixture(&f);
    open_target(&t, &f, 4, 7);
    struct offered *o = &t.offered;
    struct update_target target = target_of(&f, 4);
    enum dtype *packed = memory_new((size_t)f.names->n, sizeof *packed);
    struct resident resident = *target.resident;
    checkpoint_synthetic_dtypes(f.names, DTYPE_Q8_0, packed);
    resident.dtypes = packed;
    target.resident = &resident;
    for (int dtype = COLUMN_BF16; dtype <= COLUMN_Q8_0; dtype++) {
        struct error err = {0};
        struct update *u = NULL;
        char tensor[NAMES_MAX_BYTES];
        o->dtypes[0] = (uint8_t)dtype;
        assert_int_equal(update_begin(&o->m, &target, &u, tensor, &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_string_equal(tensor, "model.embed_tokens.weight");
        assert_non_null(strstr(err.text, "resident as q8_0, which updates cannot write"));
    }
    free(packed);
    close_target(&t);
    served_close(&f);
}

// One bit of the stream is flipped: whatever it meant, the update fails and names the tensor, or
// its values are the ones that were offered.
static void test_flipped_bits_lose_the_update(void **state) {
    (void)state;
    struct served f;
    struct target t;
    open_fixture(&f);
    open_target(&t, &f, 4, 7);
    struct offered *o = &t.offered;
    int n_lost = 0, n_differing = 0, n_trials = harness_is_emulated() ? 20 : 400;
    for (int i = 0; i < n_trials; i++) {
        struct error err = {0};
        char tensor[NAMES_MAX_BYTES], expected[NAMES_MAX_BYTES];
        size_t at = (size_t)i * 2654435761u % o->stream.len;
        char bit = (char)(1 << i % 8);
        int k = 0;
        while (k + 1 < o->n && o->begins[k + 1] <= at) k++;
        struct update *u = begin(&f, o, 4);
        o->stream.ptr[at] ^= bit;
        transfer(u, o, f.backend);
        o->stream.ptr[at] ^= bit;
        if (update_state(u) == UPDATE_FAILED) {
            n_lost++;
            n_differing += update_failure(u, tensor, &err);
            names_write(&f.names->weights[o->weights[k]], expected);
            assert_string_equal(tensor, expected);
            assert_non_null(strstr(err.text, expected));
        } else { // of what lies between the parts
            assert_int_equal(update_apply(u, &f.resident, f.backend, &err), 0);
            assert_held(&f, t.values);
            assert_int_equal(update_undo(u, &f.resident, f.backend, &err), 0);
        }
        update_release(&u);
    }
    assert_true(n_lost > n_trials * 9 / 10);
    assert_in_range(n_differing, 1, n_lost - 1); // others break the rules of codes and values
    assert_held(&f, t.base);
    close_target(&t);
    served_close(&f);
}

// A value that is not finite, with a check value that fits; and a chunk that is too short.
static void test_wrong_values_lose_the_update(void **state) {
    (void)state;
    struct served f;
    open_fixture(&f);
    for (int i = 0; i < 2; i++) {
        struct offered o;
        struct error err = {0};
        char tensor[NAMES_MAX_BYTES], expected[NAMES_MAX_BYTES];
        void *values = served_read(&f, 4);
        struct message_weights_pull pull;
        offered_open(&o, 9, 4, 7);
        dtype_put(f.dtypes[4], values, 5, i == 0 ? (float)(1e300 * 1e300) : 1);
        offered_add_dense(&o, &f.resident, 4, values);
        offered_finish(&o);
        struct update *u = begin(&f, &o, 4);
        assert_true(update_next_pull(u, 0, &pull));
        struct message_weights_chunk chunk = offered_answer(&o, &pull);
        chunk.data.n -= (uint64_t)i;
        assert_int_equal(update_take(u, &chunk), i == 0);
        if (i == 0) update_stage(u, &chunk, f.backend);
        assert_int_equal(update_state(u), UPDATE_FAILED);
        assert_false(update_failure(u, tensor, &err));
        names_write(&f.names->weights[4], expected);
        assert_string_equal(tensor, i == 0 ? expected : "");
        assert_non_null(strstr(err.text, i == 0 ? "not finite" : "were asked for"));
        update_release(&u);
        offered_free(&o);
        free(values);
    }
    served_close(&f);
}

static void test_lost_chunks_are_asked_for_again(void **state) {
    (void)state;
    struct served f;
    struct target t;
    struct message_weights_pull first, pull;
    open_fixture(&f);
    open_target(&t, &f, 0, 1);
    struct update *u = begin(&f, &t.offered, 0);
    assert_true(update_next_pull(u, 1000, &first));
    int n = 1;
    while (update_next_pull(u, 1000, &pull)) n++;
    assert_true(n <= UPDATE_WINDOW);
    assert_false(update_next_pull(u, 1000 + UPDATE_PULL_TIMEOUT_MS - 1, &pull));
    assert_true(update_next_pull(u, 1000 + UPDATE_PULL_TIMEOUT_MS, &pull));
    assert_int_equal(pull.offset, first.offset);
    update_release(&u);
    close_target(&t);
    served_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply_and_undo),
        cmocka_unit_test(test_pieces_in_any_order),
        cmocka_unit_test(test_nothing_changes_but_the_version),
        cmocka_unit_test(test_wrong_offers_are_refused),
        cmocka_unit_test(test_block_types_are_refused),
        cmocka_unit_test(test_flipped_bits_lose_the_update),
        cmocka_unit_test(test_wrong_values_lose_the_update),
        cmocka_unit_test(test_lost_chunks_are_asked_for_again),
    };
    int failed = cmocka_run_group_tests_name("floats", tests, NULL, NULL);
    static const enum dtype masters[] = {DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K};
    for (int i = 0; i < 3 && harness_is_cpu(); i++) {
        blocks = masters[i];
        failed += cmocka_run_group_tests_name(dtype_name(blocks), tests, NULL, NULL);
    }
    blocks = DTYPE_F32;
    second_copy = true;
    if (harness_is_cpu()) failed += cmocka_run_group_tests_name("second copy", tests, NULL, NULL);
    return failed;
}
