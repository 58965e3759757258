// Clitics and a few contractions: the last rules of the Penn Treebank's script.
#include "verifiers/constraints/treebank_words.h"

#include "verifiers/constraints/chars.h"

// Where the clitic at the end of `s` starts, s.len when there is none.
static size_t short_clitic(struct slice s) {
    const size_t n = s.len;
    size_t len = 0;
    if (n > 2 && s.ptr[n - 2] == '\'' && s.ptr[n - 1] && strchr("sSmMdD", s.ptr[n - 1])) len = 2;
    if (n > 1 && s.ptr[n - 1] == '\'') len = 1;
    return len && s.ptr[n - len - 1] != '\'' ? n - len : n;
}

static size_t long_clitic(struct slice s) {
    static const char ENDINGS[8][4] = {"'ll", "'LL", "'re", "'RE", "'ve", "'VE", "n't", "N'T"};
    if (s.len < 4 || s.ptr[s.len - 4] == '\'') return s.len;
    for (int i = 0; i < 8; i++)
        if (memcmp(s.ptr + s.len - 3, ENDINGS[i], 3) == 0) return s.len - 3;
    return s.len;
}

// The bytes at `at` that are `part` where case does not count, or 0.
static size_t part_len(struct slice s, size_t at, const char *part) {
    const size_t from = at;
    for (size_t len; *part; part++, at += len)
        if (char_fold(slice_code_at(s, at, &len)) != (unsigned char)*part) return 0;
    return at - from;
}

// Whether a word ends at `at`.
static bool ends_word(struct slice s, size_t at) {
    size_t len;
    const uint32_t next = slice_code_at(s, at, &len);
    return !len || !(char_classes(next) & CHAR_WORD);
}

struct contraction {
    const char *first, *second; // its two words
    bool at_end;                // counts only at the end of a field
};

static const struct contraction CONTRACTIONS[] = {
    {"can", "not", false}, {"d", "'ye", false},  {"gim", "me", false},  {"gon", "na", false},
    {"got", "ta", false},  {"lem", "me", false}, {"more", "'n", false}, {"wan", "na", true}};

// The length of a contraction at `at`, with that of its first word, or 0.
static size_t contraction_at(struct slice s, size_t at, size_t *first) {
    for (size_t i = 0; i < sizeof CONTRACTIONS / sizeof *CONTRACTIONS; i++) {
        const struct contraction *c = &CONTRACTIONS[i];
        if ((s.ptr[at] | 32) != *c->first) continue;
        *first = part_len(s, at, c->first);
        const size_t second = *first ? part_len(s, at + *first, c->second) : 0,
                     len = *first + second;
        if (second && (c->at_end ? at + len == s.len : ends_word(s, at + len))) return len;
    }
    return 0;
}

static void add_word(struct constraint_text *text, struct slices *out, struct slice s) {
    if (s.len) slices_add(text, out, s);
}

// A piece in front of which there is white space: 'tis and 'twas are two words each.
static void add_piece(struct constraint_text *text, struct slices *out, struct slice s) {
    static const char *const OLD[] = {"'tis", "'twas"};
    for (int i = 0; i < 2 && s.len && *s.ptr == '\''; i++) {
        const size_t n = part_len(s, 0, OLD[i]);
        if (!n || !ends_word(s, n)) continue;
        add_word(text, out, slice_part(s, 0, 2));
        add_word(text, out, slice_part(s, 2, n));
        s = slice_from(s, n);
    }
    add_word(text, out, s);
}

static bool may_start_contraction(char c) {
    const unsigned letter = ((unsigned char)c | 32u) - 'a';
    enum {
        FIRSTS = 1 << ('c' - 'a') | 1 << ('d' - 'a') | 1 << ('g' - 'a') | 1 << ('l' - 'a') |
                 1 << ('m' - 'a') | 1 << ('w' - 'a')
    };
    return letter < 26 && FIRSTS >> letter & 1;
}

static bool may_have_contraction(struct slice s) {
    bool may = false;
    for (size_t i = 0; i < s.len; i++) may |= may_start_contraction(s.ptr[i]);
    return may;
}

static void add_field(struct constraint_text *text, struct slices *out, struct slice s) {
    bool after_word = false;
    size_t start = 0, len;
    for (size_t at = 0; at < s.len; at += len) {
        const uint32_t code = slice_code_at(s, at, &len);
        size_t first, found = 0;
        if (!after_word && may_start_contraction(s.ptr[at])) found = contraction_at(s, at, &first);
        after_word = char_classes(code) & CHAR_WORD;
        if (!found) continue;
        add_piece(text, out, slice_part(s, start, at));
        add_word(text, out, slice_part(s, at, at + first));
        len = found;
        add_word(text, out, slice_part(s, at + first, at + len));
        start = at + len;
        after_word = true;
    }
    add_piece(text, out, slice_from(s, start));
}

static void add_clitics(struct constraint_text *text, struct slices *out, struct slice s) {
    const size_t short_at = short_clitic(s);
    const struct slice clitic = slice_from(s, short_at), rest = slice_part(s, 0, short_at);
    const size_t long_at = long_clitic(rest);
    const struct slice word = slice_part(rest, 0, long_at);
    if (may_have_contraction(word))
        add_field(text, out, word);
    else
        add_piece(text, out, word);
    add_word(text, out, slice_from(rest, long_at));
    add_word(text, out, clitic);
}

void treebank_add_word(struct constraint_text *text, struct slices *out, struct slice word,
                       bool has_apostrophe) {
    enum { SHORTEST = 5 }; // of the contractions without an apostrophe
    if (has_apostrophe)
        add_clitics(text, out, word);
    else if (word.len >= SHORTEST && may_have_contraction(word))
        add_field(text, out, word);
    else
        slices_add(text, out, word);
}
