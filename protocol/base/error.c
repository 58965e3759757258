#include "protocol/base/error.h"

#include <stdio.h>
#include <string.h>

#include "protocol/base/locale.h"
#include "protocol/base/utf8.h"

// Quoted input may hold terminal escapes or anything but UTF-8, and a quotation or the whole may be
// cut inside a character; an error is one printable line of UTF-8 all the same.
static void make_printable(char *text) {
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
