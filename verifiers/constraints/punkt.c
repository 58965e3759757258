// Punkt: every '.', '?' or '!' in front of other punctuation or of another word is a candidate; the
// word that it ends and the token behind it decide (Kiss and Strunk, "Unsupervised Multilingual
// Sentence Boundary Detection", 2006, sections 3 and 4; the order of the rules is NLTK's).
//
// The orthographic contexts that the model has for some 20,000 words are left out: a word is taken
// as one that the model has never seen.
#include <stdlib.h>

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/nlp.h"
#include "verifiers/constraints/tables.h"

enum { MAX_TYPE = 24 }; // longer than any word of the tables

// A word of a candidate's context, with what the rules ask of it.
struct token {
    struct slice text;
    char type[MAX_TYPE]; // in lower case, "##number##" for numbers, "" when longer
    bool sentence_end, abbreviation, ellipsis;
};

struct candidate {
    size_t word;        // where the word in front of the mark starts
    size_t mark;        // the mark
    size_t context_end; // behind the token that follows
    size_t next;        // where that token starts, 0 when it is punctuation
};

static bool is_ascii_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_mark(char c) {
    return c == '.' || c == '?' || c == '!';
}

// Characters that end a word, besides the full stop.
static bool is_non_word(char c) {
    return c != 0 && strchr(")\";}]*:@'({[?!", c) != NULL;
}

static bool is_one_of(uint32_t code, const char *ascii) {
    return code > 0 && code < 128 && strchr(ascii, (int)code);
}

static struct slice space_at(struct slice s, size_t at) {
    const struct slice tail = slice_from(s, at);
    return slice_part(tail, 0, tail.len - slice_strip_left(tail, CHAR_SPACE).len);
}

// The length of "--...", "..", ". . ." at the start of `s`, else 0.
static size_t multi_char(struct slice s) {
    size_t n = 0;
    if (s.len < 2 || (*s.ptr != '-' && *s.ptr != '.')) return 0;
    while (n < s.len && s.ptr[n] == *s.ptr) n++;
    if (n >= 2) return n;
    if (*s.ptr == '-') return 0;
    size_t at = 0, n_pairs = 0, found = 0;
    uint32_t code;
    while (at < s.len && s.ptr[at] == '.') {
        if (n_pairs >= 2) found = at + 1;
        struct slice rest = slice_from(s, at + 1);
        if (!chars_next(&rest, &code) || !(char_classes(code) & CHAR_SPACE)) break;
        at = s.len - rest.len;
        n_pairs++;
    }
    return found;
}

static bool ends_word(struct slice rest) {
    uint32_t code;
    struct slice r = rest;
    if (!chars_next(&r, &code) || char_classes(code) & CHAR_SPACE) return true;
    if (is_non_word(*rest.ptr) || multi_char(rest)) return true;
    if (code != ',') return false;
    const char comma_next = r.len ? *r.ptr : 0;
    return !chars_next(&r, &code) || char_classes(code) & CHAR_SPACE || is_non_word(comma_next) ||
           multi_char(slice_from(rest, 1));
}

// The token at the start of `line`, which does not start with white space.
static size_t token_length(struct slice line) {
    const size_t multi = multi_char(line);
    uint32_t code;
    struct slice rest = line;
    if (multi) return multi;
    chars_next(&rest, &code);
    if (is_one_of(code, "(\"`{[:;&#*@)}]-,")) return 1;
    while (!ends_word(rest)) chars_next(&rest, &code);
    return line.len - rest.len;
}

// -?[.,]?\d[\d,.-]*\.?
static bool is_number(struct slice s) {
    uint32_t code;
    if (s.len && *s.ptr == '-') s = slice_from(s, 1);
    if (s.len && (*s.ptr == '.' || *s.ptr == ',')) s = slice_from(s, 1);
    if (!chars_next(&s, &code) || !(char_classes(code) & CHAR_DIGIT)) return false;
    while (chars_next(&s, &code))
        if (!(char_classes(code) & CHAR_DIGIT) && code != ',' && code != '.' && code != '-')
            return false;
    return true;
}

