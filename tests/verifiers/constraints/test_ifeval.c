// IFEval's instructions: what follows them, what does not, and in which mode.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "verifiers/constraints/constraints.h"

struct example {
    const char *id, *kwargs, *response;
    bool strict, loose;
};

#define EXISTENCE "keywords:existence", "{\"keywords\":[\"Mom\",\"tea\"]}"
#define FREQUENCY "keywords:frequency"
#define FORBIDDEN "keywords:forbidden_words", "{\"forbidden_words\":[\"mom\",\"C++\"]}"
#define LETTERS   "keywords:letter_frequency"
#define NTH                                                                                        \
    "length_constraints:nth_paragraph_first_word",                                                 \
        "{\"num_paragraphs\":2,\"nth_paragraph\":2,\"first_word\":\"Hello\"}"
#define AT_LEAST_2 "{\"num_sentences\":2,\"relation\":\"at least\"}"

static const struct example WORDS[] = {
    {EXISTENCE, "In a moment, TEA.", true, true}, // inside of words, in any case
    {EXISTENCE, "mother and tea", false, false},
    {EXISTENCE, "", false, false},
    {FREQUENCY, "{\"keyword\":\" aa \",\"frequency\":2,\"relation\":\"at least\"}", "aAaa", true,
     true},
    {FREQUENCY, "{\"keyword\":\"aa\",\"frequency\":2,\"relation\":\"at least\"}", "aAa", false,
     false}, // no overlaps
    {FREQUENCY, "{\"keyword\":\"aa\",\"frequency\":2,\"relation\":\"less than\"}", "aaa", true,
     true},
    {FREQUENCY, "{\"keyword\":\".\",\"frequency\":1,\"relation\":\"at least\"}", "a", false,
     false}, // plain text, no pattern
    {FORBIDDEN, "a moment", true, true},
    {FORBIDDEN, "my Mom's", false, false},
    {FORBIDDEN, "Mom?\n a moment \nmom", false, true}, // loose: only without first and last line
    // Python's re.IGNORECASE: character by character, and some letters are as good as others.
    {"keywords:existence", "{\"keywords\":[\"istanbul\"]}", "İSTANBUL", true, true},
    {"keywords:existence", "{\"keywords\":[\"İs\"]}", "ıſ", true, true},
    {"keywords:existence", "{\"keywords\":[\"ΟΔΟΣ\"]}", "οδος, οδοσα", true, true},
    {"keywords:existence", "{\"keywords\":[\"straße\"]}", "STRAẞE", true, true},
    {"keywords:existence", "{\"keywords\":[\"straße\"]}", "STRASSE", false, false},
    {"keywords:existence", "{\"keywords\":[\"μm\"]}", "5 µm", true, true},
    {"keywords:existence", "{\"keywords\":[\"i̇\"]}", "İ", false, false},          // two characters
    {"keywords:existence", "{\"keywords\":[\"k\"]}", "\xE2\x84\xAA", true, true}, // Kelvin
    {FREQUENCY, "{\"keyword\":\"s\",\"frequency\":3,\"relation\":\"at least\"}", "sSſ", true, true},
    {"keywords:forbidden_words", "{\"forbidden_words\":[\"i\"]}", "an İ", false, false},
    {"keywords:forbidden_words", "{\"forbidden_words\":[\"i\"]}", "an İi", true, true},
    {"keywords:forbidden_words", "{\"forbidden_words\":[\"İ\"]}", "an I", false, false},
    {LETTERS, "{\"letter\":\"İ\",\"let_frequency\":1,\"let_relation\":\"at least\"}", "İ", false,
     false}, // no one character of the lower case
    {LETTERS, "{\"letter\":\"i\",\"let_frequency\":1,\"let_relation\":\"at least\"}", "İ", true,
     true},
    {LETTERS, "{\"letter\":\"A\",\"let_frequency\":3,\"let_relation\":\"at least\"}", "aAa", true,
     true},
    {LETTERS, "{\"letter\":\"#\",\"let_frequency\":1,\"let_relation\":\"less than\"}", "# a", false,
     false},
    {LETTERS, "{\"letter\":\"#\",\"let_frequency\":0,\"let_relation\":\"at least\"}", "a", true,
     true},
    {"keywords:key_sentences", "{\"key_sentences\":[\"I go.\",\"No.\"],\"num_sentences\":1}",
     "I go. You stay.", true, true},
    {"keywords:key_sentences", "{\"key_sentences\":[\"I go.\",\"No.\"],\"num_sentences\":1}",
     "No. I go.", false, false},
    // Sentences are those of the rules, in which a mark goes behind the quote that follows it.
    {"keywords:key_sentences", "{\"key_sentences\":[\"He said \\\"no\\\".\"],\"num_sentences\":1}",
     "He said \"no.\" So?", true, true},
    {"keywords:key_sentences", "{\"key_sentences\":[\"He said \\\"no.\\\"\"],\"num_sentences\":1}",
     "He said \"no.\" So?", false, false},
    {"keywords:key_sentences", "{\"key_sentences\":[\" I go.\"],\"num_sentences\":0}", "I go. So?",
     true, true}, // nothing is stripped off them
    {"keywords:key_sentences", "{\"key_sentences\":[\"No.\",\"No.\"],\"num_sentences\":2}",
     "*I.*\nNo. *Yes*\n\nI.", false, true}, // two of one are two
    {"language:response_language", "{\"language\":\"de\"}", "Das ist ein Satz.", true, true},
    {"language:response_language", "{\"language\":\"de\"}", "This is one.", false, false},
    {"language:response_language", "{\"language\":\"de\"}", "123", true, true}, // no n-gram
    {"change_case:english_capital", "{}", "THIS IS ALL OF IT, THE WHOLE THING.", true, true},
    {"change_case:english_capital", "{}", "THIS Is NOT", false, false},
    {"change_case:english_capital", "{}", "12 \xE4\xB8\xAD", false, false},
    {"change_case:english_lowercase", "{}", "this is all of it.", true, true},
    {"change_case:english_lowercase", "{}", "Sure!\nthis is all of it.", false, true},
    {"change_case:english_lowercase", "{}", "das ist nicht der grund.", false, false},
    {"change_case:capital_word_frequency",
     "{\"capital_frequency\":3,\"capital_relation\":\"at least\"}", "I saw NASA-ESA in 3D", true,
     true},
    {"change_case:capital_word_frequency",
     "{\"capital_frequency\":3,\"capital_relation\":\"at least\"}", "I saw Nasa in 3D", false,
     false},
    {"punctuation:no_comma", "{}", "a b\xEF\xBC\x8C c", true, true}, // a full-width one
    {"punctuation:no_comma", "{}", "a,b", false, false},
    {"punctuation:no_comma", "{}", "Sure,\nno\nyes,", false, true},
};

