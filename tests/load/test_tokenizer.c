// A small tokenizer built here; the comparison with `tokenizers` is tests/python/test_tokenizer.py.
#include "worker/load/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/memory.h"
#include "protocol/base/utf8.h"
#include "tests/load/tokenizer_json.h"

static const char *const merges[] = {"l", "l", "h", "e",  "he", "ll", "hell", "o", "a", "b", "b",
                                     "c", "a", "a", "aa", "aa", "ab", "c",    "i", "n", NULL};
enum { N_MERGES = 10, LL = 259, HE, HELL, HELLO, AB, BC, AA, AAAA, ABC, IN, TOOL, NORM };

static struct buffer valid_json(void) {
    struct buffer out = {0};
    tokenizer_json_write(&out, merges);
    return out;
}

static struct tokenizer *load(void) {
    struct buffer json = valid_json();
    struct error err = {0};
    struct tokenizer *t = tokenizer_parse(buffer_slice(&json), (struct slice){0}, &err);
    if (!t) fail_msg("%s", err.text);
    buffer_free(&json);
    return t;
}

static void expect_ids(const struct tokenizer *t, const char *text, bool add_special, size_t n,
                       const int32_t *ids) {
    struct token_list out = {0};
    struct error err = {0};
    assert_int_equal(tokenizer_encode(t, slice_of(text), add_special, &out, &err), 0);
    assert_int_equal(out.n, n);
    assert_memory_equal(out.ids, ids, n * sizeof *ids);
    token_list_free(&out);
}

#define EXPECT(t, text, add_special, ...)                                                          \
    expect_ids(t, text, add_special, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t),           \
               (int32_t[]){__VA_ARGS__})

static void merges_in_order_of_rank(void **state) {
    (void)state;
    struct tokenizer *t = load();
    EXPECT(t, "hello", false, HELLO);
    EXPECT(t, "hello", true, 0, HELLO);
    EXPECT(t, "helo", false, HE, 3 + 'l', 3 + 'o');
    EXPECT(t, "abc", false, ABC);               // ab (4) goes before bc (5)
    EXPECT(t, "aaaaa", false, AAAA, 3 + 'a');   // equal ranks from the left
    EXPECT(t, " hello", false, 3 + ' ', HELLO); // one piece, nothing joins the space
    EXPECT(t, "\xc3\xa9", false, 3 + 0xc3, 3 + 0xa9);
    expect_ids(t, "", false, 0, (int32_t[]){0});
    tokenizer_free(&t);
    assert_null(t);
    tokenizer_free(&t);
}

static void added_tokens_are_found_first(void **state) {
    (void)state;
    struct tokenizer *t = load();
    EXPECT(t, "ab<|im_end|>c", false, AB, 1, 3 + 'c');
    EXPECT(t, "<<|im_end|>>", false, 3 + '<', 1, 3 + '>');
    EXPECT(t, "<tool>", false, TOOL);
    EXPECT(t, "normin", false, NORM, IN); // cut as if nothing stood before it
    EXPECT(t, "<|im_end|", false, 3 + '<', 3 + '|', 3 + 'i', 3 + 'm', 3 + '_', 3 + 'e', 3 + 'n',
           3 + 'd', 3 + '|');
    tokenizer_free(&t);
}

static void ids_and_bytes(void **state) {
    (void)state;
    struct tokenizer *t = load();
    const int32_t *ends;
    assert_int_equal(tokenizer_n_ids(t), NORM + 1);
    assert_true(tokenizer_has_id(t, 0) && tokenizer_has_id(t, NORM));
    assert_false(tokenizer_has_id(t, -1) || tokenizer_has_id(t, NORM + 1) ||
                 tokenizer_has_id(t, INT32_MIN) || tokenizer_has_id(t, INT32_MAX));
    assert_true(slice_is(tokenizer_token_bytes(t, HELLO), "hello"));
    assert_true(slice_is(tokenizer_token_bytes(t, 3 + 0xe9), "\xe9"));
    assert_int_equal(tokenizer_token_bytes(t, 3).len, 1); // the byte 0
    assert_int_equal(tokenizer_token_bytes(t, 9999).len, 0);
    assert_true(slice_is(tokenizer_token_bytes(t, 1), "<|im_end|>"));
    assert_true(tokenizer_is_special(t, 1) && !tokenizer_is_special(t, TOOL));
    assert_false(tokenizer_is_special(t, HELLO) || tokenizer_is_special(t, -1));
    assert_int_equal(tokenizer_find(t, slice_of("<|im_end|>")), 1);
    assert_int_equal(tokenizer_find(t, slice_of("\xe9")), 3 + 0xe9);
    assert_int_equal(tokenizer_find(t, slice_of("hello")), HELLO);
    assert_int_equal(tokenizer_find(t, slice_of("")), -1);
    assert_int_equal(tokenizer_find(t, slice_of("nothing")), -1);
    assert_int_equal(tokenizer_bos(t), 0);
    assert_true(tokenizer_adds_bos(t));
    assert_int_equal(tokenizer_end_ids(t, &ends), 2);
    assert_true(ends[0] == 1 && ends[1] == 2);
    tokenizer_free(&t);
}