// `s` in lower case, "" when it does not fit or is not ASCII then (no table has such a word).
static void lower_into(struct slice s, char out[MAX_TYPE]) {
    size_t n = 0;
    uint32_t code;
    while (n + 1 < MAX_TYPE && chars_next(&s, &code)) {
        // U+0130 becomes two code points in lower case, though its simple mapping is "i".
        if (code == 0x130 || (code = char_lower(code)) >= 128) break;
        out[n++] = (char)code;
        if (s.len == 0) {
            out[n] = 0;
            return;
        }
    }
    out[0] = 0;
}

static int compare_words(const void *key, const void *row) {
    return strcmp(key, *(const char *const *)row);
}

static bool has_word(const char *const *table, size_t n, const char *word) {
    return *word && bsearch(word, table, n, sizeof *table, compare_words);
}

static bool is_abbreviation(struct slice word) {
    char type[MAX_TYPE];
    lower_into(word, type);
    if (has_word(punkt_abbreviations, (size_t)punkt_n_abbreviations, type)) return true;
    const char *dash = memrchr(word.ptr, '-', word.len);
    if (!dash) return false;
    lower_into(slice_from(word, (size_t)(dash + 1 - word.ptr)), type);
    return has_word(punkt_abbreviations, (size_t)punkt_n_abbreviations, type);
}

static bool ends_with_period(const struct token *t) {
    return t->text.ptr[t->text.len - 1] == '.';
}

static void classify(struct token *t) {
    const struct slice s = t->text;
    size_t n_periods = 0;
    while (n_periods < s.len && s.ptr[s.len - 1 - n_periods] == '.') n_periods++;
    if (s.len == 1 && is_mark(*s.ptr))
        t->sentence_end = true;
    else if (n_periods == s.len)
        t->ellipsis = true;
    else if (n_periods == 1 && is_abbreviation(slice_part(s, 0, s.len - 1)))
        t->abbreviation = true;
    else if (n_periods == 1)
        t->sentence_end = true;
    if (is_number(s))
        strcpy(t->type, "##number##");
    else
        lower_into(s, t->type);
}

static void drop_period(char *type) {
    const size_t n = strlen(type);
    if (n > 1 && type[n - 1] == '.') type[n - 1] = 0;
}

static bool is_initial(const struct token *t) {
    struct slice s = t->text;
    uint32_t code;
    chars_next(&s, &code);
    return slice_is(s, ".") && char_classes(code) & CHAR_WORD && !(char_classes(code) & CHAR_DIGIT);
}

static bool is_collocation(const char *first, const char *second) {
    char key[2 * MAX_TYPE];
    if (!*first || !*second) return false;
    stpcpy(stpcpy(stpcpy(key, first), "\t"), second);
    return has_word(punkt_collocations, (size_t)punkt_n_collocations, key);
}

// The second look at a token that ends with a full stop, now that the next one is known.
static void reconsider(struct token *t, const struct token *next) {
    char type[MAX_TYPE], next_type[MAX_TYPE];
    uint32_t first = 0;
    struct slice s = next->text;
    if (!ends_with_period(t)) return;
    drop_period(strcpy(type, t->type));
    strcpy(next_type, next->type);
    if (next->sentence_end) drop_period(next_type);
    chars_next(&s, &first);
    const bool initial = is_initial(t), capital = char_classes(first) & CHAR_UPPER;
    if (is_collocation(type, next_type)) {
        t->sentence_end = false;
        return;
    }
    if ((t->abbreviation || t->ellipsis) && !initial && capital &&
        has_word(punkt_starters, (size_t)punkt_n_starters, next_type)) {
        t->sentence_end = true;
        return;
    }
    if (!initial && strcmp(type, "##number##") != 0) return;
    const bool no_start =
        (next->text.len == 1 && is_one_of(first, ";:,.!?")) || char_classes(first) & CHAR_LOWER;
    if (no_start || (initial && capital)) t->sentence_end = false;
}

