#include "verifiers/constraints/word_set.h"

#include <assert.h>
#include <string.h>

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static struct packed_word pack(struct slice word) {
    struct packed_word packed = {.tail = (uint32_t)word.len << 16};
    for (size_t i = 0; i < word.len; i++) {
        const uint8_t c = (uint8_t)lower(word.ptr[i]);
        if (i < 8)
            packed.head |= (uint64_t)c << 8 * i;
        else
            packed.tail |= (uint32_t)c << 8 * (i - 8);
    }
    return packed;
}

// The slot that has the word, or the free one where it would be.
static size_t slot_of(const struct word_set *set, struct packed_word word) {
    size_t at = (size_t)((word.head ^ word.tail) * 0x9E3779B97F4A7C15u >> 32) % WORD_SET_SLOTS;
    while (set->slots[at].tail &&
           (set->slots[at].head != word.head || set->slots[at].tail != word.tail))
        at = (at + 1) % WORD_SET_SLOTS;
    return at;
}

void word_set_fill(struct word_set *set, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct slice word = slice_of(words[i]);
        assert(word.len > 0 && word.len <= WORD_SET_MAX_BYTES);
        const struct packed_word packed = pack(word);
        set->firsts |= (uint64_t)1 << (*word.ptr - 'a');
        set->slots[slot_of(set, packed)] = packed;
    }
}

bool word_set_has(const struct word_set *set, struct slice word) {
    if (word.len == 0 || word.len > WORD_SET_MAX_BYTES) return false;
    const unsigned first = (unsigned)(unsigned char)lower(*word.ptr) - 'a';
    if (first >= 26 || !(set->firsts >> first & 1)) return false;
    return set->slots[slot_of(set, pack(word))].tail != 0;
}
