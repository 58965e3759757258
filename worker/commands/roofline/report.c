#include "worker/commands/roofline/report.h"

#include <math.h>

#include "protocol/base/json.h"

static const char *bound(const struct roofline_cost *c) {
    if (c->ms == 0) return "none";
    return c->is_flops_bound ? "arithmetic" : "memory";
}

// What a time of the step, or of a kernel alone, would give; infinite (null in JSON) for no time.
static double tokens_per_s(const struct roofline *r, double ms) {
    return ms > 0 ? 1000 * (r->output_tokens + r->prompt_tokens) / ms : INFINITY;
}

static double output_per_s(const struct roofline *r, double ms) {
    return ms > 0 ? 1000 * r->output_tokens / ms : INFINITY;
}

// Of those that a row brings, as an engine counts them: accepted over guessed.
static double guesses_kept(const struct roofline_load *l) {
    return (roofline_tokens_a_row(l->n_draft, l->acceptance) - 1) / l->n_draft;
}

// How much faster the step is than that of the same load without drafts.
static double draft_gain(const struct report_plan *p, const struct roofline_load *l,
                         const struct roofline *r) {
    struct roofline plain;
    struct roofline_load without = *l;
    if (p->n_in) without = roofline_mix(l->rows, p->n_in, p->n_out, 0, 0);
    without.n_draft = 0;
    roofline_step(p->model, p->device, &without, &plain);
    return output_per_s(r, r->step.ms) / output_per_s(&plain, plain.step.ms);
}

static const char *plural(double n) {
    return n == 1 ? "" : "s";
}

static const struct roofline_load *last(const struct report_plan *p) {
    return &p->loads[p->n_loads - 1];
}

// ------------------------------------------------------------------ as text

static double conv_row_bytes(const struct report_plan *p) {
    const struct roofline_model *m = p->model;
    return m->conv_entry_bytes * (m->shape.conv_width - 1 + last(p)->n_draft);
}

static void add_head(struct buffer *out, const struct report_plan *p) {
    const struct roofline_model *m = p->model;
    const struct device *d = p->device;
    buffer_add_text(out, "a plan: computed from these figures, not measured\n");
    buffer_printf(out, "model   %s: weights %.4g GB, KV %.0f B a token, conv state %.0f B a row\n",
                  p->model_name, m->weight_bytes / 1e9, m->kv_token_bytes, conv_row_bytes(p));
    buffer_printf(out, "device  %s: %.5g GB/s, %.4g TFLOP/s, %.4g GB, launch gap %.3g us%s\n",
                  d->name, d->read_bytes_per_s / 1e9, d->peak_flops / 1e12, d->memory_bytes / 1e9,
                  d->launch_gap_us, d->kv_overlaps ? "" : ", KV overlaps nothing");
    if (d->read_share < 1 || d->flops_share < 1 || d->memory_share < 1)
        buffer_printf(out, "        of which %.4g%%, %.4g%% and %.4g%% are achieved\n",
                      100 * d->read_share, 100 * d->flops_share, 100 * d->memory_share);
}

static void add_memory(struct buffer *out, const struct report_plan *p) {
    struct roofline_memory f;
    roofline_fit(p->model, p->device, last(p), &f);
    buffer_printf(out,
                  "memory  %.0f row%s %s %.4g of %.4g GB: weights %.4g, KV %.4g, conv state %.3g, "
                  "workspace %.3g\n        room for %.0f row%s of %.0f token%s\n",
                  last(p)->rows, plural(last(p)->rows), last(p)->rows == 1 ? "takes" : "take",
                  f.need / 1e9, f.have / 1e9, f.weights / 1e9, f.kv / 1e9, f.conv / 1e9,
                  f.workspace / 1e9, f.max_rows, plural(f.max_rows), last(p)->context,
                  plural(last(p)->context));
}

static void add_drafts(struct buffer *out, const struct roofline_load *l) {
    buffer_printf(out,
                  "drafts  %d a row at acceptance %.3g: %.3g tokens a row, %.0f%% of the guesses "
                  "kept\n",
                  l->n_draft, l->acceptance, roofline_tokens_a_row(l->n_draft, l->acceptance),
                  100 * guesses_kept(l));
}

static void add_load_heading(struct buffer *out, const struct report_plan *p) {
    const struct roofline_load *l = last(p);
    if (p->n_in)
        buffer_printf(out,
                      "\na step of requests of %d prompt and %d new tokens (%.5g prompt tokens "
                      "in it)",
                      p->n_in, p->n_out, l->prefill_tokens);
    else
        buffer_printf(out, "\nsteps that decode at context %.0f", l->context);
    buffer_printf(out, "; bytes in GB\n%5s %7s %7s %8s %8s %8s %8s %6s %8s %8s %8s %-10s %9s%s\n",
                  "rows", "experts", "tok/exp", "weights", "KV", "all", "TFLOP", "FLOP/B", "mem ms",
                  "FLOP ms", "step ms", "bound", "tokens/s", l->n_draft ? "   gain" : "");
}

