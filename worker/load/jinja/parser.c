#include "worker/load/jinja/parser.h"

#include <stdio.h>

// ---- the parser's tools

struct node *parser_fail(struct parser *p, int line, const char *format, ...) {
    char text[sizeof p->err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(p->err, ERROR_CONFIG, "%s, line %d: %s", p->name, line, text);
    return NULL;
}

void parser_add_kid(struct parser *p, struct kids *kids, struct node *kid) {
    if (kids->n == kids->capacity) {
        int capacity = kids->capacity ? 2 * kids->capacity : 4;
        struct node **list = arena_take(p->arena, (size_t)capacity, sizeof(struct node *));
        if (kids->n) memcpy(list, kids->list, (size_t)kids->n * sizeof *list);
        kids->list = list;
        kids->capacity = capacity;
    }
    kids->list[kids->n++] = kid;
}

struct node *parser_node(struct parser *p, enum node_kind kind, int line, const struct kids *kids) {
    struct node *n = arena_take(p->arena, 1, sizeof *n);
    int depth = 0;
    for (int i = 0; kind >= NODE_NAME && i < kids->n; i++)
        if (kids->list[i] && kids->list[i]->depth > depth) depth = kids->list[i]->depth;
    if (depth == PARSER_MAX_DEPTH)
        return parser_fail(p, line, "an expression has more than %d operations inside each other.",
                           PARSER_MAX_DEPTH);
    n->kind = (uint8_t)kind;
    n->line = line;
    n->depth = (uint8_t)(depth + 1);
    n->n = kids->n;
    n->kids = kids->list;
    return n;
}

bool parser_is(const struct parser *p, enum token_type type) {
    return p->at->type == type;
}

bool parser_is_operator(const struct parser *p, const char *text) {
    return p->at->type == TOKEN_OPERATOR && slice_is(p->at->text, text);
}

bool parser_is_name(const struct parser *p, const char *text) {
    return p->at->type == TOKEN_NAME && slice_is(p->at->text, text);
}

bool parser_skip_operator(struct parser *p, const char *text) {
    bool found = parser_is_operator(p, text);
    p->at += found;
    return found;
}

bool parser_skip_name(struct parser *p, const char *text) {
    bool found = parser_is_name(p, text);
    p->at += found;
    return found;
}

const char *parser_found(struct parser *p) {
    const struct token *t = p->at;
    switch (t->type) {
    case TOKEN_EOF:
        return "the end of the template";
    case TOKEN_BLOCK_END:
    case TOKEN_VARIABLE_END:
        return "the end of the tag";
    case TOKEN_NAME:
    case TOKEN_NUMBER:
    case TOKEN_OPERATOR:
        break;
    default:
        return "a text";
    }
    struct buffer text = {0};
    buffer_printf(&text, "'%.*s'", SLICE_ARG(t->text));
    const char *copy = arena_copy(p->arena, text.ptr, text.len);
    buffer_free(&text);
    return copy;
}

static int expected(struct parser *p, const char *what) {
    parser_fail(p, p->at->line, "%s stands where %s was expected.", parser_found(p), what);
    return -1;
}

int parser_expect_operator(struct parser *p, const char *text) {
    if (parser_skip_operator(p, text)) return 0;
    char what[8];
    snprintf(what, sizeof what, "'%s'", text);
    return expected(p, what);
}

int parser_expect_name(struct parser *p, const char *text) {
    if (parser_skip_name(p, text)) return 0;
    char what[32];
    snprintf(what, sizeof what, "'%s'", text);
    return expected(p, what);
}

int parser_take_name(struct parser *p, struct slice *out) {
    if (!parser_is(p, TOKEN_NAME)) return expected(p, "a name");
    *out = p->at++->text;
    return 0;
}

// ---- statements

static struct node *subparse(struct parser *p, const char *tag, int tag_line,
                             const char *const *ends);

static int end_of_tag(struct parser *p) {
    if (!parser_is(p, TOKEN_BLOCK_END)) return expected(p, "the end of the tag");
    p->at++;
    return 0;
}

// What stands between the tag `tag`, whose end comes next, and one of `ends`, which becomes the
// current token.
static struct node *body(struct parser *p, const char *tag, int line, const char *const *ends) {
    parser_skip_operator(p, ":");
    if (end_of_tag(p)) return NULL;
    if (++p->n_statements > PARSER_MAX_STATEMENTS)
        return parser_fail(p, line, "blocks are nested deeper than %d levels.",
                           PARSER_MAX_STATEMENTS);
    struct node *n = subparse(p, tag, line, ends);
    p->n_statements--;
    return n;
}

static struct node *last_body(struct parser *p, const char *tag, int line, const char *end) {
    const char *const ends[] = {end, NULL};
    struct node *n = body(p, tag, line, ends);
    if (n) p->at++;
    return n;
}

static struct node *with_kids(struct parser *p, enum node_kind kind, int line,
                              struct node *const *list, int n) {
    struct kids kids = {0};
    for (int i = 0; i < n; i++) parser_add_kid(p, &kids, list[i]);
    return parser_node(p, kind, line, &kids);
}

static struct node *parse_set(struct parser *p, int line) {
    struct node *target = parser_target(p, true, CONTEXT_STORE), *filter = NULL;
    if (!target) return NULL;
    if (parser_skip_operator(p, "=")) {
        struct node *value = parser_tuple(p, true);
        struct node *const kids[] = {target, value};
        return value ? with_kids(p, NODE_ASSIGN, line, kids, 2) : NULL;
    }
    if (parser_is_operator(p, "|") && !(filter = parser_filters(p, NULL, false))) return NULL;
    struct node *inside = last_body(p, "set", line, "endset");
    struct node *const kids[] = {target, filter, inside};
    return inside ? with_kids(p, NODE_ASSIGN_BLOCK, line, kids, 3) : NULL;
}

static struct node *parse_for(struct parser *p, int line) {
    static const char *const ends[] = {"else", "endfor", NULL};
    struct node *kids[5] = {0};
    if (!(kids[0] = parser_target(p, false, CONTEXT_STORE))) return NULL;
    if (parser_expect_name(p, "in")) return NULL;
    if (!(kids[1] = parser_tuple(p, false))) return NULL;
    if (parser_skip_name(p, "if") && !(kids[4] = parser_expression(p))) return NULL;
    if (parser_is_name(p, "recursive"))
        return parser_fail(p, line, "a recursive loop is not supported.");
    if (++p->n_loops > PARSER_MAX_LOOPS)
        return parser_fail(p, line, "loops are nested deeper than %d levels.", PARSER_MAX_LOOPS);
    if (!(kids[2] = body(p, "for", line, ends))) return NULL;
    p->n_loops--;
    bool other = parser_is_name(p, "else");
    p->at++;
    if (other && !(kids[3] = last_body(p, "for", line, "endfor"))) return NULL;
    return with_kids(p, NODE_FOR, line, kids, 5);
}

static struct node *parse_if(struct parser *p, int line) {
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    struct kids elifs = {0};
    struct node *first = NULL, *other = NULL;
    for (;;) {
        struct node *kids[4] = {0};
        int at = p->at->line;
        if (!(kids[0] = parser_tuple(p, false))) return NULL;
        if (!(kids[1] = body(p, "if", line, ends))) return NULL;
        struct node *n = with_kids(p, NODE_IF, first ? at : line, kids, 4);
        if (!n) return NULL;
        if (first)
            parser_add_kid(p, &elifs, n);
        else
            first = n;
        if (!parser_skip_name(p, "elif")) break;
    }
    if (parser_skip_name(p, "else")) {
        if (!(other = last_body(p, "if", line, "endif"))) return NULL;
    } else {
        p->at++;
    }
    first->kids[2] = parser_node(p, NODE_BODY, line, &elifs);
    first->kids[3] = other;
    return first;
}

static bool is_constant_name(struct slice name) {
    static const char *const words[] = {"true", "false", "none", "True", "False", "None"};
    for (int i = 0; i < 6; i++)
        if (slice_is(name, words[i])) return true;
    return false;
}

// Parameters with defaults: appends names, then defaults.
static int signature(struct parser *p, struct kids *kids, int *n_args, int *n_defaults) {
    struct kids defaults = {0};
    int first = kids->n;
    if (parser_expect_operator(p, "(")) return -1;
    while (!parser_is_operator(p, ")")) {
        struct slice name;
        int line = p->at->line;
        if (kids->n > first && parser_expect_operator(p, ",")) return -1;
        if (parser_take_name(p, &name)) return -1;
        if (is_constant_name(name))
            return parser_fail(p, line, "a parameter has the name of a constant."), -1;
        for (int i = first; i < kids->n; i++)
            if (slice_equal(kids->list[i]->name, name))
                return parser_fail(p, line, "the parameter '%.*s' stands twice.", SLICE_ARG(name)),
                       -1;
        struct node *parameter = parser_node(p, NODE_NAME, line, &(struct kids){0});
        parameter->name = name;
        parameter->op = CONTEXT_PARAM;
        parser_add_kid(p, kids, parameter);
        if (parser_skip_operator(p, "=")) {
            struct node *value = parser_expression(p);
            if (!value) return -1;
            parser_add_kid(p, &defaults, value);
        } else if (defaults.n) {
            return parser_fail(p, line, "a parameter without a default follows one with it."), -1;
        }
    }
    *n_args = kids->n - first;
    *n_defaults = defaults.n;
    for (int i = 0; i < defaults.n; i++) parser_add_kid(p, kids, defaults.list[i]);
    return parser_expect_operator(p, ")");
}

static struct node *parse_macro(struct parser *p, int line) {
    struct kids kids = {0};
    struct slice name;
    int n_args, n_defaults;
    if (parser_take_name(p, &name)) return NULL;
    if (is_constant_name(name)) return parser_fail(p, line, "a macro has the name of a constant.");
    if (signature(p, &kids, &n_args, &n_defaults)) return NULL;
    struct node *inside = last_body(p, "macro", line, "endmacro");
    if (!inside) return NULL;
    parser_add_kid(p, &kids, inside);
    struct node *n = parser_node(p, NODE_MACRO, line, &kids);
    n->name = name;
    n->n_args = n_args;
    n->n_named = n_defaults;
    return n;
}

static struct node *call_block(struct parser *p, int line, struct kids *kids, int n_args,
                               int n_defaults, const char *tag, const char *end) {
    struct node *inside = last_body(p, tag, line, end);
    if (!inside) return NULL;
    parser_add_kid(p, kids, inside);
    struct node *n = parser_node(p, NODE_CALL_BLOCK, line, kids);
    n->n_args = n_args;
    n->n_named = n_defaults;
    return n;
}

static struct node *parse_call(struct parser *p, int line) {
    struct kids kids = {0};
    int n_args = 0, n_defaults = 0;
    parser_add_kid(p, &kids, NULL);
    if (parser_is_operator(p, "(") && signature(p, &kids, &n_args, &n_defaults)) return NULL;
    struct node *callee = parser_expression(p);
    if (!callee) return NULL;
    if (callee->kind != NODE_CALL) return parser_fail(p, line, "a call block calls nothing.");
    for (int i = 0; i < callee->n_named; i++)
        if (slice_is(callee->kids[1 + callee->n_args + i]->name, "caller"))
            return parser_fail(p, line, "a call block is given another caller.");
    kids.list[0] = callee;
    return call_block(p, line, &kids, n_args, n_defaults, "call", "endcall");
}

// transformers' own: marks what the assistant said; the text is what stands inside.
static struct node *parse_generation(struct parser *p, int line) {
    struct kids kids = {0};
    parser_add_kid(p, &kids, NULL);
    return call_block(p, line, &kids, 0, 0, "generation", "endgeneration");
}

static struct node *parse_filter(struct parser *p, int line) {
    struct node *filter = parser_filters(p, NULL, true);
    struct node *inside = filter ? last_body(p, "filter", line, "endfilter") : NULL;
    struct node *const kids[] = {inside, filter};
    return inside ? with_kids(p, NODE_FILTER_BLOCK, line, kids, 2) : NULL;
}

static struct node *parse_with(struct parser *p, int line) {
    struct kids kids = {0}, values = {0};
    while (!parser_is(p, TOKEN_BLOCK_END)) {
        if (kids.n && parser_expect_operator(p, ",")) return NULL;
        struct node *target = parser_target(p, false, CONTEXT_PARAM);
        if (!target || parser_expect_operator(p, "=")) return NULL;
        struct node *value = parser_expression(p);
        if (!value) return NULL;
        parser_add_kid(p, &kids, target);
        parser_add_kid(p, &values, value);
    }
    for (int i = 0; i < values.n; i++) parser_add_kid(p, &kids, values.list[i]);
    struct node *inside = last_body(p, "with", line, "endwith");
    if (!inside) return NULL;
    parser_add_kid(p, &kids, inside);
    struct node *n = parser_node(p, NODE_WITH, line, &kids);
    n->n_args = values.n;
    return n;
}

static struct node *parse_print(struct parser *p, int line) {
    struct kids kids = {0};
    while (!parser_is(p, TOKEN_BLOCK_END)) {
        if (kids.n && parser_expect_operator(p, ",")) return NULL;
        struct node *n = parser_expression(p);
        if (!n) return NULL;
        parser_add_kid(p, &kids, n);
    }
    return parser_node(p, NODE_OUTPUT, line, &kids);
}

static struct node *parse_break(struct parser *p, int line) {
    return parser_node(p, NODE_BREAK, line, &(struct kids){0});
}

static struct node *parse_continue(struct parser *p, int line) {
    return parser_node(p, NODE_CONTINUE, line, &(struct kids){0});
}

static const struct {
    const char *tag;
    struct node *(*parse)(struct parser *p, int line);
} statements[] = {
    {"set", parse_set},           {"if", parse_if},
    {"for", parse_for},           {"macro", parse_macro},
    {"call", parse_call},         {"generation", parse_generation},
    {"filter", parse_filter},     {"with", parse_with},
    {"print", parse_print},       {"break", parse_break},
    {"continue", parse_continue},
};
enum { N_STATEMENTS = sizeof statements / sizeof *statements };

// A tag that neither begins a statement nor ends the block that it stands in.
static struct node *unknown_tag(struct parser *p, const char *tag, int tag_line,
                                const char *const *ends) {
    struct buffer known = {0};
    for (int i = 0; i < N_STATEMENTS; i++)
        buffer_printf(&known, "%s%s", i ? ", " : "", statements[i].tag);
    for (int i = 0; ends && ends[i]; i++) buffer_printf(&known, ", %s", ends[i]);
    if (tag)
        parser_fail(p, p->at->line,
                    "the tag '%.*s' is not known here, inside of the '%s' of line "
                    "%d; expected one of %s.",
                    SLICE_ARG(p->at->text), tag, tag_line, known.ptr);
    else
        parser_fail(p, p->at->line, "the tag '%.*s' is not known; expected one of %s.",
                    SLICE_ARG(p->at->text), known.ptr);
    buffer_free(&known);
    return NULL;
}

static bool is_end(const struct parser *p, const char *const *ends) {
    for (int i = 0; ends && ends[i]; i++)
        if (parser_is_name(p, ends[i])) return true;
    return false;
}

static struct node *statement(struct parser *p, const char *tag, int tag_line,
                              const char *const *ends) {
    int line = p->at->line;
    if (!parser_is(p, TOKEN_NAME)) {
        expected(p, "the name of a tag");
        return NULL;
    }
    for (int i = 0; i < N_STATEMENTS; i++) {
        if (!parser_skip_name(p, statements[i].tag)) continue;
        struct node *n = statements[i].parse(p, line);
        return n && !end_of_tag(p) ? n : NULL;
    }
    return unknown_tag(p, tag, tag_line, ends);
}

static struct node *output(struct parser *p) {
    struct kids kids = {0};
    int line = p->at->line;
    while (parser_is(p, TOKEN_DATA) || parser_is(p, TOKEN_VARIABLE_BEGIN)) {
        struct node *n;
        const struct token *t = p->at++;
        if (t->type == TOKEN_DATA) {
            n = parser_node(p, NODE_CONST, t->line, &(struct kids){0});
            n->constant = value_string(t->text);
        } else {
            if (!(n = parser_tuple(p, true))) return NULL;
            if (!parser_is(p, TOKEN_VARIABLE_END)) {
                expected(p, "the end of the tag");
                return NULL;
            }
            p->at++;
        }
        parser_add_kid(p, &kids, n);
    }
    return parser_node(p, NODE_OUTPUT, line, &kids);
}

static struct node *subparse(struct parser *p, const char *tag, int tag_line,
                             const char *const *ends) {
    struct kids kids = {0};
    int line = p->at->line;
    while (!parser_is(p, TOKEN_EOF)) {
        struct node *n;
        if (parser_is(p, TOKEN_BLOCK_BEGIN)) {
            p->at++;
            if (is_end(p, ends)) return parser_node(p, NODE_BODY, line, &kids);
            n = statement(p, tag, tag_line, ends);
        } else {
            n = output(p);
        }
        if (!n) return NULL;
        parser_add_kid(p, &kids, n);
    }
    if (!tag) return parser_node(p, NODE_BODY, line, &kids);
    while (ends[1]) ends++;
    return parser_fail(p, tag_line, "the '%s' is not closed, expected '%s'.", tag, *ends);
}

struct node *parser_read(struct parser *p) {
    return subparse(p, NULL, 0, NULL);
}
