#include "verifiers/score/score_stats.h"

#include <math.h>
#include <stdlib.h>

#include "protocol/base/hash.h"

enum { MAX_VOTES = 1 << 24 };

void score_stats_free(struct score_stats *s) {
    for (int i = 0; i < s->datasets.n; i++) free(s->datasets.list[i].name);
    for (int i = 0; i < s->rules.n; i++) free(s->rules.list[i].name);
    free(s->groups);
    free(s->votes);
    *s = (struct score_stats){0};
}

static struct stats_name *find_name(struct stats_names *names, struct slice text) {
    for (int i = 0; i < names->n; i++)
        if (slice_is(text, names->list[i].name)) return &names->list[i];
    if (names->n == STATS_MAX_NAMES) return &names->list[STATS_MAX_NAMES - 1];
    if (names->n == STATS_MAX_NAMES - 1) text = slice_of("(others)");
    names->list[names->n].name = memory_copy(text.ptr, text.len);
    return &names->list[names->n++];
}

static struct stats_group *group_slot(struct stats_group *groups, uint64_t n, uint64_t key) {
    uint64_t i = key * 0x9e3779b97f4a7c15 & (n - 1);
    while (groups[i].key && groups[i].key != key) i = (i + 1) & (n - 1);
    return &groups[i];
}

static struct stats_votes *vote_slot(struct stats_votes *votes, uint64_t n, uint64_t key) {
    uint64_t i = key & (n - 1);
    while (votes[i].key && votes[i].key != key) i = (i + 1) & (n - 1);
    return &votes[i];
}

static struct stats_group *find_group(struct score_stats *s, uint64_t key) {
    if (3 * (s->n_groups + 1) > 2 * s->n_group_slots) {
        uint64_t n = s->n_group_slots ? 2 * s->n_group_slots : 256;
        struct stats_group *groups = memory_new(n, sizeof *groups);
        for (uint64_t i = 0; i < s->n_group_slots; i++)
            if (s->groups[i].key) *group_slot(groups, n, s->groups[i].key) = s->groups[i];
        free(s->groups);
        s->groups = groups;
        s->n_group_slots = n;
    }
    struct stats_group *g = group_slot(s->groups, s->n_group_slots, key);
    s->n_groups += g->key == 0;
    g->key = key;
    return g;
}

// Votes of a wrong answer in its group, with this one.
static uint64_t add_vote(struct score_stats *s, uint64_t group, uint64_t answer) {
    uint64_t parts[2] = {group, answer}, key = hash_bytes(parts, sizeof parts) | 1;
    if (3 * (s->n_votes + 1) > 2 * s->n_vote_slots) {
        uint64_t n = s->n_vote_slots ? 2 * s->n_vote_slots : 256;
        struct stats_votes *votes = memory_new(n, sizeof *votes);
        for (uint64_t i = 0; i < s->n_vote_slots; i++)
            if (s->votes[i].key) *vote_slot(votes, n, s->votes[i].key) = s->votes[i];
        free(s->votes);
        s->votes = votes;
        s->n_vote_slots = n;
    }
    struct stats_votes *v = vote_slot(s->votes, s->n_vote_slots, key);
    s->n_votes += v->key == 0;
    v->key = key;
    return ++v->n;
}

static void add_to_group(struct score_stats *s, const struct score_stat *a) {
    struct stats_group *g = find_group(s, a->group);
    g->n++;
    g->sum += a->value;
    if (a->flags & SCORE_ROW_RIGHT) {
        g->n_right++;
        return;
    }
    if (a->answer == 0) return; // no answer is no vote
    if (s->n_votes >= MAX_VOTES) {
        s->no_majority = true;
        return;
    }
    uint64_t votes = add_vote(s, a->group, a->answer);
    if (votes > g->most_wrong) {
        g->most_wrong = (uint32_t)votes;
        g->n_most_wrong = 1;
    } else if (votes == g->most_wrong) {
        g->n_most_wrong++;
    }
}

static int reward_bin(double v) {
    int i = (int)floor((v + 2) * 10 + 1e-9) + 1;
    return v < -2 ? 0 : i >= STATS_N_REWARD_BINS ? STATS_N_REWARD_BINS - 1 : i;
}

static int length_bin(double n) {
    int i = n < 1 ? 0 : 1 + (int)floor(2 * log2(n) + 1e-9);
    return i >= STATS_N_LENGTH_BINS ? STATS_N_LENGTH_BINS - 1 : i;
}

