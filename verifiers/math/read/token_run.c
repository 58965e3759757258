#include "verifiers/math/read/token.h"

#include <ctype.h>
#include <strings.h>

#include "protocol/base/utf8.h"
#include "verifiers/math/base/budget.h"
#include "verifiers/math/read/token_table.h"

struct lexer {
    struct slice text;
    size_t at;
    int environments; // \begin without its \end
    bool space, thin, over;
    struct arena *arena;
    struct tokens *out;
    int capacity;
};

static struct token *push(struct lexer *l, enum token_kind kind, struct slice text, size_t at) {
    if (l->out->n + 2 > l->capacity) {
        const int capacity = l->capacity * 2 + 32;
        struct token *list = arena_take(l->arena, (size_t)capacity, sizeof *list);
        if (l->out->n) memcpy(list, l->out->list, (size_t)l->out->n * sizeof *list);
        l->out->list = list;
        l->capacity = capacity;
    }
    if (l->out->n >= MATH_MAX_TOKENS) l->over = true;
    struct token *t = &l->out->list[l->over ? l->out->n : l->out->n++];
    *t = (struct token){.kind = kind, .space = l->space, .thin = l->thin, .text = text, .at = at};
    l->space = l->thin = false;
    return t;
}

static struct token *push_char(struct lexer *l, char c, size_t at) {
    struct token *t = push(l, TOKEN_CHAR, (struct slice){l->text.ptr + at, 1}, at);
    t->c = c;
    return t;
}

static struct slice rest(const struct lexer *l) {
    return (struct slice){l->text.ptr + l->at, l->text.len - l->at};
}

static char peek(const struct lexer *l, size_t ahead) {
    return l->at + ahead < l->text.len ? l->text.ptr[l->at + ahead] : 0;
}

static bool is_layout_space(struct slice name) {
    static const char *const SPACES[] = {"quad",    "qquad", "space",        "thinspace", "hspace",
                                         "enspace", "hskip", "nobreakspace", "medspace"};
    for (size_t i = 0; i < sizeof SPACES / sizeof *SPACES; i++)
        if (slice_is(name, SPACES[i])) return true;
    return false;
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
    push(l, TOKEN_SET_NAME, rest(l), start)->op = (uint8_t)c;
    l->at = i;
    return true;
}

static void named_command(struct lexer *l, struct slice name, size_t start) {
    const struct token_command *command = token_command(name);
    if (slice_is(name, "begin")) l->environments++;
    if (slice_is(name, "end")) l->environments--;
    if (token_is_layout(name)) {
        // \left| can only open and \right| only close; \left. and \right. are nothing.
        const bool left = slice_is(name, "left"), right = slice_is(name, "right");
        while (l->at < l->text.len && isspace((unsigned char)peek(l, 0))) l->at++;
        if ((left || right) && peek(l, 0) == '.') l->at++;
        if ((left || right) && peek(l, 0) == '|') {
            l->at++;
            push_char(l, '|', l->at - 1)->op = left ? 1 : 2;
        }
        return;
    }
    if (is_layout_space(name)) {
        l->space = true;
    } else if (slice_is(name, "mathbb") && blackboard(l, start)) {
        return;
    } else if (command && command->kind == TOKEN_FONT) {
        size_t i = l->at; // a font without a group behind it changes nothing
        while (i < l->text.len && isspace((unsigned char)l->text.ptr[i])) i++;
        if (i < l->text.len && l->text.ptr[i] == '{') {
            struct token *t = push(l, TOKEN_FONT, name, start);
            t->op = command->op;
        } else {
            l->space = true;
        }
    } else if (command) {
        const struct slice text = command->text ? slice_of(command->text) : name;
        struct token *t = push(l, command->kind, text, start);
        t->c = command->c;
        t->op = command->op;
    } else {
        push(l, TOKEN_COMMAND, name, start);
    }
}

