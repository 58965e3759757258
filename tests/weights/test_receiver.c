// Updates that come by NCCL: what the receiver makes of a communicator that works, that nobody else
// joins, that stands still, that fails, that brings wrong bytes. The communicator is scripted; all
// else is the CPU backend.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernels/kernels.h"
#include "protocol/base/clock.h"
#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"
#include "tests/weights/offered.h"
#include "tests/weights/served.h"
#include "worker/weights/receiver.h"

enum { BUCKET = 1000, DEADLINE_MS = 150, N_TENSORS = 6, NEVER = 1 << 30 };

// ------------------------------------------------------------------ a scripted communicator

static struct script {
    int joins_after;     // polls
    int64_t stands_at;   // the broadcast that never comes
    int64_t fails_at;    // and one at which a rank fails
    uint64_t flipped_at; // a byte of the stream that is another
    int n_joins, n_leaves, n_polls;
    int64_t n_listed, n_arrived, most_ahead;
    const struct offered *offered;
    struct {
        uint64_t offset, n_bytes;
    } listed[COMM_RECEIVES];
    struct comm comm;
} script;

static int fake_join(struct backend *b, const struct comm *comm, struct error *err) {
    (void)b;
    script.n_joins++;
    script.comm = *comm;
    script.n_listed = script.n_arrived = script.n_polls = 0;
    if (comm->version == 1) return error_set(err, ERROR_CONFIG, "Another version.");
    return 0;
}

static void fake_receive(struct backend *b, uint64_t offset, uint64_t n_bytes) {
    (void)b;
    int64_t ahead = script.n_listed - script.n_arrived + 1;
    const uint64_t left = script.offered->stream.len - offset;
    assert_int_equal(n_bytes, left < BUCKET ? left : BUCKET);
    assert_true(ahead <= COMM_RECEIVES);
    if (ahead > script.most_ahead) script.most_ahead = ahead;
    script.listed[script.n_listed % COMM_RECEIVES].offset = offset;
    script.listed[script.n_listed++ % COMM_RECEIVES].n_bytes = n_bytes;
}

static void bring(struct backend *b, uint64_t offset, uint64_t n_bytes) {
    char *bytes = memory_new((size_t)n_bytes, 1);
    struct error err = {0};
    memcpy(bytes, (const char *)script.offered->stream.ptr + offset, (size_t)n_bytes);
    if (script.flipped_at >= offset && script.flipped_at < offset + n_bytes)
        bytes[script.flipped_at - offset] ^= 4;
    assert_int_equal(b->ops->stage(b, offset, n_bytes, bytes, &err), 0);
    free(bytes);
}

static int fake_poll(struct backend *b, int64_t *n_arrived, struct error *err) {
    bool has_joined = script.n_polls++ >= script.joins_after;
    if (script.n_arrived == script.fails_at)
        return error_set(err, ERROR_IO, "NCCL failed at receiving weights: a rank has died.");
    if (has_joined && script.n_arrived < script.n_listed && script.n_arrived != script.stands_at) {
        int i = (int)(script.n_arrived++ % COMM_RECEIVES);
        bring(b, script.listed[i].offset, script.listed[i].n_bytes);
    }
    *n_arrived = has_joined ? script.n_arrived : -1;
    return 0;
}

static void fake_leave(struct backend *b) {
    (void)b;
    script.n_leaves++;
}

static const struct comm_ops fake_comm = {fake_join, fake_receive, fake_poll, fake_leave};

// ------------------------------------------------------------------ a worker's side

// Of the matrices, beside a master; float32: there is no master.
static enum dtype blocks;
static bool second_copy;

struct fixture {
    struct served served;
    struct offered offered;
    atomic_bool is_closing;
    struct receiver receiver;
    atomic_int n_wakes;
};

static void wake(void *self) {
    atomic_fetch_add(&((struct fixture *)self)->n_wakes, 1);
}

static int open_fixture(void **state) {
    struct fixture *f = memory_new(1, sizeof *f);
    script = (struct script){.stands_at = -1, .fails_at = -1, .flipped_at = UINT64_MAX};
    const struct served_options o = {
        .staging_bytes = 1 << 20, .blocks = blocks, .second_copy = second_copy};
    served_open(&f->served, &o);
    f->served.ops.comm = &fake_comm;
    offered_open(&f->offered, 3, 1, 2);
    served_offer(&f->served, &f->offered, 1, N_TENSORS);
    offered_finish(&f->offered);
    f->offered.m.transport = TRANSPORT_NCCL;
    f->offered.m.bucket_bytes = BUCKET;
    script.offered = &f->offered;
    atomic_init(&f->is_closing, false);
    f->receiver = (struct receiver){
        .backend = f->served.backend, .is_closing = &f->is_closing, .wake = wake, .self = f};
    *state = f;
    return 0;
}

static int close_fixture(void **state) {
    struct fixture *f = *state;
    offered_free(&f->offered);
    served_close(&f->served);
    free(f);
    return 0;
}

static struct update *begin(struct fixture *f) {
    struct update *u = NULL;
    struct error err = {0};
    char tensor[NAMES_MAX_BYTES];
    const struct update_target target = {
        .resident = &f->served.resident, .version = 1, .staging_bytes = 1 << 20};
    if (update_begin(&f->offered.m, &target, &u, tensor, &err)) fail_msg("%s", err.text);
    return u;
}

static const struct receiver_join JOIN = {.comm = {.id = "id", .rank = 2, .n_ranks = 5},
                                          .deadline_ms = DEADLINE_MS};

static void expect_failure(struct update *u, const char *part) {
    char tensor[NAMES_MAX_BYTES];
    struct error why = {0};
    assert_int_equal(update_state(u), UPDATE_FAILED);
    update_failure(u, tensor, &why);
    if (!strstr(why.text, part)) fail_msg("%s", why.text);
}

