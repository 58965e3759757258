#include "worker/http/status_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "protocol/base/clock.h"
#include "protocol/base/json_member.h"
#include "worker/http/health.h"
#include "worker/version.h"

static void close_object(struct buffer *out) {
    json_close(out, '}');
    buffer_add_text(out, ",");
}

static void write_facts(const struct status_snapshot *s, struct buffer *out) {
    const struct status_facts *f = &s->facts;
    char hex[20];
    json_member_object(out, "worker");
    json_member_text(out, "name", f->uid);
    json_member_text(out, "version", version_text());
    json_member_text(out, "build", f->build);
    json_member_text(out, "numerics", f->numerics);
    json_member_text(out, "model", f->model);
    snprintf(hex, sizeof hex, "%016" PRIx64, f->fingerprint);
    json_member_text(out, "fingerprint", hex);
    json_member_int(out, "max_rows", f->max_rows);
    json_member_int(out, "slots", f->slots);
    json_member_int(out, "max_context", f->max_context);
    json_member_object(out, "memory_bytes");
    for (int i = 0; i < STATUS_N_MEMORY; i++)
        json_member_uint(out, status_memory_names[i], f->memory_bytes[i]);
    close_object(out);
    close_object(out);
}

static void write_session(const struct status_snapshot *s, struct buffer *out) {
    const struct status_link *l = &s->link;
    uint64_t n_refused = 0;
    for (int i = 0; i < MESSAGE_N_REASONS; i++) n_refused += l->n_refused[i];
    json_member_object(out, "session");
    json_member_bool(out, "joined", l->joined);
    json_member_bool(out, "draining", l->draining);
    json_member_text(out, "run", l->run);
    json_member_uint(out, "epoch", l->epoch);
    json_member_uint(out, "n_sessions", l->n_sessions);
    json_member_int(out, "unacked_results", l->n_unacked);
    json_member_uint(out, "spool_bytes", l->spool_bytes);
    json_member_uint(out, "free_slots", l->free_slots);
    json_member_uint(out, "refused_messages", n_refused + l->n_foreign);
    json_member_uint(out, "unauthenticated", l->n_unauthenticated);
    close_object(out);
}

static void write_weights(const struct status_snapshot *s, struct buffer *out) {
    char hex[20];
    json_member_object(out, "weights");
    json_member_uint(out, "version", s->last.version);
    snprintf(hex, sizeof hex, "%016" PRIx64, s->last.digest);
    json_member_text(out, "digest", hex);
    json_member_uint(out, "staging_version", s->link.staging_version);
    json_member_uint(out, "committed", s->last.n_updates);
    json_member_uint(out, "failed", s->link.n_updates_failed + s->link.n_updates_mismatched);
    close_object(out);
}

static void write_engine(const struct status_snapshot *s, struct buffer *out) {
    const struct status_work *w = &s->work;
    int64_t last_ms = s->last.counters.last_step_ms;
    json_member_object(out, "engine");
    json_member_int(out, "running", w->n_running);
    json_member_int(out, "suspended", w->n_suspended);
    json_member_int(out, "waiting",
                    s->last.n_samples > w->n_running ? s->last.n_samples - w->n_running : 0);
    json_member_int(out, "grading", w->n_grading);
    json_member_int(out, "tasks", w->n_tasks);
    json_member_int(out, "kv_pages", w->n_pages);
    json_member_int(out, "kv_pages_free", w->n_free_pages);
    json_member_uint(out, "steps", s->last.counters.n_steps);
    json_member_uint(out, "prompt_tokens", s->last.counters.n_prompt_tokens);
    json_member_uint(out, "generated_tokens", s->last.counters.n_output_tokens);
    json_member_uint(out, "guessed", s->last.counters.n_guessed);
    json_member_uint(out, "accepted", s->last.counters.n_accepted);
    json_member_double(out, "busy_seconds", (double)s->last.counters.step_us / 1e6);
    json_member_int(out, "last_step_age_ms", last_ms ? clock_ms() - last_ms : -1);
    close_object(out);
}

static void write_samples(const struct status_snapshot *s, struct buffer *out) {
    const struct status_work *w = &s->work;
    json_member_object(out, "samples");
    for (int i = FINISH_STOP; i < FINISH_N_REASONS; i++)
        json_member_uint(out, message_finish_name((enum message_finish)i), w->n_ended[i]);
    close_object(out);
    json_member_object(out, "verdicts");
    for (int i = 0; i <= REWARD_OK; i++)
        json_member_uint(out, reward_status_name((enum reward_status)i), w->n_verdicts[i]);
    close_object(out);
    json_member_object(out, "rewards");
    json_member_uint(out, "n", w->n_values);
    json_member_double(out, "sum", w->sum_values);
    close_object(out);
}

static void write_rollout(const struct rollout *r, bool texts, struct buffer *out) {
    buffer_add_text(out, "{");
    json_member_int(out, "age_ms", clock_ms() - r->at_ms);
    json_member_uint(out, "serial", r->serial);
    json_member_int(out, "sample", r->index);
    json_member_uint(out, "version", r->version);
    json_member_int(out, "n_tokens", r->n_tokens);
    json_member_text(out, "finish_reason", message_finish_name(r->finish));
    json_member_text(out, "status", r->is_graded ? reward_status_name(r->status) : "");
    json_member_double(out, "value", r->value);
    if (texts) json_member_text(out, "text", r->text);
    close_object(out);
}

void status_json_write(const struct status_snapshot *s, bool texts, struct buffer *out) {
    const char *why = health_why_not_ready(s), *dead = health_why_dead(s, clock_ms());
    const struct status_work *w = &s->work;
    buffer_add_text(out, "{");
    json_member_bool(out, "ready", !why);
    json_member_text(out, "why", dead ? dead : why ? why : "");
    write_facts(s, out);
    write_session(s, out);
    write_weights(s, out);
    write_engine(s, out);
    write_samples(s, out);
    buffer_add_text(out, "\"rollouts\":[");
    for (uint64_t i = 0; i < STATUS_N_ROLLOUTS && i < w->n_rollouts; i++)
        write_rollout(&w->rollouts[(w->n_rollouts - 1 - i) % STATUS_N_ROLLOUTS], texts, out);
    json_close(out, ']');
    buffer_add_text(out, "}\n");
}
