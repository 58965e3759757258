// The whole of a span: what may stand around a formula, and how often it is tried.

#include "verifiers/math/base/change.h"
#include "verifiers/math/read/parse.h"

// Behind a number in a sentence: words that do not change it, to the end of the span.
static bool prose_follows(const struct parser *p, const struct math_node *node) {
    if (!p->prose || p->inside) return false;
    if (node->kind != MATH_NUMBER && node->kind != MATH_QUANTITY && node->kind != MATH_MIXED &&
        node->kind != MATH_PERCENT)
        return false;
    for (const struct token *t = parse_peek(p); t->kind != TOKEN_END; t++) {
        const bool mark = t->kind == TOKEN_CHAR && strchr(".,'\"{}!-", t->c);
        if (mark && t->c == '.' && t[1].kind == TOKEN_CHAR && t[1].c == '.')
            return false; // "12, .."
        if (t->kind != TOKEN_WORD && t->kind != TOKEN_FONT && !mark) return false;
        const bool joined = t->kind == TOKEN_WORD || t->c == '-'; // "3 person-hours"
        if (t == parse_peek(p) && !t->space && joined) return false;
        if (t->kind == TOKEN_WORD && change_word(t->text)) return false;
    }
    return true;
}

// The span's end, with a full stop or the like in front of it.
static bool at_end(struct parser *p) {
    int n_stops = 0; // "12, .." goes on
    for (; parse_is(p, '.') || parse_is(p, ','); parse_next(p)) n_stops += parse_is(p, '.');
    return parse_peek(p)->kind == TOKEN_END && n_stops < 2;
}

// One number and words that do not change it.
static struct math_node *number_in_prose(struct parser *p) {
    struct math_node *node = parse_item(p);
    return node && parse_peek(p)->kind != TOKEN_END && prose_follows(p, node) ? node : NULL;
}

static struct math_node *formula(struct parser *p) {
    struct math_node *node = parse_any(p);
    return node && at_end(p) ? node : NULL;
}

static bool is_verb(const struct token *t) {
    static const char *const VERBS[] = {"is", "are", "equals", "be", "was"};
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
        if (parse_is_word(t, VERBS[i])) return true;
    return false;
}

// Past words that lead to a value, "The answer is 5", \text{Area is }5: where the value starts, or
// 0. Where a word follows the verb it may turn it round ("is not 5").
static int skip_lead(const struct parser *p) {
    enum { MAX_LEAD = 16 };
    bool verb = false;
    int depth = 0;
    for (int i = 0; i < MAX_LEAD && p->t[i].kind != TOKEN_END; i++) {
        const struct token *t = &p->t[i];
        const bool brace = t->kind == TOKEN_CHAR && (t->c == '{' || t->c == '}') && t->op == 0;
        if (brace) depth += t->c == '{' ? 1 : -1;
        if (brace || t->kind == TOKEN_FONT) continue;
        const bool mark = t->kind == TOKEN_CHAR && t->c == ':' && i > 0;
        if (t->kind == TOKEN_WORD || (t->kind == TOKEN_CONSTANT && t->plain) || mark) {
            verb = (i > 0 && is_verb(t)) || (mark && p->t[i - 1].text.len > 3);
            continue;
        }
        return verb && depth == 0 && t->kind != TOKEN_RELATION ? i : 0;
    }
    return 0;
}

static struct math_node *attempt(struct parser *p, bool eager_bars,
                                 struct math_node *(*read)(struct parser *)) {
    const struct parser start = *p;
    p->eager_bars = eager_bars;
    p->at = skip_lead(p);
    struct math_node *node = read(p);
    if (node && !p->over) return node;
    const struct parser failed = *p;
    *p = start;
    p->over = failed.over;
    p->furthest = failed.furthest;
    p->n_nodes = failed.n_nodes;
    return NULL;
}

static struct slice trimmed(struct slice text) {
    while (text.len && strchr(" \n\t\r", text.ptr[0]) && text.ptr[0]) {
        text.ptr++;
        text.len--;
    }
    while (text.len && strchr(" \n\t\r", text.ptr[text.len - 1]) && text.ptr[text.len - 1] &&
           !(text.len > 1 && text.ptr[text.len - 2] == '\\'))
        text.len--;
    return text;
}

// Without quotes around it: "5", ‘5’, ``5''.
static bool unquote(struct slice *text) {
    static const char *const QUOTES[][2] = {{"\"", "\""}, {"“", "”"}, {"‘", "’"},   {"'", "'"},
                                            {"``", "''"}, {"«", "»"}, {"「", "」"}, {"„", "“"}};
    for (size_t i = 0; i < sizeof QUOTES / sizeof *QUOTES; i++) {
        const size_t open = strlen(QUOTES[i][0]), close = strlen(QUOTES[i][1]);
        if (text->len <= open + close || memcmp(text->ptr, QUOTES[i][0], open) ||
            memcmp(text->ptr + text->len - close, QUOTES[i][1], close))
            continue;
        text->ptr += open;
        text->len -= open + close;
        return true;
    }
    return false;
}

// Without the marks of bold and of code around it: **42**, `42`, and half of **42.
static struct slice without_marks(struct slice text) {
    for (;;) {
        text = trimmed(text);
        const bool before = text.len > 2 && memcmp(text.ptr, "**", 2) == 0;
        const bool behind = text.len > 2 && memcmp(text.ptr + text.len - 2, "**", 2) == 0;
        const char first = text.len > 2 ? text.ptr[0] : 'x';
        if (before || behind) {
            text.ptr += before ? 2 : 0;
            text.len -= before && behind && text.len > 3 ? 4 : 2;
        } else if ((first == '*' || first == '_' || first == '`') &&
                   text.ptr[text.len - 1] == first) {
            text.ptr++;
            text.len -= 2;
        } else if (!unquote(&text)) {
            return text;
        }
    }
}

enum math_read parse_span(struct slice text, bool prose, const struct reader *const *readers,
                          int n_readers, struct arena *arena, struct math_budget *budget,
                          struct math_node **out, size_t *stopped) {
    struct tokens tokens;
    const char *start = text.ptr;
    *out = NULL;
    if (stopped) *stopped = 0;
    text = without_marks(text);
    if (!token_run(text, arena, &tokens))
        return text.len > MATH_MAX_BYTES || tokens.n >= MATH_MAX_TOKENS ? MATH_OVER
                                                                        : MATH_UNREADABLE;
    if (tokens.n == 0) return MATH_EMPTY;
    if (!math_step(budget, tokens.n / 8)) return MATH_OVER;
    struct parser p = {.readers = readers,
                       .n_readers = n_readers,
                       .text = text,
                       .t = tokens.list,
                       .arena = arena,
                       .budget = budget,
                       .prose = prose};
    if (prose) *out = attempt(&p, false, number_in_prose);
    if (!*out && !p.over) *out = attempt(&p, false, formula);
    if (!*out && !p.over) *out = attempt(&p, true, formula);
    for (int i = 0; i < n_readers && !p.over; i++) {
        struct math_node *other = readers[i]->whole ? readers[i]->whole(&p, *out) : NULL;
        if (!other) continue;
        *out = other;
        break;
    }
    if (stopped) *stopped = p.furthest + (size_t)(text.ptr - start);
    if (p.over) return MATH_OVER;
    return *out ? MATH_READ : MATH_UNREADABLE;
}
