#include "worker/load/pretokenize.h"

#include <assert.h>
#include <stdint.h>

#include "protocol/base/utf8.h"
#include "worker/load/unicode_classes.h"

enum class { CLASS_END, CLASS_LETTER, CLASS_NUMBER, CLASS_NEWLINE, CLASS_SPACE, CLASS_OTHER };

// A character: CLASS_NEWLINE is \r or \n, CLASS_SPACE any other \s.
struct character {
    enum class class;
    uint32_t code;
    size_t len; // bytes, 0 at the end of the text
};

static enum class class_of_ascii(uint32_t code) {
    if ((code | 32) >= 'a' && (code | 32) <= 'z') return CLASS_LETTER;
    if (code >= '0' && code <= '9') return CLASS_NUMBER;
    if (code == '\r' || code == '\n') return CLASS_NEWLINE;
    if (code == ' ' || (code >= '\t' && code <= '\r')) return CLASS_SPACE;
    return CLASS_OTHER;
}

static struct character character_at(struct slice text, size_t at) {
    struct character c = {CLASS_END, 0, 0};
    if (at >= text.len) return c;
    c.len = (size_t)utf8_next((struct slice){text.ptr + at, text.len - at}, &c.code);
    assert(c.len > 0);
    if (c.code < 128)
        c.class = class_of_ascii(c.code);
    else if (unicode_is_letter(c.code))
        c.class = CLASS_LETTER;
    else if (unicode_is_number(c.code))
        c.class = CLASS_NUMBER;
    else
        c.class = unicode_is_space(c.code) ? CLASS_SPACE : CLASS_OTHER;
    return c;
}

static size_t skip_class(struct slice text, size_t at, enum class class) {
    for (;;) {
        struct character c = character_at(text, at);
        if (c.class != class) return at;
        at += c.len;
    }
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d) behind the apostrophe that starts `text`; 0 when none matches.
// Case folding makes U+017F (long s) an s; no other letter of the list has a partner outside
// ASCII.
static size_t contraction(struct slice text) {
    static const char pairs[3][2] = {{'r', 'e'}, {'v', 'e'}, {'l', 'l'}};
    struct character first = character_at(text, 1);
    uint32_t a = first.code == 0x17f ? 's' : first.code | 32;
    if (first.len == 0 || (first.code >= 128 && first.code != 0x17f)) return 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 1 + first.len;
    struct character second = character_at(text, 1 + first.len);
    for (int i = 0; i < 3; i++)
        if (a == (uint32_t)pairs[i][0] && second.code < 128 &&
            (second.code | 32) == (uint32_t)pairs[i][1])
            return 1 + first.len + second.len;
    return 0;
}

// \s*[\r\n]+ takes a run of white space up to its last line break, \s+(?!\S) all of a run that
// ends the text or all but the last character of another, \s+ the one that is left.
static size_t white_space(struct slice text) {
    size_t at = 0, before_last = 0, behind_newline = 0;
    for (;;) {
        struct character c = character_at(text, at);
        if (c.class != CLASS_SPACE && c.class != CLASS_NEWLINE) break;
        before_last = at;
        at += c.len;
        if (c.class == CLASS_NEWLINE) behind_newline = at;
    }
    if (behind_newline > 0) return behind_newline;
    return at == text.len || before_last == 0 ? at : before_last;
}

size_t pretokenize_next(struct slice text) {
    struct character c = character_at(text, 0);
    assert(c.len > 0);
    if (c.code == '\'') {
        size_t len = contraction(text);
        if (len > 0) return len;
    }
    if (c.class == CLASS_LETTER) return skip_class(text, c.len, CLASS_LETTER);
    if (c.class == CLASS_NUMBER) {
        size_t at = c.len;
        for (int i = 1; i < 3; i++) {
            struct character next = character_at(text, at);
            if (next.class != CLASS_NUMBER) break;
            at += next.len;
        }
        return at;
    }
    struct character next = character_at(text, c.len);
    if (c.class != CLASS_NEWLINE && next.class == CLASS_LETTER)
        return skip_class(text, c.len, CLASS_LETTER);
    if (c.class == CLASS_OTHER || (c.code == ' ' && next.class == CLASS_OTHER)) {
        size_t end = skip_class(text, c.len, CLASS_OTHER);
        return skip_class(text, end, CLASS_NEWLINE);
    }
    return white_space(text);
}
