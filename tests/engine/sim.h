// A simulated engine around the scheduler, whose pages and conv slots hold numbers: each position
// that is computed stores a number that was never used before, and before each step every sequence
// must find exactly the numbers of its own history, whatever was forked, copied, suspended and
// resumed in between, and whatever refused guesses have left behind it. After each event all
// invariants are checked, and the scheduler's counts against the test's own book-keeping. A failed
// check fails the cmocka test that runs.
#ifndef TESTS_ENGINE_SIM_H
#define TESTS_ENGINE_SIM_H

#include "worker/engine/scheduler.h"

enum { SIM_MAX_CONTEXT = 96, SIM_MAX_TASKS = 1 << 14, SIM_MAX_SAMPLES = 64 };

struct history {
    int64_t values[SIM_MAX_CONTEXT]; // by position
    int32_t n;
    uint64_t version; // of the weights at position 0
};

enum sim_state { WAITING, LIVE, DONE, CANCELLED, RETURNING };

// What the test knows of a task, by its own book-keeping.
struct book {
    struct scheduler_task task;
    struct scheduler_entry *entry;
    bool open;
    enum sim_state samples[SIM_MAX_SAMPLES];
    int32_t n_drawn[SIM_MAX_SAMPLES]; // of those that return from a recompute
    struct history prefix;
};

struct slot {
    struct book *book; // NULL: free
    int32_t sample;
    uint64_t start;  // a counter: lower is older
    int32_t n_drawn; // tokens so far; those of before a recompute too, while it goes on
    struct history history;
};

struct sim {
    struct scheduler_options options;
    struct scheduler *scheduler;
    uint64_t seed;
    uint32_t finish_per_mille;  // a row draws an end token
    int64_t *pages, *arena;     // (n_pages or suspend_pages, page_tokens)
    int32_t n_ring;             // entries of a conv slot: that of position p at p modulo it
    int64_t *conv, *arena_conv; // (slots, n_ring)
    int64_t counter;
    uint64_t version, n_started;
    struct book *books; // (SIM_MAX_TASKS) the first n_books
    int32_t n_books;
    struct slot *slots; // (max_rows)
    bool restarted;     // then samples may start out of the order of arrival
    bool is_holding;
    int64_t n_ops[CACHE_CONV_RESUME + 1], n_prefilled, n_stalled;
    int64_t n_guessed, n_refused; // guesses that there was room for; those that did not stand
    int64_t n_recomputed;         // positions
    uint64_t trace;               // a hash of all plans
};

uint32_t sim_draw(uint64_t *state, uint32_t n); // 0 to n - 1

void sim_open(struct sim *sim, const struct scheduler_options *options, uint64_t seed);
void sim_close(struct sim *sim);

// Adds a task if the scheduler takes it. Returns its book, or NULL.
struct book *sim_add(struct sim *sim, int32_t n_prompt, int32_t n_samples, int32_t max_new_tokens);

// The same, held until sim_release.
struct book *sim_add_held(struct sim *sim, int32_t n_prompt, int32_t n_samples,
                          int32_t max_new_tokens);
void sim_release(struct sim *sim, struct book *book);

// Plans, checks, computes and commits one step. Returns false where nothing is left to do.
bool sim_step(struct sim *sim);

// Steps until nothing is left, in no more steps than there are positions left to compute.
void sim_drain(struct sim *sim);

// Samples first .. first + n - 1 of the task, from 0; or those that wait. What the scheduler says
// of each is checked. Nothing where the task has left.
void sim_cancel(struct sim *sim, struct book *book, int32_t first, int32_t n);
void sim_cancel_waiting(struct sim *sim, struct book *book);
void sim_restart(struct sim *sim, struct book *book);
void sim_recompute(struct sim *sim, struct book *book);
void sim_hold(struct sim *sim, bool is_holding);
void sim_set_version(struct sim *sim); // to the next

// Checks the invariants, and the counts against the books.
void sim_check(const struct sim *sim);
void sim_check_counts(const struct sim *sim);

#endif
