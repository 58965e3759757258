// vLLM's names, for dashboards and autoscalers that know them. They break Prometheus' rules of
// naming (a colon, a ratio called perc), which is why ours are others.
#include <stdio.h>

#include "worker/http/metrics.h"

struct names {
    struct buffer *out;
    struct buffer labels;
};

static void value(struct names *n, const char *name, enum metrics_kind kind, const char *help,
                  double number) {
    metrics_head(n->out, name, kind, help);
    metrics_value(n->out, name, n->labels.ptr, number);
}

static void histogram(struct names *n, const struct status_snapshot *s, const char *name,
                      enum measure measure, const char *help) {
    metrics_head(n->out, name, METRICS_HISTOGRAM, help);
    metrics_histogram(n->out, name, n->labels.ptr, &s->work.measures[measure], measure);
}

static void add_model(struct buffer *labels, const char *model) {
    buffer_add_text(labels, "engine=\"0\",model_name=\"");
    for (; *model; model++)
        if (*model != '"' && *model != '\\' && (unsigned char)*model >= ' ')
            buffer_add(labels, model, 1);
    buffer_add_text(labels, "\"");
}

static void write_success(struct names *n, const struct status_snapshot *s) {
    const char *name = "vllm:request_success_total";
    metrics_head(n->out, name, METRICS_COUNTER, "Samples that ended by themselves.");
    for (int i = FINISH_STOP; i <= FINISH_LENGTH; i++) {
        struct buffer labels = {0};
        buffer_add_slice(&labels, buffer_slice(&n->labels));
        buffer_printf(&labels, ",finished_reason=\"%s\"",
                      message_finish_name((enum message_finish)i));
        metrics_value(n->out, name, labels.ptr, (double)s->work.n_ended[i]);
        buffer_free(&labels);
    }
}

void metrics_write_vllm(const struct status_snapshot *s, struct buffer *out) {
    const struct status_work *w = &s->work;
    struct names n = {.out = out};
    int waiting = s->last.n_samples - w->n_running;
    add_model(&n.labels, s->facts.model);
    value(&n, "vllm:num_requests_running", METRICS_GAUGE, "As rollout_requests_running.",
          w->n_running);
    value(&n, "vllm:num_requests_waiting", METRICS_GAUGE, "As rollout_requests_waiting.",
          waiting > 0 ? waiting : 0);
    value(&n, "vllm:kv_cache_usage_perc", METRICS_GAUGE, "As rollout_kv_cache_usage_ratio.",
          w->n_pages ? 1 - (double)w->n_free_pages / w->n_pages : 0);
    value(&n, "vllm:prefix_cache_queries_total", METRICS_COUNTER,
          "As rollout_prefix_cache_queries_total.", (double)w->n_shareable_tokens);
    value(&n, "vllm:prefix_cache_hits_total", METRICS_COUNTER,
          "As rollout_prefix_cache_hits_total.", (double)w->n_shared_tokens);
    value(&n, "vllm:num_preemptions_total", METRICS_COUNTER, "As rollout_preemptions_total.",
          (double)w->n_row_suspensions);
    value(&n, "vllm:prompt_tokens_total", METRICS_COUNTER, "As rollout_prompt_tokens_total.",
          (double)s->last.counters.n_prompt_tokens);
    value(&n, "vllm:generation_tokens_total", METRICS_COUNTER,
          "As rollout_generation_tokens_total.", (double)s->last.counters.n_output_tokens);
    write_success(&n, s);
    histogram(&n, s, "vllm:time_to_first_token_seconds", MEASURE_FIRST_TOKEN,
              "As rollout_time_to_first_token_seconds.");
    histogram(&n, s, "vllm:time_per_output_token_seconds", MEASURE_INTER_TOKEN,
              "As rollout_inter_token_seconds.");
    histogram(&n, s, "vllm:e2e_request_latency_seconds", MEASURE_E2E, "As rollout_e2e_seconds.");
    buffer_free(&n.labels);
}
