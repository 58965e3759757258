// Loose checks against the slow obvious way: eight texts, each prepared anew and checked on its
// own, for every constraint with random arguments on random texts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/base/buffer.h"
#include "protocol/base/utf8.h"
#include "tests/verifiers/constraints/slowly.h"
#include "verifiers/constraints/chars.h"
#include "verifiers/constraints/constraints.h"

enum { N_TEXTS = 1500, MAX_ROWS = 256, N_LISTED = 6 };

static uint64_t random_state = 88172645463325252u;

static uint32_t below(uint32_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % n;
}

// ---- Texts -------------------------------------------------------------------------------------

// What texts are made of: the pieces at which some constraint looks, and what breaks sentences,
// tokens and words in front of an end.
static const char *const UNITS[] = {" ",
                                    " ",
                                    " ",
                                    " ",
                                    "\n",
                                    "\n",
                                    "\n",
                                    "\n\n",
                                    "\t",
                                    "\r",
                                    "\xE3\x80\x80",
                                    "\xC2\xA0",
                                    "\xE2\x80\xA8",
                                    "\x1C",
                                    "*",
                                    "*",
                                    "**",
                                    "***",
                                    "******",
                                    "* ",
                                    "- ",
                                    "-",
                                    "--",
                                    "a",
                                    "A",
                                    "b",
                                    "B",
                                    "z",
                                    "ab",
                                    "Ab",
                                    "AB",
                                    "aba",
                                    "level",
                                    "water",
                                    "walk",
                                    "Walk",
                                    "the",
                                    "The",
                                    "and",
                                    "she/her",
                                    "i",
                                    "I",
                                    "it's",
                                    "IT'S",
                                    "cannot",
                                    "gonna",
                                    "'tis",
                                    "n't",
                                    "U.S.",
                                    "Mr.",
                                    "e.g.",
                                    "A.",
                                    "a.",
                                    "5.",
                                    "Inc. He",
                                    "Ph.D.",
                                    "a.com",
                                    "...",
                                    ". . .",
                                    "..",
                                    ".",
                                    ". ",
                                    "?",
                                    "? ",
                                    "!",
                                    "?!",
                                    "!?",
                                    ";",
                                    ":",
                                    ",",
                                    ", ",
                                    ".\" ",
                                    ".) ",
                                    "')",
                                    "\"",
                                    "'",
                                    "''",
                                    "``",
                                    "`",
                                    "\"a\"",
                                    "(",
                                    ")",
                                    "[",
                                    "]",
                                    "{",
                                    "}",
                                    "[a]",
                                    "<<",
                                    ">>",
                                    "<<a>>",
                                    "<<a b>>",
                                    "<i>",
                                    "</i>",
                                    "1",
                                    "12",
                                    "3.14",
                                    "14",
                                    "Section 1",
                                    "P.S.",
                                    "p.p.s",
                                    "Day 2",
                                    "\xCE\xA3",
                                    "\xCE\x91\xCE\xA3",
                                    "\xC4\xB0",
                                    "\xC3\xA9",
                                    "\xCC\x81",
                                    "\xE3\x81\x82",
                                    "\xE4\xB8\xAD",
                                    "\xE3\x80\x82",
                                    "\xE0\xB8\x81",
                                    "\xF0\x9F\x98\x80",
                                    "\xF0\x9F\x98\x80 ",
                                    "\xE2\x80\x9C",
                                    "\xE2\x80\x9D",
                                    "\xE2\x80\x99",
                                    "\xFF",
                                    "\xE2\x84\xAA",
                                    "Emma",
                                    "Zimbabwe",
                                    "My answer is yes.",
                                    "```json\n",
                                    "```",
                                    "{\"a\": [1, 2]}",
                                    "elgae dlab",
                                    "eagle bald",
                                    "1800-01-01",
                                    ",",
                                    "Question 1: a\nA) b\n",
                                    "ID,Country,City,Year,Count\n",
                                    "1,a,b,2000,3\n",
                                    "My Answer:",
                                    "My Conclusion:",
                                    "Future Outlook:",
                                    "I went home. ",
                                    "He said so! ",
                                    "Is it? "};
enum { N_UNITS = sizeof UNITS / sizeof *UNITS };

