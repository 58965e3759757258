// Matrices, determinants in bars, column and row vectors, systems in a brace.
#include "verifiers/math/kinds/kind.h"

enum { MAX_CELLS = 256, MAX_POWER = 64 };

// Values of `op` of MATH_MATRIX.
enum { MATRIX, DETERMINANT, CASES };

// ---- Reading ---------------------------------------------------------------------------------

static bool starts(const struct parser *p) {
    return parse_is_command(p, "begin");
}

// "if", "for" in front of the condition of a case.
static void skip_if(struct parser *p) {
    static const char *const WORDS[] = {"if", "for", "when", "where"};
    const struct token *t = parse_peek(p);
    const bool font = t->kind == TOKEN_FONT && t[1].c == '{' && t[3].c == '}';
    const struct token *word = font ? t + 2 : t;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (!parse_is_word(word, WORDS[i])) continue;
        for (int n = font ? 4 : 1; n > 0; n--) parse_next(p);
        return;
    }
}

// What an environment is: MATRIX, ..., or -1.
static int sort_of(struct slice name) {
    static const char *const SYSTEMS[] = {"cases", "cases*",   "dcases",    "rcases",  "aligned",
                                          "align", "align*",   "gathered",  "gather",  "gather*",
                                          "split", "eqnarray", "eqnarray*", "numcases"};
    const bool star = name.len > 0 && name.ptr[name.len - 1] == '*';
    const struct slice base = {name.ptr, name.len - star};
    for (size_t i = 0; i < sizeof SYSTEMS / sizeof *SYSTEMS; i++)
        if (slice_is(name, SYSTEMS[i])) return CASES;
    if (slice_is(name, "vmatrix")) return DETERMINANT;
    if (slice_is(name, "array")) return MATRIX;
    return base.len >= 6 && memcmp(base.ptr + base.len - 6, "matrix", 6) == 0 ? MATRIX : -1;
}

// The distance behind a line break, \\[4pt], and lines between rows.
static void skip_layout(struct parser *p) {
    const struct token *t = parse_peek(p);
    if (t[0].c == '[' && t[1].kind == TOKEN_DIGITS) {
        int i = 2;
        if (t[i].c == '.' && t[i + 1].kind == TOKEN_DIGITS) i += 2;
        const bool unit = parse_is_word(&t[i], "pt") || parse_is_word(&t[i], "em") ||
                          parse_is_word(&t[i], "ex") || parse_is_word(&t[i], "mm");
        if (unit && t[i + 1].c == ']')
            for (i += 2; i > 0; i--) parse_next(p);
    }
    while (parse_take_command(p, "hline")) {
    }
}

// The cells up to the \end, row by row. Returns their number, 0 where rows differ in length.
static int read_cells(struct parser *p, struct math_node **cells, int *width) {
    int n = 0, row = 0;
    *width = 0;
    while (!parse_is_command(p, "end")) {
        if (n == MAX_CELLS) p->over = true;
        if (row > 0) skip_if(p);
        if (p->over || !(cells[n] = parse_any(p))) return 0;
        n++;
        row++;
        parse_take(p, '.');
        parse_take(p, ',');
        if (parse_take(p, '&')) continue;
        if (*width && row != *width) return 0;
        *width = row;
        row = 0;
        if (!parse_take_command(p, "\\")) break;
        skip_layout(p);
    }
    return row ? 0 : n;
}

static struct math_node *matrix_of(struct parser *p, int sort, struct math_node *const *cells,
                                   int n, int width) {
    if (sort == CASES && width == 1)
        return n == 1 ? cells[0] : parse_node(p, MATH_LIST, TREE_AND, n, cells);
    struct math_node *node = parse_node(p, MATH_MATRIX, (uint8_t)sort, n, cells);
    if (!node) return NULL;
    node->columns = width;
    tree_seal(node);
    return node;
}

