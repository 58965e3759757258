// Numbers and expressions: whatever has a value and no unit.
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/kinds/kind.h"

enum { MIN_SIGNIFICANT = 6, MIN_GOLD_SIGNIFICANT = 3 };

// A literal, or minus one; NULL otherwise.
static const struct math_node *literal(const struct math_node *node) {
    if (node->kind == MATH_MUL && node->n == 1) node = node->kids[0];
    return node->kind == MATH_NUMBER ? node : NULL;
}

static const struct math_node *decimal_literal(const struct math_node *node) {
    const struct math_node *number = literal(node);
    return number && number->decimal && !number->repeat ? number : NULL;
}

// a \times 10^b, of which a is what rounds.
static bool is_scientific(const struct math_node *side) {
    return side->kind == MATH_MUL && side->n == 2 && side->kids[1]->kind == MATH_POW &&
           tree_is_integer(side->kids[1]->kids[0], 10);
}

// A power of ten on one side only is divided off the other: 2.857142857 \times 10^{-1} for 2/7.
static void mantissas(struct comparison *c, const struct math_node **gold,
                      const struct math_node **answer) {
    const struct math_node *g = *gold, *a = *answer;
    const bool both = is_scientific(g) && is_scientific(a);
    if (both ? !tree_same(g->kids[1], a->kids[1]) : !is_scientific(g) && !is_scientific(a)) return;
    *gold = is_scientific(g) ? g->kids[0] : kind_quotient(c, g, a->kids[1]);
    *answer = is_scientific(a) ? a->kids[0] : kind_quotient(c, a, g->kids[1]);
}

static int significant(const struct math_node *number) {
    size_t zeros = 0;
    while (zeros < number->text.len && number->text.ptr[zeros] == '0') zeros++;
    return (int)(number->text.len - zeros);
}

// Two constants that are not equal: does a decimal stand for the other one?
static enum math_verdict rounded(struct comparison *c, const struct math_node *gold,
                                 const struct math_node *answer) {
    mantissas(c, &gold, &answer);
    const struct math_node *g = decimal_literal(gold), *a = decimal_literal(answer);
    if (c->options->no_rounding) return MATH_DIFFERENT;
    if (a && !g) {
        if (significant(a) < MIN_SIGNIFICANT) return MATH_DIFFERENT;
        if (exact_is_terminating(gold, c->budget) == EXACT_YES) return MATH_DIFFERENT;
        if (exact_rounds(gold, answer, true, c->budget) == EXACT_YES)
            return kind_said(c, "decimal", MATH_EQUAL_NUM);
    } else if (g && !a) {
        if (exact_is_terminating(answer, c->budget) == EXACT_YES) return MATH_DIFFERENT;
        // Of one digit, 0.5, too much rounds to it.
        if (exact_rounds(answer, gold, false, c->budget) == EXACT_YES)
            return kind_said(c, "decimal", significant(g) > 1 ? MATH_EQUAL_NUM : MATH_UNKNOWN);
    } else if (g && a && c->options->long_decimals && significant(g) >= MIN_GOLD_SIGNIFICANT &&
               a->n_decimals > g->n_decimals) {
        if (exact_rounds(answer, gold, false, c->budget) == EXACT_YES)
            return kind_said(c, "decimal", MATH_EQUAL_NUM);
    }
    return MATH_DIFFERENT;
}

// 204_5 is 54, and is also met by 204, which leaves the base to the question.
static bool same_digits(const struct math_node *based, const struct math_node *number) {
    return number->kind == MATH_NUMBER && !number->decimal && number->exponent == 0 &&
           slice_equal(based->text, number->text);
}

// The same of A3 for A3_{16}, which reads as a product of symbols.
static bool same_letters(const struct math_node *based, const struct math_node *product) {
    size_t at = 0;
    if (based->kind != MATH_BASED || product->kind != MATH_MUL || product->op != TREE_JUXTAPOSED)
        return false;
    for (int i = 0; i < product->n; i++) {
        const struct math_node *kid = product->kids[i];
        const bool digits = kid->kind == MATH_NUMBER && !kid->decimal && kid->exponent == 0;
        const bool letter = kid->kind == MATH_SYMBOL && kid->text.len == 1;
        if ((!digits && !letter) || kid->bracketed || (i > 0 && kid->spaced) ||
            at + kid->text.len > based->text.len ||
            !ascii_same(based->text.ptr + at, kid->text.ptr, kid->text.len))
            return false;
        at += kid->text.len;
    }
    return at == based->text.len;
}