static void decoding_never_splits_a_character(void **state) {
    (void)state;
    struct tokenizer *t = load();
    struct token_list ids = {0};
    struct buffer pending = {0}, text = {0};
    const char *expected = "h\xe6\x97\xa5\xf0\x9f\x99\x82\xc3\xa9o";
    assert_int_equal(tokenizer_encode(t, slice_of(expected), false, &ids, NULL), 0);
    assert_int_equal(ids.n, strlen(expected));
    for (size_t i = 0; i < ids.n; i++) {
        tokenizer_decode(t, &ids.ids[i], 1, &pending);
        size_t whole = pending.len - utf8_incomplete_tail(buffer_slice(&pending));
        struct slice part = {pending.ptr, whole};
        assert_int_equal(utf8_valid_prefix(part), part.len);
        buffer_add_slice(&text, part);
        memmove(pending.ptr, pending.ptr + whole, pending.len - whole);
        pending.len -= whole;
    }
    assert_true(slice_is(buffer_slice(&text), expected));
    buffer_free(&pending);
    buffer_free(&text);
    token_list_free(&ids);
    tokenizer_free(&t);
}

static void invalid_utf8_is_refused_with_its_offset(void **state) {
    static const struct {
        const char *text;
        size_t len;
        const char *said;
    } cases[] = {
        {"\xff", 1, "byte 0 (0xff)"},          {"abc\x80", 4, "byte 3 (0x80)"},
        {"ab\xc3", 3, "byte 2 (0xc3)"},        {"\xe6\x97\xa5\xe6\x97", 5, "byte 3 (0xe6)"},
        {"a\xed\xa0\x80", 4, "byte 1 (0xed)"}, {"\xc0\x80", 2, "byte 0 (0xc0)"},
        {"x\xf4\x90\x80\x80", 5, "byte 1"},    {"\0\0\xf5", 3, "byte 2 (0xf5)"},
        {"<|im_end|>\xfe", 11, "byte 10"},
    };
    (void)state;
    struct tokenizer *t = load();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct token_list out = {0};
        struct error err = {0};
        token_list_add(&out, 7);
        struct slice text = {cases[i].text, cases[i].len};
        assert_int_equal(tokenizer_encode(t, text, true, &out, &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(strstr(err.text, cases[i].said));
        assert_int_equal(out.n, 1);
        token_list_free(&out);
    }
    tokenizer_free(&t);
}

static int32_t id_of_piece(const char *piece) {
    if (!piece[1]) return 3 + piece[0];
    for (int i = 0; i < N_MERGES; i++) {
        size_t n = strlen(merges[2 * i]);
        if (strncmp(piece, merges[2 * i], n) == 0 && strcmp(piece + n, merges[2 * i + 1]) == 0)
            return LL + i;
    }
    return -1;
}

// One merge at a time, the lowest rank first and of equals the leftmost: the definition.
static size_t merge_slowly(int32_t *ids, size_t n) {
    for (;;) {
        size_t best_at = n;
        int best = N_MERGES;
        for (size_t i = 0; i + 1 < n; i++)
            for (int m = 0; m < best; m++)
                if (ids[i] == id_of_piece(merges[2 * m]) &&
                    ids[i + 1] == id_of_piece(merges[2 * m + 1]))
                    best = m, best_at = i;
        if (best == N_MERGES) return n;
        ids[best_at] = LL + best;
        memmove(&ids[best_at + 1], &ids[best_at + 2], (n - best_at - 2) * sizeof *ids);
        n--;
    }
}

static void random_texts_merge_as_defined(void **state) {
    (void)state;
    struct tokenizer *t = load();
    uint32_t random = 1;
    for (int round = 0; round < 300; round++) {
        char text[41];
        int32_t expected[40];
        size_t n = (size_t)(round % 40) + 1;
        for (size_t i = 0; i < n; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = "abchelo"[(random >> 16) % 7];
            expected[i] = 3 + text[i];
        }
        text[n] = 0;
        expect_ids(t, text, false, merge_slowly(expected, n), expected);
    }
    tokenizer_free(&t);
}

// With time in the square of the length each of these would take minutes.
static void long_texts(void **state) {
    static const struct {
        const char *unit;
        int32_t id, n_ids;
    } cases[] = {{"aaaa", AAAA, 1},    {"hello", HELLO, 1},          {"    ", 3 + ' ', 4},
                 {"1111", 3 + '1', 4}, {"!!!!", 3 + '!', 4},         {"\n\n\n\n", 3 + '\n', 4},
                 {"<|im_end|>", 1, 1}, {"<|im_end|\n", 3 + '<', 10}, {"ab ", AB, 2}};
    enum { UNITS = 300000 };
    (void)state;
    struct tokenizer *t = load();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer text = {0}, back = {0};
        struct token_list out = {0};
        for (int k = 0; k < UNITS; k++) buffer_add_text(&text, cases[i].unit);
        assert_int_equal(tokenizer_encode(t, buffer_slice(&text), false, &out, NULL), 0);
        assert_int_equal(out.n, (size_t)UNITS * (size_t)cases[i].n_ids);
        assert_int_equal(out.ids[out.n - (size_t)cases[i].n_ids], cases[i].id);
        tokenizer_decode(t, out.ids, out.n, &back);
        assert_true(slice_equal(buffer_slice(&back), buffer_slice(&text)));
        buffer_free(&text);
        buffer_free(&back);
        token_list_free(&out);
    }
    tokenizer_free(&t);
}

