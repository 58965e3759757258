#include "worker/load/tokenizer.h"

#include <stdlib.h>

#include "protocol/base/memory.h"
#include "protocol/base/utf8.h"
#include "worker/load/pretokenize.h"
#include "worker/load/tokenizer_parts.h"

// What one call of tokenizer_encode carries along.
struct encoder {
    const struct tokenizer *t;
    struct bpe_scratch scratch;
    struct token_list *out;
};

void token_list_add(struct token_list *list, int32_t id) {
    if (list->n == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->ids = memory_resize(list->ids, list->capacity, sizeof *list->ids);
    }
    list->ids[list->n++] = id;
}

void token_list_free(struct token_list *list) {
    free(list->ids);
    *list = (struct token_list){0};
}

static void add_all(struct token_list *list, const struct token_list *more) {
    for (size_t i = 0; i < more->n; i++) token_list_add(list, more->ids[i]);
}

// Text without added tokens. It is cut as if nothing stood around it, as `tokenizers` does.
static void encode_plain(struct encoder *e, struct slice text) {
    while (text.len > 0) {
        struct slice piece = {text.ptr, pretokenize_next(text)};
        bpe_encode(&e->t->bpe, &e->t->vocab, piece, &e->scratch, e->out);
        text = (struct slice){text.ptr + piece.len, text.len - piece.len};
    }
}

static void encode_pass(struct encoder *e, struct slice text, int pass) {
    size_t at = 0;
    while (at < text.len) {
        int32_t id = -1;
        size_t len = 0, found = added_find(&e->t->added[pass], text, at, &id, &len);
        struct slice before = {text.ptr + at, found - at};
        if (pass == 0)
            encode_pass(e, before, 1);
        else
            encode_plain(e, before);
        if (found == text.len) return;
        token_list_add(e->out, id);
        at = found + len;
    }
}

int tokenizer_encode(const struct tokenizer *t, struct slice text, bool add_special,
                     struct token_list *out, struct error *err) {
    size_t valid = utf8_valid_prefix(text);
    if (valid < text.len)
        return error_set(err, ERROR_INPUT,
                         "The text is no UTF-8 at byte %zu (0x%02x), expected UTF-8.", valid,
                         (unsigned)(unsigned char)text.ptr[valid]);
    if (text.len >= (size_t)1 << 30)
        return error_set(err, ERROR_INPUT, "The text has %zu bytes, expected less than 1 GiB.",
                         text.len);
    struct encoder e = {.t = t, .out = out};
    if (add_special) add_all(out, &t->front);
    encode_pass(&e, text, 0);
    if (add_special) add_all(out, &t->back);
    bpe_scratch_free(&e.scratch);
    return 0;
}

int32_t tokenizer_n_ids(const struct tokenizer *t) {
    return t->vocab.n_ids;
}

bool tokenizer_has_id(const struct tokenizer *t, int32_t id) {
    return vocab_has_id(&t->vocab, id);
}

struct slice tokenizer_token_bytes(const struct tokenizer *t, int32_t id) {
    if (!vocab_has_id(&t->vocab, id)) return (struct slice){"", 0};
    return t->vocab.pieces[id].bytes;
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t id) {
    return vocab_has_id(&t->vocab, id) && t->vocab.pieces[id].special;
}

int32_t tokenizer_find(const struct tokenizer *t, struct slice text) {
    int32_t id = vocab_find(&t->vocab, text);
    if (id >= 0 && t->vocab.pieces[id].added) return id;
    id = bpe_whole_piece(&t->vocab, text);
    return id >= 0 && slice_equal(t->vocab.pieces[id].bytes, text) ? id : -1;
}

int32_t tokenizer_bos(const struct tokenizer *t) {
    return t->bos;
}

bool tokenizer_adds_bos(const struct tokenizer *t) {
    return t->bos >= 0 && t->front.n > 0 && t->front.ids[0] == t->bos;
}

int tokenizer_end_ids(const struct tokenizer *t, const int32_t **ids) {
    *ids = t->end_ids;
    return t->n_end_ids;
}

void tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, struct buffer *out) {
    for (size_t i = 0; i < n; i++) buffer_add_slice(out, tokenizer_token_bytes(t, ids[i]));
}

void tokenizer_free(struct tokenizer **t) {
    if (!*t) return;
    vocab_free(&(*t)->vocab);
    bpe_free(&(*t)->bpe);
    added_free(&(*t)->added[0]);
    added_free(&(*t)->added[1]);
    token_list_free(&(*t)->front);
    token_list_free(&(*t)->back);
    free(*t);
    *t = NULL;
}
