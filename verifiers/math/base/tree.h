// The tree of a mathematical answer.
#ifndef VERIFIERS_MATH_BASE_TREE_H
#define VERIFIERS_MATH_BASE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/memory.h"
#include "protocol/base/slice.h"

enum math_kind {
    // Scalars.
    MATH_NUMBER,     // a literal: text = its digits, value = digits * 10^exponent (see repeat)
    MATH_CONSTANT,   // op: MATH_PI, ...
    MATH_SYMBOL,     // text = name, subscript included: "x", "x_1", "theta"
    MATH_ADD,        // terms
    MATH_MUL,        // factors; op = 1: written without a sign between them
    MATH_POW,        // base, exponent; a / b is MUL(a, POW(b, -1)) with op = 1 on the POW
    MATH_ROOT,       // radicand, index
    MATH_FUNCTION,   // op: a function of enum math_function
    MATH_APPLY,      // text = name of an unknown function, arguments
    MATH_PERCENT,    // value
    MATH_DEGREE,     // value
    MATH_QUANTITY,   // value; unit, power of ten and dimensions in `unit`
    MATH_PLUS_MINUS, // a, b: a + b or a - b (op = 1: minus first); with one child: +a or -a
    MATH_BASED,      // digits in `text` with the base as child: 204_5
    MATH_MIXED,      // whole, fraction: 2 1/3
    MATH_BIG,        // integral, sum, product, limit, derivative: text = its name; children: body,
                     // variable of an integral (op & 2), lower bound, upper bound (op & 1)
    MATH_ALGEBRAIC, // real root number op, from 0 in ascending order, of the irreducible polynomial
                    // with the children as coefficients, the constant first
    MATH_DOTS,      // \ldots
    // Not scalars.
    MATH_RELATION, // sides; ops[i] stands before side i + 1
    MATH_LIST,     // items that are written with commas, "and", "or" and no bracket
    MATH_TUPLE,    // in ( ); with two items it may be an open interval
    MATH_BRACKETS, // in [ ] ( ] [ ): open[0], open[1] say which end is open
    MATH_SET,      // in { }; op = 1: no backslash, so perhaps only grouping
    MATH_SET_NAME, // op: 'N', 'Z', 'Q', 'R', 'C', or '0' for the empty set
    MATH_BUILDER,  // { x | condition }: what, condition
    MATH_UNION,
    MATH_INTERSECTION,
    MATH_DIFFERENCE,
    MATH_MATRIX, // op: 0 matrix, 1 determinant; columns = items of a row
    MATH_RATIO,  // a : b : c
    MATH_TIME,   // minutes since midnight in `minutes`; op: 0 24 hours or unknown, 1 am, 2 pm
    MATH_TEXT,   // words, in lower case with single spaces
    MATH_CHOICE, // op = letter 'A' to 'J'; text = the option's words behind it, or ""
};

// Values of `op`.
enum {
    TREE_JUXTAPOSED = 1, // MATH_MUL without a sign between the factors; MATH_POW of a denominator
    TREE_MINUS = 2,      // MATH_MUL with one child: minus it
    TREE_FROM_TEXT = 3,  // MATH_SYMBOL that was upright words
    TREE_VARIABLE = 4,   // MATH_SYMBOL of \variable{}
    TREE_HOLE = 5,       // MATH_SYMBOL that is left out: of "> 3"
    TREE_UPPER = 1,      // MATH_BIG with an upper bound
    TREE_OVER = 2,       // MATH_BIG with a variable behind the body
    TREE_AND = 1,        // MATH_LIST with an "and" in it
    TREE_OR = 2,         // MATH_LIST with an "or" in it
    TREE_PREFIXED = 1,   // MATH_BASED as programs write it: 0x1F
};

enum math_constant { MATH_PI, MATH_E, MATH_I, MATH_INFINITY, MATH_GOLDEN };

