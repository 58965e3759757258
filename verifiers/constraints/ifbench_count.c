// IFBench: how many words, names, numbers, pronouns, ... there are.
#include <pthread.h>

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"
#include "verifiers/constraints/tally.h"
#include "verifiers/constraints/text_sentences.h"
#include "verifiers/constraints/word_set.h"

static bool follows_range(struct constraint_text *text, const struct constraint_args *args) {
    const size_t n = text_words(text)->n;
    return range_follows(text, args->values[0].integer, args->values[1].integer, n);
}

static int prepare_range(struct constraint_args *args, struct arena *arena, struct error *err) {
    (void)arena;
    if (args->values[0].integer <= args->values[1].integer) return 0;
    return error_set(err, ERROR_INPUT, "\"min_words\" is greater than \"max_words\".");
}

// A word that is nothing but punctuation counts as one, the empty word.
static bool follows_unique(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text_lower(text), word;
    struct tally tally = tally_open(text, rest.len / 8);
    while ((int64_t)tally.n < args->values[0].integer && slice_next_field(&rest, &word))
        tally_add(text, &tally, strip_marks(word));
    return (int64_t)tally.n >= args->values[0].integer || text_no_part(text);
}

static const char *const CONJUNCTIONS[] = {"and", "but", "for", "nor", "or", "so", "yet"};
static struct word_set conjunctions;
static pthread_once_t conjunctions_made = PTHREAD_ONCE_INIT;

static void make_conjunctions(void) {
    WORD_SET_FILL(&conjunctions, CONJUNCTIONS);
}

// Words differ as they are written: "And" and "and," are two.
static bool follows_conjunctions(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text->raw, field;
    struct slices found = {0};
    pthread_once(&conjunctions_made, make_conjunctions);
    while (slice_next_field(&rest, &field)) {
        const struct slice word = strip_marks(field);
        if (word.len <= 3 && word_set_has(&conjunctions, word)) slices_add(text, &found, field);
    }
    struct tally tally = tally_open(text, found.n);
    for (size_t i = 0; i < found.n; i++) tally_add(text, &tally, found.items[i]);
    return (int64_t)tally.n >= args->values[0].integer || text_no_part(text);
}

static bool follows_names(struct constraint_text *text, const struct constraint_args *args) {
    static const char *const NAMES[] = {
        "Abigail",  "Alexander", "Amelia",   "Andrew",      "Aria",     "Audrey",  "Ava",
        "Benjamin", "Charlotte", "Chloe",    "Christopher", "Claire",   "Daniel",  "David",
        "Elijah",   "Ella",      "Emma",     "Ethan",       "Gabriel",  "Grace",   "Hannah",
        "Harper",   "Isabella",  "Jackson",  "Jacob",       "Jonathan", "Joseph",  "Layla",
        "Leo",      "Liam",      "Lily",     "Lucas",       "Mason",    "Matthew", "Mia",
        "Nathan",   "Nicholas",  "Noah",     "Nora",        "Olivia",   "Owen",    "Penelope",
        "Ryan",     "Samuel",    "Scarlett", "Sophia",      "Stella",   "Thomas",  "Victoria",
        "Zoe"};
    const struct slices *words = text_words(text);
    struct tally tally = tally_open(text, sizeof NAMES / sizeof *NAMES);
    for (size_t i = 0; i < words->n; i++) {
        const struct slice word = words->items[i];
        if (*word.ptr >= 'A' && *word.ptr <= 'Z' && IS_LISTED(word, NAMES))
            tally_add(text, &tally, word);
    }
    return (int64_t)tally.n >= args->values[0].integer || text_no_part(text);
}

// Punctuation goes first, so that 3.14 is one number, and 1-2 another one.
static bool follows_numbers(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text->raw;
    const int64_t wanted = args->values[0].integer;
    int64_t n = 0;
    bool in_number = false;
    for (uint32_t code; n <= wanted && chars_next(&rest, &code);) {
        const unsigned classes = char_classes(code);
        if (classes & CHAR_PUNCT) continue;
        const bool is_digit = classes & CHAR_DIGIT;
        n += is_digit && !in_number;
        in_number = is_digit;
    }
    const size_t seen = text->raw.len - rest.len;
    if (n > wanted) return text_blame(text, slice_part(text->raw, 0, seen));
    return n == wanted || text_no_part(text);
}

static bool has_byte(struct slice s, char byte) {
    return s.len && memchr(s.ptr, byte, s.len);
}

// An interrobang, and then each mark once without it.
static bool follows_punctuation(struct constraint_text *text, const struct constraint_args *args) {
    static const char MARKS[] = ".,!?;:";
    const struct slice s = text->raw;
    ptrdiff_t at = slice_find(s, slice_of("?!"), 0);
    (void)args;
    if (at < 0) at = slice_find(s, slice_of("!?"), 0);
    if (at < 0 && slice_find(s, slice_of("\xE2\x80\xBD"), 0) < 0) return text_no_part(text);
    const struct slice before = slice_part(s, 0, at < 0 ? s.len : (size_t)at);
    const struct slice behind = slice_from(s, at < 0 ? s.len : (size_t)at + 2);
    for (const char *mark = MARKS; *mark; mark++)
        if (!has_byte(before, *mark) && !has_byte(behind, *mark)) return text_no_part(text);
    return true;
}

