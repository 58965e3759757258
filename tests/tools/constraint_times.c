// What hostile text costs each constraint. All of it takes a quarter of an hour; run it by hand
// after a change to verifiers/constraints.
//
//     constraint_times [--bytes N] [--all] [--id ID] [--text NAME]
//
// Texts of N bytes (default 1,000,000), each one unit over and over, are checked by every
// constraint with several arguments: short and long strings that almost occur in the text, bounds
// that are never and always reached. The loose check has a line in front of the text and one
// behind it, each with a star in it, so that all eight variants are different texts. Prints a row
// for each id, slowest first: milliseconds of processor time of the loose check of its slowest
// text (the least of three, if it is long), whether that ended at the budget ("limit"), and the
// same of the strict check. --all prints every text of every id that took over 1 ms, --id and
// --text leave the others out. The exit status is 1 when a check took over LIMIT_MS.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/base/buffer.h"
#include "verifiers/constraints/constraints.h"

enum {
    DEFAULT_BYTES = 1000000,
    LIMIT_MS = 50,
    MAX_ROWS = 256,
    N_ARGUMENTS = 4,
    N_RUNS = 3,
    SHORT_NS = 20000000
};

static const struct {
    const char *name, *unit;
} FAMILIES[] = {
    {"one letter", "a"},
    {"capitals", "A"},
    {"spaces", " "},
    {"newlines", "\n"},
    {"tabs", "\t"},
    {"wide spaces", "\xE3\x80\x80"},
    {"letter and space", "a "},
    {"letter and newline", "a\n"},
    {"letter and blank line", "a\n\n"},
    {"short sentences", "a. "},
    {"no space behind", "a."},
    {"capital initials", "A. "},
    {"initials", "A.B."},
    {"letters that dots part", "a.b "},
    {"sentences", "He went home. "},
    {"one dot", "."},
    {"dots and spaces", ". "},
    {"two dots", ".. "},
    {"ellipses", "a... "},
    {"dots at wide spaces", ".\xE3\x80\x80"},
    {"questions", "a? "},
    {"marks", "?!"},
    {"marks at quotes", ".\" "},
    {"marks in brackets", "a.) "},
    {"marks and newlines", "a.\n"},
    {"titles", "Mr. "},
    {"abbreviations", "U.S. "},
    {"numbers", "1"},
    {"numbered", "1. "},
    {"digits and commas", "1,2"},
    {"commas", ","},
    {"words and commas", "a,"},
    {"wide digits", "\xD9\xA3"},
    {"dashes", "-"},
    {"words and dashes", "a-"},
    {"bullets", "- a\n"},
    {"stars", "*"},
    {"star bullets", "* a\n"},
    {"bold", "**a** "},
    {"half of a pair", "*a"},
    {"paragraphs of stars", "a ***\n"},
    {"open brackets", "["},
    {"brackets", "[a]"},
    {"nested brackets", "([{"},
    {"closed brackets", "]"},
    {"brackets of a line", "[a\n"},
    {"angles", "<<a"},
    {"open angles", "<"},
    {"closed angles", ">"},
    {"titles in angles", "<<a>>\n"},
    {"tags", "<b>a</b> "},
    {"italics", "<i>"},
    {"quotes", "\""},
    {"quoted words", "\"a\" "},
    {"apostrophes", "'"},
    {"two apostrophes", "'' "},
    {"clitics", "n't "},
    {"contractions", "cannot"},
    {"old contractions", "'twas"},
    {"backticks", "`"},
    {"curly quotes", "\xE2\x80\x9C\x61\xE2\x80\x9D "},
    {"no spaces", "abcdefghij"},
    {"mixed case", "aB"},
    {"capitalised", "Ab "},
    {"final sigma", "\xCE\xA3'"},
    {"sigma", "\xCE\xA3"},
    {"dotted capital I", "\xC4\xB0"},
    {"accents", "\xC3\xA9"},
    {"a mark of two", "a\xCC\x81\xCC\xA3"},
    {"combining marks", "\xCC\x81"},
    {"marks out of order", "\xCC\x95\xCC\x80\xCC\x9A"},
    {"ligatures", "\xEF\xB7\xBA"},
    {"hangul", "\xEA\xB0\x80"},
    {"han", "\xE4\xB8\xAD"},
    {"thai", "\xE0\xB8\x81"},
    {"kana and full stops", "\xE3\x81\x82\xE3\x80\x82"},
    {"emoji", "\xF0\x9F\x98\x80"},
    {"joined emoji", "\xF0\x9F\x91\xA9\xE2\x80\x8D"},
    {"emoji sentences", "a\xF0\x9F\x98\x80. "},
    {"flags", "\xF0\x9F\x87\xA9"},
    {"ill-formed", "\xFF"},
    {"zero bytes", ""},
    {"addresses", "http://a "},
    {"mail", "a@a"},
    {"mail signs", "@"},
    {"JSON lists", "["},
    {"JSON objects", "{\"a\":"},
    {"a JSON list", "\"a\","},
    {"tables", "a,b,c,d,e\n"},
    {"tabs between", "a\tb\tc\td\te\n"},
    {"postscripts", "p.s"},
    {"spaced postscripts", "p. "},
    {"sections", "Section 1\n"},
    {"questions of a test", "Question 1: a\nA) b\n"},
    {"dates", "1800-01-01,"},
    {"countries", "Zimbabwe\n"},
    {"verbs", "walk "},
    {"names", "Ava Mia "},
    {"pronouns", "she/her "},
    {"stop words", "the "},
    {"palindromes", "level "},
    {"companies", " Inc. He "},
    {"sites", "a.com "},
    {"two letters", "ab "},
    // Texts that follow, so that checks go to their end.
    {"alternating syllables", "a water "},
    {"long words of both kinds", "responsibility characterization "},
    {"an alphabet", "a b c d e f g h i j k l m n o p q r s t u v w x y z "},
    {"consonants", "st "},
    {"each in brackets", "[a] "},
    {"each two in angles", "<<a b>> "},
    {"sub-bullets", "*-"},
    {"first as last", "a b. b a. "},
    {"numbers of one length", "12, "},
    {"first names", "Emma Olivia Ava Mia Amelia "},
    {"quoted and not", "\"a\" b "},
    {"emoji at each end", "a\xF0\x9F\x98\x80. "},
};

