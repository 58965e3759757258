// The characters that Python's str.isprintable knows, from U+00A1 on; printable.c is generated.
#ifndef WORKER_LOAD_JINJA_PRINTABLE_H
#define WORKER_LOAD_JINJA_PRINTABLE_H

#include <stdbool.h>
#include <stdint.h>

// Whether `code` was printable in Unicode 14; later versions add characters and change none.
bool printable_has(uint32_t code);

#endif
