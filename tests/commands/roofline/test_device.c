// A device's figures: by name, from a file's bytes, and a refusal that names the culprit.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/commands/roofline/device.h"

#define GOOD                                                                                       \
    "\"read_bytes_per_s\": 3.35e12, \"peak_flops\": 990e12, \"memory_bytes\": 85500000000, "       \
    "\"launch_gap_us\": 1.3"

static int parse(const char *text, struct device *d, struct error *err) {
    memset(d, 0x55, sizeof *d);
    memset(err, 0, sizeof *err);
    return device_parse("some/where/h100.json", slice_of(text), d, err);
}

static void test_good(void **state) {
    (void)state;
    struct device d;
    struct error err;
    assert_int_equal(parse("{" GOOD "}", &d, &err), 0);
    assert_string_equal(d.name, "h100.json");
    assert_true(d.read_bytes_per_s == 3.35e12 && d.peak_flops == 990e12);
    assert_true(d.memory_bytes == 85.5e9 && d.launch_gap_us == 1.3);
    assert_true(d.read_share == 1 && d.flops_share == 1 && d.memory_share == 1);
    assert_true(d.workspace_bytes == 0 && !d.kv_overlaps);
    assert_int_equal(parse("{\"name\": \"a \\u00e9\", \"read_share\": 0.88, \"flops_share\": 0.65, "
                           "\"memory_share\": 1, \"workspace_bytes\": 2e9, "
                           "\"kv_overlaps\": true, " GOOD "}",
                           &d, &err),
                     0);
    assert_string_equal(d.name, "a \xc3\xa9");
    assert_true(d.read_share == 0.88 && d.flops_share == 0.65 && d.workspace_bytes == 2e9);
    assert_true(d.kv_overlaps);
}

static void test_names(void **state) {
    (void)state;
    static const char *const names[] = {"h100", "h200", "a100", "l40s", "4090"};
    for (int i = 0; i < 5; i++) {
        struct device d, again;
        struct error err;
        assert_non_null(strstr(DEVICE_NAMES, names[i]));
        assert_int_equal(device_named(names[i], &d), 0);
        assert_string_equal(d.name, names[i]);
        struct buffer text = {0};
        device_add_json(&text, &d);
        assert_int_equal(parse(text.ptr, &again, &err), 0);
        assert_string_equal(again.name, d.name);
        assert_true(again.read_bytes_per_s == d.read_bytes_per_s);
        assert_true(again.peak_flops == d.peak_flops && again.memory_bytes == d.memory_bytes);
        assert_true(again.launch_gap_us == d.launch_gap_us && again.read_share == d.read_share);
        assert_true(again.flops_share == d.flops_share && again.memory_share == d.memory_share);
        assert_true(again.workspace_bytes == d.workspace_bytes && again.kv_overlaps);
        buffer_free(&text);
    }
    struct device d;
    assert_int_equal(device_named("H100", &d), -1);
    assert_int_equal(device_named("", &d), -1);
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *key, *found;
    } cases[] = {
        {"", "byte", ""},
        {"{" GOOD, "byte", ""},
        {"[" GOOD "]", "byte", ""},
        {"[]", "an array", "object"},
        {"3", "a number", "object"},
        {"null", "null", "object"},
        {"{}", "read_bytes_per_s", "missing"},
        {"{\"peak_flops\": 1e12, \"memory_bytes\": 1e9, \"launch_gap_us\": 1}", "read_bytes_per_s",
         "missing"},
        {"{\"read_bytes_per_s\": 1e12, \"memory_bytes\": 1e9, \"launch_gap_us\": 1}", "peak_flops",
         "missing"},
        {"{\"read_bytes_per_s\": 1e12, \"peak_flops\": 1e9, \"launch_gap_us\": 1}", "memory_bytes",
         "missing"},
        {"{\"read_bytes_per_s\": 1e12, \"peak_flops\": 1e9, \"memory_bytes\": 1e9}",
         "launch_gap_us", "missing"},
        {"{" GOOD ", \"bandwidth\": 1}", "\"bandwidth\"", "not known"},
        {"{" GOOD ", \"\": 1}", "\"\"", "not known"},
        {"{" GOOD ", \"peak_flops\": \"990e12\"}", "peak_flops", "\"990e12\""},
        {"{" GOOD ", \"peak_flops\": null}", "peak_flops", "null"},
        {"{" GOOD ", \"peak_flops\": [1]}", "peak_flops", "[1]"},
        {"{" GOOD ", \"peak_flops\": 0}", "peak_flops", "is 0;"},
        {"{" GOOD ", \"peak_flops\": -1e12}", "peak_flops", "-1e12"},
        {"{" GOOD ", \"peak_flops\": 1e999}", "peak_flops", "1e999"},
        {"{" GOOD ", \"memory_bytes\": 1e30}", "memory_bytes", "1e30"},
        {"{" GOOD ", \"read_bytes_per_s\": true}", "read_bytes_per_s", "true"},
        {"{" GOOD ", \"launch_gap_us\": -0.1}", "launch_gap_us", "-0.1"},
        {"{" GOOD ", \"read_share\": 0}", "read_share", "is 0;"},
        {"{" GOOD ", \"read_share\": 88}", "read_share", "88"},
        {"{" GOOD ", \"flops_share\": 1.01}", "flops_share", "1.01"},
        {"{" GOOD ", \"memory_share\": \"0.9\"}", "memory_share", "\"0.9\""},
        {"{" GOOD ", \"workspace_bytes\": -1}", "workspace_bytes", "-1"},
        {"{" GOOD ", \"kv_overlaps\": 1}", "kv_overlaps", "is 1;"},
        {"{" GOOD ", \"kv_overlaps\": null}", "kv_overlaps", "null"},
        {"{" GOOD ", \"name\": 4090}", "name", "4090"},
        {"{" GOOD ", \"name\": \"\"}", "name", "\"\""},
        {"{" GOOD ", \"name\": \"a\\u0000b\"}", "name", "u0000"},
        {"{" GOOD ", \"name\": \"a\\nb\"}", "name", "a\\nb"},
        {"{" GOOD ", \"name\": \"\\u001b[2J\"}", "name", "u001b"},
        {"{" GOOD ", \"name\": \"a\\u007f\"}", "name", "u007f"},
        {"{" GOOD ", \"name\": \"\\u009b2J\"}", "name", "u009b"},
        {"{" GOOD
         ", \"name\": \"0123456789012345678901234567890123456789012345678901234567890123\"}",
         "name", "63 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct device d;
        struct error err;
        if (parse(cases[i].text, &d, &err) != -1) fail_msg("accepted: %s", cases[i].text);
        assert_int_equal(err.code, ERROR_CONFIG);
        if (strncmp(err.text, "some/where/h100.json: ", 22) || !strstr(err.text, cases[i].key) ||
            !strstr(err.text, cases[i].found) || err.text[strlen(err.text) - 1] != '.')
            fail_msg("of %s it says: %s", cases[i].text, err.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
