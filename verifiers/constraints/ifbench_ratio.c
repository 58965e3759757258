// IFBench: ratios of sentence types, stop words, and trigrams shared with a text.
#include <pthread.h>

#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"
#include "verifiers/constraints/text_sentences.h"
#include "verifiers/constraints/word_set.h"

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

static struct word_set stop_words;
static pthread_once_t stop_words_made = PTHREAD_ONCE_INIT;

static void make_stop_words(void) {
    WORD_SET_FILL(&stop_words, STOP_WORDS);
}

static bool follows_stop_words(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices *words = text_words(text);
    size_t n = 0;
    pthread_once(&stop_words_made, make_stop_words);
    for (size_t i = 0; i < words->n; i++) n += word_set_has(&stop_words, words->items[i]);
    return words->n && (double)n / (double)words->n * 100 <= args->values[0].real;
}

// How many sentences end with each of these.
struct endings {
    size_t n_dots, n_questions, n_exclamations;
};

// Adds them, `times` being 1 or SIZE_MAX, which takes them off.
static void add_endings(struct endings *sum, const struct slices *sentences, size_t times) {
    for (size_t i = 0; i < sentences->n; i++) {
        const char c = sentences->items[i].ptr[sentences->items[i].len - 1];
        if (c == '.') sum->n_dots += times;
        if (c == '?') sum->n_questions += times;
        if (c == '!') sum->n_exclamations += times;
    }
}

static struct endings count_endings(struct constraint_text *text) {
    const struct runs *sentences = text_sentences(text);
    const bool from_whole = sentences->is_shared && text->kept;
    struct endings sum = {0};
    if (from_whole) sum = *(const struct endings *)text->kept;
    for (int i = 0; i < 2 && from_whole; i++) add_endings(&sum, &sentences->skipped[i], SIZE_MAX);
    for (int i = 0; i < 3; i++)
        if (i != 1 || !from_whole) add_endings(&sum, &sentences->run[i], 1);
    if (!text->within) {
        struct endings *kept = arena_take(text->arena, 1, sizeof *kept);
        *kept = sum;
        text->kept = kept;
    }
    return sum;
}

static bool follows_type(struct constraint_text *text, const struct constraint_args *args) {
    const struct endings endings = count_endings(text);
    (void)args;
    return endings.n_dots == 2 * endings.n_questions;
}

static bool follows_balance(struct constraint_text *text, const struct constraint_args *args) {
    const struct endings endings = count_endings(text);
    (void)args;
    return endings.n_dots == endings.n_questions && endings.n_dots == endings.n_exclamations;
}

// Three sentences of one length; the checker that this follows does not compare their words.
static bool follows_sentence_words(struct constraint_text *text,
                                   const struct constraint_args *args) {
    const struct runs *sentences = text_sentences(text);
    size_t len[3];
    (void)args;
    if (sentences->n != 3) return false;
    for (size_t i = 0; i < 3; i++)
        len[i] = slice_n_chars(slice_strip(runs_at(sentences, i), CHAR_SPACE));
    return len[0] == len[1] && len[1] == len[2];
}

// ---- Trigrams of characters --------------------------------------------------------------------

// A trigram is three code points of 21 bits each, and USED_BIT.
struct trigram {
    uint64_t key; // 0: a free slot
    uint32_t times;
    bool is_common; // with the reference text
};

// An open hash table.
struct trigrams {
    struct trigram *slots; // (mask + 1), at most three quarters of them used
    size_t mask, n_slots;  // used
    size_t most;           // trigrams of its text
    size_t n, n_common;    // that occur, and that the reference text has too
};

enum { USED_BIT = 63, FIRST_SLOTS = 1024, TRIGRAM_STEPS = 8, BATCH = 64 };

// Where the trigram is looked for first.
static size_t first_place(const struct trigrams *set, uint64_t key) {
    const uint64_t hash = (key ^ key >> 31) * 0x9E3779B97F4A7C15u;
    return (size_t)(hash >> 20) & set->mask;
}

// The slot that holds the trigram or is to hold it; NULL when the budget is used up.
static struct trigram *find_slot(struct constraint_text *text, const struct trigrams *set,
                                 uint64_t key) {
    for (size_t at = first_place(set, key);; at = (at + 1) & set->mask) {
        if (set->slots[at].key == key || !set->slots[at].key) return &set->slots[at];
        if (!text_spend(text, 1)) return NULL;
    }
}

static bool is_full(const struct trigrams *set, size_t n_slots) {
    return n_slots > set->mask - set->mask / 4;
}