static const struct example LENGTH[] = {
    {"length_constraints:number_sentences", AT_LEAST_2, "Dr. Who goes. He comes.", true, true},
    {"length_constraints:number_sentences", AT_LEAST_2, "Dr. Who goes", false, false},
    {"length_constraints:number_words", "{\"num_words\":4,\"relation\":\"at least\"}", "don't 3.14",
     true, true},
    {"length_constraints:number_words", "{\"num_words\":4,\"relation\":\"less than\"}",
     "don't 3.14", false, false},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\":2}", "a\n***\nb", true, true},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\":2}", "***\na\n***\nb\n***", true,
     true}, // blank ends do not count
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\":2}", "a\n***\n***\nb", false,
     false},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\":2}", "a\n\nb", false, false},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\":2}", "a****b", true, true},
    {NTH, "One.\n\n'Hello, you", true, true},
    {NTH, "One.\n\nHelloween", false, false},
    {NTH, "One.\n\nHello\n\nthree", false, true}, // without the last line
    {NTH, "One.\n\nHello\n\nthree\nfour", false, false},
    {NTH, "\n\nOne.\n\nHello", false, true}, // the blank piece shifts the number
    {NTH, "One.\n\n \n\nHello", false, false},
    // Each letter is put into lower case by itself: no sigma is a last one.
    {"length_constraints:nth_paragraph_first_word",
     "{\"num_paragraphs\":1,\"nth_paragraph\":1,\"first_word\":\"ΟΔΟΣ\"}", "ΟΔΟΣ", false, false},
    {"length_constraints:nth_paragraph_first_word",
     "{\"num_paragraphs\":1,\"nth_paragraph\":1,\"first_word\":\"οδοσ\"}", "ΟΔΟΣ", true, true},
    {"length_constraints:nth_paragraph_first_word",
     "{\"num_paragraphs\":1,\"nth_paragraph\":1,\"first_word\":\"İs\"}", "İS, İS", true, true},
};