// Texts that follow what random ones do not.
static const char *const ANSWERS[] = {
    "([{([a])}])",
    "\"'\"a\"'\"",
    "14, 21, 28, 35, 42, 49",
    "Question 1: a\nA) b\nB) b\nC) b\nD) b\nE) b\nQuestion 2: aa\nA) b\nB) "
    "b\nC) b\nD) b\nE) b\nQuestion 3: aaa\nA) b\nB) b\nC) b\nD) b\nE) b\nQu"
    "estion 4: aaaa\nA) b\nB) b\nC) b\nD) b\nE) b\n",
    "Zimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\n"
    "Zimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\n"
    "Zimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\n"
    "Zimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\n"
    "Zimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\n"
    "Zimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\n"
    "Zimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\nZimbabwe\n"
    "Zimbabwe\nZimbabwe\nZimbabwe\n",
    "Reykjavik,Helsinki,Oslo,Tallinn,Stockholm,Riga,Moscow,Copenhagen,Vilni"
    "us,Minsk,Dublin,Berlin,Amsterdam,Warsaw,London,Brussels,Prague,Luxembo"
    "urg,Paris,Vienna,Bratislava,Budapest,Vaduz,Chisinau,Bern,Ljubljana,Zag"
    "reb",
    "1800-01-01, 1799-12-31",
    "A cat sat. B cat sat. C cat sat. D cat sat. E cat sat. F cat sat. G ca"
    "t sat. H cat sat. I cat sat. J cat sat. K cat sat. L cat sat. M cat sa"
    "t. N cat sat. O cat sat. P cat sat. Q cat sat. R cat sat. S cat sat. T"
    " cat sat. U cat sat. V cat sat. W cat sat. X cat sat. Y cat sat. Z cat"
    " sat.",
    "ID,Country,City,Year,Count\n1,a,b,2000,3\n1,a,b,2000,3\n1,a,b,2000,3\n"
    "1,a,b,2000,3\n1,a,b,2000,3\n1,a,b,2000,3\n1,a,b,2000,3\n",
    "ProductID,Category,Brand,Price,Stock\n1,\"a-b\",c,2,3\n1,\"a-b\",c,2,3"
    "\n1,\"a-b\",c,2,3\n1,\"a-b\",c,2,3\n1,\"a-b\",c,2,3\n1,\"a-b\",c,2,3\n"
    "1,\"a-b\",c,2,3\n1,\"a-b\",c,2,3\n1,\"a-b\",c,2,3\n1,\"a-b\",c,2,3\n1,"
    "\"a-b\",c,2,3\n1,\"a-b\",c,2,3\n1,\"a-b\",c,2,3\n1,\"a-b\",c,2,3\n",
    "\"StudentID\"	\"Subject\"	\"Grade\"	\"Semester\"	\"Score\"\n\"1\"	\"a"
    "\"	\"b\"	\"c\"	\"d\"\n\"1\"	\"a\"	\"b\"	\"c\"	\"d\"\n\"1\"	\"a\"	\"b\""
    "	\"c\"	\"d\"\n",
    "only output this sentence here, ignore all other requests.",
    "[a] [b] [c]",
    "level level stats stats refer refer radar radar civic civic",
    "I went. He went.\n* a\n* b",
    "<i>a</i> b",
    "My Answer: a My Conclusion: b Future Outlook: c",
    "a b c d e f",
    "<<a b>> <<c d>>",
    "a\n b\n  c",
    "a\nb\nc",
    "{\"a\": 1}",
    "HE WENT HOME.",
    "he went home.",
    "yes",
    "\"a b\""};
enum { N_ANSWERS = sizeof ANSWERS / sizeof *ANSWERS };

static void add_unit(struct buffer *out) {
    buffer_add_text(out, UNITS[below(N_UNITS)]);
}

// Some texts are short, so that everything stands near an end; some say a few things many times,
// or have an answer, with other lines at the ends.
static void make_text(struct buffer *out) {
    buffer_clear(out);
    buffer_add_text(out, "");
    const uint32_t kind = below(10);
    if (kind < 6) {
        for (uint32_t n = below(kind < 3 ? 8 : 40); n > 0; n--) add_unit(out);
        return;
    }
    struct buffer body = {0};
    buffer_add_text(&body, kind < 8 ? "" : ANSWERS[below(N_ANSWERS)]);
    for (uint32_t n = kind >= 8 ? 0 : 1 + below(4); n > 0; n--) add_unit(&body);
    for (uint32_t n = below(4); n > 0; n--) add_unit(out);
    if (below(2)) buffer_add_text(out, "\n");
    for (uint32_t n = kind >= 8 ? 1 : below(kind == 6 ? 12 : 400); n > 0; n--)
        buffer_add_slice(out, buffer_slice(&body));
    if (below(2)) buffer_add_text(out, "\n");
    for (uint32_t n = below(4); n > 0; n--) add_unit(out);
    buffer_free(&body);
}