// A backslash and one character that is no letter.
static void short_command(struct lexer *l, char c, size_t start) {
    l->at = start + (c ? 2 : 1);
    if (c && strchr(",!;:>", c)) {
        l->thin = true;
    } else if (c == '%') {
        push_char(l, '%', start);
    } else if (c == '$') {
        push(l, TOKEN_CURRENCY, slice_of("dollar"), start);
    } else if (c == '{' || c == '}') {
        push_char(l, c, start)->op = 9;
    } else if (c == '|') {
        push_char(l, '|', start);
    } else if (c == '\\') {
        // Outside an environment this is a line break, or a backslash that was escaped twice.
        if (l->environments > 0)
            push(l, TOKEN_COMMAND, slice_of("\\"), start);
        else if (isalpha((unsigned char)peek(l, 0)))
            l->at--;
        else
            l->space = true;
    } else if (c == '(' || c == ')' || c == '[' || c == ']') {
        l->space = true; // delimiters of mathematics
    } else if (c == '_' || c == '&' || c == '#') {
        push_char(l, '?', start);
    } else {
        l->space = true;
    }
}

static void command(struct lexer *l) {
    const size_t start = l->at;
    size_t len = 1;
    while (isalpha((unsigned char)peek(l, len))) len++;
    if (len == 1) {
        short_command(l, peek(l, 1), start);
        return;
    }
    const struct slice name = {l->text.ptr + start + 1, len - 1};
    l->at += len;
    if (peek(l, 0) == '*') l->at++; // \operatorname*
    if (slice_is(name, "char") && peek(l, 0) == '"') {
        l->at++;
        while (isxdigit((unsigned char)peek(l, 0))) l->at++;
        push(l, TOKEN_NAME, (struct slice){name.ptr, l->at - start - 1}, start);
        return;
    }
    named_command(l, name, start);
}

// Superscript and subscript digits become ^{...} and _{...}. Returns false when there is none.
static bool script(struct lexer *l) {
    static const uint32_t UP[] = {0x2070, 0xB9,   0xB2,   0xB3,   0x2074, 0x2075,
                                  0x2076, 0x2077, 0x2078, 0x2079, 0x207B, 0x207F};
    static const char SIGNS[] = "0123456789-n";
    size_t n_read = 0;
    char kind = 0;
    for (int n; l->at < l->text.len; l->at += (size_t)n, n_read++) {
        uint32_t code = 0;
        n = utf8_next(rest(l), &code);
        char c = 0;
        for (size_t i = 0; i < sizeof UP / sizeof *UP; i++)
            if (UP[i] == code) c = SIGNS[i];
        const char up = c ? '^' : '_';
        if (!c && code >= 0x2080 && code <= 0x2089) c = (char)('0' + (code - 0x2080));
        if (n == 0 || !c || (kind && kind != up)) break;
        if (!kind) {
            kind = up;
            push_char(l, up, l->at);
            push_char(l, '{', l->at);
        }
        const enum token_kind token = c == '-' ? TOKEN_CHAR : c == 'n' ? TOKEN_WORD : TOKEN_DIGITS;
        const struct slice text = {strchr(SIGNS, c), 1};
        struct token *last = &l->out->list[l->out->n - 1];
        if (token == TOKEN_DIGITS && last->kind == TOKEN_DIGITS) {
            char *both = arena_take(l->arena, last->text.len + 2, 1);
            memcpy(both, last->text.ptr, last->text.len);
            both[last->text.len] = c;
            last->text = (struct slice){both, last->text.len + 1};
        } else {
            push(l, token, text, l->at)->c = token == TOKEN_CHAR ? c : 0;
        }
    }
    if (n_read) push_char(l, '}', l->at - 1);
    return n_read > 0;
}

static bool is_letter(uint32_t code) {
    if (code < 0x80) return isalpha((int)code) != 0;
    if (code < 0xC0 || (code >= 0x2000 && code < 0x2C00) || code == 0xD7 || code == 0xF7)
        return false;
    if ((code >= 0x3000 && code < 0x3005) || (code >= 0xFE00 && code < 0xFE10)) return false;
    return code < 0xFF00 && !token_greek(code);
}

static bool is_space(uint32_t code) {
    return code == 0xA0 || (code >= 0x2000 && code <= 0x200B) || code == 0x202F || code == 0x205F ||
           code == 0x3000 || code == 0xFEFF || (code >= 0x2061 && code <= 0x2064);
}

