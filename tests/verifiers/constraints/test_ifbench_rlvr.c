// The further constraints of IF-RLVR training.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "tests/verifiers/constraints/ifbench_cases.h"
#include "verifiers/constraints/rule_sentences.h"

#define CHECK(cases) check_instruction_cases((cases), sizeof(cases) / sizeof *(cases))

static void test_copies(void **state) {
#define PHRASE "{\"phrase\":\"the cat sat down\",\"small_n\":2}"
    static const struct instruction_case CASES[] = {
        {"copy:repeat_phrase", PHRASE, "the cat sat down, the dog sat down", true},
        {"copy:repeat_phrase", PHRASE, "the dog sat down, the cat sat down", false},
        {"copy:repeat_phrase", PHRASE, "the cat sat down, the dog ran down", false},
        {"copy:repeat_phrase", PHRASE, "the cat sat down, the dog sat calmly down", false},
        {"copy:repeat_phrase", PHRASE, "the cat sat\ndown, the dog sat down", false},
        {"copy:repeat_phrase", PHRASE, "the dog sat down", false},
        {"copy:copy", "{\"prompt_to_repeat\":\" Say it \"}", "say IT\n", true},
        {"copy:copy", "{\"prompt_to_repeat\":\"Say it\"}", "Say it: it", false},
        {"copy:copying_simple", "{\"prompt_to_repeat\":\"Say it\"}", "Say it", true},
        {"copy:copying_simple", "{\"prompt_to_repeat\":\"Say it\"}", "Say  it", false},
        {"copy:copying_multiple", "{\"prompt_to_repeat\":\"Say it\",\"N\":2}",
         "Say it\n******\nsay it", true},
        {"copy:copying_multiple", "{\"prompt_to_repeat\":\"Say it\",\"N\":2}",
         "Say it\n*****\nSay it", false},
        {"copy:copying_multiple", "{\"prompt_to_repeat\":\"Say it\",\"N\":2}", "Say it", false},
        {"new:copy_span_idx", "{\"prompt_to_repeat\":\"etude\",\"n_start\":1,\"n_end\":3}", "TU",
         true},
        {"new:copy_span_idx", "{\"prompt_to_repeat\":\"etude\",\"n_start\":1,\"n_end\":3}", "tud",
         false},
        {"new:copy_span_idx", "{\"prompt_to_repeat\":\"etude\",\"n_start\":0,\"n_end\":3}", "etu",
         true},
    };
    (void)state;
    CHECK(CASES);
}

static void test_formats(void **state) {
#define TWO_OF_THREE "{\"n_sent\":2,\"n_words\":3}"
    static const struct instruction_case CASES[] = {
        {"detectable_format:sentence_hyphens", NULL, "It is here.-Is it?-Yes!", true},
        {"detectable_format:sentence_hyphens", NULL, "It is here.- Is it?", false},
        {"detectable_format:sentence_hyphens", NULL, "It is here. Is it?", false},
        {"detectable_format:square_brackets", NULL, "[All] [of]\n[it.]", true},
        {"detectable_format:square_brackets", NULL, "[All] [of] it", false},
        {"detectable_format:square_brackets", NULL, "[All] [of].", false},
        {"detectable_format:bigram_wrapping", NULL, "<<I am>> <<at home>> now", true},
        {"detectable_format:bigram_wrapping", NULL, "<<I am>> <<at home>>.", false},
        {"paragraphs:paragraphs", NULL, "One\n***\nTwo", true},
        {"paragraphs:paragraphs", NULL, "One\n***\nTwo\n***\n", true},
        {"paragraphs:paragraphs", NULL, "One\n***\nTwo\n***\nThree", false},
        {"paragraphs:paragraphs2", NULL, "One\n\nTwo", true},
        {"paragraphs:paragraphs2", NULL, "One\nTwo", false},
        {"paragraphs:paragraphs2", NULL, "One\n\n\n\nTwo", false},
        // White space goes with the stars: behind them "A." is at the start, and no sentence.
        {"count:counting_composition", "{\"n_sent\":1,\"n_words\":3}",
         "I go.***\tA.b c.***　A.b c.", true},
        {"count:counting_composition", "{\"n_sent\":1,\"n_words\":3}", "I go.***\t\tA.b c.***I go.",
         false},
        {"detectable_format:sentence_hyphens", NULL, "(　B. c", false}, // that space becomes one
        {"count:counting_composition", TWO_OF_THREE, "I go. I go!***I go. I go.*** I go. I go.",
         true},
        {"count:counting_composition", TWO_OF_THREE, "I go. I go!***I go. I go.*** I go.", false},
        {"count:counting_composition", TWO_OF_THREE, "I go. I go!***I go. I go.*** I go. Go.",
         false},
        {"count:counting_composition", TWO_OF_THREE, "I go. I go!***I go. I go.", false},
    };
    (void)state;
    CHECK(CASES);
}

