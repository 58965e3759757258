// Number literals: separators of thousands, decimals, repeating decimals, powers of ten, bases.

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/read/parse.h"

enum { MAX_DIGITS = 19000, MAX_EXPONENT = 100000 };

struct literal {
    char *digits; // (n)
    int n, n_decimals, repeat;
    int64_t exponent;
    bool grouped, decimal;
};

bool parse_starts_number(const struct parser *p) {
    const struct token *t = parse_peek(p);
    if (t->kind == TOKEN_DIGITS) return true;
    if (p->inside) return false;
    return t->kind == TOKEN_VULGAR ||
           (t->kind == TOKEN_CHAR && t->c == '.' && t[1].kind == TOKEN_DIGITS && !t[1].space);
}

static bool is_tight(const struct token *t) {
    return !t->space && !t->thin;
}

static void add_digits(struct parser *p, struct literal *l, struct slice digits) {
    if ((size_t)l->n + digits.len > MAX_DIGITS) {
        p->over = true;
        return;
    }
    char *both = arena_take(p->arena, (size_t)l->n + digits.len + 1, 1);
    if (l->n) memcpy(both, l->digits, (size_t)l->n);
    memcpy(both + l->n, digits.ptr, digits.len);
    l->digits = both;
    l->n += (int)digits.len;
}

// Where the next group of three begins behind token `at - 1`, or 0. `*plain`: after a bare comma.
static int group_at(const struct parser *p, int at, bool *plain) {
    const struct token *t = &p->t[at];
    int digits = 0;
    *plain = false;
    if (t->kind == TOKEN_CHAR && t->c == ',' && !t->space) {
        if (t[1].thin || (is_tight(&t[1]) && p->brackets == 0)) digits = at + 1;
        *plain = !t[1].thin;
    } else if (t->kind == TOKEN_CHAR && t->c == '{' && t[1].c == ',' && t[2].c == '}') {
        digits = at + 3;
    } else if (t->kind == TOKEN_CHAR && t->c == '\'' && is_tight(t) && is_tight(&t[1])) {
        digits = at + 1;
    } else if (t->kind == TOKEN_DIGITS && (t->thin || t->space) && !p->single) {
        digits = at;
        if (!t->thin && (t[1].c == '/' || t[1].kind == TOKEN_COMMAND)) return 0;
    }
    if (!digits || p->t[digits].kind != TOKEN_DIGITS || p->t[digits].text.len != 3) return 0;
    return digits;
}

// 1.234.567: points between two groups of three or more. One such point is a decimal's.
static void read_pointed_groups(struct parser *p, struct literal *l) {
    int n = 0;
    const struct token *t = parse_peek(p);
    while (t[0].kind == TOKEN_CHAR && t[0].c == '.' && is_tight(t) && t[1].kind == TOKEN_DIGITS &&
           is_tight(&t[1]) && t[1].text.len == 3)
        n++, t += 2;
    if (n < 2 || (t->kind == TOKEN_CHAR && t->c == '.' && t[1].kind == TOKEN_DIGITS) ||
        (t->kind == TOKEN_DIGITS && is_tight(t)))
        return;
    for (; n > 0; n--) {
        parse_next(p);
        add_digits(p, l, parse_peek(p)->text);
        parse_next(p);
    }
}

// Whether the number is an item behind a bare comma: 34 in 12,34,567.
static bool is_behind_comma(const struct parser *p) {
    const int at = p->at - 1; // the number's first digits
    return at > 1 && p->t[at - 1].kind == TOKEN_CHAR && p->t[at - 1].c == ',' &&
           is_tight(&p->t[at]) && is_tight(&p->t[at - 1]) && p->t[at - 2].kind == TOKEN_DIGITS;
}

