// IFBench: words at their places within sentences, paragraphs and the whole text.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"
#include "verifiers/constraints/text_sentences.h"

// What a constraint asks of a sentence and the one in front of it. `number` is its argument;
// `counted` is what it counted in the last sentence that it was asked about.
struct pair_test {
    bool (*is_good)(struct constraint_text *text, struct pair_test *test, struct slice before,
                    struct slice s);
    int64_t number, counted;
    struct slice last;
};

// What was found of a whole's pairs: sentences from one to before the other follow theirs.
struct pairs {
    size_t good_from, bad;
};

// Blames sentence i and the one in front of it: they are sentences wherever they stand with
// something behind. Those at the ends of a part go on in other texts.
static bool blame_pair(struct constraint_text *text, const struct runs *sentences, size_t i) {
    const struct slice raw = text->raw;
    struct slice pair = slice_span(runs_at(sentences, i - 1), runs_at(sentences, i));
    const bool is_last = i + 1 == sentences->n;
    if (text->within && (i == 1 || is_last)) return false;
    if (is_last)
        pair.len = (size_t)(raw.ptr + raw.len - pair.ptr);
    else
        pair = slice_span(pair, slice_part(runs_at(sentences, i + 1), 0, 1));
    return text_blame(text, pair);
}

// The first sentence from `from` to before `to` that does not follow the one in front of it, or
// `to`.
static size_t first_bad(struct constraint_text *text, const struct runs *sentences, size_t from,
                        size_t to, struct pair_test *test) {
    while (from < to &&
           test->is_good(text, test, runs_at(sentences, from - 1), runs_at(sentences, from)))
        from++;
    return from;
}

// The same of those that are the whole's, of which it is kept.
static size_t first_bad_shared(struct constraint_text *text, const struct runs *sentences,
                               struct pair_test *test) {
    const struct runs *all = text->within->sentences;
    const struct slices *shared = &sentences->run[1];
    struct pairs *pairs = text->kept;
    const size_t offset = (size_t)(shared->items - all->run[0].items);
    const size_t from = offset + 1, to = offset + shared->n;
    if (from < pairs->good_from || from > pairs->bad) pairs->good_from = pairs->bad = from;
    if (pairs->bad < to) pairs->bad = first_bad(text, all, pairs->bad, to, test);
    return (pairs->bad < to ? pairs->bad : to) - offset + sentences->run[0].n;
}

// Whether each sentence goes well with the one in front of it.
static bool all_pairs(struct constraint_text *text, struct pair_test test) {
    const struct runs *sentences = text_sentences(text);
    size_t i = 1;
    if (sentences->is_shared && text->kept && sentences->run[1].n) {
        const size_t start = sentences->run[0].n, end = start + sentences->run[1].n;
        i = first_bad(text, sentences, 1, start + 1, &test);
        if (i == start + 1) i = first_bad_shared(text, sentences, &test);
        if (i < end) return blame_pair(text, sentences, i);
    }
    i = first_bad(text, sentences, i, sentences->n, &test);
    if (!text->within) {
        struct pairs *pairs = arena_take(text->arena, 1, sizeof *pairs);
        *pairs = (struct pairs){1, i};
        text->kept = pairs;
    }
    return i >= sentences->n || blame_pair(text, sentences, i);
}

// Whether what is counted in a sentence is more than in the one before, by `number` if that is not
// negative.
static bool is_more(struct pair_test *test, struct slice before, struct slice s,
                    int64_t (*count)(struct slice sentence)) {
    const bool is_known = test->last.ptr == before.ptr && test->last.len == before.len;
    const int64_t n_before = is_known ? test->counted : count(before);
    test->counted = count(s);
    test->last = s;
    return test->number < 0 ? test->counted > n_before : test->counted == n_before + test->number;
}

// Whether its first word is the last one of the sentence before.
static bool starts_with_last(struct constraint_text *text, struct pair_test *test,
                             struct slice before, struct slice s) {
    const struct slice last = slice_last_field(strip_marks_right(before));
    struct slice next = strip_marks_left(s), first;
    (void)test;
    return last.len && slice_next_field(&next, &first) && text_lower_same(text, last, first);
}

static bool follows_last_first(struct constraint_text *text, const struct constraint_args *args) {
    (void)args;
    return all_pairs(text, (struct pair_test){.is_good = starts_with_last});
}

static bool follows_paragraphs(struct constraint_text *text, const struct constraint_args *args) {
    struct slice lines = text->raw, line;
    (void)args;
    while (slice_next_line(&lines, &line)) {
        struct slice rest = strip_marks(slice_strip(line, CHAR_SPACE)), first;
        if (!slice_next_field(&rest, &first)) continue;
        const struct slice last = rest.len ? slice_last_field(rest) : first;
        if (last.len == 0 || slice_equal(first, last)) continue;
        // Marks and white space, which stand on both sides of each, are no letters to a sigma.
        if (!text_lower_same(text, first, last))
            return text_blame(text, slice_strip(line, CHAR_SPACE));
    }
    return true;
}

static bool has_alphanumeric(struct slice token) {
    for (uint32_t code; chars_next(&token, &code);)
        if (code != '_' && char_classes(code) & CHAR_WORD) return true;
    return false;
}

// At least as many characters as there are tokens with one.
static size_t n_alphanumeric(struct slice s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.ptr[i];
        n += c >= 128 || char_ascii_classes[c] & CHAR_WORD;
    }
    return n;
}