static enum math_verdict constants(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    struct ratio g, a;
    const char *rule = "rational";
    if (kind_infinity(gold) || kind_infinity(answer))
        return kind_said(c, "infinity",
                         kind_infinity(gold) == kind_infinity(answer) ? MATH_EQUAL
                                                                      : MATH_DIFFERENT);
    const bool prefixed = answer->kind == MATH_BASED && answer->op == TREE_PREFIXED;
    if (prefixed && gold->kind != MATH_BASED) return kind_said(c, "base", MATH_UNKNOWN);
    if (gold->kind == MATH_BASED && same_digits(gold, answer))
        return kind_said(c, "base", MATH_EQUAL);
    enum math_verdict verdict;
    if (ratio_of(gold, &g) && ratio_of(answer, &a)) {
        c->rule = rule;
        verdict = g.num == a.num && g.den == a.den ? MATH_EQUAL : MATH_DIFFERENT;
    } else {
        const enum exact answered = exact_equal(gold, answer, c->budget, &rule);
        verdict = kind_from_exact(c, answered, rule);
    }
    if ((verdict == MATH_DIFFERENT || verdict == MATH_UNKNOWN) &&
        rounded(c, gold, answer) == MATH_EQUAL_NUM)
        return MATH_EQUAL_NUM;
    return verdict;
}

// The term of a sum that is one of the letters, where no other term has it; else NULL.
static const struct math_node *lone_term(const struct math_node *sum, const char *letters) {
    const struct math_node *found = NULL;
    for (int i = 0; sum->kind == MATH_ADD && i < sum->n; i++) {
        const struct math_node *term = sum->kids[i];
        if (term->kind == MATH_SYMBOL && term->text.len == 1 &&
            strchr(letters, term->text.ptr[0])) {
            if (found) return NULL;
            found = term;
        }
    }
    return found;
}

static bool has_capital(const struct math_node *node) {
    bool has = node->kind == MATH_SYMBOL && ascii_is_upper(node->text.ptr[0]);
    for (int i = 0; i < node->n && !has; i++) has = has_capital(node->kids[i]);
    return has;
}

// x^2 + c for x^2 + C: the constant of integration has any name. Beside other capitals, A + B + C,
// it is a letter like them.
static const struct math_node *with_constant(struct comparison *c, const struct math_node *gold,
                                             const struct math_node *answer) {
    const struct math_node *own = lone_term(gold, "C");
    const struct math_node *other = own ? lone_term(answer, "cCkK") : NULL;
    for (int i = 0; own && i < gold->n; i++)
        if (gold->kids[i] != own && has_capital(gold->kids[i])) return answer;
    if (!other || tree_same(own, other) || kind_replaced(c, gold, other, own) != gold)
        return answer;
    return kind_replaced(c, answer, other, own);
}

static bool has_turn(const struct math_node *node) {
    bool has = (node->kind == MATH_CONSTANT && node->op == MATH_PI) || node->kind == MATH_DEGREE;
    for (int i = 0; i < node->n && !has; i++) has = has_turn(node->kids[i]);
    return has;
}

// The only letter of an angle, where it stands for any integer: k of \pi/4 + k\pi. Else NULL.
static const struct math_node *parameter(const struct math_node *angle) {
    const struct math_node *letter = NULL;
    if (kind_has_other_symbol(angle, &letter) || !letter || letter->text.len != 1) return NULL;
    return strchr("kmn", letter->text.ptr[0]) && has_turn(angle) ? letter : NULL;
}

bool number_is_general_angle(const struct math_node *node) {
    return parameter(node) != NULL;
}

// \pi/4 + n\pi for \pi/4 + k\pi: the integer has any name.
static const struct math_node *with_parameter(struct comparison *c, const struct math_node *gold,
                                              const struct math_node *answer) {
    const struct math_node *own = parameter(gold), *other = own ? parameter(answer) : NULL;
    return other && !tree_same(own, other) ? kind_replaced(c, answer, other, own) : answer;
}

