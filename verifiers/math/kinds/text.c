// Answers in words.

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/kinds/kind.h"
#include "verifiers/math/kinds/numeral.h"
#include "verifiers/math/kinds/roman.h"

// A word that nobody means as a product of its letters.
static bool is_english(struct slice word) {
    static const char *const SHORT[] = {"yes", "no",  "odd", "one",  "two",  "six",   "ten", "red",
                                        "not", "all", "any", "even", "none", "never", "the", "day",
                                        "sun", "mon", "tue", "wed",  "thu",  "fri",   "sat", "may"};
    for (size_t i = 0; i < sizeof SHORT / sizeof *SHORT; i++)
        if (word.len == strlen(SHORT[i]) && ascii_same(word.ptr, SHORT[i], word.len)) return true;
    const bool capital = ascii_is_upper(word.ptr[0]) && word.len > 1;
    return word.len > 3 || (word.len == 3 && capital && ascii_is_lower(word.ptr[1]));
}

// Only words, digits and the marks of a sentence, with a word among them that is English or in
// \text.
static bool is_prose(const struct parser *p) {
    bool english = false, upright = false;
    for (const struct token *t = p->t; t->kind != TOKEN_END; t++) {
        upright |= t->kind == TOKEN_FONT && t->op == 1;
        if (t->kind == TOKEN_FONT && slice_is(t->text, "operatorname")) return false;
        if (t->kind == TOKEN_WORD) {
            const bool joins = parse_is_word(t, "and") || parse_is_word(t, "or");
            english |= !joins && (is_english(t->text) || (upright && t->text.len > 1));
        } else if (t->kind == TOKEN_CHAR) {
            if (!strchr(".,;:!?'\"()-{}&", t->c) || t->op == 9) return false;
        } else if (t->kind != TOKEN_DIGITS && t->kind != TOKEN_FONT && t->kind != TOKEN_NAME &&
                   t->kind != TOKEN_CONSTANT && t->kind != TOKEN_RELATION) {
            return false;
        } else if ((t->kind == TOKEN_RELATION || t->kind == TOKEN_CONSTANT) &&
                   !ascii_is_alpha(t->text.ptr[0])) {
            return false;
        }
    }
    return english;
}

