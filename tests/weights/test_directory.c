// Updates that lie in files of a shared directory: what is read of one that is there, and the
// sentence about one that is missing, no file, elsewhere, of another size or update, spoilt, or
// changed under the reader. The backend is the CPU's.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernels/kernels.h"
#include "protocol/base/hash.h"
#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"
#include "tests/weights/offered.h"
#include "tests/weights/served.h"
#include "worker/weights/look.h"
#include "worker/weights/reading.h"

enum { N_DENSE = 6, HEADER = 128 };
#define NAME "stampede-v2.safetensors"

// Of the matrices, beside a master; float32: there is no master.
static enum dtype blocks;
static bool second_copy;

struct fixture {
    struct served served;
    struct offered offered;
    struct buffer bytes; // of the file
    atomic_bool is_closing;
    char path[256], folder[256];
    struct directory_file file;
    struct reading *left;
};

// A file system that does not answer: whoever reads waits until `hangs` is taken back.
static atomic_bool hangs;
static atomic_int n_hanging;
ssize_t pread(int fd, void *to, size_t n, off_t offset) {
    atomic_fetch_add(&n_hanging, 1);
    while (atomic_load(&hangs)) usleep(1000);
    atomic_fetch_sub(&n_hanging, 1);
    return syscall(SYS_pread64, fd, to, n, offset);
}

// What a stage of the backend does besides, before it: the file as others see it meanwhile.
static struct {
    struct fixture *f;
    int n_stages, at;
    void (*act)(struct fixture *f);
    int (*stage)(struct backend *b, uint64_t offset, uint64_t n, const void *bytes,
                 struct error *err);
} during;

static int fake_stage(struct backend *b, uint64_t offset, uint64_t n, const void *bytes,
                      struct error *err) {
    if (during.n_stages++ == during.at && during.act) during.act(during.f);
    return during.stage(b, offset, n, bytes, err);
}

static void write_file(const char *path, const void *bytes, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
}

static void write_offered(struct fixture *f) {
    write_file(f->path, f->bytes.ptr, f->bytes.len);
}

static void offer(struct fixture *f) {
    const uint32_t positions[] = {3, 7, 4000};
    const float some[] = {1, 2, 3};
    offered_open(&f->offered, 3, 1, 2);
    served_offer(&f->served, &f->offered, 0, N_DENSE);
    int sparse = N_DENSE; // the next weight that has so many values
    while (weight_n(&f->served.names->weights[sparse]) <= positions[2]) sparse++;
    offered_add_sparse(&f->offered, &f->served.resident, sparse, 2, positions, 3, some);
    offered_finish(&f->offered);
    f->offered.m.transport = TRANSPORT_DIRECTORY;
    f->offered.m.file = slice_of(NAME);
    f->offered.m.header_bytes = HEADER;
}

static int open_fixture(void **state) {
    struct fixture *f = memory_new(1, sizeof *f);
    char header[HEADER + 1];
    during.f = f;
    during.act = NULL;
    during.n_stages = 0;
    const struct served_options o = {.vocab = 9000,
                                     .staging_bytes = 16 << 20,
                                     .blocks = blocks,
                                     .second_copy = second_copy}; // over 2 MiB: several pieces
    served_open(&f->served, &o);
    during.stage = f->served.ops.stage;
    f->served.ops.stage = fake_stage;
    offer(f);
    snprintf(header, sizeof header, "%-128s", "the header, for other tools");
    buffer_add(&f->bytes, header, HEADER);
    buffer_add(&f->bytes, f->offered.stream.ptr, f->offered.stream.len);
    f->offered.m.header_hash = hash_bytes(header, HEADER);
    snprintf(f->folder, sizeof f->folder, "/tmp/test_directory.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%.200s/%s", f->folder, NAME);
    f->file = directory_file(&f->offered.m);
    *state = f;
    return 0;
}

static int close_fixture(void **state) {
    struct fixture *f = *state;
    reading_drop(&f->left);
    unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0);
    offered_free(&f->offered);
    buffer_free(&f->bytes);
    served_close(&f->served);
    free(f);
    return 0;
}

static struct update *begin(struct fixture *f) {
    struct update *u = NULL;
    struct error err = {0};
    char tensor[NAMES_MAX_BYTES];
    const struct update_target target = {
        .resident = &f->served.resident, .version = 1, .staging_bytes = 16 << 20};
    if (update_begin(&f->offered.m, &target, &u, tensor, &err)) fail_msg("%s", err.text);
    return u;
}

