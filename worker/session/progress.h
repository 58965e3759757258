// With which tasks this worker goes on, for the trainer's leases of single tasks. Of the engine's
// thread.
//
// A task goes on where something of it moved since the last look (its prompt, a token, a sample's
// end, a verdict), and where it waits its turn: tasks begin in the order in which they came, and
// verdicts of what ended before are waited for. One that something behind it has gone past, and
// that does not move, is told no more until it moves: it hangs here, whatever the reason.
#ifndef WORKER_SESSION_PROGRESS_H
#define WORKER_SESSION_PROGRESS_H

#include "protocol/base/buffer.h"
#include "worker/task.h"

struct progress {
    struct task *first, *last; // all that have samples which were not delivered, as they came
    uint64_t n_graded;         // number of the sample that ended last of those with a verdict
};

// The task has been handed to the engine.
void progress_add(struct progress *p, struct task *task);

// These samples are ready to leave; to be called before their tasks may go.
void progress_deliver(struct progress *p, const struct sample *list);

// Adds the serial of each task that goes on, as uint64, and begins another look. `version`: policy
// version that is served; what waits for a newer one waits rightly.
void progress_look(struct progress *p, uint64_t version, struct buffer *serials);

#endif