enum math_verdict number_compare(struct comparison *c, const struct math_node *gold,
                                 const struct math_node *answer) {
    if (tree_same(gold, answer)) return kind_said(c, "same", MATH_EQUAL);
    if (!math_step(c->budget, 1)) return kind_said(c, "budget", MATH_LIMIT);
    if (!gold->free && !answer->free) return constants(c, gold, answer);
    if (same_letters(gold, answer)) return kind_said(c, "base", MATH_EQUAL);
    if (kind_infinity(gold) || kind_infinity(answer))
        return kind_said(c, "infinity", MATH_DIFFERENT);
    const char *rule;
    answer = with_parameter(c, gold, with_constant(c, gold, answer));
    const enum exact answered = exact_identity(gold, answer, c->budget, &rule);
    return kind_from_exact(c, answered, rule);
}

// \binom{n}{2} of a symbol as n (n - 1) / 2: a product, where the lower number is small.
static const struct math_node *without_binomials(struct comparison *c,
                                                 const struct math_node *node) {
    enum { MAX_CHOSEN = 8 };
    const struct math_node *kids[16], *factors[MAX_CHOSEN + 1];
    struct ratio k;
    bool changed = false;
    if (!node->free || node->n > 16 || node->kind == MATH_BIG || !tree_has(node, MATH_FUNCTION) ||
        !math_step(c->budget, 1))
        return node;
    for (int i = 0; i < node->n; i++) {
        kids[i] = without_binomials(c, node->kids[i]);
        changed |= kids[i] != node->kids[i];
    }
    if (changed) node = kind_rebuilt(c, node, kids);
    if (node->kind != MATH_FUNCTION || node->op != MATH_BINOMIAL || node->n != 2 ||
        !ratio_of(node->kids[1], &k) || k.den != 1 || k.num < 1 || k.num > MAX_CHOSEN)
        return node;
    long factorial = 1;
    for (int i = 0; i < k.num; i++) {
        const struct math_node *const pair[] = {node->kids[0], tree_number(-i, c->arena)};
        factors[i] = kind_node(c, MATH_ADD, 0, 2, pair);
        factorial *= i + 1;
    }
    return kind_quotient(c, kind_node(c, MATH_MUL, 0, (int)k.num, factors),
                         tree_number(factorial, c->arena));
}

// gcd(b, a) with its arguments in an order of their own; C_{10}^3 and A_5^2 as what they count,
// where `counts` says that a number is asked for.
static const struct math_node *renamed(struct comparison *c, const struct math_node *node,
                                       bool counts);

static const struct math_node *count_of(struct comparison *c, const struct math_node *node) {
    struct ratio top;
    long n = 0;
    const struct math_node *name = node->kind == MATH_POW ? node->kids[0] : node;
    if (node->kind != MATH_POW || name->kind != MATH_SYMBOL || name->text.len < 3 ||
        name->text.len > 5 || !strchr("CAP", name->text.ptr[0]) || name->text.ptr[1] != '_')
        return node;
    for (size_t i = 2; i < name->text.len; i++) {
        if (name->text.ptr[i] < '0' || name->text.ptr[i] > '9') return node;
        n = n * 10 + (name->text.ptr[i] - '0');
    }
    if (!ratio_of(node->kids[1], &top) || top.den != 1 || top.num < 0 || top.num > n || n < 2)
        return node;
    const struct math_node *const pair[] = {tree_number(n, c->arena), node->kids[1]};
    const struct math_node *chosen = kind_node(c, MATH_FUNCTION, MATH_BINOMIAL, 2, pair);
    if (name->text.ptr[0] == 'C') return chosen;
    const struct math_node *const ordered[] = {
        chosen, kind_node(c, MATH_FUNCTION, MATH_FACTORIAL, 1, pair + 1)};
    return kind_node(c, MATH_MUL, 0, 2, ordered);
}

static void sort(const struct math_node **kids, int n) {
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && kids[k - 1]->hash > kids[k]->hash; k--) {
            const struct math_node *swapped = kids[k];
            kids[k] = kids[k - 1];
            kids[k - 1] = swapped;
        }
}

