// IF-RLVR: keywords, first and last words, letters and marks.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"
#include "verifiers/constraints/tally.h"
#include "verifiers/constraints/rule_sentences.h"
#include "verifiers/constraints/text_sentences.h"

// ---- Keywords ----------------------------------------------------------------------------------

// As with IFEval's keywords: plain text, compared as regular expressions that ignore case.
static bool follows_once(struct constraint_text *text, const struct constraint_args *args) {
    const size_t n = slice_count_to(text_fold(text), args->values[0].string, 2);
    return range_follows(text, 1, 1, n);
}

static bool follows_frequency(struct constraint_text *text, const struct constraint_args *args) {
    const size_t n = slice_count(text_fold(text), args->values[0].string);
    return relation_follows(text, &args->values[2], args->values[1].integer, n);
}

static bool follows_increment(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice fold = text_fold(text);
    return range_follows(text, 1, 1, slice_count_to(fold, args->values[0].string, 2)) &&
           range_follows(text, 2, 2, slice_count_to(fold, args->values[1].string, 3));
}

static int prepare_excluded(struct constraint_args *args, struct arena *arena, struct error *err) {
    struct constraint_value *v = &args->values[0];
    (void)err;
    const struct slice word = slice_strip(v->string, CHAR_SPACE);
    char *padded = arena_take(arena, word.len + 3, 1);
    padded[0] = padded[word.len + 1] = ' ';
    memcpy(padded + 1, word.ptr, word.len);
    v->string = (struct slice){padded, word.len + 2};
    return 0;
}

// Only the word between two spaces is seen, as it is written.
static bool follows_excluded(struct constraint_text *text, const struct constraint_args *args) {
    return text_lacks(text, args->values[0].string);
}

static size_t n_marks(struct slice s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += s.ptr[i] == '.' || s.ptr[i] == '?' || s.ptr[i] == '!';
    return n;
}

// Enough sentences, the last of which is wanted.
struct nth {
    size_t n;
    struct slice sentence;
};

static bool has_nth(const struct slices *sentences, void *context) {
    struct nth *nth = context;
    if (sentences->n < nth->n) return false;
    nth->sentence = sentences->items[nth->n - 1];
    return true;
}

static bool follows_specific(struct constraint_text *text, const struct constraint_args *args) {
    struct nth nth = {.n = (size_t)args->values[1].integer};
    const size_t m = (size_t)args->values[2].integer;
    // But for the quotes that stand for others, a token is some of the text.
    const struct slice keyword = args->values[0].string;
    if (!slice_is(keyword, "``") && !slice_is(keyword, "''") &&
        slice_find(text->raw, keyword, 0) < 0)
        return text_no_part(text);
    // Each sentence but the last one ends with a mark of its own.
    if (nth.n > n_marks(text->raw) + 1) return text_no_part(text);
    if (!rule_sentences_begin(text, text->raw, has_nth, &nth)) {
        const struct runs sentences = rule_sentence_runs(text);
        if (sentences.n < nth.n) return false;
        nth.sentence = runs_at(&sentences, nth.n - 1);
    }
    if (m > nth.sentence.len) return false;
    struct constraint_text *inner = text_inner(text, nth.sentence);
    const struct runs *tokens = text_first_tokens(inner, m);
    text->over = text->over || inner->over;
    return tokens->n >= m && slice_equal(runs_at(tokens, m - 1), keyword);
}

static bool follows_start_end(struct constraint_text *text, const struct constraint_args *args) {
    const struct runs *first = text_first_tokens(text, 2), *last = text_last_tokens(text, 1);
    (void)args;
    if (first->n < 2 || last->n < 1) return false;
    return text_lower_same(text, runs_at(first, 0), runs_at(last, last->n - 1));
}

// ---- Words -------------------------------------------------------------------------------------

static bool follows_adjacent(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text->raw, before, word;
    (void)args;
    for (bool any = slice_next_field(&rest, &before); any && slice_next_field(&rest, &word);) {
        // The lower case of U+0130 is two characters, which the published checker refuses.
        if (first_code(before) == 0x130 || first_code(word) == 0x130 ||
            first_lower(word) == first_lower(before) + 1)
            return text_blame(text, slice_span(before, word));
        before = word;
    }
    return true;
}

static bool follows_palindrome(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text->raw, word;
    (void)args;
    while (slice_next_field(&rest, &word))
        if (is_palindrome(word)) return true;
    return text_no_part(text);
}

