// Words of one sentence by the Penn Treebank conventions (Robert MacIntyre's sed script), in the
// version that NLTK's word_tokenize applies. The script's five passes put white space around what
// they separate: (1) opening quotes, (2) the full stop at the end, (3) commas and colons, (4)
// ellipses and marks, (5) apostrophes, dashes, brackets and closing quotes. Here they are one: each
// character is looked at once, with what the passes before would have made of its neighbours. A
// token is a part of the sentence, or `` and '' for double quotes. What is left to do with a word
// is treebank_words.c's.
#include "verifiers/constraints/treebank.h"

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/treebank_words.h"

enum byte_class {
    SPACE = 1,         // ASCII white space of Python's kind
    COMMA = 2,         // , and :
    ALONE = 4,         // a token by itself: brackets, stars and ; @ # $ % & ? !
    MARK = 8,          // these marks: pass 4 puts space in front of them, which pass 5 sees
    OTHER = 16,        // quotes, full stops, dashes and what is not ASCII
    OPENS_BEHIND = 32, // a quote behind it is an opening one
};

static const uint8_t BYTES[256] = {
    ['\t' ... '\r'] = SPACE,
    [0x1C ... 0x1F] = SPACE,
    [' '] = SPACE | OPENS_BEHIND,
    ['`'] = OTHER,
    ['"'] = OTHER,
    ['\''] = OTHER,
    ['-'] = OTHER,
    ['.'] = OTHER,
    [0x80 ... 0xFF] = OTHER,
    [','] = COMMA,
    [':'] = COMMA,
    [';'] = ALONE | MARK,
    ['@'] = ALONE | MARK,
    ['#'] = ALONE | MARK,
    ['$'] = ALONE | MARK,
    ['%'] = ALONE | MARK,
    ['&'] = ALONE | MARK,
    ['?'] = ALONE | MARK,
    ['!'] = ALONE | MARK,
    ['*'] = ALONE,
    ['['] = ALONE | OPENS_BEHIND,
    [']'] = ALONE,
    ['('] = ALONE | OPENS_BEHIND,
    [')'] = ALONE,
    ['{'] = ALONE | OPENS_BEHIND,
    ['}'] = ALONE,
    ['<'] = ALONE | OPENS_BEHIND,
    ['>'] = ALONE,
};

static unsigned byte_class(char c) {
    return BYTES[(unsigned char)c];
}

static char byte_at(struct slice s, size_t at) {
    return at < s.len ? s.ptr[at] : 0;
}

static bool is_opening(uint32_t code) {
    return code == 0xAB || code == 0x201C || code == 0x2018 || code == 0x201E;
}

static bool is_closing(uint32_t code) {
    return code == 0xBB || code == 0x201D || code == 0x2019;
}

// ---- Words and marks ---------------------------------------------------------------------------

struct lexer {
    struct constraint_text *text;
    struct slices *out;
    struct slice s;
    size_t at;
    size_t start;          // of the word that is being read
    size_t period;         // the full stop that is a token by itself, s.len: none
    char before;           // what a quote at `at` stands behind; 0 at the start
    bool after_apostrophe; // an apostrophe that did not open a quotation stands in front of `at`
    bool has_apostrophe;   // there may be one in the word
};

static void end_word(struct lexer *l) {
    const struct slice word = slice_part(l->s, l->start, l->at);
    if (word.len) treebank_add_word(l->text, l->out, word, l->has_apostrophe);
    l->has_apostrophe = false;
}

// Ends the word and goes on behind the `len` bytes that stand between it and the next one.
static void skip(struct lexer *l, size_t len, char before) {
    end_word(l);
    l->at += len;
    l->start = l->at;
    l->before = before;
    l->after_apostrophe = false;
}

// The same, where these bytes are a token, or stand for one.
static void take(struct lexer *l, size_t len, const char *token, size_t token_len, char before) {
    end_word(l);
    slices_add(l->text, l->out, (struct slice){token, token_len});
    l->at += len;
    l->start = l->at;
    l->before = before;
    l->after_apostrophe = false;
}

static void take_own(struct lexer *l, size_t len, char before) {
    take(l, len, l->s.ptr + l->at, len, before);
}