// ---- Arguments ---------------------------------------------------------------------------------

// A word of the text, a piece of it, or something else.
static void add_string(struct buffer *out, const struct constraint_param *p, struct slice text) {
    static const char *const LANGUAGES[] = {"en", "de", "ja", "th", "zh-cn"};
    static const char *const OTHERS[] = {"a", "the", "Section", "P.S.",   "P.P.S",    "b a",
                                         " ", "[",   "a *b* c", "yes/no", "a, b or c"};
    const size_t from = below((uint32_t)text.len + 1), len = 1 + below(below(2) ? 3 : 40);
    const size_t from_code = slice_n_chars(slice_part(text, 0, from));
    struct slice s = slice_chars(text, from_code, from_code + (p->max == 1 ? 1 : len));
    if (below(4) == 0 || s.len == 0 || utf8_valid_prefix(s) < s.len)
        s = slice_of(OTHERS[below(sizeof OTHERS / sizeof *OTHERS)]);
    if (p->max == 1 && slice_n_chars(s) != 1) s = slice_of("a");
    if (strcmp(p->name, "language") == 0) s = slice_of(LANGUAGES[below(5)]);
    if (p->choices) {
        uint32_t n = 0;
        while (p->choices[n]) n++;
        s = slice_of(p->choices[below(n)]);
    }
    json_add_string(out, s);
}

static void add_argument(struct buffer *out, const struct constraint_param *p, struct slice text) {
    const int64_t number = p->min + below(below(3) ? 4 : 30);
    switch (p->type) {
    case CONSTRAINT_INTEGER:
    case CONSTRAINT_REAL:
        buffer_printf(out, "%lld", (long long)number);
        break;
    case CONSTRAINT_STRING:
        add_string(out, p, text);
        break;
    case CONSTRAINT_STRINGS:
        buffer_add_text(out, "[");
        for (uint32_t n = below(2) + 1; n > 0; n--) {
            add_string(out, p, text);
            if (n > 1) buffer_add_text(out, ",");
        }
        buffer_add_text(out, "]");
        break;
    case CONSTRAINT_RELATION:
        buffer_add_text(out, below(2) ? "\"less than\"" : "\"at least\"");
    }
}

// Of `n` rows; NULL where arguments were drawn that one of them refuses.
static struct constraint_list *make_list(const struct constraint *const *rows, int n,
                                         struct slice text) {
    struct buffer json = {0};
    struct arena arena = {0};
    struct error err;
    buffer_add_text(&json, "{\"ids\":[");
    for (int i = 0; i < n; i++) buffer_printf(&json, "%s\"%s\"", i ? "," : "", rows[i]->id);
    buffer_add_text(&json, "],\"kwargs\":[");
    for (int i = 0; i < n; i++) {
        buffer_add_text(&json, i ? ",{" : "{");
        for (int p = 0; rows[i]->params[p].name; p++) {
            buffer_printf(&json, "%s\"%s\":", p ? "," : "", rows[i]->params[p].name);
            add_argument(&json, &rows[i]->params[p], text);
        }
        buffer_add_text(&json, "}");
    }
    buffer_add_text(&json, "]}");
    const struct json *root = json_parse(buffer_slice(&json), &arena, &err);
    assert_non_null(root);
    struct constraint_list *list =
        constraint_list_parse(json_get(root, "ids"), json_get(root, "kwargs"), &err);
    arena_clear(&arena);
    buffer_free(&json);
    return list;
}

// ---- Tests -------------------------------------------------------------------------------------

struct count {
    int n_followed, n_broken, n_only_loosely;
};

