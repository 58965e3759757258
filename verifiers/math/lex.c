#include "verifiers/math/lex.h"

#include <ctype.h>
#include <stdint.h>

#include "protocol/base/utf8.h"

// Commands that change only how something looks.
static const char *const LAYOUT[] = {
    "left",   "right",  "big",  "Big",          "bigg",      "Bigg",       "bigl",   "bigr",
    "Bigl",   "Bigr",   "text", "textbf",       "textit",    "textrm",     "mathrm", "mathbf",
    "mathit", "mathsf", "mbox", "operatorname", "textstyle", "boldsymbol", "bf",     "rm",
    "bm",     "boxed",  "fbox", "displaystyle", "mathbb",    "textnormal", "emph",   "limits",
};

struct unicode {
    uint32_t code;
    enum lex_kind kind;
    char c;
    const char *text;
};

static const struct unicode UNICODE[] = {
    {0x2212, LEX_CHAR, '-', "-"},
    {0x2010, LEX_CHAR, '-', "-"},
    {0x2011, LEX_CHAR, '-', "-"},
    {0x2013, LEX_CHAR, '-', "-"},
    {0xFF0D, LEX_CHAR, '-', "-"},
    {0xFE63, LEX_CHAR, '-', "-"},
    {0xFF0B, LEX_CHAR, '+', "+"},
    {0xFF1D, LEX_CHAR, '=', "="},
    {0x2044, LEX_CHAR, '/', "/"},
    {0x2215, LEX_CHAR, '/', "/"},
    {0xFF05, LEX_CHAR, '%', "%"},
    {0xFF0C, LEX_CHAR, ',', ","},
    {0xFF0E, LEX_CHAR, '.', "."},
    {0x3002, LEX_CHAR, '.', "."},
    {0xD7, LEX_COMMAND, 0, "times"},
    {0xB7, LEX_COMMAND, 0, "cdot"},
    {0x22C5, LEX_COMMAND, 0, "cdot"},
    {0xB0, LEX_COMMAND, 0, "degree"},
    {0xA0, LEX_THIN, 0, " "},
    {0x2007, LEX_THIN, 0, " "},
    {0x2008, LEX_THIN, 0, " "},
    {0x2009, LEX_THIN, 0, " "},
    {0x200A, LEX_THIN, 0, " "},
    {0x202F, LEX_THIN, 0, " "},
    {0x2002, LEX_SPACE, 0, " "},
    {0x2003, LEX_SPACE, 0, " "},
    {0x3000, LEX_SPACE, 0, " "},
    {0x200B, LEX_THIN, 0, " "},
    {0x20AC, LEX_CURRENCY, 0, "euro"},
    {0xA3, LEX_CURRENCY, 0, "pound"},
    {0xA5, LEX_CURRENCY, 0, "yen"},
    {0x20B9, LEX_CURRENCY, 0, "rupee"},
    {0xFF04, LEX_CURRENCY, 0, "dollar"},
    {0xBC, LEX_VULGAR, 0, "1/4"},
    {0xBD, LEX_VULGAR, 0, "1/2"},
    {0xBE, LEX_VULGAR, 0, "3/4"},
    {0x2153, LEX_VULGAR, 0, "1/3"},
    {0x2154, LEX_VULGAR, 0, "2/3"},
    {0x2155, LEX_VULGAR, 0, "1/5"},
    {0x2156, LEX_VULGAR, 0, "2/5"},
    {0x2157, LEX_VULGAR, 0, "3/5"},
    {0x2158, LEX_VULGAR, 0, "4/5"},
    {0x2159, LEX_VULGAR, 0, "1/6"},
    {0x215A, LEX_VULGAR, 0, "5/6"},
    {0x215B, LEX_VULGAR, 0, "1/8"},
    {0x215C, LEX_VULGAR, 0, "3/8"},
    {0x215D, LEX_VULGAR, 0, "5/8"},
    {0x215E, LEX_VULGAR, 0, "7/8"},
};

static bool is_letter(uint32_t code) {
    if (code < 0x80) return isalpha((int)code) != 0;
    for (size_t i = 0; i < sizeof UNICODE / sizeof *UNICODE; i++)
        if (UNICODE[i].code == code) return false;
    return code != 0xB2 && code != 0xB3 && code != 0x2018 && code != 0x2019 && code != 0x201C &&
           code != 0x201D;
}

static void push(struct lex *lex, enum lex_kind kind, char c, struct slice text) {
    if (lex->n < LEX_MAX_TOKENS) lex->tokens[lex->n] = (struct lex_token){kind, c, text};
    lex->n++; // lex_run refuses the whole when this passes the budget
}