// What was found of the whole's list: its first token that comes again, and its tokens up to there,
// whose places in the tally are those in the list.
struct repeat {
    const struct slice *first, *again;
    struct tally tally;
};

static bool has_repeat(const struct runs *tokens, const struct repeat *repeat) {
    const struct slices *shared = &tokens->run[1];
    return repeat->first >= shared->items && repeat->again < shared->items + shared->n;
}

// Whether one of the part's own tokens comes again; those that it shares do not.
static bool has_own_repeat(struct constraint_text *text, const struct runs *tokens,
                           const struct repeat *repeat) {
    const struct slices *shared = &tokens->run[1];
    const size_t from = (size_t)(shared->items - text->within->tokens->run[0].items);
    struct tally own = tally_open(text, tokens->run[0].n + tokens->run[2].n);
    for (int k = 0; k < 3; k += 2) {
        for (size_t i = 0; i < tokens->run[k].n; i++) {
            const struct slice token = tokens->run[k].items[i];
            const size_t place = tally_find(text, &repeat->tally, token);
            if (place >= from && place < from + shared->n) return true;
            if (tally_add(text, &own, token)->times > 1) return true;
        }
    }
    return false;
}

// The first token that stands in front of it too, or `n`; *before is where.
static size_t find_repeat(struct constraint_text *text, struct tally *tally,
                          const struct runs *tokens, size_t *before) {
    size_t from = 0;
    *tally = tally_open(text, tokens->n);
    for (int k = 0; k < 3; from += tokens->run[k++].n) {
        const struct slices *run = &tokens->run[k];
        const size_t i = tally_first_repeat(text, tally, run->items, run->n, before);
        if (i < run->n) return from + i;
    }
    return from;
}

static bool follows_unique(struct constraint_text *text, const struct constraint_args *args) {
    enum { MANY_TOKENS = 512 };
    const struct runs *tokens = text_first_tokens(text, MANY_TOKENS);
    const struct repeat *known = text->kept;
    struct tally tally;
    size_t before;
    (void)args;
    if (tokens != text->tokens) { // most texts say one of them again
        if (find_repeat(text, &tally, tokens, &before) < tokens->n) return false;
        tokens = text_tokens(text);
    }
    if (tokens->is_shared && known) {
        if (has_repeat(tokens, known)) return false;
        if (tokens->run[1].items + tokens->run[1].n <= known->again)
            return !has_own_repeat(text, tokens, known);
    }
    const size_t again = find_repeat(text, &tally, tokens, &before);
    if (again == tokens->n) return true;
    if (!text->within) {
        struct repeat *repeat = arena_take(text->arena, 1, sizeof *repeat);
        const struct slice *all = tokens->run[0].items;
        *repeat = (struct repeat){all + before, all + again, tally};
        text->kept = repeat;
    }
    return false;
}

static bool follows_lowercase(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices *words = text_words(text);
    int64_t n = 0;
    for (size_t i = 0; i < words->n; i++) {
        const struct slice w = words->items[i];
        size_t at = 0;
        while (at < w.len && w.ptr[at] >= 'a' && w.ptr[at] <= 'z') at++;
        n += at == w.len;
    }
    return n <= args->values[0].integer || text_blame(text, text->raw);
}

// ---- First and last words ----------------------------------------------------------------------

static bool starts_with_word(struct constraint_text *text, struct slice s, struct slice word) {
    struct slice first;
    return slice_next_field(&s, &first) && text_lower_is(text, first, word);
}

// The last word is compared without any character that is no word character. One that has many more
// of these is not looked at to its start.
static bool ends_with_word(struct constraint_text *text, struct slice s, struct slice word) {
    s = slice_strip_right(s, CHAR_SPACE);
    struct slice before = s;
    size_t n = 0;
    uint32_t code;
    for (struct slice next = s; chars_last(&next, &code); before = next) {
        if (char_classes(code) & CHAR_SPACE) break;
        if (char_classes(code) & CHAR_WORD) n += before.len - next.len;
        if (n > 3 * word.len) return false;
    }
    struct slice rest = slice_from(s, before.len);
    if (rest.len == 0) return false;
    char *plain = arena_take_unset(text->arena, n + 1, 1);
    n = 0;
    while (rest.len) {
        const char *from = rest.ptr;
        chars_next(&rest, &code);
        if (!(char_classes(code) & CHAR_WORD)) continue;
        memcpy(plain + n, from, (size_t)(rest.ptr - from));
        n += (size_t)(rest.ptr - from);
    }
    return slice_equal(text_lower_of(text, (struct slice){plain, n}), word);
}