// The slowest are kept in falling order; of equals the first stays in front.
static void add_slowest(struct score_stats *s, const struct score_stat *a) {
    int n = s->n_slowest, i;
    if (n == STATS_N_LISTED && s->slowest[n - 1].value >= a->us) return;
    if (n < STATS_N_LISTED) s->n_slowest = ++n;
    for (i = n - 1; i > 0 && s->slowest[i - 1].value < a->us; i--)
        s->slowest[i] = s->slowest[i - 1];
    s->slowest[i] = (struct stats_listed){a->index, a->us};
}

static void add_label(struct score_stats *s, const struct score_stat *a) {
    bool label = a->flags & SCORE_ROW_LABEL, right = a->flags & SCORE_ROW_RIGHT;
    s->labels[label][right]++;
    if (label == right || s->n_disagreed == STATS_N_LISTED) return;
    s->disagreed[s->n_disagreed++] = (struct stats_listed){a->index, a->value};
}

static void add_name(struct stats_name *name, const struct score_stat *a) {
    name->n++;
    if (!(a->flags & SCORE_ROW_JUDGED)) return;
    name->sum += a->value;
    name->sum_squares += a->value * a->value;
    name->n_right += (a->flags & SCORE_ROW_RIGHT) != 0;
}

static void add_account(struct score_stats *s, const struct score_accounts *accounts,
                        const struct score_stat *a) {
    const bool plain_error = (a->flags & SCORE_ROW_ERROR) && a->status == REWARD_OK;
    s->n++;
    s->n_bad += (a->flags & SCORE_ROW_BAD) != 0;
    s->by_status[plain_error ? STATS_BAD_RECORD : a->status]++;
    if (a->dataset) add_name(find_name(&s->datasets, accounts->strings[a->dataset]), a);
    if (a->rule) add_name(find_name(&s->rules, accounts->strings[a->rule]), a);
    if (!(a->flags & SCORE_ROW_JUDGED)) return;
    s->n_valued++;
    s->n_right += (a->flags & SCORE_ROW_RIGHT) != 0;
    s->sum += a->value;
    double delta = a->value - s->mean;
    s->mean += delta / (double)s->n_valued;
    s->m2 += delta * (a->value - s->mean);
    s->rewards[reward_bin(a->value)]++;
    s->lengths[length_bin(a->n_tokens)]++;
    s->byte_lengths[length_bin(a->n_bytes)]++;
    s->n_without_tokens += a->n_tokens < 0;
    add_slowest(s, a);
    if (a->flags & SCORE_ROW_LABELLED) add_label(s, a);
    if (a->group) add_to_group(s, a);
}

void score_stats_add(struct score_stats *s, const struct score_accounts *accounts) {
    for (uint32_t i = 0; i < accounts->n_stats; i++) add_account(s, accounts, &accounts->stats[i]);
}

uint64_t score_stats_pass_at(const struct score_stats *s, uint32_t k, double *out) {
    uint64_t n = 0;
    double sum = 0;
    for (uint64_t i = 0; i < s->n_group_slots; i++) {
        const struct stats_group *g = &s->groups[i];
        if (g->key == 0 || g->n < k) continue;
        double none = 1; // that none of k is right: the product of (1 - k/j), j in n-c+1..n
        for (uint32_t j = g->n - g->n_right + 1; j <= g->n && none > 0; j++)
            none *= j <= k ? 0 : 1 - (double)k / j;
        sum += 1 - none;
        n++;
    }
    *out = n ? sum / (double)n : NAN;
    return n;
}

double score_stats_majority(const struct score_stats *s) {
    double sum = 0;
    for (uint64_t i = 0; i < s->n_group_slots; i++) {
        const struct stats_group *g = &s->groups[i];
        if (g->key == 0 || g->n_right == 0 || g->n_right < g->most_wrong) continue;
        sum += g->n_right > g->most_wrong ? 1 : 1.0 / (1 + g->n_most_wrong);
    }
    return s->n_groups && !s->no_majority ? sum / (double)s->n_groups : NAN;
}

double score_stats_error(const struct score_stats *s) {
    double n = (double)s->n_valued, sum = 0;
    uint64_t grouped = 0;
    for (uint64_t i = 0; i < s->n_group_slots; i++) {
        const struct stats_group *g = &s->groups[i];
        double off = g->sum - g->n * s->mean;
        grouped += g->n;
        sum += off * off;
    }
    if (grouped == s->n_valued && s->n_groups > 1) return sqrt(sum) / n;
    return n > 1 ? sqrt(s->m2 / (n - 1) / n) : NAN;
}

uint32_t score_stats_largest_group(const struct score_stats *s) {
    uint32_t most = 0;
    for (uint64_t i = 0; i < s->n_group_slots; i++)
        if (s->groups[i].n > most) most = s->groups[i].n;
    return most;
}