static const char *const PRONOUNS[] = {
    "all",        "any",       "anybody",   "anyone",     "anything",  "both",     "each",
    "either",     "everybody", "everyone",  "everything", "he",        "her",      "hers",
    "herself",    "him",       "himself",   "his",        "i",         "it",       "its",
    "itself",     "me",        "mine",      "my",         "myself",    "neither",  "nobody",
    "none",       "nothing",   "our",       "ours",       "ourselves", "she",      "some",
    "somebody",   "someone",   "something", "that",       "their",     "theirs",   "them",
    "themselves", "these",     "they",      "this",       "those",     "us",       "we",
    "what",       "whatever",  "which",     "whichever",  "who",       "whoever",  "whom",
    "whomever",   "whose",     "you",       "your",       "yours",     "yourself", "yourselves"};

static struct word_set pronouns;
static pthread_once_t pronouns_made = PTHREAD_ONCE_INIT;

static void make_pronouns(void) {
    WORD_SET_FILL(&pronouns, PRONOUNS);
}

static bool is_pronoun(struct slice token) {
    return word_set_has(&pronouns, token);
}

// Whether a word of letters with these behind it has a pronoun, or may have: tokens are cut out of
// "gimme" (behind a dotless i there is "mme"), "lemme" and "whon't".
static bool may_have_pronoun(struct slice word, char behind) {
    const size_t n = word.len;
    return is_pronoun(word) || slice_is(word, "gimme") || slice_is(word, "mme") ||
           slice_is(word, "lemme") ||
           (behind == '\'' && n > 1 && word.ptr[n - 1] == 'n' &&
            is_pronoun(slice_part(word, 0, n - 1)));
}

// How many words of letters may have one, up to `most`.
static int64_t count_may_have(struct slice lower, int64_t most) {
    int64_t n = 0;
    for (size_t at = 0, from; at < lower.len && n < most; at++) {
        for (from = at; at < lower.len && lower.ptr[at] >= 'a' && lower.ptr[at] <= 'z';) at++;
        const char behind = at < lower.len ? lower.ptr[at] : 0;
        n += at > from && may_have_pronoun(slice_part(lower, from, at), behind);
    }
    return n;
}

// In lower case with spaces for slashes, as in she/her/hers.
static bool follows_pronouns(struct constraint_text *text, const struct constraint_args *args) {
    const int64_t wanted = args->values[0].integer;
    pthread_once(&pronouns_made, make_pronouns);
    if (count_may_have(text_lower(text), wanted) < wanted) return text_no_part(text);
    struct constraint_text *spaced = text_spaced(text, true, '/');
    const size_t n = text_count_tokens(spaced, is_pronoun);
    text->over = text->over || spaced->over;
    return (int64_t)n >= wanted;
}

// Hiragana, Katakana or a Han character.
static bool is_japanese(struct slice word) {
    for (uint32_t code; chars_next(&word, &code);)
        if ((code >= 0x3040 && code <= 0x30FF) || (code >= 0x4E00 && code <= 0x9FFF)) return true;
    return false;
}

static bool follows_japanese(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices *fields = text_fields(text);
    const size_t step = (size_t)args->values[0].integer;
    for (size_t i = step - 1; i < fields->n; i += step) {
        const struct slice word = strip_marks(fields->items[i]);
        if (!word.len || slice_is_number(word) || is_japanese(word)) continue;
        return step == 1 ? text_blame(text, fields->items[i])
                         : false; // parts have other N-th words
    }
    return true;
}

static bool follows_multiple(struct constraint_text *text, const struct constraint_args *args) {
    static const size_t WANTED[] = {1, 2, 3, 5, 7};
    const struct slice lower = text_lower(text);
    for (int i = 0; i < 5; i++) {
        const size_t n = slice_count_to(lower, args->values[i].string, WANTED[i] + 1);
        if (n > WANTED[i]) return text_blame(text, text->raw);
        if (n < WANTED[i]) return text_no_part(text);
    }
    return true;
}

static const struct constraint ROWS[] = {
    {"count:word_count_range",
     follows_range,
     {NUMBER("min_words", 0), NUMBER("max_words", 0)},
     prepare_range},
    {"count:unique_word_count", follows_unique, {NUMBER("N", 0)}, NULL},
    {"count:conjunctions", follows_conjunctions, {NUMBER("small_n", 0)}, NULL},
    {"count:person_names", follows_names, {NUMBER("N", 0)}, NULL},
    {"count:numbers", follows_numbers, {NUMBER("N", 0)}, NULL},
    {.id = "count:punctuation", .follows = follows_punctuation},
    {"count:pronouns", follows_pronouns, {NUMBER("N", 0)}, NULL},
    {"count:words_japanese", follows_japanese, {NUMBER("N", 1)}, NULL},
    {"count:keywords_multiple",
     follows_multiple,
     {STRING("keyword1"), STRING("keyword2"), STRING("keyword3"), STRING("keyword4"),
      STRING("keyword5")},
     prepare_lower_stripped},
};

const struct constraint_table ifbench_count_table = CONSTRAINT_TABLE(ROWS);
