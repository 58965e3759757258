// Punkt: every '.', '?' or '!' in front of other punctuation or of another word is a candidate; the
// word that it ends and the token behind it decide (Kiss and Strunk, "Unsupervised Multilingual
// Sentence Boundary Detection", 2006, sections 3 and 4; the order of the rules is NLTK's).
//
// The orthographic contexts that the model has for some 20,000 words are left out: a word is taken
// as one that the model has never seen.
#include "verifiers/constraints/punkt.h"

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/punkt_words.h"

enum { MAX_TYPE = 24 }; // longer than any word of the tables

enum token_kind { PLAIN, SENTENCE_END, ABBREVIATION, ELLIPSIS };

// A token of a candidate's context.
struct token {
    struct slice text;
    enum token_kind kind;
};

// A token's type: the word in lower case, "##number##" for numbers, "" when it is longer.
struct type {
    char text[MAX_TYPE];
    size_t len;
};

struct candidate {
    size_t word;        // where the word in front of the mark starts
    size_t mark;        // the mark
    size_t context_end; // behind the token that follows
    size_t next;        // where that token starts, 0 when it is punctuation
};

// ---- Bytes -------------------------------------------------------------------------------------

enum byte_class {
    SPACE = 1,    // ASCII white space
    MARK = 2,     // what may end a sentence
    NON_WORD = 4, // ends a word, besides the full stop
    MULTI = 8,    // may start "--", ".." or ". . ."
    COMMA = 16,
    ALONE = 32, // is a token by itself at the start of one
    WIDE = 64,  // the first byte of what may be other white space
};

static const uint8_t BYTES[256] = {
    ['\t' ... '\r'] = SPACE,
    [0x1C ... 0x1F] = WIDE, // the four ASCII separators are white space to Python
    [' '] = SPACE,
    ['!'] = MARK | NON_WORD,
    ['"'] = NON_WORD | ALONE,
    ['#'] = ALONE,
    ['&'] = ALONE,
    ['\''] = NON_WORD,
    ['('] = NON_WORD | ALONE,
    [')'] = NON_WORD | ALONE,
    ['*'] = NON_WORD | ALONE,
    [','] = COMMA | ALONE,
    ['-'] = MULTI | ALONE,
    ['.'] = MARK | MULTI,
    [':'] = NON_WORD | ALONE,
    [';'] = NON_WORD | ALONE,
    ['?'] = MARK | NON_WORD,
    ['@'] = NON_WORD | ALONE,
    ['['] = NON_WORD | ALONE,
    [']'] = NON_WORD | ALONE,
    ['`'] = ALONE,
    ['{'] = NON_WORD | ALONE,
    ['}'] = NON_WORD | ALONE,
    [0xC2] = WIDE,
    [0xE1 ... 0xE3] = WIDE,
};

static unsigned byte_class(char c) {
    return BYTES[(unsigned char)c];
}

// White space of Python's kind at `at`: its length in bytes, or 0.
static inline size_t space_at(struct slice s, size_t at) {
    if (at >= s.len) return 0;
    const unsigned class = byte_class(s.ptr[at]);
    if (class & (SPACE | WIDE)) return class & SPACE ? 1 : slice_space_at(s, at);
    return 0;
}

static size_t skip_space(struct slice s, size_t at) {
    for (size_t len; (len = space_at(s, at));) at += len;
    return at;
}

// ---- Tokens ------------------------------------------------------------------------------------

// The length of "--...", "..", ". . ." at `at`, else 0.
static size_t multi_char(struct slice s, size_t at) {
    if (s.len - at < 2 || !(byte_class(s.ptr[at]) & MULTI)) return 0;
    if (s.ptr[at + 1] != s.ptr[at] && !space_at(s, at + 1)) return 0;
    size_t n = 0, n_pairs = 0, found = 0;
    while (at + n < s.len && s.ptr[at + n] == s.ptr[at]) n++;
    if (n >= 2) return n;
    if (s.ptr[at] == '-') return 0;
    for (size_t i = at; i < s.len && s.ptr[i] == '.'; n_pairs++) {
        if (n_pairs >= 2) found = i + 1 - at;
        const size_t space = space_at(s, i + 1);
        if (space == 0) break;
        i += 1 + space;
    }
    return found;
}

// Whether a word cannot go on at `at`.
static bool ends_word(struct slice s, size_t at) {
    if (at >= s.len) return true;
    const unsigned class = byte_class(s.ptr[at]);
    if (class == 0) return false;
    if (class & NON_WORD || space_at(s, at) || multi_char(s, at)) return true;
    if (!(class & COMMA)) return false;
    return at + 1 >= s.len || byte_class(s.ptr[at + 1]) & NON_WORD || space_at(s, at + 1) ||
           multi_char(s, at + 1);
}