// Goes on within a word.
static void keep(struct lexer *l, size_t len) {
    l->before = l->s.ptr[l->at];
    l->after_apostrophe = false;
    l->at += len;
}

// The same, over bytes that are nothing but parts of words.
static void keep_letters(struct lexer *l, size_t end) {
    while (l->at < end && !byte_class(l->s.ptr[l->at])) l->at++;
    l->before = l->s.ptr[l->at - 1];
    l->after_apostrophe = false;
}

static bool is_quote_pair(struct slice s, size_t at) {
    return byte_at(s, at) == '\'' && byte_at(s, at + 1) == '\'';
}

// The full stop at the end that is a token: only closing quotes, brackets and spaces may follow,
// and white space behind them.
static size_t find_period(struct slice s) {
    const bool is_last = s.len && s.ptr[s.len - 1] == '.';
    const char *dot = s.len && !is_last ? memrchr(s.ptr, '.', s.len) : NULL;
    size_t at = is_last ? s.len - 1 : dot ? (size_t)(dot - s.ptr) : 0, len;
    if (at == 0 || s.ptr[at - 1] == '.') return s.len;
    const size_t period = at;
    for (char before = '.'; ++at < s.len; before = s.ptr[at], at += len - 1) {
        const uint32_t code = slice_code_at(s, at, &len);
        if (!is_closing(code) && !(code && code < 128 && strchr("])}>\"' ", (int)code))) break;
        if (before == ' ' && (code == '"' || is_quote_pair(s, at))) return s.len; // an opening one
    }
    return slice_is_blank(slice_from(s, at)) ? period : s.len;
}

// A comma or colon is a token unless a digit follows. Of two in a row the second one is not looked
// at, but at the very end.
static void take_comma(struct lexer *l) {
    size_t len;
    const struct slice s = l->s;
    const uint32_t next = slice_code_at(s, l->at + 1, &len);
    if (len && char_classes(next) & CHAR_DIGIT) {
        keep(l, 1);
        return;
    }
    take_own(l, 1, s.ptr[l->at]);
    if (!(byte_class(byte_at(s, l->at)) & COMMA)) return;
    if (l->at + 1 == s.len || (l->at + 2 == s.len && s.ptr[l->at + 1] == '\n'))
        take_own(l, 1, s.ptr[l->at]);
    else
        keep(l, 1);
}

static void take_backticks(struct lexer *l) {
    take_own(l, byte_at(l->s, l->at + 1) == '`' ? 2 : 1, ' ');
}

// An apostrophe in front of a single letter that is no clitic: "'x " becomes "' x ".
static bool is_lone_letter(struct slice s, size_t at) {
    size_t len, next_len;
    const uint32_t code = slice_code_at(s, at + 1, &len);
    if (!len || !(char_classes(code) & CHAR_WORD)) return false;
    const uint32_t letter = char_fold(code);
    if (letter && letter < 128 && strchr("mtsdn", (char)letter)) return false;
    const uint32_t next = slice_code_at(s, at + 1 + len, &next_len);
    return !next_len || !(char_classes(next) & CHAR_WORD);
}

// Whether pass 5 finds a space at `at`, behind an apostrophe: one of the text, or one that a pass
// before has put there.
static bool is_spaced(const struct lexer *l, size_t at) {
    const struct slice s = l->s;
    size_t len;
    if (at == s.len) return l->period < s.len;
    const char c = s.ptr[at];
    if (c == ' ' || c == '`' || at == l->period || byte_class(c) & MARK) return true;
    if (c == '.') return byte_at(s, at + 1) == '.';
    if ((unsigned char)c >= 128) return is_opening(slice_code_at(s, at, &len));
    if (!(byte_class(c) & COMMA)) return false;
    const uint32_t next = slice_code_at(s, at + 1, &len);
    return !len || !(char_classes(next) & CHAR_DIGIT);
}

static void take_apostrophe(struct lexer *l) {
    const bool lone = is_lone_letter(l->s, l->at);
    const bool pair = is_quote_pair(l->s, l->at);
    if (pair && byte_class(l->before) & OPENS_BEHIND) {
        take(l, 2, "``", 2, '"');
    } else if (!l->after_apostrophe && (lone || is_spaced(l, l->at + 1))) {
        take_own(l, 1, '\'');
        l->after_apostrophe = true;
    } else if (pair) {
        take_own(l, 2, '\'');
        l->after_apostrophe = true;
    } else {
        keep(l, 1);
        l->has_apostrophe = true;
        if (lone) skip(l, 0, '\'');
        l->after_apostrophe = true;
    }
}

