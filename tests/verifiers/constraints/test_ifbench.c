// IFBench: counts, ratios, words, places and sentences.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/verifiers/constraints/ifbench_cases.h"

#define CHECK(cases) check_instruction_cases((cases), sizeof(cases) / sizeof *(cases))

static void test_counts(void **state) {
    static const struct instruction_case CASES[] = {
        {"count:word_count_range", "{\"min_words\":3,\"max_words\":4}", "don't stop", true},
        {"count:word_count_range", "{\"min_words\":3,\"max_words\":4}", "one two", false},
        {"count:word_count_range", "{\"min_words\":3,\"max_words\":4}", "3.14 and 2.71", false},
        {"count:unique_word_count", "{\"N\":3}", "One, one two. (two) three", true},
        {"count:unique_word_count", "{\"N\":4}", "One, one two. (two) three", false},
        {"count:unique_word_count", "{\"N\":4}", "one two three -", true},
        {"count:conjunctions", "{\"small_n\":2}", "And, and this", true},
        {"count:conjunctions", "{\"small_n\":2}", "this and that and more", false},
        {"count:conjunctions", "{\"small_n\":2}", "sand, fort, norm", false},
        {"count:person_names", "{\"N\":2}", "Emma's friend is Zoe.", true},
        {"count:person_names", "{\"N\":2}", "Emma, Emma and emma.", false},
        {"count:person_names", "{\"N\":1}", "Leopold", false},
        {"count:numbers", "{\"N\":1}", "pi is 3.14", true},
        {"count:numbers", "{\"N\":2}", "1-2", false},
        {"count:numbers", "{\"N\":2}", "\xD9\xA3 and 4", true}, // an Arabic digit
        {"count:numbers", "{\"N\":0}", "none", true},
        {"count:punctuation", NULL, "What?! No; a, b: c. Yes! Why?", true},
        {"count:punctuation", NULL, "What?! No; a, b: c. Why?", false},
        {"count:punctuation", NULL, "What\xE2\x80\xBD! No; a, b: c. Why?", true},
        {"count:punctuation", NULL, "No; a, b: c. Why? Yes!", false},
        {"count:pronouns", "{\"N\":3}", "she/her/hers", true},
        {"count:pronouns", "{\"N\":3}", "It's mine.", false},
        {"count:pronouns", "{\"N\":2}", "It's mine.", true},
        {"count:pronouns", "{\"N\":1}", "There is one here", false},
        {"count:pronouns", "{\"N\":1}", "Gımme one", true}, // a dotless i, which cuts "me" off too
        {"count:pronouns", "{\"N\":1}", "GİMME one", false},
        {"count:words_japanese", "{\"N\":2}", "a \xE6\x97\xA5\xE6\x9C\xAC b \xE3\x81\x82", true},
        {"count:words_japanese", "{\"N\":2}", "a \xE6\x97\xA5 b c", false},
        {"count:words_japanese", "{\"N\":2}", "a 12 b --", true},
        {"count:words_japanese", "{\"N\":5}", "a b c", true},
        {"count:words_japanese", "{\"N\":1}", "² ①２ 3", true}, // str.isdigit
        {"count:words_japanese", "{\"N\":1}", "½", false},
        {"count:keywords_multiple",
         "{\"keyword1\":\"a\",\"keyword2\":\"B\",\"keyword3\":\"c\",\"keyword4\":\"d\","
         "\"keyword5\":\" e \"}",
         "a bB cCc ddddd eeeeeee", true},
        {"count:keywords_multiple",
         "{\"keyword1\":\"a\",\"keyword2\":\"b\",\"keyword3\":\"c\",\"keyword4\":\"d\","
         "\"keyword5\":\"e\"}",
         "a bb cc ddddd eeeeeee", false},
    };
    (void)state;
    CHECK(CASES);
}

