// The JSON reader and writers against RFC 8259 and against what Python's json module prints.
#include "protocol/base/json.h"

#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof *(a))

static const struct json *parse(const char *text, struct arena *arena, struct error *err) {
    return json_parse(slice_of(text), arena, err);
}

static void test_accepts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum json_type type;
        int n_children;
    } cases[] = {
        {"null", JSON_NULL, 0},
        {" true\n", JSON_TRUE, 0},
        {"\tfalse\r", JSON_FALSE, 0},
        {"0", JSON_NUMBER, 0},
        {"-0", JSON_NUMBER, 0},
        {"-0.5e+10", JSON_NUMBER, 0},
        {"1E5", JSON_NUMBER, 0},
        {"1e-5", JSON_NUMBER, 0},
        {"\"\"", JSON_STRING, 0},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", JSON_STRING, 0},
        {"\"\\ud83d\\ude00 \xf0\x9f\x98\x80 \x7f\"", JSON_STRING, 0},
        {"\"\\u0000\"", JSON_STRING, 0},
        {"[]", JSON_ARRAY, 0},
        {"[ ]", JSON_ARRAY, 0},
        {"[1,[2],{}]", JSON_ARRAY, 3},
        {"{}", JSON_OBJECT, 0},
        {"{ \"a\" : 1 , \"b\" : [ ] }", JSON_OBJECT, 2},
        {"{\"a\":1,\"a\":2}", JSON_OBJECT, 2},
        {"{\"\":0}", JSON_OBJECT, 1},
    };
    for (size_t i = 0; i < N(cases); i++) {
        struct arena arena = {0};
        struct error err = {0};
        const struct json *value = parse(cases[i].text, &arena, &err);
        if (!value) fail_msg("%s: %s", cases[i].text, err.text);
        assert_int_equal(value->type, cases[i].type);
        assert_int_equal(value->n_children, cases[i].n_children);
        arena_clear(&arena);
    }
}

static const struct {
    const char *text;
    size_t len, at; // at: the offset that the error names
} refused[] = {
#define TEXT(s, at)                                                                                \
    { s, sizeof(s) - 1, at }
    TEXT("", 0),
    TEXT("  ", 2),
    TEXT("nul", 0),
    TEXT("True", 0),
    TEXT("NaN", 0),
    TEXT("-Infinity", 1),
    TEXT("+1", 0),
    TEXT("01", 1),
    TEXT("-", 1),
    TEXT("-01", 2),
    TEXT("1.", 2),
    TEXT(".5", 0),
    TEXT("1e", 2),
    TEXT("1e+", 3),
    TEXT("0x1", 1),
    TEXT("1 2", 2),
    TEXT("null\0", 4),
    TEXT("\0", 0),
    TEXT("[1\0]", 2),
    TEXT("[1,]", 3),
    TEXT("[,1]", 1),
    TEXT("[1 2]", 3),
    TEXT("[1", 2),
    TEXT("[", 1),
    TEXT("]", 0),
    TEXT("[1}", 2),
    TEXT("{\"a\":1,}", 7),
    TEXT("{\"a\"}", 4),
    TEXT("{\"a\" 1}", 5),
    TEXT("{a:1}", 1),
    TEXT("{1:1}", 1),
    TEXT("{'a':1}", 1),
    TEXT("{\"a\":1", 6),
    TEXT("\"", 1),
    TEXT("\"abc", 4),
    TEXT("\"a\nb\"", 2),
    TEXT("\"\x1f\"", 1),
    TEXT("\"a\0b\"", 2),
    TEXT("\"\\x\"", 1),
    TEXT("\"\\\0\"", 1),
    TEXT("\"\\\"", 3),
    TEXT("\"\\u12\"", 1),
    TEXT("\"\\u123g\"", 1),
    TEXT("\"\\ud800\"", 1),
    TEXT("\"\\ud800x\"", 1),
    TEXT("\"\\ud800\\n\"", 1),
    TEXT("\"\\ud800\\ud800\"", 1),
    TEXT("\"\\udc00\"", 1),
    TEXT("\"\\udfff\"", 1),
    TEXT("\"\\ud800\\udbff\"", 1),
    TEXT("\"\\udbff\\ue000\"", 1),
    TEXT("\"\\ud83d\\ude0", 1),
    TEXT("\"\\ud83d", 1),
    TEXT("// c\n1", 0),
    TEXT("\xef\xbb\xbf"
         "1",
         0),
    TEXT("\"\xff\"", 1),
    TEXT("\"\xc0\x80\"", 1),
    TEXT("\"\xed\xa0\x80\"", 1),
    TEXT("\"\xf4\x90\x80\x80\"", 1),
    TEXT("\"\xe2\x82\"", 1),
    TEXT("\xc2\xa0"
         "1",
         0),
};