static void take_wide(struct lexer *l) {
    size_t len;
    const unsigned char lead = (unsigned char)l->s.ptr[l->at];
    if (lead >= 0xE4 && lead < 0xF0) { // no quotes or white space
        keep(l, 3);
        return;
    }
    const uint32_t code = slice_code_at(l->s, l->at, &len);
    if (is_opening(code))
        take_own(l, len, ' ');
    else if (is_closing(code))
        take_own(l, len, 0);
    else if (char_classes(code) & CHAR_SPACE)
        skip(l, len, 0);
    else
        keep(l, len);
}

static void take_other(struct lexer *l, char c) {
    const struct slice s = l->s;
    size_t n = 1;
    if ((unsigned char)c >= 128) {
        take_wide(l);
    } else if (c == '`') {
        take_backticks(l);
    } else if (c == '\'') {
        take_apostrophe(l);
    } else if (c == '"') {
        const bool opens = l->at == 0 || byte_class(l->before) & OPENS_BEHIND;
        take(l, 1, opens ? "``" : "''", 2, l->at == 0 ? ' ' : '"');
    } else {
        while (c == '.' && byte_at(s, l->at + n) == '.') n++;
        if (c == '-' && byte_at(s, l->at + 1) == '-') n = 2;
        if (n > 1 || l->at == l->period)
            take_own(l, n, c);
        else
            keep(l, 1);
    }
}

// Behind these bytes nothing depends on what is in front of them, but for the full stop: a comma
// between others may not be looked at, and a quote at the start is an opening one.
static bool is_sync(struct slice s, size_t at) {
    const unsigned class = byte_class(s.ptr[at]);
    if (class & (SPACE | ALONE)) return true;
    if (at == 0 || at + 1 >= s.len) return false;
    const unsigned char next = (unsigned char)s.ptr[at + 1];
    if (class & COMMA)
        return next < 128 && !(char_ascii_classes[next] & CHAR_DIGIT) &&
               !((byte_class((char)next) | byte_class(s.ptr[at - 1])) & COMMA);
    return s.ptr[at] == '"';
}

// Takes bytes that are tokens by themselves, and white space between them, until there are `max`
// words.
static void take_alone(struct lexer *l, size_t end, size_t max) {
    const struct slice s = l->s;
    size_t at = l->at;
    end_word(l);
    while (at < end && l->out->n < max) {
        const unsigned class = byte_class(s.ptr[at]);
        if (!(class & (SPACE | ALONE))) break;
        if (class & ALONE) slices_add(l->text, l->out, (struct slice){s.ptr + at, 1});
        at++;
    }
    l->at = l->start = at;
    l->before = s.ptr[at - 1];
    l->after_apostrophe = false;
}

// Goes on to `end` or some bytes more, or until there are `max` words.
static void read_to(struct lexer *l, size_t end, size_t max) {
    while (l->at < end && l->out->n < max) {
        const char c = l->s.ptr[l->at];
        const unsigned class = byte_class(c);
        if (class == 0)
            keep_letters(l, end);
        else if (class & (SPACE | ALONE))
            take_alone(l, end, max);
        else if (class & COMMA)
            take_comma(l);
        else
            take_other(l, c);
    }
}

static bool spend(struct lexer *l, size_t end) {
    return end > l->at && text_spend(l->text, 8 * (end - l->at));
}

// Goes on to `end`, or some bytes more, and ends the word.
static void read_words(struct lexer *l, size_t end) {
    if (!spend(l, end)) return;
    read_to(l, end, SIZE_MAX);
    end_word(l);
}

static struct lexer open_lexer(struct constraint_text *text, struct slices *out, struct slice s) {
    return (struct lexer){.text = text, .out = out, .s = s, .period = find_period(s)};
}