static const struct example FORMAT[] = {
    {"detectable_format:number_bullet_lists", "{\"num_bullets\":2}", "* a\n- b", true, true},
    {"detectable_format:number_bullet_lists", "{\"num_bullets\":2}", "* a\n** b", false, false},
    {"detectable_format:number_bullet_lists", "{\"num_bullets\":2}", "1. a\n\xE2\x80\xA2 b", false,
     false},
    {"detectable_format:number_bullet_lists", "{\"num_bullets\":1}", "*\n* b", true, true},
    {"detectable_format:number_bullet_lists", "{\"num_bullets\":1}", "text\n---", true, true},
    {"detectable_format:constrained_response", "{}", "So: My answer is no. Yes.", true, true},
    {"detectable_format:constrained_response", "{}", "my answer is no.", false, false},
    {"detectable_format:constrained_response", "{}", "My answer is *no.*", false, true},
    {"detectable_format:number_highlighted_sections", "{\"num_highlights\":2}", "*a* **b**", true,
     true},
    {"detectable_format:number_highlighted_sections", "{\"num_highlights\":2}", "***a***", true,
     true}, // counts in both scans
    {"detectable_format:number_highlighted_sections", "{\"num_highlights\":2}", "**a** ** **",
     false, false},
    {"detectable_format:number_highlighted_sections", "{\"num_highlights\":1}", "*a\nb*", false,
     false},
    {"detectable_format:multiple_sections", "{\"section_spliter\":\" Day \",\"num_sections\":2}",
     "Day 1\nx\nDay2 y", true, true},
    {"detectable_format:multiple_sections", "{\"section_spliter\":\"Day\",\"num_sections\":2}",
     "Day 1 day 2 Day  3", false, false},
    {"detectable_format:json_format", "{}", "```json\n{\"a\": [NaN, -0.5e1, \"\\ud800\"]}\n```",
     true, true},
    {"detectable_format:json_format", "{}", "{\"a\": 01}", false, false},
    {"detectable_format:json_format", "{}", "[1, 2,]", false, false},
    {"detectable_format:json_format", "{}", "{\"a\": 1} x", false, false},
    {"detectable_format:json_format", "{}", "{\"a\": \"\t\"}", false, false},
    {"detectable_format:json_format", "{}", "Here:\n{\"a\": 1.}", false, false},
    {"detectable_format:json_format", "{}", "Here:\n{\"a\": {}, \"b\": []}", false, true},
    {"detectable_format:title", "{}", "x <<a>>>", true, true},
    {"detectable_format:title", "{}", "<<>>", false, false},
    {"detectable_format:title", "{}", "<< >>", false, false},
    {"detectable_format:title", "{}", "<<a\nb>>", false, false},
    {"detectable_format:rephrasing", "{\"original_message\":\"I am *happy*.\"}", "I am *glad*.",
     true, true},
    {"detectable_format:rephrasing", "{\"original_message\":\"I am *happy*.\"}", "I was *glad*.",
     false, false},
    {"detectable_format:rephrasing", "{\"original_message\":\"I am *happy*.\"}", "I am .", false,
     false},
};

