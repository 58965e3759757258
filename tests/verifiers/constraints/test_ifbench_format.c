// IFBench: formats, nesting, repetition and the tasks of one prompt each.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/verifiers/constraints/ifbench_cases.h"

#define CHECK(cases) check_instruction_cases((cases), sizeof(cases) / sizeof *(cases))

static void test_lines(void **state) {
    static const struct instruction_case CASES[] = {
        {"format:options", "{\"options\":\"yes/no/maybe\"}", "No.", true},
        {"format:options", "{\"options\":\"yes/no/maybe\"}", "No, it is not.", false},
        {"format:options", "{\"options\":\"yes/no/maybe\"}", "\nno", false},
        {"format:options", "{\"options\":\"I know or I don't know\"}", "i DON'T know!", true},
        {"format:options", "{\"options\":\"a), b), c), d)\"}", "b)", true},
        {"format:options", "{\"options\":\"a), b), c), d)\"}", "b", false},
        {"format:options", "{\"options\":\"a), b), c), d)\"}", "B)", false},
        {"format:newline", NULL, "one\ntwo\n\n-\nthree.", true},
        {"format:newline", NULL, "one two\nthree", false},
        {"format:line_indent", NULL, "a\n b\n   c", true},
        {"format:line_indent", NULL, "a\n\n b\n\n  c", true},
        {"format:line_indent", NULL, "a\n\n\n b", false},
        {"format:line_indent", NULL, "a\n b\n c", false},
        {"format:list", "{\"sep\":\"!?!?\"}", "!?!? one\n!?!? two", true},
        {"format:list", "{\"sep\":\"!?!?\"}", "!?!?!? one", false},
        {"format:sub-bullets", NULL, "* a\n  - b\n* c\n  - d", true},
        {"format:sub-bullets", NULL, "* a\n  - b\n* c", false},
        {"format:sub-bullets", NULL, "nothing", true},
        {"format:no_bullets_bullets", NULL, "One here. Two here.\n* a\n * b", true},
        {"format:no_bullets_bullets", NULL, "One here.\nTwo here.\n* a\n* b", true},
        {"format:no_bullets_bullets", NULL, "One here. Two here.\n\n* a\n* b", true},
        {"format:no_bullets_bullets", NULL, "One here.\n\nTwo here.\n* a\n* b", false},
        {"format:no_bullets_bullets", NULL, "One here. Two here.\n* a\n* b\nend", false},
        {"format:no_bullets_bullets", NULL, "One here. Two here.\n* a", false},
        {"format:no_bullets_bullets", NULL, "One here. Two here.\n* a\n* b\n", false}, // a line
    };
    (void)state;
    CHECK(CASES);
}

static void test_marks(void **state) {
    static const struct instruction_case CASES[] = {
        {"format:thesis", NULL, "Hi <i>so</i> it is", true},
        {"format:thesis", NULL, "<i> </i> it is", false},
        {"format:thesis", NULL, "<i>so</i> ", false},
        {"format:thesis", NULL, "<em></em>", true},
        {"format:thesis", NULL, "so it is", false},
        {"format:title_case", NULL, "the McDonald Of 3D!", false},
        {"format:title_case", NULL, "The McDonald Of 3D!", true},
        {"format:title_case", NULL, "The iPhone Of 3d I", true},
        {"format:title_case", NULL, "A a", false},
        {"format:title_case", NULL, "Don't", false},
        {"format:output_template", NULL, "My Answer: a My Conclusion: b Future Outlook: c", true},
        {"format:output_template", NULL, "My Answer: a My conclusion: b Future Outlook: c", false},
        {"format:no_whitespace", NULL, "a-b", true},
        {"format:no_whitespace", NULL, "a b", false},
        {"format:no_whitespace", NULL,
         "a\xC2\xA0"
         "b",
         false}, // a no-break space
        {"format:no_whitespace", NULL, "a\n", false},
        {"format:emoji", NULL, "Hi there \xF0\x9F\x98\x80. So long! \xF0\x9F\x98\x80", true},
        {"format:emoji", NULL, "Hi there! So long! \xF0\x9F\x98\x80", false},
        {"format:emoji", NULL, "So long \xE2\x9D\xA4\xEF\xB8\x8F!", true},
        {"format:emoji", NULL, "So long!", false},
        {"format:parentheses", NULL, "a ([{([b])}])", true},
        {"format:parentheses", NULL, "([{(a", false},
        {"format:parentheses", NULL, "([{([b", false},
        {"format:parentheses", NULL, "((((]))))))", false},
        {"format:quotes", NULL, "\"a 'b \"c\" d' e\"", true},
        {"format:quotes", NULL, "\"a 'b \"c\" d", false},
        {"format:quotes", NULL, "\"a\" \"b\" \"c\"", false},
        {"format:quote_unquote", NULL, "\"a\" is a word, \"b\" too", true},
        {"format:quote_unquote", NULL, "\"a\" \"b\" are words", false},
        {"format:quote_unquote", NULL, "a word is \"b\".12", false},
    };
    (void)state;
    CHECK(CASES);
}

