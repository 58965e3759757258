// A task: a range of samples of one group, and a sample that has ended.
//
// Tasks come from a prompt file (generate) or from the wire (serve) and are the same afterwards.
#ifndef WORKER_TASK_H
#define WORKER_TASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/memory.h"
#include "protocol/base/slice.h"
#include "protocol/messages.h"
#include "verifiers/verify.h"

// How the samples of a group are drawn. Defaults are those of `stampede generate`.
struct sampling {
    int n; // samples of the whole group
    int max_new_tokens;
    float temperature, top_p, min_p, repetition_penalty;
    int top_k;
    uint64_t seed; // of the request; with the group's id it makes the group's seed
    bool ignore_eos;
    int draft; // enum message_draft
    int n_stop_ids, n_stops, n_bias;
    const int32_t *stop_ids;   // (n_stop_ids) rising; they end a sample like an end token
    const struct slice *stops; // (n_stops) stop strings, none empty
    const int32_t *bias_ids;   // (n_bias) rising
    const float *bias;         // (n_bias)
};

#define VERSION_LAG_ANY UINT64_MAX

// Tokens from `first_token` on were made by `version`.
struct version_span {
    int first_token;
    uint64_t version;
};

// What another worker drew of a sample that goes on here.
struct partial {
    int n_tokens, n_spans;            // n_tokens 0: there is none
    const float *lp_full, *lp_behav;  // (n_tokens)
    const struct version_span *spans; // (n_spans)
    const uint16_t *routes; // (n_prompt + n_tokens - 1, MoE layers, k); NULL: those of the prefill
};

struct port;
struct row;
struct scheduler_entry;

struct task {
    struct arena arena;        // owns everything below but the buffers named as owned
    uint64_t serial;           // of the group, unique within a run
    struct slice id;           // JSON text of the group's id, as it came
    struct slice meta;         // JSON text as it came; empty when there was none
    const int32_t *prompt_ids; // (n_prompt + partial.n_tokens), n_prompt >= 1
    int n_prompt;
    struct partial partial; // of the task's one sample; its tokens stand behind the prompt
    int first_sample, n_samples;
    struct sampling sampling;
    uint64_t group_seed;        // hash_group_seed of sampling.seed and id
    struct slice prompt_text;   // for verifiers; empty when the prompt came as ids
    struct slice reward_json;   // the spec as it came; empty: no reward
    struct reward_spec *reward; // owned; NULL: no reward
    bool prompt_logprobs, routed_experts;
    enum message_on_update on_update; // of rows in flight
    // A sample ends before weights that are more versions than this ahead of its first token's.
    uint64_t max_version_lag; // VERSION_LAG_ANY: none does
    uint64_t min_version;     // not started before the weights are at least this
    int64_t deadline_ms;      // on clock_ms, 0: none
    uint32_t attempt;         // as TASK says it; goes back with the result

    // When things happened to it, on clock_us; 0: not yet. Of tasks from the wire only (meter.h).
    int64_t arrived_us, prefill_us;
    int64_t *first_token_us; // (n_samples) or NULL

    // Filled by the engine while the prompt is prefilled.
    float *prompt_lp_full;   // (n_prompt), first NaN; owned, NULL unless asked for
    uint16_t *prompt_routes; // (n_prompt + partial.n_tokens - 1, MoE layers, k); owned, or NULL
    bool is_failed;          // a log-probability of the prompt is not finite

    // The engine's, from engine_add until the last of its samples has ended.
    struct scheduler_entry *entry; // what became of each sample is known there
    int n_open;                    // samples that have not ended
    struct row **kept; // (n_samples) rows that come back when their KV is computed anew; or NULL
    struct task *next, *prev;

    // With what it goes on (session/progress.h); has_moved: something of it has, since somebody
    // looked.
    bool has_moved, has_begun, is_overtaken;
    uint64_t last_number; // of its sample that ended last
    int n_undelivered;
    struct task *next_given, *prev_given;

    const struct port *port; // where its samples go
    uint64_t session;        // of the link: results of an older one may have become useless
    atomic_int n_left;       // samples not delivered yet; the task is freed with the last one
};

// A sample on its way out. Arrays are owned by it.
struct sample {
    struct task *task;
    int index; // of the sample in its group
    enum message_finish finish;
    int n_tokens, n_spans;
    int32_t *tokens;            // (n_tokens) with the end token or the stop string's tokens
    float *lp_full, *lp_behav;  // (n_tokens)
    struct version_span *spans; // (n_spans)
    char *text;                 // UTF-8, 0-terminated, ends before the stop; NULL: no tokenizer
    size_t text_bytes;
    float *prompt_lp_full; // (n_prompt) or NULL
    uint16_t *routes;      // (n_routes, MoE layers, k) or NULL
    int n_routes;          // positions that were computed: n_prompt + n_tokens - 1
    struct reward *reward; // owned; NULL: not graded
    char *error;           // sentence, or NULL
    uint64_t digest;       // of the weights that were served when it ended
    uint64_t number;       // of all samples in the order in which they ended, from 1
    int pending;           // place among the samples that are being graded
    struct sample *next;   // of a queue
};

// A task of its own arena, zeroed.
struct task *task_new(void);
void task_free(struct task **task);

// The task begins from its prompt.
void task_drop_partial(struct task *task);

// Frees the sample and tells its task, which goes with the last of its samples.
void sample_free(struct sample **sample);
void sample_free_list(struct sample *list);

#endif
