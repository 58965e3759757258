#include "worker/commands/roofline/device.h"

#include <stdio.h>

#include "protocol/base/json.h"
#include "protocol/base/utf8.h"

// What bounds any program. Data sheets of H100 SXM, H200 SXM, A100 SXM of 80 GB, L40S and GeForce
// RTX 4090: dense bf16 with float32 sums; memory as the driver reports it. No gaps: a graph's
// kernels are about 1.3 us apart (published for an H100), which a file may say. The workspace is
// assumed: activations, lists, the driver's own.
#define WORKSPACE 2.5e9
static const struct device named[] = {
    {"h100", 3.35e12, 990e12, 85.5e9, 0, 1, 1, 1, WORKSPACE, true},
    {"h200", 4.8e12, 990e12, 150.7e9, 0, 1, 1, 1, WORKSPACE, true},
    {"a100", 2.039e12, 312e12, 85.9e9, 0, 1, 1, 1, WORKSPACE, true},
    {"l40s", 864e9, 362e12, 48.3e9, 0, 1, 1, 1, WORKSPACE, true},
    {"4090", 1.008e12, 165.2e12, 25.7e9, 0, 1, 1, 1, WORKSPACE, true},
};
enum { N_NAMED = sizeof named / sizeof *named };

int device_named(const char *name, struct device *out) {
    for (int i = 0; i < N_NAMED; i++) {
        if (!slice_is(slice_of(name), named[i].name)) continue;
        *out = named[i];
        return 0;
    }
    return -1;
}

// ------------------------------------------------------------------ files

static const struct field {
    const char *key;
    size_t offset;
    bool required;
    double low, high; // what is allowed
    const char *expected;
} fields[] = {
    {"read_bytes_per_s", offsetof(struct device, read_bytes_per_s), true, 1e3, 1e18,
     "bytes a second from 1e3 to 1e18"},
    {"peak_flops", offsetof(struct device, peak_flops), true, 1e3, 1e21,
     "operations a second from 1e3 to 1e21"},
    {"memory_bytes", offsetof(struct device, memory_bytes), true, 1e3, 1e18,
     "bytes from 1e3 to 1e18"},
    {"launch_gap_us", offsetof(struct device, launch_gap_us), true, 0, 1e6,
     "microseconds from 0 to 1e6"},
    {"read_share", offsetof(struct device, read_share), false, 1e-6, 1,
     "a share from 0.000001 to 1"},
    {"flops_share", offsetof(struct device, flops_share), false, 1e-6, 1,
     "a share from 0.000001 to 1"},
    {"memory_share", offsetof(struct device, memory_share), false, 1e-6, 1,
     "a share from 0.000001 to 1"},
    {"workspace_bytes", offsetof(struct device, workspace_bytes), false, 0, 1e18,
     "bytes from 0 to 1e18"},
};
enum { N_FIELDS = sizeof fields / sizeof *fields };

static double *value_of(struct device *d, const struct field *f) {
    return (double *)(void *)((char *)d + f->offset);
}

// It stands in tables and in sentences.
static bool is_printable(struct slice text) {
    uint32_t code = 0;
    for (int n; text.len && (n = utf8_next(text, &code)); text.ptr += n, text.len -= (size_t)n)
        if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false;
    return text.len == 0;
}

static int read_name(const struct json *v, struct arena *arena, struct device *d,
                     struct error *err) {
    struct slice text = {"", 0};
    if (v->type == JSON_STRING) text = json_string(v, arena);
    if (text.len < 1 || text.len >= sizeof d->name || !is_printable(text))
        return error_set(err, ERROR_CONFIG,
                         "\"name\" is %.*s; a text of 1 to %d bytes was expected, without control "
                         "characters.",
                         SLICE_ARG(v->text), DEVICE_MAX_NAME - 1);
    memcpy(d->name, text.ptr, text.len);
    d->name[text.len] = 0;
    return 0;
}

static int read_switch(const struct json *v, struct device *d, struct error *err) {
    d->kv_overlaps = v->type == JSON_TRUE;
    if (v->type == JSON_TRUE || v->type == JSON_FALSE) return 0;
    return error_set(err, ERROR_CONFIG, "\"kv_overlaps\" is %.*s; true or false was expected.",
                     SLICE_ARG(v->text));
}

static int read_number(const struct field *f, const struct json *v, struct device *d,
                       struct error *err) {
    double number;
    if (v->type == JSON_NUMBER && json_double(v, &number) == 0 && number >= f->low &&
        number <= f->high) {
        *value_of(d, f) = number;
        return 0;
    }
    return error_set(err, ERROR_CONFIG, "\"%s\" is %.*s; %s were expected.", f->key,
                     SLICE_ARG(v->text), f->expected);
}

static int read_member(const struct json *v, struct arena *arena, struct device *d, bool *seen,
                       struct error *err) {
    if (slice_is(v->key, "name")) return read_name(v, arena, d, err);
    if (slice_is(v->key, "kv_overlaps")) return read_switch(v, d, err);
    for (int i = 0; i < N_FIELDS; i++) {
        if (!slice_is(v->key, fields[i].key)) continue;
        seen[i] = true;
        return read_number(&fields[i], v, d, err);
    }
    return error_set(err, ERROR_CONFIG,
                     "The key \"%.*s\" is not known; read_bytes_per_s, peak_flops, memory_bytes, "
                     "launch_gap_us, read_share, flops_share, memory_share, workspace_bytes, "
                     "kv_overlaps and name are.",
                     SLICE_ARG(v->key));
}

static int read_object(const struct json *object, struct arena *arena, struct device *d,
                       struct error *err) {
    bool seen[N_FIELDS] = {false};
    if (object->type != JSON_OBJECT)
        return error_set(err, ERROR_CONFIG,
                         "It holds %s; an object with a device's figures was expected.",
                         json_type_name(object));
    for (const struct json *v = object->first; v; v = v->next)
        if (read_member(v, arena, d, seen, err)) return -1;
    for (int i = 0; i < N_FIELDS; i++)
        if (fields[i].required && !seen[i])
            return error_set(err, ERROR_CONFIG, "\"%s\" is missing; %s were expected.",
                             fields[i].key, fields[i].expected);
    return 0;
}

int device_parse(const char *path, struct slice text, struct device *out, struct error *err) {
    struct arena arena = {0};
    struct device d = {.read_share = 1, .flops_share = 1, .memory_share = 1};
    const char *slash = strrchr(path, '/');
    snprintf(d.name, sizeof d.name, "%s", slash ? slash + 1 : path);
    const struct json *object = json_parse(text, &arena, err);
    if (!object && err) err->code = ERROR_CONFIG;
    int failed = object ? read_object(object, &arena, &d, err) : -1;
    if (failed) error_prefix(err, "%s", path);
    arena_clear(&arena);
    if (!failed) *out = d;
    return failed;
}

void device_add_json(struct buffer *out, const struct device *d) {
    struct device copy = *d;
    buffer_add_text(out, "{\"name\":");
    json_add_string(out, slice_of(d->name));
    for (int i = 0; i < N_FIELDS; i++) {
        buffer_printf(out, ",\"%s\":", fields[i].key);
        json_add_double(out, *value_of(&copy, &fields[i]));
    }
    buffer_printf(out, ",\"kv_overlaps\":%s}", d->kv_overlaps ? "true" : "false");
}