// A backslash and what follows it, which starts at s.ptr[0]. Returns the bytes taken.
static size_t command(struct slice s, struct lex *lex) {
    size_t len = 1;
    while (len < s.len && isalpha((unsigned char)s.ptr[len])) len++;
    const struct slice name = {s.ptr + 1, len - 1};
    if (name.len == 0) {
        const char c = s.len > 1 ? s.ptr[1] : 0;
        if (c == ',' || c == '!' || c == ';' || c == ':')
            push(lex, LEX_THIN, 0, (struct slice){s.ptr, 2});
        else if (c == ' ')
            push(lex, LEX_SPACE, 0, (struct slice){s.ptr, 2});
        else if (c == '%')
            push(lex, LEX_CHAR, '%', (struct slice){s.ptr, 2});
        else if (c == '$')
            push(lex, LEX_CURRENCY, 0, slice_of("dollar"));
        else if (c == '{' || c == '}' || c == '|' || c == '\\')
            push(lex, LEX_COMMAND, 0, (struct slice){s.ptr + 1, 1});
        else
            return 1; // a lone backslash means nothing
        return 2;
    }
    for (size_t i = 0; i < sizeof LAYOUT / sizeof *LAYOUT; i++)
        if (slice_is(name, LAYOUT[i])) return len;
    if (slice_is(name, "dfrac") || slice_is(name, "tfrac") || slice_is(name, "cfrac"))
        push(lex, LEX_COMMAND, 0, slice_of("frac"));
    else if (slice_is(name, "quad") || slice_is(name, "qquad") || slice_is(name, "thinspace"))
        push(lex, LEX_SPACE, 0, name);
    else
        push(lex, LEX_COMMAND, 0, name);
    return len;
}

static bool is_delimiter(struct slice s) {
    return s.len > 1 && s.ptr[0] == '\\' && s.ptr[1] && strchr("()[]", s.ptr[1]);
}

static size_t unicode(struct slice s, struct lex *lex) {
    uint32_t code = 0;
    const int len = utf8_next(s, &code);
    if (len == 0) {
        push(lex, LEX_CHAR, '?', (struct slice){s.ptr, 1});
        return 1;
    }
    if (code == 0xB2 || code == 0xB3) { // superscript 2 and 3
        push(lex, LEX_CHAR, '^', slice_of("^"));
        push(lex, LEX_DIGITS, 0, slice_of(code == 0xB2 ? "2" : "3"));
        return (size_t)len;
    }
    for (size_t i = 0; i < sizeof UNICODE / sizeof *UNICODE; i++)
        if (UNICODE[i].code == code) {
            push(lex, UNICODE[i].kind, UNICODE[i].c, slice_of(UNICODE[i].text));
            return (size_t)len;
        }
    if (!is_letter(code)) push(lex, LEX_CHAR, '"', (struct slice){s.ptr, (size_t)len});
    return (size_t)len;
}

bool lex_run(struct slice text, struct lex *out) {
    out->n = 0;
    if (text.len > LEX_MAX_BYTES) return false;
    for (size_t i = 0; i < text.len && out->n <= LEX_MAX_TOKENS;) {
        const struct slice s = {text.ptr + i, text.len - i};
        const unsigned char c = (unsigned char)s.ptr[0];
        uint32_t code = 0;
        size_t len = 0;
        if (isdigit(c)) {
            while (len < s.len && isdigit((unsigned char)s.ptr[len])) len++;
            push(out, LEX_DIGITS, 0, (struct slice){s.ptr, len});
        } else if (utf8_next(s, &code) && is_letter(code)) {
            for (int n = 1; n && len < s.len;) {
                n = utf8_next((struct slice){s.ptr + len, s.len - len}, &code);
                if (n && !is_letter(code)) break;
                len += (size_t)n;
            }
            push(out, LEX_WORD, 0, (struct slice){s.ptr, len});
        } else if (isspace(c) || c == '~') {
            while (len < s.len && (isspace((unsigned char)s.ptr[len]) || s.ptr[len] == '~')) len++;
            push(out, LEX_SPACE, 0, (struct slice){s.ptr, len});
        } else if (is_delimiter(s)) {
            len = 2;
        } else if (c == '\\') {
            len = command(s, out);
        } else if (c == '$' || c == '`') {
            len = 1;
        } else if (c < 0x80) {
            push(out, LEX_CHAR, (char)c, (struct slice){s.ptr, 1});
            len = 1;
        } else {
            len = unicode(s, out);
        }
        i += len;
    }
    if (out->n > LEX_MAX_TOKENS) return false;
    out->tokens[out->n] = (struct lex_token){LEX_END, 0, {NULL, 0}};
    return true;
}
