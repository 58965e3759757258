// Characters that are not ASCII as tokens.

#include "protocol/base/utf8.h"
#include "verifiers/math/base/ascii.h"
#include "verifiers/math/base/digit.h"
#include "verifiers/math/read/token_lexer.h"

// Superscript and subscript digits become ^{...} and _{...}. Returns false when there is none.
static bool script(struct lexer *l) {
    static const uint32_t UP[] = {0x2070, 0xB9,   0xB2,   0xB3,   0x2074, 0x2075,
                                  0x2076, 0x2077, 0x2078, 0x2079, 0x207B, 0x207F};
    static const char SIGNS[] = "0123456789-n";
    size_t n_read = 0;
    char kind = 0;
    for (int n; l->at < l->text.len; l->at += (size_t)n, n_read++) {
        uint32_t code = 0;
        n = utf8_next(lexer_rest(l), &code);
        char c = 0;
        for (size_t i = 0; i < sizeof UP / sizeof *UP; i++)
            if (UP[i] == code) c = SIGNS[i];
        const char up = c ? '^' : '_';
        if (!c && code >= 0x2080 && code <= 0x2089) c = (char)('0' + (code - 0x2080));
        if (n == 0 || !c || (kind && kind != up)) break;
        if (!kind) {
            kind = up;
            lexer_push_char(l, up, l->at);
            lexer_push_char(l, '{', l->at);
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
            lexer_push(l, token, text, l->at)->c = token == TOKEN_CHAR ? c : 0;
        }
    }
    if (n_read) lexer_push_char(l, '}', l->at - 1);
    return n_read > 0;
}

bool lexer_is_letter(uint32_t code) {
    if (code < 0x80) return ascii_is_alpha((char)code);
    if (code >= 0x2460 && code <= 0x2473) return true; // "①③": which statements hold
    if (digit_value(code) >= 0 || code == 0x8CA0 || code == 0x8D1F) return false; // 負, 负: minus
    if (code < 0xC0 || (code >= 0x2000 && code < 0x2C00) || code == 0xD7 || code == 0xF7 ||
        code == 0x2DA)
        return false;
    if ((code >= 0x3000 && code < 0x3005) || (code >= 0xFE00 && code < 0xFE10) ||
        (code >= 0xFE50 && code < 0xFE70)) // small forms: ﹣4
        return false;
    return code < 0xFF00 && code != 0xFEFF && !token_greek(code);
}

static bool is_space(uint32_t code) {
    return code == 0xA0 || (code >= 0x2000 && code <= 0x200B) || code == 0x202F || code == 0x205F ||
           code == 0x3000 || code == 0xFEFF || (code >= 0x2060 && code <= 0x2064) ||
           (code >= 0x200C && code <= 0x200F) || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0x180E;
}

// A letter of the mathematical alphabets, as ASCII; 0 where it is none.
static char math_letter(uint32_t code) {
    if (code == 0x210E) return 'h';
    if (code < 0x1D400 || code >= 0x1D6A4) return 0;
    const int k = (int)((code - 0x1D400) % 52);
    return (char)(k < 26 ? 'A' + k : 'a' + k - 26);
}

// Marks that say nothing beside a value: check marks, emojis, joiners. Not so crosses.
static bool is_ignored(uint32_t code) {
    return code == 0x2713 || code == 0x2714 || code == 0x2705 || code == 0x220E || code == 0x25A0 ||
           code == 0x25A1 || code == 0x25FB || code == 0x25FC || code == 0xFE0F || code == 0x200D ||
           code == 0xAD || (code >= 0x1F300 && code < 0x1FB00 && code != 0x1F6AB);
}

bool lexer_unicode(struct lexer *l) {
    uint32_t code = 0;
    const size_t start = l->at;
    const int len = utf8_next(lexer_rest(l), &code);
    if (len == 0) return false;
    if (script(l)) return true;
    l->at += (size_t)len;
    if (digit_value(code) >= 0) {
        lexer_push_digit(l, (char)('0' + digit_value(code)), start);
        return true;
    }
    const struct slice text = {l->text.ptr + start, (size_t)len};
    if (is_space(code)) {
        if (code == 0x3000 || code == 0x2002 || code == 0x2003)
            l->space = true;
        else
            l->thin = true;
        return true;
    }
    if (is_ignored(code)) return true;
    const char letter = math_letter(code);
    if (letter) {
        lexer_push(l, TOKEN_WORD, (struct slice){arena_copy(l->arena, &letter, 1), 1}, start);
        return true;
    }
    if (code >= 0xFF01 && code <= 0xFF5E) { // full width ASCII
        const char c = (char)(code - 0xFF01 + '!');
        if (ascii_is_alpha(c))
            lexer_push(l, TOKEN_WORD, (struct slice){arena_copy(l->arena, &c, 1), 1}, start);
        else if (c == '=' || c == '<' || c == '>')
            lexer_push(l, TOKEN_RELATION, text, start)->op = c == '='   ? MATH_EQ
                                                             : c == '<' ? MATH_LT
                                                                        : MATH_GT;
        else
            lexer_push_char(l, c, start)->text = (struct slice){arena_copy(l->arena, &c, 1), 1};
        return true;
    }
    if (code == 0x2103 || code == 0x2109) { // degrees of Celsius and Fahrenheit
        lexer_push(l, TOKEN_COMMAND, slice_of("degree"), start);
        lexer_push(l, TOKEN_WORD, slice_of(code == 0x2103 ? "C" : "F"), start);
        return true;
    }
    const struct token_character *known = token_character(code);
    if (known) {
        struct token *t =
            lexer_push(l, known->kind, known->text ? slice_of(known->text) : text, start);
        t->c = known->c;
        t->op = known->op;
        return true;
    }
    const char *greek = token_greek(code);
    lexer_push(l, greek ? TOKEN_NAME : TOKEN_CHAR, greek ? slice_of(greek) : text, start)->c =
        greek ? 0 : '?';
    return true;
}
