// The emulated tiles: what a processor would refuse aborts, so that a kernel that does it is seen.
#define AMX_EMULATED
#include "kernels/amx.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static uint8_t memory[1024];

static struct amx_sizes product_of(int rows, int words) {
    struct amx_sizes s = {0};
    amx_size(&s, 0, rows, 64);
    amx_size(&s, 1, rows, 4 * words);
    amx_size(&s, 2, words, 64);
    return s;
}

static void unconfigured(void) {
    AMX_ZERO(0);
}

static void released(void) {
    struct amx_sizes s = product_of(3, 8);
    AMX_CONFIGURE(&s);
    AMX_RELEASE();
    AMX_LOAD(1, memory, 32);
}

static void of_no_size(void) {
    struct amx_sizes s = product_of(3, 8);
    AMX_CONFIGURE(&s);
    AMX_STORE(3, memory, 64);
}

static void too_many_rows(void) {
    struct amx_sizes s = product_of(17, 8);
    AMX_CONFIGURE(&s);
}

static void too_long(void) {
    struct amx_sizes s = product_of(3, 17);
    AMX_CONFIGURE(&s);
}

static void of_a_ninth_tile(void) {
    struct amx_sizes s = product_of(3, 8);
    amx_size(&s, 8, 3, 64);
    AMX_CONFIGURE(&s);
}

static void wrong_palette(void) {
    struct amx_sizes s = product_of(3, 8);
    s.palette = 2;
    AMX_CONFIGURE(&s);
}

static void other_rows(void) {
    struct amx_sizes s = product_of(3, 8);
    s.rows[1] = 4;
    AMX_CONFIGURE(&s);
    AMX_DOT_INT8(0, 1, 2);
}

static void other_columns(void) {
    struct amx_sizes s = product_of(3, 8);
    s.rows[2] = 7;
    AMX_CONFIGURE(&s);
    AMX_DOT_BF16(0, 1, 2);
}

static void with_itself(void) {
    struct amx_sizes s = product_of(16, 16);
    AMX_CONFIGURE(&s);
    AMX_DOT_INT8(0, 1, 1);
}

static void in_halves_of_words(void) {
    struct amx_sizes s = product_of(3, 8);
    s.row_bytes[0] = s.row_bytes[2] = 62;
    AMX_CONFIGURE(&s);
    AMX_DOT_BF16(0, 1, 2);
}

static void right(void) {
    struct amx_sizes s = product_of(3, 8);
    AMX_CONFIGURE(&s);
    AMX_ZERO(0);
    AMX_LOAD(1, memory, 32);
    AMX_LOAD(2, memory, 64);
    AMX_DOT_INT8(0, 1, 2);
    AMX_DOT_BF16(0, 1, 2);
    AMX_STORE(0, memory, 64);
    AMX_RELEASE();
}

static bool aborts(void (*what)(void)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        what();
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_misuse(void **state) {
    (void)state;
    void (*const wrong[])(void) = {unconfigured,    released,    of_no_size,        too_many_rows,
                                   too_long,        other_rows,  other_columns,     wrong_palette,
                                   of_a_ninth_tile, with_itself, in_halves_of_words};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_true(aborts(wrong[i]));
    assert_false(aborts(right));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_misuse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
