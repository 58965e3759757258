#include "tests/reference.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"

// ------------------------------------------------------------------ random input

uint64_t reference_next(struct reference_random *r) {
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double reference_uniform(struct reference_random *r) {
    return (double)(reference_next(r) >> 11) * 0x1p-53;
}

double reference_normal(struct reference_random *r) {
    double u = 1 - reference_uniform(r), v = reference_uniform(r);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

int reference_below(struct reference_random *r, int n) {
    return (int)(reference_next(r) % (uint64_t)n);
}

// ------------------------------------------------------------------ operations

void reference_rms_norm(int n, const double *x, const double *w, double eps, double *out) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * x[i];
    double scale = 1 / sqrt(sum / n + eps);
    for (int i = 0; i < n; i++) out[i] = x[i] * scale * w[i];
}

void reference_matmul(int rows, int columns, const double *w, const double *x, double *y) {
    for (int r = 0; r < rows; r++) {
        y[r] = 0;
        for (int c = 0; c < columns; c++) y[r] += w[(size_t)r * (size_t)columns + (size_t)c] * x[c];
    }
}

void reference_rope(int head_dim, float theta, int position, double *x) {
    int half = head_dim / 2;
    for (int d = 0; d < half; d++) {
        float exponent = (float)(2 * d) / (float)head_dim;
        float frequency = 1.0f / (float)pow((double)theta, (double)exponent);
        double angle = (double)((float)position * frequency);
        double a = x[d], b = x[d + half];
        x[d] = a * cos(angle) - b * sin(angle);
        x[d + half] = b * cos(angle) + a * sin(angle);
    }
}

void reference_short_conv(int n, int hidden, int width, const double *bcx, const double *taps,
                          const double *bias, double *out) {
    for (int t = 0; t < n; t++)
        for (int i = 0; i < hidden; i++) {
            double v = bias ? bias[i] : 0;
            for (int j = 0; j < width; j++) {
                int past = t - (width - 1) + j;
                if (past < 0) continue;
                const double *row = bcx + (size_t)past * 3 * (size_t)hidden;
                v += taps[i * width + j] * row[i] * row[2 * hidden + i];
            }
            out[t * hidden + i] = bcx[(size_t)t * 3 * (size_t)hidden + (size_t)(hidden + i)] * v;
        }
}

void reference_attention(int n, int heads, int kv_heads, int dim, const double *q, const double *k,
                         const double *v, double *out) {
    double *p = memory_new((size_t)n, sizeof *p);
    for (int t = 0; t < n; t++)
        for (int h = 0; h < heads; h++) {
            int kv = h / (heads / kv_heads);
            const double *row = q + (t * heads + h) * dim;
            double max = -INFINITY, sum = 0;
            for (int i = 0; i <= t; i++) {
                p[i] = 0;
                for (int d = 0; d < dim; d++) p[i] += row[d] * k[(i * kv_heads + kv) * dim + d];
                p[i] /= sqrt(dim);
                max = fmax(max, p[i]);
            }
            for (int i = 0; i <= t; i++) sum += p[i] = exp(p[i] - max);
            for (int d = 0; d < dim; d++) {
                double o = 0;
                for (int i = 0; i <= t; i++) o += p[i] / sum * v[(i * kv_heads + kv) * dim + d];
                out[(t * heads + h) * dim + d] = o;
            }
        }
    free(p);
}

double reference_silu(double x) {
    return x / (1 + exp(-x));
}

double reference_router(const struct model_shape *s, const double *logits, const double *bias,
                        int *experts, double *weights) {
    double score[MODEL_MAX_EXPERTS], gap = INFINITY, last = INFINITY, sum = 0;
    for (int e = 0; e < s->n_experts; e++)
        score[e] = 1 / (1 + exp(-logits[e])) + (bias ? bias[e] : 0);
    for (int k = 0; k <= s->n_experts_used && k < s->n_experts; k++) {
        int best = 0;
        for (int e = 1; e < s->n_experts; e++)
            if (score[e] > score[best]) best = e;
        gap = fmin(gap, last - score[best]);
        last = score[best];
        score[best] = -INFINITY;
        if (k == s->n_experts_used) break;
        experts[k] = best;
        weights[k] = 1 / (1 + exp(-logits[best]));
        sum += weights[k];
    }
    for (int k = 0; k < s->n_experts_used; k++)
        weights[k] *= (double)s->routed_scale / (s->norm_topk ? sum + 1e-6 : 1);
    return gap;
}

void reference_log_softmax(int n, const double *x, double *out) {
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) max = fmax(max, x[i]);
    for (int i = 0; i < n; i++) sum += exp(x[i] - max);
    for (int i = 0; i < n; i++) out[i] = x[i] - max - log(sum);
}

// ------------------------------------------------------------------ draws

struct ranked {
    double x;
    int id;
};

static int falling(const void *a, const void *b) {
    const struct ranked *p = a, *q = b;
    return p->x != q->x ? (p->x < q->x ? 1 : -1) : p->id - q->id;
}

static void process(int vocab, const double *logits, const struct draw *d, const uint8_t *exists,
                    double *x) {
    for (int i = 0; i < vocab; i++) x[i] = logits[i];
    for (int i = 0; i < d->n_bias; i++) x[d->bias_ids[i]] += (double)d->bias[i];
    double r = (double)d->repetition_penalty;
    for (int i = 0; i < d->n_seen; i++) x[d->seen[i]] *= x[d->seen[i]] > 0 ? 1 / r : r;
    for (int i = 0; i < vocab; i++) {
        x[i] /= (double)d->temperature;
        if (exists && !exists[i]) x[i] = -INFINITY;
    }
}

void reference_draw(int vocab, const double *logits, const struct draw *d, const uint8_t *exists,
                    double *log_p, double *edge) {
    struct ranked *order = memory_new((size_t)vocab, sizeof *order);
    double *x = memory_new((size_t)vocab, sizeof *x), total = 0, mass = 0;
    *edge = INFINITY;
    process(vocab, logits, d, exists, x);
    for (int i = 0; i < vocab; i++) order[i] = (struct ranked){x[i], i};
    qsort(order, (size_t)vocab, sizeof *order, falling);
    int n = 0; // survivors are order[0 .. n - 1]
    while (n < vocab && order[n].x > -INFINITY) n++;
    if (d->top_k > 0 && d->top_k < n) {
        double least = order[d->top_k - 1].x;
        int k = d->top_k;
        while (k < n && order[k].x == least) k++;
        if (k < n) *edge = fmin(*edge, least - order[k].x);
        n = k;
    }
    double max = order[0].x;
    for (int i = 0; i < n; i++) total += exp(order[i].x - max);
    if (d->top_p < 1) {
        int keep = 0;
        while (keep < n && (keep == 0 || mass < (double)d->top_p * total)) {
            mass += exp(order[keep++].x - max);
            *edge = fmin(*edge, fabs(mass / total - (double)d->top_p));
        }
        n = keep;
    }
    if (d->min_p > 0) {
        int keep = 1;
        for (int i = 0; i < n; i++)
            *edge = fmin(*edge, fabs(exp(order[i].x - max) - (double)d->min_p));
        while (keep < n && exp(order[keep].x - max) >= (double)d->min_p) keep++;
        n = keep;
    }
    for (int i = 0; i < vocab; i++) log_p[i] = -INFINITY;
    total = 0;
    for (int i = 0; i < n; i++) total += exp(order[i].x - max);
    for (int i = 0; i < n; i++) log_p[order[i].id] = order[i].x - max - log(total);
    free(order);
    free(x);
}