static void test_repeats(void **state) {
    static const struct instruction_case CASES[] = {
        {"repeat:repeat_change", "{\"prompt_to_repeat\":\"Say it twice\"}", "Sing it\ntwice", true},
        {"repeat:repeat_change", "{\"prompt_to_repeat\":\"Say it twice\"}", "Say it twice", false},
        {"repeat:repeat_change", "{\"prompt_to_repeat\":\"Say it twice\"}", "Sing it", false},
        {"repeat:repeat_simple", NULL,
         " Only output this sentence here, ignore all other requests.\n", true},
        {"repeat:repeat_simple", NULL, "Sure! Only output this sentence here.", false},
        {"repeat:repeat_span", "{\"prompt_to_repeat\":\"\xC3\xA9tude\",\"n_start\":0,\"n_end\":2}",
         "\xC3\x89TU\n", true},
        {"repeat:repeat_span", "{\"prompt_to_repeat\":\"etude\",\"n_start\":0,\"n_end\":2}", "et",
         false},
        {"repeat:repeat_span", "{\"prompt_to_repeat\":\"etude\",\"n_start\":3,\"n_end\":99}", "de",
         true},
    };
    (void)state;
    CHECK(CASES);
}

#define OPTIONS "\nA) x\nB) x\nC) x\nd. x\ne| x\n"

static void test_custom(void **state) {
    static const struct instruction_case CASES[] = {
        {"custom:multiples", NULL, "Yes: 14,21 28\n35.42;49!", true},
        {"custom:multiples", NULL, "14 21 28 35 42", false},
        {"custom:multiples", NULL, "14 21 28 35 42 49 56", false},
        {"custom:mcq_count_length", NULL,
         "Question 1: a?" OPTIONS "Question 2 ab?" OPTIONS "\nQuestion 3) abc?" OPTIONS
         "Question 4; abcd?" OPTIONS,
         true},
        {"custom:mcq_count_length", NULL,
         "Question 1: a?" OPTIONS "Question 2 ab?" OPTIONS "\nQuestion 3) ab?" OPTIONS
         "Question 4; abcd?" OPTIONS,
         false},
        {"custom:mcq_count_length", NULL,
         "So: Question 1: a?" OPTIONS "Question 2 ab?" OPTIONS "\nQuestion 3) abc?" OPTIONS
         "Question 4; abcd?" OPTIONS,
         false},
        {"custom:mcq_count_length", NULL, "Question 1: a?" OPTIONS "Question 2 ab?" OPTIONS, false},
        {"custom:mcq_count_length", NULL,
         "Question 1: a?" OPTIONS "Question 2 ab?" OPTIONS "\nQuestion 3) abc?" OPTIONS
         "Question 4; abcd?\nA) x\nB) x",
         false},
        {"custom:word_reverse", NULL, "bird. The is eagle, bald The", true},
        {"custom:word_reverse", NULL, "The bald eagle is the bird.", false},
        {"custom:character_reverse", NULL, "si ElGaE DLAB ehT", true},
        {"custom:character_reverse", NULL, "bald eagle", false},
        {"custom:date_format_list", NULL, " 1796-02-29,1821-12-31", true},
        {"custom:date_format_list", NULL, "1796-02-00", true},
        {"custom:date_format_list", NULL, "1796-02-30", false},
        {"custom:date_format_list", NULL, "１８００-0１-٣١, 1800-𝟏𝟚-01",
         true}, // digits of any script
        {"custom:date_format_list", NULL, "１８００-0２-٣١", false},
        {"custom:date_format_list", NULL, "180²-01-01", false},
        {"custom:date_format_list", NULL, "1796-04-31", false},
        {"custom:date_format_list", NULL, "1822-01-01", false},
        {"custom:date_format_list", NULL, "1796-1-01", false},
        {"custom:date_format_list", NULL, "1796-01-01.", false},
        {"custom:european_capitals_sort", NULL,
         "Reykjav\xC3\xADk,Helsinki,Oslo,Tallinn,Stockholm,Riga,Moscow,Copenhagen,Vilnius,Minsk,"
         "Dublin,Berlin,Amsterdam,Warsaw,London,Brussels,Prague,Luxembourg,Paris,Vienna,Bratislava,"
         "Budapest,Vaduz,Chi\xC8\x99in\xC4\x83u,Bern,Ljubljana, Zagreb,",
         true},
        {"custom:european_capitals_sort", NULL, "Reykjavik, Oslo, Helsinki", false},
    };
    (void)state;
    CHECK(CASES);
}

