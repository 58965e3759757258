// Words: \text{...} where a value stands, multiple choice, times of day, plain answers in words.
#include <ctype.h>
#include <strings.h>

#include "verifiers/math/parse.h"

// Commands and braces dropped, lower case, single spaces, no marks at the ends.
struct slice parse_plain(struct parser *p, struct slice raw) {
    char *out = arena_take(p->arena, raw.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.ptr[i];
        if (c == '\\') {
            size_t len = 1;
            while (i + len < raw.len && isalpha((unsigned char)raw.ptr[i + len])) len++;
            i += len > 1 ? len - 1 : 1;
            c = ' ';
            if (len > 1 && i + 1 < raw.len && raw.ptr[i + 1] == '{') continue; // \text{
        } else if (c == '{' || c == '}' || c == '$' || c == '*') {
            continue;
        }
        if (isspace(c) || c == '~') {
            if (n && out[n - 1] != ' ') out[n++] = ' ';
        } else {
            out[n++] = (char)tolower(c);
        }
    }
    size_t from = 0;
    while (n > 0 && strchr(" .,;:!?\"'", out[n - 1])) n--;
    while (from < n && strchr(" \"'", out[from])) from++;
    static const char *const ARTICLES[] = {"the ", "a ", "an "};
    for (size_t i = 0; i < sizeof ARTICLES / sizeof *ARTICLES; i++) {
        const size_t len = strlen(ARTICLES[i]);
        if (n - from > len && memcmp(out + from, ARTICLES[i], len) == 0) {
            from += len;
            break;
        }
    }
    return (struct slice){out + from, n - from};
}

static bool has_words(const struct parser *p, int from, int to) {
    for (int i = from; i < to; i++)
        if (p->t[i].kind == TOKEN_WORD && p->t[i].text.len > 1 && !parse_is_word(&p->t[i], "and") &&
            !parse_is_word(&p->t[i], "or"))
            return true;
    return false;
}

struct math_node *parse_font(struct parser *p) {
    const struct token *t = parse_peek(p);
    const int end = parse_group_end(p, p->at + 1);
    if (end < 0) return NULL;
    const int start = p->at;
    if (end == start + 2) { // \text{}
        p->at = end;
        parse_next(p);
        return parse_starts_atom(p) ? parse_power(p) : NULL;
    }
    if (end == start + 3 && t[2].kind == TOKEN_FUNCTION) {
        p->at = end;
        parse_next(p);
        return parse_call(p, t[2].op);
    }
    if (end == start + 3 && t[2].kind == TOKEN_WORD && t[2].text.len == 1) {
        p->at = end;
        parse_next(p);
        return parse_symbol(p, t[2].text, 0);
    }
    if (!has_words(p, start + 2, end)) {
        parse_next(p);
        return parse_group(p);
    }
    const size_t from = t[1].at + 1;
    const struct slice raw = {p->text.ptr + from, p->t[end].at - from};
    p->at = end;
    parse_next(p);
    return parse_symbol(p, parse_plain(p, raw), TREE_FROM_TEXT);
}

static struct math_node *with_text(struct parser *p, enum math_kind kind, uint8_t op,
                                   struct slice text, struct math_node *formula) {
    struct math_node *node = parse_node(p, kind, op, formula != NULL, &formula);
    if (!node) return NULL;
    node->text = text;
    tree_seal(node);
    return node;
}

// The next token that is not a font's command or a brace, from `at`.
static int skip_fonts(const struct parser *p, int at) {
    while (p->t[at].kind == TOKEN_FONT ||
           (p->t[at].kind == TOKEN_COMMAND && slice_is(p->t[at].text, "boxed")) ||
           (p->t[at].kind == TOKEN_CHAR && (p->t[at].c == '{' || p->t[at].c == '}')))
        at++;
    return at;
}

// "C. 5", "C) five", "(C) 5", "option C": the letter and where the option's words begin.
static struct math_node *choice(struct parser *p, struct math_node *formula) {
    int at = skip_fonts(p, 0);
    const bool named = parse_is_word(&p->t[at], "option") || parse_is_word(&p->t[at], "choice");
    if (named) at = skip_fonts(p, at + 1);
    const bool bracket = p->t[at].c == '(';
    if (bracket) at = skip_fonts(p, at + 1);
    const struct token *letter = &p->t[at];
    if (letter->kind != TOKEN_WORD || letter->text.len != 1) return NULL;
    const char c = letter->text.ptr[0];
    if (c < 'A' || c > 'J') return NULL;
    at = skip_fonts(p, at + 1);
    const struct token *mark = &p->t[at];
    const bool end = mark->kind == TOKEN_END;
    if (bracket ? mark->c != ')' : !(mark->c == ')' || mark->c == '.' || mark->c == ':')) {
        if (!(named && end && !bracket)) return NULL;
    } else {
        at = skip_fonts(p, at + 1);
    }
    const struct token *next = &p->t[at];
    if (next->kind == TOKEN_END) // "(C)" and "C." may also be the variable
        return with_text(p, MATH_CHOICE, (uint8_t)c, (struct slice){"", 0}, formula);
    if (!next->space && !(mark->c == '.' || mark->c == ':' || p->t[at - 1].c == '}')) return NULL;
    if (next->kind == TOKEN_RELATION || next->kind == TOKEN_CHAR) {
        if (next->kind == TOKEN_RELATION || !strchr("-+(\\$[", next->c)) return NULL;
    }
    const struct slice rest = {p->text.ptr + next->at, p->text.len - next->at};
    return with_text(p, MATH_CHOICE, (uint8_t)c, parse_plain(p, rest), formula);
}