static void test_refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < N(refused); i++) {
        struct arena arena = {0};
        struct error err = {0};
        // The bytes in a block of their own: a read past them is seen by the address sanitizer.
        char *exact = malloc(refused[i].len ? refused[i].len : 1);
        assert_non_null(exact);
        memcpy(exact, refused[i].text, refused[i].len);
        char where[40];
        snprintf(where, sizeof where, "at byte %zu:", refused[i].at);
        if (json_parse((struct slice){exact, refused[i].len}, &arena, &err))
            fail_msg("case %zu was accepted: %s", i, refused[i].text);
        assert_int_equal(err.code, ERROR_INPUT);
        if (!strstr(err.text, where)) fail_msg("case %zu: %s, not %s", i, err.text, where);
        arena_clear(&arena);
        free(exact);
    }
}

static void test_depth(void **state) {
    (void)state;
    for (int depth = JSON_MAX_DEPTH - 1; depth <= JSON_MAX_DEPTH + 1; depth++) {
        struct buffer text = {0};
        for (int i = 0; i < depth; i++) buffer_add_text(&text, i % 2 ? "[" : "{\"k\":");
        buffer_add_text(&text, "0");
        for (int i = depth - 1; i >= 0; i--) buffer_add_text(&text, i % 2 ? "]" : "}");
        struct arena arena = {0};
        struct error err = {0};
        const struct json *value = json_parse(buffer_slice(&text), &arena, &err);
        assert_int_equal(value != NULL, depth <= JSON_MAX_DEPTH);
        arena_clear(&arena);
        buffer_clear(&text);
        for (int i = 0; i < 100000; i++) buffer_add_text(&text, "[");
        assert_null(json_parse(buffer_slice(&text), &arena, &err));
        arena_clear(&arena);
        buffer_free(&text);
    }
}

// Depth counts what is open, not how many were: siblings cost nothing.
// What json.dumps writes of floats that are no numbers: read on request only.
static void test_python(void **state) {
    static const char *const NUMBERS[] = {"NaN", "Infinity", "-Infinity"};
    static const char *const BAD[] = {"nan",  "NAN",     "-NaN", "+Infinity", "Inf",
                                      "-Inf", "Infinit", "NaN1", "[NaN",      "{NaN:1}"};
    struct arena arena = {0};
    struct error err;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char text[64];
        int64_t integer;
        uint64_t natural;
        double real;
        assert_null(json_parse(slice_of(NUMBERS[i]), &arena, &err));
        assert_null(json_parse_shallow(slice_of(NUMBERS[i]), &arena, &err));
        snprintf(text, sizeof text, "{\"a\": [1, {\"b\": %s}], \"c\": %s}", NUMBERS[i], NUMBERS[i]);
        assert_null(json_parse(slice_of(text), &arena, &err));
        const struct json *deep = json_parse_python(slice_of(text), &arena, &err);
        const struct json *shallow = json_parse_python_shallow(slice_of(text), &arena, &err);
        assert_non_null(deep);
        assert_non_null(shallow);
        const struct json *c = json_get(shallow, "c");
        assert_int_equal(c->type, JSON_NUMBER);
        assert_true(slice_is(c->text, NUMBERS[i]) && json_is_not_finite(c));
        assert_int_equal(json_int64(c, &integer), -1);
        assert_int_equal(json_uint64(c, &natural), -1);
        assert_int_equal(json_double(c, &real), -1);
        struct buffer out = {0};
        json_add_compact(&out, deep);
        buffer_add(&out, "", 1);
        snprintf(text, sizeof text, "{\"a\":[1,{\"b\":%s}],\"c\":%s}", NUMBERS[i], NUMBERS[i]);
        assert_string_equal(out.ptr, text);
        buffer_free(&out);
    }
    assert_false(json_is_not_finite(json_parse(slice_of("-1e5"), &arena, &err)));
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_null(json_parse_python(slice_of(BAD[i]), &arena, &err));
    arena_clear(&arena);
}