static struct math_node *atom(struct parser *p) {
    struct slice name, columns, end;
    struct math_node *cells[MAX_CELLS];
    int width;
    parse_next(p);
    if (!parse_skip_group(p, &name)) return NULL;
    const int sort = sort_of(name);
    if (sort < 0) return NULL;
    if (slice_is(name, "array") && parse_is(p, '{') && !parse_skip_group(p, &columns)) return NULL;
    p->brackets++;
    const int n = read_cells(p, cells, &width);
    p->brackets--;
    if (n == 0 || !parse_take_command(p, "end") || !parse_skip_group(p, &end) ||
        !slice_equal(name, end))
        return NULL;
    return matrix_of(p, sort, cells, n, width);
}

// ---- Normal form -----------------------------------------------------------------------------

static const struct math_node *evaluated(struct comparison *c, const struct math_node *node);

static bool is_matrix(const struct math_node *node) {
    return node->kind == MATH_MATRIX && node->op == MATRIX && node->columns > 0;
}

static int n_rows(const struct math_node *matrix) {
    return matrix->n / matrix->columns;
}

static bool is_square(const struct math_node *node) {
    return node->kind == MATH_MATRIX && node->columns > 0 && n_rows(node) == node->columns;
}

// A cell, as a number where it is rational.
static const struct math_node *cell_of(struct comparison *c, const struct math_node *value) {
    const struct math_node *literal =
        value->free ? NULL : exact_literal(value, c->budget, c->arena);
    return literal ? literal : value;
}

static const struct math_node *
new_matrix(struct comparison *c, const struct math_node *const *cells, int n, int columns) {
    struct math_node *node = kind_node(c, MATH_MATRIX, MATRIX, n, cells);
    node->columns = columns;
    tree_seal(node);
    return node;
}

static const struct math_node *sum_of(struct comparison *c, const struct math_node *a,
                                      const struct math_node *b) {
    const struct math_node *cells[MAX_CELLS];
    if (!is_matrix(a) || !is_matrix(b) || a->n != b->n || a->columns != b->columns) return NULL;
    for (int i = 0; i < a->n; i++) {
        const struct math_node *const pair[] = {a->kids[i], b->kids[i]};
        cells[i] = cell_of(c, kind_node(c, MATH_ADD, 0, 2, pair));
    }
    return new_matrix(c, cells, a->n, a->columns);
}

static const struct math_node *scaled(struct comparison *c, const struct math_node *factor,
                                      const struct math_node *matrix) {
    const struct math_node *cells[MAX_CELLS];
    for (int i = 0; i < matrix->n; i++) {
        const struct math_node *const pair[] = {factor, matrix->kids[i]};
        cells[i] = cell_of(c, kind_node(c, MATH_MUL, 0, 2, pair));
    }
    return new_matrix(c, cells, matrix->n, matrix->columns);
}

// The sum of the products of (n) cells of a row and a column.
static const struct math_node *dot(struct comparison *c, struct math_node *const *row,
                                   struct math_node *const *column, int stride, int n) {
    const struct math_node *terms[MAX_CELLS];
    for (int k = 0; k < n; k++) {
        const struct math_node *const pair[] = {row[k], column[k * stride]};
        terms[k] = kind_node(c, MATH_MUL, 0, 2, pair);
    }
    return cell_of(c, n == 1 ? terms[0] : kind_node(c, MATH_ADD, 0, n, terms));
}