enum math_function {
    MATH_SIN,
    MATH_COS,
    MATH_TAN,
    MATH_COT,
    MATH_SEC,
    MATH_CSC,
    MATH_ASIN,
    MATH_ACOS,
    MATH_ATAN,
    MATH_ACOT,
    MATH_ASEC,
    MATH_ACSC,
    MATH_SINH,
    MATH_COSH,
    MATH_TANH,
    MATH_COTH,
    MATH_SECH,
    MATH_CSCH,
    MATH_ASINH,
    MATH_ACOSH,
    MATH_ATANH,
    MATH_EXP,
    MATH_LN,
    MATH_LOG, // LOG: argument, base
    MATH_ABS,
    MATH_FLOOR,
    MATH_CEIL,
    MATH_FACTORIAL,
    MATH_BINOMIAL,
    MATH_PERMUTATIONS,
    MATH_GCD,
    MATH_LCM,
    MATH_MAX,
    MATH_MIN,
    MATH_MOD,
    MATH_SIGN,
    MATH_RE,
    MATH_IM,
    MATH_ARG,
    MATH_CONJUGATE,
    MATH_DET,
    MATH_TRACE,
    MATH_RANK,
    MATH_CIS, // of tokens alone: read as a sum
    MATH_N_FUNCTIONS,
};

enum math_relation {
    MATH_EQ,
    MATH_NE,
    MATH_LT,
    MATH_LE,
    MATH_GT,
    MATH_GE,
    MATH_IN,
    MATH_NOT_IN,
    MATH_APPROX,
    MATH_CONGRUENT,
    MATH_SUBSET,
    MATH_SUPERSET,
    MATH_SIMILAR,
    MATH_TO,
    MATH_IMPLIES,
    MATH_PARALLEL,
    MATH_PERPENDICULAR,
    MATH_PROPORTIONAL,
    MATH_FAR_BELOW, // <<
    MATH_FAR_ABOVE,
    MATH_BELOW_ABOUT, // < or ~
    MATH_ABOVE_ABOUT,
    MATH_INCONGRUENT, // not congruent
    MATH_DIVIDES,
    MATH_DIVIDES_NOT,
    MATH_MODULO, // in front of the modulus of a congruence
};

// Powers of metre, kilogram, second, ampere, kelvin, mole, candela, US dollar, bit, radian.
enum { UNIT_DOLLAR = 7, UNIT_RADIAN = 9, UNIT_N_DIMENSIONS = 10 };

struct math_unit {
    int8_t dimension[UNIT_N_DIMENSIONS];
    uint32_t counted; // things that are counted ("students"), by the hash of their name, 0 none
    bool counter;     // a word that only counts: "个", "items"
    const char *name; // as written, for math_show
    int64_t num, den; // scale to the base units
    int16_t ten;      // and a power of ten
    bool vague;       // "units", "square units": agrees with any length, area, volume
    bool unknown;     // words of no known unit
};

struct math_node {
    enum math_kind kind;
    uint8_t op;
    bool open[2];
    bool bracketed;          // was in parentheses of its own
    bool spaced;             // MATH_SYMBOL, MATH_NUMBER: white space was before it
    int n;                   // children
    struct math_node **kids; // (n)
    struct slice text;       // in the arena
    // MATH_NUMBER: value = digits * 10^exponent; the last `repeat` digits repeat for ever.
    int32_t exponent, repeat;
    bool decimal;                 // written with a point or with a power of ten below one
    int32_t n_decimals;           // digits behind the point
    int32_t n_digits;             // as written, leading zeros included
    int32_t columns;              // MATH_MATRIX
    int32_t minutes;              // MATH_TIME
    const struct math_unit *unit; // MATH_QUANTITY
    const uint8_t *ops;           // MATH_RELATION: (n - 1) enum math_relation
    bool free;                    // a symbol or an unknown function is below
    uint64_t kinds;               // of this node and all below it: a bit for each enum math_kind
    uint64_t hash;                // of the whole subtree: equal trees have equal hashes
};

void tree_seal(struct math_node *node); // after its fields are set: hash, free

// Nodes in `arena`. A list of one item from tree_join is the item itself.
struct math_node *tree_list(enum math_kind kind, struct math_node *const *items, int n,
                            struct arena *arena);
struct math_node *tree_number(long value, struct arena *arena);
// Several trees (n >= 1) as one list, for adjacent boxes: `\boxed{1} and \boxed{2}`.
struct math_node *tree_join(struct math_node *const *items, int n, struct arena *arena);

// Same tree, node for node (number literals by digits, not by value).
bool tree_same(const struct math_node *a, const struct math_node *b);
bool tree_is_scalar(const struct math_node *node);
bool tree_has(const struct math_node *node, enum math_kind kind); // itself, or below
bool tree_is_integer(const struct math_node *node, long value);   // a literal of that value

// The tree on one line, for --explain: "(add 1 (root 2 2))". In `arena`.
const char *tree_show(const struct math_node *node, struct arena *arena);

#endif
