#include "worker/http/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "protocol/base/clock.h"
#include "protocol/base/json.h"
#include "worker/version.h"

void metrics_head(struct buffer *out, const char *name, enum metrics_kind kind, const char *help) {
    static const char *const kinds[] = {"gauge", "counter", "histogram"};
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kinds[kind]);
}

// %.17g would do; json_add_double prints the shortest that reads back and knows no locale.
static void add_number(struct buffer *out, double value) {
    if (isnan(value))
        buffer_add_text(out, "NaN");
    else
        json_add_double(out, value);
}

void metrics_value(struct buffer *out, const char *name, const char *labels, double value) {
    buffer_add_text(out, name);
    if (labels[0]) buffer_printf(out, "{%s}", labels);
    buffer_add_text(out, " ");
    add_number(out, value);
    buffer_add_text(out, "\n");
}

static void add_bucket(struct buffer *out, const char *name, const char *labels, double bound,
                       uint64_t n) {
    buffer_printf(out, "%s_bucket{%s%sle=\"", name, labels, labels[0] ? "," : "");
    if (isinf(bound))
        buffer_add_text(out, "+Inf");
    else
        json_add_double(out, bound);
    buffer_printf(out, "\"} %llu\n", (unsigned long long)n);
}

void metrics_histogram(struct buffer *out, const char *name, const char *labels,
                       const struct histogram *h, enum measure measure) {
    char full[128];
    int n;
    uint64_t total = 0;
    const double *bounds = histogram_bounds(measure, &n);
    for (int i = 0; i < n; i++) add_bucket(out, name, labels, bounds[i], total += h->counts[i]);
    add_bucket(out, name, labels, (double)INFINITY, total += h->counts[n]);
    snprintf(full, sizeof full, "%s_sum", name);
    metrics_value(out, full, labels, h->sum);
    snprintf(full, sizeof full, "%s_count", name);
    metrics_value(out, full, labels, (double)total);
}

static void gauge(struct buffer *out, const char *name, const char *help, double value) {
    metrics_head(out, name, METRICS_GAUGE, help);
    metrics_value(out, name, "", value);
}

static void counter(struct buffer *out, const char *name, const char *help, double value) {
    metrics_head(out, name, METRICS_COUNTER, help);
    metrics_value(out, name, "", value);
}

static void add_quoted(struct buffer *out, const char *label, const char *text) {
    buffer_printf(out, "%s=\"", label);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') buffer_add_text(out, "\\");
        buffer_add(out, text, 1);
    }
    buffer_add_text(out, "\"");
}

// "stampede 0.1.0 (commit)" as labels.
static void write_build(struct buffer *out) {
    struct buffer labels = {0};
    char version[64] = "", commit[64] = "";
    sscanf(version_text(), "stampede %63s (%63[^)])", version, commit);
    add_quoted(&labels, "version", version);
    buffer_add_text(&labels, ",");
    add_quoted(&labels, "commit", commit);
    buffer_printf(&labels, ",proto=\"%d.%d\"", MESSAGE_MAJOR, MESSAGE_MINOR);
    metrics_head(out, "rollout_build_info", METRICS_GAUGE, "What runs here; always 1.");
    metrics_value(out, "rollout_build_info", labels.ptr, 1);
    buffer_free(&labels);
}

// Copies for updates count among the weights: few workers have them, and series are few.
static void write_memory(const struct status_facts *f, struct buffer *out) {
    char labels[96];
    metrics_head(out, "rollout_gpu_memory_bytes", METRICS_GAUGE,
                 "Memory as planned at start, by what it is for (weights: with their master and "
                 "second copy); of the host where the device is the CPU.");
    uint64_t copies = f->memory_bytes[STATUS_SECOND_COPY] + f->memory_bytes[STATUS_MASTER];
    for (int i = 0; i < STATUS_SECOND_COPY; i++) {
        snprintf(labels, sizeof labels, "kind=\"%s\"", status_memory_names[i]);
        metrics_value(out, "rollout_gpu_memory_bytes", labels,
                      (double)(f->memory_bytes[i] + (i == STATUS_WEIGHTS ? copies : 0)));
    }
}

static void write_facts(const struct status_snapshot *s, struct buffer *out) {
    char labels[96];
    write_build(out);
    snprintf(labels, sizeof labels, "fingerprint=\"%016llx\"",
             (unsigned long long)s->facts.fingerprint);
    metrics_head(out, "rollout_model_info", METRICS_GAUGE,
                 "Hash of the model's config and tokenizer; always 1.");
    metrics_value(out, "rollout_model_info", labels, 1);
    write_memory(&s->facts, out);
    gauge(out, "rollout_slots", "Samples that may be in this worker's hands.", s->facts.slots);
}

static double unix_seconds_of(int64_t at_ms) {
    return at_ms ? (double)time(NULL) - (double)(clock_ms() - at_ms) / 1000 : 0;
}

