// Commands of LaTeX as tokens.

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/read/token_lexer.h"

static bool is_layout_space(struct slice name) {
    static const char *const SPACES[] = {
        "quad",         "qquad",    "space",      "thinspace",    "enspace",      "hskip",
        "nobreakspace", "medspace", "thickspace", "negthinspace", "displaybreak", "allowbreak"};
    for (size_t i = 0; i < sizeof SPACES / sizeof *SPACES; i++)
        if (slice_is(name, SPACES[i])) return true;
    return false;
}

static bool is_blackboard(struct slice name) {
    return slice_is(name, "mathbb") || slice_is(name, "mathds") || slice_is(name, "Bbb");
}

// \mathbb{R} becomes one token.
static bool blackboard(struct lexer *l, size_t start) {
    size_t i = l->at;
    while (i < l->text.len && l->text.ptr[i] == ' ') i++;
    const bool brace = i < l->text.len && l->text.ptr[i] == '{';
    if (brace) i++;
    while (i < l->text.len && l->text.ptr[i] == ' ') i++;
    const char c = i < l->text.len ? l->text.ptr[i++] : 0;
    while (i < l->text.len && l->text.ptr[i] == ' ') i++;
    if (!c || !strchr("NZQRC", c)) return false;
    if (brace && !(i < l->text.len && l->text.ptr[i++] == '}')) return false;
    lexer_push(l, TOKEN_SET_NAME, lexer_rest(l), start)->op = (uint8_t)c;
    l->at = i;
    return true;
}

