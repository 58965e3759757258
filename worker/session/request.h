// Requests to tasks: a line of a prompt file, or a TASK of the wire, checked in full.
#ifndef WORKER_SESSION_REQUEST_H
#define WORKER_SESSION_REQUEST_H

#include "protocol/messages.h"
#include "worker/load/chat.h"
#include "worker/session/sampling.h"
#include "worker/task.h"

// What requests are checked against. All of it is read-only and may be shared by threads.
struct request_context {
    const struct tokenizer *tokenizer; // NULL: only prompt_ids are served
    const struct chat *chat;           // NULL exactly when tokenizer is
    int vocab, max_context;
    bool has_moe;                             // routed_experts can be asked for
    int n_route_values;                       // of one position: MoE layers * experts used
    const struct verifier_command *externals; // (n_externals)
    int n_externals;
    bool no_verify;           // rewards are checked but not graded
    struct sampling defaults; // of lines that do not say otherwise
    struct wanted wanted;     // likewise
};

// One line of a prompt file (worker/README.md). `line` counts from 0 and is the id of a
// group without one; serial likewise. ERROR_INPUT with a sentence; the caller adds the line.
struct task *request_from_line(const struct request_context *c, struct slice text, uint64_t line,
                               struct error *err);

// A TASK; `m` is not needed afterwards. Deadlines count from `now_ms` on clock_ms.
struct task *request_from_message(const struct request_context *c, const struct message_task *m,
                                  int64_t now_ms, struct error *err);

#endif