// A character that is not ASCII. False when the bytes are no UTF-8.
static bool unicode(struct lexer *l) {
    uint32_t code = 0;
    const size_t start = l->at;
    const int len = utf8_next(rest(l), &code);
    if (len == 0) return false;
    if (script(l)) return true;
    l->at += (size_t)len;
    const struct slice text = {l->text.ptr + start, (size_t)len};
    if (is_space(code)) {
        if (code == 0x3000 || code == 0x2002 || code == 0x2003)
            l->space = true;
        else
            l->thin = true;
        return true;
    }
    if (code >= 0xFF01 && code <= 0xFF5E) { // full width ASCII
        const char c = (char)(code - 0xFF01 + '!');
        char *copy = arena_copy(l->arena, &c, 1);
        struct token *last = l->out->n ? &l->out->list[l->out->n - 1] : NULL;
        if (isdigit((unsigned char)c) && last && last->kind == TOKEN_DIGITS && !l->space &&
            !l->thin) {
            char *both = arena_take(l->arena, last->text.len + 2, 1);
            memcpy(both, last->text.ptr, last->text.len);
            both[last->text.len] = c;
            last->text = (struct slice){both, last->text.len + 1};
        } else if (isdigit((unsigned char)c))
            push(l, TOKEN_DIGITS, (struct slice){copy, 1}, start);
        else if (isalpha((unsigned char)c))
            push(l, TOKEN_WORD, (struct slice){copy, 1}, start);
        else if (c == '=' || c == '<' || c == '>')
            push(l, TOKEN_RELATION, text, start)->op = c == '='   ? MATH_EQ
                                                       : c == '<' ? MATH_LT
                                                                  : MATH_GT;
        else
            push_char(l, c, start);
        return true;
    }
    const struct token_character *known = token_character(code);
    if (known) {
        struct token *t = push(l, known->kind, known->text ? slice_of(known->text) : text, start);
        t->c = known->c;
        t->op = known->op;
        return true;
    }
    const char *greek = token_greek(code);
    push(l, greek ? TOKEN_NAME : TOKEN_CHAR, greek ? slice_of(greek) : text, start)->c =
        greek ? 0 : '?';
    return true;
}

static void relation(struct lexer *l) {
    const size_t start = l->at;
    const char c = peek(l, 0), next = peek(l, 1);
    enum math_relation op = c == '=' ? MATH_EQ : c == '<' ? MATH_LT : MATH_GT;
    l->at++;
    if (c == '=' && next == '=') l->at++;
    if (next == '=' && c != '=') {
        op = c == '<' ? MATH_LE : c == '>' ? MATH_GE : MATH_NE;
        l->at++;
    } else if (c == '=' && next == '>') {
        op = MATH_IMPLIES;
        l->at++;
    } else if (c == '<' && next == '>') {
        op = MATH_NE;
        l->at++;
    } else if (c == '-' && next == '>') {
        op = MATH_TO;
        l->at++;
    }
    push(l, TOKEN_RELATION, (struct slice){l->text.ptr + start, l->at - start}, start)->op =
        (uint8_t)op;
}

// A run of letters: a name that is known, a function with its variable ("sinx"), or a word.
static void word(struct lexer *l, size_t start) {
    static const char *const BEFORE_VARIABLE[] = {"sin", "cos", "tan", "cot",
                                                  "sec", "csc", "ln",  "log"};
    const struct slice text = {l->text.ptr + start, l->at - start};
    struct token known;
    for (size_t i = 0; i < sizeof BEFORE_VARIABLE / sizeof *BEFORE_VARIABLE; i++) {
        const size_t len = strlen(BEFORE_VARIABLE[i]);
        if (text.len != len + 1 || memcmp(text.ptr, BEFORE_VARIABLE[i], len) != 0) continue;
        if (!strchr("xyztA", text.ptr[len])) continue;
        const struct slice name = {text.ptr, len}, variable = {text.ptr + len, 1};
        push(l, TOKEN_FUNCTION, name, start)->op = token_command(name)->op;
        push(l, TOKEN_WORD, variable, start + len);
        return;
    }
    if (!token_word(text, &known)) {
        push(l, TOKEN_WORD, text, start);
        return;
    }
    struct token *t = push(l, known.kind, known.text, start);
    t->op = known.op;
    t->plain = true;
}

