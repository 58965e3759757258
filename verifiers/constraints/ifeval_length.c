// IFEval: numbers of sentences, words and paragraphs.
#include "protocol/base/utf8.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifeval.h"
#include "verifiers/constraints/text_sentences.h"

static bool follows_sentences(struct constraint_text *text, const struct constraint_args *args) {
    const size_t n = text_sentences(text)->n;
    return relation_holds(&args->values[1], args->values[0].integer, n);
}

static bool follows_words(struct constraint_text *text, const struct constraint_args *args) {
    const size_t n = text_words(text)->n;
    return relation_follows(text, &args->values[1], args->values[0].integer, n);
}

// Pieces between "***", each with at most one white space character on either side. A blank piece
// at an end does not count; elsewhere it breaks the instruction.
static bool follows_paragraphs(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice s = text->raw;
    int64_t n = 0;
    size_t from = 0;
    for (bool is_first = true;; is_first = false) {
        const ptrdiff_t at = slice_find(s, slice_of("***"), from);
        const struct slice piece = slice_part(s, from, at < 0 ? s.len : (size_t)at);
        const bool blank = slice_is_blank(piece);
        if (blank && !is_first && at >= 0) return false;
        n += !blank;
        if (n > args->values[0].integer) return false;
        if (at < 0) return n == args->values[0].integer;
        struct slice rest = slice_from(s, (size_t)at + 3);
        uint32_t code;
        from = (size_t)at + 3;
        if (chars_next(&rest, &code) && char_classes(code) & CHAR_SPACE) from = s.len - rest.len;
    }
}

static int prepare_nth(struct constraint_args *args, struct arena *arena, struct error *err) {
    if (args->values[1].integer > args->values[0].integer)
        return error_set(err, ERROR_INPUT,
                         "\"nth_paragraph\" is %lld; at most \"num_paragraphs\", %lld, was "
                         "expected.",
                         (long long)args->values[1].integer, (long long)args->values[0].integer);
    return prepare_lower(args, arena, err);
}

static struct slice strip_left_byte(struct slice s, char byte) {
    while (s.len && *s.ptr == byte) s = slice_from(s, 1);
    return s;
}

static size_t find_newline_pair(struct slice s, size_t from) {
    while (from + 1 < s.len && (s.ptr[from] != '\n' || s.ptr[from + 1] != '\n')) from++;
    return from + 1 < s.len ? from : s.len;
}

// The first field of a paragraph, up to a mark.
static struct slice first_word(struct slice paragraph) {
    struct slice word;
    if (!slice_next_field(&paragraph, &word)) return word;
    word = strip_left_byte(strip_left_byte(word, '\''), '"');
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] && strchr(".,?!'\"", word.ptr[i])) word.len = i;
    return word;
}

// Whether `lower` is the word with each of its letters put into lower case by itself: no sigma is a
// last one.
static bool is_lower_by_letter(struct slice word, struct slice lower) {
    char bytes[4] = {0};
    for (uint32_t code; chars_next(&word, &code);) {
        struct slice letter = slice_of("i\xCC\x87"); // of U+0130
        if (code != 0x130)
            letter = (struct slice){bytes, (size_t)utf8_write(char_lower(code), bytes)};
        if (!slice_starts(lower, letter)) return false;
        lower = slice_from(lower, letter.len);
    }
    return lower.len == 0;
}

// The paragraphs are the pieces between pairs of newlines. Blank ones do not count, but they do
// take part in finding the n-th.
static bool follows_nth(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice s = text->raw;
    const int64_t n_wanted = args->values[0].integer, nth = args->values[1].integer;
    struct slice paragraph = {0};
    int64_t n = 0, number = 0;
    for (size_t from = 0; from <= s.len;) {
        const size_t to = find_newline_pair(s, from);
        const struct slice piece = slice_part(s, from, to);
        if (++number == nth) paragraph = piece;
        n += !slice_is_blank(piece);
        if (n > n_wanted) return false;
        if (to == s.len) break;
        from = to + 2;
    }
    if (n < n_wanted) return text_no_part(text);
    const struct slice word = first_word(paragraph);
    return word.len && is_lower_by_letter(word, args->values[2].string);
}

static const struct constraint ROWS[] = {
    {.id = "length_constraints:number_sentences",
     .follows = follows_sentences,
     .params = {{.name = "num_sentences", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT},
                {.name = "relation", .type = CONSTRAINT_RELATION}}},
    {.id = "length_constraints:number_words",
     .follows = follows_words,
     .params = {{.name = "num_words", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT},
                {.name = "relation", .type = CONSTRAINT_RELATION}}},
    {.id = "length_constraints:number_paragraphs",
     .follows = follows_paragraphs,
     .params = {{.name = "num_paragraphs", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT}}},
    {"length_constraints:nth_paragraph_first_word",
     follows_nth,
     {{.name = "num_paragraphs", .type = CONSTRAINT_INTEGER, .min = 1, .max = MAX_COUNT},
      {.name = "nth_paragraph", .type = CONSTRAINT_INTEGER, .min = 1, .max = MAX_COUNT},
      {.name = "first_word", .type = CONSTRAINT_STRING, .min = 1}},
     prepare_nth},
};

const struct constraint_table ifeval_length_table = CONSTRAINT_TABLE(ROWS);
