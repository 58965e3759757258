// Devices by name: shared objects beside the program, and a sentence for each that is none.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernels/kernels.h"

static void refuse(const char *device, enum error_code code, const char *words) {
    struct error err = {0};
    int index;
    const char *path;
    assert_null(kernels_find(device, &index, &path, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, words)) fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void test_cpu(void **state) {
    (void)state;
    struct error err = {0};
    int index = 9;
    const char *path;
    assert_string_equal(kernels_find("cpu", &index, &path, &err)->name, "cpu");
    assert_int_equal(index, 0);
    assert_non_null(kernels_find("cpu:0", &index, &path, &err));
    assert_null(path);
    assert_non_null(kernels_find("cpu:0/avx2", &index, &path, &err));
    assert_string_equal(path, "avx2");
    refuse("cpu:1", ERROR_USAGE, "there is one cpu");
}

static void test_names(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      ":",
                                      "CPU",
                                      "../x",
                                      "a b",
                                      "cpu:",
                                      "cpu:x",
                                      "cpu:-1",
                                      "cpu:12345",
                                      "cpu:1x",
                                      "cpu/",
                                      "cpu:0/",
                                      "a234567890123456789012345678901234"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuse(bad[i], ERROR_USAGE, "is no name of one");
    refuse("tpu", ERROR_USAGE, "stampede_tpu.so is not there");
}

static void test_objects(void **state) {
    (void)state;
    struct error err = {0};
    int index;
    const char *path;
    const struct backend_ops *ops = kernels_find("good:3", &index, &path, &err);
    if (!ops) fail_msg("%s", err.text);
    assert_string_equal(ops->name, "good");
    assert_int_equal(index, 3);
    char words[96];
    snprintf(words, sizeof words, "was built for backend interface %d; this program has %d",
             KERNELS_ABI - 1, KERNELS_ABI);
    refuse("oldabi", ERROR_CONFIG, words);
    refuse("empty", ERROR_CONFIG, "does not export stampede_backend");
    char file_name[4096];
    ssize_t len = readlink("/proc/self/exe", file_name, sizeof file_name - 64);
    assert_true(len > 0);
    file_name[len] = 0;
    strcpy(strrchr(file_name, '/'), "/stampede_junk.so");
    FILE *file = fopen(file_name, "w");
    assert_non_null(file);
    fputs("no ELF file", file);
    fclose(file);
    refuse("junk", ERROR_CONFIG, "Device 'junk' cannot be opened");
    unlink(file_name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
