#include "kernels/cpu/draw.h"

#include <assert.h>

#include "kernels/cpu/softmax.h"
#include "kernels/math.h"

enum { RADIX_BITS = 11, RADIX = 1 << RADIX_BITS, N_PASSES = 3 };

// Unsigned order of keys is the order of floats.
static uint32_t key_of(float x) {
    uint32_t u = math_bits(x + 0.0f); // -0 becomes 0
    return u >> 31 ? ~u : u | 0x80000000u;
}

static float value_of(uint32_t key) {
    return math_float(key >> 31 ? key & 0x7fffffffu : ~key);
}

// The key of the k-th largest, digit by digit from the top.
static uint32_t kth_largest(int n, const float *x, int k) {
    uint32_t found = 0, mask = 0;
    for (int pass = N_PASSES - 1; pass >= 0; pass--) {
        int shift = pass * RADIX_BITS, count[RADIX] = {0};
        for (int i = 0; i < n; i++) {
            uint32_t u = key_of(x[i]);
            if ((u & mask) == found) count[u >> shift & (RADIX - 1)]++;
        }
        int digit = RADIX - 1;
        while (digit > 0 && count[digit] < k) k -= count[digit--];
        found |= (uint32_t)digit << shift;
        mask |= (uint32_t)(RADIX - 1) << shift;
    }
    return found;
}

void draw_top_k(int n, float *x, int k) {
    if (k <= 0 || k >= n) return;
    float least = value_of(kth_largest(n, x, k));
    for (int i = 0; i < n; i++)
        if (x[i] < least) x[i] = -math_infinity();
}

// Sorts entries 0 .. n - 1 of keys[0] and ids[0] by rising key; equal keys keep their order.
static void sort(int n, struct draw_scratch *s) {
    for (int pass = 0; pass < N_PASSES; pass++) {
        int shift = pass * RADIX_BITS, start[RADIX] = {0}, sum = 0;
        uint32_t *from = s->keys[pass & 1], *to = s->keys[~pass & 1];
        int32_t *ids = s->ids[pass & 1], *ids_to = s->ids[~pass & 1];
        for (int i = 0; i < n; i++) start[from[i] >> shift & (RADIX - 1)]++;
        for (int d = 0; d < RADIX; d++) {
            int count = start[d];
            start[d] = sum;
            sum += count;
        }
        for (int i = 0; i < n; i++) {
            int at = start[from[i] >> shift & (RADIX - 1)]++;
            to[at] = from[i];
            ids_to[at] = ids[i];
        }
    }
}

void draw_top_p(const struct isa *isa, int n, float *x, float p, struct draw_scratch *s) {
    if (p >= 1.0f) return;
    float max = isa->softmax_max(n, x);
    double total = isa->softmax_sum(n, x, max), wanted = (double)p * total, mass = 0;
    // All ids below this weigh less than what may be left out, so they are out without sorting. The
    // margin is far above the rounding of exp and of the difference.
    float least = max + (float)math_log64((total - wanted) / n) - 0.01f;
    int m = 0;
    for (int i = 0; i < n; i++) {
        if (x[i] >= least) {
            s->keys[0][m] = ~key_of(x[i]); // falling values are rising keys
            s->ids[0][m++] = i;
        } else {
            x[i] = -math_infinity();
        }
    }
    sort(m, s);
    const int32_t *order = s->ids[N_PASSES & 1];
    for (int i = 0; i < m; i++) {
        float *v = &x[order[i]];
        if (i > 0 && mass >= wanted)
            *v = -math_infinity();
        else
            mass += (double)math_exp(*v - max);
    }
}

void draw_min_p(const struct isa *isa, int n, float *x, float p) {
    if (p <= 0.0f) return;
    float max = isa->softmax_max(n, x);
    for (int i = 0; i < n; i++)
        if (x[i] < max && math_exp(x[i] - max) < p) x[i] = -math_infinity();
}

int draw_gumbel_portable(int n, const float *x, uint64_t seed, uint32_t position, uint32_t sample) {
    float best = -math_infinity();
    int id = 0;
    for (int i = 0; i < n; i++) {
        if (!(x[i] + DRAW_MAX_NOISE > best)) continue;
        float v = x[i] + math_gumbel_of(seed, (uint32_t)i, position, sample);
        if (v > best) {
            best = v;
            id = i;
        }
    }
    return id;
}

static void drop_missing(const struct draw_vocab *v, float *x) {
    for (int i = 0; i < v->n_missing; i++) x[v->missing[i]] = -math_infinity();
}

static void penalise(const struct draw *d, float *x) {
    for (int i = 0; i < d->n_bias; i++) x[d->bias_ids[i]] += d->bias[i];
    if (d->repetition_penalty == 1.0f) return;
    for (int i = 0; i < d->n_seen; i++) {
        float *l = &x[d->seen[i]];
        *l = *l > 0 ? *l / d->repetition_penalty : *l * d->repetition_penalty;
    }
}

static int greedy(const struct draw_vocab *v, const float *x) {
    int best = 0;
    for (int i = 1; i < v->n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

// The draw itself; s->x holds logits / temperature on entry where `full` was taken.
static void draw_id(const struct isa *isa, const struct draw_vocab *v, const struct draw *d,
                    const float *logits, const struct softmax *full, struct draw_scratch *s,
                    struct draw_result *r) {
    bool is_greedy = d->temperature == 0.0f;
    bool penalised = d->n_bias > 0 || (d->repetition_penalty != 1.0f && d->n_seen > 0);
    bool cut = d->top_k > 0 || d->top_p < 1.0f || d->min_p > 0.0f;
    float *x = s->x;
    if (penalised) {
        memcpy(x, logits, (size_t)v->n * sizeof *x);
        penalise(d, x);
        if (!is_greedy) isa->softmax_divide(v->n, x, d->temperature, x);
    }
    drop_missing(v, x);
    if (is_greedy) {
        r->id = greedy(v, x);
        r->lp_behav = 0;
        return;
    }
    draw_top_k(v->n, x, d->top_k);
    draw_top_p(isa, v->n, x, d->top_p, s);
    draw_min_p(isa, v->n, x, d->min_p);
    r->id = isa->draw_gumbel(v->n, x, d->seed, d->position, d->sample);
    if (penalised || cut || v->n_missing > 0) {
        struct softmax behav = softmax_of(isa, v->n, x);
        r->lp_behav = softmax_log(&behav, x[r->id]);
    } else {
        r->lp_behav = softmax_log(full, x[r->id]);
    }
}

struct draw_result draw_output(const struct isa *isa, const struct draw_vocab *v,
                               const struct step_output *o, const float *logits,
                               struct draw_scratch *s) {
    struct draw_result r = {.id = o->is_draw ? 0 : o->target};
    if (!isa->softmax_is_finite(v->n, logits)) {
        r.bad = true;
        return r;
    }
    float temperature = o->is_draw ? o->draw.temperature : o->temperature;
    if (temperature == 0.0f) temperature = 1.0f;
    isa->softmax_divide(v->n, logits, temperature, s->x);
    struct softmax full = softmax_of(isa, v->n, s->x);
    if (o->is_draw) draw_id(isa, v, &o->draw, logits, &full, s, &r);
    assert(r.id >= 0 && r.id < v->n);
    r.lp_full = softmax_log(&full, logits[r.id] / temperature);
    // Finite logits become infinite by a large bias or a low temperature.
    r.bad = r.lp_full - r.lp_full != 0 || r.lp_behav - r.lp_behav != 0;
    return r;
}
