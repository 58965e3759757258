// Words of one sentence by the Penn Treebank conventions (Robert MacIntyre's sed script), in the
// version that NLTK's word_tokenize applies. Each pass puts white space around what it separates;
// at the end the sentence is split at white space, and clitics and a few contractions are cut off.
#include <ctype.h>
#include <strings.h>

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/nlp.h"

// Text that a pass writes; there is room for five bytes for each byte of the sentence.
struct output {
    char *ptr;
    size_t len;
};

static void put(struct output *o, const char *bytes, size_t len) {
    memcpy(o->ptr + o->len, bytes, len);
    o->len += len;
}

static void put_padded(struct output *o, const char *bytes, size_t len) {
    put(o, " ", 1);
    put(o, bytes, len);
    put(o, " ", 1);
}

static char byte_at(struct slice s, size_t at) {
    return at < s.len ? s.ptr[at] : 0;
}

// The character at `at` and its length; 0 at the end.
static uint32_t code_at(struct slice s, size_t at, size_t *len) {
    uint32_t code = 0;
    struct slice rest = slice_from(s, at);
    *len = chars_next(&rest, &code) ? s.len - at - rest.len : 0;
    return code;
}

static bool is_opening(uint32_t code) {
    return code == 0xAB || code == 0x201C || code == 0x2018 || code == 0x201E;
}

static bool is_closing(uint32_t code) {
    return code == 0xBB || code == 0x201D || code == 0x2019;
}

static size_t put_backticks(struct slice s, size_t at, struct output *o) {
    size_t n = 0;
    while (byte_at(s, at + n) == '`') n++;
    for (size_t i = 0; i < n; i += 2) put_padded(o, "``", n - i < 2 ? 1 : 2);
    return n;
}

// An apostrophe in front of a single letter that is no clitic: "'x " becomes "' x ".
static bool is_lone_letter(struct slice s, size_t at) {
    size_t len, next_len;
    const uint32_t code = code_at(s, at + 1, &len);
    if (!len || !(char_classes(code) & CHAR_WORD)) return false;
    if (code < 128 && strchr("mtsdnMTSDN", (int)code)) return false;
    const uint32_t next = code_at(s, at + 1 + len, &next_len);
    return !next_len || !(char_classes(next) & CHAR_WORD);
}

// Opening quotes. `before` is what stands in front of the place, as the rules see it.
static void open_quotes(struct slice s, struct output *o) {
    char before = 0;
    size_t len;
    for (size_t at = 0; at < s.len; at += len) {
        const char c = s.ptr[at];
        const bool quote_pair = c == '\'' && byte_at(s, at + 1) == '\'';
        len = 1;
        if (c == '`') {
            len = put_backticks(s, at, o);
            before = ' ';
        } else if (c == '"' && at == 0) {
            put_padded(o, "``", 2);
            before = ' ';
        } else if ((c == '"' || quote_pair) && before && strchr(" ([{<", before)) {
            put(o, "`` ", 3);
            len = quote_pair ? 2 : 1;
            before = '"';
        } else if ((unsigned char)c >= 128) {
            const bool opening = is_opening(code_at(s, at, &len));
            if (opening)
                put_padded(o, s.ptr + at, len);
            else
                put(o, s.ptr + at, len);
            before = opening ? ' ' : c;
        } else {
            put(o, &c, 1);
            if (c == '\'' && is_lone_letter(s, at)) put(o, " ", 1);
            before = c;
        }
    }
}

static bool is_closer(uint32_t code) {
    return is_closing(code) || (code && code < 128 && strchr("])}>\"' ", (int)code));
}