// Receives with `join`, fails with this sentence, and has left the communicator.
static void expect_left(struct fixture *f, const struct receiver_join *join, const char *part) {
    struct update *u = begin(f);
    receiver_run(&f->receiver, u, join);
    expect_failure(u, part);
    assert_false(f->receiver.has_comm);
    update_release(&u);
}

// ------------------------------------------------------------------ tests

// Two updates over one communicator: joined once, two buckets ahead, everything proved and applied.
static void test_two_updates(void **state) {
    struct fixture *f = *state;
    script.joins_after = 3;
    for (int i = 0; i < 2; i++) {
        struct update *u = begin(f);
        struct message_weights_pull pull;
        struct error err = {0};
        assert_false(update_next_pull(u, 0, &pull)); // nothing is pulled
        assert_int_equal(update_bucket_bytes(u), BUCKET);
        assert_false(update_is_receiving(u));
        receiver_run(&f->receiver, u, i == 0 ? &JOIN : NULL);
        assert_true(update_is_receiving(u));
        assert_int_equal(update_state(u), UPDATE_VERIFIED);
        assert_int_equal(update_apply(u, &f->served.resident, f->served.backend, &err), 0);
        update_release(&u);
    }
    int64_t n = (int64_t)((f->offered.m.total_bytes + BUCKET - 1) / BUCKET);
    assert_true(n > 20);
    assert_int_equal(script.n_arrived, 2 * n);
    assert_int_equal(script.n_joins, 1);
    assert_int_equal(script.n_leaves, 0);
    assert_int_equal(script.most_ahead, 2);
    assert_int_equal(script.comm.rank, 2);
    assert_true(atomic_load(&f->n_wakes) >= 4);
    receiver_close(&f->receiver);
    assert_int_equal(script.n_leaves, 1);
}

static void test_nobody_joins(void **state) {
    struct fixture *f = *state;
    script.joins_after = NEVER;
    int64_t began_ms = clock_ms();
    expect_left(f, &JOIN, "Not all 5 ranks joined the communicator in 0.1 s.");
    assert_true(clock_ms() - began_ms >= DEADLINE_MS);
    expect_left(f, NULL, "a new NCCL_JOIN is needed"); // what was left is not used again
    script.joins_after = 0;
    struct update *u = begin(f);
    receiver_run(&f->receiver, u, &JOIN);
    assert_int_equal(update_state(u), UPDATE_VERIFIED);
    update_release(&u);
}

static void test_one_stands_still(void **state) {
    struct fixture *f = *state;
    script.stands_at = 7;
    expect_left(f, &JOIN, "Of 5 ranks one stood still");
    assert_int_equal(script.n_arrived, 7);
    assert_int_equal(script.n_leaves, 1);
}

static void test_one_fails(void **state) {
    struct fixture *f = *state;
    script.fails_at = 4;
    expect_left(f, &JOIN, "a rank has died");
    script.fails_at = 0; // while joining
    expect_left(f, &JOIN, "a rank has died");
    assert_int_equal(script.n_leaves, 2);
}

static void test_join_is_refused(void **state) {
    struct fixture *f = *state;
    struct receiver_join other = JOIN;
    other.comm.version = 1;
    expect_left(f, &other, "Another version.");
}

// A wrong byte fails its tensor, and nobody waits for the rest.
static void test_wrong_bytes(void **state) {
    struct fixture *f = *state;
    script.flipped_at = f->offered.begins[2] + 5;
    expect_left(f, &JOIN, "has check value");
    assert_true((uint64_t)script.n_arrived * BUCKET < f->offered.m.total_bytes);
}

static void *drop_soon(void *arg) {
    usleep(30000);
    update_drop(arg);
    return NULL;
}

// The trainer aborts, or the worker ends, while a rank stands still: at once, without a sentence.
static void test_dropped(void **state) {
    struct fixture *f = *state;
    struct receiver_join patient = JOIN;
    patient.deadline_ms = 60000;
    script.stands_at = 3;
    struct update *u = begin(f);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, drop_soon, u), 0);
    receiver_run(&f->receiver, u, &patient);
    pthread_join(thread, NULL);
    assert_int_equal(update_state(u), UPDATE_STAGING);
    assert_false(f->receiver.has_comm);
    assert_int_equal(script.n_leaves, 1);
    assert_int_equal(atomic_load(&f->receiver.n_aborts), 1);
    update_release(&u);
    u = begin(f);
    atomic_store(&f->is_closing, true);
    receiver_run(&f->receiver, u, &patient); // not even joined
    assert_int_equal(script.n_joins, 1);
    assert_int_equal(atomic_load(&f->receiver.n_aborts), 1);
    update_release(&u);
}

static void test_cpu_has_none(void **state) {
    struct fixture *f = *state;
    assert_true(receiver_can(f->served.backend));
    f->served.ops.comm = NULL;
    assert_false(receiver_can(f->served.backend));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_fixture, close_fixture)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_two_updates), TEST(test_nobody_joins),    TEST(test_one_stands_still),
        TEST(test_one_fails),   TEST(test_join_is_refused), TEST(test_wrong_bytes),
        TEST(test_dropped),     TEST(test_cpu_has_none),
    };
    int failed = cmocka_run_group_tests_name("floats", tests, NULL, NULL);
    blocks = DTYPE_Q4_0;
    failed += cmocka_run_group_tests_name("master", tests, NULL, NULL);
    blocks = DTYPE_F32;
    second_copy = true;
    return failed + cmocka_run_group_tests_name("second copy", tests, NULL, NULL);
}
