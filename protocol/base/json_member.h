// Members of a JSON object that is being written: each has a comma behind it, and the last one's
// gives way to the bracket that closes. Keys are written as they are.
#ifndef PROTOCOL_BASE_JSON_MEMBER_H
#define PROTOCOL_BASE_JSON_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buffer.h"

void json_member_text(struct buffer *out, const char *key, const char *text);
void json_member_int(struct buffer *out, const char *key, int64_t value);
void json_member_uint(struct buffer *out, const char *key, uint64_t value);
void json_member_bool(struct buffer *out, const char *key, bool value);
// As json_add_float and json_add_double write them.
void json_member_float(struct buffer *out, const char *key, float value);
void json_member_double(struct buffer *out, const char *key, double value);

void json_member_object(struct buffer *out, const char *key); // up to the bracket that opens it
void json_close(struct buffer *out, char bracket);            // '}' or ']', with no comma behind

#endif
