// IF-RLVR: copies of the request, wrapped and joined words, paragraphs.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"
#include "verifiers/constraints/rule_sentences.h"
#include "verifiers/constraints/text_sentences.h"

// ---- Copies ------------------------------------------------------------------------------------

static bool follows_copy(struct constraint_text *text, const struct constraint_args *args) {
    return text_lower_is(text, text_stripped(text), args->values[0].string);
}

static bool follows_copies(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices parts = text_split_of(text, text->raw, slice_of("******"));
    if ((int64_t)parts.n != args->values[1].integer) return false;
    for (size_t i = 0; i < parts.n; i++) {
        const struct slice part = slice_strip(parts.items[i], CHAR_SPACE);
        if (!text_lower_is(text, part, args->values[0].string)) return false;
    }
    return true;
}

static int prepare_span(struct constraint_args *args, struct arena *arena, struct error *err) {
    struct constraint_value *v = args->values;
    if (v[1].integer > v[2].integer)
        return error_set(err, ERROR_INPUT, "\"n_start\" is greater than \"n_end\".");
    v[0].string = slice_chars(v[0].string, (size_t)v[1].integer, (size_t)v[2].integer);
    return prepare_lower_stripped(args, arena, err);
}

static int prepare_phrase(struct constraint_args *args, struct arena *arena, struct error *err) {
    struct constraint_value *v = &args->values[0];
    struct constraint_text text;
    text_open(&text, v->string, arena);
    const struct slices *words = text_fields(&text);
    if (words->n == 0) return error_set(err, ERROR_INPUT, "\"phrase\" has no word.");
    v->items = words->items;
    v->n_items = (int)words->n;
    // What a phrase starts with.
    char *start = arena_take(arena, words->items[0].len + 1, 1);
    memcpy(start, words->items[0].ptr, words->items[0].len);
    start[words->items[0].len] = ' ';
    v->string = (struct slice){start, words->items[0].len + 1};
    return 0;
}

// In how many words a phrase is another than the one asked for; 2 when these
// are two or more, or it has another number of words.
static int count_changes(struct slice phrase, const struct constraint_value *asked) {
    struct slice word;
    int n = 0, n_words = 0;
    for (; n < 2 && slice_next_field(&phrase, &word); n_words++) {
        if (n_words == asked->n_items) return 2;
        n += !slice_equal(word, asked->items[n_words]);
    }
    return n_words == asked->n_items ? n : 2;
}

// Where " last" starts for the first time at or behind `from`.
static size_t find_last(struct slice s, struct slice last, size_t from) {
    for (ptrdiff_t i; (i = slice_find(s, last, from)) >= 0; from = (size_t)i + 1)
        if (i > 0 && s.ptr[i - 1] == ' ' && (size_t)i > from) return (size_t)i - 1;
    return s.len;
}

// The phrases of some lines.
struct phrases {
    int64_t n, n_wrong; // those that differ in more than one word
    int last_changes;   // in how many the last one differs
};

static struct phrases add_phrases(struct phrases a, struct phrases b) {
    return (struct phrases){a.n + b.n, a.n_wrong + b.n_wrong,
                            b.n ? b.last_changes : a.last_changes};
}

// Phrases go from the first word and a space to the next space and last word on the same line.
static struct phrases find_phrases(struct constraint_text *text, struct slice s,
                                   const struct constraint_value *asked) {
    const struct slice first = asked->string, last = asked->items[asked->n_items - 1];
    struct phrases phrases = {0};
    size_t newline = 0, end = 0;
    for (ptrdiff_t i = 0; (i = slice_find(s, first, (size_t)i)) >= 0;) {
        const size_t behind = (size_t)i + first.len;
        if (!text_spend(text, 1)) break;
        if (end < behind) end = find_last(s, last, behind);
        if (end == s.len) break;
        if (newline < behind) {
            const ptrdiff_t found = slice_find(s, slice_of("\n"), behind);
            newline = found < 0 ? s.len : (size_t)found;
        }
        if (newline < end) {
            i = (ptrdiff_t)newline;
            continue;
        }
        const size_t stop = end + 1 + last.len;
        phrases.last_changes = count_changes(slice_part(s, (size_t)i, stop), asked);
        phrases.n_wrong += phrases.last_changes > 1;
        phrases.n++;
        i = (ptrdiff_t)stop;
    }
    return phrases;
}

