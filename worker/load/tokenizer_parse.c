// tokenizer.json: everything that it asks for is either done or refused.
#include <stdio.h>
#include <stdlib.h>

#include "worker/load/pretokenize.h"
#include "worker/load/tokenizer_parts.h"

bool tokenizer_is_text(const struct json *value, const char *text) {
    struct arena arena = {0};
    bool same = value && value->type == JSON_STRING && slice_is(json_string(value, &arena), text);
    arena_clear(&arena);
    return same;
}

static int unsupported(struct error *err, const char *field, const struct json *value,
                       const char *expected) {
    struct slice text = value ? value->text : slice_of("nothing");
    return error_set(err, ERROR_CONFIG, "%s is %.*s, expected %s.", field, SLICE_ARG(text),
                     expected);
}

// One more than the highest id that the file names, with the bounds checked.
static int count_ids(const struct json *vocab, const struct json *added, int32_t *n_ids,
                     struct error *err) {
    int64_t highest = -1, id;
    for (const struct json *m = vocab->first; m; m = m->next) {
        if (json_int64(m, &id) || id < 0 || id >= TOKENIZER_MAX_IDS)
            return error_set(err, ERROR_CONFIG,
                             "model.vocab gives \"%.*s\" the id %.*s, expected an integer from 0 "
                             "to %d.",
                             SLICE_ARG(m->key), SLICE_ARG(m->text), TOKENIZER_MAX_IDS - 1);
        if (id > highest) highest = id;
    }
    int place = 0;
    for (const struct json *a = added ? added->first : NULL; a; a = a->next, place++) {
        const struct json *value = json_get(a, "id");
        if (json_int64(value, &id) || id < 0 || id >= TOKENIZER_MAX_IDS)
            return error_set(err, ERROR_CONFIG,
                             "added_tokens[%d] has no id that is an integer from 0 to %d.", place,
                             TOKENIZER_MAX_IDS - 1);
        if (id > highest) highest = id;
    }
    if (highest < 0) return error_set(err, ERROR_CONFIG, "model.vocab is empty, expected tokens.");
    *n_ids = (int32_t)highest + 1;
    return 0;
}

// What would change the ids and is not done. `unk_token` and `fuse_unk` may be anything: with a
// piece for each byte nothing is unknown.
static int check_model(const struct json *model, struct error *err) {
    static const char *const absent[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const struct json *dropout = json_get(model, "dropout");
    const struct json *fallback = json_get(model, "byte_fallback");
    const struct json *ignore = json_get(model, "ignore_merges");
    double rate = 1;
    if (!tokenizer_is_text(json_get(model, "type"), "BPE"))
        return unsupported(err, "model.type", json_get(model, "type"), "\"BPE\"");
    if (!tokenizer_is_null(dropout) && (json_double(dropout, &rate) || rate != 0))
        return unsupported(err, "model.dropout", dropout, "null");
    if (!tokenizer_is_null(fallback) && fallback->type != JSON_FALSE)
        return unsupported(err, "model.byte_fallback", fallback, "false");
    if (!tokenizer_is_null(ignore) && ignore->type != JSON_FALSE && ignore->type != JSON_TRUE)
        return unsupported(err, "model.ignore_merges", ignore, "true or false");
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        const struct json *value = json_get(model, absent[i]);
        char field[64];
        snprintf(field, sizeof field, "model.%s", absent[i]);
        if (!tokenizer_is_null(value) && !tokenizer_is_text(value, ""))
            return unsupported(err, field, value, "null");
    }
    return 0;
}

// A byte can occur in UTF-8: not 0xc0, 0xc1, nor 0xf5 and up.
static bool is_utf8_byte(int byte) {
    return byte != 0xc0 && byte != 0xc1 && byte < 0xf5;
}

int tokenizer_read_bytes(struct tokenizer *t, struct error *err) {
    for (int byte = 0; byte < 256; byte++) {
        char text[4];
        size_t len = (size_t)vocab_write_byte((uint8_t)byte, text);
        t->bpe.byte_ids[byte] = vocab_find(&t->vocab, (struct slice){text, len});
        if (t->bpe.byte_ids[byte] < 0 && is_utf8_byte(byte))
            return error_set(err, ERROR_CONFIG,
                             "model.vocab has no token \"%.*s\" for byte 0x%02x, expected one for "
                             "each byte (byte-level BPE).",
                             (int)len, text, (unsigned)byte);
    }
    return 0;
}

