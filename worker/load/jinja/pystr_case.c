// Upper and lower case, and what Python takes for printable.
#include <utf8proc.h>

#include "protocol/base/utf8.h"
#include "worker/load/jinja/printable.h"
#include "worker/load/jinja/pystr.h"

// Letters whose case has been the same for many versions of Unicode and is one code point; of
// other letters newer versions have changed or added the case.
static bool has_known_case(uint32_t c) {
    switch (c) {
    case 0xdf:   // upper case is SS
    case 0x130:  // lower case has two code points
    case 0x149:  // upper case has two
    case 0x390:  // three
    case 0x3b0:  // three
    case 0x3a3:  // lower case depends on what stands around it
    case 0x1e96: // and the next four: upper case has two
    case 0x1e97:
    case 0x1e98:
    case 0x1e99:
    case 0x1e9a:
    case 0x1e9e:
        return false;
    default:
        return (c >= 0xc0 && c <= 0x17f) || (c >= 0x370 && c <= 0x52f) ||
               (c >= 0x1e00 && c <= 0x1eff) || (c >= 0xff21 && c <= 0xff5a);
    }
}

// Everything but letters is its own upper and lower case.
static bool has_no_case(uint32_t c) {
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_CN:
        return false;
    default:
        return utf8proc_toupper((utf8proc_int32_t)c) == (utf8proc_int32_t)c &&
               utf8proc_tolower((utf8proc_int32_t)c) == (utf8proc_int32_t)c;
    }
}

// The code point in the other case; -1 when it is not known. Only lower case is told apart by what
// stands around a letter, and that letter is not known.
static int to_case(uint32_t c, enum pystr_case to, uint32_t *out) {
    *out = c;
    if (c < 0x80) {
        bool changes = to == PYSTR_UPPER ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
        if (changes) *out = c ^ 0x20;
        return 0;
    }
    if (has_no_case(c)) return 0;
    if (!has_known_case(c)) return -1;
    *out = (uint32_t)(to == PYSTR_UPPER ? utf8proc_toupper((utf8proc_int32_t)c)
                                        : utf8proc_tolower((utf8proc_int32_t)c));
    return 0;
}

static int add_code(struct buffer *out, uint32_t c, enum pystr_case to) {
    char bytes[4];
    if (to_case(c, to, &c)) return -1;
    buffer_add(out, bytes, (size_t)utf8_write(c, bytes));
    return 0;
}

int pystr_add_case(struct buffer *out, struct slice s, enum pystr_case to) {
    uint32_t code;
    while (pystr_next(&s, &code))
        if (add_code(out, code, to)) return -1;
    return 0;
}

static bool is_cased(uint32_t c) {
    uint32_t upper, lower;
    return !to_case(c, PYSTR_UPPER, &upper) && !to_case(c, PYSTR_LOWER, &lower) && upper != lower;
}

// Letters and marks beyond ASCII may be cased without having another case, as superscripts are.
static bool may_be_cased(uint32_t c) {
    return c >= 0x80 && !(has_known_case(c) && is_cased(c));
}

int pystr_add_title(struct buffer *out, struct slice s) {
    bool inside = false;
    uint32_t code;
    while (pystr_next(&s, &code)) {
        if (may_be_cased(code)) return -1;
        if (add_code(out, code, inside ? PYSTR_LOWER : PYSTR_UPPER)) return -1;
        inside = is_cased(code);
    }
    return 0;
}

// ---- repr

// Python escapes what is no letter, mark, number, sign or plain space. A character that our tables
// do not have may be printable for a newer Python.
static int is_printable(uint32_t c, bool *printable) {
    *printable = printable_has(c);
    if (*printable) return 0;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return 0;
    default:
        return -1;
    }
}

static int add_repr_code(struct buffer *out, uint32_t c, char quote) {
    char bytes[4];
    bool printable = c >= ' ' && c < 0x7f;
    if (c == '\n' || c == '\r' || c == '\t') {
        buffer_add_text(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        return 0;
    }
    if (c == (uint32_t)quote || c == '\\') {
        buffer_printf(out, "\\%c", (char)c);
        return 0;
    }
    if (c >= 0x7f && is_printable(c, &printable)) return -1;
    if (printable)
        buffer_add(out, bytes, (size_t)utf8_write(c, bytes));
    else if (c < 0x100)
        buffer_printf(out, "\\x%02x", c);
    else if (c < 0x10000)
        buffer_printf(out, "\\u%04x", c);
    else
        buffer_printf(out, "\\U%08x", c);
    return 0;
}

int pystr_add_repr(struct buffer *out, struct slice s) {
    bool single = s.len && memchr(s.ptr, '\'', s.len), twice = s.len && memchr(s.ptr, '"', s.len);
    char quote = single && !twice ? '"' : '\'';
    uint32_t code;
    buffer_add(out, &quote, 1);
    while (pystr_next(&s, &code))
        if (add_repr_code(out, code, quote)) return -1;
    buffer_add(out, &quote, 1);
    return 0;
}