// 1,234,567 and its kin. Bare commas group only where all of them do: 1,234,56 and 12,34,567 are
// lists (the latter may be a number in India, see commas.c).
static void read_groups(struct parser *p, struct literal *l) {
    if (l->n > 3 || (l->n > 0 && l->digits[0] == '0')) return;
    bool plain = false, any_plain = false;
    const bool item = is_behind_comma(p);
    int at = p->at, n_groups = 0, digits;
    while ((digits = group_at(p, at, &plain)) != 0) {
        any_plain |= plain;
        at = digits + 1;
        n_groups++;
    }
    if (n_groups == 0) {
        read_pointed_groups(p, l);
        return;
    }
    const struct token *next = &p->t[at];
    if (any_plain && item) return;
    if (any_plain && next->kind == TOKEN_CHAR && next->c == ',' && is_tight(next) &&
        next[1].kind == TOKEN_DIGITS && is_tight(&next[1]))
        return;
    for (int i = 0; i < n_groups; i++) {
        digits = group_at(p, p->at, &plain);
        add_digits(p, l, p->t[digits].text);
        p->at = digits;
        parse_next(p);
    }
    l->grouped = any_plain;
}

// \overline{3}, \bar{3}, \dot{3} and 1\dot{4}285\dot{7} behind the point.
static bool read_repetend(struct parser *p, struct literal *l) {
    const struct token *t = parse_peek(p);
    const bool dot = parse_is_command(p, "dot");
    if (!dot && !parse_is_command(p, "overline") && !parse_is_command(p, "bar")) return false;
    const bool brace = t[1].kind == TOKEN_CHAR && t[1].c == '{';
    const struct token *digits = brace ? t + 2 : t + 1;
    if (digits->kind != TOKEN_DIGITS || (!brace && digits->text.len != 1)) return false;
    if (brace && !(t[3].kind == TOKEN_CHAR && t[3].c == '}')) return false;
    add_digits(p, l, digits->text);
    l->n_decimals += (int)digits->text.len;
    l->repeat += (int)digits->text.len;
    for (int i = 0; i < (brace ? 4 : 2); i++) parse_next(p);
    if (dot && parse_peek(p)->kind == TOKEN_DIGITS) {
        const struct slice middle = parse_peek(p)->text;
        if (p->t[p->at + 1].kind != TOKEN_COMMAND || !slice_is(p->t[p->at + 1].text, "dot"))
            return false;
        add_digits(p, l, middle);
        l->n_decimals += (int)middle.len;
        l->repeat += (int)middle.len;
        parse_next(p);
    }
    return !dot || !parse_is_command(p, "dot") || read_repetend(p, l);
}

// 0.(3)
static bool read_bracketed_repetend(struct parser *p, struct literal *l) {
    const struct token *t = parse_peek(p);
    if (t->c != '(' || !is_tight(t) || t[1].kind != TOKEN_DIGITS || t[2].c != ')') return false;
    add_digits(p, l, t[1].text);
    l->n_decimals += (int)t[1].text.len;
    l->repeat = (int)t[1].text.len;
    for (int i = 0; i < 3; i++) parse_next(p);
    return true;
}

// 0.333... and 0.181818...: the digits that come three times at the end, at least, go on for ever.
// 2.71828... has no such digits.
static int repetend(const struct literal *l) {
    enum { LEAST = 3, LONGEST = 6 };
    for (int len = 1; len <= LONGEST && LEAST * len <= l->n_decimals; len++)
        if (memcmp(l->digits + l->n - (LEAST - 1) * len, l->digits + l->n - LEAST * len,
                   (size_t)((LEAST - 1) * len)) == 0)
            return len;
    return 0;
}