static void test_siblings(void **state) {
    (void)state;
    struct buffer text = {0};
    struct arena arena = {0};
    buffer_add_text(&text, "[0");
    for (int i = 0; i < 2 * JSON_MAX_DEPTH; i++) buffer_add_text(&text, ",[],{},[1],{\"a\":[2]}");
    buffer_add_text(&text, "]");
    const struct json *value = json_parse(buffer_slice(&text), &arena, NULL);
    assert_non_null(value);
    assert_int_equal(value->n_children, 1 + 8 * JSON_MAX_DEPTH);
    arena_clear(&arena);
    buffer_free(&text);
}

static void test_spans(void **state) {
    (void)state;
    struct arena arena = {0};
    const char *text =
        " {\"id\" : [ 1.50, \"\\u0041\" ] , \"m\\u00e9ta\":{\"x\" :1E2},\"id\":-0 } ";
    const struct json *value = parse(text, &arena, NULL);
    assert_non_null(value);
    assert_ptr_equal(value->text.ptr, text + 1);
    assert_int_equal(value->text.len, strlen(text) - 2);
    const struct json *first = value->first;
    assert_true(slice_is(first->text, "[ 1.50, \"\\u0041\" ]"));
    assert_true(slice_is(first->key, "id"));
    assert_true(slice_is(first->first->text, "1.50"));
    assert_true(slice_is(first->first->next->text, "\"\\u0041\""));
    assert_true(slice_is(json_string(first->first->next, &arena), "A"));
    assert_true(slice_is(json_get(value, "m\xc3\xa9ta")->text, "{\"x\" :1E2}"));
    assert_true(slice_is(json_get(value, "id")->text, "-0"));
    assert_null(json_get(value, "i"));
    assert_null(json_get(NULL, "id"));
    assert_null(json_get(first, "id"));
    arena_clear(&arena);
}

static void test_strings(void **state) {
    (void)state;
    struct arena arena = {0};
    const struct json *value =
        parse("\"a\\u0000\\ud83d\\ude00\\/\\\\\\\"\\b\\f\\n\\r\\t\\u20ac\\uFFFF\"", &arena, NULL);
    assert_non_null(value);
    struct slice s = json_string(value, &arena);
    static const char want[] = "a\0\xf0\x9f\x98\x80/\\\"\b\f\n\r\t\xe2\x82\xac\xef\xbf\xbf";
    assert_int_equal(s.len, sizeof want - 1);
    assert_memory_equal(s.ptr, want, sizeof want); // with the 0 behind
    arena_clear(&arena);
}

static void test_integers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_int64, is_uint64;
        int64_t i;
        uint64_t u;
    } cases[] = {
        {"0", true, true, 0, 0},
        {"-0", true, false, 0, 0},
        {"42", true, true, 42, 42},
        {"9007199254740993", true, true, 9007199254740993, 9007199254740993},
        {"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
        {"9223372036854775808", false, true, 0, (uint64_t)INT64_MAX + 1},
        {"-9223372036854775808", true, false, INT64_MIN, 0},
        {"-9223372036854775809", false, false, 0, 0},
        {"18446744073709551615", false, true, 0, UINT64_MAX},
        {"18446744073709551616", false, false, 0, 0},
        {"99999999999999999999999999999999999999999999", false, false, 0, 0},
        {"1.0", false, false, 0, 0},
        {"1e2", false, false, 0, 0},
        {"\"1\"", false, false, 0, 0},
        {"true", false, false, 0, 0},
    };
    for (size_t i = 0; i < N(cases); i++) {
        struct arena arena = {0};
        int64_t signed_value = 7;
        uint64_t unsigned_value = 7;
        const struct json *value = parse(cases[i].text, &arena, NULL);
        assert_int_equal(json_int64(value, &signed_value), cases[i].is_int64 ? 0 : -1);
        assert_int_equal(json_uint64(value, &unsigned_value), cases[i].is_uint64 ? 0 : -1);
        assert_true(signed_value == (cases[i].is_int64 ? cases[i].i : 7));
        assert_true(unsigned_value == (cases[i].is_uint64 ? cases[i].u : 7));
        arena_clear(&arena);
    }
    int64_t unused;
    assert_int_equal(json_int64(NULL, &unused), -1);
}