int tokenizer_split_merge(struct slice text, struct slice parts[2]) {
    const char *space = memchr(text.ptr, ' ', text.len);
    if (!space) return -1;
    parts[0] = (struct slice){text.ptr, (size_t)(space - text.ptr)};
    parts[1] = (struct slice){space + 1, text.len - parts[0].len - 1};
    return memchr(parts[1].ptr, ' ', parts[1].len) ? -1 : 0;
}

int tokenizer_join(struct tokenizer *t, const struct slice parts[2], int32_t rank) {
    struct bpe_merge m = {.rank = rank};
    m.left = vocab_find(&t->vocab, parts[0]);
    m.right = vocab_find(&t->vocab, parts[1]);
    char *whole = memory_new(parts[0].len + parts[1].len + 1, 1);
    memcpy(whole, parts[0].ptr, parts[0].len);
    memcpy(whole + parts[0].len, parts[1].ptr, parts[1].len);
    m.id = vocab_find(&t->vocab, (struct slice){whole, parts[0].len + parts[1].len});
    free(whole);
    if (m.left < 0 || m.right < 0 || m.id < 0) return -1;
    bpe_add_merge(&t->bpe, m);
    return 0;
}

// The two parts of a merge: ["a", "b"], or "a b" in older files.
static int merge_parts(const struct json *merge, struct arena *arena, struct slice parts[2]) {
    if (merge->type == JSON_ARRAY && merge->n_children == 2) {
        const struct json *a = merge->first, *b = a->next;
        if (a->type != JSON_STRING || b->type != JSON_STRING) return -1;
        parts[0] = json_string(a, arena);
        parts[1] = json_string(b, arena);
        return 0;
    }
    return merge->type == JSON_STRING ? tokenizer_split_merge(json_string(merge, arena), parts)
                                      : -1;
}

static int read_merge(struct tokenizer *t, const struct json *merge, int32_t rank,
                      struct arena *arena, struct error *err) {
    struct slice parts[2];
    if (merge_parts(merge, arena, parts))
        return error_set(err, ERROR_CONFIG,
                         "model.merges[%d] is %.*s, expected two tokens: [\"a\", \"b\"] or "
                         "\"a b\".",
                         rank, SLICE_ARG(merge->text));
    if (tokenizer_join(t, parts, rank))
        return error_set(err, ERROR_CONFIG,
                         "model.merges[%d] joins \"%.*s\" and \"%.*s\", expected both and the "
                         "result in model.vocab.",
                         rank, SLICE_ARG(parts[0]), SLICE_ARG(parts[1]));
    return 0;
}

int tokenizer_read_model(struct tokenizer *t, const struct json *root, struct error *err) {
    const struct json *model = json_get(root, "model"), *added = json_get(root, "added_tokens");
    const struct json *vocab = json_get(model, "vocab"), *merges = json_get(model, "merges");
    int32_t n_ids = 0, rank = 0;
    int64_t id = -1;
    if (!model || model->type != JSON_OBJECT)
        return error_set(err, ERROR_CONFIG, "model is %s, expected an object.",
                         json_type_name(model));
    if (check_model(model, err)) return -1;
    if (!vocab || vocab->type != JSON_OBJECT)
        return error_set(err, ERROR_CONFIG, "model.vocab is %s, expected an object.",
                         json_type_name(vocab));
    if (!merges || merges->type != JSON_ARRAY)
        return error_set(err, ERROR_CONFIG, "model.merges is %s, expected an array.",
                         json_type_name(merges));
    if (!tokenizer_is_null(added) && added->type != JSON_ARRAY)
        return error_set(err, ERROR_CONFIG, "added_tokens is %s, expected an array.",
                         json_type_name(added));
    if (count_ids(vocab, added, &n_ids, err)) return -1;
    vocab_init(&t->vocab, n_ids);
    for (const struct json *m = vocab->first; m; m = m->next)
        if (json_int64(m, &id) || vocab_add(&t->vocab, m->key, id, false, err)) return -1;
    bpe_init(&t->bpe, (size_t)merges->n_children);
    const struct json *ignore = json_get(model, "ignore_merges");
    t->bpe.ignore_merges = ignore && ignore->type == JSON_TRUE;
    if (tokenizer_read_bytes(t, err)) return -1;
    struct arena arena = {0};
    int failed = 0;
    for (const struct json *m = merges->first; m && !failed; m = m->next)
        failed = read_merge(t, m, rank++, &arena, err);
    arena_clear(&arena);
    return failed;
}

