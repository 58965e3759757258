// Answers in words.

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/kinds/kind.h"

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

// A formula that has a number, a relation or a list in it is meant as one, whatever words it has.
static bool is_meant(const struct math_node *node) {
    if (!node) return false;
    if (node->kind == MATH_NUMBER || node->kind == MATH_RELATION || node->kind == MATH_QUANTITY ||
        node->kind == MATH_PERCENT || node->kind == MATH_DEGREE || node->kind == MATH_CONSTANT)
        return true;
    if (node->kind == MATH_MUL || node->kind == MATH_ADD) {
        const struct math_node *first = node->kids[0];
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

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    const bool both = gold->kind == MATH_TEXT && answer->kind == MATH_TEXT;
    if (gold->kind != MATH_TEXT && answer->kind != MATH_TEXT) return false;
    if (both)
        *out = kind_said(c, "words",
                         slice_equal(gold->text, answer->text) ? MATH_EQUAL : MATH_DIFFERENT);
    else if (gold->kind == MATH_TEXT)
        *out = gold->n ? kinds_compare(c, gold->kids[0], answer)
                       : kind_said(c, "words", MATH_DIFFERENT);
    else
        *out = answer->n ? kinds_compare(c, gold, answer->kids[0])
                         : kind_said(c, "words", MATH_UNKNOWN);
    return true;
}

const struct kind text_kind = {.reader = {.whole = read_text}, .compare = compare};
