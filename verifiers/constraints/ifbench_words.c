// IFBench: what each word has to look like.
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/ifbench.h"
#include "verifiers/constraints/tally.h"
#include "verifiers/constraints/text_sentences.h"

// First letters go through the alphabet from wherever the first word starts, and around.
static bool follows_alphabet(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices words = plain_words(text, text->raw);
    (void)args;
    if (words.n == 0 || first_code(words.items[0]) == 0x130) return false;
    uint32_t letter = first_lower(words.items[0]);
    if (letter < 'a' || letter > 'z') return false;
    for (size_t i = 1; i < words.n; i++) {
        letter = letter == 'z' ? 'a' : letter + 1;
        if (first_lower(words.items[i]) != letter) return false;
    }
    return true;
}

// One line with at most three different vowels.
static bool follows_vowels(struct constraint_text *text, const struct constraint_args *args) {
    static const char VOWELS[] = "aeiou";
    const struct slice line = text_stripped(text);
    (void)args;
    if (slice_find(line, slice_of("\n"), 0) >= 0) return false;
    const struct slice lower = text_lower_of(text, line);
    int n = 0;
    for (int i = 0; i < 5; i++) n += lower.len && memchr(lower.ptr, VOWELS[i], lower.len) != NULL;
    return n <= 3;
}

static bool is_consonant(char c) {
    return c >= 'a' && c <= 'z' && !strchr("aeiou", c);
}

static bool follows_consonants(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices words = text_fields_of(text, text_lower(text));
    (void)args;
    for (size_t i = 0; i < words.n; i++) {
        const struct slice w = words.items[i];
        size_t at = 1;
        while (at < w.len && !(is_consonant(w.ptr[at - 1]) && is_consonant(w.ptr[at]))) at++;
        if (at >= w.len) return false;
    }
    return true;
}

static bool follows_palindromes(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices words = plain_words(text, text_lower(text));
    int n = 0;
    (void)args;
    for (size_t i = 0; i < words.n && n < 10; i++)
        n += slice_n_chars(words.items[i]) >= 5 && is_palindrome(words.items[i]);
    return n >= 10;
}

static bool is_prime(size_t n) {
    if (n < 2 || n >= 100) return false;
    for (size_t d = 2; d * d <= n; d++)
        if (n % d == 0) return false;
    return true;
}

static bool follows_primes(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices words = plain_words(text, text->raw);
    (void)args;
    for (size_t i = 0; i < words.n; i++)
        if (!is_prime(slice_n_chars(words.items[i]))) return false;
    return true;
}

// The most frequent word is within the bound.
static bool follows_repeats(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices words = plain_words(text, text_lower(text));
    struct tally tally = tally_open(text, words.n);
    for (size_t i = 0; i < words.n; i++)
        if (tally_add(text, &tally, words.items[i]) > args->values[0].integer) return false;
    return true;
}

static bool follows_syllables(struct constraint_text *text, const struct constraint_args *args) {
    const struct slice plain = text_without_punctuation_of(text, text->raw);
    const struct slices words = text_fields_of(text, text_lower_of(text, plain));
    int before = -1;
    (void)args;
    for (size_t i = 0; i < words.n; i++) {
        const int parity = has_odd_syllables(words.items[i]);
        if (parity == before) return false;
        before = parity;
    }
    return true;
}

static bool follows_no_consecutive(struct constraint_text *text,
                                   const struct constraint_args *args) {
    const struct slices words = plain_words(text, text_lower(text));
    (void)args;
    for (size_t i = 1; i < words.n; i++)
        if (first_code(words.items[i - 1]) == first_code(words.items[i])) return false;
    return true;
}

static bool follows_start_verb(struct constraint_text *text, const struct constraint_args *args) {
    const struct slices *tokens = text_tokens(text);
    (void)args;
    return tokens->n && is_verb(text_lower_of(text, tokens->items[0]));
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
