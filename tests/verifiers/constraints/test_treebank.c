// Words of a sentence. The expected ones are those of NLTK 3.9.2.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/verifiers/constraints/pieces.h"
#include "verifiers/constraints/treebank.h"

static void check(const char *sentence, const char *expected) {
    struct arena arena = {0};
    struct constraint_text text;
    text_open(&text, slice_of(sentence), &arena);
    const struct slices one = {.items = &text.raw, .n = 1};
    const struct slices words = treebank_words(&text, &one);
    char *got = pieces_join(&words, " ");
    assert_false(text.over);
    assert_string_equal(got, expected);
    free(got);
    arena_clear(&arena);
}

static void test_words(void **state) {
    static const char *const CASES[][2] = {
        {"", ""},
        {"Don't you've we'll I'm he'd it's", "Do n't you 've we 'll I 'm he 'd it 's"},
        {"\"Hello,\" she said.", "`` Hello , '' she said ."},
        {"(a [b] {c} <d>)", "( a [ b ] { c } < d > )"},
        {"costs $3.50, 10% off; e-mail a@b.c #1 & more",
         "costs $ 3.50 , 10 % off ; e-mail a @ b.c # 1 & more"},
        {"1,000 or 3:45 vs a,b: c", "1,000 or 3:45 vs a , b : c"},
        {"cannot gonna wanna go gimme lemme gotta d'ye more'n",
         "can not gon na wan na go gim me lem me got ta d 'ye more 'n"},
        {"'tis the dogs' 'twas 'em x'", "'t is the dogs ' 't was 'em x '"},
        {"wait... what?! --- yes--no", "wait ... what ? ! -- - yes -- no"},
        {"rock 'n' roll 'a b'", "rock 'n ' roll ' a b '"},
        {"“quoted” ‘single’ «chevron»", "“ quoted ” ‘ single ’ « chevron »"},
        {"`code` ``two`` ```three```", "` code ` `` two `` `` ` three `` `"},
        {"U.S.A. is here. (Really.)", "U.S.A. is here. ( Really . )"},
        {"He said ''so'' \"\"twice\"\"", "He said `` so '' `` '' twice '' ''"},
        {"N'T DON'T SHE'LL THEY'RE I'VE", "N'T DO N'T SHE 'LL THEY 'RE I 'VE"},
        {"*bold* **more** a*b", "* bold * * * more * * a * b"},
        {"end of it.) ", "end of it . )"},
        {"x,, y,:z,", "x , , y , :z ,"},
        {"a''b 'x 'm", "a '' b ' x 'm"},
        // A long s is an s, and neither dotless nor dotted I another i, where case does not count.
        {"'x 'ſ gımme GİMME 'tıſ 'twaſ goNNa", "' x 'ſ gım me GİM ME 't ıſ 't waſ goN Na"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) check(CASES[i][0], CASES[i][1]);
}

// Every pair of marks over and over: no byte is lost but white space.
static void test_pairs(void **state) {
    static const char MARKS[] = "'\"`,:;.?!*()<-@";
    (void)state;
    for (size_t i = 0; MARKS[i]; i++)
        for (size_t j = 0; MARKS[j]; j++) {
            char response[2001] = {0};
            struct arena arena = {0};
            struct constraint_text text;
            size_t n_bytes = 0;
            for (int n = 0; n < 2000; n += 2) memcpy(response + n, (char[]){MARKS[i], MARKS[j]}, 2);
            text_open(&text, slice_of(response), &arena);
            const struct slices one = {.items = &text.raw, .n = 1};
            const struct slices words = treebank_words(&text, &one);
            for (size_t k = 0; k < words.n; k++) {
                const bool is_quote = MARKS[i] == '"' || MARKS[j] == '"';
                n_bytes += words.items[k].len;
                assert_true(is_quote ||
                            memmem(response, 2000, words.items[k].ptr, words.items[k].len));
            }
            // A double quote is one byte, and two in its token; two apostrophes are two in both.
            assert_in_range(n_bytes, 2000, 4000);
            arena_clear(&arena);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
