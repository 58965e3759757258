// Matrices, determinants in bars, column and row vectors.
#include "verifiers/math/kinds/kind.h"

static bool starts(const struct parser *p) {
    return parse_is_command(p, "begin");
}

static struct math_node *atom(struct parser *p) {
    struct slice name, columns, end;
    struct math_node *cells[256];
    int n = 0, width = 0, row = 0;
    parse_next(p);
    if (!parse_skip_group(p, &name)) return NULL;
    const bool array = slice_is(name, "array");
    if (array && parse_is(p, '{') && !parse_skip_group(p, &columns)) return NULL;
    if (!array && (name.len < 6 || memcmp(name.ptr + name.len - 6, "matrix", 6) != 0)) return NULL;
    p->brackets++;
    while (!parse_is_command(p, "end")) {
        if (n == (int)(sizeof cells / sizeof *cells)) p->over = true;
        if (p->over || !(cells[n] = parse_any(p))) return NULL;
        n++;
        row++;
        const bool last = !parse_is(p, '&');
        if (!last) {
            parse_next(p);
            continue;
        }
        if (width && row != width) return NULL;
        width = row;
        row = 0;
        if (!parse_take_command(p, "\\")) break;
    }
    p->brackets--;
    if (!parse_take_command(p, "end") || !parse_skip_group(p, &end) || n == 0 || row) return NULL;
    if (!slice_equal(name, end)) return NULL;
    struct math_node *node = parse_node(p, MATH_MATRIX, slice_is(name, "vmatrix"), n, cells);
    if (!node) return NULL;
    node->columns = width;
    tree_seal(node);
    return node;
}

static bool is_matrix_product(const struct math_node *node) {
    int n = 0;
    if (node->kind != MATH_MUL || node->n < 2) return false;
    for (int i = 0; i < node->n; i++) n += node->kids[i]->kind == MATH_MATRIX;
    return n == 1;
}

static const struct math_node *scaled_matrix(struct comparison *c, const struct math_node *node) {
    const struct math_node *matrix = NULL, *cells[256];
    for (int i = 0; i < node->n; i++)
        if (node->kids[i]->kind == MATH_MATRIX) matrix = node->kids[i];
    if (!matrix || matrix->n > 256) return node;
    for (int cell = 0; cell < matrix->n; cell++) {
        const struct math_node *factors[MATH_MAX_ITEMS];
        if (node->n > MATH_MAX_ITEMS) return node;
        for (int i = 0; i < node->n; i++)
            factors[i] = node->kids[i] == matrix ? matrix->kids[cell] : node->kids[i];
        cells[cell] = kind_node(c, MATH_MUL, 0, node->n, factors);
    }
    struct math_node *scaled = kind_node(c, MATH_MATRIX, matrix->op, matrix->n, cells);
    scaled->columns = matrix->columns;
    tree_seal(scaled);
    return scaled;
}

static const struct math_node *normal(struct comparison *c, const struct math_node *node) {
    return is_matrix_product(node) ? scaled_matrix(c, node) : node;
}

static bool is_vector(const struct math_node *node) {
    return node->kind == MATH_MATRIX && node->op == 0 &&
           (node->columns == 1 || node->columns == node->n);
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    const bool both = gold->kind == MATH_MATRIX && answer->kind == MATH_MATRIX;
    if (both &&
        (gold->n != answer->n || gold->columns != answer->columns || gold->op != answer->op)) {
        *out = kind_said(c, "shape", MATH_DIFFERENT);
        return true;
    }
    if (!both && !(is_vector(gold) && answer->kind == MATH_TUPLE) &&
        !(gold->kind == MATH_TUPLE && is_vector(answer)))
        return false;
    *out = kind_in_order(c, gold, answer);
    return true;
}

const struct kind matrix_kind = {
    .reader = {.starts = starts, .atom = atom}, .normal = normal, .compare = compare};
