// Holds the table of planted errors (bugs/table.txt): what each of the three builds says of each.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/cudasim/programs.h"

static const char *const VARIANTS[] = {"normal", "race", "memory"};
static const char *const SEEDS[] = {"CUDASIM_SEED=1", "CUDASIM_SEED=2", "CUDASIM_SEED=3"};
static char output[1 << 16];

// How the build noticed the error, by what the program printed.
static const char *classify(int status) {
    if (status == 0) return "-";
    if (status == -1) return "hang";
    if (strstr(output, "data race")) return "race";
    if (strstr(output, "AddressSanitizer") || strstr(output, "runtime error:")) return "sanitizer";
    if (strstr(output, "wrong result:")) return "result";
    if (strstr(output, "cudasim:")) return "sentence";
    if (status == 128 + 11) return "fault"; // the host touched device memory
    return strstr(output, ": not true: ") || strstr(output, "cudaError") ? "call" : "crash";
}

// The first of the seeds that shows something decides.
static const char *try_bug(const char *variant, const char *program, const char *bug) {
    const char *seen = "-";
    for (size_t s = 0; s < sizeof SEEDS / sizeof *SEEDS && strcmp(seen, "-") == 0; s++) {
        struct program p = {variant, program, {bug}, {SEEDS[s], "CUDASIM_NCCL_TIMEOUT_S=10"}};
        seen = classify(program_run(&p, 60, output, sizeof output));
    }
    return seen;
}

// A cell is one word, or two that are both right: "race|result".
static bool cell_holds(const char *cell, const char *seen) {
    const char *at = strstr(cell, seen);
    size_t n = strlen(seen);
    return at && (at == cell || at[-1] == '|') && (at[n] == 0 || at[n] == '|');
}

static int check_row(const char *program, const char *bug, char cells[3][32]) {
    const char *seen[3];
    bool holds = true, noticed = false;
    for (int v = 0; v < 3; v++) {
        seen[v] = try_bug(VARIANTS[v], program, bug);
        holds = holds && cell_holds(cells[v], seen[v]);
        noticed = noticed || strcmp(seen[v], "-") != 0;
    }
    if (holds && noticed) return 0;
    printf("# the table says: %s %s %s %s %s; it is %s %s %s\n", program, bug, cells[0], cells[1],
           cells[2], seen[0], seen[1], seen[2]);
    return 1;
}

// The program's names of its errors, "correct" first; the table has a row for each of the others.
static int check_names(const char *program, int n_rows, char rows[][64]) {
    struct program p = {"normal", program, {"list"}, {0}};
    int n_names = 0, n_wrong = 0;
    assert_int_equal(program_run(&p, 60, output, sizeof output), 0);
    for (char *name = strtok(output, "\n"); name; name = strtok(NULL, "\n")) {
        int n_found = strcmp(name, "correct") == 0;
        for (int i = 0; i < n_rows; i++) n_found += strcmp(rows[i], name) == 0;
        if (n_found != 1) printf("# the table has %d rows for %s %s\n", n_found, program, name);
        n_wrong += n_found != 1;
        n_names++;
    }
    if (n_names != n_rows + 1) printf("# %s has %d names, not %d\n", program, n_names, n_rows + 1);
    return n_wrong + (n_names != n_rows + 1);
}

static void check_program(const char *name, const char *with) {
    if (!programs_exist(with)) skip();
    char line[512], program[64], cells[3][32];
    static char rows[64][64];
    int n_rows = 0, n_wrong = 0;
    FILE *f = fopen("tests/cudasim/bugs/table.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#' || line[0] == '\n') continue;
        assert_int_equal(sscanf(line, "%63s %63s %31s %31s %31s", program, rows[n_rows], cells[0],
                                cells[1], cells[2]), 5);
        if (strcmp(program, name) != 0) continue;
        n_wrong += check_row(program, rows[n_rows++], cells);
        assert_true(n_rows < 64);
    }
    fclose(f);
    assert_true(n_rows > 0);
    n_wrong += check_names(name, n_rows, rows);
    assert_int_equal(n_wrong, 0);
}

#define BUGS(function, name, with)                                                                 \
    static void function(void **state) {                                                           \
        (void)state;                                                                               \
        check_program(name, with);                                                                 \
    }
BUGS(test_mma, "bugs/mma", NULL)
BUGS(test_wgmma, "bugs/wgmma", NULL)
BUGS(test_shared, "bugs/shared", NULL)
BUGS(test_host, "bugs/host", NULL)
BUGS(test_nccl, "bugs/nccl", "nccl")

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mma),  cmocka_unit_test(test_wgmma), cmocka_unit_test(test_shared),
        cmocka_unit_test(test_host), cmocka_unit_test(test_nccl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
