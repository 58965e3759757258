#include "worker/http/status_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "worker/http/health.h"
#include "worker/version.h"

static void add_text(struct buffer *out, const char *key, const char *text) {
    buffer_printf(out, "\"%s\":", key);
    json_add_string(out, slice_of(text));
    buffer_add_text(out, ",");
}

static void add_uint(struct buffer *out, const char *key, uint64_t value) {
    buffer_printf(out, "\"%s\":%" PRIu64 ",", key, value);
}

static void add_int(struct buffer *out, const char *key, int64_t value) {
    buffer_printf(out, "\"%s\":%" PRId64 ",", key, value);
}

static void add_bool(struct buffer *out, const char *key, bool value) {
    buffer_printf(out, "\"%s\":%s,", key, value ? "true" : "false");
}

static void add_number(struct buffer *out, const char *key, double value) {
    buffer_printf(out, "\"%s\":", key);
    json_add_double(out, value);
    buffer_add_text(out, ",");
}

static void open_object(struct buffer *out, const char *key) {
    buffer_printf(out, "\"%s\":{", key);
}

// Every member has a comma behind it; the last one's becomes the bracket.
static void close_with(struct buffer *out, char bracket) {
    if (out->ptr[out->len - 1] == ',') out->len--;
    buffer_add(out, &bracket, 1);
}

static void close_object(struct buffer *out) {
    close_with(out, '}');
    buffer_add_text(out, ",");
}

static void write_facts(const struct status_snapshot *s, struct buffer *out) {
    const struct status_facts *f = &s->facts;
    char hex[20];
    open_object(out, "worker");
    add_text(out, "name", f->uid);
    add_text(out, "version", version_text());
    add_text(out, "build", f->build);
    add_text(out, "numerics", f->numerics);
    add_text(out, "model", f->model);
    snprintf(hex, sizeof hex, "%016" PRIx64, f->fingerprint);
    add_text(out, "fingerprint", hex);
    add_int(out, "max_rows", f->max_rows);
    add_int(out, "slots", f->slots);
    add_int(out, "max_context", f->max_context);
    open_object(out, "memory_bytes");
    for (int i = 0; i < 6; i++) add_uint(out, status_memory_names[i], f->memory_bytes[i]);
    close_object(out);
    close_object(out);
}

static void write_session(const struct status_snapshot *s, struct buffer *out) {
    const struct status_link *l = &s->link;
    uint64_t n_refused = 0;
    for (int i = 0; i < MESSAGE_N_REASONS; i++) n_refused += l->n_refused[i];
    open_object(out, "session");
    add_bool(out, "joined", l->joined);
    add_bool(out, "draining", l->draining);
    add_text(out, "run", l->run);
    add_uint(out, "epoch", l->epoch);
    add_uint(out, "n_sessions", l->n_sessions);
    add_int(out, "unacked_results", l->n_unacked);
    add_uint(out, "spool_bytes", l->spool_bytes);
    add_uint(out, "free_slots", l->free_slots);
    add_uint(out, "refused_messages", n_refused + l->n_foreign);
    add_uint(out, "unauthenticated", l->n_unauthenticated);
    close_object(out);
}

static void write_weights(const struct status_snapshot *s, struct buffer *out) {
    char hex[20];
    open_object(out, "weights");
    add_uint(out, "version", s->last.version);
    snprintf(hex, sizeof hex, "%016" PRIx64, s->last.digest);
    add_text(out, "digest", hex);
    add_uint(out, "staging_version", s->link.staging_version);
    add_uint(out, "committed", s->last.n_updates);
    add_uint(out, "failed", s->link.n_updates_failed + s->link.n_updates_mismatched);
    close_object(out);
}

static void write_engine(const struct status_snapshot *s, struct buffer *out) {
    const struct status_work *w = &s->work;
    int64_t last_ms = s->last.counters.last_step_ms;
    open_object(out, "engine");
    add_int(out, "running", w->n_running);
    add_int(out, "suspended", w->n_suspended);
    add_int(out, "waiting",
            s->last.n_samples > w->n_running ? s->last.n_samples - w->n_running : 0);
    add_int(out, "grading", w->n_grading);
    add_int(out, "tasks", w->n_tasks);
    add_int(out, "kv_pages", w->n_pages);
    add_int(out, "kv_pages_free", w->n_free_pages);
    add_uint(out, "steps", s->last.counters.n_steps);
    add_uint(out, "prompt_tokens", s->last.counters.n_prompt_tokens);
    add_uint(out, "generated_tokens", s->last.counters.n_output_tokens);
    add_number(out, "busy_seconds", (double)s->last.counters.step_us / 1e6);
    add_int(out, "last_step_age_ms", last_ms ? clock_ms() - last_ms : -1);
    close_object(out);
}

static void write_samples(const struct status_snapshot *s, struct buffer *out) {
    const struct status_work *w = &s->work;
    open_object(out, "samples");
    for (int i = FINISH_STOP; i < FINISH_N_REASONS; i++)
        add_uint(out, message_finish_name((enum message_finish)i), w->n_ended[i]);
    close_object(out);
    open_object(out, "verdicts");
    for (int i = 0; i <= REWARD_OK; i++)
        add_uint(out, reward_status_name((enum reward_status)i), w->n_verdicts[i]);
    close_object(out);
    open_object(out, "rewards");
    add_uint(out, "n", w->n_values);
    add_number(out, "sum", w->sum_values);
    close_object(out);
}

static void write_rollout(const struct rollout *r, bool texts, struct buffer *out) {
    buffer_add_text(out, "{");
    add_int(out, "age_ms", clock_ms() - r->at_ms);
    add_uint(out, "serial", r->serial);
    add_int(out, "sample", r->index);
    add_uint(out, "version", r->version);
    add_int(out, "n_tokens", r->n_tokens);
    add_text(out, "finish_reason", message_finish_name(r->finish));
    add_text(out, "status", r->is_graded ? reward_status_name(r->status) : "");
    add_number(out, "value", r->value);
    if (texts) add_text(out, "text", r->text);
    close_object(out);
}

void status_json_write(const struct status_snapshot *s, bool texts, struct buffer *out) {
    const char *why = health_why_not_ready(s), *dead = health_why_dead(s, clock_ms());
    const struct status_work *w = &s->work;
    buffer_add_text(out, "{");
    add_bool(out, "ready", !why);
    add_text(out, "why", dead ? dead : why ? why : "");
    write_facts(s, out);
    write_session(s, out);
    write_weights(s, out);
    write_engine(s, out);
    write_samples(s, out);
    buffer_add_text(out, "\"rollouts\":[");
    for (uint64_t i = 0; i < STATUS_N_ROLLOUTS && i < w->n_rollouts; i++)
        write_rollout(&w->rollouts[(w->n_rollouts - 1 - i) % STATUS_N_ROLLOUTS], texts, out);
    close_with(out, ']');
    buffer_add_text(out, "}\n");
}