// The first word of "twenty-one", "two-thirds", "one half", which is read as a symbol.
static bool is_number_word(const struct math_node *node) {
    static const char *const WORDS[] = {"twenty", "thirty",  "forty",  "fifty",
                                        "sixty",  "seventy", "eighty", "ninety"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (node->kind == MATH_SYMBOL && node->text.len == strlen(WORDS[i]) &&
            ascii_same(node->text.ptr, WORDS[i], node->text.len))
            return true;
    return false;
}

// The last word of "two-thirds", which is read as minus a symbol.
static bool is_part_word(const struct math_node *node) {
    static const char *const WORDS[] = {"half",     "halves", "third",   "thirds",   "quarter",
                                        "quarters", "fourth", "fourths", "fifth",    "fifths",
                                        "sixth",    "sixths", "seventh", "sevenths", "eighth",
                                        "eighths",  "ninth",  "ninths",  "tenth",    "tenths"};
    if (node->kind != MATH_MUL || node->op != TREE_MINUS) return false;
    const struct math_node *word = node->kids[0];
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (word->kind == MATH_SYMBOL && word->text.len == strlen(WORDS[i]) &&
            ascii_same(word->text.ptr, WORDS[i], word->text.len))
            return true;
    return false;
}

// A formula that has a number, a relation or a list in it is meant as one, whatever words it has.
static bool is_meant(const struct math_node *node) {
    if (!node) return false;
    if (node->kind == MATH_NUMBER || node->kind == MATH_RELATION || node->kind == MATH_QUANTITY ||
        node->kind == MATH_PERCENT || node->kind == MATH_DEGREE || node->kind == MATH_CONSTANT)
        return true;
    if (node->kind == MATH_MUL || node->kind == MATH_ADD) {
        const struct math_node *first = node->kids[0];
        if (node->kind == MATH_ADD &&
            (is_number_word(first) || is_part_word(node->kids[node->n - 1])))
            return false; // twenty-one, two-thirds
        return node->op != TREE_JUXTAPOSED || first->kind == MATH_NUMBER;
    }
    for (int i = 0; i < node->n; i++)
        if (is_meant(node->kids[i])) return true;
    return node->kind == MATH_LIST && node->n > 0 && !node->kids[0]->text.len;
}

static struct math_node *read_text(struct parser *p, struct math_node *formula) {
    if (!is_prose(p) || is_meant(formula)) return NULL;
    const struct slice plain = parse_plain(p, p->text);
    if (!plain.len) return NULL;
    struct math_node *node = parse_node(p, MATH_TEXT, 0, formula != NULL, &formula);
    if (!node) return NULL;
    node->text = plain;
    tree_seal(node);
    return node;
}

// ---- Normal form -----------------------------------------------------------------------------

static bool is_one_of(struct slice text, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (slice_is(text, list[i])) return true;
    return false;
}

// What is said in several ways, by one of them.
static struct slice canonical(struct slice text) {
    static const char *const NOT_THERE[] = {"dne",
                                            "does not exist",
                                            "doesn't exist",
                                            "limit does not exist",
                                            "d.n.e",
                                            "d.n.e.",
                                            "it does not exist",
                                            "does not exists",
                                            "do not exist",
                                            "limit doesn't exist",
                                            "doesn’t exist",
                                            "not exist",
                                            "no limit",
                                            "limit dne",
                                            "integral does not exist",
                                            "value does not exist",
                                            "undefined",
                                            "not defined",
                                            "is undefined",
                                            "it is undefined",
                                            "is not defined",
                                            "nonexistent"};
    static const char *const DIVERGES[] = {"diverges",
                                           "divergent",
                                           "series diverges",
                                           "integral diverges",
                                           "is divergent",
                                           "it diverges",
                                           "series is divergent",
                                           "sequence diverges",
                                           "diverge",
                                           "integral is divergent"};
    static const char *const CONVERGES[] = {"converges",
                                            "convergent",
                                            "series converges",
                                            "integral converges",
                                            "is convergent",
                                            "it converges",
                                            "series is convergent",
                                            "sequence converges",
                                            "converge",
                                            "integral is convergent"};
    static const char *const MANY[] = {"infinitely many",
                                       "infinitely many solutions",
                                       "infinite solutions",
                                       "infinite number of solutions",
                                       "there are infinitely many solutions",
                                       "infinite many solutions",
                                       "infinitely many values"};
    static const char *const ORDINALS[][2] = {
        {"first", "1st"}, {"second", "2nd"}, {"third", "3rd"},     {"fourth", "4th"},
        {"fifth", "5th"}, {"sixth", "6th"},  {"seventh", "7th"},   {"eighth", "8th"},
        {"ninth", "9th"}, {"tenth", "10th"}, {"eleventh", "11th"}, {"twelfth", "12th"}};
    for (size_t i = 0; i < sizeof ORDINALS / sizeof *ORDINALS; i++)
        if (slice_is(text, ORDINALS[i][0])) return slice_of(ORDINALS[i][1]);
    if (is_one_of(text, NOT_THERE, sizeof NOT_THERE / sizeof *NOT_THERE)) return slice_of("dne");
    if (is_one_of(text, MANY, sizeof MANY / sizeof *MANY)) return slice_of("infinitely many");
    if (is_one_of(text, DIVERGES, sizeof DIVERGES / sizeof *DIVERGES)) return slice_of("diverges");
    if (is_one_of(text, CONVERGES, sizeof CONVERGES / sizeof *CONVERGES))
        return slice_of("converges");
    if (text.len > 3 && memcmp(text.ptr, "on ", 3) == 0) // "on Tuesday"
        return (struct slice){text.ptr + 3, text.len - 3};
    return text;
}

// The set that words stand for: 'R', 'Z', 'N', 'Q', '0', or 0.
static char set_of(struct slice text) {
    static const char *const EMPTY[] = {"no solution",
                                        "no solutions",
                                        "no real solution",
                                        "no real solutions",
                                        "empty set",
                                        "null set",
                                        "there is no solution",
                                        "there are no solutions",
                                        "has no solution",
                                        "has no solutions",
                                        "it has no solution",
                                        "equation has no solution",
                                        "equation has no solutions",
                                        "no such solution",
                                        "there are no real solutions",
                                        "solution set is empty",
                                        "empty",
                                        "no solution exists",
                                        "no solutions exist",
                                        "none"};
    static const char *const INTEGERS[] = {"all integers",    "set of all integers",
                                           "set of integers", "any integer",
                                           "integers",        "every integer"};
    static const char *const NATURALS[] = {"all natural numbers", "set of natural numbers",
                                           "natural numbers", "set of all natural numbers"};
    static const char *const RATIONALS[] = {"all rational numbers", "set of rational numbers",
                                            "rational numbers", "set of all rational numbers"};
    static const char *const REAL[] = {"all real numbers",
                                       "all reals",
                                       "all real values",
                                       "any real number",
                                       "every real number",
                                       "real numbers",
                                       "set of all real numbers",
                                       "all real x",
                                       "set of real numbers",
                                       "all real values of x",
                                       "all real numbers x",
                                       "any real x",
                                       "x is any real number",
                                       "all x",
                                       "reals",
                                       "all of r",
                                       "true for all real numbers",
                                       "for all real numbers",
                                       "all the real numbers"};
    if (is_one_of(text, EMPTY, sizeof EMPTY / sizeof *EMPTY)) return '0';
    if (is_one_of(text, INTEGERS, sizeof INTEGERS / sizeof *INTEGERS)) return 'Z';
    if (is_one_of(text, NATURALS, sizeof NATURALS / sizeof *NATURALS)) return 'N';
    if (is_one_of(text, RATIONALS, sizeof RATIONALS / sizeof *RATIONALS)) return 'Q';
    return is_one_of(text, REAL, sizeof REAL / sizeof *REAL) ? 'R' : 0;
}

// "one half", "two-thirds", "three quarters": NULL where the words are none of a fraction.
static const struct math_node *fraction_of(struct comparison *c, struct slice text) {
    static const char *const PARTS[] = {"half",    "third",  "quarter", "fifth", "sixth",
                                        "seventh", "eighth", "ninth",   "tenth"};
    static const char *const MANY[] = {"halves",   "thirds",  "quarters", "fifths", "sixths",
                                       "sevenths", "eighths", "ninths",   "tenths"};
    size_t at = text.len;
    while (at > 0 && text.ptr[at - 1] != ' ' && text.ptr[at - 1] != '-') at--;
    if (at < 2) return NULL;
    const struct slice part = {text.ptr + at, text.len - at};
    const long top = numeral_value((struct slice){text.ptr, at - 1});
    for (long i = 0; top > 0 && i < 9; i++)
        if (slice_is(part, top == 1 ? PARTS[i] : MANY[i]) ||
            (i == 2 && slice_is(part, top == 1 ? "fourth" : "fourths")))
            return kind_quotient(c, tree_number(top, c->arena), tree_number(i + 2, c->arena));
    return NULL;
}

// "march 3", "march 3rd", "3 march", "the 3rd of march": 100 times the month and the day, else 0.
static int date_of(struct slice text) {
    static const char *const MONTHS[] = {"january",   "february", "march",    "april",
                                         "may",       "june",     "july",     "august",
                                         "september", "october",  "november", "december"};
    int month = 0, day = 0;
    for (struct slice word; (word = numeral_next_word(&text)).len > 0;) {
        int number = 0, named = 0;
        size_t n = 0;
        while (n < word.len && n < 2 && word.ptr[n] >= '0' && word.ptr[n] <= '9')
            number = 10 * number + (word.ptr[n++] - '0');
        const struct slice rest = {word.ptr + n, word.len - n};
        for (int i = 0; i < 12; i++)
            if (slice_is(word, MONTHS[i])) named = i + 1;
        const bool ordinal = rest.len == 0 || slice_is(rest, "st") || slice_is(rest, "nd") ||
                             slice_is(rest, "rd") || slice_is(rest, "th");
        if (named && !month)
            month = named;
        else if (n > 0 && number > 0 && number <= 31 && ordinal && !day)
            day = number;
        else if (!slice_is(word, "of"))
            return 0;
    }
    return month && day ? 100 * month + day : 0;
}

static bool starts_with(struct slice text, const char *word) {
    return text.len > strlen(word) && memcmp(text.ptr, word, strlen(word)) == 0;
}

// A number in Chinese numerals, with a word behind it that counts: "十二", "十二个". -1: none.
static long without_counter(struct slice text) {
    static const char *const COUNTERS[] = {"个", "個", "只", "隻", "名", "人", "本", "件", "次"};
    if (text.len < 3 || (unsigned char)text.ptr[0] < 0xE3) return -1;
    for (size_t i = 0; i < sizeof COUNTERS / sizeof *COUNTERS; i++) {
        const size_t len = strlen(COUNTERS[i]);
        if (text.len <= len || memcmp(text.ptr + text.len - len, COUNTERS[i], len)) continue;
        text.len -= len;
        break;
    }
    return numeral_chinese(text);
}

static const struct math_node *words(struct comparison *c, const char *text) {
    struct math_node *node = kind_node(c, MATH_TEXT, 0, 0, NULL);
    node->text = (struct slice){arena_copy(c->arena, text, strlen(text)), strlen(text)};
    tree_seal(node);
    return node;
}

// 3^{\text{rd}}, as the words "3rd"; any other power as it is.
static const struct math_node *ordinal(struct comparison *c, const struct math_node *node) {
    static const char *const ENDS[] = {"st", "nd", "rd", "th"};
    enum { MAX_DIGITS = 12 };
    const struct math_node *base = node->kids[0], *end = node->kids[1];
    if (base->kind != MATH_NUMBER || base->exponent || base->text.len > MAX_DIGITS ||
        end->kind != MATH_SYMBOL || end->op != TREE_FROM_TEXT)
        return node;
    for (size_t i = 0; i < 4; i++) {
        char text[MAX_DIGITS + 4];
        if (!slice_is(end->text, ENDS[i])) continue;
        memcpy(text, base->text.ptr, base->text.len);
        memcpy(text + base->text.len, ENDS[i], 3);
        return words(c, text);
    }
    return node;
}

// "all positive real numbers" and its kin; NULL where the words say something else.
static const struct math_node *half_line(struct comparison *c, struct slice text) {
    static const struct {
        const char *word;
        bool below, closed;
    } ROWS[] = {{"positive ", false, false},    {"nonnegative ", false, true},
                {"non-negative ", false, true}, {"negative ", true, false},
                {"nonpositive ", true, true},   {"non-positive ", true, true}};
    static const char *const NUMBERS[] = {"real numbers", "reals", "real number"};
    static const char *const LEADS[] = {"set of all ", "set of ", "all ", "any ", "every "};
    for (size_t i = 0; i < sizeof LEADS / sizeof *LEADS; i++)
        if (starts_with(text, LEADS[i])) {
            text.ptr += strlen(LEADS[i]);
            text.len -= strlen(LEADS[i]);
            break;
        }
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        if (!starts_with(text, ROWS[i].word)) continue;
        const size_t len = strlen(ROWS[i].word);
        const struct slice rest = {text.ptr + len, text.len - len};
        if (!is_one_of(rest, NUMBERS, sizeof NUMBERS / sizeof *NUMBERS)) return NULL;
        const struct math_node *end = kind_node(c, MATH_CONSTANT, MATH_INFINITY, 0, NULL);
        const struct math_node *zero = tree_number(0, c->arena);
        if (ROWS[i].below) end = kind_negated(c, end);
        const struct math_node *const pair[] = {ROWS[i].below ? end : zero,
                                                ROWS[i].below ? zero : end};
        struct math_node *set = kind_node(c, MATH_BRACKETS, 0, 2, pair);
        set->open[0] = ROWS[i].below || !ROWS[i].closed;
        set->open[1] = !ROWS[i].below || !ROWS[i].closed;
        tree_seal(set);
        return set;
    }
    return NULL;
}
static const struct math_node *normal(struct comparison *c, const struct math_node *node) {
    const long chinese =
        node->kind == MATH_SYMBOL || node->kind == MATH_TEXT ? without_counter(node->text) : -1;
    if (chinese >= 0) return tree_number(chinese, c->arena);
    if (node->kind == MATH_POW) return ordinal(c, node);
    if (node->kind != MATH_TEXT) return node;
    const char set = set_of(node->text);
    if (set) return kind_node(c, MATH_SET_NAME, (uint8_t)set, 0, NULL);
    const struct math_node *half = half_line(c, node->text);
    if (half) return half;
    struct slice words = node->text;
    const bool minus = starts_with(words, "minus ") || starts_with(words, "negative ");
    if (minus) numeral_next_word(&words);
    const long number = words.len < 60 ? numeral_value(words) : -1;
    if (number >= 0) {
        const struct math_node *value = tree_number(number, c->arena);
        return minus ? kind_negated(c, value) : value;
    }
    const struct math_node *fraction = words.len < 60 ? fraction_of(c, words) : NULL;
    if (fraction) return minus ? kind_negated(c, fraction) : fraction;
    const struct slice text = canonical(node->text);
    if (slice_is(text, "infinitely many"))
        return kind_node(c, MATH_CONSTANT, MATH_INFINITY, 0, NULL);
    if (text.ptr == node->text.ptr) return node;
    struct math_node *said =
        kind_node(c, MATH_TEXT, 0, node->n, (const struct math_node *const *)node->kids);
    said->text = text;
    tree_seal(said);
    return said;
}

