// The golden vectors of tests/protocol/golden, of the present version unless said, read from the
// repository's root.
#ifndef TESTS_PROTOCOL_VECTORS_H
#define TESTS_PROTOCOL_VECTORS_H

#include "protocol/messages.h"

struct vector {
    char *bytes, *aligned;        // owned
    struct slice header, payload; // payload aligned to 64 bytes
};

// Ends the test program with a sentence when the file is missing.
struct vector vector_read(enum message_type type);
struct vector vector_read_named(const char *name);
// Reads each vector of a minor version; returns how many there are.
int vector_read_all(int minor, void (*take)(const struct vector *v));
void vector_free(struct vector *v);

#endif