// Those of a whole text: of its first and last line, and between them.
struct phrases_of_whole {
    struct phrases first, middle, last;
    const char *first_end, *last_start; // newlines
};

static struct phrases_of_whole *phrases_of_whole(struct constraint_text *text,
                                                 const struct constraint_value *asked) {
    struct phrases_of_whole *whole = arena_take(text->arena, 1, sizeof *whole);
    const struct slice s = text->raw;
    const char *newline = s.len ? memchr(s.ptr, '\n', s.len) : NULL;
    whole->first_end = newline ? newline : s.ptr + s.len;
    whole->last_start = newline ? memrchr(s.ptr, '\n', s.len) : s.ptr + s.len;
    const size_t from = (size_t)(whole->first_end - s.ptr),
                 to = (size_t)(whole->last_start - s.ptr);
    whole->first = find_phrases(text, slice_part(s, 0, from), asked);
    whole->middle = find_phrases(text, slice_part(s, from, to), asked);
    whole->last = find_phrases(text, slice_from(s, to), asked);
    return whole;
}

// None may differ in more than one word, and the last one has to.
static bool follows_phrase(struct constraint_text *text, const struct constraint_args *args) {
    const struct constraint_value *asked = &args->values[0];
    struct phrases_of_whole *whole = text->kept;
    struct phrases phrases = {0};
    if (text->within && !whole) {
        phrases = find_phrases(text, text->raw, asked);
    } else {
        if (!whole) text->kept = whole = phrases_of_whole(text, asked);
        const struct slice s = text->raw;
        if (s.ptr <= whole->first_end) phrases = whole->first;
        phrases = add_phrases(phrases, whole->middle);
        if (s.ptr + s.len > whole->last_start) phrases = add_phrases(phrases, whole->last);
    }
    return phrases.n == args->values[1].integer && !phrases.n_wrong && phrases.last_changes == 1;
}

// ---- Wrapped and joined ------------------------------------------------------------------------

// The pieces between hyphens that are compared so far.
struct pieces {
    struct slice rest;
    size_t n;
    bool differs, is_last;
};

static void compare_next(struct pieces *p, struct slice sentence) {
    const ptrdiff_t hyphen = slice_find(p->rest, slice_of("-"), 0);
    const size_t len = hyphen < 0 ? p->rest.len : (size_t)hyphen;
    p->differs = !slice_equal(slice_part(p->rest, 0, len), sentence);
    p->is_last = hyphen < 0;
    p->rest = slice_from(p->rest, len + 1);
    p->n++;
}

static bool differs(const struct slices *sentences, void *context) {
    struct pieces *p = context;
    while (p->n < sentences->n && !p->differs && !p->is_last)
        compare_next(p, sentences->items[p->n]);
    return p->differs || p->is_last;
}

// The pieces are the sentences of the text with spaces for hyphens, as far as there are both.
static bool follows_hyphens(struct constraint_text *text, const struct constraint_args *args) {
    struct constraint_text *spaced = text_spaced(text, false, '-');
    struct pieces pieces = {.rest = text->raw};
    (void)args;
    if (!rule_sentences_begin(spaced, spaced->raw, differs, &pieces)) {
        const struct runs sentences = rule_sentence_runs(spaced);
        while (pieces.n < sentences.n && !pieces.differs && !pieces.is_last)
            compare_next(&pieces, runs_at(&sentences, pieces.n));
    }
    text->over = text->over || spaced->over;
    return !pieces.differs;
}

