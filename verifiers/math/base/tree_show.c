// Trees as text, for --explain.
#include "protocol/base/buffer.h"
#include "verifiers/math/base/tree.h"

static const char *const KINDS[] = {
    "number",   "constant", "symbol",  "add",     "mul",      "pow",          "root",
    "function", "apply",    "percent", "degree",  "quantity", "+-",           "based",
    "mixed",    "big",      "root of", "dots",    "relation", "list",         "tuple",
    "brackets", "set",      "setname", "builder", "union",    "intersection", "difference",
    "matrix",   "ratio",    "time",    "text",    "choice"};

static const char *const CONSTANTS[] = {"pi", "e", "i", "infinity", "phi"};
static const char *const RELATIONS[] = {
    "=",   "!=",     "<",        "<=",  ">",   ">=",      "in",          "notin", "~",
    "===", "subset", "superset", "sim", "->",  "=>",      "parallel",    "perp",  "propto",
    "<<",  ">>",     "<~",       ">~",  "!==", "divides", "divides not", "mod"};
static const char *const FUNCTIONS[] = {
    "sin",       "cos",      "tan",          "cot",       "sec",  "csc",   "asin", "acos",  "atan",
    "acot",      "asec",     "acsc",         "sinh",      "cosh", "tanh",  "coth", "sech",  "csch",
    "asinh",     "acosh",    "atanh",        "exp",       "ln",   "log",   "abs",  "floor", "ceil",
    "factorial", "binomial", "permutations", "gcd",       "lcm",  "max",   "min",  "mod",   "sign",
    "re",        "im",       "arg",          "conjugate", "det",  "trace", "rank", "cis"};
_Static_assert(sizeof FUNCTIONS / sizeof *FUNCTIONS == MATH_N_FUNCTIONS, "one name each");

static void show(const struct math_node *node, struct buffer *out) {
    if (out->len > 4000) return; // long enough to explain
    if (node->kind == MATH_NUMBER) {
        buffer_printf(out, "%.*s", (int)node->text.len, node->text.ptr);
        if (node->repeat) buffer_printf(out, "r%d", node->repeat);
        if (node->exponent) buffer_printf(out, "e%d", node->exponent);
        return;
    }
    if (node->kind == MATH_CONSTANT) {
        buffer_printf(out, "%s", CONSTANTS[node->op]);
        return;
    }
    if (node->kind == MATH_SYMBOL) {
        buffer_printf(out, "%.*s", (int)node->text.len, node->text.ptr);
        return;
    }
    const char *name = node->kind == MATH_FUNCTION ? FUNCTIONS[node->op] : KINDS[node->kind];
    if (node->kind == MATH_MUL && node->op == TREE_MINUS) name = "minus";
    buffer_printf(out, "(%s", name);
    if (node->kind == MATH_CHOICE) buffer_printf(out, " %c", node->op);
    if (node->kind == MATH_SET_NAME) buffer_printf(out, " %c", node->op);
    if (node->kind == MATH_TIME) buffer_printf(out, " %d", node->minutes);
    if (node->kind == MATH_MATRIX) buffer_printf(out, " %d columns", node->columns);
    if (node->text.len) buffer_printf(out, " \"%.*s\"", (int)node->text.len, node->text.ptr);
    if (node->unit) buffer_printf(out, " [%s]", node->unit->name);
    for (int i = 0; i < node->n; i++) {
        buffer_printf(out, " ");
        show(node->kids[i], out);
        if (node->ops && i + 1 < node->n) buffer_printf(out, " %s", RELATIONS[node->ops[i]]);
    }
    if (node->kind == MATH_BRACKETS)
        buffer_printf(out, " %c%c", node->open[0] ? '(' : '[', node->open[1] ? ')' : ']');
    buffer_printf(out, ")");
}

const char *tree_show(const struct math_node *node, struct arena *arena) {
    struct buffer out = {0};
    show(node, &out);
    const struct slice text = buffer_slice(&out);
    const char *copy = arena_copy(arena, text.ptr, text.len);
    buffer_free(&out);
    return copy;
}
