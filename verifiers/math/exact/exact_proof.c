// Proofs about constants with Calcium, bounded by how many extensions of the rationals they need.
#include "verifiers/math/exact/exact_library.h"

enum {
    MAX_EXTENSIONS = 10, // different radicals, exponentials, logarithms in one proof
    MAX_NESTED = 2,      // of them under one root
    MAX_CYCLOTOMIC = 48, // degree of the field of all angles
    MAX_CYCLOTOMIC_NESTED = 8,
    CALCIUM_STEPS = 1000,
};

static bool is_extension(const struct math_node *node) {
    return node->kind == MATH_ROOT || node->kind == MATH_FUNCTION || node->kind == MATH_CONSTANT ||
           node->kind == MATH_DEGREE || node->kind == MATH_ALGEBRAIC ||
           (node->kind == MATH_POW && node->kids[1]->kind != MATH_NUMBER &&
            node->op != TREE_JUXTAPOSED);
}

// Adds what is no rational operation to `seen`, each once. Returns how many there are.
static int n_extensions(const struct math_node *node, uint64_t seen[MAX_EXTENSIONS + 1], int n) {
    if (is_extension(node)) {
        int i = 0;
        while (i < n && seen[i] != node->hash) i++;
        if (i == n && n <= MAX_EXTENSIONS) seen[n++] = node->hash;
    }
    for (int i = 0; i < node->n; i++) n = n_extensions(node->kids[i], seen, n);
    return n;
}

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b) {
        const int64_t r = a % b;
        a = b;
        b = r;
    }
    return a < 0 ? -a : a;
}

// The node as a rational multiple of pi: false when it is not written as one.
static bool multiple_of_pi(const struct math_node *node, struct ratio *out) {
    struct ratio part;
    if (node->kind == MATH_CONSTANT && node->op == MATH_PI) {
        *out = (struct ratio){1, 1};
        return true;
    }
    if (node->kind == MATH_DEGREE) {
        if (!ratio_of(node->kids[0], out) || out->den > 1000000) return false;
        out->den *= 180;
        return true;
    }
    if (node->kind != MATH_MUL) return false;
    bool pi = false;
    *out = (struct ratio){1, 1};
    for (int i = 0; i < node->n; i++) {
        if (!ratio_of(node->kids[i], &part)) {
            if (pi || !multiple_of_pi(node->kids[i], &part)) return false;
            pi = true;
        }
        if (__builtin_mul_overflow(out->num, part.num, &out->num) ||
            __builtin_mul_overflow(out->den, part.den, &out->den))
            return false;
    }
    return pi;
}

// The least common multiple of the denominators of all angles, 0 when it is too large or an angle
// is no rational multiple of pi while it has pi in it.
static int64_t common_order(const struct math_node *node, int64_t order) {
    struct ratio angle;
    const bool trigonometry = node->kind == MATH_FUNCTION && node->op <= MATH_CSC;
    for (int i = 0; i < node->n && order; i++) order = common_order(node->kids[i], order);
    if (!order) return 0;
    const struct math_node *argument = trigonometry ? node->kids[0] : node;
    const bool power =
        node->kind == MATH_POW || (node->kind == MATH_FUNCTION && node->op == MATH_EXP);
    if (power) argument = node->kids[node->n - 1];
    if ((!trigonometry && !power) || !multiple_of_pi(argument, &angle)) return order;
    if (angle.num == 0) return order;
    const int64_t denominator = 2 * (angle.den / common_divisor(angle.num, angle.den));
    if (denominator > 1000) return 0;
    order = order / common_divisor(order, denominator) * denominator;
    return order > 1000 ? 0 : order;
}

static int64_t totient(int64_t n) {
    int64_t value = n;
    for (int64_t p = 2; p * p <= n; p++) {
        if (n % p) continue;
        value -= value / p;
        while (n % p == 0) n /= p;
    }
    return n > 1 ? value - value / n : value;
}

static bool is_root(const struct math_node *node) {
    return node->kind == MATH_ROOT || (node->kind == MATH_POW && is_extension(node));
}