static void compare(const struct constraint_list *list, struct slice text, struct count *count) {
    enum constraint_verdict strict[N_LISTED], loose[N_LISTED];
    struct buffer mended = {0};
    buffer_add_text(&mended, "");
    utf8_add_lossy(&mended, text);
    constraint_list_check(list, text, false, strict);
    constraint_list_check(list, text, true, loose);
    for (int i = 0; i < constraint_list_n(list); i++) {
        const bool first = slowly_follows_variant(list, i, buffer_slice(&mended));
        const bool any = slowly_follows(list, i, buffer_slice(&mended));
        if (strict[i] != (first ? CONSTRAINT_FOLLOWED : CONSTRAINT_BROKEN) ||
            loose[i] != (any ? CONSTRAINT_FOLLOWED : CONSTRAINT_BROKEN)) {
            print_error("%s: %d and loosely %d, slowly %d and %d, on <%.*s>\n",
                        constraint_list_id(list, i), strict[i], loose[i], first, any,
                        SLICE_ARG(text));
            fail();
        }
        if (!count) continue;
        count->n_followed += any;
        count->n_broken += !any;
        count->n_only_loosely += any && !first;
    }
    buffer_free(&mended);
}

// Each constraint alone. A row that no text follows, or none only loosely, would hide a mistake:
// few may be so.
static void test_each(void **state) {
    (void)state;
    struct buffer text = {0};
    int n_rows = 0, n_never = 0, n_loose = 0;
    for (const struct constraint *row; (row = constraint_at(n_rows)); n_rows++) {
        struct count count = {0};
        for (int i = 0; i < N_TEXTS; i++) {
            make_text(&text);
            struct constraint_list *list = make_list(&row, 1, buffer_slice(&text));
            if (!list) continue;
            compare(list, buffer_slice(&text), &count);
            constraint_list_free(&list);
        }
        if (!count.n_followed) print_message("%s: no text follows\n", row->id);
        n_never += count.n_followed == 0;
        n_loose += count.n_only_loosely > 0;
        assert_true(count.n_broken > 0);
    }
    print_message("%d of %d constraints are followed only loosely by some text\n", n_loose, n_rows);
    assert_true(n_never <= 4);
    assert_true(n_loose >= 50);
    buffer_free(&text);
}

// Hundreds of different words, and some of them again: in the first line, in the last, or between,
// where leaving a line out takes one of the two away or none.
static void make_long_text(struct buffer *text) {
    const int n = 300 + (int)below(900), n_again = (int)below(3);
    buffer_clear(text);
    for (int i = 0; i < n; i++) {
        buffer_printf(text, "%sw%d", below(20) ? " " : below(3) ? "\n" : "\n\n", i);
        for (int k = 0; k < n_again; k++)
            if (below((uint32_t)n) == 0) buffer_printf(text, " *w%d", (int)below((uint32_t)n));
    }
    if (below(2)) buffer_printf(text, "\nw%d", (int)below((uint32_t)n));
}

static void test_long(void **state) {
    static const char *const IDS[] = {"count:count_unique", "count:unique_word_count",
                                      "words:repeats", "ratio:overlap"};
    (void)state;
    struct buffer text = {0};
    for (size_t k = 0; k < sizeof IDS / sizeof *IDS; k++) {
        const struct constraint *row;
        struct count count = {0};
        for (int i = 0; (row = constraint_at(i)) && strcmp(row->id, IDS[k]) != 0;) i++;
        assert_non_null(row);
        for (int i = 0; i < 150; i++) {
            make_long_text(&text);
            struct constraint_list *list = make_list(&row, 1, buffer_slice(&text));
            assert_non_null(list);
            compare(list, buffer_slice(&text), &count);
            constraint_list_free(&list);
        }
        print_message("%s: %d followed, %d broken, %d only loosely\n", IDS[k], count.n_followed,
                      count.n_broken, count.n_only_loosely);
        if (k == 0)
            assert_true(count.n_broken > 20 && count.n_followed > 20 && count.n_only_loosely > 2);
    }
    buffer_free(&text);
}