static const struct example CONTENT[] = {
    {"detectable_content:number_placeholders", "{\"num_placeholders\":2}", "[] [a](b)", true, true},
    {"detectable_content:number_placeholders", "{\"num_placeholders\":2}", "[[a] [b\n]", false,
     false},
    {"detectable_content:postscript", "{\"postscript_marker\":\"P.S.\"}", "x p. s. y", true, true},
    {"detectable_content:postscript", "{\"postscript_marker\":\"P.S.\"}", "x P.S y", false, false},
    {"detectable_content:postscript", "{\"postscript_marker\":\"P.P.S\"}", "P. P.\nS", true, true},
    {"detectable_content:postscript", "{\"postscript_marker\":\"P.P.S\"}", "P.S.", false, false},
    // Only these two, written so, allow white space.
    {"detectable_content:postscript", "{\"postscript_marker\":\" P.P.S \"}", "p. p. s", true, true},
    {"detectable_content:postscript", "{\"postscript_marker\":\"p.s.\"}", "P. S.", false, false},
    {"detectable_content:postscript", "{\"postscript_marker\":\"p.p.s\"}", "P. P. S", false, false},
    {"detectable_content:postscript", "{\"postscript_marker\":\"p.s.\"}", "P.S.", true, true},
    {"detectable_content:postscript", "{\"postscript_marker\":\"N.B.\"}", "n.b. x", true, true},
    {"detectable_content:rephrase_paragraph",
     "{\"original_paragraph\":\"a b b c\",\"low\":2,\"high\":3}", "B b A x", true, true},
    {"detectable_content:rephrase_paragraph",
     "{\"original_paragraph\":\"a b b c\",\"low\":2,\"high\":3}", "b x", false, false},
    {"detectable_content:rephrase_paragraph",
     "{\"original_paragraph\":\"a b b c\",\"low\":2,\"high\":3}", "a b c b", false, false},
    {"combination:two_responses", "{}", "a ****** b", true, true},
    {"combination:two_responses", "{}", "******a******b\n******", true, true},
    {"combination:two_responses", "{}", "a******a ", false, false},
    {"combination:two_responses", "{}", "a****** ******b", false, false},
    {"combination:repeat_prompt", "{\"prompt_to_repeat\":\" Do THIS\"}", "\ndo this. Ok", true,
     true},
    {"combination:repeat_prompt", "{\"prompt_to_repeat\":\" Do THIS\"}", "Sure:\nDo this", false,
     true},
    {"startend:end_checker", "{\"end_phrase\":\"The End. \"}", "x the end.\" \n", true, true},
    {"startend:end_checker", "{\"end_phrase\":\"The End.\"}", "x *the end.*", false, true},
    {"startend:end_checker", "{\"end_phrase\":\"The End.\"}", "the end", false, false},
    {"startend:quotation", "{}", " \"x\"\n", true, true},
    {"startend:quotation", "{}", "\"", false, false},
    {"startend:quotation", "{}", "\xE2\x80\x9Cx\xE2\x80\x9D", false, false},
    {"multi-turn:constrained_start", "{\"starter\":\"My answer:\"}", "x\n  My answer: y", true,
     true},
    {"multi-turn:constrained_start", "{\"starter\":\"My answer:\"}", "x My answer: y", false,
     false},
};

static struct constraint_list *parse(const char *id, const char *kwargs, struct error *err) {
    struct arena arena = {0};
    struct buffer json = {0};
    buffer_printf(&json, "{\"ids\":[\"%s\"],\"kwargs\":[%s]}", id, kwargs);
    const struct json *root = json_parse(buffer_slice(&json), &arena, err);
    assert_non_null(root);
    struct constraint_list *list =
        constraint_list_parse(json_get(root, "ids"), json_get(root, "kwargs"), err);
    arena_clear(&arena);
    buffer_free(&json);
    return list;
}