static const struct math_node *renamed(struct comparison *c, const struct math_node *node,
                                       bool counts) {
    const struct math_node *kids[16];
    if (!node->free || node->n == 0 || node->n > 16 || node->kind == MATH_BIG ||
        !math_step(c->budget, 1))
        return node;
    if (counts && node->kind == MATH_POW) return count_of(c, node);
    for (int i = 0; i < node->n; i++) kids[i] = renamed(c, node->kids[i], counts);
    if (node->kind == MATH_FUNCTION && (node->op == MATH_GCD || node->op == MATH_LCM ||
                                        node->op == MATH_MAX || node->op == MATH_MIN))
        sort(kids, node->n);
    return kind_rebuilt(c, node, kids);
}

// (-1)^n: powers of a constant with a symbol in the exponent.
static const struct math_node *symbolic_power(const struct math_node *node) {
    if (node->kind == MATH_POW && !node->kids[0]->free && node->kids[1]->free) return node;
    for (int i = 0; node->free && i < node->n; i++) {
        const struct math_node *found = symbolic_power(node->kids[i]);
        if (found) return found;
    }
    return NULL;
}

// With a letter in the place of each power that both sides have. Only "equal" is proved so.
static enum math_verdict by_letters(struct comparison *c, const struct math_node *gold,
                                    const struct math_node *answer) {
    static const char *const NAMES[] = {"power 1", "power 2", "power 3"};
    for (int i = 0; i < 3; i++) {
        const struct math_node *power = symbolic_power(gold);
        if (!power) break;
        struct math_node *letter = kind_node(c, MATH_SYMBOL, 0, 0, NULL);
        letter->text = slice_of(NAMES[i]);
        tree_seal(letter);
        gold = kind_replaced(c, gold, power, letter);
        answer = kind_replaced(c, answer, power, letter);
    }
    const enum math_verdict verdict = number_compare(c, gold, answer);
    return verdict <= MATH_EQUAL_NUM ? verdict : kind_said(c, "points", MATH_UNKNOWN);
}

static enum math_verdict rewritten(struct comparison *c, const struct math_node *gold,
                                   const struct math_node *answer) {
    const bool counts = gold->free != answer->free;
    enum math_verdict verdict =
        number_compare(c, renamed(c, gold, counts), renamed(c, answer, counts));
    if (verdict == MATH_UNKNOWN && symbolic_power(gold)) verdict = by_letters(c, gold, answer);
    return verdict;
}

// The imaginary unit below the node, or NULL.
static const struct math_node *imaginary(const struct math_node *node) {
    if (node->kind == MATH_CONSTANT && node->op == MATH_I) return node;
    const struct math_node *found = NULL;
    for (int i = 0; i < node->n && !found; i++) found = imaginary(node->kids[i]);
    return found;
}

// Only beside a real part, for 2i may be a vector.
const struct math_node *number_with_imaginary(struct comparison *c, const struct math_node *gold,
                                              const struct math_node *answer) {
    if (gold->free || !answer->free || gold->kind != MATH_ADD) return answer;
    const struct math_node *unit = imaginary(gold), *letter = NULL;
    bool real = false;
    for (int i = 0; i < gold->n; i++) real |= !imaginary(gold->kids[i]);
    if (!unit || !real || imaginary(answer) || kind_has_other_symbol(answer, &letter) || !letter ||
        !slice_is(letter->text, "j"))
        return answer;
    return kind_replaced(c, answer, letter, unit);
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    if (!tree_is_scalar(gold) || !tree_is_scalar(answer)) return false;
    answer = number_with_imaginary(c, gold, answer);
    *out = number_compare(c, gold, answer);
    if (*out == MATH_UNKNOWN)
        *out = number_compare(c, without_binomials(c, gold), without_binomials(c, answer));
    if (*out == MATH_UNKNOWN || (*out == MATH_DIFFERENT && gold->free != answer->free)) {
        const char *rule = c->rule;
        const enum math_verdict verdict = rewritten(c, gold, answer);
        if (verdict <= MATH_EQUAL_NUM || verdict == MATH_LIMIT)
            *out = verdict;
        else
            c->rule = rule;
    }
    return true;
}

const struct kind number_kind = {.compare = compare};
