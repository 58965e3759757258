#include "worker/engine/draft.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/memory.h"
#include "worker/engine/history.h"

enum { AHEAD = 8 }; // rows whose guesses are on their way from memory while others are made

static_assert((int)HISTORY_KINDS <= (int)DRAFT_KINDS, "the policy knows each kind of evidence");

struct drafts {
    struct draft_options options;
    const struct vocabulary *vocabulary;
    struct history *history;
    struct draft_source source;
    struct draft_policy policy;
    uint64_t *keys; // (max_rows) of the rows' prompts
    int32_t *ids;   // (max_rows, max_draft) guesses of row segment i
    uint8_t *kinds; // likewise
    float *chances; // likewise
    int *n_guesses; // (max_rows) of row segment i, fed or not
    bool *is_fixed; // (max_rows) likewise: the policy is not asked
    bool looks;     // in this step the policy is
};

static int guess_from_history(void *self, const struct row *row, int slot,
                              const struct draft_wish *wish, int32_t *ids, uint8_t *kinds) {
    const struct task *t = row->task;
    const struct history_noise noise = {t->group_seed, (uint32_t)row_next_position(row) + 1,
                                        (uint32_t)row->sample};
    return history_guess(self, slot, wish->n, t->sampling.temperature > 0 ? &noise : NULL,
                         wish->chances, wish->least, ids, kinds);
}

static void expect_in_history(void *self, int slot) {
    history_expect(self, slot);
}

struct drafts *drafts_open(const struct draft_options *options, int max_rows, int max_tokens,
                           const struct vocabulary *vocabulary) {
    if (!options->max_draft) return NULL;
    struct drafts *d = memory_new(1, sizeof *d);
    size_t n_rows = (size_t)max_rows, n = n_rows * (size_t)options->max_draft;
    d->options = *options;
    d->vocabulary = vocabulary;
    d->history = history_open(options->memory_bytes, max_rows, max_tokens);
    drafts_set_source(d, NULL);
    draft_policy_open(&d->policy, max_rows);
    d->keys = memory_new(n_rows, sizeof *d->keys);
    d->ids = memory_new(n, sizeof *d->ids);
    d->kinds = memory_new(n, sizeof *d->kinds);
    d->chances = memory_new(n, sizeof *d->chances);
    d->n_guesses = memory_new(n_rows, sizeof *d->n_guesses);
    d->is_fixed = memory_new(n_rows, sizeof *d->is_fixed);
    return d;
}

void drafts_free(struct drafts **drafts) {
    struct drafts *d = *drafts;
    if (!d) return;
    history_free(&d->history);
    draft_policy_close(&d->policy);
    free(d->keys);
    free(d->ids);
    free(d->kinds);
    free(d->chances);
    free(d->n_guesses);
    free(d->is_fixed);
    free(d);
    *drafts = NULL;
}

void drafts_set_source(struct drafts *d, const struct draft_source *source) {
    d->source =
        source ? *source : (struct draft_source){d->history, guess_from_history, expect_in_history};
}

static void begin_row(struct drafts *d, const struct row *row, int slot) {
    const struct task *t = row->task;
    d->keys[slot] = history_key(t->prompt_ids, t->n_prompt);
    // A partial sample's tokens are filed with the prompt: many come at once.
    int n_filed = t->partial.n_tokens, n = row->n_tokens; // more where it comes back
    history_begin(d->history, slot, d->keys[slot], t->prompt_ids, t->n_prompt + n_filed,
                  row->sample == t->first_sample && n == n_filed);
    for (int i = n - n_filed < HISTORY_LONGEST ? n_filed : n - HISTORY_LONGEST; i < n; i++)
        history_skip(d->history, slot, row->tokens[i].id);
    draft_policy_begin_row(&d->policy, slot, d->keys[slot]);
}

// What the task asks for: guesses at most, and whether the policy is asked for fewer.
static int wanted(const struct drafts *d, const struct row *row, bool *is_fixed) {
    const struct sampling *s = &row->task->sampling;
    *is_fixed = s->draft == DRAFT_DEFAULT ? !d->options.is_auto : s->draft != DRAFT_AUTO;
    int n = d->options.max_draft, left = row->max_tokens - row->n_tokens - 1;
    if (s->draft >= DRAFT_OFF && s->draft - DRAFT_OFF < n) n = s->draft - DRAFT_OFF;
    return n < left ? n : left;
}