static int two_digits(const struct token *t) {
    if (t->kind != TOKEN_DIGITS || t->text.len > 2) return -1;
    return t->text.len == 1 ? t->text.ptr[0] - '0'
                            : (t->text.ptr[0] - '0') * 10 + (t->text.ptr[1] - '0');
}

// 4:30 p.m., 9 am, \text{1:03 PM}.
static struct math_node *time_of_day(struct parser *p) {
    int at = skip_fonts(p, 0), minutes = 0;
    const int hours = two_digits(&p->t[at]);
    if (hours < 0) return NULL;
    at = skip_fonts(p, at + 1);
    if (p->t[at].c == ':') {
        minutes = two_digits(&p->t[at + 1]);
        if (minutes < 0 || minutes > 59 || p->t[at + 1].text.len != 2) return NULL;
        at = skip_fonts(p, at + 2);
    }
    char half = 0;
    const struct token *t = &p->t[at];
    if (parse_is_word(t, "am") || parse_is_word(t, "pm")) {
        half = (char)tolower(t->text.ptr[0]);
        at++;
    } else if ((parse_is_word(t, "a") || parse_is_word(t, "p")) && t[1].c == '.' &&
               parse_is_word(&t[2], "m")) {
        half = (char)tolower(t->text.ptr[0]);
        at += 3;
    }
    for (int i = 0; i < 2; i++) {
        if (p->t[at].c == '.') at++;
        at = skip_fonts(p, at);
    }
    if (!half || p->t[at].kind != TOKEN_END || hours < 1 || hours > 12) return NULL;
    struct math_node *node = parse_node(p, MATH_TIME, half == 'a' ? 1 : 2, 0, NULL);
    if (!node) return NULL;
    node->minutes = (hours % 12 + (half == 'p' ? 12 : 0)) * 60 + minutes;
    tree_seal(node);
    return node;
}

// A word that nobody means as a product of its letters.
static bool is_english(struct slice word) {
    static const char *const SHORT[] = {"yes", "no",  "odd", "one",  "two",  "six",   "ten", "red",
                                        "not", "all", "any", "even", "none", "never", "the", "day",
                                        "sun", "mon", "tue", "wed",  "thu",  "fri",   "sat", "may"};
    for (size_t i = 0; i < sizeof SHORT / sizeof *SHORT; i++)
        if (word.len == strlen(SHORT[i]) && strncasecmp(word.ptr, SHORT[i], word.len) == 0)
            return true;
    const bool capital = isupper((unsigned char)word.ptr[0]) && word.len > 1;
    return word.len > 3 || (word.len == 3 && capital && islower((unsigned char)word.ptr[1]));
}

// Only words, digits and the marks of a sentence, with a word among them that is English or in
// \text.
static bool is_prose(const struct parser *p) {
    bool english = false, upright = false;
    for (const struct token *t = p->t; t->kind != TOKEN_END; t++) {
        upright |= t->kind == TOKEN_FONT && t->op == 1;
        if (t->kind == TOKEN_FONT && slice_is(t->text, "operatorname")) return false;
        if (t->kind == TOKEN_WORD) {
            const bool joins = parse_is_word(t, "and") || parse_is_word(t, "or");
            english |= !joins && (is_english(t->text) || (upright && t->text.len > 1));
        } else if (t->kind == TOKEN_CHAR) {
            if (!strchr(".,;:!?'\"()-{}&", t->c) || t->op == 9) return false;
        } else if (t->kind != TOKEN_DIGITS && t->kind != TOKEN_FONT && t->kind != TOKEN_NAME &&
                   t->kind != TOKEN_CONSTANT && t->kind != TOKEN_RELATION) {
            return false;
        } else if ((t->kind == TOKEN_RELATION || t->kind == TOKEN_CONSTANT) &&
                   !isalpha((unsigned char)t->text.ptr[0])) {
            return false;
        }
    }
    return english;
}

// A formula that has a number, a relation or a list in it is meant as one, whatever words it has.
static bool is_meant(const struct math_node *node) {
    if (!node) return false;
    if (node->kind == MATH_NUMBER || node->kind == MATH_RELATION || node->kind == MATH_QUANTITY ||
        node->kind == MATH_PERCENT || node->kind == MATH_DEGREE || node->kind == MATH_CONSTANT)
        return true;
    if (node->kind == MATH_MUL || node->kind == MATH_ADD) {
        const struct math_node *first = node->kids[0];
        return node->op != TREE_JUXTAPOSED || first->kind == MATH_NUMBER;
    }
    for (int i = 0; i < node->n; i++)
        if (is_meant(node->kids[i])) return true;
    return node->kind == MATH_LIST && node->n > 0 && !node->kids[0]->text.len;
}

struct math_node *parse_words(struct parser *p, struct math_node *formula) {
    struct math_node *node = time_of_day(p);
    if (!node && !p->over) node = choice(p, formula);
    if (node || p->over) return node;
    if (!is_prose(p) || is_meant(formula)) return formula;
    const struct slice plain = parse_plain(p, p->text);
    return plain.len ? with_text(p, MATH_TEXT, 0, plain, formula) : formula;
}
