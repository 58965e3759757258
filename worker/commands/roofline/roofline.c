#include "worker/commands/roofline/roofline.h"

#include <math.h>

static const char *const names[N_ROOFLINE_KERNELS] = {
    "conv_in", "conv_out",    "qkv",        "attention", "attention_out", "dense_w13", "dense_w2",
    "router",  "experts_w13", "experts_w2", "combine",   "head",          "draw"};

const char *roofline_kernel_name(enum roofline_kernel k) {
    return names[k];
}

// ------------------------------------------------------------------ the model

static double n_conv(const struct model_shape *s) {
    return s->n_layers - shape_n_attention(s);
}

void roofline_model_start(struct roofline_model *m, const struct model_shape *shape, double kv,
                          double conv) {
    *m = (struct roofline_model){.shape = *shape};
    m->kv_token_bytes = 2.0 * shape_n_attention(shape) * shape->n_kv_heads * shape->head_dim * kv;
    m->conv_entry_bytes = n_conv(shape) * shape->hidden * conv;
}

// Who multiplies by a weight; N_ROOFLINE_KERNELS: nobody, or too small to count.
static enum roofline_kernel kernel_of(const struct model_shape *s, const struct weight *w) {
    bool expert = w->expert >= 0;
    switch (w->kind) {
    case WEIGHT_EMBED:
        return s->tied_head ? ROOFLINE_HEAD : N_ROOFLINE_KERNELS;
    case WEIGHT_HEAD:
        return ROOFLINE_HEAD;
    case WEIGHT_CONV_IN:
    case WEIGHT_CONV_TAPS:
        return ROOFLINE_CONV_IN;
    case WEIGHT_CONV_OUT:
        return ROOFLINE_CONV_OUT;
    case WEIGHT_Q:
    case WEIGHT_K:
    case WEIGHT_V:
        return ROOFLINE_QKV;
    case WEIGHT_ATTENTION_OUT:
        return ROOFLINE_ATTENTION_OUT;
    case WEIGHT_W1:
    case WEIGHT_W3:
        return expert ? ROOFLINE_EXPERTS_W13 : ROOFLINE_DENSE_W13;
    case WEIGHT_W2:
        return expert ? ROOFLINE_EXPERTS_W2 : ROOFLINE_DENSE_W2;
    case WEIGHT_ROUTER:
        return ROOFLINE_ROUTER;
    default:
        return N_ROOFLINE_KERNELS;
    }
}

void roofline_model_add(struct roofline_model *m, const struct weight *w, double bytes) {
    enum roofline_kernel k = kernel_of(&m->shape, w);
    m->weight_bytes += bytes;
    if (k == N_ROOFLINE_KERNELS) return;
    m->elements[k] += (double)weight_n(w);
    m->bytes[k] += bytes;
}

static bool is_of_experts(enum roofline_kernel kernel) {
    return kernel == ROOFLINE_EXPERTS_W13 || kernel == ROOFLINE_EXPERTS_W2;
}

// Layers that launch a kernel.
static double n_launches(const struct model_shape *s, enum roofline_kernel k) {
    switch (k) {
    case ROOFLINE_CONV_IN:
    case ROOFLINE_CONV_OUT:
        return n_conv(s);
    case ROOFLINE_QKV:
    case ROOFLINE_ATTENTION:
    case ROOFLINE_ATTENTION_OUT:
        return shape_n_attention(s);
    case ROOFLINE_DENSE_W13:
    case ROOFLINE_DENSE_W2:
        return s->n_dense_layers;
    case ROOFLINE_ROUTER:
    case ROOFLINE_EXPERTS_W13:
    case ROOFLINE_EXPERTS_W2:
    case ROOFLINE_COMBINE:
        return shape_n_moe(s);
    default:
        return 1;
    }
}

// ------------------------------------------------------------------ the load

double roofline_tokens_a_row(int n_draft, double acceptance) {
    double sum = 1;
    for (int i = 0; i < n_draft; i++) sum = 1 + acceptance * sum;
    return sum;
}

struct roofline_load roofline_mix(double concurrent, double in, double out, int n_draft,
                                  double acceptance) {
    double ended = concurrent * roofline_tokens_a_row(n_draft, acceptance) / out;
    return (struct roofline_load){.rows = concurrent,
                                  .context = in + out / 2,
                                  .n_draft = n_draft,
                                  .acceptance = acceptance,
                                  .prefill_tokens = ended * in,
                                  .prefill_context = in / 2};
}

// What a load comes to in one step.
struct tokens {
    double all;                // that pass through the layers
    double outputs;            // of which logits are wanted
    double experts_hit, share; // of a MoE layer; of its experts' weights
};

static struct tokens count_tokens(const struct model_shape *s, const struct roofline_load *l) {
    struct tokens t = {.outputs = l->rows * (l->n_draft + 1)};
    t.all = t.outputs + l->prefill_tokens;
    if (s->n_experts == 0) return t;
    double missed = 1 - (double)s->n_experts_used / s->n_experts;
    t.share = 1 - pow(missed, t.all);
    t.experts_hit = s->n_experts * t.share;
    return t;
}

// ------------------------------------------------------------------ the step