static void add_load(struct buffer *out, const struct report_plan *p,
                     const struct roofline_load *l) {
    struct roofline r;
    roofline_step(p->model, p->device, l, &r);
    const struct roofline_cost *s = &r.step;
    buffer_printf(out,
                  "%5.0f %7.3g %7.3g %8.4g %8.4g %8.4g %8.4g %6.3g %8.4g %8.4g %8.4g %-10s "
                  "%9.0f",
                  l->rows, r.experts_hit, r.tokens_per_expert, r.weight_bytes / 1e9,
                  r.kv_bytes / 1e9, s->bytes / 1e9, s->flops / 1e12, s->flops / s->bytes,
                  s->memory_ms, s->flops_ms, s->ms, bound(s), tokens_per_s(&r, s->ms));
    if (l->n_draft) buffer_printf(out, " %6.2f", draft_gain(p, l, &r));
    buffer_add_text(out, "\n");
}

static void add_cost(struct buffer *out, const char *name, const struct roofline_cost *c,
                     const struct roofline *r, const char *note) {
    buffer_printf(out, "%-14s %8.0f %8.4g %8.4g %8.4g %8.4g %8.4g  %-10s ", name, c->launches,
                  c->bytes / 1e9, c->flops / 1e12, c->memory_ms, c->flops_ms, c->ms, bound(c));
    if (c->ms > 0) buffer_printf(out, "%12.0f", tokens_per_s(r, c->ms));
    buffer_printf(out, "%s\n", note);
}

static void add_time(struct buffer *out, const struct roofline *r, const char *what, double ms) {
    buffer_printf(out, "%-50s %8.4g ms %9.0f tokens/s", what, ms, tokens_per_s(r, ms));
    if (r->prompt_tokens > 0) buffer_printf(out, ", %.0f of them new", output_per_s(r, ms));
    buffer_add_text(out, "\n");
}

static void add_kernels(struct buffer *out, const struct report_plan *p) {
    struct roofline r;
    roofline_step(p->model, p->device, last(p), &r);
    buffer_printf(out, "\nkernels of the step of %.0f row%s\n", last(p)->rows,
                  plural(last(p)->rows));
    buffer_printf(out, "%-14s %8s %8s %8s %8s %8s %8s  %-10s %12s\n", "kernel", "launches", "GB",
                  "TFLOP", "mem ms", "FLOP ms", "ms", "bound", "tokens/s");
    for (int i = 0; i < N_ROOFLINE_KERNELS; i++)
        if (r.kernels[i].launches > 0)
            add_cost(out, roofline_kernel_name((enum roofline_kernel)i), &r.kernels[i], &r,
                     (int)r.largest == i ? "  <- largest" : "");
    add_cost(out, "step", &r.step, &r, "");
    buffer_add_text(out, "\n");
    add_time(out, &r, "the step", r.step.ms);
    add_time(out, &r, "its bound: everything overlaps, no gaps", r.overlapped_ms);
    add_time(out, &r, "no kernel overlaps another, gaps", r.one_by_one_ms);
}

void report_add_text(struct buffer *out, const struct report_plan *p) {
    add_head(out, p);
    add_memory(out, p);
    if (last(p)->n_draft) add_drafts(out, last(p));
    add_load_heading(out, p);
    for (int i = 0; i < p->n_loads; i++) add_load(out, p, &p->loads[i]);
    add_kernels(out, p);
}

// ------------------------------------------------------------------ as JSON

static void add_key(struct buffer *out, const char *key) {
    char before = out->len ? out->ptr[out->len - 1] : '{';
    buffer_printf(out, "%s\"%s\":", before == '{' || before == '[' ? "" : ",", key);
}

static void add_number(struct buffer *out, const char *key, double value) {
    add_key(out, key);
    json_add_double(out, value);
}

static void add_text(struct buffer *out, const char *key, const char *text) {
    add_key(out, key);
    json_add_string(out, slice_of(text));
}

static void add_model_json(struct buffer *out, const struct report_plan *p) {
    add_key(out, "model");
    buffer_add_text(out, "{");
    add_text(out, "name", p->model_name);
    add_number(out, "weight_bytes", p->model->weight_bytes);
    add_number(out, "kv_token_bytes", p->model->kv_token_bytes);
    add_number(out, "conv_row_bytes", conv_row_bytes(p));
    buffer_add_text(out, "}");
}