// "{align*}" and its kin at the beginning of `s`.
static bool is_aligned(struct slice s) {
    static const char *const NAMES[] = {"{aligned}",   "{align}",   "{align*}",   "{split}",
                                        "{gathered}",  "{gather}",  "{gather*}",  "{eqnarray}",
                                        "{eqnarray*}", "{alignat}", "{multline}", "{multline*}"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (s.len >= strlen(NAMES[i]) && memcmp(s.ptr, NAMES[i], strlen(NAMES[i])) == 0)
            return true;
    return false;
}

// How many arguments of a command are about looks alone and are left out, or -1: \color{red},
// \textcolor{red}{5}, \phantom{5}.
static int n_left_out(struct slice name) {
    static const struct {
        const char *name;
        int n;
    } COMMANDS[] = {{"color", 1},     {"textcolor", 1}, {"colorbox", 1}, {"fcolorbox", 2},
                    {"tag", 1},       {"label", 1},     {"phantom", 1},  {"hphantom", 1},
                    {"vphantom", 1},  {"fontsize", 2},  {"hspace", 1},   {"vspace", 1},
                    {"raisebox", 1},  {"scalebox", 1},  {"rule", 2},     {"definecolor", 3},
                    {"mathcolor", 1}, {"bbox", 0},      {"href", 1}};
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        if (slice_is(name, COMMANDS[i].name)) return COMMANDS[i].n;
    return -1;
}

// Past a group or an optional argument at the lexer. False when there is none that closes.
static bool skip_argument(struct lexer *l, char open, char close) {
    size_t i = l->at;
    int depth = 0;
    while (i < l->text.len && ascii_is_space(l->text.ptr[i])) i++;
    if (i == l->text.len || l->text.ptr[i] != open) return false;
    for (; i < l->text.len; i++) {
        depth += (l->text.ptr[i] == open) - (l->text.ptr[i] == close);
        if (depth == 0) {
            l->at = i + 1;
            return true;
        }
    }
    return false;
}

static bool is_white(struct slice argument) {
    static const char WHITE[] = "{white}";
    const size_t len = sizeof WHITE - 1;
    return argument.len >= len && memcmp(argument.ptr, WHITE, len) == 0;
}

static void named_command(struct lexer *l, struct slice name, size_t start) {
    const struct token_command *command = token_command(name);
    int n = n_left_out(name);
    if (n >= 0 && is_white(lexer_rest(l))) { // what nobody sees is not read
        lexer_push(l, TOKEN_COMMAND, name, start);
        return;
    }
    if (n >= 0) {
        skip_argument(l, '[', ']');
        while (n-- > 0 && skip_argument(l, '{', '}')) {
        }
        l->space = true;
        return;
    }
    if (slice_is(name, "begin")) l->environments++, l->aligned += is_aligned(lexer_rest(l));
    if (slice_is(name, "end")) l->environments--, l->aligned -= is_aligned(lexer_rest(l));
    if (token_is_layout(name)) {
        // \left| can only open and \right| only close; \left. and \right. are nothing.
        const bool left = slice_is(name, "left"), right = slice_is(name, "right");
        while (l->at < l->text.len && ascii_is_space(lexer_peek(l, 0))) l->at++;
        if ((left || right) && lexer_peek(l, 0) == '.') l->at++;
        if ((left || right) && lexer_peek(l, 0) == '|') {
            l->at++;
            lexer_push_char(l, '|', l->at - 1)->op = left ? 1 : 2;
        }
        return;
    }
    if (is_layout_space(name)) {
        l->space = true;
    } else if (is_blackboard(name) && blackboard(l, start)) {
        return;
    } else if (command && command->kind == TOKEN_FONT) {
        size_t i = l->at; // a font without a group behind it changes nothing
        while (i < l->text.len && ascii_is_space(l->text.ptr[i])) i++;
        if (i < l->text.len && l->text.ptr[i] == '{') {
            struct token *t = lexer_push(l, TOKEN_FONT, name, start);
            t->op = command->op;
        } else {
            l->space = true;
        }
    } else if (command) {
        const struct slice text = command->text ? slice_of(command->text) : name;
        struct token *t = lexer_push(l, command->kind, text, start);
        t->c = command->c;
        t->op = command->op;
    } else {
        lexer_push(l, TOKEN_COMMAND, name, start);
    }
}

// A backslash and one character that is no letter.
static void short_command(struct lexer *l, char c, size_t start) {
    l->at = start + (c ? 2 : 1);
    if (c && strchr(",!;:>", c)) {
        l->thin = true;
    } else if (c == '%') {
        lexer_push_char(l, '%', start);
    } else if (c == '$') {
        lexer_push_dollar(l, start);
    } else if (c == '{' || c == '}') {
        lexer_push_char(l, c, start)->op = 9;
    } else if (c == '|') {
        lexer_push_char(l, '|', start);
    } else if (c == '\\') {
        // Outside an environment this is a line break, or a backslash that was escaped twice.
        if (l->environments > 0)
            lexer_push(l, TOKEN_COMMAND, slice_of("\\"), start);
        else if (ascii_is_alpha(lexer_peek(l, 0)))
            l->at--;
        else
            l->space = true;
    } else if (c == '(' || c == ')' || c == '[' || c == ']') {
        l->space = true; // delimiters of mathematics
    } else if (c == '_' || c == '&' || c == '#') {
        lexer_push_char(l, '?', start);
    } else {
        l->space = true;
    }
}

void lexer_command(struct lexer *l) {
    const size_t start = l->at;
    size_t len = 1;
    while (ascii_is_alpha(lexer_peek(l, len))) len++;
    if (len == 1) {
        short_command(l, lexer_peek(l, 1), start);
        return;
    }
    const struct slice name = {l->text.ptr + start + 1, len - 1};
    l->at += len;
    if (lexer_peek(l, 0) == '*') l->at++; // \operatorname*
    if (slice_is(name, "char") && lexer_peek(l, 0) == '"') {
        l->at++;
        while (lexer_peek(l, 0) && strchr("0123456789abcdefABCDEF", lexer_peek(l, 0))) l->at++;
        lexer_push(l, TOKEN_NAME, (struct slice){name.ptr, l->at - start - 1}, start);
        return;
    }
    named_command(l, name, start);
}