static bool read_decimals(struct parser *p, struct literal *l) {
    const struct token *t = parse_peek(p);
    const bool point = t->kind == TOKEN_CHAR && t->c == '.' && (l->n == 0 || !t->space);
    const bool comma = t->kind == TOKEN_CHAR && t->c == '{' && t[1].c == ',' && t[2].c == '}' &&
                       is_tight(t) && t[3].kind == TOKEN_DIGITS && l->n > 0;
    if (!point && !comma) return true;
    const struct token *next = comma ? t + 3 : t + 1;
    const bool repeats =
        next->kind == TOKEN_COMMAND && (slice_is(next->text, "overline") ||
                                        slice_is(next->text, "bar") || slice_is(next->text, "dot"));
    const bool bracketed = next->c == '(' && is_tight(next) && next[1].kind == TOKEN_DIGITS;
    if (!(next->kind == TOKEN_DIGITS && !next->space) && !repeats && !bracketed) return true;
    for (int i = 0; i < (comma ? 3 : 1); i++) parse_next(p);
    l->decimal = true;
    while (parse_peek(p)->kind == TOKEN_DIGITS && !parse_peek(p)->space) {
        add_digits(p, l, parse_peek(p)->text);
        l->n_decimals += (int)parse_peek(p)->text.len;
        parse_next(p);
    }
    if (repeats || parse_peek(p)->kind == TOKEN_COMMAND) {
        if (!read_repetend(p, l) && repeats) return false;
    } else if (bracketed) {
        if (!read_bracketed_repetend(p, l)) return false;
    }
    if (parse_peek(p)->kind == TOKEN_DOTS && !parse_peek(p)->space && !l->repeat) {
        parse_next(p);
        l->repeat = repetend(l);
    }
    return true;
}

// 1.2e3, 1.43E-13. "2e-3" is two times Euler's number less three, as LaTeX has it.
static void read_power_of_ten(struct parser *p, struct literal *l) {
    const struct token *t = parse_peek(p);
    if (t->kind != TOKEN_WORD || t->text.len != 1 || !is_tight(t)) return;
    const char e = t->text.ptr[0];
    if (e != 'e' && e != 'E') return;
    const bool sign = t[1].kind == TOKEN_CHAR && (t[1].c == '-' || t[1].c == '+');
    const struct token *digits = sign ? t + 2 : t + 1;
    if (digits->kind != TOKEN_DIGITS || !is_tight(digits) || (sign && !is_tight(&t[1]))) return;
    const bool one = l->n == 1 && l->digits[0] == '1';
    if (e == 'e' && sign && !l->decimal && !one && digits->text.len < 2) return;
    if (digits->text.len > 6) {
        p->over = true;
        return;
    }
    for (size_t i = 0; i < digits->text.len; i++)
        l->exponent = l->exponent * 10 + (digits->text.ptr[i] - '0');
    if (sign && t[1].c == '-') l->exponent = -l->exponent;
    if (l->exponent > MAX_EXPONENT || l->exponent < -MAX_EXPONENT) p->over = true;
    for (int i = 0; i < (sign ? 3 : 2); i++) parse_next(p);
}

static struct math_node *number_node(struct parser *p, struct literal *l) {
    struct math_node *node = parse_node(p, MATH_NUMBER, 0, 0, NULL);
    if (!node) return NULL;
    int zeros = 0;
    while (zeros + 1 < l->n && l->digits[zeros] == '0' && zeros < l->n - l->repeat - 1) zeros++;
    node->text = (struct slice){l->digits + zeros, (size_t)(l->n - zeros)};
    node->exponent = (int32_t)(l->exponent - l->n_decimals);
    node->repeat = l->repeat;
    node->n_digits = l->n;
    node->n_decimals = l->n_decimals - (int32_t)l->exponent;
    if (node->n_decimals < 0) node->n_decimals = 0;
    node->decimal = l->decimal || l->exponent < 0;
    node->columns = l->grouped;
    tree_seal(node);
    return node;
}

static struct math_node *vulgar(struct parser *p) {
    const struct slice text = parse_peek(p)->text;
    const long top = text.ptr[0] - '0', bottom = text.ptr[2] - '0';
    struct math_node *const power[] = {tree_number(bottom, p->arena), tree_number(-1, p->arena)};
    struct math_node *const pair[] = {tree_number(top, p->arena),
                                      parse_node(p, MATH_POW, TREE_JUXTAPOSED, 2, power)};
    parse_next(p);
    return pair[1] ? parse_node(p, MATH_MUL, 0, 2, pair) : NULL;
}