static double state_bytes(const struct roofline_model *m, const struct roofline_load *l,
                          enum roofline_kernel k, const struct tokens *t) {
    switch (k) {
    case ROOFLINE_CONV_IN:
        return l->rows * (2 * (m->shape.conv_width - 1) + l->n_draft) * m->conv_entry_bytes;
    case ROOFLINE_ATTENTION:
        return (l->rows * (l->context + l->n_draft) + l->prefill_tokens) * m->kv_token_bytes;
    case ROOFLINE_HEAD:
    case ROOFLINE_DRAW:
        return t->outputs * m->shape.vocab * sizeof(float);
    default:
        return 0;
    }
}

// A query and a key, and a weight and a value, meet at each position.
static double attention_flops(const struct model_shape *s, const struct roofline_load *l,
                              const struct tokens *t) {
    double positions = t->outputs * l->context + l->prefill_tokens * l->prefill_context;
    return 4.0 * shape_n_attention(s) * s->n_heads * s->head_dim * positions;
}

static double kernel_flops(const struct roofline_model *m, const struct roofline_load *l,
                           enum roofline_kernel k, const struct tokens *t) {
    const struct model_shape *s = &m->shape;
    if (k == ROOFLINE_ATTENTION) return attention_flops(s, l, t);
    double tokens = k == ROOFLINE_HEAD ? t->outputs : t->all;
    if (is_of_experts(k)) tokens *= (double)s->n_experts_used / s->n_experts;
    return m->elements[k] > 0 ? 2 * tokens * m->elements[k] : 0;
}

static double longer(double a, double b) {
    return a > b ? a : b;
}

static void set_times(struct roofline_cost *c, const struct device *d) {
    c->memory_ms = 1000 * c->bytes / (d->read_bytes_per_s * d->read_share);
    c->flops_ms = 1000 * c->flops / (d->peak_flops * d->flops_share);
    c->is_flops_bound = c->flops_ms > c->memory_ms;
    c->ms = longer(c->memory_ms, c->flops_ms);
}

// All kernels have their times; these are the step's.
static void set_step_times(struct roofline *r, const struct device *d) {
    const struct roofline_cost *attention = &r->kernels[ROOFLINE_ATTENTION];
    struct roofline_cost *s = &r->step;
    double gaps_ms = s->launches * d->launch_gap_us / 1000, kv_ms = attention->memory_ms;
    set_times(s, d);
    r->overlapped_ms = s->ms;
    if (!d->kv_overlaps) {
        double rest_ms = s->memory_ms - kv_ms;
        s->is_flops_bound = s->flops_ms > rest_ms && s->flops_ms > kv_ms;
        s->ms = kv_ms + longer(rest_ms, s->flops_ms);
    }
    s->ms += gaps_ms;
    r->one_by_one_ms = kv_ms + attention->flops_ms + gaps_ms;
    for (int i = 0; i < N_ROOFLINE_KERNELS; i++)
        if (i != ROOFLINE_ATTENTION) r->one_by_one_ms += r->kernels[i].ms;
}

static void add_kernel(struct roofline *r, const struct roofline_cost *c, int k) {
    r->step.launches += c->launches;
    r->step.bytes += c->bytes;
    r->step.flops += c->flops;
    if (c->ms > r->kernels[r->largest].ms) r->largest = (enum roofline_kernel)k;
}

void roofline_step(const struct roofline_model *m, const struct device *d,
                   const struct roofline_load *l, struct roofline *out) {
    const struct tokens t = count_tokens(&m->shape, l);
    struct roofline r = {.experts_hit = t.experts_hit};
    for (int i = 0; i < N_ROOFLINE_KERNELS; i++) {
        enum roofline_kernel k = (enum roofline_kernel)i;
        struct roofline_cost *c = &r.kernels[i];
        double weights = m->bytes[i] * (is_of_experts(k) ? t.share : 1);
        c->launches = n_launches(&m->shape, k);
        c->bytes = weights + state_bytes(m, l, k, &t);
        c->flops = kernel_flops(m, l, k, &t);
        set_times(c, d);
        add_kernel(&r, c, i);
        r.weight_bytes += weights;
    }
    set_step_times(&r, d);
    r.kv_bytes = r.kernels[ROOFLINE_ATTENTION].bytes;
    r.output_tokens = l->rows * roofline_tokens_a_row(l->n_draft, l->acceptance);
    r.prompt_tokens = l->prefill_tokens;
    if (t.experts_hit > 0) r.tokens_per_expert = t.all * m->shape.n_experts_used / t.experts_hit;
    *out = r;
}

void roofline_fit(const struct roofline_model *m, const struct device *d,
                  const struct roofline_load *l, struct roofline_memory *out) {
    struct roofline_memory f = {.weights = m->weight_bytes, .workspace = d->workspace_bytes};
    double conv_row = m->conv_entry_bytes * (m->shape.conv_width - 1 + l->n_draft);
    double row = conv_row + l->context * m->kv_token_bytes;
    f.kv = (l->rows * l->context + l->prefill_tokens) * m->kv_token_bytes;
    f.conv = l->rows * conv_row;
    f.need = f.weights + f.kv + f.conv + f.workspace;
    f.have = d->memory_bytes * d->memory_share;
    f.fits = d->memory_bytes == 0 || f.need <= f.have;
    double room = longer(0, f.have - f.weights - f.workspace);
    if (m->kv_token_bytes > 0) f.kv_tokens = floor(room / m->kv_token_bytes);
    if (row > 0) f.max_rows = floor(room / row);
    *out = f;
}