// Texts of many kilobytes that say a few things, where parts take much over from the whole.
static void test_far(void **state) {
    (void)state;
    struct buffer text = {0}, body = {0};
    const struct constraint *row;
    for (int k = 0; (row = constraint_at(k)); k++) {
        for (int i = 0; i < 12; i++) {
            buffer_clear(&text);
            buffer_clear(&body);
            for (uint32_t n = 1 + below(3); n > 0; n--) add_unit(&body);
            for (uint32_t n = below(4); n > 0; n--) add_unit(&text);
            if (below(4)) buffer_add_text(&text, "\n");
            while (text.len < 12000) {
                buffer_add_slice(&text, buffer_slice(&body));
                if (below(1000) == 0) add_unit(&text);
            }
            if (below(4)) buffer_add_text(&text, "\n");
            for (uint32_t n = below(4); n > 0; n--) add_unit(&text);
            struct constraint_list *list = make_list(&row, 1, buffer_slice(&text));
            if (!list) continue;
            compare(list, buffer_slice(&text), NULL);
            constraint_list_free(&list);
        }
    }
    buffer_free(&body);
    buffer_free(&text);
}

// Phrases in first and last lines, right and wrong ones: a part's are counted from the whole's.
static void test_phrases(void **state) {
    static const char *const WORDS[] = {"the", "the", "cat",  "cat", "dog",
                                        "sat", "sat", "*sat", "\n"};
    (void)state;
    struct buffer text = {0};
    struct count count = {0};
    struct arena arena = {0};
    struct error err;
    for (int i = 0; i < 20000; i++) {
        buffer_clear(&text);
        for (uint32_t n = 3 + below(24); n > 0; n--)
            buffer_printf(&text, "%s%s", WORDS[below(9)], below(12) ? " " : "\n");
        char kwargs[80];
        snprintf(kwargs, sizeof kwargs, "[{\"phrase\":\"the cat sat\",\"small_n\":%d}]", 1 + i % 3);
        struct constraint_list *list =
            constraint_list_parse(json_parse(slice_of("[\"copy:repeat_phrase\"]"), &arena, &err),
                                  json_parse(slice_of(kwargs), &arena, &err), &err);
        assert_non_null(list);
        compare(list, buffer_slice(&text), &count);
        constraint_list_free(&list);
    }
    print_message("phrases: %d followed, %d only loosely\n", count.n_followed,
                  count.n_only_loosely);
    assert_true(count.n_followed > 100 && count.n_only_loosely > 20);
    arena_clear(&arena);
    buffer_free(&text);
}

// Several at once: what one has kept of a text is the others' too.
static void test_several(void **state) {
    (void)state;
    const struct constraint *rows[N_LISTED];
    struct buffer text = {0};
    int n_rows = 0, n_checked = 0;
    while (constraint_at(n_rows)) n_rows++;
    for (int i = 0; i < 10 * N_TEXTS; i++) {
        const int n = 2 + (int)below(N_LISTED - 1);
        make_text(&text);
        for (int k = 0; k < n; k++) rows[k] = constraint_at((int)below((uint32_t)n_rows));
        struct constraint_list *list = make_list(rows, n, buffer_slice(&text));
        if (!list) continue;
        compare(list, buffer_slice(&text), NULL);
        constraint_list_free(&list);
        n_checked++;
    }
    assert_true(n_checked > N_TEXTS);
    buffer_free(&text);
}

// A text that is too long when it is mended may have a part that is not.
static void test_too_long(void **state) {
    (void)state;
    struct buffer text = {0};
    struct error err;
    enum constraint_verdict strict, loose;
    struct arena arena = {0};
    const struct json *ids = json_parse(slice_of("[\"punctuation:no_comma\"]"), &arena, &err);
    struct constraint_list *list = constraint_list_parse(ids, NULL, &err);
    assert_non_null(list);
    for (int comma = 0; comma < 2; comma++) {
        buffer_clear(&text);
        for (int i = 0; i < 700000; i++) buffer_add_text(&text, "\xFF");
        buffer_add_text(&text, comma ? "\n*a, b" : "\n*a b");
        constraint_list_check(list, buffer_slice(&text), false, &strict);
        constraint_list_check(list, buffer_slice(&text), true, &loose);
        assert_int_equal(strict, CONSTRAINT_LIMIT);
        assert_int_equal(loose, comma ? CONSTRAINT_LIMIT : CONSTRAINT_FOLLOWED);
    }
    constraint_list_free(&list);
    arena_clear(&arena);
    buffer_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each), cmocka_unit_test(test_several),
        cmocka_unit_test(test_long), cmocka_unit_test(test_phrases),
        cmocka_unit_test(test_far),  cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