static void test_doubles(void **state) {
    (void)state;
    struct arena arena = {0};
    double v = 7;
    assert_int_equal(json_double(parse("1e309", &arena, NULL), &v), -1);
    assert_int_equal(json_double(parse("\"1\"", &arena, NULL), &v), -1);
    assert_int_equal(json_double(NULL, &v), -1);
    assert_true(v == 7);
    assert_int_equal(json_double(parse("4.9e-324", &arena, NULL), &v), 0);
    assert_true(v == 0x1p-1074);
    assert_int_equal(json_double(parse("9007199254740993", &arena, NULL), &v), 0);
    assert_true(v == 9007199254740992.0);
    // The slice ends inside longer text, and the text is longer than any usual buffer.
    char text[1204] = "[0.";
    memset(text + 3, '0', 1199);
    memcpy(text + 1195, "5e1193]", 8);
    assert_int_equal(json_double(parse(text, &arena, NULL)->first, &v), 0);
    assert_true(v == 5.0);
    arena_clear(&arena);
}

// Right column: json.dumps(json.loads(left), separators=(",", ":"), ensure_ascii=False).
static const char *const compact[][2] = {
    {"null", "null"},
    {"true", "true"},
    {"[false , 1]", "[false,1]"},
    {"-0", "0"},
    {"0", "0"},
    {"-1", "-1"},
    {"123456789012345678901234567890", "123456789012345678901234567890"},
    {"1.0", "1.0"},
    {"-0.0", "-0.0"},
    {"1e2", "100.0"},
    {"1E+2", "100.0"},
    {"1e16", "1e+16"},
    {"1e15", "1000000000000000.0"},
    {"9999999999999998.0", "9999999999999998.0"},
    {"123456789012345680.0", "1.2345678901234568e+17"},
    {"0.0001", "0.0001"},
    {"0.00001", "1e-05"},
    {"1.5e-7", "1.5e-07"},
    {"0.1", "0.1"},
    {"1e999", "Infinity"},
    {"-1e999", "-Infinity"},
    {"5e-324", "5e-324"},
    {"2.2250738585072014e-308", "2.2250738585072014e-308"},
    {"1.7976931348623157e308", "1.7976931348623157e+308"},
    {"3.141592653589793", "3.141592653589793"},
    {"100.0", "100.0"},
    {"1e22", "1e+22"},
    {"1e-4", "0.0001"},
    {"-1.25", "-1.25"},
    {"1e-400", "0.0"},
    {"0.30000000000000004", "0.30000000000000004"},
    {"7.120236347223045e-307", "7.120236347223045e-307"},
    {"7.291122019556398e-304", "7.291122019556398e-304"},
    {"8.209073602596753e-289", "8.209073602596753e-289"},
    {"5.641232424577593e-278", "5.641232424577593e-278"},
    {"5.684341886080802e-14", "5.684341886080802e-14"},
    {"6.103515625e-05", "6.103515625e-05"},
    {"0.0001220703125", "0.0001220703125"},
    {"9007199254740992.0", "9007199254740992.0"},
    {"1.8014398509481984e+16", "1.8014398509481984e+16"},
    {"1.152921504606847e+18", "1.152921504606847e+18"},
    {"8.98846567431158e+307", "8.98846567431158e+307"},
    {"5e-324", "5e-324"},
    {"\"\\u00e9\\ud83d\\ude00\\/\\u007f\\u2028\"", "\"\303\251\360\237\230\200/\177\342\200\250\""},
    {"\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\\"", "\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\\""},
    {"\"\"", "\"\""},
    {"[ ]", "[]"},
    {"{ }", "{}"},
    {"[ 1 , 2.50 , \"x\" , [ ] , { } ]", "[1,2.5,\"x\",[],{}]"},
    {"{ \"b\" : 1 , \"a\" : 2 }", "{\"b\":1,\"a\":2}"},
    {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"},
    {"{\"\\u0061\":1,\"b\":[{\"c\":1,\"c\":2}],\"a\":{\"z\":1}}",
     "{\"a\":{\"z\":1},\"b\":[{\"c\":2}]}"},
    {"{\"\":1,\"a\":2,\"\":3,\"a\":4,\"aa\":5}", "{\"\":3,\"a\":4,\"aa\":5}"},
    {"7.1202363472230444e-307", "7.120236347223045e-307"},
    {"7.2911220195563975e-304", "7.291122019556398e-304"},
    {"8.2090736025967525e-289", "8.209073602596753e-289"},
    {"5.6412324245775924e-278", "5.641232424577593e-278"},
    {"5.6843418860808015e-14", "5.684341886080802e-14"},
    {"9.0071992547409920e+15", "9007199254740992.0"},
    {"1.1529215046068470e+18", "1.152921504606847e+18"},
};

static void test_compact(void **state) {
    (void)state;
    struct buffer out = {0};
    for (size_t i = 0; i < N(compact); i++) {
        struct arena arena = {0};
        const struct json *value = parse(compact[i][0], &arena, NULL);
        assert_non_null(value);
        buffer_clear(&out);
        json_add_compact(&out, value);
        assert_string_equal(out.ptr, compact[i][1]);
        arena_clear(&arena);
    }
    buffer_free(&out);
}

static void test_writes_strings(void **state) {
    (void)state;
    struct buffer out = {0};
    json_add_string(&out, (struct slice){NULL, 0});
    json_add_string(&out, (struct slice){"a\0\"\\\b\f\n\r\t\x1f\x7f/\xc3\xa9", 14});
    json_add_string(&out, slice_of("\xff<\xe2\x82>\xed\xa0\x80"));
    assert_string_equal(out.ptr,
                        "\"\"\"a\\u0000\\\"\\\\\\b\\f\\n\\r\\t\\u001f\x7f/\xc3\xa9\""
                        "\"\xef\xbf\xbd<\xef\xbf\xbd>\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    buffer_free(&out);
}

static void test_floats_read_back(void **state) {
    (void)state;
    struct buffer out = {0};
    uint64_t x = 1;
    for (int i = 0; i < 1000000; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        uint32_t bits = i < 2 ? (uint32_t)i << 31 : (uint32_t)(x >> 32), back;
        float f;
        memcpy(&f, &bits, 4);
        buffer_clear(&out);
        json_add_float(&out, f);
        if (!isfinite(f)) {
            assert_string_equal(out.ptr, "null");
            continue;
        }
        // As a reader in double precision has it, such as Python: -0 would lose its sign as
        // integer.
        float g = (float)strtod(out.ptr, NULL);
        memcpy(&back, &g, 4);
        assert_int_equal(back, bits);
        assert_true(bits != 0x80000000u || strchr(out.ptr, '.'));
    }
    buffer_free(&out);
}

static void test_doubles_read_back(void **state) {
    (void)state;
    struct buffer out = {0};
    uint64_t x = 2;
    for (int i = 0; i < 50000; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        uint64_t bits = x ^ x >> 29, back;
        if (i % 4 == 0) bits &= 0xfff0000000000000u; // powers of two: their gaps differ
        double d, e;
        memcpy(&d, &bits, 8);
        buffer_clear(&out);
        json_add_double(&out, d);
        if (!isfinite(d)) {
            assert_string_equal(out.ptr, "null");
            continue;
        }
        e = strtod(out.ptr, NULL);
        memcpy(&back, &e, 8);
        assert_true(back == bits);
    }
    buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_python),
        cmocka_unit_test(test_siblings),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_compact),
        cmocka_unit_test(test_writes_strings),
        cmocka_unit_test(test_floats_read_back),
        cmocka_unit_test(test_doubles_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
