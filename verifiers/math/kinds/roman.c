#include "verifiers/math/kinds/roman.h"

#include "verifiers/math/base/ascii.h"

enum { MAX_LETTERS = 7 }; // XXXVIII

static long value_of(struct slice letters, bool lone) {
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

// What the node counts as a numeral, -1: it is none.
static long numeral(const struct math_node *node) {
    char letters[MAX_LETTERS];
    static const char QUADRANT[] = "quadrant ";
    const size_t len = strlen(QUADRANT);
    if (node->kind == MATH_TEXT && node->text.len > len && !memcmp(node->text.ptr, QUADRANT, len))
        return value_of((struct slice){node->text.ptr + len, node->text.len - len}, true);
    if (node->kind == MATH_TEXT || (node->kind == MATH_SYMBOL && node->op == TREE_FROM_TEXT))
        return value_of(node->text, false);
    if (node->kind != MATH_MUL || node->op != TREE_JUXTAPOSED || node->n > MAX_LETTERS) return -1;
    for (int i = 0; i < node->n; i++) { // capitals side by side
        const struct math_node *kid = node->kids[i];
        if (kid->kind != MATH_SYMBOL || kid->text.len != 1 || !strchr("IVX", kid->text.ptr[0]))
            return -1;
        letters[i] = kid->text.ptr[0];
    }
    return value_of((struct slice){letters, (size_t)node->n}, false);
}

bool roman_compare(struct comparison *c, const struct math_node *gold,
                   const struct math_node *answer, enum math_verdict *out) {
    struct ratio number;
    const long value = c->depth > 1 ? -1 : numeral(gold); // in a formula, I and V are physics
    if (value < 0) return false;
    const long other = numeral(answer);
    if (other < 0 && !(answer->kind == MATH_NUMBER && ratio_of(answer, &number))) return false;
    const bool same = other < 0 ? number.num == value && number.den == 1 : other == value;
    *out = kind_said(c, "roman", same ? MATH_EQUAL : MATH_DIFFERENT);
    return true;
}
