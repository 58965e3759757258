#include "worker/engine/draft_policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"

enum {
    EXPLORE_EVERY = 48, // steps
    IDLE_ROWS = 64,     // of so many and more, after
    IDLE_AFTER = 4,     // steps without a guess, only each
    IDLE_EVERY = 8,     // -th looks for any
    USUAL_TOKENS = 16,  // that cost as much as the rest of a step, where nothing is known
    COLD_STEPS = 2,     // the first ones, which touch memory that is new
};
static const float usual_chance = 0.5f; // of a kind that was never judged
static const float least_chance = 0.02f, most_chance = 0.98f;
static const double explored_chance = 0.2;
static const float record_fades = 0.95f, record_weight = 2; // guesses that a scale of 1 stands for
static const double fit_fades = 0.99, fit_weight = 0.5, surprise = 1.5;

void draft_policy_open(struct draft_policy *p, int max_rows) {
    *p = (struct draft_policy){.a = USUAL_TOKENS, .b = 1};
    for (int i = 0; i < DRAFT_KINDS; i++) p->chances[i] = usual_chance;
    p->rows = memory_new((size_t)max_rows, sizeof *p->rows);
    p->prompts = memory_new(DRAFT_PROMPTS, sizeof *p->prompts);
}

void draft_policy_close(struct draft_policy *p) {
    free(p->rows);
    free(p->prompts);
    *p = (struct draft_policy){0};
}

// ---- worth

void draft_policy_begin_row(struct draft_policy *p, int slot, uint64_t prompt_key) {
    p->rows[slot] = p->prompts[prompt_key % DRAFT_PROMPTS];
}

void draft_policy_end_row(struct draft_policy *p, int slot, uint64_t prompt_key) {
    p->prompts[prompt_key % DRAFT_PROMPTS] = p->rows[slot];
}

static float scale_of(const struct draft_record *r) {
    return (r->right + record_weight) / (r->expected + record_weight);
}

static float within(float x, float low, float high) {
    return x < low ? low : x > high ? high : x;
}

void draft_policy_judge(struct draft_policy *p, int slot, uint8_t kind, bool right) {
    enum { FEW = 8, MANY = 128 };
    struct draft_record *r = &p->rows[slot];
    r->expected = r->expected * record_fades + p->chances[kind];
    r->right = r->right * record_fades + (float)right;
    uint32_t n = p->n_judged[kind] < MANY ? p->n_judged[kind]++ : MANY;
    p->chances[kind] += ((float)right - p->chances[kind]) / (float)(n + FEW);
}

float draft_policy_least(const struct draft_policy *p) {
    return p->explores ? 0 : least_chance;
}

int draft_policy_offer(struct draft_policy *p, int slot, int n, const uint8_t *kinds,
                       float *chances) {
    struct draft_record *r = &p->rows[slot];
    float run = 1, scale = scale_of(r);
    // A bad name fades where nothing is guessed either.
    r->expected *= 0.995f;
    r->right *= 0.995f;
    for (int i = 0; i < n; i++) {
        // A kind that was always wrong gets another chance now and then.
        run *= within(p->chances[kinds[i]] * scale, p->explores ? least_chance : 0, most_chance);
        if (run < least_chance) return i;
        int bin = (int)(run * DRAFT_BINS);
        p->n_bins[bin]++;
        p->chance_bins[bin] += run;
        chances[i] = run;
    }
    return n;
}

// ---- cost

static int fit_of(int n_rows) {
    int i = 0;
    while (n_rows > 1 && i < DRAFT_FITS - 1) n_rows /= 2, i++;
    return i;
}

// The line through the mean of the steps, whose slope is theirs as far as they tell, and else such
// that the share of tokens in the cost is that of the last fit.
static void use_fit(struct draft_policy *p, int n_rows) {
    const struct draft_fit *f = &p->fits[fit_of(n_rows)];
    double t = f->t / f->n, us = f->us / f->n, weight = fit_weight * t * t;
    double slope = us * p->b / (p->a + p->b * t);
    slope = (f->tus - t * f->us + weight * slope) / (f->tt - t * f->t + weight);
    p->b = fmin(fmax(slope, 1e-4 * us / t), us / t);
    p->a = us - p->b * t;
}

// The machine does other things too, which makes steps slower and never faster. So one that took
// much longer than expected counts as less, until several have; and one that was much faster says
// that those before it were held up.
static double believed(const struct draft_policy *p, struct draft_fit *f, double t, double us) {
    double expected = p->a + p->b * t;
    if (us * surprise < expected) {
        f->us /= surprise;
        f->tus /= surprise;
    }
    return fmin(us, surprise * expected);
}

void draft_policy_time(struct draft_policy *p, int n_rows, int n_tokens, int64_t step_us) {
    struct draft_fit *f = &p->fits[fit_of(n_rows)];
    double us = (double)(step_us > 0 ? step_us : 1), t = n_tokens;
    if (p->n_timed++ < COLD_STEPS) return;
    if (f->n > 0) us = believed(p, f, t, us);
    *f = (struct draft_fit){f->n * fit_fades + 1, f->t * fit_fades + t, f->tt * fit_fades + t * t,
                            f->us * fit_fades + us, f->tus * fit_fades + t * us};
    use_fit(p, n_rows);
}

// ---- choice

bool draft_policy_begin(struct draft_policy *p, int n_rows) {
    memset(p->n_bins, 0, sizeof p->n_bins);
    memset(p->chance_bins, 0, sizeof p->chance_bins);
    p->n_steps++;
    p->explores = p->n_steps % EXPLORE_EVERY == 0;
    bool is_other = 4 * n_rows < 3 * p->idle_rows || 3 * n_rows > 4 * p->idle_rows;
    if (n_rows < IDLE_ROWS || p->n_idle < IDLE_AFTER || is_other) return true;
    return p->explores || p->n_steps % IDLE_EVERY == 0;
}

float draft_policy_choose(struct draft_policy *p, int n_rows) {
    double n = n_rows, tokens = n_rows;
    int bin = DRAFT_BINS;
    while (bin > 0) {
        int at = bin - 1, n_more = p->n_bins[at];
        double chance = n_more ? (double)p->chance_bins[at] / n_more : 0;
        bool pays = chance * (p->a + p->b * n) > p->b * tokens;
        bool seen = p->explores && chance > explored_chance && n < 1.25 * n_rows + 0.5;
        if (n_more && !pays && !seen) break;
        n += n_more;
        tokens += chance * n_more;
        bin = at;
    }
    bool is_idle = n <= n_rows;
    p->n_idle = is_idle ? p->n_idle + 1 : 0;
    if (p->n_idle <= 1) p->idle_rows = n_rows;
    return (float)bin / DRAFT_BINS;
}
