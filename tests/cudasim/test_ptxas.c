#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// What make cuda-check found: BUILD/cuda/findings.txt, where this is
// BUILD/tests/cudasim/test_ptxas.
static void test_findings(void **state) {
    (void)state;
    static char path[4096], text[1 << 16];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
    assert_true(n > 0);
    path[n] = 0;
    char *end = strstr(path, "/tests/cudasim/");
    assert_non_null(end);
    strcpy(end, "/cuda/findings.txt");
    FILE *f = fopen(path, "r");
    if (!f) {
        printf("# CUDA was left out of this build\n");
        skip();
    }
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    if (strncmp(text, "absent", 6) == 0) {
        printf("# CUDA was left out (%.*s)\n", (int)strcspn(text, "\n"), text);
        skip();
    }
    // One line that says how many kernels are as the tables say, or else the findings.
    int n_kernels = 0, n_read = 0;
    if (sscanf(text, "cuda-check: %d kernels as the table says\n%n", &n_kernels, &n_read) != 1 ||
        n_kernels < 1 || text[n_read])
        fail_msg("%s", text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_findings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
