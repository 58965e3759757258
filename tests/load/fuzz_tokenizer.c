// tokenizer.json and texts from an enemy. The first byte says what the input is:
//   even: JSON up to a NUL byte, and a text;
//   odd:  an edit of a valid file (two bytes: where, one: how many bytes go, one: how many of the
//         next bytes come in), and a text.
// Whatever loads must encode without a crash, with ids that it has, and decode to the same bytes.
#include <stdlib.h>

#include "protocol/base/utf8.h"
#include "tests/load/tokenizer_json.h"
#include "worker/load/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(const struct tokenizer *t, struct slice text) {
    struct token_list ids = {0};
    struct buffer back = {0};
    struct error err = {0};
    int failed = tokenizer_encode(t, text, false, &ids, &err);
    if ((failed != 0) != (utf8_valid_prefix(text) < text.len)) abort();
    for (size_t i = 0; i < ids.n; i++)
        if (!tokenizer_has_id(t, ids.ids[i])) abort();
    tokenizer_decode(t, ids.ids, ids.n, &back);
    if (!failed && !slice_equal(buffer_slice(&back), text)) abort();
    if (!failed && tokenizer_encode(t, text, true, &ids, &err)) abort();
    buffer_free(&back);
    token_list_free(&ids);
}

static struct slice take(struct slice *rest, size_t n) {
    struct slice taken = {rest->ptr, n < rest->len ? n : rest->len};
    *rest = (struct slice){rest->ptr + taken.len, rest->len - taken.len};
    return taken;
}

static void edit(struct buffer *json, struct slice *rest) {
    static const char *const merges[] = {"h", "e", "l", "l", "he", "ll", "a", "a", NULL};
    struct slice head = take(rest, 4);
    unsigned char h[4] = {0};
    struct buffer valid = {0};
    for (size_t i = 0; i < head.len; i++) h[i] = (unsigned char)head.ptr[i];
    tokenizer_json_write(&valid, merges);
    size_t at = (size_t)(h[0] << 8 | h[1]) % valid.len, end = at + h[2];
    if (end > valid.len) end = valid.len;
    buffer_add(json, valid.ptr, at);
    buffer_add_slice(json, take(rest, h[3]));
    buffer_add(json, valid.ptr + end, valid.len - end);
    buffer_free(&valid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice rest = {(const char *)data, size};
    struct buffer json = {0};
    struct error err = {0};
    if (size == 0) return 0;
    if (take(&rest, 1).ptr[0] & 1) {
        edit(&json, &rest);
    } else {
        size_t len = strnlen(rest.ptr, rest.len);
        buffer_add_slice(&json, take(&rest, len));
        take(&rest, 1);
    }
    struct tokenizer *t = tokenizer_parse(buffer_slice(&json), (struct slice){0}, &err);
    if (t)
        encode(t, rest);
    else if (err.code != ERROR_CONFIG || !err.text[0])
        abort();
    tokenizer_free(&t);
    buffer_free(&json);
    return 0;
}
