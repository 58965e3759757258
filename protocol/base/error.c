#include "protocol/base/error.h"

#include <stdio.h>
#include <string.h>

// Quoted input may hold terminal escapes; an error is one printable line whatever it quotes.
static void make_printable(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
}

int error_set(struct error *err, enum error_code code, const char *format, ...) {
    if (!err) return -1;
    err->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    make_printable(err->text);
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
