// IFEval: keywords, letters, case, language, commas.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifeval.h"
#include "verifiers/constraints/language.h"
#include "verifiers/constraints/rule_sentences.h"
#include "verifiers/constraints/tally.h"
#include "verifiers/constraints/text_sentences.h"

enum { STRIP = 1, LOWER = 2, FOLD = 4 };

static struct slice prepare_string(struct slice s, int how, struct arena *arena) {
    struct constraint_text text;
    if (how & STRIP) s = slice_strip(s, CHAR_SPACE);
    if (!(how & (LOWER | FOLD))) return s;
    text_open(&text, s, arena);
    return how & LOWER ? text_lower(&text) : text_fold(&text);
}

static int prepare(struct constraint_args *args, int how, struct arena *arena) {
    for (int i = 0; i < CONSTRAINT_MAX_PARAMS; i++) {
        struct constraint_value *v = &args->values[i];
        v->string = prepare_string(v->string, how, arena);
        if (v->n_items == 0) continue;
        struct slice *items = arena_take(arena, (size_t)v->n_items, sizeof *items);
        for (int j = 0; j < v->n_items; j++) items[j] = prepare_string(v->items[j], how, arena);
        v->items = items;
    }
    return 0;
}

int prepare_lower_stripped(struct constraint_args *args, struct arena *arena, struct error *err) {
    (void)err;
    return prepare(args, STRIP | LOWER, arena);
}

int prepare_lower(struct constraint_args *args, struct arena *arena, struct error *err) {
    (void)err;
    return prepare(args, LOWER, arena);
}

int prepare_fold_stripped(struct constraint_args *args, struct arena *arena, struct error *err) {
    (void)err;
    return prepare(args, STRIP | FOLD, arena);
}

int prepare_fold(struct constraint_args *args, struct arena *arena, struct error *err) {
    (void)err;
    return prepare(args, FOLD, arena);
}

int prepare_stripped(struct constraint_args *args, struct arena *arena, struct error *err) {
    (void)err;
    return prepare(args, STRIP, arena);
}

// The published checkers take keywords as regular expressions that ignore case; here they are plain
// text, which is compared as those compare letters.
static bool follows_existence(struct constraint_text *text, const struct constraint_args *args) {
    const struct constraint_value *keywords = &args->values[0];
    const struct slice fold = text_fold(text);
    for (int i = 0; i < keywords->n_items; i++) {
        if (!text_spend(text, fold.len / 8)) return false;
        if (slice_find(fold, keywords->items[i], 0) < 0) return text_no_part(text);
    }
    return true;
}

static bool follows_frequency(struct constraint_text *text, const struct constraint_args *args) {
    const size_t n = slice_count(text_fold(text), args->values[0].string);
    return relation_follows(text, &args->values[2], args->values[1].integer, n);
}

static bool follows_forbidden(struct constraint_text *text, const struct constraint_args *args) {
    const struct constraint_value *words = &args->values[0];
    const struct slice fold = text_fold(text);
    for (int i = 0; i < words->n_items; i++) {
        if (!text_spend(text, fold.len / 8)) return false;
        if (slice_find_word(fold, words->items[i], 0) >= 0) return text_blame(text, text->raw);
    }
    return true;
}

static int prepare_letter(struct constraint_args *args, struct arena *arena, struct error *err) {
    if (slice_is_blank(args->values[0].string))
        return error_set(err, ERROR_INPUT, "\"letter\" is white space; a character was expected.");
    return prepare(args, LOWER, arena);
}

static bool follows_letters(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice letter = args->values[0].string;
    // In lower case U+0130 is two characters, and no single one is that.
    const size_t n = slice_n_chars(letter) == 1 ? slice_count(text_lower(text), letter) : 0;
    return relation_follows(text, &args->values[2], args->values[1].integer, n);
}

// The key sentences, and how often each is a sentence of the text.
struct keys {
    struct tally wanted;
    uint64_t lens;  // a bit for each length of a key, 64 being none again
    int64_t *times; // (wanted.mask + 1) by the places in `wanted`
};

static struct keys make_keys(struct constraint_text *text, const struct constraint_value *items) {
    struct keys keys = {.wanted = tally_open(text, (size_t)items->n_items)};
    for (int k = 0; k < items->n_items; k++) {
        tally_add(text, &keys.wanted, items->items[k]);
        keys.lens |= (uint64_t)1 << items->items[k].len % 64;
    }
    keys.times = arena_take(text->arena, keys.wanted.mask + 1, sizeof *keys.times);
    return keys;
}

static void count_keys(struct constraint_text *text, struct keys *keys,
                       const struct slices *sentences, int64_t times) {
    for (size_t i = 0; i < sentences->n; i++) {
        const struct slice s = sentences->items[i];
        if (!(keys->lens >> s.len % 64 & 1)) continue;
        const size_t place = tally_find(text, &keys->wanted, s);
        if (place < keys->wanted.n) keys->times[place] += times;
    }
}

// Exactly so many of the key sentences are sentences of the text.
static bool follows_key_sentences(struct constraint_text *text,
                                  const struct constraint_args *args) {
    const struct constraint_value *items = &args->values[0];
    const struct runs sentences = rule_sentence_runs(text);
    struct keys keys = make_keys(text, items);
    int64_t n = 0;
    if (text->over) return false;
    void **of_whole = rule_sentences_found(text);
    const bool from_whole = text->within && sentences.is_shared && *of_whole;
    if (from_whole) memcpy(keys.times, *of_whole, (keys.wanted.mask + 1) * sizeof *keys.times);
    for (int i = 0; i < 2 && from_whole; i++) count_keys(text, &keys, &sentences.skipped[i], -1);
    for (int i = 0; i < 3; i++)
        if (i != 1 || !from_whole) count_keys(text, &keys, &sentences.run[i], 1);
    if (!text->within) *of_whole = keys.times;
    for (int k = 0; k < items->n_items; k++)
        n += keys.times[tally_find(text, &keys.wanted, items->items[k])] > 0;
    return n == args->values[1].integer;
}