// The full stop at the end, where only closing quotes and brackets and white space may follow.
static void last_period(struct slice s, struct output *o) {
    uint32_t code;
    const char *dot = s.len ? memrchr(s.ptr, '.', s.len) : NULL;
    const size_t at = dot ? (size_t)(dot - s.ptr) : 0;
    struct slice tail = slice_from(s, at + 1), rest = tail;
    if (at == 0 || s.ptr[at - 1] == '.') {
        put(o, s.ptr, s.len);
        return;
    }
    for (struct slice r = rest; chars_next(&r, &code) && is_closer(code);) rest = r;
    if (!slice_is_blank(rest)) {
        put(o, s.ptr, s.len);
        return;
    }
    put(o, s.ptr, at);
    put_padded(o, ".", 1);
    put(o, tail.ptr, tail.len - rest.len);
    put(o, " ", 1);
}

static bool is_comma(char c) {
    return c == ',' || c == ':';
}

// Commas and colons that no digit follows. The character behind one is passed over, even a comma.
static void commas(struct slice s, struct output *o) {
    size_t len;
    const size_t end = s.len - (s.len && s.ptr[s.len - 1] == '\n');
    for (size_t at = 0; at < s.len; at++) {
        if (!is_comma(s.ptr[at])) {
            put(o, s.ptr + at, 1);
            continue;
        }
        const uint32_t next = code_at(s, at + 1, &len);
        if (len && char_classes(next) & CHAR_DIGIT) {
            put(o, s.ptr + at, 1);
            continue;
        }
        put_padded(o, s.ptr + at, 1);
        if (len && is_comma(s.ptr[at + 1]) && (at + 2 == s.len || at + 2 == end))
            put_padded(o, s.ptr + at + 1, 1);
        else
            put(o, s.ptr + at + 1, len);
        at += len;
    }
}

// Ellipses and the marks ; @ # $ % & ? !
static void marks(struct slice s, struct output *o) {
    for (size_t at = 0; at < s.len; at++) {
        const char c = s.ptr[at];
        size_t n = 1;
        while (c == '.' && byte_at(s, at + n) == '.') n++;
        if (n > 1 || (c && strchr(";@#$%&?!", c)))
            put_padded(o, s.ptr + at, n);
        else
            put(o, &c, 1);
        at += n - 1;
    }
}

// What is left: apostrophes at the end of a word, stars, brackets, dashes, closing quotes.
static void close_quotes(struct slice s, struct output *o) {
    size_t len;
    for (size_t at = 0; at < s.len; at += len) {
        const char c = s.ptr[at], next = byte_at(s, at + 1);
        len = 1;
        if (c == '\'' && next == ' ' && (at == 0 || s.ptr[at - 1] != '\'')) {
            put_padded(o, "'", 1);
        } else if ((c == '\'' || c == '-') && next == c) {
            put_padded(o, c == '-' ? "--" : "''", 2);
            len = 2;
        } else if (c == '"') {
            put_padded(o, "''", 2);
        } else if (c && strchr("*[](){}<>", c)) {
            put_padded(o, &c, 1);
        } else if ((unsigned char)c >= 128) {
            if (is_closing(code_at(s, at, &len)))
                put_padded(o, s.ptr + at, len);
            else
                put(o, s.ptr + at, len);
        } else {
            put(o, &c, 1);
        }
    }
}

// ---- Words -------------------------------------------------------------------------------------

static bool ends_in(struct slice s, const char *const *endings, size_t *at) {
    for (int i = 0; endings[i]; i++) {
        const struct slice ending = slice_of(endings[i]);
        if (s.len <= ending.len || !slice_ends(s, ending)) continue;
        if (s.ptr[s.len - ending.len - 1] == '\'') continue;
        *at = s.len - ending.len;
        return true;
    }
    return false;
}

struct contraction {
    const char *word;
    size_t cut;
    bool at_end; // counts only at the end of a field
};

static const struct contraction CONTRACTIONS[] = {
    {"cannot", 3, false}, {"d'ye", 1, false},  {"gimme", 3, false},  {"gonna", 3, false},
    {"gotta", 3, false},  {"lemme", 3, false}, {"more'n", 4, false}, {"wanna", 3, true}};

