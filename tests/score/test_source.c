// Lines of files, however they are cut and packed; records of every format; paths.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "verifiers/score.h"
#include "verifiers/score/score_record.h"
#include "verifiers/score/score_source.h"

static char folder[] = P_tmpdir "/test-source-XXXXXX";

static const char *store(const char *name, const void *bytes, size_t len) {
    static char path[4][128];
    static int at;
    char *out = path[at++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    FILE *file = fopen(out, "wb");
    assert_non_null(file);
    if (len) assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
    return out;
}

// All lines, joined by '|'; too long ones as "<long>". *failed: what the last read said.
static struct buffer lines_of(const char *const *paths, int n, int *failed) {
    struct error err;
    struct buffer out = {0};
    struct score_line line;
    struct score_source *s = score_source_open(paths, n, &err);
    assert_non_null(s);
    uint64_t index = 0;
    *failed = 0;
    for (;;) {
        if (score_source_line(s, &line)) {
            assert_int_equal(line.index, index++);
            buffer_printf(&out, "%llu:", (unsigned long long)line.line);
            if (line.too_long)
                buffer_add_text(&out, "<long>");
            else
                buffer_add_slice(&out, line.text);
            buffer_add_text(&out, "|");
        } else if (score_source_ended(s)) {
            break;
        } else if (score_source_read(s, &err)) {
            *failed = -1;
        }
    }
    score_source_free(&s);
    buffer_add(&out, "", 1);
    return out;
}

static void test_lines(void **state) {
    (void)state;
    int failed;
    const char *paths[] = {store("a", "one\n\n \t\r\ntwo\r\nlast", 18), store("b", "", 0),
                           store("c", "three\n", 6)};
    struct buffer got = lines_of(paths, 3, &failed);
    assert_int_equal(failed, 0);
    assert_string_equal(got.ptr, "1:one|4:two\r|5:last|1:three|");
    buffer_free(&got);
}

#define REFUSED(bytes, word) check_refused(bytes, sizeof bytes - 1, word)

static void check_refused(const void *bytes, size_t len, const char *word) {
    struct error err;
    struct score_line line;
    const char *path = store("refused", bytes, len);
    struct score_source *s = score_source_open(&path, 1, &err);
    assert_non_null(s);
    int failed = 0;
    while (!failed && !score_source_ended(s)) {
        failed = score_source_read(s, &err);
        if (!failed) assert_false(score_source_line(s, &line) && line.text.len > 1);
    }
    if (!failed || !strstr(err.text, word)) print_error("%s: %s\n", word, err.text);
    assert_int_equal(failed, -1);
    assert_int_equal(err.code, ERROR_IO);
    assert_non_null(strstr(err.text, word));
    assert_true(score_source_ended(s));
    assert_false(score_source_line(s, &line));
    score_source_free(&s);
}

static void test_byte_order_marks(void **state) {
    (void)state;
#define BOM "\xEF\xBB\xBF"
    int failed;
    const char *paths[] = {store("a", BOM "one\n" BOM "two\n", 14), store("b", BOM, 3),
                           store("c", BOM "\n" BOM BOM "three", 15)};
    struct buffer got = lines_of(paths, 3, &failed);
    assert_int_equal(failed, 0);
    assert_string_equal(got.ptr, "1:one|2:two|2:" BOM "three|");
    buffer_free(&got);
}

static void test_files_without_lines(void **state) {
    (void)state;
    REFUSED("PAR1\x15\x04", "Parquet");
    REFUSED("ARROW1\0\0", "Arrow");
    REFUSED("BZh91AY&SY", "bzip2");
    REFUSED("\xFD"
            "7zXZ\0\0",
            "xz");
    REFUSED("PK\x03\x04 ", "zip");
    REFUSED("\xFF\xFE{\0}\0", "UTF-16");
    REFUSED("\xFE\xFF\0{\0}", "UTF-16");
    REFUSED("[\n  {\n    \"a\": 1\n  }\n]\n", "many lines");
    REFUSED("{\n  \"a\": 1\n}", "many lines");
    REFUSED(BOM "\n[\r\n{}]", "many lines");
    // Lines that only begin alike.
    int failed;
    const char *path = store("plain", "[]\n{}\nPAR\nBZ\n[ ]\n", 17);
    struct buffer got = lines_of(&path, 1, &failed);
    assert_int_equal(failed, 0);
    assert_string_equal(got.ptr, "1:[]|2:{}|3:PAR|4:BZ|5:[ ]|");
    buffer_free(&got);
    for (size_t len = 1; len < 4; len++) { // the beginning of a magic
        path = store("short", "PAR", len);
        got = lines_of(&path, 1, &failed);
        assert_int_equal(failed, 0);
        assert_int_equal(got.len, len + 4);
        buffer_free(&got);
    }
}

static void test_lines_that_are_too_long(void **state) {
    (void)state;
    const size_t big = SCORE_MAX_LINE_BYTES + 100;
    char *text = memory_new(2 * big + 100, 1);
    int failed;
    strcpy(text, "first\n");
    memset(text + 6, 'x', big);
    strcpy(text + 6 + big, "\nnext\n");
    memset(text + 12 + big, 'y', big);
    const char *path = store("long", text, 12 + 2 * big);
    struct buffer got = lines_of(&path, 1, &failed);
    assert_int_equal(failed, 0);
    assert_string_equal(got.ptr, "1:first|2:<long>|3:next|4:<long>|");
    buffer_free(&got);
    free(text);
}

// A file whose text is 40 MB of few letters: many stretches come out of one read.
static void test_packed_files(void **state) {
    (void)state;
    enum { N = 40000, LINE = 1000 };
    char *text = memory_new((size_t)N * LINE + 1, 1);
    for (size_t i = 0; i < N; i++) {
        memset(text + i * LINE, 'a' + (int)(i % 26), LINE);
        text[i * LINE + LINE - 1] = '\n';
    }
    const size_t len = (size_t)N * LINE, room = ZSTD_compressBound(len);
    char *packed = memory_new(room, 1);
    size_t n = ZSTD_compress(packed, room, text, len, 1);
    uLongf n_gzip = room;
    z_stream z = {.next_in = (unsigned char *)text, .avail_in = (unsigned)len};
    int failed;
    const char *zstd = store("z", packed, n), *cut = store("cut", packed, n - 3);
    struct buffer plain, got;
    const char *path = store("plain", text, len);
    plain = lines_of(&path, 1, &failed);
    got = lines_of(&zstd, 1, &failed);
    assert_int_equal(failed, 0);
    assert_int_equal(got.len, plain.len);
    assert_memory_equal(got.ptr, plain.ptr, plain.len);
    buffer_free(&got);
    got = lines_of(&cut, 1, &failed);
    assert_int_equal(failed, -1);
    assert_true(got.len < plain.len);
    assert_memory_equal(got.ptr, plain.ptr, got.len - 1); // whole lines only
    buffer_free(&got);
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = (unsigned char *)packed;
    z.avail_out = (unsigned)n_gzip;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const char *gzip = store("g", packed, z.total_out);
    got = lines_of(&gzip, 1, &failed);
    assert_int_equal(failed, 0);
    assert_int_equal(got.len, plain.len);
    assert_memory_equal(got.ptr, plain.ptr, plain.len);
    packed[z.total_out / 2] ^= 1;
    gzip = store("g", packed, z.total_out);
    deflateEnd(&z);
    buffer_free(&got);
    got = lines_of(&gzip, 1, &failed);
    assert_int_equal(failed, -1);
    buffer_free(&got);
    buffer_free(&plain);
    free(packed);
    free(text);
}

static void test_formats_are_recognised(void **state) {
    (void)state;
    static const struct {
        const char *line;
        enum score_format format;
    } cases[] = {
        {"{\"completion\":\"a\",\"gold\":\"b\",\"prompt\":\"c\"}", SCORE_JSONL},
        {"{}", SCORE_JSONL},
        {"[]", SCORE_AUTO},
        {"{", SCORE_AUTO},
        {"{\"input\":1,\"output\":2,\"gts\":3,\"score\":4,\"step\":5}", SCORE_VERL},
        {"{\"input\":1,\"output\":2,\"gts\":NaN,\"score\":-Infinity}", SCORE_VERL},
        {"{\"data_source\":1,\"reward_model\":{},\"responses\":[]}", SCORE_VERL},
        {"{\"step\":1,\"prompt\":2,\"completion\":3,\"advantage\":1}", SCORE_TRL},
        {"{\"task_id\":1,\"sample_idx\":2,\"completion\":3,\"prompt\":4}", SCORE_AREAL},
        {"{\"prompt_tokens\":1,\"response_tokens\":[]}", SCORE_OPEN_INSTRUCT},
        {"{\"doc_id\":1,\"doc\":{},\"resps\":[[]]}", SCORE_LM_EVAL},
        {"{\"id\":1,\"custom_id\":\"a\",\"response\":null}", SCORE_OPENAI_BATCH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why;
        assert_int_equal(score_format_detect(slice_of(cases[i].line), &why), cases[i].format);
    }
}

static void test_paths(void **state) {
    (void)state;
    static const char record[] =
        "{\"a\":{\"b\":[1,{\"c\":\"x\"}]},\"n\":null,\"k\":{\"k\":{\"k\":7}}}";
    static const struct {
        const char *path, *found; // NULL: nothing is there
    } good[] = {{".a.b[1].c", "\"x\""}, {"a.b[0]", "1"},
                {"a.b[2]", NULL},       {".n", NULL},
                {".a.c", NULL},         {".k.k.k", "7"},
                {".k.k.k.k", NULL},     {".a[0]", NULL},
                {".a.b.c", NULL},       {".a.b", "[1,{\"c\":\"x\"}]"}};
    static const char *const bad[] = {"",     ".",   "a.",    "a..b",       "a[",
                                      "a[x]", "a[1", "a[-1]", "[99999999]", ".a.b.c.d.e.f.g.h.i"};
    struct arena arena = {0};
    struct error err;
    struct score_path path;
    const struct json *root = json_parse_shallow(slice_of(record), &arena, &err);
    assert_non_null(root);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(score_path_parse(slice_of(good[i].path), &path, &err), 0);
        const struct json *found = score_path_find(&path, root, &arena);
        assert_true(found ? good[i].found && slice_is(found->text, good[i].found) : !good[i].found);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(score_path_parse(slice_of(bad[i]), &path, &err), -1);
    arena_clear(&arena);
}

static void test_shallow_json(void **state) {
    (void)state;
    static const char text[] =
        "{\"a\":[1,[2,{\"\\u0061\":3}]],\"b\":{\"c\":{}},\"\\u0061\\n\":\"x\"}";
    struct arena arena = {0};
    struct error err;
    const struct json *root = json_parse_shallow(slice_of(text), &arena, &err);
    assert_non_null(root);
    assert_int_equal(root->n_children, 3);
    const struct json *a = json_get(root, "a");
    assert_true(slice_is(a->text, "[1,[2,{\"\\u0061\":3}]]"));
    assert_int_equal(a->n_children, 2);
    assert_null(a->first);
    assert_non_null(json_get(root, "a\n"));
    for (size_t len = 0; len < sizeof text - 1; len++) // deep damage is found too
        assert_null(json_parse_shallow((struct slice){text, len}, &arena, &err));
    assert_null(json_parse_shallow(slice_of("[[1,]]"), &arena, &err));
    arena_clear(&arena);
}

// What is taken after a reset is zeroed, whatever was there; large blocks are given back.
static void test_arenas_are_reset(void **state) {
    (void)state;
    struct arena arena = {0};
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 40; i++) {
            size_t n = (size_t)(round * 37 + i * 911) % (i == 20 && round % 7 == 0 ? 300000 : 5000);
            unsigned char *p = arena_take(&arena, n, 1);
            for (size_t k = 0; k < n; k++) assert_int_equal(p[k], 0);
            memset(p, 0xa5, n);
        }
        if (round % 5 == 0) memset(arena_take(&arena, 200000, 1), 1, 200000);
        arena_reset(&arena);
        assert_int_equal(arena.n_bytes, 0);
    }
    arena_clear(&arena);
    arena_reset(&arena);
    assert_null(arena.blocks);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_byte_order_marks),
        cmocka_unit_test(test_files_without_lines),
        cmocka_unit_test(test_lines_that_are_too_long),
        cmocka_unit_test(test_packed_files),
        cmocka_unit_test(test_formats_are_recognised),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_shallow_json),
        cmocka_unit_test(test_arenas_are_reset),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
