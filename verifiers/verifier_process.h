// One supervised child process: its pipes, its life, and lines in and out. Nothing here blocks.
#ifndef VERIFIERS_VERIFIER_PROCESS_H
#define VERIFIERS_VERIFIER_PROCESS_H

#include <sys/types.h>

#include "protocol/base/buffer.h"
#include "protocol/base/error.h"

struct verifier_process {
    int index;   // in the pool; tags the descriptors in `epoll`
    int epoll;   // borrowed
    pid_t pid;   // 0: not running
    int in, out; // our ends of its stdin and stdout, -1 when closed
    bool waits_to_write;
    struct buffer to;   // bytes for its stdin
    size_t to_done;     // of these, written
    struct buffer from; // bytes of its stdout
    size_t from_done;   // of these, handed out as lines
    pid_t dying;        // killed and not reaped yet, or 0
};

// Starts `program verify-child ARGV...` with two new pipes, the parent's stderr, and no other
// descriptor, in a process group of its own. `argv` (NULL-terminated) is behind the parent's pid:
// "grade", or "exec" and the command.
int verifier_process_start(struct verifier_process *p, const char *program, char *const *argv,
                           struct error *err);

// SIGKILL to the process and its group; closes the pipes and drops what was buffered.
void verifier_process_kill(struct verifier_process *p);

// Collects a killed process if it is gone. With `wait` it waits for it (it was killed).
void verifier_process_reap(struct verifier_process *p, bool wait);

// Writes what fits of `to`. A broken pipe is no failure: end of file on its stdout tells.
void verifier_process_flush(struct verifier_process *p);

// Reads what is there. Returns -1 when the process closed its stdout or wrote more than
// `max_line` bytes without a newline, which the error says.
int verifier_process_read(struct verifier_process *p, size_t max_line, struct error *err);

// Takes the next whole line out of `from`: valid until the next read. False: there is none.
bool verifier_process_line(struct verifier_process *p, struct slice *line);

#endif
