// IFBench: words at their places within sentences, paragraphs and the whole text.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"
#include "verifiers/constraints/text_sentences.h"

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

static bool follows_last_first(struct constraint_text *text, const struct constraint_args *args) {
    const struct runs *sentences = text_sentences(text);
    (void)args;
    for (size_t i = 1; i < sentences->n; i++) {
        const struct slice last = slice_last_field(strip_marks_right(runs_at(sentences, i - 1)));
        struct slice next = strip_marks_left(runs_at(sentences, i)), first;
        if (last.len == 0 || !slice_next_field(&next, &first))
            return blame_pair(text, sentences, i);
        if (!slice_equal(text_lower_of(text, last), text_lower_of(text, first)))
            return blame_pair(text, sentences, i);
    }
    return true;
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
        if (!slice_equal(text_lower_of(text, first), text_lower_of(text, last)))
            return text_blame(text, slice_strip(line, CHAR_SPACE));
    }
    return true;
}

static bool has_alphanumeric(struct slice token) {
    for (uint32_t code; chars_next(&token, &code);)
        if (code != '_' && char_classes(code) & CHAR_WORD) return true;
    return false;
}

// The m-th word of the n-th sentence; tokens of punctuation are no words.
static bool follows_specific(struct constraint_text *text, const struct constraint_args *args) {
    const struct runs *sentences = text_sentences(text);
    const int64_t n = args->values[1].integer;
    int64_t left = args->values[2].integer;
    if ((int64_t)sentences->n < n) return false;
    const struct slice sentence = runs_at(sentences, (size_t)n - 1);
    if (left > (int64_t)sentence.len) return false;
    struct constraint_text *inner = text_inner(text, sentence);
    const struct runs *tokens = text_first_tokens(inner, (size_t)left);
    for (size_t i = 0;; tokens = text_tokens(inner)) {
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
    const struct runs *tokens = text_tokens(text);
    const struct slice keyword = args->values[0].string;
    if (tokens->n < 2) return false;
    const bool has_mark = slice_find(slice_of(MARKS), runs_at(tokens, tokens->n - 1), 0) >= 0;
    const size_t back = has_mark ? 3 : 2;
    if (tokens->n < back) return false;
    return slice_equal(text_lower_of(text, runs_at(tokens, 1)), keyword) &&
           slice_equal(text_lower_of(text, runs_at(tokens, tokens->n - back)), keyword);
}

// How many words of a sentence stand in runs with the same first letter.
static int64_t count_alliteration(struct slice sentence) {
    struct slice rest = sentence, word;
    uint32_t before = 0;
    int64_t n = 0;
    bool in_run = false;
    while (slice_next_field(&rest, &word)) {
        word = strip_marks_left(word);
        if (word.len == 0) continue;
        const uint32_t letter = first_lower(word);
        const bool same = before && letter == before;
        if (same) n += in_run ? 1 : 2;
        in_run = same;
        before = letter;
    }
    return n;
}

static bool follows_alliteration(struct constraint_text *text, const struct constraint_args *args) {
    const struct runs *sentences = text_sentences(text);
    int64_t before = -1;
    (void)args;
    for (size_t i = 0; i < sentences->n; i++) {
        const int64_t n = count_alliteration(runs_at(sentences, i));
        if (n <= before) return blame_pair(text, sentences, i);
        before = n;
    }
    return true;
}

static bool follows_increment(struct constraint_text *text, const struct constraint_args *args) {
    const struct runs *sentences = text_sentences(text);
    int64_t before = 0;
    for (size_t i = 0; i < sentences->n; i++) {
        const int64_t n = (int64_t)count_plain_words(runs_at(sentences, i));
        if (i && n != before + args->values[0].integer) return blame_pair(text, sentences, i);
        before = n;
    }
    return sentences->n > 0;
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
    if (slice_find_word(text_lower_of(text, sentence), args->values[0].string, 0) >= 0) return true;
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
     prepare_lower_stripped},
    {"words:words_position", follows_position, {STRING("keyword")}, prepare_lower_stripped},
    {.id = "sentence:alliteration_increment", .follows = follows_alliteration},
    {"sentence:increment", follows_increment, {NUMBER("small_n", 0)}, NULL},
    {"sentence:keyword", follows_keyword, {STRING("word"), NUMBER("N", 1)}, prepare_lower},
};

const struct constraint_table ifbench_position_table = CONSTRAINT_TABLE(ROWS);
