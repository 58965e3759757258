// Language detection, syllables, emoji.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "verifiers/constraints/emoji.h"
#include "verifiers/constraints/language.h"
#include "verifiers/constraints/syllables.h"

static const char *detect(struct slice response) {
    struct arena arena = {0};
    struct constraint_text text;
    text_open(&text, response, &arena);
    const char *code = language_detect(&text, text.raw);
    assert_false(text.over);
    arena_clear(&arena);
    return code ? code : "none";
}

static void test_languages(void **state) {
    static const char *const CASES[][2] = {
        {"en", "The response is English, and it says nothing that matters."},
        {"es", "Desayunamos en McDonald's hoy"},
        {"de", "Das ist ein kurzer Satz über das Wetter und die schönen Berge."},
        {"fr", "Nous sommes allés à la plage parce qu'il faisait très chaud."},
        {"it", "Questa è una frase scritta in italiano per provare il programma."},
        {"pt", "Não sei se vou conseguir terminar o trabalho até amanhã de manhã."},
        {"nl", "Het weer is vandaag mooi en we gaan naar het strand toe."},
        {"fi", "Tämä on lyhyt suomenkielinen lause kauniista kesäpäivästä."},
        {"pl", "Dzisiaj jest piękna pogoda i idziemy na spacer do lasu."},
        {"tr", "Bugün hava çok güzel ve parkta yürüyüşe çıkıyoruz."},
        {"vi", "Hôm nay trời đẹp và chúng tôi đi dạo trong công viên."},
        {"sw", "Leo hali ya hewa ni nzuri na tunaenda sokoni kununua matunda."},
        {"ru", "Сегодня хорошая погода, и мы идём гулять в парк."},
        {"bg", "Днес времето е хубаво и отиваме на разходка в парка."},
        {"uk", "Сьогодні гарна погода, і ми йдемо гуляти в парк."},
        {"el", "Σήμερα ο καιρός είναι καλός και πηγαίνουμε βόλτα."},
        {"ar", "الطقس جميل اليوم وسنذهب إلى الحديقة."},
        {"fa", "امروز هوا خوب است و ما به پارک می‌رویم."},
        {"ur", "آج موسم اچھا ہے اور ہم باغ جا رہے ہیں۔"},
        {"he", "מזג האוויר היום נעים ואנחנו הולכים לפארק."},
        {"hi", "आज मौसम अच्छा है और हम बगीचे जा रहे हैं।"},
        {"bn", "আজ আবহাওয়া ভালো এবং আমরা পার্কে যাচ্ছি।"},
        {"ta", "இன்று வானிலை நன்றாக உள்ளது."},
        {"te", "ఈ రోజు వాతావరణం బాగుంది."},
        {"kn", "ಇಂದು ಹವಾಮಾನ ಚೆನ್ನಾಗಿದೆ."},
        {"gu", "આજે હવામાન સારું છે."},
        {"pa", "ਅੱਜ ਮੌਸਮ ਚੰਗਾ ਹੈ।"},
        {"th", "วันนี้อากาศดีและเราจะไปสวนสาธารณะ"},
        {"ko", "오늘은 날씨가 좋아서 공원에 갑니다."},
        {"ja", "今日は天気がいいので公園に行きます。"},
        {"zh-cn", "今天天气很好，我们去公园散步吧。"},
        {"zh-tw", "今天天氣很好，我們去公園散步吧。"},
        {"none", ""},
        {"none", "12345 !!! 67"},
        {"none", "https://example.com/une/adresse?longue=oui moi@exemple.fr"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_string_equal(detect(slice_of(CASES[i][1])), CASES[i][0]);
    assert_true(language_is_known(slice_of("zh-cn")));
    assert_false(language_is_known(slice_of("zh")));
    assert_false(language_is_known(slice_of("")));
}

// Addresses do not count, and Latin words do not in a text that is mostly not Latin.
static void test_cleaning(void **state) {
    (void)state;
    assert_string_equal(detect(slice_of("Guten Tag https://the.best/of/the/and/that/with/this/have/"
                                        "when/they/which thethis@which.they.when")),
                        "de");
    assert_string_equal(detect(slice_of("Сегодня хорошая погода hello the погода and парк")), "ru");
    // Words in capitals have no n-grams from their second letter on; other words decide.
    assert_string_equal(detect(slice_of("UND DAS IST NICHT DER GRUND the weather is fine with us")),
                        "en");
}

// Only the first 10,000 characters count, and the work is bounded by them.
static void test_long(void **state) {
    struct buffer response = {0};
    (void)state;
    for (int i = 0; i < 300; i++) buffer_add_text(&response, "Das ist ein Satz, und noch einer. ");
    for (int i = 0; i < 9000; i++) buffer_add_text(&response, "This is a sentence, and another. ");
    assert_string_equal(detect(buffer_slice(&response)), "de");
    struct arena arena = {0};
    struct constraint_text text;
    text_open(&text, buffer_slice(&response), &arena);
    const uint64_t before = text.steps_left;
    language_detect(&text, text.raw);
    assert_true(before - text.steps_left < 2 * 1000 * 1000);
    arena_clear(&arena);
    buffer_clear(&response);
    for (int i = 0; i < 20000; i++) buffer_add_text(&response, "a@https://");
    assert_string_equal(detect(buffer_slice(&response)), detect(buffer_slice(&response)));
    buffer_free(&response);
}

static void test_syllables(void **state) {
    static const struct {
        const char *word;
        int n;
    } CASES[] = {
        {"cat", 1},        {"safe", 1},    {"table", 2},   {"tables", 2},  {"needed", 2},
        {"worked", 1},     {"boxes", 2},   {"playing", 2}, {"player", 2},  {"trying", 2},
        {"nation", 2},     {"million", 2}, {"idea", 3},    {"science", 2}, {"society", 4},
        {"beautiful", 3},  {"safely", 2},  {"every", 2},   {"the", 1},     {"syllable", 3},
        {"university", 5}, {"rhythm", 1},  {"don't", 1},   {"", 0},        {"42", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (syllables_count(slice_of(CASES[i].word)) != CASES[i].n)
            print_error("%s\n", CASES[i].word);
        assert_int_equal(syllables_count(slice_of(CASES[i].word)), CASES[i].n);
    }
}

static void test_emoji(void **state) {
    (void)state;
    assert_true(emoji_is(0x1F600));
    assert_true(emoji_is(0x2764));
    assert_false(emoji_is('#'));
    assert_false(emoji_is(0x10FFFF));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_languages), cmocka_unit_test(test_cleaning),
        cmocka_unit_test(test_long),      cmocka_unit_test(test_syllables),
        cmocka_unit_test(test_emoji),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
