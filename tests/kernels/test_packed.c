// Weights kept in a file and mapped from it: the same values and digests; what is not this model's,
// or not whole, is refused in a sentence and changes nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/cpu/backend.h"
#include "kernels/cpu/packed.h"
#include "kernels/types/types.h"
#include "protocol/base/hash.h"
#include "protocol/base/memory.h"
#include "tests/kernels/harness.h"
#include "worker/load/checkpoint.h"

enum { SOURCE = 7, HEADER = 64 };

static char folder[32], path[48], part[56];

static int new_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/test_packed.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/weights", folder);
    snprintf(part, sizeof part, "%s.part", path);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

// A model of rows that every block type divides, with random weights.
struct held {
    struct names *names;
    enum dtype *dtypes;
    uint64_t *digests;
    struct backend *backend;
};

static struct held hold(int types, uint64_t seed) {
    struct model_shape s = harness_shape(1);
    s.hidden = s.ff_dense = s.ff_expert = 256;
    s.head_dim = 64;
    struct held h = {.names = names_new(&s)};
    h.dtypes = memory_new((size_t)h.names->n, sizeof *h.dtypes);
    h.digests = memory_new((size_t)h.names->n, sizeof *h.digests);
    checkpoint_synthetic_dtypes(h.names, types, h.dtypes);
    const struct backend_options o = {.shape = s,
                                      .weight_dtypes = h.dtypes,
                                      .weight_hashes = h.names->hashes,
                                      .n_threads = 2,
                                      .page_tokens = 16,
                                      .n_pages = 1,
                                      .n_conv_slots = 1,
                                      .max_segments = 1,
                                      .max_tokens = 1,
                                      .max_outputs = 1};
    const struct checkpoint_random random = {h.names, h.dtypes, seed};
    const struct weight_source source = checkpoint_random_source(&random);
    assert_int_equal(cpu_backend.open(&o, &h.backend, NULL), 0);
    assert_int_equal(cpu_backend.load(h.backend, &source, h.digests, NULL), 0);
    return h;
}

static void let_go(struct held *h) {
    cpu_backend.close(&h->backend);
    names_free(&h->names);
    free(h->dtypes);
    free(h->digests);
}

static struct region *region_of(struct held *h) {
    return &((struct cpu *)h->backend)->weights.region;
}

static void keep(struct held *h) {
    struct error err = {0};
    if (cpu_backend.packed_keep(h->backend, path, SOURCE, h->digests, &err))
        fail_msg("%s", err.text);
    assert_int_equal(access(part, F_OK), -1);
}

static size_t weights_size(struct held *h) {
    return ((struct cpu *)h->backend)->weights.bytes;
}

static void expect_equal(struct held *a, struct held *b) {
    assert_memory_equal(region_of(a)->data, region_of(b)->data, weights_size(a));
    assert_memory_equal(a->digests, b->digests, (size_t)a->names->n * sizeof *a->digests);
}

static void test_keep_and_map(void **state) {
    (void)state;
    for (int types = 0; types < N_DTYPES; types++) {
        struct held a = hold(types, 1), b = hold(types, 2);
        struct error err = {0};
        unlink(path);
        assert_int_equal(cpu_backend.packed_map(b.backend, path, SOURCE, b.digests, &err), 1);
        keep(&a);
        assert_int_equal(cpu_backend.packed_map(b.backend, path, SOURCE, b.digests, &err), 0);
        expect_equal(&a, &b);
        // What is written now is this process's own.
        struct held c = hold(types, 3);
        memset(region_of(&b)->data, 9, 100);
        assert_int_equal(cpu_backend.packed_map(c.backend, path, SOURCE, c.digests, &err), 0);
        expect_equal(&a, &c);
        let_go(&a), let_go(&b), let_go(&c);
    }
}

static void refuse(struct held *b, uint64_t source, const char *words) {
    struct error err = {0};
    struct held before = hold(b->dtypes[0] == DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F32, 2);
    assert_int_equal(cpu_backend.packed_map(b->backend, path, source, b->digests, &err), -1);
    if (!strstr(err.text, words)) fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    expect_equal(b, &before);
    let_go(&before);
}