// Whether a sentence ends within the context and another token follows.
static bool has_break(struct slice context) {
    struct token before = {0};
    while (context.len) {
        struct slice line = context;
        const char *newline = memchr(context.ptr, '\n', context.len);
        if (newline) line.len = (size_t)(newline - context.ptr);
        context = slice_from(context, line.len + (newline ? 1 : 0));
        while ((line = slice_strip_left(line, CHAR_SPACE)).len) {
            struct token t = {.text = slice_part(line, 0, token_length(line))};
            classify(&t);
            if (before.text.len) {
                reconsider(&before, &t);
                if (before.sentence_end) return true;
            }
            before = t;
            line = slice_from(line, t.text.len);
        }
    }
    return false;
}

// The next mark at or behind `at` that something follows.
static bool find_mark(struct slice s, size_t at, struct candidate *c) {
    for (; at + 1 < s.len; at++) {
        if (!is_mark(s.ptr[at])) continue;
        c->mark = at;
        c->next = 0;
        c->context_end = at + 2;
        if (is_non_word(s.ptr[at + 1])) return true;
        const struct slice space = space_at(s, at + 1);
        if (space.len == 0 || at + 1 + space.len == s.len) continue;
        c->next = at + 1 + space.len;
        uint32_t code;
        struct slice rest = slice_from(s, c->next);
        for (struct slice r = rest; chars_next(&r, &code); rest = r)
            if (char_classes(code) & CHAR_SPACE) break;
        c->context_end = s.len - rest.len;
        return true;
    }
    return false;
}

// Where the word in front of a mark starts: behind the last ASCII white space since the mark of
// the candidate before, or where that one's word starts.
static size_t word_start(struct slice s, const struct candidate *before, size_t mark) {
    for (size_t i = mark; i-- > before->mark + 1;)
        if (is_ascii_space(s.ptr[i])) return i + 1;
    return before->word;
}

struct splitter {
    struct constraint_text *text;
    struct slice s;
    struct slices *parts;
    size_t start; // of the current sentence
};

static void decide(struct splitter *p, const struct candidate *c) {
    if (!text_spend(p->text, c->context_end - c->word)) return;
    if (!has_break(slice_part(p->s, c->word, c->context_end))) return;
    slices_add(p->text, p->parts, slice_part(p->s, p->start, c->mark + 1));
    p->start = c->next ? c->next : c->mark + 1;
}

// How much of the start of a sentence belongs to the one before: closing quotes and brackets in
// front of white space, "--" or the end. *skip counts that white space too.
static size_t closers(struct slice s, size_t *skip) {
    size_t n = 0;
    while (n < s.len && strchr("\"')]}", s.ptr[n]) && s.ptr[n]) n++;
    *skip = n + space_at(s, n).len;
    const struct slice rest = slice_from(s, n);
    if (n && (*skip > n || rest.len == 0 || slice_starts(rest, slice_of("--")))) return n;
    *skip = 0;
    return 0;
}

static void realign(struct constraint_text *text, const struct slices *parts, struct slices *out) {
    size_t skip = 0;
    for (size_t i = 0; i < parts->n; i++) {
        struct slice part = slice_from(parts->items[i], skip);
        const char *start = parts->items[i].ptr + skip;
        size_t moved = 0;
        skip = 0;
        if (i + 1 < parts->n) moved = closers(parts->items[i + 1], &skip);
        if (moved) part = (struct slice){start, (size_t)(parts->items[i + 1].ptr + moved - start)};
        if (part.len) slices_add(text, out, part);
    }
}

void punkt_sentences(struct constraint_text *text, struct slice s, struct slices *out) {
    struct slices parts = {0};
    struct splitter splitter = {text, s, &parts, 0};
    struct candidate before = {0}, c = {0};
    bool pending = false;
    if (!text_spend(text, 2 * s.len)) return;
    for (size_t at = 0; find_mark(s, at, &c); at = c.mark + 1) {
        c.word = word_start(s, &before, c.mark);
        if (pending && before.mark <= c.word) decide(&splitter, &before);
        before = c;
        pending = true;
    }
    if (pending) decide(&splitter, &before);
    const struct slice stripped = slice_strip_right(s, CHAR_SPACE);
    slices_add(text, &parts, slice_part(stripped, splitter.start, stripped.len));
    realign(text, &parts, out);
}
