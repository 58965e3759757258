#include "worker/session/output.h"

#include <math.h>

#include "protocol/base/json.h"

static void add_ints(struct buffer *out, const char *key, const int32_t *values, int n) {
    buffer_printf(out, ",\"%s\":[", key);
    for (int i = 0; i < n; i++) buffer_printf(out, i ? ",%d" : "%d", values[i]);
    buffer_add(out, "]", 1);
}

static void add_floats(struct buffer *out, const char *key, const float *values, int n) {
    buffer_printf(out, ",\"%s\":[", key);
    for (int i = 0; i < n; i++) {
        if (i) buffer_add(out, ",", 1);
        json_add_float(out, values[i]);
    }
    buffer_add(out, "]", 1);
}

static void add_spans(struct buffer *out, const struct sample *s) {
    buffer_add_text(out, ",\"version_spans\":[");
    for (int i = 0; i < s->n_spans; i++)
        buffer_printf(out, i ? ",[%d,%llu]" : "[%d,%llu]", s->spans[i].first_token,
                      (unsigned long long)s->spans[i].version);
    buffer_add(out, "]", 1);
}

static void add_routes(struct buffer *out, const struct sample *s,
                       const struct output_shape *shape) {
    const uint16_t *value = s->routes;
    buffer_add_text(out, ",\"routed_experts\":[");
    for (int p = 0; p < s->n_routes; p++) {
        buffer_add_text(out, p ? ",[" : "[");
        for (int layer = 0; layer < shape->n_moe_layers; layer++) {
            buffer_add_text(out, layer ? ",[" : "[");
            for (int k = 0; k < shape->n_experts_used; k++)
                buffer_printf(out, k ? ",%d" : "%d", *value++);
            buffer_add(out, "]", 1);
        }
        buffer_add(out, "]", 1);
    }
    buffer_add(out, "]", 1);
}

void output_sample(struct buffer *out, const struct sample *s, const struct output_shape *shape) {
    const struct task *t = s->task;
    buffer_add_text(out, "{\"id\":");
    buffer_add_slice(out, t->id);
    buffer_printf(out, ",\"sample\":%d", s->index);
    add_ints(out, "prompt_ids", t->prompt_ids, t->n_prompt);
    add_ints(out, "tokens", s->tokens, s->n_tokens);
    buffer_add_text(out, ",\"text\":");
    if (s->text)
        json_add_string(out, (struct slice){s->text, s->text_bytes});
    else
        buffer_add_text(out, "null");
    buffer_printf(out, ",\"finish_reason\":\"%s\"", message_finish_name(s->finish));
    add_floats(out, "lp_full", s->lp_full, s->n_tokens);
    add_floats(out, "lp_behav", s->lp_behav, s->n_tokens);
    add_spans(out, s);
    buffer_add_text(out, ",\"reward\":");
    if (s->reward)
        reward_to_json(s->reward, out);
    else
        buffer_add_text(out, "null");
    buffer_add_text(out, ",\"meta\":");
    buffer_add_slice(out, t->meta.len ? t->meta : slice_of("null"));
    if (s->prompt_lp_full) add_floats(out, "prompt_lp_full", s->prompt_lp_full, t->n_prompt);
    if (s->routes) add_routes(out, s, shape);
    if (s->error) {
        buffer_add_text(out, ",\"error\":");
        json_add_string(out, slice_of(s->error));
    }
    buffer_add(out, "}\n", 2);
}

void output_refused(struct buffer *out, struct slice id, const char *sentence) {
    buffer_add_text(out, "{\"id\":");
    buffer_add_slice(out, id);
    buffer_add_text(out, ",\"sample\":null,\"error\":");
    json_add_string(out, slice_of(sentence));
    buffer_add(out, "}\n", 2);
}
