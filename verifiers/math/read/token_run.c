// The walk over a span.
#include <assert.h>

#include "verifiers/math/base/ascii.h"
#include "verifiers/math/read/token.h"

#include "protocol/base/utf8.h"
#include "verifiers/math/base/budget.h"
#include "verifiers/math/read/token_lexer.h"

static void relation(struct lexer *l) {
    const size_t start = l->at;
    const char c = lexer_peek(l, 0), next = lexer_peek(l, 1);
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
    lexer_push(l, TOKEN_RELATION, (struct slice){l->text.ptr + start, l->at - start}, start)->op =
        (uint8_t)op;
}

// "negative 1", "minus 1", also at the end of a font: \text{negative }1.
static bool is_minus(const struct lexer *l, struct slice word) {
    static const char *const WORDS[] = {"negative", "minus"};
    bool found = false;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        found |= word.len == strlen(WORDS[i]) && ascii_same(word.ptr, WORDS[i], word.len);
    size_t i = l->at;
    while (i < l->text.len && strchr(" }$", l->text.ptr[i]) && l->text.ptr[i]) i++;
    return found && i < l->text.len && i > l->at &&
           (ascii_is_digit(l->text.ptr[i]) || strchr("\\(", l->text.ptr[i]));
}

// &lt; and its kin, as they stand in HTML. False where there is none.
static bool entity(struct lexer *l) {
    static const struct {
        const char *name;
        enum token_kind kind;
        char c;
        uint8_t op;
    } ENTITIES[] = {{"&lt;", TOKEN_RELATION, 0, MATH_LT}, {"&gt;", TOKEN_RELATION, 0, MATH_GT},
                    {"&le;", TOKEN_RELATION, 0, MATH_LE}, {"&ge;", TOKEN_RELATION, 0, MATH_GE},
                    {"&ne;", TOKEN_RELATION, 0, MATH_NE}, {"&minus;", TOKEN_CHAR, '-', 0},
                    {"&times;", TOKEN_CHAR, '*', 0},      {"&nbsp;", TOKEN_END, 0, 0}};
    for (size_t i = 0; i < sizeof ENTITIES / sizeof *ENTITIES; i++) {
        const size_t len = strlen(ENTITIES[i].name), start = l->at;
        if (l->text.len - start < len || memcmp(l->text.ptr + start, ENTITIES[i].name, len))
            continue;
        l->at += len;
        l->space |= ENTITIES[i].kind == TOKEN_END;
        if (ENTITIES[i].kind == TOKEN_END) return true;
        struct token *t = lexer_push(l, ENTITIES[i].kind, slice_of(ENTITIES[i].name), start);
        t->c = ENTITIES[i].c;
        t->op = ENTITIES[i].op;
        return true;
    }
    return false;
}

// A comment of LaTeX: % at the beginning of a line or at its end, and not behind a number.
static bool is_comment(const struct lexer *l) {
    const struct token *last = lexer_last(l);
    const bool percent = last && last->kind == TOKEN_DIGITS;
    return lexer_peek(l, 0) == '%' && !percent &&
           (lexer_peek(l, 1) == '\n' || l->at == 0 || l->text.ptr[l->at - 1] == '\n');
}

// A run of letters: a name that is known, a function with its variable ("sinx"), or a word.
static void word(struct lexer *l, size_t start) {
    static const char *const BEFORE_VARIABLE[] = {"sin", "cos", "tan", "cot",
                                                  "sec", "csc", "ln",  "log"};
    const struct slice text = {l->text.ptr + start, l->at - start};
    struct token known;
    if (is_minus(l, text)) {
        lexer_push_char(l, '-', start);
        return;
    }
    for (size_t i = 0; i < sizeof BEFORE_VARIABLE / sizeof *BEFORE_VARIABLE; i++) {
        const size_t len = strlen(BEFORE_VARIABLE[i]);
        if (text.len != len + 1 || memcmp(text.ptr, BEFORE_VARIABLE[i], len) != 0) continue;
        if (!strchr("xyztA", text.ptr[len])) continue;
        const struct slice name = {text.ptr, len}, variable = {text.ptr + len, 1};
        lexer_push(l, TOKEN_FUNCTION, name, start)->op = token_command(name)->op;
        lexer_push(l, TOKEN_WORD, variable, start + len);
        return;
    }
    // "6 x 2 = 12": between two numbers, with blanks, it is a times.
    const struct token *last = lexer_last(l);
    if (slice_is(text, "x") && l->space && last && last->kind == TOKEN_DIGITS &&
        lexer_peek(l, 0) == ' ' &&
        (ascii_is_digit(lexer_peek(l, 1)) ||
         (lexer_peek(l, 1) == '$' && ascii_is_digit(lexer_peek(l, 2))))) {
        lexer_push_char(l, '*', start);
        return;
    }
    if (!token_word(text, &known)) {
        lexer_push(l, TOKEN_WORD, text, start);
        return;
    }
    struct token *t = lexer_push(l, known.kind, known.text, start);
    t->op = known.op;
    t->plain = true;
}

