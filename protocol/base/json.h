// JSON (RFC 8259) as slices of the input.
//
// Every value keeps the bytes that it was written with, so that `id` and `meta` come back byte
// for byte and numbers lose nothing. No C library packaged by Debian keeps them; this one is
// small, refuses what RFC 8259 refuses, and is bounded in depth and node count.
#ifndef PROTOCOL_BASE_JSON_H
#define PROTOCOL_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"
#include "protocol/base/memory.h"
#include "protocol/base/slice.h"

enum { JSON_MAX_DEPTH = 128 };

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json {
    enum json_type type;
    struct slice text;        // the value as written, quotes and brackets included
    struct slice key;         // of an object's member: the decoded key; else empty
    int n_children;           // of an array or object
    const struct json *first; // first element or member, or NULL
    const struct json *next;  // next sibling, or NULL
};

// Parses the whole of `text` (white space around the value is allowed, nothing else). Nodes and
// decoded keys live in `arena`; slices point into `text`, which must outlive them. Refuses
// invalid UTF-8, unpaired surrogate escapes, and nesting over JSON_MAX_DEPTH. Of duplicate keys
// the last one counts, as in Python. The error names the byte offset. Returns NULL on failure.
const struct json *json_parse(struct slice text, struct arena *arena, struct error *err);

// The same, with nodes for the value and its children only: what lies deeper is checked and stands
// in the children's `text`, their `first` is NULL and their n_children counts. For records with
// long arrays that nobody looks at.
const struct json *json_parse_shallow(struct slice text, struct arena *arena, struct error *err);

// Both for lines that Python's json.dumps wrote: NaN, Infinity and -Infinity count as numbers,
// which json_int64, json_uint64 and json_double refuse.
const struct json *json_parse_python(struct slice text, struct arena *arena, struct error *err);
const struct json *json_parse_python_shallow(struct slice text, struct arena *arena,
                                             struct error *err);
// Whether a value is one of these.
bool json_is_not_finite(const struct json *value);

// The member of an object, or NULL when absent or `object` is NULL or no object. Walks the
// members: for large objects iterate over `first` and `next` instead.
const struct json *json_get(const struct json *object, const char *key);

// A string's decoded UTF-8 in `arena` (0-terminated behind its len; may hold NUL bytes inside).
// `value` must be a JSON_STRING.
struct slice json_string(const struct json *value, struct arena *arena);

// Integers are exact: a number with a fraction or an exponent, or out of range, is refused (-1).
int json_int64(const struct json *value, int64_t *out);
int json_uint64(const struct json *value, uint64_t *out);
int json_double(const struct json *value, double *out); // nearest double; refuses overflow

// What a value is called in a sentence: "null", "a boolean", "a number", "a string", ...
const char *json_type_name(const struct json *value);

// Appends the value without insignificant white space and with strings not ASCII-escaped: the
// text which Python's json.dumps(separators=(",", ":"), ensure_ascii=False) gives for what its
// json.loads reads (-0 becomes 0, 1e999 Infinity, and of repeated keys the first place and the last
// value count). Used for the group's id in the seed (D5).
void json_add_compact(struct buffer *out, const struct json *value);

// Writers. A string is escaped as RFC 8259 needs and otherwise written as UTF-8; bytes that are no
// UTF-8 become U+FFFD. A float32 reads back to the same bits (9 significant digits); NaN and
// infinities become null.
void json_add_string(struct buffer *out, struct slice text);
void json_add_float(struct buffer *out, float value);
void json_add_double(struct buffer *out,
                     double value); // shortest that reads back, as Python's repr

#endif
