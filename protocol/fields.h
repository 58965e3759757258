// The fields of every message as tables: key, name, type, bound, place in struct message. The
// encoder, the decoder and the tests walk these; PROTOCOL.md prints the same.
#ifndef PROTOCOL_FIELDS_H
#define PROTOCOL_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/messages.h"

enum field_kind {
    FIELD_BOOL,
    FIELD_U8,
    FIELD_U32,
    FIELD_U64,
    FIELD_F64,    // finite
    FIELD_TEXT,   // struct slice, UTF-8
    FIELD_COLUMN, // struct column
};

struct field {
    uint8_t key; // in the header's map; 1 and up, rising in the table
    enum field_kind kind;
    bool required;
    const char *name;
    size_t offset;   // in struct message
    uint64_t max;    // integers: largest value; texts: bytes; columns: elements
    unsigned dtypes; // columns: bit d set: enum column_dtype d is allowed
};

struct message_fields {
    const char *name; // of the message type
    int n;
    const struct field *fields; // (n)
};

// NULL for a number that is no type.
const struct message_fields *fields_of(enum message_type type);

// What the tables cannot say: enums, lengths that belong together, offsets, exactly-one-of.
int fields_check(const struct message *m, struct error *err);

#endif