static void test_keywords(void **state) {
    static const struct instruction_case CASES[] = {
        {"keywords:word_once", "{\"keyword\":\"Cat\"}", "A CAT.", true},
        {"keywords:word_once", "{\"keyword\":\"cat\"}", "A cat among cats", false},
        {"keywords:word_once", "{\"keyword\":\"is\"}", "ıſ", true}, // as re.IGNORECASE has it
        {"keywords:word_once", "{\"keyword\":\"ſ\"}", "sS", false},
        {"keywords:word_count_different_numbers",
         "{\"keyword\":\"is\",\"frequency\":2,\"relation\":\"at least\"}", "İs ıS", true},
        {"count:count_increment_word", "{\"keyword1\":\"İ\",\"keyword2\":\"σ\"}", "i ΣΣ", true},
        {"keywords:word_once", "{\"keyword\":\"c.t\"}", "A cat", false}, // no regular expression
        {"keywords:word_count_different_numbers",
         "{\"keyword\":\"cat\",\"frequency\":2,\"relation\":\"at least\"}", "Cat, cats", true},
        {"keywords:word_count_different_numbers",
         "{\"keyword\":\"cat\",\"frequency\":2,\"relation\":\"less than\"}", "Cat, cats", false},
        {"count:count_increment_word", "{\"keyword1\":\"cat\",\"keyword2\":\"dog\"}",
         "A cat, a dog, two dogs", true},
        {"count:count_increment_word", "{\"keyword1\":[\"cat\"],\"keyword2\":[\"dog\"]}",
         "A cat, a dog", false},
        {"count:count_increment_word", "{\"keyword1\":[\"cat\"],\"keyword2\":[\"dog\"]}",
         "A dog, a cat, a dog", true},
        {"keywords:exclude_word_harder", "{\"keyword\":\"cat\"}", "Cat, a cat. cat", true},
        {"keywords:exclude_word_harder", "{\"keyword\":\"cat\",\"instruction\":\"a cat\"}",
         "the cat is", false},
        {"keywords:keyword_specific_position", "{\"keyword\":\"sea\",\"n\":2,\"m\":3}",
         "Hi. In the, sea.", false},
        {"keywords:keyword_specific_position", "{\"keyword\":\"sea\",\"n\":2,\"m\":3}",
         "Hi. In the sea.", true},
        // Tokens that stand for quotes are no text of the response.
        {"keywords:keyword_specific_position", "{\"keyword\":\"``\",\"n\":1,\"m\":1}", "\"a\" b",
         true},
        {"keywords:keyword_specific_position", "{\"keyword\":\"''\",\"n\":1,\"m\":3}", "\"a\" b",
         true},
        {"keywords:keyword_specific_position", "{\"keyword\":\"Sea\",\"n\":2,\"m\":3}",
         "Hi. In the sea.", false},
        {"keywords:start_end", NULL, "Here we are, here", true},
        {"keywords:start_end", NULL, "Here we are, here.", false},
        {"keywords:start_end", NULL, "Here", false},
        {"keywords:no_adjacent_consecutive", NULL, "A cat Eats bread", true},
        {"keywords:no_adjacent_consecutive", NULL, "A big cat", false},
        {"keywords:palindrome", NULL, "The noon sun", true},
        {"keywords:palindrome", NULL, "The Noon. sun", false},
        {"count:count_unique", NULL, "All of it The the", true},
        {"count:count_unique", NULL, "the cat, the dog", false},
        {"count:count_unique", NULL, "a, b, c", false}, // the commas
        {"count:lowercase_counting", "{\"N\":2}", "It is A big One2 x_y \xC3\xA9t", true},
        {"count:lowercase_counting", "{\"N\":2}", "It is a big one", false},
    };
    (void)state;
    CHECK(CASES);
}