// \frac{1}{2}, \frac12, a one-character fraction or 1/2 behind a whole number: 2\frac{1}{2}.
static bool fraction_follows(const struct parser *p) {
    const struct token *t = parse_peek(p);
    if (t->kind == TOKEN_VULGAR) return true;
    if (t->kind == TOKEN_DIGITS && t->space)
        return t[1].c == '/' && t[2].kind == TOKEN_DIGITS && t[3].c != '/' && t[3].c != '.';
    if (t->kind != TOKEN_COMMAND || !slice_is(t->text, "frac")) return false;
    for (int part = 0; part < 2; part++) {
        t++;
        if (t->kind == TOKEN_DIGITS && (t->text.len == 2 || part == 1) && t->text.len <= 2)
            return true;
        if (t->kind == TOKEN_DIGITS) continue;
        if (t->c != '{' || t[1].kind != TOKEN_DIGITS || t[2].c != '}') return false;
        t += 2;
    }
    return true;
}

// Below one: 11 7/6 is a slip of the pen or a product, and 4 0/0 nothing at all.
static bool is_proper(const struct math_node *fraction) {
    if (fraction->kind != MATH_MUL || fraction->n != 2 || fraction->kids[1]->n == 0) return false;
    const struct math_node *top = fraction->kids[0], *bottom = fraction->kids[1]->kids[0];
    if (top->kind != MATH_NUMBER || bottom->kind != MATH_NUMBER) return false;
    if (top->exponent || bottom->exponent) return false;
    return top->text.len < bottom->text.len ||
           (top->text.len == bottom->text.len &&
            memcmp(top->text.ptr, bottom->text.ptr, top->text.len) < 0);
}

static struct math_node *mixed(struct parser *p, struct math_node *whole) {
    struct math_node *fraction = NULL;
    if (parse_peek(p)->kind == TOKEN_DIGITS) {
        struct math_node *top = parse_number(p);
        parse_next(p);
        struct math_node *bottom = top ? parse_number(p) : NULL;
        if (!bottom) return NULL;
        struct math_node *const power[] = {bottom, tree_number(-1, p->arena)};
        struct math_node *inverse = parse_node(p, MATH_POW, TREE_JUXTAPOSED, 2, power);
        struct math_node *const pair[] = {top, inverse};
        fraction = inverse ? parse_node(p, MATH_MUL, 0, 2, pair) : NULL;
    } else {
        fraction = parse_peek(p)->kind == TOKEN_VULGAR ? vulgar(p) : parse_command(p);
    }
    if (!fraction || !is_proper(fraction)) return NULL;
    struct math_node *const both[] = {whole, fraction};
    return parse_node(p, MATH_MIXED, 0, 2, both);
}

// The base of a word, 5 of "five" and 16 of "hex", or 0. `name`: only of one that is no number.
static long base_of_word(const struct token *t, bool name) {
    enum { N_NAMES = 7 };
    static const struct {
        const char *word;
        long base;
    } WORDS[] = {{"hex", 16}, {"hexadecimal", 16}, {"binary", 2},  {"bin", 2},     {"octal", 8},
                 {"oct", 8},  {"decimal", 10},     {"two", 2},     {"three", 3},   {"four", 4},
                 {"five", 5}, {"six", 6},          {"seven", 7},   {"eight", 8},   {"nine", 9},
                 {"ten", 10}, {"eleven", 11},      {"twelve", 12}, {"sixteen", 16}};
    const size_t n = name ? N_NAMES : sizeof WORDS / sizeof *WORDS;
    for (size_t i = 0; i < n; i++)
        if (parse_is_word(t, WORDS[i].word)) return WORDS[i].base;
    return 0;
}

static long base_of_digits(const struct token *t) {
    long value = 0;
    if (t->kind != TOKEN_DIGITS || t->text.len > 2) return 0;
    for (size_t i = 0; i < t->text.len; i++) value = value * 10 + (t->text.ptr[i] - '0');
    return value >= 2 && value <= 36 ? value : 0;
}