// A product of two parts, either of which may be a number. Two columns of one length other than
// three, whose cross product might be meant, give their scalar product.
static const struct math_node *product_of(struct comparison *c, const struct math_node *a,
                                          const struct math_node *b) {
    const struct math_node *cells[MAX_CELLS];
    if (tree_is_scalar(a) && tree_is_scalar(b)) {
        const struct math_node *const pair[] = {a, b};
        return kind_node(c, MATH_MUL, 0, 2, pair);
    }
    if (tree_is_scalar(a)) return is_matrix(b) ? scaled(c, a, b) : NULL;
    if (tree_is_scalar(b)) return is_matrix(a) ? scaled(c, b, a) : NULL;
    if (!is_matrix(a) || !is_matrix(b)) return NULL;
    if (a->columns == 1 && b->columns == 1 && a->n == b->n && a->n > 1 && a->n != 3)
        return dot(c, a->kids, b->kids, 1, a->n);
    const int rows = n_rows(a), columns = b->columns;
    if (a->columns != n_rows(b) || rows * columns > MAX_CELLS ||
        !math_step(c->budget, (int64_t)rows * columns * a->columns))
        return NULL;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            cells[i * columns + j] =
                dot(c, a->kids + i * a->columns, b->kids + j, columns, a->columns);
    return new_matrix(c, cells, rows * columns, columns);
}

static const struct math_node *transposed(struct comparison *c, const struct math_node *m) {
    const struct math_node *cells[MAX_CELLS];
    const int rows = n_rows(m);
    for (int i = 0; i < m->n; i++) cells[i % m->columns * rows + i / m->columns] = m->kids[i];
    return new_matrix(c, cells, m->n, rows);
}

// The rest of a square matrix of (n, n) cells without the first row and column j.
static void minor_of(const struct math_node *const *cells, int n, int j,
                     const struct math_node **out) {
    for (int i = n; i < n * n; i++)
        if (i % n != j) *out++ = cells[i];
}

// By numbers where all cells are, else along the first row.
static const struct math_node *determinant(struct comparison *c,
                                           const struct math_node *const *cells, int n) {
    enum { MAX_SYMBOLIC = 4 };
    const struct math_node *value = exact_determinant(cells, n, c->budget, c->arena);
    if (value || n > MAX_SYMBOLIC || !math_step(c->budget, 10)) return value;
    if (n == 1) return cells[0];
    const struct math_node *terms[MAX_SYMBOLIC], *rest[MAX_SYMBOLIC * MAX_SYMBOLIC];
    for (int j = 0; j < n; j++) {
        minor_of(cells, n, j, rest);
        const struct math_node *small = determinant(c, rest, n - 1);
        if (!small) return NULL;
        const struct math_node *const pair[] = {cells[j], small};
        terms[j] = kind_node(c, MATH_MUL, 0, 2, pair);
        if (j % 2) terms[j] = kind_negated(c, terms[j]);
    }
    return kind_node(c, MATH_ADD, 0, n, terms);
}

static const struct math_node *determinant_of(struct comparison *c, const struct math_node *m) {
    return is_square(m) ? determinant(c, (const struct math_node *const *)m->kids, m->columns)
                        : NULL;
}

static const struct math_node *inverse_of(struct comparison *c, const struct math_node *m) {
    const struct math_node *cells[MAX_CELLS];
    const int n = m->columns;
    if (!is_square(m)) return NULL;
    if (exact_inverse((const struct math_node *const *)m->kids, n, c->budget, c->arena, cells))
        return new_matrix(c, cells, m->n, n);
    const struct math_node *all = n == 2 ? determinant_of(c, m) : NULL;
    if (!all || !all->free) return NULL; // singular, or too large
    const struct math_node *const adjugate[] = {m->kids[3], kind_negated(c, m->kids[1]),
                                                kind_negated(c, m->kids[2]), m->kids[0]};
    for (int i = 0; i < 4; i++) cells[i] = kind_quotient(c, adjugate[i], all);
    return new_matrix(c, cells, 4, 2);
}

static const struct math_node *identity(struct comparison *c, int n) {
    const struct math_node *cells[MAX_CELLS];
    for (int i = 0; i < n * n; i++) cells[i] = tree_number(i % (n + 1) == 0, c->arena);
    return new_matrix(c, cells, n * n, n);
}

