#include "protocol/base/json_member.h"

#include <inttypes.h>

#include "protocol/base/json.h"

static void add_key(struct buffer *out, const char *key) {
    buffer_printf(out, "\"%s\":", key);
}

void json_member_text(struct buffer *out, const char *key, const char *text) {
    add_key(out, key);
    json_add_string(out, slice_of(text));
    buffer_add_text(out, ",");
}

void json_member_int(struct buffer *out, const char *key, int64_t value) {
    buffer_printf(out, "\"%s\":%" PRId64 ",", key, value);
}

void json_member_uint(struct buffer *out, const char *key, uint64_t value) {
    buffer_printf(out, "\"%s\":%" PRIu64 ",", key, value);
}

void json_member_bool(struct buffer *out, const char *key, bool value) {
    buffer_printf(out, "\"%s\":%s,", key, value ? "true" : "false");
}

void json_member_float(struct buffer *out, const char *key, float value) {
    add_key(out, key);
    json_add_float(out, value);
    buffer_add_text(out, ",");
}

void json_member_double(struct buffer *out, const char *key, double value) {
    add_key(out, key);
    json_add_double(out, value);
    buffer_add_text(out, ",");
}

void json_member_object(struct buffer *out, const char *key) {
    buffer_printf(out, "\"%s\":{", key);
}

void json_close(struct buffer *out, char bracket) {
    if (out->ptr[out->len - 1] == ',') out->len--;
    buffer_add(out, &bracket, 1);
}