// The token at `at`, where there is no white space.
static size_t token_length(struct slice line, size_t at) {
    const size_t multi = multi_char(line, at);
    if (multi) return multi;
    if (byte_class(line.ptr[at]) & ALONE) return 1;
    size_t end = at + 1; // whatever it is
    while (!ends_word(line, end)) end++;
    return end - at;
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

// `s` in lower case; empty when it does not fit or is not ASCII then (no table has such a word).
static void lower_into(struct slice s, struct type *out) {
    size_t n = 0;
    uint32_t code;
    out->len = 0;
    while (n + 1 < MAX_TYPE && chars_next(&s, &code)) {
        // U+0130 becomes two code points in lower case, though its simple mapping is "i".
        if (code == 0x130 || (code = char_lower(code)) >= 128) return;
        out->text[n++] = (char)code;
    }
    if (s.len == 0) out->len = n;
}

static bool is_abbreviation(struct slice word) {
    struct type type;
    lower_into(word, &type);
    if (punkt_words_have(&punkt_abbreviations_set, type.text, type.len)) return true;
    const char *dash = memrchr(word.ptr, '-', word.len);
    if (!dash) return false;
    lower_into(slice_from(word, (size_t)(dash + 1 - word.ptr)), &type);
    return punkt_words_have(&punkt_abbreviations_set, type.text, type.len);
}

static bool ends_with_period(const struct token *t) {
    return t->text.ptr[t->text.len - 1] == '.';
}

static enum token_kind kind_of(struct slice s) {
    size_t n_periods = 0;
    while (n_periods < s.len && s.ptr[s.len - 1 - n_periods] == '.') n_periods++;
    if (s.len == 1 && byte_class(*s.ptr) & MARK) return SENTENCE_END;
    if (n_periods == s.len) return ELLIPSIS;
    if (n_periods != 1) return PLAIN;
    return is_abbreviation((struct slice){s.ptr, s.len - 1}) ? ABBREVIATION : SENTENCE_END;
}

static void type_of(struct slice text, bool is_sentence_end, struct type *out) {
    if (is_number(text)) {
        *out = (struct type){PUNKT_NUMBER, sizeof PUNKT_NUMBER - 1};
        return;
    }
    lower_into(text, out);
    if (is_sentence_end && out->len > 1 && out->text[out->len - 1] == '.') out->len--;
}

static bool is_initial(struct slice s) {
    uint32_t code;
    chars_next(&s, &code);
    return slice_is(s, ".") && char_classes(code) & CHAR_WORD && !(char_classes(code) & CHAR_DIGIT);
}

// Whether a collocation may start with the word of a token that ends with a full stop. Only its
// first letter and its length are looked at, which a word that is not ASCII may change.
static bool may_be_first(struct slice s) {
    const size_t len = s.len - (s.len > 1);
    bool is_ascii = true;
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 128) continue;
        is_ascii = false;
        // Only the Kelvin sign is an ASCII letter in lower case.
        if (slice_starts(slice_from(s, i), slice_of("\xE2\x84\xAA"))) return true;
    }
    return is_ascii && punkt_first_lens[char_lower((unsigned char)*s.ptr)] >> len % 64 & 1;
}

// The same for the word behind a number.
static bool may_follow_number(struct slice s) {
    const unsigned char c = (unsigned char)*s.ptr;
    return c >= 128 || punkt_behind_number[char_lower(c)] ||
           (punkt_behind_number['#'] && is_number(s));
}

// Whether the model has the two words, of which the first one ends with a full stop, side by side.
static bool is_collocation(const struct token *first, bool is_number, const struct token *second) {
    struct type a, b;
    char key[2 * MAX_TYPE];
    if (is_number ? !may_follow_number(second->text) : !may_be_first(first->text)) return false;
    type_of(first->text, true, &a);
    type_of(second->text, second->kind == SENTENCE_END, &b);
    if (a.len == 0 || b.len == 0) return false;
    memcpy(key, a.text, a.len);
    key[a.len] = '\t';
    memcpy(key + a.len + 1, b.text, b.len);
    return punkt_words_have(&punkt_collocations_set, key, a.len + 1 + b.len);
}

static bool is_starter(const struct token *t) {
    struct type type;
    type_of(t->text, t->kind == SENTENCE_END, &type);
    return punkt_words_have(&punkt_starters_set, type.text, type.len);
}

