// GGUF files: what is accepted is what stands there, and everything that can be wrong has a
// sentence.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/load/made.h"
#include "worker/load/gguf.h"
#include "worker/load/gguf_write.h"

// What a file is made of; a case changes one thing.
struct recipe {
    const char *magic;
    uint32_t version, type, n_dims, kind, element;
    uint64_t n_tensors, n_keys, dim, offset, alignment, string, array;
    bool twice_key, twice_tensor;
    size_t cut; // bytes that are left out at the end
};

static const struct recipe good = {.magic = "GGUF",
                                   .version = 3,
                                   .type = 2,
                                   .n_dims = 2,
                                   .kind = GGUF_UINT32,
                                   .element = GGUF_INT32,
                                   .n_tensors = 2,
                                   .n_keys = 4,
                                   .dim = 64,
                                   .offset = 64,
                                   .alignment = 32,
                                   .string = 5,
                                   .array = 3};

static void add(struct buffer *b, uint64_t v, size_t size) {
    buffer_add(b, &v, size);
}

static void add_tensor(struct buffer *b, const char *name, const struct recipe *r, uint64_t dim,
                       uint64_t offset, uint32_t type) {
    gguf_add_string(b, slice_of(name));
    add(b, r->n_dims, 4);
    add(b, dim, 8);
    add(b, 2, 8);
    add(b, type, 4);
    add(b, offset, 8);
}

// Keys general.alignment, an array of numbers, one of texts, a text; tensors "a" (F32, 32 bytes)
// and "b" (Q4_0, 64 x 2, 72 bytes).
static struct buffer make(const struct recipe *r) {
    struct buffer b = {0};
    buffer_add(&b, r->magic, 4);
    add(&b, r->version, 4);
    add(&b, r->n_tensors, 8);
    add(&b, r->n_keys, 8);
    gguf_add_string(&b, slice_of("general.alignment"));
    add(&b, r->kind, 4);
    add(&b, r->alignment, 4);
    gguf_add_string(&b, slice_of(r->twice_key ? "general.alignment" : "numbers"));
    add(&b, GGUF_ARRAY, 4);
    add(&b, r->element, 4);
    add(&b, r->array, 8);
    for (int i = 0; i < 3; i++) add(&b, (uint64_t)(7 - 8 * i), 4);
    gguf_add_array(&b, "texts", GGUF_STRING, 2);
    gguf_add_string(&b, slice_of("one"));
    gguf_add_string(&b, slice_of(""));
    gguf_add_key(&b, "text", GGUF_STRING);
    add(&b, r->string, 8);
    buffer_add_text(&b, "12345");
    struct recipe plain = *r;
    if (r->n_dims == 2) plain.n_dims = 2;
    add_tensor(&b, "a", &plain, 4, 0, 0);
    add_tensor(&b, r->twice_tensor ? "a" : "b", r, r->dim, r->offset, r->type);
    while (b.len % 32) buffer_add(&b, "", 1);
    for (int i = 0; i < 136; i++) add(&b, (uint64_t)i, 1);
    b.len -= r->cut;
    return b;
}

static void test_good(void **state) {
    (void)state;
    struct buffer b = make(&good);
    struct gguf g;
    struct error err = {0};
    int64_t v;
    assert_int_equal(gguf_parse(buffer_slice(&b), &g, &err), 0);
    assert_int_equal(g.n_keys, 4);
    assert_int_equal(g.n_tensors, 2);
    const struct gguf_key *numbers = gguf_find(&g, "numbers"), *texts = gguf_find(&g, "texts");
    assert_int_equal(gguf_int(numbers, 2, &v), 0);
    assert_int_equal(v, -9);
    assert_int_equal(gguf_int(numbers, 3, &v), -1);
    struct slice rest = texts->bytes;
    assert_true(slice_is(gguf_next_string(&rest), "one"));
    assert_true(slice_is(gguf_next_string(&rest), ""));
    assert_null(gguf_find(&g, "none"));
    assert_true(slice_is(gguf_find(&g, "text")->bytes, "12345"));
    assert_int_equal(gguf_int(texts, 0, &v), -1);
    const struct gguf_tensor *t = gguf_find_tensor(&g, "b");
    assert_int_equal(t->dtype, DTYPE_Q4_0);
    assert_int_equal(t->n_bytes, 72);
    assert_int_equal(*(const uint8_t *)t->data, 64);
    assert_null(gguf_find_tensor(&g, "c"));
    free(g.keys);
    free(g.tensors);
    buffer_free(&b);
}

// Each case beside the good file, and a part of its sentence.
static const struct {
    const char *says;
    struct recipe r;
} bad[] = {
#define BAD(text, field, value)                                                                    \
    {                                                                                              \
        text, {                                                                                    \
            .string = ~0u, .field = value                                                          \
        }                                                                                          \
    }
    BAD("does not begin with \"GGUF\"", magic, "GGML"),
    BAD("version 2", version, 2),
    BAD("big-endian", version, 3u << 24),
    BAD("18446744073709551615 tensors", n_tensors, UINT64_MAX),
    BAD("1099511627776 keys", n_keys, 1ull << 40),
    BAD("ends inside", n_keys, 5),
    BAD("type 77", kind, 77),
    BAD("array of arrays", element, GGUF_ARRAY),
    BAD("type 99", element, 99),
    BAD("ends inside an array", array, 1ull << 61),
    BAD("general.alignment", alignment, 33),
    BAD("type 3 (Q4_1)", type, 3),
    BAD("type 4242 (not known)", type, 4242),
    BAD("5 dimensions", n_dims, 5),
    BAD("rows of 65 elements", dim, 65),
    BAD("dimension of 18446744073709551615", dim, UINT64_MAX),
    BAD("dimension of 1099511627777", dim, (1ull << 40) + 1),
    BAD("at most 72 were expected", dim, 96),
    BAD("lies at byte 65 of the data", offset, 65),
    BAD("lies at byte 4096 of the data, which has 136", offset, 4096),
    BAD("\"a\" and \"b\" overlap", offset, 1),
    BAD("\"general.alignment\" comes twice", twice_key, true),
    BAD("\"a\" comes twice", twice_tensor, true),
    BAD("at most 71 were expected", cut, 1),
#undef BAD
};

