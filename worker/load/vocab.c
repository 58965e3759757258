#include "worker/load/vocab.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/hash.h"
#include "protocol/base/utf8.h"

// GPT-2's bytes_to_unicode: the bytes that are written as themselves.
static bool is_own_character(uint32_t byte) {
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) ||
           (byte >= 0xae && byte <= 0xff);
}

int vocab_write_byte(uint8_t byte, char out[4]) {
    uint32_t code = byte;
    if (byte <= 0x20)
        code = 0x100u + byte;
    else if (byte >= 0x7f && byte <= 0xa0)
        code = 0x100u + 33 + (byte - 0x7fu);
    else if (byte == 0xad)
        code = 0x100u + 67;
    return utf8_write(code, out);
}

static int byte_of_character(uint32_t code) {
    if (code < 0x100) return is_own_character(code) ? (int)code : -1;
    if (code <= 0x120) return (int)(code - 0x100);
    if (code <= 0x142) return (int)(code - 0x121 + 0x7f);
    return code == 0x143 ? 0xad : -1;
}

// A piece with a character that stands for no byte decodes to its own text, as in `tokenizers`.
static struct slice bytes_of(struct arena *arena, struct slice text) {
    char *out = arena_take(arena, text.len + 1, 1);
    size_t n = 0, at = 0;
    while (at < text.len) {
        uint32_t code = 0;
        int len = utf8_next((struct slice){text.ptr + at, text.len - at}, &code);
        int byte = len > 0 ? byte_of_character(code) : -1;
        if (byte < 0) return text;
        out[n++] = (char)byte;
        at += (size_t)len;
    }
    return (struct slice){out, n};
}

void vocab_init(struct vocab *v, int32_t capacity) {
    assert(capacity > 0);
    *v = (struct vocab){.capacity = capacity, .n_slots = 16};
    while (v->n_slots < 2 * (size_t)capacity) v->n_slots *= 2;
    v->pieces = memory_new((size_t)capacity, sizeof *v->pieces);
    v->slots = memory_new(v->n_slots, sizeof *v->slots);
}

void vocab_free(struct vocab *v) {
    free(v->pieces);
    free(v->slots);
    arena_clear(&v->arena);
    *v = (struct vocab){0};
}

// Where `text` is, or the empty place where it would go. There is one: half of the places are.
static size_t slot_of(const struct vocab *v, struct slice text) {
    size_t at = (size_t)hash_bytes(text.ptr, text.len) & (v->n_slots - 1);
    while (v->slots[at] && !slice_equal(v->pieces[v->slots[at] - 1].text, text))
        at = (at + 1) & (v->n_slots - 1);
    return at;
}

int32_t vocab_find(const struct vocab *v, struct slice text) {
    return v->n_slots ? v->slots[slot_of(v, text)] - 1 : -1;
}

bool vocab_has_id(const struct vocab *v, int64_t id) {
    return id >= 0 && id < v->n_ids && v->pieces[id].text.ptr;
}

int vocab_add(struct vocab *v, struct slice text, int64_t id, bool added, struct error *err) {
    if (id < 0 || id >= v->capacity)
        return error_set(err, ERROR_CONFIG, "Token \"%.*s\" has id %lld, expected 0 to %d.",
                         SLICE_ARG(text), (long long)id, v->capacity - 1);
    struct vocab_piece *p = &v->pieces[id];
    if (p->text.ptr)
        return error_set(err, ERROR_CONFIG,
                         "Id %lld belongs to both \"%.*s\" and \"%.*s\", expected one token.",
                         (long long)id, SLICE_ARG(p->text), SLICE_ARG(text));
    size_t slot = slot_of(v, text);
    if (v->slots[slot])
        return error_set(err, ERROR_CONFIG,
                         "Token \"%.*s\" stands there twice, with ids %d and %lld.",
                         SLICE_ARG(text), v->slots[slot] - 1, (long long)id);
    p->text = (struct slice){arena_copy(&v->arena, text.ptr, text.len), text.len};
    p->bytes = added ? p->text : bytes_of(&v->arena, p->text);
    p->added = added;
    v->slots[slot] = (int32_t)id + 1;
    if (id >= v->n_ids) v->n_ids = (int32_t)id + 1;
    return 0;
}