static void test_other_models(void **state) {
    (void)state;
    struct held a = hold(DTYPE_BF16, 1), b = hold(DTYPE_BF16, 2), f = hold(DTYPE_F32, 2);
    keep(&a);
    refuse(&b, SOURCE + 1, "made from other files");
    refuse(&f, SOURCE, "of another shape or with other resident types");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse(&b, SOURCE, "no regular file");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    refuse(&b, SOURCE, "no regular file");
    struct error err = {0};
    assert_int_equal(cpu_backend.packed_keep(a.backend, path, SOURCE, a.digests, &err), -1);
    assert_non_null(strstr(err.text, "cannot be written: "));
    assert_int_equal(access(part, F_OK), -1);
    rmdir(path);
    let_go(&a), let_go(&b), let_go(&f);
}

static void flip(long at) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int c = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(c ^ 16, file);
    fclose(file);
}

// Any bit of it, and any length.
static void test_damage(void **state) {
    (void)state;
    struct held a = hold(DTYPE_BF16, 1), b = hold(DTYPE_BF16, 2);
    struct stat st;
    keep(&a);
    assert_int_equal(stat(path, &st), 0);
    long end = (long)st.st_size, data = end - (long)weights_size(&a);
    const struct {
        long at;
        const char *words;
    } flips[] = {
        {3, "no file of packed weights"},
        {8, "layout"},
        {12, "header is damaged"},
        {HEADER - 4, "header is damaged"},
        {HEADER + 16, "digests are damaged"},
        {HEADER + 8 * (long)a.names->n, "digests are damaged"},
        {data, "are damaged"},
        {data + 12345, "are damaged"},
        {end - 1, "are damaged"},
    };
    for (size_t i = 0; i < sizeof flips / sizeof flips[0]; i++) {
        flip(flips[i].at);
        refuse(&b, SOURCE, flips[i].words);
        flip(flips[i].at);
    }
    const struct {
        long bytes;
        const char *words;
    } cuts[] = {{0, "no header"},
                {HEADER - 1, "no header"},
                {100, "bytes; "},
                {end - 1, "bytes; "},
                {end + 1, "bytes; "}};
    struct error err = {0};
    assert_int_equal(cpu_backend.packed_map(b.backend, path, SOURCE, b.digests, &err), 0);
    let_go(&b);
    b = hold(DTYPE_BF16, 2);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        keep(&a);
        assert_int_equal(truncate(path, cuts[i].bytes), 0);
        refuse(&b, SOURCE, cuts[i].words);
    }
    let_go(&a), let_go(&b);
}

// One process writes at a time; what a killed one left is no obstacle.
static void test_writers(void **state) {
    (void)state;
    struct held a = hold(DTYPE_BF16, 1);
    struct error err = {0};
    int fd = open(part, O_RDWR | O_CREAT, 0600);
    assert_int_equal(write(fd, "half", 4), 4);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(cpu_backend.packed_keep(a.backend, path, SOURCE, a.digests, &err), -1);
    assert_non_null(strstr(err.text, "written by another process"));
    assert_int_equal(access(path, F_OK), -1);
    close(fd);
    keep(&a);
    assert_int_equal(access(path, F_OK), 0);
    let_go(&a);
}

// The packed bytes of one model in each type. Where one is another now, files that were kept before
// are not these bytes: PACKED_LAYOUT has to change with it.
static void test_layout(void **state) {
    (void)state;
    static const uint64_t expected[N_DTYPES] = {
        [DTYPE_F32] = 0x64ab6de5fa26baa7,  [DTYPE_BF16] = 0x2e587b25479fc78b,
        [DTYPE_F16] = 0x61b8e1a7a4602344,  [DTYPE_Q8_0] = 0x715470fd39876e23,
        [DTYPE_Q4_0] = 0xbb392e7dfed2fd26, [DTYPE_Q4_K] = 0xa02ded64efa2fe28,
        [DTYPE_Q5_K] = 0xc508ed5dd2f46f38, [DTYPE_Q6_K] = 0x44990533a498eed9,
    };
    assert_int_equal(PACKED_LAYOUT, 1);
    for (int types = 0; types < N_DTYPES; types++) {
        struct held a = hold(types, 5);
        uint64_t found = hash_bytes(region_of(&a)->data, weights_size(&a));
        let_go(&a);
        if (found != expected[types])
            fail_msg("%s has 0x%016llx: raise PACKED_LAYOUT, then put it here.",
                     dtype_name((enum dtype)types), (unsigned long long)found);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keep_and_map, new_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_other_models, new_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damage, new_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_writers, new_folder, remove_folder),
        cmocka_unit_test(test_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
