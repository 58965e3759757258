// Words in the form in which they are compared: what is said in several ways by one of them, and
// numbers, fractions and sets as what they are.

#include "verifiers/math/kinds/kind.h"
#include "verifiers/math/kinds/numeral.h"

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

const struct math_node *text_normal(struct comparison *c, const struct math_node *node) {
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
