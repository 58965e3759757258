// Commas between digits that may be read in another way: (10,000), 70,110, 1000,99, 1.234,5.
#include "verifiers/math/kinds/kinds.h"

static bool is_plain_integer(const struct math_node *node) {
    return node->kind == MATH_NUMBER && node->exponent == 0 && !node->decimal;
}

// The last group of three digits, with decimals behind it: 567.50 in 12,34,567.50.
static bool is_last_group(const struct math_node *node) {
    return node->kind == MATH_NUMBER && node->decimal && node->repeat == 0 &&
           node->exponent == -node->n_decimals && node->n_digits - node->n_decimals == 3;
}

// (10,000), 70,110: items that may be the groups of one number.
static const struct math_node *grouped(struct comparison *c, const struct math_node *node) {
    char digits[64];
    int n = 0;
    const struct math_node *last = node->n > 0 ? node->kids[node->n - 1] : NULL;
    const bool decimals = node->kind == MATH_LIST && is_last_group(last);
    if ((node->kind != MATH_TUPLE && node->kind != MATH_LIST) || node->n > 8) return NULL;
    const bool indian = node->kind == MATH_LIST && !node->op && node->n > 2 &&
                        node->kids[1]->kind == MATH_NUMBER && node->kids[1]->n_digits == 2;
    if (indian && node->kids[0]->n_digits > 2) return NULL;
    for (int i = 0; i < node->n; i++) {
        const struct math_node *item = node->kids[i];
        const bool tail = decimals && i > 0 && item == last;
        if ((!is_plain_integer(item) && !tail) || (i > 0 && item->spaced)) return NULL;
        if ((size_t)n + (size_t)item->n_digits > sizeof digits) return NULL;
        // 70,110,000, and in India 12,34,567.
        const int group = indian && i > 0 && i + 1 < node->n ? 2 : 3;
        if (i ? item->n_digits != group && !tail : item->n_digits > group) return NULL;
        for (int zeros = item->n_digits - (int)item->text.len; zeros > 0; zeros--)
            digits[n++] = '0';
        memcpy(digits + n, item->text.ptr, item->text.len);
        n += (int)item->text.len;
    }
    if (digits[0] == '0') return NULL;
    struct math_node *number = kind_node(c, MATH_NUMBER, 0, 0, NULL);
    number->text = (struct slice){arena_copy(c->arena, digits, (size_t)n), (size_t)n};
    number->n_digits = n;
    if (decimals) {
        number->exponent = last->exponent;
        number->n_decimals = last->n_decimals;
        number->decimal = true;
    }
    tree_seal(number);
    return number;
}

// The same, of an amount of money too: Rs 1,50,000.
static const struct math_node *as_number(struct comparison *c, const struct math_node *node) {
    const struct math_node *first = node->n > 0 ? node->kids[0] : NULL;
    if (node->kind != MATH_LIST || !first || first->kind != MATH_QUANTITY || node->n > 8)
        return grouped(c, node);
    const struct math_node *kids[8];
    for (int i = 0; i < node->n; i++) kids[i] = i ? node->kids[i] : first->kids[0];
    const struct math_node *number = grouped(c, kind_rebuilt(c, node, kids));
    return number ? kind_rebuilt(c, first, &number) : NULL;
}

// 1000, and 1.234 where the point may stand between thousands.
static bool is_whole_part(const struct math_node *node) {
    return is_plain_integer(node) ||
           (node->kind == MATH_NUMBER && node->decimal && node->repeat == 0 && !node->spaced &&
            node->n_decimals == 3 && node->exponent == -3 && node->n_digits > 3 &&
            node->n_digits <= 6 && node->text.len >= 4);
}

// 1000,99 and 1.234,5: two items that may be a decimal with a comma; the second with its unit, 3,5
// cm. A gold is read so only with more than one digit behind it, for 0,1 is a list.
static const struct math_node *as_decimal(struct comparison *c, const struct math_node *node,
                                          bool is_gold) {
    if (node->kind != MATH_LIST || node->n != 2 || node->op) return NULL;
    const struct math_node *whole = node->kids[0], *last = node->kids[1];
    const bool minus = whole->kind == MATH_MUL && whole->op == TREE_MINUS && whole->n == 1;
    if (minus) whole = whole->kids[0];
    const bool marked =
        last->kind == MATH_QUANTITY || last->kind == MATH_PERCENT || last->kind == MATH_DEGREE;
    const struct math_node *part = marked ? last->kids[0] : last;
    if (!is_whole_part(whole) || !is_plain_integer(part) || part->spaced || last->spaced)
        return NULL;
    if (part->n_digits > 9 || whole->n_digits > 9 || (is_gold && !marked && part->n_digits < 2))
        return NULL;
    char digits[32];
    int n = 0;
    memcpy(digits, whole->text.ptr, whole->text.len);
    n += (int)whole->text.len;
    for (int zeros = part->n_digits - (int)part->text.len; zeros > 0; zeros--) digits[n++] = '0';
    memcpy(digits + n, part->text.ptr, part->text.len);
    n += (int)part->text.len;
    struct math_node *number = kind_node(c, MATH_NUMBER, 0, 0, NULL);
    number->text = (struct slice){arena_copy(c->arena, digits, (size_t)n), (size_t)n};
    number->exponent = -part->n_digits;
    number->n_decimals = number->n_digits = part->n_digits;
    number->decimal = true;
    tree_seal(number);
    const struct math_node *const inner[] = {minus ? kind_negated(c, number) : number};
    return marked ? kind_rebuilt(c, last, inner) : inner[0];
}

// 70,110 as a list.
static const struct math_node *as_list(struct comparison *c, const struct math_node *node) {
    const struct math_node *items[16];
    if (node->kind != MATH_NUMBER || !node->columns || node->exponent || node->text.len > 45)
        return NULL;
    int n = 0;
    for (size_t at = 0; at < node->text.len;) {
        const size_t first = node->text.len % 3 ? node->text.len % 3 : 3;
        const size_t len = at == 0 ? first : 3;
        long value = 0;
        for (size_t i = 0; i < len; i++) value = value * 10 + (node->text.ptr[at + i] - '0');
        items[n++] = tree_number(value, c->arena);
        at += len;
    }
    return kind_node(c, MATH_LIST, 0, n, items);
}

// The other way to read commas between digits, on either side.
enum math_verdict commas_compare(struct comparison *c, const struct math_node *gold,
                                 const struct math_node *answer) {
    const bool scalar = tree_is_scalar(answer);
    const bool fraction = tree_is_scalar(gold) && !gold->free && !is_plain_integer(gold);
    const struct math_node *decimal = fraction ? as_decimal(c, answer, false) : NULL;
    if (decimal) return kinds_compare(c, gold, decimal);
    const struct math_node *value = answer->kind == MATH_QUANTITY ? answer->kids[0] : answer;
    decimal = value->kind == MATH_NUMBER && value->decimal ? as_decimal(c, gold, true) : NULL;
    if (decimal) return kinds_compare(c, decimal, answer);
    const struct math_node *other = scalar ? as_number(c, gold) : as_list(c, gold);
    if (other) return kinds_compare(c, other, answer);
    other = tree_is_scalar(gold) ? as_number(c, answer) : as_list(c, answer);
    return other ? kinds_compare(c, gold, other) : MATH_DIFFERENT;
}
