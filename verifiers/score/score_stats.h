// What a run adds up to. Accounts are taken in input order, so that the sums do not depend on the
// number of workers. Memory: 48 bytes a group and 16 a wrong answer that a group has, in tables
// that are at most two thirds full.
#ifndef VERIFIERS_SCORE_SCORE_STATS_H
#define VERIFIERS_SCORE_SCORE_STATS_H

#include "protocol/base/buffer.h"
#include "verifiers/score.h"
#include "verifiers/score/score_frame.h"

enum {
    STATS_N_STATUS = REWARD_OK + 2, // each reward_status, and bad records
    STATS_BAD_RECORD = REWARD_OK + 1,
    STATS_MAX_NAMES = 256,    // data sets and rules; more are counted under the last, "(others)"
    STATS_N_LISTED = 20,      // slowest, and disagreements
    STATS_N_REWARD_BINS = 42, // below -2, 40 of width 0.1, 2 and above
    STATS_N_LENGTH_BINS = 64, // half powers of two
};

struct stats_name {
    char *name;
    uint64_t n, n_right;
    double sum, sum_squares;
};

struct stats_names {
    int n;
    struct stats_name list[STATS_MAX_NAMES];
};

struct stats_group {
    uint64_t key; // 0: free
    double sum;
    uint32_t n, n_right, most_wrong,
        n_most_wrong; // most_wrong: votes of the likeliest wrong answer
};

struct stats_votes {
    uint64_t key; // of group and answer
    uint64_t n;
};

struct stats_listed {
    uint64_t index;
    double value; // microseconds, or the reward
};

struct score_stats {
    uint64_t n;        // completions, bad records too
    uint64_t n_valued; // that have a value
    uint64_t n_bad, n_right, by_status[STATS_N_STATUS];
    double sum, mean, m2; // Welford's, over values
    struct stats_names datasets, rules;
    uint64_t labels[2][2]; // [label][right]
    struct stats_listed slowest[STATS_N_LISTED], disagreed[STATS_N_LISTED];
    int n_slowest, n_disagreed;
    uint64_t rewards[STATS_N_REWARD_BINS], lengths[STATS_N_LENGTH_BINS];
    uint64_t n_without_tokens; // lengths are tokens if this is 0, else bytes
    uint64_t byte_lengths[STATS_N_LENGTH_BINS];
    struct stats_group *groups; // (n_group_slots)
    uint64_t n_groups, n_group_slots;
    struct stats_votes *votes; // (n_vote_slots)
    uint64_t n_votes, n_vote_slots;
    bool no_majority; // too many different answers to count them
};

void score_stats_free(struct score_stats *stats);
void score_stats_add(struct score_stats *stats, const struct score_accounts *accounts);

// Of groups with n >= k valued samples: the mean of the unbiased estimate of pass@k, 1 - C(n-c,k) /
// C(n,k) (Chen et al. 2021, in product form). Returns how many groups there were.
uint64_t score_stats_pass_at(const struct score_stats *stats, uint32_t k, double *out);
// How often the most frequent answer of a group is right; ties count in part.
double score_stats_majority(const struct score_stats *stats);
// The standard error of the mean, clustered by group where there are groups (Miller 2024).
double score_stats_error(const struct score_stats *stats);
uint32_t score_stats_largest_group(const struct score_stats *stats);

// Appends the summary: "table", "md" or "json".
void score_summary(const struct score_stats *stats, const char *form, double seconds,
                   struct buffer *out);
// Appends histograms of rewards and lengths as one SVG picture.
void score_histogram(const struct score_stats *stats, struct buffer *out);

// Prints the summary and writes the picture, as the options say. ERROR_IO.
int score_report(const struct score_options *options, const struct score_stats *stats,
                 double seconds, struct error *err);

#endif