enum { N_FAMILIES = sizeof FAMILIES / sizeof *FAMILIES };

// Texts that are no repetition.
static const char *const OTHERS[] = {"different words",
                                     "growing words",
                                     "different blank lines",
                                     "random letters",
                                     "random marks",
                                     "random code points",
                                     "one word of a megabyte, then words"};
enum { N_OTHERS = sizeof OTHERS / sizeof *OTHERS };

struct row {
    const struct constraint *constraint;
    int64_t strict_ns, loose_ns;
    bool strict_limit, loose_limit;
    const char *strict_text, *loose_text;
};

static int64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void add_other(struct buffer *out, int which, uint32_t i, uint32_t *random) {
    static const char MARKS[] = " .,!?;:'\"()[]{}<>*-#@\nabAB12";
    char code[4] = {(char)(0xE1 + *random % 12), (char)(0x80 | *random / 16 % 64),
                    (char)(0x80 | *random / 1024 % 64), 0};
    next_random(random);
    if (which == 0) buffer_printf(out, "w%u ", i);
    if (which == 1)
        for (uint32_t k = 0; k <= i % 2000; k++) buffer_add_text(out, k < i % 2000 ? "a" : " ");
    if (which == 2) {
        for (uint32_t k = i; k; k /= 3) buffer_add_text(out, &"\t\0 \0\r"[k % 3 * 2]);
        buffer_add_text(out, "\n");
    }
    if (which == 3) buffer_printf(out, "%c", 'a' + *random % 26);
    if (which == 4) buffer_add(out, &MARKS[*random % (sizeof MARKS - 1)], 1);
    if (which == 5) buffer_add(out, code, 3);
    if (which == 6) buffer_add_text(out, i < 500000 ? "a" : " b");
}

#define FIRST_LINE "a*b\n"
#define LAST_LINE  "\nc*d"