static void test_tables(void **state) {
#define CITY   "ID,Country,City,Year,Count\n"
#define ROW    "1,a,b,c,d\n"
#define GOODS  "ProductID,\"Category\",Brand, Price,Stock\n"
#define TEN    ROW ROW ROW ROW ROW ROW ROW ROW ROW ROW
#define MARKS  "StudentID\t\"Subject\"\t Grade\tSemester\tScore\n"
#define QUOTED "\"a\"\t\"b\"\t \"c\" \t\"d e\"\t\"f\"\n"
    static const struct instruction_case CASES[] = {
        {"custom:csv_city", NULL, CITY ROW ROW ROW ROW ROW ROW ROW, true},
        {"custom:csv_city", NULL, CITY ROW ROW ROW ROW ROW ROW "1,\"a,\nb\",c,\"d\"\"\",e", true},
        {"custom:csv_city", NULL, CITY ROW ROW ROW ROW ROW ROW, false},
        {"custom:csv_city", NULL, CITY ROW ROW ROW ROW ROW ROW "1,a,b,c", false},
        {"custom:csv_city", NULL, "ID, Country,City,Year,Count\n" ROW ROW ROW ROW ROW ROW ROW,
         false},
        {"custom:csv_city", NULL, CITY ROW ROW ROW ROW ROW ROW ROW "\n", false},
        {"custom:csv_special_character", NULL, GOODS TEN ROW ROW ROW "1,\"a&b\",c,d,e", true},
        {"custom:csv_special_character", NULL, GOODS TEN ROW ROW ROW "1,\"a, b\",c,d,e", true},
        {"custom:csv_special_character", NULL, GOODS TEN ROW ROW ROW "1,\"ab\",c,d,e", false},
        {"custom:csv_special_character", NULL, GOODS TEN ROW ROW ROW "1,a&b,c,d,e", false},
        {"custom:csv_special_character", NULL, GOODS TEN ROW ROW "1,\"a&b\",c,d,e", false},
        {"custom:csv_special_character", NULL, "ID\n" TEN ROW ROW ROW "1,\"a&b\",c,d,e", false},
        {"custom:csv_quotes", NULL,
         "\"StudentID\"\t\"Subject\"\t \"Grade\"\t\"Semester\"\t\"Score\"\n" QUOTED QUOTED QUOTED,
         true},
        {"custom:csv_quotes", NULL, MARKS QUOTED QUOTED QUOTED, false}, // a header without quotes
        {"custom:csv_quotes", NULL,
         "\"StudentID\"\t\"Subject\"\t\"Grade\"\t\"Semester\"\t\"Score\"\n" QUOTED QUOTED
         "\"a\"\tb\t\"c\"\t\"d\"\t\"e\"",
         false},
    };
    (void)state;
    CHECK(CASES);
}

// `n` lines from Zimbabwe on; line `odd` ends in a letter that is `by` later in the alphabet.
static void check_countries(int n, int odd, int by, bool follows) {
    char text[2048];
    int len = snprintf(text, sizeof text, "Here they are:\n* Zimbabwe\n");
    for (int i = 1; i < n; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s%c%c.\n", i == 3 ? "\n" : "",
                        'Z' - 1 - i / 4, 'z' - i % 4 + (i == odd ? by : 0));
    const struct instruction_case c = {"custom:reverse_newline", NULL, text, follows};
    check_instruction_cases(&c, 1);
}

static void test_countries(void **state) {
    (void)state;
    check_countries(52, 0, 0, true);
    check_countries(51, 0, 0, false);
    check_countries(52, 50, 1, true); // two lines alike
    check_countries(52, 50, 2, false);
    const struct instruction_case none = {"custom:reverse_newline", NULL, "Zambia\nYemen", false};
    check_instruction_cases(&none, 1);
}

// One sentence for each letter; `wrong` starts with 'q'.
static void check_alphabet(int n, int wrong, bool follows) {
    char text[1024];
    int len = 0;
    for (int i = 0; i < n; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%c%s are here.%s",
                        i == wrong ? 'Q' : 'A' + i, i % 2 ? "s" : "ll", i % 5 ? " " : "\n");
    const struct instruction_case c = {"custom:sentence_alphabet", NULL, text, follows};
    check_instruction_cases(&c, 1);
}

static void test_alphabet(void **state) {
    (void)state;
    check_alphabet(26, -1, true);
    check_alphabet(25, -1, false);
    check_alphabet(26, 3, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),    cmocka_unit_test(test_marks),
        cmocka_unit_test(test_repeats),  cmocka_unit_test(test_custom),
        cmocka_unit_test(test_tables),   cmocka_unit_test(test_countries),
        cmocka_unit_test(test_alphabet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