static void write_gauges(const struct status_snapshot *s, struct buffer *out) {
    const struct status_work *w = &s->work;
    const struct status_link *l = &s->link;
    int waiting = s->last.n_samples - w->n_running;
    gauge(out, "rollout_requests_running", "Samples that have a row on the device.", w->n_running);
    gauge(out, "rollout_requests_waiting", "Samples that wait for the device.",
          waiting > 0 ? waiting : 0);
    gauge(out, "rollout_requests_suspended", "Of these, rows that lie in host memory.",
          w->n_suspended);
    gauge(out, "rollout_requests_grading", "Samples that are being graded.", w->n_grading);
    gauge(out, "rollout_kv_cache_usage_ratio", "Share of KV pages in use, 0 to 1.",
          w->n_pages ? 1 - (double)w->n_free_pages / w->n_pages : 0);
    gauge(out, "rollout_policy_version", "Policy version that is served.", (double)s->last.version);
    gauge(out, "rollout_weights_staging_version", "Policy version that is being staged; 0: none.",
          (double)l->staging_version);
    gauge(out, "rollout_credit_slots_available", "Samples that the trainer may send now.",
          (double)l->free_slots);
    gauge(out, "rollout_result_spool_bytes", "Results that wait for an acknowledgement.",
          (double)l->spool_bytes);
    gauge(out, "rollout_leases", "Tasks that are in the engine.", w->n_tasks);
    gauge(out, "rollout_session_up", "1 while there is a session with a trainer.", l->joined);
    gauge(out, "rollout_draining", "1 while the worker finishes what it has and leaves.",
          l->draining);
    gauge(out, "rollout_last_step_timestamp_seconds", "When the last step ended; 0: none yet.",
          unix_seconds_of(s->last.counters.last_step_ms));
}

static void write_work(const struct status_snapshot *s, struct buffer *out) {
    static const char *const idle[N_IDLE_REASONS] = {"no_work", "weights", "verifiers"};
    const struct status_work *w = &s->work;
    const char *name = "rollout_samples_total";
    char labels[64];
    counter(out, "rollout_prompt_tokens_total", "Prompt tokens that were computed.",
            (double)s->last.counters.n_prompt_tokens);
    counter(out, "rollout_generation_tokens_total", "Tokens that were drawn.",
            (double)s->last.counters.n_output_tokens);
    counter(out, "rollout_draft_tokens_total", "Tokens that were guessed and checked.",
            (double)s->last.counters.n_guessed);
    counter(out, "rollout_draft_accepted_tokens_total", "Of these, tokens that stood.",
            (double)s->last.counters.n_accepted);
    counter(out, "rollout_prefix_cache_queries_total", "Prompt tokens of samples that ended.",
            (double)w->n_shareable_tokens);
    counter(out, "rollout_prefix_cache_hits_total",
            "Of these, tokens that were computed for another sample of the group.",
            (double)w->n_shared_tokens);
    counter(out, "rollout_preemptions_total", "Times that a row went to host memory.",
            (double)w->n_row_suspensions);
    metrics_head(out, name, METRICS_COUNTER, "Samples that ended, by how.");
    for (int i = FINISH_STOP; i < FINISH_N_REASONS; i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"",
                 message_finish_name((enum message_finish)i));
        metrics_value(out, name, labels, (double)w->n_ended[i]);
    }
    name = "rollout_verdicts_total";
    metrics_head(out, name, METRICS_COUNTER, "Rewards by status.");
    for (int i = 0; i <= REWARD_OK; i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"", reward_status_name((enum reward_status)i));
        metrics_value(out, name, labels, (double)w->n_verdicts[i]);
    }
    counter(out, "rollout_engine_busy_seconds_total", "Time inside steps.",
            (double)s->last.counters.step_us / 1e6);
    name = "rollout_engine_idle_seconds_total";
    metrics_head(out, name, METRICS_COUNTER, "Time without a step, by why.");
    for (int i = 0; i < N_IDLE_REASONS; i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"", idle[i]);
        metrics_value(out, name, labels, (double)w->idle_us[i] / 1e6);
    }
    metrics_head(out, "rollout_cuda_errors_total", METRICS_COUNTER,
                 "Errors of the device, after which the worker leaves.");
    metrics_value(out, "rollout_cuda_errors_total", "kind=\"sticky\"", w->device_failed);
}