static struct update *read_it(struct fixture *f) {
    struct update *u = begin(f);
    during.n_stages = 0;
    reading_run(&f->left, f->folder, &f->file, u, f->served.backend, &f->is_closing);
    return u;
}

// Reading fails with this sentence; tensor: that it names, "" none. Nothing resident has changed.
static void expect_failure(struct fixture *f, const char *part, const char *tensor) {
    uint64_t digest = f->served.resident.digest;
    struct update *u = read_it(f);
    char found[NAMES_MAX_BYTES];
    struct error why = {0};
    assert_int_equal(update_state(u), UPDATE_FAILED);
    update_failure(u, found, &why);
    if (!strstr(why.text, part)) fail_msg("%s", why.text);
    assert_string_equal(found, tensor);
    assert_true(f->served.resident.digest == digest);
    assert_true(served_is_packed(&f->served));
    update_release(&u);
}

// ------------------------------------------------------------------ tests

static void test_whole(void **state) {
    struct fixture *f = *state;
    struct message_weights_pull pull;
    struct error err = {0};
    write_offered(f);
    assert_true(f->offered.m.total_bytes > 2 << 20);
    uint64_t before = f->served.resident.digest;
    struct update *u = begin(f);
    assert_false(update_next_pull(u, 0, &pull)); // nothing is pulled
    update_release(&u);
    u = read_it(f);
    assert_true(during.n_stages >= 3);
    assert_int_equal(update_state(u), UPDATE_VERIFIED);
    assert_int_equal(update_apply(u, &f->served.resident, f->served.backend, &err), 0);
    assert_true(f->served.resident.digest != before);
    // Bytes that came as chunks give the same digest.
    uint64_t by_file = f->served.resident.digest;
    assert_int_equal(update_undo(u, &f->served.resident, f->served.backend, &err), 0);
    assert_true(f->served.resident.digest == before);
    update_release(&u);
    f->offered.m.transport = TRANSPORT_BULK;
    u = begin(f);
    while (update_next_pull(u, 0, &pull)) {
        struct message_weights_chunk chunk = offered_answer(&f->offered, &pull);
        assert_true(update_take(u, &chunk));
        update_stage(u, &chunk, f->served.backend);
    }
    assert_int_equal(update_state(u), UPDATE_VERIFIED);
    assert_int_equal(update_apply(u, &f->served.resident, f->served.backend, &err), 0);
    assert_true(f->served.resident.digest == by_file);
    assert_true(served_is_packed(&f->served));
    update_release(&u);
}

static void test_not_a_file(void **state) {
    struct fixture *f = *state;
    char outside[] = "/tmp/test_directory_outside.XXXXXX";
    int fd = mkstemp(outside);
    assert_true(fd >= 0);
    close(fd);
    write_file(outside, f->bytes.ptr, f->bytes.len);
    expect_failure(f, "cannot be opened: No such file", "");
    assert_int_equal(symlink(outside, f->path), 0);
    expect_failure(f, "is no regular file", "");
    unlink(f->path);
    unlink(outside);
    assert_int_equal(mkfifo(f->path, 0600), 0); // opening one would wait for ever
    expect_failure(f, "is no regular file", "");
    unlink(f->path);
    assert_int_equal(mkdir(f->path, 0700), 0);
    expect_failure(f, "is no regular file", "");
    rmdir(f->path);
    if (mknod(f->path, S_IFCHR | 0600, 0x0105) == 0) // /dev/zero, where this is allowed
        expect_failure(f, "is no regular file", "");
}

static void test_names(void **state) {
    struct fixture *f = *state;
    static const char *const names[] = {"/etc/passwd", "../" NAME, "..", ".", "a/" NAME, "." NAME};
    write_offered(f);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(f->file.name, sizeof f->file.name, "%s", names[i]);
        expect_failure(f, "is not in --weights-dir itself", "");
    }
    snprintf(f->file.name, sizeof f->file.name, "%s", NAME);
    struct update *u = begin(f);
    reading_run(&f->left, "/nowhere", &f->file, u, f->served.backend, &f->is_closing);
    assert_int_equal(update_state(u), UPDATE_FAILED);
    update_release(&u);
}

static void test_sizes(void **state) {
    struct fixture *f = *state;
    write_file(f->path, f->bytes.ptr, f->bytes.len - 1);
    expect_failure(f, "bytes; ", "");
    write_file(f->path, f->bytes.ptr, 0);
    expect_failure(f, "It has 0 bytes; ", "");
    buffer_add(&f->bytes, "x", 1);
    write_offered(f);
    expect_failure(f, "were announced", "");
}