// The text of a family between these lines, `n` bytes or a few less.
static void make_text(struct buffer *out, int family, size_t n) {
    uint32_t random = 12345, i = 0;
    buffer_clear(out);
    buffer_add_text(out, FIRST_LINE);
    n -= sizeof LAST_LINE - 1;
    if (family < N_FAMILIES) {
        const char *unit = FAMILIES[family].unit;
        const size_t len = *unit ? strlen(unit) : 1;
        while (out->len + len <= n) buffer_add(out, unit, len);
    } else {
        while (out->len < n) add_other(out, family - N_FAMILIES, i++, &random);
        out->len = n;
    }
    buffer_add_text(out, LAST_LINE);
}

static const char *family_name(int family) {
    return family < N_FAMILIES ? FAMILIES[family].name : OTHERS[family - N_FAMILIES];
}

// ---- Arguments ---------------------------------------------------------------------------------

static void add_string(struct buffer *out, const char *name, struct slice unit, int variant) {
    struct buffer text = {0};
    const char *fixed = strcmp(name, "language") == 0            ? "en"
                        : strcmp(name, "postscript_marker") == 0 ? (variant ? "p.p.s" : "P.S.")
                        : strcmp(name, "letter") == 0            ? "a"
                        : strcmp(name, "original_message") == 0  ? "a *a* b"
                                                                 : NULL;
    if (fixed) buffer_add_text(&text, fixed);
    // What occurs everywhere; what almost does; a long one that almost does.
    const int times = variant == 3 ? 1000 : variant == 2 ? 16 : 1;
    for (int i = 0; i < times && !fixed; i++) buffer_add_slice(&text, unit);
    if (!fixed && variant) buffer_add_text(&text, "xy");
    json_add_string(out, buffer_slice(&text));
    buffer_free(&text);
}

static void add_argument(struct buffer *out, const struct constraint_param *p, struct slice unit,
                         int variant) {
    int64_t number = variant % 2 ? 1000000 : p->min;
    if (p->max && number > p->max) number = p->max;
    if (variant == 2 && p->min <= 1) number = 1;
    switch (p->type) {
    case CONSTRAINT_INTEGER:
    case CONSTRAINT_REAL:
        buffer_printf(out, "%lld", (long long)number);
        break;
    case CONSTRAINT_STRING:
        add_string(out, p->name, unit, variant);
        break;
    case CONSTRAINT_STRINGS:
        buffer_add_text(out, "[");
        add_string(out, p->name, unit, variant);
        buffer_add_text(out, "]");
        break;
    case CONSTRAINT_RELATION:
        buffer_add_text(out, variant % 2 ? "\"less than\"" : "\"at least\"");
    }
}

static struct constraint_list *make_list(const struct constraint *c, struct slice unit, int variant,
                                         struct error *err) {
    struct buffer ids = {0}, kwargs = {0};
    struct arena arena = {0};
    buffer_printf(&ids, "[\"%s\"]", c->id);
    buffer_add_text(&kwargs, "[{");
    for (int i = 0; c->params[i].name; i++) {
        buffer_printf(&kwargs, "%s\"%s\":", i ? "," : "", c->params[i].name);
        add_argument(&kwargs, &c->params[i], unit, variant);
    }
    buffer_add_text(&kwargs, "}]");
    const struct json *a = json_parse(buffer_slice(&ids), &arena, err);
    const struct json *b = json_parse(buffer_slice(&kwargs), &arena, err);
    struct constraint_list *list = a && b ? constraint_list_parse(a, b, err) : NULL;
    arena_clear(&arena);
    buffer_free(&ids);
    buffer_free(&kwargs);
    return list;
}

// ---- Times -------------------------------------------------------------------------------------

// The least of some runs: other programs share the processor and its caches.
static int64_t check(const struct constraint_list *list, struct slice text, bool loose,
                     bool *limit) {
    enum constraint_verdict verdict;
    int64_t least = INT64_MAX;
    for (int i = 0; i == 0 || (i < N_RUNS && least > SHORT_NS); i++) {
        const int64_t start = cpu_ns();
        constraint_list_check(list, text, loose, &verdict);
        const int64_t ns = cpu_ns() - start;
        if (ns < least) least = ns;
    }
    *limit = verdict == CONSTRAINT_LIMIT;
    return least;
}

