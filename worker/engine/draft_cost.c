#include "worker/engine/draft_cost.h"

#include <math.h>
#include <stdlib.h>

#include "protocol/base/memory.h"

enum {
    USUAL_TOKENS = 16, // that cost as much as the rest of a step, where nothing is known
    COLD_STEPS = 2,    // the first ones, which touch memory that is new
    FEW = 3,           // steps of a length, of which the fastest counts
    MANY = 32,         // steps that a mean goes back
    KNOWN = 2,         // steps of a length, before the speed is judged by it
    LINE_STEPS = 16,   // that the line counts like, beside what was seen of a length
    SPEED_STEPS = 8,   // that the speed goes back
    OLD_WEIGHT = 1,    // of the slope before, in steps
};
static const double held_up = 1.25; // times what was expected: more than that does not count

void draft_costs_open(struct draft_costs *c) {
    *c = (struct draft_costs){.speed = 1};
    c->curves = memory_new(DRAFT_CURVES, sizeof *c->curves);
}

void draft_costs_close(struct draft_costs *c) {
    free(c->curves);
    *c = (struct draft_costs){0};
}

// Each number below 16 for itself, then each eighth of a doubling; the last bin takes the rest.
static int bin_of(int n, int n_bins) {
    int bin = 0;
    for (; n >= 16; n /= 2) bin += 8;
    bin += n;
    return bin < n_bins ? bin : n_bins - 1;
}

static struct draft_curve *curve_of(const struct draft_costs *c, int n_rows) {
    return &c->curves[bin_of(n_rows, DRAFT_CURVES)];
}

bool draft_costs_knows(const struct draft_costs *c, int n_rows) {
    return curve_of(c, n_rows)->lengths[0].n > 0;
}

// Without guesses; the last curve's where the curve does not know.
static double base_of(const struct draft_costs *c, const struct draft_curve *k, int n_rows) {
    double us = (double)k->lengths[0].us;
    if (k->lengths[0].n == 0) return c->base_us > 0 ? c->base_us : USUAL_TOKENS + n_rows;
    return fmax(us + (n_rows - (double)k->rows) * (double)k->slope, 0.5 * us);
}

double draft_costs_of(const struct draft_costs *c, int n_rows, int n_tokens) {
    const struct draft_curve *k = curve_of(c, n_rows);
    double base = base_of(c, k, n_rows), more = n_tokens - n_rows;
    if (n_tokens == n_rows) return base;
    if (k->lengths[0].n == 0) return base + (c->base_us > 0 ? c->slope_us : 1) * more;
    double slope = (double)k->slope, line = (double)k->jump + slope * more;
    const struct draft_length *l = &k->lengths[bin_of(n_tokens - n_rows, DRAFT_LENGTHS)];
    double seen = (double)(l->us - k->lengths[0].us) + slope * (more - (double)l->more);
    return base + (l->n * fmax(seen, 0) + LINE_STEPS * line) / (l->n + LINE_STEPS);
}

// The line through what was seen of the curve. Of few lengths its slope is that of the last curve.
static void fit(struct draft_costs *c, struct draft_curve *k) {
    double n = 1, x = 0, xx = 0, y = 0, xy = 0; // one step says that the first costs nothing more
    double base = (double)k->lengths[0].us;
    double old = c->base_us > 0 ? c->slope_us : base / (USUAL_TOKENS + (double)k->rows);
    for (int i = 1; i < DRAFT_LENGTHS; i++) {
        const struct draft_length *l = &k->lengths[i];
        double w = l->n, more = (double)l->more, us = (double)l->us - base;
        n += w, x += w * more, xx += w * more * more, y += w * us, xy += w * more * us;
    }
    double pull = OLD_WEIGHT * (1 + x / n) * (1 + x / n);
    double slope = (xy - x * y / n + pull * old) / (xx - x * x / n + pull);
    double jump = (y - slope * x) / n;
    if (jump < 0) jump = 0, slope = (xy + pull * old) / (xx + pull);
    k->slope = (float)fmax(slope, 1e-4 * base);
    k->jump = (float)jump;
    c->base_us = base;
    c->slope_us = (double)k->slope;
}

// The first few are too few for a mean where one may have been held up: the fastest counts.
static void add_to(struct draft_length *l, double more, double us) {
    bool is_first = l->n == 0;
    if (l->n < MANY) l->n++;
    l->more += ((float)more - l->more) / (float)l->n;
    if (is_first || l->n > FEW)
        l->us += ((float)us - l->us) / (float)l->n;
    else
        l->us = fminf(l->us, (float)us);
}

void draft_costs_note(struct draft_costs *c, int n_rows, int n_tokens, double us) {
    struct draft_curve *k = curve_of(c, n_rows);
    struct draft_length *l = &k->lengths[bin_of(n_tokens - n_rows, DRAFT_LENGTHS)];
    if (c->n++ < COLD_STEPS) return;
    us /= c->speed;
    if (k->lengths[0].n > 0) {
        double expected = draft_costs_of(c, n_rows, n_tokens);
        us = fmin(fmax(us, expected / held_up), expected * held_up);
        if (l->n >= KNOWN) c->speed *= 1 + (us / expected - 1) / SPEED_STEPS;
    }
    add_to(l, n_tokens - n_rows, us);
    if (n_tokens == n_rows) k->rows += ((float)n_rows - k->rows) / (float)l->n;
    if (k->lengths[0].n > 0) fit(c, k);
}
