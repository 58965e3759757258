#include "verifiers/math/tree.h"

#include <stdio.h>

#include "protocol/base/buffer.h"
#include "verifiers/math/parse.h"

static uint64_t mix(uint64_t h, uint64_t value) {
    h ^= value + 0x9E3779B97F4A7C15u + (h << 6) + (h >> 2);
    return h * 0xFF51AFD7ED558CCDu;
}

static uint64_t hash_text(uint64_t h, struct slice text) {
    for (size_t i = 0; i < text.len; i++) h = mix(h, (unsigned char)text.ptr[i]);
    return h;
}

static bool is_free_kind(enum math_kind kind) {
    return kind == MATH_SYMBOL || kind == MATH_APPLY || kind == MATH_BIG || kind == MATH_DOTS ||
           kind == MATH_TEXT || kind == MATH_CHOICE || kind == MATH_BUILDER;
}

void tree_seal(struct math_node *node) {
    uint64_t h = mix(17, node->kind * 256u + node->op);
    h = hash_text(h, node->text);
    h = mix(h, (uint64_t)(uint32_t)node->exponent << 32 | (uint32_t)node->repeat);
    h = mix(h, (uint64_t)(uint32_t)node->columns << 32 | (uint32_t)node->minutes);
    h = mix(h, node->open[0] + 2u * node->open[1] + ((uint64_t)(uint32_t)node->n_decimals << 8));
    node->free = is_free_kind(node->kind);
    for (int i = 0; i < node->n; i++) {
        h = mix(h, node->kids[i]->hash);
        node->free |= node->kids[i]->free;
        if (node->ops && i + 1 < node->n) h = mix(h, node->ops[i]);
    }
    if (node->unit) {
        for (int i = 0; i < UNIT_N_DIMENSIONS; i++) h = mix(h, (uint8_t)node->unit->dimension[i]);
        h = mix(mix(h, (uint64_t)node->unit->num), (uint64_t)node->unit->den);
        h = mix(mix(h, node->unit->counted), (uint16_t)node->unit->ten);
    }
    node->hash = h;
}

static bool same_unit(const struct math_unit *a, const struct math_unit *b) {
    if (!a || !b) return a == b;
    return memcmp(a->dimension, b->dimension, sizeof a->dimension) == 0 && a->num == b->num &&
           a->den == b->den && a->counted == b->counted && a->ten == b->ten && a->vague == b->vague;
}

bool tree_same(const struct math_node *a, const struct math_node *b) {
    if (a == b) return true;
    if (a->hash != b->hash || a->kind != b->kind || a->op != b->op || a->n != b->n) return false;
    if (!slice_equal(a->text, b->text) || a->exponent != b->exponent || a->repeat != b->repeat ||
        a->columns != b->columns || a->minutes != b->minutes || a->open[0] != b->open[0] ||
        a->open[1] != b->open[1] || !same_unit(a->unit, b->unit))
        return false;
    for (int i = 0; i < a->n; i++) {
        if (a->ops && i + 1 < a->n && a->ops[i] != b->ops[i]) return false;
        if (!tree_same(a->kids[i], b->kids[i])) return false;
    }
    return true;
}

bool tree_is_scalar(const struct math_node *node) {
    return node->kind <= MATH_DOTS;
}

bool tree_is_integer(const struct math_node *node, long value) {
    if (node->kind != MATH_NUMBER || node->exponent != 0 || node->repeat) return false;
    if (node->text.len == 0 || node->text.len > 9) return false;
    long v = 0;
    for (size_t i = 0; i < node->text.len; i++) v = v * 10 + (node->text.ptr[i] - '0');
    return v == value;
}

struct math_node *tree_list(enum math_kind kind, struct math_node *const *items, int n,
                            struct arena *arena) {
    struct math_node *node = arena_take(arena, 1, sizeof *node);
    node->kind = kind;
    node->n = n;
    node->kids = arena_take(arena, (size_t)(n > 0 ? n : 1), sizeof *node->kids);
    for (int i = 0; i < n; i++) node->kids[i] = items[i];
    tree_seal(node);
    return node;
}

struct math_node *tree_number(long value, struct arena *arena) {
    char digits[24];
    const int len = snprintf(digits, sizeof digits, "%ld", value < 0 ? -value : value);
    struct math_node *node = arena_take(arena, 1, sizeof *node);
    node->kind = MATH_NUMBER;
    node->text = (struct slice){arena_copy(arena, digits, (size_t)len), (size_t)len};
    tree_seal(node);
    if (value >= 0) return node;
    struct math_node *const pair[] = {tree_number(1, arena), node};
    struct math_node *minus = tree_list(MATH_MUL, pair, 2, arena);
    minus->op = TREE_MINUS;
    minus->n = 1;
    minus->kids[0] = node;
    tree_seal(minus);
    return minus;
}

struct math_node *math_list(struct math_node *const *items, int n, struct arena *arena) {
    if (n == 1) return items[0];
    struct math_node *list = tree_list(MATH_LIST, items, n, arena);
    list->op = TREE_OR;
    tree_seal(list);
    return list;
}

static const char *const KINDS[] = {
    "number", "constant",     "symbol",     "add",      "mul",      "pow",   "root",    "function",
    "apply",  "percent",      "degree",     "quantity", "+-",       "based", "mixed",   "big",
    "dots",   "relation",     "list",       "tuple",    "brackets", "set",   "setname", "builder",
    "union",  "intersection", "difference", "matrix",   "ratio",    "time",  "text",    "choice"};

static const char *const CONSTANTS[] = {"pi", "e", "i", "infinity", "phi"};
static const char *const RELATIONS[] = {
    "=", "!=",  "<",      "<=",       ">",   ">=", "in", "notin",
    "~", "===", "subset", "superset", "sim", "->", "=>", "?"};
static const char *const FUNCTIONS[] = {
    "sin",       "cos",      "tan",          "cot",       "sec",  "csc",  "asin", "acos",  "atan",
    "acot",      "asec",     "acsc",         "sinh",      "cosh", "tanh", "coth", "sech",  "csch",
    "asinh",     "acosh",    "atanh",        "exp",       "ln",   "log",  "abs",  "floor", "ceil",
    "factorial", "binomial", "permutations", "gcd",       "lcm",  "max",  "min",  "mod",   "sign",
    "re",        "im",       "arg",          "conjugate", "det"};
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

const char *math_show(const struct math_node *node, struct arena *arena) {
    struct buffer out = {0};
    show(node, &out);
    const struct slice text = buffer_slice(&out);
    const char *copy = arena_copy(arena, text.ptr, text.len);
    buffer_free(&out);
    return copy;
}