static void test_another_update(void **state) {
    struct fixture *f = *state;
    f->bytes.ptr[5] ^= 1;
    write_offered(f);
    expect_failure(f, "It is of another update", "");
}

// Each of some bits of a dense tensor, and of codes, anchors and values of the sparse one.
static void test_flipped_bits(void **state) {
    struct fixture *f = *state;
    char name[NAMES_MAX_BYTES];
    for (int i = 0; i < f->offered.n; i++) {
        uint64_t begin = f->offered.begins[i];
        names_write(&f->served.names->weights[f->offered.weights[i]], name);
        for (int part = 0; part < (i == N_DENSE ? 3 : 1); part++) {
            size_t at = HEADER + begin + (size_t)part * 64 + 1;
            f->bytes.ptr[at] ^= 16;
            write_offered(f);
            expect_failure(f, "Tensor '", name);
            f->bytes.ptr[at] ^= 16;
        }
    }
    write_offered(f);
    struct update *u = read_it(f);
    assert_int_equal(update_state(u), UPDATE_VERIFIED);
    update_release(&u);
}

static void cut(struct fixture *f) {
    assert_int_equal(truncate(f->path, HEADER + (1 << 20) + 5), 0);
}

static void lengthen(struct fixture *f) {
    assert_int_equal(truncate(f->path, (off_t)f->bytes.len + 1), 0);
}

static void spoil(struct fixture *f) {
    int fd = open(f->path, O_WRONLY);
    assert_int_equal(pwrite(fd, "spoilt", 6, HEADER + (1 << 20) + 500), 6);
    close(fd);
}

static void remove_file(struct fixture *f) {
    unlink(f->path);
}

static void test_changed_under_the_reader(void **state) {
    struct fixture *f = *state;
    char name[NAMES_MAX_BYTES];
    names_write(&f->served.names->weights[f->offered.weights[0]], name);
    write_offered(f);
    during.at = 0;
    during.act = cut;
    expect_failure(f, "it was longer when opened", "");
    write_offered(f);
    during.act = lengthen;
    expect_failure(f, "were announced", "");
    write_offered(f);
    during.act = spoil;
    expect_failure(f, "has check value", name);
    write_offered(f);
    during.act = remove_file; // what is open is there until it is closed
    struct update *u = read_it(f);
    assert_int_equal(update_state(u), UPDATE_VERIFIED);
    update_release(&u);
}

static struct update *reading;

static void drop(struct fixture *f) {
    (void)f;
    update_drop(reading);
}

// Nobody wants it any more: it is left off without a sentence.
static void test_dropped(void **state) {
    struct fixture *f = *state;
    write_offered(f);
    reading = begin(f);
    during.act = drop;
    during.n_stages = during.at = 0;
    reading_run(&f->left, f->folder, &f->file, reading, f->served.backend, &f->is_closing);
    assert_int_equal(update_state(reading), UPDATE_STAGING);
    assert_int_equal(during.n_stages, 1);
    update_release(&reading);
    atomic_store(&f->is_closing, true);
    struct update *u = read_it(f);
    assert_int_equal(update_state(u), UPDATE_STAGING);
    assert_int_equal(during.n_stages, 0);
    update_release(&u);
}

static void *close_soon(void *arg) {
    struct fixture *f = arg;
    while (atomic_load(&n_hanging) == 0) usleep(1000);
    if (reading)
        update_drop(reading);
    else
        atomic_store(&f->is_closing, true);
    return NULL;
}

// Whoever reads is held for ever: the thread of weights is not. While it is held other files are
// refused, and read again when it is over.
static void test_hangs(void **state) {
    struct fixture *f = *state;
    pthread_t other;
    write_offered(f);
    atomic_store(&hangs, true);
    reading = begin(f);
    assert_int_equal(pthread_create(&other, NULL, close_soon, f), 0);
    reading_run(&f->left, f->folder, &f->file, reading, f->served.backend, &f->is_closing);
    pthread_join(other, NULL);
    assert_int_equal(update_state(reading), UPDATE_STAGING); // left off without a sentence
    assert_int_equal(atomic_load(&n_hanging), 1);
    update_release(&reading);
    expect_failure(f, "is still being read", "");
    assert_int_equal(atomic_load(&n_hanging), 1); // no other thread
    atomic_store(&hangs, false);
    struct update *u = read_it(f);
    assert_int_equal(update_state(u), UPDATE_VERIFIED);
    update_release(&u);
    atomic_store(&hangs, true); // and at the end of the worker
    u = begin(f);
    assert_int_equal(pthread_create(&other, NULL, close_soon, f), 0);
    reading_run(&f->left, f->folder, &f->file, u, f->served.backend, &f->is_closing);
    pthread_join(other, NULL);
    update_release(&u);
    reading_drop(&f->left);
    assert_int_equal(atomic_load(&n_hanging), 1);
    atomic_store(&hangs, false);
    while (atomic_load(&n_hanging)) usleep(1000);
    usleep(50000); // it ends, and frees what it held
}