// ---- Comparison ------------------------------------------------------------------------------

// The letters of a word, in lower case: of words, of \text{ABC}, and of ABC, which is read as a
// product. False where the node is none of that.
static bool spell(const struct math_node *node, char out[32], size_t *len) {
    *len = 0;
    if (node->kind == MATH_TEXT || (node->kind == MATH_SYMBOL && node->op == TREE_FROM_TEXT) ||
        (node->kind == MATH_SYMBOL && node->text.len > 3)) {
        if (node->text.len == 0 || node->text.len >= 32) return false;
        for (size_t i = 0; i < node->text.len; i++) {
            if (!ascii_is_alpha(node->text.ptr[i])) return false;
            out[(*len)++] = ascii_lower(node->text.ptr[i]);
        }
        return true;
    }
    if (node->kind != MATH_MUL || node->op != TREE_JUXTAPOSED || node->n >= 32) return false;
    for (int i = 0; i < node->n; i++) {
        const struct math_node *kid = node->kids[i];
        if (kid->kind == MATH_CONSTANT && (kid->op == MATH_E || kid->op == MATH_I))
            out[(*len)++] = kid->op == MATH_E ? 'e' : 'i';
        else if (kid->kind == MATH_SYMBOL && kid->text.len == 1)
            out[(*len)++] = ascii_lower(kid->text.ptr[0]);
        else
            return false;
    }
    return true;
}