// 4210_{\text{five}}, 17_{ten}, 17_\text{ten}: the base as a node, or NULL.
static struct math_node *base_in_words(struct parser *p) {
    const struct token *t = parse_peek(p);
    const int brace = t[1].c == '{' ? 1 : 0;
    const int font = t[1 + brace].kind == TOKEN_FONT && t[2 + brace].c == '{' ? 1 : 0;
    const int word = 1 + brace + 2 * font;
    const long base = brace || font ? base_of_word(&t[word], false) : 0;
    for (int i = 1; base && i <= brace + font; i++)
        if (t[word + i].c != '}') return NULL;
    for (int n = base ? word + 1 + brace + font : 0; n > 0; n--) parse_next(p);
    return base ? tree_number(base, p->arena) : NULL;
}

// "2102 in base 3", "2102 (base 3)", "A5 (hex)": the base as a node, or NULL.
static struct math_node *base_said(struct parser *p) {
    const struct token *t = parse_peek(p);
    const bool bracket = t->kind == TOKEN_CHAR && t->c == '(';
    if (!bracket && t->kind != TOKEN_WORD) return NULL; // nearly always
    if (!bracket && !parse_is_word(t, "in") && !parse_is_word(t, "base")) return NULL;
    t += bracket;
    t += parse_is_word(t, "in");
    const bool said = parse_is_word(t, "base");
    t += said;
    long base = base_of_word(t, !said); // "12 (twelve)" says no base
    if (!base && said) base = base_of_digits(t);
    if (!base || (!said && !bracket) || (bracket && t[1].c != ')')) return NULL;
    t += 1 + bracket;
    while (parse_peek(p) != t) parse_next(p);
    return tree_number(base, p->arena);
}

// The subscript of 204_5 or 1A_{16} behind digits: the base as a node, or NULL.
static struct math_node *read_base(struct parser *p) {
    const struct token *t = parse_peek(p);
    const bool brace = t[1].c == '{';
    const struct token *base = brace ? t + 2 : t + 1;
    if (t->c != '_') return base_said(p);
    if ((brace && base->kind == TOKEN_WORD) || base->kind == TOKEN_FONT) return base_in_words(p);
    const long value = base_of_digits(base);
    if (!value || (brace && base[1].c != '}')) return NULL;
    for (int i = 0; i < (brace ? 4 : 2); i++) parse_next(p);
    return tree_number(value, p->arena);
}

// Digits with letters among them and a base: 1A3_{16}. NULL where it is not that.
static struct math_node *letters_with_base(struct parser *p) {
    const int start = p->at;
    char text[64];
    size_t n = 0;
    while (parse_peek(p)->kind == TOKEN_DIGITS || parse_peek(p)->kind == TOKEN_WORD) {
        const struct slice part = parse_peek(p)->text;
        if (n + part.len > sizeof text || (n && !is_tight(parse_peek(p)))) break;
        memcpy(text + n, part.ptr, part.len);
        n += part.len;
        parse_next(p);
    }
    struct math_node *base = read_base(p);
    if (!base) {
        p->at = start;
        return NULL;
    }
    for (size_t i = 0; i < n; i++) text[i] = ascii_upper(text[i]);
    struct math_node *node = parse_node(p, MATH_BASED, 0, 1, &base);
    if (!node) return NULL;
    node->text = (struct slice){arena_copy(p->arena, text, n), n};
    tree_seal(node);
    return node;
}