// Nothing follows a token that ends the row, so it is not worth feeding.
static int before_end(const struct row *row, const struct vocabulary *v, const int32_t *ids,
                      int n) {
    int i = 0;
    while (i < n && !row_ends_with(row, v, ids[i])) i++;
    return i;
}

// Guesses for row segment i, and offers them to the policy.
static void guess(struct drafts *d, int i, const struct segment *g, const struct row *row) {
    size_t at = (size_t)i * (size_t)d->options.max_draft;
    int n = wanted(d, row, &d->is_fixed[i]);
    if ((!d->looks && !d->is_fixed[i]) || g->n_recomputed > 0) n = 0;
    const struct draft_wish wish = {n, d->policy.chances,
                                    d->is_fixed[i] ? 0 : draft_policy_least(&d->policy)};
    if (n > 0) n = d->source.guess(d->source.self, row, g->row, &wish, &d->ids[at], &d->kinds[at]);
    if (n > 0) n = before_end(row, d->vocabulary, &d->ids[at], n);
    if (n > 0 && !d->is_fixed[i])
        n = draft_policy_offer(&d->policy, g->row, n, &d->kinds[at], &d->chances[at]);
    d->n_guesses[i] = n;
}

const int32_t *drafts_plan(struct drafts *d, struct scheduler *s, const struct plan *plan,
                           const struct row *rows) {
    if (!d) return NULL;
    for (int i = 0; i < plan->n_rows; i++) {
        const struct segment *g = &plan->segments[i];
        if (g->is_first) begin_row(d, &rows[g->row], g->row);
    }
    d->looks = draft_policy_begin(&d->policy, plan->n_rows);
    for (int i = 0; i < plan->n_rows; i++) {
        if (d->source.expect && d->looks && i + AHEAD < plan->n_rows)
            d->source.expect(d->source.self, plan->segments[i + AHEAD].row);
        guess(d, i, &plan->segments[i], &rows[plan->segments[i].row]);
    }
    float least = draft_policy_choose(&d->policy, plan->n_rows);
    for (int i = 0; i < plan->n_rows; i++) {
        const float *chances = &d->chances[(size_t)i * (size_t)d->options.max_draft];
        int n = d->n_guesses[i];
        while (!d->is_fixed[i] && n > 0 && chances[n - 1] < least) n--;
        if (n > 0) scheduler_draft(s, i, n);
    }
    return d->ids;
}

void drafts_settle(struct drafts *d) {
    if (d) history_settle(d->history);
}

void drafts_learn(struct drafts *d, int i, const struct segment *g, struct outcome o,
                  const struct row *row) {
    int n_kept = o.n_kept - g->n_recomputed;
    if (!d || n_kept == 0) return;
    const uint8_t *kinds = &d->kinds[(size_t)i * (size_t)d->options.max_draft];
    // The guess behind those that stand was wrong, unless the row ended before it.
    int n_judged = o.n_kept < g->n_tokens && !o.finished ? n_kept : n_kept - 1;
    for (int k = 0; k < n_judged; k++)
        draft_policy_judge(&d->policy, g->row, kinds[k], k + 1 < n_kept);
    // A guess that was made and not fed is judged by the draw at its place: for nothing.
    size_t at = (size_t)i * (size_t)d->options.max_draft + (size_t)n_kept - 1;
    bool is_error = o.finished && row->finish == FINISH_ERROR; // that one drew nothing
    bool all_stand = o.n_kept == g->n_tokens && n_kept <= d->n_guesses[i];
    if (all_stand && !d->is_fixed[i] && !is_error)
        draft_policy_judge(&d->policy, g->row, d->kinds[at],
                           d->ids[at] == row->tokens[row->n_tokens - 1].id);
    int n_drawn = n_kept - is_error;
    for (int k = row->n_tokens - n_drawn; k < row->n_tokens; k++)
        history_add(d->history, g->row, row->tokens[k].id, row->tokens[k].lp_behav);
    if (o.finished) draft_policy_end_row(&d->policy, g->row, d->keys[g->row]);
}

void drafts_learn_time(struct drafts *d, const struct plan *plan, int64_t step_us) {
    if (!d || plan->n_rows == 0 || plan->n_rows < plan->n_segments) return;
    if (!plan->n_recomputed) draft_policy_time(&d->policy, plan->n_rows, plan->n_tokens, step_us);
}
