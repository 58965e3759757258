// A program around the library may call setlocale(): numbers and letters stay what they are. The
// locales are made here, with a decimal comma, and with letters above ASCII in one byte.
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/json.h"
#include "verifiers/library.h"
#include "verifiers/verify.h"

static char folder[] = "/tmp/test_locale.XXXXXX";

static int make(const char *source, const char *charmap) {
    char command[256];
    snprintf(command, sizeof command, "localedef -c -i %s -f %s %s/%s.%s >/dev/null 2>&1", source,
             charmap, folder, source, charmap);
    return system(command);
}

static int make_locales(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    make("de_DE", "UTF-8");
    make("tr_TR", "ISO-8859-9");
    return setenv("LOCPATH", folder, 1);
}

static int remove_locales(void **state) {
    char command[64];
    (void)state;
    setlocale(LC_ALL, "C");
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

// Everything that the library says of some completions, one after the other.
static char *said(void) {
    static const char *const completions[] = {"The answer is $\\frac{1}{2}$, that is 0.5.",
                                              "IIII \xC3\x84NDERT \\boxed{1.25}", "no answer", ""};
    static const char *const rewards[] = {
        "[{\"verifier\":\"math\",\"gold\":\"0.5\",\"weight\":0.5}]",
        "{\"terms\":[{\"verifier\":\"math\",\"gold\":\"5/4\",\"weight\":1.5}],\"clamp\":[0.1,0.7]}",
        "[{\"verifier\":\"math\",\"gold\":\"1\",\"weight\":\"much\"}]",
        "[{\"verifier\":\"length\",\"max\":1.5}]"};
    char *all = NULL, message[STAMPEDE_MESSAGE_BYTES];
    size_t bytes = 0;
    FILE *out = open_memstream(&all, &bytes);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++) {
            size_t len = strlen(completions[i]), reward_len = strlen(rewards[k]), n;
            char *json =
                stampede_score(&completions[i], &len, 1, &rewards[k], &reward_len, 1, NULL, &n);
            fwrite(json, 1, n, out);
            stampede_free(json);
            char *answer = stampede_extract(completions[i], len, &n);
            if (answer) fwrite(answer, 1, n, out);
            stampede_free(answer);
        }
    putc('0' + stampede_equal("2.5", 3, "5/2", 3, "value", message), out);
    putc('0' + stampede_equal("30 MIN", 6, "30 min", 6, "value", message), out);
    fclose(out);
    return all;
}

static void compare(const char *name) {
    if (!setlocale(LC_ALL, name)) skip(); // localedef or its sources (package locales) are not here
    char *other = said();
    struct buffer b = {0};
    struct error err = {0};
    json_add_double(&b, 0.1);
    json_add_float(&b, 1.5f);
    buffer_printf(&b, "%.1f", 2.5);
    error_set(&err, ERROR_INPUT, "It is %g.", 0.25);
    setlocale(LC_ALL, "C");
    char *plain = said();
    assert_string_equal(other, plain);
    assert_string_equal(b.ptr, "0.11.52.5");
    assert_string_equal(err.text, "It is 0.25.");
    assert_non_null(strstr(plain, "\"value\":0.5,"));
    buffer_free(&b);
    free(plain);
    free(other);
}

static void test_decimal_comma(void **state) {
    (void)state;
    compare("de_DE.UTF-8");
}

static void test_letters(void **state) {
    (void)state;
    compare("tr_TR.ISO-8859-9");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal_comma),
        cmocka_unit_test(test_letters),
    };
    return cmocka_run_group_tests(tests, make_locales, remove_locales);
}