static bool is_word(const struct math_node *node) {
    return node->kind == MATH_TEXT || (node->kind == MATH_SYMBOL && node->op == TREE_FROM_TEXT);
}

// Capitals side by side, three or more: HTH is as well a word as a product.
static bool is_word_of_capitals(const struct math_node *node) {
    if (node->kind != MATH_MUL || node->op != TREE_JUXTAPOSED || node->n < 3) return false;
    for (int i = 0; i < node->n; i++)
        if (node->kids[i]->kind != MATH_SYMBOL || node->kids[i]->text.len != 1 ||
            !ascii_is_upper(node->kids[i]->text.ptr[0]))
            return false;
    return true;
}

static bool compare_spelling(struct comparison *c, const struct math_node *gold,
                             const struct math_node *answer, enum math_verdict *out) {
    char g[32], a[32];
    size_t n, m;
    const bool capitals = is_word_of_capitals(gold) && is_word_of_capitals(answer);
    if (!capitals && !is_word(gold) && !is_word(answer)) return false;
    if (!spell(gold, g, &n) || !spell(answer, a, &m)) return false;
    const bool same = n == m && memcmp(g, a, n) == 0;
    if (!same && capitals) { // the same letters in another order: one product, two words
        *out = kind_said(c, "words", n == m ? MATH_UNKNOWN : MATH_DIFFERENT);
        return true;
    }
    if (!same && gold->kind == MATH_TEXT && answer->kind == MATH_TEXT) return false;
    if (!same && (gold->kind == MATH_TEXT || answer->kind == MATH_TEXT)) return false;
    *out = kind_said(c, "words", same ? MATH_EQUAL : MATH_DIFFERENT);
    return true;
}