static void test_ratios(void **state) {
    static const struct instruction_case CASES[] = {
        {"ratio:stop_words", "{\"percentage\":50}", "The cat", true},
        {"ratio:stop_words", "{\"percentage\":49.9}", "The cat", false},
        {"ratio:stop_words", "{\"percentage\":100}", "...", false},
        {"ratio:sentence_type", NULL, "This is it. So is this. Is it?", true},
        {"ratio:sentence_type", NULL, "This is it. Is it?", false},
        {"ratio:sentence_type", NULL, "No mark at all", true},
        {"ratio:sentence_balance", NULL, "This is it. Is it? It is!", true},
        {"ratio:sentence_balance", NULL, "This is it. Is it?", false},
        {"ratio:sentence_words", NULL, "Who is it? I am he. So you do!", false},
        {"ratio:sentence_words", NULL, "Who is it? I am Joe! So do I.", false},
        {"ratio:sentence_words", NULL, "I am Ann. I am Joe. I am Zo\xC3\xA9.", true},
        {"ratio:overlap", "{\"percentage\":50,\"reference_text\":\"abcd\"}", "abcdef", true},
        {"ratio:overlap", "{\"percentage\":52,\"reference_text\":\"abcd\"}", "abcdef", true},
        {"ratio:overlap", "{\"percentage\":53,\"reference_text\":\"abcd\"}", "abcdef", false},
        {"ratio:overlap", "{\"percentage\":0,\"reference_text\":\"abcd\"}", "ab", false},
        {"ratio:overlap", "{\"percentage\":0,\"reference_text\":\"ab\"}", "xyz", true},
    };
    (void)state;
    CHECK(CASES);
}

static void test_words(void **state) {
#define NINE_PALINDROMES " abcba abcba abcba abcba abcba abcba abcba abcba abcba"
    static const struct instruction_case CASES[] = {
        {"words:alphabet", NULL, "You zoom - and, \"back\"", true},
        {"words:alphabet", NULL, "a b d", false},
        {"words:alphabet", NULL, "1 a b", false},
        {"words:alphabet", NULL, "...", false},
        {"words:vowel", NULL, "\n the eel is in \n", true},
        {"words:vowel", NULL, "the eel\nis in", false},
        {"words:vowel", NULL, "a big bin", true},
        {"words:vowel", NULL, "an odd blue", false},
        {"words:consonants", NULL, "Strong myth", true},
        {"words:consonants", NULL, "Strong idea", false},
        {"words:consonants", NULL, "c-c", false},
        {"words:palindrome", NULL, "Level level level level level level level level le-vel level!",
         true},
        {"words:palindrome", NULL, "level level level level level level level level level noon",
         false},
        // Punctuation goes first: no sigma in front of it is a last one.
        {"words:palindrome", NULL, "ΑΣ-ΑΣΑ" NINE_PALINDROMES, true},
        {"words:palindrome", NULL, "ΣΑ-ΑΣ" NINE_PALINDROMES, false},
        {"words:prime_lengths", NULL, "it's two, \xC3\xA9\xC3\xA9", true}, // characters
        {"words:prime_lengths", NULL, "Its two abcde", true},
        {"words:prime_lengths", NULL, "a", false},
        {"words:repeats", "{\"small_n\":1}", "It is it.", false},
        {"words:repeats", "{\"small_n\":2}", "It is it.", true},
        {"words:odd_even_syllables", NULL, "The table", true},
        {"words:odd_even_syllables", NULL, "The cat", false},
        {"words:odd_even_syllables", NULL, "The features", false}, // three, as it counts
        {"words:odd_even_syllables", NULL, "Area51 is \xF0\x9F\x98\x80", false},
        {"words:odd_even_syllables", NULL, "Area51 is", true}, // none and one
        {"words:no_consecutive", NULL, "One two One", true},
        {"words:no_consecutive", NULL, "Two, \"two\"", false},
        {"words:start_verb", NULL, "Running is fun.", true},
        {"words:start_verb", NULL, "Create a list.", true},
        {"words:start_verb", NULL, "Stopped.", true},
        {"words:start_verb", NULL, "Is it?", true},
        {"words:start_verb", NULL, "The cat runs.", false},
        {"words:start_verb", NULL, "During lunch", false},
        {"words:start_verb", NULL, "You must go", false},
    };
    (void)state;
    CHECK(CASES);
}