static const struct contraction *contraction_at(struct slice s, size_t at) {
    size_t len;
    for (size_t i = 0; i < sizeof CONTRACTIONS / sizeof *CONTRACTIONS; i++) {
        const struct contraction *c = &CONTRACTIONS[i];
        const size_t n = strlen(c->word);
        if (s.len - at < n || strncasecmp(s.ptr + at, c->word, n) != 0) continue;
        const uint32_t next = code_at(s, at + n, &len);
        if (len && (c->at_end || char_classes(next) & CHAR_WORD)) continue;
        return c;
    }
    return NULL;
}

static void add_word(struct constraint_text *text, struct slices *out, struct slice s) {
    if (s.len) slices_add(text, out, s);
}

// A piece in front of which there is white space: 'tis and 'twas are two words each.
static void add_piece(struct constraint_text *text, struct slices *out, struct slice s) {
    static const char *const OLD[] = {"'tis", "'twas"};
    size_t len;
    for (int i = 0; i < 2; i++) {
        const size_t n = strlen(OLD[i]);
        if (s.len < n || strncasecmp(s.ptr, OLD[i], n) != 0) continue;
        const uint32_t next = code_at(s, n, &len);
        if (len && char_classes(next) & CHAR_WORD) continue;
        add_word(text, out, slice_part(s, 0, 2));
        add_word(text, out, slice_part(s, 2, n));
        s = slice_from(s, n);
    }
    add_word(text, out, s);
}

static void add_field(struct constraint_text *text, struct slices *out, struct slice s) {
    bool after_word = false;
    size_t start = 0, len;
    for (size_t at = 0; at < s.len; at += len) {
        const uint32_t code = code_at(s, at, &len);
        const struct contraction *c = NULL;
        if (!after_word && code < 128 && isalpha((int)code)) c = contraction_at(s, at);
        after_word = char_classes(code) & CHAR_WORD;
        if (!c) continue;
        add_piece(text, out, slice_part(s, start, at));
        add_word(text, out, slice_part(s, at, at + c->cut));
        len = strlen(c->word);
        add_word(text, out, slice_part(s, at + c->cut, at + len));
        start = at + len;
        after_word = true;
    }
    add_piece(text, out, slice_from(s, start));
}

static void add_clitics(struct constraint_text *text, struct slices *out, struct slice s) {
    static const char *const SHORT[] = {"'s", "'S", "'m", "'M", "'d", "'D", "'", NULL};
    static const char *const LONG[] = {"'ll", "'LL", "'re", "'RE", "'ve",
                                       "'VE", "n't", "N'T", NULL};
    size_t short_at = s.len, long_at;
    ends_in(s, SHORT, &short_at);
    const struct slice clitic = slice_from(s, short_at);
    s = slice_part(s, 0, short_at);
    if (!ends_in(s, LONG, &long_at)) long_at = s.len;
    add_field(text, out, slice_part(s, 0, long_at));
    if (long_at < s.len) add_word(text, out, slice_from(s, long_at));
    add_word(text, out, clitic);
}

void treebank_words(struct constraint_text *text, struct slice sentence, struct slices *out) {
    static void (*const PASSES[])(struct slice, struct output *) = {open_quotes, last_period,
                                                                    commas, marks, close_quotes};
    if (!text_spend(text, 8 * sentence.len)) return;
    const size_t room = 5 * sentence.len + 64;
    struct slice s = sentence;
    char *buffers[2] = {arena_take(text->arena, room, 1), arena_take(text->arena, room, 1)};
    for (int i = 0; i < 5; i++) {
        struct output o = {buffers[i % 2], 0};
        PASSES[i](s, &o);
        s = (struct slice){o.ptr, o.len};
    }
    const struct slices fields = text_fields_of(text, s);
    for (size_t i = 0; i < fields.n; i++) add_clitics(text, out, fields.items[i]);
}