static void write_updates(const struct status_snapshot *s, struct buffer *out) {
    const struct status_link *l = &s->link;
    const char *name = "rollout_weight_updates_total";
    metrics_head(out, name, METRICS_COUNTER, "Weight updates, by how they ended.");
    metrics_value(out, name, "result=\"committed\"", (double)s->last.n_updates);
    metrics_value(out, name, "result=\"discarded\"", (double)l->n_updates_failed);
    metrics_value(out, name, "result=\"digest_mismatch\"", (double)l->n_updates_mismatched);
    metrics_head(
        out, "rollout_weight_bytes_total", METRICS_COUNTER,
        "Bytes of weight updates that came whole and were proved, dense and sparse, by how "
        "they came.");
    name = "rollout_weight_bytes_total";
    metrics_value(out, name, "transport=\"bulk\"", (double)l->weight_bytes[TRANSPORT_BULK]);
    metrics_value(out, name, "transport=\"directory\"",
                  (double)l->weight_bytes[TRANSPORT_DIRECTORY]);
    metrics_value(out, name, "transport=\"nccl\"", (double)l->weight_bytes[TRANSPORT_NCCL]);
    counter(out, "rollout_nccl_aborts_total",
            "Communicators of NCCL that were left with an update unfinished.",
            (double)l->n_nccl_aborts);
    counter(out, "rollout_weight_scrub_passes_total",
            "Looks at all resident weights for flipped bits that found none.",
            (double)s->work.n_scrub_passes);
    name = "rollout_weight_update_seconds";
    metrics_head(out, name, METRICS_HISTOGRAM,
                 "Parts of a weight update: stage goes on beside decoding, pause is what decoding "
                 "stood still, commit from the order to applied.");
    metrics_histogram(out, name, "phase=\"stage\"", &l->stage, MEASURE_STAGE);
    metrics_histogram(out, name, "phase=\"commit\"", &l->commit, MEASURE_COMMIT);
    metrics_histogram(out, name, "phase=\"pause\"", &s->work.measures[MEASURE_PAUSE],
                      MEASURE_PAUSE);
}

static void write_wire(const struct status_snapshot *s, struct buffer *out) {
    const struct status_link *l = &s->link;
    const char *name = "rollout_frames_rejected_total";
    char labels[64];
    counter(out, "rollout_samples_resent_total", "Samples in results that were sent again.",
            (double)l->n_resent_samples);
    counter(out, "rollout_reconnects_total", "Sessions after the first.",
            l->n_sessions > 1 ? (double)l->n_sessions - 1 : 0);
    counter(out, "rollout_heartbeat_missed_total",
            "Heartbeat intervals without a word of the trainer.", (double)l->n_missed_beats);
    metrics_head(out, name, METRICS_COUNTER, "Messages that were dropped, by why.");
    for (int i = 0; i < MESSAGE_N_REASONS; i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"",
                 message_reason_name((enum message_reason)i));
        metrics_value(out, name, labels, (double)l->n_refused[i]);
    }
    counter(out, "rollout_auth_rejected_total", "Peers and messages without an allowed key.",
            (double)l->n_unauthenticated);
    counter(out, "rollout_epoch_rejected_total", "Messages of another run or epoch.",
            (double)l->n_foreign);
    counter(out, "rollout_hwm_hits_total", "Messages that found the socket's queue full.",
            (double)l->n_full);
}

static void write_histograms(const struct status_snapshot *s, struct buffer *out) {
    static const struct {
        enum measure measure;
        const char *name, *help;
    } rows[] = {
        {MEASURE_FIRST_TOKEN, "rollout_time_to_first_token_seconds",
         "From a task's arrival to the first token of a sample."},
        {MEASURE_INTER_TOKEN, "rollout_inter_token_seconds", "Between two tokens of a row."},
        {MEASURE_E2E, "rollout_e2e_seconds", "From a task's arrival to a sample's end."},
        {MEASURE_QUEUE, "rollout_queue_seconds", "From a task's arrival to its first step."},
        {MEASURE_PREFILL, "rollout_prefill_seconds", "From there to a sample's first token."},
        {MEASURE_DECODE, "rollout_decode_seconds", "From a sample's first token to its end."},
        {MEASURE_PROMPT_TOKENS, "rollout_prompt_tokens", "Prompt tokens of a sample."},
        {MEASURE_OUTPUT_TOKENS, "rollout_generation_tokens", "Tokens drawn for a sample."},
        {MEASURE_STEP_TOKENS, "rollout_step_tokens", "Tokens that a step computes."},
        {MEASURE_STALENESS, "rollout_staleness_versions",
         "Policy versions that a sample's first token lies behind its end."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        metrics_head(out, rows[i].name, METRICS_HISTOGRAM, rows[i].help);
        metrics_histogram(out, rows[i].name, "", &s->work.measures[rows[i].measure],
                          rows[i].measure);
    }
}

void metrics_write(const struct status_snapshot *s, bool vllm, struct buffer *out) {
    write_facts(s, out);
    write_gauges(s, out);
    write_work(s, out);
    write_updates(s, out);
    write_wire(s, out);
    write_histograms(s, out);
    metrics_write_process(out);
    if (vllm) metrics_write_vllm(s, out);
}
