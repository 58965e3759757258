// Samples as the columns of one RESULT.
#ifndef WORKER_SESSION_RESULT_H
#define WORKER_SESSION_RESULT_H

#include "protocol/messages.h"
#include "worker/session/output.h"
#include "worker/task.h"

// How many of the samples from `first` on (a list by `next`, of one port) go into one RESULT: those
// that follow it, are of its task, and agree in what a RESULT has but once. At least 1.
int result_count(const struct sample *first);

// Encodes RESULT number `number` of the first n samples of the list. -1 where it does not fit into
// a message (too many routed experts).
int result_encode(const struct sample *first, int n, const struct output_shape *shape,
                  struct slice run, uint64_t epoch, uint64_t number, struct message_frames *out,
                  struct error *err);

// Encodes the RESULT that answers a TASK which was refused: all its samples end as an error.
void result_encode_refusal(const struct message_task *task, const struct error *why,
                           struct slice run, uint64_t epoch, uint64_t number,
                           struct message_frames *out);

#endif