// 0x1F, 0b101, 0o17: a number of a programming language. NULL where it is not that.
static struct math_node *prefixed(struct parser *p) {
    static const char DIGITS[] = "0123456789ABCDEF";
    const struct token *t = parse_peek(p);
    const char mark = t[1].kind == TOKEN_WORD && is_tight(&t[1]) ? t[1].text.ptr[0] : 0;
    const long base = mark == 'x' ? 16 : mark == 'b' ? 2 : mark == 'o' ? 8 : 0;
    char text[64];
    size_t n = 0;
    int end = 1;
    if (!base || !slice_is(t->text, "0")) return NULL;
    for (; end == 1 ||
           ((t[end].kind == TOKEN_WORD || t[end].kind == TOKEN_DIGITS) && is_tight(&t[end]));
         end++) {
        const size_t skip = end == 1;
        if (n + t[end].text.len > sizeof text) return NULL;
        memcpy(text + n, t[end].text.ptr + skip, t[end].text.len - skip);
        n += t[end].text.len - skip;
    }
    for (size_t i = 0; i < n; i++) {
        text[i] = ascii_upper(text[i]);
        if (!memchr(DIGITS, text[i], (size_t)base)) return NULL;
    }
    if (n == 0) return NULL;
    for (int i = 0; i < end; i++) parse_next(p);
    struct math_node *kid = tree_number(base, p->arena);
    struct math_node *node = parse_node(p, MATH_BASED, TREE_PREFIXED, 1, &kid);
    if (!node) return NULL;
    node->text = (struct slice){arena_copy(p->arena, text, n), n};
    tree_seal(node);
    return node;
}

// Letters in front of digits with a base, A5_{16}, which no product with a symbol is; of letters
// alone FF_{16}. NULL where it is not that.
struct math_node *parse_letters_with_base(struct parser *p) {
    const struct token *t = parse_peek(p);
    const bool digits = t[1].kind == TOKEN_DIGITS && is_tight(&t[1]);
    if (t->kind != TOKEN_WORD || (!digits && (t->text.len < 2 || t[1].c != '_'))) return NULL;
    for (size_t i = 0; i < t->text.len; i++)
        if (!(t->text.ptr[i] >= 'A' && t->text.ptr[i] <= 'F') &&
            !(digits && t->text.ptr[i] >= 'a' && t->text.ptr[i] <= 'f'))
            return NULL;
    const int start = p->at;
    struct math_node *node = letters_with_base(p);
    const bool fits = node && (tree_is_integer(node->kids[0], 16) ||
                               (digits && tree_is_integer(node->kids[0], 12)));
    if (!fits) p->at = start;
    return fits ? node : NULL;
}

struct math_node *parse_unmixed(struct parser *p) {
    struct literal l = {0};
    const struct token *t = parse_peek(p);
    const bool spaced = t->space;
    if (t->kind == TOKEN_VULGAR) return vulgar(p);
    if (p->inside == 0 && t->kind == TOKEN_DIGITS &&
        (t[1].c == '_' || (t[1].kind == TOKEN_WORD && is_tight(&t[1])))) {
        struct math_node *based = prefixed(p);
        if (!based && !p->over) based = letters_with_base(p);
        if (based || p->over) return based;
    }
    if (t->kind == TOKEN_DIGITS) {
        add_digits(p, &l, (struct slice){t->text.ptr + p->inside, t->text.len - p->inside});
        const bool rest = p->inside > 0;
        parse_next(p);
        if (!rest) read_groups(p, &l);
    }
    if (p->over || !read_decimals(p, &l) || l.n == 0) return NULL;
    read_power_of_ten(p, &l);
    if (p->over) return NULL;
    struct math_node *node = number_node(p, &l);
    if (node) node->spaced = spaced;
    struct math_node *base = node && !l.repeat && !l.grouped ? read_base(p) : NULL;
    if (base) {
        struct math_node *based = parse_node(p, MATH_BASED, 0, 1, &base);
        if (!based) return NULL;
        based->text = node->text;
        based->n_decimals = l.n_decimals;
        tree_seal(based);
        return based;
    }
    return node;
}

struct math_node *parse_number(struct parser *p) {
    const bool digits = parse_peek(p)->kind == TOKEN_DIGITS;
    struct math_node *node = parse_unmixed(p);
    const bool whole =
        digits && node && node->kind == MATH_NUMBER && !node->decimal && node->exponent == 0;
    return whole && fraction_follows(p) ? mixed(p, node) : node;
}
