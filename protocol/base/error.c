#include "protocol/base/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/locale.h"
#include "protocol/base/utf8.h"

static bool is_white(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// White space that breaks or indents lines reads as one space.
static void join_lines(char *text) {
    char *to = text;
    for (const char *from = text; *from;) {
        size_t run = 0;
        bool breaks = false;
        for (; is_white(from[run]); run++) breaks |= from[run] != ' ';
        size_t n = breaks ? 1 : run ? run : 1;
        for (size_t k = 0; k < n; k++) *to++ = run ? ' ' : *from;
        from += run ? run : 1;
    }
    *to = 0;
}

// Quoted input may hold terminal escapes or anything but UTF-8, and a quotation or the whole may be
// cut inside a character; an error is one printable line of UTF-8 all the same.
static void make_printable(char *text) {
    join_lines(text);
    for (struct slice left = slice_of(text); left.len;) {
        uint32_t code = 0;
        int n = utf8_next(left, &code);
        bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        if (n == 0) n = 1, control = true;
        if (control) memset(text, '?', (size_t)n);
        text += n;
        left = (struct slice){text, left.len - (size_t)n};
    }
}

int error_set(struct error *err, enum error_code code, const char *format, ...) {
    if (!err) return -1;
    char text[sizeof err->text]; // the arguments may quote the error's own text
    locale_t before = locale_enter();
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    locale_leave(before);
    make_printable(text);
    memcpy(err->text, text, strlen(text) + 1);
    err->code = code;
    return -1;
}

int error_prefix(struct error *err, const char *format, ...) {
    if (!err) return -1;
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", old);
    make_printable(err->text);
    return -1;
}