// Four times the slots, or twice where these are enough for all.
static void grow(struct constraint_text *text, struct trigrams *set) {
    const struct trigrams old = *set;
    set->mask = old.slots ? 2 * old.mask + 1 : FIRST_SLOTS - 1;
    if (old.slots && is_full(set, set->most)) set->mask = 2 * set->mask + 1;
    set->slots = arena_take(text->arena, set->mask + 1, sizeof *set->slots);
    for (size_t i = 0; old.slots && i <= old.mask; i++) {
        struct trigram *slot = old.slots[i].key ? find_slot(text, set, old.slots[i].key) : NULL;
        if (slot) *slot = old.slots[i];
    }
}

// Counts a trigram once more, or (`add` false) once less; false when the budget is used up.
static bool count_trigram(struct constraint_text *text, struct trigrams *set,
                          const struct trigrams *reference, uint64_t key, bool add) {
    if (!text_spend(text, TRIGRAM_STEPS)) return false;
    if (is_full(set, set->n_slots + 1)) grow(text, set);
    struct trigram *slot = find_slot(text, set, key);
    if (slot && !slot->key) {
        const struct trigram *same = reference ? find_slot(text, reference, key) : NULL;
        *slot = (struct trigram){.key = key, .is_common = same && same->key};
        set->n_slots++;
    }
    if (!slot || text->over) return false;
    slot->times += add ? 1 : UINT32_MAX;
    if (slot->times != add) return true; // it neither came nor went
    set->n += add ? 1 : SIZE_MAX;
    if (slot->is_common) set->n_common += add ? 1 : SIZE_MAX;
    return true;
}

// Some at a time, so that memory is asked for all their slots at once.
static void count_trigrams(struct constraint_text *text, struct trigrams *set,
                           const struct trigrams *reference, struct slice s, bool add) {
    uint64_t keys[BATCH], key = 0;
    size_t n_codes = 0;
    while (s.len) {
        size_t n = 0;
        for (uint32_t code; n < BATCH && chars_next(&s, &code);) {
            key = (uint64_t)1 << USED_BIT | key << 21 | code;
            if (++n_codes < 3) continue;
            if (set->slots) __builtin_prefetch(&set->slots[first_place(set, key)]);
            keys[n++] = key;
        }
        for (size_t i = 0; i < n; i++)
            if (!count_trigram(text, set, reference, keys[i], add)) return;
    }
}

static struct trigrams *make_trigrams(struct constraint_text *text,
                                      const struct trigrams *reference) {
    struct trigrams *set = arena_take(text->arena, 1, sizeof *set);
    set->most = slice_n_chars(text->raw);
    grow(text, set);
    count_trigrams(text, set, reference, text->raw, true);
    return set;
}

static int prepare_overlap(struct constraint_args *args, struct arena *arena, struct error *err) {
    struct constraint_text text;
    text_open(&text, args->values[0].string, arena);
    args->values[0].prepared = make_trigrams(&text, NULL);
    if (text.over) return error_set(err, ERROR_INPUT, "\"reference_text\" is too long.");
    return 0;
}

static bool overlaps(const struct trigrams *set, double wanted) {
    if (set->n == 0) return false;
    const double overlap = (double)set->n_common / (double)set->n * 100;
    return wanted - 2 <= overlap && overlap <= wanted + 2;
}

// The ends of the whole that are not in the part, each with two characters of it: their trigrams
// are those that the part lacks.
static void find_ends(const struct constraint_text *text, struct slice ends[2]) {
    const struct slice raw = text->within->raw, part = text->raw;
    struct slice inner = part;
    uint32_t code;
    chars_last(&inner, &code);
    chars_last(&inner, &code);
    ends[0] = slice_span(slice_part(raw, 0, 0), slice_chars(part, 0, 2));
    ends[1] = slice_from(raw, (size_t)(inner.ptr + inner.len - raw.ptr));
}

// The whole's table stays; what a part lacks is taken out of it and put back.
static bool follows_overlap(struct constraint_text *text, const struct constraint_args *args) {
    const struct trigrams *reference = args->values[0].prepared;
    const double wanted = args->values[1].real;
    struct slice ends[2];
    if (!text->within) {
        text->kept = make_trigrams(text, reference);
        return overlaps(text->kept, wanted);
    }
    struct constraint_text *whole = text->within;
    struct trigrams *set = text->kept;
    if (!set || slice_n_chars(slice_chars(text->raw, 0, 3)) < 3) return false;
    find_ends(text, ends);
    text_refill(whole); // the ends may be much longer than the part
    for (int i = 0; i < 2; i++) count_trigrams(whole, set, reference, ends[i], false);
    const bool follows = overlaps(set, wanted);
    for (int i = 0; i < 2; i++) count_trigrams(whole, set, reference, ends[i], true);
    text->over = text->over || whole->over;
    return follows;
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
