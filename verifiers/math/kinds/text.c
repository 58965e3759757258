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

static bool is_one_of(struct slice text, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (slice_is(text, list[i])) return true;
    return false;
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

// "alice, bob" for "alice and bob", "alice & bob", "alice; bob".
static struct slice listed(struct comparison *c, struct slice text) {
    static const char *const JOINTS[] = {", and ", " and ", " & ", "; ", ";", ", ", ","};
    char *out = arena_take(c->arena, 2 * text.len + 1, 1); // "," becomes ", "
    size_t n = 0, n_names = 1;
    for (size_t at = 0; at < text.len;) {
        size_t len = 0;
        for (size_t i = 0; len == 0 && i < sizeof JOINTS / sizeof *JOINTS; i++)
            if (text.len - at > strlen(JOINTS[i]) &&
                memcmp(text.ptr + at, JOINTS[i], strlen(JOINTS[i])) == 0)
                len = strlen(JOINTS[i]);
        if (len) memcpy(out + n, ", ", 2), n += 2, n_names++;
        at += len;
        if (!len) out[n++] = text.ptr[at++];
    }
    return n_names > 1 ? (struct slice){out, n} : (struct slice){NULL, 0};
}

static bool same_names(struct comparison *c, struct slice gold, struct slice answer) {
    const struct slice names = listed(c, gold);
    return names.len && slice_equal(names, listed(c, answer));
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
                          same_names(c, gold->text, answer->text) ||
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
    .reader = {.whole = read_text}, .normal = text_normal, .compare = compare};