// What was found for texts that start at these places and are longer than what is read of them.
struct languages {
    const char *starts[2], *found[2];
};

static const char *detect(struct constraint_text *text) {
    const char *start = text->raw.ptr;
    if (slice_chars(text->raw, 0, LANGUAGE_MAX_READ).len == text->raw.len)
        return language_detect(text, text->raw);
    struct languages *known = text->kept;
    if (!known && text->within) return language_detect(text, text->raw);
    if (!known) text->kept = known = arena_take(text->arena, 1, sizeof *known);
    const bool is_part = text->within != NULL;
    for (int i = 0; i < 2; i++)
        if (known->starts[i] == start) return known->found[i];
    known->found[is_part] = language_detect(text, text->raw);
    known->starts[is_part] = start;
    return known->found[is_part];
}

// A text without any n-gram that the profiles know passes, as it does in the published checker.
static bool is_language(struct constraint_text *text, struct slice code) {
    const char *found = detect(text);
    return !found || slice_is(code, found);
}

static int prepare_language(struct constraint_args *args, struct arena *arena, struct error *err) {
    (void)arena;
    const struct slice code = args->values[0].string;
    if (language_is_known(code)) return 0;
    return error_set(err, ERROR_INPUT,
                     "\"language\" is \"%.*s\"; a code such as \"en\" or \"zh-cn\" was expected.",
                     SLICE_ARG(code));
}

static bool follows_language(struct constraint_text *text, const struct constraint_args *args) {
    return is_language(text, args->values[0].string);
}

// Whether the text has characters of the case that is wanted, and none of another one.
static bool has_case(struct constraint_text *text, unsigned wanted, unsigned others) {
    const struct slice other = slice_first(text->raw, others);
    if (other.len) return text_blame(text, other);
    return slice_first(text->raw, wanted).len || text_no_part(text);
}

static bool follows_capital(struct constraint_text *text, const struct constraint_args *args) {
    (void)args;
    return has_case(text, CHAR_UPPER, CHAR_LOWER | CHAR_TITLE) && is_language(text, slice_of("en"));
}

static bool follows_lowercase(struct constraint_text *text, const struct constraint_args *args) {
    (void)args;
    return has_case(text, CHAR_LOWER, CHAR_UPPER | CHAR_TITLE) && is_language(text, slice_of("en"));
}

// How many capitals there are, up to `most`.
static int64_t count_capitals(struct slice s, int64_t most) {
    int64_t n = 0;
    for (size_t i = 0; i < s.len && n < most;) {
        const unsigned char c = (unsigned char)s.ptr[i];
        if (c < 128) {
            n += c >= 'A' && c <= 'Z';
            i++;
        } else if (chars_have_no_case(c)) {
            i += 3;
        } else {
            const struct wide_char wide = chars_wide(s.ptr + i, s.len - i);
            n += (char_classes(wide.code) & CHAR_UPPER) != 0;
            i += wide.len;
        }
    }
    return n;
}

static bool follows_capital_words(struct constraint_text *text,
                                  const struct constraint_args *args) {
    const struct constraint_value *relation = &args->values[1];
    const int64_t wanted = args->values[0].integer;
    // Words in capitals have one each.
    if (count_capitals(text->raw, wanted) < wanted)
        return relation_follows(text, relation, wanted, 0);
    return relation_holds(relation, wanted, text_count_tokens(text, slice_is_upper));
}

static bool follows_no_comma(struct constraint_text *text, const struct constraint_args *args) {
    (void)args;
    return text_lacks(text, slice_of(","));
}

static const struct constraint ROWS[] = {
    {"keywords:existence",
     follows_existence,
     {{.name = "keywords", .type = CONSTRAINT_STRINGS, .min = 1}},
     prepare_fold},
    {"keywords:frequency",
     follows_frequency,
     {{.name = "keyword", .type = CONSTRAINT_STRING, .min = 1},
      {.name = "frequency", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT},
      {.name = "relation", .type = CONSTRAINT_RELATION}},
     prepare_fold_stripped},
    {"keywords:forbidden_words",
     follows_forbidden,
     {{.name = "forbidden_words", .type = CONSTRAINT_STRINGS, .min = 1}},
     prepare_fold},
    {"keywords:letter_frequency",
     follows_letters,
     {{.name = "letter", .type = CONSTRAINT_STRING, .min = 1, .max = 1},
      {.name = "let_frequency", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT},
      {.name = "let_relation", .type = CONSTRAINT_RELATION}},
     prepare_letter},
    {"keywords:key_sentences",
     follows_key_sentences,
     {{.name = "key_sentences", .type = CONSTRAINT_STRINGS, .min = 1},
      {.name = "num_sentences", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT}},
     NULL},
    {"language:response_language",
     follows_language,
     {{.name = "language", .type = CONSTRAINT_STRING, .min = 2}},
     prepare_language},
    {.id = "change_case:english_capital", .follows = follows_capital},
    {.id = "change_case:english_lowercase", .follows = follows_lowercase},
    {.id = "change_case:capital_word_frequency",
     .follows = follows_capital_words,
     .params = {{.name = "capital_frequency", .type = CONSTRAINT_INTEGER, .max = MAX_COUNT},
                {.name = "capital_relation", .type = CONSTRAINT_RELATION}}},
    {.id = "punctuation:no_comma", .follows = follows_no_comma},
};

const struct constraint_table ifeval_words_table = CONSTRAINT_TABLE(ROWS);