// The second look at a token that ends with a full stop, now that the next one is known.
static void reconsider(struct token *t, const struct token *next) {
    uint32_t first = 0;
    struct slice s = next->text;
    chars_next(&s, &first);
    const bool initial = is_initial(t->text), number = is_number(t->text);
    const bool capital = char_classes(first) & CHAR_UPPER;
    if (is_collocation(t, number, next)) {
        t->kind = PLAIN;
        return;
    }
    if ((t->kind == ABBREVIATION || t->kind == ELLIPSIS) && !initial && capital &&
        is_starter(next)) {
        t->kind = SENTENCE_END;
        return;
    }
    if (!initial && !number) return;
    const bool no_start = (next->text.len == 1 && first && strchr(";:,.!?", (char)first)) ||
                          char_classes(first) & CHAR_LOWER;
    if (no_start || (initial && capital)) t->kind = PLAIN;
}

// Whether a sentence ends within the context and another token follows. `known` is the last token
// of the context before, as it is: often it is the first one of this.
static bool has_break(struct slice context, struct token *known) {
    struct token tokens[2];
    int n = 0;
    while (context.len) {
        struct slice line = context;
        const char *newline = memchr(context.ptr, '\n', context.len);
        if (newline) line.len = (size_t)(newline - context.ptr);
        context = slice_from(context, line.len + (newline ? 1 : 0));
        for (size_t at = skip_space(line, 0), len; at < line.len; at = skip_space(line, at + len)) {
            struct token *t = &tokens[n % 2], *before = &tokens[1 - n % 2];
            len = token_length(line, at);
            t->text = (struct slice){line.ptr + at, len};
            if (known->text.ptr == t->text.ptr && known->text.len == len)
                t->kind = known->kind;
            else
                t->kind = kind_of(t->text);
            *known = *t;
            if (n && ends_with_period(before)) reconsider(before, t);
            if (n && before->kind == SENTENCE_END) return true;
            n = n % 2 + 1;
        }
    }
    return false;
}

// ---- Candidates --------------------------------------------------------------------------------

// The next mark at or behind `at` that something follows.
static bool find_mark(struct slice s, size_t at, struct candidate *c) {
    for (; at + 1 < s.len; at++) {
        if (!(byte_class(s.ptr[at]) & MARK)) continue;
        c->mark = at;
        c->next = 0;
        c->context_end = at + 2;
        if (byte_class(s.ptr[at + 1]) & NON_WORD) return true;
        const size_t next = skip_space(s, at + 1);
        if (next == at + 1 || next == s.len) continue;
        c->next = c->context_end = next;
        while (c->context_end < s.len && !space_at(s, c->context_end)) c->context_end++;
        return true;
    }
    return false;
}

// Where the word in front of a mark starts: behind the last ASCII white space since the mark of
// the candidate before, or where that one's word starts.
static size_t word_start(struct slice s, const struct candidate *before, size_t mark) {
    for (size_t i = mark; i-- > before->mark + 1;)
        if (byte_class(s.ptr[i]) & SPACE) return i + 1;
    return before->word;
}

// How much of the start of a sentence belongs to the one before: closing quotes and brackets in
// front of white space, "--" or the end. *skip counts that white space too.
static size_t closers(struct slice s, size_t *skip) {
    size_t n = 0;
    while (n < s.len && s.ptr[n] && strchr("\"')]}", s.ptr[n])) n++;
    *skip = skip_space(s, n);
    const struct slice rest = slice_from(s, n);
    if (n && (*skip > n || rest.len == 0 || slice_starts(rest, slice_of("--")))) return n;
    *skip = 0;
    return 0;
}

// What was decided about a context; what stands in it decides alone.
struct decision {
    struct slice context;
    bool has_break;
};

enum { N_DECISIONS = 16, MAX_KEPT = 48 }; // a power of two; bytes of a context that is kept

struct splitter {
    struct constraint_text *text;
    struct slice s;
    struct slices *out; // NULL: they are counted only
    size_t start;       // of the current sentence
    bool has_last;      // a part was cut off, and what belongs to it is not known yet
    struct slice last;  // without what went to the one before
    size_t n;
    struct token known; // of has_break
    struct decision decisions[N_DECISIONS];
};

// has_break, from what was decided about the same context before: text says things again and again.
static bool breaks(struct splitter *p, struct slice context) {
    if (context.len > MAX_KEPT) return has_break(context, &p->known);
    const size_t first = (unsigned char)context.ptr[0];
    const size_t last = (unsigned char)context.ptr[context.len - 1];
    struct decision *d = &p->decisions[(first * 7 + last * 3 + context.len) % N_DECISIONS];
    if (!slice_equal(d->context, context))
        *d = (struct decision){context, has_break(context, &p->known)};
    return d->has_break;
}

