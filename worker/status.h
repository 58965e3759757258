// What the threads of a worker publish for all others: heartbeats, and whoever asks over HTTP what
// this worker is doing. Three writers, each of its own part: the engine's thread (`last`, `work`),
// the I/O thread (`link`), and who opens the worker (`facts`, `phase`).
#ifndef WORKER_STATUS_H
#define WORKER_STATUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/messages.h"
#include "verifiers/verify.h"
#include "worker/histogram.h"

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
    int n_fitting;            // rows that KV pages allow where they are short, 0: they are not
    struct status_counters counters;
};

// Why the engine had nothing to compute.
enum idle_reason {
    IDLE_NO_WORK,
    IDLE_WEIGHTS,   // everything waits for a policy version, or an update was applied
    IDLE_VERIFIERS, // nothing is left but samples that are being graded
    N_IDLE_REASONS,
};

// A sample that left, for people to look at.
struct rollout {
    int64_t at_ms; // on clock_ms
    uint64_t serial, version;
    int index, n_tokens;
    enum message_finish finish;
    bool is_graded;
    enum reward_status status;
    double value;   // NaN: none
    char text[161]; // how its text begins, cut between characters; UTF-8
};
enum { STATUS_N_ROLLOUTS = 24, STATUS_N_MEMORY = 8 };
enum { STATUS_WEIGHTS = 0, STATUS_SECOND_COPY = 6, STATUS_MASTER = 7 }; // of memory_bytes

// What the engine's thread measures (meter.h).
struct status_work {
    int64_t turn_ms;     // clock_ms when its loop turned last; 0: it has not begun
    bool device_failed;  // a step failed: the worker leaves
    int32_t n_tasks;     // in the engine
    int32_t n_running;   // rows on the device
    int32_t n_suspended; // rows in host memory
    int32_t n_pages, n_free_pages;
    int n_grading;               // samples that are being graded
    uint64_t n_row_suspensions;  // times that a row went to host memory
    uint64_t n_shareable_tokens; // prompt tokens of samples that ended
    uint64_t n_shared_tokens;    // of these, prefilled for a sibling
    uint64_t n_ended[FINISH_N_REASONS];
    uint64_t n_verdicts[REWARD_OK + 1];
    double sum_values; // of rewards that have one
    uint64_t n_values;
    int64_t idle_us[N_IDLE_REASONS];
    struct histogram measures[N_MEASURES];
    uint64_t n_scrub_passes;                    // over all resident weights (weights/scrub.h)
    struct rollout rollouts[STATUS_N_ROLLOUTS]; // rollout i lies at i modulo STATUS_N_ROLLOUTS
    uint64_t n_rollouts;
};

// What the I/O thread knows.
struct status_link {
    int64_t turn_ms; // clock_ms when its loop turned last; 0: it has not begun
    bool joined, draining;
    bool is_current; // joined, and what is served is what the trainer asks for
    char run[MESSAGE_MAX_RUN + 1];
    uint64_t epoch;
    uint64_t n_sessions;       // WELCOMEs
    uint64_t n_missed_beats;   // times that a heartbeat's interval passed without a word
    uint64_t n_foreign;        // messages of another run or epoch
    uint64_t n_resent_samples; // in RESULTs that were sent again
    uint64_t n_refused[MESSAGE_N_REASONS];
    uint64_t n_unauthenticated; // peers and messages without a key that is allowed
    uint64_t n_full;            // messages that found a queue full
    uint64_t spool_bytes;       // of results that are not acknowledged
    int n_unacked;              // results
    uint64_t free_slots;        // samples that the trainer may send now
    uint64_t staging_version;   // 0: none is being staged
    uint64_t n_updates_failed, n_updates_mismatched; // of which the second: a checksum differed
    uint64_t weight_bytes[TRANSPORT_N]; // of updates that were proved, by how they came
    uint64_t n_nccl_aborts;             // communicators that were left
    struct histogram stage, commit;     // seconds of updates
};

enum status_phase { WORKER_LOADING, WORKER_SERVING, WORKER_LEAVING };

// What does not change once the worker has loaded.
struct status_facts {
    char uid[256], build[256], numerics[128], model[256];
    uint64_t fingerprint, min_version;
    int max_rows, slots, max_context;
    uint64_t memory_bytes[STATUS_N_MEMORY]; // as planned, by kernels.h's enum memory_use
};
extern const char *const status_memory_names[STATUS_N_MEMORY];

struct status_board {
    pthread_mutex_t lock;
    struct status last;
    struct status_work work;
    struct status_link link;
    struct status_facts facts;
    enum status_phase phase;
};

// Everything at one moment.
struct status_snapshot {
    struct status last;
    struct status_work work;
    struct status_link link;
    struct status_facts facts;
    enum status_phase phase;
};

void status_open(struct status_board *board, struct status first);
void status_close(struct status_board *board);
void status_publish(struct status_board *board, struct status status); // board NULL: to nobody
struct status status_read(struct status_board *board);

void status_publish_link(struct status_board *board, const struct status_link *link);
void status_publish_facts(struct status_board *board, const struct status_facts *facts);
void status_enter(struct status_board *board, enum status_phase phase);
void status_paused(struct status_board *board, int64_t us); // decoding stood still for an update
void status_scrubbed(struct status_board *board, uint64_t n_passes);
void status_look(struct status_board *board, struct status_snapshot *out);

#endif