// Makes the first `from` in `json` a `to`.
static void replace(struct buffer *json, const char *from, const char *to) {
    struct buffer old = *json;
    const char *at = strstr(old.ptr, from);
    if (!at) fail_msg("the file has no %s", from);
    *json = (struct buffer){0};
    buffer_add(json, old.ptr, (size_t)(at - old.ptr));
    buffer_add_text(json, to);
    buffer_add_text(json, at + strlen(from));
    buffer_free(&old);
}

static struct tokenizer *load_changed(const char *from, const char *to, struct slice config,
                                      struct error *err) {
    struct buffer json = valid_json();
    replace(&json, from, to);
    struct tokenizer *t = tokenizer_parse(buffer_slice(&json), config, err);
    buffer_free(&json);
    return t;
}

static void what_is_not_supported_is_refused(void **state) {
    static const char *const cases[][3] = {
        {"\"BPE\"", "\"Unigram\"", "model.type"},
        {"\"dropout\": null", "\"dropout\": 0.1", "dropout"},
        {"\"byte_fallback\": false", "\"byte_fallback\": true", "byte_fallback"},
        {"\"ignore_merges\": false", "\"ignore_merges\": 3", "ignore_merges"},
        {"\"unk_token\": null", "\"end_of_word_suffix\": \"</w>\"", "end_of_word_suffix"},
        {"\"unk_token\": null", "\"continuing_subword_prefix\": 1", "continuing_subword_prefix"},
        {"\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", "normalizer"},
        {"\"Sequence\", \"pretok", "\"Digits\", \"pretok", "pre_tokenizer"},
        {"{1,3}", "{1,2}", "pattern"},
        {"\"Regex\"", "\"String\"", "pattern"},
        {"\"Isolated\"", "\"Removed\"", "behavior"},
        {"\"invert\": false", "\"invert\": true", "invert"},
        {"\"Split\"", "\"Punctuation\"", "Split"},
        {"\"add_prefix_space\": false", "\"add_prefix_space\": true", "add_prefix_space"},
        {", \"use_regex\": false", "", "use_regex"},
        {"\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": null", "decoder"},
        {"\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": {\"type\": \"Fuse\"}", "decoder"},
        {"\"TemplateProcessing\"", "\"RobertaProcessing\"", "post_processor"},
        {"\"id\": \"A\"", "\"id\": \"B\"", "Sequence A"},
        {"\"ids\": [0]", "\"ids\": [9999]", "9999"},
        {"\"ids\": [0]", "\"ids\": []", "special_tokens"},
        {"\"single_word\": false", "\"single_word\": true", "single_word"},
        {"\"lstrip\": false", "\"lstrip\": true", "lstrip"},
        {"\"rstrip\": false", "\"rstrip\": \"no\"", "rstrip"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct tokenizer *t = load_changed(cases[i][0], cases[i][1], (struct slice){0}, &err);
        if (t || !strstr(err.text, cases[i][2])) fail_msg("%s: %s", cases[i][1], err.text);
        assert_int_equal(err.code, ERROR_CONFIG);
        assert_int_equal(strncmp(err.text, "tokenizer.json: ", 16), 0);
    }
}

static void malformed_files_are_refused(void **state) {
    static const char *const cases[][3] = {
        {"\"he\": 260", "\"he\": 259", "Id 259"},
        {"\"he\": 260", "\"ll\": 260", "twice"},
        {"\"he\": 260", "\"he\": -1", "-1"},
        {"\"he\": 260", "\"he\": 99999999999", "99999999999"},
        {"\"he\": 260", "\"he\": 1.5", "1.5"},
        {"\"he\": 260", "\"he\": \"x\"", "integer"},
        {"\"he\": 260", "\"hx\": 260", "merges[1]"}, // the result is gone
        {"[\"h\", \"e\"]", "[\"h\", \"nothing\"]", "merges[1]"},
        {"[\"h\", \"e\"]", "[\"h\"]", "merges[1]"},
        {"[\"h\", \"e\"]", "\"h e x\"", "merges[1]"},
        {"[\"h\", \"e\"]", "\"he\"", "merges[1]"},
        {"[\"h\", \"e\"]", "[1, 2]", "merges[1]"},
        {"[\"h\", \"e\"]", "null", "merges[1]"},
        {", \"A\": 68", "", "0x41"},
        {"\"vocab\": {", "\"vocab\": [], \"other\": {", "model.vocab"},
        {"\"merges\": [", "\"merges\": null, \"other\": [", "model.merges"},
        {"\"model\"", "\"modell\"", "model is nothing"},
        {"\"added_tokens\": [", "\"added_tokens\": 4, \"other\": [", "added_tokens"},
        {"\"id\": 1, \"content\"", "\"content\"", "added_tokens[1]"},
        {"\"id\": 1,", "\"id\": 2,", "expected 1"},
        {"\"id\": 269,", "\"id\": 280,", "expected 269"},
        {"\"id\": 270,", "\"id\": 269,", "expected 270"},
        {"\"content\": \"norm\"", "\"content\": \"\"", "added_tokens[4]"},
        {"\"content\": \"norm\"", "\"content\": 5", "added_tokens[4]"},
        {"\"content\": \"norm\"", "\"content\": \"<tool>\"", "second time"},
        {"\"id\": 270, \"content\": \"norm\"", "\"id\": 236, \"content\": \"\xc3\xa9\"",
         "other bytes"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct tokenizer *t = load_changed(cases[i][0], cases[i][1], (struct slice){0}, &err);
        if (t || !strstr(err.text, cases[i][2])) fail_msg("%s: %s", cases[i][1], err.text);
        assert_int_equal(err.code, ERROR_CONFIG);
    }
}

static void older_files_write_merges_as_strings(void **state) {
    (void)state;
    struct tokenizer *t = load_changed("[\"h\", \"e\"]", "\"h e\"", (struct slice){0}, NULL);
    EXPECT(t, "hello", false, HELLO);
    tokenizer_free(&t);
}

static void ignore_merges_takes_whole_pieces(void **state) {
    (void)state;
    for (int ignore = 0; ignore < 2; ignore++) {
        struct buffer json = valid_json();
        // No merge makes "abc" now, and of the two for "a" and "b" the later one counts.
        replace(&json, "[\"ab\", \"c\"]", "[\"a\", \"b\"]");
        if (ignore) replace(&json, "\"ignore_merges\": false", "\"ignore_merges\": true");
        struct tokenizer *t = tokenizer_parse(buffer_slice(&json), (struct slice){0}, NULL);
        if (ignore)
            EXPECT(t, "abc abc", false, ABC, 3 + ' ', 3 + 'a', BC);
        else
            EXPECT(t, "abc abc", false, 3 + 'a', BC, 3 + ' ', 3 + 'a', BC);
        tokenizer_free(&t);
        buffer_free(&json);
    }
}

static void holes_are_no_ids(void **state) {
    (void)state;
    struct buffer json = valid_json();
    replace(&json, "\"abc\": 267", "\"abc\": 900");
    struct tokenizer *t = tokenizer_parse(buffer_slice(&json), (struct slice){0}, NULL);
    assert_non_null(t);
    assert_int_equal(tokenizer_n_ids(t), 901);
    assert_true(tokenizer_has_id(t, 900) && tokenizer_has_id(t, NORM));
    assert_false(tokenizer_has_id(t, ABC) || tokenizer_has_id(t, 500));
    assert_int_equal(tokenizer_token_bytes(t, ABC).len, 0);
    EXPECT(t, "abc", false, 900);
    tokenizer_free(&t);
    buffer_free(&json);
}

static void config_names_bos_and_eos(void **state) {
    (void)state;
    struct error err = {0};
    const int32_t *ends;
    struct slice config = slice_of("{\"bos_token\": {\"content\": \"<tool>\"}, \"eos_token\": "
                                   "\"norm\", \"add_bos_token\": false}");
    struct tokenizer *t = load_changed("1.0", "1.0", config, &err);
    assert_int_equal(tokenizer_bos(t), TOOL);
    assert_int_equal(tokenizer_end_ids(t, &ends), 2);
    assert_true(ends[0] == NORM && ends[1] == 2);
    assert_false(tokenizer_adds_bos(t)); // the template puts another token in front
    tokenizer_free(&t);
    t = load_changed("1.0", "1.0", slice_of("{\"bos_token\": null}"), &err);
    assert_int_equal(tokenizer_bos(t), -1);
    assert_int_equal(tokenizer_end_ids(t, &ends), 1);
    tokenizer_free(&t);
    static const char *const bad[][2] = {{"{\"bos_token\": \"none such\"}", "none such"},
                                         {"{\"eos_token\": 7}", "a number"},
                                         {"[]", "an array"},
                                         {"{", "JSON"}};
    for (int i = 0; i < 4; i++) {
        assert_null(load_changed("1.0", "1.0", slice_of(bad[i][0]), &err));
        assert_non_null(strstr(err.text, bad[i][1]));
        assert_int_equal(strncmp(err.text, "tokenizer_config.json: ", 23), 0);
        assert_int_equal(err.code, ERROR_CONFIG);
    }
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    struct buffer json = valid_json();
    for (size_t len = 0; len < json.len; len++) {
        struct error err = {0};
        assert_null(tokenizer_parse((struct slice){json.ptr, len}, (struct slice){0}, &err));
        assert_int_equal(err.code, ERROR_CONFIG);
    }
    buffer_free(&json);
}

static void missing_files(void **state) {
    (void)state;
    struct error err = {0};
    assert_false(tokenizer_is_present("tests/load"));
    assert_null(tokenizer_load("tests/load", &err));
    assert_non_null(strstr(err.text, "tests/load/tokenizer.json"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_in_order_of_rank),
        cmocka_unit_test(added_tokens_are_found_first),
        cmocka_unit_test(ids_and_bytes),
        cmocka_unit_test(decoding_never_splits_a_character),
        cmocka_unit_test(invalid_utf8_is_refused_with_its_offset),
        cmocka_unit_test(random_texts_merge_as_defined),
        cmocka_unit_test(long_texts),
        cmocka_unit_test(what_is_not_supported_is_refused),
        cmocka_unit_test(malformed_files_are_refused),
        cmocka_unit_test(older_files_write_merges_as_strings),
        cmocka_unit_test(ignore_merges_takes_whole_pieces),
        cmocka_unit_test(holes_are_no_ids),
        cmocka_unit_test(config_names_bos_and_eos),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(missing_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