static void add_sentence(struct splitter *p, struct slice s) {
    if (s.len == 0) return;
    p->n++;
    if (p->out) slices_add(p->text, p->out, s);
}

// The next part: what closes the sentence before it goes to that one.
static void add_part(struct splitter *p, struct slice part) {
    size_t skip = 0;
    if (p->has_last) {
        const size_t moved = closers(part, &skip);
        if (moved) p->last.len = (size_t)(part.ptr + moved - p->last.ptr);
        add_sentence(p, p->last);
    }
    p->has_last = true;
    p->last = (struct slice){part.ptr + skip, part.len - skip};
}

static void decide(struct splitter *p, const struct candidate *c) {
    if (!text_spend(p->text, c->context_end - c->word)) return;
    if (!breaks(p, slice_part(p->s, c->word, c->context_end))) return;
    add_part(p, slice_part(p->s, p->start, c->mark + 1));
    p->start = c->next ? c->next : c->mark + 1;
}

// ---- Parts of texts ----------------------------------------------------------------------------

// Of marks without white space between them the last one decides that something follows. Where a
// text ends with a mark, nothing follows that one, and the one in front of it decides. Finds it,
// behind byte `from`.
static bool find_last_but_one(struct slice s, size_t from, struct candidate *c) {
    size_t word = s.len;
    if (s.len < 2 || !(byte_class(s.ptr[s.len - 1]) & MARK)) return false;
    while (word > 0 && !(byte_class(s.ptr[word - 1]) & SPACE)) word--;
    for (size_t at = s.len - 1; at-- > word + 1 && at >= from;) {
        if (!(byte_class(s.ptr[at]) & MARK)) continue;
        if (!(byte_class(s.ptr[at + 1]) & NON_WORD) && !space_at(s, at + 1)) continue;
        c->word = word;
        return find_mark(s, at, c);
    }
    return false;
}

void punkt_cut_sentence(struct constraint_text *text, struct slice s, size_t start,
                        struct slices *out) {
    struct candidate c;
    s = slice_strip_right(s, CHAR_SPACE);
    struct splitter splitter = {.text = text, .s = s, .out = out, .start = start};
    punkt_words_make();
    if (find_last_but_one(s, start, &c)) decide(&splitter, &c);
    add_part(&splitter, slice_from(s, splitter.start));
    add_sentence(&splitter, splitter.last);
}

const char *punkt_mark(struct slice s) {
    while (s.len && s.ptr[s.len - 1] && strchr("\"')]}", s.ptr[s.len - 1])) s.len--;
    s = slice_strip_right(s, CHAR_SPACE);
    return s.ptr + s.len - 1;
}

bool punkt_may_cut(struct slice whole, struct slice part) {
    const size_t first = skip_space(part, 0);
    const bool is_mark = first < part.len && byte_class(part.ptr[first]) & MARK;
    // White space at the first byte of a text is not seen by word_start; to a mark behind it, it
    // makes a difference.
    if (is_mark && (byte_class(*whole.ptr) | byte_class(*part.ptr)) & SPACE) return false;
    return part.ptr == whole.ptr || byte_class(part.ptr[-1]) & SPACE;
}

// ---- Texts -------------------------------------------------------------------------------------

// Returns false when there are `max` sentences and more of the text.
static bool split(struct splitter *p, size_t max) {
    const struct slice s = p->s;
    struct candidate before = {0}, c = {0};
    bool pending = false;
    punkt_words_make();
    for (size_t at = 0; find_mark(s, at, &c); at = c.mark + 1) {
        c.word = word_start(s, &before, c.mark);
        if (pending && before.mark <= c.word) decide(p, &before);
        if (p->n == max) return false;
        before = c;
        pending = true;
    }
    if (pending) decide(p, &before);
    add_part(p, slice_part(slice_strip_right(s, CHAR_SPACE), p->start, s.len));
    add_sentence(p, p->last);
    return true;
}

size_t punkt_sentences(struct constraint_text *text, struct slice s, struct slices *out) {
    struct splitter splitter = {.text = text, .s = s, .out = out};
    if (text_spend(text, 2 * s.len)) split(&splitter, SIZE_MAX);
    return splitter.n;
}

bool punkt_first(struct constraint_text *text, struct slice s, size_t max, struct slices *out) {
    struct splitter splitter = {.text = text, .s = s, .out = out};
    return !text_spend(text, 2 * s.len) || split(&splitter, max);
}
