// Numbers and letters as the "C" locale has them, whatever setlocale() a program around us called:
// the graders are a library too, and a decimal comma must not change what a file says.
#ifndef PROTOCOL_BASE_LOCALE_H
#define PROTOCOL_BASE_LOCALE_H

#include <locale.h>

// The calling thread is in the "C" locale until locale_leave with what this returned; the two may
// nest, and cost some nanoseconds.
locale_t locale_enter(void);
void locale_leave(locale_t before);

// strtod of the "C" locale.
double locale_strtod(const char *text, char **end);

#endif
