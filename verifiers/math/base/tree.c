#include "verifiers/math/base/tree.h"

#include <stdio.h>

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
    node->kinds = (uint64_t)1 << node->kind;
    for (int i = 0; i < node->n; i++) {
        h = mix(h, node->kids[i]->hash);
        node->free |= node->kids[i]->free;
        node->kinds |= node->kids[i]->kinds;
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

bool tree_has(const struct math_node *node, enum math_kind kind) {
    return node->kinds >> kind & 1;
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

struct math_node *tree_join(struct math_node *const *items, int n, struct arena *arena) {
    if (n == 1) return items[0];
    struct math_node *list = tree_list(MATH_LIST, items, n, arena);
    list->op = TREE_OR;
    tree_seal(list);
    return list;
}