static void add_memory_json(struct buffer *out, const struct report_plan *p) {
    struct roofline_memory f;
    roofline_fit(p->model, p->device, last(p), &f);
    add_key(out, "memory");
    buffer_add_text(out, "{");
    add_number(out, "need_bytes", f.need);
    add_number(out, "have_bytes", f.have);
    add_number(out, "weight_bytes", f.weights);
    add_number(out, "kv_bytes", f.kv);
    add_number(out, "conv_bytes", f.conv);
    add_number(out, "workspace_bytes", f.workspace);
    add_number(out, "kv_tokens", f.kv_tokens);
    add_number(out, "max_rows", f.max_rows);
    buffer_add_text(out, "}");
}

static void add_cost_json(struct buffer *out, const struct roofline_cost *c) {
    add_number(out, "launches", c->launches);
    add_number(out, "bytes", c->bytes);
    add_number(out, "flops", c->flops);
    add_number(out, "memory_ms", c->memory_ms);
    add_number(out, "flops_ms", c->flops_ms);
    add_text(out, "bound", bound(c));
}

static void add_time_json(struct buffer *out, const struct roofline *r, const char *key,
                          double ms) {
    add_key(out, key);
    buffer_add_text(out, "{");
    add_number(out, "step_ms", ms);
    add_number(out, "tokens_per_s", tokens_per_s(r, ms));
    add_number(out, "output_tokens_per_s", output_per_s(r, ms));
    buffer_add_text(out, "}");
}

// The members of one load's object.
static void add_load_json(struct buffer *out, const struct report_plan *p,
                          const struct roofline_load *l, const struct roofline *r) {
    add_number(out, "rows", l->rows);
    add_number(out, "context", l->context);
    add_number(out, "prefill_tokens", l->prefill_tokens);
    if (l->n_draft) {
        add_number(out, "draft", l->n_draft);
        add_number(out, "acceptance", l->acceptance);
        add_number(out, "tokens_a_row", roofline_tokens_a_row(l->n_draft, l->acceptance));
        add_number(out, "guesses_kept", guesses_kept(l));
        add_number(out, "draft_gain", draft_gain(p, l, r));
    }
    add_number(out, "step_ms", r->step.ms);
    add_number(out, "tokens_per_s", tokens_per_s(r, r->step.ms));
    add_number(out, "output_tokens_per_s", output_per_s(r, r->step.ms));
    add_cost_json(out, &r->step);
    add_number(out, "weight_bytes", r->weight_bytes);
    add_number(out, "kv_bytes", r->kv_bytes);
    add_number(out, "experts", r->experts_hit);
    add_number(out, "tokens_per_expert", r->tokens_per_expert);
    add_text(out, "largest", roofline_kernel_name(r->largest));
    add_time_json(out, r, "overlapped", r->overlapped_ms);
    add_time_json(out, r, "one_by_one", r->one_by_one_ms);
}

static void add_kernels_json(struct buffer *out, const struct roofline *r) {
    add_key(out, "kernels");
    buffer_add_text(out, "[");
    for (int i = 0; i < N_ROOFLINE_KERNELS; i++) {
        const struct roofline_cost *c = &r->kernels[i];
        if (c->launches == 0) continue;
        buffer_add_text(out, out->ptr[out->len - 1] == '[' ? "{" : ",{");
        add_text(out, "name", roofline_kernel_name((enum roofline_kernel)i));
        add_cost_json(out, c);
        add_number(out, "ms", c->ms);
        add_number(out, "tokens_per_s", tokens_per_s(r, c->ms));
        buffer_add_text(out, "}");
    }
    buffer_add_text(out, "]");
}

static void add_loads_json(struct buffer *out, const struct report_plan *p) {
    add_key(out, "decode");
    buffer_add_text(out, "[");
    for (int i = 0; i < p->n_loads; i++) {
        struct roofline r;
        roofline_step(p->model, p->device, &p->loads[i], &r);
        buffer_add_text(out, i ? ",{" : "{");
        add_load_json(out, p, &p->loads[i], &r);
        buffer_add_text(out, "}");
    }
    buffer_add_text(out, "]");
}

void report_add_json(struct buffer *out, const struct report_plan *p) {
    struct roofline r;
    roofline_step(p->model, p->device, last(p), &r);
    buffer_add_text(out, "{");
    add_key(out, "device");
    device_add_json(out, p->device);
    add_model_json(out, p);
    add_memory_json(out, p);
    if (p->n_in) add_number(out, "in", p->n_in);
    if (p->n_in) add_number(out, "out", p->n_out);
    add_load_json(out, p, last(p), &r);
    add_kernels_json(out, &r);
    if (!p->n_in) add_loads_json(out, p);
    buffer_add_text(out, "}\n");
}