void treebank_add(struct constraint_text *text, struct slices *out, struct slice s,
                  const char *from, const char *to) {
    struct lexer l = open_lexer(text, out, s);
    if (from && from > s.ptr) {
        l.at = l.start = (size_t)(from - s.ptr);
        l.before = from[-1];
    }
    read_words(&l, to ? (size_t)(to - s.ptr) : s.len);
}

bool treebank_add_first(struct constraint_text *text, struct slices *out, struct slice s,
                        size_t max, size_t max_bytes) {
    struct lexer l = open_lexer(text, out, s);
    const size_t end = s.len < max_bytes ? s.len : max_bytes;
    if (!spend(&l, end)) return s.len == 0;
    read_to(&l, end, max);
    if (l.at >= s.len) end_word(&l);
    return l.at >= s.len || out->n >= max;
}

void treebank_read(struct constraint_text *text, struct slices *out, struct slice s,
                   struct treebank_states *states) {
    struct lexer l = open_lexer(text, out, s);
    if (!spend(&l, s.len)) return;
    for (size_t next = TREEBANK_STRIDE; next < s.len; next = l.at + TREEBANK_STRIDE) {
        read_to(&l, next, SIZE_MAX);
        states->items[states->n++] = (struct treebank_state){s.ptr + l.at, s.ptr + l.start,
                                                             l.before, l.after_apostrophe, out->n};
    }
    read_to(&l, s.len, SIZE_MAX);
    end_word(&l);
}

void treebank_resume(struct constraint_text *text, struct slices *out, struct slice s,
                     const struct treebank_state *state) {
    struct lexer l = open_lexer(text, out, s);
    l.at = (size_t)(state->at - s.ptr);
    l.start = (size_t)(state->start - s.ptr);
    l.before = state->before;
    l.after_apostrophe = state->after_apostrophe;
    l.has_apostrophe = true;
    read_words(&l, s.len);
}

static bool is_at(const struct lexer *l, const struct treebank_state *state) {
    return l->s.ptr + l->at == state->at && l->s.ptr + l->start == state->start &&
           l->before == state->before && l->after_apostrophe == state->after_apostrophe;
}

const struct treebank_state *treebank_meet(struct constraint_text *text, struct slices *out,
                                           struct slice s, const char *to,
                                           const struct treebank_state *states, size_t n) {
    struct lexer l = open_lexer(text, out, s);
    for (size_t i = 0; i < n && states[i].at <= to; i++) {
        const size_t next = (size_t)(states[i].at - s.ptr);
        if (!spend(&l, next)) return NULL;
        read_to(&l, next, SIZE_MAX);
        if (is_at(&l, &states[i])) return &states[i];
    }
    return NULL;
}

struct slices treebank_words(struct constraint_text *text, const struct slices *sentences) {
    struct slices out = {0};
    size_t total = 0;
    for (size_t i = 0; i < sentences->n; i++) total += sentences->items[i].len;
    slices_expect(text, &out, total);
    for (size_t i = 0; i < sentences->n; i++)
        treebank_add(text, &out, sentences->items[i], NULL, NULL);
    return out;
}

// A sentence that starts earlier has white space in front of this one. Only quotes ask what they
// stand behind, and a full stop whether it is the first byte.
size_t treebank_start(struct slice s) {
    if (s.len && *s.ptr != '"' && *s.ptr != '\'' && *s.ptr != '.') return 0;
    for (size_t i = 0; i < s.len && i < TREEBANK_STRIDE; i++)
        if (is_sync(s, i)) return i + 1;
    return s.len;
}

// The last such place at or in front of `at` that is near, or 0.
static size_t sync_before(struct slice s, size_t at) {
    if (at > s.len) at = s.len;
    const size_t farthest = at > TREEBANK_STRIDE ? at - TREEBANK_STRIDE : 0;
    while (at > farthest && !is_sync(s, at - 1)) at--;
    return at > farthest ? at : 0;
}

size_t treebank_end(struct slice s, struct slice longer, size_t *state) {
    enum { MOST_AHEAD = 16 }; // bytes that are looked at to decide about one
    *state = s.len;
    if (s.len >= longer.len) return s.len;
    const size_t period = find_period(s), other = find_period(longer);
    const size_t first = period < other ? period : other;
    if (first < *state) *state = first;
    *state = *state > MOST_AHEAD ? *state - MOST_AHEAD : 0;
    return sync_before(s, first);
}