// Roots under roots, and angles under roots, are what makes a proof slow.
static bool is_nested_too_deep(const struct math_node *node) {
    uint64_t seen[MAX_EXTENSIONS + 1];
    if (is_root(node)) {
        if (n_extensions(node->kids[0], seen, 0) > MAX_NESTED) return true;
        const int64_t order = common_order(node->kids[0], 1);
        if (order == 0 || totient(order) > MAX_CYCLOTOMIC_NESTED) return true;
        struct ratio index;
        if (node->kind == MATH_ROOT && ratio_of(node->kids[1], &index) && index.num > 12)
            return true;
    }
    for (int i = 0; i < node->n; i++)
        if (is_nested_too_deep(node->kids[i])) return true;
    return false;
}

// Can a proof of a = b be slow?
static bool is_costly(const struct math_node *a, const struct math_node *b) {
    uint64_t seen[MAX_EXTENSIONS + 1];
    if (n_extensions(b, seen, n_extensions(a, seen, 0)) > MAX_EXTENSIONS) return true;
    if (is_nested_too_deep(a) || is_nested_too_deep(b)) return true;
    const int64_t order = common_order(b, common_order(a, 1));
    return order == 0 || totient(order) > MAX_CYCLOTOMIC;
}

static bool number(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c);

// sinh, cosh, tanh of `out`.
static void number_hyperbolic(enum math_function function, ca_t out, ca_ctx_t ctx) {
    ca_t up, down;
    ca_init(up, ctx);
    ca_init(down, ctx);
    ca_exp(up, out, ctx);
    ca_inv(down, up, ctx);
    if (function == MATH_COSH)
        ca_add(out, up, down, ctx);
    else
        ca_sub(out, up, down, ctx);
    if (function == MATH_TANH) {
        ca_add(up, up, down, ctx);
        ca_div(out, out, up, ctx);
    } else {
        ca_div_si(out, out, 2, ctx);
    }
    ca_clear(up, ctx);
    ca_clear(down, ctx);
}

static bool number_call(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c) {
    ca_t base;
    bool good = number(node->kids[0], out, ctx, c);
    if (!good) return false;
    ca_init(base, ctx);
    switch ((enum math_function)node->op) {
    case MATH_SIN:
        ca_sin_cos(out, NULL, out, ctx);
        break;
    case MATH_COS:
        ca_sin_cos(NULL, out, out, ctx);
        break;
    case MATH_TAN:
        ca_tan(out, out, ctx);
        break;
    case MATH_ATAN:
        ca_atan(out, out, ctx);
        break;
    case MATH_ASIN:
        ca_asin(out, out, ctx);
        break;
    case MATH_ACOS:
        ca_acos(out, out, ctx);
        break;
    case MATH_COT:
        ca_tan(out, out, ctx);
        ca_inv(out, out, ctx);
        break;
    case MATH_SEC:
        ca_sin_cos(NULL, out, out, ctx);
        ca_inv(out, out, ctx);
        break;
    case MATH_CSC:
        ca_sin_cos(out, NULL, out, ctx);
        ca_inv(out, out, ctx);
        break;
    case MATH_EXP:
        ca_exp(out, out, ctx);
        break;
    case MATH_SINH:
    case MATH_COSH:
    case MATH_TANH:
        number_hyperbolic(node->op, out, ctx);
        break;
    case MATH_LN:
        ca_log(out, out, ctx);
        break;
    case MATH_ABS:
        ca_abs(out, out, ctx);
        break;
    case MATH_LOG:
        ca_set_si(base, 10, ctx);
        good = node->n == 1 || number(node->kids[1], base, ctx, c);
        if (good) {
            ca_log(out, out, ctx);
            ca_log(base, base, ctx);
            ca_div(out, out, base, ctx);
        }
        break;
    default:
        good = false;
    }
    ca_clear(base, ctx);
    return good && !ca_is_special(out, ctx);
}

static bool number_power(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c) {
    ca_t exponent;
    ca_init(exponent, ctx);
    bool good = number(node->kids[0], out, ctx, c) && number(node->kids[1], exponent, ctx, c);
    if (good && node->kind == MATH_ROOT) {
        const bool negative =
            !tree_is_integer(node->kids[1], 2) && ca_check_is_negative_real(out, ctx) == T_TRUE;
        if (negative) ca_neg(out, out, ctx);
        ca_inv(exponent, exponent, ctx);
        ca_pow(out, out, exponent, ctx);
        if (negative) ca_neg(out, out, ctx);
    } else if (good && ca_check_is_rational(exponent, ctx) == T_TRUE) {
        ca_pow(out, out, exponent, ctx);
    } else if (good) { // as an exponential, in which logarithms cancel
        if (node->kids[0]->kind == MATH_CONSTANT && node->kids[0]->op == MATH_E)
            ca_one(out, ctx);
        else
            ca_log(out, out, ctx);
        ca_mul(out, out, exponent, ctx);
        ca_exp(out, out, ctx);
    }
    ca_clear(exponent, ctx);
    return good && !ca_is_special(out, ctx);
}