static void test_id(void **state) {
    struct fixture *f = *state;
    struct error err = {0};
    char id[DIRECTORY_ID_CHARS + 1], path[300];
    snprintf(path, sizeof path, "%s/%s", f->folder, DIRECTORY_ID_FILE);
    assert_int_equal(directory_id(f->folder, id, &err), -1);
    assert_non_null(strstr(err.text, "No such file"));
    write_file(path, "00112233445566778899aabbccddeeff\n", 33);
    assert_int_equal(directory_id(f->folder, id, &err), 0);
    assert_string_equal(id, "00112233445566778899aabbccddeeff");
    static const char *const odd[] = {"", "00112233", "0011223344556677 899aabbccddeeff",
                                      ("0011223344556677\xff\xff"
                                       "9aabbccddeeff0")};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        write_file(path, odd[i], strlen(odd[i]));
        assert_int_equal(directory_id(f->folder, id, &err), -1);
        assert_non_null(strstr(err.text, "is no id"));
    }
    unlink(path);
    assert_int_equal(directory_id("/nowhere", id, &err), -1);
    assert_non_null(strstr(err.text, "/nowhere/" DIRECTORY_ID_FILE));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_fixture, close_fixture)

// ------------------------------------------------------------------ looks

static void count_wake(void *self) {
    atomic_fetch_add((atomic_int *)self, 1);
}

static bool wait_for_look(struct look *l, char id[DIRECTORY_ID_CHARS + 1], struct error *err) {
    for (int i = 0; i < 10000; i++) {
        if (look_is_done(l, id, err)) return true;
        usleep(1000);
    }
    return false;
}

// On another thread the same is found as by directory_id; who drops it is not woken any more.
static void test_looks(void **state) {
    struct fixture *f = *state;
    char id[DIRECTORY_ID_CHARS + 1], path[300];
    struct error err = {0};
    atomic_int n_wakes = 0;
    snprintf(path, sizeof path, "%s/" DIRECTORY_ID_FILE, f->folder);
    write_file(path, "00112233445566778899aabbccddeeff", 32);
    struct look *l = look_begin(f->folder, count_wake, &n_wakes);
    assert_true(wait_for_look(l, id, &err));
    assert_string_equal(id, "00112233445566778899aabbccddeeff");
    look_drop(&l);
    assert_null(l);
    assert_int_equal(atomic_load(&n_wakes), 1);
    l = look_begin("/nowhere", count_wake, &n_wakes);
    assert_true(wait_for_look(l, id, &err));
    assert_string_equal(id, "");
    assert_non_null(strstr(err.text, "/nowhere/" DIRECTORY_ID_FILE " cannot be opened"));
    look_drop(&l);
    for (int i = 0; i < 200; i++) { // dropped at any moment
        atomic_int n = 0;
        l = look_begin(f->folder, count_wake, &n);
        if (i % 2) usleep(20);
        look_drop(&l);
        int after = atomic_load(&n);
        usleep(100);
        assert_int_equal(atomic_load(&n), after);
    }
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_whole),
        TEST(test_not_a_file),
        TEST(test_names),
        TEST(test_sizes),
        TEST(test_another_update),
        TEST(test_flipped_bits),
        TEST(test_changed_under_the_reader),
        TEST(test_dropped),
        TEST(test_hangs),
        TEST(test_id),
        TEST(test_looks),
    };
    int failed = cmocka_run_group_tests_name("floats", tests, NULL, NULL);
    blocks = DTYPE_Q4_0;
    failed += cmocka_run_group_tests_name("master", tests, NULL, NULL);
    blocks = DTYPE_F32;
    second_copy = true;
    return failed + cmocka_run_group_tests_name("second copy", tests, NULL, NULL);
}
