#include "worker/load/jinja/lexer.h"

#include <stdlib.h>

#include "worker/load/jinja/lexer_literal.h"
#include "worker/load/jinja/pystr.h"

enum { MAX_OPEN = 64 }; // brackets inside each other in one tag

struct lexer {
    struct slice text;
    size_t at;
    int line;
    bool line_starts;    // what was read last ended with a line break
    char open[MAX_OPEN]; // the brackets that are expected to close
    int n_open;
    struct arena *arena;
    struct tokens *out;
    int capacity;
    const char *name;
    struct error *err;
};

static int fail(struct lexer *l, const char *what) {
    return error_set(l->err, ERROR_CONFIG, "%s, line %d: %s", l->name, l->line, what);
}

static struct token *add(struct lexer *l, enum token_type type, struct slice text) {
    struct tokens *t = l->out;
    if (t->n == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 256;
        t->list = memory_resize(t->list, (size_t)l->capacity, sizeof *t->list);
    }
    t->list[t->n] = (struct token){.type = type, .line = l->line, .text = text};
    return &t->list[t->n++];
}

static char peek(const struct lexer *l, size_t ahead) {
    return l->text.len - l->at > ahead ? l->text.ptr[l->at + ahead] : 0;
}

static bool stands(const struct lexer *l, size_t at, const char *what) {
    return pystr_starts((struct slice){l->text.ptr + at, l->text.len - at}, slice_of(what));
}

static void advance_to(struct lexer *l, size_t end) {
    for (; l->at < end; l->at++) l->line += l->text.ptr[l->at] == '\n';
}

// The end of the white space at `at`, which may be any that Python's \s knows.
static size_t skip_space(const struct lexer *l, size_t at) {
    struct slice rest = {l->text.ptr + at, l->text.len - at};
    return (size_t)(pystr_strip(rest, PYSTR_LEFT, NULL).ptr - l->text.ptr);
}

// Goes behind the end of a tag: `end` stands at `at`, perhaps with a sign before it. '-' takes the
// white space behind it away, and without a sign a block takes one line break.
static void leave_tag(struct lexer *l, size_t at, char sign, bool trims) {
    size_t end = at + 2;
    if (sign == '-')
        end = skip_space(l, end);
    else if (trims && sign != '+' && end < l->text.len && l->text.ptr[end] == '\n')
        end++;
    l->line_starts = l->text.ptr[end - 1] == '\n';
    advance_to(l, end);
}

// ---- text

// The text in front of a tag, with the white space that the tag takes away. `sign` is what stands
// behind the tag's two brackets.
static struct slice trimmed(const struct lexer *l, struct slice text, char sign, bool variable) {
    if (sign == '-') return pystr_strip(text, PYSTR_RIGHT, NULL);
    if (sign == '+' || variable) return text;
    size_t start = text.len;
    while (start > 0 && text.ptr[start - 1] != '\n') start--;
    if (start == 0 && !l->line_starts) return text;
    struct slice last = {text.ptr + start, text.len - start};
    if (pystr_strip(last, PYSTR_LEFT, NULL).len == 0) text.len = start;
    return text;
}

static void add_data(struct lexer *l, struct slice text) {
    if (text.len > 0) add(l, TOKEN_DATA, text);
}

static size_t find_tag(const struct lexer *l) {
    for (size_t at = l->at; at + 1 < l->text.len; at++)
        if (l->text.ptr[at] == '{' && strchr("{%#", l->text.ptr[at + 1]) && l->text.ptr[at + 1])
            return at;
    return l->text.len;
}

// Whether a block's inside from `at` on is WORD and then the end of the block, with a sign before
// it that may be '-' or one of `signs`; stores the place of the closing bracket.
static bool is_lone_word(const struct lexer *l, size_t at, const char *word, const char *signs,
                         char *sign, size_t *close) {
    at = skip_space(l, at);
    if (!stands(l, at, word)) return false;
    at = skip_space(l, at + strlen(word));
    *sign =
        at < l->text.len && l->text.ptr[at] && strchr(signs, l->text.ptr[at]) ? l->text.ptr[at] : 0;
    *close = at + (*sign ? 1 : 0);
    return stands(l, *close, "%}");
}

static char sign_at(const struct lexer *l, size_t at) {
    char c = at < l->text.len ? l->text.ptr[at] : 0;
    return c == '-' || c == '+' ? c : 0;
}

// Behind {% raw %}: all is text up to {% endraw %}.
static int read_raw(struct lexer *l) {
    for (size_t at = l->at; at < l->text.len; at++) {
        if (!stands(l, at, "{%")) continue;
        char sign = sign_at(l, at + 2), end_sign;
        size_t close;
        if (!is_lone_word(l, at + 2 + (sign ? 1 : 0), "endraw", "-+", &end_sign, &close)) continue;
        add_data(l, trimmed(l, (struct slice){l->text.ptr + l->at, at - l->at}, sign, false));
        leave_tag(l, close, end_sign, true);
        return 0;
    }
    return fail(l, "{% raw %} is not closed, expected {% endraw %}.");
}

static int read_comment(struct lexer *l, size_t inside) {
    for (size_t at = inside; at + 1 < l->text.len; at++) {
        if (!stands(l, at, "#}")) continue;
        char sign = at > inside ? sign_at(l, at - 1) : 0;
        leave_tag(l, at, sign, true);
        return 0;
    }
    return fail(l, "a comment is not closed, expected #}.");
}

// ---- tags

