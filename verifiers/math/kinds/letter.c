// Letters of a multiple choice with or without their words: C, (C), "C. 5".
#include "verifiers/math/kinds/kind.h"

static struct math_node *lettered(struct parser *p, uint8_t letter, struct slice text,
                                  struct math_node *formula) {
    struct math_node *node = parse_node(p, MATH_CHOICE, letter, formula != NULL, &formula);
    if (!node) return NULL;
    node->text = text;
    tree_seal(node);
    return node;
}

// "C. 5", "C) five", "(C) 5", "option C": the letter and where the option's words begin.
static struct math_node *read_letter(struct parser *p, struct math_node *formula) {
    int at = parse_skip_fonts(p, 0);
    const bool named = parse_is_word(&p->t[at], "option") || parse_is_word(&p->t[at], "choice");
    if (named) at = parse_skip_fonts(p, at + 1);
    const bool bracket = p->t[at].c == '(';
    if (bracket) at = parse_skip_fonts(p, at + 1);
    const struct token *letter = &p->t[at];
    if (letter->kind != TOKEN_WORD || letter->text.len != 1) return NULL;
    const char c = letter->text.ptr[0];
    if (c < 'A' || c > 'J') return NULL;
    at = parse_skip_fonts(p, at + 1);
    const struct token *mark = &p->t[at];
    const bool end = mark->kind == TOKEN_END;
    if (bracket ? mark->c != ')' : !(mark->c == ')' || mark->c == '.' || mark->c == ':')) {
        if (!(named && end && !bracket)) return NULL;
    } else {
        at = parse_skip_fonts(p, at + 1);
    }
    const struct token *next = &p->t[at];
    if (next->kind == TOKEN_END) // "(C)" and "C." may also be the variable
        return lettered(p, (uint8_t)c, (struct slice){"", 0}, formula);
    if (parse_is_word(next, "or") || parse_is_word(next, "and")) return NULL; // "(B) or (C)"
    if (!next->space && !(mark->c == '.' || mark->c == ':' || p->t[at - 1].c == '}')) return NULL;
    if (next->kind == TOKEN_RELATION || next->kind == TOKEN_CHAR) {
        if (next->kind == TOKEN_RELATION || !strchr("-+(\\$[", next->c)) return NULL;
    }
    const struct slice rest = {p->text.ptr + next->at, p->text.len - next->at};
    return lettered(p, (uint8_t)c, parse_plain(p, rest), formula);
}

// The letter that a node may stand for as a choice, or 0.
static char letter_of(const struct math_node *node) {
    if (node->kind == MATH_CHOICE) return (char)node->op;
    if (node->kind != MATH_SYMBOL || node->text.len != 1) return 0;
    const char c = node->text.ptr[0];
    if (c >= 'A' && c <= 'J') return c;
    return node->bracketed && c >= 'a' && c <= 'j' ? (char)(c - 'a' + 'A') : 0;
}

// What is behind the label in "(C) 8", which also reads as C times 8: a number, or NULL.
static const struct math_node *labelled(struct comparison *c, const struct math_node *answer) {
    if (answer->kind != MATH_CHOICE || answer->n == 0) return NULL;
    enum { MAX_FACTORS = 8 };
    const struct math_node *product = answer->kids[0], *kids[MAX_FACTORS];
    if (product->kind != MATH_MUL || product->n < 2 || product->n > MAX_FACTORS ||
        !product->kids[0]->bracketed || letter_of(product->kids[0]) != (char)answer->op)
        return NULL;
    for (int i = 1; i < product->n; i++) kids[i - 1] = product->kids[i];
    const struct math_node *rest =
        product->n == 2 ? kids[0] : kind_node(c, MATH_MUL, product->op, product->n - 1, kids);
    return rest->free ? NULL : rest;
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    if (gold->kind != MATH_CHOICE && answer->kind != MATH_CHOICE) return false;
    const char g = letter_of(gold), a = letter_of(answer);
    *out = kind_said(c, "choice", g && g == a ? MATH_EQUAL : MATH_DIFFERENT);
    if (g && a) return true;
    const struct math_node *left = gold->kind == MATH_CHOICE && gold->n ? gold->kids[0] : gold;
    const struct math_node *right =
        answer->kind == MATH_CHOICE && answer->n ? answer->kids[0] : answer;
    const struct math_node *number = left->free ? NULL : labelled(c, answer);
    if (left->kind != MATH_CHOICE && right->kind != MATH_CHOICE)
        *out = kinds_compare(c, left, number ? number : right);
    return true;
}

const struct kind letter_kind = {.reader = {.whole = read_letter}, .compare = compare};