static const struct math_node *power_of(struct comparison *c, const struct math_node *base,
                                        const struct math_node *exponent) {
    struct ratio power;
    const bool t = (exponent->kind == MATH_SYMBOL || exponent->kind == MATH_CONSTANT) &&
                   (slice_is(exponent->text, "T") || slice_is(exponent->text, "t") ||
                    slice_is(exponent->text, "intercal") || slice_is(exponent->text, "top"));
    if (!is_matrix(base)) return NULL;
    if (t) return transposed(c, base);
    if (!ratio_of(exponent, &power) || power.den != 1 || !is_square(base)) return NULL;
    if (power.num < 0) {
        base = inverse_of(c, base);
        power.num = -power.num;
    }
    if (base && power.num == 0) return identity(c, base->columns);
    if (!base || power.num > MAX_POWER) return NULL;
    const struct math_node *out = NULL;
    for (int64_t n = power.num; n > 0 && base; n >>= 1) {
        if (n & 1) out = out ? product_of(c, out, base) : base;
        if (n & 1 && !out) return NULL;
        if (n > 1) base = product_of(c, base, base);
    }
    return base ? out : NULL;
}

static const struct math_node *trace_of(struct comparison *c, const struct math_node *m) {
    const struct math_node *terms[MAX_CELLS];
    if (!is_square(m)) return NULL;
    for (int i = 0; i < m->columns; i++) terms[i] = m->kids[i * (m->columns + 1)];
    return kind_node(c, MATH_ADD, 0, m->columns, terms);
}

// The length of a column, and otherwise the determinant.
static const struct math_node *bars_of(struct comparison *c, const struct math_node *m) {
    if (m->columns != 1 || m->n == 1) return determinant_of(c, m);
    const struct math_node *const pair[] = {dot(c, m->kids, m->kids, 1, m->n),
                                            tree_number(2, c->arena)};
    return kind_node(c, MATH_ROOT, 0, 2, pair);
}

static const struct math_node *folded(struct comparison *c, const struct math_node *node) {
    const struct math_node *out = NULL;
    for (int i = 0; i < node->n; i++) {
        const struct math_node *part = evaluated(c, node->kids[i]);
        if (part && out)
            part = node->kind == MATH_MUL ? product_of(c, out, part) : sum_of(c, out, part);
        if (!part) return NULL;
        out = part;
    }
    if (node->kind == MATH_MUL && node->n == 1 && out)
        return is_matrix(out) ? scaled(c, tree_number(-1, c->arena), out) : kind_negated(c, out);
    return out;
}

// What a node with matrices in it comes to: a matrix or a number. NULL where it is not understood.
static const struct math_node *evaluated(struct comparison *c, const struct math_node *node) {
    const struct math_node *inner;
    if (!tree_has(node, MATH_MATRIX)) return node;
    if (!math_step(c->budget, 1 + node->n)) return NULL;
    switch (node->kind) {
    case MATH_MATRIX:
        return node->op == DETERMINANT ? determinant_of(c, node) : node;
    case MATH_ADD:
    case MATH_MUL:
        return folded(c, node);
    case MATH_POW:
        inner = evaluated(c, node->kids[0]);
        return inner ? power_of(c, inner, node->kids[1]) : NULL;
    case MATH_FUNCTION:
        inner = evaluated(c, node->kids[0]);
        if (!inner || !is_matrix(inner)) return NULL;
        return node->op == MATH_DET     ? determinant_of(c, inner)
               : node->op == MATH_ABS   ? bars_of(c, inner)
               : node->op == MATH_TRACE ? trace_of(c, inner)
                                        : NULL;
    default:
        return NULL;
    }
}

static bool is_row(const struct math_node *node) {
    return node->kind == MATH_BRACKETS && !node->open[0] && !node->open[1];
}

// [[1, 2], [3, 4]] as a matrix; NULL where the rows are none or differ in length.
static const struct math_node *nested(struct comparison *c, const struct math_node *node) {
    const struct math_node *cells[MAX_CELLS];
    const int columns = node->n > 0 ? node->kids[0]->n : 0;
    if (!is_row(node) || columns == 0 || node->n * columns > MAX_CELLS) return NULL;
    for (int i = 0; i < node->n; i++) {
        if (!is_row(node->kids[i]) || node->kids[i]->n != columns) return NULL;
        for (int j = 0; j < columns; j++) cells[i * columns + j] = node->kids[i]->kids[j];
    }
    return new_matrix(c, cells, node->n * columns, columns);
}