static bool follows_brackets(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text->raw, word;
    (void)args;
    while (slice_next_field(&rest, &word))
        if (*word.ptr != '[' || word.ptr[word.len - 1] != ']') return text_blame(text, word);
    return true;
}

// A word left over at the end is free.
static bool follows_bigrams(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text->raw, first, second;
    (void)args;
    while (slice_next_field(&rest, &first) && slice_next_field(&rest, &second))
        if (!slice_starts(first, slice_of("<<")) || !slice_ends(second, slice_of(">>")))
            return false;
    return true;
}

// ---- Paragraphs --------------------------------------------------------------------------------

// IFEval's number_paragraphs, which are between "***", with the number 2.
static bool follows_two_stars(struct constraint_text *text, const struct constraint_args *args) {
    const struct constraint_args two = {.values = {{.given = true, .integer = 2}}};
    (void)args;
    return constraint_find(slice_of("length_constraints:number_paragraphs"))->follows(text, &two);
}

static bool follows_two_lines(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices parts = text_split_of(text, text->raw, slice_of("\n\n"));
    int n = 0;
    (void)args;
    for (size_t i = 0; i < parts.n; i++) {
        const bool blank = slice_is_blank(parts.items[i]);
        if ((blank && i > 0 && i + 1 < parts.n) || n > 2) return false;
        n += !blank;
    }
    return n == 2;
}

// The piece without the white space character that goes with the stars on either side.
static struct slice without_space(struct slice piece, bool in_front, bool behind) {
    struct slice rest = piece;
    uint32_t code;
    if (in_front && chars_next(&rest, &code) && char_classes(code) & CHAR_SPACE) piece = rest;
    rest = piece;
    if (behind && chars_last(&rest, &code) && char_classes(code) & CHAR_SPACE) piece = rest;
    return piece;
}

// Three paragraphs between "***", each of n_sent sentences, each of n_words tokens.
static bool follows_composition(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices parts = text_split_of(text, text->raw, slice_of("***"));
    if (parts.n != 3) return false;
    for (size_t i = 0; i < parts.n; i++) {
        const struct slice part = without_space(parts.items[i], i > 0, i + 1 < parts.n);
        const struct slices sentences = rule_sentences(text, part);
        if (slice_is_blank(part)) return false;
        if ((int64_t)sentences.n != args->values[0].integer) return false;
        for (size_t k = 0; k < sentences.n; k++)
            if ((int64_t)text_tokens_of(text, sentences.items[k]).n != args->values[1].integer)
                return false;
    }
    return true;
}

static const struct constraint ROWS[] = {
    {"copy:repeat_phrase",
     follows_phrase,
     {STRING("phrase"), NUMBER("small_n", 1)},
     prepare_phrase},
    {"copy:copy", follows_copy, {STRING("prompt_to_repeat")}, prepare_lower_stripped},
    {"copy:copying_simple", follows_copy, {STRING("prompt_to_repeat")}, prepare_lower_stripped},
    {"copy:copying_multiple",
     follows_copies,
     {STRING("prompt_to_repeat"), NUMBER("N", 1)},
     prepare_lower_stripped},
    {"new:copy_span_idx",
     follows_copy,
     {STRING("prompt_to_repeat"), NUMBER("n_start", 0), NUMBER("n_end", 0)},
     prepare_span},
    {.id = "detectable_format:sentence_hyphens", .follows = follows_hyphens},
    {.id = "detectable_format:square_brackets", .follows = follows_brackets},
    {.id = "detectable_format:bigram_wrapping", .follows = follows_bigrams},
    {.id = "paragraphs:paragraphs", .follows = follows_two_stars},
    {.id = "paragraphs:paragraphs2", .follows = follows_two_lines},
    {"count:counting_composition",
     follows_composition,
     {NUMBER("n_sent", 1), NUMBER("n_words", 1)},
     NULL},
};

const struct constraint_table ifrlvr_copy_table = CONSTRAINT_TABLE(ROWS);