// "no, because it is not bounded" and "yes (it converges)" begin with the verdict; what follows is
// its reason, unless another verdict stands there.
static bool begins_with_verdict(struct slice answer, struct slice gold) {
    static const char *const VERDICTS[] = {"yes", "no", "true", "false"};
    static const char *const MARKS[] = {",",  ".",   ";",        ":",      " (",  " —",
                                        " –", " - ", " because", " since", " as "};
    bool known = false, apart = false;
    for (size_t i = 0; i < sizeof VERDICTS / sizeof *VERDICTS; i++)
        known |= slice_is(gold, VERDICTS[i]);
    if (!known || answer.len <= gold.len || memcmp(answer.ptr, gold.ptr, gold.len)) return false;
    struct slice rest = {answer.ptr + gold.len, answer.len - gold.len};
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++)
        apart |= rest.len > strlen(MARKS[i]) && memcmp(rest.ptr, MARKS[i], strlen(MARKS[i])) == 0;
    while (apart && rest.len) { // "no, maybe yes"
        while (rest.len && !ascii_is_alpha(rest.ptr[0])) rest.ptr++, rest.len--;
        size_t n = 0;
        while (n < rest.len && ascii_is_alpha(rest.ptr[n])) n++;
        const struct slice word = {rest.ptr, n};
        if ((is_one_of(word, VERDICTS, sizeof VERDICTS / sizeof *VERDICTS) &&
             !slice_equal(word, gold)) ||
            slice_is(word, "maybe") || slice_is(word, "or"))
            return false;
        rest.ptr += n;
        rest.len -= n;
    }
    return apart;
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    if (roman_compare(c, gold, answer, out)) return true;
    if (compare_spelling(c, gold, answer, out)) return true;
    const bool both = gold->kind == MATH_TEXT && answer->kind == MATH_TEXT;
    if (gold->kind != MATH_TEXT && answer->kind != MATH_TEXT) return false;
    if (both) {
        const int date = date_of(gold->text);
        const bool same = slice_equal(gold->text, answer->text) ||
                          begins_with_verdict(answer->text, gold->text) ||
                          (date && date == date_of(answer->text));
        *out = kind_said(c, "words", same ? MATH_EQUAL : MATH_DIFFERENT);
    } else if (gold->kind == MATH_TEXT) {
        *out = gold->n ? kinds_compare(c, gold->kids[0], answer)
                       : kind_said(c, "words", MATH_DIFFERENT);
    } else {
        *out = answer->n ? kinds_compare(c, gold, answer->kids[0])
                         : kind_said(c, "words", MATH_UNKNOWN);
    }
    return true;
}

const struct kind text_kind = {
    .reader = {.whole = read_text}, .normal = normal, .compare = compare};