static bool follows_first_all(struct constraint_text *text, const struct constraint_args *args) {
    return rule_sentences_all(text, starts_with_word, args->values[0].string);
}

static bool follows_first(struct constraint_text *text, const struct constraint_args *args) {
    return starts_with_word(text, text->raw, args->values[0].string);
}

static bool follows_last_all(struct constraint_text *text, const struct constraint_args *args) {
    return rule_sentences_all(text, ends_with_word, args->values[0].string);
}

static bool follows_last(struct constraint_text *text, const struct constraint_args *args) {
    return ends_with_word(text, text->raw, args->values[0].string);
}

// ---- Letters and marks -------------------------------------------------------------------------

static bool follows_letters(struct constraint_text *text, const struct constraint_args *args) {
    size_t n = 0;
    for (size_t i = 0; i < text->raw.len; i++) {
        const unsigned char c = (unsigned char)text->raw.ptr[i];
        n += c < 128 && char_ascii_classes[c] & CHAR_ALPHA;
    }
    return relation_follows(text, &args->values[1], args->values[0].integer, n);
}

// IFEval's keywords:letter_frequency under another name.
static const struct constraint *letter_frequency(void) {
    return constraint_find(slice_of("keywords:letter_frequency"));
}

static int prepare_letter(struct constraint_args *args, struct arena *arena, struct error *err) {
    return letter_frequency()->prepare(args, arena, err);
}

static bool follows_letter(struct constraint_text *text, const struct constraint_args *args) {
    return letter_frequency()->follows(text, args);
}

static bool follows_no_dot(struct constraint_text *text, const struct constraint_args *args) {
    (void)args;
    return text_lacks(text, slice_of("."));
}

static bool follows_no_exclamation(struct constraint_text *text,
                                   const struct constraint_args *args) {
    (void)args;
    return text_lacks(text, slice_of("!"));
}

#define RELATION(key)                                                                              \
    { .name = (key), .type = CONSTRAINT_RELATION }

// Where a keyword was drawn, the training data has it as a list of one.
#define KEYWORD(key)                                                                               \
    { .name = (key), .type = CONSTRAINT_STRING, .min = 1, .or_list = true }

static const struct constraint ROWS[] = {
    {"keywords:word_once", follows_once, {STRING("keyword")}, prepare_fold_stripped},
    {"keywords:word_count_different_numbers",
     follows_frequency,
     {STRING("keyword"), NUMBER("frequency", 0), RELATION("relation")},
     prepare_fold_stripped},
    {"count:count_increment_word",
     follows_increment,
     {KEYWORD("keyword1"), KEYWORD("keyword2")},
     prepare_fold_stripped},
    {"keywords:exclude_word_harder",
     follows_excluded,
     // The request that the keyword was drawn from is of no use to the check.
     {STRING("keyword"), {.name = "instruction", .type = CONSTRAINT_STRING, .optional = true}},
     prepare_excluded},
    {"keywords:keyword_specific_position",
     follows_specific,
     {KEYWORD("keyword"), NUMBER("n", 1), NUMBER("m", 1)},
     prepare_stripped},
    {.id = "keywords:start_end", .follows = follows_start_end},
    {.id = "keywords:no_adjacent_consecutive", .follows = follows_adjacent},
    {.id = "keywords:palindrome", .follows = follows_palindrome},
    {.id = "count:count_unique", .follows = follows_unique},
    {"count:lowercase_counting", follows_lowercase, {NUMBER("N", 0)}, NULL},
    {"first_word:first_word_sent",
     follows_first_all,
     {KEYWORD("first_word")},
     prepare_lower_stripped},
    {"first_word:first_word_answer", follows_first, {STRING("first_word")}, prepare_lower_stripped},
    {"last_word:last_word_sent", follows_last_all, {KEYWORD("last_word")}, prepare_lower_stripped},
    {"last_word:last_word_answer", follows_last, {STRING("last_word")}, prepare_lower_stripped},
    {"letters:letter_counting", follows_letters, {NUMBER("N", 0), RELATION("relation")}, NULL},
    {"letters:letter_counting2",
     follows_letter,
     {{.name = "letter", .type = CONSTRAINT_STRING, .min = 1, .max = 1},
      NUMBER("let_frequency", 0),
      RELATION("let_relation")},
     prepare_letter},
    {.id = "punctuation:punctuation_dot", .follows = follows_no_dot},
    {.id = "punctuation:punctuation_exclamation", .follows = follows_no_exclamation},
};

const struct constraint_table ifrlvr_words_table = CONSTRAINT_TABLE(ROWS);