// An absent flag is false.
static int read_flag(const struct json *token, int place, const char *name, bool *out,
                     struct error *err) {
    const struct json *value = json_get(token, name);
    if (value && value->type != JSON_TRUE && value->type != JSON_FALSE)
        return error_set(err, ERROR_CONFIG, "added_tokens[%d].%s is %s, expected a boolean.", place,
                         name, json_type_name(value));
    *out = value && value->type == JSON_TRUE;
    return 0;
}

// `tokenizers` numbers the added tokens itself: one that the vocabulary has keeps its id, others
// follow behind it. A file that says otherwise would mean other ids there than here.
static int place_added(struct tokenizer *t, struct slice text, int place, int64_t id, int64_t *next,
                       struct error *err) {
    int32_t known = vocab_find(&t->vocab, text);
    int64_t expected = known >= 0 ? known : *next;
    if (id != expected)
        return error_set(err, ERROR_CONFIG,
                         "added_tokens[%d] gives \"%.*s\" the id %lld, expected %lld, %s.", place,
                         SLICE_ARG(text), (long long)id, (long long)expected,
                         known >= 0 ? "as in model.vocab" : "the next free one");
    if (known < 0) {
        if (vocab_add(&t->vocab, text, id, true, err)) return -1;
    } else if (!slice_equal(t->vocab.pieces[known].bytes, text)) {
        return error_set(err, ERROR_CONFIG,
                         "added_tokens[%d] is \"%.*s\", which model.vocab has for other bytes; "
                         "expected a text of its own.",
                         place, SLICE_ARG(text));
    }
    t->vocab.pieces[id].added = true;
    if (id >= *next) *next = id + 1;
    return 0;
}

static int read_added_token(struct tokenizer *t, const struct json *token, int place, int64_t *next,
                            struct arena *arena, struct error *err) {
    static const char *const strips[] = {"single_word", "lstrip", "rstrip"};
    const struct json *content = json_get(token, "content");
    bool flag, normalized, special;
    int64_t id = -1;
    if (!content || content->type != JSON_STRING || content->text.len == 2)
        return error_set(err, ERROR_CONFIG,
                         "added_tokens[%d].content is %s, expected a string that is not empty.",
                         place, content ? "an empty string or another type" : "absent");
    for (int i = 0; i < 3; i++) {
        if (read_flag(token, place, strips[i], &flag, err)) return -1;
        if (flag)
            return error_set(err, ERROR_CONFIG, "added_tokens[%d].%s is true, expected false.",
                             place, strips[i]);
    }
    if (read_flag(token, place, "normalized", &normalized, err)) return -1;
    if (read_flag(token, place, "special", &special, err)) return -1;
    struct slice text = json_string(content, arena);
    if (json_int64(json_get(token, "id"), &id)) id = -1;
    int32_t known = vocab_find(&t->vocab, text);
    if (known >= 0 && t->vocab.pieces[known].added)
        return error_set(err, ERROR_CONFIG, "added_tokens[%d] is \"%.*s\" a second time.", place,
                         SLICE_ARG(text));
    if (place_added(t, text, place, id, next, err)) return -1;
    t->vocab.pieces[id].special = special;
    added_put(&t->added[normalized ? 1 : 0], text, (int32_t)id);
    return 0;
}

int tokenizer_read_added(struct tokenizer *t, const struct json *root, struct error *err) {
    const struct json *added = json_get(root, "added_tokens");
    int64_t next = json_get(json_get(root, "model"), "vocab")->n_children;
    struct arena arena = {0};
    int failed = 0, place = 0;
    for (const struct json *a = tokenizer_is_null(added) ? NULL : added->first; a && !failed;
         a = a->next)
        failed = read_added_token(t, a, place++, &next, &arena, err);
    arena_clear(&arena);
    return failed;
}