// A text with a token that is the keyword in lower case has it where case does not count: what that
// looks for is prepared. Not where U+0130 may be in the token, of which lower case makes two
// letters.
static int prepare_specific(struct constraint_args *args, struct arena *arena, struct error *err) {
    struct constraint_value *v = &args->values[0];
    struct constraint_text text;
    if (prepare_lower_stripped(args, arena, err)) return -1;
    if (slice_find(v->string, slice_of("\u0307"), 0) >= 0) return 0;
    text_open(&text, v->string, arena);
    struct slice *fold = arena_take(arena, 1, sizeof *fold);
    *fold = text_fold(&text);
    v->prepared = fold;
    return 0;
}

// The m-th word of the n-th sentence; tokens of punctuation are no words.
static bool follows_specific(struct constraint_text *text, const struct constraint_args *args) {
    enum { FEW_MARKS = 60 };
    const struct slice *fold = args->values[0].prepared;
    if (!has_alphanumeric(args->values[0].string) ||
        (fold && slice_find(text_fold(text), *fold, 0) < 0))
        return text_no_part(text);
    const struct runs *sentences = text_sentences(text);
    const int64_t n = args->values[1].integer;
    int64_t left = args->values[2].integer;
    if ((int64_t)sentences->n < n) return false;
    const struct slice sentence = runs_at(sentences, (size_t)n - 1);
    if (left > (int64_t)n_alphanumeric(sentence)) return false;
    struct constraint_text *inner = text_inner(text, sentence);
    size_t i = 0;
    for (size_t most = (size_t)left + FEW_MARKS;; most *= 8) {
        const struct runs *tokens = text_first_tokens(inner, most);
        for (; i < tokens->n; i++)
            if (has_alphanumeric(runs_at(tokens, i)) && --left == 0)
                return text_lower_is(text, runs_at(tokens, i), args->values[0].string);
        if (tokens == inner->tokens) break;
    }
    text->over = text->over || inner->over;
    return false;
}

// The second token, and the second last; a mark at the end does not count as the last.
static bool follows_position(struct constraint_text *text, const struct constraint_args *args) {
    static const char MARKS[] = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    const struct slice keyword = args->values[0].string;
    const struct runs *tokens = text_first_tokens(text, 2);
    if (tokens->n < 2 || !text_lower_is(text, runs_at(tokens, 1), keyword)) return false;
    tokens = text_last_tokens(text, 3);
    if (tokens->n < 2) return false;
    const bool has_mark = slice_find(slice_of(MARKS), runs_at(tokens, tokens->n - 1), 0) >= 0;
    const size_t back = has_mark ? 3 : 2;
    if (tokens->n < back) return false;
    return text_lower_is(text, runs_at(tokens, tokens->n - back), keyword);
}

// How many words of a sentence stand in runs with the same first letter.
static int64_t count_alliteration(struct slice sentence) {
    enum { NO_LETTER = 0x110000 };
    struct slice rest = sentence, word;
    uint32_t before = NO_LETTER;
    int64_t n = 0;
    bool in_run = false;
    while (slice_next_field(&rest, &word)) {
        word = strip_marks_left(word);
        if (word.len == 0) continue;
        const uint32_t letter = first_lower(word);
        const bool same = letter == before;
        if (same) n += in_run ? 1 : 2;
        in_run = same;
        before = letter;
    }
    return n;
}

static bool has_more_alliteration(struct constraint_text *text, struct pair_test *test,
                                  struct slice before, struct slice s) {
    (void)text;
    return is_more(test, before, s, count_alliteration);
}

static bool follows_alliteration(struct constraint_text *text, const struct constraint_args *args) {
    (void)args;
    return all_pairs(text, (struct pair_test){.is_good = has_more_alliteration, .number = -1});
}

static bool has_more_words(struct constraint_text *text, struct pair_test *test,
                           struct slice before, struct slice s) {
    (void)text;
    return is_more(test, before, s, count_plain_words);
}

static bool follows_increment(struct constraint_text *text, const struct constraint_args *args) {
    const int64_t number = args->values[0].integer;
    return all_pairs(text, (struct pair_test){.is_good = has_more_words, .number = number}) &&
           text_sentences(text)->n > 0;
}

static bool is_within(struct slice s, const struct slice *other) {
    return other && s.ptr >= other->ptr && s.ptr + s.len <= other->ptr + other->len;
}

// A part's sentence may be cut out of one of the whole that does not have the word. It ends where
// there is no letter on the other side.
static bool follows_keyword(struct constraint_text *text, const struct constraint_args *args) {
    const struct runs *sentences = text_sentences(text);
    const int64_t n = args->values[1].integer;
    if ((int64_t)sentences->n < n) return false;
    const struct slice sentence = runs_at(sentences, (size_t)n - 1);
    if (text->within && is_within(sentence, text->kept)) return false;
    if (slice_find_word(text_fold_of(text, sentence), args->values[0].string, 0) >= 0) return true;
    if (!text->within) {
        struct slice *kept = arena_take(text->arena, 1, sizeof *kept);
        *kept = sentence;
        text->kept = kept;
    }
    return false;
}

static const struct constraint ROWS[] = {
    {.id = "words:last_first", .follows = follows_last_first},
    {.id = "words:paragraph_last_first", .follows = follows_paragraphs},
    {"words:keywords_specific_position",
     follows_specific,
     {STRING("keyword"), NUMBER("n", 1), NUMBER("m", 1)},
     prepare_specific},
    {"words:words_position", follows_position, {STRING("keyword")}, prepare_lower_stripped},
    {.id = "sentence:alliteration_increment", .follows = follows_alliteration},
    {"sentence:increment", follows_increment, {NUMBER("small_n", 0)}, NULL},
    {"sentence:keyword", follows_keyword, {STRING("word"), NUMBER("N", 1)}, prepare_fold},
};

const struct constraint_table ifbench_position_table = CONSTRAINT_TABLE(ROWS);
