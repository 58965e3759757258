#include "worker/engine/draft_policy.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/memory.h"

enum {
    EXPLORE_EVERY = 16, // steps, one may be another than the best
    DOUBT_EVERY = 64,   // steps, one is offered what was hardly ever right, too
    IDLE_ROWS = 64,     // of so many and more, after
    IDLE_AFTER = 4,     // steps without a guess, only each
    IDLE_EVERY = 16,    // -th looks for any
};
static const float usual_chance = 0.5f; // of a kind that was never judged
static const float least_chance = 0.02f, most_chance = 0.98f;
static const double explored_share = 0.005, most_explored = 4; // of the time; steps' worth
static const double least_gain = 1.05; // that is expected: less may be noise, and looking costs too
static const float record_fades = 0.95f, record_weight = 8; // guesses that a scale of 1 stands for

void draft_policy_open(struct draft_policy *p, int max_rows) {
    *p = (struct draft_policy){0};
    draft_costs_open(&p->costs);
    for (int i = 0; i < DRAFT_KINDS; i++) p->chances[i] = usual_chance;
    p->rows = memory_new((size_t)max_rows, sizeof *p->rows);
    p->prompts = memory_new(DRAFT_PROMPTS, sizeof *p->prompts);
}

void draft_policy_close(struct draft_policy *p) {
    draft_costs_close(&p->costs);
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
    return p->doubts ? least_chance / 4 : least_chance;
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
        run *= within(p->chances[kinds[i]] * scale, p->doubts ? least_chance : 0, most_chance);
        if (run < least_chance) return i;
        int bin = (int)(run * DRAFT_BINS);
        p->n_bins[bin]++;
        p->chance_bins[bin] += run;
        chances[i] = run;
    }
    return n;
}

void draft_policy_time(struct draft_policy *p, int n_rows, int n_tokens, int64_t step_us) {
    draft_costs_note(&p->costs, n_rows, n_tokens, step_us > 0 ? (double)step_us : 1);
}

// ---- choice

bool draft_policy_begin(struct draft_policy *p, int n_rows) {
    memset(p->n_bins, 0, sizeof p->n_bins);
    memset(p->chance_bins, 0, sizeof p->chance_bins);
    p->n_steps++;
    p->explores = p->n_steps % EXPLORE_EVERY == 0;
    p->doubts = p->n_steps % DOUBT_EVERY == 0;
    bool is_other = 4 * n_rows < 3 * p->idle_rows || 3 * n_rows > 4 * p->idle_rows;
    if (is_other) p->n_idle = 0, p->idle_rows = n_rows;
    if (n_rows < IDLE_ROWS || p->n_idle < IDLE_AFTER) return true;
    return p->explores || p->n_steps % IDLE_EVERY == 0;
}

// A step that takes all guesses of `bin` and likelier ones.
struct choice {
    int bin, n; // n: tokens that it feeds
    double tokens, us;
};

static struct choice widen(const struct draft_policy *p, struct choice c, int bin, int n_rows) {
    c.bin = bin;
    c.n += p->n_bins[bin];
    c.tokens += (double)p->chance_bins[bin];
    c.us = draft_costs_of(&p->costs, n_rows, c.n);
    return c;
}

static bool is_better(struct choice a, struct choice b) {
    return a.tokens * b.us > b.tokens * a.us;
}

// Another step than the best, where the budget allows: one without guesses, and by turns one of any
// other length.
static struct choice explored(struct draft_policy *p, struct choice plain, struct choice best) {
    struct choice c = plain;
    uint32_t turn = p->n_steps / EXPLORE_EVERY;
    int last = turn % 2 ? (int)(turn * 2654435769u >> 26) : DRAFT_BINS;
    for (int bin = DRAFT_BINS - 1; bin >= last; bin--)
        if (p->n_bins[bin]) c = widen(p, c, bin, plain.n);
    double loss = c.us - c.tokens * best.us / best.tokens;
    if (loss > p->budget_us) return best;
    p->budget_us -= loss;
    return c;
}

float draft_policy_choose(struct draft_policy *p, int n_rows) {
    struct choice plain = {.bin = DRAFT_BINS, .n = n_rows, .tokens = n_rows};
    plain.us = draft_costs_of(&p->costs, n_rows, n_rows);
    struct choice best = plain, c = plain;
    bool is_known = draft_costs_knows(&p->costs, n_rows);
    for (int bin = DRAFT_BINS - 1; bin >= 0 && is_known; bin--) {
        if (p->n_bins[bin] == 0) continue;
        c = widen(p, c, bin, n_rows);
        if (is_better(c, best)) best = c;
    }
    if (best.tokens * plain.us < least_gain * plain.tokens * best.us) best = plain;
    p->n_idle = best.n <= n_rows ? p->n_idle + 1 : 0;
    p->budget_us += explored_share * plain.us;
    if (p->budget_us > most_explored * plain.us) p->budget_us = most_explored * plain.us;
    if (p->explores && is_known) best = explored(p, plain, best);
    return (float)best.bin / DRAFT_BINS;
}
