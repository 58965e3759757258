// Child processes that answer jobs: started, fed, watched, and started again.
//
// A supervisor has children of one kind and a queue of jobs. A child has some jobs at a time and
// answers them in order, so that the oldest one is to blame when it dies, answers what is no reply,
// or does not get on with it for too long. It is killed then, with its group, and started again
// after a pause that grows; its other jobs go back to the front of the queue. What a job is, and
// how requests and replies look, is the owner's business.
//
// All of it belongs to the thread that opened it; children inherit no descriptor but their pipes,
// stderr and what they are given.
#ifndef VERIFIERS_PROCESS_SUPERVISOR_H
#define VERIFIERS_PROCESS_SUPERVISOR_H

#include <stddef.h>
#include <stdint.h>

#include "verifiers/process/process.h"

enum { SUPERVISOR_MAX_SENT = 8 };

// The first member of an owner's job: in the queue.
struct supervisor_job {
    struct supervisor_job *next;
};

enum supervisor_loss { SUPERVISOR_CRASH, SUPERVISOR_TIMEOUT };

// Children are numbered from 0.
struct supervisor_kind {
    // Appends the request of a job.
    void (*send)(void *self, int child, struct supervisor_job *job, struct buffer *to);
    // The length of the reply that `bytes` starts with; 0: it is not whole yet; -1: it is none,
    // with a sentence. `job`: the oldest one, NULL when the child was asked nothing.
    ptrdiff_t (*measure)(void *self, const struct supervisor_job *job, struct slice bytes,
                         struct error *err);
    // Takes the reply to a job, which is the owner's again. -1: it is none, with a sentence.
    int (*receive)(void *self, struct supervisor_job *job, struct slice reply, struct error *err);
    // A child was lost at its oldest job (NULL: it had none), and everything that it knew. True:
    // the job is to be tried again; false: it is the owner's again.
    bool (*lost)(void *self, int child, struct supervisor_job *job, enum supervisor_loss loss,
                 const char *why);
    // Optional: what it costs to give a job to this child rather than to another, 2 being as much
    // as one job that waits there already.
    int (*cost)(void *self, int child, const struct supervisor_job *job);
    // Optional: a number that changes whenever a child gets on; else it gets on with replies only.
    uint64_t (*progress)(void *self, int child);
    // Optional: what a child is given from PROCESS_FIRST_FD on. Returns how many.
    int (*give)(void *self, int child, int fds[PROCESS_MAX_FDS]);
};

struct supervisor_options {
    const struct supervisor_kind *kind;
    void *self;
    const char *program; // NULL: this executable
    char *const *argv;   // behind the program; borrowed
    int n_children;
    int max_sent;      // 1 to SUPERVISOR_MAX_SENT jobs that a child has at once
    int deadline_ms;   // without progress; time in which nobody stepped does not count
    int max_barren;    // starts in a row without any progress, then it is given up; 0: never
    size_t pipe_bytes; // of each pipe
    bool has_path;     // children start programs: PATH is their environment
};

struct supervisor;

// Starts all children. ERROR_IO.
struct supervisor *supervisor_open(const struct supervisor_options *options, struct error *err);

// Kills what runs and gives all jobs back, without order.
typedef void supervisor_drop_fn(void *self, struct supervisor_job *job);
void supervisor_free(struct supervisor **supervisor, supervisor_drop_fn *drop); // NULL: no one's

void supervisor_submit(struct supervisor *supervisor, struct supervisor_job *job);

// How many more jobs could be sent at once, less those that are queued.
int supervisor_room(const struct supervisor *supervisor);

// Sends, receives, restarts and watches deadlines, without waiting. ERROR_INTERNAL when children
// end again and again before they did anything.
int supervisor_step(struct supervisor *supervisor, struct error *err);

// An epoll descriptor that is readable when a step has something to do; deadlines and restarts do
// not make it so: supervisor_due says when the next one is, in milliseconds, at most `limit`.
int supervisor_fd(const struct supervisor *supervisor);
int supervisor_due(const struct supervisor *supervisor, int limit);

#endif
