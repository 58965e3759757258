// Weight updates as transactions: offers that are refused, chunks in any order, repeats and
// corruption, and the digest after an apply against a full rehash. The CPU backend holds the
// weights; nothing is mocked but the trainer.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/hash.h"
#include "worker/load/checkpoint.h"
#include "worker/load/config.h"
#include "kernels/digest.h"
#include "tests/kernels/harness.h"
#include "worker/weights/update.h"

struct fixture {
    struct model_config config;
    struct names *names;
    enum dtype *dtypes;
    struct backend *backend;
    struct resident resident;
};

static void open_fixture(struct fixture *f) {
    struct error err = {0};
    int device;
    const char *path;
    const struct backend_ops *ops = kernels_find(harness_device(), &device, &path, &err);
    assert_int_equal(config_synthetic("tiny", &f->config, &err), 0);
    f->names = names_new(&f->config.shape);
    f->dtypes = memory_new((size_t)f->names->n, sizeof *f->dtypes);
    checkpoint_synthetic_dtypes(f->names, CHECKPOINT_AS_IS, f->dtypes);
    const struct backend_options o = {.shape = f->config.shape,
                                      .weight_dtypes = f->dtypes,
                                      .weight_hashes = f->names->hashes,
                                      .device = device,
                                      .path = path,
                                      .n_threads = 1,
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
}

// A full rehash of what the backend holds.
static uint64_t digest_backend(const struct fixture *f) {
    uint64_t sum = 0;
    struct error err = {0};
    for (int i = 0; i < f->names->n; i++) {
        int64_t n = weight_n(&f->names->weights[i]);
        void *values = memory_new((size_t)n, 4);
        assert_int_equal(f->backend->ops->weight_read(f->backend, i, 0, n, values, &err), 0);
        sum += digest_range(f->names->hashes[i], 0, n, f->dtypes[i], values);
        free(values);
    }
    return sum;
}

static void close_fixture(struct fixture *f) {
    resident_close(&f->resident);
    f->backend->ops->close(&f->backend);
    names_free(&f->names);
    free(f->dtypes);
}

// An offer of some weights with values of our own.
enum { N_TENSORS = 3 };
struct offer {
    struct message_weights_begin m;
    struct column_texts names;
    uint8_t dtypes[N_TENSORS], ranks[N_TENSORS], modes[N_TENSORS];
    int64_t shapes[4 * N_TENSORS];
    uint64_t bytes[N_TENSORS], hashes[N_TENSORS];
    char *values[N_TENSORS];
};

static void fill_values(struct offer *o, int i, enum dtype dtype, int64_t n) {
    o->values[i] = memory_new(o->bytes[i], 1);
    for (int64_t k = 0; k < n; k++)
        dtype_put(dtype, o->values[i], k, (float)((k * 37 + i) % 201 - 100) / 64);
    o->hashes[i] = hash_bytes(o->values[i], o->bytes[i]);
}

static void make_offer(struct offer *o, const struct fixture *f, uint64_t base, uint64_t version) {
    const int chosen[N_TENSORS] = {0, 4, f->names->n - 1}; // embedding, a layer's, final norm
    *o = (struct offer){.m = {.update = 9, .base = base, .version = version}};
    for (int i = 0; i < N_TENSORS; i++) {
        const struct weight *w = &f->names->weights[chosen[i]];
        enum dtype dtype = f->dtypes[chosen[i]];
        char name[NAMES_MAX_BYTES];
        names_write(w, name);
        column_texts_add(&o->names, slice_of(name));
        o->dtypes[i] = dtype == DTYPE_F32 ? COLUMN_F32 : COLUMN_BF16;
        o->ranks[i] = (uint8_t)w->n_dims;
        for (int d = 0; d < w->n_dims; d++) o->shapes[4 * i + d] = w->dims[d];
        o->modes[i] = TENSOR_DENSE;
        o->bytes[i] = (uint64_t)weight_n(w) * dtype_bytes(dtype);
        o->m.total_bytes += o->bytes[i];
        fill_values(o, i, dtype, weight_n(w));
    }
    o->m.names = column_texts_bytes(&o->names);
    o->m.name_offsets = column_texts_offsets(&o->names);
    o->m.dtypes = column_of(COLUMN_U8, o->dtypes, N_TENSORS);
    o->m.ranks = column_of(COLUMN_U8, o->ranks, N_TENSORS);
    o->m.shapes = column_of(COLUMN_I64, o->shapes, 4 * N_TENSORS);
    o->m.modes = column_of(COLUMN_U8, o->modes, N_TENSORS);
    o->m.bytes = column_of(COLUMN_U64, o->bytes, N_TENSORS);
    o->m.hashes = column_of(COLUMN_U64, o->hashes, N_TENSORS);
}

static void free_offer(struct offer *o) {
    column_texts_free(&o->names);
    for (int i = 0; i < N_TENSORS; i++) free(o->values[i]);
}

static struct update_target target_of(const struct fixture *f, uint64_t version) {
    return (struct update_target){
        .names = f->names, .dtypes = f->dtypes, .version = version, .staging_bytes = 1u << 30};
}

static struct message_weights_chunk answer(const struct offer *o,
                                           const struct message_weights_pull *p) {
    return (struct message_weights_chunk){
        .update = p->update,
        .tensor = p->tensor,
        .offset = p->offset,
        .data = column_of(COLUMN_U8, o->values[p->tensor] + p->offset, p->n_bytes)};
}

// Pulls and answers in a shuffled order, each chunk twice. Returns update_chunk's failure.
static int transfer(struct update *u, const struct offer *o, char tensor[NAMES_MAX_BYTES],
                    struct error *err) {
    struct message_weights_pull pulls[UPDATE_WINDOW];
    int64_t now = 0;
    for (int round = 0; round < 100000 && !update_is_staged(u); round++) {
        int n = 0;
        while (n < UPDATE_WINDOW && update_next_pull(u, now, &pulls[n])) n++;
        assert_true(n > 0);
        for (int i = n - 1; i >= 0; i--)
            for (int twice = 0; twice < 2; twice++) {
                struct message_weights_chunk chunk = answer(o, &pulls[i]);
                if (update_chunk(u, &chunk, tensor, err)) return -1;
            }
    }
    return 0;
}

static void test_apply_gives_the_values_and_the_digest(void **state) {
    (void)state;
    struct fixture f;
    struct offer o;
    struct error err = {0};
    struct update *u = NULL;
    char tensor[NAMES_MAX_BYTES];
    open_fixture(&f);
    uint64_t before = f.resident.digest;
    assert_int_equal(before, digest_backend(&f));
    make_offer(&o, &f, 4, 7);
    const struct update_target target = target_of(&f, 4);
    assert_int_equal(update_begin(&o.m, &target, &u, tensor, &err), 0);
    assert_false(update_is_staged(u));
    assert_int_equal(transfer(u, &o, tensor, &err), 0);
    assert_int_equal(f.resident.digest, before); // staging touches nothing
    assert_int_equal(digest_backend(&f), before);
    update_apply(u, &f.resident, f.backend);
    assert_true(f.resident.digest != before);
    assert_int_equal(f.resident.digest, digest_backend(&f));
    char *read = memory_new(o.bytes[0], 1);
    int64_t n = weight_n(&f.names->weights[0]);
    assert_int_equal(f.backend->ops->weight_read(f.backend, 0, 0, n, read, &err), 0);
    assert_memory_equal(read, o.values[0], o.bytes[0]);
    uint64_t after = f.resident.digest; // absolute values: an apply can be repeated
    update_apply(u, &f.resident, f.backend);
    assert_int_equal(f.resident.digest, after);
    assert_int_equal(update_version(u), 7);
    free(read);
    update_free(&u);
    free_offer(&o);
    close_fixture(&f);
}

// Each offer is good but for one thing, which the sentence must name.
static void test_wrong_offers_are_refused(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    const char *const words[] = {
        "version 4",          "only rise",   "--staging-memory", "none of this",
        "comes with shape [", "resident as", "bytes; expected",  "twice",
        "were announced"};
    for (int i = 0; i < 9; i++) {
        struct offer o;
        struct error err = {0};
        struct update *u = NULL;
        char tensor[NAMES_MAX_BYTES];
        make_offer(&o, &f, 4, 7);
        struct update_target target = target_of(&f, 4);
        if (i == 0) o.m.base = 3;
        if (i == 1) o.m.version = 4;
        if (i == 2) target.staging_bytes = o.m.total_bytes - 1;
        if (i == 3) o.names.bytes.ptr[8] ^= 1;
        if (i == 4) o.shapes[0]++;
        if (i == 5) o.dtypes[1] = COLUMN_F16;
        if (i == 6) o.bytes[1] += 2, o.m.total_bytes += 2;
        if (i == 7) { // the second tensor becomes the first again
            column_texts_free(&o.names);
            for (int k = 0; k < 3; k++)
                column_texts_add(&o.names, slice_of("model.embed_tokens.weight"));
            o.m.names = column_texts_bytes(&o.names);
            o.m.name_offsets = column_texts_offsets(&o.names);
            for (int k = 1; k < 3; k++) {
                memcpy(o.shapes + 4 * k, o.shapes, 4 * sizeof *o.shapes);
                o.ranks[k] = o.ranks[0], o.dtypes[k] = o.dtypes[0], o.bytes[k] = o.bytes[0];
            }
        }
        if (i == 8) o.m.total_bytes -= 2;
        assert_int_equal(update_begin(&o.m, &target, &u, tensor, &err), -1);
        assert_null(u);
        assert_non_null(strstr(err.text, words[i]));
        assert_true((i >= 3 && i <= 7) == (tensor[0] != 0));
        free_offer(&o);
    }
    close_fixture(&f);
}

// What is held as a block type no update can bring, whatever type it comes as.
static void test_block_types_are_refused(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct offer o;
    make_offer(&o, &f, 4, 7);
    checkpoint_resident_all(f.names, DTYPE_Q4_0, f.dtypes);
    assert_int_equal(f.dtypes[0], DTYPE_Q8_0); // rows of 128 are no blocks of Q6_K
    struct update_target target = target_of(&f, 4);
    for (int dtype = COLUMN_BF16; dtype <= COLUMN_Q8_0; dtype++) {
        struct error err = {0};
        struct update *u = NULL;
        char tensor[NAMES_MAX_BYTES];
        o.dtypes[0] = (uint8_t)dtype;
        assert_int_equal(update_begin(&o.m, &target, &u, tensor, &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_string_equal(tensor, "model.embed_tokens.weight");
        assert_non_null(strstr(err.text, "resident as q8_0, which updates cannot write"));
    }
    free_offer(&o);
    checkpoint_synthetic_dtypes(f.names, CHECKPOINT_AS_IS, f.dtypes);
    close_fixture(&f);
}

// Byte flips, a short chunk and a value that is not finite lose the update and name the tensor.
static void test_corruption_loses_the_update(void **state) {
    (void)state;
    struct fixture f;
    open_fixture(&f);
    uint64_t before = f.resident.digest;
    for (int i = 0; i < 3; i++) {
        struct offer o;
        struct error err = {0};
        struct update *u = NULL;
        char tensor[NAMES_MAX_BYTES];
        make_offer(&o, &f, 4, 7);
        const struct update_target target = target_of(&f, 4);
        if (i == 1) {
            uint16_t nan = 0x7fc0;
            memcpy(o.values[1] + 10, &nan, 2);
            o.hashes[1] = hash_bytes(o.values[1], o.bytes[1]);
        }
        assert_int_equal(update_begin(&o.m, &target, &u, tensor, &err), 0);
        if (i == 0) o.values[1][o.bytes[1] - 1] ^= 4;
        if (i == 2) {
            struct message_weights_pull pull;
            assert_true(update_next_pull(u, 0, &pull));
            struct message_weights_chunk chunk = answer(&o, &pull);
            chunk.data.n--;
            assert_int_equal(update_chunk(u, &chunk, tensor, &err), -1);
        } else {
            assert_int_equal(transfer(u, &o, tensor, &err), -1);
            char want[NAMES_MAX_BYTES];
            names_write(&f.names->weights[4], want);
            assert_string_equal(tensor, want);
        }
        assert_non_null(strstr(err.text, i == 0   ? "checksum"
                                         : i == 1 ? "not finite"
                                                  : "were asked for"));
        assert_false(update_is_staged(u));
        update_free(&u);
        free_offer(&o);
    }
    assert_int_equal(digest_backend(&f), before);
    close_fixture(&f);
}

static void test_lost_chunks_are_asked_for_again(void **state) {
    (void)state;
    struct fixture f;
    struct offer o;
    struct error err = {0};
    struct update *u = NULL;
    char tensor[NAMES_MAX_BYTES];
    struct message_weights_pull first, pull;
    open_fixture(&f);
    make_offer(&o, &f, 0, 1);
    const struct update_target target = target_of(&f, 0);
    assert_int_equal(update_begin(&o.m, &target, &u, tensor, &err), 0);
    assert_true(update_next_pull(u, 1000, &first));
    int n = 1;
    while (update_next_pull(u, 1000, &pull)) n++;
    assert_true(n <= UPDATE_WINDOW);
    assert_false(update_next_pull(u, 1000 + UPDATE_PULL_TIMEOUT_MS - 1, &pull));
    assert_true(update_next_pull(u, 1000 + UPDATE_PULL_TIMEOUT_MS, &pull));
    assert_int_equal(pull.tensor, first.tensor);
    assert_int_equal(pull.offset, first.offset);
    update_free(&u);
    free_offer(&o);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply_gives_the_values_and_the_digest),
        cmocka_unit_test(test_wrong_offers_are_refused),
        cmocka_unit_test(test_block_types_are_refused),
        cmocka_unit_test(test_corruption_loses_the_update),
        cmocka_unit_test(test_lost_chunks_are_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