static void test_ends(void **state) {
    static const struct instruction_case CASES[] = {
        {"first_word:first_word_sent", "{\"first_word\":\"so\"}", "So it is. SO am I!", true},
        {"first_word:first_word_sent", "{\"first_word\":[\"so\"]}", "So it is. I am.", false},
        {"first_word:first_word_sent", "{\"first_word\":\"so\"}", "So Mr. X. came.", true},
        {"first_word:first_word_answer", "{\"first_word\":\" So \"}", "so it is. I am.", true},
        {"first_word:first_word_answer", "{\"first_word\":\"so\"}", "So, it is.", false},
        {"last_word:last_word_sent", "{\"last_word\":\"so\"}", "It is so. \"Is it So?\"", true},
        {"last_word:last_word_sent", "{\"last_word\":\"so\"}", "It is so. Is it?", false},
        {"last_word:last_word_answer", "{\"last_word\":\"So\"}", "Is it? It is (so)...", true},
        {"last_word:last_word_answer", "{\"last_word\":\"so\"}", "It is so now", false},
        {"letters:letter_counting", "{\"N\":3,\"relation\":\"at least\"}", "ab1 C", true},
        {"letters:letter_counting", "{\"N\":3,\"relation\":\"less than\"}", "ab1 \xC3\xA9", true},
        {"letters:letter_counting", "{\"N\":3,\"relation\":\"at least\"}", "ab1 \xC3\xA9", false},
        {"letters:letter_counting2",
         "{\"letter\":\"A\",\"let_frequency\":2,\"let_relation\":\"at least\"}", "a bA", true},
        {"letters:letter_counting2",
         "{\"letter\":\"a\",\"let_frequency\":2,\"let_relation\":\"less than\"}", "a bA", false},
        {"punctuation:punctuation_dot", NULL, "No dot!", true},
        {"punctuation:punctuation_dot", NULL, "3.14", false},
        {"punctuation:punctuation_exclamation", NULL, "No mark.", true},
        {"punctuation:punctuation_exclamation", NULL, "A mark!", false},
    };
    (void)state;
    CHECK(CASES);
}

// ---- Sentences by rules ------------------------------------------------------------------------

// `sentences` are separated by '|'.
static void check_sentences(const char *input, const char *sentences) {
    struct arena arena = {0};
    struct constraint_text text;
    text_open(&text, slice_of(input), &arena);
    const struct slices got = rule_sentences(&text, text.raw);
    char joined[512] = "";
    for (size_t i = 0; i < got.n; i++) {
        if (i) strcat(joined, "|");
        strncat(joined, got.items[i].ptr, got.items[i].len);
    }
    assert_string_equal(joined, sentences);
    arena_clear(&arena);
}

static void test_sentences(void **state) {
    (void)state;
    check_sentences("", "");
    check_sentences("One.\nTwo? Three!", "One.|Two?|Three!");
    check_sentences("Mr. A. and Dr. B. met", "Mr. A. and Dr. B. met");
    check_sentences("See x.com now. At 3.14 so 1.2.3 it is.",
                    "See x.com now.|At 3.14 so 1.2.|3 it is.");
    check_sentences("Wait... what.. no", "Wait...|what..|no");
    check_sentences("A Ph.D. of the U.S.A. here", "A Ph.D. of the U.S.A. here");
    check_sentences("In the U.S. He came", "In the U.S.|He came");
    check_sentences("At X Inc. He works at Y Inc. now", "At X Inc|He works at Y Inc. now");
    check_sentences("She said \"no.\" Then \"go!\" and \"why?\" ok",
                    "She said \"no\".|Then \"go\"!|and \"why\"?|ok");
    check_sentences("He said \xE2\x80\x9Cno.\xE2\x80\x9D So",
                    "He said \xE2\x80\x9Cno\xE2\x80\x9D.|So");
    check_sentences("Really?!", "Really?|!");
    check_sentences("So\tA. b, \u3000\u3000B. c\u00A0C. ", "So A. b, \u3000 B. c C.");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies),    cmocka_unit_test(test_formats),
        cmocka_unit_test(test_keywords),  cmocka_unit_test(test_ends),
        cmocka_unit_test(test_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
