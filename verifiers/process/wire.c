#include "verifiers/process/wire.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

// JSON has line breaks only as white space between tokens; a request is one line.
static void add_one_line(struct buffer *out, struct slice json) {
    char *to = buffer_extend(out, json.len);
    for (size_t i = 0; i < json.len; i++)
        to[i] = json.ptr[i] == '\n' || json.ptr[i] == '\r' ? ' ' : json.ptr[i];
}

static void add_sample(struct buffer *out, const struct verifier_sample *sample) {
    buffer_add_text(out, ",\"completion\":");
    json_add_string(out, sample->completion);
    if (sample->n_tokens >= 0) buffer_printf(out, ",\"n_tokens\":%" PRId64, sample->n_tokens);
    if (sample->finish_reason) {
        buffer_add_text(out, ",\"finish_reason\":");
        json_add_string(out, slice_of(sample->finish_reason));
    }
}

void wire_add_term_request(struct buffer *out, uint64_t id, const struct reward_spec_term *term,
                           const struct verifier_sample *sample) {
    buffer_printf(out, "{\"id\":%" PRIu64, id);
    add_sample(out, sample);
    if (sample->prompt.ptr) {
        buffer_add_text(out, ",\"prompt\":");
        json_add_string(out, sample->prompt);
    }
    buffer_add_text(out, ",\"term\":");
    add_one_line(out, term->json);
    buffer_add_text(out, "}\n");
}

void wire_add_slot(struct buffer *out, int slot, const struct reward_spec *spec) {
    buffer_printf(out, "{\"slot\":%d,\"external\":[", slot);
    const char *comma = "";
    for (int i = 0; i < spec->n_terms; i++) {
        if (spec->terms[i].builtin) continue;
        buffer_add_text(out, comma);
        json_add_string(out, slice_of(spec->terms[i].verifier));
        comma = ",";
    }
    buffer_add_text(out, "],\"reward\":");
    add_one_line(out, reward_spec_json(spec));
    buffer_add_text(out, "}\n");
}

void wire_add_slot_request(struct buffer *out, uint64_t id, int slot,
                           const struct verifier_sample *sample) {
    buffer_printf(out, "{\"id\":%" PRIu64 ",\"slot\":%d", id, slot);
    add_sample(out, sample);
    buffer_add_text(out, "}\n");
}

static const struct json *read_reply(struct slice line, uint64_t id, struct arena *arena,
                                     struct error *err) {
    const struct json *reply = json_parse(line, arena, err);
    uint64_t got = 0;
    if (!reply) {
        error_prefix(err, "The verifier's reply is no JSON");
        return NULL;
    }
    const struct json *member = json_get(reply, "id");
    if (!member || member->type != JSON_NUMBER || json_uint64(member, &got) || got != id) {
        error_set(err, ERROR_INPUT,
                  "The verifier's reply is %.*s; an object with the \"id\" of the request, "
                  "%" PRIu64 ", was expected.",
                  SLICE_ARG(reply->text), id);
        return NULL;
    }
    return reply;
}

static int read_outcome(const struct json *reply, struct arena *arena, struct verifier_outcome *out,
                        struct error *err) {
    const struct json *value = json_get(reply, "value");
    const struct json *status = json_get(reply, "status");
    const struct json *detail = json_get(reply, "detail");
    const struct json *parts = json_get(reply, "parts"); // from our own children
    const bool is_null = !value || value->type == JSON_NULL;
    *out = (struct verifier_outcome){.status = is_null ? REWARD_UNSUPPORTED : REWARD_OK};
    if (!is_null && (value->type != JSON_NUMBER || json_double(value, &out->value)))
        return error_set(err, ERROR_INPUT,
                         "The verifier's \"value\" is %.*s; a finite number or null was expected.",
                         SLICE_ARG(value->text));
    if (status && (status->type != JSON_STRING ||
                   !reward_status_parse(json_string(status, arena), &out->status)))
        return error_set(err, ERROR_INPUT,
                         "The verifier's \"status\" is %.*s; one of those of README.md was "
                         "expected.",
                         SLICE_ARG(status->text));
    if (out->status == REWARD_OK && is_null)
        return error_set(err, ERROR_INPUT,
                         "The verifier's \"status\" is \"ok\" without a \"value\"; a number was "
                         "expected.");
    if (detail && detail->type == JSON_STRING) {
        const struct slice text = json_string(detail, arena);
        snprintf(out->detail, sizeof out->detail, "%.*s", (int)(text.len < 255 ? text.len : 255),
                 text.ptr);
    }
    if (parts && parts->type == JSON_STRING) {
        const struct slice text = json_string(parts, arena);
        if (text.len <= VERIFIER_MAX_PARTS && strspn(text.ptr, "01?") == text.len)
            memcpy(out->parts, text.ptr, text.len);
    }
    return 0;
}

int wire_read_term_reply(struct slice line, uint64_t id, struct verifier_outcome *out,
                         struct error *err) {
    struct arena arena = {0};
    const struct json *reply = read_reply(line, id, &arena, err);
    const int result = reply ? read_outcome(reply, &arena, out, err) : -1;
    arena_clear(&arena);
    return result;
}

void wire_add_slot_reply(struct buffer *out, uint64_t id, const struct reward_spec *spec,
                         const struct verifier_outcome *outcomes) {
    buffer_printf(out, "{\"id\":%" PRIu64 ",\"terms\":[", id);
    for (int i = 0; i < spec->n_terms; i++) {
        const struct verifier_outcome *o = &outcomes[i];
        buffer_add_text(out, i ? ",{\"value\":" : "{\"value\":");
        json_add_double(out, reward_status_has_value(o->status) ? o->value : NAN);
        buffer_printf(out, ",\"status\":\"%s\"", reward_status_name(o->status));
        if (o->detail[0]) {
            buffer_add_text(out, ",\"detail\":");
            json_add_string(out, slice_of(o->detail));
        }
        if (o->parts[0]) buffer_printf(out, ",\"parts\":\"%s\"", o->parts);
        buffer_add_text(out, "}");
    }
    buffer_add_text(out, "]}\n");
}

int wire_read_slot_reply(struct slice line, uint64_t id, const struct reward_spec *spec,
                         struct verifier_outcome *outcomes, struct error *err) {
    struct arena arena = {0};
    int result = -1;
    const struct json *reply = read_reply(line, id, &arena, err);
    const struct json *terms = reply ? json_get(reply, "terms") : NULL;
    if (!reply) goto done;
    if (!terms || terms->type != JSON_ARRAY || terms->n_children != spec->n_terms) {
        error_set(err, ERROR_INTERNAL, "The verifier's reply has no list of %d terms.",
                  spec->n_terms);
        goto done;
    }
    const struct json *t = terms->first;
    for (int i = 0; i < spec->n_terms; i++, t = t->next)
        if (spec->terms[i].builtin && read_outcome(t, &arena, &outcomes[i], err)) goto done;
    result = 0;
done:
    arena_clear(&arena);
    return result;
}
