// Prometheus' text format. Names of ours begin with rollout_; tests/worker/http/metrics.txt has
// all of them, and a change of it is a change for whoever watches workers.
#ifndef WORKER_HTTP_METRICS_H
#define WORKER_HTTP_METRICS_H

#include "protocol/base/buffer.h"
#include "worker/status.h"

// `vllm`: a dozen of vLLM's names besides, for dashboards that know them.
void metrics_write(const struct status_snapshot *s, bool vllm, struct buffer *out);

// The pieces, shared by the files that make it. Help is one line without a backslash.
enum metrics_kind { METRICS_GAUGE, METRICS_COUNTER, METRICS_HISTOGRAM };
void metrics_head(struct buffer *out, const char *name, enum metrics_kind kind, const char *help);
// One series; `labels` such as reason="stop", or "".
void metrics_value(struct buffer *out, const char *name, const char *labels, double value);
void metrics_histogram(struct buffer *out, const char *name, const char *labels,
                       const struct histogram *h, enum measure measure);

void metrics_write_vllm(const struct status_snapshot *s, struct buffer *out);
void metrics_write_process(struct buffer *out); // process_*, of this process

#endif