// `text` has the first and the last line, which the strict check does without.
static void time_text(struct row *row, const struct constraint_list *list, struct slice text,
                      const char *name, bool print) {
    bool limit, loose_limit;
    const struct slice inner = {text.ptr + sizeof FIRST_LINE - 1,
                                text.len - (sizeof FIRST_LINE - 1) - (sizeof LAST_LINE - 1)};
    const int64_t strict = check(list, inner, false, &limit);
    const int64_t loose = check(list, text, true, &loose_limit);
    if (print && loose > 1000000)
        printf("%s, %s: %.1f ms%s, loose %.1f ms%s\n", row->constraint->id, name,
               (double)strict / 1e6, limit ? " (limit)" : "", (double)loose / 1e6,
               loose_limit ? " (limit)" : "");
    if (strict > row->strict_ns) {
        row->strict_ns = strict;
        row->strict_limit = limit;
        row->strict_text = name;
    }
    if (loose > row->loose_ns) {
        row->loose_ns = loose;
        row->loose_limit = loose_limit;
        row->loose_text = name;
    }
}

static int slower(const void *a, const void *b) {
    const int64_t x = ((const struct row *)a)->loose_ns, y = ((const struct row *)b)->loose_ns;
    return (x < y) - (x > y);
}

static void sweep(struct row *rows, int n_rows, size_t n_bytes, const char *only, bool print) {
    struct buffer text = {0};
    for (int family = 0; family < N_FAMILIES + N_OTHERS; family++) {
        const char *unit = family < N_FAMILIES ? FAMILIES[family].unit : "w1";
        struct error err;
        if (only && strcmp(only, family_name(family)) != 0) continue;
        make_text(&text, family, n_bytes);
        for (int i = 0; i < n_rows; i++) {
            const int n = rows[i].constraint->params[0].name ? N_ARGUMENTS : 1;
            for (int variant = 0; variant < n; variant++) {
                // A blank unit is refused as a keyword by some.
                struct constraint_list *list =
                    make_list(rows[i].constraint, slice_of(unit), variant, &err);
                if (!list) list = make_list(rows[i].constraint, slice_of("a"), variant, &err);
                if (!list) continue;
                time_text(&rows[i], list, buffer_slice(&text), family_name(family), print);
                constraint_list_free(&list);
            }
        }
    }
    buffer_free(&text);
}

int main(int argc, char **argv) {
    struct row rows[MAX_ROWS] = {0};
    size_t n_bytes = DEFAULT_BYTES;
    const char *id = NULL, *only = NULL;
    bool print = false;
    int64_t most_ns = 0;
    int n = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0) print = true;
        if (i + 1 == argc) break;
        if (strcmp(argv[i], "--bytes") == 0) n_bytes = (size_t)strtoull(argv[++i], NULL, 10);
        if (strcmp(argv[i], "--id") == 0) id = argv[++i];
        if (strcmp(argv[i], "--text") == 0) only = argv[++i];
    }
    const struct constraint *row;
    for (int i = 0; n < MAX_ROWS && (row = constraint_at(i)); i++)
        if (!id || strcmp(id, row->id) == 0) rows[n++].constraint = row;
    sweep(rows, n, n_bytes, only, print);
    qsort(rows, (size_t)n, sizeof *rows, slower);
    printf("| id | loose ms | text | strict ms | text |\n|---|---|---|---|---|\n");
    for (int i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        printf("| `%s` | %.1f%s | %s | %.1f%s | %s |\n", r->constraint->id,
               (double)r->loose_ns / 1e6, r->loose_limit ? " (limit)" : "", r->loose_text,
               (double)r->strict_ns / 1e6, r->strict_limit ? " (limit)" : "", r->strict_text);
        if (r->strict_ns > most_ns) most_ns = r->strict_ns;
        if (r->loose_ns > most_ns) most_ns = r->loose_ns;
    }
    return most_ns > (int64_t)LIMIT_MS * 1000000;
}