static void test_places(void **state) {
    static const struct instruction_case CASES[] = {
        {"words:last_first", NULL, "I see the sea. Sea is blue.", true},
        {"words:last_first", NULL, "I see the sea. It is blue.", false},
        {"words:last_first", NULL, "One sentence only.", true},
        {"words:paragraph_last_first", NULL, "Say what I say.\n\nNo, \"no\"", false},
        {"words:paragraph_last_first", NULL, "Say what I say.\n\nNo and no!", true},
        {"words:paragraph_last_first", NULL, "Say what I do.", false},
        // Compared in lower case, in which U+0130 is two letters, and a sigma a word's last one.
        {"words:keywords_specific_position", "{\"keyword\":\"İx\",\"n\":1,\"m\":2}", "A i\u0307x.",
         true},
        {"words:keywords_specific_position", "{\"keyword\":\"ΑΣ\",\"n\":1,\"m\":1}", "ΑΣ’Β", true},
        {"words:keywords_specific_position", "{\"keyword\":\"ſ\",\"n\":1,\"m\":1}", "S", false},
        {"words:keywords_specific_position", "{\"keyword\":\"_\",\"n\":1,\"m\":1}", "_", false},
        {"words:keywords_specific_position", "{\"keyword\":\"Sea\",\"n\":2,\"m\":3}",
         "Hello. The (blue sea).", true},
        {"words:keywords_specific_position", "{\"keyword\":\"sea\",\"n\":2,\"m\":2}",
         "Hello. The (blue sea).", false},
        {"words:keywords_specific_position", "{\"keyword\":\"sea\",\"n\":3,\"m\":1}",
         "Hello. The sea.", false},
        {"words:words_position", "{\"keyword\":\" Sea\"}", "The sea is the SEA now", true},
        {"words:words_position", "{\"keyword\":\"sea\"}", "The sea is the sea now.", true},
        {"words:words_position", "{\"keyword\":\"sea\"}", "The sea is the sea.", false},
        {"words:words_position", "{\"keyword\":\"sea\"}", "sea", false},
        {"sentence:alliteration_increment", NULL, "I go. Two tall men. She sells sea shells.",
         true},
        {"sentence:alliteration_increment", NULL, "Two tall men. I go.", false},
        {"sentence:alliteration_increment", NULL, "Two tall men. So six more.", false},
        {"sentence:increment", "{\"small_n\":1}", "I go. We - all go. And then we stop.", true},
        {"sentence:increment", "{\"small_n\":1}", "I go. We all go now.", false},
        {"sentence:increment", "{\"small_n\":0}", "I go. You go.", true},
        {"sentence:keyword", "{\"word\":\"Sea\",\"N\":2}", "No. A sea-side town.", true},
        {"sentence:keyword", "{\"word\":\"sea\",\"N\":2}", "No. A season.", false},
        {"sentence:keyword", "{\"word\":\"sea\",\"N\":3}", "No. The sea.", false},
        {"sentence:keyword", "{\"word\":\"is\",\"N\":2}", "No. The İſ.", true},
        {"sentence:keyword", "{\"word\":\"İ\",\"N\":1}", "Am I?", true},
    };
    (void)state;
    CHECK(CASES);
}

static void test_refused(void **state) {
    (void)state;
    check_refused("count:nothing", "{}", "\"count:nothing\" is not known");
    check_refused("count:numbers", "{}", "\"N\" is missing");
    check_refused("count:numbers", "{\"N\":null}", "\"N\" is missing");
    check_refused("count:numbers", "{\"N\":-1}", "0 to ");
    check_refused("count:numbers", "{\"N\":2.5}", "an integer");
    check_refused("count:numbers", "{\"N\":2,\"M\":1}", "no argument \"M\"");
    check_refused("count:words_japanese", "{\"N\":0}", "1 to ");
    check_refused("count:word_count_range", "{\"min_words\":3,\"max_words\":2}", "greater");
    check_refused("ratio:overlap", "{\"percentage\":5}", "\"reference_text\" is missing");
    check_refused("ratio:stop_words", "{\"percentage\":101}", "0 to 100");
    check_refused("ratio:stop_words", "{\"percentage\":\"5\"}", "a number");
    check_refused("sentence:keyword", "{\"word\":\"\",\"N\":1}", "at least");
    check_refused("sentence:keyword", "{\"word\":[\"a\"],\"N\":1}", "a string");
    check_refused("sentence:keyword", "{\"word\":\"a\",\"N\":0}", "1 to ");
    check_refused("count:count_increment_word", "{\"keyword1\":[],\"keyword2\":\"a\"}", "a string");
    check_refused("words:vowel", "{\"N\":1}", "no argument");
    check_refused("repeat:repeat_span", "{\"prompt_to_repeat\":\"abc\",\"n_start\":2,\"n_end\":1}",
                  "greater");
    check_refused("new:copy_span_idx", "{\"prompt_to_repeat\":\"abc\",\"n_start\":2,\"n_end\":1}",
                  "greater");
    check_refused("copy:repeat_phrase", "{\"phrase\":\" \",\"small_n\":1}", "no word");
    check_refused("letters:letter_counting", "{\"N\":2,\"relation\":\"at most\"}", "less than");
    check_refused("letters:letter_counting2",
                  "{\"letter\":\"ab\",\"let_frequency\":1,\"let_relation\":\"at least\"}",
                  "at most");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts), cmocka_unit_test(test_ratios),  cmocka_unit_test(test_words),
        cmocka_unit_test(test_places), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