static int read_operator(struct lexer *l) {
    static const char *const two[] = {"**", "//", "==", "!=", ">=", "<="};
    static const char opening[] = "([{", closing[] = ")]}";
    char c = peek(l, 0);
    size_t n = 0;
    for (int i = 0; i < 6 && n == 0; i++)
        if (stands(l, l->at, two[i])) n = 2;
    if (n == 0 && c && strchr("+-/*%~[](){}><=.:|,;", c)) n = 1;
    if (n == 0) return fail(l, "a tag has a character that does not belong there.");
    const char *opens = n == 1 ? strchr(opening, c) : NULL;
    if (opens) {
        if (l->n_open == MAX_OPEN) return fail(l, "a tag has too many brackets.");
        l->open[l->n_open++] = closing[opens - opening];
    } else if (n == 1 && strchr(closing, c)) {
        if (l->n_open == 0 || l->open[--l->n_open] != c)
            return fail(l, "a tag closes a bracket that is not open.");
    }
    add(l, TOKEN_OPERATOR, (struct slice){l->text.ptr + l->at, n});
    l->at += n;
    return 0;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static int read_string(struct lexer *l) {
    char quote = peek(l, 0);
    size_t end = l->at + 1;
    while (end < l->text.len && l->text.ptr[end] != quote) end += l->text.ptr[end] == '\\' ? 2 : 1;
    if (end >= l->text.len) return fail(l, "a string is not closed.");
    struct slice inside = {l->text.ptr + l->at + 1, end - l->at - 1};
    struct slice value;
    if (lexer_unescape(inside, l->arena, &value))
        return fail(l, "a string has an escape that is not supported; expected those of Python, "
                       "without \\N and surrogates.");
    add(l, TOKEN_STRING, value);
    advance_to(l, end + 1);
    return 0;
}

static int read_number(struct lexer *l) {
    struct slice rest = {l->text.ptr + l->at, l->text.len - l->at};
    bool behind_dot = l->text.ptr[l->at - 1] == '.';
    struct value value;
    size_t n = lexer_number(rest, behind_dot, &value);
    if (n == 0) return fail(l, "a number is too large.");
    add(l, TOKEN_NUMBER, (struct slice){rest.ptr, n})->value = value;
    l->at += n;
    return 0;
}

static int read_token(struct lexer *l) {
    char c = peek(l, 0);
    if (c >= '0' && c <= '9') return read_number(l);
    if (c == '"' || c == '\'') return read_string(l);
    if (!is_word(c)) return read_operator(l);
    size_t n = 1;
    while (is_word(peek(l, n))) n++;
    if ((unsigned char)peek(l, n) >= 0x80) return fail(l, "a name has a letter beyond a to z.");
    add(l, TOKEN_NAME, (struct slice){l->text.ptr + l->at, n});
    l->at += n;
    return 0;
}

// A tag's inside, up to its end.
static int read_tag(struct lexer *l, bool variable) {
    const char *end = variable ? "}}" : "%}";
    int line = l->line;
    for (;;) {
        advance_to(l, skip_space(l, l->at));
        if (l->at == l->text.len) break;
        char sign = sign_at(l, l->at);
        if (variable && sign == '+') sign = 0;
        size_t close = l->at + (sign ? 1 : 0);
        if (l->n_open == 0 && stands(l, close, end)) {
            add(l, variable ? TOKEN_VARIABLE_END : TOKEN_BLOCK_END, (struct slice){end, 2});
            leave_tag(l, close, sign, !variable);
            return 0;
        }
        if (read_token(l)) return -1;
    }
    l->line = line;
    return fail(l, variable ? "a tag is not closed, expected }}."
                            : "a tag is not closed, expected %}.");
}

// At a tag: reads the text in front of it and the tag.
static int read_part(struct lexer *l, size_t tag) {
    char kind = l->text.ptr[tag + 1], sign = sign_at(l, tag + 2), raw_sign;
    size_t inside = tag + 2 + (sign ? 1 : 0), close;
    struct slice text = {l->text.ptr + l->at, tag - l->at};
    add_data(l, trimmed(l, text, sign, kind == '{'));
    advance_to(l, tag);
    if (kind == '#') return read_comment(l, inside);
    if (kind == '%' && is_lone_word(l, inside, "raw", "-", &raw_sign, &close)) {
        leave_tag(l, close, raw_sign, false);
        return read_raw(l);
    }
    add(l, kind == '{' ? TOKEN_VARIABLE_BEGIN : TOKEN_BLOCK_BEGIN, (struct slice){0});
    l->at = inside;
    l->n_open = 0;
    return read_tag(l, kind == '{');
}

// Line breaks as "\n", and without the one at the end.
static struct slice normalized(struct slice text, struct arena *arena) {
    char *out = arena_take(arena, text.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool cr = text.ptr[i] == '\r';
        if (cr && i + 1 < text.len && text.ptr[i + 1] == '\n') i++;
        out[n++] = cr ? '\n' : text.ptr[i];
    }
    if (n > 0 && out[n - 1] == '\n') n--;
    return (struct slice){out, n};
}

int lexer_read(struct slice text, const char *name, struct arena *arena, struct tokens *out,
               struct error *err) {
    struct lexer l = {.text = normalized(text, arena),
                      .line = 1,
                      .line_starts = true,
                      .arena = arena,
                      .out = out,
                      .name = name,
                      .err = err};
    *out = (struct tokens){0};
    int failed = 0;
    while (!failed && l.at < l.text.len) {
        size_t tag = find_tag(&l);
        if (tag < l.text.len) {
            failed = read_part(&l, tag);
        } else {
            add_data(&l, (struct slice){l.text.ptr + l.at, l.text.len - l.at});
            advance_to(&l, tag);
        }
    }
    add(&l, TOKEN_EOF, (struct slice){0});
    if (!failed) return 0;
    free(out->list);
    *out = (struct tokens){0};
    return -1;
}