// x != 3; but 3!=6 is a factorial, whose mark has no space before it.
static bool is_unequal(const struct lexer *l) {
    if (lexer_peek(l, 0) != '!' || lexer_peek(l, 1) != '=') return false;
    const char before = l->at > 0 ? l->text.ptr[l->at - 1] : ' ';
    return !ascii_is_digit(before) && before != ')' && before != '}';
}

static bool one(struct lexer *l) {
    const size_t start = l->at;
    const char c = lexer_peek(l, 0);
    uint32_t code = 0;
    if (ascii_is_digit(c)) {
        while (ascii_is_digit(lexer_peek(l, 0))) l->at++;
        lexer_push(l, TOKEN_DIGITS, (struct slice){l->text.ptr + start, l->at - start}, start);
    } else if (utf8_next(lexer_rest(l), &code) && lexer_is_letter(code)) {
        for (int n; (n = utf8_next(lexer_rest(l), &code)) > 0 && lexer_is_letter(code);)
            l->at += (size_t)n;
        word(l, start);
    } else if (ascii_is_space(c) || c == '~') {
        l->space = true;
        l->at++;
    } else if (c == '\\') {
        lexer_command(l);
    } else if (c == '$' && ascii_is_digit(lexer_peek(l, 1)) && l->at == 0 &&
               !memchr(l->text.ptr + 1, '$', l->text.len - 1)) {
        l->at++; // "$36" alone: money, for there is no second dollar to close it
        lexer_push_dollar(l, start);
    } else if (c == '$' && ascii_is_digit(lexer_peek(l, 1)) && start > 0 &&
               ascii_is_upper(l->text.ptr[start - 1])) {
        l->at++; // US$36
        lexer_push_dollar(l, start);
    } else if (c == '$' || (c == ':' && lexer_peek(l, 1) == '=')) {
        l->at++;
    } else if (is_comment(l)) {
        while (l->at < l->text.len && lexer_peek(l, 0) != '\n') l->at++;
    } else if (c == '&' && (l->aligned > 0 || entity(l))) {
        l->at += l->aligned > 0;
    } else if (c == '}') {
        l->at++;
        lexer_close_brace(l, start);
    } else if (c == '=' || c == '<' || c == '>' || is_unequal(l) ||
               (c == '-' && lexer_peek(l, 1) == '>')) {
        relation(l);
    } else if (c == '.' && lexer_peek(l, 1) == '.' && lexer_peek(l, 2) == '.') {
        l->at += 3;
        lexer_push(l, TOKEN_DOTS, (struct slice){l->text.ptr + start, 3}, start);
    } else if (c == '*' && lexer_peek(l, 1) == '*') {
        l->at += 2;
        lexer_push_char(l, '^', start);
    } else if ((unsigned char)c < 0x80) {
        l->at++;
        lexer_push_char(l, c ? c : '?', start);
    } else {
        return lexer_unicode(l);
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
    lexer_push(&l, TOKEN_END, (struct slice){NULL, 0}, text.len);
    out->n--;
    assert(out->list[out->n].kind == TOKEN_END); // a parser may always look one token on
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
        if (word.len == strlen(WORDS[i].name) && ascii_same(word.ptr, WORDS[i].name, word.len)) {
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