static bool number_fold(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c) {
    ca_t part;
    bool good = true;
    ca_init(part, ctx);
    ca_set_si(out, node->kind == MATH_MUL, ctx);
    for (int i = 0; i < node->n && good; i++) {
        good = number(node->kids[i], part, ctx, c);
        if (!good) break;
        if (node->kind == MATH_MUL)
            ca_mul(out, out, part, ctx);
        else
            ca_add(out, out, part, ctx);
    }
    if (node->kind == MATH_MUL && node->n == 1) ca_neg(out, out, ctx);
    ca_clear(part, ctx);
    return good && !ca_is_special(out, ctx);
}

static bool number(const struct math_node *node, ca_t out, ca_ctx_t ctx, struct calc *c) {
    fmpq_t q;
    if (!calc_spend(c, 10)) return false;
    fmpq_init(q);
    const bool rational = exact_rational(node, q, c);
    if (rational) ca_set_fmpq(out, q, ctx);
    fmpq_clear(q);
    if (rational) return true;
    switch (node->kind) {
    case MATH_CONSTANT:
        if (node->op == MATH_PI) ca_pi(out, ctx);
        if (node->op == MATH_I) ca_i(out, ctx);
        if (node->op == MATH_E) {
            ca_one(out, ctx);
            ca_exp(out, out, ctx);
        }
        return node->op == MATH_PI || node->op == MATH_I || node->op == MATH_E;
    case MATH_ADD:
    case MATH_MUL:
    case MATH_MIXED:
        return number_fold(node, out, ctx, c);
    case MATH_POW:
    case MATH_ROOT:
        return number_power(node, out, ctx, c);
    case MATH_FUNCTION:
        return number_call(node, out, ctx, c);
    case MATH_ALGEBRAIC:
        return exact_algebraic(node, out, ctx, c);
    case MATH_PERCENT:
    case MATH_DEGREE: {
        if (!number(node->kids[0], out, ctx, c)) return false;
        ca_div_si(out, out, node->kind == MATH_PERCENT ? 100 : 180, ctx);
        if (node->kind == MATH_PERCENT) return true;
        ca_t pi;
        ca_init(pi, ctx);
        ca_pi(pi, ctx);
        ca_mul(out, out, pi, ctx);
        ca_clear(pi, ctx);
        return true;
    }
    default:
        return false;
    }
}

enum exact exact_prove(const struct math_node *a, const struct math_node *b, struct calc *c) {
    ca_ctx_t ctx;
    ca_t x, y;
    if (is_costly(a, b) || !calc_spend(c, CALCIUM_STEPS)) return EXACT_UNKNOWN;
    ca_ctx_init(ctx);
    ctx->options[CA_OPT_PREC_LIMIT] = 1024;
    ctx->options[CA_OPT_QQBAR_DEG_LIMIT] = 60;
    ctx->options[CA_OPT_LLL_PREC] = 96;
    ctx->options[CA_OPT_POW_LIMIT] = 16;
    ctx->options[CA_OPT_SMOOTH_LIMIT] = 32;
    ctx->options[CA_OPT_GROEBNER_LENGTH_LIMIT] = 50;
    ctx->options[CA_OPT_GROEBNER_POLY_LENGTH_LIMIT] = 200;
    ctx->options[CA_OPT_GROEBNER_POLY_BITS_LIMIT] = 2000;
    ctx->options[CA_OPT_VIETA_LIMIT] = 4;
    ca_init(x, ctx);
    ca_init(y, ctx);
    enum exact answer = EXACT_UNKNOWN;
    if (number(a, x, ctx, c) && number(b, y, ctx, c)) {
        const truth_t truth = ca_check_equal(x, y, ctx);
        answer = truth == T_TRUE ? EXACT_YES : truth == T_FALSE ? EXACT_NO : EXACT_UNKNOWN;
    }
    ca_clear(x, ctx);
    ca_clear(y, ctx);
    ca_ctx_clear(ctx);
    return answer;
}
