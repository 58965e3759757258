// IFBench: what each word has to look like.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"
#include "verifiers/constraints/tally.h"
#include "verifiers/constraints/text_sentences.h"

// The next word that is not all punctuation, with its first letter in lower case.
static bool next_letter(struct slice *rest, struct slice *word, uint32_t *letter) {
    while (slice_next_field(rest, word)) {
        const struct slice plain = slice_strip_left(*word, CHAR_PUNCT);
        *letter = first_lower(plain);
        if (plain.len) return true;
    }
    return false;
}

// First letters go through the alphabet from wherever the first word starts, and around.
static bool follows_alphabet(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text->raw, word, before;
    uint32_t letter, next;
    (void)args;
    if (!next_letter(&rest, &before, &letter)) return false;
    // Of U+0130 the published checker sees two letters.
    if (letter < 'a' || letter > 'z' || first_code(slice_strip_left(before, CHAR_PUNCT)) == 0x130)
        return false;
    for (; next_letter(&rest, &word, &next); before = word, letter = next)
        if (next != (letter == 'z' ? 'a' : letter + 1))
            return text_blame(text, slice_span(before, word));
    return true;
}

// One line with at most three different vowels.
static bool follows_vowels(struct constraint_text *text, const struct constraint_args *args) {
    static const char VOWELS[] = "aeiou";
    const struct slice line = text_stripped(text);
    (void)args;
    if (line.len == 0 || memchr(line.ptr, '\n', line.len)) return false;
    int n = 0;
    for (int i = 0; i < 5; i++)
        n += memchr(line.ptr, VOWELS[i], line.len) || memchr(line.ptr, VOWELS[i] - 32, line.len) ||
             (VOWELS[i] == 'i' && slice_find(line, slice_of("\xC4\xB0"), 0) >= 0); // U+0130
    return n <= 3;
}

// Of the lower case of a code point: the Kelvin sign is a k.
static bool is_consonant(uint32_t code) {
    const uint32_t lower = char_lower(code);
    return lower >= 'a' && lower <= 'z' && !strchr("aeiou", (int)lower);
}

static bool has_two_consonants(struct slice word) {
    bool before = false;
    for (uint32_t code; chars_next(&word, &code);) {
        const bool is = is_consonant(code);
        if (is && before) return true;
        before = is;
    }
    return false;
}

static bool follows_consonants(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text->raw, word;
    (void)args;
    while (slice_next_field(&rest, &word))
        if (!has_two_consonants(word)) return text_blame(text, word);
    return true;
}

static bool follows_palindromes(struct constraint_text *text, const struct constraint_args *args) {
    // Without punctuation the last letter of a word may be another one.
    const struct slice plain = text_without_punctuation_of(text, text->raw);
    const struct slices words = text_fields_of(text, text_lower_of(text, plain));
    int n = 0;
    (void)args;
    for (size_t i = 0; i < words.n && n < 10; i++)
        n += slice_n_chars(words.items[i]) >= 5 && is_palindrome(words.items[i]);
    return n >= 10 || text_no_part(text);
}

static bool is_prime(size_t n) {
    if (n < 2 || n >= 100) return false;
    for (size_t d = 2; d * d <= n; d++)
        if (n % d == 0) return false;
    return true;
}

static size_t n_plain_chars(struct slice word) {
    size_t n = 0;
    for (size_t i = 0; i < word.len; i++) {
        const unsigned char c = (unsigned char)word.ptr[i];
        n += c < 128 ? !(char_ascii_classes[c] & CHAR_PUNCT) : (c & 0xC0) != 0x80;
    }
    return n;
}

static bool follows_primes(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text->raw, word;
    (void)args;
    while (slice_next_field(&rest, &word)) {
        const size_t n = n_plain_chars(word);
        if (n && !is_prime(n)) return text_blame(text, word);
    }
    return true;
}

// The n-th of the words that are not all punctuation, from 0 on.
static struct slice nth_word(struct slice rest, size_t n) {
    struct slice word = {0};
    for (size_t i = 0; i <= n && slice_next_field(&rest, &word);) i += !slice_all(word, CHAR_PUNCT);
    return word;
}

// Blames the text from the first time that a word occurs to the n-th word, which is it again.
static bool blame_repeats(struct constraint_text *text, struct slice plain, struct slice first,
                          size_t n) {
    struct slice word;
    size_t n_before = 0;
    while (slice_next_field(&plain, &word) && word.ptr < first.ptr) n_before++;
    return text_blame(text, slice_span(nth_word(text->raw, n_before), nth_word(text->raw, n)));
}

// The most frequent word is within the bound.
static bool follows_repeats(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice plain = text_without_punctuation_of(text, text_lower(text));
    struct slice rest = plain, word;
    struct tally tally = tally_open(text, rest.len / 8);
    for (size_t n = 0; slice_next_field(&rest, &word); n++) {
        const struct tally_item *item = tally_add(text, &tally, word);
        if (item->times > args->values[0].integer) return blame_repeats(text, plain, item->item, n);
    }
    return true;
}

// Words are put into lower case without their punctuation.
static bool follows_syllables(struct constraint_text *text, const struct constraint_args *args) {
    struct slice rest = text->raw, word, before = {0};
    bool parity = false;
    (void)args;
    while (slice_next_field(&rest, &word)) {
        const struct slice plain = text_without_punctuation_of(text, word);
        if (plain.len == 0) continue;
        const bool is_odd = has_odd_syllables(text_lower_of(text, plain));
        if (before.ptr && is_odd == parity) return text_blame(text, slice_span(before, word));
        parity = is_odd;
        before = word;
    }
    return true;
}

static bool follows_no_consecutive(struct constraint_text *text,
                                   const struct constraint_args *args) {
    struct slice rest = text->raw, word, before;
    uint32_t letter, next;
    (void)args;
    if (!next_letter(&rest, &before, &letter)) return true;
    for (; next_letter(&rest, &word, &next); before = word, letter = next)
        if (next == letter) return text_blame(text, slice_span(before, word));
    return true;
}

static bool follows_start_verb(struct constraint_text *text, const struct constraint_args *args) {
    const struct runs *tokens = text_first_tokens(text, 1);
    (void)args;
    const struct slice first = tokens->n ? runs_at(tokens, 0) : (struct slice){"", 0};
    // A character loses at most two bytes in lower case.
    return first.len <= 3 * MAX_VERB_BYTES && is_verb(text_lower_of(text, first));
}

static const struct constraint ROWS[] = {
    {.id = "words:alphabet", .follows = follows_alphabet},
    {.id = "words:vowel", .follows = follows_vowels},
    {.id = "words:consonants", .follows = follows_consonants},
    {.id = "words:palindrome", .follows = follows_palindromes},
    {.id = "words:prime_lengths", .follows = follows_primes},
    {"words:repeats", follows_repeats, {NUMBER("small_n", 0)}, NULL},
    {.id = "words:odd_even_syllables", .follows = follows_syllables},
    {.id = "words:no_consecutive", .follows = follows_no_consecutive},
    {.id = "words:start_verb", .follows = follows_start_verb},
};

const struct constraint_table ifbench_words_table = CONSTRAINT_TABLE(ROWS);