static const struct math_node *normal(struct comparison *c, const struct math_node *node) {
    if (node->kind == MATH_BRACKETS) {
        const struct math_node *rows = nested(c, node);
        return rows ? rows : node;
    }
    if (!tree_has(node, MATH_MATRIX) || is_matrix(node)) return node;
    if (!tree_is_scalar(node) && node->kind != MATH_MATRIX) return node;
    const struct math_node *value = evaluated(c, node);
    // A row times a column is a number.
    if (value && is_matrix(value) && value->n == 1) return value->kids[0];
    return value ? value : node;
}

// ---- Comparison ------------------------------------------------------------------------------

static bool is_vector(const struct math_node *node) {
    return is_matrix(node) && (node->columns == 1 || node->columns == node->n);
}

// The rows of \begin{cases}: a value and when it is that.
static bool is_cases(const struct math_node *node) {
    bool any = false;
    for (int i = 1; node->columns == 2 && i < node->n; i += 2)
        any |= node->kids[i]->kind == MATH_RELATION || node->kids[i]->kind == MATH_TEXT;
    return any;
}

// Cases may stand in any order. That no order fits proves nothing: x > 0 may be taken apart.
static enum math_verdict cases(struct comparison *c, const struct math_node *gold,
                               const struct math_node *answer) {
    bool used[MATH_MAX_ITEMS] = {false};
    enum math_verdict all = MATH_EQUAL;
    if (gold->n > MATH_MAX_ITEMS) return kind_said(c, "count", MATH_LIMIT);
    for (int i = 0; i < gold->n; i += 2) {
        int partner = -1;
        for (int k = 0; k < answer->n && partner < 0; k += 2) {
            if (used[k]) continue;
            const enum math_verdict verdict =
                kind_worst(kinds_compare(c, gold->kids[i], answer->kids[k]),
                           kinds_compare(c, gold->kids[i + 1], answer->kids[k + 1]));
            if (verdict == MATH_LIMIT) return verdict;
            if (verdict > MATH_EQUAL_NUM) continue;
            partner = k;
            all = kind_worst(all, verdict);
        }
        if (partner < 0) return kind_said(c, "cases", MATH_UNKNOWN);
        used[partner] = true;
    }
    return all;
}

static bool compare(struct comparison *c, const struct math_node *gold,
                    const struct math_node *answer, enum math_verdict *out) {
    const bool both = gold->kind == MATH_MATRIX && answer->kind == MATH_MATRIX;
    if (!tree_has(gold, MATH_MATRIX) && !tree_has(answer, MATH_MATRIX)) return false;
    if (both && gold->n == answer->n && is_cases(gold) && is_cases(answer)) {
        *out = cases(c, gold, answer);
        return true;
    }
    if (both &&
        (gold->n != answer->n || gold->columns != answer->columns || gold->op != answer->op)) {
        *out = kind_said(c, "shape", MATH_DIFFERENT);
        return true;
    }
    if (both || (is_vector(gold) && answer->kind == MATH_TUPLE) ||
        (gold->kind == MATH_TUPLE && is_vector(answer))) {
        *out = kind_in_order(c, gold, answer);
        return true;
    }
    const bool left = tree_is_scalar(gold) && tree_has(gold, MATH_MATRIX);
    const bool right = tree_is_scalar(answer) && tree_has(answer, MATH_MATRIX);
    if (!left && !right) return false;
    *out = kind_said(c, "matrix", MATH_UNKNOWN); // it could not be evaluated
    return true;
}

const struct kind matrix_kind = {
    .reader = {.starts = starts, .atom = atom}, .normal = normal, .compare = compare};
