// What the engine's thread publishes after each turn, for all others: heartbeats, and whoever asks
// what this worker is doing.
#ifndef WORKER_STATUS_H
#define WORKER_STATUS_H

#include <pthread.h>
#include <stdint.h>

struct status_counters {
    uint64_t n_steps, n_prompt_tokens, n_output_tokens; // since start
    uint64_t n_row_steps;                               // rows in all steps together
    uint64_t n_guessed, n_accepted; // guesses that were fed, and those that stood (drafts)
    int64_t step_us;                // time inside steps
    int64_t last_step_ms;           // clock_ms when the last step ended, 0: none yet
};

struct status {
    uint64_t version, digest; // policy version and digest of the weights that are served
    uint64_t n_updates;       // applied so far; versions repeat when a trainer restarts, this rises
    int n_rows, n_samples;    // rows in the engine; samples that did not end, rows among them
    struct status_counters counters;
};

// The last status, behind a lock.
struct status_board {
    pthread_mutex_t lock;
    struct status last;
};

void status_open(struct status_board *board, struct status first);
void status_close(struct status_board *board);
void status_publish(struct status_board *board, struct status status); // board NULL: to nobody
struct status status_read(struct status_board *board);

#endif