static void check(const struct example *e) {
    struct error err;
    enum constraint_verdict strict, loose;
    struct constraint_list *list = parse(e->id, e->kwargs, &err);
    if (!list) print_error("%s: %s\n", e->id, err.text);
    assert_non_null(list);
    constraint_list_check(list, slice_of(e->response), false, &strict);
    constraint_list_check(list, slice_of(e->response), true, &loose);
    constraint_list_free(&list);
    if (strict != (e->strict ? CONSTRAINT_FOLLOWED : CONSTRAINT_BROKEN) ||
        loose != (e->loose ? CONSTRAINT_FOLLOWED : CONSTRAINT_BROKEN)) {
        print_error("%s %s on <%s>: strict %d, loose %d\n", e->id, e->kwargs, e->response,
                    (int)strict, (int)loose);
        fail();
    }
}

#define CHECK_ALL(examples)                                                                        \
    for (size_t i = 0; i < sizeof(examples) / sizeof *(examples); i++) check(&(examples)[i])

static void test_words(void **state) {
    (void)state;
    CHECK_ALL(WORDS);
}

static void test_length(void **state) {
    (void)state;
    CHECK_ALL(LENGTH);
}

static void test_format(void **state) {
    (void)state;
    CHECK_ALL(FORMAT);
}

static void test_content(void **state) {
    (void)state;
    CHECK_ALL(CONTENT);
}

static int count(const char *id, bool strict) {
    static const struct {
        const struct example *rows;
        size_t n;
    } TABLES[] = {{WORDS, sizeof WORDS / sizeof *WORDS},
                  {LENGTH, sizeof LENGTH / sizeof *LENGTH},
                  {FORMAT, sizeof FORMAT / sizeof *FORMAT},
                  {CONTENT, sizeof CONTENT / sizeof *CONTENT}};
    int n = 0;
    for (size_t t = 0; t < 4; t++)
        for (size_t i = 0; i < TABLES[t].n; i++)
            n += strcmp(TABLES[t].rows[i].id, id) == 0 && TABLES[t].rows[i].strict == strict;
    return n;
}

// Every id of IFEval's four families has an example that follows it and one that does not.
static void test_every_id(void **state) {
    static const char *const FAMILIES[] = {
        "keywords:existence",
        "keywords:frequency",
        "keywords:forbidden_words",
        "keywords:letter_frequency",
        "keywords:key_sentences",
        "language:response_language",
        "length_constraints:number_sentences",
        "length_constraints:number_paragraphs",
        "length_constraints:number_words",
        "length_constraints:nth_paragraph_first_word",
        "detectable_content:number_placeholders",
        "detectable_content:postscript",
        "detectable_content:rephrase_paragraph",
        "detectable_format:number_bullet_lists",
        "detectable_format:constrained_response",
        "detectable_format:number_highlighted_sections",
        "detectable_format:multiple_sections",
        "detectable_format:json_format",
        "detectable_format:title",
        "detectable_format:rephrasing",
        "combination:two_responses",
        "combination:repeat_prompt",
        "startend:end_checker",
        "startend:quotation",
        "change_case:english_capital",
        "change_case:english_lowercase",
        "change_case:capital_word_frequency",
        "punctuation:no_comma",
        "multi-turn:constrained_start",
    };
    (void)state;
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++) {
        assert_non_null(constraint_find(slice_of(FAMILIES[i])));
        assert_true(count(FAMILIES[i], true) > 0);
        assert_true(count(FAMILIES[i], false) > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),    cmocka_unit_test(test_length),
        cmocka_unit_test(test_format),   cmocka_unit_test(test_content),
        cmocka_unit_test(test_every_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
