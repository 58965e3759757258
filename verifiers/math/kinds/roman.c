#include "verifiers/math/kinds/roman.h"

#include "verifiers/math/base/ascii.h"

enum { MAX_LETTERS = 7 }; // XXXVIII

long roman_value(struct slice letters, bool lone) {
    static const char *const TENS[] = {"", "x", "xx", "xxx"};
    static const char *const ONES[] = {"", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"};
    if (letters.len < (lone ? 1 : 2) || letters.len > MAX_LETTERS) return -1;
    for (long value = 1; value < 40; value++) {
        const char *ten = TENS[value / 10], *one = ONES[value % 10];
        const size_t n = strlen(ten), m = strlen(one);
        if (n + m == letters.len && ascii_same(letters.ptr, ten, n) &&
            ascii_same(letters.ptr + n, one, m))
            return value;
    }
    return -1;
}

const struct math_node *roman_number(struct comparison *c, const struct math_node *node) {
    char letters[MAX_LETTERS];
    struct slice text = node->text;
    if (c->depth > 1) return node;
    if (node->kind == MATH_MUL) { // capitals side by side
        if (node->op != TREE_JUXTAPOSED || node->n > MAX_LETTERS) return node;
        for (int i = 0; i < node->n; i++) {
            const struct math_node *kid = node->kids[i];
            if (kid->kind != MATH_SYMBOL || kid->text.len != 1 || !strchr("IVX", kid->text.ptr[0]))
                return node;
            letters[i] = kid->text.ptr[0];
        }
        text = (struct slice){letters, (size_t)node->n};
    } else if (node->kind != MATH_TEXT &&
               !(node->kind == MATH_SYMBOL && node->op == TREE_FROM_TEXT)) {
        return node;
    }
    const long value = roman_value(text, false);
    return value < 0 ? node : tree_number(value, c->arena);
}
