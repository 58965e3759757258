// A partial sample of a TASK: checked, and put behind the task's prompt.
#ifndef WORKER_SESSION_PARTIAL_H
#define WORKER_SESSION_PARTIAL_H

#include "worker/session/request.h"

// The task's prompt and limits are known. One that fills the row's limit here (another worker may
// have a larger one) is left out: the sample begins from its prompt. ERROR_INPUT with a sentence.
int partial_from_message(const struct request_context *c, struct task *t,
                         const struct message_task *m, struct error *err);

#endif