static struct recipe merged(const struct recipe *c) {
    struct recipe r = good;
    if (c->magic) r.magic = c->magic;
    if (c->version) r.version = c->version;
    if (c->type) r.type = c->type;
    if (c->n_dims) r.n_dims = c->n_dims;
    if (c->kind) r.kind = c->kind;
    if (c->element) r.element = c->element;
    if (c->n_tensors) r.n_tensors = c->n_tensors;
    if (c->n_keys) r.n_keys = c->n_keys;
    if (c->dim) r.dim = c->dim;
    if (c->offset) r.offset = c->offset == 1 ? 0 : c->offset;
    if (c->alignment) r.alignment = c->alignment;
    if (c->array) r.array = c->array;
    r.twice_key = c->twice_key;
    r.twice_tensor = c->twice_tensor;
    r.cut = c->cut;
    return r;
}

static void test_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct recipe r = merged(&bad[i].r);
        struct buffer b = make(&r);
        struct gguf g;
        struct error err = {0};
        if (gguf_parse(buffer_slice(&b), &g, &err) != -1) fail_msg("case %zu was accepted", i);
        assert_int_equal(err.code, ERROR_CONFIG);
        if (!strstr(err.text, bad[i].says)) fail_msg("case %zu: %s", i, err.text);
        buffer_free(&b);
    }
}

// Every shorter file is refused, and reads nothing behind its end (the sanitizers see it).
static void test_cut(void **state) {
    (void)state;
    struct buffer b = make(&good);
    for (size_t n = 0; n < b.len; n++) {
        char *copy = malloc(n + 1);
        struct gguf g;
        struct error err = {0};
        memcpy(copy, b.ptr, n);
        char *exact = realloc(copy, n ? n : 1);
        assert_int_equal(gguf_parse((struct slice){exact, n}, &g, &err), -1);
        assert_int_equal(err.code, ERROR_CONFIG);
        free(exact);
    }
    buffer_free(&b);
}

// ------------------------------------------------------------------ several files

static void write_part(const char *directory, const char *name, int no, int count,
                       const char *tensor) {
    struct buffer b = {0};
    uint64_t values[4] = {1, 2, 3, 4};
    buffer_add_text(&b, "GGUF");
    add(&b, 3, 4);
    add(&b, 1, 8);
    add(&b, 2, 8);
    gguf_add_u32(&b, "split.no", (uint32_t)no);
    gguf_add_u32(&b, "split.count", (uint32_t)count);
    struct recipe r = good;
    add_tensor(&b, tensor, &r, 4, 0, 0);
    while (b.len % 32) buffer_add(&b, "", 1);
    buffer_add(&b, values, sizeof values);
    made_write(directory, name, b.ptr, b.len);
    buffer_free(&b);
}

static void expect(const char *directory, const char *name, const char *says) {
    char path[512];
    struct gguf *g = NULL;
    struct error err = {0};
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int failed = gguf_open(path, &g, &err);
    if (says && (!failed || !strstr(err.text, says)))
        fail_msg("%s: %s", path, failed ? err.text : "accepted");
    if (!says && failed) fail_msg("%s", err.text);
    if (!says) {
        assert_int_equal(g->n_tensors, 3);
        assert_non_null(gguf_find_tensor(g, "a"));
        assert_non_null(gguf_find_tensor(g, "b"));
        assert_non_null(gguf_find_tensor(g, "c"));
        assert_true(gguf_is_file(path));
    }
    gguf_free(&g);
}

static void test_split(void **state) {
    (void)state;
    char *d = made_directory();
    write_part(d, "m-00001-of-00003.gguf", 0, 3, "b");
    write_part(d, "m-00002-of-00003.gguf", 1, 3, "c");
    expect(d, "m-00001-of-00003.gguf", "m-00003-of-00003.gguf cannot be opened");
    write_part(d, "m-00003-of-00003.gguf", 2, 3, "a");
    expect(d, "m-00001-of-00003.gguf", NULL);
    expect(d, "m-00002-of-00003.gguf", "is file 2 of 3; the first of them was expected");
    write_part(d, "m-00002-of-00003.gguf", 2, 3, "c");
    expect(d, "m-00001-of-00003.gguf", "says that it is file 2 of 3; 1 of 3 was expected");
    write_part(d, "m-00002-of-00003.gguf", 1, 3, "b");
    expect(d, "m-00001-of-00003.gguf", "\"b\" is in an earlier file too");
    write_part(d, "other.gguf", 0, 2, "a");
    expect(d, "other.gguf", "a name that ends with -00001-of-00002.gguf was expected");
    expect(d, "none.gguf", "cannot be opened");
    made_remove(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
