#include "worker/engine/draft_policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"

enum {
    EXPLORE_EVERY = 48, // steps
    IDLE_ROWS = 64,     // of so many and more, after
    IDLE_AFTER = 4,     // steps without a guess, only each
    IDLE_EVERY = 16,    // -th looks for any
    USUAL_TOKENS = 16,  // that cost as much as the rest of a step, where nothing is known
    COLD_STEPS = 2,     // the first ones, which touch memory that is new
};
static const float usual_chance = 0.5f; // of a kind that was never judged
static const float least_chance = 0.02f, most_chance = 0.98f;
static const double explored_chance = 0.2;
static const float record_fades = 0.95f, record_weight = 2; // guesses that a scale of 1 stands for
static const double fit_weight = 0.5;

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
    return p->explores ? least_chance / 4 : least_chance;
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

// Each number of tokens has its own bin up to 32, then each eighth of a doubling.
static int bin_of(int n_tokens) {
    int bin = 0;
    for (; n_tokens >= 32; n_tokens /= 2) bin += 8;
    bin += bin == 0 ? n_tokens : 24 + (n_tokens - 16) / 2;
    return bin < DRAFT_COSTS ? bin : DRAFT_COSTS - 1;
}

// The machine does other things too, which makes steps slower and never faster. So one that was
// faster than expected counts for much, and one that was slower for little, until several are.
static void note_cost(struct draft_cost *c, int n_tokens, float us) {
    enum { MANY = 16 };
    if (c->n == 0) *c = (struct draft_cost){.tokens = (float)n_tokens, .us = us};
    c->tokens += ((float)n_tokens - c->tokens) / 4;
    c->us += us < c->us ? (us - c->us) / 2 : (fminf(us, 2 * c->us) - c->us) / 8;
    if (c->n < MANY) c->n++;
}

// The line through the costs, whose slope is theirs as far as they tell, and else such that the
// share of tokens in the cost is that of the last fit.
static void use_fit(struct draft_policy *p, const struct draft_fit *f) {
    enum { OLD = 128 }; // steps, after which a cost counts half
    double n = 0, t = 0, tt = 0, us = 0, tus = 0;
    for (int i = 0; i < DRAFT_COSTS; i++) {
        const struct draft_cost *c = &f->costs[i];
        if (c->n == 0) continue;
        double w = c->n / (1 + (double)(p->n_timed - c->last) / OLD);
        double x = (double)c->tokens, y = (double)c->us;
        n += w, t += w * x, tt += w * x * x, us += w * y, tus += w * x * y;
    }
    t /= n, us /= n;
    double slope = us * p->b / (p->a + p->b * t), weight = fit_weight * t * t;
    slope = (tus - n * t * us + weight * slope) / (tt - n * t * t + weight);
    p->b = fmin(fmax(slope, 1e-4 * us / t), us / t);
    p->a = us - p->b * t;
}

void draft_policy_time(struct draft_policy *p, int n_rows, int n_tokens, int64_t step_us) {
    struct draft_fit *f = &p->fits[fit_of(n_rows)];
    struct draft_cost *c = &f->costs[bin_of(n_tokens)];
    if (p->n_timed++ < COLD_STEPS) return;
    note_cost(c, n_tokens, step_us > 0 ? (float)step_us : 1);
    c->last = p->n_timed;
    use_fit(p, f);
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