// x != 3; but 3!=6 is a factorial, whose mark has no space before it.
static bool is_unequal(const struct lexer *l) {
    if (peek(l, 0) != '!' || peek(l, 1) != '=') return false;
    const char before = l->at > 0 ? l->text.ptr[l->at - 1] : ' ';
    return !isdigit((unsigned char)before) && before != ')' && before != '}';
}

static bool one(struct lexer *l) {
    const size_t start = l->at;
    const char c = peek(l, 0);
    uint32_t code = 0;
    if (isdigit((unsigned char)c)) {
        while (isdigit((unsigned char)peek(l, 0))) l->at++;
        push(l, TOKEN_DIGITS, (struct slice){l->text.ptr + start, l->at - start}, start);
    } else if (utf8_next(rest(l), &code) && is_letter(code)) {
        for (int n; (n = utf8_next(rest(l), &code)) > 0 && is_letter(code);) l->at += (size_t)n;
        word(l, start);
    } else if (isspace((unsigned char)c) || c == '~') {
        l->space = true;
        l->at++;
    } else if (c == '\\') {
        command(l);
    } else if (c == '$' && isdigit((unsigned char)peek(l, 1)) && l->at == 0 &&
               !memchr(l->text.ptr + 1, '$', l->text.len - 1)) {
        l->at++; // "$36" alone: money, for there is no second dollar to close it
        push(l, TOKEN_CURRENCY, slice_of("dollar"), start);
    } else if (c == '$') {
        l->at++;
    } else if (c == '=' || c == '<' || c == '>' || is_unequal(l) ||
               (c == '-' && peek(l, 1) == '>')) {
        relation(l);
    } else if (c == '.' && peek(l, 1) == '.' && peek(l, 2) == '.') {
        l->at += 3;
        push(l, TOKEN_DOTS, (struct slice){l->text.ptr + start, 3}, start);
    } else if (c == '*' && peek(l, 1) == '*') {
        l->at += 2;
        push_char(l, '^', start);
    } else if ((unsigned char)c < 0x80) {
        l->at++;
        push_char(l, c ? c : '?', start);
    } else {
        return unicode(l);
    }
    return true;
}

bool token_run(struct slice text, struct arena *arena, struct tokens *out) {
    struct lexer l = {.text = text, .arena = arena, .out = out};
    *out = (struct tokens){0};
    if (text.len > MATH_MAX_BYTES) return false;
    while (l.at < text.len && !l.over)
        if (!one(&l)) return false;
    if (l.over) return false;
    push(&l, TOKEN_END, (struct slice){NULL, 0}, text.len);
    out->n--;
    return true;
}

bool token_word(struct slice word, struct token *out) {
    static const struct {
        const char *name;
        enum token_kind kind;
        uint8_t op;
    } WORDS[] = {
        {"pi", TOKEN_CONSTANT, MATH_PI},
        {"infinity", TOKEN_CONSTANT, MATH_INFINITY},
        {"inf", TOKEN_CONSTANT, MATH_INFINITY},
        {"oo", TOKEN_CONSTANT, MATH_INFINITY},
        {"infty", TOKEN_CONSTANT, MATH_INFINITY},
        {"sqrt", TOKEN_COMMAND, 3},
        {"cbrt", TOKEN_COMMAND, 3},
        {"emptyset", TOKEN_SET_NAME, '0'},
        {"mod", TOKEN_COMMAND, 0},
    };
    if (word.len < 2) return false;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (word.len == strlen(WORDS[i].name) &&
            strncasecmp(word.ptr, WORDS[i].name, word.len) == 0) {
            *out = (struct token){
                .kind = WORDS[i].kind, .op = WORDS[i].op, .text = slice_of(WORDS[i].name)};
            return true;
        }
    const struct token_command *command = token_command(word);
    if (!command || (command->kind != TOKEN_FUNCTION && command->kind != TOKEN_NAME)) return false;
    // "in", "to", "star", "char" are English in plain text; functions and Greek letters are not.
    if (slice_is(word, "star") || slice_is(word, "char") || slice_is(word, "prime") ||
        slice_is(word, "angle") || slice_is(word, "partial") || slice_is(word, "triangle") ||
        slice_is(word, "arg") || slice_is(word, "sign"))
        return false;
    *out = (struct token){.kind = command->kind,
                          .op = command->op,
                          .text = command->text ? slice_of(command->text) : word};
    return true;
}
