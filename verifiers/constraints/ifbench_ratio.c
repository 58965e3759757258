// IFBench: ratios of sentence types, stop words, and trigrams shared with a text.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"
#include "verifiers/constraints/text_sentences.h"

// English function words without those that only stand with an apostrophe; sorted.
static const char *const STOP_WORDS[] = {
    "a",         "about",   "above",   "after",      "again", "against", "ain",       "all",
    "am",        "an",      "and",     "any",        "are",   "aren",    "as",        "at",
    "be",        "because", "been",    "before",     "being", "below",   "between",   "both",
    "but",       "by",      "can",     "couldn",     "d",     "did",     "didn",      "do",
    "does",      "doesn",   "doing",   "don",        "down",  "during",  "each",      "few",
    "for",       "from",    "further", "had",        "hadn",  "has",     "hasn",      "have",
    "haven",     "having",  "he",      "her",        "here",  "hers",    "herself",   "him",
    "himself",   "his",     "how",     "i",          "if",    "in",      "into",      "is",
    "isn",       "it",      "its",     "itself",     "just",  "ll",      "m",         "ma",
    "me",        "mightn",  "more",    "most",       "mustn", "my",      "myself",    "needn",
    "no",        "nor",     "not",     "now",        "o",     "of",      "off",       "on",
    "once",      "only",    "or",      "other",      "our",   "ours",    "ourselves", "out",
    "over",      "own",     "re",      "s",          "same",  "shan",    "she",       "should",
    "shouldn",   "so",      "some",    "such",       "t",     "than",    "that",      "the",
    "their",     "theirs",  "them",    "themselves", "then",  "there",   "these",     "they",
    "this",      "those",   "through", "to",         "too",   "under",   "until",     "up",
    "ve",        "very",    "was",     "wasn",       "we",    "were",    "weren",     "what",
    "when",      "where",   "which",   "while",      "who",   "whom",    "why",       "will",
    "with",      "won",     "wouldn",  "y",          "you",   "your",    "yours",     "yourself",
    "yourselves"};

static bool follows_stop_words(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices *words = text_words(text);
    size_t n = 0;
    for (size_t i = 0; i < words->n; i++) {
        const struct slice word = words->items[i];
        n += word.len <= 10 && IS_LISTED(text_lower_of(text, word), STOP_WORDS);
    }
    return words->n && (double)n / (double)words->n * 100 <= args->values[0].real;
}

static size_t count_endings(struct constraint_text *text, const char *mark) {
    const struct slices *sentences = text_sentences(text);
    size_t n = 0;
    for (size_t i = 0; i < sentences->n; i++) n += slice_ends(sentences->items[i], slice_of(mark));
    return n;
}

static bool follows_type(struct constraint_text *text, const struct constraint_args *args) {
    (void)args;
    return count_endings(text, ".") == 2 * count_endings(text, "?");
}

static bool follows_balance(struct constraint_text *text, const struct constraint_args *args) {
    const size_t n = count_endings(text, ".");
    (void)args;
    return n == count_endings(text, "?") && n == count_endings(text, "!");
}

// Three sentences of one length; the checker that this follows does not compare their words.
static bool follows_sentence_words(struct constraint_text *text,
                                   const struct constraint_args *args) {
    const struct slices *sentences = text_sentences(text);
    size_t len[3];
    (void)args;
    if (sentences->n != 3) return false;
    for (int i = 0; i < 3; i++)
        len[i] = slice_n_chars(slice_strip(sentences->items[i], CHAR_SPACE));
    return len[0] == len[1] && len[1] == len[2];
}

// ---- Trigrams of characters --------------------------------------------------------------------

// An open hash table of three code points of 21 bits each; a slot of 0 is free.
struct trigrams {
    uint64_t *slots; // (mask + 1)
    size_t mask, n;
};

enum { USED_BIT = 63 };

// The slot that holds the trigram or is to hold it; NULL when the budget is used up.
static uint64_t *find_slot(struct constraint_text *text, const struct trigrams *set, uint64_t key) {
    uint64_t hash = (key ^ key >> 31) * 0x9E3779B97F4A7C15u;
    for (size_t at = (size_t)(hash >> 20) & set->mask;; at = (at + 1) & set->mask) {
        if (set->slots[at] == key || !set->slots[at]) return &set->slots[at];
        if (!text_spend(text, 1)) return NULL;
    }
}

// The different trigrams of a text, and how many of them `other` has too (0 for NULL).
static struct trigrams *make_trigrams(struct constraint_text *text, struct slice s,
                                      const struct trigrams *other, size_t *n_common) {
    size_t n;
    const uint32_t *codes = text_codes_of(text, s, &n);
    struct trigrams *set = arena_take(text->arena, 1, sizeof *set);
    size_t capacity = 16;
    *n_common = 0;
    while (capacity < 2 * n) capacity *= 2;
    *set =
        (struct trigrams){arena_take(text->arena, capacity, sizeof *set->slots), capacity - 1, 0};
    for (size_t i = 2; i < n && text_spend(text, 8); i++) {
        const uint64_t key = (uint64_t)1 << USED_BIT | (uint64_t)codes[i - 2] << 42 |
                             (uint64_t)codes[i - 1] << 21 | codes[i];
        uint64_t *slot = find_slot(text, set, key);
        if (!slot) break;
        if (*slot) continue;
        *slot = key;
        set->n++;
        const uint64_t *same = other ? find_slot(text, other, key) : NULL;
        *n_common += same && *same;
    }
    return set;
}

static int prepare_overlap(struct constraint_args *args, struct arena *arena, struct error *err) {
    struct constraint_text text;
    size_t n_common;
    text_open(&text, args->values[0].string, arena);
    args->values[0].prepared = make_trigrams(&text, text.raw, NULL, &n_common);
    if (text.over) return error_set(err, ERROR_INPUT, "\"reference_text\" is too long.");
    return 0;
}

static bool follows_overlap(struct constraint_text *text, const struct constraint_args *args) {
    size_t n_common;
    const struct trigrams *own =
        make_trigrams(text, text->raw, args->values[0].prepared, &n_common);
    if (own->n == 0) return false;
    const double overlap = (double)n_common / (double)own->n * 100, wanted = args->values[1].real;
    return wanted - 2 <= overlap && overlap <= wanted + 2;
}

#define PERCENTAGE                                                                                 \
    { .name = "percentage", .type = CONSTRAINT_REAL, .max = 100 }

static const struct constraint ROWS[] = {
    {"ratio:stop_words", follows_stop_words, {PERCENTAGE}, NULL},
    {.id = "ratio:sentence_type", .follows = follows_type},
    {.id = "ratio:sentence_balance", .follows = follows_balance},
    {.id = "ratio:sentence_words", .follows = follows_sentence_words},
    {"ratio:overlap", follows_overlap, {STRING("reference_text"), PERCENTAGE}, prepare_overlap},
};

const struct constraint_table ifbench_ratio_table = CONSTRAINT_TABLE(ROWS);
